# SPDX-License-Identifier: BSD-2-Clause
"""iomux-load against a real iomuxd: every model asks a server on the plain one, the plain one asks every model; what it
counts is what the server has counted; what goes wrong is seen.  No test asserts a speed."""

import os
import re
import socket
import subprocess
import threading
import time
from signal import SIGCONT, SIGINT

import pytest

import load
from harness import stop_process, wait_until

BODY = "Hello from iomuxd.\n"
HTTP = ('{ name = "web"; protocol = "http"; listen = "127.0.0.1:0"; routes = ( { path = "/"; respond : '
        '{ status = 200; type = "text/plain"; body = "Hello from iomuxd.\\n"; }; } ); }')
ECHO = '{ name = "echo"; protocol = "echo"; listen = "127.0.0.1:0"; }'
ECHO_UDP = '{ name = "letters"; protocol = "echo"; listen = "udp:127.0.0.1:0"; }'
LIMITS = {"connections": 600, "datagrams_per_address": 0}


@pytest.fixture
def command(iomuxd_bin):
    def make(url, *options, json="-"):
        return [load.program(iomuxd_bin), "--json", json, *map(str, options), url]
    return make


@pytest.fixture
def run(command):
    def make(*arguments):
        r = load.Run(command(*arguments))
        if r.said:
            r.check_sums()
        return r
    return make


def totals(d):
    return d.ask("status")["totals"]


def server_counts(d, name, at_least):
    """What the workers have counted, once it has been published."""
    return wait_until(lambda: n if (n := totals(d)[name]) >= at_least else None, what=f"{at_least} {name}")


def clean(r, requests):
    assert (r.status, r.errors, r.said["requests"]) == (0, {}, requests), r


def asked_and_counted(d, run, *options):
    """Each kind of work, counted by both sides."""
    before = totals(d)
    sent = 0
    for more, idle in (((), 0), (("-p", 8), 0), (("-k", "off"), 0), (("-i", 20), 20), (("-r", 2000), 0)):
        r = run(f"http://127.0.0.1:{d.port('web')}/", "-c", 4, "-n", 200, "--expect-body", BODY, *more, *options)
        clean(r, 200)
        assert (r.counts["sent"], r.counts["status_2xx"], r.said["idle_open"]) == (200 + idle, 200, idle), r
        sent += r.counts["sent"]
    assert server_counts(d, "requests", before["requests"] + sent) == before["requests"] + sent


def echoed_and_counted(d, run, *options):
    before = totals(d)
    r = run(f"echo://127.0.0.1:{d.port('echo')}", "-c", 4, "-n", 200, "-s", 3000, *options)
    clean(r, 200)
    assert r.said["counts"]["bytes"] == 200 * 3000
    clean(run(f"echo://127.0.0.1:{d.port('echo')}", "-n", 20, "-s", 131072, "-p", 2, *options), 20)
    clean(run(f"echo://127.0.0.1:{d.port('echo')}", "-c", 4, "-n", 40, "-k", "off", *options), 40)
    r = run(f"echo+udp://127.0.0.1:{d.port('letters')}", "-c", 4, "-n", 200, "-p", 2, "--timeout", 30, *options)
    clean(r, 200)
    assert server_counts(d, "datagrams", before["datagrams"] + 200) == before["datagrams"] + 200


def test_every_model_serves_it(daemon, run, model):
    d = daemon(",".join((HTTP, ECHO, ECHO_UDP)), limits=LIMITS)
    asked_and_counted(d, run)
    echoed_and_counted(d, run)


def test_every_model_asks(daemon, run, model, plain_model):
    d = daemon(",".join((HTTP, ECHO, ECHO_UDP)), limits=LIMITS, model=plain_model)
    asked_and_counted(d, run, "--io-model", model)
    echoed_and_counted(d, run, "--io-model", model)


def test_time_is_kept_and_warm_up_is_left_out(daemon, run, model, plain_model):
    d = daemon(HTTP, model=plain_model)
    r = run(f"http://127.0.0.1:{d.port()}/", "-c", 2, "-r", 200, "-w", 0.5, "-d", 1, "--io-model", model)
    # 200 a second, a request each 5 ms: which of them belong to the second is arithmetic, not speed
    assert (r.status, r.said["requests"], r.counts["sent"]) == (0, 200, 300), r
    assert r.said["late"]["count"] == 200
    assert r.said["seconds"] == 1


def test_stopped_server_is_seen(daemon, command, plain_model):
    d = daemon(HTTP)
    r = load.Running(command(f"http://127.0.0.1:{d.port()}/", "-c", 10, "-r", 1000, "-d", 6))
    wait_until(lambda: totals(d)["requests"] > 200, what="some requests")
    worker = d.worker()
    stop_process(worker)
    time.sleep(0.2)             # what is measured is this
    os.kill(worker, SIGCONT)
    r.wait().check_sums()
    assert (r.status, r.errors, r.said["requests"]) == (0, {}, 6000), r
    # 200 requests were due within the stop, evenly: the first waited all of it.  Not one is left out: one in sixty
    # waited for at least half of it.
    assert r.said["latency"]["max_us"] >= 190_000, r
    assert r.said["latency"]["p99.9_us"] >= 180_000, r
    assert sum(n for us, n in r.said["latency"]["histogram_us"] if us >= 95_000) >= 90, r


def test_many_sources(daemon, run, tmp_path):
    log = tmp_path / "access.log"
    d = daemon(HTTP, settings=f'access_log : {{ target = "file:{log}"; }};')
    clean(run(f"http://127.0.0.1:{d.port()}/", "-c", 12, "-n", 120, "--source", "127.0.0.2-127.0.0.4,127.9.9.9"), 120)
    seen = wait_until(lambda: lines if len(lines := log.read_text().splitlines()) >= 120 else None)
    assert {line.split()[0] for line in seen} == {"127.0.0.2", "127.0.0.3", "127.0.0.4", "127.9.9.9"}


def test_many_idle_connections_and_workers(daemon, run):
    d = daemon(HTTP, limits={"connections": 4000})
    r = run(f"http://127.0.0.1:{d.port()}/", "-c", 6, "-i", 2000, "-t", 3, "-n", 600)
    clean(r, 600)
    assert (r.said["idle_open"], r.counts["idle_lost"], r.counts["connects"]) == (2000, 0, 2006)


def test_idle_connections_that_are_closed_are_made_again(daemon, run):
    d = daemon(HTTP, timeouts={"idle": 4})
    r = run(f"http://127.0.0.1:{d.port()}/", "-c", 2, "-r", 20, "-i", 3, "-d", 9)
    assert (r.status, r.errors, r.said["requests"], r.said["idle_open"]) == (0, {}, 180, 3), r
    assert r.counts["idle_lost"] >= 3 and r.counts["connects"] >= 2 + 3 + 3, r


def test_wrong_content_is_seen(daemon, run, tmp_path, www):
    folder = www({"a.bin": 300000})
    d = daemon(f'{{ name = "web"; protocol = "http"; listen = "127.0.0.1:0"; routes = ( {{ path = "/"; '
               f'root = "{folder}"; }} ); }}')
    url = f"http://127.0.0.1:{d.port()}/a.bin"
    clean(run(url, "-c", 3, "-n", 30, "--verify", folder / "a.bin"), 30)
    other = bytearray((folder / "a.bin").read_bytes())
    other[299_999] ^= 1
    (tmp_path / "other").write_bytes(other)
    r = run(url, "-c", 3, "-n", 30, "--verify", tmp_path / "other")
    assert (r.status, r.errors) == (1, {"content": 30}), r
    r = run(url + "-missing", "-n", 10)
    assert (r.status, r.errors, r.counts["status_4xx"]) == (1, {"status": 10}, 10), r


class Server(threading.Thread):
    """Says to each connection what it is to say, then closes it."""

    def __init__(self, answer):
        super().__init__(daemon=True)
        self.answer = answer
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.start()

    def serve(self, connection):
        with connection:
            if connection.recv(65536):
                connection.sendall(self.answer)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return          # stop
            try:
                self.serve(connection)
            except OSError:
                pass            # the client has left

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.join(30)
        self.listener.close()


@pytest.fixture
def server():
    made = []

    def make(answer):
        made.append(Server(answer))
        return made[-1]
    yield make
    for s in made:
        s.stop()


@pytest.mark.parametrize("answer, error", [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", "closed"),
    (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhelpo", "content"),
    (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "malformed"),
    (b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", "status"),
], ids=["cut", "wrong", "malformed", "status"])
def test_errors_have_their_causes(server, run, answer, error):
    r = run(f"http://127.0.0.1:{server(answer).port}/", "-n", 3, "--expect-body", "hello", "-d", 20)
    assert (r.status, r.errors) == (1, {error: 3}), r


def test_wrong_echo_is_seen(server, run):
    r = run(f"echo://127.0.0.1:{server(b'x' * 64).port}", "-n", 1)
    assert (r.status, r.errors) == (1, {"content": 1}), r


def test_silent_server_times_out(daemon, run):
    d = daemon('{ name = "drop"; protocol = "discard"; listen = "127.0.0.1:0"; }')
    r = run(f"http://127.0.0.1:{d.port()}/", "-n", 2, "-c", 2, "--timeout", 0.2, "-d", 20)
    assert (r.status, r.errors) == (1, {"timeout": 2}), r


def test_refused(command):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))        # and nobody listens
        r = load.Run(command(f"http://127.0.0.1:{s.getsockname()[1]}/"))
    assert (r.status, r.stdout) == (1, "")
    assert re.fullmatch(r"iomux-load: cannot connect to 127\.0\.0\.1, port \d+: Connection refused\n", r.stderr)


def test_server_that_goes_is_refused(daemon, command):
    d = daemon(HTTP)
    r = load.Running(command(f"http://127.0.0.1:{d.port()}/", "-c", 4, "-d", 8))
    wait_until(lambda: totals(d)["requests"] > 200, what="some requests")
    d.stop()
    r.wait().check_sums()
    assert r.status == 1 and r.errors["refused"] > 0 and r.said["requests"] > 200, r


def test_server_that_does_not_come_back_is_given_up(daemon, command):
    d = daemon(HTTP)
    r = load.Running(command(f"http://127.0.0.1:{d.port()}/", "-c", 4, "-n", 10**9, "--timeout", 0.5))
    wait_until(lambda: totals(d)["requests"] > 200, what="some requests")
    d.stop()
    r.wait().check_sums()
    assert r.status == 1 and r.errors["refused"] > 0 and r.said["requests"] > 200, r
    assert re.fullmatch(r"iomux-load: worker 0 could not connect for 0\.5 s, and gives up: \d+ requests were not sent\n",
                        r.stderr), r


def test_interrupted_it_says_what_it_has(daemon, command):
    d = daemon(HTTP)
    r = load.Running(command(f"http://127.0.0.1:{d.port()}/", "-c", 4, "-d", 600, "--progress"))
    wait_until(lambda: totals(d)["requests"] > 200, what="some requests")
    r.process.send_signal(SIGINT)
    r.wait().check_sums()
    assert (r.status, r.errors) == (0, {}) and r.said["requests"] > 0 and 0 < r.said["seconds"] < 600, r
    assert server_counts(d, "requests", r.counts["sent"]) == r.counts["sent"]


def test_lines_for_people(daemon, iomuxd_bin):
    d = daemon(HTTP)
    done = subprocess.run([load.program(iomuxd_bin), "-n", "50", "-c", "2", f"http://127.0.0.1:{d.port()}/"],
                          capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^requests  50 in [\d.]+ s, [\d.]+ a second; 50 sent in all$", done.stdout, re.M)
    assert re.search(r"^latency   p50 .* p90 .* p99 .* p99\.9 .* max .* mean ", done.stdout, re.M)
    assert "\nerrors    none\nclient    " in done.stdout


@pytest.mark.parametrize("arguments, complaint", [
    ([], "a URL is missing"),
    (["http://a/", "http://b/"], "one URL, and no more"),
    (["ftp://127.0.0.1/"], "begins with http://, echo:// or echo+udp://"),
    (["http://:80/"], "stands HOST[:PORT]"),
    (["http://127.0.0.1:x/"], "stands HOST[:PORT]"),
    (["echo://127.0.0.1/path"], "echo has no path"),
    (["-c", "0", "http://a/"], "--connections: '0' is not a number from 1"),
    (["-c", "4x", "http://a/"], "--connections: '4x' is not a number"),
    (["-r", "-1", "http://a/"], "--rate: '-1' is not a number"),
    (["-k", "maybe", "http://a/"], "--keep-alive: 'maybe' is not on or off"),
    (["-t", "2", "http://a/"], "fewer connections than workers"),
    (["-k", "off", "-p", "2", "http://a/"], "nothing to pipeline"),
    (["-H", "no colon", "http://a/"], "--header: 'no colon' is not"),
    (["-m", "HEAD", "echo://127.0.0.1"], "are for HTTP"),
    (["-s", "5", "http://a/"], "--size is for echo"),
    (["-s", "200000", "-p", "2", "echo://a"], "at most 262144 bytes together"),
    (["-s", "4000", "echo+udp://a"], "a datagram has at most"),
    (["--source", "127.0.0.1-x", "http://127.0.0.1/"], "--source: '127.0.0.1-x' is not"),
    (["--source", "::1", "http://127.0.0.1/"], "another family"),
    (["--verify", "/nonexistent", "http://127.0.0.1/"], "/nonexistent: No such file"),
    (["--io-model", "telepathy", "http://127.0.0.1/"], "telepathy: there is no such model"),
    (["--nonsense"], "unrecognized option"),
])
def test_misuse_is_explained(iomuxd_bin, arguments, complaint):
    done = subprocess.run([load.program(iomuxd_bin), *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and done.stdout == "" and complaint in done.stderr, done
