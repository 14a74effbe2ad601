# SPDX-License-Identifier: BSD-2-Clause
"""System tests against the real daemon, a black box, the same for every I/O model.

The binary: environment IOMUXD, else build/iomuxd beneath the repository.  The models: what
`iomuxd --list-models` says; one that cannot run here is skipped with its reason.  IOMUXD_MODELS="epoll poll"
narrows them.  On Debian 12 with Linux 6.1 or newer every model must be there; IOMUXD_WITHOUT="io_uring" says which
this build or this container does without ("make check-matrix" names those that an option of configure left out).
Where the default model is missing, tests that do not care which one it is run on another.

Fixtures
  iomuxd_bin      path of the binary
  features        the optional parts of the binary, as iomuxd -V says: epoll, liburing, systemd, libbsd,
                  libxcrypt, libseccomp
  probe_bin       the test binary, with a service that tries what is forbidden (tests/sandbox): environment
                  IOMUXD_PROBE, else beside the binary; skips where there is none
  needs           needs("systemd") skips the test where the binary is built without it
  plain_model     name of a model for tests that are about something else: the default where it can run
  plain           'io_model = "...";' if a configuration has to name that model, '' where it is the default
  sanitizer       "address", "thread", "undefined" or None: how the binary was built (for bounds on memory)
  model           name of an I/O model; a test that uses it runs once for each (a whole module:
                  pytestmark = pytest.mark.usefixtures("model"))
  family          its family: "multiplexing", "asynchronous" ...
  others          names of two models or more for tests that need several
  calm            settings under which a worker of the model rests when there is nothing to do, as d.quiet()
                  wants it: a pause between sweeps for the family that polls, nothing for all others
  daemon          factory: starts iomuxd and waits until it is ready.  After the test every daemon is stopped
                  by SIGTERM and the test FAILS if its exit status is not 0, a worker is not the one that was
                  started, or the log has a sanitizer report, a failed assertion or an error line that was not
                  allowed.

      daemon(services='...libconfig...' | config_text='whole file',
             model=..., workers=1, timeouts={...}, limits={...}, settings='more libconfig;',
             options=['-o', 'workers=2'], env={...}, nofile=None, ready=True, arguments=None,
             handed=[("web", socket)]) -> Daemon

      services     text between "services = (" and ");": groups separated by commas; listen on "127.0.0.1:0"
      config_text  instead: the whole file; then model, workers, timeouts, limits and settings are not used
      model        the test's own model if it uses that fixture, else plain_model
      timeouts, limits: dicts that become the groups of the same name (drain is 5 unless said)
      nofile       RLIMIT_NOFILE of the daemon, soft and hard
      ready=False  do not wait for the ready line (a start that is to fail); then d.wait() gives the status
                   and d.expect_status(1) says that it is right, d.allow_log(regex) that its error lines are
      arguments    instead of ["-c", FILE]
      binary       instead of iomuxd_bin
      handed       sockets that are handed over by these names, as systemd does it

  Daemon: .pid  .port(service)  .addresses(service)  .connect(service, rcvbuf=, source=) -> socket
          .log()  .log_path  .wait_log(regex, timeout) -> match  .allow_log(regex)
          .worker_pids()  .worker()  .expect_worker_death()  .rss()  .private()  .fds()  .cpu()  .wakeups()
          .ctl(arguments...) runs iomuxctl  .ask(command) -> its JSON  .configure(text)  .reload()
          .signal(n)  .wait(timeout) -> status  .stop(signal, timeout) -> status  .expect_status(n)  .alive()
          .folder (where its files are)  .config (its file)

  tmp_path        a folder of the test's own, which workers under another account may pass (unlike pytest's)
  keeper          a service manager that keeps descriptors: keeper.start(daemon, services, ...) starts a daemon with
                  what the ones before have left (class Keeper in keeper.py)
  www             a factory for a folder of files: www({"a.html": b"...", "sub/b.txt": 5000}) -> Path; a
                  number makes that many seeded random bytes

Modules: harness (Daemon, wait_until, /proc), client (Http: answers read strictly by h11; raw helpers).
"""

import functools
import os
import random
import resource
import shutil
import subprocess
import tempfile
import time
import zlib
from pathlib import Path

import pytest

import harness
from keeper import Keeper

REPOSITORY = Path(__file__).resolve().parents[2]
DEFAULT_MODEL = "epoll"
SETTLED = 20            # seconds since the files of `www` seem to have changed: their validators are strong
TEST_TIMEOUT = 180      # seconds: pytest-timeout ends what hangs
LONG_BEFORE = 0.7       # long tests begin in this part of a run


def binary_path():
    named = os.environ.get("IOMUXD")
    path = Path(named) if named else REPOSITORY / "build" / "iomuxd"
    if not path.is_file() or not os.access(path, os.X_OK):
        raise pytest.UsageError(f"no iomuxd at {path}: build it, or name it in IOMUXD")
    return path.resolve()


@functools.cache
def listed_models(binary):
    """[(name, family, available, why)] as the binary says."""
    command = [str(binary), "--list-models"]
    out = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    models = []
    for line in out.stdout.splitlines():
        fields = line.split(None, 3)
        if len(fields) < 3 or fields[2] not in ("yes", "no"):
            raise pytest.UsageError(f"iomuxd --list-models: not 'NAME FAMILY yes|no WHY': {line!r}")
        models.append((fields[0], fields[1], fields[2] == "yes", fields[3] if len(fields) == 4 else ""))
    if not models:
        raise pytest.UsageError("iomuxd --list-models says nothing")
    return models


@functools.cache
def stand_in(binary):
    """The default model, or the first that can run where that one cannot."""
    available = [name for name, _, yes, _ in listed_models(binary) if yes]
    if not available:
        raise pytest.UsageError("iomuxd --list-models: no model can run here")
    return DEFAULT_MODEL if DEFAULT_MODEL in available else available[0]


def model_params(binary):
    wanted = os.environ.get("IOMUXD_MODELS", "").replace(",", " ").split()
    models = [m for m in listed_models(binary) if m[0] != "auto"]
    unknown = set(wanted) - {m[0] for m in models}
    if unknown:
        raise pytest.UsageError(f"IOMUXD_MODELS: not in iomuxd --list-models: {' '.join(sorted(unknown))}")
    return [pytest.param(name, id=name, marks=() if available else pytest.mark.skip(reason=f"{name}: {why}"))
            for name, _, available, why in models if not wanted or name in wanted]


def pytest_configure(config):
    config.addinivalue_line("markers", "timeout(seconds): ends a test that hangs (pytest-timeout)")
    binary_path()       # without it there is nothing to say but that
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def pytest_generate_tests(metafunc):
    if "model" in metafunc.fixturenames:
        metafunc.parametrize("model", model_params(binary_path()))


def place(item, is_long):
    """Where a test comes in a run of several processes, from 0 to 1: anywhere, but always there."""
    where = zlib.crc32(item.nodeid.encode()) / (1 << 32)
    return where * LONG_BEFORE if is_long else where


def pytest_collection_modifyitems(config, items):
    """pytest-xdist gives each process runs of neighbours, and neighbours take equally long.  So they are mixed; tests
    with a time limit of their own are long, and none of them is left for the end, when the other processes are idle."""
    long = {item.nodeid for item in items if item.get_closest_marker("timeout") is not None}
    for item in items:
        if item.nodeid not in long:
            item.add_marker(pytest.mark.timeout(TEST_TIMEOUT))
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: place(item, item.nodeid in long))


def pytest_terminal_summary(terminalreporter):
    """What the loss meter has seen (record_property of loss.report_table), also by other processes of the run."""
    reports = [r for kind in ("passed", "failed") for r in terminalreporter.stats.get(kind, []) if r.when == "call"]
    lines = [line for r in reports for name, line in r.user_properties if name == "loss"]
    if lines:
        terminalreporter.section("the loss meter")
        terminalreporter.write("\n".join(lines) + "\n")


@pytest.fixture(scope="session")
def iomuxd_bin():
    return binary_path()


@pytest.fixture(scope="session")
def probe_bin(iomuxd_bin):
    path = Path(os.environ.get("IOMUXD_PROBE", iomuxd_bin.parent / "tests" / "sandbox" / "iomuxd-probe"))
    if not path.is_file():
        pytest.skip(f"no test binary at {path}: make {path.name} in tests/sandbox, or make check-matrix")
    return path.resolve()


@pytest.fixture(scope="session")
def features(iomuxd_bin):
    out = subprocess.run([str(iomuxd_bin), "-V"], capture_output=True, text=True, timeout=60, check=True).stdout
    return set(out.splitlines()[1].removeprefix("features:").split())


@pytest.fixture
def needs(features):
    def need(part):
        if part not in features:
            pytest.skip(f"built without {part}")

    return need


@pytest.fixture(scope="session")
def plain_model(iomuxd_bin):
    return stand_in(iomuxd_bin)


@pytest.fixture(scope="session")
def plain(plain_model):
    return "" if plain_model == DEFAULT_MODEL else f'io_model = "{plain_model}";'


@pytest.fixture(scope="session")
def sanitizer(iomuxd_bin):
    return harness.sanitized(iomuxd_bin)


@pytest.fixture
def others(iomuxd_bin):
    """Models for tests that need some beside their own: all of the plainest family that can run, two at least."""
    names = [name for name, family, yes, _ in listed_models(iomuxd_bin) if yes and family == "multiplexing"]
    if len(names) < 2:
        pytest.skip("fewer than two models of the family multiplexing can run here")
    return names


@pytest.fixture
def family(model, iomuxd_bin):
    return next(f for name, f, _, _ in listed_models(iomuxd_bin) if name == model)


@pytest.fixture
def calm(family):
    return "poll_interval = 0.02;\n" if family == "non-blocking" else ""


@pytest.fixture
def tmp_path():
    """A folder that a worker under another account can pass, unlike pytest's own; gone after the test."""
    folder = Path(tempfile.mkdtemp(prefix="iomuxd-matrix-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def configuration(services, model, workers, timeouts, limits, settings):
    text = f"workers = {workers};\n"
    if model is not None:
        text += f'io_model = "{model}";\n'
    text += harness.group_text("timeouts", {"drain": 5, **(timeouts or {})})
    text += harness.group_text("limits", limits)
    text += settings.rstrip() + "\n"
    return text + "services = (\n" + services + "\n);\n"


@pytest.fixture
def daemon(request, iomuxd_bin, tmp_path):
    started = []
    if "model" in request.fixturenames:
        own_model = request.getfixturevalue("model")
    else:
        own_model = None if stand_in(iomuxd_bin) == DEFAULT_MODEL else stand_in(iomuxd_bin)

    def start(services=None, *, config_text=None, model=own_model, workers=1, timeouts=None, limits=None,
              settings="", options=(), env=None, nofile=None, ready=True, arguments=None, cwd=None, handed=(),
              binary=None):
        folder = tmp_path / f"daemon{len(started)}"
        folder.mkdir(mode=0o755)
        if config_text is None and services is not None:
            config_text = configuration(services, model, workers, timeouts, limits, settings)
        d = harness.Daemon(binary or iomuxd_bin, folder, config_text, options, env, nofile, cwd, arguments, handed)
        started.append(d)
        return d.wait_ready() if ready else d

    yield start
    failures = []
    for d in started:
        try:
            d.finish()
        except AssertionError as e:
            failures.append(str(e))
    if failures:
        pytest.fail("\n".join(failures), pytrace=False)


@pytest.fixture
def keeper(needs, tmp_path):
    needs("systemd")
    k = Keeper(tmp_path / "notify")
    yield k
    k.end()


@pytest.fixture
def www(tmp_path):
    def make(files, name="www"):
        folder = tmp_path / name
        folder.mkdir(mode=0o755, exist_ok=True)
        for path, content in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, int):
                content = random.Random(f"{path} {content}").randbytes(content)
            target.write_bytes(content)
            os.utime(target, (time.time() - SETTLED, time.time() - SETTLED))
        return folder

    return make
