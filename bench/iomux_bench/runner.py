# SPDX-License-Identifier: BSD-2-Clause
"""Carries out the plan: one step is one server, started, loaded, looked at and stopped.

What a step cost is read from the server's side between two moments at which all connections are there and requests
flow: its own counters say how many were served, and the CPU clocks of its worker what that took.  What the load says
of the same time is compared with that."""
import time

from iomux_bench import load, meter, plan, server, talk
from iomux_bench.process import Failure, wait_until

START_S = 10            # until all connections are there and requests flow
START_MANY_S = 30       # the same where they are many: a thread for each takes its time
SETTLE_S = 0.05         # of a closed loop, before it is measured
ENOUGH = 300            # requests: with fewer, where the time is cut decides too much
STRETCH = 4             # times as long as planned is waited for these, at most
FOREIGN_MAX = 0.05      # of a CPU, taken by somebody else
STEAL_MAX = 0.02        # by the hypervisor
TICKS_MIN = 2           # of its time, which is told in hundredths of a second: one is chance
PRESSED = 0.9           # of a CPU that a process of the load wants: it has no time left to measure with
COUNT_OFF = 0.02        # that load and server may differ in what was served
POOL_IDLE_S = 1.2       # a pool of threads keeps those that have nothing to do for a second
STACK_KIB = 16          # that the kernel keeps for a thread on x86-64 and arm64
FLAGS = {
    "L": "the load generator was the limit: rate and latency are the client's, not the server's",
    "N": "noise: other processes took more than 5 % of the CPUs that measure, or the hypervisor more than 2 %",
    "E": "requests failed; of datagrams: they were lost, as when more come at once than a socket can hold",
    "C": "load and server differ by more than 2 % in what was served",
}


class Setup:
    """What a run needs beside its plan."""

    def __init__(self, site, programs, cpus, files, tasks):
        self.site = site
        self.programs = programs        # {"iomuxd": path, "iomux-load": path, "floor": path or None}
        self.cpus = cpus
        self.files = files
        self.tasks = tasks
        self._replies = {}

    def start(self, name, cell):
        """The server of a step, started."""
        workload = plan.BY_NAME.get(cell.workload, plan.DISK_LOAD)
        capacity = cell.connections + 100
        if name == plan.FLOOR:
            return server.Floor(self.site, self.programs["floor"], workload, self._reply(workload), self.cpus.server)
        model = "epoll" if cell.kind == plan.DISK_IO else name
        return server.Iomuxd(self.site, self.programs["iomuxd"], model, self.cpus.server, capacity, name == plan.DIRECT)

    def _reply(self, workload):
        """What iomuxd answers, for the floor to copy."""
        if workload.scheme != "http":
            return None
        if workload.name not in self._replies:
            asked = server.Iomuxd(self.site, self.programs["iomuxd"], "auto", self.cpus.server, 0)
            try:
                self._replies[workload.name] = load.reply_of(asked, workload)
            finally:
                asked.stop()
        return self._replies[workload.name]


class Moment:
    """All that is read at one moment."""

    def __init__(self, setup, running, worked=None):
        cpus = {setup.cpus.server, *setup.cpus.load}
        self.said = running.said()
        self.at = time.monotonic()
        self.cpu = meter.cpu_ns(running.pids) / 1e9
        self.mode = meter.user_and_system(running.pids)
        self.own = time.process_time()
        self.load = worked.spent() if worked else {}
        self.shared = setup.cpus.shared
        self.busy, self.steal = meter.machine(cpus)
        self.everything = sum(meter.each_cpu_ns(running.family()).values()) / 1e9
        self.kernel = meter.each_cpu_ns(meter.kernel_threads())


def step(setup, name, cell, rate=None):
    """Figures of one server in one cell: a dictionary, with `failed' where there are none."""
    running = None
    try:
        running = setup.start(name, cell)
        act = {plan.SPEED: speed, plan.DISK_IO: speed, plan.PACE: pace, plan.REST: rest}[cell.kind]
        return act(setup, running, cell, rate)
    except (Failure, talk.Unreached, OSError) as e:
        if running and not running.lives():
            return {"failed": "its worker ended while it was measured", "why": f"{e}\n{running.log()}"[-2000:], "flags": ""}
        if isinstance(e, OSError):
            raise
        return {"failed": str(e).strip().splitlines()[0], "why": str(e).strip()[-2000:], "flags": ""}
    finally:
        if running:
            running.stop()


def load_between(a, b):
    """(seconds of CPU that the load took, and that its busiest process wanted) between two moments."""
    ran = [(b.load[pid][0] - a.load[pid][0], b.load[pid][1] - a.load[pid][1]) for pid in b.load if pid in a.load]
    return sum(cpu for cpu, _ in ran) / 1e9, max((cpu + waited for cpu, waited in ran), default=0) / 1e9


def per(total, n):
    return total / n if n else None


def spent_between(a, b):
    """What one request cost between two moments, and who disturbed."""
    wall = b.at - a.at
    n = b.said["served"] - a.said["served"]
    load_cpu, pressed = load_between(a, b)
    made = {"seconds": wall, "served": n, "rate": n / wall, "cpu_us": per((b.cpu - a.cpu) * 1e6, n),
            "cpu": (b.cpu - a.cpu) / wall, "user_s": b.mode[0] - a.mode[0], "system_s": b.mode[1] - a.mode[1],
            "load_cpu": load_cpu / wall, "load_pressed": 0.0 if a.shared else pressed / wall,
            "steal": (b.steal - a.steal) / wall}
    if "used" in a.said:            # finer than the ticks of /proc, and right for threads that have ended
        user, system = (after - before for before, after in zip(a.said["used"], b.said["used"]))
        made["user_s"], made["system_s"] = user / 1e6, system / 1e6
    if "bytes_sent" in a.said:
        made["bytes_s"] = (b.said["bytes_sent"] - a.said["bytes_sent"]) / wall
    known = (b.everything - a.everything) + load_cpu + (b.own - a.own)
    # What the kernel's own threads do is part of what the load causes: they clear up behind threads and connections.
    known += sum(ns - a.kernel[pid] for pid, ns in b.kernel.items() if pid in a.kernel) / 1e9
    made["foreign"] = max(0.0, (b.busy - a.busy - known) / wall)
    for key in ("syscalls", "switches", "wakeups"):
        more = b.said[key] - a.said[key]
        made[f"{key}_each"], made[f"{key}_s"] = per(more, n), more / wall
    return made


def doubts(made, result, served, total):
    """Why figures are not to be trusted: letters of FLAGS."""
    # iomux-load says it of the CPU time that it got; where others took its CPU, it got less than it wanted.
    flags = "L" if result and (result["client"]["limit"] or made["load_pressed"] >= PRESSED) else ""
    stolen = made["steal"] > STEAL_MAX and made["steal"] * made["seconds"] * meter.TICK > TICKS_MIN - 0.5
    if made["foreign"] > FOREIGN_MAX or stolen:
        flags += "N"
    if result and result["errors"]["total"]:
        flags += "E"
    if result and abs(served - total) > COUNT_OFF * total + result["errors"]["total"]:
        flags += "C"
    return flags


def errors_of(result):
    return {cause: n for cause, n in result["errors"].items() if n and cause != "total"}


def kept(cell):
    """How many connections the server must have: what waits for it to accept costs something else than what it serves."""
    if cell.workload in ("connect", "echo-udp"):
        return 0
    return cell.connections - cell.connections // 100       # of very many some are always being made again


def wait_flow(running, cell, at_work, part=1.0):
    """Until the server has the connections and all of them are asking, or this part of them."""
    active, idle = plan.split(cell)
    deadline = time.monotonic() + (START_S if cell.connections < plan.MANY else START_MANY_S)
    while True:
        said = running.said()
        if said["served"] >= idle + part * active / 2 + 1 and said["open"] >= part * kept(cell):
            return True
        if at_work.over() or time.monotonic() > deadline:
            return False
        time.sleep(0.02)


def why_not(running, cell, said, result):
    """Why requests did not flow.  said: of the server, before its load went."""
    if result["counts"]["answered"] and not running.said()["served"]:
        return "it counts nothing: was iomuxd built without statistics?"
    errors = ", ".join(f"{n} {cause}" for cause, n in errors_of(result).items())
    if kept(cell) and said["open"] < kept(cell):
        errors = f"{said['open']:,} of {cell.connections:,} were there" + (f"; {errors}" if errors else "")
    return f"the connections could not all be made in time: {errors or 'they came too slowly'}"


def flowing(running, cell, at_work, part=1.0):
    """Waits for that, or says why there are no figures."""
    if not wait_flow(running, cell, at_work, part):
        said = running.said()
        raise Failure(why_not(running, cell, said, at_work.finish(early=True)))


def wait_enough(running, before, seconds):
    """The time that was planned, and some more where hardly anything was served in it."""
    for _ in range(STRETCH):
        time.sleep(seconds)
        if running.said()["served"] - before.said["served"] >= ENOUGH:
            return


def speed(setup, running, cell, _rate):
    """A closed loop: as fast as it goes."""
    at_work = load.Load(setup.programs["iomux-load"], setup.site, running, cell, setup.cpus)
    try:
        flowing(running, cell, at_work)
        time.sleep(SETTLE_S)
        before = Moment(setup, running, at_work)
        wait_enough(running, before, cell.seconds)
        after = Moment(setup, running, at_work)
        threads = meter.threads(running.pids)
        result = at_work.finish(early=True)
    finally:
        at_work.kill()
    said = running.said()
    running.check(said)
    made = spent_between(before, after)
    made.update(threads=threads, errors=errors_of(result), latency=load.latency_of(result),
                flags=doubts(made, result, said["served"], result["counts"]["answered"]))
    return made


def pace(setup, running, cell, rate):
    """An open loop: all servers of a cell get the same rate, and latencies count from when a request was due."""
    if not rate:
        raise Failure("no rate is known: nobody answered in the closed loop")
    at_work = load.Load(setup.programs["iomux-load"], setup.site, running, cell, setup.cpus, cell.seconds, rate)
    try:
        active, _ = plan.split(cell)
        flowing(running, cell, at_work, min(1.0, load.warm_s(active, rate) * rate / active / 1.5))
        before = Moment(setup, running, at_work)
        time.sleep(cell.seconds)
        after = Moment(setup, running, at_work)
        result = at_work.finish()
    finally:
        at_work.kill()
    said = running.said()
    running.check(said)
    made = spent_between(before, after)
    made.update(rate_asked=rate, errors=errors_of(result), latency=load.latency_of(result),
                histogram=result["latency"].get("histogram_us", []),
                flags=doubts(made, result, said["served"], result["counts"]["answered"]))
    return made


def rest(setup, running, cell, _rate):
    """Connections that rest: what they take in memory and threads, and what the server does meanwhile."""
    load.warm_up(running, cell.connections)
    wait_until("end of a connection", START_S, lambda: not running.said()["open"])
    empty = settled_memory(running.pids)
    with load.Crowd(running, cell.connections):
        if meter.threads(running.pids) > 1:
            time.sleep(POOL_IDLE_S)
        full = settled_memory(running.pids)
        threads = meter.threads(running.pids)
        waited = meter.waited_ns(running.pids)
        before = Moment(setup, running)
        time.sleep(cell.seconds)
        after = Moment(setup, running)
        waited = (meter.waited_ns(running.pids) - waited) / 1e9 / (after.at - before.at)
    running.check(running.said())
    made = spent_between(before, after)
    n = cell.connections
    # On a machine that is busy a server that never waits does not get the CPU that it wants.
    made.update(wanted=min(1.0, made["cpu"] + waited), memory_each=(full - empty) / n, memory_empty=empty, threads=threads,
                stacks_each=(threads - 1) * STACK_KIB * 1024 / n, flags=doubts(made, None, 0, 0))
    return made


def settled_memory(pids):
    """Reads until a server has settled after its last answer."""
    last = meter.heap(pids)
    for _ in range(20):
        time.sleep(0.02)
        now = meter.heap(pids)
        if now == last:
            break
        last = now
    return last
