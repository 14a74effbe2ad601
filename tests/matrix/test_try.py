# SPDX-License-Identifier: BSD-2-Clause
"""Where files are looked for (alias, try), error pages, and what is no file."""

import os
import socket
import threading

import pytest

from client import Http, request
from sites import HELLO, RESPOND_HELLO, http_service

pytestmark = pytest.mark.usefixtures("model")

APP = b"<!doctype html><title>app</title>\n"


def files_route(folder, path="/", kind="root", more=""):
    return f'{{ path = "{path}"; {kind} = "{folder}"; {more} }}'


@pytest.fixture
def folder(www):
    return www({"index.html": APP, "assets/app.js": b"app();\n", "about.html": b"about\n", "docs/index.html": b"docs\n",
                "big.bin": 300_000, ".secret": b"secret\n", "404.html": b"<p>not here\n", "50x.html": b"<p>broken\n" * 500})


def test_a_single_page_application(daemon, folder):
    d = daemon(http_service(files_route(folder, more='try = [ "$path", "$path.html", "$path/", "/index.html" ];'),
                            files_route(folder, "/assets", more='try = [ "$path" ];'), RESPOND_HELLO))
    web = Http(d.connect())
    for _ in range(2):
        for target in ("/", "/some/deep/view", "/some/deep/view?with=query", "/index.html", "/docs/none/"):
            r = web.get(target)
            assert (r.status, r.body) == (200, APP), target
        assert web.get("/about").body == b"about\n"
        assert web.get("/big.bin").body == (folder / "big.bin").read_bytes()
        assert web.get("/docs/").body == b"docs\n"
        r = web.get("/docs?a=b")
        assert (r.status, r.get("location")) == (301, "/docs/?a=b")
        assert web.get("/assets/app.js").body == b"app();\n"
        assert web.get("/assets/gone.js").status == 404
        assert web.get("/hello").body == HELLO
        assert Http(d.connect()).get("/%2e%2e/%2e%2e/etc/passwd").status == 400
        for target in ("/.secret", "/.none", "/view/.none/x"):     # hidden, whatever is tried
            assert web.get(target).status == 404
    r = web.get("/view", headers=[("If-None-Match", web.get("/other/view").get("etag"))])
    assert r.status == 304
    assert web.get("/view", "POST", body=b"x").status == 405


def test_candidates_that_come_and_go_are_noticed_at_once(daemon, folder):
    web = Http(daemon(http_service(files_route(folder, more='try = [ "$path", "/about.html", "=410" ];'))).connect())
    for _ in range(3):
        assert web.get("/new").body == b"about\n"
        (folder / "new").write_bytes(b"new\n")
        assert web.get("/new").body == b"new\n"
        (folder / "new").unlink()
    (folder / "about.html").unlink()
    r = web.get("/new")
    assert (r.status, r.body) == (410, b"410 Gone\n")


def test_an_alias_is_without_the_prefix_and_a_root_with_it(daemon, folder):
    d = daemon(http_service(files_route(folder, "/manual", "alias"), files_route(folder, "/docs")))
    web = Http(d.connect())
    assert web.get("/manual/about.html").body == b"about\n"
    assert web.get("/manual/").body == APP
    assert web.get("/manual/docs/index.html").body == b"docs\n"
    r = web.get("/manual?x")
    assert (r.status, r.get("location")) == (301, "/manual/?x")
    r = web.get("/manual/docs")
    assert (r.status, r.get("location")) == (301, "/manual/docs/")
    for target in ("/manual/../about.html", "/manual/%2e%2e/about.html", "/manualabout.html", "/manual/manual/",
                   "/manual/.secret", "/manual/about.html/"):
        assert web.get(target).status == 404, target
    assert web.get("/docs/").body == b"docs\n"
    assert web.get("/docs/docs/").status == 404


def test_error_pages_replace_the_small_ones(daemon, folder, tmp_path):
    service = (f'{{ name = "web"; protocol = "http"; listen = "127.0.0.1:0"; error_pages = ( '
               f'{{ status = [ 404, 400 ]; file = "{folder}/404.html"; }} ); routes = ( '
               f'{files_route(folder, "/f", "alias", more=PAGES.format(folder))}, '
               f'{{ path = "/down"; status = 503; error_pages = ( {{ status = 503; file = "{folder}/50x.html"; }} ); }}, '
               f'{{ path = "/own"; respond : {{ status = 404; body = "own"; }}; }} ); }}')
    d = daemon(service)
    web = Http(d.connect())
    for target, status, body in (("/nowhere", 404, b"<p>not here\n"), ("/f/none", 404, b"about\n"),
                                 ("/down", 503, b"<p>broken\n" * 500), ("/own", 404, b"own")):
        r = web.get(target)
        assert (r.status, r.body) == (status, body)
        assert web.get(target, "HEAD").get("content-length") == str(len(body))
    assert web.get("/f/none").get("content-type") == "text/html; charset=utf-8"
    r = web.get("/f/big.bin", headers=[("Range", "bytes=300000-")])
    assert (r.status, r.get("content-range"), r.body) == (416, "bytes */300000", b"<p>broken\n" * 500)
    r = web.get("/f/big.bin", "DELETE")
    assert (r.status, r.get("allow"), r.body) == (405, "GET, HEAD, OPTIONS", b"<p>broken\n" * 500)
    r = web.get("/f/a", host=None)
    assert (r.status, r.get("connection"), r.body) == (400, "close", b"<p>not here\n")


PAGES = ('error_pages = ( {{ status = 404; file = "{0}/about.html"; }}, '
         '{{ status = [ 405, 416 ]; file = "{0}/50x.html"; }} );')


def test_what_is_no_regular_file_is_not_found_and_holds_nobody_up(daemon, folder):
    os.mkfifo(folder / "fifo")
    (folder / "null").symlink_to("/dev/null")
    (folder / "to-fifo").symlink_to("fifo")
    (folder / "out").symlink_to("/etc/passwd")
    (folder / "loop").symlink_to("loop")
    with socket.socket(socket.AF_UNIX) as s:
        here = os.getcwd()
        os.chdir(folder)        # the name of a socket is short
        try:
            s.bind("socket")
        finally:
            os.chdir(here)
    d = daemon(http_service(files_route(folder), files_route(folder, "/try", "alias", 'try = [ "$path", "=404" ];'),
                            RESPOND_HELLO))
    done = []

    def ask(name):
        web = Http(d.connect())
        done.append((name, web.get(name).status, web.get("/hello").body))

    names = [base + name for base in ("/", "/try/")
             for name in ("fifo", "to-fifo", "null", "out", "loop", "socket", "about.html/", "fifo/", "out/x")]
    threads = [threading.Thread(target=ask, args=(name,)) for name in names]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(done) == sorted((name, 404, HELLO) for name in names)
    s = d.connect()
    s.sendall(request("/a%00b"))
    assert Http(s).read().status == 400
