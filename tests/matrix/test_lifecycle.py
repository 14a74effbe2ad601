# SPDX-License-Identifier: BSD-2-Clause
"""Master and workers: starting whole or not at all, dying and coming back, privileges, sockets, logs, signals.
How connections fare when the daemon stops is in test_stop.py."""

import contextlib
import grp
import os
import pwd
import re
import signal
import socket
import stat
import subprocess
import time
from pathlib import Path

import pytest

from client import Http, read_exactly, request
from harness import DROPPED_ENV, children, cpu_seconds, free_port, stop_process, told_manager, wait_until
from sites import HELLO, RESPOND_HELLO, http_service, root_route, tiny_service

SITE = http_service(RESPOND_HELLO) + "," + tiny_service("echo")
KILLED = r"died of signal 9"
ROOT = os.geteuid() == 0


def echoes(d, service="echo"):
    s = d.connect(service)
    s.sendall(b"are you there?")
    return read_exactly(s, 14) == b"are you there?"


def gone(pid):
    """True when a process is no more, or only waits for its parent to notice."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return text[text.rindex(")") + 2] in "ZX"


def other_worker(d, old):
    """The pid of the only worker if it is none of the old ones and has said that it is ready."""
    ready = {int(pid) for pid in re.findall(r"info worker \S+ \(pid (\d+)\): ready", d.log())}
    pids = [p for p in d.worker_pids() if p not in old and p in ready]
    return pids[0] if len(pids) == 1 else None


def shown(pid):
    """The title as ps shows it; what is left of the command line stands behind a NUL, or is blank."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode().rstrip()


def kill_worker(d, pid):
    d.expect_worker_death()
    d.allow_log(KILLED)
    os.kill(pid, signal.SIGKILL)


# --- starting ---------------------------------------------------------------------------------------------------

def test_start_says_where_it_listens_and_then_that_it_is_ready(daemon, model):
    d = daemon(http_service(RESPOND_HELLO) + "," + tiny_service("echo", listen="[::1]:0"), workers=2)
    words = re.findall(r"^\S+Z notice ((?:listening|ready): .*)$", d.log(), re.M)
    assert re.fullmatch(r"listening: web 127\.0\.0\.1:[1-9]\d* \(http\)", words[0])
    assert re.fullmatch(r"listening: echo \[::1\]:[1-9]\d* \(echo\)", words[1])
    assert words[2:] == [f"ready: pool main, model {model}, 2 workers"]


def test_titles_show_the_roles(daemon, needs, model):
    needs("libbsd")
    d = daemon(SITE, workers=2)
    assert shown(d.pid) == "iomuxd: master"
    assert sorted(shown(p) for p in d.worker_pids()) == [f"iomuxd: worker main.{i} ({model})" for i in range(2)]


def test_every_worker_gets_connections(daemon):
    d = daemon(SITE, workers=3)
    peers = {}
    for _ in range(200):
        s = d.connect("echo")
        s.sendall(b"x")
        assert s.recv(1) == b"x"
    for pid in d.worker_pids():
        peers[pid] = len([f for f in os.listdir(f"/proc/{pid}/fd")
                          if os.readlink(f"/proc/{pid}/fd/{f}").startswith("socket:")])
    assert len(peers) == 3 and min(peers.values()) > 20, peers


def test_workers_auto_is_one_for_each_processor(daemon, plain):
    d = daemon(config_text=f"{plain} services = ( {SITE} );")
    assert len(d.worker_pids()) == len(os.sched_getaffinity(0))


def test_a_worker_holds_no_descriptor_of_another(daemon):
    d = daemon(SITE, workers=4)
    counts = {len(os.listdir(f"/proc/{p}/fd")) for p in d.worker_pids()}
    assert len(counts) == 1, counts


def test_a_busy_port_fails_the_start_and_harms_nobody(daemon):
    first = daemon(SITE, workers=2)
    address = first.addresses("echo")[0]
    second = daemon(http_service(RESPOND_HELLO) + "," + tiny_service("echo", listen=address), workers=2, ready=False)
    second.allow_log(r"listen ")
    second.expect_status(1)
    assert second.wait() == 1
    assert re.search(rf"{second.config}:\d+: services\.echo: listen {re.escape(address)}: Address already in use",
                     second.log())
    assert "worker" not in second.log()
    for _ in range(20):
        assert echoes(first)


def test_every_address_that_cannot_be_had_is_named(daemon):
    first = daemon(SITE)
    busy = first.addresses("echo")[0]
    d = daemon(tiny_service("echo", listen=busy) + "," +
               tiny_service("discard", listen="192.0.2.1:7") + "," +
               tiny_service("time", listen="unix:/nonexistent/folder/socket"), ready=False)
    d.allow_log(r"listen ")
    d.expect_status(1)
    assert d.wait() == 1
    for words in (rf"services\.echo: listen {re.escape(busy)}: Address already in use",
                  r"services\.discard: listen 192\.0\.2\.1:7: Cannot assign requested address",
                  r"services\.time: listen unix:/nonexistent/folder/socket: No such file or directory"):
        assert re.search(words, d.log()), d.log()


@pytest.mark.skipif(not ROOT, reason="only root starts workers that may less than their master")
def test_roots_that_workers_may_not_open_fail_the_start_and_are_told_once(daemon, www):
    folders = [www({"a.txt": b"a"}, name=name) for name in ("one", "two")]
    for folder in folders:
        folder.chmod(0o700)
    d = daemon(http_service(root_route(folders[0]), root_route(folders[1], "/two/")), workers=3, ready=False)
    d.allow_log(r"cannot open|start failed|failed with status 1")
    d.expect_status(1)
    assert d.wait() == 1
    for i, folder in enumerate(folders):
        told = re.findall(rf"{d.config}:\d+: services\.web\.routes\.\[{i}\]\.root: cannot open {folder}: "
                          r"Permission denied", d.log())
        assert len(told) == 1, d.log()
    assert "ready:" not in d.log()


def test_a_log_that_cannot_be_opened_fails_the_start(daemon):
    for name in ("log", "access_log"):
        d = daemon(SITE, settings=f'{name} : {{ target = "file:/nonexistent/log"; }};', ready=False)
        d.allow_log("access_log.target")
        d.expect_status(1)
        assert d.wait() == 1
        assert re.search(rf"{d.config}:\d+: .*log\.target: cannot open /nonexistent/", d.log()), d.log()


def test_ipv6_and_ipv4_come_in_by_a_bare_port(daemon):
    port = free_port()
    d = daemon(tiny_service("echo", listen=str(port)))
    families = [(socket.AF_INET, "127.0.0.1")]
    if d.addresses("echo")[0].startswith("[::]"):
        families.append((socket.AF_INET6, "::1"))
    for family, host in families:
        with socket.socket(family) as s:
            s.settimeout(30)
            s.connect((host, port))
            s.sendall(b"x")
            assert s.recv(1) == b"x"


def test_few_descriptors_lower_the_limit_of_connections(daemon):
    d = daemon(SITE, nofile=256, limits={"connections": 1000})
    match = re.search(r"warn master: limits\.connections: (\d+) for each worker instead of 1000, .* 256 descriptors",
                      d.log())
    assert match and 128 <= int(match.group(1)) < 256, d.log()
    assert echoes(d)


# --- workers die --------------------------------------------------------------------------------------------------

def test_a_worker_that_is_killed_is_replaced(daemon, model):
    d = daemon(SITE)
    old = d.worker()
    kill_worker(d, old)
    new = wait_until(lambda: other_worker(d, [old]), what="a new worker")
    assert echoes(d)
    assert Http(d.connect("web")).get("/hello").body == HELLO
    d.wait_log(rf"error worker main\.0 \(pid {old}\): died of signal 9 \(Killed\) after \d+\.\d s; next try")
    d.wait_log(rf"info worker main\.0 \(pid {new}\): ready")


def test_connections_in_the_queue_survive_the_death_of_the_worker(daemon):
    d = daemon(SITE)
    old = d.worker()
    stop_process(old)
    waiting = [d.connect("echo") for _ in range(30)]
    for i, s in enumerate(waiting):
        s.sendall(b"%02d" % i)
    kill_worker(d, old)
    for i, s in enumerate(waiting):
        assert read_exactly(s, 2) == b"%02d" % i


def test_only_the_dead_worker_is_replaced(daemon):
    d = daemon(SITE, workers=3)
    before = d.worker_pids()
    kill_worker(d, before[1])
    wait_until(lambda: before[1] not in d.worker_pids() and len(d.worker_pids()) == 3, what="three workers again")
    assert set(before) - set(d.worker_pids()) == {before[1]}


def test_a_worker_that_dies_young_is_replaced_at_once_and_then_after_a_pause_that_doubles(daemon):
    d = daemon(SITE)
    seen = []
    for _ in range(4):
        pid = wait_until(lambda: other_worker(d, seen), what="the next worker")
        d.wait_log(rf"\(pid {pid}\): ready")
        seen.append(pid)
        kill_worker(d, pid)
        d.wait_log(rf"\(pid {pid}\): died")
    assert re.findall(r"next try in (\S+) s", d.log()) == ["0.1", "0.2", "0.4"]
    assert len(re.findall("next try at once", d.log())) == 1
    wait_until(lambda: other_worker(d, seen), what="the last worker")
    assert echoes(d)


def echoes_datagram(d):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(30)
        s.connect(("127.0.0.1", d.port("letters")))
        s.send(b"are you there?")
        return s.recv(100) == b"are you there?"


def place_of(d, worker):
    return next(w for w in d.ask("status")["workers"] if w["worker"] == worker)


def test_who_comes_while_a_worker_may_not_start_yet_is_served_by_the_others(daemon, model):
    """It dies until it has to wait so long that it is known what happens meanwhile."""
    letters = tiny_service("echo", listen="udp:127.0.0.1:0", name="letters")
    d = daemon(SITE + "," + letters, workers=2, timeouts={"drain": 30})
    d.expect_worker_death()
    d.allow_log("died of signal 9")
    for _ in range(9):
        pid = wait_until(lambda: w["pid"] if (w := place_of(d, "main.1"))["state"] == "ready" else None, what="the worker")
        os.kill(pid, signal.SIGKILL)
        d.wait_log(rf"\(pid {pid}\): died")
        for _ in range(8):          # half of them come to the sockets of the one that is not there
            assert echoes(d) and echoes_datagram(d)
        if place_of(d, "main.1")["pid"] == 0:
            return
    pytest.fail("the worker was always back before all were served")


def test_a_worker_that_cannot_start_again_is_tried_until_it_can(daemon, www):
    folder = www({"a.txt": b"a"})
    d = daemon(http_service(root_route(folder)))
    hidden = folder.with_name("hidden")
    folder.rename(hidden)
    kill_worker(d, d.worker())
    d.allow_log(r"cannot open|failed with status 1")
    d.wait_log(r"cannot open .*No such file")
    d.wait_log(r"failed with status 1 after .*; next try in ")
    hidden.rename(folder)
    assert Http(d.connect()).get("/a.txt").body == b"a"


def test_a_worker_that_gets_sigterm_goes_well_and_is_replaced(daemon):
    d = daemon(SITE)
    old = d.worker()
    d.expect_worker_death()
    os.kill(old, signal.SIGTERM)
    d.wait_log(rf"info worker main\.0 \(pid {old}\): ended after")
    wait_until(lambda: other_worker(d, [old]), what="a new worker")
    assert echoes(d)


def test_counters_outlive_the_worker(daemon):
    d = daemon(SITE)
    web = Http(d.connect("web"))
    for _ in range(7):
        assert web.get("/hello").body == HELLO
    web.close()
    wait_until(lambda: d.ask("status")["totals"]["closed"] == 1, what="the end of the turn, when it publishes what it counted")
    old = d.worker()
    kill_worker(d, old)
    wait_until(lambda: other_worker(d, [old]), what="a new worker")
    web = Http(d.connect("web"))
    for _ in range(5):
        assert web.get("/hello").body == HELLO
    web.close()
    assert d.stop() == 0
    connections, requests = map(int, re.search(r"stopped: (\d+) connections, (\d+) requests", d.log()).groups())
    assert (connections, requests) == (2, 12)


# --- the master dies ----------------------------------------------------------------------------------------------

def test_workers_end_when_the_master_is_killed(daemon, model):
    d = daemon(SITE, workers=2)
    assert echoes(d)
    port, workers = d.port("echo"), d.worker_pids()
    d.signal(signal.SIGKILL)
    assert d.wait() == -signal.SIGKILL
    d.expect_status(-signal.SIGKILL)
    wait_until(lambda: all(gone(p) for p in workers), what="the end of all workers")
    with socket.socket() as s:
        assert s.connect_ex(("127.0.0.1", port)) != 0
    wait_until(lambda: len(re.findall(r"the master is gone: draining", d.log())) == 2, what="a word of both")


def test_workers_without_a_master_finish_what_they_do(daemon, www):
    folder = www({"big.bin": 20_000_000})
    d = daemon(http_service(root_route(folder)), timeouts={"drain": 30})
    workers = d.worker_pids()
    web = Http(d.connect(rcvbuf=65536))
    web.send(request("/big.bin"))
    web.rest = web.sock.recv(1000)
    d.signal(signal.SIGKILL)
    d.expect_status(d.wait())
    wait_until(lambda: "the master is gone" in d.log(), what="the worker having noticed")
    assert web.read().body == (folder / "big.bin").read_bytes()
    web.close()
    wait_until(lambda: all(gone(p) for p in workers), what="the end of all workers")


def test_workers_without_a_master_have_nothing_to_hear(daemon, www, model):
    """The end of a channel can be read for ever."""
    d = daemon(http_service(root_route(www({"big.bin": 20_000_000}))), timeouts={"drain": 60, "send": 60},
               settings="poll_interval = 0.01;\n")
    worker = d.worker()
    web = Http(d.connect(rcvbuf=65536))
    web.send(request("/big.bin"))
    web.rest = web.sock.recv(1000)
    d.signal(signal.SIGKILL)
    d.expect_status(d.wait())
    wait_until(lambda: "the master is gone" in d.log(), what="the worker having noticed")
    before = cpu_seconds(worker)
    time.sleep(1)
    assert cpu_seconds(worker) - before < 0.2
    web.close()
    wait_until(lambda: gone(worker), what="the end of the worker")


# --- who the workers are ------------------------------------------------------------------------------------------

def identity(pid):
    text = Path(f"/proc/{pid}/status").read_text()
    return {name: [int(n) for n in re.search(rf"^{name}:[ \t]*(.*)$", text, re.M).group(1).split()]
            for name in ("Uid", "Gid", "Groups")}


def default_account():
    for name in ("iomuxd", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return None


@pytest.mark.skipif(not ROOT, reason="only root can become somebody else")
def test_started_as_root_workers_are_somebody_else_for_good(daemon, model):
    d = daemon(SITE, workers=2)
    account = default_account()
    assert f"workers become user {account.pw_name}," in d.log()
    for pid in d.worker_pids():
        who = identity(pid)
        assert set(who["Uid"]) == {account.pw_uid} and set(who["Gid"]) == {account.pw_gid}
        assert 0 not in who["Groups"]
    assert identity(d.pid)["Uid"] == [0, 0, 0, 0]
    assert echoes(d)


@pytest.mark.skipif(not ROOT, reason="only root can become somebody else")
def test_user_and_group_are_settings(daemon):
    d = daemon(SITE, settings='user = "daemon"; group = "mail";')
    who = identity(d.worker())
    assert set(who["Uid"]) == {pwd.getpwnam("daemon").pw_uid}
    assert set(who["Gid"]) == {grp.getgrnam("mail").gr_gid}


@pytest.mark.skipif(not ROOT, reason="only root looks the accounts up")
def test_accounts_that_are_not_there_fail_the_start(daemon):
    d = daemon(SITE, settings='user = "no-such-user";\ngroup = "no-such-group";', ready=False)
    d.expect_status(1)
    assert d.wait() == 1
    assert re.search(rf'^{d.config}:\d+: user: there is no user "no-such-user"$', d.log(), re.M), d.log()
    assert re.search(rf'^{d.config}:\d+: group: there is no group "no-such-group"$', d.log(), re.M), d.log()


@pytest.mark.skipif(ROOT, reason="root may do everything")
def test_without_root_the_accounts_are_not_looked_at(daemon):
    d = daemon(SITE, settings='user = "no-such-user";')
    assert set(identity(d.worker())["Uid"]) == {os.getuid()}


# --- Unix sockets -------------------------------------------------------------------------------------------------

def unix_echo(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(30)
        s.connect(str(path))
        s.sendall(b"by file")
        return read_exactly(s, 7) == b"by file"


def unix_site(path):
    return tiny_service("echo", listen=f"unix:{path}")


def test_a_unix_socket_serves_by_all_workers_and_is_removed_at_the_end(daemon, model, tmp_path):
    path = tmp_path / "s"
    d = daemon(unix_site(path), workers=2)
    assert d.addresses("echo") == [f"unix:{path}"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o666
    for _ in range(20):
        assert unix_echo(path)
    assert d.stop() == 0
    assert not path.exists()


def test_a_unix_socket_that_a_killed_daemon_left_is_replaced(daemon, tmp_path):
    path = tmp_path / "s"
    first = daemon(unix_site(path))
    workers = first.worker_pids()
    first.signal(signal.SIGKILL)
    first.expect_status(first.wait())
    wait_until(lambda: all(gone(p) for p in workers), what="the end of all workers")
    assert path.exists()
    daemon(unix_site(path))
    assert unix_echo(path)


def test_a_unix_socket_that_is_served_is_not_taken(daemon, tmp_path):
    path = tmp_path / "s"
    daemon(unix_site(path))
    second = daemon(unix_site(path), ready=False)
    second.allow_log("Address already in use")
    second.expect_status(1)
    assert second.wait() == 1
    assert unix_echo(path)


# --- signals ------------------------------------------------------------------------------------------------------

def test_a_terminal_that_signals_all_processes_ends_it_well(daemon, model):
    d = daemon(SITE, workers=2)
    assert echoes(d)
    for pid in d.worker_pids():
        os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGHUP)
    assert echoes(d)
    assert d.stop(signal.SIGINT) == 0
    assert len(re.findall(r"ended after", d.log())) == 2


def test_a_service_manager_that_signals_all_processes_ends_it_well(daemon):
    d = daemon(SITE, workers=2)
    pids = d.worker_pids()
    d.signal(signal.SIGTERM)
    for pid in pids:
        try:
            os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            pass                # it was quick
    assert d.wait() == 0


def test_signals_that_were_blocked_by_the_parent_are_heard(iomuxd_bin, plain, tmp_path):
    config, log = tmp_path / "c", tmp_path / "log"
    config.write_text(f"{plain} workers = 1; services = ( {SITE} );")

    def block():
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCHLD})

    with open(log, "ab") as out:
        p = subprocess.Popen([iomuxd_bin, "-c", config], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                             env=clean_environment(), preexec_fn=block)
    try:
        wait_until(lambda: "ready: pool" in log.read_text(), what="the start")
        p.terminate()
        assert p.wait(30) == 0
    finally:
        p.kill()
        p.wait()


# --- logs ---------------------------------------------------------------------------------------------------------

def open_files(pid):
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):        # closed meanwhile
            found.add(os.readlink(link))
    return found


def test_sigusr1_opens_the_logs_again_in_every_process(daemon, model, tmp_path):
    log, access = tmp_path / "iomuxd.log", tmp_path / "access.log"
    d = daemon(SITE, workers=2, ready=False, settings=f'log : {{ target = "file:{log}"; }};\n'
                                                      f'access_log : {{ target = "file:{access}"; }};')
    wait_until(lambda: log.exists() and "ready: pool" in log.read_text(), what="the start")
    port = re.search(r"listening: web 127\.0\.0\.1:(\d+)", log.read_text()).group(1)

    def get(target):
        web = Http(socket.create_connection(("127.0.0.1", int(port)), 30))
        web.get(target)
        web.close()

    get("/before")
    wait_until(lambda: "/before" in access.read_text(), what="the access line")
    old_log, old_access = log.rename(tmp_path / "log.1"), access.rename(tmp_path / "access.1")
    d.signal(signal.SIGUSR1)
    wait_until(lambda: log.exists() and "SIGUSR1" in log.read_text(), what="the new log")
    wait_until(lambda: {str(log), str(access)} <= open_files(d.logger()), what="the logger")
    wait_until(lambda: all(str(log) in open_files(p) for p in d.worker_pids()), what="all workers")
    for _ in range(20):
        get("/after")           # by both workers
    wait_until(lambda: access.exists() and access.read_text().count("/after") == 20, what="the new access log")
    assert "/after" not in old_access.read_text()
    assert d.stop() == 0
    assert "stopping" not in old_log.read_text()
    assert len(re.findall(r"worker main\.\d \(pid \d+\): told by the master: draining", log.read_text())) == 2
    for path in (log, access, old_log, old_access):
        assert stat.S_IMODE(path.stat().st_mode) & 0o027 == 0, path


def test_a_log_that_cannot_be_opened_again_goes_on_as_it_was(daemon, tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    log = folder / "iomuxd.log"
    d = daemon(SITE, ready=False, settings=f'log : {{ target = "file:{log}"; }};')
    wait_until(lambda: log.exists() and "ready: pool" in log.read_text(), what="the start")
    moved = folder.rename(tmp_path / "elsewhere") / "iomuxd.log"
    d.signal(signal.SIGUSR1)
    wait_until(lambda: "cannot open the log" in moved.read_text(), what="the complaint")
    assert d.stop() == 0
    assert "stopped:" in moved.read_text()


def test_errors_of_the_start_are_shown_beside_the_log_file(daemon, tmp_path):
    log = tmp_path / "iomuxd.log"
    d = daemon(tiny_service("echo", listen="192.0.2.1:7"), settings=f'log : {{ target = "file:{log}"; }};', ready=False)
    d.allow_log("Cannot assign")
    d.expect_status(1)
    assert d.wait() == 1
    assert "Cannot assign requested address" in d.log()
    assert "Cannot assign requested address" in log.read_text()


def test_level_decides_what_is_logged(daemon):
    d = daemon(SITE, settings='log : { level = "notice"; };')
    assert d.stop() == 0
    assert " notice stopped: " in d.log()
    assert " info " not in d.log()


def clean_environment(**more):
    return {**{k: v for k, v in os.environ.items() if k not in DROPPED_ENV}, **more}


def test_under_systemd_lines_have_priorities_instead_of_times(iomuxd_bin, plain, tmp_path):
    config = tmp_path / "c"
    config.write_text(f"{plain} workers = 1; services = ( {SITE} );")
    with open(tmp_path / "log", "w+b") as log:
        st = os.fstat(log.fileno())
        p = subprocess.Popen([iomuxd_bin, "-c", config], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                             env=clean_environment(JOURNAL_STREAM=f"{st.st_dev}:{st.st_ino}"))
        try:
            wait_until(lambda: b"ready: pool" in (tmp_path / "log").read_bytes(), what="the start")
        finally:
            p.terminate()
            assert p.wait(30) == 0
    lines = (tmp_path / "log").read_text().splitlines()
    assert all(re.match(r"<[4-6]>[a-z]", line) for line in lines), lines
    assert any(line.startswith("<5>ready: pool main") for line in lines)


@pytest.mark.skipif(os.path.exists("/run/systemd/journal/socket"), reason="a journal listens here")
def test_the_journal_is_refused_where_none_listens(daemon):
    d = daemon(SITE, settings='log : { target = "journal"; };', ready=False)
    d.expect_status(1)
    assert d.wait() == 1
    assert re.search(rf"^{d.config}:\d+: log\.target: .*journal", d.log(), re.M), d.log()


def test_systemd_is_told_of_start_and_stop(daemon, needs, tmp_path):
    needs("systemd")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(tmp_path / "notify"))
        s.settimeout(30)
        d = daemon(SITE, workers=2, env={"NOTIFY_SOCKET": str(tmp_path / "notify")})
        said = told_manager(s)
        assert said.startswith("READY=1\nSTATUS=Serving: 2 of 2 workers ready"), said
        assert d.stop() == 0
        said = told_manager(s)
        # drain is 5: so long, the grace for workers that hang, and a little for the end itself
        assert said.startswith("STOPPING=1\nEXTEND_TIMEOUT_USEC=14000000\nSTATUS=Stopping"), said


def test_closed_standard_descriptors_do_no_harm(iomuxd_bin, plain, tmp_path):
    log = tmp_path / "log"
    config = tmp_path / "c"
    config.write_text(f'{plain} workers = 1; log : {{ target = "file:{log}"; }}; services = ( {SITE} );')
    p = subprocess.Popen(["sh", "-c", 'exec "$0" -c "$1" <&- >&- 2>&-', iomuxd_bin, config], env=clean_environment())
    try:
        wait_until(lambda: log.exists() and "ready: pool" in log.read_text(), what="the start")
        for pid in [p.pid] + children(p.pid):
            for fd in range(3):
                assert os.readlink(f"/proc/{pid}/fd/{fd}") == "/dev/null"
    finally:
        p.terminate()
        assert p.wait(30) == 0


# --- idleness -----------------------------------------------------------------------------------------------------

def test_the_master_sleeps_when_nothing_happens(daemon):
    d = daemon(SITE, workers=2)

    def switches():
        return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", Path(f"/proc/{d.pid}/status").read_text(), re.M).group(1))

    def sleeps():
        before = switches()
        time.sleep(2)           # the span over which it is watched
        return switches() - before < 5
    wait_until(sleeps, what="the master sleeping for two seconds")


# --- the command line ---------------------------------------------------------------------------------------------

def run(binary, *arguments, **more):
    return subprocess.run([str(binary), *map(str, arguments)], capture_output=True, text=True, timeout=60, **more)


@pytest.fixture
def config(tmp_path, plain):
    path = tmp_path / "c.conf"
    path.write_text(f"{plain} services = ( {SITE} );")
    return path


def test_version_and_help_go_to_stdout(iomuxd_bin):
    for option in ("-V", "--version"):
        done = run(iomuxd_bin, option)
        assert done.returncode == 0 and not done.stderr
        parts = "epoll|liburing|systemd|libseccomp|libbsd|libxcrypt"
        assert re.fullmatch(rf"iomuxd \d+\.\d+\S*\nfeatures:( none|( ({parts}))+)\n", done.stdout)
    for option in ("-h", "--help"):
        done = run(iomuxd_bin, option)
        assert done.returncode == 0 and done.stdout.startswith("usage: iomuxd ") and not done.stderr


@pytest.mark.parametrize("arguments", [["--nothing"], ["-x"], ["-c"], ["extra"], ["-t", "extra"]], ids=str)
def test_a_wrong_command_line_is_status_2(iomuxd_bin, arguments):
    done = run(iomuxd_bin, *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "--help" in done.stderr


def test_t_says_that_all_is_well(iomuxd_bin, config):
    done = run(iomuxd_bin, "-t", "-c", config)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", f"{config}: configuration ok\n")


def test_t_says_everything_that_is_wrong(iomuxd_bin, config):
    config.write_text('wrokers = 2;\nio_model = "epol";\nservices = ();\n')
    done = run(iomuxd_bin, "-t", "-c", config)
    assert done.returncode == 1
    assert re.search(rf"^{config}:1: wrokers: .*", done.stderr, re.M)
    assert re.search(rf"^{config}:2: io_model: .*", done.stderr, re.M)
    assert "configuration ok" not in done.stderr


def test_T_prints_what_gives_the_same_again(iomuxd_bin, config, tmp_path):
    first = run(iomuxd_bin, "-T", "-c", config, "-o", "workers=3")
    assert first.returncode == 0 and first.stderr == ""
    again = tmp_path / "again.conf"
    again.write_text(first.stdout)
    second = run(iomuxd_bin, "-T", "-c", again)
    assert (second.returncode, second.stdout) == (0, first.stdout)
    assert re.search(r"^workers = 3;", first.stdout, re.M)


@pytest.mark.parametrize("option", ["-T", "-V", "-h", "--list-models"])
def test_output_that_cannot_be_written_is_an_error(iomuxd_bin, config, option):
    with open("/dev/full", "w") as full:
        done = subprocess.run([str(iomuxd_bin), "-c", str(config), option], stdout=full, stderr=subprocess.PIPE,
                              text=True, timeout=60)
    assert done.returncode == 1
    assert "cannot write to stdout: No space left on device" in done.stderr


def test_o_overrides_the_file(daemon):
    d = daemon(SITE, workers=1, options=["-o", "workers=3", "--set", "log.level=debug"])
    assert len(d.worker_pids()) == 3


def test_a_build_without_the_default_model_says_so(iomuxd_bin, features, config):
    if "epoll" in features:
        pytest.skip("built with epoll")
    config.write_text(f"services = ( {SITE} );")
    for option in ("-t", "-T"):
        done = run(iomuxd_bin, option, "-c", config)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f'{config}:1: io_model: is not set, and the default "epoll" cannot be used: not built in\n'


def test_a_model_that_does_not_exist_is_refused_with_the_names_of_those_that_do(iomuxd_bin, config):
    done = run(iomuxd_bin, "-t", "-c", config, "-o", "io_model=teleport")
    assert done.returncode == 1
    assert "io_model" in done.stderr and "teleport" in done.stderr and "epoll" in done.stderr
