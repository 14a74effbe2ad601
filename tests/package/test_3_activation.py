# SPDX-License-Identifier: BSD-2-Clause
"""iomuxd.socket: systemd listens, iomuxd takes over."""

import pytest

from machine import wait_until
from test_2_service import PAGE

ACTIVATED = """services = ( { name = "web"; protocol = "http"; listen = "systemd:web";
                              routes = ( { path = "/"; root = "/usr/share/iomuxd/www"; } ); } );
"""


@pytest.fixture
def activated(service):
    """activated(LINES, MORE): the socket unit with these lines, the service stopped, both begin anew."""
    def activate(lines="ListenStream=8090", more=""):
        service.systemctl("stop", "iomuxd.service")
        service.write("/etc/iomuxd.conf", ACTIVATED + more)
        service.write("/etc/systemd/system/iomuxd.socket.d/test.conf", f"[Socket]\nListenStream=\n{lines}\n")
        service.systemctl("daemon-reload")
        service.systemctl("start", "iomuxd.socket")
        assert service.show("ActiveState") == "inactive"
        return service

    yield activate
    service.systemctl("stop", "iomuxd.socket", "iomuxd.service", check=False)
    service.path("/etc/systemd/system/iomuxd.socket.d/test.conf").unlink(missing_ok=True)
    service.systemctl("daemon-reload")


def started(machine):
    """The first worker answers before the last one is ready."""
    return wait_until(lambda: machine.show("ActiveState") == "active", "the end of the start")


def test_the_first_connection_starts_it(activated):
    machine = activated()
    assert PAGE in machine.get(8090).body
    assert started(machine)
    for address in "127.0.0.1", "::1":
        assert PAGE in machine.get(8090, address=address).body


def test_the_unit_as_it_is_shipped_takes_port_80(activated):
    machine = activated("ListenStream=80")
    assert PAGE in machine.get(80).body


def test_nobody_is_refused_while_it_is_restarted(activated):
    machine = activated()
    assert PAGE in machine.get(8090).body
    assert started(machine)
    master = machine.master()
    machine.systemctl("restart", "--no-block", "iomuxd.service")
    while machine.master() in (0, master):
        assert PAGE in machine.get(8090).body
    assert PAGE in machine.get(8090).body


def test_stopped_it_is_started_again_by_a_connection(activated):
    machine = activated()
    assert PAGE in machine.get(8090).body
    machine.systemctl("stop", "iomuxd.service")
    assert machine.show("ActiveState", "iomuxd.socket") == "active"
    assert PAGE in machine.get(8090).body
    assert started(machine)


def test_several_workers_share_one_socket(activated):
    machine = activated(more="workers = 3;")
    for _ in range(20):
        assert PAGE in machine.get(8090).body
    assert started(machine)
    assert len(machine.workers()) == 3


def test_with_reuseport_each_worker_has_a_socket(activated):
    machine = activated("ReusePort=yes\n" + "ListenStream=8090\n" * 3, "workers = 3;")
    for _ in range(60):
        assert PAGE in machine.get(8090).body
    assert started(machine)
    assert len(machine.workers()) == 3
    # a connection that the kernel gave to a queue without a worker would wait for ever
    machine.systemctl("restart", "iomuxd.service")
    for _ in range(60):
        assert PAGE in machine.get(8090).body


def test_a_reload_keeps_the_activated_socket(activated):
    machine = activated()
    assert PAGE in machine.get(8090).body
    assert started(machine)
    master = machine.master()
    machine.configure(ACTIVATED + "workers = 2;\n", "reload")
    assert machine.master() == master
    wait_until(lambda: len(machine.workers()) == 2, "two workers")
    assert PAGE in machine.get(8090).body


def test_without_the_socket_unit_the_start_fails_and_says_so(activated):
    machine = activated()
    machine.systemctl("stop", "iomuxd.socket")
    since = machine.cursor()
    assert machine.systemctl("start", "iomuxd.service", check=False).returncode != 0
    machine.wait_journal("systemd:web", since)
    machine.systemctl("stop", "iomuxd.service", check=False)
    wait_until(lambda: machine.show("ActiveState") in ("inactive", "failed"), "its end")
