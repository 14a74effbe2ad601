# SPDX-License-Identifier: BSD-2-Clause
"""The report: one HTML file that needs nothing else.  Pure: a document in, text out.

Its lines are short: people read its source, and Debian takes what has long ones for something that was compiled."""
import collections
import math
import textwrap
from html import escape

from iomux_bench import advice, claims, figures, plan, svg
from iomux_bench.runner import FLAGS
from iomux_bench.svg import number

STYLE = """
:root { --paper: #fff; --ink: #1b1f24; --soft: #5a6470; --rule: #e3e7eb; --box: #f5f7f9; --good: #18794e; --bad: #b42318;
  --part: #8a5a00; --one: #2f6fb0; --two: #e08a3c;
  --c0: #0b62a4; --c1: #4aa3df; --c2: #c0392b; --c3: #e67e22; --c4: #8e44ad; --c5: #2e8b57; --c6: #b8860b; --c7: #d6539f;
  --c8: #111827; --c9: #8b949e; color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171b; --ink: #e6e9ec; --soft: #9aa4ae; --rule: #2b3138;
  --box: #1d2228; --good: #4cc38a; --bad: #ff7b72; --part: #e0b050; --one: #5b9bd8; --two: #d98b48; --c0: #4f9de0; --c1: #8fd0ff;
  --c2: #ff6b5e; --c3: #ffa657; --c4: #c58aef; --c5: #56c98a; --c6: #d9b13b; --c7: #ff8ac9; --c8: #f5f7fa; --c9: #8b949e; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 1.5rem 1rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 .2rem; } h2 { font-size: 1.25rem; margin: 2.4rem 0 .6rem; }
h3 { font-size: 1rem; margin: 1.6rem 0 .4rem; } p { margin: .5rem 0; max-width: 46rem; } a { color: var(--one); }
.soft { color: var(--soft); } .warn { border-left: 4px solid var(--part); background: var(--box); padding: .6rem .9rem; }
.advice { background: var(--box); border-radius: .4rem; padding: .6rem 1.1rem; } .advice li { margin: .35rem 0; }
figure { margin: 1rem 0 1.6rem; } figcaption { font-weight: 600; margin-bottom: .3rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .86rem; width: 100%; }
th, td { text-align: right; padding: .28rem .55rem; border-bottom: 1px solid var(--rule); white-space: nowrap;
  font-variant-numeric: tabular-nums; vertical-align: top; }
th:first-child, td:first-child { text-align: left; } thead th { border-bottom: 2px solid var(--rule); }
td small { color: var(--soft); } td.none { color: var(--soft); white-space: normal; } td[colspan] { text-align: left; } thead th { white-space: normal; }
table.claims td, table.claims th { white-space: normal; text-align: left; }
table.claims td:first-child { font-weight: 600; }
table.claims td:nth-child(2) { white-space: nowrap; font-weight: 600; }
@media (max-width: 40rem) { table.claims thead { display: none; } table.claims td, table.claims tr { display: block;
  border-bottom: 0; padding: .1rem 0; } table.claims tr { border-bottom: 1px solid var(--rule); padding: .5rem 0; }
  dl { grid-template-columns: 1fr; } dd { margin-bottom: .3rem; } figure { overflow-x: auto; } figure svg { min-width: 34rem; } }
.holds { color: var(--good); } .fails { color: var(--bad); } .part { color: var(--part); } .unknown { color: var(--soft); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; font-size: .9rem; } dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
""" + svg.STYLE

VERDICT = {claims.HOLDS: "holds", claims.PART: "part", claims.FAILS: "fails", claims.UNCLEAR: "unknown",
           claims.MISSING: "unknown"}


def order(document):
    """All servers, in the order of every table."""
    return [m["model"] for m in document["models"] if m["measured"]] + [plan.FLOOR]


def _begun(text):
    """As a sentence begins."""
    return text[0].upper() + text[1:]


def _filled(text):
    """Escaped, in short lines."""
    return escape(textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False))


def _cells(document, kind):
    """{workload: [connections]} of a kind, in the order of the plan."""
    made = {}
    for cell in document["cells"]:
        of, workload, connections = plan.cell_of(cell)
        if of == kind:
            made.setdefault(workload, []).append(connections)
    return {w.name: sorted(made[w.name]) for w in plan.WORKLOADS if w.name in made}


def _points(document, workload, server, key, scale=1):
    return [(n, v["median"] * scale, v["min"] * scale, v["max"] * scale)
            for n, v in figures.growth(document["cells"], workload, server, key)]


def _figure(title, drawing, note=""):
    if not drawing:
        return ""
    note = f'<p class="soft">{escape(note)}</p>' if note else ""
    return f"<figure><figcaption>{escape(title)}</figcaption>\n{drawing}\n{note}</figure>\n"


def growth_charts(document):
    """Cost, rate and system calls against connections, for each workload with two counts or more."""
    out = []
    for workload, counts in _cells(document, plan.SPEED).items():
        if len(counts) < 2:
            continue
        about = plan.BY_NAME[workload]
        for key, label, title in (("cpu_us", f"CPU us for each {about.unit}", "what it costs"),
                                  ("rate", f"{about.unit}s a second", "how fast"),
                                  ("syscalls_each", f"system calls for each {about.unit}", "how many system calls")):
            series = [(s, _points(document, workload, s, key)) for s in order(document)]
            text = f"{_begun(about.title)}: {title}"
            out.append(_figure(text, svg.lines(text, "connections", label, series)))
    return "".join(out)


TICKS = [(1 / (1 - part), label) for part, label in ((0, "0 %"), (.5, "50 %"), (.9, "90 %"), (.99, "99 %"),
                                                      (.999, "99.9 %"), (.9999, "99.99 %"))]


def latency_charts(document):
    """Which share of the answers came within which time: for each workload where it has about a hundred connections."""
    out = []
    for workload, counts in _cells(document, plan.PACE).items():
        n = min(counts, key=lambda c: abs(c - 100))
        servers = document["cells"][f"{plan.PACE} {workload} {n}"]
        rates = [s["rate_asked"] for s in servers.values() if "rate_asked" in s]
        series = [(s, _curve(servers[s]["histogram"])) for s in order(document) if servers.get(s, {}).get("histogram")]
        if not rates or not series:
            continue
        about = plan.BY_NAME[workload]
        title = f"{_begun(about.title)}: latency at {rates[0]:,} {about.unit}s a second, {n:,} connections"
        out.append(_figure(title, svg.lines(title, "of the answers came within", "latency, us", series, TICKS, marks=False)))
    return "".join(out)


def _curve(histogram, steps=60):
    """[(1 / (1 - part), us, None, None)]: the axis on which each nine has as much room as the one before."""
    total = sum(n for _, n in histogram)
    made, seen, last = [], 0, 0.0
    for begin, count in histogram:
        seen += count
        x = total / max(total - seen, 0.5)
        if not made or math.log(x) - last >= math.log(max(total, 2)) / steps or seen == total:
            made.append((x, max(begin, 1), None, None))
            last = math.log(x)
    return made


def split_chart(document):
    """User and system time for a request."""
    counts = _cells(document, plan.SPEED).get("fixed", [])
    if not counts:
        return ""
    n = min(counts, key=lambda c: abs(c - 100))
    servers = document["cells"][f"{plan.SPEED} fixed {n}"]
    rows = [(s, [servers[s]["user_us"], servers[s]["system_us"]]) for s in order(document) if "user_us" in servers.get(s, {})]
    title = f"Where the CPU time goes: fixed reply, {n:,} connections"
    return _figure(title, svg.bars(title, "CPU us for each request", rows, ["user", "system"]))


def memory_chart(document):
    """What a connection at rest takes."""
    for cell, servers in document["cells"].items():
        if plan.cell_of(cell)[0] == plan.REST:
            rows = [(s, [max(0, figures.median(servers.get(s), "memory_each", 0)) / 1024,
                         figures.median(servers.get(s), "stacks_each", 0) / 1024]) for s in order(document)]
            title = f"Memory for a connection at rest ({plan.cell_of(cell)[2]:,} of them)"
            return _figure(title, svg.bars(title, "KiB for each connection", rows, ["user space", "kernel's stacks"]),
                           "The kernel's own memory of a socket is not in it: it is the same for all.  Stacks are counted "
                           "with 16 KiB for a thread.")
    return ""


def _value(summary, key, scale=1):
    """A figure with its spread, as a table's cell."""
    if not summary or summary.get(key) is None:
        return '<td class="none">-</td>'
    v = summary[key]
    least, most = number(v["min"] * scale), number(v["max"] * scale)
    spread = f"<br><small>{least}&ndash;{most}</small>" if least != most else ""
    return f"<td>{number(v['median'] * scale)}{spread}</td>"


def _row(name, summary, values):
    """A server's line: its cells, or why there are none."""
    if summary and "failed" in summary:
        return f'<td>{escape(name)}</td><td class="none" colspan="{len(values)}">{escape(summary["failed"])}</td>'
    flags = " ".join(f"{f}{n}" for f, n in (summary or {}).get("flags", {}).items())
    return "\n".join([f"<td>{escape(name)}{f'<br><small>{flags}</small>' if flags else ''}</td>", *values])


def _table(head, rows, css=""):
    titles = "".join(f"<th>{escape(h)}</th>" for h in head)
    return (f'<div class="scroll"><table{css}><thead><tr>{titles}</tr></thead><tbody>\n' +
            "".join(f"<tr>{row}</tr>\n" for row in rows) + "</tbody></table></div>\n")


COLUMNS = (("cpu_us", "CPU us", 1), ("x_floor", "x floor", 1), ("rate", "a second", 1), ("syscalls_each", "system calls", 1),
           ("switches_each", "switches", 1), ("wakeups_each", "wakeups", 1))


def speed_tables(document):
    """All figures of the closed loop."""
    out = []
    for workload, counts in _cells(document, plan.SPEED).items():
        about = plan.BY_NAME[workload]
        for n in counts:
            servers = document["cells"][f"{plan.SPEED} {workload} {n}"]
            rows = [_row(s, servers[s], [_value(servers[s], key, scale) for key, _, scale in COLUMNS])
                    for s in order(document) if s in servers]
            out.append(f"<h3>{escape(about.title)}, {n:,} connection{'s' * (n > 1)}</h3>" +
                       _table(["for each " + about.unit, *(title for _, title, _ in COLUMNS)], rows))
    return "".join(out)


def latency_tables(document):
    """Percentiles at a fixed rate."""
    out = []
    for workload, counts in _cells(document, plan.PACE).items():
        for n in counts:
            servers = document["cells"][f"{plan.PACE} {workload} {n}"]
            rates = [s["rate_asked"] for s in servers.values() if "rate_asked" in s]
            rows = []
            for s in order(document):
                summary = servers.get(s)
                if summary:
                    latency = summary.get("latency") or {}
                    cells = [_value(latency, q) for q in figures.QUANTILES]
                    rows.append(_row(s, summary, [*cells, _value(summary, "cpu_us")]))
            if rates:
                out.append(f"<h3>{escape(plan.BY_NAME[workload].title)}, {n:,} connections, {rates[0]:,} a second</h3>" +
                           _table(["us", *figures.QUANTILES, "CPU us each"], rows))
    return "".join(out)


REST_COLUMNS = (("memory_each", "bytes each", 1), ("stacks_each", "stacks each", 1), ("threads", "threads", 1),
                ("cpu", "CPU %", 100), ("wanted", "wants %", 100), ("wakeups_s", "wakeups a second", 1),
                ("switches_s", "switches a second", 1))


def rest_table(document):
    """What is at rest."""
    for cell, servers in document["cells"].items():
        if plan.cell_of(cell)[0] == plan.REST:
            rows = [_row(s, servers[s], [_value(servers[s], key, scale) for key, _, scale in REST_COLUMNS])
                    for s in order(document) if s in servers]
            return f"<h3>{plan.cell_of(cell)[2]:,} connections at rest</h3>" + \
                _table(["", *(title for _, title, _ in REST_COLUMNS)], rows)
    return ""


def _models(document):
    rows = []
    for m in document["models"]:
        state = "measured" if m["measured"] else "not measured"
        rows.append(f'<td>{escape(m["model"])}</td><td>{escape(m["kind"])}</td><td>{state}</td><td>{escape(m["why"])}</td>')
    return _table(["I/O model", "kind", "", "note"], rows, ' class="claims"')


def _claims(document):
    rows = [f'<td>{_filled(c.claim)}</td>\n<td class="{VERDICT[c.verdict]}">{escape(c.verdict)}</td>\n'
            f"<td>{_filled(c.evidence)}</td>" for c in claims.judge(document["cells"])]
    return _table(["claim", "here it", "because"], rows, ' class="claims"')


def _machine(document):
    m = document["machine"]
    known = [("CPU", f"{m['cpu']}, {m['cpus']} CPUs, {m['usable_cpus']} usable"), ("memory", f"{m['memory_mib']:,} MiB"),
             ("kernel", f"Linux {m['kernel']}, {m['architecture']}"), ("system", f"{m['system']}, {m['libc']}"),
             ("virtualisation", m["virtualisation"]), ("frequency governor", m["governor"]), ("clock source", m["clock"]),
             ("hyper-threading", m["smt"]), ("open files", f"{m['open_files']:,} at most"),
             ("load before", " ".join(m["load_before"])), ("iomuxd", m["iomuxd"]), ("iomux-load", m["iomux-load"]),
             ("server on CPU", str(document["cpus"]["server"])), ("load on CPUs", ", ".join(map(str, document["cpus"]["load"]))),
             ("mitigations", "; ".join(f"{k}: {v}" for k, v in m["mitigations"].items()) or "none needed"),
             ("fingerprint", document["fingerprint"])]
    return "<dl>\n" + "".join(f"<dt>{escape(k)}</dt><dd>{_filled(v)}</dd>\n" for k, v in known) + "</dl>\n"


HOW = """
<p>Each figure comes from a server of its own with one worker, pinned to one CPU, loaded by iomux-load on others.  A round is
every cell once, and within a cell every model once, one directly after the other, beginning with another one each round;
figures are medians of the rounds, with the least and the most beneath them.</p>
<p><b>Closed loop.</b>  Each connection asks again as soon as it is answered.  Costs are read at the server between two moments at
which all connections are there: what its own counters say it served, and the CPU time of its worker, exact to the nanosecond.
CPU time is split into user and system as the kernel samples it, over all rounds together.  System calls are those that the
model makes to wait, accept, receive, send and choose, by its own count.</p>
<p>The model nonblocking takes a whole CPU whether there is work or not, so its CPU time for a request is the time that a
request takes.  With one connection all others sleep and wake for each request: the figure is the price of that.</p>
<p><b>Fixed rate.</b>  All servers of a cell get the same rate, half of what the slowest of them did in the closed loop, and a
request counts from when it was due, not from when it could be sent: a server that stands still delays all that was due
meanwhile (no coordinated omission).</p>
<p><b>At rest.</b>  Where a server wants more CPU time than it gets, because others are at work on the same CPU, the column
&ldquo;wants&rdquo; says how much it would take.</p>
<p><b>The floor</b> is a loop on epoll that sends the same bytes and looks at nothing: what the kernel alone costs.</p>
<p><b>Checked.</b>  After each measurement the server's own statistics must name the model that was asked for, and its worker must
be the one that was started; answers are compared byte by byte; what load and server counted must agree.  A model that cannot
run is listed with its reason and never replaced.</p>
"""


def _flags():
    return "<p>Letters beneath names, each with the number of rounds in which it was seen:</p><dl>" + "".join(
        f"<dt>{letter}</dt><dd>{escape(text)}</dd>\n" for letter, text in FLAGS.items()) + "</dl>"


def _rounds(document):
    """Of how many rounds the figures are.  A full run is one of as many as there is time for: what it would have done with
    more of it need not be said where each figure has rounds enough."""
    preset = plan.PRESETS[document["preset"]]
    cells = document["cells"]
    planned = {*document["options"]["cells"], *cells}
    once = {cell for cell in planned if plan.is_once(preset, *plan.cell_of(cell))}
    done = collections.Counter((s["cell"], s["server"]) for s in document["steps"])
    least = min((done[cell, s] for cell in planned - once for s in cells.get(cell, [None])), default=0)     # None: 0
    if not document["whole"] and least < advice.FEW:
        return (f"{document['rounds_begun']} of at most {document['options']['rounds']} rounds begun, "
                "not all of the plan done")
    good = {s["rounds"] for cell in planned - once for s in cells.get(cell, {}).values()} - {0} or {1}
    if max(good) == 1:
        return "one round"
    return f"medians of {' to '.join(map(str, sorted({min(good), max(good)})))} rounds{_rest_once(once & set(cells))}"


def _rest_once(cells):
    """Which figures come from one round only."""
    counts = sorted({n for kind, _, n in map(plan.cell_of, cells) if kind == plan.SPEED})
    named = [f"{advice.names([f'{n:,}' for n in counts])} connections"] if counts else []
    if any(kind == plan.PACE and n not in counts for kind, _, n in map(plan.cell_of, cells)):
        named.append("some latencies")
    return f" ({' and '.join(named)}: 1)" if named else ""


def _head(document):
    """What was measured and when, and how quiet it was."""
    ran = (f"{document['machine']['cpu']}, Linux {document['machine']['kernel']}; {document['preset']} run of {document['when']}, "
           f"{document['took_s'] / 60:.0f} minutes; {_rounds(document)}")
    return "".join(f'<p class="soft">{_filled(text)}</p>\n' for text in (ran, advice.noise(document)) if text)


def page(document):
    """The whole report."""
    table = document["cells"]
    caution = advice.caution(document)
    warn = f'<p class="warn">{_filled(caution)}</p>\n' if caution else ""
    if document["cpus"]["shared"]:
        warn += '<p class="warn">There is one CPU for server and load: read the CPU time, not the rate.</p>'
    out = [f"{m['model']} ({m['why']})" for m in document["models"] if not m["measured"]]
    warn += f'<p class="warn">{_filled("Not measured, and not replaced: " + "; ".join(out))}.</p>\n' if out else ""
    warn += "".join(f'<p class="warn">{_filled(text)}</p>\n' for text in advice.not_done(document))
    said = "".join(f"<li>{_filled(text)}</li>\n" for text in advice.paragraphs(table)) or "<li>Too little was measured.</li>"
    parts = [
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><link rel=\"icon\" href=\"data:,\">"
        f"<title>iomux-bench: I/O models on {escape(document['machine']['cpu'])}</title><style>{STYLE}</style></head><body>",
        f"<h1>I/O models, measured</h1>\n{_head(document)}", warn,
        f"<h2>On this machine</h2><ul class=\"advice\">{said}</ul>",
        f"<h2>What the textbooks say</h2>{_claims(document)}",
        f"<h2>Growth with connections</h2>{growth_charts(document)}",
        f"<h2>Latency</h2>{latency_charts(document)}",
        f"<h2>CPU and memory</h2>{split_chart(document)}{memory_chart(document)}",
        f"<h2>All figures</h2>{_flags()}{rest_table(document)}{speed_tables(document)}{latency_tables(document)}",
        f"<h2>The models</h2>{_models(document)}", f"<h2>How it was measured</h2>{HOW}",
        f"<h2>The machine</h2>{_machine(document)}", "</body></html>\n"]
    return "\n".join(parts)
