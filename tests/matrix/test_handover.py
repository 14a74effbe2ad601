# SPDX-License-Identifier: BSD-2-Clause
"""Connections outlive the worker that accepted them: whatever the models of the old and the new one, a client notices
nothing, and its session goes on where it was."""

import os
import resource
import signal
import socket

import pytest

from client import Http, read_exactly, request
from conftest import binary_path, configuration, model_params
from harness import stop_process, stopped, take_descriptors, wait_until
from sites import HELLO, RESPOND_HELLO, http_service, root_route, tiny_service

BIG = 6 << 20               # bytes: more than sockets hold of it
CHARGEN_LINE = 74
PATIENT = {"drain": 120, "header": 120, "idle": 120, "send": 120}    # seconds: nothing ends by time on a machine that is busy


def services(www, name="web", greeting="hello\\n"):
    return ",".join((http_service(root_route(www), RESPOND_HELLO, name=name),
                     tiny_service("greet", more=f'greeting = "{greeting}";'),
                     tiny_service("echo"), tiny_service("discard"), tiny_service("chargen")))


@pytest.fixture
def site(www):
    return services(www({"big": BIG, "small": b"small"}))


def workers(d, state=None):
    return [w for w in d.ask("status")["workers"] if state is None or w["state"] == state]


def totals(d):
    return d.ask("status")["totals"]


def reload_to(d, text, model, count=1, settings="", **timeouts):
    d.configure(configuration(text, model, count, {**PATIENT, **timeouts}, None, settings))
    d.reload()


def wait_gone(d, why="the end of the old workers"):
    wait_until(lambda: not workers(d, "draining"), what=why)


def ring_line(n):
    printable = bytes(range(32, 127)) * 2
    return printable[n % 95:n % 95 + 72] + b"\r\n"


class Sessions:
    """One connection of each kind, each in the middle of its life."""

    def __init__(self, d):
        self.d, self.round = d, 0
        self.idle = Http(d.connect("web"))
        self.half = Http(d.connect("web"))
        self.silent = Http(d.connect("web"))
        self.busy = Http(d.connect("web", rcvbuf=4096))
        self.greet, self.echo, self.discard = d.connect("greet"), d.connect("echo"), d.connect("discard")
        self.chargen, self.line = d.connect("chargen", rcvbuf=4096), 0
        assert read_exactly(self.greet, 6) == b"hello\n"
        self.served = 0
        self.everything()

    def count(self):
        return 8

    def say(self, text):
        self.greet.sendall(text.encode() + b"\n")
        self.d.wait_log(f'says "{text}"')

    def everything(self):
        """All of them work, and are idle behind it but for a half request, the download and the generator."""
        self.round += 1
        for web in (self.idle, self.half, self.busy) if self.round == 1 else (self.idle, self.half):
            answer = web.get("/hello")
            assert answer.body == HELLO and answer.get("connection") is None
            self.served += 1
        self.say(f"round {self.round}")
        self.echo.sendall(b"echo %d" % self.round)
        assert read_exactly(self.echo, 6) == b"echo %d" % self.round
        self.discard.sendall(b"x" * 10)
        self.lines(5)

    def lines(self, n):
        for _ in range(n):
            assert read_exactly(self.chargen, CHARGEN_LINE) == ring_line(self.line)
            self.line += 1

    def begin(self):
        """What is to be under way while the worker goes."""
        self.half.send(request("/hello")[:-7])
        self.busy.send(request("/big"))
        self.first = self.busy.sock.recv(1000)

    def end(self):
        self.half.send(request("/hello")[-7:])
        assert self.half.read().body == HELLO
        self.busy.rest = self.first
        self.busy.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        answer = self.busy.read()
        assert len(answer.body) == BIG and answer.get("connection") is None
        self.served += 2

    def after(self):
        """The next requests of those that were busy go to the next worker."""
        assert self.busy.get("/small").body == b"small"
        self.served += 1
        if self.round == 2:
            assert self.silent.get("/hello").body == HELLO
            self.served += 1


def passes(d, sessions, change):
    sessions.begin()
    change()
    sessions.end()
    sessions.everything()
    sessions.after()
    for _ in range(1200):               # the generator fills what sockets hold: it is passed when that is read
        if not workers(d, "draining"):
            break
        sessions.lines(200)
    wait_gone(d)
    sessions.everything()


MODELS = [(m.values[0], m.marks) for m in model_params(binary_path())]
PAIRS = [pytest.param(a, b, id=f"{a}-{b}", marks=list(ma) + list(mb))
         for a, ma in MODELS for b, mb in MODELS if a < b]


@pytest.mark.parametrize("old, new", PAIRS)
def test_all_sessions_go_on_between_two_models_and_back(daemon, site, old, new):
    d = daemon(site, model=old, settings="poll_interval = 0.001;\n", timeouts=PATIENT)
    sessions = Sessions(d)
    passes(d, sessions, lambda: reload_to(d, site, new, settings="poll_interval = 0.001;\n"))
    passes(d, sessions, lambda: reload_to(d, site, old, settings="poll_interval = 0.001;\n"))
    # Who says nothing may not have been accepted yet when the first worker goes (TCP_DEFER_ACCEPT).
    sum_of = wait_until(lambda: (t := totals(d))["passed_on"] == t["taken_over"] and t["requests"] == sessions.served and t,
                        what="equal counts, and all requests counted")
    assert sum_of["passed_on"] in (15, 16)
    assert sum_of["accepted"] == 8
    assert sum_of["resets"] == sum_of["timeouts"] == sum_of["closed"] == 0
    assert d.log().count(" left") == 0


def on_worker(d, name):
    return [c for c in d.ask("connections")["connections"] if c["worker"] == name]


def pid_of(d, name):
    (pid,) = {w["pid"] for w in workers(d, "ready") if w["worker"] == name}
    return pid


def sessions_on(d, name, count):
    """Greeted sessions of one worker: connections that others accepted are given up."""
    mine = {}
    while len(mine) < count:
        s = d.connect("greet")
        assert read_exactly(s, 6) == b"hello\n"
        peer = "127.0.0.1:%d" % s.getsockname()[1]
        mine[peer] = s
        there = wait_until(lambda: [c["worker"] for c in d.ask("connections")["connections"] if c["peer"] == peer],
                           what="the connection being listed")
        if there != [name]:
            mine.pop(peer).close()
    wait_until(lambda: len(d.ask("connections")["connections"]) == count, what="the end of the others")
    return list(mine.values())


def still_heard(d, sessions, word):
    for i, s in enumerate(sessions):
        s.sendall(b"%s %d\n" % (word.encode(), i))
    for i in range(len(sessions)):
        d.wait_log(f'says "{word} {i}"')


def test_a_drained_worker_passes_what_it_has_to_the_others(daemon, site, model):
    d = daemon(site, workers=2, settings="poll_interval = 0.001;\n", timeouts=PATIENT)
    sessions = Sessions(d)
    d.expect_worker_death()
    for name in ("main.0", "main.1"):
        passes(d, sessions, lambda name=name: d.ctl("drain", name))
    assert totals(d)["resets"] == totals(d)["closed"] == 0


def test_hundreds_of_idle_connections_are_passed_at_once(daemon, site, model):
    d = daemon(site, workers=1, settings="poll_interval = 0.001;\n", timeouts=PATIENT)
    webs = [Http(d.connect("web")) for _ in range(150)]
    for web in webs:
        assert web.get("/hello").body == HELLO
    reload_to(d, site, model, 2, settings="poll_interval = 0.001;\n")
    wait_gone(d)
    for web in webs:
        assert web.get("/hello").body == HELLO
    there = {w["worker"]: w["taken_over"] for w in workers(d, "ready")}
    assert sum(there.values()) == 150 and min(there.values()) > 40, "they are spread"


def test_a_smaller_house_goes_on_with_all_whom_a_larger_one_let_in(daemon, site, model):
    if model == "aio":
        pytest.skip("aio has threads for so many, no more")
    count = 1100 if model in ("epoll", "poll") else 150     # more descriptors than a house of 20 has use for
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 2 * count + 200:
        pytest.skip("too few descriptors")
    settings = "poll_interval = 0.001;\nlimits = {{ connections = {}; }};\n"
    d = daemon(site, settings=settings.format(count + 50), timeouts=PATIENT)
    webs = [Http(d.connect("web")) for _ in range(count)]
    for web in webs:
        assert web.get("/hello").body == HELLO
    reload_to(d, site, model, settings=settings.format(20))
    wait_gone(d)
    for web in webs:
        assert web.get("/hello").body == HELLO
    sum_of = totals(d)
    assert sum_of["taken_over"] == count and sum_of["refused"] == sum_of["closed"] == 0


# --- nothing is lost with a process ---------------------------------------------------------------------------------

def test_what_waits_for_a_worker_that_dies_is_taken_over_by_the_next(daemon, site, plain_model):
    d = daemon(site, workers=2, settings="poll_interval = 0.001;\n", timeouts=PATIENT)
    sessions = sessions_on(d, "main.0", 6)
    heir = pid_of(d, "main.1")
    stop_process(heir)
    assert d.ctl("drain", "main.0").returncode == 0
    wait_gone(d)                        # half of them wait for the one that is stopped
    d.expect_worker_death()
    d.allow_log("died of signal 9")
    os.kill(heir, signal.SIGKILL)
    wait_until(lambda: totals(d)["taken_over"] == 6, what="all being taken over")
    still_heard(d, sessions, "alive")


def test_what_waits_for_a_worker_that_has_no_successor_is_passed_on(daemon, site, plain_model):
    d = daemon(site, workers=2, settings="poll_interval = 0.001;\n", timeouts=PATIENT)
    sessions = sessions_on(d, "main.0", 6)
    heir = pid_of(d, "main.1")
    stop_process(heir)
    assert d.ctl("drain", "main.0").returncode == 0
    wait_gone(d)
    d.allow_log("died of signal 9")
    d.expect_worker_death()
    reload_to(d, site, plain_model, 1, settings="poll_interval = 0.001;\n")
    os.kill(heir, signal.SIGKILL)       # it never heard that it is to go
    wait_gone(d)
    wait_until(lambda: len(on_worker(d, "main.0")) == 6, what="all being at the new worker")
    still_heard(d, sessions, "alive")


def test_who_is_passed_to_a_worker_without_descriptors_waits_for_one(daemon, www, model):
    """Meanwhile that serves whom it has."""
    files = 40              # which stay open, so that models that poll may wait for all others
    same = 'user = "root"; group = "root";\n' if os.geteuid() == 0 else ""      # to set the limit of a worker
    d = daemon(http_service(root_route(www({f"{i}.bin": 200_000 for i in range(files)})), RESPOND_HELLO),
               workers=2, timeouts=PATIENT, settings="poll_interval = 0.001;\n" + same)
    clients = {"main.0": [], "main.1": []}
    while min(map(len, clients.values())) < 6:
        web = Http(d.connect())
        assert web.get("/hello").body == HELLO
        peer = f"127.0.0.1:{web.sock.getsockname()[1]}"
        clients[next(c["worker"] for c in d.ask("connections")["connections"] if c["peer"] == peer)].append(web)
    heir, other = pid_of(d, "main.1"), clients["main.1"][0]
    for i in range(files):
        assert len(other.get(f"/{i}.bin").body) == 200_000
    limits = take_descriptors(heir)
    d.expect_worker_death()
    d.allow_log("Too many open files")
    assert d.ctl("drain", "main.0").returncode == 0
    wait_gone(d)                        # it has passed half of them to the one without descriptors
    half = len(clients["main.0"]) // 2
    for _ in range(50):
        assert other.get("/hello").body == HELLO
    wait_until(lambda: totals(d)["taken_over"] >= half, what="the other half being taken over")
    assert totals(d)["taken_over"] <= half + 1
    resource.prlimit(heir, resource.RLIMIT_NOFILE, limits)
    for web in clients["main.0"]:
        assert web.get("/hello").body == HELLO
    assert totals(d)["taken_over"] == len(clients["main.0"])


def test_a_worker_without_descriptors_passes_what_it_has(daemon, www, model, plain_model):
    """It is told of its heirs by a descriptor for each."""
    files = 40              # which stay open, so that models that poll may wait for all others
    same = 'user = "root"; group = "root";\n' if os.geteuid() == 0 else ""      # to set the limit of a worker
    text = http_service(root_route(www({f"{i}.bin": 200_000 for i in range(files)})), RESPOND_HELLO)
    settings = "poll_interval = 0.001;\n" + same
    d = daemon(text, timeouts=PATIENT, settings=settings)
    webs = [Http(d.connect()) for _ in range(10)]
    for i in range(files):
        assert len(webs[0].get(f"/{i}.bin").body) == 200_000
    for web in webs:
        assert web.get("/hello").body == HELLO
    take_descriptors(d.worker())
    d.allow_log("Too many open files")
    reload_to(d, text, plain_model, 12, settings=settings)
    wait_gone(d)
    for web in webs:
        assert web.get("/hello").body == HELLO
    there = totals(d)
    assert there["taken_over"] == 10 and there["closed"] == 0


def test_a_worker_that_did_not_read_for_a_while_passes_what_it_has(daemon, site, plain_model):
    """What it is to be told waits until it reads, also over exec."""
    settings = "watchdog = 0;\n"
    d = daemon(site, timeouts=PATIENT, settings=settings)
    sessions, worker = Sessions(d), d.worker()

    def change():
        with stopped(worker):
            d.tell_workers(400)
            reload_to(d, site, plain_model, settings=settings)
            reload_to(d, site, plain_model, settings=settings)
            assert worker in [w["pid"] for w in workers(d, "draining")]

    passes(d, sessions, change)
    assert totals(d)["closed"] == 0 and "cannot be told" not in d.log()


def test_many_pools_of_many_services_are_told_of_as_heirs(daemon, www, plain_model):
    """That takes more words than a channel holds."""
    pools, groups = 20, 16      # services are told of by 16, and each pool has one of each 16
    def listed(pool):
        return ", ".join(f'"web{16 * group + pool % 16}"' for group in range(groups))

    text = ",".join(http_service(RESPOND_HELLO, name=f"web{i}") for i in range(16 * groups))
    settings = "watchdog = 0;\npools = ( " + ", ".join(
        f'{{ name = "p{i}"; io_model = "{plain_model}"; workers = 1; services = [ {listed(i)} ]; }}' for i in range(pools)) + " );\n"
    d = daemon(text, model=None, timeouts=PATIENT, settings=settings)
    webs = [Http(d.connect(f"web{i}")) for i in range(0, 16 * groups, 16)]
    for web in webs:
        assert web.get("/hello").body == HELLO
    first = [w["pid"] for w in workers(d) if w["worker"] in ("p0.0", "p16.0")]
    with stopped(first[0]), stopped(first[1]):
        reload_to(d, text, None, settings=settings)
    wait_gone(d)
    for web in webs:
        assert web.get("/hello").body == HELLO
    assert totals(d)["taken_over"] == len(webs) and "cannot be told" not in d.log()


def test_sessions_go_on_over_many_generations(daemon, site, others):
    d = daemon(site, workers=3, timeouts=PATIENT, settings="generations = 32;\n")
    sessions = Sessions(d)
    for i in range(12):
        reload_to(d, site, others[i % 2], 1 + i % 3, settings="generations = 32;\n")
        sessions.say(f"generation {i}")
        assert sessions.idle.get("/hello").body == HELLO
        sessions.lines(3)
    for _ in range(1200):
        if not workers(d, "draining"):
            break
        sessions.lines(200)
    wait_gone(d)
    sessions.everything()
    sum_of = wait_until(lambda: (t := totals(d))["passed_on"] == t["taken_over"] and t, what="equal counts")
    assert sum_of["closed"] == sum_of["resets"] == 0 and sum_of["accepted"] in (7, 8)


# --- what cannot be passed -------------------------------------------------------------------------------------------

def asked_until_told(web):
    """A thread of the model blocking may hear that its worker goes while it answers."""
    def told():
        answer = web.get("/hello")
        assert answer.body == HELLO
        return answer.get("connection") == "close"

    wait_until(told, what="the last answer")
    assert web.at_end()


def test_who_has_no_heir_is_told_so_with_his_next_answer(daemon, site, www, model):
    d = daemon(site, timeouts=PATIENT)
    idle, busy = Http(d.connect("web")), Http(d.connect("web", rcvbuf=4096))
    assert idle.get("/hello").body == HELLO
    busy.send(request("/big"))
    first = busy.sock.recv(1000)
    reload_to(d, services(www({}), name="other"), model)
    asked_until_told(idle)
    busy.rest = first
    busy.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    assert len(busy.read().body) == BIG
    asked_until_told(busy)
    idle.close()
    busy.close()
    wait_gone(d)


def test_who_is_idle_and_has_no_heir_ends_with_his_idle_time(daemon, site, www, plain_model):
    d = daemon(site, timeouts={**PATIENT, "idle": 1})
    idle = Http(d.connect("web"))
    assert idle.get("/hello").body == HELLO
    reload_to(d, services(www({}), name="other"), plain_model, idle=1)
    assert idle.at_end()
    wait_gone(d)


def test_a_stop_does_not_wait_for_who_was_to_stay(daemon, site, www, plain_model):
    d = daemon(site, timeouts=PATIENT)
    idle = Http(d.connect("web"))
    assert idle.get("/hello").body == HELLO
    reload_to(d, services(www({}), name="other"), plain_model)
    assert len(workers(d, "draining")) == 1
    assert d.stop(timeout=20) == 0
    assert idle.at_end()


def test_the_client_that_a_proxy_named_stays_the_same(daemon, others):
    text = tiny_service("greet", more='greeting = "hello\\n"; proxy_protocol = true; trusted = "127.0.0.0/8";')
    d = daemon(text, timeouts=PATIENT)
    named, unnamed = d.connect("greet"), d.connect("greet")
    named.sendall(b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 80\r\nfirst\n")
    unnamed.sendall(b"PROXY TCP4 192.0.2.8 192")
    d.wait_log(r'192\.0\.2\.7:4711 says "first"')
    reload_to(d, text, others[1])
    wait_gone(d)
    named.sendall(b"second\n")
    d.wait_log(r'192\.0\.2\.7:4711 says "second"')
    unnamed.sendall(b".0.2.1 4712 80\r\nthird\n")
    d.wait_log(r'192\.0\.2\.8:4712 says "third"')


def test_one_service_of_two_pools_goes_on_in_either(daemon, site, others):
    def pools(first, second):
        return (f'pools = ( {{ name = "a"; io_model = "{first}"; workers = 1; services = [ "web", "greet" ]; }},'
                f' {{ name = "b"; io_model = "{second}"; workers = 1;'
                f' services = [ "web", "echo", "discard", "chargen" ]; }} );\n')

    d = daemon(site, settings=pools(others[0], others[1]), model=None, timeouts=PATIENT)
    sessions = Sessions(d)
    passes(d, sessions, lambda: reload_to(d, site, None, settings=pools(others[1], others[0])))
    assert all(c["worker"] == "a.0" for c in d.ask("connections")["connections"] if c["service"] == "greet")
    assert totals(d)["closed"] == 0
