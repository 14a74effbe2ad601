# SPDX-License-Identifier: BSD-2-Clause
"""The machine: what it is, which CPUs are for whom, how many connections its limits allow."""
import hashlib
import json
import os
import platform
import resource
import subprocess

LOAD_CPUS = 4               # processes of the load at most: more than one server on one CPU can answer
SPARE_FILES = 200           # descriptors for everything that is not a connection


def read_line(path, default=""):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.readline().strip()
    except OSError:
        return default


def _field(path, name):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            for line in f:
                key, _, value = line.partition(":")
                if key.strip() == name:
                    return value.strip()
    except OSError:
        pass
    return ""


def _said(*argv):
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True, errors="replace", timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (done.stdout.splitlines() or [""])[0].strip()


def _mitigations():
    folder = "/sys/devices/system/cpu/vulnerabilities"
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return {}
    return {name: text for name in names if (text := read_line(os.path.join(folder, name))) != "Not affected"}


def _virtualisation():
    """A container, the machine that a hypervisor makes of another, or both: `docker on kvm'."""
    found = [kind for kind in (_said("systemd-detect-virt", option) for option in ("--container", "--vm")) if kind != "none"]
    return " on ".join(kind for kind in found if kind) or ("unknown" if found else "none")


def facts(programs):
    """Everything that moves the figures from machine to machine.  programs: {name: path}."""
    made = {
        "cpu": _field("/proc/cpuinfo", "model name") or _field("/proc/cpuinfo", "Model") or platform.machine(),
        "cpus": os.cpu_count(), "usable_cpus": len(os.sched_getaffinity(0)),
        "memory_mib": int((_field("/proc/meminfo", "MemTotal").split() or ["0"])[0]) // 1024,
        "kernel": platform.release(), "architecture": platform.machine(),
        "system": _field_of_release() or platform.system(), "libc": " ".join(platform.libc_ver()),
        "virtualisation": _virtualisation(),
        "governor": read_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "unknown"),
        "clock": read_line("/sys/devices/system/clocksource/clocksource0/current_clocksource", "unknown"),
        "smt": read_line("/sys/devices/system/cpu/smt/control", "unknown"),
        "mitigations": _mitigations(),
        "open_files": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        "signals_pending": resource.getrlimit(resource.RLIMIT_SIGPENDING)[1],
        "io_uring_disabled": read_line("/proc/sys/kernel/io_uring_disabled", "unknown"),
        "port_range": read_line("/proc/sys/net/ipv4/ip_local_port_range").split(),
        "load_before": read_line("/proc/loadavg").split()[:3],
    }
    for name, path in programs.items():
        made[name] = _said(path, "-V")
    return made


def _field_of_release():
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        return ""


def fingerprint(known):
    """Twelve digits that differ where figures cannot be compared.  What changes by the hour is not in it."""
    steady = {key: value for key, value in known.items() if key != "load_before"}
    return hashlib.sha256(json.dumps(steady, sort_keys=True).encode()).hexdigest()[:12]


class Cpus:
    """The server has one CPU, the load others.  With one CPU they share it."""

    def __init__(self, usable=None):
        usable = sorted(usable or os.sched_getaffinity(0))
        self.server = usable[0]
        self.load = usable[1:1 + LOAD_CPUS] or usable[:1]
        self.shared = self.load == [self.server]

    def workers(self, connections):
        """Processes of the load: one for each of its CPUs, but each has something to do."""
        return max(1, min(len(self.load), connections // 8))


def raise_file_limit():
    """As high as may be; returns how many descriptors a process has."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard == resource.RLIM_INFINITY:
        hard = 1 << 20
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    return hard


def tasks_left():
    """How many more threads limits allow: of the control groups, of the user, of the kernel; None: nobody says."""
    group = read_line("/proc/self/cgroup").rpartition(":")[2].strip("/")
    limits = []
    while group:
        most, now = (read_line(f"/sys/fs/cgroup/{group}/pids.{name}") for name in ("max", "current"))
        limits += [int(most) - int(now)] if most.isdigit() and now.isdigit() else []
        group = group.rpartition("/")[0]
    of_user = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    limits += [of_user] if of_user != resource.RLIM_INFINITY and os.geteuid() != 0 else []
    threads = read_line("/proc/sys/kernel/threads-max")
    limits += [int(threads) // 2] if threads.isdigit() else []
    maps = read_line("/proc/sys/vm/max_map_count")
    limits += [int(maps) // 2 - 100] if maps.isdigit() else []     # a stack is a mapping and its guard another
    return min(limits) if limits else None
