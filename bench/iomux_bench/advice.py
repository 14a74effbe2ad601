# SPDX-License-Identifier: BSD-2-Clause
"""What to choose on this machine, and why: one paragraph for each kind of load.  Pure: it reads summaries.

The cheapest model is that with the least CPU time for a request; one whose spread overlaps with it is its equal, and
among equals epoll is named first, because nothing has to be known to run it."""
from iomux_bench import figures, plan
from iomux_bench.svg import number

MARGIN = 1.05           # times the cheapest: closer than that is no reason to choose
MARGIN_FEW = 1.15       # the same where fewer than FEW rounds cannot say how far they scatter
MARGIN_NOISY = 1.3      # and where somebody else was at work in all rounds of one
FEW = 3
DEAR = 1.15             # times the one that is named: worth a word


def costs(table, workload, connections):
    """[(median, low, high, model)] of a workload, the cheapest first."""
    servers = table.get(f"{plan.SPEED} {workload} {connections}", {})
    found = [(s["cpu_us"]["median"], s["cpu_us"]["min"], s["cpu_us"]["max"], name) for name, s in servers.items()
             if name != plan.FLOOR and s.get("cpu_us")]
    return sorted(found)


def equals(found, margin=MARGIN):
    """The models that are as cheap as the cheapest, as far as these figures can tell."""
    if not found:
        return []
    _, _, high, _ = found[0]
    same = [name for m, low, _, name in found if low <= high or m <= margin * found[0][0]]
    return sorted(same, key=lambda name: (name != "epoll", next(m for m, *_, n in found if n == name)))


def names(models):
    return models[0] if len(models) == 1 else ", ".join(models[:-1]) + " and " + models[-1]


def counts_of(table, workload):
    """The counts of connections that a workload has figures for."""
    return sorted({plan.cell_of(c)[2] for c in table if plan.cell_of(c)[:2] == (plan.SPEED, workload)})


def _margin(rounds, summaries):
    """How far apart two have to be to be told apart."""
    if rounds >= FEW:
        return MARGIN
    return MARGIN_NOISY if any(s["flags"].get("N", 0) == s["rounds"] for s in summaries) else MARGIN_FEW


def _sentence(table, workload, connections, load):
    """One load: what to take, and why."""
    found = costs(table, workload, connections)
    if len(found) < 2:
        return None
    servers = table[f"{plan.SPEED} {workload} {connections}"]
    rounds = min(servers[name]["rounds"] for *_, name in found)
    best, last = equals(found, _margin(rounds, [servers[name] for *_, name in found])), found[-1]
    cost = next(f for f in found if f[3] == best[0])[0]
    text = f"{load}: {best[0]}, because a {plan.BY_NAME[workload].unit} costs {number(cost)} us of CPU there"
    if len(best) > 1:
        text += f" ({names(best[1:])} cannot be told from it)"
    if last[3] not in best and last[0] > DEAR * cost:
        text += f"; the dearest is {last[3]} with {number(last[0])} us"
    floor = figures.median(servers.get(plan.FLOOR), "cpu_us")
    return text + (f".  The bare floor, on epoll, takes {number(floor)} us." if floor else ".")


def paragraphs(table):
    """Sentences, each for a load that was measured."""
    wishes = [("fixed", "Small answers on kept connections"), ("connect", "A connection for each request"),
              ("large", "Large files"), ("echo-tcp", "Short messages over TCP"), ("echo-udp", "Datagrams")]
    made = []
    for workload, load in wishes:
        counts = counts_of(table, workload)
        if counts:
            at = min(counts, key=lambda n: abs(n - (100 if workload in ("fixed", "echo-tcp") else 10)))
            made.append(_sentence(table, workload, at, f"{load} ({at:,} connections)"))
    counts = counts_of(table, "idle")
    if counts and counts[-1] > plan.ACTIVE:
        made.append(_sentence(table, "idle", counts[-1], f"Many connections that mostly rest ({counts[-1]:,})"))
    made.append(_latency(table))
    return [text for text in made if text]


def _latency(table):
    """Who answers soonest at a fixed rate, if that can be told."""
    cells = [c for c in table if plan.cell_of(c)[:2] == (plan.PACE, "fixed")]
    if not cells:
        return None
    cell = min(cells, key=lambda c: abs(plan.cell_of(c)[2] - 100))
    found = sorted((s["latency"]["p99"]["median"], name, s) for name, s in table[cell].items()
                   if name != plan.FLOOR and s.get("latency") and s["latency"]["p99"])
    if len(found) < 2:
        return None
    load = f"Steady load ({found[0][2]['rate_asked']:,} requests a second on {plan.cell_of(cell)[2]:,} connections)"
    (p99, best, first), (worst, last, dearest) = found[0], found[-1]
    apart = first["latency"]["p99"]["max"] < dearest["latency"]["p99"]["min"]
    if not apart or min(s["rounds"] for *_, s in found) < 2:
        return (f"{load}: 99 of 100 answers come within {number(p99)} to {number(worst)} us on all models; the rounds do not "
                "tell them apart.")
    return f"{load}: 99 of 100 answers come within {number(p99)} us on {best}, within {number(worst)} us on {last}."


def not_done(document):
    """Sentences about what is missing in a run, and why."""
    said = []
    out = document.get("left_out")
    if out and out["connections"]:
        counts = names([f"{n:,}" for n in out["connections"]])
        said.append(f"Not measured with {counts} connections: {out['why']}.")
    missing = [cell for cell in document["options"]["cells"] if cell not in document["cells"]]
    if missing:
        said.append(f"Time was up before these were measured: {', '.join(missing)}.")
    return said


def noise(document):
    """How many of the measurements are in doubt, and why; None where nothing was measured."""
    steps = [s for s in document["steps"] if "failed" not in s]
    if not steps:
        return None

    def part(flag, of, which):
        n = sum(flag in s["flags"] for s in of)
        return f"in {n:,} of {len(of):,} {which}{f' ({max(1, round(100 * n / len(of)))} %)' if n else ''}"

    loops, paced = ([s for s in steps if plan.cell_of(s["cell"])[0] == kind] for kind in (plan.SPEED, plan.PACE))
    limits = [part("L", of, which) for of, which in ((loops, "in the closed loop"), (paced, "at a fixed rate")) if of]
    said = f"How quiet it was: {part('N', steps, 'measurements')} others took CPU time (N)."
    if limits:
        said += (f"  The load generator was the limit (L) {' and '.join(limits)}: then CPU times are the server's, rates and "
                 "latencies the generator's.")
    return said


def caution(document):
    """Why not to believe it too firmly; None where there is no reason."""
    steps = [s for s in document["steps"] if "failed" not in s]
    noisy = sum("N" in s["flags"] for s in steps)
    if steps and noisy > 0.2 * len(steps):
        return (f"The machine was not quiet: in {noisy} of {len(steps)} measurements somebody else took more than 5 % of the "
                "CPUs that measure.  Differences of less than the spread mean nothing; measure again when it is quiet.")
    return None
