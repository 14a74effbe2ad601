# SPDX-License-Identifier: BSD-2-Clause
"""What many measurements say together: medians with their spread, histograms, intervals of confidence.  Pure."""
import random
import statistics

from iomux_bench import plan

SPREAD_OF = ("rate", "cpu_us", "cpu", "syscalls_each", "switches_each", "wakeups_each", "switches_s", "wakeups_s",
             "syscalls_s", "memory_each", "stacks_each", "threads", "load_cpu", "wanted", "bytes_s")
QUANTILES = ("p50", "p90", "p99", "p99.9", "max")
RESAMPLES = 2000
LEAST = 6               # values for an interval of confidence: with fewer none of 95 % exists


def spread(values):
    """Median, least, most and how many; None: there are none."""
    known = [v for v in values if v is not None]
    if not known:
        return None
    return {"median": statistics.median(known), "min": min(known), "max": max(known), "n": len(known)}


def median(summary, key, default=None):
    """The median of a figure of a summary."""
    value = summary.get(key) if summary else None
    return value["median"] if value else default


def merge(histograms):
    """One histogram of many: sorted [begin, count]."""
    sums = {}
    for histogram in histograms:
        for begin, count in histogram:
            sums[begin] = sums.get(begin, 0) + count
    return sorted([b, n] for b, n in sums.items())


def thinned(histogram, width=1.05):
    """The same in fewer buckets, for reports: each as wide as that, from its begin."""
    made = []
    for begin, count in histogram:
        if made and begin < made[-1][0] * width:
            made[-1][1] += count
        else:
            made.append([begin, count])
    return made


def quantile(histogram, part):
    """The begin of the bucket that holds this part of all; None: it is empty."""
    total = sum(n for _, n in histogram)
    if not total:
        return None
    wanted, seen = part * total, 0
    for begin, count in histogram:
        seen += count
        if seen >= wanted:
            return begin
    return histogram[-1][0]


def summary(steps):
    """What the rounds of one server in one cell say."""
    good = [s for s in steps if "failed" not in s]
    made = {"rounds": len(good)}
    if not good:
        made["failed"] = steps[-1]["failed"]
        return made
    for key in SPREAD_OF:
        value = spread([s.get(key) for s in good])
        if value:
            made[key] = value
    user, system = (sum(s[key] for s in good) for key in ("user_s", "system_s"))
    if "cpu_us" in made and user + system:
        # The kernel tells the two apart by sampling: one round has few samples, all together have enough.
        made["user_us"] = made["cpu_us"]["median"] * user / (user + system)
        made["system_us"] = made["cpu_us"]["median"] - made["user_us"]
    latencies = [s["latency"] for s in good if s.get("latency")]
    made["latency"] = {q: spread([x[q] for x in latencies]) for q in QUANTILES} if latencies else None
    histograms = [s["histogram"] for s in good if s.get("histogram")]
    if histograms:
        made["histogram"] = thinned(merge(histograms))
    rates = {s["rate_asked"] for s in good if "rate_asked" in s}
    if rates:
        made["rate_asked"] = max(rates)
    made["flags"] = {f: n for f in "LNEC" if (n := sum(f in s["flags"] for s in good))}
    if len(good) < len(steps):
        made["failed_rounds"] = len(steps) - len(good)
    return made


def summaries(steps):
    """{cell: {server: summary}}, with the ratio to the floor, taken round by round."""
    grouped = {}
    for s in steps:
        grouped.setdefault(s["cell"], {}).setdefault(s["server"], []).append(s)
    made = {}
    for cell, servers in grouped.items():
        made[cell] = {name: summary(rounds) for name, rounds in servers.items()}
        floor = {s["round"]: s.get("cpu_us") for s in servers.get(plan.FLOOR, [])}
        for name, rounds in servers.items():
            ratios = [s["cpu_us"] / floor[s["round"]] for s in rounds if s.get("cpu_us") and floor.get(s["round"])]
            if ratios:
                made[cell][name]["x_floor"] = spread(ratios)
    return made


def growth(table, workload, server, key="cpu_us"):
    """[(connections, summary of a figure)] of a workload in the closed loop, by connections."""
    points = []
    for cell, servers in table.items():
        kind, name, connections = plan.cell_of(cell)
        value = servers.get(server, {}).get(key)
        if kind == plan.SPEED and name == workload and value:
            points.append((connections, value))
    return sorted(points, key=lambda p: p[0])


def interval(values, confidence=0.95, seed=1):
    """(median, low, high): where the median of what lies behind these values is, by resampling them.

    None where there are fewer than LEAST."""
    if len(values) < LEAST:
        return None
    source = random.Random(seed)
    medians = sorted(statistics.median(source.choices(values, k=len(values))) for _ in range(RESAMPLES))
    cut = (1 - confidence) / 2
    return statistics.median(values), medians[int(cut * RESAMPLES)], medians[int((1 - cut) * RESAMPLES) - 1]


def apart(a, b):
    """Do two intervals have nothing in common?"""
    return a is not None and b is not None and (a[2] < b[1] or b[2] < a[1])
