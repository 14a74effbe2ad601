# SPDX-License-Identifier: BSD-2-Clause
"""Sockets and counters outlive the daemon: the service manager keeps them by name, and gives them to the next one.  Here
the test is that manager."""

import array
import os
import re
import signal
import socket
import threading

import pytest

from client import Http, read_exactly
from conftest import configuration
from harness import wait_until
from sites import HELLO, RESPOND_HELLO, http_service, tiny_service


class Keeper:
    """Hears what a daemon says to its manager, and keeps what it is to keep."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        path.chmod(0o777)
        self.kept, self.said = {}, []
        self.thread = threading.Thread(target=self.listen)
        self.thread.start()

    def listen(self):
        while True:
            text, ancillary, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(64))
            if text == b"end":
                return
            words = dict(line.split("=", 1) for line in text.decode().split("\n"))
            fds = array.array("i")
            for _, _, data in ancillary:
                fds.frombytes(data[:len(data) - len(data) % fds.itemsize])
            if words.get("FDSTORE") == "1":
                self.kept[words["FDNAME"]] = os.fdopen(fds[0], "rb", closefd=True, buffering=0)
            elif words.get("FDSTOREREMOVE") == "1":
                self.kept.pop(words["FDNAME"]).close()
            self.said.append(words)

    def handed(self):
        """All of it, in an order that means nothing."""
        return sorted(self.kept.items(), key=lambda item: hash(item[0]))

    def wait_for(self, *names):
        """Until it has these, and nothing else."""
        wanted = {f"kept.{name}" for name in names}
        wait_until(lambda: set(self.kept) == wanted, what=f"{sorted(wanted)} being kept")

    def end(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(b"end", str(self.path))
        self.thread.join()
        self.socket.close()
        for one in self.kept.values():
            one.close()


@pytest.fixture
def keeper(needs, tmp_path):
    needs("systemd")
    k = Keeper(tmp_path / "notify")
    yield k
    k.end()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def all_kinds(port, path):
    return ",".join((http_service(RESPOND_HELLO, listen=f"127.0.0.1:{port}"),
                     tiny_service("echo", listen="127.0.0.1:0"),
                     tiny_service("echo", listen="udp:127.0.0.1:0", name="datagrams"),
                     tiny_service("echo", listen=f"unix:{path}", name="by-file")))


def start(daemon, keeper, services, workers=2, **more):
    return daemon(services, workers=workers, env={"NOTIFY_SOCKET": str(keeper.path)}, handed=keeper.handed(), **more)


def ask_all(port, d):
    """Clients of each kind, whose words wait in the queues."""
    asked = []
    for i in range(12):
        web = socket.create_connection(("127.0.0.1", port), 30)
        web.sendall(b"GET /hello HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        echo = d.connect("echo")
        echo.sendall(b"%02d" % i)
        asked.append((i, web, echo))
    return asked


def answered(asked):
    for i, web, echo in asked:
        r = Http(web).read()
        assert (r.status, r.body) == (200, HELLO)
        assert read_exactly(echo, 2) == b"%02d" % i
        echo.close()


def test_the_next_daemon_serves_what_waits_and_counts_on(daemon, keeper, model, tmp_path):
    """Killed or stopped: in between nobody is refused, and datagrams and clients of a Unix socket wait too."""
    port, path = free_port(), tmp_path / "s"
    d = start(daemon, keeper, all_kinds(port, path))
    keeper.wait_for("counters", "web.0.0", "web.0.1", "echo.0.0", "echo.0.1", "datagrams.0.0", "datagrams.0.1",
                    "by-file.0.0")
    answered(ask_all(port, d))
    for how in ("killed", "stopped"):
        if how == "killed":
            workers = d.worker_pids()
            d.signal(signal.SIGKILL)
            d.wait()
            d.expect_status(-9)
            wait_until(lambda: not any(os.path.exists(f"/proc/{p}") for p in workers), what="the end of its workers")
        else:
            assert d.stop() == 0
        asked = ask_all(port, d)
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.settimeout(30)
        udp.connect(("127.0.0.1", d.port("datagrams")))
        udp.send(b"datagram")
        by_file = socket.socket(socket.AF_UNIX)
        by_file.settimeout(30)
        by_file.connect(str(path))
        by_file.sendall(b"file")
        old, d = d, start(daemon, keeper, all_kinds(port, path))
        assert d.port("echo") == old.port("echo"), "a port that the kernel chose stays"
        answered(asked)
        assert udp.recv(100) == b"datagram" and read_exactly(by_file, 4) == b"file"
        udp.close()
        by_file.close()
    wait_until(lambda: d.ask("status")["totals"]["requests"] == 36, what="all requests being counted")


def test_what_no_configuration_wants_is_kept_no_more(daemon, keeper, plain_model):
    port = free_port()
    d = start(daemon, keeper, all_kinds(port, keeper.path.with_name("s")))
    wait_until(lambda: len(keeper.kept) == 8, what="all being kept")
    assert d.stop() == 0
    d = start(daemon, keeper, tiny_service("discard"), workers=1)
    keeper.wait_for("counters", "discard.0.0")
    with socket.socket() as s:
        assert s.connect_ex(("127.0.0.1", port)) != 0
    d.configure(configuration(tiny_service("discard"), plain_model, 3, None, None, ""))
    d.reload()
    keeper.wait_for("counters", *(f"discard.0.{i}" for i in range(3)))


def test_an_address_is_what_the_socket_says_and_not_its_name(daemon, keeper, plain_model):
    """The service and its number are others now; a name that lies is of no use."""
    port, other = free_port(), free_port()
    d = start(daemon, keeper, http_service(RESPOND_HELLO, listen=f"127.0.0.1:{port}"))
    keeper.wait_for("counters", "web.0.0", "web.0.1")
    assert d.stop() == 0
    waiting = socket.create_connection(("127.0.0.1", port), 30)
    waiting.sendall(b"moved")
    services = tiny_service("echo", listen=f"127.0.0.1:{other}") + "," + \
        tiny_service("echo", listen=f"127.0.0.1:{port}", name="moved")
    d = start(daemon, keeper, services)
    assert read_exactly(waiting, 5) == b"moved"
    keeper.wait_for("counters", *(f"{s}.0.{i}" for s in ("echo", "moved") for i in range(2)))
    waiting.close()


def test_fewer_workers_serve_all_the_sockets_that_were_kept(daemon, keeper, model):
    d = start(daemon, keeper, tiny_service("echo"), workers=4)
    keeper.wait_for("counters", *(f"echo.0.{i}" for i in range(4)))
    assert d.stop() == 0
    waiting = [d.connect("echo") for _ in range(32)]
    for i, s in enumerate(waiting):
        s.sendall(b"%02d" % i)
    start(daemon, keeper, tiny_service("echo"), workers=1)
    for i, s in enumerate(waiting):
        assert read_exactly(s, 2) == b"%02d" % i
        s.close()


def test_counters_of_another_version_are_not_gone_on_with(daemon, keeper, plain_model, tmp_path):
    with open(tmp_path / "counters", "w+b") as other:
        other.truncate(4096)
        keeper.kept["kept.counters"] = other
        d = start(daemon, keeper, tiny_service("echo"))
        d.wait_log("notice master: counters begin at zero: those that the service manager has kept")
        assert d.ask("status")["totals"]["accepted"] == 0
        wait_until(lambda: [w for w in keeper.said if w.get("FDSTOREREMOVE") and w["FDNAME"] == "kept.counters"],
                   what="the old ones being given back")


def test_workers_without_a_master_finish_and_go(daemon, keeper, model):
    """A request that has begun is answered, by the worker that has it; new clients are the next daemon's."""
    port = free_port()
    d = start(daemon, keeper, http_service(RESPOND_HELLO, listen=f"127.0.0.1:{port}"), workers=1)
    web = Http(socket.create_connection(("127.0.0.1", port), 30))
    web.send(b"GET /hello HTTP/1.1\r\nHost: te")
    wait_until(lambda: d.ask("status")["connections"] == 1, what="the client")
    worker = d.worker()
    keeper.wait_for("counters", "web.0.0")
    d.signal(signal.SIGKILL)
    d.wait()
    d.expect_status(-9)
    wait_until(lambda: "the master is gone: draining" in d.log(), what="the worker hearing of it")
    with start(daemon, keeper, http_service(RESPOND_HELLO, listen=f"127.0.0.1:{port}")).connect("web") as s:
        assert Http(s).get("/hello").body == HELLO
    assert os.path.exists(f"/proc/{worker}")
    web.send(b"st\r\n\r\n")
    assert web.read().body == HELLO
    web.close()
    wait_until(lambda: not os.path.exists(f"/proc/{worker}"), what="the end of the worker")


def test_a_daemon_without_a_manager_keeps_nothing(daemon, plain_model, tmp_path):
    path = tmp_path / "s"
    d = daemon(tiny_service("echo", listen=f"unix:{path}"))
    assert d.stop() == 0
    assert not path.exists()
    assert not re.search("kept", d.log())
