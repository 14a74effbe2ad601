# SPDX-License-Identifier: BSD-2-Clause
"""Server processes in the foreground: started, waited for, stopped, and never left behind.

Knows nothing of what they serve."""
import contextlib
import ctypes
import os
import signal
import subprocess
import time

from iomux_bench import meter

START_S = 20            # a server that has not come up by then never will
STOP_S = 10             # asked to end; killed after that
PR_SET_PDEATHSIG = 1


class Failure(Exception):
    """Something that ends the whole run; its text is for the user."""


def wait_until(what, seconds, ask):
    """Asks until the answer is true, and returns it."""
    deadline = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise Failure(f"{what}: nothing after {seconds} s")
        time.sleep(0.01)


def tied(cpus):
    """For preexec_fn: the process runs on these CPUs, and ends with us whatever happens."""
    libc = ctypes.CDLL(None, use_errno=True)

    def prepare():
        os.sched_setaffinity(0, cpus)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)

    return prepare


class Running:
    """A server process in the foreground, pinned to a CPU, that ends with us."""

    def __init__(self, name, argv, cpu, folder):
        self.name = name
        self.port = 0
        self.pids = []
        self._log = os.path.join(folder, "log")
        environment = {k: v for k, v in os.environ.items() if k not in ("JOURNAL_STREAM", "NOTIFY_SOCKET")}
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                             cwd=folder, env=environment, start_new_session=True,
                                             preexec_fn=tied({cpu}))

    @property
    def pid(self):
        return self._process.pid

    def log(self):
        with open(self._log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def look_again(self):
        """Learns which processes it has by now."""
        self.pids = meter.tree(self.pid)

    def wait_ready(self, ask):
        """Waits until ask(log) says a port, or the server gives up."""
        def look():
            gone = self._process.poll() is not None
            port = ask(self.log())
            if gone:
                raise Failure(f"{self.name} did not start:\n{self.log().strip() or '(it said nothing)'}")
            return port
        self.port = wait_until(f"start of {self.name}", START_S, look)
        self.look_again()

    def stop(self, times=1):
        """Asks it to end, so often; what is left of its processes after a while is killed."""
        processes = {pid: meter.started(pid) for pid in meter.tree(self.pid)}

        def left():
            self._process.poll()
            return [pid for pid, start in processes.items() if start is not None
                    and meter.started(pid) == start]

        try:
            for more in range(times, 0, -1):
                self._process.terminate()
                if more > 1:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        self._process.wait(0.05)
            wait_until(f"end of {self.name}", STOP_S, lambda: not left())
        except Failure:
            for pid in left():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._process.wait()
