# SPDX-License-Identifier: BSD-2-Clause
"""The loss meter: many clients of every kind in a process of their own, which count what a client can lose.

    python3 meter.py        a program; class Meter in loss.py starts it and talks to it

The first line of stdin says what there is (see Plan).  Then each line is a command, answered by a line of JSON:

    more N      waits until every busy client has gone N steps further (a step: a request with its whole answer, a
                piece of a download ...)
    ask         those that are silent ask now, once; waits for the answers
    report      what was counted so far
    finish      every client finishes what it has in hand and goes; then the report, and the end

What is lost is told apart by what a user would say of it:

    refused     nobody listens (ECONNREFUSED, or ENOENT for a Unix socket)
    reset       ECONNRESET or EPIPE, at any moment
    cut         the end came in the middle of an answer, or of a session that never ends by itself
    dropped     a request on a connection that was kept, and the end instead of an answer
    closed      an idle connection ended, and no answer before had said `Connection: close`
    timeout     nothing for PATIENCE_S
    wrong       other bytes than those that are right
    duplicate   bytes that nobody asked for: a second answer, a second greeting, a datagram twice
    unanswered  a datagram that did not come back
    other       anything else, as an exception

Each loss is noted with when its connection was made and when it began to wait, by the monotonic clock, which all processes
share; so is each answer that took longer than SLOW_S, and each moment when this process was late by itself.  The clients
verify every byte of every answer.

It knows nothing of the server but its addresses."""

import array
import asyncio
import collections
import errno
import gc
import hashlib
import json
import random
import re
import socket
import sys
import time

PATIENCE_S = 30.0       # no answer on loopback takes so long, even under sanitizers on a machine that is busy
SLOW_S = 0.005          # answers to small requests that took longer are listed
LATE_S = 0.001          # so are the moments when this process was later than that by itself
NOTED = 100_000         # losses that are listed; all are counted
PIECE = 1 << 16
HEAD_MAX = 1 << 14
POOL = random.Random(11).randbytes(1 << 18)     # what echo and upload send: slices of it
DATAGRAMS_AHEAD = 8     # of one client: so few that no buffer on the way can be full

LOSSES = ("refused", "reset", "cut", "dropped", "closed", "timeout", "wrong", "duplicate", "unanswered", "other")


class Lost(Exception):
    """One of LOSSES, with a sentence."""

    def __init__(self, what, why=""):
        super().__init__(what, why)
        self.what, self.why = what, why


def sort_error(e):
    """What an exception means to the client."""
    if isinstance(e, Lost):
        return e
    if isinstance(e, TimeoutError):
        return Lost("timeout", f"nothing for {PATIENCE_S} s")
    number = getattr(e, "errno", None)
    if number in (errno.ECONNREFUSED, errno.ENOENT):
        return Lost("refused", repr(e))
    if number in (errno.ECONNRESET, errno.EPIPE):
        return Lost("reset", repr(e))
    return Lost("other", repr(e))


# --- counting -------------------------------------------------------------------------------------------------------

class Book:
    """All that is counted."""

    def __init__(self):
        self.lost = collections.Counter()
        self.noted = []
        self.counts = collections.Counter()
        self.began, self.took = array.array("d"), array.array("d")     # of small requests
        self.slow = []
        self.lags = []          # when this process itself was late, and how much

    def note(self, kind, lost, born, since):
        self.lost[lost.what] += 1
        if len(self.noted) < NOTED:
            self.noted.append({"what": lost.what, "why": lost.why, "kind": kind, "born": born, "since": since,
                               "at": time.monotonic()})

    def answered(self, kind, began):
        took = time.monotonic() - began
        self.counts[f"{kind}"] += 1
        self.began.append(began)
        self.took.append(took)
        if took > SLOW_S:
            self.slow.append((began, took, kind))

    def quantile(self, part):
        took = sorted(self.took)
        return took[min(len(took) - 1, int(part * len(took)))] if took else 0.0

    def report(self):
        return {"lost": {what: self.lost[what] for what in LOSSES}, "noted": self.noted, "counts": dict(self.counts),
                "slow": self.slow, "lags": self.lags,
                "p50": self.quantile(0.5), "p99": self.quantile(0.99), "worst": self.quantile(1.0)}


# --- a connection ---------------------------------------------------------------------------------------------------

def family_of(address):
    return socket.AF_UNIX if isinstance(address, str) else socket.AF_INET6 if ":" in address[0] else socket.AF_INET


class Wire:
    """A connection, and what has come and was not looked at."""

    def __init__(self, book, address, rcvbuf=None):
        self.book, self.address = book, address if isinstance(address, str) else tuple(address)
        self.loop = asyncio.get_running_loop()
        self.rest = b""
        self.born = self.since = time.monotonic()
        self.sock = socket.socket(family_of(address), socket.SOCK_STREAM)
        self.sock.setblocking(False)
        if rcvbuf is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        if self.sock.family != socket.AF_UNIX:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def connect(self):
        """A Unix socket whose queue is full says so at once; a TCP socket waits by itself."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    await self.loop.sock_connect(self.sock, self.address)
                    break
                except BlockingIOError:
                    await asyncio.sleep(0.001)
        self.book.counts["connections"] += 1
        return self

    async def send(self, data):
        self.since = time.monotonic()
        await self.loop.sock_sendall(self.sock, data)
        self.book.counts["bytes_sent"] += len(data)

    async def receive(self, n=PIECE):
        """b"" at the end."""
        async with asyncio.timeout(PATIENCE_S):
            data = await self.loop.sock_recv(self.sock, n)
        self.book.counts["bytes_received"] += len(data)
        return data

    async def more(self):
        """Adds to what is there; the end is a cut."""
        data = await self.receive()
        if not data:
            raise Lost("cut", f"the end behind {len(self.rest)} bytes")
        self.rest += data

    async def take(self, n):
        while len(self.rest) < n:
            await self.more()
        taken, self.rest = self.rest[:n], self.rest[n:]
        return taken

    async def expect_end(self):
        """The server has said that this was the last answer."""
        data = self.rest or await self.receive()
        if data:
            raise Lost("duplicate", f"behind the last answer: {data[:60]!r}")

    async def silence(self, seconds):
        """Nothing may come, and no end, for so long.  seconds None: until the caller cancels it."""
        if self.rest:
            raise Lost("duplicate", f"nobody asked for {self.rest[:60]!r}")
        try:
            async with asyncio.timeout(seconds):
                data = await self.loop.sock_recv(self.sock, PIECE)
        except TimeoutError:
            return
        raise Lost("duplicate", f"nobody asked for {data[:60]!r}") if data else Lost("closed", "without notice")

    def close(self):
        self.sock.close()


# --- HTTP -----------------------------------------------------------------------------------------------------------

STATUS = re.compile(rb"HTTP/1\.1 (\d\d\d) [ -~]+$")


class Head:
    def __init__(self, block):
        lines = block.split(b"\r\n")
        match = STATUS.match(lines[0])
        if match is None:
            raise Lost("wrong", f"no status line: {lines[0][:80]!r}")
        self.status = int(match[1])
        self.fields = {}
        for line in lines[1:]:
            name, colon, value = line.partition(b": ")
            if not colon or name.lower() in self.fields:
                raise Lost("wrong", f"a field that is none, or twice: {line[:80]!r}")
            self.fields[name.lower()] = value
        self.last = self.fields.get(b"connection", b"").lower() == b"close"
        length = self.fields.get(b"content-length", b"")
        if not length.isdigit():
            raise Lost("wrong", "no Content-Length")
        self.length = int(length)


async def read_head(wire):
    """The end before the first byte is told apart: the request was not begun."""
    while (at := wire.rest.find(b"\r\n\r\n")) == -1:
        if len(wire.rest) > HEAD_MAX:
            raise Lost("wrong", f"no end of the head: {wire.rest[:80]!r}")
        data = await wire.receive()
        if not data:
            raise Lost("cut" if wire.rest else "dropped", f"the end behind {len(wire.rest)} bytes of a head")
        wire.rest += data
    head, wire.rest = Head(wire.rest[:at]), wire.rest[at + 4:]
    return head


def check_head(head, page):
    if head.status != 200 or head.length != len(page):
        raise Lost("wrong", f"status {head.status}, length {head.length}, not 200 and {len(page)}")


async def read_page(wire, page):
    """One whole answer; returns True if the connection goes on."""
    head = await read_head(wire)
    check_head(head, page)
    if await wire.take(head.length) != page:
        raise Lost("wrong", "another body")
    wire.book.counts["requests"] += 1
    return not head.last


def get(target, more=b""):
    return b"GET %s HTTP/1.1\r\nHost: meter\r\n%s\r\n" % (target.encode(), more)


# --- clients --------------------------------------------------------------------------------------------------------

class Client:
    """One client, for as long as the meter runs.  A subclass says in live() what it does on one connection; what it loses
    there ends the connection and is noted, and it comes again."""

    kind = "client"
    silent = False          # it speaks when it is asked to: not one that `more` waits for

    def __init__(self, meter, number):
        self.meter, self.book, self.plan = meter, meter.book, meter.plan
        self.rng = random.Random(f"{self.kind} {number}")
        self.steps = 0
        self.wire = None

    def over(self):
        return self.meter.finishing.is_set()

    def stepped(self):
        self.steps += 1
        self.meter.moved.set()

    def address(self):
        return self.plan[self.service]

    def small(self):
        """A page that is answered at once."""
        return self.rng.choice(self.plan["small"])

    async def pause(self, low, high):
        await asyncio.sleep(low + self.rng.random() * (high - low))

    async def live(self, wire):
        raise NotImplementedError

    def open(self):
        return Wire(self.book, self.address())

    async def once(self):
        wire = self.wire = self.open()
        try:
            await wire.connect()
            await self.live(wire)
        except (Lost, OSError, TimeoutError) as e:
            self.book.note(self.kind, sort_error(e), wire.born, wire.since)
            await asyncio.sleep(0.02)       # who is refused tries again, not all the time
        finally:
            wire.close()

    async def run(self):
        await self.pause(0, 0.05)           # not all at once
        while not self.over():
            await self.once()


class Keep(Client):
    """Asks again and again on one connection."""

    kind, service = "keep", "web"
    rest = 0.002, 0.02      # seconds between two requests

    async def exchange(self, wire):
        target, page = self.small()
        began = time.monotonic()
        await wire.send(get(target))
        goes_on = await read_page(wire, page)
        self.book.answered(self.kind, began)
        self.stepped()
        return goes_on

    async def live(self, wire):
        while await self.exchange(wire):
            if self.over():
                return
            await self.pause(*self.rest)
            if wire.rest:
                raise Lost("duplicate", f"nobody asked for {wire.rest[:60]!r}")
        self.book.counts["told to close"] += 1
        await wire.expect_end()


class KeepUnix(Keep):
    kind, service = "keep, Unix socket", "unix"


class Fresh(Client):
    """A connection for each request."""

    kind, service = "fresh", "web"

    async def live(self, wire):
        target, page = self.small()
        last = self.rng.random() < 0.5
        await wire.send(get(target, b"Connection: close\r\n" if last else b""))
        goes_on = await read_page(wire, page)
        self.book.answered(self.kind, wire.born)        # the way in is part of the wait
        self.stepped()
        if last and goes_on:
            raise Lost("wrong", "Connection: close was not answered")
        if not goes_on:
            await wire.expect_end()

    async def run(self):
        while not self.over():
            await self.once()
            await self.pause(0.002, 0.02)


class FreshUnix(Fresh):
    kind, service = "fresh, Unix socket", "unix"


class Pipeline(Client):
    """Several requests at once.  A server that says which answer is the last may leave the rest to the next connection."""

    kind, service = "pipeline", "web"

    async def live(self, wire):
        goes_on = True
        while goes_on and not self.over():
            wanted = [self.small() for _ in range(self.rng.randint(2, 8))]
            began = time.monotonic()
            await wire.send(b"".join(get(target) for target, _ in wanted))
            for target, page in wanted:
                goes_on = await read_page(wire, page)
                if not goes_on:
                    break
            self.book.answered(self.kind, began)
            self.stepped()
            await self.pause(0.005, 0.03)
        if not goes_on:
            self.book.counts["told to close"] += 1
            await wire.expect_end()


class Download(Client):
    """A large file, as fast as a line that is not fast: it lasts over several operations."""

    kind, service = "download", "web"
    page = "large"
    rcvbuf, piece, rest = 1 << 16, 1 << 15, 0.01

    def open(self):
        return Wire(self.book, self.address(), self.rcvbuf)

    async def live(self, wire):
        target, page, digest = self.plan[self.page]
        await wire.send(get(target, b"Connection: close\r\n"))
        check_head(await read_head(wire), page)
        hashed, size = hashlib.sha256(wire.rest), len(wire.rest)
        wire.rest = b""
        while size < len(page):
            data = await wire.receive(min(self.piece, len(page) - size))
            wire.since = time.monotonic()
            if not data:
                raise Lost("cut", f"the end behind {size} of {len(page)} bytes")
            hashed.update(data)
            size += len(data)
            self.stepped()
            await asyncio.sleep(self.rest)
        if hashed.digest() != digest:
            raise Lost("wrong", "another checksum")
        self.book.counts["requests"] += 1
        self.book.counts[self.kind] += 1
        await wire.expect_end()


class Slow(Download):
    """One that reads a few bytes at a time, so that the server has to wait for it."""

    kind, page = "slow reader", "middle"
    rcvbuf, piece, rest = 4096, 2048, 0.005


class Upload(Client):
    """A body that comes in pieces."""

    kind, service = "upload", "web"
    pieces, piece, rest = 20, 2048, 0.02

    async def live(self, wire):
        target, page = self.plan["upload"]
        head = b"POST %s HTTP/1.1\r\nHost: meter\r\nContent-Length: %d\r\n\r\n"
        goes_on = True
        while goes_on and not self.over():
            await wire.send(head % (target.encode(), self.pieces * self.piece))
            for i in range(self.pieces):
                await wire.send(POOL[i * self.piece:(i + 1) * self.piece])
                self.stepped()
                await asyncio.sleep(self.rest)
            goes_on = await read_page(wire, page)
            self.book.counts[self.kind] += 1
        if not goes_on:
            self.book.counts["told to close"] += 1
            await wire.expect_end()


class Echo(Client):
    """Messages that must come back as they went; each session ends after a while, one that is `long` never."""

    kind, service = "echo", "echo"
    long = False

    def message(self):
        n = self.rng.choice((1, 20, 200, 2000, 20000))
        at = self.rng.randrange(len(POOL) - n)
        return POOL[at:at + n]

    async def exchange(self, wire):
        message = self.message()
        began = time.monotonic()
        await wire.send(message)
        got = await wire.take(len(message))
        if got != message:
            raise Lost("wrong", f"{len(message)} bytes came back as others")
        self.book.answered(self.kind, began)
        self.stepped()

    async def live(self, wire):
        left = self.rng.randint(20, 60)
        while not self.over() and (self.long or left > 0):
            await self.exchange(wire)
            await self.pause(0.002, 0.02)
            if wire.rest:
                raise Lost("duplicate", f"more came back: {wire.rest[:60]!r}")
            left -= 1
        wire.sock.shutdown(socket.SHUT_WR)
        await wire.expect_end()


class EchoUnix(Echo):
    kind, service = "echo, Unix socket", "unix_echo"


class EchoLong(Echo):
    kind, long = "echo, one session", True


class Greet(Client):
    """Is greeted once, and says something now and then, which nobody answers."""

    kind, service = "greet", "greet"
    long = False

    async def live(self, wire):
        began = time.monotonic()
        greeting = self.plan["greeting"].encode()
        if await wire.take(len(greeting)) != greeting:
            raise Lost("wrong", "another greeting")
        self.book.answered(self.kind, began)
        left = self.rng.randint(5, 15)
        while not self.over() and (self.long or left > 0):
            await wire.send(b"hello yourself\n")
            self.stepped()
            await wire.silence(0.05)
            left -= 1


class GreetLong(Greet):
    kind, long = "greet, one session", True


class Silent(Client):
    """Asks once, and then only when it is told to, and watches the connection meanwhile."""

    silent = True

    async def exchange(self, wire):
        raise NotImplementedError

    async def wait(self, wire):
        """Until it may ask again.  False: it is all over."""
        silence = asyncio.ensure_future(wire.silence(None))
        asked = asyncio.ensure_future(self.meter.asked.wait(self))
        try:
            await asyncio.wait((silence, asked), return_when=asyncio.FIRST_COMPLETED)
            if silence.done():
                silence.result()
            return not self.over()
        finally:
            silence.cancel()
            asked.cancel()

    async def live(self, wire):
        while await self.exchange(wire):
            self.stepped()
            if not await self.wait(wire):
                return
        self.stepped()
        self.book.counts["told to close"] += 1
        await wire.expect_end()


class SilentWeb(Silent):
    kind, service = "idle", "web"
    exchange = Keep.exchange


class SilentUnix(SilentWeb):
    kind, service = "idle, Unix socket", "unix"


class SilentEcho(Silent):
    kind, service = "idle echo", "echo"
    message = Echo.message

    async def exchange(self, wire):
        await Echo.exchange(self, wire)
        return True


class Datagrams(Client):
    """Numbered datagrams from a port of its own."""

    kind, service = "datagrams", "udp"

    def __init__(self, meter, number):
        super().__init__(meter, number)
        self.waiting = {}       # number -> (bytes, when it went)
        self.done = set()
        self.sent = 0

    def open(self):
        s = socket.socket(family_of(self.address()), socket.SOCK_DGRAM)
        s.setblocking(False)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        s.connect(tuple(self.address()))
        return s

    def receive(self, sock):
        while True:
            try:
                data = sock.recv(PIECE)
            except BlockingIOError:
                return
            except OSError as e:            # what ICMP has said of one that went
                self.book.note(self.kind, sort_error(e), 0, time.monotonic())
                return
            self.sort_in(data)

    def sort_in(self, data):
        number = int.from_bytes(data[:8])
        message, when = self.waiting.pop(number, (None, 0))
        if number in self.done:
            self.book.note(self.kind, Lost("duplicate", f"datagram {number}"), when, when)
        elif data != message:
            self.book.note(self.kind, Lost("wrong", f"datagram {number}"), when, when)
        else:
            self.done.add(number)
            self.book.counts["bytes_received"] += len(data)
            self.book.answered(self.kind, when)
            self.stepped()

    def send(self, sock):
        message = self.sent.to_bytes(8) + POOL[self.sent % 1000:][:self.rng.randint(0, 1200)]
        self.waiting[self.sent] = message, time.monotonic()
        self.sent += 1
        try:
            sock.send(message)
            self.book.counts["datagrams sent"] += 1
            self.book.counts["bytes_sent"] += len(message)
        except OSError as e:
            self.waiting.pop(self.sent - 1)
            self.book.note(self.kind, sort_error(e), 0, time.monotonic())

    def give_up(self, before):
        for number in [n for n, (_, when) in self.waiting.items() if when < before]:
            _, when = self.waiting.pop(number)
            self.book.note(self.kind, Lost("unanswered", f"datagram {number}"), when, when)

    async def run(self):
        sock, loop = self.open(), asyncio.get_running_loop()
        loop.add_reader(sock.fileno(), self.receive, sock)
        try:
            while not self.over():
                if len(self.waiting) < DATAGRAMS_AHEAD:
                    self.send(sock)
                self.give_up(time.monotonic() - PATIENCE_S / 4)
                await self.pause(0.005, 0.02)
            end = time.monotonic() + PATIENCE_S / 4
            while self.waiting and time.monotonic() < end:
                await asyncio.sleep(0.005)
            await asyncio.sleep(0.02)       # for what comes twice
            self.give_up(time.monotonic())
        finally:
            loop.remove_reader(sock.fileno())
            sock.close()


KINDS = {c.__name__: c for c in (Keep, KeepUnix, Fresh, FreshUnix, Pipeline, Download, Slow, Upload, Echo, EchoUnix,
                                 EchoLong, Greet, GreetLong, SilentWeb, SilentUnix, SilentEcho, Datagrams)}


# --- the meter ------------------------------------------------------------------------------------------------------

class Asked:
    """Lets each silent client go once for each question."""

    def __init__(self):
        self.round = 0
        self.heard = {}
        self.changed = asyncio.Event()

    async def wait(self, client):
        while self.heard.get(client, 0) >= self.round:
            await self.changed.wait()
        self.heard[client] = self.round

    def next(self):
        self.round += 1
        self.changed.set()
        self.changed = asyncio.Event()


def bytes_of(page):
    """{"text": ...} or {"file": a path}."""
    if "text" in page:
        return page["text"].encode()
    with open(page["file"], "rb") as f:
        return f.read()


class Plan(dict):
    """The first line: {"addresses": {"web": ["127.0.0.1", 80], "unix": "/run/x", "echo", "unix_echo", "greet", "udp"},
    "greeting": text, "small": {target: page}, "large": [target, page], "middle": [target, page],
    "upload": [target, page], "clients": {kind: how many}}."""

    def __init__(self, line):
        said = json.loads(line)
        super().__init__(said["addresses"])
        self["greeting"] = said.get("greeting", "")
        self["small"] = [(target, bytes_of(page)) for target, page in said["small"].items()]
        for name in "large", "middle":
            target, page = said[name]
            page = bytes_of(page)
            self[name] = target, page, hashlib.sha256(page).digest()
        self["upload"] = said["upload"][0], bytes_of(said["upload"][1])
        self.clients = said["clients"]


class Meter:
    def __init__(self, plan):
        self.plan, self.book = plan, Book()
        self.finishing, self.moved, self.asked = asyncio.Event(), asyncio.Event(), Asked()
        self.clients = [KINDS[kind](self, i) for kind, count in plan.clients.items() for i in range(count)]

    async def watch_self(self):
        """How late this process is by itself: what no server can be blamed for."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.002)
            now = time.monotonic()
            if now - before - 0.002 > LATE_S:
                self.book.lags.append((now, now - before - 0.002))

    async def until(self, condition, what):
        end = time.monotonic() + 2 * PATIENCE_S
        while not condition():
            self.moved.clear()
            try:
                async with asyncio.timeout(1):
                    await self.moved.wait()
            except TimeoutError:
                pass
            if time.monotonic() > end:
                return {"late": what() + [f"loss: {note}" for note in self.book.noted[:5]]}
        return {}

    async def more(self, n):
        wanted = [(c, c.steps + n) for c in self.clients if not c.silent]
        return await self.until(lambda: all(c.steps >= steps for c, steps in wanted),
                                lambda: [c.kind for c, steps in wanted if c.steps < steps])

    async def ask(self):
        wanted = [(c, c.steps + 1) for c in self.clients if c.silent]
        self.asked.next()
        return await self.until(lambda: all(c.steps >= steps for c, steps in wanted),
                                lambda: [c.kind for c, steps in wanted if c.steps < steps])

    async def obey(self, line):
        word, *arguments = line.split()
        if word == "more":
            return await self.more(int(arguments[0]))
        if word == "ask":
            return await self.ask()
        return self.book.report()

    async def run(self, lines):
        watch = asyncio.ensure_future(self.watch_self())
        lives = [asyncio.ensure_future(c.run()) for c in self.clients]
        while (line := await lines.readline()) and line.strip() != b"finish":
            say(await self.obey(line.decode()))
        self.finishing.set()
        self.asked.next()
        done, late = await asyncio.wait(lives, timeout=2 * PATIENCE_S)
        for life in done:
            life.result()       # a mistake of the meter itself is not hidden
        for life in late:
            life.cancel()
        watch.cancel()
        say(self.book.report() | {"late": len(late)})


def say(answer):
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


async def main():
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=1 << 24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    meter = Meter(Plan(await lines.readline()))
    gc.collect()
    gc.disable()            # a pause of the meter would look like one of the server
    say({"clients": len(meter.clients)})
    await meter.run(lines)


if __name__ == "__main__":
    asyncio.run(main())
