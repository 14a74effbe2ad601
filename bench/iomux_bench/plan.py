# SPDX-License-Identifier: BSD-2-Clause
"""What is measured: workloads, cells, their order, and how long each may take.  Pure: it measures nothing.

A cell is a workload with a number of connections and a way to measure it.  A round is every cell once, and within a
cell every server once, one directly after the other, beginning with another one each round: what changes slowly on the
machine meets all alike.  When time is up the rounds that are done count: every figure says how many it comes from."""
import collections

FLOOR = "floor"
DIRECT = "epoll, direct I/O"            # the two variants of the cell `disk'
CACHED = "epoll, page cache"

SMALL, LARGE, DISK = 1024, 102400, 4 << 20
MESSAGE = 64                            # bytes of an echo
ACTIVE = 10                             # connections that ask, of the workload `idle'

Workload = collections.namedtuple("Workload", "name title unit scheme path extra most")
WORKLOADS = [
    Workload("fixed", "fixed reply", "request", "http", "/fixed", (), None),
    Workload("small", "small file (1 KiB)", "request", "http", "/small.txt", (), None),
    Workload("large", "large file (100 KiB)", "request", "http", "/large.txt", (), None),
    Workload("connect", "a connection for each request", "request", "http", "/fixed", ("-k", "off"), None),
    Workload("echo-tcp", "echo over TCP (64 bytes)", "message", "echo", "", ("-s", str(MESSAGE)), None),
    Workload("echo-udp", "echo over UDP (64 bytes)", "datagram", "echo+udp", "", ("-s", str(MESSAGE)), None),
    Workload("idle", f"mostly idle ({ACTIVE} ask, the others rest)", "request", "http", "/fixed", (), None),
]
BY_NAME = {w.name: w for w in WORKLOADS}
DISK_LOAD = Workload("disk", "4 MiB file", "request", "http", "/disk.bin", (), None)

# What it is about: how fast and at what cost in a closed loop; how long answers take at a fixed rate; what rest costs.
SPEED, PACE, REST, DISK_IO = "speed", "pace", "rest", "disk"

# once: it is done in the first round only, because it takes seconds, or to leave time for others.
Cell = collections.namedtuple("Cell", "kind workload connections seconds once", defaults=(False,))


def cell_name(cell):
    return f"{cell.kind} {cell.workload} {cell.connections}"


def cell_of(name):
    kind, workload, connections = name.split()
    return kind, workload, int(connections)


class Preset:
    """How much is done."""

    def __init__(self, name, limit_s, rounds, speed_s, pace_s, rest_s, counts, speed, pace):
        self.name = name
        self.limit_s = limit_s          # of the whole run
        self.rounds = rounds            # at most
        self.speed_s, self.pace_s, self.rest_s = speed_s, pace_s, rest_s
        self.counts = counts            # connections
        self.speed = speed              # [(workload, connections)], None: all of them
        self.pace = pace                # [(workload, connections)] of every round; a full run has all others once


QUICK = Preset("quick", 110, 2, 0.25, 0.5, 0.3, (1, 10, 100, 1000, 1500),
               [("fixed", 1), ("fixed", 100), ("fixed", 1000), ("small", 100), ("large", 10), ("connect", 10),
                ("echo-tcp", 100), ("echo-udp", 10), ("idle", 10), ("idle", 1500)],
               [("fixed", 100)])
FULL = Preset("full", 1750, 5, 0.4, 0.8, 0.5, (1, 10, 100, 1000, 10000), None,
              [("fixed", 10), ("fixed", 100), ("fixed", 1000), ("small", 100), ("large", 10), ("connect", 10),
               ("echo-tcp", 100), ("echo-udp", 10), ("idle", 1000)])
PRESETS = {preset.name: preset for preset in (QUICK, FULL)}
REST_AT = 1000                          # connections that rest, where rest is measured
BEYOND = (20000, 50000)                 # counts that only `fixed' and `idle' get, where limits allow them
MANY = 1000                             # from here on starting takes its time
FEW = 10000                             # from here on a cell takes seconds, and is done once


def is_once(preset, kind, workload, connections):
    """Is such a cell done in the first round only?"""
    return kind == SPEED and connections >= FEW or kind == PACE and (workload, connections) not in preset.pace


def cells_of(preset, workloads, counts, most):
    """The cells of a round, the most telling first.

    workloads, counts: what the user named, None where nothing was; most: connections that limits allow at all."""
    names = [w.name for w in WORKLOADS if workloads is None or w.name in workloads]
    named = counts is not None
    counts = [n for n in (counts or preset.counts) if n <= most]
    # What is named is done wholly; else a quick run takes its pick.
    wanted = preset.speed if preset.speed and not named else [(w, n) for n in counts for w in names]
    cells = [Cell(REST, "idle", REST_AT, preset.rest_s)] if REST_AT <= most and "idle" in names else []
    speed = [(w, n) for w, n in wanted if w in names and n in counts]
    if preset.speed is None and not named:
        speed += [(w, n) for n in BEYOND if n <= most for w in ("fixed", "idle") if w in names]
    cells += [Cell(SPEED, w, n, preset.speed_s, is_once(preset, SPEED, w, n)) for w, n in speed]
    cells += [Cell(PACE, w, n, preset.pace_s, is_once(preset, PACE, w, n)) for w, n in speed
              if (w, n) in preset.pace or preset.speed is None and n <= FEW]
    if workloads is None:
        cells.append(Cell(DISK_IO, "disk", 4, 2 * preset.speed_s))
    # What is done once comes last, so that a limit of time takes from there.
    return sorted(cells, key=lambda c: c.once)


def counts_left_out(preset, counts, most):
    """The counts of connections that cells_of() leaves out, because limits do not allow them."""
    wanted = counts or list(preset.counts) + (list(BEYOND) if preset.speed is None else [])
    return [n for n in wanted if n > most]


def in_round(cell, number):
    return number == 0 or not cell.once


def servers_of(cell, models, floor):
    """Who is measured in a cell: the models, and the floor where there is one."""
    if cell.kind == DISK_IO:
        return [CACHED, DIRECT] if "epoll" in models else []
    return list(models) + ([FLOOR] if floor else [])


def turned(servers, number):
    """Another one begins each round."""
    at = number % len(servers) if servers else 0
    return servers[at:] + servers[:at]


def steps(cells, models, floor, rounds):
    """(round, cell, server) for everything, in the order in which it is done."""
    for number in range(rounds):
        for cell in cells:
            if in_round(cell, number):
                for server in turned(servers_of(cell, models, floor), number):
                    yield number, cell, server


def split(cell):
    """(connections that ask, connections that rest)"""
    if cell.workload == "idle":
        active = min(ACTIVE, cell.connections)
        return active, cell.connections - active
    return cell.connections, 0


def pace_rate(throughputs):
    """The rate that all servers of a cell are given: half of what the slowest can do, two digits."""
    known = [t for t in throughputs if t]
    if not known:
        return 0
    half = min(known) / 2
    digits = 10 ** max(0, len(str(int(half))) - 2)
    return max(1, int(half / digits) * digits)


def refusal(model, cell, files, tasks):
    """Why a model cannot have so many connections here, or None.  files: descriptors of a process; tasks: threads
    that may be made, None: nobody says."""
    n = cell.connections
    if cell.workload in ("echo-udp", "disk") or model == FLOOR:
        return None
    if model == "aio" and n > 4096:
        return "it carries at most 4,096 connections for each worker"
    per = 2 if model == "aio" else 1
    if n * per + 200 > files:
        return f"{n * per + 200:,} descriptors are needed, the limit is {files:,}"
    threads = {"blocking": n, "aio": 2 * n}.get(model, 0)
    if tasks is not None and threads > tasks:
        return f"{threads:,} threads are needed, limits allow {tasks:,}"
    return None


class Clock:
    """How long the rest will take: what each kind of step took until now, and a guess for those that come first."""

    GUESS = {SPEED: 0.5, PACE: 0.5, REST: 1.2, DISK_IO: 0.6}       # seconds beside those that are measured
    SLOW_GUESS = 2.0                                               # the same with FEW connections or more

    def __init__(self):
        self._took = {}

    @staticmethod
    def _key(cell):
        return cell.kind, len(str(cell.connections)), cell.workload

    def add(self, cell, seconds):
        total, n = self._took.get(self._key(cell), (0.0, 0))
        self._took[self._key(cell)] = total + seconds, n + 1

    def one(self, cell):
        total, n = self._took.get(self._key(cell), (0.0, 0))
        if n:
            return total / n
        return cell.seconds + (self.SLOW_GUESS if cell.connections >= FEW else self.GUESS[cell.kind])

    def rest(self, cells):
        return sum(self.one(cell) for cell in cells)
