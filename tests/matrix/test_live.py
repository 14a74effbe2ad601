# SPDX-License-Identifier: BSD-2-Clause
"""The status of the daemon by HTTP: /metrics as Prometheus reads it, /status.json, /events, and the page in a browser."""

import json
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import threading

import pytest

from browser import Browser
from client import Http, request
from conftest import configuration
from harness import stopped, wait_until
from sites import HELLO, RESPOND_HELLO, http_service, tiny_service
from test_statistics import ROW, TABLE

parser = pytest.importorskip("prometheus_client.parser", reason="python3-prometheus-client is missing (bootstrap packages check)")

STATUS = '{ name = "status"; protocol = "status"; listen = "127.0.0.1:0"; }'
SITE = http_service(RESPOND_HELLO) + "," + STATUS
STREAMS = 32            # of events, for each worker


def families(text):
    return {f.name: f for f in parser.text_string_to_metric_families(text)}


def value(families_, name, **labels):
    """The sum of the samples of this name that have these labels."""
    return sum(s.value for f in families_.values() for s in f.samples
               if s.name == name and labels.items() <= s.labels.items())


def metrics(d, name="status", path="/metrics"):
    with d.connect(name) as s:
        answer = Http(s).get(path)
    assert answer.status == 200 and answer.get("content-type").startswith("text/plain; version=0.0.4")
    return answer.body.decode()


def ask(d, times=1):
    with d.connect("web") as s:
        h = Http(s)
        for _ in range(times):
            assert h.get("/hello").body == HELLO
    wait_until(lambda: d.ask("status")["totals"]["requests"] >= times, what="the requests being counted")


class Events:
    """The events of a stream, one by one."""

    def __init__(self, sock, target="/events"):
        self.file = sock.makefile("rb")
        sock.sendall(request(target))
        self.head = b""
        while not self.head.endswith(b"\r\n\r\n"):
            line = self.file.readline()
            assert line, self.head
            self.head += line

    def __next__(self):
        while line := self.file.readline():
            if line.startswith(b"data: "):
                return json.loads(line[6:])
        raise StopIteration


# --- metrics ------------------------------------------------------------------------------------------------------

def test_metrics_say_what_was_done(daemon, model):
    d = daemon(SITE)
    ask(d, 7)
    wait_until(lambda: value(families(metrics(d)), "iomuxd_connections_closed_total", service="web") == 1, what="the end")
    f = families(metrics(d))
    web = {"service": "web", "pool": "main", "model": model, "worker": "main.0"}
    assert value(f, "iomuxd_requests_total", **web) == 7
    assert value(f, "iomuxd_responses_total", **web, **{"class": "2xx"}) == 7
    assert value(f, "iomuxd_connections_accepted_total", **web) == 1
    assert value(f, "iomuxd_connections", service="web") == 0
    assert value(f, "iomuxd_request_seconds_count", service="web", model=model) == 7
    assert value(f, "iomuxd_request_seconds_bucket", service="web", le="+Inf") == 7
    assert 0 < value(f, "iomuxd_request_seconds_sum", service="web") < 60
    assert value(f, "iomuxd_cpu_seconds_total", worker="main.0") > 0
    assert value(f, "iomuxd_wakeups_total", worker="main.0") > 0
    assert value(f, "iomuxd_worker_up", worker="main.0") == 1
    assert value(f, "iomuxd_generation") == 1


def test_metrics_keep_the_rules_of_their_format(daemon):
    """Each family once, with help and type; each series once; buckets that grow; names with base units."""
    d = daemon(SITE + "," + tiny_service("echo"), workers=2)
    ask(d, 3)
    text = metrics(d)
    heads = re.findall(r"^# (HELP|TYPE) (\S+) ", text, re.M)
    names = [name for kind, name in heads if kind == "TYPE"]
    assert len(names) == len(set(names)) and [("HELP", n) for n in names] == [h for h in heads if h[0] == "HELP"]
    series = [line.rsplit(" ", 1)[0] for line in text.splitlines() if not line.startswith("#")]
    assert len(series) == len(set(series)) and text.endswith("\n")
    for name, family in families(text).items():
        assert re.fullmatch(r"iomuxd_[a-z0-9_]+", name) and family.documentation
        if family.type == "histogram":
            groups = {}
            for s in family.samples:
                if s.name.endswith("_bucket"):
                    key = tuple(sorted(i for i in s.labels.items() if i[0] != "le"))
                    groups.setdefault(key, []).append((float(s.labels["le"]), s.value))
            for bucket in groups.values():
                assert [b[0] for b in bucket] == sorted(b[0] for b in bucket) and bucket[-1][0] == math.inf
                assert [b[1] for b in bucket] == sorted(b[1] for b in bucket)
    for name, family, label, _ in ROW.findall(TABLE.read_text()):
        assert re.search(rf"^# TYPE iomuxd_{family}(_total counter|_seconds histogram| gauge)$", text, re.M), name
        assert not label or label.replace("\\", "") in text, name
    promtool = shutil.which("promtool")
    if promtool is not None:
        said = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
        assert said.returncode == 0 and said.stdout + said.stderr == ""


def test_counters_of_metrics_go_on_over_reload_and_death(daemon):
    d = daemon(SITE)
    ask(d, 5)
    d.reload()
    d.expect_worker_death()
    d.allow_log("died of signal 9")
    wait_until(lambda: len(d.worker_pids()) == 1, what="the end of the old worker")
    worker = d.worker()
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: d.worker_pids() and worker not in d.worker_pids(), what="another worker")
    ask(d, 1)
    wait_until(lambda: value(families(metrics(d)), "iomuxd_requests_total", service="web") == 6, what="six requests")
    f = families(metrics(d))
    assert value(f, "iomuxd_generation") == 2 and value(f, "iomuxd_reloads_total", result="ok") == 1
    assert value(f, "iomuxd_last_reload_successful") == 1
    assert {e["what"] for e in next(Events(d.connect("status")))["events"]} >= {"worker-died", "reloaded", "worker-ready"}
    d.configure("nothing at all")
    d.allow_log("error")
    assert d.ctl("reload").returncode != 0
    wait_until(lambda: value(families(metrics(d)), "iomuxd_reloads_total", result="failed") == 1, what="a failed reload")
    assert value(families(metrics(d)), "iomuxd_last_reload_successful") == 0


def scrape(d, path):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(30)
        s.connect(str(d.control))
        return Http(s).get(path)


def test_the_control_socket_can_be_scraped(daemon):
    d = daemon(http_service(RESPOND_HELLO))
    ask(d, 2)
    answer = scrape(d, "/metrics")
    assert answer.status == 200 and value(families(answer.body.decode()), "iomuxd_requests_total", service="web") == 2
    assert json.loads(scrape(d, "/status.json").body)["services"][0]["totals"]["requests"] == 2
    assert scrape(d, "/metrics?from=here").status == 200
    for path, status in (("/metricsX", 404), ("/", 404), ("/events", 501), ("/eventsX", 404)):
        answer = scrape(d, path)
        assert answer.status == status and answer.get("content-type").startswith("text/plain") and answer.body, path


def test_who_waits_to_be_accepted_is_told_by_those_who_can(daemon, tmp_path, plain_model):
    """A worker stands still, and clients wait: another one of another pool, and the control socket, know how many.  After a
    reload there is nothing of a service that has gone."""
    local = '{ name = "local"; protocol = "echo"; listen = "unix:%s"; }' % (tmp_path / "echo.sock")

    def site(*more):
        names = ", ".join(f'"{name}"' for name in ("web", "local", *more))
        pools = f'pools = ( {{ name = "main"; services = [ {names} ]; }}, {{ name = "other"; services = [ "status" ]; }} );'
        return configuration(",".join([SITE, local, *map(tiny_service, more)]), plain_model, 1, None, None, pools)

    def told(service):
        texts = [metrics(d), scrape(d, "/metrics").body.decode()]
        said = [json.loads(scrape(d, "/status.json").body), d.ask("status")]
        lines = [re.findall(rf'^iomuxd_accept_queue{{service="{service}"}} (\d+)$', t, re.M) for t in texts]
        return [int(line[0]) if line else None for line in lines] + [s["accept_queue"] for v in said for s in v["services"]
                                                                     if s["service"] == service]

    d = daemon(config_text=site("echo"))
    wait_until(lambda: told("web") == [0] * 4, what="nobody waiting")
    assert told("local") == [None] * 4
    main = next(w["pid"] for w in d.ask("status")["workers"] if w["pool"] == "main")
    with stopped(main):
        held = [d.connect("web") for _ in range(5)] + [d.connect("echo")]
        for s in held:
            s.sendall(request("/hello"))
        wait_until(lambda: re.search('^iomuxd_accept_queue{service="web"} 5$', metrics(d), re.M), what="a look unasked")
        wait_until(lambda: (told("web"), told("echo")) == ([5] * 4, [1] * 4), what="those who wait")
    wait_until(lambda: (told("web"), told("echo")) == ([0] * 4, [0] * 4), what="nobody waiting")
    for s in held:
        s.close()
    d.configure(site())
    d.reload()
    wait_until(lambda: (told("web"), told("echo")) == ([0] * 4, [None] * 4), what="a look at other services")
    d.expect_worker_death()
    with stopped(next(w["pid"] for w in d.ask("status")["workers"] if w["pool"] == "main")):
        d.signal(signal.SIGTERM)
        wait_until(lambda: d.ask("status")["state"] == "stopping", what="its last word")
        assert {s["accept_queue"] for s in d.ask("status")["services"]} == {None}, "nobody listens any more"
    assert d.wait() == 0


# --- JSON and events ----------------------------------------------------------------------------------------------

def test_status_json_agrees_with_iomuxctl(daemon, others):
    d = daemon(SITE, model=others[0])
    ask(d, 4)
    with d.connect("status") as s:
        answer = Http(s).get("/status.json")
    assert answer.status == 200 and answer.get("content-type") == "application/json"
    said, told = json.loads(answer.body), d.ask("status")
    assert said["version"] == told["version"] and said["generation"] == told["generation"] == 1
    web = {v["service"]: v["totals"]["requests"] for v in said["services"]}
    assert web["web"] == 4
    assert set(said["totals"]) == set(told["totals"]) and set(said["pools"][0]) - {"request_buckets"} == set(told["pools"][0])
    buckets = said["pools"][0]["request_buckets"]
    assert sum(buckets[1::2]) == said["pools"][0]["request"]["count"] and buckets[::2] == sorted(buckets[::2])


def test_events_go_on(daemon, model):
    """Once a second, and the worker that goes ends them at once."""
    d = daemon(SITE)
    with d.connect("status") as s:
        events = Events(s)
        assert b"Content-Type: text/event-stream\r\n" in events.head and b"Connection: close\r\n" in events.head
        first = next(events)
        ask(d, 3)
        second = next(events)
        while second["totals"]["requests"] < 4:
            second = next(events)
        assert second["now_ms"] - first["now_ms"] >= 900
        assert {v["service"]: v["totals"]["requests"] for v in second["services"]}["web"] == 3
        d.signal(signal.SIGTERM)
        with pytest.raises(StopIteration):
            while True:
                next(events)
    assert d.wait(20) == 0


def test_streams_of_events_are_bounded(daemon):
    d = daemon(SITE)
    held = [(s, Events(s)) for s in (d.connect("status") for _ in range(STREAMS))]
    with d.connect("status") as s:
        assert Http(s).get("/events").status == 503
        assert Http(d.connect("status")).get("/events", method="HEAD").status == 200
    for s, events in held[:3]:
        events.file.close()
        s.close()
    wait_until(lambda: b" 200 " in Events(d.connect("status")).head, what="a place")
    for s, events in held[3:]:
        assert next(events)["version"]
        s.close()


# --- where it is served --------------------------------------------------------------------------------------------

def test_a_route_with_status_lets_in_whom_it_allows(daemon):
    d = daemon(http_service(RESPOND_HELLO, '{ path = "/internal"; status = true; allow = "127.0.0.1"; }'))
    with d.connect("web", source="127.0.0.1") as s:
        h = Http(s)
        moved = h.get("/internal")
        assert moved.status == 301 and moved.get("location") == "/internal/"
        page = h.get("/internal/")
        assert page.status == 200 and b"<title>iomuxd" in page.body
        assert page.get("content-security-policy").startswith("default-src 'none'; ")
        assert "unsafe" not in page.get("content-security-policy") and page.get("x-content-type-options") == "nosniff"
        assert h.get("/internal/", method="HEAD").get("content-length") == str(len(page.body))
        for name in set(re.findall(rb'(?:src|href)="([^":]+)"', page.body)) - {b"events"}:
            assert h.get(f"/internal/{name.decode()}").status == 200, name
        assert h.get("/internal/nothing").status == 404
        assert h.get("/internal/metrics", method="POST", body=b"x").status == 405
        assert h.get("/internals").status == 404
    for path in ("/internal/", "/internal/metrics", "/internal/events"):
        assert Http(d.connect("web", source="127.0.0.2")).get(path).status == 403


def test_what_the_service_adds_does_not_break_the_page(daemon):
    """Two policies would both be applied, and the page could do nothing.  Errors have what is added."""
    added = {"Content-Security-Policy": "default-src 'none'", "cache-control": "max-age=5", "Expires": "0",
             "Referrer-Policy": "origin", "X-Content-Type-Options": "x", "X-Frame-Options": "DENY"}
    fields = " ".join(f'{name} = "{v}";' for name, v in added.items())
    d = daemon('{ name = "web"; protocol = "http"; listen = "127.0.0.1:0"; headers : { add : { %s }; }; '
               'routes = ( { path = "/s/"; status = true; } ); }' % fields)
    web = Http(d.connect())
    for name in ("", "live.js", "metrics", "status.json"):
        for method in ("GET", "HEAD"):
            answer = web.get(f"/s/{name}", method)
            names = [n for n, _ in answer.headers]
            assert answer.status == 200 and len(names) == len(set(names)), names
            assert answer.get("cache-control") == "no-store" and answer.get("expires") is None
            assert "connect-src 'self'" in answer.get("content-security-policy")
            assert (answer.get("x-content-type-options"), answer.get("referrer-policy")) == ("nosniff", "no-referrer")
            assert answer.get("x-frame-options") == "DENY"
    for target in ("/s/none", "/s/metrics"):
        answer = web.get(target, "GET" if target == "/s/none" else "PUT", body=None if target == "/s/none" else b"")
        assert answer.status in (404, 405)
        assert all(answer.get(name) == v for name, v in added.items())
    with d.connect() as s:
        head = Events(s, "/s/events").head.lower()
        assert head.count(b"cache-control:") == head.count(b"content-security-policy:") == 1 and b"no-store" in head


def test_conditions_are_judged_though_there_are_no_validators(daemon):
    web = Http(daemon(STATUS).connect("status"))
    for target in ("/", "/live.js", "/metrics", "/status.json"):
        for method in ("GET", "HEAD"):
            assert web.get(target, method, headers=[("If-Match", '"x"')]).status == 412
            answer = web.get(target, method, headers=[("If-None-Match", "*")])
            assert (answer.status, answer.get("cache-control")) == (304, "no-store")
            assert web.get(target, method, headers=[("If-Match", "*")]).status == 200
            assert web.get(target, method, headers=[("If-None-Match", '"x"')]).status == 200
    assert web.get("/none", headers=[("If-Match", '"x"')]).status == 404


def test_a_service_of_status_lets_in_whom_it_allows(daemon):
    d = daemon(http_service(RESPOND_HELLO) + ', { name = "status"; protocol = "status"; listen = "127.0.0.1:0"; '
               'allow = "127.0.0.1"; }')
    assert Http(d.connect("status", source="127.0.0.1")).get("/metrics").status == 200
    assert Http(d.connect("status", source="127.0.0.2")).get("/metrics").status == 403


def test_nothing_is_shown_unless_it_is_asked_for(daemon):
    d = daemon(http_service(RESPOND_HELLO))
    for path in ("/metrics", "/status.json", "/events", "/live.js"):
        assert Http(d.connect("web")).get(path).status == 404


# --- the page -------------------------------------------------------------------------------------------------------

class Load(threading.Thread):
    """Requests without an end, and how many there were."""

    def __init__(self, d):
        super().__init__(daemon=True)
        self.d, self.done, self.goes_on = d, 0, True

    def run(self):
        while self.goes_on:
            with self.d.connect("web") as s:
                assert Http(s).get("/hello").body == HELLO
            self.done += 1


def test_the_page_shows_what_goes_on(daemon, others, tmp_path):
    """Under load, in two pools: the numbers are those of the load, the lines move, a reload leaves its mark, it fits a
    telephone, keys work, and the browser complains of nothing."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed (bootstrap packages ci)")
    d = daemon(SITE, model=others[0],
               settings=f'pools = ( {{ name = "main"; }}, {{ name = "trial"; io_model = "{others[1]}"; }} );')
    load = Load(d)
    load.start()
    with Browser(chromium, tmp_path) as b:
        b.open(f"http://127.0.0.1:{d.port('status')}/")
        b.wait("Number(document.body.dataset.samples) >= 2", 90)
        assert b.ask("[...document.querySelectorAll('.card')].map((c) => c.dataset.pool).join()") == "main,trial"
        drawn = "[...document.querySelectorAll('#charts canvas')].map((c) => c.toDataURL()).join()"
        before = b.ask(drawn)
        assert b.ask("document.querySelectorAll('#charts canvas').length") == 6
        seen = int(b.ask("document.body.dataset.samples"))
        b.wait(f"Number(document.body.dataset.samples) >= {seen + 2}", 60)
        assert b.ask(drawn) != before
        d.reload()
        b.wait("document.querySelector('#events').innerText.includes('reloaded')", 60)
        b.wait("document.querySelector('#state').innerText.includes('generation 2')", 60)
        load.goes_on = False
        load.join(30)
        b.wait("""[...document.querySelectorAll('#services tr')].some((r) => r.cells[0].innerText === 'web' &&
                  Number(r.cells[4].innerText.replace(/,/g, '')) === %d)""" % load.done, 60)
        b.key("p")
        assert b.ask("document.querySelector('#pause').getAttribute('aria-pressed')") == "true"
        b.key("t")
        assert b.ask("document.documentElement.dataset.theme") == "dark"
        b.size(390, 844, phone=True)
        b.wait("document.documentElement.clientWidth === 390", 30)
        b.wait("document.documentElement.scrollWidth <= 390", 30)
        assert b.complaints == []
