# SPDX-License-Identifier: BSD-2-Clause
"""The I/O models as the tests know them, a line each: to take one away, take its line.

Tests about a single model skip when it is not in this table; tests about something else ask for any of them
(fixture `others` in conftest)."""

from typing import NamedTuple

EPOLL, POLL, SELECT = {"epoll_wait", "epoll_pwait"}, {"poll", "ppoll"}, {"select", "pselect6"}


class Model(NamedTuple):
    family: str
    waits_in: set           # the system calls in which it may wait
    auto: bool = False      # io_model "auto" tries it, in this order


MODELS = {
    "epoll":       Model("multiplexing", EPOLL, auto=True),
    "epoll-level": Model("multiplexing", EPOLL),
    "poll":        Model("multiplexing", POLL, auto=True),
    "select":      Model("multiplexing", SELECT, auto=True),
    "nonblocking": Model("non-blocking", set()),
    "blocking":    Model("blocking", POLL),
    "sigio":       Model("signal-driven", {"rt_sigtimedwait"}),
    "aio":         Model("asynchronous", POLL),
    "io_uring":    Model("asynchronous", {"io_uring_enter"}),
}
