# SPDX-License-Identifier: BSD-2-Clause
"""iomux-load as the tests run it: with JSON, and what its answer must add up to."""

import json
import os
import subprocess
from pathlib import Path

ERRORS = ("refused", "unreachable", "closed", "reset", "timeout", "malformed", "status", "content", "unanswered")
TIME = 120              # seconds: none of these runs takes more than a few


def program(iomuxd_bin):
    return os.environ.get("IOMUX_LOAD") or str(Path(iomuxd_bin).parent / "iomux-load")


class Run:
    """One run, over: .status, .stderr, and what it said in JSON."""

    def __init__(self, command):
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIME, stdin=subprocess.DEVNULL)
        self.finish(done.returncode, done.stdout, done.stderr)

    def finish(self, status, stdout, stderr):
        self.status, self.stdout, self.stderr = status, stdout, stderr
        assert "Sanitizer" not in stderr and "runtime error" not in stderr, stderr
        self.said = json.loads(stdout) if stdout.startswith("{") else None

    def __repr__(self):
        return f"status {self.status}, stderr {self.stderr!r}, " \
               f"{ {k: self.said[k] for k in ('requests', 'counts', 'errors', 'client')} if self.said else self.stdout}"

    @property
    def counts(self):
        return self.said["counts"]

    @property
    def errors(self):
        return {name: n for name, n in self.said["errors"].items() if n and name != "total"}

    def check_sums(self):
        """Whatever happened, nothing is lost between the figures."""
        counts, errors, latency = self.counts, self.said["errors"], self.said["latency"]
        assert errors["total"] == sum(errors[name] for name in ERRORS)
        unanswered = sum(errors[name] for name in ("closed", "reset", "timeout", "unanswered"))
        assert counts["sent"] == counts["answered"] + unanswered + errors["malformed"], self
        assert latency["count"] == self.said["requests"] == sum(n for _, n in latency["histogram_us"])
        values = [latency[f"{name}_us"] for name in ("p50", "p90", "p99", "p99.9", "max")]
        assert values == sorted(values)
        assert self.said["latency_if_sent"]["max_us"] <= latency["max_us"]


class Running(Run):
    """One that has begun, for tests that do something meanwhile."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        stdin=subprocess.DEVNULL)

    def wait(self):
        stdout, stderr = self.process.communicate(timeout=TIME)
        self.finish(self.process.returncode, stdout, stderr)
        return self
