# SPDX-License-Identifier: BSD-2-Clause
"""Stopping under load: what has begun is finished, what is idle is let go, and the exit status is 0."""

import signal
import socket
import subprocess
import threading
import time

import h11
import pytest

from client import Http, read_to_end, request
from harness import wait_until
from sites import HELLO, RESPOND_HELLO, http_service, root_route, tiny_service

pytestmark = pytest.mark.usefixtures("model")

DRAIN = 60          # seconds


@pytest.fixture
def site(daemon, www):
    folder = www({"mid.bin": 100_000, "big.bin": 20_000_000})
    d = daemon(http_service(root_route(folder), RESPOND_HELLO) + "," + tiny_service("echo"), workers=2,
               timeouts={"drain": DRAIN})
    d.mid = (folder / "mid.bin").read_bytes()
    d.big = (folder / "big.bin").read_bytes()
    return d


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_under_load_cuts_no_answer(site, number):
    failures, served = [], [0] * 50

    def hammer(i, web):
        target, body = (("/hello", HELLO), ("/mid.bin", site.mid))[i % 2]
        try:
            while True:
                try:
                    web.send(request(target))
                    web.rest = web.sock.recv(65536)
                except (ConnectionResetError, BrokenPipeError):
                    break           # no byte of an answer had come: the request never began
                if not web.rest:
                    break
                r = web.read()
                assert (r.status, r.body) == (200, body), r
                served[i] += 1
                if (r.get("connection") or "").lower() == "close":
                    assert web.at_end()
                    break
        except (h11.RemoteProtocolError, OSError, AssertionError) as e:
            failures.append(f"client {i} after {served[i]} answers: {e!r}")
        web.close()

    clients = [Http(site.connect("web")) for _ in range(50)]
    threads = [threading.Thread(target=hammer, args=(i, web)) for i, web in enumerate(clients)]
    for t in threads:
        t.start()
    wait_until(lambda: failures or min(served) >= 3, what="all clients being served")
    begin = time.monotonic()
    assert site.stop(number, timeout=DRAIN + 20) == 0
    seconds = time.monotonic() - begin
    for t in threads:
        t.join(30)
    assert not failures, "\n".join(failures)
    assert seconds < DRAIN / 2, f"nothing needed the drain time, and it took {seconds:.1f} s"


def test_a_download_in_progress_is_finished_before_the_end(site):
    web = Http(site.connect("web", rcvbuf=65536))
    web.send(request("/big.bin"))
    web.rest = web.sock.recv(1000)
    site.signal(signal.SIGTERM)
    site.wait_log("master: SIGTERM: stopping")
    assert web.read().body == site.big
    assert web.at_end()
    assert site.wait() == 0


def test_new_connections_are_refused_while_others_are_finished(site):
    web = Http(site.connect("web", rcvbuf=65536))
    web.send(request("/big.bin"))
    web.rest = web.sock.recv(1000)
    site.signal(signal.SIGTERM)
    wait_until(lambda: refuses(site.port("web")), DRAIN / 2, "connections being refused")
    assert site.alive(), "it is over already"
    assert web.read().body == site.big
    assert site.wait() == 0


def test_idle_connections_do_not_hold_up_the_end(site):
    clients = [Http(site.connect("web")) for _ in range(30)]
    for web in clients:
        assert web.get("/hello").body == HELLO
    silent = [site.connect("web") for _ in range(3)]
    begin = time.monotonic()
    assert site.stop() == 0
    assert time.monotonic() - begin < DRAIN - 1
    for web in clients:
        assert web.at_end()
    assert len(silent) == 3


def test_a_client_that_never_finishes_is_cut_at_the_drain_time(daemon, www):
    folder = www({"big.bin": 50_000_000})
    d = daemon(http_service(root_route(folder)) + "," + tiny_service("chargen"), timeouts={"drain": 1})
    web = Http(d.connect("web", rcvbuf=4096))
    web.send(request("/big.bin"))
    web.rest = web.sock.recv(1000)
    begin = time.monotonic()
    assert d.stop() == 0
    assert 0.8 < time.monotonic() - begin < 20


def test_echo_ends_cleanly_and_loses_nothing_that_it_took(site):
    s = site.connect("echo")
    s.sendall(b"before")
    assert s.recv(6) == b"before"
    site.signal(signal.SIGTERM)
    assert read_to_end(s) == b""
    s.close()
    assert site.wait() == 0


def test_a_second_signal_ends_at_once(daemon, www):
    folder = www({"big.bin": 50_000_000})
    d = daemon(http_service(root_route(folder)), timeouts={"drain": 60})
    web = Http(d.connect(rcvbuf=4096))
    web.send(request("/big.bin"))
    web.rest = web.sock.recv(1000)
    d.signal(signal.SIGTERM)
    d.wait_log("master: SIGTERM: stopping")
    begin = time.monotonic()
    while True:             # one that comes within milliseconds is taken for the same wish
        d.signal(signal.SIGTERM)
        try:
            d.process.wait(0.2)
            break
        except subprocess.TimeoutExpired:
            assert time.monotonic() - begin < 30
    d.expect_status(d.wait())
    assert d.status in (0, 1)


def refuses(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return True
    return False
