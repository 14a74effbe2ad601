# SPDX-License-Identifier: BSD-2-Clause
"""Restarted, upgraded, and its master killed, while clients of every kind are at work: nobody notices.  Who is refused,
reset, cut, or finds a connection ended that was to be kept has lost something, and so have counters that go back."""

import time

import pytest

from machine import wait_until
from test_8_loss import WORKERS, Rig, measure


@pytest.fixture(scope="module")
def rig(machine, built):
    machine.install(built.older)
    made = Rig(machine)
    machine.write("/etc/systemd/system/iomuxd.service.d/loss.conf", "[Unit]\nStartLimitIntervalSec=0\n")
    machine.systemctl("daemon-reload")
    machine.systemctl("restart", "iomuxd.service")
    made.packages = [built.package, built.older]
    return made


def program(machine):
    return machine.sh("readlink /proc/$(systemctl show -P MainPID iomuxd.service)/exe").stdout.strip()


# --- what is done to it ---------------------------------------------------------------------------------------------

def restart(rig):
    rig.machine.systemctl("restart", "iomuxd.service")


def upgrade(rig):
    """To and fro: dpkg replaces the file each time."""
    package = rig.packages[0]
    rig.packages.reverse()
    master = rig.machine.master()
    done = rig.machine.install(package, "--force-downgrade")
    assert "restarting it" not in done.output, done.output
    assert rig.machine.master() == master
    assert program(rig.machine) == "/usr/sbin/iomuxd", "the new file, not a deleted one"


def master_killed(rig):
    master = rig.machine.master()
    rig.machine.kill(master, "KILL")
    wait_until(lambda: rig.machine.master() not in (0, master), "another master", 30)
    wait_until(lambda: rig.machine.show("ActiveState") == "active", "the end of its start", 30)


# --- and what it loses ----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("operation, times", [(restart, 5), (master_killed, 3), (upgrade, 3)])
def test_nothing_is_taken_from_anybody(rig, operation, times):
    measure(rig, operation, times)


# --- what is kept ---------------------------------------------------------------------------------------------------

def kept(machine):
    return int(machine.show("NFileDescriptorStore"))


def test_the_store_has_one_socket_for_each_worker_and_address_and_the_counters_and_the_lobby(rig):
    addresses, files = 4, len(rig.site.sockets)
    wait_until(lambda: kept(rig.machine) == addresses * WORKERS + files + 2,
               f"{addresses} x {WORKERS} + {files} + 2 descriptors in the place of {kept(rig.machine)}")


def test_a_program_that_cannot_take_over_is_said_and_restarted(rig):
    machine = rig.machine
    master = machine.master()
    machine.write("/usr/sbin/iomuxd.broken", "no program\n")
    machine.sh("chmod 755 /usr/sbin/iomuxd.broken; mv /usr/sbin/iomuxd /usr/sbin/iomuxd.good; "
               "mv /usr/sbin/iomuxd.broken /usr/sbin/iomuxd")
    done = machine.systemctl("reload", "iomuxd.service", check=False)
    assert done.returncode != 0
    machine.wait_journal("/usr/sbin/iomuxd: Exec format error")
    assert machine.master() == master and machine.show("ActiveState") == "active"
    machine.sh("mv /usr/sbin/iomuxd.good /usr/sbin/iomuxd")
    machine.systemctl("reload", "iomuxd.service")
    assert machine.master() == master


def test_a_stop_leaves_no_process_and_no_socket(rig):
    machine = rig.machine
    machine.systemctl("stop", "iomuxd.service")
    assert machine.sh("pidof iomuxd || echo none").stdout.strip() == "none"
    assert kept(machine) == 0
    began = time.monotonic()
    machine.systemctl("start", "iomuxd.service")
    assert machine.show("ActiveState") == "active" and time.monotonic() - began < 30
