# SPDX-License-Identifier: BSD-2-Clause
"""The same in short, for a terminal.  Pure."""
import textwrap

from iomux_bench import advice, claims, figures, plan
from iomux_bench.runner import FLAGS
from iomux_bench.svg import number

COLUMNS = 5             # workloads beside each other, at most


def _head(cell):
    _, workload, connections = plan.cell_of(cell)
    return f"{workload} {connections}"


def table(document):
    """CPU us for each request: a line for each server, a column for each cell of the closed loop."""
    servers = [m["model"] for m in document["models"] if m["measured"]] + [plan.FLOOR]
    cells = sorted((c for c in document["cells"] if plan.cell_of(c)[0] == plan.SPEED),
                   key=lambda c: ([w.name for w in plan.WORKLOADS].index(plan.cell_of(c)[1]), plan.cell_of(c)[2]))
    lines = ["CPU us for each request, median (least-most):"]
    for at in range(0, len(cells), COLUMNS):
        part = cells[at:at + COLUMNS]
        lines += ["", "%-12s" % "" + "".join("%21s" % _head(c) for c in part)]
        for name in servers:
            if any(name in document["cells"][c] for c in part):
                lines.append(("%-12s" % name + "".join("%21s" % _cell(document["cells"][c].get(name)) for c in part)).rstrip())
    return lines


def _cell(summary):
    value = summary.get("cpu_us") if summary else None
    if not value:
        return "-"
    flags = "".join(summary["flags"])
    spread = f" ({number(value['min'])}-{number(value['max'])})" if value["n"] > 1 else ""
    return f"{number(value['median'])}{spread}{' ' + flags if flags else ''}"


def rest(document):
    """Memory and idleness."""
    for cell, servers in document["cells"].items():
        if plan.cell_of(cell)[0] == plan.REST:
            lines = ["", f"{plan.cell_of(cell)[2]:,} connections at rest:", "",
                     "%-12s%12s%12s%12s" % ("", "bytes each", "threads", "CPU")]
            for name, s in servers.items():
                if "memory_each" in s:
                    lines.append("%-12s%12s%12s%11.1f%%" % (name, number(figures.median(s, "memory_each")),
                                                           number(figures.median(s, "threads")), 100 * figures.median(s, "cpu")))
            return lines
    return []


def text(document, width=100):
    """All of it."""
    def paragraph(said, first="", rest_of=""):
        return textwrap.fill(said, width, initial_indent=first, subsequent_indent=rest_of)

    lines = [*table(document), *rest(document), "", "On this machine:"]
    lines += [paragraph(said, "  - ", "    ") for said in advice.paragraphs(document["cells"])]
    lines += ["", "The textbooks:"]
    for c in claims.judge(document["cells"]):
        lines += [paragraph(f"{c.claim}  {c.verdict.upper()}.  {c.evidence}", "  - ", "    ")]
    caution = advice.caution(document)
    if caution:
        lines += ["", paragraph("CAUTION: " + caution)]
    seen = sorted({f for servers in document["cells"].values() for s in servers.values() for f in s.get("flags", {})})
    lines += [""] + [f"{flag}: {FLAGS[flag]}" for flag in seen]
    lines += advice.not_done(document)
    out = [m for m in document["models"] if not m["measured"]]
    lines += [f"{m['model']} was not measured: {m['why']}" for m in out]
    return "\n".join(lines) + "\n"
