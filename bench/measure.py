# SPDX-License-Identifier: BSD-2-Clause
"""One measurement: a server is started, asked once, loaded, and stopped; what it cost, and whether to believe it.

What bench/run and bench/models share, with what they say while they work.  Knows no table."""
import contextlib
import os
import platform
import resource
import signal
import statistics
import subprocess
import sys
import time

import load
from iomux_bench import meter
from servers import Failure

SPARE_FILES = 200       # descriptors for everything that is not a connection

# When a figure is not to be trusted.
BUSY_MIN = 0.90         # below, the server had time to spare: the load generator was the limit
FOREIGN_MAX = 0.05      # of a CPU's time, taken by somebody else
WAITED_MAX = 0.03       # of the time, that the server was ready and had no CPU
SIZE_MAX = 0.01         # of an answer's size, that the answers differ on average
FLAGS = {"L": "the load generator was the limit: the server was busy for less than 90 % of the time",
         "N": "noise: other processes or the hypervisor took CPU time",
         "E": "wrk reported errors",
         "S": "answers had another size than the one that was checked"}


class Setup:
    """Where things are and where they run."""

    def __init__(self, folder, server_cpu, load_cpu, nginx=None):
        self.folder = folder
        self.server_cpu = server_cpu
        self.load_cpu = load_cpu
        self.nginx = nginx
        self.www = os.path.join(folder, "www")
        self._count = 0
        os.chmod(folder, 0o755)         # workers that have dropped root read from it
        os.mkdir(self.www, 0o755)
        for path, content in load.PAGES.items():
            with open(self.page(path), "wb") as f:
                f.write(content)
            os.chmod(self.page(path), 0o644)

    def page(self, path):
        return self.www + path

    def _name(self, name):
        self._count += 1
        return os.path.join(self.folder, f"{self._count}-{name.replace('/', '-')}")

    def folder_new(self, name):
        made = self._name(name)
        os.mkdir(made, 0o755)
        return made

    def file_new(self, name, content):
        made = self._name(name)
        with open(made, "wb") as f:
            f.write(content)
        return made


# --- measuring --------------------------------------------------------------------------------------------------

@contextlib.contextmanager
def running(server, row, reply, capacity):
    """A server that has just been started and gave the right answer.  reply: what a floor copies, or None."""
    started = server.start(row, reply, capacity)
    try:
        answer = load.checked_reply(server.name, started.port, row)
        started.look_again()            # who answers has all its processes
        yield started, answer
    finally:
        started.stop()


def measure(setup, wrk, server, row, reply, capacity, seconds):
    """One round of one row: figures of one server."""
    with running(server, row, reply, capacity) as (started, answer), load.Crowd(started.port, row, row.idle):
        cpus = {setup.server_cpu, setup.load_cpu}
        before = _readings(started.pids, cpus)
        counted, wrk_cpu = wrk.run(started.port, row, seconds)
        if meter.tree(started.pid) != started.pids:
            raise Failure(f"{server.name}: a process came or went while it was measured:\n{started.log()}")
        after = _readings(started.pids, cpus)
    spent = {key: after[key] - before[key] for key in after}
    return _figures(counted, spent, wrk_cpu, len(answer.raw), len(cpus) == 1, server.threads)


def _readings(pids, cpus):
    """What writes the logs is read apart."""
    aside = meter.loggers(pids)
    pids = [pid for pid in pids if pid not in aside]
    user, system = meter.user_and_system(pids)
    busy, steal = meter.machine(cpus)
    return {"cpu": meter.cpu_ns(pids) / 1e9, "user": user, "system": system,
            "waited": meter.waited_ns(pids) / 1e9, "busy": busy, "steal": steal,
            "own": time.process_time(), "logger": meter.cpu_ns(aside) / 1e9, "wall": time.monotonic()}


def _figures(counted, spent, wrk_cpu, reply_size, one_cpu, threads):
    requests, seconds = counted["requests"], counted["us"] / 1e6
    foreign = max(0.0, spent["busy"] - spent["cpu"] - spent["logger"] - wrk_cpu - spent["own"])
    made = {"us": spent["cpu"] * 1e6 / requests, "user_s": spent["user"], "system_s": spent["system"],
            "logger_us": spent["logger"] * 1e6 / requests, "rate": requests / seconds,
            "busy": spent["cpu"] / seconds, "load_busy": wrk_cpu / seconds,
            "foreign": foreign / spent["wall"], "steal": spent["steal"] / spent["wall"],
            "waited": spent["waited"] / seconds, "requests": requests, "seconds": seconds,
            "reply_bytes": counted["bytes"] / requests, "p50_us": counted["p50"], "p99_us": counted["p99"],
            "errors": {key: counted[key] for key in ("connect", "read", "write", "status", "timeout")}}
    return {**made, "flags": _doubts(made, reply_size, one_cpu, threads)}


def _doubts(made, reply_size, one_cpu, threads):
    """Why a measurement is not to be trusted: letters of FLAGS."""
    flags = ""
    # On one CPU the load and the server take turns: neither is the limit, and each waits for the other.
    if made["busy"] < BUSY_MIN and not one_cpu:
        flags += "L"
    # Many threads on one CPU wait for each other.
    waited = made["waited"] > WAITED_MAX and not one_cpu and not threads
    if max(made["foreign"], made["steal"]) > FOREIGN_MAX or waited:
        flags += "N"
    if any(made["errors"].values()):
        flags += "E"
    if abs(made["reply_bytes"] - reply_size) > SIZE_MAX * reply_size:
        flags += "S"
    return flags


# --- what many rounds say -----------------------------------------------------------------------------------------

def spread(values):
    """Median, least and most."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def summary(rounds, reference_rounds):
    """What many rounds say.  Ratios are taken round by round: slow changes of the machine cancel."""
    made = {key: spread([r[key] for r in rounds]) for key in ("us", "rate", "busy", "load_busy")}
    # The kernel samples user and system time: one round has few samples, all together have enough.
    user, system = (sum(r[key] for r in rounds) for key in ("user_s", "system_s"))
    made["user_us"] = made["us"]["median"] * user / (user + system) if user + system else 0.0
    made["system_us"] = made["us"]["median"] - made["user_us"]
    pairs = list(zip(rounds, reference_rounds))
    made["cpu_ratio"] = spread([r["us"] / f["us"] for r, f in pairs])
    made["rate_ratio"] = spread([r["rate"] / f["rate"] for r, f in pairs])
    made["flags"] = {flag: n for flag in FLAGS if (n := sum(flag in r["flags"] for r in rounds))}
    return made


# --- the command around it ----------------------------------------------------------------------------------------

def add_options(parser):
    """The options that all commands have."""
    cpus = sorted(os.sched_getaffinity(0))
    parser.add_argument("--quick", action="store_true", help="2 rounds of 1 s, to see that it works")
    parser.add_argument("--rounds", type=int, help="rounds (5)")
    parser.add_argument("--seconds", type=int, help="seconds for each round (2)")
    parser.add_argument("--server-cpu", type=int, default=cpus[0], help=f"CPU for the server ({cpus[0]})")
    parser.add_argument("--load-cpu", type=int, default=cpus[-1] if len(cpus) < 2 else cpus[1],
                        help="CPU for the load (the next)")
    parser.add_argument("--json", metavar="FILE", help="write everything there, round by round")


def check_options(parser, options):
    options.rounds = options.rounds or (2 if options.quick else 5)
    options.seconds = options.seconds or (1 if options.quick else 2)
    if min(options.rounds, options.seconds) < 1:
        parser.error("rounds and seconds are at least 1")
    cpus = sorted(os.sched_getaffinity(0))
    for cpu in (options.server_cpu, options.load_cpu):
        if cpu not in cpus:
            parser.error(f"CPU {cpu} is not one of those that may be used: {cpus}")


def built_iomuxd():
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "build", "iomuxd")


def raise_file_limit(connections):
    """Connections need descriptors here and in the servers, which inherit the limit."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if connections + SPARE_FILES > hard != resource.RLIM_INFINITY:
        raise Failure(f"{connections + SPARE_FILES} open files are needed, the hard limit (ulimit -Hn) is {hard}")


def first_line(*argv):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", timeout=10, check=False)
    return (done.stdout.splitlines() or [""])[0]


def machine_facts(wrk):
    cpu = "unknown"
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as f:
        for line in f:
            if line.startswith("model name"):
                cpu = line.partition(":")[2].strip()
                break
    return {"kernel": platform.release(), "cpu": cpu, "cpus": os.cpu_count(), "wrk": first_line(wrk, "-v")}


def machine_line(facts, options):
    shared = "\nserver and load share a CPU: read the CPU time, not the rate" \
        if options.server_cpu == options.load_cpu else ""
    return (f"{facts['cpu']}, {facts['cpus']} CPUs, Linux {facts['kernel']}; "
            f"server on CPU {options.server_cpu}, load on CPU {options.load_cpu}; "
            f"{options.rounds} rounds of {options.seconds} s, medians{shared}")


def show_progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def _leave(number, _frame):
    """Ends by way of the clean-up, which is not interrupted again."""
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)


def command(name, act):
    """Runs act(); what goes wrong becomes a line and a status."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    try:
        return act()
    except Failure as e:
        show_progress("")
        print(f"{name}: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        show_progress("")
        return 130
