# SPDX-License-Identifier: BSD-2-Clause
"""The small services over datagrams: echo, discard, chargen, daytime, time on every model; whom they do not answer;
and that nothing else suffers."""

import os
import random
import re
import resource
import select
import socket
import struct
import threading
import time
from signal import SIGCONT, SIGTERM

import pytest

from client import read_exactly
from harness import STOP_TIMEOUT, free_port, stop_process, wait_until
from sites import tiny_service

pytestmark = pytest.mark.usefixtures("model")

NAMES = ("echo", "discard", "chargen", "daytime", "time")
UNLIMITED = {"datagrams_per_address": 0}
RFC868_EPOCH = 2_208_988_800
RING = bytes(range(32, 127)) * 2
WELL_KNOWN = 1024
PILE = 240              # datagrams: more than some turns take, less than a socket holds
TRIES = 30              # of a request that may be lost
TRY_TIME = 1.0          # seconds for each


class Client:
    """Datagram sockets that end with the test."""

    def __init__(self):
        self.sockets = []

    def __call__(self, port, host="127.0.0.1", source=None, source_port=0):
        s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self.sockets.append(s)
        s.settimeout(30)
        if source is not None or source_port:
            s.bind((source or "127.0.0.1", source_port))
        s.connect((host, port))         # what comes from elsewhere is not for us
        return s


@pytest.fixture
def client():
    c = Client()
    yield c
    for s in c.sockets:
        s.close()


@pytest.fixture
def udp(daemon):
    return daemon(",\n".join(tiny_service(n, listen="udp:127.0.0.1:0") for n in NAMES), limits=UNLIMITED)


def ask(s, data=b"?"):
    s.send(data)
    return s.recv(70_000)


def waiting(s):
    """All datagrams that are there now."""
    got = []
    s.setblocking(False)
    try:
        while True:
            got.append(s.recv(70_000))
    except BlockingIOError:
        pass
    s.settimeout(30)
    return got


def ask_again(s, data):
    """The answer to a request that is sent until there is one."""
    for _ in range(TRIES):
        s.send(data)
        if select.select([s], [], [], TRY_TIME)[0]:
            return s.recv(70_000)
    raise AssertionError("no answer")


def test_the_log_says_where(udp):
    (address,) = udp.addresses("echo")
    assert re.fullmatch(r"udp:127\.0\.0\.1:\d+", address)
    assert "(echo)" in udp.log()


@pytest.mark.parametrize("size", (0, 1, 1472, 9000, 65507))
def test_echo_returns_a_datagram_of_any_size(udp, client, size):
    s = client(udp.port("echo"))
    data = random.Random(size).randbytes(size)
    for _ in range(3):
        assert ask(s, data) == data
    assert waiting(s) == []


def test_discard_says_nothing(udp, client):
    s, echo = client(udp.port("discard")), client(udp.port("echo"))
    for size in (0, 1, 65507):
        s.send(bytes(size))
        assert ask(echo, b"still there?") == b"still there?"
    assert waiting(s) == []


def test_chargen_sends_one_datagram_of_random_length_of_the_pattern(udp, client):
    s = client(udp.port("chargen"))
    lines = b"".join(RING[i % 95:i % 95 + 72] + b"\r\n" for i in range(200))
    said = [ask(s) for _ in range(100)]
    assert waiting(s) == []
    assert all(len(text) <= 512 and text in lines for text in said)
    lengths = [len(text) for text in said]
    assert len(set(lengths)) > 30 and min(lengths) < 200 and max(lengths) > 312, lengths


def test_daytime_says_when_it_is(udp, client):
    for question in (b"", b"x" * 9000):
        text = ask(client(udp.port("daytime")), question).decode("ascii")
        assert text.endswith("\r\n") and time.strftime("%Y", time.gmtime()) in text
        assert re.search(r"\d\d:\d\d:\d\d", text)


def test_time_says_the_seconds_since_1900(udp, client):
    before = time.time()
    (value,) = struct.unpack("!I", ask(client(udp.port("time")), b""))
    assert before - 5 <= value - RFC868_EPOCH <= time.time() + 5


@pytest.mark.parametrize("workers", (1, 2))
def test_thousands_of_numbered_datagrams_come_back(daemon, client, workers):
    d = daemon(tiny_service("echo", listen="udp:127.0.0.1:0"), limits=UNLIMITED, workers=workers)
    total, window = 5000, 12
    sockets = {s: set() for s in (client(d.port()) for _ in range(8))}
    left, got = list(range(total)), set()
    while len(got) < total:
        for s, out in sockets.items():
            while left and len(out) < window:
                number = left.pop()
                out.add(number)
                s.send(b"%d " % number + b"x" * (number % 300))
        ready, _, _ = select.select(list(sockets), [], [], 30)
        assert ready, f"{total - len(got) - len(left)} datagrams are lost"
        for s in ready:
            for text in waiting(s):
                number = int(text.split()[0])
                assert text == b"%d " % number + b"x" * (number % 300)
                sockets[s].remove(number)       # each comes once, to whom it belongs
                got.add(number)


def low_port(client, port):
    for source_port in range(WELL_KNOWN - 1, WELL_KNOWN - 200, -1):
        try:
            return client(port, source_port=source_port)
        except OSError:
            continue
    pytest.skip("no port below 1024 can be had")


@pytest.mark.skipif(os.geteuid() != 0, reason="ports below 1024 are root's")
@pytest.mark.parametrize("name", [n for n in NAMES if n != "discard"])
def test_ports_below_1024_are_not_answered(udp, client, name):
    low, high = low_port(client, udp.port(name)), client(udp.port(name))
    for _ in range(5):
        low.send(b"loop")
        assert ask(high, b"loop") is not None   # came later and is answered
    assert waiting(low) == []


def test_the_rate_limit_holds_for_each_address_and_recovers(daemon, client):
    limit = 20
    d = daemon(tiny_service("echo", listen="udp:127.0.0.1:0"), limits={"datagrams_per_address": limit})
    sockets = [client(d.port(), source="127.0.0.3") for _ in range(4)]     # ports do not count
    other = client(d.port(), source="127.0.0.4")
    began = time.monotonic()
    for i in range(200):
        sockets[i % 4].send(b"%d" % i)
    assert ask(other) == b"?"
    took = time.monotonic() - began
    got = sum(len(waiting(s)) for s in sockets)
    assert limit <= got <= limit + took * limit + 1, f"{got} answers in {took} s"
    assert ask_again(sockets[0], b"again") == b"again"


def test_discard_needs_no_limit_and_no_limit_is_one(daemon, client):
    d = daemon(tiny_service("echo", listen="udp:127.0.0.1:0"), limits=UNLIMITED)
    s = client(d.port())
    for i in range(500):
        assert ask(s, b"%d" % i) == b"%d" % i


def test_tcp_beside_udp_on_the_same_port(daemon, client):
    port = free_port()
    listen = f'127.0.0.1:{port}", "udp:127.0.0.1:{port}'
    d = daemon(f'{{ name = "echo"; protocol = "echo"; listen = [ "{listen}" ]; }}', limits=UNLIMITED)
    assert d.addresses("echo") == [f"127.0.0.1:{port}", f"udp:127.0.0.1:{port}"]
    s, t = client(port), d.connect("echo")
    for i in range(100):
        t.sendall(b"stream %4d" % i)
        assert ask(s, b"datagram %d" % i) == b"datagram %d" % i
        assert read_exactly(t, 11) == b"stream %4d" % i


@pytest.mark.parametrize("listen", ("udp:0", "udp:0.0.0.0:0"))
def test_a_socket_on_all_addresses_answers_from_the_one_that_was_asked(daemon, client, listen):
    d = daemon(tiny_service("echo", listen=listen), limits=UNLIMITED)
    hosts = ["127.0.0.2", "127.0.0.1", "127.1.2.3"]
    if d.addresses("echo")[0].startswith("udp:[::]"):
        hosts.append("::1")
    for host in hosts:
        assert ask(client(d.port(), host), b"hello") == b"hello", host


def test_no_place_for_a_connection_is_a_place_for_a_datagram(daemon, client):
    d = daemon(tiny_service("echo") + "," + tiny_service("time", listen="udp:127.0.0.1:0"),
               limits={"connections": 1, "datagrams_per_address": 1})
    s = d.connect("echo")
    s.sendall(b"x")
    assert read_exactly(s, 1) == b"x"
    waits = d.connect("echo")
    waits.sendall(b"y")
    for i in range(20):
        assert len(ask(client(d.port("time"), source=f"127.0.1.{i + 1}"))) == 4
    check_pile(d, client, "time")


def test_clients_that_are_gone_do_no_harm(udp, client):
    stop_process(udp.worker())
    for _ in range(20):
        s = client(udp.port("echo"))
        s.send(b"too late")
        s.close()
    os.kill(udp.worker(), SIGCONT)
    s = client(udp.port("echo"))
    for _ in range(20):
        assert ask(s) == b"?"


def check_pile(d, client, name):
    """More datagrams than a turn takes, almost all of them without a reply that could wake somebody: the last is
    answered all the same."""
    many, last = client(d.port(name), source="127.0.0.3"), client(d.port(name), source="127.0.0.4")
    stop_process(d.worker())
    for _ in range(PILE):
        many.send(b"x")
    last.send(b"y")
    os.kill(d.worker(), SIGCONT)
    assert last.recv(100)
    assert 1 <= len(waiting(many)) < PILE


def test_what_piled_up_is_answered_to_the_last(daemon, client):
    d = daemon(tiny_service("time", listen="udp:127.0.0.1:0"), limits={"datagrams_per_address": 1})
    check_pile(d, client, "time")


def test_it_rests_when_nobody_asks(daemon, client, calm):
    d = daemon(",\n".join(tiny_service(n, listen="udp:127.0.0.1:0") for n in NAMES), settings=calm)
    for name in NAMES:
        client(d.port(name)).send(b"x")
    wait_until(d.quiet, what="rest")


def test_what_has_come_is_answered_before_the_end(udp, client):
    s = client(udp.port("echo"))
    ask(s)
    worker = udp.worker()
    stop_process(worker)
    for i in range(PILE):
        s.send(b"%d" % i)
    udp.signal(SIGTERM)
    os.kill(worker, SIGCONT)
    assert udp.wait() == 0
    assert sorted(int(text) for text in waiting(s)) == list(range(PILE))


class Flood:
    """Datagrams without end, from a thread."""

    def __init__(self, s):
        self.sock, self.ended = s, threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        self.sock.setblocking(False)
        while not self.ended.is_set():
            for call in (lambda: self.sock.send(b"x" * 500), lambda: self.sock.recv(1000)):
                try:
                    call()
                except OSError:
                    pass

    def end(self):
        self.ended.set()
        self.thread.join()


def test_a_flood_starves_no_connection_and_the_stop_is_prompt(daemon, client):
    d = daemon(tiny_service("echo", "stream") + "," + tiny_service("echo", "letters", listen="udp:127.0.0.1:0"),
               limits=UNLIMITED)
    floods = [Flood(client(d.port("letters"))) for _ in range(3)]
    try:
        s = d.connect("stream")
        for i in range(200):
            s.sendall(b"%4d" % i)
            assert read_exactly(s, 4) == b"%4d" % i
        assert d.stop(timeout=STOP_TIMEOUT) == 0
    finally:
        for f in floods:
            f.end()


@pytest.fixture
def few_signals():
    """The soft limit, which a daemon that is started now inherits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_SIGPENDING)
    resource.setrlimit(resource.RLIMIT_SIGPENDING, (2, hard))
    yield
    resource.setrlimit(resource.RLIMIT_SIGPENDING, (soft, hard))


def test_signals_that_find_no_place_lose_no_datagram(few_signals, daemon, client, model):
    """RLIMIT_SIGPENDING bounds the queue of sigio; the others do not care."""
    if model != "sigio":
        pytest.skip("no signals are queued")
    d = daemon(",".join(tiny_service("echo", f"e{i}", listen="udp:127.0.0.1:0") for i in range(4)),
               limits=UNLIMITED)
    worker = d.worker()
    sockets = [client(d.port(f"e{i}")) for i in range(4)]
    for turn in range(20):
        stop_process(worker)
        for i in range(80):                         # the first sockets take every place
            sockets[i // 20].send(b"%d %d" % (turn, i))
        os.kill(worker, SIGCONT)
        got = set()
        while len(got) < 80:
            ready, _, _ = select.select(sockets, [], [], 30)
            assert ready, f"{80 - len(got)} datagrams wait for a signal that never comes"
            got.update(text for s in ready for text in waiting(s))
        assert got == {b"%d %d" % (turn, i) for i in range(80)}
