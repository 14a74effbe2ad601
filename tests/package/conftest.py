# SPDX-License-Identifier: BSD-2-Clause
"""Tests of the Debian package on a booted Debian 12; tests/package/run makes what they need and calls them.

Fixtures
  built      what was built: .package .older (the same with a lower version) .first .second (folders of two builds)
             .version
  machine    a booted machine of the module's own, on which nothing is installed yet
  service    the same with the package installed; after each test the configuration is the one of the package again
             and the service runs on it

Tests of a module run in the order in which they stand, on one machine; each leaves the machine as it found it, unless
the module says that it tells a story."""

import os
import pathlib
import subprocess

import pytest

from machine import Machine

WORK = pathlib.Path(os.environ["IOMUXD_PACKAGE_WORK"])
ROOT = os.environ["IOMUXD_PACKAGE_ROOT"]
TEST_S = 120            # a test that takes longer hangs


class Built:
    def __init__(self):
        self.first = WORK / "first"
        self.second = WORK / "second" / "of-another-length"
        self.older = WORK / "older" / "iomuxd_older.deb"
        self.package, = (p for p in self.first.glob("iomuxd_*.deb"))
        self.bench, = (p for p in self.first.glob("iomux-bench_*.deb"))
        self.version = self.field("Version")

    def field(self, name):
        return subprocess.run(["dpkg-deb", "-f", self.package, name], check=True, capture_output=True,
                              text=True).stdout.strip()


def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.timeout(TEST_S))


@pytest.fixture(scope="session")
def built():
    return Built()


@pytest.fixture(scope="module")
def unbooted(request):
    machine = Machine(ROOT, WORK / f"machine-{request.module.__name__}")
    yield machine
    machine.halt()


@pytest.fixture(scope="module")
def machine(unbooted):
    return unbooted.boot()


@pytest.fixture(scope="module")
def installed(machine, built):
    machine.install(built.package)
    machine.sample = machine.read("/etc/iomuxd.conf")
    return machine


@pytest.fixture
def service(installed):
    yield installed
    installed.write("/etc/iomuxd.conf", installed.sample)
    installed.systemctl("reset-failed", "iomuxd.service", "iomuxd.socket", check=False)
    installed.systemctl("restart", "iomuxd.service")
