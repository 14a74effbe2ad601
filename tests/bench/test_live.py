# SPDX-License-Identifier: BSD-2-Clause
"""Two pools of a daemon that runs: figures of intervals, verdicts, and what is refused."""
import http.server
import json
import socket
import subprocess
import threading
import time

import pytest

from iomux_bench import live, talk
from iomux_bench.process import Failure


def pool(name, requests, cpu_us, model="epoll", workers=1, buckets=()):
    return {"pool": name, "model": model, "workers": workers, "connections": 5, "cpu_user_us": cpu_us // 2,
            "cpu_system_us": cpu_us - cpu_us // 2, "switches_own": requests, "switches_forced": 0,
            "totals": {"requests": requests, "messages": 0, "datagrams": 0, "syscalls": 2 * requests, "wakeups": requests},
            "request_buckets": list(buckets)}


def test_an_interval_is_a_difference():
    a, b = pool("p", 100, 1000, buckets=[5, 100]), pool("p", 300, 5000, buckets=[5, 150, 9, 150])
    made = live.between(a, b, 2)
    assert (made["rate"], made["cpu_us"], made["syscalls"], made["switches"]) == (100, 20, 2, 1)
    assert (made["p50"], made["p99"]) == (9, 9)


def test_hardly_any_request_is_no_figure():
    assert live.between(pool("p", 100, 0), pool("p", 101, 900), 1) is None


def test_which_pools_are_looked_at():
    two = {"pools": [pool("a", 0, 0), pool("b", 0, 0), pool("a", 9, 9, model="poll", workers=0)]}
    assert live.choose(two, None) == ["a", "b"]
    assert live.choose(two, ["b", "a"]) == ["b", "a"]
    with pytest.raises(Failure, match="no pool 'c'"):
        live.choose(two, ["a", "c"])
    with pytest.raises(Failure, match="--pools a,b"):
        live.choose({"pools": [*two["pools"], pool("c", 0, 0)]}, None)
    with pytest.raises(Failure, match="no pool"):
        live.choose({"pools": []}, None)


def said(a, b):
    samples = {"a": [{"cpu_us": v} for v in a], "b": [{"cpu_us": v} for v in b]}
    return live.verdicts(live.compare(samples), ["a", "b"], {"a": "epoll", "b": "poll"})


def test_a_verdict_only_where_they_are_apart():
    one, two = [10 + 0.1 * (i % 5) for i in range(20)], [20 + 0.1 * (i % 5) for i in range(20)]
    assert said(one, two) == ["CPU us for each: a (epoll) has 50 % less than b (poll)"]
    assert said(one, [10 + 0.1 * (i % 6) for i in range(20)]) == ["not apart, so nothing can be said: CPU us for each"]
    assert said(one[:3], two[:3]) == []


def test_a_change_of_the_model_ends_it(monkeypatch):
    answers = iter([{"pools": [pool("a", 0, 0)]}, {"pools": [pool("a", 50, 50, model="poll")]}])
    monkeypatch.setattr(live.time, "sleep", lambda _: None)
    with pytest.raises(Failure, match="from epoll to poll"):
        live.watch(lambda: next(answers), ["a"], 6)


def answer_once(listener, answer, heard):
    connection, _ = listener.accept()
    with connection:
        heard.append(connection.recv(4096))
        connection.sendall(answer)


def serve(listener, answer):
    heard = []
    thread = threading.Thread(target=answer_once, args=(listener, answer, heard), daemon=True)
    thread.start()
    return heard, thread


def test_a_control_socket_is_asked(tmp_path):
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        heard, thread = serve(listener, b'{"ok": true, "pools": []}\n')
        assert talk.asker(path)() == {"ok": True, "pools": []}
        thread.join()
    assert json.loads(heard[0]) == {"command": "status"}


@pytest.mark.parametrize("under", ["", "/", "/status", "/status/", "/status/status.json"])
def test_a_url_is_asked(under):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        body = b'{"pools": []}'
        heard, thread = serve(listener, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        assert talk.asker(f"http://127.0.0.1:{listener.getsockname()[1]}{under}")() == {"pools": []}
        thread.join()
    assert heard[0].startswith(b"GET /status.json " if under in ("", "/") else b"GET /status/status.json ")


def test_what_is_no_daemon_is_said(tmp_path):
    with pytest.raises(talk.Unreached, match="No such file"):
        talk.asker(str(tmp_path / "none"))()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serve(listener, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        with pytest.raises(talk.Unreached, match="404"):
            talk.asker(f"http://127.0.0.1:{listener.getsockname()[1]}/")()


class Growing(http.server.BaseHTTPRequestHandler):
    """Statistics of a daemon that goes on: 1,000 requests a second in each pool, in b at twice the cost."""

    def do_GET(self):                                       # pylint: disable=invalid-name
        n = 1000 + int(1000 * time.monotonic())
        answer = json.dumps({"pools": [pool("a", n, 10 * n, buckets=[50, n]), pool("b", n, 20 * n, "poll", buckets=[90, n])]})
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer.encode())

    def log_message(self, *_):                              # pylint: disable=arguments-differ
        pass


def test_all_of_it_on_statistics_that_grow(program, tmp_path):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Growing) as daemon:
        threading.Thread(target=daemon.serve_forever, daemon=True).start()
        done = subprocess.run([program, "--live", f"http://127.0.0.1:{daemon.server_port}/", "-d", "7", "--json", "out.json"],
                              cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        daemon.shutdown()
    assert done.returncode == 0, done.stderr
    made = json.loads((tmp_path / "out.json").read_text())
    assert [(p["pool"], p["model"], len(p["intervals"])) for p in made["pools"]] == [("a", "epoll", 7), ("b", "poll", 7)]
    assert made["pools"][0]["figures"]["cpu_us"]["median"] == pytest.approx(10)
    assert "CPU us for each: a (epoll) has 50 % less than b (poll)" in made["verdicts"]
    assert "request time p99 us: a (epoll) has 44 % less than b (poll)" in done.stdout
    assert "not apart, so nothing can be said: system calls for each" in done.stdout
