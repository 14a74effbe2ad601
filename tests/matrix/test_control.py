# SPDX-License-Identifier: BSD-2-Clause
"""iomuxctl and the control socket: what it shows and does, whom it serves, and that nobody there can hold the daemon."""

import fcntl
import json
import os
import pty
import pwd
import re
import select
import shutil
import signal
import socket
import stat
import struct
import subprocess
import termios
import time

import pytest

from client import Http, request
from conftest import REPOSITORY, configuration
from harness import fd_count, stopped, wait_until
from sites import HELLO, RESPOND_HELLO, http_service, root_route, tiny_service

SITE = http_service(RESPOND_HELLO) + "," + tiny_service("echo")
ROOT = os.geteuid() == 0
ROWS, COLUMNS = 24, 80
REQUEST_MAX = 4096      # bytes with the newline


def raw(d, data, timeout=30):
    """What the socket answers to these bytes, to the end."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(timeout)
        s.connect(str(d.control))
        s.sendall(data)
        got = b""
        try:
            while piece := s.recv(65536):
                got += piece
        except ConnectionResetError:
            pass
        return got


# --- what it shows ------------------------------------------------------------------------------------------------

def test_status_shows_what_runs(daemon, model):
    d = daemon(SITE, workers=2)
    web = Http(d.connect("web"))
    assert web.get("/hello").body == HELLO
    wait_until(lambda: d.ask("status")["totals"]["requests"] == 1, what="the request being counted")
    status = d.ask("status")
    assert status["ok"] is True and status["pid"] == d.pid and status["state"] == "running"
    assert [w["worker"] for w in status["workers"]] == ["main.0", "main.1"]
    assert {w["pid"] for w in status["workers"]} == set(d.worker_pids())
    assert {w["model"] for w in status["workers"]} == {model} and {w["state"] for w in status["workers"]} == {"ready"}
    assert sum(w["requests"] for w in status["workers"]) == 1
    wait_until(lambda: d.ask("status")["connections"] == 1, what="the connection being counted")
    assert {(li["service"], li["address"]) for li in status["listeners"]} == {
        ("web", f"127.0.0.1:{d.port('web')}"), ("echo", f"127.0.0.1:{d.port('echo')}")}
    text = d.ctl("status").stdout
    assert re.search(rf"^iomuxd \S+ \(pid {d.pid}\): running, generation 1, up ", text, re.M)
    assert re.search(rf"^main\.1 +\d+ +1  {re.escape(model)} +ready ", text, re.M)
    heads = next(line for line in text.splitlines() if line.startswith("WORKER"))
    row = next(line for line in text.splitlines() if line.startswith("main.0"))
    assert heads.index("SANDBOX") == row.index(status["workers"][0]["sandbox"]), text


def test_connections_are_listed_on_every_model(daemon, model, www):
    folder = www({"big.bin": 30_000_000})
    d = daemon(http_service(root_route(folder), RESPOND_HELLO) + "," + tiny_service("echo"), workers=2)
    idle = [d.connect("echo") for _ in range(5)]
    for i, s in enumerate(idle):
        s.sendall(b"x" * (i + 1))
        s.recv(100)
    reader = Http(d.connect("web", rcvbuf=65536))
    reader.send(request("/big.bin"))
    reader.sock.recv(1000)
    half = d.connect("web")
    half.sendall(b"GET /hello HTTP/1.1\r\nHost: ")
    wait_until(lambda: d.ask("connections")["total"] == 7, what="all connections")

    def states():
        return sorted(c["state"] for c in d.ask("connections")["connections"])

    wait_until(lambda: states() == ["idle"] * 5 + ["reading", "sending"], what=f"the states ({states()})")
    answer = d.ask("connections", "--sort", "bytes", "--limit", "3")
    assert answer["total"] == 7 and answer["silent_workers"] == []
    sent = [c["sent"] + c["received"] for c in answer["connections"]]
    assert len(sent) == 3 and sent == sorted(sent, reverse=True)
    top = answer["connections"][0]
    assert top["service"] == "web" and top["state"] == "sending" and top["sent"] > 1000 and top["model"] == model
    assert top["peer"] == "127.0.0.1:%d" % reader.sock.getsockname()[1]
    echoes = [c for c in d.ask("connections")["connections"] if c["service"] == "echo"]
    assert sorted((c["received"], c["sent"]) for c in echoes) == [(n, n) for n in range(1, 6)]
    text = d.ctl("connections", "--limit", "2", "--sort", "received").stdout
    assert "2 of 7 connections are shown" in text and text.startswith("PEER")


def test_many_connections_are_counted_and_the_oldest_listed(daemon, plain_model):
    d = daemon(SITE, workers=2)
    held = [d.connect("echo") for _ in range(300)]
    for s in held:
        s.sendall(b"x")
        s.recv(1)
    answer = wait_until(lambda: (a := d.ask("connections"))["total"] == 300 and a, what="an answer of both workers")
    assert len(answer["connections"]) == 100
    ages = [c["age_s"] for c in answer["connections"]]
    assert ages == sorted(ages, reverse=True)


def test_a_worker_that_does_not_answer_is_named(daemon, plain_model):
    d = daemon(SITE, workers=2)
    stuck = d.worker_pids()[0]
    with stopped(stuck):
        answer = d.ask("connections")
        assert len(answer["silent_workers"]) == 1
        assert "has not answered" in d.ctl("connections").stdout


def test_models_and_version(daemon, iomuxd_bin):
    d = daemon(SITE)
    listed = subprocess.run([str(iomuxd_bin), "--list-models"], capture_output=True, text=True, check=True).stdout
    assert [m["model"] for m in d.ask("models")["models"]] == [line.split()[0] for line in listed.splitlines()]
    assert re.search(r"^poll +multiplexing +yes", d.ctl("models").stdout, re.M)
    version = d.ask("version")
    assert version["pid"] == d.pid and re.match(r"\d+\.\d+", version["version"])
    assert d.ctl("version").stdout.startswith(f"iomuxctl {version['version']}\niomuxd   {version['version']} ")


def test_watch_asks_again_and_again(daemon):
    d = daemon(SITE)
    program = str(d.binary.parent / "iomuxctl")
    with subprocess.Popen([program, "-s", str(d.control), "--json", "--watch=0.1", "status"], stdout=subprocess.PIPE,
                          text=True) as p:
        pids = [json.loads(p.stdout.readline())["pid"] for _ in range(3)]
        p.terminate()
    assert pids == [d.pid] * 3


# --- the live screen ----------------------------------------------------------------------------------------------

class Screen:
    """iomuxctl top on a terminal of its own."""

    def __init__(self, d, *options):
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen([str(d.binary.parent / "iomuxctl"), "-s", str(d.control), *options, "top"],
                                        stdin=self.slave, stdout=self.slave, stderr=subprocess.PIPE, text=True)
        self.text = ""

    def read(self, seconds=0.05):
        while select.select([self.master], [], [], seconds)[0]:
            self.text += os.read(self.master, 65536).decode()

    def frames(self):
        self.read()
        return self.text.split("\033[H")[1:]

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def screen():
    made = []

    def make(d, *options):
        made.append(Screen(d, *options))
        return made[-1]

    yield make
    for s in made:
        s.end()


def test_top_fits_the_screen_renews_it_and_gives_the_terminal_back(daemon, screen):
    d = daemon(SITE, workers=3)
    held = [d.connect("echo") for _ in range(40)]
    for s in held:
        s.sendall(b"x")
        s.recv(1)
    s = screen(d, "--watch=0.1")
    wait_until(lambda: len(s.frames()) >= 4, what="several frames")
    frame = s.frames()[-2]
    lines = re.sub(r"\033\[[0-9?]*[A-Za-z]", "", frame).split("\r\n")
    assert len(lines) <= ROWS and max(map(len, lines)) <= COLUMNS, lines
    assert lines[0].startswith("iomuxd ") and any(line.startswith("main.2") for line in lines)
    assert any(line.startswith("127.0.0.1:") for line in lines)
    os.write(s.master, b"q")
    assert s.process.wait(10) == 0
    wait_until(lambda: s.read() or s.text.endswith("\033[?25h\033[?1049l"), what="the screen as it was")
    assert termios.tcgetattr(s.slave) == s.before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_top_gives_the_terminal_back_after_a_signal(daemon, screen, number):
    d = daemon(SITE)
    s = screen(d)
    wait_until(lambda: s.frames(), what="a frame")
    s.process.send_signal(number)
    assert s.process.wait(10) == 0
    assert termios.tcgetattr(s.slave) == s.before


def test_top_ends_when_the_daemon_does(daemon, screen):
    d = daemon(SITE)
    s = screen(d, "--watch=0.1")
    wait_until(lambda: s.frames(), what="a frame")
    assert d.stop() == 0
    assert s.process.wait(10) == 3
    assert termios.tcgetattr(s.slave) == s.before


def test_top_needs_a_terminal(daemon):
    d = daemon(SITE)
    done = d.ctl("top")
    assert done.returncode == 2 and "needs a terminal" in done.stderr


# --- what it does -------------------------------------------------------------------------------------------------

def test_log_level_holds_for_all_processes_until_the_next_reload(daemon):
    d = daemon(SITE, workers=2)
    assert d.ctl("log-level", "error").returncode == 0
    assert d.ask("status")["log_level"] == "error"
    before = d.log()
    assert d.ctl("drain", "main.0").returncode == 0
    d.expect_worker_death()
    wait_until(lambda: all(w["state"] == "ready" for w in d.ask("status")["workers"]), what="the other worker")
    assert d.log() == before
    d.reload()
    assert "generation 2 serves" in d.log()
    assert d.ask("status")["log_level"] == "info"


def test_reopen_opens_the_logs_again(daemon, tmp_path):
    log, access = tmp_path / "iomuxd.log", tmp_path / "access.log"
    d = daemon(SITE, ready=False, settings=f'log : {{ target = "file:{log}"; }};\n'
                                           f'access_log : {{ target = "file:{access}"; }};')
    wait_until(lambda: log.exists() and "ready: pool" in log.read_text(), what="the start")
    log.rename(tmp_path / "old.log")
    access.rename(tmp_path / "old.access")
    assert d.ctl("reopen").returncode == 0
    assert log.exists() and access.exists()
    wait_until(lambda: "iomuxctl: log files are open again" in log.read_text(), what="a word in the new file")
    log.unlink()
    log.mkdir()
    done = d.ctl("reopen")
    assert done.returncode == 1 and "could be opened again" in done.stderr


def test_stop_ends_the_daemon_well(daemon, model):
    d = daemon(SITE, workers=2)
    assert d.ctl("stop").returncode == 0
    d._stopping = True
    assert d.wait() == 0
    assert not d.control.exists()
    assert re.search(r"iomuxctl \(pid \d+, uid \d+\): stop\n", d.log())


def test_while_stopping_it_still_answers(daemon, www):
    folder = www({"big.bin": 20_000_000})
    d = daemon(http_service(root_route(folder)), timeouts={"drain": 30})
    web = Http(d.connect(rcvbuf=65536))
    web.send(request("/big.bin"))
    web.rest = web.sock.recv(1000)
    d.signal(signal.SIGTERM)
    d.wait_log("SIGTERM: stopping")
    assert d.ask("status")["state"] == "stopping"
    done = d.ctl("reload")
    assert (done.returncode, done.stderr) == (1, "the daemon is stopping\n")
    assert web.read().status == 200


# --- exit statuses ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("arguments", [[], ["sing"], ["status", "x"], ["drain"], ["drain", "a", "b"], ["log-level"],
                                       ["--sort", "age", "status"], ["--watch", "reload"], ["--watch=0", "status"],
                                       ["--watch=x", "status"], ["connections", "--limit", "x"], ["--nothing"],
                                       ["top", "x"], ["-s"]], ids=str)
def test_a_wrong_command_line_is_status_2(daemon, arguments):
    d = daemon(SITE)
    done = d.ctl(*arguments)
    assert done.returncode == 2 and done.stdout == "" and "--help" in done.stderr, done


def test_what_the_daemon_refuses_is_status_1(daemon):
    d = daemon(SITE)
    for arguments in (["log-level", "loud"], ["drain", "main.9"], ["connections", "--sort", "name"],
                      ["connections", "--limit", "0"]):
        done = d.ctl(*arguments)
        assert done.returncode == 1 and done.stdout == "" and done.stderr, (arguments, done)


def test_nobody_there_is_status_3(daemon, tmp_path):
    d = daemon(SITE)
    assert d.stop() == 0
    done = d.ctl("status")
    assert done.returncode == 3 and "cannot reach iomuxd at" in done.stderr
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(d.control))          # a file that nobody listens on
        done = d.ctl("status")
        assert done.returncode == 3 and "Connection refused" in done.stderr
    d.control.unlink()


def test_a_stuck_daemon_is_status_4_within_2_seconds(daemon):
    d = daemon(SITE)
    with stopped(d.pid):
        for command in ("status", "connections", "version"):
            begin = time.monotonic()
            done = d.ctl(command)
            assert done.returncode == 4 and "no answer" in done.stderr, done
            assert time.monotonic() - begin < 2 + 10, "2 s, and what a busy machine takes to start a program"
    assert d.ctl("status").returncode == 0


def test_output_that_cannot_be_written_is_status_1(daemon):
    d = daemon(SITE)
    with open("/dev/full", "w") as full:
        done = subprocess.run([str(d.binary.parent / "iomuxctl"), "-s", str(d.control), "status"], stdout=full,
                              stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1 and "cannot write to stdout" in done.stderr


# --- the socket and who may use it --------------------------------------------------------------------------------

def test_the_socket_is_for_its_owner_and_group_and_goes_with_the_daemon(daemon, tmp_path):
    path = tmp_path / "new-folder" / "c.sock"
    d = daemon(SITE, settings=f'control = "{path}";')
    mode = path.lstat().st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o660
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755
    d.control = path
    assert d.ask("version")["pid"] == d.pid
    assert d.stop() == 0
    assert not path.exists()


def test_off_means_no_socket(daemon):
    d = daemon(SITE, settings='control = "off";')
    assert not d.control.exists()
    assert d.ctl("status").returncode == 3


def test_a_socket_that_a_killed_daemon_left_is_replaced(daemon, tmp_path):
    path = tmp_path / "c.sock"
    first = daemon(SITE, settings=f'control = "{path}";')
    first.signal(signal.SIGKILL)
    first.expect_status(first.wait())
    assert path.exists()
    second = daemon(SITE, settings=f'control = "{path}";')
    second.control = path
    assert second.ask("version")["pid"] == second.pid


def test_the_socket_of_another_daemon_is_left_alone(daemon, tmp_path):
    path = tmp_path / "c.sock"
    first = daemon(SITE, settings=f'control = "{path}";')
    first.control = path
    second = daemon(SITE, settings=f'control = "{path}";', ready=False)
    second.allow_log("another iomuxd")
    second.expect_status(1)
    assert second.wait() == 1
    assert re.search(rf"{second.config}:\d+: control: {path}: another iomuxd \(pid {first.pid}\) answers there",
                     second.log()), second.log()
    assert first.ask("version")["pid"] == first.pid


def test_a_default_that_cannot_be_made_is_one_warning(daemon, tmp_path):
    taken = tmp_path / "runtime"
    taken.mkdir()
    (taken / "control.sock").mkdir()
    d = daemon(SITE, env={"RUNTIME_DIRECTORY": str(taken)})
    assert len(re.findall(r"warn master: iomuxctl will not work: control: .*control\.sock: is there, and no socket",
                          d.log())) == 1


def test_what_a_unit_executes_finds_the_socket_where_the_daemon_made_it(daemon, tmp_path):
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    d = daemon(SITE, env={"RUNTIME_DIRECTORY": f"{runtime}:{tmp_path}"})
    assert (runtime / "control.sock").is_socket()
    done = subprocess.run([d.ctl_program(), "reload"], env={"RUNTIME_DIRECTORY": f"{runtime}:{tmp_path}"},
                          capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    d.expect_worker_death()
    d.control = runtime / "control.sock"
    assert d.ask("status")["generation"] == 2


def test_a_named_one_that_cannot_be_made_fails_the_start(daemon):
    d = daemon(SITE, settings='control = "/nonexistent/folder/c.sock";', ready=False)
    d.allow_log("control")
    d.expect_status(1)
    assert d.wait() == 1
    assert re.search(rf"{d.config}:\d+: control: /nonexistent/folder/c\.sock: No such file or directory", d.log())


def test_it_moves_with_a_reload(daemon, plain_model, tmp_path):
    d = daemon(SITE)
    old, path = d.control, tmp_path / "moved.sock"
    d.configure(configuration(SITE, plain_model, 1, None, None, f'control = "{path}";'))
    d.reload()
    assert not old.exists()
    d.control = path
    assert d.ask("status")["generation"] == 2
    d.configure(configuration(SITE, plain_model, 1, None, None, 'control = "/nonexistent/folder/c.sock";'))
    d.allow_log("control|the reload failed")
    done = d.ctl("reload")
    assert done.returncode == 1 and "control: /nonexistent/folder/c.sock" in done.stderr
    assert d.ask("status")["generation"] == 2


@pytest.mark.skipif(not ROOT, reason="only root can become somebody else")
def test_members_of_the_group_may_look_and_strangers_may_not(daemon, monkeypatch):
    d = daemon(SITE)
    # they may not be able to reach the folder that this was built in
    monkeypatch.setenv("IOMUXCTL", shutil.copy(d.binary.parent / "iomuxctl", d.folder))
    group, somebody = d.control.stat().st_gid, pwd.getpwnam("nobody")
    member = {"user": somebody.pw_uid, "group": group, "extra_groups": []}
    stranger = {"user": somebody.pw_uid, "group": 54321, "extra_groups": []}
    for command in ("status", "connections", "models", "version"):
        assert d.ctl(command, **member).returncode == 0
    for command in (["reload"], ["set", "workers=2"], ["unset", "workers"], ["drain", "main.0"], ["log-level", "debug"], ["reopen"], ["stop"]):
        done = d.ctl(*command, **member)
        assert done.returncode == 1 and "only root and the user that iomuxd runs as may do this" in done.stderr, done
    done = d.ctl("status", **stranger)
    assert done.returncode == 3 and "Permission denied" in done.stderr


# --- abuse --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("data", [b"\n", b"status\n", b"{}\n", b"[1]\n", b"\0\0\0\n", b"{\"command\":\"sing\"}\n",
                                  b"[" * 900 + b"\n", b"\xff\xfe\n", b"HEAD / HTTP/1.1\r\n\r\n"], ids=repr)
def test_garbage_is_answered_with_a_reason(daemon, data):
    d = daemon(SITE)
    answer = json.loads(raw(d, data))
    assert answer["ok"] is False and answer["errors"]


def test_a_request_that_is_too_long_is_dropped(daemon):
    """Each is whole, so that no time runs out: the longest that there may be is answered, one byte more is not."""
    d = daemon(SITE)
    before = fd_count(d.pid)
    assert json.loads(raw(d, b"x" * (REQUEST_MAX - 1) + b"\n"))["ok"] is False
    for more in (b"", b"x", b"x" * REQUEST_MAX):
        assert raw(d, b"x" * REQUEST_MAX + more + b'\n{"command":"version"}\n') == b""
    wait_until(lambda: fd_count(d.pid) == before, what="the end of all clients")
    assert d.ctl("status").returncode == 0


def test_bytes_that_are_no_text_are_carried_over_a_reload(daemon):
    """Half a request is in the hands of the master that goes, and reaches the one that comes as it was."""
    d = daemon(SITE)

    def carried():
        halves, begin = [], time.monotonic()
        try:
            for half in (b"\0", b"{\0\xff", b"stat\0"):
                s = socket.socket(socket.AF_UNIX)
                halves.append(s)
                s.settimeout(30)
                s.connect(str(d.control))
                s.sendall(half)
            d.ask("version")                                # who came before has been heard
            d.reload()
            assert Http(d.connect("web")).get("/hello").body == HELLO
            for s in halves:
                s.sendall(b"\n")
                assert json.loads(s.recv(65536))["ok"] is False
            return True
        except (BrokenPipeError, ConnectionResetError, json.JSONDecodeError):
            assert time.monotonic() - begin > 1.5, "dropped before its time, which is 2 s"
            return False
        finally:
            for s in halves:
                s.close()
    wait_until(carried, 120, "a reload in less than 2 s")


def test_half_requests_are_dropped_in_time(daemon):
    d = daemon(SITE)
    before = fd_count(d.pid)
    assert raw(d, b'{"command":"sta') == b""
    wait_until(lambda: fd_count(d.pid) == before, what="the end of the client")


def test_a_thousand_clients_keep_nobody_out(daemon, plain_model):
    d = daemon(SITE)
    before = fd_count(d.pid)
    crowd = []
    try:
        for _ in range(1000):
            s = socket.socket(socket.AF_UNIX)
            s.connect(str(d.control))       # waits where the queue is full
            crowd.append(s)
            if len(crowd) % 200 == 0:
                assert d.ctl("status").returncode == 0
        assert fd_count(d.pid) <= before + 70
        assert Http(d.connect("web")).get("/hello").body == HELLO
    finally:
        for s in crowd:
            s.close()
    wait_until(lambda: fd_count(d.pid) == before, what="the end of all clients")


def test_a_client_that_does_not_read_holds_nobody(daemon):
    d = daemon(SITE, workers=2)
    held = [d.connect("echo") for _ in range(200)]
    for s in held:
        s.sendall(b"x")
        s.recv(1)
    slow = []
    for _ in range(20):
        s = socket.socket(socket.AF_UNIX)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        s.connect(str(d.control))
        s.sendall(b'{"command":"status"}\n')
        slow.append(s)
    assert d.ask("status")["ok"]
    wait_until(lambda: d.ask("connections")["total"] == 200, what="an answer of both workers")
    for s in slow:
        s.close()


def test_clients_that_leave_without_their_answer_do_no_harm(daemon, plain_model):
    d = daemon(SITE, workers=2)
    before = fd_count(d.pid)
    for command in ("status", "connections", "reload"):
        for _ in range(20):
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(str(d.control))
                s.sendall(b'{"command":"%s"}\n' % command.encode())
    d.expect_worker_death()
    wait_until(lambda: len(d.ask("status")["generations"]) == 1, what="the end of the reloads")
    wait_until(lambda: fd_count(d.pid) <= before + 1, what="the end of all clients")
    assert Http(d.connect("web")).get("/hello").body == HELLO


# --- completion ---------------------------------------------------------------------------------------------------

def complete(d, *words):
    script = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _iomuxctl; printf "%s\\n" "${COMPREPLY[@]}"')
    path = REPOSITORY / "share" / "completion" / "iomuxctl"
    environment = {**os.environ, "PATH": f"{d.binary.parent}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script, "bash", str(path), "iomuxctl", *words], capture_output=True, text=True,
                          timeout=60, env=environment, check=True)
    return done.stdout.split()


def test_bash_completes_commands_arguments_and_workers(daemon):
    d = daemon(SITE, workers=2)
    assert complete(d, "re") == ["reload", "reopen"]
    assert complete(d, "log-level", "de") == ["debug"]
    assert complete(d, "connections", "--sort", "") == ["age", "received", "sent", "bytes"]
    assert complete(d, "--j") == ["--json"]
    assert complete(d, "-s", str(d.control), "drain", "") == ["main.0", "main.1"]
    assert complete(d, "-s", str(d.control), "unset", "") == []
    assert d.ctl("set", "log.level=debug").returncode == 0
    d.expect_worker_death()
    assert complete(d, "-s", str(d.control), "unset", "") == ["log.level"]


class Zsh:
    """An interactive zsh with the completion of iomuxctl and nothing of its user's."""

    def __init__(self, d, folder):
        self.master, slave = pty.openpty()
        environment = {"PATH": f"{d.binary.parent}:{os.environ['PATH']}", "TERM": "dumb", "ZDOTDIR": str(folder),
                       "HOME": str(folder)}
        self.process = subprocess.Popen(["zsh", "-f", "-i"], stdin=slave, stdout=slave, stderr=slave, env=environment,
                                        start_new_session=True)
        os.close(slave)
        self.text = ""
        self.write(f"PS1=; fpath=({REPOSITORY / 'share' / 'completion'} $fpath); autoload -Uz compinit; compinit -u -D\n"
                   "shown() { print -r -- \"<$BUFFER>\"; BUFFER=; }; zle -N shown; bindkey '^T' shown; "
                   "bindkey '^I' complete-word; print rea''dy\n")
        wait_until(lambda: "ready" in self.read(), 60, what="zsh")

    def write(self, text):
        os.write(self.master, text.encode())

    def read(self):
        while select.select([self.master], [], [], 0.05)[0]:
            self.text += os.read(self.master, 65536).decode(errors="replace")
        return self.text

    def complete(self, line):
        """The line after a tab, if there is only one way to go on."""
        self.text = ""
        self.write(f"{line}\t\x14")
        return wait_until(lambda: re.search("<(iomuxctl .*)>", self.read()), 60, what=f"completion of {line}")[1]

    def end(self):
        self.process.kill()
        self.process.wait()
        os.close(self.master)


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed (bootstrap packages ci)")
def test_zsh_completes_commands_arguments_and_workers(daemon, tmp_path):
    d = daemon(SITE)
    assert d.ctl("set", "log.level=debug").returncode == 0
    d.expect_worker_death()
    zsh = Zsh(d, tmp_path)
    try:
        for line, end in (("rel", "reload "), ("log-level de", "log-level debug "), ("connections --sor", "--sort "),
                          ("connections --sort ag", "--sort age "), ("set io", "set io_model="), ("set wor", "set workers="),
                          (f"-s {d.control} unset ", "unset log.level "), (f"--socket {d.control} drain ", "drain main.0 ")):
            assert zsh.complete(f"iomuxctl {line}").endswith(" " + end), line
    finally:
        zsh.end()


def test_completions_know_what_the_help_says(daemon):
    help_text = subprocess.run([str(daemon(SITE).ctl_program()), "--help"], capture_output=True, text=True, check=True).stdout
    commands = re.findall(r"^  ([a-z][a-z-]*) ", help_text, re.M)
    options = set(re.findall(r"(?<![\w-])--?[A-Za-z][a-z]*", help_text))
    assert len(commands) == 12 and {"-s", "--socket", "--sort", "--fresh", "--watch", "-h"} <= options
    bash, zsh = ((REPOSITORY / "share" / "completion" / name).read_text() for name in ("iomuxctl", "_iomuxctl"))
    assert re.search("local commands='(.*)'", bash)[1].split() == commands
    assert set(re.search("compgen -W '(-.*?)'", bash)[1].split()) == options
    assert re.findall(r"^        '([a-z-]+):", zsh, re.M) == commands
    assert set(re.findall(r"['{,](--?[A-Za-z][a-z]*)", zsh.split("_arguments")[1])) == options
