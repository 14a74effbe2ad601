# SPDX-License-Identifier: BSD-2-Clause
"""Many idle connections, and a daemon with nothing to do."""

import resource
import threading
import time

import pytest

from client import Http, request
from harness import wait_until
from sites import HELLO, RESPOND_HELLO, http_service, root_route

pytestmark = pytest.mark.usefixtures("model")

IDLE = 9000
CEILING = {"aio": 3000}                 # models that carry fewer: two threads and two descriptors for each
THREADS_WATCHED = 1000                  # what ThreadSanitizer has memory for
SPARE = 200
FRUGAL = ("epoll", "epoll-level")       # models whose memory for an idle connection is bounded here
BYTES_EACH = 2048


@pytest.mark.timeout(300)
def test_nine_thousand_idle_connections_do_not_hinder_the_others(daemon, www, model, family, sanitizer):
    count = CEILING.get(model, IDLE)
    if sanitizer == "thread":
        count = THREADS_WATCHED
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < IDLE + SPARE:
        pytest.skip(f"RLIMIT_NOFILE is below {IDLE + SPARE}")
    folder = www({"a.html": b"<p>a</p>\n", "big.bin": 1_000_000})
    # A thread under AddressSanitizer takes 157 KB instead of 18, and 9000 of them need 4 to 7 s of two processors to end:
    # with less time than that the master ends the worker by signal 9 when timeouts.drain is over.
    d = daemon(http_service(root_route(folder), RESPOND_HELLO), timeouts={"idle": 300, "drain": 60})
    warm = [Http(d.connect()) for _ in range(20)]
    for web in warm:
        assert len(web.get("/big.bin").body) == 1_000_000
    before = d.private()
    idle = []
    for _ in range(0, count, 250):
        batch = [Http(d.connect()) for _ in range(250)]
        for web in batch:
            web.send(request("/a.html"))
        for web in batch:
            assert web.read().status == 200
        idle += batch
    if family != "non-blocking":            # which tries 9000 sockets again and again
        wait_until(d.quiet, what="the worker being quiet")
    each = (d.private() - before) / count
    print(f"{model}: {each:.0f} bytes of the worker for each of {count} idle connections")

    failures = []

    def active():
        try:
            web = Http(d.connect())
            for _ in range(50):
                assert web.get("/hello").body == HELLO
                assert web.get("/a.html").body == b"<p>a</p>\n"
            assert len(web.get("/big.bin").body) == 1_000_000
        except Exception as e:      # a thread has no other way to fail its test
            failures.append(repr(e))

    threads = [threading.Thread(target=active) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures
    for web in idle[::100]:
        assert web.get("/hello").body == HELLO, "an idle connection is not usable any more"
    if sanitizer is None and model in FRUGAL:
        assert each < BYTES_EACH


def sleeps(d, sanitizer):
    """Less than a clock tick in a second, and next to no wakeups (ThreadSanitizer's own thread wakes)."""
    cpu, woken, master = d.cpu(), d.wakeups(), d.master_cpu()
    time.sleep(1.0)         # the span over which is measured
    return (d.cpu() - cpu < 0.01 and d.master_cpu() - master < 0.01
            and (d.wakeups() - woken <= 5 or sanitizer == "thread"))


def test_an_idle_daemon_sleeps(daemon, family, sanitizer):
    if family == "non-blocking":
        pytest.skip("this model polls by its nature")
    d = daemon(http_service(RESPOND_HELLO))
    clients = [Http(d.connect()) for _ in range(10)]
    for web in clients:
        assert web.get("/hello").body == HELLO
    wait_until(d.quiet, what="the worker being quiet")
    wait_until(lambda: sleeps(d, sanitizer), what="a second in which it sleeps: the threads of aio end one by one before")
