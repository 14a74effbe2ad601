# SPDX-License-Identifier: BSD-2-Clause
"""What workers and their master have given up.

The test binary has a service that tries what must be forbidden (tests/sandbox/probe.c).  The same tries succeed
without the sandbox, so that each of these checks can fail."""

import contextlib
import os
import re
import socket
from pathlib import Path

import pytest

from client import Http
from harness import Probe, proc_tasks, wait_until
from sites import HELLO, RESPOND_HELLO, http_service, root_route, tiny_service

FORBIDDEN = {"EPERM", "EACCES"}
IS_ROOT = os.geteuid() == 0
# As root the workers stay root, so that it is not their account that forbids.
SAME_USER = 'user = "root"; group = "root";\n' if IS_ROOT else ""
# What a master keeps, by number (linux/capability.h): chown, dac_override, dac_read_search, fowner, kill, setgid,
# setuid, setpcap, net_bind_service.
MASTER_KEEPS = sum(1 << n for n in (0, 1, 2, 3, 5, 6, 7, 8, 10))


@pytest.fixture
def whole(sanitizer, needs):
    """The tests of what is enforced; a build without a part has no such tests."""
    if sanitizer is not None:
        pytest.skip("a build with sanitizers has half of the sandbox")
    needs("libseccomp")


def enforced(d):
    """What the log says that workers have given up."""
    return d.wait_log(r"sandbox: pool main: (.*)").group(1)


def status_field(pid_or_task, field):
    path = pid_or_task if isinstance(pid_or_task, Path) else Path(f"/proc/{pid_or_task}")
    return re.search(rf"^{field}:\s+(\S+)", (path / "status").read_text(), re.M).group(1)


def yama_forbids_tracing():
    path = Path("/proc/sys/kernel/yama/ptrace_scope")
    return not IS_ROOT and path.exists() and path.read_text().strip() != "0"


# --- tries ----------------------------------------------------------------------------------------------------

@pytest.fixture
def tried(daemon, probe_bin, www, tmp_path, features, model):
    """tried("auto") -> (what the log says, {try: result}) of a worker that serves a folder."""

    def run(sandbox):
        folder, beside = www({"a.html": b"<p>a</p>\n"}), tmp_path / "beside"
        beside.write_text("secret")
        paths = [str(beside)] + (["/etc/shadow"] if IS_ROOT else [])
        d = daemon(tiny_service("discard", name="probe") + ",\n" + http_service(root_route(folder)),
                   settings=f'sandbox = "{sandbox}";\n' + SAME_USER, binary=probe_bin)
        probe = Probe(d)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            tries = [f"open {path}" for path in paths] + [f"write {tmp_path}/written", "exec", "netlink", "bind",
                     f"connect {listener.getsockname()[1]}", "ptrace", "signal", "code"]
            if "liburing" in features:
                tries += [f"ring {path}" for path in paths]
            if model == "io_uring":
                tries += [f"own-ring {path}" for path in paths]
            found = {t: probe.ask(t) for t in tries}
        assert Http(d.connect("web")).get("/a.html").body == b"<p>a</p>\n", "it cannot serve what it should"
        return enforced(d), found

    return run


def test_what_a_worker_must_not_do_is_forbidden(tried, whole, model):
    said, found = tried("auto")
    assert "no_new_privs, no capabilities" in said and "seccomp" in said
    if "landlock" not in said:
        found = {t: result for t, result in found.items() if not t.startswith(("open", "write"))}
    assert all(result in FORBIDDEN for result in found.values()), found


def test_without_the_sandbox_it_is_all_possible(tried, model):
    said, found = tried("off")
    assert said.startswith("off")
    own_ring = [found.pop(t) for t in list(found) if t.startswith("own-ring")]
    assert all(result in FORBIDDEN for result in own_ring), "rings are restricted in any case"
    if yama_forbids_tracing():
        del found["ptrace"]
    assert all(result == "ok" for result in found.values()), found


# --- what the kernel says -------------------------------------------------------------------------------------

def test_every_thread_of_a_worker_is_closed(daemon, www, whole, model):
    services = [tiny_service("echo", listen='udp:127.0.0.1:0'), http_service(root_route(www({"a": 70000})))]
    d = daemon(",\n".join(services))
    connections = [Http(d.connect("web")) for _ in range(5)]
    for web in connections:
        assert len(web.get("/a").body) == 70000
    assert "seccomp" in enforced(d)
    seen = 0
    for task in proc_tasks(d.worker()):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):    # a thread of aio has ended meanwhile
            assert status_field(task, "NoNewPrivs") == "1"
            assert status_field(task, "Seccomp") == "2"
            for field in ("CapInh", "CapPrm", "CapEff", "CapAmb") + (("CapBnd",) if IS_ROOT else ()):
                assert int(status_field(task, field), 16) == 0, field
            seen += 1
    assert seen > 0


def test_a_master_keeps_what_it_needs(daemon, sanitizer):
    d = daemon(http_service(RESPOND_HELLO))
    assert status_field(d.pid, "NoNewPrivs") == "1"
    if IS_ROOT:
        mine = int(status_field(os.getpid(), "CapBnd"), 16)
        for field in ("CapPrm", "CapEff", "CapBnd"):
            assert int(status_field(d.pid, field), 16) == MASTER_KEEPS & mine, field
    d = daemon(http_service(RESPOND_HELLO), settings='sandbox = "off";')
    assert status_field(d.pid, "NoNewPrivs") == status_field(os.getpid(), "NoNewPrivs")
    assert status_field(d.pid, "CapBnd") == status_field(os.getpid(), "CapBnd")


def test_memory_of_a_worker_is_its_own(daemon, whole, model):
    """Not dumpable: its files in /proc are root's, even for its own account."""
    d = daemon(http_service(RESPOND_HELLO))
    assert os.stat(f"/proc/{d.worker()}/mem").st_uid == 0


def test_status_says_what_each_worker_has_given_up(daemon, model):
    d = daemon(http_service(RESPOND_HELLO), workers=2)
    said = enforced(d)
    status = d.ask("status")
    assert [w["sandbox"] for w in status["workers"]] == [said.split("; missing")[0]] * 2
    assert said.split("; missing")[0] in d.ctl("status").stdout
    d.configure(d.config.read_text() + 'sandbox = "off";\n')
    d.reload()
    (worker, *_) = [w for w in d.ask("status")["workers"] if w["state"] == "ready"]
    assert worker["sandbox"] in ("off", "off, ring restrictions")


def test_a_reload_closes_the_master_too(daemon, sanitizer):
    d = daemon(http_service(RESPOND_HELLO), settings='sandbox = "off";')
    d.configure(d.config.read_text().replace('"off"', '"auto"'))
    d.reload()
    assert status_field(d.pid, "NoNewPrivs") == "1"
    d.reload()          # with what is left it can do it again
    assert Http(d.connect()).get("/hello").body == HELLO


# --- the setting ----------------------------------------------------------------------------------------------

def test_require_serves_where_everything_is_there(daemon, whole, model):
    d = daemon(http_service(RESPOND_HELLO), settings='sandbox = "require";', ready=False)
    if re.search(r"sandbox: \"require\": ", d.log()) or not d.alive():
        pytest.skip("this kernel has not all of it")
    d.wait_ready()
    assert "landlock" in enforced(d) and "missing" not in enforced(d)
    assert Http(d.connect()).get("/hello").body == HELLO


def test_require_is_refused_where_something_is_missing(daemon, features, sanitizer):
    if sanitizer is None and "libseccomp" in features:
        pytest.skip("nothing is missing in this build")
    d = daemon(http_service(RESPOND_HELLO), settings='sandbox = "require";', ready=False)
    d.expect_status(1)
    assert d.wait() == 1
    assert re.search(r'iomuxd\.conf:\d+: sandbox: "require": (.* is )?not in (this|a) build', d.log())


def test_what_is_enforced_is_said_once_for_a_pool(daemon, others):
    pools = ", ".join(f'{{ name = "p{i}"; io_model = "{m}"; workers = 2; }}' for i, m in enumerate(others[:2]))
    d = daemon(http_service(RESPOND_HELLO), settings=f"pools = ( {pools} );")
    wait_until(lambda: d.log().count(": ready\n") == 4, what="all workers being ready")
    assert [m.group(1) for m in re.finditer(r"sandbox: pool (\S+): no_new_privs", d.log())] == ["p0", "p1"]
