# SPDX-License-Identifier: BSD-2-Clause
"""Siblings that are compressed already, chosen by Accept-Encoding (RFC 9110 section 12.5.3)."""

import gzip
import subprocess
import zlib

import pytest

from client import Http
from sites import http_service, root_route

pytestmark = pytest.mark.usefixtures("model")

TEXT = b"".join(b"line %d of a text that is worth compressing\n" % i for i in range(5000))
PRECOMPRESSED = 'precompressed = [ "br", "zstd", "gzip" ];'


@pytest.fixture
def site(daemon, www):
    folder = www({"app.js": TEXT, "app.js.gz": gzip.compress(TEXT, mtime=0), "app.js.br": b"stands for brotli " * 100,
                  "app.js.zst": b"stands for zstd " * 2000, "small.css": b"a{}", "small.css.gz": gzip.compress(b"a{}"),
                  "plain.txt": b"plain\n", "index.html": b"index\n", "index.html.gz": gzip.compress(b"index\n")})
    d = daemon(http_service(root_route(folder, more=PRECOMPRESSED), root_route(folder, "/off", "").replace(
        "root =", "alias =")))
    d.www = folder
    return d


def ask(web, target, accept, method="GET", headers=()):
    fields = [] if accept is None else [("Accept-Encoding", accept)]
    return web.get(target, method, headers=[*fields, *headers])


CHOICES = [(None, None), ("", None), ("identity", None), ("gzip", "gzip"), ("x-gzip", "gzip"), ("br", "br"),
           ("zstd", "zstd"), ("gzip, deflate, br, zstd", "br"), ("gzip, deflate", "gzip"), ("gzip;q=1.0, br;q=0.5", "gzip"),
           ("br;q=0, *;q=0.1", "zstd"), ("*", "br"), ("*;q=0", None), ("identity;q=0", None),
           ("identity, gzip;q=0.9", None), ("gzip;q=2", None), ("gzip;q=0", None)]


def test_the_client_gets_what_it_likes_best(site):
    web = Http(site.connect())
    suffix = {"gzip": ".gz", "br": ".br", "zstd": ".zst", None: ""}
    for _ in range(2):          # the second time from the notes
        for accept, coding in CHOICES:
            r = ask(web, "/app.js", accept)
            assert (r.status, r.get("content-encoding"), r.get("vary")) == (200, coding, "Accept-Encoding"), accept
            assert r.body == (site.www / ("app.js" + suffix[coding])).read_bytes(), accept
            assert r.get("content-type") == "text/javascript; charset=utf-8"


def test_what_is_sent_decodes_to_the_file(site):
    web = Http(site.connect())
    for target, text in (("/app.js", TEXT), ("/small.css", b"a{}"), ("/", b"index\n")):
        assert zlib.decompress(ask(web, target, "gzip").body, 31) == text
    curl = subprocess.run(["curl", "-s", "--compressed", f"http://127.0.0.1:{site.port()}/small.css"],
                          capture_output=True, timeout=60) if curl_there() else None
    assert curl is None or curl.stdout == b"a{}"


def curl_there():
    try:
        return subprocess.run(["curl", "--version"], capture_output=True, timeout=60).returncode == 0
    except FileNotFoundError:
        return False


def test_each_coding_has_a_strong_etag_of_its_own(site):
    web = Http(site.connect())
    etags = {}
    for accept in (None, "br", "zstd", "gzip"):
        r = ask(web, "/app.js", accept)
        etags[accept] = r.get("etag")
        assert etags[accept].startswith('"')
        r = ask(web, "/app.js", accept, headers=[("If-None-Match", etags[accept])])
        assert (r.status, r.get("etag"), r.get("vary")) == (304, etags[accept], "Accept-Encoding")
        assert r.get("content-encoding") is None
    assert len(set(etags.values())) == 4
    assert ask(web, "/app.js", "br", headers=[("If-None-Match", etags["gzip"])]).status == 200


def test_ranges_are_of_the_encoded_bytes(site):
    web = Http(site.connect())
    coded = (site.www / "app.js.gz").read_bytes()
    r = ask(web, "/app.js", "gzip", headers=[("Range", "bytes=10-109")])
    assert (r.status, r.get("content-range")) == (206, f"bytes 10-109/{len(coded)}")
    assert (r.get("content-encoding"), r.get("vary"), r.body) == ("gzip", "Accept-Encoding", coded[10:110])
    r = ask(web, "/app.js", "gzip", headers=[("Range", f"bytes={len(coded)}-")])
    assert (r.status, r.get("vary"), r.get("content-range")) == (416, "Accept-Encoding", f"bytes */{len(coded)}")
    r = ask(web, "/app.js", "gzip", headers=[("Range", f"bytes={len(coded)}-"), ("If-Range", '"x"')])
    assert (r.status, r.body) == (200, coded)


def test_head_has_the_fields_of_get(site):
    web = Http(site.connect())
    for accept, _ in CHOICES:
        get, head = ask(web, "/app.js", accept), ask(web, "/app.js", accept, "HEAD")
        assert [f for f in get.headers if f[0] != "date"] == [f for f in head.headers if f[0] != "date"]
        assert head.body == b""


def test_without_the_setting_nothing_is_looked_for(site):
    web = Http(site.connect())
    r = ask(web, "/off/app.js", "br, gzip")
    assert (r.body, r.get("vary"), r.get("content-encoding")) == (TEXT, None, None)


def test_siblings_that_come_change_and_go_are_noticed_at_once(site):
    web = Http(site.connect())
    sibling = site.www / "plain.txt.gz"
    for text in (b"one", b"other", b"x" * 20000):
        assert ask(web, "/plain.txt", "gzip").body == b"plain\n"
        sibling.write_bytes(text)
        r = ask(web, "/plain.txt", "gzip")
        assert (r.body, r.get("content-encoding")) == (text, "gzip")
        sibling.unlink()
    sibling.mkdir()
    assert ask(web, "/plain.txt", "gzip").body == b"plain\n"
    sibling.rmdir()
    (site.www / "plain.txt").unlink()
    sibling.write_bytes(b"orphan")
    assert ask(web, "/plain.txt", "gzip").status == 404
