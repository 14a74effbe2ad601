# SPDX-License-Identifier: BSD-2-Clause
"""Routes as their users meet them: by host, with redirects that no client can lead elsewhere, with header fields of
their own, with words about how long replies may be kept."""

import email.utils

import pytest

from client import Http, parse_all, request, send_and_read_to_end
from sites import http_service, respond_route, root_route

pytestmark = pytest.mark.usefixtures("model")

HOSTS = http_service(
    respond_route("/", "any"), respond_route("/a", "any a"),
    respond_route("/", "exact", 'host = [ "www.example.org", "Example.ORG." ];'),
    respond_route("/", "wild", 'host = "*.example.org";'),
    respond_route("/", "wilder", 'host = "*.b.example.org";'),
    respond_route("/a", "wilder a", 'host = "*.b.example.org";'),
    respond_route("/only", "literal", 'host = "[0:0::1]";'))


@pytest.mark.parametrize("host, target, body", [
    ("www.example.org", "/", b"exact"), ("WWW.EXAMPLE.ORG:8080", "/x", b"exact"), ("example.org", "/", b"exact"),
    ("example.org.", "/", b"exact"), ("a.example.org", "/", b"wild"), ("a.b.c.example.org", "/", b"wild"),
    ("a.b.example.org", "/", b"wilder"), ("x.a.b.example.org", "/a/x", b"wilder a"), ("b.example.org", "/a", b"wild"),
    ("other.example", "/", b"any"), ("other.example", "/a", b"any a"), ("xexample.org", "/", b"any"),
    ("www.example.org", "/a", b"exact"), ("[::1]:80", "/only", b"literal"), ("[::1]", "/", b"any"),
    ("127.0.0.1", "/", b"any"),
])
def test_the_host_and_then_the_longest_path_choose_the_route(daemon, host, target, body):
    assert Http(daemon(HOSTS).connect()).get(target, host=host).body == body


REDIRECTS = http_service(
    '{ path = "/tls"; redirect : { to = "https://$host$path$query"; status = 301; }; }',
    '{ path = "/old"; redirect : { to = "/new$path"; status = 308; }; }',
    '{ path = "/here"; redirect : { to = "$path"; status = 307; }; }',
    '{ path = "/money"; redirect = "/$$100${query}"; }',
    '{ path = "/fixed"; redirect : { to = "https://example.org/"; status = 303; }; }')


@pytest.mark.parametrize("target, host, status, location", [
    ("/tls/a%20b?c=d", "h.test:80", 301, "https://h.test/tls/a%20b?c=d"),
    ("/tls", "[::1]:8080", 301, "https://[::1]/tls"),
    ("/old/x", "h", 308, "/new/old/x"),
    ("//here//evil.test/", "h", 307, "/here/evil.test/"),
    ("/here/..//here/%2f%2fevil.test", "h", 307, "/here/evil.test"),
    ("/here/%5c%5cevil.test", "h", 307, "/here/%5C%5Cevil.test"),
    ("/money?x", "h", 302, "/$100?x"),
    ("/fixed", "h", 303, "https://example.org/"),
])
def test_redirects_lead_where_the_request_says_and_nowhere_else(daemon, target, host, status, location):
    web = Http(daemon(REDIRECTS).connect())
    for method in ("GET", "HEAD", "POST"):
        answer = web.get(target, method, host=host, body=b"" if method == "POST" else None)
        assert (answer.status, answer.get("location")) == (status, location)
        assert answer.get("content-type") == "text/plain; charset=utf-8"
        body = f"{answer.reason}\n{location}\n".encode()
        assert answer.body == (b"" if method == "HEAD" else f"{status} ".encode() + body)


def test_a_redirect_that_needs_the_host_is_refused_to_who_names_none(daemon):
    d = daemon(REDIRECTS)
    data = send_and_read_to_end(d.connect(), b"GET /tls HTTP/1.0\r\n\r\n")
    assert [r.status for r in parse_all(data)] == [400]


def field_site(folder):
    return ('{ name = "web"; protocol = "http"; listen = "127.0.0.1:0"; '
            'headers : { add : { X-Frame-Options = "DENY"; X-Both = "service"; }; remove = [ "Accept-Ranges" ]; }; '
            'routes = ( '
            + root_route(folder, more='cache_control = "public, max-age=60"; expires = 60;') + ", "
            + root_route(folder, "/sub", 'headers : { add = ( { name = "X-Both"; value = "route"; }, '
                                         '{ name = "X.odd~"; value = "1"; } ); remove = [ "ETag", "x-frame-options" ]; }; '
                                         'expires = 0;') + ", "
            '{ path = "/to"; redirect = "/"; cache_control = "no-store"; }, '
            '{ path = "/tls"; redirect : { status = 301; to = "https://$host$path"; }; expires = 60; }, '
            '{ path = "/gone"; status = 410; cache_control = "max-age=9"; expires = 10; }, '
            + respond_route("/missing", "no", "expires = 60;", status=404) + ", "
            + respond_route("/r", "fixed", "expires = 3600;") + " ); }")


def seconds(answer, field):
    return email.utils.parsedate_to_datetime(answer.get(field)).timestamp()


def test_fields_of_services_and_routes_are_on_every_reply(daemon, www):
    folder = www({"a.txt": b"0123456789", "sub/b.txt": 100_000})
    web = Http(daemon(field_site(folder)).connect())
    modified = web.get("/a.txt").get("last-modified")
    for answer in (web.get("/a.txt"), web.get("/a.txt", "HEAD"), web.get("/a.txt", headers=[("Range", "bytes=1-2")]),
                   web.get("/a.txt", headers=[("If-Modified-Since", modified)])):
        assert answer.status in (200, 206, 304)
        assert (answer.get("x-frame-options"), answer.get("x-both")) == ("DENY", "service")
        assert answer.get("cache-control") == "public, max-age=60"
        assert seconds(answer, "expires") - seconds(answer, "date") == 60
        assert answer.get("etag") and answer.get("accept-ranges") is None
    for answer in (web.get("/none"), web.get("/a.txt", "POST", body=b"x"), web.get("/a.txt", "OPTIONS")):
        assert answer.status in (404, 405, 204)
        assert (answer.get("x-frame-options"), answer.get("x-both")) == ("DENY", "service")
        assert answer.get("cache-control") is None and answer.get("expires") is None
    for _ in range(2):
        answer = web.get("/sub/b.txt")
        assert len(answer.body) == 100_000
        assert (answer.get("x-both"), answer.get("x.odd~"), answer.get("x-frame-options")) == ("route", "1", None)
        assert answer.get("etag") is None and answer.get("last-modified") and answer.get("accept-ranges") is None
        assert answer.get("cache-control") == "max-age=0" and answer.get("expires") == answer.get("date")
    answer = web.get("/to")
    assert (answer.status, answer.get("x-both"), answer.get("cache-control")) == (302, "service", "no-store")
    for target, status, control, fresh_s in (("/tls", 301, "max-age=60", 60), ("/gone", 410, "max-age=9", 10),
                                             ("/missing", 404, "max-age=60", 60)):
        answer = web.get(target)
        assert (answer.status, answer.get("cache-control")) == (status, control)
        assert seconds(answer, "expires") - seconds(answer, "date") == fresh_s
        answer = web.get(target, "TRACE")
        assert (answer.status, answer.get("cache-control"), answer.get("expires")) == (405, None, None)
    answer = web.get("/r")
    assert answer.get("cache-control") == "max-age=3600"
    assert seconds(answer, "expires") - seconds(answer, "date") == 3600


def test_fields_that_fill_several_blocks_come_whole_for_pipelined_requests(daemon, www):
    folder = www({"a.txt": b"0123456789"})
    fields = " ".join(f'X-F{i} = "{"v" * 1500}";' for i in range(5))
    d = daemon(http_service(root_route(folder, more=f"headers : {{ add : {{ {fields} }}; }};")))
    s = d.connect()
    data = send_and_read_to_end(s, request("/a.txt") * 50 + request("/a.txt", headers=[("Connection", "close")]))
    answers = parse_all(data)
    assert len(answers) == 51
    for answer in answers:
        assert answer.body == b"0123456789"
        assert [len(answer.get(f"x-f{i}")) for i in range(5)] == [1500] * 5
