# SPDX-License-Identifier: BSD-2-Clause
"""No model may lose a wakeup, a byte or a descriptor, however irregular its clients are.

IOMUXD_STRESS_S is how long each stress lasts (seconds), IOMUXD_SEED repeats one that failed."""

import os
import random
import socket
import threading
import time

import pytest

from client import Http, parse_all, read_to_end, request
from harness import wait_until
from sites import HELLO, RESPOND_HELLO, http_service, root_route, tiny_service
from swarm import RESET, Swarm

SECONDS = float(os.environ.get("IOMUXD_STRESS_S", "3"))
CONNECTIONS = 200
GARBAGE = 2000

pytestmark = [pytest.mark.usefixtures("model"), pytest.mark.timeout(SECONDS * 4 + 180)]


@pytest.fixture
def seed():
    value = int(os.environ.get("IOMUXD_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"IOMUXD_SEED={value}")
    return value


@pytest.fixture
def site(daemon, www):
    folder = www({"mid.bin": 100_000})
    d = daemon(http_service(root_route(folder), RESPOND_HELLO) + "," + tiny_service("echo"))
    assert Http(d.connect("web")).get("/mid.bin").status == 200
    d.close_sockets()
    d.mid = (folder / "mid.bin").read_bytes()
    return d


def all_given_back(d, before):
    wait_until(lambda: d.fds() <= before, 30, f"the worker being back at {before} descriptors")


def descriptors_at_rest(d):
    """Looked at twice: a model that polls is never quiet."""
    before = -1

    def settled():
        nonlocal before
        before, now = d.fds(), before
        return before == now

    wait_until(settled, what="the worker holding the same descriptors for a while", pause=0.3)
    return before


def test_echo_under_random_load_returns_every_byte(site, seed):
    before = descriptors_at_rest(site)
    swarm = Swarm(("127.0.0.1", site.port("echo")), seed, CONNECTIONS)
    swarm.run(SECONDS)
    print(f"{swarm.done} connections, {swarm.bytes} bytes")
    assert swarm.done >= CONNECTIONS
    all_given_back(site, before)


def test_echo_under_random_load_with_resets_beside_returns_every_byte(site, seed):
    before = descriptors_at_rest(site)
    swarm = Swarm(("127.0.0.1", site.port("echo")), seed, CONNECTIONS, reset_share=0.3)
    swarm.run(SECONDS)
    print(f"{swarm.done} connections, {swarm.resets} resets, {swarm.bytes} bytes")
    assert swarm.done >= CONNECTIONS / 2 and swarm.resets > 10
    all_given_back(site, before)


def test_a_storm_of_short_connections_is_served_to_the_last(site):
    before = descriptors_at_rest(site)
    failures, counts = [], []
    end = time.monotonic() + min(SECONDS, 5)

    def storm(i):
        rng, n = random.Random(i), 0
        try:
            while n < 50 or time.monotonic() < end:
                with socket.create_connection(("127.0.0.1", site.port("web")), 30) as s:
                    kind = rng.randrange(5)
                    if kind == 0:
                        s.sendall(request("/hello", headers=[("Connection", "close")]))
                        (r,) = parse_all(read_to_end(s))
                        assert r.body == HELLO
                    elif kind == 1:
                        assert Http(s).get("/mid.bin").body == site.mid
                    elif kind == 2:
                        s.sendall(request("/mid.bin"))
                        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    elif kind == 3:
                        pass
                    else:
                        s.sendall(request("/hello"))
                        s.shutdown(socket.SHUT_WR)
                        (r,) = parse_all(read_to_end(s))
                        assert r.body == HELLO
                n += 1
        except Exception as e:      # a thread has no other way to fail its test
            failures.append(f"{i}, connection {n}: {e!r}")
        counts.append(n)

    threads = [threading.Thread(target=storm, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print(f"{sum(counts)} connections")
    assert not failures, "\n".join(failures)
    all_given_back(site, before)


def mutated(rng):
    """A request, or several, with some bytes changed, doubled, dropped or exchanged."""
    data = bytearray(rng.choice((
        request("/hello"), request("/mid.bin", headers=[("Range", "bytes=5-500"), ("If-None-Match", '"x"')]),
        request("/hello", "POST", [("Transfer-Encoding", "chunked")]) +
        b"5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n",
        request("/hello", "POST", body=b"some bytes") * 3,
        request("/a/../b%20c?d=e", "HEAD", [("Expect", "100-continue")]),
        request("http://test:80/hello", version="1.0") + request("/hello"))))
    for _ in range(rng.randint(0, 6)):
        at, kind = rng.randrange(len(data) + 1), rng.randrange(4)
        piece = rng.choice((b"\r\n", b"\n", b"\r", b"\0", b" ", b":", b"%", b"\xff", b"\r\n\r\n", b"a" * 9000,
                            bytes([rng.randrange(256)])))
        if kind == 0:
            data[at:at] = piece
        elif kind == 1:
            data[at:at + len(piece)] = piece[:20]
        elif kind == 2:
            del data[at:at + rng.randint(1, 20)]
        else:
            data[at:at] = data[at:at + rng.randint(1, 50)]
    return bytes(data)


def throw(d, rng, name):
    """One connection with garbage in random pieces; returns what came back."""
    data = rng.randbytes(rng.randint(1, 3000)) if rng.random() < 0.3 else mutated(rng)
    with socket.create_connection(("127.0.0.1", d.port(name)), 30) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while data:
                n = rng.choice((1, 5, 50, len(data)))
                s.sendall(data[:n])
                data = data[n:]
            if rng.random() < 0.2:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                return
            s.shutdown(socket.SHUT_WR)
            read_to_end(s)      # a connection that is stuck here runs into the socket's timeout
        except (BrokenPipeError, ConnectionResetError):
            pass
        except OSError as e:
            if e.errno != 107:      # ENOTCONN: reset before the shutdown
                raise


def test_garbage_neither_crashes_nor_leaks_nor_gets_stuck(site, seed, sanitizer):
    before = descriptors_at_rest(site)
    memory = None
    for i in range(GARBAGE):
        throw(site, random.Random(f"{seed} {i}"), "web" if i % 10 else "echo")
        if i == GARBAGE // 2:
            memory = site.private()
    assert Http(site.connect("web")).get("/hello").body == HELLO
    site.close_sockets()
    all_given_back(site, before)
    if sanitizer is None:       # a sanitizer keeps what was freed for a while
        assert site.private() - memory < 4 << 20, "the memory grows with each connection"
