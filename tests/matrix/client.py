# SPDX-License-Identifier: BSD-2-Clause
"""HTTP clients: one that reads answers strictly (h11), and raw helpers for hostile bytes.

The requests are plain bytes, so that a test can send whatever it likes; only answers are parsed."""

import socket

import h11

PIECE = 1 << 16
HEAD_MAX = 1 << 20


class Response:
    def __init__(self, event, informational):
        self.status = event.status_code
        self.reason = bytes(event.reason).decode()
        self.version = bytes(event.http_version).decode()
        self.headers = [(bytes(n).decode().lower(), bytes(v).decode("latin-1")) for n, v in event.headers]
        self.informational = informational
        self.body = b""

    def get(self, name, default=None):
        """The value of a field that may be there at most once."""
        values = [v for n, v in self.headers if n == name.lower()]
        assert len(values) <= 1, f"{name} is there {len(values)} times"
        return values[0] if values else default

    def __repr__(self):
        return f"<Response {self.status} {self.headers} {len(self.body)} bytes {self.body[:60]!r}>"


def request(target="/", method="GET", headers=(), body=None, host="test", version="1.1"):
    """The bytes of a request.  headers: pairs; a body gets its Content-Length."""
    head = f"{method} {target} HTTP/{version}\r\n"
    if host is not None:
        head += f"Host: {host}\r\n"
    for name, value in headers:
        head += f"{name}: {value}\r\n"
    if body is not None:
        head += f"Content-Length: {len(body)}\r\n"
    return head.encode("latin-1") + b"\r\n" + (body or b"")


class Http:
    """A keep-alive connection.  What came behind an answer is kept for the next."""

    def __init__(self, sock):
        self.sock = sock
        self.rest = b""

    def send(self, data):
        self.sock.sendall(data)

    def get(self, target="/", method="GET", headers=(), body=None, host="test", version="1.1"):
        self.send(request(target, method, headers, body, host, version))
        return self.read(method)

    def read(self, method="GET"):
        """The next answer, which must be whole and well formed (h11.RemoteProtocolError otherwise)."""
        parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_MAX)
        parser.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
        parser.send(h11.EndOfMessage())
        response, informational, body = None, [], bytearray()
        pending, self.rest = self.rest, b""
        while True:
            event = parser.next_event()
            if event is h11.NEED_DATA:
                if not pending:
                    pending = self.sock.recv(PIECE)
                    if not pending:
                        parser.receive_data(b"")
                        continue
                parser.receive_data(pending[:PIECE])
                pending = pending[PIECE:]
            elif isinstance(event, h11.InformationalResponse):
                informational.append(event.status_code)
            elif isinstance(event, h11.Response):
                response = Response(event, informational)
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                self.rest = parser.trailing_data[0] + pending
                response.body = bytes(body)
                return response
            else:
                raise AssertionError(f"no answer but {event!r}")

    def at_end(self):
        """True when the server closes without another byte."""
        return self.rest == b"" and self.sock.recv(1) == b""

    def close(self):
        self.sock.close()


def read_to_end(sock, limit=1 << 30):
    """Everything until the peer closes.  A reset raises ConnectionResetError."""
    got = bytearray()
    while len(got) < limit:
        piece = sock.recv(PIECE)
        if not piece:
            break
        got += piece
    return bytes(got)


def read_exactly(sock, n):
    got = bytearray()
    while len(got) < n:
        piece = sock.recv(min(PIECE, n - len(got)))
        assert piece, f"the end came after {len(got)} of {n} bytes"
        got += piece
    return bytes(got)


def send_and_read_to_end(sock, data, shut=False):
    """Sends hostile bytes; a server that closes early is no failure of the sender."""
    try:
        sock.sendall(data)
        if shut:
            sock.shutdown(socket.SHUT_WR)
    except OSError:             # a reset, too, makes shutdown(2) fail in its own way
        pass
    return read_to_end(sock)


def parse_all(data, methods=None):
    """Parses everything that a server sent until it closed into responses; all must be well formed."""
    class Bytes:
        def recv(self, _):
            return b""

    http = Http(Bytes())
    http.rest = data
    responses = []
    while http.rest:
        method = methods[len(responses)] if methods else "GET"
        responses.append(http.read(method))
    return responses
