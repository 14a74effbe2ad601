# SPDX-License-Identifier: BSD-2-Clause
"""A running iomuxd as the tests see it: a black box with a configuration, ports, a log and an exit status.

Knows the words that the daemon promises to say (listening, ready) and /proc; nothing of its inside."""

import contextlib
import json
import os
import random
import re
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path
from signal import SIGCONT, SIGINT, SIGKILL, SIGSTOP, SIGTERM

SOCKET_TIMEOUT = 30.0       # seconds: no answer on loopback takes so long, even under sanitizers
START_TIMEOUT = 30.0
STOP_TIMEOUT = 30.0
LOGGER = "iomuxd-logger"    # what the process that writes the logs calls itself
LOG_SHOWN = 6000            # characters of the log that a failure shows
NO_ANSWER = 4               # iomuxctl's exit status when the daemon has said nothing for 2 s
PORTS = iter(random.Random(os.getpid()).sample(range(15_000, 30_000), 10_000))

SANITIZER = re.compile(
    r"ERROR: AddressSanitizer|runtime error:|LeakSanitizer|ThreadSanitizer|MemorySanitizer|DEADLYSIGNAL")
ASSERTION = re.compile(r"Assertion .* failed|\*\*\* .* \*\*\*: terminated|free\(\): |malloc\(\): |corrupted ")
ERROR_LINE = re.compile(r"^(?:\S+Z error |<[0-3]>)")
LISTENING = re.compile(r"listening: (\S+) (\S+) \((\S+)\)")
READY = re.compile(r"\bready: pool (\S+), model (\S+), (\d+) workers?")

# What a supervisor or a shell may have put there and what would change where the daemon logs.
DROPPED_ENV = ("JOURNAL_STREAM", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
               "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR")


def wait_until(condition, timeout=20.0, what="the condition", pause=0.01):
    """Waits until condition() is true and returns what it returned; AssertionError when time is over."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what} did not come true in {timeout} s"
        time.sleep(pause)


def free_port():
    """A port that neither TCP nor UDP uses, outside of what the kernel gives away; never the same one twice."""
    for port in PORTS:
        with socket.socket() as t, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
            try:
                t.bind(("127.0.0.1", port))
                u.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")


def proc_tasks(pid):
    return [Path(f"/proc/{pid}/task/{t}") for t in os.listdir(f"/proc/{pid}/task")]


def task_state(task):
    """Its letter in /proc: R runs or waits for a CPU, S sleeps, D waits for a disk, T is stopped; X has ended."""
    try:
        stat = (task / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return "X"
    return stat[stat.rindex(")") + 2]


def stop_process(pid):
    """Returns when every thread of it stands still: the signal alone is only on its way, and a thread on another CPU may
    go on for a while."""
    os.kill(pid, SIGSTOP)
    wait_until(lambda: all(task_state(t) in "TXZ" for t in proc_tasks(pid)), what=f"process {pid} being stopped")


@contextlib.contextmanager
def stopped(pid):
    """Within the block the process sees nothing of what comes; behind it, all at once."""
    stop_process(pid)
    try:
        yield
    finally:
        os.kill(pid, SIGCONT)


def cpu_seconds(pid):
    """CPU time of a process with all its threads, also those that have ended.  Its clock has the number that
    clock_getcpuclockid(3) makes: ~PID << 3, and 2 for the scheduler's time."""
    return time.clock_gettime((~pid << 3) | 2)


def status_number(path, field):
    """A number in a status file of /proc."""
    return int(re.search(rf"^{field}:\s+(\d+)", Path(path).read_text(), re.M).group(1))


def wakeups(pid):
    """How often the threads of a process have gone to sleep by themselves; those that have ended are not in it."""
    total = 0
    for task in proc_tasks(pid):
        try:
            total += status_number(task / "status", "voluntary_ctxt_switches")
        except (FileNotFoundError, ProcessLookupError):
            pass
    return total


def rss_bytes(pid):
    return status_number(f"/proc/{pid}/status", "VmRSS") * 1024


def private_bytes(pid):
    """Memory that is the process's own."""
    return status_number(f"/proc/{pid}/status", "RssAnon") * 1024


def fd_count(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def take_descriptors(pid):
    """The process can open no more; returns the limits that it had."""
    used = {int(fd) for fd in os.listdir(f"/proc/{pid}/fd")}
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (next(n for n in range(len(used) + 1) if n not in used), limits[1]))
    return limits


def sanitized(binary):
    """Names the sanitizer that a binary was built with, or None."""
    content = Path(binary).read_bytes()
    words = {b"__tsan_init": "thread", b"__asan_init": "address", b"__ubsan_handle": "undefined"}
    for word, name in words.items():
        if word in content:
            return name
    return None


def parent_and_state(pid):
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None, "X"
    fields = stat[stat.rindex(")") + 2:].split()
    return int(fields[1]), fields[0]


def possible_children(pid):
    """The kernel's list where it keeps one, else every process.  The list may leave out a child when another one ends
    while it is read, so it must be the same twice."""
    path, before = Path(f"/proc/{pid}/task/{pid}/children"), None
    try:
        while (now := path.read_text().split()) != before:
            before = now
    except (FileNotFoundError, ProcessLookupError):
        now = [p for p in os.listdir("/proc") if p.isdigit()]
    return [int(p) for p in now]


def children(pid):
    found = []
    for child in possible_children(pid):
        parent, state = parent_and_state(child)
        if parent == pid and state not in "ZX":
            found.append(child)
    return sorted(found)


def title(pid):
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0")
        return words.replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def program_name(pid):
    """What the process calls itself, even where it has no title."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().rstrip("\n")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def told_manager(s):
    """What a daemon says next to the service manager that listens on this socket, beside which descriptors to keep."""
    while (said := s.recv(4096).decode()).startswith("FDSTORE"):
        pass
    return said


def group_text(name, values):
    """A libconfig group from a dict of numbers, or '' when it is empty."""
    if not values:
        return ""
    return name + " : { " + " ".join(f"{k} = {v};" for k, v in values.items()) + " };\n"


class Probe:
    """A conversation with the service of the test binary (tests/sandbox/probe.c), which is called "probe"."""

    def __init__(self, d):
        self.socket = d.connect("probe")
        self.answers = self.socket.makefile("r")

    def send(self, command):
        self.socket.sendall(command.encode() + b"\n")

    def ask(self, command):
        self.send(command)
        return self.answers.readline().rstrip("\n")


# Puts sockets where a service manager would have them, says so in the environment, and becomes the program.
HAND_OVER = """
import os, sys
fds, names, command = sys.argv[1].split(","), sys.argv[2], sys.argv[3:]
high = [os.dup2(int(fd), 200 + i) for i, fd in enumerate(fds)]
for i, fd in enumerate(high):
    os.dup2(fd, 3 + i)
os.closerange(3 + len(fds), 300)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)), LISTEN_FDNAMES=names)
os.execv(command[0], command)
"""


class Daemon:
    """One iomuxd in the foreground.  Made by the fixture `daemon`; see conftest.py for how to use it."""

    def __init__(self, binary, folder, config, options=(), env=None, nofile=None, cwd=None, arguments=None,
                 handed=()):
        self.binary = binary
        self.folder = Path(folder)
        self.config = self.folder / "iomuxd.conf"
        self.log_path = self.folder / "stderr.log"
        self.control = self.folder / "control.sock"
        self._sockets = []
        self._ports = {}
        self._allowed = []
        self._workers_at_start = []
        self._death_expected = False
        self._stopping = False
        self._checked_status = 0
        self._logger = None     # its pid, as it was last seen
        self.status = None
        if config is not None:
            self.config.write_text(config)
        environment = {k: v for k, v in os.environ.items() if k not in DROPPED_ENV}
        # Daemons of tests run beside each other: each has its control socket in its own folder, unless it says so.
        environment["RUNTIME_DIRECTORY"] = str(self.folder)
        environment.update(env or {})
        command = [str(binary)] + (list(arguments) if arguments is not None else ["-c", str(self.config)])
        command += list(options)
        if handed:
            fds, names = [s.fileno() for _, s in handed], [name for name, _ in handed]
            command = [sys.executable, "-c", HAND_OVER, ",".join(map(str, fds)), ":".join(names)] + command

        def limit():
            if nofile is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (nofile, nofile))

        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=environment, preexec_fn=limit, cwd=cwd or self.folder,
                                            pass_fds=[s.fileno() for _, s in handed])
        self.pid = self.process.pid

    # --- starting -------------------------------------------------------------------------------------------

    def wait_ready(self, timeout=START_TIMEOUT):
        self.wait_log(READY, timeout)
        self.learn_ports()
        self._workers_at_start = self.worker_pids()
        return self

    def learn_ports(self):
        for match in LISTENING.finditer(self.log()):
            service, address, _ = match.groups()
            self._ports.setdefault(service, []).append(address)

    def addresses(self, service):
        """All addresses of a service as logged: '127.0.0.1:40123', '[::]:8080', 'unix:/run/x.sock'."""
        return list(self._ports[service])

    def port(self, service=None):
        """The port of a service (its first address); without a name, of the only service."""
        if service is None:
            (service,) = self._ports
        return int(self._ports[service][0].rsplit(":", 1)[1])

    # --- talking --------------------------------------------------------------------------------------------

    def connect(self, service=None, timeout=SOCKET_TIMEOUT, rcvbuf=None, source=None):
        """A connected TCP socket with a timeout; it is closed at the end of the test."""
        s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._sockets.append(s)
        s.settimeout(timeout)
        if rcvbuf is not None:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source is not None:
            s.bind((source, 0))
        s.connect(("127.0.0.1", self.port(service)))
        return s

    def close_sockets(self):
        for s in self._sockets:
            s.close()
        self._sockets.clear()

    # --- control ------------------------------------------------------------------------------------------

    def ctl_program(self):
        return os.environ.get("IOMUXCTL") or str(Path(self.binary).parent / "iomuxctl")

    def ctl(self, *arguments, timeout=60.0, **more):
        """Runs iomuxctl; returns what came of it (returncode, stdout, stderr)."""
        return subprocess.run([self.ctl_program(), "-s", str(self.control), *map(str, arguments)], capture_output=True, text=True,
                              timeout=timeout, stdin=subprocess.DEVNULL, **more)

    def ask(self, *arguments):
        """The answer to a command as an object; the command must succeed.  On a machine that stands still for two seconds it
        is asked again: who asks for something that may be done only once uses ctl."""
        done = wait_until(lambda: r if (r := self.ctl("--json", *arguments)).returncode != NO_ANSWER else None, 60,
                          "an answer of the master")
        assert done.returncode == 0, (arguments, done)
        return json.loads(done.stdout)

    def tell_workers(self, times):
        """All workers are told something, as often as that."""
        for _ in range(times):
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(SOCKET_TIMEOUT)
                s.connect(str(self.control))
                s.sendall(b'{"command":"log-level","level":"info"}\n')
                while s.recv(4096):
                    pass

    def configure(self, text):
        """Writes another configuration, as an administrator does."""
        self.config.write_text(text)

    def reload(self):
        """Reloads and expects that it works; the workers are others then."""
        done = self.ctl("reload")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), (done, self.log()[-LOG_SHOWN:])
        self.expect_worker_death()

    # --- the log --------------------------------------------------------------------------------------------

    def log(self):
        """What was logged by now.  A line wakes the process that writes it, so when that sleeps everything is written."""
        deadline = time.monotonic() + 20
        while self._logger_state() in "RD" and time.monotonic() < deadline:
            time.sleep(0.001)
        return self.log_path.read_text(errors="replace")

    def _logger_state(self):
        if program_name(self._logger or 0) != LOGGER:
            self._logger = self.logger() if self.alive() else None
        return parent_and_state(self._logger)[1] if self._logger else "X"

    def wait_log(self, pattern, timeout=20.0):
        """Waits for a line that matches; returns the match."""
        pattern = re.compile(pattern, re.M) if isinstance(pattern, str) else pattern
        deadline = time.monotonic() + timeout
        while True:
            ended = self.process.poll() is not None
            match = pattern.search(self.log())
            if match:
                return match
            assert not ended, f"iomuxd ended with status {self.process.returncode} before it said " \
                              f"{pattern.pattern!r}:\n{self.log()[-LOG_SHOWN:]}"
            assert time.monotonic() < deadline, \
                f"no {pattern.pattern!r} in {timeout} s:\n{self.log()[-LOG_SHOWN:]}"
            time.sleep(0.01)

    def allow_log(self, pattern):
        """Error lines that match are expected in this test."""
        self._allowed.append(re.compile(pattern))

    # --- processes ------------------------------------------------------------------------------------------

    def alive(self):
        return self.process.poll() is None

    def logger(self):
        """The pid of the process that writes the logs; None: there is none just now."""
        return next((p for p in children(self.pid) if program_name(p) == LOGGER), None)

    def worker_pids(self):
        pids = [p for p in children(self.pid) if program_name(p) != LOGGER]
        titled = [p for p in pids if title(p).startswith("iomuxd: worker")]
        return titled or pids

    def worker(self):
        """The pid of the only worker."""
        (pid,) = self.worker_pids()
        return pid

    def expect_worker_death(self):
        """The test kills workers itself: the end of the test does not compare them."""
        self._death_expected = True

    def rss(self):
        return sum(rss_bytes(p) for p in self.worker_pids())

    def private(self):
        return sum(private_bytes(p) for p in self.worker_pids())

    def fds(self):
        return sum(fd_count(p) for p in self.worker_pids())

    def cpu(self):
        return sum(cpu_seconds(p) for p in self.worker_pids())

    def master_cpu(self):
        return cpu_seconds(self.pid)

    def wakeups(self):
        return sum(wakeups(p) for p in self.worker_pids())

    def quiet(self, seconds=0.1):
        """True when the workers have done next to nothing for a moment: all that can be done is done."""
        before = self.cpu()
        time.sleep(seconds)
        return self.cpu() - before < seconds / 20 and not any(
            task_state(task) in "RD" for pid in self.worker_pids() for task in proc_tasks(pid))

    def signal(self, number):
        if number in (SIGTERM, SIGINT):
            self.check_workers()
            self._stopping = True
        self.process.send_signal(number)

    def wait(self, timeout=STOP_TIMEOUT):
        """Waits for the end; returns the exit status (negative: a signal)."""
        try:
            self.status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"iomuxd has not ended in {timeout} s:\n{self.log()[-LOG_SHOWN:]}") from None
        return self.status

    def stop(self, signal=SIGTERM, timeout=STOP_TIMEOUT):
        """Sends the signal, waits for the end, returns the exit status."""
        self.signal(signal)
        return self.wait(timeout)

    def expect_status(self, status):
        """The exit status that the end of the test takes for right (0 unless said)."""
        self._checked_status = status

    # --- the end of a test ----------------------------------------------------------------------------------

    def check_workers(self):
        if self._death_expected or self._stopping or not self._workers_at_start or not self.alive():
            return
        now = self.worker_pids()
        assert now == self._workers_at_start, \
            f"workers {self._workers_at_start} became {now}:\n{self.log()[-LOG_SHOWN:]}"

    def check_log(self):
        log = self.log()
        for pattern in (SANITIZER, ASSERTION):
            match = pattern.search(log)
            assert not match, \
                f"{match.group(0)!r} in the log:\n{log[max(0, match.start() - 500):][:LOG_SHOWN]}"
        bad = [line for line in log.splitlines()
               if ERROR_LINE.match(line) and not any(p.search(line) for p in self._allowed)]
        assert not bad, "unexpected errors in the log:\n" + "\n".join(bad[:20])

    def kill(self):
        """Ends master and workers at once, by pid."""
        pids = children(self.pid) if self.alive() else []
        if self.alive():
            self.process.kill()
            self.process.wait()
        for pid in pids:
            try:
                os.kill(pid, SIGKILL)
            except ProcessLookupError:
                pass

    def finish(self):
        """What the fixture does after each test: end it and look at how it went."""
        self.close_sockets()
        try:
            if self.status is None and self.alive() and not self._stopping:
                self.stop()
            elif self.status is None:
                self.wait()
            assert self.status == self._checked_status, \
                f"iomuxd ended with status {self.status}:\n{self.log()[-LOG_SHOWN:]}"
            self.check_log()
        finally:
            self.kill()
