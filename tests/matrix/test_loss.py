# SPDX-License-Identifier: BSD-2-Clause
"""Nothing that was accepted or waits is lost, whatever is done to a daemon that runs: the loss meter (meter.py) has
clients of every kind at work meanwhile.

In each run the short form: every operation, and every model once as the old one and once as the new.  With
IOMUXD_LOSS=whole (make check-loss) all pairs of models and all repetitions.  At the end of the run there is a table with
the worst pause that any client saw."""

import itertools
import os
import signal
import time

import pytest

import loss
from client import Http, request
from conftest import configuration, listed_models
from harness import children, fd_count, parent_and_state, private_bytes, stop_process, wait_until
from sites import HELLO, RESPOND_HELLO, http_service, root_route

WHOLE = os.environ.get("IOMUXD_LOSS") == "whole"
DRAIN_S = 120           # more than any download of the meter takes: who is cut by it was forgotten
SETTINGS = "generations = 32;\npoll_interval = 0.001;\n"
LIMITS = {"datagrams_per_address": 0}

pytestmark = pytest.mark.timeout(3600 if WHOLE else 300)

class Rig:
    """A daemon with everything to lose, and its clients."""

    def __init__(self, daemon, tmp_path, record_property, model, workers=2, clients=None):
        self.site = loss.Site(tmp_path)
        self.model, self.workers, self.mark = model, workers, 0
        self.record_property = record_property
        self.d = daemon(config_text=self.text())
        self.d.expect_worker_death()
        web, (echo, udp), greet = self.d.port("web"), self.echoes(), self.d.port("greet")
        plan = self.site.plan({"web": web, "echo": echo, "udp": udp, "greet": greet},
                              clients or loss.BUSY | loss.IDLE | loss.LONG)
        self.meter = loss.Meter(plan)
        self.watch = loss.Watch(self.d.control)

    def echoes(self):
        """The ports of echo, for streams and for datagrams."""
        ports = [a.rsplit(":", 1)[1] for a in self.d.addresses("echo") if not a.startswith("unix:")]
        return [int(port) for port in ports]

    def __enter__(self):
        self.meter.__enter__()
        self.watch.__enter__()
        return self

    def __exit__(self, *_):
        self.watch.__exit__()
        self.meter.__exit__()

    def text(self):
        return configuration(self.site.services(mark=self.mark), self.model, self.workers, {"drain": DRAIN_S}, LIMITS,
                             SETTINGS)

    def reload(self, name, model=None, workers=None, changed=True):
        self.model, self.workers = model or self.model, workers or self.workers
        self.mark += changed
        with self.meter.operation(name):
            self.d.configure(self.text())
            self.d.reload()

    def end(self, title):
        """The clients go; what they have counted."""
        report = self.meter.finish()
        loss.report_table(self.record_property, title, self.meter)
        return report

    def conclude(self, title):
        """Nothing is lost; nobody who kept a connection, not even one who is idle, had to make another; and the daemon has
        counted the same."""
        wait_until(lambda: len(self.watch.look()["generations"]) == 1, 60, "the end of the old workers, who have passed all")
        report = self.end(title)
        loss.check_losses(report)
        assert report["counts"].get("told to close", 0) == 0, report["counts"]
        loss.check_counters(report, self.watch)


@pytest.fixture
def rig(daemon, tmp_path, record_property):
    def make(model, **more):
        return Rig(daemon, tmp_path, record_property, model, **more)

    return make


def models_here(iomuxd_bin):
    wanted = os.environ.get("IOMUXD_MODELS", "").replace(",", " ").split()
    return [name for name, _, yes, _ in listed_models(iomuxd_bin)
            if yes and name != "auto" and (not wanted or name in wanted)]


def circuit(models):
    """A walk from model to model that takes each ordered pair of different ones once: Hierholzer's way through a graph in
    which all are joined."""
    left = {m: [n for n in models if n != m] for m in models}
    stack, walk = [models[0]], []
    while stack:
        if left[stack[-1]]:
            stack.append(left[stack[-1]].pop())
        else:
            walk.append(stack.pop())
    return walk[::-1]


def test_the_walk_takes_every_pair_once():
    models = list("abcdefghi")
    walk = circuit(models)
    assert sorted(itertools.pairwise(walk)) == sorted(itertools.permutations(models, 2))


def test_the_meter_finds_nothing_where_nothing_is_done(rig, plain_model):
    with rig(plain_model) as r:
        with r.meter.operation("nothing"):
            r.meter.more(20)
        r.conclude("nothing is done")


# --- reloads --------------------------------------------------------------------------------------------------------

def test_reloads_lose_nothing(rig, plain_model):
    with rig(plain_model) as r:
        for i in range(20 if WHOLE else 5):
            r.reload("reload", changed=i % 2 == 0)
        r.conclude(f"reloads, {plain_model}")


def test_changing_the_number_of_workers_loses_nothing(rig, plain_model):
    with rig(plain_model, workers=4) as r:
        for workers in (1, 4) * (5 if WHOLE else 1):
            r.reload(f"to {workers} workers", workers=workers)
        r.conclude(f"workers, {plain_model}")


def test_changing_the_model_loses_nothing(rig, iomuxd_bin):
    models = models_here(iomuxd_bin)
    walk = circuit(models) if WHOLE else models + models[:1]
    if len(walk) < 2:
        pytest.skip("only one model can run here")
    with rig(walk[0]) as r:
        for old, new in itertools.pairwise(walk):
            r.reload(f"{old} -> {new}", model=new)
        r.conclude(f"{len(walk) - 1} changes of the model")


@pytest.mark.skipif(not WHOLE, reason="part of the whole matrix: make check-loss")
def test_reloads_lose_nothing_on_any_model(rig, model):
    with rig(model) as r:
        for i in range(20):
            r.reload("reload", changed=i % 2 == 0)
        r.conclude(f"reloads, {model}")


def test_setting_model_and_workers_of_a_running_daemon_loses_nothing(rig, iomuxd_bin):
    models = models_here(iomuxd_bin)
    with rig(models[0]) as r:
        for setting in [f"io_model={m}" for m in models[1::3] + models[:1]] + ["workers=4", "workers=1"]:
            with r.meter.operation(f"set {setting}"):
                done = r.d.ctl("set", setting)
                assert done.returncode == 0, done
        r.conclude("iomuxctl set")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts workers that may less than their master")
def test_a_reload_that_fails_loses_nothing(rig, plain_model, www):
    """The workers of the first pool are ready, and accept, when the one of the second fails.  There are more of them than
    before: who has begun to connect must not have come to a socket that is closed again."""
    closed = www({"a.txt": b"a"}, name="closed")
    closed.chmod(0o700)
    with rig(plain_model) as r:
        r.d.allow_log(".")
        late = f'{{ name = "late"; protocol = "http"; listen = "127.0.0.1:0"; routes = ( {{ path = "/"; root = "{closed}"; }} ); }}'
        pools = (f'pools = ( {{ name = "main"; io_model = "{plain_model}"; workers = 6; services = [ "web", "echo", "greet" ]; }},'
                 f' {{ name = "late"; io_model = "{plain_model}"; workers = 1; services = [ "late" ]; }} );\n')
        text = configuration(r.site.services() + "," + late, plain_model, 1, {"drain": DRAIN_S}, LIMITS, SETTINGS + pools)
        for _ in range(20 if WHOLE else 3):
            with r.meter.operation("a reload that fails"):
                r.d.configure(text)
                done = r.d.ctl("reload")
                assert done.returncode == 1 and "Permission denied" in done.stderr, done
        closed.chmod(0o755)
        r.conclude(f"reloads that fail, {plain_model}")


@pytest.mark.skipif(not WHOLE, reason="part of the whole matrix: make check-loss")
def test_two_hundred_reloads_leave_nothing_behind(rig, plain_model, sanitizer):
    """Memory and descriptors of master and workers, with clients at work."""
    def measure(r):
        wait_until(lambda: len(r.watch.look()["generations"]) == 1 and len(r.d.worker_pids()) == r.workers, 120,
                   "the end of the old workers")
        pids = [r.d.pid] + children(r.d.pid)
        # the fewest of some looks: connections come and go
        return (min(sum(map(fd_count, pids)) for _ in range(50)), fd_count(r.d.pid), private_bytes(r.d.pid))

    with rig(plain_model, clients={"Keep": 4, "Fresh": 2, "SilentWeb": 4, "Datagrams": 1}) as r:
        for _ in range(2):
            r.reload("reload")
        all_before, before, memory = measure(r)
        for _ in range(198):
            r.reload("reload")
        all_after, after, memory_after = measure(r)
        r.conclude(f"200 reloads, {plain_model}: descriptors {all_before}, then {all_after}; the master's memory "
                   f"{memory >> 10} KiB, then {memory_after >> 10}")
        assert after == before and all_after <= all_before + 4, (before, after, all_before, all_after)
        if sanitizer is None:
            assert memory_after <= memory + 256 * 1024, (memory, memory_after)


def ready_worker(d):
    (pid,) = [w["pid"] for w in d.ask("status")["workers"] if w["state"] == "ready"]
    return pid


@pytest.mark.parametrize("left", [False, True], ids=["its place is filled again", "its place is left"])
def test_what_waits_in_an_inbox_outlives_who_was_to_read_it(daemon, www, left):
    """A connection is passed to a worker that is stopped, which then dies: before or after a reload."""
    folder = www({"big.bin": 5_000_000})
    d = daemon(http_service(root_route(folder), RESPOND_HELLO), timeouts={"drain": DRAIN_S})
    d.allow_log("died of signal 9")
    first = d.worker()
    web = Http(d.connect(rcvbuf=4096))
    web.send(request("/big.bin"))
    web.rest = web.sock.recv(1000)
    d.reload()
    second = ready_worker(d)
    stop_process(second)
    assert web.read().body == (folder / "big.bin").read_bytes()
    wait_until(lambda: first not in d.worker_pids(), what="the end of who has passed it")
    if left:
        d.reload()
    os.kill(second, signal.SIGKILL)
    assert web.get("/hello").body == HELLO
    assert d.ask("status")["totals"]["accepted"] == 1


# --- workers that die -----------------------------------------------------------------------------------------------

def stop_worker(r):
    """A worker that is stopped and has clients: its pid, and how many connections it has."""
    worker = max((w for w in r.watch.look()["workers"] if w["state"] == "ready"), key=lambda w: w["connections"])
    stop_process(worker["pid"])
    now = [w["connections"] for w in r.watch.look()["workers"] if w["pid"] == worker["pid"]]
    return worker["pid"], now[0]


def kill_workers(r, times):
    """Each is stopped first, so that it is known which connections it had: all that come later wait in the queues of its
    sockets, and nothing of them may be lost.  Returns when they were stopped, and how many connections they had."""
    deaths = []
    for _ in range(times):
        with r.meter.operation("kill -9 of a worker"):
            before = time.monotonic()
            pid, connections = stop_worker(r)
            stopped = time.monotonic()
            deadline = stopped + 0.05       # long enough for clients to come; no harm if none did
            wait_until(lambda: time.monotonic() > deadline, what="a moment")
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: pid not in r.d.worker_pids() and len(r.d.worker_pids()) == r.workers,
                       what="another worker")
        deaths.append((before, stopped, connections))
    return deaths


def check_deaths(report, deaths):
    """What died with a worker: its connections, and of datagrams those that it had read."""
    streams = [n for n in report["noted"] if n["kind"] != "datagrams"]
    for note in report["noted"]:
        born = note["since"] if note["kind"] == "datagrams" else note["born"]
        assert any(born <= stopped for _, stopped, _ in deaths), note
        assert note["what"] in ("reset", "cut", "dropped", "closed", "unanswered"), note
    assert len(streams) <= sum(connections for _, _, connections in deaths), (report["lost"], deaths)
    for note in streams:                    # between which two deaths it began and ended
        assert any(note["born"] <= stopped and note["at"] >= before for before, stopped, _ in deaths), note


def check_after_deaths(report, r, deaths):
    """A worker that was killed had counted less than its clients: what it did since its latest turn."""
    assert not r.watch.wrong, r.watch.wrong
    totals, mine = loss.ask_control(r.d.control)["totals"], report["counts"]
    connections = sum(n for _, _, n in deaths)
    assert mine["requests"] - len(deaths) * 64 <= totals["requests"] <= mine["requests"] + connections, (totals, mine)


def test_a_worker_that_is_killed_takes_nothing_with_it_but_its_connections(rig, plain_model):
    with rig(plain_model) as r:
        r.d.allow_log("died of signal 9")
        deaths = kill_workers(r, 10 if WHOLE else 3)
        report = r.end(f"kill -9 of workers, {plain_model}")
        check_deaths(report, deaths)
        check_after_deaths(report, r, deaths)


@pytest.mark.skipif(not WHOLE, reason="part of the whole matrix: make check-loss")
def test_a_worker_of_any_model_that_is_killed(rig, model):
    with rig(model) as r:
        r.d.allow_log("died of signal 9")
        deaths = kill_workers(r, 10)
        report = r.end(f"kill -9 of workers, {model}")
        check_deaths(report, deaths)
        check_after_deaths(report, r, deaths)


# --- the master dies ------------------------------------------------------------------------------------------------

KEPT = {"keep", "keep, Unix socket", "pipeline", "idle", "idle, Unix socket", "echo", "echo, Unix socket",
        "echo, one session", "idle echo", "greet", "greet, one session"}


def may_end(note, killed):
    """Without a master workers end: who has nothing to wait for is let go, who comes later finds nobody."""
    if note["what"] in ("refused", "unanswered") or note["born"] >= killed - 2:
        return True
    return note["kind"] in KEPT and (note["what"] != "cut" or note["kind"] not in ("keep", "pipeline"))


def test_workers_without_a_master_finish_what_they_have(rig, plain_model):
    """Nobody starts the daemon again here, so whoever comes is refused; but what had begun is answered."""
    with rig(plain_model) as r:
        r.meter.more()
        workers = r.d.worker_pids()
        r.d.expect_status(-signal.SIGKILL)
        r.watch.gaps = True
        killed = time.monotonic()
        os.kill(r.d.pid, signal.SIGKILL)
        r.d.wait()
        report = r.end(f"kill -9 of the master, {plain_model}")
        loss.check_losses(report, allowed=lambda n: may_end(n, killed))
        for pid in workers:
            wait_until(lambda: parent_and_state(pid)[1] in "XZ", 60, "the end of the workers")
