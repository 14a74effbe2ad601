# SPDX-License-Identifier: BSD-2-Clause
"""A new configuration on a running daemon: taken over whole or not at all, and nobody who asked is left without an
answer."""

import json
import os
import random
import re
import resource
import shutil
import signal
import socket
import threading
import time
from pathlib import Path

import h11
import pytest

from client import Http, read_exactly, request
from conftest import configuration
from harness import children, fd_count, private_bytes, stop_process, title, told_manager, wait_until
from sites import HELLO, RESPOND_HELLO, http_service, respond_route, root_route, tiny_service

ROOT = os.geteuid() == 0
USER = "anna:$5$rounds=1000$saltsalt$eKLZU9t9OoPWrqOQsoTIKG0aYkZ5rGOoOQhiIvoSWX2\n"
UDP_ECHO = tiny_service("echo", listen="udp:127.0.0.1:0", name="datagrams")


def page(body):
    return http_service(respond_route("/", body), RESPOND_HELLO)


def site(body="one", more=""):
    return page(body) + "," + tiny_service("echo") + more


def get(d, target="/", service="web"):
    web = Http(d.connect(service))
    r = web.get(target)
    web.close()
    return r.body


def conf(services, model, workers=1, settings="", **timeouts):
    return configuration(services, model, workers, timeouts, None, settings)


def refused(d, *words):
    """The reload fails, says all of these, and exits with 1."""
    done = d.ctl("reload")
    assert done.returncode == 1 and done.stdout == "", done
    for word in words:
        assert re.search(word, done.stderr, re.M), (word, done.stderr)
        assert re.search(word, d.log(), re.M), (word, d.log())
    d.allow_log(".")


# --- what a reload changes ----------------------------------------------------------------------------------------

def test_a_reload_serves_the_new_pages_with_other_workers(daemon, model):
    d = daemon(site("one"), workers=2)
    before = d.worker_pids()
    assert get(d) == b"one"
    d.configure(conf(site("two"), model, 2))
    d.reload()
    assert get(d) == b"two"
    wait_until(lambda: len(d.worker_pids()) == 2, what="the end of the old workers")
    assert not set(before) & set(d.worker_pids())
    assert len(re.findall(r"listening: web ", d.log())) == 1
    assert "reloaded: generation 2 serves" in d.log()


def test_sighup_is_a_reload_too(daemon, plain_model):
    d = daemon(site("one"))
    d.configure(conf(site("two"), plain_model))
    d.expect_worker_death()
    d.signal(signal.SIGHUP)
    d.wait_log(r"notice master: reloaded: generation 2 serves")
    assert get(d) == b"two"
    d.configure("nonsense")
    d.allow_log("nonsense|syntax|the reload failed|:1:")
    d.signal(signal.SIGHUP)
    d.wait_log(r"error master: the reload failed: the configuration has errors; generation 2 goes on as it was")
    assert get(d) == b"two"


def test_overrides_of_the_command_line_hold_over_a_reload(daemon, plain_model):
    d = daemon(site(), options=["-o", "workers=3"])
    d.configure(conf(site("two"), plain_model, 1))
    d.reload()
    wait_until(lambda: len(d.worker_pids()) == 3, what="three workers")


def echo_datagram(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(30)
        s.connect(("127.0.0.1", port))
        for i in range(20):
            s.send(b"%d" % i)
            assert s.recv(100) == b"%d" % i


def all_kinds(d, path):
    assert get(d, "/hello") == HELLO
    echo_datagram(d.port("datagrams"))
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(30)
        s.connect(str(path))
        s.sendall(b"by file")
        assert read_exactly(s, 7) == b"by file"


def test_another_model_takes_over_and_gives_back_all_kinds_of_sockets(daemon, model, tmp_path):
    path = tmp_path / "s"
    services = page("x") + "," + tiny_service("echo", listen=f"unix:{path}") + "," + UDP_ECHO
    other = "poll" if model != "poll" else "select"
    d = daemon(services, workers=2)
    all_kinds(d, path)
    for next_model in (other, model, model, "blocking", model):
        d.configure(conf(services, next_model, 2))
        d.reload()
        all_kinds(d, path)
    assert d.stop() == 0
    assert not path.exists()


def test_addresses_come_and_go(daemon, plain_model):
    d = daemon(page("x") + "," + tiny_service("echo") + "," + tiny_service("discard"))
    old = d.port("discard")
    d.configure(conf(page("x") + "," + tiny_service("echo") + "," + tiny_service("time"), plain_model))
    d.reload()
    d.learn_ports()
    d.wait_log(rf"notice no longer listening: discard 127\.0\.0\.1:{old} \(discard\)")

    def is_refused():
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", old)) != 0

    wait_until(is_refused, what="the old address being closed")
    assert len(d.connect("time").recv(10)) == 4
    assert get(d, "/hello") == HELLO


def test_a_port_moves_between_one_address_and_all(daemon, plain_model):
    d = daemon(page("one"))
    port = d.port("web")
    for listen, body in ((str(port), "two"), (f"127.0.0.1:{port}", "three"), (f"0.0.0.0:{port}", "four")):
        d.configure(conf(http_service(respond_route("/", body), listen=listen), plain_model))
        d.reload()
        wait_until(lambda: get(d) == body.encode(), what=body)


def test_logs_move_with_a_reload(daemon, plain_model, tmp_path):
    log, access = tmp_path / "new.log", tmp_path / "new.access"
    d = daemon(site())
    d.configure(conf(site(), plain_model, settings=f'log : {{ target = "file:{log}"; level = "debug"; }};\n'
                                                   f'access_log : {{ target = "file:{access}"; }};'))
    d.reload()
    get(d, "/hello")
    wait_until(lambda: access.exists() and "/hello" in access.read_text(), what="the access line")
    assert "reloaded" in log.read_text() and "reloaded" not in d.log()
    d.configure(conf(site(), plain_model))
    d.reload()
    assert "generation 3 serves" in d.log()


@pytest.mark.skipif(not ROOT, reason="only root can become somebody else")
def test_the_user_may_change(daemon, plain_model):
    d = daemon(site())
    d.configure(conf(site(), plain_model, settings='user = "daemon";'))
    d.reload()

    def uids():
        return {Path(f"/proc/{p}").stat().st_uid for p in d.worker_pids()}

    import pwd
    wait_until(lambda: uids() == {pwd.getpwnam("daemon").pw_uid}, what="workers of the new user")
    assert get(d, "/hello") == HELLO


def test_counters_never_go_backwards(daemon, model):
    d = daemon(site(), workers=2)
    seen = 0
    for round_ in range(1, 4):
        for _ in range(5):
            get(d, "/hello")
        d.reload()
        wait_until(lambda: d.ask("status")["totals"]["requests"] == 5 * round_, what="all requests being counted")
        assert d.ask("status")["totals"]["requests"] >= seen
        seen = d.ask("status")["totals"]["requests"]
    wait_until(lambda: d.ask("status")["connections"] == 0, what="no connection")
    assert d.stop() == 0
    assert "stopped: 15 connections, 15 requests" in d.log()


def test_status_tells_how_the_last_reload_went(daemon, plain_model):
    d = daemon(site())
    assert d.ask("status")["reload"] is None
    d.reload()
    status = d.ask("status")
    assert status["generation"] == 2 and status["reload"]["ok"] is True
    d.configure("wrokers = 1;\n" + conf(site(), plain_model))
    refused(d, "did you mean 'workers'")
    status = d.ask("status")
    assert status["generation"] == 2 and status["reload"]["ok"] is False
    assert status["reload"]["errors"] == [f"{d.config}:1: wrokers: is no known setting; did you mean 'workers'?"]
    assert "failed" in d.ctl("status").stdout


def test_systemd_is_told_of_a_reload(daemon, needs, plain_model, tmp_path):
    needs("systemd")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(tmp_path / "notify"))
        s.settimeout(30)
        d = daemon(site(), env={"NOTIFY_SOCKET": str(tmp_path / "notify")})
        assert told_manager(s).startswith("READY=1\n")
        d.reload()
        said = told_manager(s)
        assert re.match(r"RELOADING=1\nMONOTONIC_USEC=\d+\nSTATUS=", said), said
        said = told_manager(s)
        assert re.match(r"READY=1\nSTATUS=Serving: 1 of 1 worker ready, model \S+, \d+ connections?, generation 2; "
                        r"reloaded at \d\d:\d\d:\d\d$", said), said

        def next_ready():
            while not (text := told_manager(s)).startswith("READY=1"):
                pass
            return text

        d.configure("x")
        refused(d, ":1:")
        assert re.search(rf"; the reload at \S+ failed: {d.config}:1: ", next_ready())


# --- settings of the running daemon -------------------------------------------------------------------------------

def models_of(d):
    return {w["model"] for w in d.ask("status")["workers"] if w["state"] == "ready"}


def test_a_setting_of_the_running_daemon_is_changed_and_taken_back(daemon, plain_model, others):
    d = daemon(site("one"), workers=1)
    text, other = d.config.read_text(), next(m for m in others if m != plain_model)
    assert d.ctl("set", f"io_model={other}").returncode == 0
    assert d.ctl("set", "workers=3").returncode == 0
    assert models_of(d) == {other} and d.ask("status")["overrides"] == [f"io_model={other}", "workers=3"]
    assert re.search(rf"^set +io_model={other}\n +workers=3$", d.ctl("status").stdout, re.M)
    d.reload()
    d.signal(signal.SIGHUP)
    d.wait_log("generation 5 serves")
    assert models_of(d) == {other}, "what was set holds over reloads"
    assert d.ctl("set", "workers=2").returncode == 0
    assert d.ask("status")["overrides"] == [f"io_model={other}", "workers=2"]
    assert d.ctl("unset", "io_model").returncode == 0
    assert models_of(d) == {plain_model} and d.ask("status")["overrides"] == ["workers=2"]
    done = d.ctl("unset", "io_model")
    assert (done.returncode, done.stderr) == (1, "io_model: was not set by iomuxctl\n")
    assert d.ctl("reload", "--fresh").returncode == 0
    assert d.ask("status")["overrides"] == [] and d.config.read_text() == text
    wait_until(lambda: len(d.worker_pids()) == 1, what="one worker")
    assert get(d) == b"one"


def test_a_setting_that_is_wrong_is_not_taken(daemon, plain_model):
    d = daemon(site("one"))
    before = d.worker_pids()
    for setting, error in (("io_modl=poll", r"-o io_modl=poll: .*did you mean 'io_model'"),
                           ("io_model=epol", "did you mean"), ("workers=0", "workers"), ("workers", "must be PATH=VALUE"),
                           ("services.[7].name=x", r"has no element \[7\]"), ("=1", "must be PATH=VALUE")):
        done = d.ctl("set", setting)
        assert done.returncode == 1 and re.search(error, done.stderr), done
        assert d.ask("status")["overrides"] == []
    d.allow_log(".")
    assert d.worker_pids() == before and get(d) == b"one"
    d.reload()


def test_settings_that_are_changed_at_once_are_all_changed(daemon, plain_model):
    d = daemon(site("one"))
    d.expect_worker_death()
    wanted = ["workers=2", "timeouts.idle=50", "timeouts.send=40", "limits.connections=99"]
    threads = [threading.Thread(target=d.ctl, args=("set", w)) for w in wanted]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert sorted(d.ask("status")["overrides"]) == sorted(wanted)


# --- what fails changes nothing -----------------------------------------------------------------------------------

def test_a_bad_configuration_keeps_the_old_pages(daemon, model):
    d = daemon(site("one"), workers=2)
    before = d.worker_pids()
    d.configure("wrokers = 2;\nio_model = \"epol\";\n" + conf(site("two"), model).replace("io_model", "# "))
    refused(d, rf"{d.config}:1: wrokers: .*did you mean 'workers'", rf"{d.config}:2: io_model: ")
    assert get(d) == b"one"
    assert d.worker_pids() == before


def test_an_address_in_use_keeps_the_old_pages(daemon, model):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        d = daemon(site("one"), workers=2)
        before = d.worker_pids()
        port = other.getsockname()[1]
        d.configure(conf(site("two") + "," + tiny_service("time", listen=f"127.0.0.1:{port}"), model, 3))
        refused(d, rf"{d.config}:\d+: services\.time: listen 127\.0\.0\.1:{port}: Address already in use")
    for _ in range(10):
        assert get(d) == b"one"
    assert d.worker_pids() == before


def test_a_file_of_users_that_has_gone_opens_no_door(daemon, needs, plain_model, tmp_path):
    """The reload fails when this program has taken over and reads the old configuration again; a worker that is started
    after that knows no user, and that does not mean that everybody may come in."""
    needs("libxcrypt")
    users, others = tmp_path / "users", tmp_path / "others"
    users.write_text(USER)

    def guarded(path):
        return http_service(RESPOND_HELLO, respond_route("/", "in", f'basic_auth : {{ realm = "R"; file = "{path}"; }};'))

    d = daemon(guarded(users))
    old = d.worker_pids()
    users.rename(others)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        d.configure(conf(guarded(others) + "," + tiny_service("time", listen=f"127.0.0.1:{port}"), plain_model))
        refused(d, "Address already in use")
    assert d.ctl("drain", "main.0").returncode == 0
    d.expect_worker_death()
    wait_until(lambda: d.worker_pids() and not set(d.worker_pids()) & set(old), what="another worker in its place")
    for headers in ([], [("Authorization", "Basic YW5uYTpzZWNyZXQ=")]):
        web = Http(d.connect())
        answer = web.get("/", headers=headers)
        assert (answer.status, answer.get("www-authenticate")) == (401, 'Basic realm="R", charset="UTF-8"')
        assert web.get("/hello").body == HELLO


def test_a_missing_root_keeps_the_old_pages(daemon, model):
    d = daemon(site("one"))
    d.configure(conf(http_service(root_route("/nonexistent/root")), model))
    refused(d, r"routes\.\[0\]\.root: .*/nonexistent/root.*No such file")
    assert get(d) == b"one"


@pytest.mark.skipif(not ROOT, reason="only root starts workers that may less than their master")
def test_a_worker_that_cannot_start_keeps_the_old_ones(daemon, model, www):
    """The first pool is ready, and has had the listening sockets, when the worker of the second fails."""
    folder = www({"a.txt": b"a"})
    d = daemon(site("one", "," + UDP_ECHO), workers=2)
    before = d.worker_pids()
    folder.chmod(0o700)
    pools = (f'pools = ( {{ name = "main"; io_model = "{model}"; workers = 3; services = [ "web", "echo", "datagrams" ]; }},'
             f' {{ name = "late"; io_model = "{model}"; workers = 1; services = [ "files" ]; }} );')
    d.configure(conf(site("two", "," + UDP_ECHO + "," + http_service(root_route(folder), name="files")), model,
                     settings=pools))
    refused(d, rf"services\.files\.routes\.\[0\]\.root: cannot open {folder}: Permission denied",
            r"worker late\.0 \(pid \d+\): failed with status 1")
    wait_until(lambda: d.worker_pids() == before, what="the end of the new workers")
    for _ in range(20):
        assert get(d) == b"one"
    echo_datagram(d.port("datagrams"))
    folder.chmod(0o755)
    d.reload()
    assert get(d) == b"two"
    assert get(d, "/hello") == HELLO


def fresh_worker(d, old):
    return next((p for p in set(children(d.pid)) - set(old) if title(p).startswith("iomuxd: worker")), None)


def test_connections_that_wait_for_workers_that_never_come_are_served_by_the_old(daemon, needs, model, tmp_path):
    """The table of media types makes the new worker slow enough to be stopped before it is ready; what comes in on
    the sockets that were made for the new workers meanwhile is taken by an old one when it is killed."""
    needs("libbsd")             # by its title the worker is told from the process that tests the configuration
    table = tmp_path / "mime.types"
    table.write_text("".join(f"text/x-{i} e{i}\n" for i in range(200_000)))
    d = daemon(tiny_service("echo"))
    old = d.worker_pids()
    d.configure(conf(tiny_service("echo"), model, 4, settings=f'mime_types = "{table}";'))
    d.expect_worker_death()
    d.signal(signal.SIGHUP)
    new = wait_until(lambda: fresh_worker(d, old), what="a new worker", pause=0)
    stop_process(new)
    for _ in range(2):          # a master that has answered twice has read what the worker said before
        d.ask("version")
    if f"(pid {new}): ready" in d.log():
        os.kill(new, signal.SIGCONT)
        pytest.skip("the new worker was too quick")
    waiting = [d.connect("echo") for _ in range(40)]
    for i, s in enumerate(waiting):
        s.sendall(b"%02d" % i)
    d.allow_log("died of signal 9|the reload failed")
    os.kill(new, signal.SIGKILL)
    d.wait_log("the reload failed: a worker ended before it was ready; generation 1 goes on as it was")
    for i, s in enumerate(waiting):
        assert read_exactly(s, 2) == b"%02d" % i
    assert d.worker_pids() == old


# --- the program ------------------------------------------------------------------------------------------------

@pytest.fixture
def own_program(iomuxd_bin, tmp_path):
    """A copy of the program, which a test may replace."""
    path = tmp_path / "iomuxd"
    shutil.copy2(iomuxd_bin, path)
    path.with_name("iomuxctl").symlink_to(iomuxd_bin.with_name("iomuxctl"))
    return path


def exe(pid):
    return os.stat(f"/proc/{pid}/exe").st_ino


def test_a_reload_takes_the_program_that_is_there_now(daemon, own_program, iomuxd_bin):
    d = daemon(site("one"), binary=own_program)
    before, pid = exe(d.pid), d.pid
    shutil.copy2(iomuxd_bin, own_program.with_name("new"))
    own_program.with_name("new").rename(own_program)
    d.reload()
    assert d.pid == pid and d.ask("status")["pid"] == pid
    assert exe(d.pid) != before and exe(d.pid) == own_program.stat().st_ino
    ready = [w["pid"] for w in d.ask("status")["workers"] if w["state"] == "ready"]
    assert [exe(p) for p in ready] == [exe(d.pid)]
    assert get(d) == b"one"


@pytest.mark.parametrize("what, words", [
    ("removed", ["No such file or directory"]),
    ("not executable", ["Permission denied"]),
    ("no program", ["Exec format error"]),
    ("another program", ["failed with status 1, and said no reason"]),
    ("one that dies", [r"the test of the configuration died of signal 9 \(Killed\)"]),
    ("an older iomuxd", ["unrecognized option '--take-over'"]),
])
def test_a_program_that_cannot_take_over_changes_nothing(daemon, own_program, what, words):
    d = daemon(site("one"), binary=own_program, workers=2)
    before = d.worker_pids()
    contents = {"no program": "no program", "another program": "#!/bin/false\n",
                "one that dies": "#!/bin/sh\nkill -9 $$\n",
                "an older iomuxd": "#!/bin/sh\necho \"iomuxd: unrecognized option '--take-over'\" >&2\nexit 2\n"}
    own_program.unlink()
    if what != "removed":
        own_program.write_text(contents.get(what, "x"))
        own_program.chmod(0o644 if what == "not executable" else 0o755)
    refused(d, *words)
    assert re.search(r"the reload failed: .*; generation 1 goes on as it was", d.log())
    assert d.worker_pids() == before and get(d) == b"one"
    assert d.ask("status")["reload"]["ok"] is False


def leave_descriptors(pid, spare):
    """From now on the process may open so many more."""
    used, limit = {int(fd) for fd in os.listdir(f"/proc/{pid}/fd")}, 0
    while spare > 0:
        spare -= limit not in used
        limit += 1
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, limit))


@pytest.mark.parametrize("spare", [4, 6, 8, 12, 40])
def test_a_reload_without_descriptors_changes_nothing(daemon, plain_model, spare):
    """There is no room for the test, for what this process opens when it is taken over, or for the sockets of the
    fresh generation.  There are so many workers since poll(2) may not look at more than the limit."""
    d = daemon(site("one"), workers=30)
    before = d.worker_pids()
    d.configure(conf(site("two"), plain_model, 40))
    leave_descriptors(d.pid, spare)
    done = d.ctl("reload")
    assert done.returncode == 1 and "Too many open files" in done.stderr, done
    d.allow_log("Too many open files|cannot|failed")
    wait_until(lambda: d.worker_pids() == before, what="the end of the new workers")
    assert get(d) == b"one"


def test_signals_during_a_reload_are_not_lost(daemon, plain_model):
    d = daemon(site("one"))
    d.expect_worker_death()
    for i in range(12):
        seen = d.log().count("log files are open again")
        d.signal(signal.SIGHUP)
        wait_until(lambda: "reading the configuration again" in d.log(), what="a reload", pause=0)
        time.sleep(random.Random(i).random() / 40)
        d.signal(signal.SIGUSR1)
        wait_until(lambda: d.log().count("log files are open again") > seen, what="the signal")
    wait_until(lambda: d.ask("status")["state"] == "running", what="the end of the reloads")


def test_who_talks_to_the_daemon_is_answered_by_the_one_that_took_over(daemon, plain_model):
    """A request that is not whole, and one whose answer waits for the reload."""
    d = daemon(site("one"))

    def over_a_reload():
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(30)
            begin = time.monotonic()
            s.connect(str(d.control))
            s.sendall(b'{"command": ')
            d.reload()
            try:
                s.sendall(b'"version"}\n')
                line = s.makefile().readline()
            except (BrokenPipeError, ConnectionResetError):
                line = ""
            assert line or time.monotonic() - begin > 1.5, "dropped before its time, which is 2 s"
            return line
    assert json.loads(wait_until(over_a_reload, 120, "a reload in less than 2 s"))["pid"] == d.pid


# --- workers come and go ------------------------------------------------------------------------------------------

def test_fewer_and_more_workers_lose_nothing_that_waits(daemon, model):
    d = daemon(site("1"), workers=4, timeouts={"drain": 20})
    for workers in (1, 3, 2, 4):
        stopped = d.worker_pids()
        for pid in stopped:
            stop_process(pid)
        waiting = [d.connect("echo") for _ in range(40)]
        for i, s in enumerate(waiting):
            s.sendall(b"%02d" % i)
        d.configure(conf(site(str(workers)), model, workers, drain=20))
        d.reload()
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
        for i, s in enumerate(waiting):
            assert read_exactly(s, 2) == b"%02d" % i
            s.close()
        wait_until(lambda: len(d.worker_pids()) == workers, what=f"{workers} workers")
        for _ in range(20):
            assert get(d) == str(workers).encode()


def test_a_worker_is_drained_and_replaced(daemon, model):
    d = daemon(site(), workers=2, timeouts={"drain": 30})
    long = [d.connect("echo") for _ in range(8)]
    for s in long:
        s.sendall(b"x")
        assert s.recv(1) == b"x"
    first = {w["worker"]: w["pid"] for w in d.ask("status")["workers"]}
    assert d.ctl("drain", "main.1").returncode == 0
    d.expect_worker_death()
    d.wait_log(rf"worker main\.1 \(pid {first['main.1']}\): told by the master: draining")
    now = {w["worker"]: w["pid"] for w in d.ask("status")["workers"] if w["state"] == "ready"}
    assert now["main.0"] == first["main.0"] and now["main.1"] != first["main.1"]
    for _ in range(20):
        assert get(d, "/hello") == HELLO
    for s in long:
        s.close()
    wait_until(lambda: len(d.worker_pids()) == 2, what="the end of the old worker")
    done = d.ctl("drain", "main.7")
    assert (done.returncode, done.stderr) == (1, 'there is no worker "main.7"\n')


def test_more_generations_than_allowed_hurry_the_oldest(daemon, model):
    d = daemon(http_service(RESPOND_HELLO), settings="generations = 2;", timeouts={"drain": 120, "body": 120})
    held = []
    for number in range(1, 4):
        web, begun = Http(d.connect()), request("/hello", headers=[("Content-Length", "4")]) + b"bo"
        web.send(begun)                 # a body is on its way: it stays
        wait_until(lambda: (number, len(begun)) in [(c["generation"], c["received"])
                                                    for c in d.ask("connections")["connections"]],
                   what="the request being read")
        held.append(web)
        if number < 3:
            d.reload()
    d.reload()
    d.wait_log(r"warn master: generation \d still has 1 worker, and more than 2 generations at once are not allowed")
    wait_until(lambda: len(d.ask("status")["generations"]) <= 2, what="two generations")


# --- under load ---------------------------------------------------------------------------------------------------

class Load:
    """Clients that ask all the time: half of them keep their connection, half make one for each request.  A kept
    connection may end between two requests; anything else that goes wrong is a failure."""

    def __init__(self, d, count=12):
        self.d = d
        self.over = False
        self.failures, self.served = [], [0] * count
        self.threads = [threading.Thread(target=self.run, args=(i, i % 2 == 0)) for i in range(count)]
        for t in self.threads:
            t.start()

    def one(self, web, fresh):
        """One request; False: the connection has ended before an answer began."""
        try:
            web.send(request("/hello"))
            web.rest = web.sock.recv(65536)
        except (ConnectionResetError, BrokenPipeError):
            if fresh:
                raise
            return False
        if not web.rest:
            assert not fresh, "a fresh connection was closed without an answer"
            return False
        r = web.read()
        assert (r.status, r.body) == (200, HELLO), r
        return (r.get("connection") or "").lower() != "close"

    def run(self, i, keeps):
        try:
            while not self.over:
                with socket.create_connection(("127.0.0.1", self.d.port("web")), 30) as s:
                    web, fresh = Http(s), True
                    while self.one(web, fresh) and keeps and not self.over:
                        fresh = False
                        self.served[i] += 1
                    self.served[i] += 1
        except (h11.RemoteProtocolError, OSError, AssertionError) as e:
            self.failures.append(f"client {i} after {self.served[i]} answers: {e!r}")

    def wait_more(self, n=3):
        before = list(self.served)
        wait_until(lambda: self.failures or all(a - b >= n for a, b in zip(self.served, before)), 60, "all clients")

    def end(self):
        self.over = True
        for t in self.threads:
            t.join(60)
        assert not self.failures, "\n".join(self.failures[:10])


def test_reloads_under_load_leave_no_request_without_an_answer(daemon, model):
    d = daemon(site(), workers=2)
    load = Load(d)
    try:
        for workers in (2, 1, 3, 2):
            load.wait_more()
            d.configure(conf(site(), model, workers))
            d.reload()
        load.wait_more()
    finally:
        load.end()


def test_a_download_is_finished_by_the_old_worker(daemon, model, www):
    folder = www({"big.bin": 20_000_000})
    d = daemon(http_service(root_route(folder)), timeouts={"drain": 60})
    web = Http(d.connect(rcvbuf=65536))
    web.send(request("/big.bin"))
    web.rest = web.sock.recv(1000)
    d.reload()
    assert web.read().body == (folder / "big.bin").read_bytes()
    web.close()


# --- what stays behind --------------------------------------------------------------------------------------------

def test_twenty_reloads_leave_nothing_behind(daemon, sanitizer, plain_model):
    """IOMUXD_RELOADS=200 makes them more."""
    d = daemon(site(), workers=2)
    texts = [conf(site("x" * 1000 * i), plain_model, 1 + i) for i in range(2)]

    def reload_some(count):
        for i in range(count):
            d.configure(texts[i % 2])
            d.reload()
        wait_until(lambda: len(d.ask("status")["generations"]) == 1, what="the end of the old workers")
        return fd_count(d.pid), private_bytes(d.pid)

    fds, memory = reload_some(4)
    fds_later, memory_later = reload_some(int(os.environ.get("IOMUXD_RELOADS", 20)))
    assert fds_later == fds
    if sanitizer is None:
        assert memory_later <= memory + 256 * 1024, (memory, memory_later)


def test_reloads_that_are_asked_for_at_once_all_get_their_answer(daemon, plain_model):
    d = daemon(site())
    results = []

    def one():
        results.append(d.ctl("reload").returncode)

    threads = [threading.Thread(target=one) for _ in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert results == [0] * 6
    d.expect_worker_death()
    assert 2 <= d.ask("status")["generation"] <= 7


def test_a_stop_during_a_reload_ends_all_generations(daemon, model):
    d = daemon(site(), workers=2)
    s = d.connect("echo")
    s.sendall(b"x")
    assert s.recv(1) == b"x"
    d.reload()
    d.expect_worker_death()
    d.signal(signal.SIGHUP)
    assert d.stop() == 0
    assert time.monotonic() > 0 and children(d.pid) == []
