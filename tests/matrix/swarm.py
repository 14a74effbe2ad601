# SPDX-License-Identifier: BSD-2-Clause
"""Hundreds of echo clients in one non-blocking loop, each as irregular as a seed makes it.

They look for lost wakeups: a connection on which nothing moves although something should is the finding."""

import random
import selectors
import socket
import time

POOL = random.Random(7).randbytes(1 << 20)      # what is sent: pieces of it, so that comparing is cheap
PAUSE_MAX = 0.02                                # seconds a client stops reading now and then
STALL = 30.0                                    # seconds without a byte: a wakeup was lost
RESET = b"\1\0\0\0\0\0\0\0"                     # SO_LINGER with no time


class Client:
    """One connection: sends `size` bytes in random pieces, reads with pauses, ends in one of three ways."""

    def __init__(self, rng, address, reset):
        self.rng = rng
        self.size = rng.randint(1, 100_000)
        self.offset = rng.randrange(len(POOL) - self.size)
        self.half_close = rng.random() < 0.5
        self.reset_at = rng.randrange(self.size) if reset else None
        self.sent = self.got = 0
        self.shut = False
        self.paused_until = 0.0
        self.moved = time.monotonic()
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.sock.setblocking(False)
        if rng.random() < 0.3:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rng.choice((2048, 8192, 32768)))
        if rng.random() < 0.5:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.connect_ex(address)

    def wants(self, now):
        mask = selectors.EVENT_READ if now >= self.paused_until else 0
        if self.sent < self.size:
            mask |= selectors.EVENT_WRITE
        return mask

    def write(self):
        n = min(self.size - self.sent, self.rng.choice((1, 7, 100, 1460, 4096, 16384, 65536)))
        start = self.offset + self.sent
        try:
            self.sent += self.sock.send(POOL[start:start + n])
        except BlockingIOError:
            return
        if self.sent == self.size and self.half_close:
            self.sock.shutdown(socket.SHUT_WR)
            self.shut = True

    def read(self, now):
        """Returns True when everything has come back (and, after a half-close, the end as well)."""
        try:
            data = self.sock.recv(self.rng.choice((1, 512, 4096, 65536)))
        except BlockingIOError:
            return False
        if not data:
            assert self.shut and self.got == self.size, f"the end came early: {self}"
            return True
        start = self.offset + self.got
        assert data == POOL[start:start + len(data)], f"other bytes came back: {self}"
        self.got += len(data)
        assert self.got <= self.sent, f"more came back than was sent: {self}"
        if self.rng.random() < 0.1:
            self.paused_until = now + self.rng.random() * PAUSE_MAX
        return self.got == self.size and not self.half_close

    def __repr__(self):
        return f"<sent {self.sent} of {self.size}, got {self.got}, {'shut' if self.shut else 'open'}>"


class Swarm:
    def __init__(self, address, seed, count, reset_share=0.0):
        self.address = address
        self.rng = random.Random(seed)
        self.reset_share = reset_share
        self.count = count
        self.selector = selectors.DefaultSelector()
        self.clients = set()
        self.asleep = set()
        self.done = self.resets = self.bytes = 0

    def start_one(self):
        rng = random.Random(self.rng.random())
        c = Client(rng, self.address, rng.random() < self.reset_share)
        self.clients.add(c)
        self.selector.register(c.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, c)

    def drop(self, c, reset=False):
        if c not in self.asleep:
            self.selector.unregister(c.sock)
        self.asleep.discard(c)
        self.clients.discard(c)
        if reset:
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.resets += 1
        else:
            self.done += 1
        self.bytes += c.got
        c.sock.close()

    def interest(self, c, now):
        mask = c.wants(now)
        if c in self.asleep:
            if mask:
                self.asleep.discard(c)
                self.selector.register(c.sock, mask, c)
        elif not mask:
            self.selector.unregister(c.sock)
            self.asleep.add(c)
        elif self.selector.get_key(c.sock).events != mask:
            self.selector.modify(c.sock, mask, c)

    def turn(self, c, mask, now):
        before = c.sent + c.got
        if mask & selectors.EVENT_WRITE and c.sent < c.size:
            c.write()
        over = mask & selectors.EVENT_READ and c.read(now)
        if c.sent + c.got != before:
            c.moved = now
        if over:
            self.drop(c)
        elif c.reset_at is not None and c.sent > c.reset_at:
            self.drop(c, reset=True)
        else:
            self.interest(c, now)

    def wake(self, now):
        for c in [c for c in self.clients if c.paused_until and now >= c.paused_until]:
            c.paused_until = 0.0
            self.interest(c, now)

    def check_stalls(self, now):
        stalled = [c for c in self.clients if now - c.moved > STALL]
        assert not stalled, f"{len(stalled)} connections stand still, a wakeup was lost: {stalled[:5]}"

    def run(self, seconds):
        """Keeps `count` connections busy for so long, then waits until each has got all its bytes."""
        end = time.monotonic() + seconds
        look = 0.0
        try:
            while True:
                now = time.monotonic()
                while now < end and len(self.clients) < self.count:
                    self.start_one()
                if not self.clients:
                    return
                for key, mask in self.selector.select(PAUSE_MAX / 4):
                    self.turn(key.data, mask, now)
                self.wake(now)
                if now >= look:
                    self.check_stalls(now)
                    look = now + 1
        finally:
            for c in list(self.clients):
                c.sock.close()
            self.selector.close()
