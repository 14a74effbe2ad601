# SPDX-License-Identifier: BSD-2-Clause
"""Asks a daemon for its statistics, over its control socket or by HTTP."""
import http.client
import json
import os
import socket
import urllib.parse

ANSWER_S = 10


class Unreached(Exception):
    """The daemon cannot be asked; its text says why."""


class Local(http.client.HTTPConnection):
    """HTTP over a socket that is a file."""

    def __init__(self, path):
        super().__init__("localhost", timeout=ANSWER_S)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ask_control(path):
    """The statistics by a control socket, which answers a GET too: its command `status' has no histograms."""
    return _get(path, Local(path), "/status.json")


def ask_http(url):
    """/status.json of a service or route that shows statistics; the URL is of that or of the page above it."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise Unreached(f"{url}: neither a path of a socket nor a URL that begins with http://")
    path = parts.path or "/"
    if not path.endswith(".json"):
        path = path.rstrip("/") + "/status.json"
    return _get(url, http.client.HTTPConnection(parts.hostname, parts.port, timeout=ANSWER_S), path)


def _get(where, connection, path):
    try:
        connection.request("GET", path, headers={"Accept": "application/json"})
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as e:
        raise Unreached(f"{where}: {getattr(e, 'strerror', None) or e}") from e
    finally:
        connection.close()
    if answer.status != 200:
        raise Unreached(f"{where}: {path} answers {answer.status} {answer.reason}")
    return _read(where, body)


def _read(where, answer):
    try:
        status = json.loads(answer)
    except ValueError as e:
        raise Unreached(f"{where}: what came is no JSON ({e})") from e
    if not isinstance(status, dict) or "pools" not in status:
        raise Unreached(f"{where}: what came are no statistics of iomuxd")
    return status


def asker(where):
    """A function without arguments that asks there."""
    if where.startswith(("http:", "https:")):
        return lambda: ask_http(where)
    return lambda: ask_control(where)


def default_control():
    """Where iomuxctl would ask."""
    folder = os.environ.get("XDG_RUNTIME_DIR")
    if os.geteuid() != 0 and folder and os.path.exists(f"{folder}/iomuxd/control.sock"):
        return f"{folder}/iomuxd/control.sock"
    return "/run/iomuxd/control.sock"
