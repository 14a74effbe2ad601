# SPDX-License-Identifier: BSD-2-Clause
"""What kernel and C library do to an I/O model, and that iomuxd is not caught by it: the same traps for every model.

The worker is stopped (SIGSTOP) while clients prepare what it shall find, so that it surely comes together.

What each model must stand                                 shown by
  signals (sigio)
    the end of a connection looks like data                  an end that comes with data; idle clients that leave
    a reset is POLL_ERR and nothing else                     a reset behind data; idle clients that leave
    data from before the socket was armed is not told of     everybody in the queue; an end that comes with data
    each segment is a signal                                 a byte for each segment
    writable again is told only after EAGAIN                 test_pressure: slow readers
    the queue is full: plain SIGIO                           few signals; test_udp for datagrams
    signals for a descriptor that is somebody else's now     a reused descriptor
    accepted sockets inherit nothing                         every test
    a listener can signal one process only                   every worker serves; test_pools: Unix sockets
  POSIX AIO
    20 threads unless asked for more, before the first use   fifteen hundred at once
    a read that waits holds up a write                       test_tiny: chargen; test_pressure: echo
    only shutdown brings a request back                      idle connections do not hold up the end; test_stop
    a completion that finds the queue of signals full        few signals
  io_uring
    a ring belongs to the task that made it                  a worker killed under load: the next one makes its own
    close with a receive under way sends no FIN              test_timeouts: idle; idle connections ... the end
    accepting ends with EMFILE, and the limit is remembered  descriptors run out and come back
    accepting does not stop in the middle of a queue         a crowd far beyond the limit
    receivers out of buffers end                             more input than there are buffers
    refused by sysctl or seccomp                             test_models
  epoll
    data and FIN before the first look, a short read         an end that comes with data
    a listener is told of once                               everybody in the queue
    an event about a former user of a descriptor             a reused descriptor
    a fast peer starves the others                           a greedy client
  select, poll, blocking, nonblocking
    descriptors beyond FD_SETSIZE                            fifteen hundred at once
    accept may block although there was a connection         resets in the queue
    closing a listener wakes nobody                          idle connections do not hold up the end
    a time-out of each call is no deadline                   test_timeouts: byte by byte
  disks                                                      test_files; the unit tests of warm and file
Linux's own AIO is not used."""

import contextlib
import os
import re
import resource
import select
import selectors
import socket
import struct
import threading
import time
from pathlib import Path
from signal import SIGKILL, SIGTERM

import h11
import pytest

from client import Http, read_exactly, read_to_end, request
from harness import stopped, wait_until
from sites import HELLO, RESPOND_HELLO, http_service, tiny_service

pytestmark = pytest.mark.usefixtures("model")

SITE = http_service(RESPOND_HELLO) + "," + tiny_service("echo")
CROWD = 1500                # more than FD_SETSIZE, 1024
LIMIT = 1600                # io_uring accepts queues as a whole until three quarters are in, then one by one
SPARE = 300                 # descriptors beside two for each connection
OURS = 'user = "root"; group = "root";'      # workers whose limits the test may change; ignored unless it is root
RESET = struct.pack("ii", 1, 0)


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    sock.close()


@pytest.fixture
def site(daemon):
    return daemon(SITE, timeouts={"idle": 120, "header": 120}, limits={"connections": LIMIT}, settings=OURS)


def asked_once(d, count):
    """Connections that have had one answer each: the worker knows them."""
    made = [Http(d.connect("web")) for _ in range(count)]
    for web in made:
        assert web.get("/hello").body == HELLO
    return made


def base_of(d):
    """The descriptors of a worker that has served and has nobody now."""
    web, s = Http(d.connect("web")), d.connect("echo")
    assert web.get("/hello").body == HELLO
    s.sendall(b"x")
    assert s.recv(1) == b"x"
    full = d.fds()
    web.close()
    s.close()
    wait_until(lambda: d.fds() < full - 1, what="the first connections being closed")
    time.sleep(0.1)             # what else is closed with them; a count that is too high hides at most that
    return d.fds()


def given_back(d, base):
    wait_until(lambda: d.fds() <= base, 30, f"the worker being back at {base} descriptors")


# --- what came before anybody looked --------------------------------------------------------------------------------

def test_an_end_that_comes_with_data_is_seen_and_so_is_the_data(site):
    base = base_of(site)
    known = asked_once(site, 20)
    echoes = [site.connect("echo") for _ in range(20)]
    for s in echoes:
        s.sendall(b"1")
        assert s.recv(1) == b"1"
    with stopped(site.worker()):
        fresh = [Http(site.connect("web")) for _ in range(20)]
        echoes += [site.connect("echo") for _ in range(20)]
        for web in known + fresh:
            web.send(request("/hello"))
            web.sock.shutdown(socket.SHUT_WR)
        for i, s in enumerate(echoes):
            s.sendall(b"tail %d" % i)
            s.shutdown(socket.SHUT_WR)
    for web in known + fresh:
        assert web.read().body == HELLO and web.at_end()
    for i, s in enumerate(echoes):
        assert read_to_end(s) == b"tail %d" % i
    given_back(site, base)


def test_a_reset_behind_data_ends_one_connection_and_harms_no_other(site):
    base = base_of(site)
    for _ in range(3):
        known = asked_once(site, 40)
        with stopped(site.worker()):
            for web in known[::2]:
                web.send(request("/hello") * 3)
                reset(web.sock)
            for web in known[1::2]:
                web.send(request("/hello"))
        for web in known[1::2]:
            assert web.read().body == HELLO
            assert web.get("/hello").body == HELLO
            web.close()
        given_back(site, base)


def test_connections_that_are_reset_in_the_queue_do_not_block_the_listener(site):
    base = base_of(site)
    for _ in range(3):
        with stopped(site.worker()):
            for i in range(60):
                s = site.connect("web" if i % 2 else "echo")
                if i % 3:
                    s.sendall(b"GET")
                reset(s)
        assert asked_once(site, 1)[0].get("/hello").body == HELLO
        site.close_sockets()
    given_back(site, base)


def test_everybody_who_waits_in_the_queue_is_served(site):
    with stopped(site.worker()):
        waiting = [Http(site.connect("web")) for _ in range(300)]
        for web in waiting:
            web.send(request("/hello"))
    for web in waiting:
        assert web.read().body == HELLO
    for web in waiting[::10]:
        assert web.get("/hello").body == HELLO


def test_a_byte_for_each_segment_is_no_trouble(site):
    s = site.connect("echo")        # without Nagle's algorithm: each byte is a segment
    s.sendall(b"x")
    assert s.recv(1) == b"x"
    data = bytes(i % 251 for i in range(3000))
    with stopped(site.worker()):
        for i in range(len(data)):
            s.send(data[i:i + 1])
    assert read_exactly(s, len(data)) == data
    assert Http(site.connect("web")).get("/hello").body == HELLO


def test_idle_clients_that_leave_are_noticed(site):
    base = base_of(site)
    for leave in (socket.socket.close, reset):
        for web in asked_once(site, 50):
            leave(web.sock)
        given_back(site, base)


# --- signals ------------------------------------------------------------------------------------------------------

@pytest.fixture
def few_signals():
    """The queue of signals that a daemon gets which is started now: three places."""
    limits = resource.getrlimit(resource.RLIMIT_SIGPENDING)
    resource.setrlimit(resource.RLIMIT_SIGPENDING, (3, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_SIGPENDING, limits)


def test_few_signals_are_enough_for_all(few_signals, site):
    """A queue of signals that is full must not cost an answer; the other models do not care."""
    base = base_of(site)
    known = asked_once(site, 100)
    for _ in range(3):
        with stopped(site.worker()):
            fresh = [Http(site.connect("web")) for _ in range(30)]
            for web in known + fresh:
                web.send(request("/hello") * 2)
        for web in known + fresh:
            assert web.read().body == HELLO and web.read().body == HELLO
        for web in fresh:
            web.close()
    with stopped(site.worker()):
        for web in known:
            web.close()
    given_back(site, base)


def test_signals_that_are_taken_away_cost_no_byte_but_at_most_a_connection(site):
    """Other processes of the user may fill the queue at any time.  The C library's AIO loses results then: such a
    connection may be broken off, but nothing comes twice, nothing is left out, and the worker goes on."""
    worker = site.worker()
    before = resource.prlimit(worker, resource.RLIMIT_SIGPENDING)
    base = base_of(site)
    data = bytes(i % 251 for i in range(200_000))
    echoes = [site.connect("echo") for _ in range(5)]
    resource.prlimit(worker, resource.RLIMIT_SIGPENDING, (0, before[1]))
    for s in echoes:
        got = bytearray()
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            for start in range(0, len(data), 20_000):
                s.sendall(data[start:start + 20_000])
                while len(got) < start + 20_000 and (piece := s.recv(65536)):
                    got += piece
        assert bytes(got) == data[:len(got)]
        s.close()
    resource.prlimit(worker, resource.RLIMIT_SIGPENDING, before)
    given_back(site, base)
    assert Http(site.connect("web")).get("/hello").body == HELLO


def test_a_reused_descriptor_is_not_blamed_for_its_former_user(site):
    """Many events for connections that end, and new ones that get their numbers while those are under way."""
    base = base_of(site)
    for _ in range(5):
        old = asked_once(site, 50)
        with stopped(site.worker()):
            for i, web in enumerate(old):
                for _ in range(4):
                    web.send(request("/hello"))
                reset(web.sock) if i % 2 else web.close()
            new = [Http(site.connect("web")) for _ in range(50)]
            for web in new:
                web.send(request("/hello")[:20])
        for web in new:
            web.send(request("/hello")[20:])
            assert web.read().body == HELLO and web.rest == b""
            assert web.get("/hello").body == HELLO
            web.close()
        given_back(site, base)


def test_every_worker_serves(daemon):
    d = daemon(SITE, workers=3)
    counts = {pid: len(os.listdir(f"/proc/{pid}/fd")) for pid in d.worker_pids()}
    made = []

    def all_have_some():
        made.extend(asked_once(d, 30))
        return all(len(os.listdir(f"/proc/{pid}/fd")) >= n + 5 for pid, n in counts.items())

    wait_until(all_have_some, what="connections on every worker")
    for web in made:
        assert web.get("/hello").body == HELLO


# --- many ---------------------------------------------------------------------------------------------------------

@pytest.mark.timeout(300)
def test_fifteen_hundred_connections_at_once_are_all_served(site):
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 2 * CROWD + SPARE:
        pytest.skip(f"RLIMIT_NOFILE is below {2 * CROWD + SPARE}")
    crowd = []
    while len(crowd) < CROWD:
        crowd += asked_once(site, 100)
    assert site.fds() > CROWD
    for web in crowd[::-1]:                     # the highest descriptors first, while all others are idle
        assert web.get("/hello").body == HELLO
    for web in crowd:
        web.send(request("/hello"))
    for web in crowd:
        assert web.read().body == HELLO


@pytest.mark.timeout(300)
def test_more_input_at_once_than_there_are_buffers_is_not_lost(site):
    """400 connections with 32 KiB each wait when the worker looks: 12 MiB, all of which come back."""
    count, size = 400, 32768
    echoes = [site.connect("echo") for _ in range(count)]
    for s in echoes:
        s.sendall(b"x")
        assert s.recv(1) == b"x"
    data = [bytes([i % 256, i // 256]) * (size // 2) for i in range(count)]
    sent = [0] * count
    with stopped(site.worker()):
        for i, s in enumerate(echoes):
            s.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while sent[i] < size:
                    sent[i] += s.send(data[i][sent[i]:])
    assert sum(sent) > count * size / 2
    selector = selectors.DefaultSelector()
    got = [bytearray() for _ in echoes]
    for i, s in enumerate(echoes):
        selector.register(s, selectors.EVENT_READ, i)
    while selector.get_map():
        ready = selector.select(30)
        assert ready, f"{len(selector.get_map())} connections wait for bytes that were taken from them"
        for key, _ in ready:
            piece = key.fileobj.recv(65536)
            assert piece, "a connection was closed"
            got[key.data] += piece
            if len(got[key.data]) >= sent[key.data]:
                selector.unregister(key.fileobj)
    assert all(bytes(g) == d[:n] for g, d, n in zip(got, data, sent))


class Caller:
    """A client of echo, which has no words for a full house: whoever has no place waits in the queue."""

    def __init__(self, d):
        self.sock = d.connect("echo")
        self.sock.sendall(b"?")

    def answered(self):
        return self.sock.recv(1) == b"?"

    def asked(self):
        self.sock.sendall(b"?")
        return self.answered()


def callers(d, count):
    """So many, that are inside."""
    made = [Caller(d) for _ in range(count)]
    assert all(caller.answered() for caller in made)
    return made


def lowest_free(pid):
    held = {int(fd) for fd in os.listdir(f"/proc/{pid}/fd")}
    return next(fd for fd in range(len(held) + 1) if fd not in held)


def test_descriptors_run_out_and_come_back(daemon, calm):
    """A full house lets nobody in; a place that becomes free finds no descriptor, until the limit is raised again."""
    d = daemon(SITE, limits={"connections": 8}, timeouts={"idle": 120, "header": 120}, settings=OURS + calm)
    d.allow_log("[Tt]oo many open files")
    known = callers(d, 7)
    worker = d.worker()
    before = resource.prlimit(worker, resource.RLIMIT_NOFILE)
    low = lowest_free(worker)
    last = callers(d, 1)[0]
    assert lowest_free(worker) > low
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (low, before[1]))
    late = [Caller(d) for _ in range(3)]
    last.sock.close()
    d.wait_log("[Tt]oo many open files")
    busy = d.cpu()
    time.sleep(1.0)             # the span over which the CPU time is measured, and refusals may begin
    assert d.cpu() - busy < 0.3, "the worker spins without descriptors"
    assert all(caller.asked() for caller in known), "those that are there are served on"
    resource.prlimit(worker, resource.RLIMIT_NOFILE, before)
    for caller in known[:4]:
        caller.sock.close()
    for caller in late:
        with contextlib.suppress(ConnectionResetError):
            caller.answered()   # or it waited too long and was refused
        caller.sock.close()
    assert all(caller.asked() for caller in known[4:] + callers(d, 4))
    assert len(re.findall("[Tt]oo many open files", d.log())) <= 3


HALF = request("/hello")[:-2]       # busy: who has sent so much does not give way


def answers_to(crowd):
    """The status that each of them gets, whoever comes first; they leave then, so that others get their turn."""
    statuses = {}
    with selectors.DefaultSelector() as selector:
        for web in crowd:
            selector.register(web.sock, selectors.EVENT_READ, web)
        while selector.get_map():
            ready = selector.select(30)
            assert ready, f"{len(selector.get_map())} of {len(crowd)} wait for ever"
            for key, _ in ready:
                r = key.data.read()
                assert r.status == 503 or r.body == HELLO
                statuses[key.data] = r.status
                selector.unregister(key.fileobj)
                key.data.close()
    return statuses


def test_a_crowd_that_comes_at_once_does_not_exceed_the_limit(daemon):
    d = daemon(SITE, limits={"connections": 10}, timeouts={"idle": 120, "header": 120})
    with stopped(d.worker()):
        crowd = [Http(d.connect("web")) for _ in range(80)]
        for web in crowd:
            web.send(HALF)
    refused = []

    def all_but_ten():
        for web in crowd:
            if web not in refused and select.select([web.sock], [], [], 0)[0]:
                assert web.read().status == 503
                web.close()
                refused.append(web)
        return len(refused) >= 70
    wait_until(all_but_ten, what="all but ten being refused")
    inside = [web for web in crowd if web not in refused]
    assert len(inside) == 10, "fewer connections than the limit says"
    for web in inside:
        web.send(b"\r\n")
        assert web.read().body == HELLO


def test_a_crowd_far_beyond_the_limit_is_answered_and_then_the_limit_holds(daemon, calm):
    """io_uring may let in more than the limit, where whole queues are accepted at once; nobody of them is lost."""
    limit, count = 200, 500
    d = daemon(SITE, limits={"connections": limit}, timeouts={"idle": 120, "header": 120}, settings=calm)
    with stopped(d.worker()):
        crowd = [Http(d.connect("web")) for _ in range(count)]
        for web in crowd:
            web.send(request("/hello"))
    statuses = list(answers_to(crowd).values())
    assert len(statuses) == count and statuses.count(200) >= limit
    wait_until(d.quiet, what="the crowd being gone")
    inside = asked_once(d, limit)
    for web in inside:
        web.send(HALF)
    wait_until(d.quiet, what="all of them being busy")
    late = Http(d.connect("web"))
    late.send(request("/hello"))
    assert late.read().status == 503, "more connections are served than the limit says"
    late.close()
    for web in inside:
        web.send(b"\r\n")
        assert web.read().body == HELLO


# --- others -------------------------------------------------------------------------------------------------------

class Greedy(threading.Thread):
    """Asks for more before it has read what it asked for, for ever."""

    def __init__(self, sock):
        super().__init__()
        self.sock, self.ended, self.bytes = sock, threading.Event(), 0

    def run(self):
        batch = request("/hello") * 200
        self.sock.setblocking(False)
        left = b""
        while not self.ended.is_set():
            with contextlib.suppress(BlockingIOError):
                left = left or batch
                left = left[self.sock.send(left):]
            with contextlib.suppress(BlockingIOError):
                self.bytes += len(self.sock.recv(1 << 18))


def test_a_greedy_client_starves_nobody(site):
    greedy = [Greedy(site.connect("web")) for _ in range(3)]
    for g in greedy:
        g.start()
    try:
        wait_until(lambda: all(g.bytes > 100_000 for g in greedy), what="the greedy ones being served")
        for web in asked_once(site, 3):
            for _ in range(30):
                begin = time.monotonic()
                assert web.get("/hello").body == HELLO
                assert time.monotonic() - begin < 10
    finally:
        for g in greedy:
            g.ended.set()
            g.join()


def test_idle_connections_do_not_hold_up_the_end(daemon):
    """No thread sits in a call for ever, no request stays with the kernel, every client sees the end."""
    d = daemon(SITE, workers=2, timeouts={"drain": 60, "idle": 300})
    idle = asked_once(d, 100)
    echoes = [d.connect("echo") for _ in range(20)]
    for s in echoes:
        s.sendall(b"x")
        assert s.recv(1) == b"x"
    begin = time.monotonic()
    d.signal(SIGTERM)
    for web in idle:
        assert web.at_end()
        web.close()
    for s in echoes:
        assert s.recv(1) == b""
        s.close()
    assert d.wait() == 0
    assert time.monotonic() - begin < 10


class Visitor(threading.Thread):
    """Asks again and again, and comes back when its connection breaks."""

    def __init__(self, port):
        super().__init__()
        self.port, self.ended, self.answers, self.breaks, self.wrong = port, threading.Event(), 0, 0, None

    def visit(self):
        with socket.create_connection(("127.0.0.1", self.port), 30) as s:
            web = Http(s)
            while not self.ended.is_set():
                body = web.get("/hello").body
                if body != HELLO:
                    self.wrong = body
                    return
                self.answers += 1

    def run(self):
        while not self.ended.is_set() and self.wrong is None:
            try:
                self.visit()
            except (OSError, h11.RemoteProtocolError):
                self.breaks += 1
                self.ended.wait(0.02)


def test_a_worker_that_is_killed_under_load_is_replaced(daemon):
    d = daemon(SITE, workers=2)
    d.expect_worker_death()
    d.allow_log("died of signal 9")
    visitors = [Visitor(d.port("web")) for _ in range(20)]
    for v in visitors:
        v.start()
    try:
        for _ in range(2):
            wait_until(lambda: all(v.answers > 3 for v in visitors), what="everybody being served")
            victims = d.worker_pids()
            os.kill(victims[0], SIGKILL)
            d.wait_log(rf"pid {victims[0]}\): died of signal 9")
            wait_until(lambda: len(set(d.worker_pids()) - {victims[0]}) == 2, what="a new worker")
            (new,) = set(d.worker_pids()) - set(victims)
            d.wait_log(rf"pid {new}\): ready")
            for v in visitors:
                v.answers = 0
        wait_until(lambda: all(v.answers > 3 for v in visitors), what="everybody being served")
    finally:
        for v in visitors:
            v.ended.set()
        for v in visitors:
            v.join()
    assert not [v.wrong for v in visitors if v.wrong is not None]
    assert Path(f"/proc/{d.pid}").exists() and len(d.worker_pids()) == 2
