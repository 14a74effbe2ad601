# SPDX-License-Identifier: BSD-2-Clause
"""Tests of iomux-bench: its pure parts on figures that are made up, and a short run of all of it.

IOMUX_BENCH names the program in the build folder.  Nothing here asserts how fast anything is."""
import os
import subprocess
import sys

import pytest

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(TOP, "bench"))

from iomux_bench import bench, plan             # noqa: E402

MODELS = ("epoll", "poll", "select", "nonblocking", "blocking", "sigio", "aio", "io_uring")


@pytest.fixture(scope="session")
def program():
    return os.environ.get("IOMUX_BENCH", os.path.join(TOP, "build", "iomux-bench"))


def daemon(program):
    """The iomuxd of that build folder."""
    return os.path.join(os.path.dirname(os.path.realpath(program)), "iomuxd")


def available(program):
    """The models that can run here."""
    said = subprocess.run([daemon(program), "--list-models"], capture_output=True, text=True, check=True).stdout
    return [line.split()[0] for line in said.splitlines() if line.split()[2] == "yes"]


def step(server, kind, workload, connections, number=0, **more):
    """A step as the runner gives it."""
    made = {"round": number, "cell": f"{kind} {workload} {connections}", "server": server, "took": 1.0, "flags": "",
            "user_s": 0.1, "system_s": 0.3, "cpu": 0.5, "rate": 10000.0, "cpu_us": 10.0, "threads": 1,
            "syscalls_each": 2.0, "switches_each": 0.1, "wakeups_each": 0.1, "latency": None}
    return {**made, **more}


def idle_cost(model, connections):
    """What textbooks expect: poll and select look at all, the others at those that are ready."""
    return 10.0 + (connections / 100 if model in ("poll", "select") else 0)


def textbook():
    """Three rounds of a machine on which all that the textbooks say is so."""
    made = []
    for number in range(3):
        stir = 1 + 0.01 * number
        for model in (*MODELS, plan.FLOOR):
            threads = {"blocking": 1002, "aio": 1003}.get(model, 1)
            made.append(step(model, plan.REST, "idle", 1000, number, threads=threads, memory_each=18000 if threads > 1 else 350,
                             stacks_each=(threads - 1) * 16384 / 1000, wanted=1.0 if model == "nonblocking" else 0.0,
                             cpu_us=None, wakeups_s=0.0, switches_s=0.0))
            for n in (10, 1000, 10000):
                made.append(step(model, plan.SPEED, "idle", n, number, cpu_us=idle_cost(model, n) * stir))
            for n in (1, 100):
                dear = {"aio": 60.0, "blocking": 15.0}.get(model, 8.0)
                made.append(step(model, plan.SPEED, "fixed", n, number, cpu_us=dear * stir,
                                 switches_each=1.0 if model == "blocking" else 0.01))
            made.append(step(model, plan.SPEED, "echo-tcp", 100, number, cpu_us=(12.0 if model == "sigio" else 8.0) * stir))
            made.append(step(model, plan.SPEED, "echo-udp", 10, number, cpu_us=6.0 * stir))
            latency = {"p50": 100, "p90": 200, "p99": 400, "p99.9": 900, "max": 1000, "mean": 120}
            made.append(step(model, plan.PACE, "fixed", 100, number, latency=latency, rate_asked=5000,
                             histogram=[[100, 900], [200, 90], [400, 9], [900, 1]]))
        for server, rate, cpu in ((plan.CACHED, 2e9, 0.4), (plan.DIRECT, 2e8, 0.02)):
            made.append(step(server, plan.DISK_IO, "disk", 4, number, bytes_s=rate, cpu=cpu, cpu_us=100.0))
    return made


def header():
    names = [*MODELS, "epoll-level"]
    return {"form": 1, "program": "iomux-bench", "preset": "quick", "when": "2026-01-01T00:00:00+0000", "fingerprint": "0" * 12,
            "models": [{"model": m, "kind": "multiplexing", "can": m != "epoll-level", "measured": m != "epoll-level",
                        "why": "not <built> in & so on" if m == "epoll-level" else ""} for m in names],
            "cpus": {"server": 0, "load": [1], "shared": False},
            "machine": {"cpu": "Some <CPU>", "cpus": 2, "usable_cpus": 2, "memory_mib": 1000, "kernel": "6.1",
                        "architecture": "x86_64", "system": "Debian", "libc": "glibc 2.36", "virtualisation": "none", "governor": "unknown",
                        "clock": "tsc", "smt": "off", "mitigations": {}, "open_files": 20000, "signals_pending": 1000,
                        "io_uring_disabled": "0", "port_range": ["32768", "60999"], "load_before": ["0", "0", "0"],
                        "iomuxd": "iomuxd 0", "iomux-load": "iomux-load 0"},
            "options": {"models": list(MODELS), "cells": [], "seconds": [], "rounds": 3, "floor": True}}


@pytest.fixture
def whole():
    return bench.document(header(), textbook(), True)
