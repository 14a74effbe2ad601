# SPDX-License-Identifier: BSD-2-Clause
"""What is asked of the servers: the rows, their requests, one checked answer, load by wrk, idle connections.

Knows a port and no server."""
import os
import re
import resource
import socket
import subprocess

from servers import FIXED_BODY, Failure

ANSWER_S = 10           # for one answer
WRK_SPARE_S = 20        # beyond the time it was told, before it is killed
PIPELINED = 16

BROWSER = """\
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8
Accept-Language: en-US,en;q=0.5
Accept-Encoding: gzip, deflate, br
Referer: http://localhost/index.html
Cookie: session=0123456789abcdef0123456789abcdef; theme=dark
Connection: keep-alive
Upgrade-Insecure-Requests: 1
Cache-Control: max-age=0
""".replace("\n", "\r\n")


def page_bytes(size):
    """Contents of a file to be served: text that differs from line to line."""
    return b"".join(b"%015d\n" % n for n in range(size // 16 + 1))[:size]


# The files that are served, by request path.
PAGES = {"/1k.txt": page_bytes(1024), "/100k.txt": page_bytes(102400)}


class Row:
    """One kind of work."""

    def __init__(self, name, title, path, headers="", *, depth=1, close=False, sendfile=False, idle=0):
        self.name = name
        self.title = title
        self.path = path
        self.depth = depth              # requests sent at once
        self.close = close              # a connection for each request
        self.sendfile = sendfile        # the floor sends the body from a file
        self.idle = idle                # connections that sleep meanwhile
        self.body = PAGES.get(path, FIXED_BODY)
        # The Host has no port: so a request has one size, whatever the port.
        self.request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode()


ROWS = [
    Row("fixed", "fixed reply, keep-alive", "/fixed"),
    Row("headers", "fixed reply, 9 browser headers", "/fixed", BROWSER),
    Row("1k", "1 KiB file", "/1k.txt"),
    Row("100k", "100 KiB file", "/100k.txt", sendfile=True),
    Row("pipelined", f"fixed reply, pipelined {PIPELINED} deep", "/fixed", depth=PIPELINED),
    Row("connect", "a connection for each request", "/fixed", "Connection: close\r\n", close=True),
    Row("crowd", "fixed reply among 10,000 idle connections", "/fixed", idle=10000),
]


class Reply:
    """An answer as it came."""

    def __init__(self, raw, head_size):
        self.raw = raw
        self.head = raw[:head_size]
        self.body = raw[head_size:]

    def field(self, name):
        found = re.search(rb"^%s:[ \t]*(.*?)[ \t]*\r$" % name, self.head, re.I | re.M)
        return found[1] if found else b""


def reply_read(connection, rest=b""):
    """Reads one answer; returns it and what came after it."""
    data = rest
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            raise Failure(f"the connection ended within an answer, after {len(data)} bytes")
        data += more
    reply = Reply(data, data.index(b"\r\n\r\n") + 4)
    length = reply.field(rb"Content-Length")
    if not length.isdigit():
        raise Failure(f"an answer without Content-Length: {reply.head!r}")
    whole = len(reply.head) + int(length)
    while len(data) < whole:
        more = connection.recv(65536)
        if not more:
            raise Failure(f"the connection ended {whole - len(data)} bytes before the end of an answer")
        data += more
    return Reply(data[:whole], len(reply.head)), data[whole:]


def checked_reply(name, port, row):
    """Asks once as the load will, and returns the answer if it is the right one."""
    try:
        with socket.create_connection(("127.0.0.1", port), ANSWER_S) as connection:
            connection.sendall(row.request * row.depth)
            rest = b""
            for _ in range(row.depth):
                reply, rest = reply_read(connection, rest)
                if not re.match(rb"HTTP/1\.1 200[ \r]", reply.head):
                    raise Failure(f"not 200: {reply.head!r}")
                if reply.body != row.body:
                    raise Failure(f"a wrong body of {len(reply.body)} bytes, not {len(row.body)}")
            if rest:
                raise Failure(f"{len(rest)} bytes too many")
            if row.close and reply.field(rb"Connection").lower() != b"close":
                raise Failure(f"does not say Connection: close: {reply.head!r}")
            if row.close and connection.recv(1):
                raise Failure("does not close")
            return reply
    except (OSError, Failure) as e:
        raise Failure(f"{name}, {row.title}: {e}") from e


class Wrk:
    """wrk on its own CPU, with one thread."""

    def __init__(self, program, cpu, connections, setup):
        self._argv = [program, "-t", "1", "-c", str(connections), "--timeout", "5s",
                      "-s", os.path.join(os.path.dirname(os.path.abspath(__file__)), "wrk.lua")]
        self._cpu = cpu
        self._setup = setup

    def run(self, port, row, seconds):
        """Returns what it counted, and the CPU seconds that it took itself."""
        request = self._setup.file_new("request", row.request * row.depth)
        argv = self._argv + ["-d", f"{seconds}s", f"http://127.0.0.1:{port}{row.path}", "--", request]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        try:
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, check=False,
                                  timeout=seconds + WRK_SPARE_S,
                                  preexec_fn=lambda: os.sched_setaffinity(0, {self._cpu}))
        except subprocess.TimeoutExpired as e:
            raise Failure(f"wrk did not end {WRK_SPARE_S} s after its time") from e
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        line = re.search(r"^counted (.*)$", done.stdout, re.M)
        if done.returncode != 0 or not line:
            raise Failure(f"wrk failed:\n{done.stdout.strip()}")
        counted = {key: int(value) for key, value in (pair.split("=") for pair in line[1].split())}
        if counted["requests"] == 0:
            raise Failure("wrk got no answer at all")
        if row.depth > 1:
            counted["p50"] = counted["p99"] = None  # wrk times whole batches, and its percentiles go wrong
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return counted, spent


class Crowd:
    """Keep-alive connections that have each made one request and are idle since."""

    def __init__(self, port, row, count):
        self._connections = []
        try:
            for _ in range(count):
                connection = socket.create_connection(("127.0.0.1", port), ANSWER_S)
                self._connections.append(connection)
                connection.sendall(row.request)
                reply_read(connection)
        except (OSError, Failure) as e:
            held = len(self._connections)
            self.close()
            raise Failure(f"idle connection {held} of {count}: {e}") from e

    def close(self):
        for connection in self._connections:
            connection.close()
        self._connections = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
