# SPDX-License-Identifier: BSD-2-Clause
"""Garbage: requests of the table with something broken in them, and bytes that never were requests, from a seed.

The server must not crash, leak, or forget a connection: whoever shuts its sending half down is let go at once,
whoever stays silent at the deadline.  1,500 connections for each model; IOMUXD_GARBAGE=20000 in the environment makes
it as many as that, and IOMUXD_SEED another seed:

    IOMUXD_GARBAGE=20000 make check-matrix MATRIX_FLAGS='-k garbage'"""

import os
import random
import re
import time

import pytest

from client import Http
from harness import wait_until
from http_cases import CASES
from pieces import Ending, converse
from sites import HELLO, file_site

CONNECTIONS = int(os.environ.get("IOMUXD_GARBAGE", "1500"))
SEED = int(os.environ.get("IOMUXD_SEED", "4"))
BASES = [c.send for c in CASES if len(c.send) <= 1000]
WORDS = [b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b"\0", b"\xff", b"\r\n\r\n", b"0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
         b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n",
         b"Connection: close\r\n",
         b"Range: bytes=0-1\r\n", b"HTTP/1.1", b"%2e", b"../", b"99999999999999999999", b"ffffffffffffffff", b"*",
         b"?", b"A" * 9000]
DEADLINE_S = 2
SECOND_S = 10.0                 # more than the deadline is a connection that was forgotten
GROWTH_MAX = 8 << 20            # bytes that the worker may keep after all that

pytestmark = [pytest.mark.usefixtures("model"), pytest.mark.timeout(900)]


def broken(rng, data):
    """One thing that can go wrong with bytes."""
    a, b = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    kind = rng.randrange(6)
    if kind == 0:
        return data[:a] + bytes([rng.randrange(256)]) + data[a + 1:]
    if kind == 1:
        return data[:a] + rng.choice(WORDS) + data[a:]
    if kind == 2:
        return data[:a] + data[b:]
    if kind == 3:
        return data[:b] + data[a:b] + data[b:]
    if kind == 4:
        return data[:a] + rng.choice(BASES)[-(b - a):] if b > a else data
    return data[:a]


def garbage(rng):
    if rng.random() < 0.15:
        return rng.randbytes(rng.randrange(1, 600))
    data = b"".join(rng.choice(BASES) for _ in range(rng.choice((1, 1, 1, 2, 5))))
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        data = broken(rng, data)
    return data


def pieces_of(rng, data):
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.choice((0, 0, 1, 3, 10))))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)]) if b > a]


def plans_of(rng, n):
    """Those who stay silent come last, since they are waited for together."""
    endings = rng.choices((Ending.SHUT, Ending.RESET, Ending.WAIT), (80, 17, 3), k=n)
    endings.sort(key=lambda ending: ending is Ending.WAIT)
    return [(pieces_of(rng, garbage(rng)), ending) for ending in endings]


def complaint(got, end, ending):
    """Every answer begins as one, and every connection comes to its end."""
    if isinstance(end, TimeoutError):
        return "nothing ended it"
    if ending is Ending.SHUT and end is not None and not isinstance(end, ConnectionResetError):
        return repr(end)
    if got and not re.match(rb"HTTP/1\.1 [1-5]\d\d ", got):
        return f"it said {got[:60]!r}"
    return None


def test_garbage_neither_breaks_nor_leaks_nor_sticks(daemon, www, sanitizer, calm):
    folder = www({"text.txt": bytes(range(256)) * 8, "index.html": b"<p>index\n", "sub/index.html": b"<p>sub\n"})
    d = daemon(file_site(folder), settings=calm,
               timeouts={"header": DEADLINE_S, "body": DEADLINE_S, "idle": DEADLINE_S, "send": DEADLINE_S})
    rng = random.Random(SEED)
    address = ("127.0.0.1", d.port())
    list(converse(address, plans_of(rng, 200)))         # so that caches and heaps have their size
    wait_until(d.quiet, what="an end of the first connections")
    descriptors, memory = d.fds(), d.private()
    plans = plans_of(rng, CONNECTIONS)
    wrong = []
    for i, ((got, end), (pieces, ending)) in enumerate(zip(converse(address, plans), plans)):
        what = complaint(got, end, ending)
        if what is not None:
            wrong.append(f"connection {i}: {what}: {b''.join(pieces)[:300]!r}, {ending.name}")
    assert not wrong, f"seed {SEED}, {len(wrong)} complaints:\n" + "\n".join(wrong[:10])
    assert Http(d.connect()).get("/hello").body == HELLO
    d.close_sockets()
    began = time.monotonic()
    wait_until(lambda: d.fds() <= descriptors, what="an end of all connections")
    assert time.monotonic() - began < DEADLINE_S + SECOND_S, "connections outlive their deadline"
    if sanitizer is None:
        assert d.private() - memory <= GROWTH_MAX, f"{(d.private() - memory) >> 10} KiB more than before"
