# SPDX-License-Identifier: BSD-2-Clause
"""HTTP/1.1 as well-meaning clients meet it: files, fixed replies, routes, conditions, ranges, keep-alive."""

import email.utils
import random
import socket
import threading
import time
from urllib.parse import urljoin, urlsplit

import pytest

from client import Http, parse_all, read_to_end, request
from sites import HELLO, RESPOND_HELLO, file_site, http_service, respond_route, root_route

pytestmark = pytest.mark.usefixtures("model")

PAGE = b"<!doctype html><title>index</title>\n"
TEXT = bytes(range(256)) * 8        # 2,048 bytes, each offset tells itself from its neighbours

FILES = {
    "index.html": PAGE, "a.html": b"<p>a</p>\n", "text.txt": TEXT, "empty.txt": b"",
    "sub/index.htm": b"sub index\n", "sub/deep/b.css": b"b {}\n", "bare/file.txt": b"bare\n",
    "with space.txt": b"space\n", "ümlaut.txt": b"umlaut\n", "100%.txt": b"percent\n",
    "plus+.txt": b"plus\n",
    ".hidden": b"HIDDEN", ".git/config": b"HIDDEN", "sub/.env": b"HIDDEN", "big.bin": 300_000,
}


@pytest.fixture
def web(daemon, www):
    d = daemon(file_site(www(FILES)))
    return Http(d.connect())


def test_a_file_comes_with_length_type_date_and_validators(web):
    r = web.get("/a.html")
    assert (r.status, r.reason, r.version, r.body) == (200, "OK", "1.1", b"<p>a</p>\n")
    assert r.get("content-length") == "9"
    assert r.get("content-type").split(";")[0] == "text/html"
    assert r.get("etag") and r.get("etag")[-1] == '"'
    for field in ("date", "last-modified"):
        value = r.get(field)
        moment = email.utils.parsedate_to_datetime(value)
        assert email.utils.format_datetime(moment, usegmt=True) == value, f"{field}: {value}"
        assert abs(moment.timestamp() - time.time()) < 60
    assert r.get("connection", "keep-alive").lower() == "keep-alive"


def test_head_says_what_get_would_say_and_sends_no_body(web):
    for target in ("/a.html", "/big.bin", "/empty.txt", "/hello", "/", "/sub", "/none"):
        get, head = web.get(target), web.get(target, "HEAD")
        assert head.body == b"" and head.status == get.status, target
        strip = ("date",)
        said = [[h for h in r.headers if h[0] not in strip] for r in (get, head)]
        assert said[0] == said[1], target
        assert get.get("content-length") == str(len(get.body)), target


def test_an_index_answers_for_its_folder(web):
    assert web.get("/").body == PAGE
    r = web.get("/sub/")
    assert (r.status, r.body) == (200, b"sub index\n")
    assert r.get("content-type").split(";")[0] == "text/html"
    assert web.get("/bare/").status in (403, 404), "a folder without index is not listed"


def test_a_folder_without_its_slash_is_redirected_to_it(web):
    for target, wanted in (("/sub", "/sub/"), ("/sub?a=b", "/sub/?a=b"), ("/sub/deep", "/sub/deep/")):
        r = web.get(target)
        assert r.status in (301, 308), target
        url = urlsplit(urljoin("http://test" + target, r.get("location")))
        assert (url.netloc, url.path + ("?" + url.query if url.query else "")) == ("test", wanted)
    r = web.get("//sub")
    if r.status in (301, 308):
        assert urlsplit(urljoin("http://test/", r.get("location"))).netloc == "test", "an open redirect"


def test_media_types_follow_the_name(daemon, www):
    types = {"a.html": "text/html", "a.HTM": "text/html", "a.css": "text/css", "a.js": "text/javascript",
             "a.json": "application/json", "a.png": "image/png", "a.jpg": "image/jpeg",
             "a.jpeg": "image/jpeg", "a.gif": "image/gif", "a.svg": "image/svg+xml", "a.txt": "text/plain",
             "a.pdf": "application/pdf", "a.webp": "image/webp", "a.woff2": "font/woff2",
             "a.wasm": "application/wasm", "a.mp4": "video/mp4",
             "a.tar.gz": "application/gzip", "a.unknown-thing": "application/octet-stream",
             "noext": "application/octet-stream", "a.b/noext": "application/octet-stream"}
    web = Http(daemon(file_site(www({name: b"x" for name in types}))).connect())
    got = {name: (web.get("/" + name).get("content-type") or "none").split(";")[0] for name in types}
    assert got == types


def test_percent_codes_and_queries_are_understood(web):
    a = FILES["a.html"]
    for target, body in (
            ("/%61.html", a), ("/a%2Ehtml", a), ("/a%2ehtml", a), ("/a.html?x=/../y&z=%00", a),
            ("/a.html?", a),
            ("/./a.html", a), ("/sub/../a.html", a), ("/sub/deep/../../a.html", a),
            ("/sub/deep/%2e%2e/index.htm", b"sub index\n"), ("/with%20space.txt", b"space\n"),
            ("/%C3%BCmlaut.txt", b"umlaut\n"), ("/100%25.txt", b"percent\n"), ("/plus+.txt", b"plus\n")):
        r = web.get(target)
        assert (r.status, r.body) == (200, body), target
    for target in ("/with+space.txt", "/100%2525.txt", "/none", "/a.html/", "/a.html/x", "/none/x",
                   "/A.HTML"):
        assert web.get(target).status == 404, target


def test_files_whose_names_begin_with_a_dot_are_hidden_unless_asked_for(daemon, www):
    folder = www(FILES)
    d = daemon(http_service(root_route(folder), name="web") + "," +
               http_service(root_route(folder, more="dotfiles = true;"), name="open"))
    web, shown = Http(d.connect("web")), Http(d.connect("open"))
    for target in ("/.hidden", "/.git/config", "/sub/.env", "/%2ehidden", "/sub/../.hidden", "/.git/",
                   "/.git"):
        r = web.get(target)
        assert r.status in (403, 404) and b"HIDDEN" not in r.body, target
    for target in ("/.hidden", "/.git/config", "/sub/.env"):
        assert shown.get(target).body == b"HIDDEN", target


def test_conditions_spare_what_the_client_has(web):
    whole = web.get("/text.txt")
    etag, modified = whole.get("etag"), whole.get("last-modified")
    past, future = "Sun, 06 Nov 1994 08:49:37 GMT", "Fri, 31 Dec 2060 23:59:59 GMT"
    strong = etag.removeprefix("W/")
    table = [
        ([("If-None-Match", etag)], 304), ([("If-None-Match", "*")], 304),
        ([("If-None-Match", f'"x", {etag}')], 304),
        ([("If-None-Match", "W/" + strong)], 304), ([("If-None-Match", '"x"')], 200),
        ([("If-None-Match", '"x"'), ("If-None-Match", etag)], 304),
        ([("If-None-Match", etag.strip('"'))], 200), ([("If-None-Match", '"x')], 200),
        ([("If-Modified-Since", modified)], 304), ([("If-Modified-Since", past)], 200),
        ([("If-Modified-Since", "Sunday, 06-Nov-94 08:49:37 GMT")], 200),
        ([("If-Modified-Since", "Sun Nov  6 08:49:37 1994")], 200),
        ([("If-Modified-Since", "yesterday")], 200), ([("If-Modified-Since", "")], 200),
        ([("If-None-Match", '"x"'), ("If-Modified-Since", modified)], 200),     # RFC 9110 section 13.2.2
        ([("If-None-Match", etag), ("If-Modified-Since", past)], 304),
        ([("If-Modified-Since", future)], None),    # the client's clock is wrong: both will do
    ]
    for headers, status in table:
        r = web.get("/text.txt", headers=headers)
        assert r.status == status or (status is None and r.status in (200, 304)), headers
        if r.status == 304:
            assert r.body == b"" and r.get("etag") == etag and r.get("date"), headers
        else:
            assert r.body == TEXT, headers
        head = web.get("/text.txt", "HEAD", headers=headers)
        assert head.status == r.status and head.body == b"", headers


def test_ranges_give_exactly_the_asked_bytes(web):
    n = len(TEXT)
    table = [("bytes=0-0", 0, 1), ("bytes=0-499", 0, 500), ("bytes=500-999", 500, 1000),
             (f"bytes={n - 1}-", n - 1, n), ("bytes=500-", 500, n), ("bytes=-500", n - 500, n),
             ("bytes=-1", n - 1, n), (f"bytes=-{n}", 0, n), (f"bytes=-{n * 9}", 0, n),
             (f"bytes=0-{n}", 0, n), ("bytes=0-99999999999999999999999", 0, n),
             ("bytes=100-18446744073709551615", 100, n), ("bytes=-18446744073709551616", 0, n),
             ("Bytes=1-2", 1, 3)]
    for value, first, end in table:
        r = web.get("/text.txt", headers=[("Range", value)])
        assert r.status == 206 and r.body == TEXT[first:end], value
        assert r.get("content-range") == f"bytes {first}-{end - 1}/{n}", value
        assert r.get("content-length") == str(end - first), value
    whole = web.get("/big.bin").body
    r = web.get("/big.bin", headers=[("Range", "bytes=16383-270000")])
    assert r.status == 206 and r.body == whole[16383:270001]
    assert web.get("/big.bin").body == whole


def test_ranges_that_cannot_be_met_are_416_and_foreign_ones_are_ignored(web):
    n = len(TEXT)
    for value in (f"bytes={n}-", "bytes=99999-", "bytes=18446744073709551616-", "bytes=-0"):
        r = web.get("/text.txt", headers=[("Range", value)])
        assert r.status == 416, value
        assert r.get("content-range") == f"bytes */{n}", value
    assert web.get("/empty.txt", headers=[("Range", "bytes=0-")]).status == 416
    for value in ("items=0-1", "bytes", "bytes=", "bytes=a-b", "bytes=5-2", "bytes=--1", "bytes=1-2x", "0-1"):
        r = web.get("/text.txt", headers=[("Range", value)])
        assert (r.status, r.body) == (200, TEXT) or r.status == 416, value
    r = web.get("/text.txt", headers=[("Range", "bytes=0-1,5-6")])
    assert (r.status, r.body) == (200, TEXT) or r.get("content-type").startswith("multipart/byteranges")
    r = web.get("/text.txt", "HEAD", headers=[("Range", "bytes=0-1")])     # RFC 9110 section 14.2: GET alone
    assert (r.status, r.get("content-length")) == (200, str(n))


def test_if_range_decides_between_the_part_and_the_whole(web):
    whole = web.get("/text.txt")
    for value, status in ((whole.get("etag"), 206), ('"other"', 200), ("Sun, 06 Nov 1994 08:49:37 GMT", 200)):
        if value.startswith("W/"):
            status = 200        # RFC 9110 section 13.1.5: a weak validator never matches here
        r = web.get("/text.txt", headers=[("Range", "bytes=10-19"), ("If-Range", value)])
        assert (r.status, r.body) == ((206, TEXT[10:20]) if status == 206 else (200, TEXT)), value


def test_one_connection_carries_many_requests(web):
    for i in range(300):
        assert web.get("/hello").body == HELLO
        assert web.get("/a.html").body == b"<p>a</p>\n"


def test_connection_close_and_http_1_0_end_the_connection(daemon, www):
    d = daemon(file_site(www(FILES)))
    for value in ("close", "Close", "foo, close", "close, foo"):
        web = Http(d.connect())
        assert web.get("/hello", headers=[("Connection", value)]).get("connection").lower() == "close"
        assert web.at_end(), value
    web = Http(d.connect())
    r = web.get("/a.html", version="1.0", host=None)
    assert (r.status, r.body) == (200, b"<p>a</p>\n") and web.at_end()
    web = Http(d.connect())
    r = web.get("/a.html", version="1.0", headers=[("Connection", "keep-alive")])
    assert r.body == b"<p>a</p>\n"
    if (r.get("connection") or "").lower() == "keep-alive":
        assert web.get("/hello", version="1.0").body == HELLO
    assert web.at_end()
    web = Http(d.connect())
    web.send(request("/hello", headers=[("Connection", "close")]) + request("/smuggled"))
    assert web.read().body == HELLO and web.at_end(), "what follows Connection: close is not answered"


def test_a_connection_ends_after_the_configured_number_of_requests(daemon):
    d = daemon(http_service(RESPOND_HELLO), limits={"requests": 3})
    web = Http(d.connect())
    said = [web.get("/hello").get("connection", "").lower() for _ in range(3)]
    assert [s == "close" for s in said] == [False, False, True]
    assert web.at_end()


def test_two_thousand_pipelined_requests_are_answered_in_order(web):
    whole = web.get("/text.txt")
    kinds = [
        (request("/hello"), "GET", lambda r: (r.status, r.body) == (200, HELLO)),
        (request("/a.html"), "GET", lambda r: (r.status, r.body) == (200, b"<p>a</p>\n")),
        (request("/text.txt", "HEAD"), "HEAD",
         lambda r: (r.status, r.get("content-length")) == (200, "2048")),
        (request("/none"), "GET", lambda r: r.status == 404),
        (request("/text.txt", headers=[("Range", "bytes=7-9")]), "GET",
         lambda r: (r.status, r.body) == (206, TEXT[7:10])),
        (request("/text.txt", headers=[("If-None-Match", whole.get("etag"))]), "GET",
         lambda r: r.status == 304),
        (request("/hello", body=b"x" * 100), "GET", lambda r: (r.status, r.body) == (200, HELLO)),
        (request("/text.txt", "POST", body=b"y" * 3000), "POST", lambda r: r.status == 405),
        (request("/hello", headers=[("Transfer-Encoding", "chunked")]) + b"5\r\nhello\r\n0\r\n\r\n", "GET",
         lambda r: (r.status, r.body) == (200, HELLO)),
        (request("/sub"), "GET", lambda r: r.status in (301, 308)),
        (request("/empty.txt"), "GET", lambda r: (r.status, r.body) == (200, b"")),
    ]
    order = [random.Random(2000).randrange(len(kinds)) for _ in range(2000)]
    data = b"".join(kinds[k][0] for k in order)
    sender = threading.Thread(target=web.send, args=(data,))
    sender.start()
    for i, k in enumerate(order):
        _, method, right = kinds[k]
        r = web.read(method)
        assert right(r), f"answer {i} of kind {k} is {r}"
    sender.join()
    assert web.get("/hello").body == HELLO and web.rest == b""


def test_large_files_in_a_pipeline_come_whole_and_in_order(web):
    whole = web.get("/big.bin").body
    web.send((request("/big.bin") + request("/hello")) * 8)
    for _ in range(8):
        assert web.read().body == whole
        assert web.read().body == HELLO


BODIES = [
    ("a length", [("Content-Length", "11")], b"hello world"),
    ("no bytes", [("Content-Length", "0")], b""),
    ("many bytes", [("Content-Length", "100000")],
     (b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n" * 3000)[:100_000]),
    ("a chunk", [("Transfer-Encoding", "chunked")], b"b\r\nhello world\r\n0\r\n\r\n"),
    ("no chunk", [("Transfer-Encoding", "chunked")], b"0\r\n\r\n"),
    ("case", [("transfer-encoding", "Chunked")], b"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n"),
    ("zeros", [("Transfer-Encoding", "chunked")], b"0005\r\nhello\r\n000\r\n\r\n"),
    ("extensions", [("Transfer-Encoding", "chunked")], b'5;a=b;c="d;e"\r\nhello\r\n0;z\r\n\r\n'),
    ("trailers", [("Transfer-Encoding", "chunked")], b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\n"),
    ("many chunks", [("Transfer-Encoding", "chunked")], b"3\r\nGET\r\n" * 5000 + b"0\r\n\r\n"),
]


@pytest.mark.parametrize("method,status", [("GET", 200), ("POST", 405)])
def test_bodies_are_read_over_and_the_next_request_is_answered(web, method, status):
    for name, headers, body in BODIES:
        web.send(request("/a.html", method, headers) + body + request("/hello"))
        assert web.read(method).status == status, name
        r = web.read()
        assert (r.status, r.body) == (200, HELLO), name


def test_requests_may_come_in_any_pieces(daemon, www):
    d = daemon(file_site(www(FILES)))
    stream = (request("/hello") + request("/text.txt", headers=[("Range", "bytes=1-5")]) +
              request("/a.html", "POST", [("Transfer-Encoding", "chunked")]) +
              b"5;x\r\nhello\r\n0\r\nA: b\r\n\r\n" +
              request("/hello", body=b"body") + request("/a.html", headers=[("Connection", "close")]))
    wanted = [(200, HELLO), (206, TEXT[1:6]), (405, None), (200, HELLO), (200, b"<p>a</p>\n")]

    def check(pieces, how):
        s = d.connect()
        for piece in pieces:
            s.sendall(piece)
        got = parse_all(read_to_end(s), ["GET", "GET", "POST", "GET", "GET"])
        s.close()
        assert len(got) == len(wanted), how
        for r, (status, body) in zip(got, wanted):
            assert r.status == status and body in (None, r.body), how

    check([bytes([b]) for b in stream], "byte by byte")
    for cut in range(1, len(stream), 7):
        check([stream[:cut], stream[cut:]], f"cut at {cut}")
    for seed in range(20):
        rng, pieces, rest = random.Random(seed), [], stream
        while rest:
            n = rng.randint(1, 40)
            pieces.append(rest[:n])
            rest = rest[n:]
        check(pieces, f"seed {seed}")


def test_empty_lines_before_a_request_are_forgiven(web):
    web.send(b"\r\n" + request("/hello"))           # RFC 9112 section 2.2
    assert web.read().body == HELLO
    web.send(request("/hello", "POST", body=b"x") + b"\r\n" + request("/hello"))
    assert web.read("POST").status in (200, 405)
    assert web.read().body == HELLO


def test_methods_that_a_file_does_not_allow_are_405_with_allow(web):
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        r = web.get("/a.html", method)
        assert r.status == 405, method
        assert {"GET", "HEAD"} <= {m.strip() for m in r.get("allow").split(",")}, method
    assert web.get("/a.html").status == 200


def test_unknown_methods_are_501_and_versions_505(daemon, www):
    d = daemon(file_site(www(FILES)))
    for method in ("BREW", "get", "X" * 20):
        assert Http(d.connect()).get("/a.html", method).status == 501, method
    for version in ("2.0", "3.0"):
        web = Http(d.connect())
        assert web.get("/a.html", version=version).status == 505, version
        assert web.at_end()
    assert Http(d.connect()).get("/a.html", version="1.2").status in (200, 505)


def test_expect_100_continue_is_answered_before_the_body_comes(daemon, www):
    d = daemon(file_site(www(FILES)), limits={"body_bytes": 1000})
    web = Http(d.connect())
    expect = [("Expect", "100-continue")]
    web.send(request("/hello", headers=expect + [("Content-Length", "5")]))
    web.sock.settimeout(10)
    first = web.sock.recv(65536)        # 100 or the answer: a server that says neither makes the client wait
    assert first.startswith(b"HTTP/1.1 ")
    web.send(b"hello")
    web.rest = first
    r = web.read()
    assert r.status == 200 and r.informational in ([100], [])
    if r.get("connection", "").lower() != "close":
        assert web.get("/hello").body == HELLO
    web = Http(d.connect())
    r = web.get("/hello", headers=expect + [("Content-Length", "100000")])
    assert r.status == 413 and r.informational == []
    web = Http(d.connect())
    r = web.get("/hello", headers=expect, body=b"x", version="1.0")
    assert r.informational == [], "RFC 9110 section 10.1.1: an HTTP/1.0 client gets no 100"
    web = Http(d.connect())
    assert web.get("/hello", headers=[("Expect", "miracles")]).status in (200, 417)


def test_routes_are_chosen_by_host_and_longest_prefix(daemon, www):
    other = 'host = "other.test";'
    d = daemon(http_service(
        respond_route("/", "root"), respond_route("/a", "a"), respond_route("/a/b", "ab"),
        respond_route("/dir/", "dir"), respond_route("/", "other", other),
        respond_route("/a/b/c", "other abc", other), respond_route("/teapot", "short and stout", status=418),
        respond_route("/nothing", "", status=204),
        '{ path = "/old"; redirect : { status = 301; to = "https://new.test/there"; }; }',
        '{ path = "/gone"; status = 410; }', root_route(www({"files/x.txt": b"x\n"}), "/files/")))
    web = Http(d.connect())
    for target, body in (("/", b"root"), ("/x", b"root"), ("/a", b"a"), ("/a/", b"a"), ("/a/x", b"a"),
                         ("/a?b/c", b"a"), ("/ab", b"root"), ("/a/b", b"ab"), ("/a/b/c/d", b"ab"),
                         ("/a/bc", b"a"), ("/dir/x", b"dir"), ("/%61/b", b"ab"), ("/x/../a", b"a"),
                         ("/files/x.txt", b"x\n")):
        r = web.get(target)
        assert (r.status, r.body) == (200, body), target
    for host in ("other.test", "OTHER.test", "other.test:8080"):
        assert web.get("/x", host=host).body == b"other", host
        assert web.get("/a/b/c", host=host).body == b"other abc", host
    assert web.get("/x", host="another.test").body == b"root"
    r = web.get("http://other.test/x", host="test")
    assert r.body == b"other", "RFC 9112 section 3.2.2: the host of an absolute target wins"
    r = web.get("/teapot")
    assert (r.status, r.body, r.get("content-type").split(";")[0]) == (418, b"short and stout", "text/plain")
    r = web.get("/nothing")
    assert r.status == 204 and r.body == b"" and r.get("content-length") is None, "RFC 9110 section 8.6"
    r = web.get("/old")
    assert (r.status, r.get("location")) == (301, "https://new.test/there")
    assert web.get("/gone").status == 410
    assert web.get("/").body == b"root"


def test_a_site_without_a_fitting_route_says_404(daemon):
    web = Http(daemon(http_service(RESPOND_HELLO)).connect())
    assert web.get("/other").status == 404
    assert web.get("/hello").body == HELLO


def test_the_daemon_answers_on_ipv6_too(daemon):
    if not socket.has_ipv6:
        pytest.skip("no IPv6 in this Python")
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
    except OSError as e:
        pytest.skip(f"no ::1 here: {e}")
    d = daemon(http_service(RESPOND_HELLO, listen="[::1]:0"))
    with socket.create_connection(("::1", d.port("web")), timeout=20) as s:
        assert Http(s).get("/hello", host="[::1]").body == HELLO
