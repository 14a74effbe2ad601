# SPDX-License-Identifier: BSD-2-Clause
"""Pools: workers with several I/O models and services in one daemon.

Who serves a connection is seen in /proc: the socket at the server's end is a descriptor of one worker."""

import os
import random
import re
import select
import signal
import socket
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

import pytest

from client import Http, read_exactly, read_to_end
from conftest import listed_models
from harness import stopped, title, told_manager, wait_until
from models import MODELS
from sites import RESPOND_HELLO, HELLO, file_site, http_service, tiny_service
from swarm import Swarm

ECHO = tiny_service("echo")
PIECE = random.Random(5).randbytes(1 << 14)
SPREAD = 60             # connections: that one of three equal workers gets none of them happens once in 10^10
KILLED = "died of signal 9"


# --- pools as configuration, and who is who ---------------------------------------------------------------------

def pool(name, **settings):
    def value(v):
        return str(v) if isinstance(v, int) else f'"{v}"' if isinstance(v, str) else \
            "[ " + ", ".join(f'"{x}"' for x in v) + " ]"

    return f'{{ name = "{name}"; ' + " ".join(f"{k} = {value(v)};" for k, v in settings.items()) + " }"


def pools(*those, more="poll_interval = 0.001;"):
    """Without the pause a worker of the model nonblocking would use up the CPU that the others need."""
    return f"{more}\npools = ( {', '.join(those)} );\n"


def started(d, last):
    d.wait_log(f"ready: pool {last}, ")
    return d


def workers(d):
    """{"main.0": pid}: the latest of each name."""
    return {name: int(pid) for name, pid in re.findall(r"worker (\S+) \(pid (\d+)\): ready", d.log())}


def sockets_of(pid):
    found = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{fd}")
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            found.add(int(target[8:-1]))
    return found


def tcp_table():
    """[(local port, peer's port, state, inode)] of IPv4, without those that only wait for time to pass (state 6): there
    may be many thousands of them."""
    rows = re.findall(r"^ *\d+: \w+:(\w+) \w+:(\w+) (?!06)(\w+) (?:\S+ +){5}(\d+)", Path("/proc/net/tcp").read_text(),
                      re.M)
    return [(int(local, 16), int(peer, 16), int(state, 16), int(inode)) for local, peer, state, inode in rows]


def servers(d, sockets):
    """The names of the workers that have the other ends of these connections, in their order."""
    inodes = {(local, peer): inode for local, peer, _, inode in tcp_table()}
    holders = {inode: name for name, pid in workers(d).items() for inode in sockets_of(pid)}
    return [holders[inodes[s.getpeername()[1], s.getsockname()[1]]] for s in sockets]


def pool_of(name):
    return name.rsplit(".", 1)[0]


def echoed(s, data=b"hello"):
    s.sendall(data)
    return read_exactly(s, len(data)) == data


def connected(d, service, count):
    """So many connections that have been accepted: each has had a byte back."""
    made = [d.connect(service) for _ in range(count)]
    assert all(echoed(s) for s in made)
    return made


@pytest.fixture
def partner(model, others):
    """Another model, to stand beside the one of the test."""
    return next(m for m in others if m != model)


# --- a service in several pools ---------------------------------------------------------------------------------

def test_two_pools_share_a_service(daemon, model, partner):
    d = started(daemon(ECHO, settings=pools(pool("main", io_model=partner, workers=2),
                                            pool("trial", io_model=model, workers=1))), "trial")
    made = connected(d, "echo", SPREAD)
    assert set(servers(d, made)) == {"main.0", "main.1", "trial.0"}
    for s in made:
        s.shutdown(socket.SHUT_WR)
        assert read_to_end(s) == b""


def test_an_address_is_announced_once_and_each_pool_when_all_are_ready(daemon, model, partner):
    d = started(daemon(http_service(RESPOND_HELLO) + "," + ECHO, workers=2,
                       settings=pools(pool("main", io_model=partner), pool("trial", io_model=model, workers=1),
                                      pool("third", io_model=model, workers=3, services="web"))), "third")
    words = re.findall(r"^\S+Z (?:notice ((?:listening|ready): .*)|info (worker) .*: ready)$", d.log(), re.M)
    assert [w for _, w in words] == ["worker"] * 6 + [""] * 5
    said = [w for w, _ in words[6:]]
    assert [w.split(" ")[1] for w in said[:2]] == ["web", "echo"]
    assert said[2:] == [f"ready: pool main, model {partner}, 2 workers", f"ready: pool trial, model {model}, 1 worker",
                        f"ready: pool third, model {model}, 3 workers"]
    assert sorted(workers(d)) == ["main.0", "main.1", "third.0", "third.1", "third.2", "trial.0"]


def test_titles_show_pool_and_model(daemon, needs, model, partner):
    needs("libbsd")
    d = started(daemon(ECHO, settings=pools(pool("main", io_model=partner), pool("trial", io_model=model))), "trial")
    shown = {title(pid).split("\0")[0].strip() for pid in workers(d).values()}
    assert shown == {f"iomuxd: worker main.0 ({partner})", f"iomuxd: worker trial.0 ({model})"}


def test_a_unix_socket_is_shared_by_pools_of_all_kinds(daemon, model, partner):
    with tempfile.TemporaryDirectory(prefix="iomuxd-") as folder:
        os.chmod(folder, 0o755)
        d = started(daemon(tiny_service("echo", listen=f"unix:{folder}/e"),
                           settings=pools(pool("main", io_model=partner, workers=2),
                                          pool("trial", io_model=model, workers=2),
                                          pool("again", io_model=model, workers=1))), "again")
        made = []
        for i in range(50):
            s = socket.socket(socket.AF_UNIX)
            made.append(s)
            s.settimeout(30)
            s.connect(f"{folder}/e")
            if i % 3 == 0:
                assert echoed(s)
        assert all(echoed(s, b"again") for s in made)
        for s in made:
            s.close()
        assert d.stop() == 0
        assert not os.path.exists(f"{folder}/e")


def test_a_unix_socket_is_served_where_no_pool_can_share(daemon, model):
    with tempfile.TemporaryDirectory(prefix="iomuxd-") as folder:
        os.chmod(folder, 0o755)
        d = started(daemon(tiny_service("echo", listen=f"unix:{folder}/e"),
                           settings=pools(pool("one", io_model=model, workers=2),
                                          pool("two", io_model=model, workers=2))), "two")
        for victim in ("one.0", None):
            for _ in range(20):
                with socket.socket(socket.AF_UNIX) as s:
                    s.settimeout(30)
                    s.connect(f"{folder}/e")
                    assert echoed(s)
            if victim:
                kill_and_wait(d, victim)


def test_datagrams_are_spread_over_all_pools(daemon, model, partner):
    d = started(daemon(tiny_service("echo", listen="udp:127.0.0.1:0"), limits={"datagrams_per_address": 0},
                       settings=pools(pool("main", io_model=partner), pool("trial", io_model=model))), "trial")
    clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(SPREAD)]

    def waiting(name):
        """Bytes that wait in the worker's socket, which is its own."""
        rows = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
        (queue,) = [r[4] for r in rows if int(r[9]) in sockets_of(workers(d)[name])]
        return int(queue.split(":")[1], 16)

    with stopped(workers(d)["trial.0"]):
        for i, s in enumerate(clients):
            s.settimeout(30)
            s.connect(("127.0.0.1", d.port("echo")))
            s.send(b"%d" % i)
        assert waiting("trial.0") > 0
        assert select.select(clients, [], [], 30)[0], "the other pool does not answer"
    for i, s in enumerate(clients):
        assert s.recv(100) == b"%d" % i
        s.close()


# --- services apart ---------------------------------------------------------------------------------------------

def test_each_pool_serves_its_own_and_holds_nothing_of_the_others(daemon, www, model, partner):
    site = www({"index.html": b"of the web"})
    d = started(daemon(file_site(site) + "," + ECHO,
                       settings=pools(pool("files", io_model=partner, services="web"),
                                      pool("trial", io_model=model, workers=2, services=["echo"]))), "trial")
    assert set(servers(d, connected(d, "echo", SPREAD))) == {"trial.0", "trial.1"}
    browser = d.connect("web")
    assert Http(browser).get("/").body == b"of the web"
    assert servers(d, [browser]) == ["files.0"]
    for service, names in (("web", {"files.0"}), ("echo", {"trial.0", "trial.1"})):
        listeners = {inode for local, _, state, inode in tcp_table() if local == d.port(service) and state == 10}
        assert len(listeners) == len(names)
        held = [name for name, pid in workers(d).items() for _ in listeners & sockets_of(pid)]
        assert sorted(held) == sorted(names), "a worker has another one's listener"
    for name, pid in workers(d).items():
        opened = {os.path.realpath(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
        assert (str(site) in opened) == (name == "files.0")


def test_a_service_may_be_in_one_pool_alone_and_in_all(daemon, model, partner):
    services = ",".join(tiny_service("echo", name=n) for n in ("a", "b", "both"))
    d = started(daemon(services, settings=pools(pool("one", io_model=partner, services=["both", "a"]),
                                                pool("two", io_model=model, services=["b", "both"]))), "two")
    assert set(servers(d, connected(d, "a", 10))) == {"one.0"}
    assert set(servers(d, connected(d, "b", 10))) == {"two.0"}
    assert set(servers(d, connected(d, "both", SPREAD))) == {"one.0", "two.0"}


# --- life and death ---------------------------------------------------------------------------------------------

def kill_and_wait(d, name):
    """Returns when the place has a new worker that is ready."""
    before = workers(d)
    d.expect_worker_death()
    d.allow_log(rf"worker {name} \(pid {before[name]}\): {KILLED}")
    os.kill(before[name], signal.SIGKILL)
    wait_until(lambda: workers(d)[name] != before[name], what=f"a new {name}")
    after = workers(d)
    assert {n: p for n, p in after.items() if n != name} == {n: p for n, p in before.items() if n != name}


def test_a_worker_that_is_killed_is_replaced_in_its_pool_and_the_others_go_on(daemon, model, partner):
    d = started(daemon(ECHO, settings=pools(pool("main", io_model=partner, workers=2),
                                            pool("trial", io_model=model, workers=1))), "trial")
    for name in ("trial.0", "main.1"):
        made = connected(d, "echo", SPREAD)
        owners = servers(d, made)
        kill_and_wait(d, name)
        assert all(echoed(s, b"still here") for s, owner in zip(made, owners) if owner != name)
        for s in (s for s, owner in zip(made, owners) if owner == name):
            with pytest.raises((ConnectionResetError, AssertionError)):
                echoed(s)
        assert set(servers(d, connected(d, "echo", SPREAD))) == {"main.0", "main.1", "trial.0"}
        d.close_sockets()


def test_all_pools_drain_and_end(daemon, model, partner):
    d = started(daemon(ECHO, settings=pools(pool("main", io_model=partner), pool("trial", io_model=model, workers=2))),
                "trial")
    made = connected(d, "echo", SPREAD)
    assert len(set(servers(d, made))) == 3
    d.signal(signal.SIGTERM)
    for s in made:
        s.shutdown(socket.SHUT_WR)
        assert read_to_end(s) == b""
    assert d.wait() == 0
    assert re.search(rf"stopped: {SPREAD} connections", d.log())


def test_the_access_log_of_all_pools_is_opened_again(daemon, tmp_path, model, partner):
    log = tmp_path / "access"
    d = started(daemon(http_service(RESPOND_HELLO), settings=f'access_log : {{ target = "file:{log}"; }};\n' +
                       pools(pool("main", io_model=partner), pool("trial", io_model=model))), "trial")
    made = [d.connect("web") for _ in range(SPREAD)]
    browsers = [Http(s) for s in made]
    assert all(b.get("/hello").body == HELLO for b in browsers)
    assert set(servers(d, made)) == {"main.0", "trial.0"}
    wait_until(lambda: log.read_text().count("\n") == SPREAD, what="the first lines")
    log.rename(tmp_path / "old")
    d.signal(signal.SIGUSR1)
    d.wait_log("SIGUSR1: log files are open again")
    assert all(b.get("/hello").body == HELLO for b in browsers)
    wait_until(lambda: log.read_text().count("\n") == SPREAD, what="the lines in the new file")


def test_systemd_is_told_of_each_pool(daemon, needs, others, tmp_path):
    needs("systemd")
    one, two = others[:2]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(tmp_path / "notify"))
        s.settimeout(30)
        daemon(ECHO, settings=pools(pool("main", io_model=one, workers=2), pool("trial", io_model=two)),
               env={"NOTIFY_SOCKET": str(tmp_path / "notify")})
        assert told_manager(s) == "READY=1\nSTATUS=Serving: 3 of 3 workers ready; " \
                                  f"main: 2 of 2, model {one}; trial: 1 of 1, model {two}, 0 connections, generation 1"


# --- settings ---------------------------------------------------------------------------------------------------

def test_auto_is_chosen_for_each_pool_and_logged(daemon, iomuxd_bin, others):
    available = {name for name, _, yes, _ in listed_models(iomuxd_bin) if yes}
    chosen = next(name for name, m in MODELS.items() if m.auto and name in available)
    named = others[-1]
    d = started(daemon(ECHO, model="auto", settings=pools(pool("main"), pool("named", io_model=named),
                                                          pool("other", io_model="auto"))), "other")
    assert re.findall(r'pool (\S+): io_model "auto" takes (\w+)', d.log()) == [("main", chosen), ("other", chosen)]
    assert re.findall(r"ready: pool (\S+), model (\w+),", d.log()) == \
        [("main", chosen), ("named", named), ("other", chosen)]


def test_a_shortage_of_descriptors_is_said_once(daemon):
    d = started(daemon(ECHO + "," + tiny_service("time"), nofile=256, limits={"connections": 10000},
                       settings=pools(pool("main", services=["echo", "time"], workers=2),
                                      pool("few", services="echo"))), "few")
    assert len(re.findall(r"limits\.connections: 190 for each worker instead of 10000", d.log())) == 1


def test_mistakes_are_named_with_their_place(iomuxd_bin, plain, tmp_path):
    config = tmp_path / "c"
    config.write_text(f"{plain} services = ( {ECHO},\n{tiny_service('time')} );\n"
                      'pools = ( { name = "main"; services = [ "ehco" ]; },\n'
                      '{ name = "main"; io_model = "epol"; } );\n')
    done = subprocess.run([iomuxd_bin, "-c", config], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    said = done.stderr.splitlines()
    assert said[:2] == [
        f'{config}:3: pools.[0].services.[0]: must be the name of a service, not "ehco"; did you mean \'echo\'?',
        f'{config}:4: pools.[1].name: "main" is taken: each pool has a name of its own']
    assert said[2].startswith(f'{config}:4: pools.[1].io_model: "epol" cannot be used: there is no such model')
    done = subprocess.run([iomuxd_bin, "-c", config, "-o", "pools.[0].services=echo", "-o", "pools.[1]=" +
                           '{ name = "b"; services = "echo"; }'], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == \
        (1, f'{config}:2: services.[1]: "time" is in no pool, so nobody would serve it\n')


def test_options_reach_pools_by_number_and_by_name(daemon, others):
    one, two = others[:2]
    d = started(daemon(ECHO, settings=pools(pool("main", io_model=one), pool("trial", io_model=one)),
                       options=["-o", f"pools.[0].io_model={two}", "-o", "pools.trial.workers=3"]), "trial")
    assert re.findall(r"ready: (pool .*)", d.log()) == [f"pool main, model {two}, 1 worker",
                                                        f"pool trial, model {one}, 3 workers"]


def test_a_start_that_fails_in_one_pool_fails_whole_and_says_so_once(daemon, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o700)
    if os.geteuid() != 0:
        pytest.skip("needs root, whose workers are another account")
    d = daemon(ECHO + "," + http_service(f'{{ path = "/"; root = "{locked}"; }}'), ready=False, workers=3,
               settings=pools(pool("main", services="echo"), pool("trial"), pool("more")))
    d.allow_log("locked|failed with status 1|the start failed")
    d.expect_status(1)
    assert d.wait() == 1
    assert len(re.findall(r"worker \S+ \(pid \d+\): ready", d.log())) == 3
    assert len(re.findall("failed with status 1", d.log())) == 1
    assert "worker trial.0" in d.log() and "trial.1" not in d.log() and "more" not in d.log()


# --- all at once ------------------------------------------------------------------------------------------------

@pytest.fixture
def everything(daemon, iomuxd_bin):
    """One pool for each model that can run here, the same service in all."""
    names = [name for name, _, available, _ in listed_models(iomuxd_bin) if available]
    d = daemon(ECHO, settings=pools(*(pool(n, io_model=n) for n in names)), limits={"connections": 600})
    return started(d, names[-1]), names


def test_all_models_serve_side_by_side(everything):
    d, names = everything
    made = connected(d, "echo", 500)
    shares = Counter(pool_of(n) for n in servers(d, made))
    assert set(shares) == set(names), shares
    for i, s in enumerate(made):
        assert echoed(s, PIECE[i:]), f"other bytes from {servers(d, [s])}"
    for s in made:
        s.shutdown(socket.SHUT_WR)
    assert all(read_to_end(s) == b"" for s in made)


def test_no_byte_is_lost_between_all_models(everything):
    d, _ = everything
    swarm = Swarm(("127.0.0.1", d.port("echo")), seed=9, count=500)
    swarm.run(3)
    assert swarm.done >= 500 and swarm.bytes > 0
