# SPDX-License-Identifier: BSD-2-Clause
"""What a route answers, and whom: methods, and networks of addresses."""

import socket

import pytest

from client import Http
from sites import http_service, respond_route, root_route

pytestmark = pytest.mark.usefixtures("model")


def test_methods_are_those_that_a_route_names(daemon, www):
    folder = www({"a.txt": b"a"})
    web = Http(daemon(http_service(
        root_route(folder, more='methods = [ "GET" ];'), respond_route("/form", "ok", 'methods = "POST";'),
        '{ path = "/any"; status = 410; }', '{ path = "/head"; status = 410; methods = [ "HEAD", "OPTIONS" ]; }'
    )).connect())
    allow = {"/a.txt": "GET, HEAD, OPTIONS", "/form": "POST, OPTIONS", "/head": "HEAD, OPTIONS",
             "/any": "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS"}
    for target, methods in allow.items():
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
            answer = web.get(target, method, body=b"" if method in ("POST", "PUT", "PATCH") else None)
            if method not in methods.split(", "):
                assert (answer.status, answer.get("allow")) == (405, methods)
            elif method == "OPTIONS":
                assert (answer.status, answer.get("allow")) == (204, methods)
            else:
                assert answer.status == (200 if target in ("/a.txt", "/form") else 410)
    assert web.get("*", "OPTIONS").get("allow") == allow["/any"]
    assert web.get("/a.txt", "BREW").status == 501


NETS = ('{ name = "web"; protocol = "http"; listen = [ "127.0.0.1:0", "unix:%s" ]; '
        'allow = [ "127.0.0.0/24" ]; deny = "127.0.0.3"; routes = ( '
        + respond_route("/", "service") + ", "
        + respond_route("/open", "open", 'deny = [];') + ", "
        + respond_route("/local", "local", 'allow = "unix";') + ", "
        + respond_route("/nobody", "nobody", 'allow = [];') + ", "
        + respond_route("/holes", "holes", 'allow = [ "127.0.0.3", "127.0.0.0/8" ]; deny = "127.0.0.0/30";') + " ); }")


def test_the_longest_prefix_decides_who_comes_in(daemon, tmp_path):
    path = tmp_path / "sock"
    d = daemon(NETS % path)
    port = int(next(a for a in d.addresses("web") if a.startswith("127")).rsplit(":", 1)[1])
    d._ports = {"web": [f"127.0.0.1:{port}"]}
    for source, ins in (("127.0.0.1", "/ /open"), ("127.0.0.3", "/open /holes"), ("127.0.0.5", "/ /open /holes"),
                        ("127.1.0.1", "/open /holes"), ("unix", "/open /local")):
        if source == "unix":
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(30)
            s.connect(str(path))
        else:
            s = d.connect("web", source=source)
        web = Http(s)
        got = [t for t in ("/", "/open", "/local", "/nobody", "/holes") if web.get(t).status == 200]
        assert got == ins.split(), source
        assert web.get("/nobody", "POST", body=b"x").status == 403
        s.close()
