# SPDX-License-Identifier: BSD-2-Clause
"""A daemon that runs already: two of its pools side by side, by its own statistics (live A/B).

The time is cut into intervals; each gives a value for each figure, and resampling these says where the median lies with
95 % confidence.  A verdict is given only where two such intervals have nothing in common."""
import json
import sys
import time

from iomux_bench import figures, talk
from iomux_bench.process import Failure
from iomux_bench.svg import number

LEAST_S = 6
INTERVALS = 120         # of a period, at most
INTERVAL_S = 1.0        # at least: what a process has used is looked at ten times a second by the daemon
FEW = 20                # requests in an interval: with fewer, its figures are chance
WIDTH = 1.02            # times: what lies in buckets of a histogram that are neighbours cannot be told apart

# key, title, is less better (None: neither)
ROWS = (("rate", "requests a second", None), ("cpu", "CPU, % of one", None), ("cpu_us", "CPU us for each", True),
        ("user_us", "  user us for each", True), ("system_us", "  system us for each", True),
        ("syscalls", "system calls for each", True), ("switches", "context switches for each", True),
        ("wakeups", "wakeups for each", True), ("events", "events for each", None),
        ("p50", "request time p50 us", True), ("p90", "request time p90 us", True), ("p99", "request time p99 us", True),
        ("p99.9", "request time p99.9 us", True), ("connections", "connections", None))

# With fewer requests in an interval than that, a percentile would be the slowest of them.
QUANTILES = {"p50": (0.5, FEW), "p90": (0.9, FEW), "p99": (0.99, 100), "p99.9": (0.999, 1000)}


def served(pool):
    total = pool["totals"]
    return total["requests"] + total["messages"] + total["datagrams"]


def histogram(pool):
    flat = pool.get("request_buckets", [])
    return dict(zip(flat[::2], flat[1::2]))


def between(a, b, seconds):
    """The figures of one pool for one interval; None where hardly anything happened."""
    n = served(b) - served(a)
    if n < FEW:
        return None
    user, system = (b[key] - a[key] for key in ("cpu_user_us", "cpu_system_us"))
    made = {"served": n, "seconds": seconds, "rate": n / seconds, "cpu": (user + system) / seconds / 1e4,
            "cpu_us": (user + system) / n, "user_us": user / n, "system_us": system / n, "connections": b["connections"],
            "switches": (b["switches_own"] + b["switches_forced"] - a["switches_own"] - a["switches_forced"]) / n}
    made.update({key: (b["totals"][key] - a["totals"][key]) / n for key in ("syscalls", "wakeups", "events")})
    before, after = histogram(a), histogram(b)
    grown = sorted([begin, count - before.get(begin, 0)] for begin, count in after.items() if count > before.get(begin, 0))
    asked = sum(count for _, count in grown)
    made.update({key: figures.quantile(grown, part) for key, (part, least) in QUANTILES.items() if asked >= least})
    return made


def pools_of(status):
    """{name: figures} of the pools that have workers.  A pool that changes its model for a while has two entries."""
    return {p["pool"]: p for p in status["pools"] if p["workers"]}


def choose(status, wanted):
    """The names of the pools that are looked at: one or two."""
    known = pools_of(status)
    if wanted:
        for name in wanted:
            if name not in known:
                raise Failure(f"there is no pool '{name}'; there are: {' '.join(known) or 'none'}")
        return list(wanted)
    if len(known) > 2:
        raise Failure(f"there are {len(known)} pools; name two of them, as in --pools {','.join(list(known)[:2])}")
    if not known:
        raise Failure("the daemon has no pool with workers")
    return list(known)


def comparable(name, before, after):
    """Is it still the pool that it was?"""
    if name not in after:
        raise Failure(f"the pool {name} has gone")
    was, now = before[name]["model"], after[name]["model"]
    if was != now:
        raise Failure(f"the pool {name} changed from {was} to {now}: its figures cannot be compared")
    if served(after[name]) < served(before[name]):
        raise Failure("the daemon was restarted meanwhile: its counters began again")


def watch(ask, names, duration, tell=lambda left: None):
    """([{key: value}] for each pool, its model, the seconds that it took).  Ctrl-C ends it early, with what there is."""
    step = max(INTERVAL_S, duration / INTERVALS)
    made = {name: [] for name in names}
    last = pools_of(ask())
    began = at = time.monotonic()
    models = {name: last[name]["model"] for name in names}
    try:
        while at + step / 2 < began + duration:
            tell(began + duration - at)
            time.sleep(max(0.0, at + step - time.monotonic()))
            now, then = pools_of(ask()), time.monotonic()
            for name in names:
                comparable(name, last, now)
                value = between(last[name], now[name], then - at)
                if value:
                    made[name].append(value)
            last, at = now, then
    except KeyboardInterrupt:
        pass
    return made, models, at - began


def compare(samples):
    """{key: {pool: (median, low, high) or None}}"""
    return {key: {name: figures.interval([v[key] for v in values if key in v]) for name, values in samples.items()}
            for key, _, _ in ROWS}


def verdicts(table, names, models):
    """Lines: for each figure that can be better, who is, if that can be said."""
    first, second = names
    said, open_ = [], []
    for key, title, less in ROWS:
        a, b = table[key][first], table[key][second]
        if less is None or a is None or b is None:
            continue
        low, high = sorted((a[0], b[0]))
        if not figures.apart(a, b) or key in QUANTILES and high < low * WIDTH:
            open_.append(title.strip())
            continue
        best, worst = (first, second) if a[0] < b[0] else (second, first)
        part = f"{100 * (1 - low / high):.0f} % less" if high else "less"
        said.append(f"{title.strip()}: {best} ({models[best]}) has {part} than {worst} ({models[worst]})")
    if open_:
        said.append("not apart, so nothing can be said: " + ", ".join(open_))
    return said


def cell(value):
    return "too few" if value is None else f"{number(value[0])} [{number(value[1])}, {number(value[2])}]"


def text(table, names, models, samples, duration):
    lines = [f"{duration:.0f} s in {max(len(v) for v in samples.values())} intervals; medians with their 95 % intervals", "",
             "%-28s" % "" + "".join("%28s" % f"{name} ({models[name]})" for name in names)]
    for key, title, _ in ROWS:
        if any(table[key].values()):
            lines.append("%-28s" % title + "".join("%28s" % cell(table[key][name]) for name in names))
    if len(names) == 2:
        found = verdicts(table, names, models)
        few = f"Too little was seen to say anything: it takes {figures.LEAST} intervals with {FEW} requests in each."
        lines += ["", *(found or [few])]
    return "\n".join(lines) + "\n"


def run(options):
    """--live"""
    ask = talk.asker(options.live or talk.default_control())
    names = choose(ask(), options.pools)

    def tell(left):
        if sys.stderr.isatty():
            print(f"\r\033[K{left:.0f} s left", end="", file=sys.stderr, flush=True)

    samples, models, seconds = watch(ask, names, options.duration, tell)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    table = compare(samples)
    if options.json:
        document = {"program": "iomux-bench", "live": options.live or talk.default_control(), "duration_s": seconds,
                    "pools": [{"pool": name, "model": models[name], "intervals": samples[name],
                               "figures": {key: dict(zip(("median", "low", "high"), table[key][name]))
                                           for key, _, _ in ROWS if table[key][name]}} for name in names],
                    "verdicts": verdicts(table, names, models) if len(names) == 2 else []}
        if options.json == "-":
            print(json.dumps(document, indent=1))
            return 0
        try:
            with open(options.json, "w", encoding="utf-8") as f:
                json.dump(document, f, indent=1)
                f.write("\n")
        except OSError as e:
            raise Failure(f"{options.json}: {e.strerror}") from e
    sys.stdout.write(text(table, names, models, samples, seconds))
    return 0
