# SPDX-License-Identifier: BSD-2-Clause
"""Sockets and counters outlive the daemon: the service manager keeps them by name, and gives them to the next one.  Here
the test is that manager."""

import os
import re
import signal
import socket

from client import Http, read_exactly, request
from conftest import configuration
from harness import free_port, wait_until
from sites import HELLO, RESPOND_HELLO, http_service, root_route, tiny_service

BIG = 6 << 20               # bytes: more than sockets hold of it


def all_kinds(port, path):
    return ",".join((http_service(RESPOND_HELLO, listen=f"127.0.0.1:{port}"),
                     tiny_service("echo", listen="127.0.0.1:0"),
                     tiny_service("echo", listen="udp:127.0.0.1:0", name="datagrams"),
                     tiny_service("echo", listen=f"unix:{path}", name="by-file")))


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
    d = keeper.start(daemon, all_kinds(port, path))
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
        old, d = d, keeper.start(daemon, all_kinds(port, path))
        assert d.port("echo") == old.port("echo"), "a port that the kernel chose stays"
        answered(asked)
        assert udp.recv(100) == b"datagram" and read_exactly(by_file, 4) == b"file"
        udp.close()
        by_file.close()
    wait_until(lambda: d.ask("status")["totals"]["requests"] == 36, what="all requests being counted")


def test_who_stops_before_all_was_said_leaves_what_is_kept(daemon, keeper, plain_model, www):
    """The manager is slow: there is more to say when the daemon is told to stop and its sockets are closed.  A client
    that does not read its answer holds it for a while."""
    listen = '", "'.join(["127.0.0.1:0"] * 60)
    with keeper.slow:
        d = keeper.start(daemon, http_service(root_route(www({"big": BIG}))) + ',{ name = "many"; protocol = "discard"; '
                  f'listen = [ "{listen}" ]; }}', timeouts={"drain": 2})
        client = d.connect("web", rcvbuf=4096)
        client.sendall(request("/big"))
        assert read_exactly(client, 4)
        d.signal(signal.SIGTERM)
        d.wait_log("SIGTERM: stopping")
    wait_until(lambda: any("STOPPING" in words for words in keeper.said), what="its manager hearing of it")
    d.wait(30)
    client.close()
    assert len(keeper.kept) > 2
    assert not [words for words in keeper.said if "FDSTOREREMOVE" in words]


def test_what_no_configuration_wants_is_kept_no_more(daemon, keeper, plain_model):
    port = free_port()
    d = keeper.start(daemon, all_kinds(port, keeper.path.with_name("s")))
    wait_until(lambda: len(keeper.kept) == 9, what="all being kept")
    assert d.stop() == 0
    d = keeper.start(daemon, tiny_service("discard"), workers=1)
    keeper.wait_for("counters", "discard.0.0")
    with socket.socket() as s:
        assert s.connect_ex(("127.0.0.1", port)) != 0
    d.configure(configuration(tiny_service("discard"), plain_model, 3, None, None, ""))
    d.reload()
    keeper.wait_for("counters", *(f"discard.0.{i}" for i in range(3)))


def test_a_store_that_was_full_keeps_the_lobby_when_it_has_room(daemon, keeper, plain_model):
    """It refuses without a word.  What the next daemon has to give back makes room."""
    d = keeper.start(daemon, tiny_service("echo"), workers=3)
    keeper.wait_for("counters", "echo.0.0", "echo.0.1", "echo.0.2")
    assert d.stop() == 0
    keeper.room = len(keeper.kept)
    before = set(keeper.lobbies())
    d = keeper.start(daemon, tiny_service("echo"), workers=3)
    keeper.wait_for("counters", "echo.0.0", "echo.0.1", "echo.0.2")
    assert not before & set(keeper.lobbies()), "its own"
    client = d.connect("echo")
    client.sendall(b"one")
    assert read_exactly(client, 3) == b"one"
    assert d.stop() == 0
    keeper.start(daemon, tiny_service("echo"), workers=3)
    client.sendall(b"two")
    assert read_exactly(client, 3) == b"two"
    client.close()


def test_an_address_is_what_the_socket_says_and_not_its_name(daemon, keeper, plain_model):
    """The service and its number are others now; a name that lies is of no use."""
    port, other = free_port(), free_port()
    d = keeper.start(daemon, http_service(RESPOND_HELLO, listen=f"127.0.0.1:{port}"))
    keeper.wait_for("counters", "web.0.0", "web.0.1")
    assert d.stop() == 0
    waiting = socket.create_connection(("127.0.0.1", port), 30)
    waiting.sendall(b"moved")
    services = tiny_service("echo", listen=f"127.0.0.1:{other}") + "," + \
        tiny_service("echo", listen=f"127.0.0.1:{port}", name="moved")
    d = keeper.start(daemon, services)
    assert read_exactly(waiting, 5) == b"moved"
    keeper.wait_for("counters", *(f"{s}.0.{i}" for s in ("echo", "moved") for i in range(2)))
    waiting.close()


def test_fewer_workers_serve_all_the_sockets_that_were_kept(daemon, keeper, model):
    d = keeper.start(daemon, tiny_service("echo"), workers=4)
    keeper.wait_for("counters", *(f"echo.0.{i}" for i in range(4)))
    assert d.stop() == 0
    waiting = [d.connect("echo") for _ in range(32)]
    for i, s in enumerate(waiting):
        s.sendall(b"%02d" % i)
    keeper.start(daemon, tiny_service("echo"), workers=1)
    for i, s in enumerate(waiting):
        assert read_exactly(s, 2) == b"%02d" % i
        s.close()


def test_counters_of_another_version_are_not_gone_on_with(daemon, keeper, plain_model, tmp_path):
    with open(tmp_path / "counters", "w+b") as other:
        other.truncate(4096)
        keeper.kept["kept.counters"] = other
        d = keeper.start(daemon, tiny_service("echo"))
        d.wait_log("notice master: counters begin at zero: those that the service manager has kept")
        assert d.ask("status")["totals"]["accepted"] == 0
        wait_until(lambda: [w for w in keeper.said if w.get("FDSTOREREMOVE") and w["FDNAME"] == "kept.counters"],
                   what="the old ones being given back")


def test_workers_without_a_master_finish_and_go(daemon, keeper, model, www):
    """An answer that has begun is finished by the worker that gives it; new clients are the next daemon's."""
    site = http_service(root_route(www({"big": BIG})), RESPOND_HELLO, listen=f"127.0.0.1:{free_port()}")
    d = keeper.start(daemon, site, workers=1, timeouts={"drain": 60})
    web = Http(d.connect("web", rcvbuf=4096))
    web.send(request("/big"))
    web.rest = web.sock.recv(1000)
    worker = d.worker()
    keeper.wait_for("counters", "web.0.0")
    d.signal(signal.SIGKILL)
    d.wait()
    d.expect_status(-9)
    wait_until(lambda: "the master is gone: draining" in d.log(), what="the worker hearing of it")
    with keeper.start(daemon, site).connect("web") as s:
        assert Http(s).get("/hello").body == HELLO
    assert os.path.exists(f"/proc/{worker}")
    web.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    assert len(web.read().body) == BIG
    web.close()
    wait_until(lambda: not os.path.exists(f"/proc/{worker}"), what="the end of the worker")


def test_a_daemon_without_a_manager_keeps_nothing(daemon, plain_model, tmp_path):
    path = tmp_path / "s"
    d = daemon(tiny_service("echo", listen=f"unix:{path}"))
    assert d.stop() == 0
    assert not path.exists()
    assert not re.search("kept", d.log())
