# SPDX-License-Identifier: BSD-2-Clause
"""What was measured until now, on disk: a line of JSON for each step, so that whatever ends the run takes at most the
step that was under way.  The first line says what the run is; a run that is another one is not gone on with."""
import fcntl
import json
import os

from iomux_bench.process import Failure

FORM = 1


class State:
    """A file of steps; new, or one that is gone on with."""

    def __init__(self, path, header, resume):
        self.path = path
        self.header = {"form": FORM, **header}
        self.steps = []
        there = os.path.exists(path)
        if resume and not there:
            raise Failure(f"there is no {path} to go on with")
        if there and not resume:
            raise Failure(f"{path} is of a run that was not finished: go on with --resume, or remove it")
        self._file = self._open()
        if resume:
            self._load()
        if not self.steps and self._file.tell() == 0:
            self._write(self.header)

    def _open(self):
        """Nobody else writes there at the same time."""
        try:
            made = open(self.path, "a", encoding="utf-8")       # pylint: disable=consider-using-with
        except OSError as e:
            raise Failure(f"{self.path}: {e.strerror}") from e
        try:
            fcntl.flock(made, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            raise Failure(f"{self.path}: another iomux-bench is at work on it") from e
        return made

    def _load(self):
        found, self.steps, whole = read(self.path)
        for key in ("form", "options", "fingerprint"):
            if found.get(key) != self.header[key]:
                raise Failure(f"{self.path} is of another run ({key}: {found.get(key)} there, {self.header[key]} now)")
        self.header = found
        os.truncate(self.path, whole)       # a line that was cut off is done again

    def _write(self, what):
        self._file.write(json.dumps(what) + "\n")
        self._file.flush()

    def add(self, step):
        self.steps.append(step)
        self._write(step)

    def done(self):
        """{(round, cell, server)} that need not be done again."""
        return {(s["round"], s["cell"], s["server"]) for s in self.steps}

    def spent(self):
        """Seconds that its steps took."""
        return sum(s["took"] for s in self.steps)

    def close(self):
        self._file.close()

    def remove(self):
        """The run is over, and its results are elsewhere."""
        self.close()
        os.unlink(self.path)


def read(path):
    """(header, steps, bytes of whole lines) of a state file."""
    try:
        with open(path, "rb") as f:
            data = f.read()
    except OSError as e:
        raise Failure(f"{path}: {e.strerror}") from e
    whole = data.rfind(b"\n") + 1
    try:
        lines = [json.loads(line) for line in data[:whole].splitlines()]
    except ValueError as e:
        raise Failure(f"{path} is no state of a run: {e}") from e
    if not lines or "form" not in lines[0]:
        raise Failure(f"{path} is no state of a run")
    return lines[0], lines[1:], whole
