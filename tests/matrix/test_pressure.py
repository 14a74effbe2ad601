# SPDX-License-Identifier: BSD-2-Clause
"""Clients that read late, close half, or leave in the middle: memory stays bounded and every byte arrives."""

import socket
import time

import pytest

from client import Http, read_exactly, read_to_end, request
from harness import wait_until
from sites import HELLO, RESPOND_HELLO, http_service, root_route, tiny_service

pytestmark = pytest.mark.usefixtures("model")

MB = 1 << 20
PADDING = 8000      # bytes of a query: the buffers of the kernel hold few requests then


@pytest.fixture
def site(daemon, www, calm):
    folder = www({"page.bin": 16_000, "mid.bin": 300_000, "big.bin": 5_000_000})
    d = daemon(http_service(root_route(folder), RESPOND_HELLO) + "," + tiny_service("echo"), settings=calm,
               timeouts={"send": 300})
    d.page = (folder / "page.bin").read_bytes()
    d.mid = (folder / "mid.bin").read_bytes()
    d.big = (folder / "big.bin").read_bytes()
    return d


def send_until_blocked(sock, data, quiet=0.5):
    """Sends until the peer has not taken a byte for `quiet` seconds; returns how much went out."""
    sock.setblocking(False)
    sent, last = 0, time.monotonic()
    while sent < len(data) and time.monotonic() - last < quiet:
        try:
            sent += sock.send(data[sent:sent + 65536])
            last = time.monotonic()
        except BlockingIOError:
            time.sleep(0.005)
    sock.settimeout(30)
    return sent


def test_a_slow_reader_of_many_files_costs_no_memory_and_gets_every_byte(site, sanitizer):
    clients = [Http(site.connect("web", rcvbuf=8192)) for _ in range(10)]
    before = site.private()
    for web in clients:
        web.send(request("/mid.bin") * 20)
    for web in clients:
        web.rest = web.sock.recv(1)      # the first answer has begun, all requests are in the server's hands
    wait_until(site.quiet, what="the worker waiting for its readers")
    grown = site.private() - before
    bound = 16 * MB if sanitizer is None else 64 * MB
    assert grown < bound, f"10 slow readers of 6 MB each cost {grown} bytes"
    for web in clients:
        for i in range(20):
            assert web.read().body == site.mid, f"answer {i}"
    assert site.private() - before < bound


def test_requests_without_reading_block_the_sender_and_all_are_answered_then(site, sanitizer):
    web = Http(site.connect("web", rcvbuf=16384))
    web.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    one = request("/page.bin?" + "x" * PADDING)
    data = one * 20_000
    before = site.private()
    sent = send_until_blocked(web.sock, data)
    assert sent < len(data), f"the server took {sent} bytes of requests although nobody reads its answers"
    assert site.private() - before < (4 if sanitizer is None else 32) * MB
    for _ in range(sent // len(one)):
        assert web.read().body == site.page
    if sent % len(one):
        web.send(one[sent % len(one):])
        assert web.read().body == site.page
    assert web.get("/hello").body == HELLO and web.rest == b""


def test_echo_without_reading_blocks_the_sender_and_returns_every_byte_then(site, sanitizer):
    s = site.connect("echo", rcvbuf=32768)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    data = site.big * 8
    before = site.private()
    sent = send_until_blocked(s, data)
    assert sent < len(data)
    assert site.private() - before < (4 if sanitizer is None else 32) * MB
    s.shutdown(socket.SHUT_WR)
    assert read_to_end(s) == data[:sent]


def test_a_request_followed_by_half_close_gets_its_whole_answer(site):
    for target, body in (("/hello", HELLO), ("/mid.bin", site.mid), ("/big.bin", site.big)):
        web = Http(site.connect("web"))
        web.send(request(target))
        web.sock.shutdown(socket.SHUT_WR)
        assert web.read().body == body and web.at_end(), target


def test_pipelined_requests_followed_by_half_close_are_all_answered(site):
    web = Http(site.connect("web", rcvbuf=8192))
    web.send(request("/mid.bin") * 10 + request("/hello") * 50)
    web.sock.shutdown(socket.SHUT_WR)
    for _ in range(10):
        assert web.read().body == site.mid
    for _ in range(50):
        assert web.read().body == HELLO
    assert web.at_end()


def test_an_unfinished_request_followed_by_half_close_ends_the_connection(site):
    for data in (b"", b"G", b"GET /hello HTTP/1.1\r\nHost: x\r\n",
                 request("/hello", "POST", [("Content-Length", "10")]) + b"x"):
        s = site.connect("web")
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        got = read_to_end(s)
        assert got == b"" or got.startswith(b"HTTP/1.1 4"), got


def test_echo_returns_the_tail_after_a_half_close(site):
    for data in (b"", b"x", b"tail", site.mid, site.big):
        s = site.connect("echo")
        s.settimeout(30)
        sent = 0
        got = bytearray()
        s.setblocking(False)
        deadline = time.monotonic() + 60
        while sent < len(data):         # both ways at once: echo may not take more before its answer is read
            assert time.monotonic() < deadline
            try:
                sent += s.send(data[sent:sent + 65536])
            except BlockingIOError:
                pass
            try:
                got += s.recv(65536)
            except BlockingIOError:
                pass
        s.setblocking(True)
        s.settimeout(30)
        s.shutdown(socket.SHUT_WR)
        got += read_to_end(s)
        assert bytes(got) == data
        s.close()


def test_clients_that_reset_in_the_middle_leave_nothing_behind(site):
    before = site.fds()
    for i in range(200):
        s = site.connect("web" if i % 2 else "echo", rcvbuf=4096)
        s.sendall(request("/big.bin") * 3)
        if i % 3 == 0:
            read_exactly(s, 100)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        s.close()
    wait_until(lambda: site.fds() <= before + 2, what="all descriptors being closed")
    assert Http(site.connect("web")).get("/hello").body == HELLO
