# SPDX-License-Identifier: BSD-2-Clause
"""The access log: a true line for each reply, in both formats, whatever a client writes into its request."""

import json
import os
import re
import signal
import threading
import time

import pytest

from client import Http, read_exactly, request, send_and_read_to_end
from harness import wait_until
from sites import HELLO, RESPOND_HELLO, http_service, root_route

pytestmark = pytest.mark.usefixtures("model")

COMBINED = re.compile(r'(?P<peer>\S+) - - \[(?P<when>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] '
                      r'"(?P<request>[^"]*)" (?P<status>\d{3}) (?P<bytes>\d+|-) '
                      r'"(?P<referer>[^"]*)" "(?P<agent>[^"]*)"')


@pytest.fixture
def logged(daemon, www, tmp_path):
    """A factory: a site with an access log in the format; .access_lines(n) waits for n lines or more."""
    def start(form, **more):
        folder = www({"a.html": b"<p>a</p>\n", "big.bin": 20_000_000, "empty": b""})
        logs = tmp_path / "logs"
        logs.mkdir(exist_ok=True)
        path = logs / "access.log"
        d = daemon(http_service(root_route(folder), RESPOND_HELLO),
                   settings=f'access_log : {{ target = "file:{path}"; format = "{form}"; }};', **more)
        d.access = path

        def access_lines(n):
            def there():
                lines = path.read_text().splitlines() if path.exists() else []
                return lines if len(lines) >= n else None
            return wait_until(there, what=f"{n} lines in the access log")

        d.access_lines = access_lines
        return d

    return start


def answered(d, *requests):
    """Sends each request on a connection of its own and reads to the end."""
    for data in requests:
        s = d.connect()
        send_and_read_to_end(s, data, shut=True)
        s.close()


def test_combined_lines_say_what_happened(logged):
    d = logged("combined")
    web = Http(d.connect())
    web.get("/a.html?x=1", headers=[("Referer", "http://ref.test/"), ("User-Agent", "matrix/1 (a b)")])
    web.get("/a.html", "HEAD")
    web.get("/none")
    web.get("/a.html", headers=[("Range", "bytes=3-4")])
    web.get("/empty")
    web.get("/a.html", "POST", body=b"abc")
    web.get("/hello", version="1.0")
    lines = d.access_lines(7)
    assert len(lines) == 7
    parsed = [COMBINED.fullmatch(line) for line in lines]
    assert all(parsed), lines
    got = [(m["request"], m["status"], m["bytes"]) for m in parsed]
    assert got[0] == ("GET /a.html?x=1 HTTP/1.1", "200", "9")
    assert got[1] == ("HEAD /a.html HTTP/1.1", "200", "0")
    assert got[2][:2] == ("GET /none HTTP/1.1", "404")
    assert got[3] == ("GET /a.html HTTP/1.1", "206", "2")
    assert got[4] == ("GET /empty HTTP/1.1", "200", "0")
    assert got[5][:2] == ("POST /a.html HTTP/1.1", "405")
    assert got[6] == ("GET /hello HTTP/1.0", "200", str(len(HELLO)))
    assert {m["peer"] for m in parsed} == {"127.0.0.1"}
    assert (parsed[0]["referer"], parsed[0]["agent"]) == ("http://ref.test/", "matrix/1 (a b)")
    assert (parsed[1]["referer"], parsed[1]["agent"]) == ("-", "-")


def test_json_lines_parse_and_say_what_happened(logged):
    d = logged("json")
    web = Http(d.connect())
    headers = [("Referer", "http://ref.test/"), ("User-Agent", "matrix/1")]
    web.get("/a.html?x=1", headers=headers, host="Test:80")
    web.get("/none", "HEAD")
    first, second = [json.loads(line) for line in d.access_lines(2)]
    wanted = {"service": "web", "peer": "127.0.0.1", "method": "GET", "target": "/a.html?x=1",
              "version": "HTTP/1.1", "status": 200, "bytes": 9, "referer": "http://ref.test/",
              "agent": "matrix/1"}
    assert {k: first.get(k) for k in wanted} == wanted
    assert first["host"].lower().startswith("test")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", first["time"])
    assert 0 <= first["duration_us"] < 60_000_000
    assert (second["method"], second["status"], second["bytes"]) == ("HEAD", 404, 0)


@pytest.mark.parametrize("form", ["combined", "json"])
def test_nothing_that_a_client_writes_forges_a_line_or_a_field(logged, form):
    d = logged(form)
    evil = ['"', '\\', '\\"', '" 200 1 "-" "-', "a\tb", "\x80\xff", "é", "${x} %n %s", "\u202e", "a" * 3000]
    hostile = []
    for text in evil:
        raw = text.encode("utf-8") if any(ord(c) > 255 for c in text) else text.encode("latin-1")
        fields = b"Host: x\r\nReferer: " + raw + b"\r\nUser-Agent: " + raw
        hostile.append(b"GET /hello HTTP/1.1\r\n" + fields + b"\r\n\r\n")
        hostile.append(b"GET /none?" + raw + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    hostile += [b'GET /"x" HTTP/1.1\r\nHost: x\r\n\r\n', b"GET /%0a%0d%00%22 HTTP/1.1\r\nHost: x\r\n\r\n",
                b"\x1b[31m \x07\r\n\r\n", b"GET /\x00\r\n\r\n", b"GET /\r127.0.0.1 - - HTTP/1.1\r\n\r\n",
                b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"G\xc3 / HTTP/1.1\r\n\r\n"]
    answered(d, *hostile)
    answered(d, request("/hello?last"))
    wait_until(lambda: "hello?last" in d.access.read_text(), what="the last line")
    data = d.access.read_bytes()
    assert all(b >= 32 or b == 10 for b in data) and b"\x7f" not in data, "control bytes are in the log"
    lines = data.decode("utf-8").splitlines()
    assert len(lines) <= len(hostile) + 1
    for line in lines:
        if form == "json":
            entry = json.loads(line)
            assert 200 <= entry["status"] < 600 and entry["peer"] == "127.0.0.1", line
        else:
            assert COMBINED.fullmatch(line), line
            assert line.isascii(), line


def test_an_aborted_download_is_logged_with_the_bytes_that_went_out(logged):
    d = logged("json")
    s = d.connect(rcvbuf=4096)
    s.sendall(request("/big.bin"))
    read_exactly(s, 50_000)
    s.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")      # SOL_SOCKET, SO_LINGER: a reset
    s.close()
    (line,) = [json.loads(line) for line in d.access_lines(1)]
    assert (line["target"], line["status"]) == ("/big.bin", 200)
    assert 40_000 < line["bytes"] < 20_000_000


def test_a_whole_download_is_logged_with_all_its_bytes(logged):
    d = logged("json")
    web = Http(d.connect())
    assert len(web.get("/big.bin").body) == 20_000_000
    (line,) = [json.loads(line) for line in d.access_lines(1)]
    assert line["bytes"] == 20_000_000


def test_rotation_by_signal_loses_no_line(logged):
    d = logged("combined")
    stop, counts = threading.Event(), []

    def hammer():
        web, n = Http(d.connect()), 0
        while not stop.is_set():
            assert web.get("/hello").body == HELLO
            n += 1
        counts.append(n)

    threads = [threading.Thread(target=hammer) for _ in range(4)]
    for t in threads:
        t.start()
    old = []
    for i in range(5):
        d.access_lines(1)
        moved = d.access.with_suffix(f".{i}")
        os.rename(d.access, moved)
        old.append(moved)
        d.signal(signal.SIGUSR1)
        wait_until(d.access.exists, what="a new access log")
    d.access_lines(1)
    stop.set()
    for t in threads:
        t.join()
    assert len(counts) == 4

    def lines():
        return sum(len(p.read_text().splitlines()) for p in [*old, d.access])

    wait_until(lambda: lines() >= sum(counts), what="a line for each request")
    assert lines() == sum(counts)
    assert all(COMBINED.fullmatch(line) for p in [*old, d.access] for line in p.read_text().splitlines())


def test_stopping_writes_the_lines_that_were_gathered(logged):
    d = logged("combined")
    web = Http(d.connect())
    for _ in range(500):
        web.get("/hello")
    web.close()
    assert d.stop() == 0
    assert len(d.access.read_text().splitlines()) == 500


FIELDS = ("peer port user time time_local method target path query version request host status bytes duration_us referer "
          "agent service model worker connection_requests").split()


def test_a_text_with_every_field_says_what_happened(logged, model):
    form = "\\t".join(f"{name}=${{{name}}}" for name in FIELDS) + "\\t$$"
    d = logged(form)
    web = Http(d.connect())
    port = web.sock.getsockname()[1]
    web.get("/hello")
    web.get("/a.html?x=1", headers=[("Referer", "http://ref.test/"), ("User-Agent", "matrix/1 (a b)")], host="Test:80")
    lines = d.access_lines(2)
    assert len(lines) == 2 and all(line.endswith("\t$") for line in lines)
    first, entry = [dict(pair.split("=", 1) for pair in line.split("\t")[:-1]) for line in lines]
    assert list(entry) == FIELDS
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry.pop("time"))
    assert re.fullmatch(r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000", entry.pop("time_local"))
    assert 0 <= int(entry.pop("duration_us")) < 60_000_000
    assert entry == {
        "peer": "127.0.0.1", "port": str(port), "user": "-", "method": "GET", "target": "/a.html?x\\x3d1", "path": "/a.html",
        "query": "?x\\x3d1", "version": "HTTP/1.1", "request": "GET /a.html?x\\x3d1 HTTP/1.1", "host": "Test:80",
        "status": "200", "bytes": "9", "referer": "http://ref.test/", "agent": "matrix/1\\x20(a\\x20b)", "service": "web",
        "model": model, "worker": "main.0", "connection_requests": "2"}
    assert (first["query"], first["referer"], first["connection_requests"]) == ("-", "-", "1")


def test_json_names_the_model_and_the_worker(logged, model):
    d = logged("json")
    Http(d.connect()).get("/hello")
    (entry,) = [json.loads(line) for line in d.access_lines(1)]
    assert (entry["model"], entry["worker"], entry["user"]) == (model, "main.0", "")


@pytest.mark.parametrize("form, fields", [("$agent $status", 2), ('"$agent",$status,$referer', 3), ("$status|$agent|$peer", 3)])
def test_nothing_in_a_request_forges_a_field(logged, form, fields):
    d = logged(form.replace('"', '\\"'))
    separator = {"$agent $status": " ", "$status|$agent|$peer": "|"}.get(form, ",")
    web = Http(d.connect())
    for agent in ('a b', 'a" 500', '\\" 500', "a|b|c", 'a,b",500,"', "\t500\t", "caf\xe9 \x80\xff", "\\x22"):
        web.get("/hello", headers=[("User-Agent", agent), ("Referer", "r,|r")])
    for line in d.access_lines(8):
        outside = re.sub(r'"[^"]*"', "", line)
        assert line.isascii() and len(outside.split(separator)) == fields, line
        assert "200" in outside.split(separator)


def test_the_duration_counts_from_the_head_on(logged):
    """A body that takes its time is part of the request."""
    d = logged("json")
    web = Http(d.connect())
    web.get("/hello")
    head = b"POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n1"
    web.send(head)
    came = len(request("/hello")) + len(head)
    wait_until(lambda: [c["received"] for c in d.ask("connections")["connections"]] == [came], what="the head being read")
    begin = time.monotonic()
    time.sleep(0.2)     # what is measured is time itself
    web.send(b"2345")
    assert web.read("POST").status == 200
    spent = time.monotonic() - begin
    (_, entry) = [json.loads(line) for line in d.access_lines(2)]
    assert 150_000 < entry["duration_us"] < (spent + 5) * 1_000_000
