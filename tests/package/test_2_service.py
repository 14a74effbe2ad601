# SPDX-License-Identifier: BSD-2-Clause
"""The installed service in use."""

import ctypes
import json
import mmap
import os
import pathlib
import re
import signal
import time

import pytest

from machine import client, wait_until

AUTOPKGTESTS = pathlib.Path(__file__).resolve().parent.parent.parent / "debian" / "tests"
PAGE = b"iomuxd works"
SCORE_MAX = 1.6
CAP_SYS_RESOURCE = 1 << 24
MODELS = ("epoll", "epoll-level", "poll", "select", "nonblocking", "blocking", "sigio", "aio", "io_uring")
BIG = os.urandom(5 * 1000 * 1000 + 17)
LISTENS_FIRST = 8100
GREETS_FIRST = 8200
LANDLOCK_CREATE_RULESET, LANDLOCK_VERSION = 444, 1


def site(port, root="/usr/share/iomuxd/www", more=""):
    return f"""services = ( {{ name = "web"; protocol = "http"; listen = "{port}";
                              routes = ( {{ path = "/"; root = "{root}"; }} ); }} );
               {more}"""


def test_installing_starts_and_enables_it(service):
    assert service.show("ActiveState") == "active"
    assert service.show("SubState") == "running"
    assert service.show("Type") == "notify"
    assert service.systemctl("is-enabled", "iomuxd.service").stdout.strip() == "enabled"
    assert service.systemctl("is-enabled", "iomuxd.socket", check=False).stdout.strip() == "disabled"
    assert service.show("ActiveState", "iomuxd.socket") == "inactive"


def test_the_sample_site_is_served(service):
    for address in "127.0.0.1", "::1":
        answer = service.get(8080, address=address)
        assert answer.status == 200
        assert PAGE in answer.body


def test_status_says_what_it_does(service):
    assert re.match(r"Serving: \d+ of \d+ workers? ready, model epoll", service.show("StatusText"))
    assert "iomuxd works" not in service.systemctl("status", "iomuxd.service").stdout


def test_nothing_of_it_is_root_and_the_master_has_one_capability(service):
    uid = service.run("id", "-u", "iomuxd").stdout.strip()
    workers = service.workers()
    assert workers
    for pid in [service.master()] + workers:
        status = service.status_of(pid)
        assert status["Uid"].split() == [uid] * 4
        assert status["NoNewPrivs"] == "1"
        assert status["CapBnd"] == "0000000000000400"
        assert int(status["CapEff"], 16) | 0x400 == 0x400
        assert status["Seccomp"] == "2"
    for pid in workers:                     # they have their listeners already
        status = service.status_of(pid)
        for kind in "CapInh", "CapPrm", "CapEff", "CapAmb":
            assert int(status[kind], 16) == 0, kind


def test_limits_are_those_of_the_unit(service):
    """A container whose systemd may not raise a limit gives what it has itself."""
    def limit(pid, name):
        line = re.search(rf"^{name} +\d+ +(\d+) ", service.run("cat", f"/proc/{pid}/limits").stdout, re.M)
        return int(line.group(1))

    may_raise = int(service.status_of(1)["CapEff"], 16) & CAP_SYS_RESOURCE
    for name, wanted in ("Max open files", 524288), ("Max pending signals", 262144):
        assert limit(service.master(), name) == (wanted if may_raise else min(wanted, limit(1, name)))
    assert "instead of" not in "\n".join(r["MESSAGE"] for r in service.journal())      # limits.connections fits


def test_folders_are_its_own(service):
    for path, mode in ("/var/log/iomuxd", "750"), ("/var/lib/iomuxd", "750"), ("/run/iomuxd", "755"):
        assert service.run("stat", "-c", "%U:%G %a", path).stdout.strip() == f"iomuxd:iomuxd {mode}"


def test_the_sandbox_scores_well(service):
    done = service.run("systemd-analyze", "security", "--no-pager", "iomuxd.service")
    score = float(re.search(r"Overall exposure level for iomuxd.service: ([0-9.]+)", done.stdout).group(1))
    assert score <= SCORE_MAX, done.stdout


def test_the_unit_files_are_right(service):
    done = service.run("systemd-analyze", "verify", "--man=no", "iomuxd.service", "iomuxd.socket", check=False)
    assert (done.returncode, done.output) == (0, ""), done.output


def test_the_journal_has_the_start(service):
    since = service.cursor()
    service.systemctl("restart", "iomuxd.service")
    listening = service.wait_journal(r"^listening: web \[::\]:8080 \(http\)$", since)
    ready = service.wait_journal(r"^ready: pool main, model epoll, \d+ workers?$", since)
    for record in listening, ready:
        assert record["PRIORITY"] == "5"
        assert record["_SYSTEMD_UNIT"] == "iomuxd.service"
        assert record["SYSLOG_IDENTIFIER"] == "iomuxd"


def test_what_goes_well_logs_no_warning(service):
    since = service.cursor()
    service.systemctl("restart", "iomuxd.service")
    service.systemctl("reload", "iomuxd.service")
    service.get(8080)
    service.systemctl("stop", "iomuxd.service")
    service.wait_journal(r"^stopped: \d+ connection", since)
    assert [r["MESSAGE"] for r in service.journal(since) if int(r["PRIORITY"]) <= 4] == []


def test_journal_fields(service):
    since = service.cursor()
    service.configure(site(8080, more='log : { target = "journal"; };'))
    record = service.wait_journal("^listening:", since)
    assert record["IOMUXD_EVENT"] == "listening"
    assert record["IOMUXD_SERVICE"] == "web"
    record = service.wait_journal("^ready:", since)
    assert record["IOMUXD_EVENT"] == "ready"
    assert record["IOMUXD_MODEL"] == "epoll"
    assert record["PRIORITY"] == "5"


def autopkgtests():
    """[(name, restrictions)] of debian/tests/control."""
    paragraphs = (AUTOPKGTESTS / "control").read_text().strip().split("\n\n")
    fields = [dict(line.split(": ", 1) for line in p.splitlines()) for p in paragraphs]
    return [(name, p["Restrictions"].split(", ")) for p in fields for name in p["Tests"].split(" ")]


@pytest.mark.parametrize("name,restrictions", autopkgtests())
def test_autopkgtests(service, name, restrictions):
    """debian/tests, as autopkgtest would run them: a program in a folder, with a folder for its files; what it says on
    stderr is a failure, unless that is allowed."""
    service.write(f"/var/tmp/tests/{name}", (AUTOPKGTESTS / name).read_text())
    service.path(f"/var/tmp/tests/{name}").chmod(0o755)
    done = service.sh(f"mkdir -p /var/tmp/files; cd /var/tmp/tests; AUTOPKGTEST_TMP=/var/tmp/files exec ./{name}", check=False)
    assert done.returncode == 0, done.output
    assert done.stderr == "" or "allow-stderr" in restrictions, done.stderr


def test_a_port_below_1024(service):
    service.configure(site(80))
    assert PAGE in service.get(80).body
    assert service.status_of(service.master())["Uid"].split()[0] != "0"


@pytest.fixture(scope="module", params=["journal", "auto"])
def all_models(request, installed):
    """One daemon with a pool for each model, each with files in two places, one of them read past the page cache; its log
    goes to the journal by its fields, then by way of stderr."""
    installed.write("/srv/site/big", BIG)
    installed.write("/srv/site/small", "small\n")
    installed.write("/srv/direct/big", BIG)
    installed.write("/var/www/www/index.html", "in /var/www\n")
    services = ",\n".join(f"""
        {{ name = "{model}"; protocol = "http"; listen = "127.0.0.1:{LISTENS_FIRST + i}";
           routes = ( {{ path = "/"; root = "/srv/site"; }},
                      {{ path = "/direct/"; root = "/srv"; direct_io = "on"; }},
                      {{ path = "/www/"; root = "/var/www"; }} ); }},
        {{ name = "greet-{model}"; protocol = "greet"; listen = "127.0.0.1:{GREETS_FIRST + i}"; }}"""
                          for i, model in enumerate(MODELS))
    pools = ",\n".join(f"""
        {{ name = "pool-{model}"; io_model = "{model}"; workers = 1; services = [ "{model}", "greet-{model}" ]; }}"""
                       for model in MODELS)
    since = installed.cursor()
    # poll_interval: nonblocking would take a whole processor from the others
    installed.configure(f"""poll_interval = 0.001;
        log : {{ target = "{request.param}"; }};
        access_log : {{ target = "file:/var/log/iomuxd/models.log"; }};
        services = ( {services} ); pools = ( {pools} );""")
    installed.since, installed.target = since, request.param
    yield installed
    installed.write("/etc/iomuxd.conf", installed.sample)
    installed.systemctl("restart", "iomuxd.service")


@pytest.mark.parametrize("model", MODELS)
def test_every_model_works_inside_the_unit(all_models, model):
    port = LISTENS_FIRST + MODELS.index(model)
    assert all_models.wait_journal(f"^ready: pool pool-{model}, model {model}, 1 worker$", all_models.since)
    for _ in range(2):                      # cold, and from the cache of files
        assert all_models.get(port, "/small").body == b"small\n"
        assert all_models.get(port, "/big").body == BIG
        assert all_models.get(port, "/www/").body == b"in /var/www\n"
    assert all_models.get(port, f"/missing-{model}").status == 404
    wait_until(lambda: f'"GET /missing-{model} ' in all_models.read("/var/log/iomuxd/models.log"),
               "its line in the access log")


@pytest.mark.parametrize("model", MODELS)
def test_workers_of_every_model_can_log_from_inside_their_sandbox(all_models, model):
    with all_models.connect(GREETS_FIRST + MODELS.index(model)) as sock:
        sock.sendall(b"a word of " + model.encode())
        record = all_models.wait_journal(f'a word of {model}"$', all_models.since)
    assert record["_SYSTEMD_UNIT"] == "iomuxd.service"
    assert record["SYSLOG_IDENTIFIER"] == "iomuxd"
    if all_models.target == "journal":
        assert record["IOMUXD_SERVICE"] == f"greet-{model}"
        assert record["IOMUXD_MODEL"] == model
        assert record["IOMUXD_WORKER"] == f"pool-{model}.0"
        assert record["IOMUXD_PEER"].startswith("127.0.0.1:")


def test_status_says_what_every_model_has_given_up(all_models):
    """Landlock is there if the kernel has it; the log says so where it has not."""
    landlock = ctypes.CDLL(None).syscall(LANDLOCK_CREATE_RULESET, None, 0, LANDLOCK_VERSION) > 0
    workers = {w["model"]: w for w in json.loads(all_models.run("iomuxctl", "--json", "status").stdout)["workers"]}
    assert set(workers) == set(MODELS)
    for model, worker in workers.items():
        assert worker["sandbox"].startswith("no_new_privs, no capabilities"), model
        assert re.search(r"seccomp \d+ calls", worker["sandbox"]), model
        assert worker["sandbox"].endswith("ring restrictions") == (model == "io_uring")
        line = all_models.wait_journal(f"^sandbox: pool pool-{model}: ", all_models.since)["MESSAGE"]
        assert ("landlock ABI" in worker["sandbox"], "missing: landlock" in line) == (landlock, not landlock), line
    table = all_models.run("iomuxctl", "status").stdout
    assert all(worker["sandbox"] in table for worker in workers.values())


@pytest.mark.parametrize("model", MODELS)
def test_every_model_reads_past_the_page_cache_inside_the_unit(all_models, model):
    port = LISTENS_FIRST + MODELS.index(model)
    assert all_models.get(port, "/direct/big").body == BIG
    middle = all_models.get(port, "/direct/big", headers=[("Range", "bytes=1000001-2000003")])
    assert middle.status == 206
    assert middle.body == BIG[1000001:2000004]


def reads_direct(path):
    """Does the file system let itself be passed by?"""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
        with mmap.mmap(-1, 4096) as page, os.fdopen(fd, "rb", buffering=0) as f:
            return f.readinto(page) == 4096
    except OSError:
        return False


def test_no_model_was_refused_anything(all_models):
    """A system call that the unit's filter denies shows itself as a warning or as a worker that died."""
    bad = [r["MESSAGE"] for r in all_models.journal(all_models.since) if int(r["PRIORITY"]) <= 4]
    if not reads_direct(all_models.path("/srv/direct/big")):
        bad = [message for message in bad if "direct_io is refused" not in message]
    assert bad == []
    assert all_models.show("NRestarts") == "0"


def test_access_log_and_its_rotation(service):
    log = "/var/log/iomuxd/access.log"
    service.configure(site(8080, more=f'access_log : {{ target = "file:{log}"; }};'))
    service.get(8080, "/before")
    wait_until(lambda: "GET /before " in service.read(log), "the line in the log")
    assert service.run("stat", "-c", "%U:%G %a", log).stdout.strip() == "iomuxd:iomuxd 640"
    since = service.cursor()
    service.run("logrotate", "--force", "/etc/logrotate.d/iomuxd")
    service.wait_journal("log files are open again", since)
    service.get(8080, "/after")
    wait_until(lambda: service.path(log).exists() and "GET /after " in service.read(log), "the line in the new log")
    assert "GET /before " in service.read(log + ".1")
    assert "GET /after " not in service.read(log + ".1")
    assert service.run("stat", "-c", "%U:%G %a", log).stdout.strip() == "iomuxd:iomuxd 640"
    service.systemctl("stop", "iomuxd.service")
    service.run("logrotate", "--force", "/etc/logrotate.d/iomuxd")      # nobody to tell is no mistake
    assert service.path(log + ".2.gz").exists()


def test_a_worker_that_is_killed_is_replaced_alone(service):
    service.configure(site(8080, more="workers = 2;"))
    master, workers = service.master(), service.workers()
    since = service.cursor()
    service.kill(workers[0], "KILL")
    service.wait_journal(r"^worker main\.\d \(pid \d+\): died of signal 9", since)
    wait_until(lambda: len(service.workers()) == 2 and workers[0] not in service.workers(), "another worker")
    assert service.master() == master
    assert workers[1] in service.workers()
    assert service.show("NRestarts") == "0"
    assert PAGE in service.get(8080).body


def still_served(web):
    try:
        return web.get("/").status == 200
    except (ConnectionError, client.h11.RemoteProtocolError):      # it went with its worker
        return False


WATCHED = "workers = 2; watchdog = 2;"


@pytest.fixture
def watched(service):
    """The unit waits for signs of life no longer than the daemon needs to replace a worker, and a little."""
    drop_in = "/etc/systemd/system/iomuxd.service.d/test.conf"
    assert service.show("WatchdogUSec") == "30s"
    service.write(drop_in, "[Service]\nWatchdogSec=8\n")
    service.systemctl("daemon-reload")
    service.configure(site(8080, more=WATCHED))
    yield service
    service.path(drop_in).unlink()
    service.systemctl("daemon-reload")


def test_a_worker_that_stands_still_is_replaced_alone(watched):
    """One of two: the other one and its connections go on, and systemd sees no reason to interfere."""
    service = watched
    master, workers = service.master(), service.workers()
    since, beats = service.cursor(), service.show("WatchdogTimestampMonotonic")
    connections = [service.connect(8080) for _ in range(12)]
    try:
        webs = [client.Http(sock) for sock in connections]
        served = [web.get("/").status for web in webs]
        assert served == [200] * len(webs)
        victim, other = workers
        service.kill(victim, "STOP")
        record = service.wait_journal(rf"^worker main\.\d \(pid {victim}\): stuck: .*stopped by a signal; killing it", since)
        assert record["PRIORITY"] == "3"
        assert record.get("IOMUXD_EVENT", "worker-stuck") == "worker-stuck"
        wait_until(lambda: victim not in service.workers() and len(service.workers()) == 2, "another worker")
        assert service.master() == master
        assert other in service.workers()
        assert sum(still_served(web) for web in webs) > 0, "the connections of the other worker were lost too"
    finally:
        for sock in connections:
            sock.close()
    wait_until(lambda: service.show("WatchdogTimestampMonotonic") != beats, "a sign of life")
    assert service.show("NRestarts") == "0"
    assert PAGE in service.get(8080).body


def test_a_master_that_stands_still_is_started_again(watched):
    """By systemd, which hears no sign of life; its workers go with it."""
    master, workers, since = watched.master(), watched.workers(), watched.cursor()
    watched.kill(master, "STOP")
    watched.wait_journal("Watchdog timeout", since, timeout=40)
    wait_until(lambda: watched.show("ActiveState") == "active" and watched.master() not in (0, master), "the restart", 40)
    assert watched.show("NRestarts") == "1"
    assert PAGE in watched.get(8080).body
    assert not set(workers) & set(watched.workers())


def test_a_master_that_is_killed_is_started_again(service):
    master, workers = service.master(), service.workers()
    service.kill(master, "KILL")
    wait_until(lambda: service.show("ActiveState") == "active" and service.master() not in (0, master),
               "the restart")
    assert service.show("NRestarts") == "1"
    assert PAGE in service.get(8080).body
    assert not set(workers) & set(service.workers())


def test_stop_is_prompt_and_clean(service):
    with service.connect(8080):                     # somebody who says nothing does not hold it
        began = time.monotonic()
        service.systemctl("stop", "iomuxd.service")
        assert time.monotonic() - began < 20
    assert service.show("ActiveState") == "inactive"
    assert service.show("Result") == "success"
    assert service.refuses(8080)
    service.systemctl("start", "iomuxd.service")
    assert PAGE in service.get(8080).body


def test_an_answer_under_way_survives_stop(service):
    service.write("/srv/site/big", BIG)
    service.configure(site(8080, "/srv/site"))
    with service.connect(8080) as sock:
        sock.sendall(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
        got = sock.recv(1000)
        service.systemctl("stop", "--no-block", "iomuxd.service")
        wait_until(lambda: service.show("ActiveState") == "deactivating", "the stop")
        while piece := sock.recv(1 << 16):
            got += piece
    assert got.endswith(BIG)
    wait_until(lambda: service.show("ActiveState") == "inactive", "the end")
    assert service.show("Result") == "success"


def test_stop_has_the_time_that_the_drain_may_take(service):
    """However short the unit's own time is."""
    service.write("/srv/site/big", BIG)
    service.write("/etc/systemd/system/iomuxd.service.d/test.conf", "[Service]\nTimeoutStopSec=1\n")
    try:
        service.systemctl("daemon-reload")
        service.configure(site(8080, "/srv/site", "timeouts : { drain = 40; };"))
        with service.connect(8080) as sock:
            sock.sendall(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
            got = sock.recv(1000)
            service.systemctl("stop", "--no-block", "iomuxd.service")
            began = time.monotonic()
            wait_until(lambda: time.monotonic() - began > 3, "the time at which it would be killed")
            while piece := sock.recv(1 << 16):
                got += piece
        assert got.endswith(BIG)
        wait_until(lambda: service.show("ActiveState") in ("inactive", "failed"), "the end")
        assert service.show("Result") == "success"
    finally:
        service.path("/etc/systemd/system/iomuxd.service.d/test.conf").unlink()
        service.systemctl("daemon-reload")


def test_a_start_with_a_broken_configuration_fails_and_says_the_line(service):
    since = service.cursor()
    service.write("/etc/iomuxd.conf", site(8080) + "\nwrokers = 2;\n")
    assert service.systemctl("restart", "iomuxd.service", check=False).returncode != 0
    record = service.wait_journal(r"/etc/iomuxd\.conf:\d+: .*wrokers", since)
    assert record["_SYSTEMD_UNIT"] == "iomuxd.service"
    assert record["PRIORITY"] == "3"
    service.systemctl("stop", "iomuxd.service", check=False)


def test_reload_takes_over_a_good_configuration(service):
    service.write("/srv/site/index.html", "the new site\n")
    master, since = service.master(), service.cursor()
    service.configure(site(8080, "/srv/site"), "reload")
    assert service.get(8080).body == b"the new site\n"
    assert service.master() == master
    assert service.show("ActiveState") == "active"
    service.wait_journal("^ready: pool main", since)


def test_reload_refuses_a_bad_configuration_and_goes_on(service):
    master, since = service.master(), service.cursor()
    service.write("/etc/iomuxd.conf", site(8080) + "\nwrokers = 2;\n")
    assert service.systemctl("reload", "iomuxd.service", check=False).returncode != 0
    assert re.search(r"/etc/iomuxd\.conf:\d+: .*wrokers", service.systemctl("status", "-n", "50", "iomuxd.service").stdout)
    records = [r for r in service.journal(since) if re.search(r"/etc/iomuxd\.conf:\d+: .*wrokers", r["MESSAGE"])]
    assert "3" in [r["PRIORITY"] for r in records], records
    assert service.show("ActiveState") == "active"
    assert service.master() == master
    assert PAGE in service.get(8080).body


def test_iomuxctl_is_for_root_and_for_members_of_the_group(service):
    assert json.loads(service.run("iomuxctl", "--json", "status").stdout)
    service.run("useradd", "--groups", "iomuxd", "member")
    service.run("useradd", "stranger")
    try:
        assert json.loads(service.run("runuser", "-u", "member", "--", "iomuxctl", "--json", "status").stdout)
        done = service.run("runuser", "-u", "stranger", "--", "iomuxctl", "status", check=False)
        assert done.returncode != 0
        assert done.stdout == ""
        assert re.search("[Pp]ermission|not allowed", done.stderr)
    finally:
        service.run("userdel", "member")
        service.run("userdel", "stranger")


def test_iomuxctl_says_that_nothing_runs(service):
    service.systemctl("stop", "iomuxd.service")
    done = service.run("iomuxctl", "status", check=False)
    assert done.returncode != 0
    assert "/run/iomuxd/control.sock" in done.stderr


def test_reload_by_a_signal(service):
    service.write("/srv/site/index.html", "the new site\n")
    service.write("/etc/iomuxd.conf", site(8080, "/srv/site"))
    service.kill(service.master(), signal.SIGHUP.name.removeprefix("SIG"))
    wait_until(lambda: service.get(8080).body == b"the new site\n", "the new site")
