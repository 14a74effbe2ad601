# SPDX-License-Identifier: BSD-2-Clause
"""What textbooks say of the I/O models, and what this machine says to it.  Pure: it reads summaries.

A verdict is one of holds, in part, does not hold, not measured; with it goes the figures that it rests on.  Where the
spread of the rounds is wider than the difference, the verdict is `not clear'."""
from collections import namedtuple

from iomux_bench import figures, plan
from iomux_bench.svg import number

Claim = namedtuple("Claim", "claim verdict evidence")
HOLDS, PART, FAILS, UNCLEAR, MISSING = "holds", "in part", "does not hold", "not clear", "not measured"

WHOLE_CPU = 0.9         # of a CPU: all of it
GROWS = 1.5             # times: it grows
FLAT = 1.3              # times: it does not grow
MUCH = 1.3              # times epoll's cost: it costs more
ALIKE = 1.15            # times: the same
CALL_US = 1.0           # for 1,000 descriptors: less is nothing


class Reading:
    """Summaries, asked for by what they are about."""

    def __init__(self, table):
        self.table = table

    def get(self, kind, workload, connections, server):
        return self.table.get(f"{kind} {workload} {connections}", {}).get(server)

    def value(self, kind, workload, connections, server, key="cpu_us"):
        return figures.median(self.get(kind, workload, connections, server), key)

    def rest(self, server, key):
        """(connections, figure) where rest was measured."""
        for cell, servers in self.table.items():
            kind, _, connections = plan.cell_of(cell)
            value = figures.median(servers.get(server), key)
            if kind == plan.REST and value is not None:
                return connections, value
        return None

    def growth(self, workload, server, key="cpu_us"):
        return [(n, v["median"]) for n, v in figures.growth(self.table, workload, server, key)]

    def pair(self, workload, server, other, key="cpu_us", connections=None):
        """(connections, figure of one, of the other) at the largest count that both have, or at this one."""
        mine, theirs = dict(self.growth(workload, server, key)), dict(self.growth(workload, other, key))
        both = [n for n in mine if n in theirs and (connections is None or n == connections)]
        return (max(both), mine[max(both)], theirs[max(both)]) if both else None

    def near(self, workload, server, other, wish=100, key="cpu_us"):
        """The same, at the count that is nearest to a wish."""
        mine, theirs = dict(self.growth(workload, server, key)), dict(self.growth(workload, other, key))
        both = sorted((n for n in mine if n in theirs), key=lambda n: abs(n - wish))
        return (both[0], mine[both[0]], theirs[both[0]]) if both else None


def us(value):
    return f"{number(value)} us"


def missing(claim, why="too little was measured"):
    return Claim(claim, MISSING, f"{why[0].upper()}{why[1:]}.")


def blocking(r):
    claim = "Blocking needs a thread for each connection; memory and context switches grow with them."
    threads, memory, epoll = r.rest("blocking", "threads"), r.rest("blocking", "memory_each"), r.rest("epoll", "memory_each")
    stacks = r.rest("blocking", "stacks_each")
    if not (threads and memory and stacks and epoll):
        return missing(claim)
    n, count = threads
    each = memory[1] + stacks[1]
    text = (f"With {n:,} connections at rest it has {count:,.0f} threads, and each connection takes {number(each / 1024)} KiB "
            f"({number(memory[1] / 1024)} in user space, {number(stacks[1] / 1024)} of the kernel's stacks); on epoll "
            f"{number(epoll[1])} bytes.")
    holds = count >= 0.9 * n and each > 4 * max(epoll[1], 1)
    mine, theirs = (dict(r.growth("fixed", m, "switches_each")) for m in ("blocking", "epoll"))
    both = sorted(set(mine) & set(theirs))
    if both:
        parts = [f"{number(mine[n])} with {n:,} connection{'s' * (n > 1)} (on epoll {number(theirs[n])})"
                 for n in dict.fromkeys((both[0], both[-1]))]
        text += f"  Context switches for a request: {', '.join(parts)}."
        if holds and mine[both[-1]] <= theirs[both[-1]] * MUCH:
            return Claim(claim, PART, text + "  Under full load a thread often finds its next request there already.")
    return Claim(claim, HOLDS if holds else FAILS, text)


def nonblocking(r):
    claim = "Non-blocking polling takes a whole CPU even when there is nothing to do."
    wanted, others = r.rest("nonblocking", "wanted"), [r.rest(m, "wanted") for m in ("epoll", "poll", "select")]
    others = [o[1] for o in others if o]
    if not wanted or not others:
        return missing(claim)
    text = (f"With {wanted[0]:,} connections at rest it wants {wanted[1]:.0%} of a CPU; the models that wait want "
            f"{max(others):.1%} at most.")
    return Claim(claim, HOLDS if wanted[1] >= WHOLE_CPU else FAILS, text)


def scanning(r):
    claim = "The cost of select and poll grows with all descriptors, that of epoll only with those that are ready."
    known = {m: r.growth("idle", m) for m in ("epoll", "poll", "select")}
    if any(len(points) < 2 for points in known.values()):
        return missing(claim, "needs the workload `idle' with two counts of connections")
    low, high = max(p[0][0] for p in known.values()), min(p[-1][0] for p in known.values())
    # From where there are as many that ask; below, there are fewer.
    low = max([low] + [n for n in (plan.ACTIVE,) if all(n in dict(p) for p in known.values())])
    if high <= low:
        return missing(claim, "needs the workload `idle' with two counts of connections")
    ratio = {m: dict(p)[high] / dict(p)[low] for m, p in known.items()}
    text = f"{plan.ACTIVE} connections ask; from {low:,} to {high:,} connections in all a request costs " + \
        ", ".join(f"on {m} {number(ratio[m])} times as much ({us(dict(known[m])[low])} to {us(dict(known[m])[high])})"
                  for m in ("select", "poll", "epoll")) + "."
    grow = [ratio[m] >= GROWS for m in ("poll", "select")]
    # What epoll itself gains by is the caches' business; what counts is how far the others leave it behind.
    against = [ratio[m] >= GROWS * ratio["epoll"] for m in ("poll", "select")]
    if all(grow) and all(against):
        return Claim(claim, HOLDS if ratio["epoll"] <= GROWS else PART, text)
    return Claim(claim, PART if any(grow) or any(against) else FAILS, text)


def select_limit(r):
    claim = "select cannot watch more than 1,024 descriptors."
    served = [(n, v) for w in ("fixed", "idle", "echo-tcp") for n, v in r.growth(w, "select", "rate") if n > 1024 and v > 0]
    if not served:
        return missing(claim, "more than 1,024 connections were not asked of select")
    n = max(served)[0]
    return Claim(claim, FAILS, f"{n:,} connections were served on select.  The limit is that of the C library's fd_set "
                 "(FD_SETSIZE), not of the kernel: iomuxd brings bitmaps of its own.  What they cost is in the claim above.")


def call_growth(r, model):
    """(us that a call takes more for each 1,000 descriptors, the largest count); None: too little was measured."""
    calls, cost = dict(r.growth("idle", model, "wakeups_each")), dict(r.growth("idle", model))
    both = sorted(n for n in calls if n in cost and n >= plan.ACTIVE)
    if len(both) < 2 or not calls[both[0]] or not calls[both[-1]]:
        return None
    low, high = both[0], both[-1]
    return (cost[high] / calls[high] - cost[low] / calls[low]) / (high - low) * 1000, high


def copying(r):
    claim = "select and poll pay in each call for copying their sets of descriptors into the kernel."
    grown = {m: call_growth(r, m) for m in ("poll", "select", "epoll")}
    if not grown["poll"] or not grown["select"]:
        return missing(claim, "needs the workload `idle' with two counts of connections")
    poll, chosen, epoll = (max(grown[m][0], 0) if grown[m] else 0 for m in ("poll", "select", "epoll"))
    n = min(grown["poll"][1], grown["select"][1])
    text = (f"Each call takes {us(poll)} more on poll for 1,000 more descriptors, {us(chosen)} more on select, {us(epoll)} on "
            f"epoll.  For {n:,} of them poll hands over {number(8 * n / 1024)} KiB, select {number(3 * n / 8 / 1024)} KiB.")
    if min(poll, chosen) <= GROWS * max(epoll, CALL_US):
        return Claim(claim, UNCLEAR if max(poll, chosen) <= GROWS * max(epoll, CALL_US) else PART, text)
    if chosen > poll / 4:
        # One that hands over twenty times less and costs nearly as much does not pay for copying.
        return Claim(claim, PART, text + f"  With a twentieth of the bytes select still takes {chosen / poll:.0%} of poll's time: "
                     "what costs is that the kernel looks at each descriptor, more than the copy.")
    return Claim(claim, HOLDS, text)


def signals(r):
    claim = "Signal-driven I/O suits UDP and drowns in signals on TCP."
    udp, tcp = r.near("echo-udp", "sigio", "epoll", 10), r.near("echo-tcp", "sigio", "epoll", 100) or \
        r.near("fixed", "sigio", "epoll", 100)
    if not udp or not tcp:
        return missing(claim, "needs echo over UDP and TCP")
    u, t = udp[1] / udp[2], tcp[1] / tcp[2]
    text = (f"A datagram costs {number(u)} times what it costs on epoll ({us(udp[1])} to {us(udp[2])}), a message over TCP at "
            f"{tcp[0]:,} connections {number(t)} times ({us(tcp[1])} to {us(tcp[2])}).")
    wakeups = r.near("echo-tcp", "sigio", "epoll", 100, "syscalls_each")
    if wakeups:
        text += f"  It makes {number(wakeups[1])} system calls for each, epoll {number(wakeups[2])}."
    good, bad = u <= ALIKE, t >= MUCH
    if good and bad:
        return Claim(claim, HOLDS, text)
    return Claim(claim, PART if good or bad else FAILS, text)


def asynchronous(r):
    claim = "Asynchronous I/O completes without waiting in the caller: POSIX AIO pays with threads, io_uring with none."
    aio, uring = r.rest("aio", "threads"), r.rest("io_uring", "threads")
    if not aio or not uring:
        return missing(claim, "needs aio and io_uring")
    text = f"With {aio[0]:,} connections at rest aio has {aio[1]:,.0f} threads, io_uring {uring[1]:,.0f}."
    costs = r.near("fixed", "aio", "io_uring", 100)
    epoll = r.near("fixed", "io_uring", "epoll", 100)
    if costs:
        text += f"  A request at {costs[0]:,} connections costs {us(costs[1])} on aio, {us(costs[2])} on io_uring"
        text += f", {us(epoll[2])} on epoll." if epoll else "."
    calls = r.near("fixed", "io_uring", "epoll", 100, "syscalls_each")
    if calls:
        text += f"  System calls for each: io_uring {number(calls[1])}, epoll {number(calls[2])}."
    holds = aio[1] >= 0.4 * aio[0] and uring[1] <= 4
    return Claim(claim, HOLDS if holds else PART, text)


def direct_io(r):
    claim = "Direct I/O spares the CPU a copy, and the page cache is faster for what is asked for again."
    cached, direct = (r.get(plan.DISK_IO, "disk", 4, s) for s in (plan.CACHED, plan.DIRECT))
    rates = [figures.median(s, "bytes_s") for s in (cached, direct)]
    if not all(rates):
        why = next((s["failed"] for s in (direct, cached) if s and "failed" in s), None)
        return missing(claim, why or "needs epoll and a file system with direct I/O")
    costs = [figures.median(s, "cpu", 0) / rate * 1e9 for s, rate in zip((cached, direct), rates)]
    text = (f"A file of 4 MiB that is asked for again and again: {number(rates[0] / 1e6)} MB/s from the page cache, "
            f"{number(rates[1] / 1e6)} MB/s with direct I/O, at {number(costs[0])} and {number(costs[1])} s of CPU for a GB.")
    faster, spared = rates[0] > MUCH * rates[1], costs[1] < costs[0]
    if faster and not spared:
        text += "  sendfile() hands pages of the cache to the socket without a copy, so there is none to spare; what direct " \
                "I/O saves is the cache itself, for others."
    return Claim(claim, HOLDS if faster and spared else PART if faster or spared else FAILS, text)


ALL = (blocking, nonblocking, scanning, select_limit, copying, signals, asynchronous, direct_io)


def judge(table):
    """All claims with their verdicts."""
    reading = Reading(table)
    return [claim(reading) for claim in ALL]
