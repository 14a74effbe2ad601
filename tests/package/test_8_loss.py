# SPDX-License-Identifier: BSD-2-Clause
"""What only a service manager makes possible: a daemon that is restarted, upgraded or killed while clients of every kind
are at work (tests/matrix/meter.py), and none of them notices: nobody is refused, what waits in a queue is answered by
whoever comes, connections that are kept go on, and counters too.  Here the ground for that: the machine, and a reload."""

import pathlib
import sys

import pytest

from machine import wait_until

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "matrix"))
import loss                                                                     # noqa: E402

WORKERS = 2
PORTS = {"web": 8200, "echo": 8207, "udp": 8207, "greet": 8202}
HOME = "/var/lib/iomuxd"        # its sockets
FILES = "/srv/loss"
SETTINGS = 'generations = 32;\nlimits : { datagrams_per_address = 0; };\ntimeouts : { drain = 10; };\n'


class Rig:
    """The machine's service with everything to lose, and its clients in the machine's network."""

    def __init__(self, machine):
        self.machine, self.mark = machine, 0
        machine.path(FILES).mkdir(mode=0o755, parents=True, exist_ok=True)
        self.site = loss.Site(machine.path(FILES))
        self.configure()
        inside = pathlib.Path(f"/proc/{machine.init}/root")     # a way to files and sockets that are only in there
        sockets = {name: f"{inside}{HOME}/{name}.sock" for name in self.site.sockets}
        self.plan = self.site.plan(PORTS, loss.BUSY | loss.IDLE | loss.LONG, sockets=sockets)
        self.control = f"{inside}/run/iomuxd/control.sock"

    def text(self):
        services = self.site.services(ports=PORTS, www=f"{FILES}/loss-www", run=HOME, mark=self.mark)
        return f"workers = {WORKERS};\n{SETTINGS}services = (\n{services}\n);\n"

    def configure(self):
        self.mark += 1
        self.machine.write("/etc/iomuxd.conf", self.text())

    def meter(self):
        return loss.Meter(self.plan, before=["nsenter", f"--net=/proc/{self.machine.init}/ns/net", "--"])

    def watch(self):
        return loss.Watch(self.control, gaps=True)

    def totals(self):
        return loss.ask_control(self.control)["totals"]


@pytest.fixture(scope="module")
def rig(machine, built):
    machine.install(built.older)
    made = Rig(machine)
    # systemd counts restarts, and here they are many
    machine.write("/etc/systemd/system/iomuxd.service.d/loss.conf", "[Unit]\nStartLimitIntervalSec=0\n")
    machine.systemctl("daemon-reload")
    machine.systemctl("restart", "iomuxd.service")
    return made


def measure(rig, operation, times, allowed=lambda note: False, exact=True):
    """The operation so many times, under load; prints what it did to the clients (run with -s, or see a failure)."""
    base = wait_until(lambda: quiet_totals(rig), "the end of the connections before")
    with rig.meter() as meter, rig.watch() as watch:
        for _ in range(times):
            with meter.operation(operation.__name__):
                operation(rig)
        report = meter.finish()
    print("\n".join(loss.table(report, meter.operations)))
    loss.check_losses(report, allowed)
    assert not watch.wrong, watch.wrong[:10]
    if exact:
        loss.check_counters(report, watch, base)
    return report


def quiet_totals(rig):
    status = loss.ask_control(rig.control)
    return status["totals"] if status["connections"] == 0 else None


# --- what is done to it ---------------------------------------------------------------------------------------------

def reload(rig):
    rig.configure()
    rig.machine.systemctl("reload", "iomuxd.service")


# --- and what it loses ----------------------------------------------------------------------------------------------

def test_reload(rig):
    report = measure(rig, reload, 5)
    assert report["counts"].get("told to close", 0) == 0
