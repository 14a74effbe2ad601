# SPDX-License-Identifier: BSD-2-Clause
"""The report and the summary: everything is in them, nothing outside is needed, nothing can break out of its place."""
import html.parser
import json
import math
import re

import pytest
from conftest import MODELS, header, step

from iomux_bench import bench, plan, report, summary, svg


class Balance(html.parser.HTMLParser):
    """Elements that are opened and closed in order."""

    VOID = {"meta", "link", "br"}

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag


def read(page):
    reader = Balance()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader.seen


def test_the_page_is_whole_and_needs_nothing_else(whole):
    page = report.page(whole)
    seen = read(page)
    assert not [tag for tag, _ in seen if tag in ("script", "img", "iframe", "object")]
    links = [v for _, attrs in seen for k, v in attrs.items() if k in ("src", "href", "xlink:href")]
    assert links == ["data:,"]
    assert "url(" not in page and "@import" not in page
    assert sum(tag == "svg" for tag, _ in seen) >= 7
    for model in MODELS:
        assert f"<td>{model}</td>" in page
    assert max(map(len, page.splitlines())) < 400


def titled(page, title):
    """The drawing of a figure with this title, None: there is none."""
    found = re.search(rf"<figcaption>{re.escape(title)}</figcaption>\n(<svg.*?</svg>)", page, re.S)
    return found and found[1]


@pytest.mark.parametrize("what, unit", [("what it costs", "CPU us for each %s"), ("how fast", "%ss a second"),
                                        ("how many system calls", "system calls for each %s")])
def test_growth_with_connections_is_drawn(whole, what, unit):
    page = report.page(whole)
    for workload in ("fixed", "idle"):
        about = plan.BY_NAME[workload]
        drawing = titled(page, f"{about.title[0].upper()}{about.title[1:]}: {what}")
        assert re.findall(r'class="label"[^>]*>([^<]*)<', drawing) == ["connections", unit % about.unit]
        assert set(re.findall(r'class="name"[^>]*>([^<]*)<', drawing)) == {*MODELS, plan.FLOOR}
    assert titled(page, f"Echo over TCP (64 bytes): {what}") is None       # one count of connections is no growth


def test_system_calls_are_drawn_where_they_are():
    steps = [step("select", plan.SPEED, "fixed", n, syscalls_each=calls) for n, calls in ((1, 3.0), (10, 2.5), (100, 0.025))]
    drawing = titled(report.page(bench.document(header(), steps, True)), "Fixed reply: how many system calls")
    assert re.findall(r"<title>select, (\d+): ([\d.]+)</title>", drawing) == [("1", "3"), ("10", "2.5"), ("100", "0.025")]


def rounds_of(counts, whole, cells=(), **more):
    """What the head says of a run with so many rounds of each cell."""
    steps = [step("select", *cell.split()[:2], int(cell.split()[2]), number, **more)
             for cell, n in counts.items() for number in range(n)]
    made = header()
    made.update(preset="full", options={**made["options"], "rounds": 5, "cells": [*counts, *cells]})
    page = report.page(bench.document(made, steps, whole))
    return " ".join(re.findall(r'<p class="soft">(.*?)</p>', page, re.S)[0].split()).rpartition(" minutes; ")[2]


@pytest.mark.parametrize("counts, whole, said", [
    ({"speed fixed 10": 4, "speed idle 10": 3, "speed fixed 10000": 1, "pace fixed 10000": 1}, False,
     "medians of 3 to 4 rounds (10,000 connections: 1)"),
    ({"speed fixed 10": 3, "speed fixed 10000": 1, "speed fixed 20000": 1, "pace idle 10": 1}, False,
     "medians of 3 rounds (10,000 and 20,000 connections and some latencies: 1)"),
    ({"speed fixed 10": 5, "pace fixed 10": 5}, True, "medians of 5 rounds"),
    ({"speed fixed 10": 2, "pace idle 10": 1}, True, "medians of 2 rounds (some latencies: 1)"),
    ({"speed fixed 10": 1}, True, "one round"),
    ({"speed fixed 10": 4, "speed idle 10": 2}, False, "4 of at most 5 rounds begun, not all of the plan done"),
    ({"speed fixed 10000": 1}, False, "1 of at most 5 rounds begun, not all of the plan done")])
def test_the_head_says_of_how_many_rounds_the_figures_are(counts, whole, said):
    assert rounds_of(counts, whole) == said


def test_a_cell_of_the_plan_that_was_not_reached_is_no_whole_run():
    assert rounds_of({"speed fixed 10": 4}, False, ["speed idle 10"]).endswith("not all of the plan done")
    once = rounds_of({"speed fixed 10": 4}, False, ["speed fixed 10000"])
    assert once == "medians of 4 rounds"        # that it is missing is said below


def test_the_head_says_how_quiet_it_was(whole):
    def head(document):
        return " ".join(report.page(document)[:9000].split())
    assert f"in 0 of {len(whole['steps']):,} measurements others took CPU time (N)." in head(whole)
    steps = [step("select", plan.SPEED, "fixed", 10, n, flags=f) for n, f in enumerate(("", "N", "LN", "L", "L"))] + \
            [step("select", plan.PACE, "fixed", 10, n, flags=f) for n, f in enumerate(("L", "E", ""))] + \
            [{"round": 5, "cell": "speed fixed 10", "server": "select", "took": 0, "failed": "gone", "flags": ""}]
    said = head(bench.document(header(), steps, True))
    assert "in 2 of 8 measurements (25 %) others took CPU time (N)." in said
    assert "was the limit (L) in 3 of 5 in the closed loop (60 %) and in 1 of 3 at a fixed rate (33 %): " in said
    assert "How quiet" not in head(bench.document(header(), [], False))


def test_json_has_everything_with_a_line_for_each_step(whole):
    text = bench.text_of(whole)
    assert json.loads(text) == whole
    assert len(text.splitlines()) == len(whole) + len(whole["steps"]) + len(whole["cells"]) + 4
    empty = bench.document(header(), [], False)
    assert json.loads(bench.text_of(empty)) == empty


def test_numbers_are_as_long_as_they_are_known():
    assert bench.rounded({"a": [1 / 3, 1e10 / 3, 7], "b": "x", "c": None}) == {"a": [0.333333, 3.33333e9, 7], "b": "x", "c": None}


def test_what_comes_from_outside_is_escaped(whole):
    page = report.page(whole)
    assert "Some &lt;CPU&gt;" in page and "<CPU>" not in page
    assert "not &lt;built&gt; in &amp; so on" in page


def test_a_model_that_cannot_run_is_listed_with_its_reason(whole):
    assert re.search(r"<td>epoll-level</td><td>multiplexing</td><td>not measured</td><td>not &lt;built", report.page(whole))
    assert "Not measured, and not replaced: epoll-level (not &lt;built" in report.page(whole)
    assert "epoll-level was not measured: not <built> in" in summary.text(whole)


def test_a_run_with_hardly_anything_still_has_a_report():
    for steps in ([], [step("epoll", plan.SPEED, "fixed", 1)],
                  [{"round": 0, "cell": "pace fixed 100", "server": "aio", "took": 0, "failed": "no <threads>", "flags": ""}]):
        document = bench.document(header(), steps, False)
        read(report.page(document))
        assert summary.text(document)


def test_refused_steps_say_why():
    steps = [step("epoll", plan.SPEED, "fixed", 10000), {"round": 0, "cell": "speed fixed 10000", "server": "aio", "took": 0,
                                                         "refused": True, "failed": "at most <4096>", "flags": ""}]
    assert "at most &lt;4096&gt;" in report.page(bench.document(header(), steps, True))


def texts_of(drawing):
    """[(x begin, x end, y)] of all texts that are not turned, with a generous width for a letter."""
    found = re.findall(r'<text class="\w+" x="([-\d.]+)" y="([-\d.]+)"(?: text-anchor="(\w+)")?>([^<]*)</text>', drawing)
    for x, y, anchor, text in found:
        width, x = 6.6 * len(text), float(x)
        begin = x - {"middle": width / 2, "end": width}.get(anchor, 0)
        yield begin, begin + width, float(y), text


def test_no_text_of_a_chart_lies_on_another(whole):
    drawings = re.findall(r"<svg.*?</svg>", report.page(whole), re.S)
    for drawing in drawings:
        places = list(texts_of(drawing))
        width = float(re.search(r'viewBox="0 0 (\d+)', drawing)[1])
        assert places
        for i, (a, b, y, text) in enumerate(places):
            assert a >= -1 and b <= width + 1, text
            for c, d, z, other in places[i + 1:]:
                assert abs(y - z) >= 11 or b <= c or d <= a, (text, other)


def test_axes_have_names_and_ticks(whole):
    for drawing in re.findall(r"<svg.*?</svg>", report.page(whole), re.S):
        assert len(re.findall(r'class="tick"', drawing)) >= 3
        assert 'class="label"' in drawing


def test_ticks_are_where_people_expect_them():
    assert svg.linear_ticks(100) == [0, 20, 40, 60, 80, 100]
    assert svg.linear_ticks(0) == [0]
    assert svg.log_ticks(1, 100) == [1, 2, 5, 10, 20, 50, 100]
    assert svg.log_ticks(1, 100000) == [1, 10, 100, 1000, 10000, 100000]


def test_numbers_as_people_write_them():
    assert [svg.number(v) for v in (0, 0.01234, 1.234, 12.34, 1234567.8)] == ["0", "0.0123", "1.23", "12.3", "1,234,568"]
    assert [svg.short(v) for v in (5, 1500, 2e6)] == ["5", "1.5k", "2M"]


def test_a_scale_is_logarithmic():
    scale = svg.Scale(1, 100, 0, 200, True)
    assert math.isclose(scale.at(10), 100)


def test_labels_that_would_touch_are_left_out():
    near = [(n, 1.0, None, None) for n in (1000, 1001, 1002, 5000)]
    drawing = svg.lines("t", "x", "y", [("epoll", near)])
    assert re.findall(r'text-anchor="middle">([\d.k]+)<', drawing) == ["1k", "5k"]
    assert drawing.count("<title>epoll") == 4               # the points are there all the same


def test_values_at_zero_have_no_place_on_a_logarithmic_axis():
    assert svg.lines("t", "x", "y", [("epoll", [(1, 0, None, None)])]) == ""
    assert svg.bars("t", "x", [("epoll", [0, 0])], ["a", "b"]) == ""
