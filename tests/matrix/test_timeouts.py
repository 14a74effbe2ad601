# SPDX-License-Identifier: BSD-2-Clause
"""Deadlines: who is slow on purpose is let go, who makes progress is not."""

import socket
import threading
import time

import pytest

from client import Http, parse_all, read_to_end, request
from harness import wait_until
from sites import HELLO, RESPOND_HELLO, http_service, root_route, tiny_service

pytestmark = pytest.mark.usefixtures("model")

SHORT = 0.5     # seconds, as configured in these tests
LONG = 20.0     # what a deadline of SHORT may take on a busy machine


def drip(sock, data, pause=0.03, timeout=LONG):
    """Sends byte by byte, over and over, until the server answers or closes; what it said, and when."""
    begin = time.monotonic()
    got = b""
    sock.settimeout(pause)
    i = 0
    while time.monotonic() - begin < timeout:
        try:
            sock.sendall(data[i:i + 1] or b"a")
            i += 1
        except (BrokenPipeError, ConnectionResetError):
            break
        try:
            piece = sock.recv(65536)
            got += piece
            if not piece or b"\r\n\r\n" in got:
                break
        except socket.timeout:
            continue
        except ConnectionResetError:
            break
    else:
        raise AssertionError(f"still open after {timeout} s of one byte every {pause} s")
    return got, time.monotonic() - begin


def test_a_header_that_comes_byte_by_byte_is_ended_by_its_deadline_with_408(daemon):
    d = daemon(http_service(RESPOND_HELLO), timeouts={"header": SHORT, "idle": 60, "body": 60})
    for before in (b"", request("/hello")):     # on a fresh connection and on one that was used
        web = Http(d.connect())
        if before:
            web.send(before)
            assert web.read().body == HELLO
        got, seconds = drip(web.sock, b"GET /hello HTTP/1.1\r\nHost: x\r\nX: ")
        (r,) = parse_all(got)
        assert r.status == 408 and r.get("connection").lower() == "close"
        assert seconds >= SHORT * 0.8


def test_a_body_that_does_not_come_is_ended_by_its_deadline(daemon):
    d = daemon(http_service(RESPOND_HELLO), timeouts={"body": SHORT, "header": 60, "idle": 60})
    for head in (request("/hello", "POST", [("Content-Length", "1000")]),
                 request("/hello", "POST", [("Transfer-Encoding", "chunked")]) + b"3e8\r\n"):
        web = Http(d.connect())
        web.send(head + b"x")
        answers = parse_all(read_to_end(web.sock))
        assert answers[-1].status == 408 or [r.status for r in answers] == [405], answers
        web = Http(d.connect())
        web.send(head)
        drip(web.sock, b"x")


def test_an_idle_connection_is_closed_without_a_word(daemon):
    d = daemon(http_service(RESPOND_HELLO), timeouts={"idle": SHORT, "header": 60})
    web = Http(d.connect())
    begin = time.monotonic()
    assert web.get("/hello").body == HELLO
    assert web.at_end()
    assert time.monotonic() - begin >= SHORT * 0.8


def test_a_connection_that_never_says_anything_is_closed(daemon):
    d = daemon(http_service(RESPOND_HELLO), timeouts={"header": SHORT, "idle": SHORT})
    before = d.fds()
    s = d.connect()
    got = read_to_end(s)
    assert got == b"" or parse_all(got)[0].status == 408
    s.close()
    wait_until(lambda: d.fds() <= before, what="its descriptor being closed")


def test_output_that_nobody_reads_ends_the_connection(daemon, www):
    folder = www({"big.bin": 20_000_000})
    d = daemon(http_service(root_route(folder), RESPOND_HELLO) + "," + tiny_service("chargen") + "," +
               tiny_service("echo"), timeouts={"send": SHORT, "idle": 60})
    web = Http(d.connect("web"))
    assert web.get("/hello").body == HELLO      # files and pools are warm
    web.close()
    wait_until(lambda: d.fds() == base(d), what="the first connection being closed")
    before = d.fds()
    readers = [d.connect(name, rcvbuf=4096) for name in ("web", "chargen", "echo")]
    readers[0].sendall(request("/big.bin"))
    sender = threading.Thread(target=send_quietly, args=(readers[2], b"e" * 30_000_000))
    sender.start()
    for s in readers[:2]:
        s.recv(1)
    wait_until(lambda: d.fds() <= before + 1, LONG, "connections that nobody reads from being ended")
    sender.join(LONG)
    assert not sender.is_alive()
    assert Http(d.connect("web")).get("/hello").body == HELLO


def base(d):
    """Descriptors without a connection: the least that was seen."""
    d.least = min(getattr(d, "least", 1 << 30), d.fds())
    return d.least


def send_quietly(sock, data):
    try:
        sock.sendall(data)
    except OSError:
        pass


@pytest.fixture
def impatient(daemon, www):
    folder = www({"big.bin": 6_000_000})
    d = daemon(http_service(root_route(folder), RESPOND_HELLO) + "," + tiny_service("echo"),
               timeouts={"header": 4, "body": 60, "idle": 4, "send": 4})
    d.big = (folder / "big.bin").read_bytes()
    return d


def test_active_clients_are_never_cut(impatient):
    failures = []

    def guard(act):
        def run():
            try:
                act()
            except Exception as e:      # a thread has no other way to fail its test
                failures.append(f"{act.__name__}: {e!r}")
        return threading.Thread(target=run)

    def asks_now_and_then():
        web = Http(impatient.connect("web"))
        end = time.monotonic() + 6
        while time.monotonic() < end:
            assert web.get("/hello").body == HELLO
            time.sleep(0.5)

    def reads_slowly_but_steadily():
        web = Http(impatient.connect("web", rcvbuf=16384))
        web.send(request("/big.bin"))
        got = bytearray()
        while len(got) < 2_000_000:
            got += web.sock.recv(20_000)
            time.sleep(0.05)
        web.rest = bytes(got)
        assert web.read().body == impatient.big

    def uploads_slowly():
        web = Http(impatient.connect("web"))
        web.send(request("/hello", "GET", [("Content-Length", "12")]))
        for _ in range(12):
            web.send(b"x")
            time.sleep(0.5)
        assert web.read().body == HELLO
        assert web.get("/hello").body == HELLO

    def echoes_now_and_then():
        s = impatient.connect("echo")
        for _ in range(12):
            s.sendall(b"x")
            assert s.recv(10) == b"x"
            time.sleep(0.5)

    acts = (asks_now_and_then, reads_slowly_but_steadily, uploads_slowly, echoes_now_and_then)
    threads = [guard(act) for act in acts]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures


def test_a_silent_peer_of_a_small_service_is_let_go(daemon):
    names = ("greet", "echo", "discard")
    d = daemon(",".join(tiny_service(n, more='greeting = "hi\\n";' if n == "greet" else "") for n in names),
               timeouts={"idle": SHORT})
    sockets = [(n, d.connect(n)) for n in names]
    for name, s in sockets:
        assert read_to_end(s) == (b"hi\n" if name == "greet" else b""), name


def test_a_refused_client_that_neither_reads_nor_leaves_is_let_go(daemon):
    d = daemon(http_service(RESPOND_HELLO))
    web = Http(d.connect())
    assert web.get("/hello").body == HELLO
    web.close()
    wait_until(lambda: d.fds() == base(d), what="the first connection being closed")
    before = d.fds()
    s = d.connect()
    s.sendall(b"GET /hello HTTP/1.1\r\n\r\n")
    wait_until(lambda: b"400" in s.recv(4096))
    wait_until(lambda: d.fds() <= before, LONG, "the lingering connection being closed")
