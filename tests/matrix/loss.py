# SPDX-License-Identifier: BSD-2-Clause
"""What is done to a running daemon while the loss meter (meter.py) runs, and what is concluded.

    with loss.Meter(plan(...)) as meter, loss.Watch(control socket) as watch:
        with meter.operation("reload"):     # the clients are busy before, and go on after
            ...
        loss.check(meter, watch)            # nothing lost, and the counters are right

`Meter` is the program and its answers, `Watch` reads the counters of the daemon all the time, `Site` is a configuration
with a service for each kind of client."""

import contextlib
import json
import random
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

PROGRAM = Path(__file__).resolve().parent / "meter.py"
ANSWER_S = 120              # the meter has deadlines of its own, which are shorter

# How many of each kind: a load that two slow cores bear beside everything else.
BUSY = {"Keep": 6, "KeepUnix": 2, "Fresh": 3, "FreshUnix": 1, "Pipeline": 2, "Download": 1, "Slow": 1, "Upload": 1,
        "Echo": 2, "EchoUnix": 1, "Greet": 2, "Datagrams": 4}
IDLE = {"SilentWeb": 8, "SilentUnix": 2, "SilentEcho": 3}
LONG = {"EchoLong": 2, "GreetLong": 2}

LARGE, MIDDLE = 6_000_000, 300_000
GREETING = "hello, meter\n"

# What the clients count, and by which name the daemon does; bytes are the same only where nothing was lost.
SAME = {"requests": "requests", "connections": "accepted", "datagrams sent": "datagrams"}
BYTES = {"bytes_sent": "bytes_received", "bytes_received": "bytes_sent"}


# --- what there is to lose ------------------------------------------------------------------------------------------

class Site:
    """A service for each kind of client, in files beneath a folder."""

    def __init__(self, folder, seed=3):
        self.folder = Path(folder)
        self.www = self.folder / "loss-www"
        self.www.mkdir(mode=0o755, exist_ok=True)
        rng = random.Random(seed)
        for name, size in ("one.bin", 700), ("two.bin", 40_000), ("large.bin", LARGE), ("middle.bin", MIDDLE):
            (self.www / name).write_bytes(rng.randbytes(size))
        self.sockets = {name: self.folder / f"{name}.sock" for name in ("unix", "unix_echo")}

    def services(self, host="127.0.0.1", ports=None, www=None, run=None, mark="0"):
        """ports: of web, echo, greet; 0 unless said.  www, run: where the daemon sees the folders.  mark: something that
        makes the configuration another one and changes nothing for the clients."""
        port = lambda name: f"{host}:{(ports or {}).get(name, 0)}"          # noqa: E731
        path = lambda name: f"unix:{run or self.folder}/{name}.sock"        # noqa: E731
        return f"""
            {{ name = "web"; protocol = "http"; listen = [ "{port('web')}", "{path('unix')}" ];
               routes = ( {{ path = "/"; root = "{www or self.www}"; }},
                          {{ path = "/fixed"; respond : {{ status = 200; body = "a fixed reply"; }}; }},
                          {{ path = "/upload"; respond : {{ status = 200; body = "taken"; }}; }},
                          {{ path = "/mark"; respond : {{ status = 200; body = "{mark}"; }}; }} ); }},
            {{ name = "echo"; protocol = "echo"; listen = [ "{port('echo')}", "{path('unix_echo')}",
                                                            "udp:{port('echo')}" ]; }},
            {{ name = "greet"; protocol = "greet"; listen = "{port('greet')}";
               greeting = "{GREETING.strip()}\\n"; }}"""

    def plan(self, ports, clients, host="127.0.0.1", sockets=None):
        """What the meter is told.  ports: of web, echo, greet, udp."""
        addresses = {name: [host, port] for name, port in ports.items()}
        addresses.update({name: str(path) for name, path in (sockets or self.sockets).items()})
        file = lambda name: {"file": str(self.www / name)}                  # noqa: E731
        return {"addresses": addresses, "greeting": GREETING, "clients": clients,
                "small": {"/fixed": {"text": "a fixed reply"}, "/one.bin": file("one.bin"), "/two.bin": file("two.bin")},
                "large": ["/large.bin", file("large.bin")], "middle": ["/middle.bin", file("middle.bin")],
                "upload": ["/upload", {"text": "taken"}]}


# --- the meter ------------------------------------------------------------------------------------------------------

class Meter:
    """The program, and when which operation went on."""

    def __init__(self, plan, before=()):
        """before: a command that runs it elsewhere (nsenter ...)."""
        self.process = subprocess.Popen([*before, sys.executable, str(PROGRAM)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.operations = []        # (name, begin, end)
        self.final = None
        self.say(json.dumps(plan))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for end in self.process.stdin, self.process.stdout:
            end.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, f"the meter ended with status {self.process.wait()}"
        return json.loads(answer)

    def more(self, n=2):
        late = self.say(f"more {n}").get("late")
        assert not late, f"clients got no further: {late}"

    def ask(self):
        late = self.say("ask").get("late")
        assert not late, f"idle clients got no answer: {late}"

    def report(self):
        return self.say("report")

    def finish(self):
        self.final = self.final or self.say("finish")
        assert not self.final["late"], f"{self.final['late']} clients did not come to an end"
        return self.final

    @contextlib.contextmanager
    def operation(self, name, ask=True):
        """Every busy client is at work before, and has gone on behind it; every idle one asks when it is over."""
        self.more()
        begin = time.monotonic()
        yield
        if ask:
            self.ask()
        self.more(1)
        self.operations.append((name, begin, time.monotonic()))


QUICK = 0.0, ""


def worst_pauses(report, operations):
    """Of the operations of each name: how many; the worst answer that was waited for meanwhile, and whose; how late the
    meter itself was meanwhile."""
    found = {}
    for name, begin, end in operations:
        slow = [(took, kind) for began, took, kind in report["slow"] if began < end and began + took > begin]
        late = [lag for at, lag in report["lags"] if begin < at < end + lag]
        count, worst, lag = found.get(name, (0, QUICK, 0.0))
        found[name] = count + 1, max([worst, *slow]), max([lag, *late])
    return found


def table(report, operations):
    """Lines for people."""
    counts = report["counts"]
    lines = [f"{counts.get('requests', 0)} requests, {counts.get('connections', 0)} connections, "
             f"{counts.get('datagrams sent', 0)} datagrams; told to close: {counts.get('told to close', 0)}; "
             f"answers: median {report['p50'] * 1000:.1f} ms, p99 {report['p99'] * 1000:.1f} ms, "
             f"worst {report['worst'] * 1000:.1f} ms"]
    lost = {what: n for what, n in report["lost"].items() if n}
    lines.append("lost: " + (", ".join(f"{n} {what}" for what, n in lost.items()) or "nothing"))
    for name, (count, (took, kind), late) in worst_pauses(report, operations).items():
        worst = f"{took * 1000:7.1f} ms, {kind}" if took else "under 5 ms"
        lines.append(f"  {name:<28} x{count:<3}  worst pause {worst} (the meter itself was {late * 1000:.1f} ms late)")
    return lines


# --- the daemon's own counters --------------------------------------------------------------------------------------

def ask_control(path, command="status"):
    """What iomuxctl does, without a process for each question."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(60)
        s.connect(str(path))
        s.sendall(json.dumps({"command": command}).encode() + b"\n")
        answer = bytearray()
        while piece := s.recv(1 << 16):
            answer += piece
    return json.loads(answer)


class Watch:
    """Reads the counters all the time: they must not go back.  `gaps`: the control socket may be away for a moment."""

    PAUSE_S = 0.05

    def __init__(self, control, gaps=False):
        self.control, self.gaps = control, gaps
        self.before, self.wrong, self.looks = {}, [], 0
        self.over, self.one = threading.Event(), threading.Lock()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.look()
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def look(self):
        """The status now; None: nobody answers, which is wrong unless there may be gaps."""
        with self.one:          # two answers must not overtake each other
            try:
                status = ask_control(self.control)
            except (OSError, ValueError) as e:
                if not self.gaps:
                    self.wrong.append(f"the control socket: {e!r}")
                return None
            self.compare(status["totals"])
        return status

    def compare(self, totals):
        for name, value in totals.items():
            if value < self.before.get(name, 0):
                self.wrong.append(f"{name} went back from {self.before[name]} to {value}")
            self.before[name] = value
        self.looks += 1

    def run(self):
        while not self.over.wait(self.PAUSE_S):
            self.look()


# --- conclusions ----------------------------------------------------------------------------------------------------

def check_losses(report, allowed=lambda note: False):
    """allowed: says of a note whether that may be."""
    noted = [note for note in report["noted"] if not allowed(note)]
    listed = len(report["noted"]) == sum(report["lost"].values())
    lines = [f"{n['what']} ({n['kind']}): {n['why']}; connection of {n['at'] - n['born']:.3f} s, "
             f"waited {n['at'] - n['since']:.3f} s" for n in noted[:20]]
    assert not noted and listed, f"lost: {report['lost']}\n" + "\n".join(lines)


def check_counters(report, watch, base=None):
    """The daemon has counted what the clients have, at the latest in a moment.  base: the totals before the clients."""
    assert not watch.wrong, watch.wrong[:10]
    base, mine, deadline = base or {}, report["counts"], time.monotonic() + 20
    same = SAME | ({} if any(report["lost"].values()) else BYTES)
    while True:
        totals = ask_control(watch.control)["totals"]
        theirs = {name: totals[their] - base.get(their, 0) for name, their in same.items()}
        wanted = {name: mine.get(name, 0) for name in same}
        if theirs == wanted and totals["accepted"] == totals["closed"]:
            return
        assert time.monotonic() < deadline, f"the daemon counted {theirs}, its clients {wanted}; {totals}"
        time.sleep(0.05)


def report_table(record_property, title, meter):
    """For the end of the test run (see conftest)."""
    for line in [title, *table(meter.final, meter.operations)]:
        record_property("loss", line)
