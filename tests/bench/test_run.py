# SPDX-License-Identifier: BSD-2-Clause
"""All of it, against the real daemon: every model is there, faults are seen, a run is stopped and gone on with, and a
browser opens the report.  With IOMUX_BENCH_WHOLE in the environment the run is a whole quick one."""
import json
import os
import re
import shutil
import signal
import subprocess
import time

import pytest

from iomux_bench import plan, server
from iomux_bench.process import Failure

HERE = os.path.dirname(os.path.abspath(__file__))
WHOLE = os.environ.get("IOMUX_BENCH_WHOLE")
QUICK_S = 120               # what a quick run may take, by its manual

DAEMON = """#!/bin/sh
# The daemon, but with something about it that is not as it should be.
%s
exec '%s' "$@"
"""


def run(program, *argv, cwd, timeout=180, env=None):
    return subprocess.run([program, *argv], cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False, env=env)


def daemon(program):
    return os.path.join(os.path.dirname(os.path.realpath(program)), "iomuxd")


def another(tmp_path, program, change):
    """A daemon of our own making."""
    path = tmp_path / "another-iomuxd"
    path.write_text(DAEMON % (change, daemon(program)))
    path.chmod(0o755)
    return str(path)


def document(tmp_path, name="iomux-bench"):
    with open(tmp_path / f"{name}.json", encoding="utf-8") as f:
        return json.load(f)


def available(program):
    said = subprocess.run([daemon(program), "--list-models"], capture_output=True, text=True, check=True).stdout
    return [line.split()[0] for line in said.splitlines() if line.split()[2] == "yes"]


@pytest.fixture(scope="session")
def finished(program, tmp_path_factory):
    """A run that is over: (folder, seconds, what it printed)."""
    folder = tmp_path_factory.mktemp("run")
    part = () if WHOLE else ("-c", "10", "-w", "fixed,echo-udp", "--rounds", "1")
    began = time.monotonic()
    done = run(program, "--quick", *part, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, time.monotonic() - began, done.stdout


@pytest.mark.timeout(200)
def test_every_model_is_measured_and_named_by_the_daemon_itself(program, finished):
    folder, seconds, printed = finished
    assert seconds < QUICK_S
    made = document(folder)
    assert [m["model"] for m in made["models"] if m["measured"]] == available(program)
    for cell, servers in made["cells"].items():
        if plan.cell_of(cell)[0] == plan.SPEED and cell.split()[1] == "fixed":
            assert set(available(program)) <= set(servers)
            for name, figures in servers.items():
                assert figures.get("cpu_us", {}).get("median", 0) > 0, (cell, name, figures)
    for name in available(program):
        assert re.search(rf"^{name} ", printed, re.M)
    assert not os.path.exists(folder / "iomux-bench.state")


@pytest.mark.timeout(200)
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


@pytest.mark.timeout(200)
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


def fault_in_poll(tmp_path, program, fault):
    return another(tmp_path, program, f"""if [ "$1" = -c ] && grep -q 'io_model = "poll"' "$2"; then
    LD_PRELOAD={compiled(tmp_path)} {fault}; export LD_PRELOAD {fault.replace('=', ' ').split()[0]} STALL_AT STALL_MS; fi""")


TWO = ("--quick", "-m", "epoll,poll", "-w", "fixed", "--rounds", "1", "--no-floor")


def needs(program, *names):
    missing = set(names) - set(available(program))
    if missing or os.environ.get("IOMUXD_SANITIZED"):
        pytest.skip(f"not here: {' '.join(missing) or 'preloading'}")


def test_a_delay_in_one_model_is_reported(program, tmp_path):
    needs(program, "epoll", "poll")
    slow = fault_in_poll(tmp_path, program, "SLOW_US=1000")
    assert run(program, *TWO, "-c", "1", "--iomuxd", slow, cwd=tmp_path).returncode == 0
    cell = document(tmp_path)["cells"]["speed fixed 1"]
    delay = cell["poll"]["cpu_us"]["median"] - cell["epoll"]["cpu_us"]["median"]
    assert 900 < delay < 1100


def test_a_server_that_stands_still_shows_in_the_latency(program, tmp_path):
    # 0.2 s of warm-up and 0.5 s are measured: it falls into these
    needs(program, "epoll", "poll")
    stalls = fault_in_poll(tmp_path, program, "STALL_AT=300 STALL_MS=200")
    assert run(program, *TWO, "-c", "100", "--iomuxd", stalls, cwd=tmp_path).returncode == 0
    latency = document(tmp_path)["cells"]["pace fixed 100"]["poll"]["latency"]
    assert latency["p99.9"]["median"] > 150000


def test_a_model_that_cannot_run_is_listed_and_not_replaced(program, tmp_path):
    needs(program, "epoll", "poll")
    change = f"""if [ "$1" = --list-models ]; then
    '{daemon(program)}' "$@" | sed 's/^\\(poll .*\\) yes.*/\\1 no  for a reason/'; exit; fi"""
    done = run(program, *TWO, "-c", "10", "--iomuxd", another(tmp_path, program, change), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    made = document(tmp_path)
    assert [m["why"] for m in made["models"] if m["model"] == "poll"] == ["for a reason"]
    assert set(made["cells"]["speed fixed 10"]) == {"epoll"}
    assert "poll was not measured: for a reason" in done.stdout


def test_another_model_than_the_one_named_is_no_figure(program, tmp_path):
    needs(program, "epoll", "poll")
    change = """if [ "$1" = -c ]; then sed -i 's/io_model = "poll"/io_model = "select"/' "$2"; fi"""
    assert run(program, *TWO, "-c", "10", "--iomuxd", another(tmp_path, program, change), cwd=tmp_path).returncode == 0
    cell = document(tmp_path)["cells"]["speed fixed 10"]
    assert "cpu_us" not in cell["poll"] and "was told poll and runs select" in cell["poll"]["failed"]
    assert cell["epoll"]["cpu_us"]["median"] > 0


def test_a_run_is_stopped_and_gone_on_with(program, tmp_path):
    options = ("--quick", "-m", "epoll", "-w", "fixed", "-c", "1,2,3,4,5", "--rounds", "1", "--no-floor")
    kept = tmp_path / "iomux-bench.state"
    with subprocess.Popen([program, *options], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as first:
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
    assert steps[0]["cpu_us"] == json.loads(before[1])["cpu_us"]
    assert not kept.exists()


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
