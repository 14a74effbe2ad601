# SPDX-License-Identifier: BSD-2-Clause
"""The package on a machine over the years: installed, changed, upgraded, removed, purged.  One story, in order."""

import pytest

from machine import wait_until
from test_2_service import PAGE

MARK = "# a line of the administrator\n"


@pytest.fixture(scope="module")
def life(machine):
    machine.before = machine.files()
    return machine


def test_installing_an_older_one(life, built):
    life.install_by_apt(built.older)
    assert life.run("dpkg-query", "-W", "-f", "${Version}", "iomuxd").stdout == f"{built.version}~before"
    assert PAGE in life.get(8080).body


def test_upgrading_takes_over_while_it_serves_and_asks_nothing(life, built):
    life.write("/etc/iomuxd.conf", MARK + life.read("/etc/iomuxd.conf"))
    master = life.master()
    done = life.install(built.package)
    assert "onfiguration file" not in done.output
    assert life.run("dpkg-query", "-W", "-f", "${Version}", "iomuxd").stdout == built.version
    assert life.master() == master
    assert life.sh(f"readlink /proc/{master}/exe").stdout.strip() == "/usr/sbin/iomuxd"
    assert life.read("/etc/iomuxd.conf").startswith(MARK)
    assert PAGE in life.get(8080).body


def test_installing_the_same_again(life, built):
    life.install(built.package)
    assert life.read("/etc/iomuxd.conf").startswith(MARK)
    assert PAGE in life.get(8080).body


def test_what_the_administrator_disabled_stays_disabled(life, built):
    life.systemctl("disable", "--now", "iomuxd.service")
    life.install(built.older, "--force-downgrade")
    life.install(built.package)
    assert life.systemctl("is-enabled", "iomuxd.service", check=False).stdout.strip() == "disabled"
    assert life.show("ActiveState") == "inactive"
    life.systemctl("enable", "--now", "iomuxd.service")
    assert PAGE in life.get(8080).body


def test_an_upgrade_with_a_broken_configuration_does_not_break_dpkg(life, built):
    good = life.read("/etc/iomuxd.conf")
    life.write("/etc/iomuxd.conf", good + "wrokers = 2;\n")
    master = life.master()
    life.install(built.older, "--force-downgrade")
    done = life.install(built.package)
    assert "the configuration has errors: the program from before the upgrade goes on" in done.output
    assert life.run("dpkg-query", "-W", "-f", "${db:Status-Status}", "iomuxd").stdout == "installed"
    assert life.master() == master and PAGE in life.get(8080).body
    life.configure(good)
    assert PAGE in life.get(8080).body


def test_removing_stops_it_and_keeps_what_is_the_administrators(life):
    life.write("/var/log/iomuxd/access.log", "a line\n")
    life.run("dpkg", "-r", "iomuxd")
    assert life.refuses(8080)
    wait_until(lambda: life.sh("pidof iomuxd || echo none").stdout.strip() == "none", "the end of all processes")
    assert life.read("/etc/iomuxd.conf").startswith(MARK)
    assert life.read("/var/log/iomuxd/access.log") == "a line\n"
    assert not life.path("/lib/systemd/system/iomuxd.service").exists()


def test_installing_after_removal_takes_up_the_configuration(life, built):
    life.install(built.package)
    assert life.read("/etc/iomuxd.conf").startswith(MARK)
    assert PAGE in life.get(8080).body


def test_purging_leaves_nothing(life):
    life.systemctl("enable", "--now", "iomuxd.socket", check=False)
    life.run("dpkg", "-P", "iomuxd")
    after = life.files()
    assert sorted(set(after) - set(life.before)) == []
    assert sorted(set(life.before) - set(after)) == []
    for folder in "/var/log/iomuxd", "/var/lib/iomuxd", "/run/iomuxd":
        assert life.run("test", "-e", folder, check=False).returncode == 1
    assert life.run("dpkg-query", "-W", "iomuxd", check=False).returncode != 0
    assert life.refuses(8080) and life.refuses(80) and life.refuses(80, "::1")
    # Debian keeps accounts: their numbers must not come to another owner of files
    assert life.run("id", "-u", "iomuxd").returncode == 0
    assert life.systemctl("--failed", "--plain", "--no-legend").stdout == ""
