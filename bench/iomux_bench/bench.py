# SPDX-License-Identifier: BSD-2-Clause
"""A whole run: from the options to the steps, with the time that is left, and what came of it as one document."""
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

from iomux_bench import figures, machine, plan, runner, server
from iomux_bench.process import Failure

REPORT_S = 5            # kept of the limit for the report


def listed(binary):
    """[{model, kind, can, why}] as the binary says."""
    try:
        done = subprocess.run([binary, "--list-models"], capture_output=True, text=True, timeout=20, check=False)
    except OSError as e:
        raise Failure(f"{binary}: {e.strerror}") from e
    lines = [re.match(r"(\S+)\s+(\S+)\s+(yes|no)\b\s*(.*)", line) for line in done.stdout.splitlines()]
    if done.returncode != 0 or not lines or not all(lines):
        raise Failure(f"{binary} --list-models failed:\n{done.stdout}{done.stderr}".rstrip())
    return [{"model": m[1], "kind": m[2], "can": m[3] == "yes", "why": m[4]} for m in lines]


def chosen(models, wanted):
    """Marks what is measured; what is named and cannot run is an answer too, and is never replaced."""
    names = [m["model"] for m in models]
    for name in wanted or []:
        if name not in names:
            raise Failure(f"no model '{name}'; there are: {' '.join(names)}")
    for m in models:
        m["measured"] = m["can"] and (not wanted or m["model"] in wanted)
        if not m["measured"] and m["can"]:
            m["why"] = "left out by --models"
    return models


class Progress:
    """A line on a terminal that is written over; elsewhere a line a minute."""

    EVERY_S = 30

    def __init__(self, stream=sys.stderr):
        self._stream = stream
        self._terminal = stream.isatty()
        self._next = 0.0

    def show(self, text):
        if self._terminal:
            print(f"\r\033[K{text}", end="", file=self._stream, flush=True)
        elif time.monotonic() >= self._next:
            self._next = time.monotonic() + self.EVERY_S
            print(text, file=self._stream, flush=True)

    def clear(self):
        if self._terminal:
            print("\r\033[K", end="", file=self._stream, flush=True)


def minutes(seconds):
    seconds = max(0, int(seconds + 0.5))
    return f"{seconds // 60}:{seconds % 60:02d}"


class Run:
    """The plan of a run and the state that it has reached."""

    def __init__(self, options, programs):
        self.options = options
        self.models = chosen(listed(programs["iomuxd"]), options.models)
        self.programs = programs
        self.files = machine.raise_file_limit()
        self.tasks = machine.tasks_left()
        self.cpus = machine.Cpus()
        preset = plan.QUICK if options.quick else plan.FULL
        self.rounds = options.rounds or preset.rounds
        self.limit_s = options.limit or preset.limit_s
        most = min(self.files - machine.SPARE_FILES, options.most)
        self.cells = plan.cells_of(preset, options.workloads, options.connections, most)
        self.left_out = {"connections": plan.counts_left_out(preset, options.connections, most),
                         "why": f"--most {most}" if most == options.most else
                                f"a process may have {self.files:,} open files (ulimit -Hn)"}
        if not self.cells:
            raise Failure(f"nothing can be measured: {self.left_out['why']}")
        self.preset = preset

    @property
    def names(self):
        return [m["model"] for m in self.models if m["measured"]]

    def header(self):
        known = machine.facts({name: path for name, path in self.programs.items() if path and name != "floor"})
        return {"program": "iomux-bench", "preset": self.preset.name, "machine": known,
                "fingerprint": machine.fingerprint(known), "when": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
                "models": self.models, "left_out": self.left_out, "cpus": {"server": self.cpus.server, "load": self.cpus.load,
                                                "shared": self.cpus.shared},
                "options": {"models": self.names, "cells": [plan.cell_name(c) for c in self.cells],
                            "seconds": [c.seconds for c in self.cells], "rounds": self.rounds,
                            "floor": bool(self.programs["floor"])}}

    def steps(self):
        return list(plan.steps(self.cells, self.names, bool(self.programs["floor"]), self.rounds))

    def go(self, state, progress, stop):
        """Does what is not done, until it is all done or time is up: returns whether all is done.  If it is asked to
        stop, KeyboardInterrupt is raised behind the step that is under way."""
        began, before, clock = time.monotonic(), state.spent(), plan.Clock()
        cells = {plan.cell_name(c): c for c in self.cells}
        for s in state.steps:
            if "refused" not in s:
                clock.add(cells[s["cell"]], s["took"])
        done = state.done()
        left = [s for s in self.steps() if (s[0], plan.cell_name(s[1]), s[2]) not in done]
        with tempfile.TemporaryDirectory(prefix="iomux-bench-", dir=self.options.folder) as folder:
            setup = runner.Setup(server.Site(folder), self.programs, self.cpus, self.files, self.tasks)
            for at, (number, cell, name) in enumerate(left):
                spent = before + time.monotonic() - began
                if spent + clock.one(cell) > self.limit_s - REPORT_S:
                    return False
                rest = min(clock.rest([c for _, c, _ in left[at:]]), self.limit_s - spent)
                progress.show(f"round {number + 1}, {plan.cell_name(cell)}, {name}: {minutes(rest)} left")
                self._one(setup, state, clock, number, cell, name)
                if stop.asked:
                    raise KeyboardInterrupt
        return True

    def _one(self, setup, state, clock, number, cell, name):
        key = {"round": number, "cell": plan.cell_name(cell), "server": name}
        why = plan.refusal(name, cell, self.files, self.tasks)
        if why:
            state.add({**key, "took": 0.0, "refused": True, "failed": why, "flags": ""})
            return
        rate = self._rate(state, cell) if cell.kind == plan.PACE else None
        began = time.monotonic()
        made = runner.step(setup, name, cell, rate)
        took = time.monotonic() - began
        clock.add(cell, took)
        state.add({**key, "took": took, **made})

    @staticmethod
    def _rate(state, cell):
        """From the first round, so that all rounds have the same."""
        twin = plan.cell_name(cell._replace(kind=plan.SPEED))
        return plan.pace_rate([s.get("rate") for s in state.steps
                               if s["cell"] == twin and s["round"] == 0 and s["server"] != plan.FLOOR])


def rounded(value):
    """Six digits of each number that is not whole: none of them is known better."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    return [rounded(v) for v in value] if isinstance(value, list) else value


def document(header, steps, whole):
    """Everything that is known of a run, for JSON and for reports."""
    rounds = {s["round"] for s in steps}
    return rounded({**header, "whole": whole, "took_s": sum(s["took"] for s in steps), "rounds_begun": len(rounds),
                    "cells": figures.summaries(steps),
                    "steps": [{k: v for k, v in s.items() if k != "histogram"} for s in steps]})


def text_of(made):
    """A document as JSON: a line for each cell and each step, for people who look something up and for diff(1)."""
    def line(value):
        return json.dumps(value, separators=(",", ":"))
    parts = []
    for key, value in made.items():
        if key == "cells":
            value = "{\n" + ",\n".join(f"{line(k)}: {line(v)}" for k, v in value.items()) + "\n}"
        elif key == "steps":
            value = "[\n" + ",\n".join(map(line, value)) + "\n]"
        else:
            value = json.dumps(value)
        parts.append(f"{line(key)}: {value}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


class Stop:
    """Ctrl-C, SIGTERM or SIGHUP: the first lets the step that is under way be finished, the second ends at once."""

    def __init__(self):
        self.asked = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:      # as under nohup(1)
                signal.signal(number, self._ask)

    def _ask(self, _number, _frame):
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


def programs_of(options):
    """Where iomuxd, iomux-load and the floor are: as named, beside this program, or where they are installed."""
    beside = os.path.dirname(os.path.realpath(sys.argv[0]))
    places = [beside, *os.environ.get("PATH", "").split(os.pathsep), "/usr/local/sbin", "/usr/sbin", "/sbin"]

    def find(name, said, folders):
        if said:
            if not os.access(said, os.X_OK):
                raise Failure(f"{said} is not there, or cannot be run")
            return os.path.abspath(said)
        return next((os.path.join(f, name) for f in folders if f and os.access(os.path.join(f, name), os.X_OK)), None)

    made = {"iomuxd": find("iomuxd", options.iomuxd, places), "iomux-load": find("iomux-load", options.load, places),
            "floor": None if options.no_floor else find("iomux-floor", None, [beside, options.libexec])}
    for name in ("iomuxd", "iomux-load"):
        if not made[name]:
            raise Failure(f"{name} is missing: install it, or name it with --{'load' if name == 'iomux-load' else name}")
    return made
