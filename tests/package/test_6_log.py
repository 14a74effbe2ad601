# SPDX-License-Identifier: BSD-2-Clause
"""The logs in the journal of a booted machine: fields, floods, and a journal that stands still."""

import json
import re
import threading
import time

from machine import client, wait_until

LINES = 40_000          # access lines
FLOOD_S = 60            # a machine that is busy needs longer than two seconds for so many requests
PATIENCE_S = 10         # a request takes microseconds; the journal stands still for longer than this

CONFIGURATION = """
workers = 2;
log : { target = "journal"; };
access_log : { target = "journal"; format = "$method $target $status"; };
services = ( { name = "web"; protocol = "http"; listen = [ "8080" ];
               routes = ( { path = "/"; respond : { status = 200; body = "ok\\n"; }; } ); } );
"""


def dropped(service):
    return json.loads(service.run("iomuxctl", "--json", "status").stdout)["log"]["access_dropped"]


def stored(service, pattern):
    """How many access lines of this kind the journal has.  Not behind a cursor: journalctl leaves one more entry out where
    the one of the cursor is none of those that it looks for."""
    service.run("journalctl", "--sync", check=False)
    text = service.sh("journalctl -u iomuxd.service -o cat --output-fields=MESSAGE --no-pager IOMUXD_EVENT=access | "
                      f"grep -c '{pattern}' || :", timeout=120).stdout
    return int(text)


def wait_complete(service, pattern, count):
    """Every line is in the journal or counted as dropped."""
    found = []

    def complete():
        found[:] = [stored(service, pattern), dropped(service)]
        return sum(found) == count

    try:
        wait_until(complete, "all lines", 90)
    except AssertionError:
        raise AssertionError(f"of {count} lines {found[0]} are stored and {found[1]} dropped") from None


def requests(service, name, count, errors, slowest):
    """Requests on one connection, several at once; the longest wait for an answer is noted."""
    try:
        with service.connect(8080) as sock:
            web = client.Http(sock)
            for i in range(0, count):
                began = time.monotonic()
                assert web.get(f"/{name}-{i}").status == 200
                slowest.append(time.monotonic() - began)
    except (OSError, AssertionError) as e:
        errors.append(e)


def flood(service, name, count, threads=4):
    errors, slowest = [], []
    each = [threading.Thread(target=requests, args=(service, f"{name}{i}", count // threads, errors, slowest))
            for i in range(threads)]
    for t in each:
        t.start()
    for t in each:
        t.join()
    assert not errors
    return max(slowest)


def test_lines_and_access_lines_have_fields(service):
    since = service.cursor()
    service.configure(CONFIGURATION)
    record = service.wait_journal("^listening: web", since)
    assert (record["IOMUXD_EVENT"], record["IOMUXD_SERVICE"], record["PRIORITY"]) == ("listening", "web", "5")
    with service.connect(8080) as sock:
        peer = sock.getsockname()
        client.Http(sock).get("/fields?a=b")
    record = service.wait_journal("^GET /fields", since)
    wanted = {"IOMUXD_EVENT": "access", "IOMUXD_SERVICE": "web", "IOMUXD_MODEL": "epoll", "IOMUXD_METHOD": "GET",
              "IOMUXD_TARGET": "/fields?a=b", "IOMUXD_STATUS": "200", "IOMUXD_BYTES": "3", "PRIORITY": "6",
              "IOMUXD_PEER": f"{peer[0]}:{peer[1]}", "SYSLOG_IDENTIFIER": "iomuxd", "_SYSTEMD_UNIT": "iomuxd.service"}
    assert {k: record.get(k) for k in wanted} == wanted
    assert re.fullmatch(r"main\.\d", record["IOMUXD_WORKER"])
    assert int(record["IOMUXD_DURATION_US"]) < 20_000_000
    assert int(record["_PID"]) == service.logger()


def test_a_flood_of_access_lines_is_stored_or_counted(service):
    """Pipelined, so that a client in Python is fast enough for it to be one."""
    service.configure(CONFIGURATION)
    at_once = 100
    one = b"GET /flood HTTP/1.1\r\nHost: x\r\n\r\n"

    def send(count):
        with service.connect(8080) as sock:
            for _ in range(count // at_once):
                sock.sendall(one * at_once)
                got = 0
                rest = b""
                while got < at_once:
                    rest = rest[-8:] + sock.recv(1 << 16)
                    got += rest.count(b"ok\n")
                    rest = rest[rest.rfind(b"ok\n") + 3:] if b"ok\n" in rest else rest

    began = time.monotonic()
    threads = [threading.Thread(target=send, args=(LINES // 4,)) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert time.monotonic() - began < FLOOD_S
    wait_complete(service, "GET /flood", LINES)


def test_a_journal_that_stands_still_slows_no_request(service):
    service.configure(CONFIGURATION)
    flood(service, "warm", 40)
    journald = int(service.show("MainPID", "systemd-journald.service"))
    service.kill(journald, "STOP")
    try:
        began, count, longest = time.monotonic(), 0, 0.0
        while time.monotonic() - began < 15:
            longest = max(longest, flood(service, "still", 400))
            count += 400
    finally:
        service.kill(journald, "CONT")
    assert longest < PATIENCE_S
    wait_complete(service, "GET /still", count)
    assert service.show("NRestarts") == "0"
