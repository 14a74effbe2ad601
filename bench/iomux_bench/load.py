# SPDX-License-Identifier: BSD-2-Clause
"""What is asked of the servers: iomux-load, connections that rest, one answer to be copied."""
import json
import os
import re
import signal
import socket
import subprocess

from iomux_bench import meter, plan
from iomux_bench.process import Failure, tied

ANSWER_S = 10
TIMEOUT_S = 5               # for an answer, under load
TIMEOUT_MANY_S = 30         # the same with MANY connections: until the last of them has its thread, and its turn
DATAGRAM_S = 0.5            # after that one is lost
LONG_S = 60                 # more than any step takes: it is told when to end
WARM_S = 0.2                # of a fixed rate, beside the time in which each connection asks once,
WARM_MOST_S = 4             # which would be too long for very many at a low rate
SOURCE_PORTS = 20000        # connections that one source address can have for sure
LATENCIES = {"p50": "p50_us", "p90": "p90_us", "p99": "p99_us", "p99.9": "p99.9_us", "max": "max_us", "mean": "mean_us"}


def sources(connections):
    """Source addresses for so many connections: several, where one has not enough ports."""
    return f"127.0.0.1-127.0.0.{min(250, 1 + 4 * connections // SOURCE_PORTS)}" if connections >= 5000 else ""


def warm_s(active, rate):
    """How long requests are sent at a fixed rate before it is measured: half as long again as all connections take to ask."""
    return min(1.5 * active / rate, WARM_MOST_S)


class Load:
    """An iomux-load at work."""

    def __init__(self, program, site, server, cell, cpus, seconds=None, rate=None):
        workload = plan.BY_NAME.get(cell.workload, plan.DISK_LOAD)
        active, idle = plan.split(cell)
        workers = cpus.workers(active)
        timeout = DATAGRAM_S if workload.scheme == "echo+udp" else TIMEOUT_S if active < plan.MANY else TIMEOUT_MANY_S
        argv = [program, "-c", str(active), "-d", str(seconds or LONG_S), "--timeout", str(timeout), "-t", str(workers),
                "--json", "-", *workload.extra]
        argv += ["-i", str(idle)] if idle else []
        argv += ["-r", str(rate), "-w", f"{WARM_S + warm_s(active, rate):.2f}"] if rate else []
        argv += ["--source", sources(cell.connections)] if sources(cell.connections) else []
        argv += ["--verify", site.page(workload.path)] if workload.scheme == "http" else []
        self._errors = os.path.join(site.place("load"), "errors")
        with open(self._errors, "wb") as errors:
            self._process = subprocess.Popen([*argv, server.url(workload)], stdin=subprocess.DEVNULL,
                                             stdout=subprocess.PIPE, stderr=errors, start_new_session=True,
                                             preexec_fn=tied(set(cpus.load)))
        self._out = b""

    def over(self):
        return self._process.poll() is not None

    def spent(self):
        """{process: (ns that it ran, ns that it was ready to run and had no CPU)}"""
        made = {}
        for pid in meter.tree(self._process.pid):
            try:
                made[pid] = meter.cpu_ns([pid]), meter.waited_ns([pid])
            except OSError:
                pass                            # it has ended
        return made

    def finish(self, early=False):
        """What it says at the end.  early: it is told to end now."""
        if early:
            self._process.send_signal(signal.SIGINT)
        try:
            out, _ = self._process.communicate(timeout=LONG_S)
        except subprocess.TimeoutExpired as e:
            self.kill()
            raise Failure("iomux-load did not end") from e
        try:
            return json.loads(out)
        except ValueError as e:
            with open(self._errors, encoding="utf-8", errors="replace") as f:
                raise Failure(f"iomux-load failed: {f.read().strip() or 'it said nothing'}") from e

    def kill(self):
        if self._process.poll() is None:
            for pid in reversed(meter.tree(self._process.pid)):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        self._process.communicate()


def latency_of(result, key="latency"):
    """{p50: us, ...}, or None where nothing was answered."""
    latency = result[key]
    return {name: latency[field] for name, field in LATENCIES.items()} if latency["count"] else None


def reply_of(server, workload):
    """(head, body) of an answer, whole and as it came."""
    request = f"GET {workload.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n" + \
        ("Connection: close\r\n" if workload.name == "connect" else "") + "\r\n"
    try:
        with socket.create_connection(("127.0.0.1", server.port()), ANSWER_S) as s:
            s.sendall(request.encode())
            return _answer(s)
    except OSError as e:
        raise Failure(f"{workload.title}: {e}") from e


def _answer(s):
    data, length = b"", None
    while length is None or len(data) < length:
        more = s.recv(65536)
        if not more:
            raise Failure(f"the connection ended within an answer, after {len(data)} bytes")
        data += more
        end = data.find(b"\r\n\r\n") + 4
        if length is None and end > 3:
            size = re.search(rb"^Content-Length: *(\d+)", data[:end], re.I | re.M)
            if not size or not data.startswith(b"HTTP/1.1 200"):
                raise Failure(f"no answer that can be copied: {data[:end]!r}")
            length = end + int(size[1])
    return data[:end], data[end:]


def warm_up(server, requests):
    """Makes so many requests on one connection: a server that takes its buffers in turn has touched them all by then, and
    memory that it takes later is for connections."""
    try:
        with socket.create_connection(("127.0.0.1", server.port()), ANSWER_S) as s:
            for _ in range(requests):
                s.sendall(Crowd.REQUEST)
                if not s.recv(4096):
                    raise Failure("no answer")
    except OSError as e:
        raise Failure(f"a connection that was to warm it up: {e}") from e


class Crowd:
    """Connections that have each made one request, and rest."""

    REQUEST = b"GET /fixed HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

    def __init__(self, server, count):
        self._sockets = []
        try:
            for _ in range(count):
                s = socket.create_connection(("127.0.0.1", server.port()), ANSWER_S)
                self._sockets.append(s)
                s.sendall(self.REQUEST)
            for s in self._sockets:
                if not s.recv(4096):
                    raise Failure("no answer")
        except (OSError, Failure) as e:
            held = len(self._sockets)
            self.close()
            raise Failure(f"connection {held} of {count} that were to rest: {e}") from e

    def close(self):
        for s in self._sockets:
            s.close()
        self._sockets = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
