# SPDX-License-Identifier: BSD-2-Clause
"""What is measured, in which order, for how long."""
import json
import os
import subprocess
import sys

import pytest

from iomux_bench import machine, meter, plan, state
from iomux_bench.process import Failure

ALL = ["epoll", "poll", "aio"]


def cells(preset=plan.FULL, workloads=None, counts=None, most=100000):
    return plan.cells_of(preset, workloads, counts, most)


def test_a_full_run_has_every_workload_with_every_count():
    speed = {(c.workload, c.connections) for c in cells() if c.kind == plan.SPEED}
    assert {(w.name, n) for w in plan.WORKLOADS for n in (1, 10, 100, 1000, 10000)} <= speed
    assert ("idle", 50000) in speed


def test_limits_cut_the_counts_off():
    assert max(c.connections for c in cells(most=1500)) == 1000


def test_what_is_named_is_done_wholly_even_when_quick():
    made = cells(plan.QUICK, ["fixed", "idle"], [3, 30])
    assert {(c.workload, c.connections) for c in made if c.kind == plan.SPEED} == \
        {("fixed", 3), ("fixed", 30), ("idle", 3), ("idle", 30)}


def test_models_are_interleaved_and_take_turns_to_begin():
    made = list(plan.steps(cells(plan.QUICK), ALL, True, 2))
    first = [s[2] for s in made if s[0] == 0 and plan.cell_name(s[1]) == "speed fixed 100"]
    second = [s[2] for s in made if s[0] == 1 and plan.cell_name(s[1]) == "speed fixed 100"]
    assert first == [*ALL, "floor"]
    assert second == ["poll", "aio", "floor", "epoll"]
    at = [i for i, s in enumerate(made) if s[0] == 0 and plan.cell_name(s[1]) == "speed fixed 100"]
    assert at == list(range(at[0], at[0] + 4))


def test_a_pace_comes_behind_its_speed():
    for preset in (plan.QUICK, plan.FULL):
        names = [(c.kind, c.workload, c.connections) for c in cells(preset)]
        for kind, workload, n in names:
            if kind == plan.PACE:
                assert names.index((plan.SPEED, workload, n)) < names.index((kind, workload, n))


def test_what_is_done_once_comes_last():
    made = list(plan.steps(cells(), ALL, False, 3))
    assert {s[0] for s in made if s[1].once} == {0}
    assert all(s[1].once for s in made if s[1].connections >= plan.FEW)
    in_first = [s[1].once for s in made if s[0] == 0]
    assert in_first == sorted(in_first)


def test_a_full_run_has_latencies_for_every_workload_with_every_count():
    pace = {(c.workload, c.connections) for c in cells() if c.kind == plan.PACE}
    assert pace == {(w.name, n) for w in plan.WORKLOADS for n in (1, 10, 100, 1000, 10000)}


def test_the_rate_is_half_of_the_slowest():
    assert plan.pace_rate([30000, 8123.4, None]) == 4000
    assert plan.pace_rate([3.0]) == 1
    assert plan.pace_rate([]) == 0


def test_what_limits_forbid_is_said():
    many = plan.Cell(plan.SPEED, "fixed", 10000, 1)
    assert "descriptors" in plan.refusal("blocking", many, 10000, None)
    assert "4,096" in plan.refusal("aio", many, 200000, None)
    assert "threads" in plan.refusal("blocking", many, 200000, 5000)
    assert plan.refusal("epoll", many, 20000, 5000) is None


def test_time_is_guessed_from_what_was_seen():
    clock, cell = plan.Clock(), plan.Cell(plan.SPEED, "fixed", 100, 0.5)
    assert clock.one(cell) > 0.5
    clock.add(cell, 2.0)
    assert clock.rest([cell, cell]) == 4.0


def test_one_cpu_is_shared_and_more_are_not():
    assert machine.Cpus([3]).shared
    two = machine.Cpus([0, 1])
    assert (two.server, two.load, two.shared) == (0, [1], False)
    assert machine.Cpus(range(16)).load == [1, 2, 3, 4]


def test_the_fingerprint_is_of_the_machine_not_of_the_hour():
    assert machine.fingerprint({"cpu": "a", "load_before": 1}) == machine.fingerprint({"cpu": "a", "load_before": 2})
    assert machine.fingerprint({"cpu": "a"}) != machine.fingerprint({"cpu": "b"})


HEADER = {"options": {"models": ["epoll"]}, "fingerprint": "x"}


def test_a_run_is_gone_on_with_where_it_stopped(tmp_path):
    path = str(tmp_path / "a.state")
    first = state.State(path, HEADER, False)
    first.add({"round": 0, "cell": "speed fixed 1", "server": "epoll", "took": 1.5})
    first.close()
    with open(path, "a", encoding="ascii") as f:
        f.write('{"round": 0, "cell": "speed fi')       # it was killed while it wrote
    second = state.State(path, HEADER, True)
    assert second.done() == {(0, "speed fixed 1", "epoll")}
    assert second.spent() == 1.5
    second.add({"round": 0, "cell": "speed fixed 1", "server": "poll", "took": 1})
    second.close()
    assert [json.loads(line)["server"] for line in open(path, encoding="ascii").readlines()[1:]] == ["epoll", "poll"]


def test_another_run_is_not_gone_on_with(tmp_path):
    path = str(tmp_path / "a.state")
    state.State(path, HEADER, False).close()
    with pytest.raises(Failure, match="another run"):
        state.State(path, {**HEADER, "fingerprint": "y"}, True)
    with pytest.raises(Failure, match="--resume"):
        state.State(path, HEADER, False)
    with pytest.raises(Failure, match="to go on with"):
        state.State(str(tmp_path / "none.state"), HEADER, True)
    with pytest.raises(Failure, match="No such file"):
        state.State(str(tmp_path / "none" / "a.state"), HEADER, False)


def test_two_at_the_same_time_are_told_apart(tmp_path):
    path = str(tmp_path / "a.state")
    first = state.State(path, HEADER, False)
    with pytest.raises(Failure, match="another iomux-bench"):
        state.State(path, HEADER, True)
    first.close()
    state.State(path, HEADER, True).close()


def test_what_is_no_state_is_refused(tmp_path):
    path = tmp_path / "a.state"
    for text in ("", "{}\n", "no\n"):
        path.write_text(text)
        with pytest.raises(Failure):
            state.read(str(path))


def test_what_the_kernel_says_of_a_process():
    own = [os.getpid()]
    before = meter.heap(own)
    kept = bytearray(b"x" * (8 << 20))
    assert 8 << 20 <= meter.heap(own) - before < 24 << 20
    assert meter.memory(own)[1] >= meter.heap(own)
    assert meter.cpu_ns(own) > 0 and meter.threads(own) >= 1 and meter.switches(own) > 0
    assert meter.tree(own[0])[0] <= own[0] and own[0] in meter.tree(own[0])
    del kept


HOLDER = """
import mmap, os, sys
size = 16 << 20
def wait(word):
    print(word, flush=True)
    sys.stdin.readline()
wait("empty")
if sys.argv[1] == "file":
    with open(sys.argv[2], "rb") as f:
        held = mmap.mmap(f.fileno(), size, mmap.MAP_SHARED, mmap.PROT_READ)
    sum(held[i] for i in range(0, size, mmap.PAGESIZE))
else:
    held = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for i in range(0, size, mmap.PAGESIZE):
        held[i] = 1
wait("full")
wait("end")
"""


@pytest.mark.parametrize("what, grows", [("own", 16 << 20), ("file", 0)])
def test_memory_is_what_a_process_has_taken_and_not_what_it_shares_with_files(tmp_path, what, grows):
    (tmp_path / "file").write_bytes(bytes(16 << 20))
    with subprocess.Popen([sys.executable, "-c", HOLDER, what, str(tmp_path / "file")], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as process:
        def size(word):
            assert process.stdout.readline().strip() == word
            seen = meter.heap([process.pid])
            process.stdin.write("\n")
            process.stdin.flush()
            return seen
        empty, full = size("empty"), size("full")
        assert process.stdout.readline().strip() == "end"
        process.stdin.close()
    assert abs(full - empty - grows) < 1 << 20


def test_a_process_that_cannot_be_dumped_has_a_size_too(monkeypatch):
    exact, real = meter.heap([os.getpid()]), meter._bytes_of

    def closed(path, names):
        if path.endswith("smaps_rollup"):
            raise PermissionError
        return real(path, names)
    monkeypatch.setattr(meter, "_bytes_of", closed)
    assert abs(meter.heap([os.getpid()]) - exact) < 8 << 20
