# SPDX-License-Identifier: BSD-2-Clause
"""What the daemon counts: exactly what the clients did, on every model, by service, pool and worker, and never backwards."""

import os
import re
import signal
import socket
import time

from client import Http, request
from conftest import REPOSITORY
from harness import stopped, wait_until
from sites import RESPOND_HELLO, http_service, root_route, tiny_service

TABLE = REPOSITORY / "src/base/metric.h"
PATIENCE = 0.3          # seconds that a client lets the daemon wait
ROW = re.compile(r'^    X\((\w+), +(?:\w+, +)?"(\w+)", (?:"(.*?)", )?(?:[0-9e-]+, )?"([^"]*)"\) *\\?$', re.M)


def service(d, name):
    return next(s for s in d.ask("status")["services"] if s["service"] == name)


def totals(d, name):
    return service(d, name)["totals"]


def counted(d, name, key, n):
    wait_until(lambda: totals(d, name)[key] >= n, what=f"{key} of {name} becoming {n}")
    assert totals(d, name)[key] == n


def read_raw(sock, n):
    got = b""
    while len(got) < n:
        piece = sock.recv(1 << 16)
        assert piece
        got += piece
    return got


def answer_size(sock):
    """Bytes of the next answer, with a Content-Length, of which nothing follows."""
    head = b""
    while b"\r\n\r\n" not in head:
        head += sock.recv(1 << 16)
    at = head.index(b"\r\n\r\n") + 4
    length = int(re.search(rb"Content-Length: (\d+)", head)[1]) if b"Content-Length" in head else 0
    read_raw(sock, length - (len(head) - at))
    return int(head[9:12]), at + length


def test_counts_are_what_the_clients_did(daemon, model, www):
    folder = www({"a.txt": 5000, "big.bin": 3_000_000})
    d = daemon(http_service(root_route(folder), RESPOND_HELLO, '{ path = "/no"; status = 503; }',
                            '{ path = "/old"; redirect = "/hello"; }') + "," + tiny_service("echo") + "," +
               '{ name = "letters"; protocol = "echo"; listen = "udp:127.0.0.1:0"; }')
    sent = received = 0
    classes = {"2": 0, "3": 0, "4": 0, "5": 0}
    for _ in range(3):
        with d.connect("web") as s:
            for target in ("/a.txt", "/hello", "/missing", "/no", "/old", "/big.bin", "/hello"):
                data = request(target)
                s.sendall(data)
                sent += len(data)
                status, size = answer_size(s)
                received += size
                classes[str(status)[0]] += 1
    with d.connect("web") as s:
        s.sendall(request("/hello") * 10)
        sent += 10 * len(request("/hello"))
        h = Http(s)
        for _ in range(10):
            assert h.read().status == 200
        classes["2"] += 10
    with d.connect("echo") as s:
        for n in (1, 100, 10000):
            s.sendall(b"x" * n)
            read_raw(s, n)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(30)
        s.connect(("127.0.0.1", d.port("letters")))
        for n in (1, 10, 100):
            s.send(b"y" * n)
            assert len(s.recv(1000)) == n
    counted(d, "web", "closed", 4)
    web = totals(d, "web")
    assert web["accepted"] == 4 and web["requests"] == sum(classes.values()) == 31
    assert {c: web[f"responses_{c}xx"] for c in classes} == classes
    assert web["bytes_received"] == sent
    hello = totals(d, "web")["bytes_sent"] - received
    assert hello > 0 and hello % 10 == 0
    assert web["bytes_queued"] == web["bytes_sent"] and web["bytes_dropped"] == 0
    for key in ("first_byte", "request"):
        assert service(d, "web")[key]["count"] == 31
    counted(d, "echo", "closed", 1)
    echo = totals(d, "echo")
    assert (echo["accepted"], echo["bytes_received"], echo["bytes_sent"]) == (1, 10101, 10101)
    assert echo["messages"] >= 3 and echo["requests"] == 0
    counted(d, "letters", "datagrams_sent", 3)
    letters = totals(d, "letters")
    assert (letters["datagrams"], letters["bytes_received"], letters["bytes_sent"]) == (3, 111, 111)
    status = d.ask("status")
    for key in ("accepted", "requests", "bytes_received", "bytes_sent", "datagrams", "messages"):
        assert status["totals"][key] == sum(s["totals"][key] for s in status["services"]), key
        assert status["totals"][key] == sum(p["totals"][key] for p in status["pools"]), key
    assert status["totals"]["wakeups"] > 0 and status["totals"]["syscalls"] > 0
    pool = status["pools"][0]
    assert (pool["pool"], pool["model"], pool["workers"]) == ("main", model, 1)
    assert pool["cpu_us_per_request"] > 0 and pool["system_calls_per_request"] > 0


def test_who_is_idle_and_what_waits_is_known(daemon, model, www):
    folder = www({"big.bin": 30_000_000})
    d = daemon(http_service(root_route(folder), RESPOND_HELLO), timeouts={"header": 120, "idle": 120, "send": 120})
    idle = [Http(d.connect("web")) for _ in range(3)]
    for h in idle:
        assert h.get("/hello").status == 200
    silent = d.connect("web")
    silent.sendall(b"GET /hel")
    reader = Http(d.connect("web", rcvbuf=65536))
    reader.send(request("/big.bin"))
    read_raw(reader.sock, 1000)
    wait_until(lambda: (service(d, "web")["connections"], service(d, "web")["idle"]) == (5, 3), what="three that are idle")
    wait_until(lambda: service(d, "web")["waiting_bytes"] > 1_000_000, what="bytes that wait")
    assert service(d, "web")["request"]["count"] == 3
    reader.sock.close()
    wait_until(lambda: service(d, "web")["waiting_bytes"] == 0, what="nothing waiting")
    assert totals(d, "web")["bytes_dropped"] > 0
    silent.close()
    for h in idle:
        h.sock.close()
    wait_until(lambda: service(d, "web")["connections"] == 0, what="the end of all")
    assert service(d, "web")["idle"] == 0


def test_refusals_have_their_cause(daemon, model):
    d = daemon(http_service(RESPOND_HELLO), limits={"connections": 3, "connections_per_address": 2})

    def refused(source):
        with d.connect("web", source=source) as s:
            s.sendall(request("/hello"))
            assert Http(s).read().status == 503

    held = [d.connect("web", source=f"127.0.0.{n}") for n in (1, 1)]
    for s in held:
        s.sendall(b"GET")
    wait_until(lambda: d.ask("status")["connections"] == 2, what="two connections")
    refused("127.0.0.1")
    counted(d, "web", "refused_address", 1)
    held.append(d.connect("web", source="127.0.0.2"))
    held[-1].sendall(b"GET")
    wait_until(lambda: d.ask("status")["connections"] == 3, what="three connections")
    refused("127.0.0.9")
    counted(d, "web", "refused_full", 1)
    assert totals(d, "web")["refused_address"] == 1 and totals(d, "web")["refused"] == 0
    for s in held:
        s.close()


def test_times_are_those_of_the_answers(daemon, model, www):
    """Time passes while an answer waits for its client: the daemon measures what the client made it wait."""
    d = daemon(http_service(root_route(www({"big.bin": 12_000_000})), RESPOND_HELLO))
    h = Http(d.connect("web"))
    for _ in range(50):
        h.get("/hello")
    wait_until(lambda: service(d, "web")["request"]["count"] == 50, what="50 times")
    quick = service(d, "web")
    assert quick["first_byte"]["p50_us"] <= quick["request"]["p50_us"] < 1_000_000
    with d.connect("web", rcvbuf=65536) as s:
        asked = time.monotonic()
        s.sendall(request("/big.bin"))
        read_raw(s, 1)
        began = time.monotonic()
        wait_until(lambda: time.monotonic() > began + PATIENCE, what="time passing")
        least = time.monotonic() - began
        while s.recv(1 << 20):
            if totals(d, "web")["requests"] == 51 and service(d, "web")["request"]["count"] == 51:
                break
        most = time.monotonic() - asked
    web = service(d, "web")
    assert 0.99 * least <= web["request"]["max_us"] / 1e6 <= 1.01 * most
    assert web["first_byte"]["count"] == 51 and web["first_byte"]["max_us"] < web["request"]["max_us"]


def test_connections_that_wait_to_be_accepted_are_seen(daemon, plain_model):
    """A worker that stands still accepts nothing: its queue grows."""
    d = daemon(http_service(RESPOND_HELLO))
    with stopped(d.worker()):
        waiting = [d.connect("web") for _ in range(5)]
        for s in waiting:
            s.sendall(request("/hello"))
        wait_until(lambda: d.ask("status")["listeners"][0]["waiting"] == 5, what="five that wait")
    for s in waiting:
        assert Http(s).read().status == 200
    wait_until(lambda: d.ask("status")["listeners"][0]["waiting"] == 0, what="nobody waiting")


def test_counts_survive_their_worker(daemon, plain_model):
    d = daemon(http_service(RESPOND_HELLO))
    with d.connect("web") as s:
        assert Http(s).get("/hello").status == 200
        counted(d, "web", "requests", 1)
        wait_until(lambda: service(d, "web")["idle"] == 1, what="an idle connection")
        worker = d.worker()
        d.expect_worker_death()
        d.allow_log("died of signal 9")
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: worker not in d.worker_pids() and d.worker_pids(), what="another worker")
    wait_until(lambda: totals(d, "web")["closed"] == 1, what="its connection being over")
    web = service(d, "web")
    assert (web["connections"], web["idle"], web["totals"]["requests"]) == (0, 0, 1)
    used = d.ask("status")["pools"][0]["cpu_user_us"] + d.ask("status")["pools"][0]["cpu_system_us"]
    assert used > 0
    with d.connect("web") as s:
        assert Http(s).get("/hello").status == 200
    counted(d, "web", "requests", 2)
    d.reload()
    after = d.ask("status")["pools"][0]
    assert after["totals"]["requests"] == 2 and after["cpu_user_us"] + after["cpu_system_us"] >= used


def test_two_pools_are_told_apart(daemon, others):
    """A service in both: each pool has what its own workers served, with the model that they ran."""
    d = daemon(http_service(RESPOND_HELLO), model=others[0],
               settings=f'pools = ( {{ name = "main"; }}, {{ name = "trial"; io_model = "{others[1]}"; }} );')

    def pools():
        return {(p["pool"], p["model"]): p for p in d.ask("status")["pools"]}

    asked = 0
    while asked < 400 and (asked < 20 or min(p["totals"]["requests"] for p in pools().values()) == 0):
        with d.connect("web") as s:
            assert Http(s).get("/hello").status == 200
        asked += 1
    wait_until(lambda: sum(p["totals"]["closed"] for p in pools().values()) == asked, what="all connections being over")
    assert set(pools()) == {("main", others[0]), ("trial", others[1])}
    assert sum(p["totals"]["requests"] for p in pools().values()) == asked
    assert all(p["request"]["count"] == p["totals"]["requests"] > 0 for p in pools().values())
    text = d.ctl("status").stdout
    for name, model in pools():
        assert re.search(rf"^{name} +{re.escape(model)} +1 +0 +\d+ +\S+ u?m?s +\S+ u?m?s +\S+ u?m?s +\S+ us +\S+ +\S+$",
                         text, re.M), text


def test_every_counter_is_explained():
    """iomuxd(8) has each of them, in the words of the table."""
    rows = ROW.findall(TABLE.read_text())
    assert len(rows) > 35
    manual = (REPOSITORY / "man/iomuxd.8").read_text()
    for name, family, label, text in rows:
        assert f".It Li {name}\n" in manual, name
        entry = manual.split(f".It Li {name}\n")[1].split(".It Li ")[0]
        assert family in entry, f"{name}: no {family}"
        flat = " ".join(entry.replace("\\&", "").split())
        assert text in flat, f"{name}: not {text!r}"
