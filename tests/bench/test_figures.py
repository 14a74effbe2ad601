# SPDX-License-Identifier: BSD-2-Clause
"""What many measurements say together, what the textbooks' claims make of it, and the advice."""
import re
import types

import pytest
from conftest import idle_cost, step, textbook

from iomux_bench import advice, claims, figures, plan, runner
from iomux_bench.claims import FAILS, HOLDS, MISSING, PART


def test_medians_with_their_spread():
    assert figures.spread([3, 1, 2]) == {"median": 2, "min": 1, "max": 3, "n": 3}
    assert figures.spread([None, 4]) == {"median": 4, "min": 4, "max": 4, "n": 1}
    assert figures.spread([None]) is None


def test_histograms_are_merged_and_read():
    merged = figures.merge([[[1, 90], [5, 9]], [[5, 1], [9, 100]]])
    assert merged == [[1, 90], [5, 10], [9, 100]]
    assert [figures.quantile(merged, p) for p in (0.4, 0.5, 0.51, 1)] == [1, 5, 9, 9]
    assert figures.quantile([], 0.5) is None
    assert figures.thinned([[100, 1], [101, 2], [102, 3], [104, 4], [110, 5]]) == [[100, 10], [110, 5]]


def test_the_ratio_to_the_floor_is_taken_round_by_round():
    steps = [step("epoll", plan.SPEED, "fixed", 1, n, cpu_us=c) for n, c in ((0, 10.0), (1, 20.0))] + \
            [step("floor", plan.SPEED, "fixed", 1, n, cpu_us=c) for n, c in ((0, 5.0), (1, 10.0))]
    made = figures.summaries(steps)["speed fixed 1"]["epoll"]
    assert made["x_floor"] == {"median": 2.0, "min": 2.0, "max": 2.0, "n": 2}
    assert made["user_us"] + made["system_us"] == pytest.approx(15.0)
    assert made["user_us"] == pytest.approx(15.0 / 4)


def test_what_failed_is_said_and_counted():
    failed = {"round": 1, "cell": "speed fixed 1", "server": "aio", "took": 0.1, "failed": "no threads", "flags": ""}
    assert figures.summaries([failed])["speed fixed 1"]["aio"] == {"rounds": 0, "failed": "no threads"}
    both = figures.summaries([step("aio", plan.SPEED, "fixed", 1, flags="LN"), failed])["speed fixed 1"]["aio"]
    assert (both["rounds"], both["failed_rounds"], both["flags"]) == (1, 1, {"L": 1, "N": 1})


def test_intervals_tell_what_is_apart_from_what_is_not():
    low, high = [10 + 0.1 * (i % 5) for i in range(20)], [12 + 0.1 * (i % 5) for i in range(20)]
    wide = [8 + (i % 7) for i in range(20)]
    assert figures.apart(figures.interval(low), figures.interval(high))
    assert not figures.apart(figures.interval(low), figures.interval(wide))
    assert figures.interval(low[:5]) is None
    assert not figures.apart(None, figures.interval(high))
    median, least, most = figures.interval(low)
    assert least <= median <= most


def verdicts(steps):
    made = claims.judge(figures.summaries(steps))
    return {" ".join(c.claim.lower().split()[:2]): c.verdict for c in made}


def test_on_the_machine_of_the_textbooks_they_are_right():
    made = claims.judge(figures.summaries(textbook()))
    assert len(made) == 8
    assert {c.verdict for c in made if "1,024" not in c.claim and "copying" not in c.claim} == {HOLDS}
    # select copies less than poll, but does not cost less here
    assert [c.verdict for c in made if "copying" in c.claim] == [PART]
    assert [c.verdict for c in made if "1,024" in c.claim] == [FAILS]       # iomuxd's select has no such limit
    assert all(len(c.evidence) > 40 for c in made)


def test_nothing_measured_is_no_verdict():
    assert {c.verdict for c in claims.judge({})} == {MISSING}


def changed(select, **new):
    return [{**s, **{k: v(s) if callable(v) else v for k, v in new.items()}} if select(s) else s for s in textbook()]


def test_where_there_is_no_direct_io_that_is_said():
    failed = [{**s, "failed": "the file system has none"} if s["server"] == plan.DIRECT else s for s in textbook()]
    last = claims.judge(figures.summaries(failed))[-1]
    assert (last.verdict, last.evidence) == (MISSING, "The file system has none.")


def test_each_verdict_can_be_another_one():
    flat = verdicts(changed(lambda s: "speed idle" in s["cell"], cpu_us=10.0))
    assert flat["the cost"] == FAILS
    half = verdicts(changed(lambda s: "speed idle" in s["cell"] and s["server"] == "select", cpu_us=10.0))
    assert half["the cost"] == PART
    lazy = verdicts(changed(lambda s: s["server"] == "nonblocking" and "rest" in s["cell"], wanted=0.1))
    assert lazy["non-blocking polling"] == FAILS
    cheap = verdicts(changed(lambda s: s["server"] == "sigio" and "echo-tcp" in s["cell"], cpu_us=8.0))
    assert cheap["signal-driven i/o"] == PART
    few = verdicts(changed(lambda s: s["server"] == "blocking" and "rest" in s["cell"], threads=3))
    assert few["blocking needs"] == FAILS
    light = changed(lambda s: "speed idle" in s["cell"] and s["server"] == "select",
                    cpu_us=lambda s: 10 + (s["cpu_us"] - 10) / 20)
    assert verdicts(light)["select and"] == HOLDS
    slow = verdicts(changed(lambda s: s["server"] == plan.CACHED, bytes_s=1e8))
    assert slow["direct i/o"] != HOLDS


def test_advice_names_the_cheapest_and_its_equals():
    said = advice.paragraphs(figures.summaries(textbook()))
    many = next(text for text in said if "mostly rest" in text)
    assert ": epoll, because" in many and re.search(r"\(.*io_uring.* cannot be told from it\)", many)
    assert f"the dearest is select with {idle_cost('select', 10000) * 1.01:.0f} us" in many
    assert any("5,000 requests a second" in text for text in said)
    assert advice.paragraphs({}) == []


def test_advice_follows_the_figures():
    dear = changed(lambda s: s["server"] != "io_uring" and s["cell"] == "speed fixed 100", cpu_us=50.0)
    first = advice.paragraphs(figures.summaries(dear))[0]
    assert ": io_uring, because" in first and "be told" not in first


def test_one_noisy_round_tells_less_apart():
    def first(flags):
        steps = [step(m, plan.SPEED, "fixed", 100, cpu_us=c, flags=flags if m == "epoll" else "")
                 for m, c in (("poll", 10.0), ("epoll", 12.0), ("select", 10.2))]
        return advice.paragraphs(figures.summaries(steps))[0]
    assert ": poll, because" in first("") and "the dearest is epoll" in first("")
    assert ": epoll, because" in first("N") and "dearest" not in first("N")


def test_latencies_are_compared_only_where_they_are_apart():
    assert "do not tell them apart" in advice.paragraphs(figures.summaries(textbook()))[-1]
    latency = {"p50": 100, "p90": 200, "p99": 9000, "p99.9": 9900, "max": 10000, "mean": 120}
    slow = changed(lambda s: s["server"] == "aio" and s["cell"].startswith("pace"), latency=latency)
    assert advice.paragraphs(figures.summaries(slow))[-1].endswith("within 9,000 us on aio.")


QUIET = {"foreign": 0.01, "steal": 0.0, "load_pressed": 0.5, "seconds": 1.0}


def load_said(limit=False, errors=0):
    return {"client": {"limit": limit}, "errors": {"total": errors, "reset": errors}}


@pytest.mark.parametrize("made, result, served, total, flags", [
    (QUIET, load_said(), 1000, 1000, ""),
    (QUIET, load_said(limit=True), 1000, 1000, "L"),            # the client was the limit
    ({**QUIET, "load_pressed": 0.95}, load_said(), 1000, 1000, "L"),
    ({**QUIET, "foreign": 0.06}, load_said(), 1000, 1000, "N"), # somebody else was at work
    ({**QUIET, "steal": 0.03}, load_said(), 1000, 1000, "N"),
    ({**QUIET, "steal": 0.025, "seconds": 0.4}, load_said(), 1000, 1000, ""),   # one tick of the clock
    (QUIET, load_said(errors=3), 1000, 1000, "E"),
    (QUIET, load_said(), 1050, 1000, "C"),                      # one of the two counts wrongly
    (QUIET, None, 0, 0, "")])
def test_doubts_are_flagged(made, result, served, total, flags):
    assert runner.doubts(made, result, served, total) == flags


def test_a_machine_that_is_not_quiet_is_said():
    assert advice.caution({"steps": textbook()}) is None
    assert "not quiet" in advice.caution({"steps": changed(lambda s: True, flags="N")})


def test_the_busiest_process_of_the_load_is_looked_at():
    a = types.SimpleNamespace(load={1: (0, 0), 2: (10 ** 9, 0), 3: (0, 0)})
    b = types.SimpleNamespace(load={1: (10 ** 8, 0), 2: (15 * 10 ** 8, 4 * 10 ** 8), 4: (9, 9)})
    assert runner.load_between(a, b) == (pytest.approx(0.6), pytest.approx(0.9))
    assert runner.load_between(types.SimpleNamespace(load={}), types.SimpleNamespace(load={})) == (0, 0)


def test_what_is_missing_in_a_run_is_said(whole):
    assert advice.not_done(whole) == []
    less = {**whole, "left_out": {"connections": [1000, 10000], "why": "a limit"},
            "options": {"cells": ["speed fixed 1", "speed fixed 20000"]}}
    assert advice.not_done(less) == ["Not measured with 1,000 and 10,000 connections: a limit.",
                                     "Time was up before these were measured: speed fixed 20000."]


class Counting:
    """A server that has counted so much and has so many connections, and a load on it that goes on."""

    def __init__(self, served, connections=100):
        self._said = {"served": served, "open": connections}

    def said(self):
        return self._said

    @staticmethod
    def over():
        return False


HUNDRED = plan.Cell(plan.SPEED, "fixed", 100, 1)


def test_why_requests_do_not_flow_is_said():
    refused = {"counts": {"answered": 5}, "errors": {"total": 7, "refused": 7, "reset": 0}}
    slow = {"counts": {"answered": 0}, "errors": {"total": 0, "refused": 0}}

    def said(server, result, cell=HUNDRED):
        return runner.why_not(server, cell, server.said(), result)
    assert said(Counting(5), refused).endswith(": 7 refused")
    assert said(Counting(0), slow).endswith("too slowly")
    assert said(Counting(5, 60), refused).endswith(": 60 of 100 were there; 7 refused")
    assert "without statistics" in said(Counting(0), refused)


@pytest.mark.parametrize("workload, served, connections, flows", [
    ("fixed", 100, 100, True), ("fixed", 100, 98, False),       # the others still wait to be accepted
    ("fixed", 50, 100, False), ("connect", 100, 3, True), ("echo-udp", 100, 0, True)])
def test_it_is_measured_when_the_server_has_all_connections(monkeypatch, workload, served, connections, flows):
    monkeypatch.setattr(runner, "START_S", 0)
    assert runner.wait_flow(Counting(30, 60), HUNDRED, Counting(0), 0.5)
    assert runner.wait_flow(Counting(served, connections), HUNDRED._replace(workload=workload), Counting(0)) == flows
