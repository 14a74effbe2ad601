# SPDX-License-Identifier: BSD-2-Clause
"""What the kernel says about the cost of processes: CPU time, waiting time, memory.

Reads /proc and the CPU clocks of processes.  Knows nothing of servers and load."""
import os
import time

TICK = os.sysconf("SC_CLK_TCK")


def _stat(pid):
    """The fields of /proc/PID/stat from the third on (the second, a name, may hold blanks)."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
        return f.read().rpartition(")")[2].split()


def started(pid):
    """When a process began (in ticks since boot): with its number, its identity.  None when it has ended."""
    try:
        fields = _stat(pid)
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


def tree(pid):
    """A process and all its descendants, sorted."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                children.setdefault(int(_stat(name)[1]), []).append(int(name))
            except OSError:
                pass                        # ended meanwhile
    found, queue = [], [pid]
    while queue:
        parent = queue.pop()
        found.append(parent)
        queue += children.get(parent, [])
    return sorted(found)


def loggers(pids):
    """Those that write the logs of iomuxd: they take time of their own, which nobody who asks waits for."""
    found = []
    for pid in pids:
        with open(f"/proc/{pid}/comm", encoding="utf-8") as f:
            if f.read().strip() == "iomuxd-logger":
                found.append(pid)
    return found


def cpu_ns(pids):
    """CPU time of processes with all their threads, also those that have ended: exact, not in ticks.

    The clock of a process has the number that clock_getcpuclockid(3) makes: ~PID << 3, and 2 for the
    scheduler's time."""
    return sum(time.clock_gettime_ns((~pid << 3) | 2) for pid in pids)


def each_cpu_ns(pids):
    """{process: its CPU time} of those that are still there."""
    made = {}
    for pid in pids:
        try:
            made[pid] = cpu_ns([pid])
        except OSError:
            pass
    return made


def kernel_threads():
    """The threads of the kernel, as far as they can be seen from here: not from within most containers."""
    try:
        with open("/proc/2/comm", encoding="utf-8") as f:
            return tree(2) if f.read().strip() == "kthreadd" else []
    except OSError:
        return []


def user_and_system(pids):
    """Seconds in user and kernel mode, sampled by the kernel at its ticks: good for their ratio."""
    user = system = 0
    for pid in pids:
        fields = _stat(pid)
        user += int(fields[11])
        system += int(fields[12])
    return user / TICK, system / TICK


def _of_threads(pids, name, count):
    """The sum of what `count` finds in a file of each thread that lives."""
    total = 0
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            try:
                with open(f"/proc/{pid}/task/{task}/{name}", encoding="utf-8", errors="replace") as f:
                    total += count(f)
            except OSError:
                pass                        # the thread ended, or a kernel without that file
    return total


def waited_ns(pids):
    """Time that threads were ready to run and had no CPU.  Threads that have ended are not in it."""
    return _of_threads(pids, "schedstat", lambda f: int(f.read().split()[1]))


def machine(cpus):
    """Seconds that these CPUs were busy, and that a hypervisor took from them."""
    busy = steal = 0
    wanted = {f"cpu{cpu}" for cpu in cpus}
    with open("/proc/stat", encoding="ascii") as f:
        for line in f:
            name, *fields = line.split()
            if name in wanted:
                user, nice, system, _idle, _wait, irq, softirq, stolen = map(int, fields[:8])
                busy += user + nice + system + irq + softirq
                steal += stolen
    return busy / TICK, steal / TICK


def switches(pids):
    """Context switches of the threads that live, own and forced ones."""
    return _of_threads(pids, "status", lambda f: sum(int(line.split()[1]) for line in f if "ctxt_switches" in line))


def threads(pids):
    """How many threads these processes have."""
    return sum(int(_stat(pid)[17]) for pid in pids)


def memory(pids):
    """Bytes of memory: proportional share (shared pages divided among those who share them) and resident."""
    pss = rss = 0
    for pid in pids:
        known = _bytes_of(f"/proc/{pid}/smaps_rollup", ("Pss", "Rss"))
        pss, rss = pss + known["Pss"], rss + known["Rss"]
    return pss, rss


def heap(pids):
    """Bytes of memory that is no file's: what a process has allocated and touched, stacks of threads included.  Unlike
    its share it does not change when others begin or end that share pages with it.

    Who is not allowed to see the exact figure, as that of a worker which cannot be dumped, gets the kernel's estimate."""
    total = 0
    for pid in pids:
        try:
            total += _bytes_of(f"/proc/{pid}/smaps_rollup", ("Anonymous",))["Anonymous"]
        except PermissionError:
            total += _bytes_of(f"/proc/{pid}/status", ("RssAnon",))["RssAnon"]
    return total


def _bytes_of(path, names):
    """Fields of a file of /proc that are in kB."""
    with open(path, encoding="utf-8", errors="replace") as f:
        fields = (line.partition(":") for line in f)
        return {name: int(value.split()[0]) * 1024 for name, _, value in fields if name in names}
