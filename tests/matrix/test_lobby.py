# SPDX-License-Identifier: BSD-2-Clause
"""Kept connections outlive the daemon: stopped or killed, it leaves them to the next one, whatever I/O model that has.
What is busy follows when it is not."""

import os
import signal
import socket

import pytest

from client import Http, read_exactly, request
from conftest import configuration
from harness import take_descriptors, wait_until
from sites import HELLO, RESPOND_HELLO, http_service, root_route, tiny_service

BIG = 6 << 20               # bytes: more than sockets hold of it
PATIENT = {"drain": 60, "header": 120, "idle": 120}     # seconds: nothing ends by time on a machine that is busy
CALM = "poll_interval = 0.001;\n"


def services(www, name="web"):
    return ",".join((http_service(root_route(www), RESPOND_HELLO, name=name),
                     tiny_service("greet", more='greeting = "hello\\n";'), tiny_service("echo")))


@pytest.fixture
def site(www):
    return services(www({"big": BIG}))


@pytest.fixture
def start(daemon, keeper):
    def begin(text, settings=CALM, **more):
        d = keeper.start(daemon, text, timeouts=PATIENT, settings=settings, **more)
        wait_until(lambda: len(keeper.lobbies()) > 0, what="the lobby being kept")
        return d
    return begin


def stopped(d):
    assert d.stop() == 0


def killed(d):
    d.signal(signal.SIGKILL)
    d.wait()
    d.expect_status(-9)


def totals(d):
    return d.ask("status")["totals"]


def gone(pids):
    wait_until(lambda: not any(os.path.exists(f"/proc/{p}") for p in pids), what="the end of the workers before")


class Sessions:
    """One of each kind, between two messages; `half` is in the middle of a request, and `silent`, who has said nothing yet,
    waits in a worker or in the queue of the socket (TCP_DEFER_ACCEPT)."""

    def __init__(self, d):
        self.idle, self.half, self.silent = (Http(d.connect("web")) for _ in range(3))
        self.greet, self.echo = d.connect("greet"), d.connect("echo")
        assert read_exactly(self.greet, 6) == b"hello\n"
        self.count, self.asked, self.round = 5, 0, 0
        self.answer(d)

    def answer(self, d):
        self.round += 1
        for web in (self.idle, self.half):
            answer = web.get("/hello")
            assert answer.body == HELLO and answer.get("connection") is None
            self.asked += 1
        self.greet.sendall(b"round %d\n" % self.round)
        d.wait_log(f'says "round {self.round}"')
        self.echo.sendall(b"echo %d" % self.round)
        assert read_exactly(self.echo, 6) == b"echo %d" % self.round

    def begin(self):
        self.half.send(request("/hello")[:-7])

    def end(self):
        self.half.send(request("/hello")[-7:])
        assert self.half.read().body == HELLO
        self.asked += 1

    def last(self):
        assert self.silent.get("/hello").body == HELLO
        self.asked += 1


def test_sessions_go_on_in_the_next_daemon(start, site, model, others):
    """To another model and back."""
    other = next(m for m in others if m != model)
    d = start(site, model=model)
    sessions = Sessions(d)
    for end, then in ((stopped, other), (killed, model)):
        sessions.begin()
        workers = d.worker_pids()
        end(d)
        gone(workers)
        d = start(site, model=then)
        sessions.end()
        sessions.answer(d)
    sessions.last()
    wait_until(lambda: totals(d)["requests"] >= sessions.asked, what="all requests being counted")
    sum_of = totals(d)
    assert sum_of["accepted"] == sessions.count
    assert 2 * (sessions.count - 1) <= sum_of["taken_over"] == sum_of["passed_on"] <= 2 * sessions.count
    assert sum_of["closed"] == sum_of["resets"] == sum_of["refused"] == 0
    assert d.ask("status")["connections"] == sessions.count


@pytest.mark.parametrize("end", (stopped, killed))
def test_workers_without_descriptors_leave_what_they_have(start, site, end):
    same = CALM + ('user = "root"; group = "root";\n' if os.geteuid() == 0 else "")     # to set the limit of a worker
    d = start(site, settings=same)
    webs = [Http(d.connect("web")) for _ in range(4)]
    for web in webs:
        assert web.get("/hello").body == HELLO
    workers = d.worker_pids()
    for pid in workers:
        take_descriptors(pid)
    d.allow_log("Too many open files")
    end(d)
    gone(workers)
    d = start(site)
    for web in webs:
        assert web.get("/hello").body == HELLO
    wait_until(lambda: totals(d)["taken_over"] == len(webs), what="all being counted")


def test_what_is_sent_meanwhile_is_answered(start, site, plain_model):
    d = start(site)
    webs = [Http(d.connect("web")) for _ in range(8)]
    for web in webs:
        assert web.get("/hello").body == HELLO
    stopped(d)
    for web in webs:
        web.send(request("/hello") * 2)
    d = start(site)
    for web in webs:
        assert web.read().body == web.read().body == HELLO


def begin_download(d):
    web = Http(d.connect("web", rcvbuf=4096))
    web.send(request("/big"))
    web.rest = web.sock.recv(1000)
    return web


def end_download(web):
    web.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    answer = web.read()
    assert len(answer.body) == BIG and answer.get("connection") is None


def test_who_is_busy_follows_behind_his_answer(start, site, model):
    """The master dies; the next one reloads, and dies too, while an answer is still being given by the first's worker."""
    d = start(site)
    early, late = begin_download(d), begin_download(d)
    workers = d.worker_pids()
    killed(d)
    d = start(site)
    end_download(early)
    assert early.get("/hello").body == HELLO
    d.configure(configuration(site, model, 2, PATIENT, None, CALM))
    d.reload()
    killed(d)
    d = start(site)
    end_download(late)
    for web in (early, late):
        assert web.get("/hello").body == HELLO
    gone(workers)
    wait_until(lambda: d.ask("status")["connections"] == 2, what="both being at home")


def test_who_is_busy_when_it_stops_finishes_first(start, site, plain_model):
    d = start(site)
    web = begin_download(d)
    d.signal(signal.SIGTERM)
    d.wait_log("SIGTERM: stopping")
    end_download(web)
    web.send(request("/hello"))
    assert d.wait() == 0
    start(site)
    assert web.read().body == HELLO


def test_hundreds_wait_at_once_and_are_spread(start, site, plain_model):
    d = start(site, workers=1)
    webs = [Http(d.connect("web")) for _ in range(900)]
    for web in webs:
        assert web.get("/hello").body == HELLO
    stopped(d)
    d = start(site, workers=2)
    for web in webs:
        assert web.get("/hello").body == HELLO
    d.wait_log("900 connections of the daemon before went on")
    assert min(w["taken_over"] for w in d.ask("status")["workers"]) > 60, "they are spread"
    assert totals(d)["closed"] == 0


def test_a_start_that_fails_takes_nobody_along(start, daemon, keeper, site, plain_model):
    d = start(site)
    sessions = Sessions(d)
    stopped(d)
    failed = keeper.start(daemon, 'no = "configuration";', ready=False)
    failed.wait()
    failed.expect_status(1)
    sessions.answer(start(site))


def test_whose_service_is_no_more_is_ended(start, keeper, site, www, plain_model):
    d = start(site)
    sessions = Sessions(d)
    stopped(d)
    d = start(services(www({}), name="other"))
    d.wait_log("notice master: [23] connections of the daemon before ended: no service goes on with them")
    assert sessions.idle.at_end() and sessions.half.at_end()
    sessions.echo.sendall(b"still")
    assert read_exactly(sessions.echo, 5) == b"still"
    wait_until(lambda: len(keeper.lobbies()) == 1, what="the end of the lobby before")


def test_who_stops_for_good_keeps_nobody_waiting(start, site, plain_model):
    """By iomuxctl or by the terminal: no service manager starts it again."""
    for end in (lambda d: d.ctl("stop"), lambda d: d.signal(signal.SIGINT)):
        d = start(site)
        web, busy = Http(d.connect("web")), begin_download(d)
        assert web.get("/hello").body == HELLO
        end(d)
        assert web.at_end()
        assert d.alive()
        busy.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        assert len(busy.read().body) == BIG
        assert busy.at_end()
        assert d.wait() == 0


def test_the_lobby_of_a_daemon_goes_with_it_over_a_reload(start, keeper, site, plain_model):
    d = start(site)
    sessions = Sessions(d)
    d.configure(configuration(site, plain_model, 3, PATIENT, None, CALM))
    d.reload()
    sessions.answer(d)
    lobbies = keeper.lobbies()
    stopped(d)
    assert keeper.lobbies() == lobbies
    sessions.answer(start(site))
