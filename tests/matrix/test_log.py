# SPDX-License-Identifier: BSD-2-Clause
"""The process that writes the logs: everything that was logged is in them, or counted; nobody waits for it; it may die,
and so may those who log."""

import contextlib
import mmap
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from client import Http
from harness import children, program_name, stop_process, title, wait_until
from sites import HELLO, RESPOND_HELLO, http_service

SITE = http_service(RESPOND_HELLO)
FORM = "$path"
SMALL = 'log : { buffer = "64k"; };\n'
PATIENCE = 10           # seconds: a request takes microseconds, on a machine that is busy a little longer


def access(path, form=FORM):
    return f'access_log : {{ target = "file:{path}"; format = "{form}"; }};\n'


def paths_in(*files):
    return [line for f in files if f.exists() for line in f.read_text().splitlines()]


def hammer(d, name, count, connections=4):
    """Requests with numbers; each must be answered at once.  The paths that were asked for."""
    asked, errors = [], []

    def one(first):
        try:
            web = Http(d.connect("web", timeout=PATIENCE))
            for i in range(first, count, connections):
                assert web.get(f"/hello?{name}-{i}").body == HELLO
                asked.append(f"{name}-{i}")
            web.close()
        except (AssertionError, OSError) as e:
            errors.append(e)

    threads = [threading.Thread(target=one, args=(i,)) for i in range(connections)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors
    return asked


def test_every_reply_has_its_line_in_the_order_of_its_connection(daemon, model, tmp_path):
    log = tmp_path / "access"
    d = daemon(SITE, workers=2, settings=access(log, "$port $query"))
    asked = hammer(d, "a", 800)
    lines = wait_until(lambda: len(got := paths_in(log)) >= len(asked) and got, what="all lines")
    assert sorted(line.split("?")[1] for line in lines) == sorted(asked)
    last = {}
    for line in lines:
        port, number = line.split(" ")[0], int(line.rsplit("-", 1)[1])
        assert number > last.get(port, -1), "the lines of a connection are in another order than its replies"
        last[port] = number


def test_who_writes_has_a_name_no_rights_and_ignores_the_signals_of_a_terminal(daemon, tmp_path, sanitizer):
    d = daemon(SITE, settings=access(tmp_path / "access"))
    logger = d.logger()
    assert title(logger).rstrip() in ("iomuxd: logger", title(d.pid))   # without titles all show the same
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGPIPE):
        os.kill(logger, number)
    hammer(d, "a", 8)
    wait_until(lambda: len(paths_in(tmp_path / "access")) == 8, what="its work after that")
    assert d.logger() == logger
    status = Path(f"/proc/{logger}/status").read_text()
    if os.getuid() == 0:
        assert re.search(r"^Uid:\t(?!0\b)", status, re.M)
    assert re.search(r"^CapEff:\t0+$", status, re.M)
    assert re.search(r"^NoNewPrivs:\t1$", status, re.M)
    if sanitizer is None:
        assert re.search(r"^Seccomp:\t2$", status, re.M) or "seccomp (" in d.log()
    assert len(sockets_of(logger)) == 1, "the logger has more than its channel"
    assert not sockets_of(logger) & set().union(*map(sockets_of, [d.pid, *d.worker_pids()]))


def catches(pid, number):
    mask = re.search(r"^SigCgt:\t(\w+)$", Path(f"/proc/{pid}/status").read_text(), re.M).group(1)
    return int(mask, 16) & 1 << number - 1


def sockets_of(pid):
    found = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):        # closed meanwhile
            found.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return {link for link in found if link.startswith("socket:")}


def test_the_logger_is_started_again_and_loses_nothing(daemon, model, tmp_path):
    log = tmp_path / "access"
    d = daemon(SITE, workers=2, settings=access(log, "$query"))
    d.allow_log(r"logger \(pid \d+\): died")
    asked = []
    for round_ in range(3):
        old = d.logger()
        stop_process(old)                       # what comes now is in the rings only
        asked += hammer(d, f"r{round_}", 100)
        os.kill(old, signal.SIGKILL)
        wait_until(lambda: d.logger() not in (None, old), what="another logger")
        asked += hammer(d, f"s{round_}", 100)
    wait_until(lambda: {f"?{a}" for a in asked} <= set(paths_in(log)), what="all lines")
    d.wait_log(r"error logger \(pid \d+\): died of signal 9; next try in 0\.\d s")
    assert d.stop() == 0
    assert "stopped: " in d.log()


def test_a_logger_that_crashes_says_where_in_the_log_each_time(daemon, plain_model, sanitizer, tmp_path):
    if sanitizer is not None:
        pytest.skip("a sanitizer has its own handlers")
    log = tmp_path / "iomuxd.log"
    d = daemon(SITE, settings=f'log : {{ target = "file:{log}"; }};\n', ready=False)
    wait_until(lambda: log.exists() and "ready: pool" in log.read_text(), what="a daemon that serves")
    for _ in range(3):
        old = d.logger()
        wait_until(lambda: catches(old, signal.SIGSEGV), what="a logger that has begun")
        assert log.samefile(f"/proc/{old}/fd/6")        # its errors: the last of the four that it keeps
        os.kill(old, signal.SIGSEGV)
        wait_until(lambda: d.logger() not in (None, old), what="another logger")
        wait_until(lambda: f"logger (pid {old}): died of signal 11" in log.read_text(), what="its end in the log")
        assert re.search(rf"logger \(pid {old}\): thread \d+: SIGSEGV, backtrace:", log.read_text())
    assert d.stop() == 0
    assert "stopped: " in log.read_text()


def test_nobody_can_keep_the_logger_from_looking(daemon, plain_model):
    """A worker that has fallen into the wrong hands says that the logger is awake, whenever that goes to sleep: nobody wakes
    it."""
    d = daemon(SITE)
    folder = Path(f"/proc/{d.pid}/fd")
    shared = next(fd for fd in folder.iterdir() if os.readlink(fd).startswith("/memfd:iomuxd-log"))
    with open(shared, "r+b") as file, mmap.mmap(file.fileno(), 4096) as bell:
        awake, asleep = bytes(4), (2).to_bytes(4, sys.byteorder)
        wait_until(lambda: bell[:4] == asleep, what="the logger being asleep")
        over = threading.Event()

        def hush():
            while not over.wait(0.0005):
                bell[:4] = awake

        liar = threading.Thread(target=hush)
        liar.start()
        try:
            for level in ("debug", "info"):
                assert d.ctl("log-level", level).returncode == 0
                wait_until(lambda level=level: f"log-level {level}" in d.log_path.read_text(), what="a line being written")
        finally:
            over.set()
            liar.join()


def test_a_stop_while_there_is_no_logger_loses_nothing(daemon, tmp_path):
    log = tmp_path / "access"
    d = daemon(SITE, settings=access(log, "$query"))
    d.allow_log(r"logger \(pid \d+\): died")
    logger = d.logger()
    stop_process(logger)
    asked = hammer(d, "a", 50)
    d.signal(signal.SIGTERM)
    os.kill(logger, signal.SIGKILL)
    assert d.wait() == 0
    assert {f"?{a}" for a in asked} <= set(paths_in(log))
    assert "stopped: " in d.log()


def test_what_a_worker_logged_outlives_it(daemon, model, tmp_path):
    log = tmp_path / "access"
    d = daemon(SITE, settings=access(log, "$query"))
    d.expect_worker_death()
    d.allow_log("died of signal 9")
    logger, worker = d.logger(), d.worker()
    stop_process(logger)
    asked = hammer(d, "a", 200)
    # a client may have its answer before the worker has written the line; a connection is counted as closed behind it
    wait_until(lambda: d.ask("status")["totals"]["closed"] == 4, what="the end of its work")
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: worker not in children(d.pid) and d.worker_pids(), what="another worker")
    asked += hammer(d, "b", 50)
    os.kill(logger, signal.SIGCONT)
    wait_until(lambda: sorted(paths_in(log)) == sorted(f"?{a}" for a in asked), what="a line for each reply")


def test_the_logger_outlives_a_master_that_is_killed(daemon, model, tmp_path):
    log = tmp_path / "access"
    d = daemon(SITE, settings=access(log, "$query"))
    web = Http(d.connect())
    logger, worker = d.logger(), d.worker()
    stop_process(logger)
    asked = hammer(d, "a", 100)
    d.expect_status(-signal.SIGKILL)
    os.kill(d.pid, signal.SIGKILL)
    d.wait()
    os.kill(logger, signal.SIGCONT)
    web.close()
    for pid in (worker, logger):
        wait_until(lambda pid=pid: not program_name(pid).startswith("iomuxd"), what="the end of all processes")
    assert sorted(paths_in(log)) == sorted(f"?{a}" for a in asked)
    assert "the master is gone: draining" in d.log()


def test_lines_of_a_generation_that_has_gone_are_written(daemon, plain_model, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    d = daemon(SITE, settings=access(first, "$query"))
    asked = hammer(d, "a", 100)
    d.configure(d.config.read_text().replace(str(first), str(second)))
    d.reload()
    more = hammer(d, "b", 100)
    wait_until(lambda: sorted(paths_in(first)) == sorted(f"?{a}" for a in asked), what="the lines of the old one")
    wait_until(lambda: sorted(paths_in(second)) == sorted(f"?{a}" for a in more), what="the lines of the new one")
    for _ in range(70):         # more than there is room for at once
        d.reload()
    assert d.logger() is not None
    hammer(d, "c", 10)
    wait_until(lambda: len(paths_in(second)) == 110, what="lines after many reloads")


@pytest.fixture
def pipe(tmp_path):
    """A FIFO with its reading end open, which reads nothing by itself."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    path.chmod(0o666)
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield path, fd
    os.close(fd)


def test_a_target_that_takes_nothing_slows_nobody_and_what_is_dropped_is_counted(daemon, model, pipe):
    path, fd = pipe
    d = daemon(SITE, settings=SMALL + access(path, "$query " + "x" * 200))
    d.allow_log("not-an-error")
    asked = len(hammer(d, "a", 2000))
    wait_until(lambda: d.ask("status")["log"]["access_dropped"] > 0, what="records that are dropped")
    d.ctl("log-level", "debug")
    wait_until(lambda: d.ask("status")["log_level"] == "debug", what="a master that answers")
    got = b""

    def more():
        nonlocal got
        try:
            while piece := os.read(fd, 1 << 16):
                got += piece
        except BlockingIOError:
            pass
        dropped = d.ask("status")["log"]["access_dropped"]
        return got.count(b"\n") + dropped == asked

    wait_until(more, what="each reply in the log or counted")
    assert all(re.fullmatch(rb"\?a-\d+ x+", line) for line in got.splitlines())
    match = d.wait_log(r"warn worker main\.0: (\d+) access log records were dropped")
    status = d.ask("status")
    assert status["totals"]["access_dropped"] == status["log"]["access_dropped"] >= int(match.group(1)) > 0
    assert status["workers"][0]["log_dropped"] == status["log"]["access_dropped"]
    assert re.search(r"^log .*dropped: 0 lines, \d+ access lines$", d.ctl("status").stdout, re.M)


def test_a_stop_does_not_wait_for_ever_for_a_target_that_takes_nothing(daemon, pipe):
    path, _ = pipe
    d = daemon(SITE, settings=SMALL + access(path, "$query " + "x" * 200))
    hammer(d, "a", 1000)
    assert d.stop(timeout=20) == 0
    assert "stopped: " in d.log()
    assert "what was left is lost" in d.log()


def test_a_file_that_cannot_be_written_is_told_of_once_and_tried_again(daemon, tmp_path):
    """/dev/full by another name, which then is a file."""
    link, log = tmp_path / "link", tmp_path / "access"
    link.symlink_to("/dev/full")
    d = daemon(SITE, settings=access(link, "$query"))
    d.allow_log("access log: cannot write")
    asked = hammer(d, "a", 50)
    d.wait_log("error access log: cannot write, lines wait until it works again: No space left on device")
    link.unlink()
    link.symlink_to(log)
    asked += hammer(d, "b", 50)
    assert d.ctl("reopen").returncode == 0
    wait_until(lambda: sorted(paths_in(log)) == sorted(f"?{a}" for a in asked), what="all lines")
    d.wait_log("notice access log: works again")
    assert len(re.findall("cannot write", d.log())) == 1
    assert d.ask("status")["log"]["access_dropped"] == 0


def test_reopen_is_done_when_it_returns(daemon, tmp_path):
    log, old = tmp_path / "access", tmp_path / "old"
    d = daemon(SITE, settings=access(log, "$query"))
    for i in range(5):
        hammer(d, f"r{i}", 20)
        log.rename(old)
        assert d.ctl("reopen").returncode == 0
        size = old.stat().st_size
        hammer(d, f"s{i}", 20)
        wait_until(lambda i=i: sum(p.startswith(f"?s{i}-") for p in paths_in(log)) == 20, what="lines in the new file")
        assert old.stat().st_size == size


def holders(d, path):
    """Names of the processes of the daemon that have this file open."""
    def has(pid):
        return any(os.path.realpath(f"/proc/{pid}/fd/{fd}") == str(path) for fd in os.listdir(f"/proc/{pid}/fd"))

    return [title(pid) for pid in [d.pid, d.logger(), *d.worker_pids()] if has(pid)]


def test_nobody_holds_a_file_that_was_renamed(daemon, model, tmp_path):
    """... whose space would be in use for as long as the daemon runs."""
    log, old = tmp_path / "access", tmp_path / "old"
    d = daemon(SITE, workers=2, settings=access(log))
    wait_until(lambda: len(holders(d, log)) == 2, what="the master and the logger to have it, and no worker")
    log.rename(old)
    d.signal(signal.SIGUSR1)
    wait_until(lambda: len(holders(d, log)) == 2, what="the new file in place of the old")
    wait_until(lambda: holders(d, old) == [], what="nobody holding the old one")


def scribble(pid, old, new):
    """Writes `new` over `old` in the shared memory of the process, as one could that has taken the process over."""
    for fd in os.listdir(f"/proc/{pid}/fd"):
        if "memfd:iomuxd-log" in os.readlink(f"/proc/{pid}/fd/{fd}"):
            with open(f"/proc/{pid}/fd/{fd}", "r+b") as shared:
                head = shared.read(1 << 20)
                for m in re.finditer(re.escape(old) + b"\0", head):
                    shared.seek(m.start())
                    shared.write(new)
                return


@pytest.mark.skipif(os.getuid() != 0, reason="a master without rights opens nothing that its logger could not")
def test_a_logger_cannot_make_its_master_open_a_file(daemon, plain_model, tmp_path):
    """The logger of a generation that has gone, or not, writes another name over that of a file, and dies."""
    log, other = tmp_path / "access", tmp_path / "victim"
    d = daemon(SITE, settings=access(log))
    d.allow_log(r"logger \(pid \d+\): died")
    for round_ in range(2):
        old = d.logger()
        scribble(old, bytes(log), bytes(other) + b"\0")
        os.kill(old, signal.SIGKILL)
        wait_until(lambda o=old: d.logger() not in (None, o), what="another logger")
        hammer(d, f"r{round_}", 4)
        wait_until(lambda n=4 * (round_ + 1): len(paths_in(log)) == n, what="its lines in the right file")
        d.reload()
    assert not other.exists()


# --- the journal: a socket in its place, in a mount namespace of the daemon's own -------------------------------------

NAMESPACE = """
mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal && mount --bind "$1" /run/systemd/journal && shift && exec "$@"
"""


@pytest.fixture
def journal(tmp_path, needs, iomuxd_bin):
    """A folder with a socket that is bound; the daemon finds it where the journal's is, when run by .binary."""
    needs("systemd")
    folder = tmp_path / "journal"
    folder.mkdir()
    script = tmp_path / "in-namespace"
    unshare = ["unshare", "--mount"] + ([] if os.getuid() == 0 else ["--map-root-user"])
    can = subprocess.run([*unshare, "sh", "-c", NAMESPACE, "sh", str(folder), "true"], check=False, capture_output=True,
                         timeout=60)
    if can.returncode != 0:
        pytest.skip("mount namespaces are not allowed here")
    script.write_text(f"#!/bin/sh\nexec {' '.join(unshare)} sh -c '{NAMESPACE}' sh '{folder}' '{iomuxd_bin}' \"$@\"\n")
    script.chmod(0o755)
    (tmp_path / "iomuxctl").symlink_to(Path(iomuxd_bin).parent / "iomuxctl")
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.bind(str(folder / "socket"))
    (folder / "socket").chmod(0o666)
    s.setblocking(False)
    yield Journal(s, script)
    s.close()


class Journal:
    def __init__(self, sock, binary):
        self.sock = sock
        self.binary = binary
        self.entries = []

    def read(self):
        try:
            while True:
                data = self.sock.recv(1 << 18).decode()
                self.entries.append(dict(line.split("=", 1) for line in data.splitlines()))
        except BlockingIOError:
            return self.entries

    def wait(self, **fields):
        def there():
            return next((e for e in self.read() if all(re.search(v, e.get(k, "")) for k, v in fields.items())), None)
        return wait_until(there, what=f"an entry with {fields}")


JOURNAL = 'log : { target = "journal"; %s };\naccess_log : { target = "journal"; format = "$method $target $status"; };\n'


def in_journal(daemon, journal, more=""):
    d = daemon(SITE, settings=JOURNAL % more, ready=False, binary=journal.binary)
    ready = journal.wait(IOMUXD_EVENT="^ready$")
    assert (ready["PRIORITY"], ready["SYSLOG_IDENTIFIER"]) == ("5", "iomuxd")
    listening = journal.wait(IOMUXD_EVENT="^listening$", IOMUXD_SERVICE="^web$")
    d._ports["web"] = [re.search(r"127\.0\.0\.1:\d+", listening["MESSAGE"]).group(0)]
    return d


def test_the_journal_gets_fields(daemon, journal, plain_model):
    d = in_journal(daemon, journal)
    web = Http(d.connect("web"))
    web.get("/hello?a=b")
    entry = journal.wait(IOMUXD_EVENT="^access$")
    assert entry["MESSAGE"] == "GET /hello?a=b 200"
    peer = web.sock.getsockname()
    wanted = {"PRIORITY": "6", "SYSLOG_IDENTIFIER": "iomuxd", "IOMUXD_SERVICE": "web", "IOMUXD_WORKER": "main.0",
              "IOMUXD_MODEL": plain_model, "IOMUXD_PEER": f"{peer[0]}:{peer[1]}", "IOMUXD_METHOD": "GET",
              "IOMUXD_TARGET": "/hello?a=b", "IOMUXD_STATUS": "200", "IOMUXD_BYTES": str(len(HELLO))}
    assert {k: entry.get(k) for k in wanted} == wanted
    assert 0 <= int(entry["IOMUXD_DURATION_US"]) < 60_000_000
    assert d.stop() == 0
    journal.wait(IOMUXD_EVENT="^stopped$")


def test_a_journal_that_stands_still_slows_nobody(daemon, journal):
    """Nobody reads the socket: its queue is full after a few entries."""
    d = in_journal(daemon, journal, 'buffer = "64k";')
    asked = len(hammer(d, "a", 2000))
    dropped = wait_until(lambda: d.ask("status")["log"]["access_dropped"], what="records that are dropped")
    assert 0 < dropped < asked

    def all_there():
        stored = sum(e.get("IOMUXD_EVENT") == "access" for e in journal.read())
        return stored + d.ask("status")["log"]["access_dropped"] == asked

    wait_until(all_there, what="each reply in the journal or counted")
    journal.wait(IOMUXD_EVENT="^log-dropped$", MESSAGE=r"^worker main\.0: \d+ access log records were dropped")
    assert d.stop() == 0
