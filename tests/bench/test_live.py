# SPDX-License-Identifier: BSD-2-Clause
"""Two pools of a daemon that runs: figures of intervals, verdicts, and what is refused; all of it under real load."""
import http.server
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest
from conftest import available

from iomux_bench import figures, live, process, server, talk
from iomux_bench.process import Failure


def pool(name, requests, cpu_us, model="epoll", workers=1, buckets=()):
    return {"pool": name, "model": model, "workers": workers, "connections": 5, "cpu_user_us": cpu_us // 2,
            "cpu_system_us": cpu_us - cpu_us // 2, "switches_own": requests, "switches_forced": 0,
            "totals": {"requests": requests, "messages": 0, "datagrams": 0, "syscalls": 2 * requests, "wakeups": requests,
                       "events": 3 * requests},
            "request_buckets": list(buckets)}


def test_an_interval_is_a_difference():
    a, b = pool("p", 100, 1000, buckets=[5, 100]), pool("p", 300, 5000, buckets=[5, 150, 9, 150])
    made = live.between(a, b, 2)
    assert (made["rate"], made["cpu_us"], made["syscalls"], made["switches"]) == (100, 20, 2, 1)
    assert (made["user_us"], made["system_us"], made["wakeups"], made["events"]) == (10, 10, 1, 3)
    assert made["cpu"] == 0.2                               # 4 ms in 2 s
    assert (made["p50"], made["p99"]) == (9, 9)


def test_a_percentile_takes_as_many_requests_as_make_it_one():
    slow, grown = [1, 500, 8, 400, 30, 90, 700, 9], [1, 500, 8, 400, 30, 90, 700, 10]
    made = live.between(pool("p", 0, 0), pool("p", 1000, 9000, buckets=grown), 1)
    assert [made[key] for key in live.QUANTILES] == [1, 8, 30, 700]
    made = live.between(pool("p", 0, 0), pool("p", 999, 9000, buckets=slow), 1)
    assert [made.get(key) for key in live.QUANTILES] == [1, 8, 30, None]
    made = live.between(pool("p", 0, 0), pool("p", 99, 9000, buckets=[1, 60, 8, 39]), 1)
    assert [made.get(key) for key in live.QUANTILES] == [1, 8, None, None]
    made = live.between(pool("p", 0, 0), pool("p", 99, 9000), 1)       # a pool without HTTP has no times of requests
    assert not set(made) & set(live.QUANTILES)


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


def test_neighbours_in_a_histogram_are_not_apart():
    samples = {"a": [{"p50": 300}] * 9, "b": [{"p50": 303}] * 9}
    said_of = live.verdicts(live.compare(samples), ["a", "b"], {"a": "epoll", "b": "poll"})
    assert said_of == ["not apart, so nothing can be said: request time p50 us"]


def test_a_change_of_the_model_ends_it(monkeypatch):
    answers = iter([{"pools": [pool("a", 0, 0)]}, {"pools": [pool("a", 50, 50, model="poll")]}])
    monkeypatch.setattr(live.time, "sleep", lambda _: None)
    with pytest.raises(Failure, match="from epoll to poll"):
        live.watch(lambda: next(answers), ["a"], 6)


def test_a_restart_ends_it(monkeypatch):
    answers = iter([{"pools": [pool("a", 900, 0)]}, {"pools": [pool("a", 50, 50)]}])
    monkeypatch.setattr(live.time, "sleep", lambda _: None)
    with pytest.raises(Failure, match="restarted"):
        live.watch(lambda: next(answers), ["a"], 6)


def test_ctrl_c_ends_it_with_what_there_is(monkeypatch):
    answers = iter([{"pools": [pool("a", 0, 0)]}, {"pools": [pool("a", 50, 500)]}])

    def ask():
        try:
            return next(answers)
        except StopIteration as e:
            raise KeyboardInterrupt from e
    monkeypatch.setattr(live.time, "sleep", lambda _: None)
    samples, models, seconds = live.watch(ask, ["a"], 60)
    assert [s["cpu_us"] for s in samples["a"]] == [10] and models == {"a": "epoll"} and seconds < 60


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
        heard, thread = serve(listener, b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\nConnection: close\r\n\r\n{"pools": []}')
        assert talk.asker(path)() == {"pools": []}
        thread.join()
    assert heard[0].startswith(b"GET /status.json HTTP/1.1\r\n")


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
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "other"))
        listener.listen()
        serve(listener, b'{"ok": false}\n')
        with pytest.raises(talk.Unreached, match="other: .*ok"):
            talk.asker(str(tmp_path / "other"))()
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
        done = subprocess.run([program, "--live", f"http://127.0.0.1:{daemon.server_port}/", "-d", "9", "--json", "out.json"],
                              cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        daemon.shutdown()
    assert done.returncode == 0, done.stderr
    made = json.loads((tmp_path / "out.json").read_text())
    assert [(p["pool"], p["model"]) for p in made["pools"]] == [("a", "epoll"), ("b", "poll")]
    assert all(6 <= len(p["intervals"]) <= 9 for p in made["pools"]), "one a second, but for those in which we stood still"
    assert made["pools"][0]["figures"]["cpu_us"]["median"] == pytest.approx(10)
    assert "CPU us for each: a (epoll) has 50 % less than b (poll)" in made["verdicts"]
    assert "request time p99 us: a (epoll) has 44 % less than b (poll)" in done.stdout
    assert "not apart, so nothing can be said: system calls for each" in done.stdout


# nonblocking with its pause tries each socket a thousand times a second: what it takes for a request is far from epoll's
# however busy the machine is.
CONFIG = """\
control = "%(folder)s/control.sock";
%(user)s
log : { target = "stderr"; level = "notice"; };
poll_interval = 0.001;
services = ( { name = "web"; protocol = "http"; listen = "127.0.0.1:0";
               routes = ( { path = "/"; respond : { status = 200; body = "Hello"; }; },
                          { path = "/status"; status = true; allow = "127.0.0.1"; } ); } );
pools = ( { name = "main"; io_model = "%(main)s"; workers = 1; services = [ "web" ]; },
          { name = "trial"; io_model = "nonblocking"; workers = 1; services = [ "web" ]; } );
"""


@pytest.fixture
def two_pools(program, tmp_path):
    """(URL, control socket) of a daemon with two pools of one service, and the process that puts load on it."""
    beside = os.path.dirname(os.path.realpath(program))
    said = CONFIG % {"folder": tmp_path, "user": server.user_line(),
                     "main": "epoll" if "epoll" in available(program) else "poll"}
    (tmp_path / "iomuxd.conf").write_text(said)
    daemon = process.Running("iomuxd", [os.path.join(beside, "iomuxd"), "-c", str(tmp_path / "iomuxd.conf")],
                             min(os.sched_getaffinity(0)), str(tmp_path))
    try:
        daemon.wait_ready(lambda log: "ready: pool trial" in log and int(re.search(r"listening: web \S*:(\d+)", log)[1]))
        url = f"http://127.0.0.1:{daemon.port}/"
        control = str(tmp_path / "control.sock")
        with subprocess.Popen([os.path.join(beside, "iomux-load"), "-c", "40", "-r", "600", "-d", "120", "--json", "-", url],
                              stdout=subprocess.PIPE, text=True) as load:
            try:
                process.wait_until("load in both pools", 60, lambda: all(
                    live.served(p) > 100 for p in talk.ask_control(control)["pools"]))
                yield url + "status", control, load
            finally:
                load.kill()
    finally:
        daemon.stop(times=2)


@pytest.mark.timeout(200)
def test_two_pools_of_a_daemon_under_load(program, tmp_path, two_pools):
    url, control, load = two_pools
    by_url, by_socket = talk.ask_http(url), talk.ask_control(control)
    assert [sorted(p) for p in by_url["pools"]] == [sorted(p) for p in by_socket["pools"]]
    assert all(p["request_buckets"] for p in by_socket["pools"])
    looks = {where: subprocess.Popen([program, "--live", where, "--pools", "main,trial", "-d", "10", "--json", name], cwd=tmp_path,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
             for where, name in ((url, "url.json"), (control, "control.json"))}
    printed = {where: look.communicate(timeout=100)[0] for where, look in looks.items()}
    assert [look.returncode for look in looks.values()] == [0, 0], printed
    load.send_signal(signal.SIGINT)
    answered = json.loads(load.communicate(timeout=60)[0])["counts"]["answered"]
    for where, name in ((url, "url.json"), (control, "control.json")):
        made = json.loads((tmp_path / name).read_text())
        main, trial = made["pools"]
        assert (main["pool"], trial["pool"], trial["model"]) == ("main", "trial", "nonblocking")
        seen = sum(s["served"] for p in made["pools"] for s in p["intervals"])
        assert 0 < seen <= answered + 100           # and what asks for statistics
        for p in made["pools"]:
            assert all(f["low"] <= f["median"] <= f["high"] for f in p["figures"].values())
            assert p["figures"]["cpu_us"]["median"] > 0 and p["figures"]["rate"]["median"] > 0
        # All that takes no more requests than a machine that is busy answers in a second.
        titles = {key for key, _, _ in live.ROWS} - {"p99", "p99.9"}
        assert titles <= set(main["figures"]) and titles <= set(trial["figures"]), (where, main["figures"], trial["figures"])
        for title in "system calls for each", "CPU us for each":
            assert any(re.match(rf"{title}: main \(\w+\) has \d+ % less than trial \(nonblocking\)", v)
                       for v in made["verdicts"]), made["verdicts"]
            assert f"{title}: main" in printed[where]
        agree(made)


def agree(made):
    """A verdict stands where the intervals of both are apart, and nowhere else."""
    first, second = (p["figures"] for p in made["pools"])
    told = " ".join(v for v in made["verdicts"] if not v.startswith("not apart"))
    for key, title, less in live.ROWS:
        if less is not None and key in first and key in second:
            a, b = (tuple(f[key][k] for k in ("median", "low", "high")) for f in (first, second))
            low, high = sorted((a[0], b[0]))
            close = key in live.QUANTILES and high < low * live.WIDTH
            assert (f"{title.strip()}: " in told) == (figures.apart(a, b) and not close), (title, a, b)
