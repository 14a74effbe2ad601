# SPDX-License-Identifier: BSD-2-Clause
"""All of it, against the real daemon: every model is there, faults are seen, a run is stopped and gone on with, and a
browser opens the report.  With IOMUX_BENCH_WHOLE in the environment the run is a whole quick one."""
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import types

import pytest
from conftest import available, daemon

from iomux_bench import bench, plan, runner, server, state
from iomux_bench.process import Failure

HERE = os.path.dirname(os.path.abspath(__file__))
WHOLE = os.environ.get("IOMUX_BENCH_WHOLE")
DEBIAN = {"epoll", "epoll-level", "poll", "select", "nonblocking", "blocking", "sigio", "aio", "io_uring"}

DAEMON = """#!/bin/sh
# The daemon, but with something about it that is not as it should be.
%s
exec '%s' "$@"
"""


def run(program, *argv, cwd, timeout=400, env=None):
    return subprocess.run([program, *argv], cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False, env=env)


def another(tmp_path, program, change):
    """A daemon of our own making."""
    path = tmp_path / "another-iomuxd"
    path.write_text(DAEMON % (change, daemon(program)))
    path.chmod(0o755)
    return str(path)


def document(folder, name="iomux-bench"):
    with open(os.path.join(folder, f"{name}.json"), encoding="utf-8") as f:
        return json.load(f)


@pytest.fixture(scope="session")
def finished(program, tmp_path_factory):
    """A run that is over: (folder, what it printed)."""
    folder = tmp_path_factory.mktemp("run")
    part = () if WHOLE else ("-c", "10", "-w", "fixed,echo-udp", "--rounds", "1")
    done = run(program, "--quick", *part, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


@pytest.mark.timeout(500)
def test_every_model_is_measured_and_named_by_the_daemon_itself(program, finished):
    folder, printed = finished
    made = document(folder)
    assert {m["model"] for m in made["models"]} == DEBIAN
    assert [m["model"] for m in made["models"] if m["measured"]] == available(program)
    assert all(m["why"] for m in made["models"] if not m["measured"])
    fixed = [servers for cell, servers in made["cells"].items() if cell.startswith("speed fixed ")]
    for name in available(program):
        # Where a machine is so busy that connections cannot be made in time, there is a reason and no figure.
        seen = [servers[name] for servers in fixed if name in servers]
        assert all(s.get("failed") or s["cpu_us"]["median"] > 0 for s in seen), (name, seen)
        assert any("cpu_us" in s for s in seen), (name, seen)
    for name in available(program):
        assert re.search(rf"^{name} ", printed, re.M)
    assert not os.path.exists(folder / "iomux-bench.state")


@pytest.mark.timeout(500)
def test_a_browser_opens_the_report_without_complaint(finished, tmp_path):
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("no chromium here")
    page = f"file://{finished[0]}/iomux-bench.html"
    done = subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                           "--enable-logging=stderr", f"--user-data-dir={tmp_path}", "--dump-dom", page],
                          capture_output=True, text=True, timeout=120, check=False)
    assert "I/O models, measured" in done.stdout and "</svg>" in done.stdout
    assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.mark.timeout(500)
def test_the_report_can_be_written_once_more(program, finished, tmp_path):
    done = run(program, "--report", str(finished[0] / "iomux-bench.json"), "-o", "again", cwd=tmp_path)
    assert done.returncode == 0 and done.stdout
    with open(tmp_path / "again.html", encoding="utf-8") as a, open(finished[0] / "iomux-bench.html", encoding="utf-8") as b:
        assert a.read() == b.read()


def compiled(tmp_path):
    made = str(tmp_path / "slow.so")
    subprocess.run([*os.environ.get("CC", "cc").split(), "-D_GNU_SOURCE", "-O2", "-shared", "-fPIC", os.path.join(HERE, "slow.c"),
                    "-o", made, "-ldl"], check=True)
    return made


def fault(tmp_path, program, in_poll, in_all=""):
    """A daemon with a fault on the model poll, or on all."""
    return another(tmp_path, program, f"""if [ "$1" = -c ]; then
    {in_all}
    if grep -q 'io_model = "poll"' "$2"; then {in_poll}; fi
    LD_PRELOAD={compiled(tmp_path)}; export LD_PRELOAD SLOW_US STALL_AT STALL_MS DIE_AT; fi""")


SLOW_US = 100
TWO = ("--quick", "-m", "select,poll", "-w", "fixed", "--rounds", "1", "--no-floor")


def needs(program, *names):
    missing = set(names) - set(available(program))
    if missing or os.environ.get("IOMUXD_SANITIZED"):
        pytest.skip(f"not here: {' '.join(missing) or 'preloading'}")


def delay_seen(program, tmp_path, daemon_):
    options = ("--quick", "-m", "select,poll", "-w", "fixed", "-c", "10", "--rounds", "9", "--no-floor")
    assert run(program, *options, "--iomuxd", daemon_, cwd=tmp_path).returncode == 0
    made = document(tmp_path)["cells"]["speed fixed 10"]
    assert made["select"]["latency"]["p50"]["median"] < made["poll"]["latency"]["p50"]["median"]
    return made["poll"]["cpu_us"]["median"] - made["select"]["cpu_us"]["median"]


@pytest.mark.timeout(500)
def test_a_delay_in_one_model_is_reported(program, tmp_path):
    """100 us more in one model than in the other, which has as much already: then the client sleeps for each answer of both,
    and what it costs them to wake it is the same.  Who else is on the CPUs moves a median by some us, so it has four tries."""
    needs(program, "select", "poll")
    slow = fault(tmp_path, program, f"SLOW_US={2 * SLOW_US}", f"SLOW_US={SLOW_US}")
    delays = []
    while not delays or (abs(delays[-1] - SLOW_US) > SLOW_US / 10 and len(delays) < 4):
        delays.append(delay_seen(program, tmp_path, slow))
    assert abs(delays[-1] - SLOW_US) <= SLOW_US / 10, delays


def test_a_server_that_stands_still_shows_in_the_latency(program, tmp_path):
    # 0.2 s of warm-up and 0.5 s are measured: it falls into these
    needs(program, "select", "poll")
    stalls = fault(tmp_path, program, "STALL_AT=300 STALL_MS=200")
    assert run(program, *TWO, "-c", "100", "--iomuxd", stalls, cwd=tmp_path).returncode == 0
    latency = document(tmp_path)["cells"]["pace fixed 100"]["poll"]["latency"]
    assert latency["p99.9"]["median"] > 150000


def test_a_client_that_is_the_limit_is_flagged(program, tmp_path):
    """Its delay is so long that it has no time left, whether it gets all of its CPU or not."""
    needs(program, "select", "poll")
    load = tmp_path / "another-load"
    load.write_text(f"#!/bin/sh\nSLOW_US=500 LD_PRELOAD={compiled(tmp_path)} exec '{os.path.dirname(daemon(program))}/iomux-load' \"$@\"\n")
    load.chmod(0o755)
    done = run(program, *TWO, "-c", "20", "--load", str(load), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for servers in document(tmp_path)["cells"]["speed fixed 20"].values():
        assert servers["flags"].get("L") == 1
    assert f"L: {runner.FLAGS['L']}" in done.stdout


def test_a_model_that_cannot_run_is_listed_and_not_replaced(program, tmp_path):
    needs(program, "select", "poll")
    change = f"""if [ "$1" = --list-models ]; then
    '{daemon(program)}' "$@" | sed 's/^\\(poll .*\\) yes.*/\\1 no  for a reason/'; exit; fi"""
    done = run(program, *TWO, "-c", "10", "--iomuxd", another(tmp_path, program, change), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    made = document(tmp_path)
    assert [m["why"] for m in made["models"] if m["model"] == "poll"] == ["for a reason"]
    assert set(made["cells"]["speed fixed 10"]) == {"select"}
    assert "poll was not measured: for a reason" in done.stdout


def test_another_model_than_the_one_named_is_no_figure(program, tmp_path):
    needs(program, "select", "poll")
    change = """if [ "$1" = -c ]; then sed -i 's/io_model = "poll"/io_model = "blocking"/' "$2"; fi"""
    assert run(program, *TWO, "-c", "10", "--iomuxd", another(tmp_path, program, change), cwd=tmp_path).returncode == 0
    cell = document(tmp_path)["cells"]["speed fixed 10"]
    assert "cpu_us" not in cell["poll"] and "was told poll and runs blocking" in cell["poll"]["failed"]
    assert cell["select"]["cpu_us"]["median"] > 0


@pytest.mark.timeout(200)
def test_a_worker_that_dies_is_no_figure_and_no_end_of_the_run(program, tmp_path):
    needs(program, "select", "poll")
    dies = fault(tmp_path, program, "DIE_AT=100")
    done = run(program, *TWO, "-c", "10", "--iomuxd", dies, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    cell = document(tmp_path)["cells"]["speed fixed 10"]
    assert "cpu_us" in cell["select"] and "cpu_us" not in cell["poll"]
    assert cell["poll"]["failed"] == "its worker ended while it was measured"


def test_a_run_is_stopped_and_gone_on_with(program, tmp_path):
    options = ("--quick", "-m", "select", "-w", "fixed", "-c", "1,2,3,4,5", "--rounds", "1", "--no-floor")
    kept = tmp_path / "iomux-bench.state"
    # Behind a shell's & a program ignores Ctrl-C, and so would this one.
    with subprocess.Popen([program, *options], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)) as first:
        deadline = time.monotonic() + 60
        while not kept.exists() or len(kept.read_text().splitlines()) < 3:
            assert time.monotonic() < deadline and first.poll() is None
            time.sleep(0.02)
        first.send_signal(signal.SIGINT)
        _, errors = first.communicate(timeout=60)
    assert first.returncode == 130 and "--resume" in errors
    before = kept.read_text().splitlines()
    assert run(program, *options, cwd=tmp_path).returncode == 1             # it is not written over
    done = run(program, *options, "--resume", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    steps = document(tmp_path)["steps"]
    assert [s["cell"] for s in steps] == [f"speed fixed {n}" for n in (1, 2, 3, 4, 5)]
    assert steps[0]["cpu_us"] == pytest.approx(json.loads(before[1])["cpu_us"], rel=1e-5)
    assert not kept.exists()


def test_what_connections_at_rest_take(program, tmp_path):
    """Kinds and orders of magnitude, which no load of the machine changes."""
    needs(program, "select", "blocking")
    done = run(program, "--quick", "-m", "select,blocking", "-w", "idle", "-c", "10", "--rounds", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    cell = document(tmp_path)["cells"]["rest idle 1000"]
    figure = {name: {key: s[key]["median"] for key in ("memory_each", "stacks_each", "threads")} for name, s in cell.items()}
    assert 100 < figure["select"]["memory_each"] < 4096 and figure["select"]["threads"] < 10
    assert 4096 <= figure["blocking"]["memory_each"] < 1 << 18 and figure["blocking"]["threads"] > 1000
    assert 16384 <= figure["blocking"]["stacks_each"] < 16600
    assert "floor" not in figure or 0 <= figure["floor"]["memory_each"] < 100      # it is there where epoll is


@pytest.fixture
def nobody(program):
    """(command that makes a user without privileges of who runs it, folder of that user)"""
    become = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []
    if subprocess.run([*become, program, "--version"], capture_output=True, check=False).returncode != 0:
        pytest.skip("another user cannot run what was built")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        yield become, folder


@pytest.mark.timeout(500)
def test_a_user_with_low_limits_gets_what_they_allow_and_the_reasons(program, nobody):
    needs(program, "select", "blocking", "aio")
    become, folder = nobody
    options = ("--quick", "-m", "select,blocking,aio", "-w", "fixed", "-c", "10,100,1000", "--rounds", "1", "--folder", folder)
    done = subprocess.run(["prlimit", "--nofile=350:350", *become, program, *options], cwd=folder, capture_output=True, text=True,
                          timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    left_out = "Not measured with 1,000 connections: a process may have 350 open files (ulimit -Hn)."
    assert left_out in done.stdout
    made = document(folder)
    assert all("cpu_us" in s for s in made["cells"]["speed fixed 10"].values()), made["cells"]["speed fixed 10"]
    many = made["cells"]["speed fixed 100"]
    assert {name for name, s in many.items() if "cpu_us" in s} - {"floor"} == {"select", "blocking"}, many
    assert many["aio"]["failed"] == "400 descriptors are needed, the limit is 350"
    with open(f"{folder}/iomux-bench.html", encoding="utf-8") as f:
        assert left_out in f.read()


def test_limits_that_leave_nothing_are_said(program, tmp_path):
    done = subprocess.run(["prlimit", "--nofile=205:205", program, "-c", "10", "-w", "fixed"], cwd=tmp_path, capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.returncode == 1 and "nothing can be measured: a process may have 205 open files" in done.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("limit_s, whole", [(40, False), (4000, True)])
def test_a_run_ends_within_its_limit(tmp_path, monkeypatch, limit_s, whole):
    now = [0.0]

    def slow_step(_setup, _name, cell, _rate):
        now[0] += 3 * cell.seconds
        return {"flags": "", "rate": 1000.0}

    monkeypatch.setattr(bench, "time", types.SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(runner, "step", slow_step)
    asked = bench.Run.__new__(bench.Run)
    asked.options = types.SimpleNamespace(folder=str(tmp_path))
    asked.models = [{"model": m, "measured": True} for m in ("epoll", "poll")]
    asked.programs, asked.cpus, asked.files, asked.tasks = {"floor": None}, None, 1 << 20, None
    asked.cells, asked.rounds, asked.limit_s = plan.cells_of(plan.QUICK, None, None, 2000), 2, limit_s
    kept = state.State(str(tmp_path / "a.state"), {"options": {}, "fingerprint": ""}, False)
    assert asked.go(kept, bench.Progress(), Quiet()) == whole
    assert 0 < now[0] <= limit_s - bench.REPORT_S
    assert whole == (len(kept.steps) == len(asked.steps()))
    kept.close()


class Quiet:
    """Nobody asks it to stop."""

    asked = False


@pytest.mark.parametrize("argv, said", [
    (["-c", "0"], "at least 1"), (["-c", "x"], "no list of numbers"), (["-w", "other"], "no workload 'other'"),
    (["--rounds", "-1"], "more than 0"), (["--pools", "a,b"], "--live"), (["--live", "x", "-q"], "--live goes with"),
    (["--live", "x", "--pools", "a"], "takes two"), (["--live", "x", "-d", "1"], "at least"), (["--quic"], "unrecognized")])
def test_what_is_wrong_on_the_command_line_is_said(program, tmp_path, argv, said):
    done = run(program, *argv, cwd=tmp_path)
    assert done.returncode == 2 and said in done.stderr


@pytest.mark.parametrize("argv, said", [
    (["-m", "other", "-n"], "no model 'other'; there are: epoll"), (["--iomuxd", "/none", "-n"], "/none is not there"),
    (["--report", "/none.json"], "/none.json"), (["--report", "/dev/null"], "no figures"), (["--live", "/none"], "/none: ")])
def test_what_cannot_be_done_is_said(program, tmp_path, argv, said):
    done = run(program, *argv, cwd=tmp_path)
    assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr


def test_a_run_that_cannot_begin_leaves_nothing_behind(program, tmp_path):
    done = run(program, "-q", "--folder", str(tmp_path / "none"), cwd=tmp_path)
    assert done.returncode == 1 and "none" in done.stderr and "Traceback" not in done.stderr
    assert os.listdir(tmp_path) == []


def test_what_would_be_measured_is_said(program, tmp_path):
    done = run(program, "--dry-run", cwd=tmp_path)
    assert done.returncode == 0
    assert "speed idle 10000" in done.stdout or "10000" not in done.stdout
    assert re.search(r"\d+ steps in 5 rounds", done.stdout)
    assert os.listdir(tmp_path) == []


def test_direct_io_that_is_none_is_no_figure(tmp_path):
    asked = server.Iomuxd.__new__(server.Iomuxd)
    asked.model, asked.pids, asked._direct = "epoll", [1], True
    asked.log = lambda: "warn root /x: direct_io is refused, its files are read through the page cache: Invalid argument\n"
    with pytest.raises(Failure, match="no direct I/O"):
        asked.check({"models": ["epoll"], "pids": [1]})
    asked._direct = False
    asked.check({"models": ["epoll"], "pids": [1]})
    with pytest.raises(Failure, match="was told epoll and runs poll"):
        asked.check({"models": ["poll"], "pids": [1]})
    asked.log = lambda: ""
    with pytest.raises(Failure, match="was replaced"):
        asked.check({"models": ["epoll"], "pids": [2]})
