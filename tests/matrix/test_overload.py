# SPDX-License-Identifier: BSD-2-Clause
"""More than there is room for: who gives way, who is told so, who waits; limits of an address; and floods of all kinds,
beside which ordinary clients are served and after which everything is as before."""

import re
import select
import socket
import threading
import time

import h11
import pytest

from client import Http, parse_all, read_to_end, request
from harness import stopped, wait_until
from sites import HELLO, RESPOND_HELLO, http_service, root_route, tiny_service

pytestmark = pytest.mark.usefixtures("model")

HALF_HEAD = b"GET /hello HTTP/1.1\r\nHost: x\r\n"
MB = 1 << 20


def memory_bound(model, sanitizer):
    """Bytes that a worker may keep after a flood.  The C library keeps the stacks of the threads that aio needed."""
    return (64 if sanitizer is not None else 24 if model == "aio" else 8) * MB


def readable(sock, seconds=0):
    return bool(select.select([sock], [], [], seconds)[0])


def answered(d, service=None, source=None):
    web = Http(d.connect(service, source=source))
    assert web.get("/hello").body == HELLO
    return web


def later():
    """Waits until the server's clock, which counts milliseconds and is read once a turn, shows another time: a turn may
    be long where a processor is short."""
    now = time.monotonic_ns()
    wait_until(lambda: time.monotonic_ns() - now > 50_000_000)


def used(web):
    later()
    assert web.get("/hello").body == HELLO
    return web


def is_refused(web):
    """Was it told that there is no place, in full, and nothing but that?"""
    (r,) = parse_all(read_to_end(web.sock))
    assert r.status == 503 and r.get("retry-after") == "1" and r.get("connection") == "close", r
    return True


def at_rest(d):
    """The descriptors of a worker that has served somebody and has nothing to do."""
    answered(d).close()
    wait_until(d.quiet, what="the first client being gone")
    return d.fds()


# --- who gives way ---------------------------------------------------------------------------------------------

def test_the_connection_that_is_idle_for_the_longest_time_gives_way(daemon):
    d = daemon(http_service(RESPOND_HELLO), limits={"connections": 10})
    first = [used(Http(d.connect())) for _ in range(10)]
    for i in (0, 3):
        used(first[i])                                  # no longer among the oldest
    order = [1, 2, 4, 5, 6, 7, 8, 9, 0, 3]
    for i in order[:7]:
        newcomer = answered(d)
        assert first[i].at_end(), f"number {i} should have gone"
        newcomer.send(HALF_HEAD)                        # busy: it does not give way itself
    for i in order[7:]:
        assert not readable(first[i].sock), f"number {i} should be there yet"
        assert first[i].get("/hello").body == HELLO


def test_a_request_that_has_arrived_is_answered_whoever_gives_way(daemon, calm):
    d = daemon(http_service(RESPOND_HELLO), limits={"connections": 10}, timeouts={"idle": 60}, settings=calm)
    before = at_rest(d)
    for _ in range(5):
        first = [used(Http(d.connect())) for _ in range(10)]
        wait_until(d.quiet, what="all of them being idle")      # not only answered
        pid = d.worker()
        with stopped(pid):
            newcomers = [Http(d.connect()) for _ in range(5)]
            for web in newcomers:
                web.send(request("/hello"))
            for web in first[:5]:                       # the oldest ones ask while the worker sleeps
                web.send(request("/hello"))
            for web in first[5:7]:                      # ... and two send a part of a request
                web.send(HALF_HEAD)
        for web in first[:5]:
            assert web.read().body == HELLO, "its request was there before it had to go"
        for web in first[5:7]:
            web.send(b"\r\n")
            r = web.read()                              # one that was being read just then is told to come again
            assert r.body == HELLO or (r.status == 503 and r.get("retry-after")), r
        statuses = [web.read().status for web in newcomers]
        assert set(statuses) <= {200, 503} and statuses.count(200) >= 3, statuses
        for web in first + newcomers:
            web.close()
        wait_until(lambda: d.fds() <= before, what="all of them being gone")


def test_idle_clients_give_way_to_clients_of_other_services(daemon):
    d = daemon(http_service(RESPOND_HELLO) + "," + tiny_service("echo"), limits={"connections": 4})
    webs = [used(Http(d.connect("web"))) for _ in range(4)]
    for i, web in enumerate(webs):
        s = d.connect("echo")
        s.sendall(b"x")
        assert s.recv(1) == b"x"
        assert web.at_end(), f"number {i} should have gone"
    late = d.connect("echo")
    late.sendall(b"y")
    assert not readable(late, 0.3)


def test_who_waits_is_served_as_soon_as_somebody_becomes_idle(daemon, calm):
    d = daemon(http_service(RESPOND_HELLO) + "," + tiny_service("echo"), limits={"connections": 3}, settings=calm)
    webs = [answered(d, "web") for _ in range(3)]
    for web in webs:
        web.send(HALF_HEAD)
    wait_until(d.quiet, what="all three being busy")
    late = d.connect("echo")
    late.sendall(b"y")
    assert not readable(late, 0.3)
    webs[1].send(b"\r\n")
    assert webs[1].read().body == HELLO
    assert late.recv(1) == b"y"
    assert webs[1].at_end()


# --- who is told that there is no place --------------------------------------------------------------------------

def test_without_anybody_idle_new_clients_hear_503_and_are_not_reset(daemon):
    d = daemon(http_service(RESPOND_HELLO), limits={"connections": 10})
    busy = [Http(d.connect()) for _ in range(10)]
    for web in busy:
        web.send(HALF_HEAD)
    for data in (request("/hello"), request("/hello", "HEAD"), request("/hello") * 20, b"", HALF_HEAD,
                 request("/hello", "POST", body=b"x" * 60_000)):
        web = Http(d.connect())
        web.send(data)
        assert is_refused(web)
        web.close()
    for web in busy:
        web.send(b"\r\n")
        assert web.read().body == HELLO
    assert answered(d)
    assert len(re.findall("limits.connections", d.log())) == 1


def test_a_flood_past_the_limit_is_refused_and_leaves_nothing(daemon, model, sanitizer, calm):
    d = daemon(http_service(RESPOND_HELLO), limits={"connections": 20}, settings=calm)
    before, memory = at_rest(d), d.private()
    busy = [Http(d.connect()) for _ in range(20)]
    for web in busy:
        web.send(HALF_HEAD)
    refused = 0
    for _ in range(3):
        flood = [Http(d.connect()) for _ in range(200)]
        for web in flood:
            web.send(request("/hello"))
        for web in flood:
            refused += is_refused(web)
            web.close()
    assert refused == 600
    silent = [d.connect() for _ in range(200)]          # they neither speak nor read nor leave
    for web in busy:
        web.send(b"\r\n")
        assert web.read().body == HELLO
        web.close()

    def served():
        web = Http(d.connect())
        web.send(request("/hello"))
        r = web.read()
        web.close()
        return r.status == 200
    wait_until(served, what="a client being served beside those")
    for s in silent:
        s.close()
    wait_until(lambda: d.fds() <= before, what="all descriptors being closed")
    assert d.private() - memory < memory_bound(model, sanitizer)


# --- limits of an address ----------------------------------------------------------------------------------------

def test_an_address_has_so_many_connections_and_no_more(daemon):
    d = daemon(http_service(RESPOND_HELLO) + "," + tiny_service("echo"), limits={"connections_per_address": 3})
    mine = [answered(d, "web") for _ in range(3)]
    for _ in range(3):
        web = Http(d.connect("web"))
        web.send(request("/hello"))
        assert is_refused(web)
    s = d.connect("echo")                               # has no words for it
    try:
        assert s.recv(1) == b""
    except ConnectionResetError:
        pass
    other = answered(d, "web", source="127.0.0.2")
    mine.pop().close()

    def again():
        web = Http(d.connect("web"))
        web.send(request("/hello"))
        r = web.read()
        return web if r.status == 200 else None

    mine.append(wait_until(again, what="the free place of the address being used"))
    for web in mine + [other]:
        assert web.get("/hello").body == HELLO
    assert len(re.findall("limits.connections_per_address", d.log())) == 1, "a flood must not fill the log"


def test_clients_of_a_unix_socket_are_not_counted(daemon, tmp_path):
    path = tmp_path / "web.sock"
    d = daemon(http_service(RESPOND_HELLO, listen=f"unix:{path}"), limits={"connections_per_address": 1,
                                                                         "requests_per_second": 1})
    clients = []
    for _ in range(5):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.settimeout(30)
        s.connect(str(path))
        clients.append(Http(s))
    for web in clients:
        for _ in range(3):
            assert web.get("/hello").body == HELLO
    for web in clients:
        web.close()
    assert d.alive()


def test_a_flood_from_one_address_is_refused_and_others_are_served(daemon, model, sanitizer):
    d = daemon(http_service(RESPOND_HELLO), limits={"connections_per_address": 10, "connections": 1000},
               timeouts={"header": 30})
    other = answered(d, source="127.0.0.2")
    before, memory = d.fds(), d.private()
    flood = [d.connect(source="127.0.0.9") for _ in range(600)]
    for s in flood:
        try:
            s.sendall(HALF_HEAD)
        except OSError:
            pass                                        # refused before it could speak
    for i in range(20):
        assert other.get("/hello").body == HELLO
        answered(d, source=f"127.0.1.{i + 1}").close()
    wait_until(lambda: d.fds() <= before + 11, what="all but ten of the flood being gone")
    for s in flood:
        s.close()
    wait_until(lambda: d.fds() <= before, what="all descriptors being closed")

    def served():
        web = Http(d.connect(source="127.0.0.9"))
        web.send(request("/hello"))
        return web.read().status == 200
    wait_until(served, what="the address being served again")
    assert d.private() - memory < memory_bound(model, sanitizer)


def test_requests_beyond_the_rate_of_an_address_get_429_in_order(daemon):
    d = daemon(http_service(RESPOND_HELLO), limits={"requests_per_second": 5})
    web = Http(d.connect())
    web.send(request("/hello") * 12)
    statuses = [web.read().status for _ in range(12)]
    held = statuses.index(429) if 429 in statuses else 12
    assert held >= 5 and statuses[:held] == [200] * held, statuses
    assert 429 in statuses, statuses
    r = wait_until(lambda: (x := web.get("/hello")).status == 200 and x, what="the rate allowing one more", pause=0.1)
    assert r.body == HELLO
    web.send(request("/hello") * 12)
    answers = [web.read() for _ in range(12)]
    assert all(r.get("retry-after") == "1" and r.get("connection") is None for r in answers if r.status == 429)
    assert Http(d.connect(source="127.0.0.2")).get("/hello").status == 200
    second = Http(d.connect())
    second.send(request("/hello") * 12)
    assert 429 in [second.read().status for _ in range(12)], "the rate is the address's, not the connection's"


# --- slow on purpose ---------------------------------------------------------------------------------------------

SHORT = 0.5     # seconds, as configured in these tests
ATTACKERS = 40


class Drip(threading.Thread):
    """Many connections on which a byte goes out now and then, until the server has ended them all."""

    def __init__(self, socks, data, pause=0.05):
        super().__init__()
        self.socks, self.data, self.pause = list(socks), data, pause
        self.stopped = threading.Event()

    def run(self):
        i = 0
        while self.socks and not self.stopped.wait(self.pause):
            for s in list(self.socks):
                try:
                    s.sendall(self.data[i % len(self.data):i % len(self.data) + 1])
                    if readable(s):
                        while s.recv(65536):
                            pass
                        self.socks.remove(s)
                except OSError:
                    self.socks.remove(s)
            i += 1


def beside(d, attack):
    """Ordinary requests while an attack lasts; all of them must be answered."""
    n = 0
    while attack.is_alive():
        web = answered(d, "web")
        for _ in range(5):
            assert web.get("/hello").body == HELLO
        web.close()
        n += 1
        assert n < 100_000
    return n


def under_attack(d, before, begin, data):
    socks = [d.connect("web", source="127.0.0.7") for _ in range(ATTACKERS)]
    for s in socks:
        s.sendall(begin)
    attack = Drip(socks, data)
    attack.start()
    try:
        assert beside(d, attack) > 0
    finally:
        attack.stopped.set()
        attack.join()
    assert not attack.socks, f"{len(attack.socks)} of the attackers are there yet"
    for s in socks:
        s.close()
    wait_until(lambda: d.fds() <= before + 1, what="all descriptors being closed")


def test_slow_heads_end_beside_ordinary_clients(daemon, calm):
    d = daemon(http_service(RESPOND_HELLO), timeouts={"header": SHORT, "body": 60, "idle": 60}, settings=calm)
    under_attack(d, at_rest(d), HALF_HEAD + b"X: ", b"y")


def test_slow_bodies_end_beside_ordinary_clients(daemon, calm):
    d = daemon(http_service(RESPOND_HELLO), timeouts={"body": SHORT, "header": 60, "idle": 60}, settings=calm,
               limits={"body_rate": 1000})
    before = at_rest(d)
    under_attack(d, before, request("/hello", "POST", [("Content-Length", "100000")]), b"y")
    under_attack(d, before, request("/hello", "POST", [("Transfer-Encoding", "chunked")]) + b"ffff\r\n", b"y")


def test_a_body_that_comes_slowly_but_steadily_passes(daemon):
    d = daemon(http_service(RESPOND_HELLO), timeouts={"body": 4, "header": 4, "idle": 60}, limits={"body_rate": 1000})
    web = Http(d.connect())
    body = b"b" * 24_000
    web.send(request("/hello", "POST", [("Content-Length", str(len(body)))]))
    for i in range(0, len(body), 400):
        assert not readable(web.sock, 0.1), "it was cut although it kept up with the rate"
        web.send(body[i:i + 400])
    assert web.read().status in (200, 405)
    assert web.get("/hello").body == HELLO


def test_readers_that_stand_still_end_beside_ordinary_clients(daemon, www, calm):
    folder = www({"big.bin": 8_000_000})
    d = daemon(http_service(root_route(folder), RESPOND_HELLO), timeouts={"send": SHORT, "idle": 60, "header": 60},
               settings=calm)
    before = at_rest(d)
    socks = [d.connect(rcvbuf=4096, source="127.0.0.7") for _ in range(ATTACKERS)]
    for s in socks:
        s.sendall(request("/big.bin"))

    def gone():
        answered(d).close()
        return d.fds() <= before + 2
    wait_until(gone, what="all who do not read being ended")


def test_a_reader_that_is_slow_but_steady_is_not_cut(daemon, www):
    folder = www({"big.bin": 4_000_000})
    d = daemon(http_service(root_route(folder), RESPOND_HELLO), timeouts={"send": 1, "idle": 1, "header": 1})

    def read_steadily():
        web, got, longest = Http(d.connect(rcvbuf=8192)), bytearray(), 0.0
        web.send(request("/big.bin"))
        try:
            while len(got) < 1_500_000:                     # slower than a piece of a file in a send timeout
                begin = time.monotonic()
                got += web.sock.recv(16_000)
                time.sleep(0.04)                            # a slow reader's nature
                longest = max(longest, time.monotonic() - begin)
            web.rest = bytes(got)
            return web.read().body
        except (h11.RemoteProtocolError, OSError):
            assert longest > 0.5, "cut although it was read steadily"
            return None                                     # we stood still
    assert wait_until(read_steadily, 150, "a read without a stall of our own") == (folder / "big.bin").read_bytes()


def test_silent_clients_end_and_leave_nothing(daemon, calm):
    d = daemon(http_service(RESPOND_HELLO), timeouts={"header": SHORT, "idle": SHORT}, settings=calm)
    before = at_rest(d)
    silent = [d.connect() for _ in range(ATTACKERS)] + [answered(d).sock for _ in range(ATTACKERS)]
    for s in silent:
        assert read_to_end(s) == b""
    wait_until(lambda: d.fds() <= before, what="all descriptors being closed")
