# SPDX-License-Identifier: BSD-2-Clause
"""The servers that are measured: iomuxd with one worker on one model, and the bare floor.  How each is started, and
what it says of itself: counters, and for iomuxd its model by its own statistics."""
import grp
import mmap
import os
import pwd
import re
import struct

from iomux_bench import meter, plan, talk
from iomux_bench.process import Failure, Running

FIXED_BODY = b"Hello, World!\n"
COUNTERS = ("accepted", "wakeups", "events", "receives", "sends", "would_block", "syscalls", "bytes_received",
            "bytes_sent", "refused", "refused_full", "resets", "timeouts")
CAPACITY_MIN = 1000

# No watchdog: with ten thousand threads that work the loop which accepts may wait long for its turn.
CONFIG = """\
workers = 1;
watchdog = 0;
io_model = "%(model)s";
control = "%(control)s";
%(user)s
log : { target = "stderr"; level = "notice"; };
access_log : { target = "off"; };
timeouts : { header = 60; send = 60; idle = 600; drain = 1; };
limits : { connections = %(capacity)d; requests = 0; datagrams_per_address = 0; };
services = (
  { name = "bench"; protocol = "http"; listen = [ "127.0.0.1:0" ];
    routes = ( { path = "/"; root = "%(root)s"; direct_io = "%(direct)s"; },
               { path = "/fixed"; respond : { status = 200; type = "text/plain"; body = "%(body)s"; }; } ); },
  { name = "echo"; protocol = "echo"; listen = [ "127.0.0.1:0", "udp:127.0.0.1:0" ]; }
);
"""


def page_bytes(size):
    """Contents of a file to be served: text that differs from line to line."""
    return b"".join(b"%015d\n" % n for n in range(size // 16 + 1))[:size]


class Site:
    """The folder with all files of a run."""

    PAGES = {"/small.txt": plan.SMALL, "/large.txt": plan.LARGE, "/disk.bin": plan.DISK}

    def __init__(self, folder):
        self.folder = folder
        self.www = os.path.join(folder, "www")
        self._count = 0
        os.chmod(folder, 0o755)         # workers that have dropped root read from it
        os.mkdir(self.www, 0o755)
        for path, size in self.PAGES.items():
            self._write(self.page(path), page_bytes(size))
        self._write(self.page("/fixed"), FIXED_BODY)    # for the load to compare with
        self.fixed = self.page("/fixed")

    @staticmethod
    def _write(path, content):
        with open(path, "wb") as f:
            f.write(content)
        os.chmod(path, 0o644)

    def page(self, path):
        return self.www + path

    def place(self, name):
        self._count += 1
        made = os.path.join(self.folder, f"{self._count}-{re.sub('[^a-z_-]+', '-', name)}")
        os.mkdir(made, 0o755)
        return made


def user_line():
    """Whom root has its workers be."""
    if os.geteuid() != 0:
        return ""
    account = pwd.getpwnam("nobody")
    return f'user = "{account.pw_name}"; group = "{grp.getgrgid(account.pw_gid).gr_name}";'


class Iomuxd:
    """iomuxd with one worker, that has been started and says that it is ready."""

    def __init__(self, site, binary, model, cpu, capacity, direct=False):
        self.model = model
        self._direct = direct
        place = site.place(model)
        self._control = os.path.join(place, "control.sock")
        config = os.path.join(place, "iomuxd.conf")
        text = CONFIG % {
            "model": model, "control": self._control, "root": site.www, "direct": "on" if direct else "off",
            "capacity": max(capacity, CAPACITY_MIN), "body": FIXED_BODY.decode().replace("\n", "\\n"),
            "user": user_line()}
        with open(config, "w", encoding="utf-8") as f:
            f.write(text)
        self._running = Running(f"iomuxd on {model}", [binary, "-c", config], cpu, place)
        try:
            self._running.wait_ready(self._ready)
            self.pids = [w["pid"] for w in self.status()["workers"]]
            self._free_master()
        except BaseException:
            self.stop()
            raise

    def _ready(self, log):
        self.ports = {match[1] + ("+udp" if match[2] else ""): int(match[3])
                      for match in re.finditer(r"listening: (\w+) (udp:)?\S*:(\d+) ", log)}
        return int("ready: " in log)

    def url(self, workload):
        port = self.ports[{"http": "bench", "echo": "echo", "echo+udp": "echo+udp"}[workload.scheme]]
        return f"{workload.scheme}://127.0.0.1:{port}{workload.path}"

    def port(self):
        return self.ports["bench"]

    def log(self):
        return self._running.log()

    def _free_master(self):
        """The worker has its CPU for itself, and who answers for it another where there is one: among ten thousand threads
        the master would wait for its turn."""
        for pid in self.family():
            if pid not in self.pids:
                os.sched_setaffinity(pid, os.sched_getaffinity(0))

    def lives(self):
        """Is the worker still there that was started?"""
        return all(meter.started(pid) for pid in self.pids)

    def family(self):
        """All its processes, the master among them."""
        return meter.tree(self._running.pid)

    def status(self):
        return talk.ask_control(self._control)

    def said(self):
        """{served, connections, model and counters}, from its own statistics."""
        status = self.status()
        total, everything = status["totals"], status["all"]
        made = {key: total[key] for key in COUNTERS}
        made["served"] = total["requests"] + total["messages"] + total["datagrams"]
        made["open"] = status["connections"]
        made["switches"] = everything["switches_own"] + everything["switches_forced"]
        made["used"] = everything["cpu_user_us"], everything["cpu_system_us"]
        made["models"] = sorted({p["model"] for p in status["pools"]} | {w["model"] for w in status["workers"]})
        made["pids"] = [w["pid"] for w in status["workers"]]
        return made

    def check(self, said):
        """The figures must be of this model and of the worker that was started."""
        if said["models"] != [self.model]:
            raise Failure(f"iomuxd was told {self.model} and runs {' '.join(said['models'])}: no figure is taken from that")
        if said["pids"] != self.pids:
            raise Failure(f"the worker on {self.model} was replaced while it was measured:\n{self.log()}")
        if self._direct and "direct_io is refused" in self.log():
            raise Failure("the file system of the temporary folder has no direct I/O (see --folder)")

    def stop(self):
        self._running.stop(times=2)     # the second ends it at once: nobody waits for answers any more


class Floor:
    """The bare loop, which counts what it does in a page that it shares with us."""

    model = plan.FLOOR

    def __init__(self, site, binary, workload, reply, cpu):
        """reply: (head, body) that iomuxd gave for this workload; the floor sends the same bytes."""
        place = site.place("floor")
        self._page = os.path.join(place, "counts")
        with open(self._page, "wb") as f:
            f.truncate(mmap.PAGESIZE)
        argv = [binary, "-s", self._page]
        if workload.scheme == "http":
            head, body = reply
            file = os.path.join(place, "reply")
            in_file = workload.name == "large"
            with open(file, "wb") as f:
                f.write(head if in_file else head + body)
            argv += ["-c"] if workload.name == "connect" else []
            argv += ["-f", site.page(workload.path)] if in_file else []
            argv.append(file)
        else:
            argv.append("-u" if workload.scheme == "echo+udp" else "-e")
        self._running = Running("the floor", argv, cpu, place)
        try:
            self._running.wait_ready(lambda log: int(log) if log.strip().isdigit() else 0)
        except BaseException:
            self.stop()
            raise
        self.pids = [self._running.pid]

    def url(self, workload):
        return f"{workload.scheme}://127.0.0.1:{self._running.port}{workload.path}"

    def port(self):
        return self._running.port

    def log(self):
        return self._running.log()

    def lives(self):
        return all(meter.started(pid) for pid in self.pids)

    def family(self):
        return self.pids

    def said(self):
        with open(self._page, "rb") as f:
            served, opened, wakeups, calls = struct.unpack("=4Q", f.read(32))
        return {"served": served, "open": opened, "wakeups": wakeups, "syscalls": calls,
                "switches": meter.switches(self.pids)}

    def check(self, _said):
        pass

    def stop(self):
        self._running.stop()
