# SPDX-License-Identifier: BSD-2-Clause
"""Sockets that the service manager hands over, found by their names."""

import os
import re
import socket
from pathlib import Path

import pytest

from client import Http, read_exactly
from conftest import configuration
from harness import wait_until
from sites import HELLO, RESPOND_HELLO, http_service, tiny_service

WEB = http_service(RESPOND_HELLO, listen="systemd:web")


@pytest.fixture
def listening():
    made = []

    def make(kind=socket.SOCK_STREAM, port=0, reuse=False):
        s = socket.socket(socket.AF_INET, kind)
        made.append(s)
        if reuse:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        s.bind(("127.0.0.1", port))
        if kind == socket.SOCK_STREAM:
            s.listen(64)
        return s

    yield make
    for s in made:
        s.close()


def get(port):
    with socket.create_connection(("127.0.0.1", port), 30) as s:
        return Http(s).get("/hello").body


def inodes(pid):
    found = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            match = re.match(r"socket:\[(\d+)\]", os.readlink(f"/proc/{pid}/fd/{name}"))
        except FileNotFoundError:       # it was a connection's
            continue
        if match:
            found.add(int(match.group(1)))
    return found


def inode(sock):
    return os.fstat(sock.fileno()).st_ino


def test_a_socket_is_taken_by_its_name_and_shared_by_the_workers(daemon, model, listening):
    other, web = listening(), listening()
    d = daemon(WEB, workers=2, handed=[("other", other), ("web", web)])
    port = web.getsockname()[1]
    assert d.port("web") == port
    for _ in range(20):
        assert get(port) == HELLO
    sharing = sum(inode(web) in inodes(p) for p in d.worker_pids())
    assert sharing == (1 if model == "sigio" else 2)
    assert all(inode(other) not in inodes(p) for p in d.worker_pids())
    if model == "sigio":
        assert re.search(r"notice master: worker main\.1 does not serve web .*: one worker with the model sigio has it",
                         d.log())


def test_several_sockets_of_a_name_are_spread_over_the_workers(daemon, model, listening):
    first = listening(reuse=True)
    port = first.getsockname()[1]
    sockets = [first] + [listening(port=port, reuse=True) for _ in range(2)]
    d = daemon(WEB, workers=3, handed=[("web", s) for s in sockets])
    held = [{inode(s) for s in sockets} & inodes(p) for p in d.worker_pids()]
    assert sorted(len(h) for h in held) == [1, 1, 1] and set().union(*held) == {inode(s) for s in sockets}
    for _ in range(30):
        assert get(port) == HELLO


def test_more_sockets_than_workers_are_all_served(daemon, plain_model, listening):
    sockets = [listening() for _ in range(3)]
    daemon(WEB, workers=2, handed=[("web", s) for s in sockets])
    for s in sockets:
        assert get(s.getsockname()[1]) == HELLO


def test_datagrams_and_connections_of_one_name(daemon, model, listening):
    tcp, udp = listening(), listening(socket.SOCK_DGRAM)
    service = ('{ name = "echo"; protocol = "echo"; listen = [ "systemd:echo", "udp:systemd:echo" ]; }')
    daemon(service, handed=[("echo", udp), ("echo", tcp)])
    with socket.create_connection(tcp.getsockname(), 30) as s:
        s.sendall(b"tcp")
        assert read_exactly(s, 3) == b"tcp"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(30)
        s.connect(udp.getsockname())
        s.send(b"udp")
        assert s.recv(10) == b"udp"


def test_unix_sockets_may_be_handed_over_and_their_files_stay(daemon, plain_model, tmp_path):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(path))
        unix.listen()
        path.chmod(0o666)
        d = daemon(tiny_service("echo", listen="systemd:e"), workers=2, handed=[("e", unix)])
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(30)
            s.connect(str(path))
            s.sendall(b"x")
            assert s.recv(1) == b"x"
        assert d.stop() == 0
        assert path.exists()


def test_sockets_stay_over_reloads_used_or_not(daemon, plain_model, listening):
    web, later = listening(), listening()
    d = daemon(WEB, workers=2, handed=[("web", web), ("later", later)])
    port = web.getsockname()[1]
    for name, sock, workers in (("web", web, 1), ("later", later, 2), ("web", web, 3)):
        d.configure(configuration(http_service(RESPOND_HELLO, listen=f"systemd:{name}"), plain_model, workers, None,
                                  None, ""))
        d.reload()
        assert get(sock.getsockname()[1]) == HELLO
    wait_until(lambda: len(d.worker_pids()) == 3, what="three workers")
    assert get(port) == HELLO


def test_a_name_that_is_not_there_fails_the_start_and_a_reload(daemon, plain_model, listening):
    web = listening()
    d = daemon(http_service(RESPOND_HELLO, listen="systemd:wbe"), handed=[("web", web)], ready=False)
    d.allow_log("listen systemd:wbe")
    d.expect_status(1)
    assert d.wait() == 1
    said = (r"services\.web: listen systemd:wbe: the service manager has handed over no listening socket of this name; "
            r"what it has handed over: web$")
    assert re.search(rf"{d.config}:\d+: {said}", d.log(), re.M), d.log()
    d = daemon(WEB, handed=[("web", web)])
    d.configure(configuration(http_service(RESPOND_HELLO, listen="systemd:wbe"), plain_model, 1, None, None, ""))
    done = d.ctl("reload")
    assert done.returncode == 1 and re.search(said, done.stderr, re.M)
    d.allow_log("listen systemd:wbe|the reload failed")
    assert get(web.getsockname()[1]) == HELLO


def test_nothing_was_handed_over(daemon):
    d = daemon(WEB, ready=False)
    d.allow_log("listen systemd:web")
    d.expect_status(1)
    assert d.wait() == 1
    assert "what it has handed over: none" in d.log()


def test_words_of_the_environment_that_cannot_be_right_are_an_error(iomuxd_bin, daemon):
    d = daemon(http_service(RESPOND_HELLO), ready=False, env={"LISTEN_PID": "nobody", "LISTEN_FDS": "1"})
    d.expect_status(1)
    assert d.wait() == 1
    assert "sockets of the service manager: LISTEN_PID=nobody is no process id" in d.log()


def test_sockets_for_another_process_are_left_alone(daemon):
    d = daemon(http_service(RESPOND_HELLO), env={"LISTEN_PID": "1", "LISTEN_FDS": "5"})
    assert get(d.port("web")) == HELLO
    environment = Path(f"/proc/{d.worker()}/environ").read_bytes()
    assert environment.count(b"LISTEN_") in (0, 2)      # the kernel may show what exec gave
