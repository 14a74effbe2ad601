# SPDX-License-Identifier: BSD-2-Clause
"""The models themselves: which there are and can run, what is said of one that cannot, and that each waits in its own
way and in no other (looked at with strace)."""

import contextlib
import ctypes
import os
import platform
import re
import resource
import select
import shutil
import struct
import subprocess
import threading
import time
from pathlib import Path
from signal import SIGINT

import pytest

from client import Http, request
from conftest import listed_models
from harness import proc_tasks, stopped, wait_until
from models import MODELS
from sites import HELLO, RESPOND_HELLO, http_service, tiny_service

SITE = http_service(RESPOND_HELLO) + "," + tiny_service("echo")
AUTO = [name for name, m in MODELS.items() if m.auto]

CONNECTIONS = 64
REQUESTS = 4000             # of all together, under strace
CALLS = 2.1                 # system calls for a request, at most, on epoll
ATTEMPTS = 10               # a busy machine gives the worker less to do at a time

# Every call in which a process may wait for a socket or let time pass; threads that wait for each other are no concern.
WAITING = {"epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll", "select", "pselect6", "rt_sigtimedwait",
           "rt_sigsuspend", "pause", "io_uring_enter", "io_getevents", "io_pgetevents", "nanosleep",
           "clock_nanosleep"}

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
IO_URING_SETUP = 425        # the number is the same on all architectures of Debian
EPERM, ENOSYS = 1, 38
SYSCTL = Path("/proc/sys/kernel/io_uring_disabled")     # since Linux 6.6
CLONE_NEWNS, CLONE_NEWUSER, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 0x10000000, 0x1000, 0x4000, 0x40000
CAP_SYS_ADMIN = 21


# --- the list -----------------------------------------------------------------------------------------------------

def test_the_list_has_every_model_with_its_family(iomuxd_bin):
    assert [(name, family) for name, family, _, _ in listed_models(iomuxd_bin)] == \
        [(name, m.family) for name, m in MODELS.items()]


def test_the_list_names_limits_and_reasons(iomuxd_bin):
    for name, _, available, why in listed_models(iomuxd_bin):
        assert available or why, name
        if name == "sigio" and available:
            assert re.search(r"RLIMIT_SIGPENDING is -?\d+", why)
        if name == "aio" and available:
            assert re.search(r"at most \d+ connections", why)


def debian_12_with_a_kernel_that_has_it_all():
    version = Path("/etc/debian_version")
    match = re.match(r"(\d+)\.(\d+)", platform.release())
    return (version.exists() and version.read_text().startswith("12") and match is not None and
            (int(match[1]), int(match[2])) >= (6, 1))


@pytest.mark.skipif(not debian_12_with_a_kernel_that_has_it_all(), reason="not Debian 12 with Linux 6.1 or newer")
def test_where_every_model_can_run_none_is_missing(iomuxd_bin):
    """Models that a build leaves out on purpose, or a container forbids, are named in IOMUXD_WITHOUT."""
    missing = {name: why for name, _, available, why in listed_models(iomuxd_bin) if not available}
    assert set(missing) == set(os.environ.get("IOMUXD_WITHOUT", "").split()), missing


# --- auto ---------------------------------------------------------------------------------------------------------

def test_auto_takes_the_first_that_can_run_and_says_why(daemon, iomuxd_bin):
    models = {name: (available, why) for name, _, available, why in listed_models(iomuxd_bin)}
    chosen = next(name for name in AUTO if models[name][0])
    d = daemon(SITE, model="auto", workers=2)
    line = re.search(r'notice master: pool main: io_model "auto" takes (\S+?)(?:, (.*))?$', d.log(), re.M)
    assert line and line[1] == chosen, d.log()
    for name in AUTO[:AUTO.index(chosen)]:
        assert f"{name}: {models[name][1]}" in line[2]
    assert f"ready: pool main, model {chosen}, 2 workers" in d.log()
    assert Http(d.connect("web")).get("/hello").body == HELLO


# --- a named model is never replaced ------------------------------------------------------------------------------

def refuse_io_uring(error):
    """A seccomp filter, by hand: io_uring_setup ends with this error, everything else is as ever."""
    load, jump_equal, ret, allow, fail = 0x20, 0x15, 0x06, 0x7fff0000, 0x00050000
    program = b"".join(struct.pack("HBBI", *i) for i in (
        (load, 0, 0, 0), (jump_equal, 0, 1, IO_URING_SETUP), (ret, 0, 0, fail | error), (ret, 0, 0, allow)))
    code = ctypes.create_string_buffer(program, len(program))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)

    def prepare():
        if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header):
            raise OSError(ctypes.get_errno(), "no seccomp filter")

    prepare.keeps = (code, header)
    return prepare


def forbid_io_uring(folder, value):
    """What a process sees where kernel.io_uring_disabled has this value: io_uring_setup fails with EPERM, and the file
    says why.  The file is another one in a mount namespace of its own, so nobody else sees it; before Linux 6.6, which
    has no such file, its whole folder is."""
    mine = folder / "sysctl"
    mine.mkdir()
    (mine / SYSCTL.name).write_text(f"{value}\n")
    source, target = (mine / SYSCTL.name, SYSCTL) if SYSCTL.exists() else (mine, SYSCTL.parent)
    names = bytes(source), bytes(target)
    spaces = CLONE_NEWNS | (0 if os.geteuid() == 0 else CLONE_NEWUSER)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_void_p)
    refuse = refuse_io_uring(EPERM)

    def prepare():
        if (libc.unshare(spaces) or libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None) or
                libc.mount(*names, None, MS_BIND, None)):
            raise OSError(ctypes.get_errno(), "no mount namespace")
        refuse()

    try:
        subprocess.run(["true"], preexec_fn=prepare, check=True)
    except subprocess.SubprocessError:
        assert not may_mount(), "this process may make mount namespaces and mount, and could not"
        pytest.skip("no mount namespace can be made here, which another value of kernel.io_uring_disabled needs")
    return prepare


def may_mount():
    capabilities = re.search(r"^CapEff:\s+(\w+)", Path("/proc/self/status").read_text(), re.M)[1]
    return os.geteuid() == 0 and bool(int(capabilities, 16) >> CAP_SYS_ADMIN & 1)


def no_signals():
    resource.setrlimit(resource.RLIMIT_SIGPENDING, (0, resource.getrlimit(resource.RLIMIT_SIGPENDING)[1]))


# Each with the model that suffers, how a process comes to have it (given a folder), and what is said of it.
HANDICAPS = {
    "seccomp says EPERM": ("io_uring", lambda folder: refuse_io_uring(EPERM),
                           r"forbidden: io_uring_setup: Operation not permitted \(a seccomp filter\?\)|"
                           r"io_uring_disabled is \d"),
    "seccomp says ENOSYS": ("io_uring", lambda folder: refuse_io_uring(ENOSYS),
                            r"no io_uring, or a seccomp filter hides it"),
    "io_uring_disabled = 2": ("io_uring", lambda folder: forbid_io_uring(folder, 2),
                              r"forbidden: kernel\.io_uring_disabled is 2"),
    "io_uring_disabled = 1": ("io_uring", lambda folder: forbid_io_uring(folder, 1),
                              r"forbidden: kernel\.io_uring_disabled is 1"),
    "no signal may wait, sigio": ("sigio", lambda folder: no_signals, r"RLIMIT_SIGPENDING is 0"),
    "no signal may wait, aio": ("aio", lambda folder: no_signals, r"RLIMIT_SIGPENDING is 0"),
}


def need(binary, name):
    """Skips a test about one model where that cannot run."""
    reasons = {m: None if available else why for m, _, available, why in listed_models(binary)}
    if reasons.get(name, "there is no such model") is not None:
        pytest.skip(f"{name}: {reasons.get(name, 'there is no such model')}")


def run(binary, *arguments, prepare=None):
    return subprocess.run([str(binary), *map(str, arguments)], capture_output=True, text=True, timeout=60,
                          preexec_fn=prepare)


@pytest.mark.parametrize("handicap", HANDICAPS)
def test_a_model_that_cannot_run_fails_the_start_with_the_cause(iomuxd_bin, tmp_path, handicap):
    name, make, cause = HANDICAPS[handicap]
    need(iomuxd_bin, name)
    prepare = make(tmp_path)
    config = tmp_path / "c.conf"
    config.write_text(f'io_model = "{name}"; workers = 1;\nservices = ( {SITE} );\n')
    listed = run(iomuxd_bin, "--list-models", prepare=prepare)
    assert listed.returncode == 0
    assert re.search(rf"^{name} +\S+ +no +.*(?:{cause})", listed.stdout, re.M), listed.stdout
    for arguments in (["-c", config], ["-t", "-c", config]):
        done = run(iomuxd_bin, *arguments, prepare=prepare)
        assert done.returncode == 1
        assert re.search(rf"^{config}:1: io_model: .*(?:{cause})", done.stderr, re.M), done.stderr
        assert "ready:" not in done.stderr
    config.write_text(f'services = ( {SITE} );\npools = ( {{ name = "a"; io_model = "{name}"; }} );\n')
    done = run(iomuxd_bin, "-c", config, prepare=prepare)
    assert done.returncode == 1
    assert re.search(rf"^{config}:2: pools\.\[0\]\.io_model: .*(?:{cause})", done.stderr, re.M), done.stderr


def test_what_is_not_available_is_refused_as_the_list_says(iomuxd_bin, tmp_path):
    missing = [(name, why) for name, _, available, why in listed_models(iomuxd_bin) if not available]
    if not missing:
        pytest.skip("every model can run here")
    config = tmp_path / "c.conf"
    for name, why in missing:
        config.write_text(f'io_model = "{name}";\nservices = ( {SITE} );\n')
        done = run(iomuxd_bin, "-c", config)
        assert done.returncode == 1
        assert re.search(rf"^{config}:1: io_model: .*{re.escape(why)}", done.stderr, re.M), done.stderr


def test_other_models_do_not_mind(iomuxd_bin, others, tmp_path):
    """A filter against io_uring concerns nobody who does not ask for it."""
    config = tmp_path / "c.conf"
    config.write_text(f'io_model = "{others[0]}"; workers = 1;\nservices = ( {SITE} );\n')
    assert run(iomuxd_bin, "-t", "-c", config, prepare=refuse_io_uring(EPERM)).returncode == 0


# --- how they wait ------------------------------------------------------------------------------------------------

class Trace:
    """strace on a worker and its threads, counting system calls from the moment that it is attached."""

    def __init__(self, pid, folder):
        self.summary = folder / "calls"
        self.messages = folder / "strace"
        with open(self.messages, "w") as out:
            self.process = subprocess.Popen(["strace", "-f", "-c", "-o", self.summary, "-p", str(pid)],
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        wait_until(self.attached, 30, "strace being attached")

    def attached(self):
        said = self.messages.read_text()
        if self.process.poll() is not None and "attach" in said:
            pytest.skip(f"strace may not look: {said.strip()}")
        assert self.process.poll() is None, said
        return "attached" in said

    def end(self):
        """{name: (calls, errors)}"""
        self.process.send_signal(SIGINT)
        self.process.wait(60)
        counted = {}
        for line in self.summary.read_text().splitlines():
            fields = line.split()
            if len(fields) in (5, 6) and re.fullmatch(r"\d+\.\d+", fields[0]) and fields[-1] != "total":
                counted[fields[-1]] = (int(fields[3]), int(fields[4]) if len(fields) == 6 else 0)
        assert counted, "strace counted nothing"
        return counted


@pytest.fixture
def trace(tmp_path, sanitizer):
    if shutil.which("strace") is None:
        pytest.skip("strace is missing (Debian package strace)")
    if sanitizer is not None:
        pytest.skip("a sanitizer makes calls of its own")
    made = []

    def start(pid):
        folder = tmp_path / f"trace{len(made)}"
        folder.mkdir()
        made.append(Trace(pid, folder))
        return made[-1]

    yield start
    for t in made:
        if t.process.poll() is None:
            t.process.kill()
            t.process.wait()


def ask_all_the_time(clients, requests):
    """Each client asks again as soon as it has its answer; returns how many answers there were."""
    poller, by_fd, answers = select.poll(), {}, 0
    data = request("/hello")
    for web in clients:
        by_fd[web.sock.fileno()] = web
        poller.register(web.sock, select.POLLIN)
        web.send(data)
    size = None
    while answers < requests:
        ready = poller.poll(30_000)
        assert ready, "no answer for 30 s"
        for fd, _ in ready:
            got = by_fd[fd].sock.recv(65536)
            assert got.endswith(HELLO), got     # small: it comes in one piece
            size = size or len(got)
            assert len(got) == size
            answers += 1
            by_fd[fd].send(data)
    for web in clients:         # one answer each is on its way
        assert web.read().body == HELLO
    return answers + len(clients)


@pytest.fixture
def busy(trace):
    """Counts the system calls of a worker that serves keep-alive connections; returns (requests, calls)."""
    def measure(d, clients, requests):
        t = trace(d.worker())
        answers = ask_all_the_time(clients, requests)
        return answers, t.end()

    return measure


def visitors(d):
    clients = [Http(d.connect("web")) for _ in range(CONNECTIONS)]
    for web in clients:
        assert web.get("/hello").body == HELLO
    return clients


def test_each_model_waits_in_its_own_way_only(daemon, busy, model):
    d = daemon(SITE, settings="watchdog = 0;")      # the master's questions are read in another way
    answers, calls = busy(d, visitors(d), REQUESTS // 2)
    waits = {name for name in calls if name in WAITING}
    assert waits <= MODELS[model].waits_in, calls
    assert waits or model in ("nonblocking", "blocking"), f"it never waited: {calls}"
    if model == "blocking":
        received, failed = calls["recvfrom"]
        # a call that waits while the tracer comes fails once and is begun again, or is not seen at all
        assert received >= answers - CONNECTIONS and failed <= CONNECTIONS, "a thread asked in vain instead of waiting"
    elif model == "aio":
        assert calls["read"][0] >= answers and "recvfrom" not in calls, "the library reads"
    elif model == "io_uring":
        assert not {"recvfrom", "sendto", "recvmsg", "sendmsg", "read", "write", "accept4"} & set(calls)
        assert calls["io_uring_enter"][0] < answers, "one call for many"
    elif model == "nonblocking":
        crowd = visitors(d)     # of whom one alone asks
        _, calls = busy(d, crowd[:1], 20)
        assert calls["recvfrom"][1] > 0, "trying in vain is its nature"


@pytest.mark.parametrize("name", ["blocking", "aio"])
def test_a_model_that_waits_in_threads_has_one_for_each_connection(daemon, iomuxd_bin, name):
    need(iomuxd_bin, name)
    d = daemon(SITE, model=name)
    before = len(proc_tasks(d.worker()))
    clients = visitors(d)
    assert len(proc_tasks(d.worker())) >= before + CONNECTIONS
    for web in clients:
        web.close()
    wait_until(lambda: len(proc_tasks(d.worker())) <= before + 2, what="the threads being gone")


def set_limit(pid, name, most):
    """A process may set the limits of another only as the same user, if it may not do so anyway."""
    ids = {name: int(first) for name, first in re.findall(r"^([UG]id):\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.M)}
    who = {"user": ids["Uid"], "group": ids["Gid"], "extra_groups": []} if os.getuid() == 0 else {}
    subprocess.run(["prlimit", f"--pid={pid}", f"--{name}={most}:"], check=True, timeout=60, **who)


@contextlib.contextmanager
def limited(pid, name, most):
    before = resource.prlimit(0, getattr(resource, f"RLIMIT_{name.upper()}"))[0]
    set_limit(pid, name, most)
    try:
        yield
    finally:
        set_limit(pid, name, "unlimited" if before == resource.RLIM_INFINITY else before)


def no_more_threads(pid):
    """Within the block the process can make none.  Root would not care, but there a worker is somebody else."""
    return limited(pid, "nproc", 0)


def no_more_descriptors(pid):
    taken = {int(fd) for fd in os.listdir(f"/proc/{pid}/fd")}
    return limited(pid, "nofile", next(fd for fd in range(len(taken) + 1) if fd not in taken))


def asked_anew(d):
    web = Http(d.connect("web"))
    web.send(request("/hello"))
    return web


def test_a_connection_for_which_there_is_no_thread_is_told_so(daemon, iomuxd_bin):
    need(iomuxd_bin, "blocking")
    d, rounds = daemon(SITE, model="blocking"), 6
    d.allow_log("no thread for a connection")
    there = Http(d.connect("web"))
    assert there.get("/hello").body == HELLO
    for _ in range(rounds):
        with no_more_threads(d.worker()):
            assert asked_anew(d).read().status == 503
            assert there.get("/hello").body == HELLO, "who is there is served on"
        assert asked_anew(d).read().body == HELLO
    assert 1 <= d.log().count("no thread for a connection") < rounds, "the same news again and again"


def test_connections_wait_while_there_are_no_threads_for_them(daemon, iomuxd_bin):
    need(iomuxd_bin, "blocking")
    d = daemon(SITE, model="blocking")
    d.allow_log("no thread for a connection")
    begin = time.monotonic()
    with no_more_threads(d.worker()):
        clients = [asked_anew(d) for _ in range(60)]
        wait_until(lambda: select.select([web.sock for web in clients], [], [], 0)[0], what="somebody being refused")
    tries = (time.monotonic() - begin) / 0.1 + 2        # one in a tenth of a second
    statuses = [web.read().status for web in clients]
    assert set(statuses) <= {200, 503} and 1 <= statuses.count(503) <= tries, (tries, statuses)


def test_connections_are_passed_on_only_while_there_are_threads_for_them(daemon, iomuxd_bin):
    need(iomuxd_bin, "blocking")
    d = daemon(SITE, model="blocking", settings="watchdog = 0;\n")
    d.allow_log("no thread for a connection")
    clients = [Http(d.connect("web")) for _ in range(60)]
    for web in clients:
        assert web.get("/hello").body == HELLO
    with contextlib.ExitStack() as stack:
        old = d.worker()
        stack.enter_context(stopped(old))
        d.reload()
        heir = wait_until(lambda: [w["pid"] for w in d.ask("status")["workers"] if w["state"] == "ready"], what="an heir")[0]
        with no_more_threads(heir):
            begin = time.monotonic()
            stack.close()
            wait_until(lambda: "no thread for a connection" in d.log(), what="a passed connection without a thread")
            wait_until(lambda: select.select([web.sock for web in clients], [], [], 0)[0], what="it being told so")
        tries = (time.monotonic() - begin) / 0.1 + 2        # one in a tenth of a second
        statuses = [web.get("/hello").status for web in clients]
    assert set(statuses) <= {200, 503} and 1 <= statuses.count(503) <= tries, (tries, statuses)


def test_aio_without_threads_rests_and_says_so(daemon, iomuxd_bin):
    need(iomuxd_bin, "aio")
    d = daemon(SITE, model="aio", timeouts={"header": 120})
    d.allow_log("the model aio cannot start operations")
    with no_more_threads(d.worker()):
        late = [asked_anew(d) for _ in range(3)]
        d.wait_log("the model aio cannot start operations")
        busy = d.cpu()
        time.sleep(1.0)         # the span over which the CPU time is measured
        assert d.cpu() - busy < 0.3, "the worker spins without threads"
    for web in late:
        assert web.read().body == HELLO


def test_aio_lets_in_nobody_for_whom_there_is_no_thread(daemon, iomuxd_bin, sanitizer):
    """The library makes whoever has no thread wait for those who have, and one of them may be idle for ever."""
    need(iomuxd_bin, "aio")
    if sanitizer == "thread":
        pytest.skip("what stands in for the library keeps no threads: each request makes one")
    d = daemon(SITE, model="aio", timeouts={"header": 120, "idle": 120})
    d.allow_log("the model aio cannot start operations")
    there = [Http(d.connect("web")) for _ in range(3)]
    for web in there:
        assert web.get("/hello").body == HELLO
    with no_more_threads(d.worker()):
        time.sleep(0.2)         # the span for which the worker believes what it has seen of threads
        late = [asked_anew(d) for _ in range(20)]
        d.wait_log("the model aio cannot start operations")
        for _ in range(5):
            for web in there:
                assert web.get("/hello").body == HELLO, "who is there is served on"
    for web in late + there:
        assert (web.read() if web in late else web.get("/hello")).body == HELLO
    assert d.log().count("the model aio cannot start operations") < 20


def test_aio_without_a_descriptor_for_an_answer_waits_for_one(daemon, iomuxd_bin):
    need(iomuxd_bin, "aio")
    d = daemon(SITE, model="aio")
    d.allow_log("the model aio cannot start operations.*Too many open files|accept on .*Too many open files")
    web = Http(d.connect("web"))
    web.send(request("/hello")[:-2])
    wait_until(lambda: d.ask("status")["connections"] == 1, what="half a request being there")
    with no_more_descriptors(d.worker()):
        web.send(request("/hello")[-2:])
        d.wait_log("the model aio cannot start operations.*Too many open files")
    assert web.read().body == HELLO


def test_polling_pauses_only_where_it_is_told_to(daemon, busy):
    d = daemon(SITE, model="nonblocking", settings="poll_interval = 0.005;\n")
    _, calls = busy(d, visitors(d), REQUESTS // 4)
    assert {name for name in calls if name in WAITING} in ({"clock_nanosleep"}, {"nanosleep"}), calls


def test_polling_takes_a_processor_unless_it_pauses(daemon, sanitizer):
    restless = daemon(SITE, model="nonblocking")
    resting = daemon(SITE, model="nonblocking", settings="poll_interval = 0.1;\n")
    for d in (restless, resting):
        assert Http(d.connect("web")).get("/hello").body == HELLO
    begin = time.monotonic()
    before = restless.cpu(), resting.cpu(), resting.wakeups()
    time.sleep(1.0)             # the span over which is measured
    used, woken = resting.cpu() - before[1], resting.wakeups() - before[2]
    seconds = time.monotonic() - begin
    assert used < 0.05
    assert woken <= 10 * seconds + 5 or sanitizer == "thread"     # whose own thread wakes
    wait_until(lambda: restless.cpu() - before[0] > 0.1, what="the use of a processor")


def test_epoll_makes_two_calls_for_a_request(daemon, busy, iomuxd_bin):
    need(iomuxd_bin, "epoll")
    d = daemon(SITE, model="epoll", settings="watchdog = 0;")     # which asks now and then
    clients, seen = visitors(d), []
    for _ in range(ATTEMPTS):
        answers, calls = busy(d, clients, REQUESTS)
        # a worker that is busy says ten times in a second what it has used
        assert set(calls) <= {"recvfrom", "sendto", "getrusage"} | MODELS["epoll"].waits_in, calls
        seen.append(sum(n for n, _ in calls.values()) / answers)
        if seen[-1] <= CALLS:
            break
    print(f"system calls for a request: {', '.join(f'{x:.3f}' for x in seen)}")
    assert min(seen) <= CALLS, f"system calls for a request: {seen}"


def test_connections_that_come_and_go_leave_the_way_of_waiting_as_it_is(daemon, trace, model):
    d = daemon(SITE)
    t = trace(d.worker())
    failures = []

    def come_and_go():
        try:
            for _ in range(20):
                web = Http(d.connect("web"))
                assert web.get("/hello").body == HELLO
                web.close()
                s = d.connect("echo")
                s.sendall(b"x")
                assert s.recv(1) == b"x"
                s.close()
        except Exception as e:      # a thread has no other way to fail its test
            failures.append(repr(e))

    threads = [threading.Thread(target=come_and_go) for _ in range(4)]
    for th in threads:
        th.start()
    for th in threads:
        th.join()
    calls = t.end()
    assert not failures
    assert {name for name in calls if name in WAITING} <= MODELS[model].waits_in, calls
