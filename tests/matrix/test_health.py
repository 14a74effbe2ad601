# SPDX-License-Identifier: BSD-2-Clause
"""Workers that make no progress are replaced alone, and who fails leaves a backtrace."""

import os
import re
import socket
import struct
import subprocess
import threading
import time
from datetime import datetime
from signal import SIGABRT, SIGCONT, SIGSEGV, SIGTERM

import pytest

from client import Http
from harness import Probe, stop_process, stopped, wait_until
from sites import HELLO, RESPOND_HELLO, http_service, tiny_service

SO_TIMESTAMP = 29       # not in Python's socket
WATCHDOG = 1            # seconds: the shortest there is
PROBE = tiny_service("discard", name="probe")
WATCHED = f"watchdog = {WATCHDOG};\n"


def frames(log, pid):
    """The offsets in the program that a backtrace of this process names."""
    return [int(m.group(1), 16) for m in re.finditer(rf"\(pid {pid}\):   #\d+ iomuxd-probe\+0x([0-9a-f]+)$", log, re.M)]


def functions(binary):
    """[(start, end, name)] of a program's functions."""
    out = subprocess.run(["nm", "-S", "--defined-only", str(binary)], capture_output=True, text=True, timeout=60, check=True)
    rows = [line.split() for line in out.stdout.splitlines()]
    return [(int(r[0], 16), int(r[0], 16) + int(r[1], 16), r[3]) for r in rows if len(r) == 4 and r[2] in "tT"]


def names(binary, offsets):
    table = functions(binary)
    return [name for at in offsets for start, end, name in table if start <= at < end]


def log_time(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def replaced(d, before):
    """Waits until the place of a worker is filled again; the pids then."""
    def filled():
        now = d.worker_pids()
        new = set(now) - set(before)
        return now if len(now) == len(before) and new and all(f"(pid {p}): ready" in d.log() for p in new) else None

    return wait_until(filled, what="a new worker")


# --- stuck ----------------------------------------------------------------------------------------------------

def test_a_worker_that_was_stopped_is_replaced_and_the_others_go_on(daemon, probe_bin, model):
    d = daemon(PROBE, settings=WATCHED, workers=2, binary=probe_bin)
    d.expect_worker_death()
    d.allow_log(r"stuck: |died of signal 9")
    before = d.worker_pids()
    talks = [Probe(d) for _ in range(20)]
    pids = [int(talk.ask("pid")) for talk in talks]
    assert set(pids) <= set(before)
    victim = pids[0]
    others = [talk for talk, pid in zip(talks, pids) if pid != victim]
    began = time.monotonic()
    stop_process(victim)
    while not re.search(r"stuck: ", d.log()):
        for talk in others:
            assert int(talk.ask("pid")) != victim
        assert time.monotonic() - began < 30, "nobody has noticed"
        time.sleep(0.02)
    match = d.wait_log(rf"error worker main\.\d \(pid {victim}\): stuck: its loop has made no turn for ([0-9.]+) s, "
                       r"since it was stopped by a signal; killing it")
    assert float(match.group(1)) >= WATCHDOG
    after = replaced(d, before)
    assert len(set(after) & set(before)) == 1
    for talk in others:
        assert int(talk.ask("pid")) in before, "a connection of another worker was lost"


def test_a_worker_that_did_not_read_for_a_while_is_asked_again(daemon, plain_model):
    """The question may have come when there was no place for it."""
    watchdog = 4
    d = daemon(tiny_service("echo"), settings=f"watchdog = {watchdog};\n")
    worker = d.worker()
    for _ in range(3):          # on a machine that stands still it is stopped for too long
        began = time.monotonic()
        with stopped(worker):
            d.tell_workers(400)
            time.sleep(watchdog / 4 + 0.2)
        if time.monotonic() - began < watchdog / 2:
            break
    else:
        pytest.skip("the machine is too slow")
    time.sleep(watchdog * 1.25)
    assert d.worker_pids() == [worker]
    assert "stuck" not in d.log() and "cannot be told" not in d.log()


def test_no_worker_can_make_the_master_end_another(daemon, probe_bin, plain_model):
    """It writes where the answers of the others are."""
    d = daemon(PROBE, settings="watchdog = 2;\n", workers=2, binary=probe_bin)
    before = d.worker_pids()
    first = d.wait_log(r"worker main\.0 \(pid (\d+)\): ready").group(1)
    liar = next(talk for talk in iter(lambda: Probe(d), None) if talk.ask("pid") == first)
    end = time.monotonic() + 5
    while time.monotonic() < end:
        liar.ask("forge 1")
        time.sleep(0.002)
    assert d.worker_pids() == before
    assert "stuck" not in d.log()


def test_a_worker_that_spins_is_replaced_and_the_log_says_where(daemon, probe_bin, model, family):
    if family == "blocking":
        pytest.skip("a connection that spins has a thread of its own, and hinders nobody")
    d = daemon(PROBE, settings=WATCHED, binary=probe_bin)
    d.expect_worker_death()
    d.allow_log(r"stuck: |died of signal 6|backtrace:|:   #\d")
    before = d.worker_pids()
    Probe(d).send("spin")
    d.wait_log(r"stuck: its loop has made no turn for .* s; it is to say where, and to end")
    d.wait_log(rf"\(pid {before[0]}\): died of signal 6")
    assert "probe_spin" in names(probe_bin, frames(d.log(), before[0])), d.log()
    replaced(d, before)
    assert int(Probe(d).ask("pid")) not in before


def test_all_threads_say_where_they_are(daemon, probe_bin, model, family, sanitizer):
    if family != "blocking":
        pytest.skip("has no threads that run handlers")
    d = daemon(PROBE, binary=probe_bin)
    d.expect_worker_death()
    d.allow_log(r"died of signal|backtrace:|:   #\d")
    before = d.worker_pids()
    Probe(d).send("hang")
    d.wait_log("probe: hangs")
    assert int(Probe(d).ask("pid")) == before[0], "others are served beside a connection that hangs"
    os.kill(before[0], SIGABRT)
    d.wait_log(rf"\(pid {before[0]}\): died of signal 6")
    said = names(probe_bin, frames(d.log(), before[0]))
    assert "blocking_run" in said and "probe_hang" in said, d.log()
    if sanitizer != "thread":           # which holds signals back
        assert d.log().count("backtrace:") == 3, "the main thread and two of connections"
    replaced(d, before)


def test_a_connection_that_spins_in_its_thread_hinders_nobody(daemon, probe_bin, model, family):
    if family != "blocking":
        pytest.skip("is about threads of connections")
    d = daemon(PROBE, settings=WATCHED, timeouts={"drain": 1}, binary=probe_bin)
    d.allow_log("died of signal 9")     # at the end: it does not drain
    before = d.worker_pids()
    Probe(d).send("spin")
    began = time.monotonic()
    while time.monotonic() - began < 3 * WATCHDOG:      # the span over which nothing may happen
        assert int(Probe(d).ask("pid")) == before[0]
        time.sleep(0.05)
    assert "stuck" not in d.log()


def test_idle_workers_are_left_alone(daemon, model):
    d = daemon(http_service(RESPOND_HELLO), settings=WATCHED, workers=2)
    before = d.worker_pids()
    time.sleep(3 * WATCHDOG)            # the span over which nothing may happen
    assert d.worker_pids() == before and "stuck" not in d.log()


def test_workers_that_drain_for_long_are_left_alone(daemon, model):
    """An old generation is not stuck: it finishes what it has."""
    d = daemon(http_service(RESPOND_HELLO), settings=WATCHED, timeouts={"drain": 30})
    web = Http(d.connect())
    web.send(b"GET /hello HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbo")    # a body is on its way: it stays
    (old,) = d.worker_pids()
    wait_until(lambda: d.ask("status")["connections"] == 1, what="the connection being accepted")
    d.reload()
    began = time.monotonic()
    while time.monotonic() - began < 3 * WATCHDOG:      # the span over which nothing may happen
        assert old in d.worker_pids()
        time.sleep(0.1)
    web.send(b"dy")
    assert web.read().body == HELLO
    wait_until(lambda: old not in d.worker_pids(), what="the end of the old worker")
    assert "stuck" not in d.log()


def test_a_reload_brings_another_watchdog(daemon, plain_model):
    d = daemon(http_service(RESPOND_HELLO), settings="watchdog = 0;")
    d.configure(d.config.read_text().replace("watchdog = 0", "watchdog = 1"))
    d.reload()
    d.expect_worker_death()
    d.allow_log(r"stuck: |died of signal 9")
    wait_until(lambda: len(d.worker_pids()) == 1, what="the end of the old worker")
    before = d.worker_pids()
    stop_process(before[0])
    d.wait_log("stuck: ")
    replaced(d, before)
    assert Http(d.connect()).get("/hello").body == HELLO


def test_who_was_stopped_with_its_master_gets_time_to_answer(daemon, plain_model):
    d = daemon(http_service(RESPOND_HELLO), settings=WATCHED, workers=2)
    before = d.worker_pids()
    for pid in [d.pid] + before:
        stop_process(pid)
    time.sleep(3 * WATCHDOG)            # as if the machine had slept
    for pid in before + [d.pid]:
        os.kill(pid, SIGCONT)
    for _ in range(20):
        assert Http(d.connect()).get("/hello").body == HELLO
        time.sleep(WATCHDOG / 10)
    assert d.worker_pids() == before and "stuck" not in d.log()


def test_without_a_watchdog_nobody_is_ended(daemon, plain_model):
    d = daemon(http_service(RESPOND_HELLO), settings="watchdog = 0;")
    (worker,) = d.worker_pids()
    stop_process(worker)
    time.sleep(2)                       # the span over which nothing may happen
    os.kill(worker, SIGCONT)
    assert Http(d.connect()).get("/hello").body == HELLO
    assert d.worker_pids() == [worker] and "stuck" not in d.log()


# --- the service manager --------------------------------------------------------------------------------------

@pytest.fixture
def manager(tmp_path):
    """Hears what a service says to its manager."""
    m = Manager(tmp_path / "notify")
    yield m
    m.end()


class Manager:
    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMP, 1)
        path.chmod(0o777)
        self.pings = []
        self.thread = threading.Thread(target=self.listen)
        self.thread.start()

    def listen(self):
        while True:
            said, more, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(16))
            if said == b"end":
                break
            if b"WATCHDOG=1" in said.split(b"\n"):
                seconds, us = struct.unpack("ll", more[0][2])       # when it was sent
                self.pings.append(seconds + us / 1e6)

    def after(self, when):
        return [p for p in self.pings if p > when]

    def end(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(b"end", str(self.path))
        self.thread.join()
        self.socket.close()


def test_nobody_vouches_for_a_worker_that_stands_still(daemon, manager, needs, plain_model):
    """Asked for a word each 0.2 s, the master is silent from 1 s after a worker stopped until that is replaced."""
    needs("systemd")
    d = daemon(http_service(RESPOND_HELLO), settings="watchdog = 2;", workers=2,
               env={"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "400000"})
    d.expect_worker_death()
    d.allow_log(r"stuck: |died of signal 9")
    d.wait_log(r"warn master: the service manager waits 0\.4 s for a sign of life")
    wait_until(lambda: len(manager.pings) >= 3, what="three signs of life")
    before = d.worker_pids()
    stop_process(before[0])
    noticed = log_time(d.wait_log(r"^(\S+) error worker .*: stuck: ").group(1))
    assert noticed - max(p for p in manager.pings if p < noticed) > 0.6, "it vouched for a worker that stood still"
    replaced(d, before)
    again = time.time()
    wait_until(lambda: len(manager.after(again)) >= 3, what="signs of life again")


def test_nobody_vouches_for_an_old_worker_that_stands_still_during_a_reload(daemon, manager, needs, plain_model):
    needs("systemd")
    d = daemon(http_service(RESPOND_HELLO), settings="watchdog = 2;",
               env={"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "400000"})
    d.expect_worker_death()
    d.allow_log(r"stuck: |died of signal 9")
    wait_until(lambda: len(manager.pings) >= 3, what="three signs of life")
    (old,) = d.worker_pids()
    stop_process(old)
    d.reload()
    assert Http(d.connect()).get("/hello").body == HELLO
    noticed = log_time(d.wait_log(rf"^(\S+) error worker main\.0 \(pid {old}\): stuck: ").group(1))
    assert noticed - max(p for p in manager.pings if p < noticed) > 0.6, "it vouched for a worker that stood still"
    d.wait_log(rf"\(pid {old}\): died of signal 9")
    again = time.time()
    wait_until(lambda: len(manager.after(again)) >= 3, what="signs of life again")
    assert Http(d.connect()).get("/hello").body == HELLO


def test_signs_of_life_come_while_workers_are_idle_and_while_they_drain(daemon, manager, needs, plain_model):
    needs("systemd")
    d = daemon(http_service(RESPOND_HELLO), timeouts={"drain": 20}, settings="watchdog = 0;",
               env={"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "200000"})
    wait_until(lambda: len(manager.pings) >= 5, what="signs of life")
    web = Http(d.connect())
    web.send(b"GET /hello HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbo")    # a body is on its way: it stays
    d.signal(SIGTERM)
    d.wait_log("draining")
    draining = time.time()
    wait_until(lambda: len(manager.after(draining)) >= 5, what="signs of life while draining")
    web.send(b"st\r\n\r\n")
    assert web.read().body == HELLO
    web.close()
    d.wait()


def test_a_manager_that_does_not_listen_holds_nobody_up(daemon, tmp_path, needs, plain_model):
    """Its socket is full from the start; when it reads again it hears what counts, in its order."""
    needs("systemd")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(tmp_path / "notify"))
        (tmp_path / "notify").chmod(0o777)
        s.settimeout(30)
        fill(tmp_path / "notify")
        d = daemon(http_service(RESPOND_HELLO), env={"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "100000"})
        d.reload()
        assert d.ask("status")["generation"] == 2
        assert Http(d.connect()).get("/hello").body == HELLO
        heard = []
        while not heard or "WATCHDOG=1" not in heard or not any(said.startswith("READY=1") for said in heard):
            said = s.recv(4096).decode()
            heard += [said] if said != "full" else []
        (ready,) = [said for said in heard if said.startswith("READY=1")]
        assert ", generation 2; reloaded at " in ready
        assert not any("RELOADING" in said for said in heard), "it is over"
        d.stop()
        while not (said := s.recv(4096).decode()).startswith("STOPPING=1\nEXTEND_TIMEOUT_USEC="):
            pass


def fill(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.setblocking(False)
        try:
            while True:
                s.sendto(b"full", str(path))
        except BlockingIOError:
            pass


# --- crashes --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("command,signal,says", [("segv", SIGSEGV, r"SIGSEGV at 0x8"), ("abort", SIGABRT, "SIGABRT")])
def test_a_crash_leaves_a_backtrace(daemon, probe_bin, sanitizer, model, command, signal, says):
    if sanitizer is not None:
        pytest.skip("a sanitizer has its own words for this")
    d = daemon(PROBE, binary=probe_bin)
    d.expect_worker_death()
    d.allow_log(r"died of signal|backtrace:|:   #\d")
    before = d.worker_pids()
    Probe(d).send(command)
    d.wait_log(rf"error worker main\.0 \(pid {before[0]}\): thread \d+: {says}, backtrace:")
    d.wait_log(rf"\(pid {before[0]}\): died of signal {signal.value} ")
    assert f"probe_{command}" in names(probe_bin, frames(d.log(), before[0])), d.log()
    assert d.log().count("backtrace:") == 1
    replaced(d, before)
