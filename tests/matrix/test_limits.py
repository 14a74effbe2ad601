# SPDX-License-Identifier: BSD-2-Clause
"""What happens when there is no more: connections, descriptors."""

import contextlib
import re
import select
import time

import h11
import pytest

from client import Http, request
from conftest import configuration
from harness import wait_until
from sites import HELLO, RESPOND_HELLO, http_service, root_route, tiny_service

pytestmark = pytest.mark.usefixtures("model")


def readable(sock, seconds):
    return bool(select.select([sock], [], [], seconds)[0])


def echoes(sock, byte):
    sock.sendall(byte)
    return sock.recv(1) == byte


def test_the_connection_above_the_limit_waits_until_another_leaves(daemon, calm):
    d = daemon(tiny_service("echo"), limits={"connections": 10}, settings=calm)
    first = [d.connect() for _ in range(10)]
    for s in first:
        assert echoes(s, b"a")
    waiting = [d.connect() for _ in range(3)]
    for s in waiting:
        s.sendall(b"w")
    assert not readable(waiting[0], 0.5), "more connections are served than the limit says"
    for s in first:
        assert echoes(s, b"b"), "those that are there are served on"
    for s in list(waiting):
        first.pop().close()
        wait_until(lambda: any(readable(w, 0) for w in waiting), what="a free place being used")
        served = next(w for w in waiting if readable(w, 0))
        assert served.recv(1) == b"w"
        waiting.remove(served)
        first.append(served)
    assert not waiting
    busy = d.cpu()
    time.sleep(0.5)     # the span over which the CPU time is measured
    assert d.cpu() - busy < 0.1, "the worker spins at its limit"


def test_the_limit_counts_the_connections_of_all_services(daemon):
    d = daemon(http_service(RESPOND_HELLO) + "," + tiny_service("echo"), limits={"connections": 4})
    webs = [Http(d.connect("web")) for _ in range(2)]
    for web in webs:
        assert web.get("/hello").body == HELLO
        web.send(b"GET /hello HTTP/1.1\r\n")        # busy from now on: it does not give way
    others = [d.connect("echo") for _ in range(2)]
    for s in others:
        assert echoes(s, b"x")
    late_echo = d.connect("echo")
    late_echo.sendall(b"y")
    assert not readable(late_echo, 0.3), "it should wait: it cannot be told anything"
    late_web = Http(d.connect("web"))
    late_web.send(request("/hello"))
    assert late_web.read().status == 503
    others[0].close()
    assert late_echo.recv(1) == b"y"
    for web in webs:
        web.send(b"Host: x\r\n\r\n")
        assert web.read().body == HELLO


def test_a_house_that_took_over_more_than_it_holds_still_answers_newcomers(daemon, model, plain_model, calm):
    """Another model has let in more than the next one is to carry: who comes then is told so, and nobody spins."""
    site, patient = http_service(RESPOND_HELLO), {"header": 120, "idle": 120, "drain": 120}
    d = daemon(site, model=plain_model, timeouts=patient)
    idle = [Http(d.connect()) for _ in range(60)]
    for web in idle:
        assert web.get("/hello").body == HELLO
    d.configure(configuration(site, model, 1, patient, {"connections": 16}, calm))
    d.reload()
    wait_until(lambda: [w["state"] for w in d.ask("status")["workers"]] == ["ready"], what="the end of the old worker")
    wait_until(lambda: d.ask("status")["connections"] >= 32, what="the new one being full")
    late = Http(d.connect())
    late.send(request("/hello"))
    assert late.read().status == 503
    busy = d.cpu()
    time.sleep(1.0)     # the span over which the CPU time is measured
    assert d.cpu() - busy < 0.3, "the worker spins when it carries all that it can"
    for web in idle:
        web.close()
    wait_until(lambda: d.ask("status")["connections"] == 0, what="everybody having left")
    assert Http(d.connect()).get("/hello").body == HELLO


def asked_again(d, web):
    """Who was refused comes again."""
    web.close()
    web = Http(d.connect())
    with contextlib.suppress(OSError):
        web.send(request("/hello"))
    return web


def test_running_out_of_descriptors_neither_spins_nor_deafens(daemon, www, calm):
    folder = www({"a.html": b"a\n"})
    d = daemon(http_service(root_route(folder), RESPOND_HELLO), nofile=40, settings=calm)
    d.allow_log("[Tt]oo many open files|descriptors")
    for _ in range(2):      # it happens again and again
        clients = [Http(d.connect()) for _ in range(100)]
        for web in clients:
            try:
                web.send(request("/hello"))
            except OSError:
                pass        # refused: as good as waiting
        answered = set()

        def ten_answered():
            for i, web in enumerate(clients):
                if web not in answered and readable(web.sock, 0):
                    try:
                        r = web.read()
                        assert r.status == 503 or r.body == HELLO
                        if r.status == 200:
                            answered.add(web)
                            continue
                    except (h11.RemoteProtocolError, OSError):
                        pass            # refused
                    clients[i] = asked_again(d, web)
            return len(answered) >= 10

        wait_until(ten_answered, what="ten clients being served, for which 40 descriptors are enough,")
        busy = d.cpu()
        time.sleep(1.0)     # the span over which the CPU time is measured
        assert d.cpu() - busy < 0.3, "the worker spins without descriptors"
        for web in clients:
            web.close()

        def served():
            web = Http(d.connect())
            try:
                web.send(request("/hello"))
                if web.read().status == 200:
                    return web
            except (h11.RemoteProtocolError, OSError):
                pass            # refused
            return web.close()
        web = wait_until(served, what="a client being served after all have left")
        assert web.get("/a.html").status == 200
        web.close()
    said = re.findall(r"^.*(?:[Tt]oo many open files|descriptors).*$", d.log(), re.M)
    assert 1 <= len(said) <= 6, said


def test_files_without_descriptors_are_an_error_of_the_server_and_pass(daemon, www):
    folder = www({f"{i}.bin": 100_000 for i in range(60)})
    d = daemon(http_service(root_route(folder), RESPOND_HELLO), nofile=40)
    d.allow_log("[Tt]oo many open files|descriptors")
    web = Http(d.connect())
    for _ in range(3):
        for i in range(60):
            r = web.get(f"/{i}.bin")
            assert (r.status, len(r.body)) == (200, 100_000), \
                f"{i}: remembered files must not use up the descriptors"
