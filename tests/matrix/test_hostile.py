# SPDX-License-Identifier: BSD-2-Clause
"""HTTP/1.1 as attackers write it: malformed requests, smuggling, limits, paths that want out of the root.

The rule for what is malformed (RFC 9112): an error, the end, and what follows is no request."""

import os
import socket

import pytest

from client import Http, parse_all, read_to_end, request, send_and_read_to_end
from sites import HELLO, SMUGGLED, file_site, http_service, root_route, RESPOND_HELLO, RESPOND_SMUGGLED

pytestmark = pytest.mark.usefixtures("model")

PROBE = request("/smuggled")
H = b"Host: x\r\n"


def get(target, *fields):
    return b"GET " + target + b" HTTP/1.1\r\n" + b"".join(f + b"\r\n" for f in (b"Host: x", *fields, b""))


def with_field(*fields):
    return get(b"/hello", *fields)


MALFORMED_HEADS = {
    "no host": b"GET /hello HTTP/1.1\r\n\r\n",
    "two hosts": with_field(b"Host: x"),
    "two different hosts": with_field(b"Host: y"),
    "host with a space": b"GET /hello HTTP/1.1\r\nHost: a b\r\n\r\n",
    "host with a slash": b"GET /hello HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "host list": b"GET /hello HTTP/1.1\r\nHost: a,b c\r\n\r\n",
    "host with user": b"GET /hello HTTP/1.1\r\nHost: u@h\r\n\r\n",
    "host with a bad port": b"GET /hello HTTP/1.1\r\nHost: a:80x\r\n\r\n",
    "length not a number": with_field(b"Content-Length: x"),
    "length empty": with_field(b"Content-Length:"),
    "length with plus": with_field(b"Content-Length: +5"),
    "length negative": with_field(b"Content-Length: -1"),
    "length hex": with_field(b"Content-Length: 0x5"),
    "length with a tail": with_field(b"Content-Length: 5x"),
    "length with a point": with_field(b"Content-Length: 5.0"),
    "length with inner space": with_field(b"Content-Length: 5 5"),
    "length list": with_field(b"Content-Length: 5, 6"),
    "length twice, different": with_field(b"Content-Length: 0", b"Content-Length: 40"),
    "length twice, same": with_field(b"Content-Length: 0", b"Content-Length: 0"),
    "length and chunked": with_field(b"Content-Length: 40", b"Transfer-Encoding: chunked"),
    "chunked and length": with_field(b"Transfer-Encoding: chunked", b"Content-Length: 5"),
    "obs-fold": with_field(b"X-A: b", b" folded"),
    "obs-fold with tab": with_field(b"X-A: b", b"\tfolded"),
    "obs-fold of encoding": with_field(b"Transfer-Encoding:", b" chunked"),
    "space before colon": with_field(b"X-A : b"),
    "space before colon of length": with_field(b"Content-Length : 40"),
    "tab before colon": with_field(b"Transfer-Encoding\t: chunked"),
    "space before first field": b"GET /hello HTTP/1.1\r\n Host: x\r\n\r\n",
    "no colon": with_field(b"X-A"),
    "empty name": with_field(b": b"),
    "name with space": with_field(b"X A: b"),
    "name with parenthesis": with_field(b"X(A): b"),
    "name with NUL": with_field(b"X\0A: b"),
    "name with high byte": with_field(b"X\xc3\xa4: b"),
    "value with NUL": with_field(b"X-A: b\0c"),
    "value with bare CR": with_field(b"X-A: b\rContent-Length: 40"),
    "value with control": with_field(b"X-A: b\x01c"),
    "value with DEL": with_field(b"X-A: b\x7fc"),
    "bare CR ends a line": b"GET /hello HTTP/1.1\rHost: x\r\r",
    "bare CR in the request line": b"GET /hello\r HTTP/1.1\r\n" + H + b"\r\n",
    "NUL in the target": get(b"/hel\0lo"),
    "control in the target": get(b"/hel\x1flo"),
    "tab in the request line": b"GET\t/hello\tHTTP/1.1\r\n" + H + b"\r\n",
    "two spaces": b"GET  /hello HTTP/1.1\r\n" + H + b"\r\n",
    "two spaces before version": b"GET /hello  HTTP/1.1\r\n" + H + b"\r\n",
    "space at the end": b"GET /hello HTTP/1.1 \r\n" + H + b"\r\n",
    "space in the target": get(b"/hel lo"),
    "space first": b" GET /hello HTTP/1.1\r\n" + H + b"\r\n",
    "no version": b"GET /hello\r\n" + H + b"\r\n",
    "only a method": b"GET\r\n" + H + b"\r\n",
    "method is no token": b"G@T /hello HTTP/1.1\r\n" + H + b"\r\n",
    "method empty": b" /hello HTTP/1.1\r\n" + H + b"\r\n",
    "version with a tail": b"GET /hello HTTP/1.1x\r\n" + H + b"\r\n",
    "version lower case": b"GET /hello http/1.1\r\n" + H + b"\r\n",
    "version too long": b"GET /hello HTTP/1.10\r\n" + H + b"\r\n",
    "version without minor": b"GET /hello HTTP/1\r\n" + H + b"\r\n",
    "other protocol": b"GET /hello SIP/2.0\r\n" + H + b"\r\n",
    "target without slash": get(b"hello"),
    "target with fragment": get(b"/hello#a"),
    "asterisk with GET": get(b"*"),
    "percent without digits": get(b"/hel%lo"),
    "percent with one digit": get(b"/hello%4"),
    "percent with bad digits": get(b"/hello%g0"),
    "percent NUL": get(b"/hello%00"),
    "TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 200 + b"\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}

# The head may be answered before the body is known to be broken: then the end comes after a right answer.
MALFORMED_BODIES = {
    "chunk data too long": b"5\r\nhelloX\r\n0\r\n\r\n",
    "chunk data without CRLF": b"5\r\nhello0\r\n\r\n",
    "chunk size not hex": b"g\r\nhello\r\n0\r\n\r\n",
    "chunk size with 0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "chunk size negative": b"-5\r\nhello\r\n0\r\n\r\n",
    "chunk size with plus": b"+5\r\nhello\r\n0\r\n\r\n",
    "chunk size empty": b"\r\nhello\r\n0\r\n\r\n",
    "chunk size with space first": b" 5\r\nhello\r\n0\r\n\r\n",
    "chunk size beyond 64 bits": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "chunk size of 64 bits": b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "chunk size line with bare LF": b"5\nhello\r\n0\r\n\r\n",
    "chunk size line with bare CR": b"5\rhello\r\n0\r\n\r\n",
    "chunk extension with bare LF": b"5;a\nhello\r\n0\r\n\r\n",
    "chunk extension with bare CR": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "chunk extension with NUL": b"5;a\0b\r\nhello\r\n0\r\n\r\n",
    "chunk extension without end": b"5;" + b"a" * 100_000,
    "chunk data ends with bare LF": b"5\r\nhello\n0\r\n\r\n",
    "trailer without colon": b"0\r\nX\r\n\r\n",
    "trailer with space before colon": b"0\r\nX : y\r\n\r\n",
    "trailer with NUL": b"0\r\nX: \0\r\n\r\n",
    "trailer with obs-fold": b"0\r\nX: y\r\n z\r\n\r\n",
    "trailer without end": b"0\r\nX: " + b"a" * 100_000,
    "trailers without end": b"0\r\n" + b"X: a\r\n" * 20_000,
}

ENCODINGS = {
    "unknown encoding": ([b"Transfer-Encoding: x"], (400, 501)),
    "gzip alone": ([b"Transfer-Encoding: gzip"], (400, 501)),
    "identity": ([b"Transfer-Encoding: identity"], (400, 501)),
    "gzip, chunked": ([b"Transfer-Encoding: gzip, chunked"], (400, 501)),
    "chunked not last": ([b"Transfer-Encoding: chunked, gzip"], (400, 501)),
    "chunked twice": ([b"Transfer-Encoding: chunked, chunked"], (400, 501)),
    "chunked in two fields": ([b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"], (400, 501)),
    "chunked and identity": ([b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"], (400, 501)),
    "vertical tab": ([b"Transfer-Encoding: \x0bchunked"], (400, 501)),
    "quoted": ([b'Transfer-Encoding: "chunked"'], (400, 501)),
    "empty": ([b"Transfer-Encoding:"], (400, 501)),
    "with parameter": ([b"Transfer-Encoding: chunked;a=b"], (400, 501)),
    "prefix": ([b"Transfer-Encoding: chunkedx"], (400, 501)),
}


@pytest.fixture
def site(daemon, www):
    return daemon(file_site(www({"a.html": b"a\n"})))


def complaints(d, table, statuses=lambda name: (400,)):
    """Sends each entry with a probe behind it; says what is wrong, an entry a line."""
    wrong = []
    for name, data in table.items():
        s = d.connect()
        try:
            got = send_and_read_to_end(s, data + PROBE)
        except ConnectionResetError:
            wrong.append(f"{name}: reset before the answer could be read")
            continue
        finally:
            s.close()
        if SMUGGLED in got:
            wrong.append(f"{name}: the request behind it was answered: {got[:300]!r}")
            continue
        answers = parse_all(got)
        if [r.status for r in answers if r.status not in statuses(name)] or len(answers) != 1:
            wrong.append(f"{name}: {[r.status for r in answers]} instead of {statuses(name)}")
        elif (answers[0].get("connection") or "").lower() != "close":
            wrong.append(f"{name}: closes without saying Connection: close")
    return wrong


def test_malformed_heads_are_400_and_nothing_behind_them_is_a_request(site):
    special = {"HTTP/2 preface": (400, 505, 501), "version too long": (400, 505),
               "other protocol": (400, 505), "version lower case": (400, 505), "percent NUL": (400, 404)}
    wrong = complaints(site, MALFORMED_HEADS, lambda name: special.get(name, (400,)))
    assert not wrong, "\n".join(wrong)
    assert Http(site.connect()).get("/hello").body == HELLO


def test_encodings_that_are_not_plain_chunked_are_refused(site):
    table = {name: get(b"/hello", *fields) + b"0\r\n\r\n" for name, (fields, _) in ENCODINGS.items()}
    wrong = complaints(site, table, lambda name: ENCODINGS[name][1])
    assert not wrong, "\n".join(wrong)


def test_chunked_in_http_1_0_leaves_no_request_behind(site):
    got = send_and_read_to_end(site.connect(), b"POST /hello HTTP/1.0\r\nTransfer-Encoding: chunked\r\n"
                               b"Connection: keep-alive\r\n\r\n0\r\n\r\n" + PROBE)
    assert SMUGGLED not in got      # RFC 9112 section 6.1: the framing is faulty, the connection ends


def test_broken_chunks_end_the_connection_and_leave_no_request_behind(site):
    wrong = []
    for method in ("GET", "POST"):
        for name, body in MALFORMED_BODIES.items():
            s = site.connect()
            try:
                got = send_and_read_to_end(
                    s, request("/hello", method, [("Transfer-Encoding", "chunked")]) + body + PROBE)
                answers = parse_all(got)
                if SMUGGLED in got:
                    wrong.append(f"{method}, {name}: the request behind it was answered")
                elif not answers or len(answers) > 2:
                    wrong.append(f"{method}, {name}: {len(answers)} answers")
                elif answers[-1].status not in (400, 413, 431):
                    wrong.append(f"{method}, {name}: last answer is {answers[-1].status}")
            except ConnectionResetError:
                wrong.append(f"{method}, {name}: reset before the answer could be read")
            s.close()
    assert not wrong, "\n".join(wrong)


def test_bare_line_feeds_never_hide_a_request(site):
    # RFC 9112 section 2.2 lets a server take a bare LF as the end of a line; then it must be so everywhere.
    got = send_and_read_to_end(site.connect(), b"GET /hello HTTP/1.1\nHost: x\n\n", shut=True)
    answers = parse_all(got)
    assert len(answers) == 1 and answers[0].status in (200, 400)
    data = b"GET /hello HTTP/1.1\r\nHost: x\r\nX: a\nContent-Length: %d\r\n\r\n" % len(PROBE)
    got = send_and_read_to_end(site.connect(), data + PROBE, shut=True)
    answers = parse_all(got)
    assert SMUGGLED not in got and len(answers) == 1 and answers[0].status in (200, 400)


CHUNKED = b"Transfer-Encoding: chunked"
LIMITS = {"request_line": 256, "header_bytes": 1024, "header_count": 10, "body_bytes": 1000}


@pytest.fixture
def limited(daemon, www):
    return daemon(file_site(www({"a.html": b"a\n"})), limits=LIMITS)


def test_what_is_within_the_limits_is_answered(limited):
    web = Http(limited.connect())
    assert web.get("/hello?" + "x" * 200).status == 200
    assert web.get("/hello", headers=[(f"X-{i}", "y") for i in range(9)]).status == 200
    assert web.get("/hello", headers=[("X", "y" * 900)]).status == 200
    assert web.get("/hello", body=b"x" * 1000).status == 200
    web.send(get(b"/hello", CHUNKED) + b"64\r\n" + b"x" * 100 + b"\r\n0\r\n\r\n")
    assert web.read().status == 200


OVERSIZED = {
    "long request line": (get(b"/hello?" + b"x" * 300), 414),
    "very long request line": (get(b"/hello?" + b"x" * 100_000), 414),
    "long method": (b"X" * 100_000 + b" /hello HTTP/1.1\r\n" + H + b"\r\n", (400, 414, 501)),
    "many fields": (get(b"/hello", *[b"X-%d: y" % i for i in range(12)]), 431),
    "a thousand fields": (get(b"/hello", *[b"X-%d: y" % i for i in range(1000)]), 431),
    "large field": (get(b"/hello", b"X: " + b"y" * 1100), 431),
    "very large field": (get(b"/hello", b"X: " + b"y" * 200_000), 431),
    "large name": (get(b"/hello", b"X" * 200_000 + b": y"), 431),
    "field without end": (b"GET /hello HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 200_000, 431),
    "request line without end": (b"GET /" + b"y" * 200_000, 414),
    "large body": (get(b"/hello", b"Content-Length: 1001") + b"x" * 1001, 413),
    "huge body": (get(b"/hello", b"Content-Length: 18446744073709551615") + b"x" * 2000, 413),
    "body beyond 64 bits": (get(b"/hello", b"Content-Length: 18446744073709551616") + b"x" * 2000,
                            (400, 413)),
    "large chunk": (get(b"/hello", CHUNKED) + b"3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n", 413),
    "many chunks": (get(b"/hello", CHUNKED) + b"5\r\nhello\r\n" * 300 + b"0\r\n\r\n", 413),
}


def test_what_is_above_the_limits_is_refused_with_its_status(limited):
    wrong = []
    for name, (data, statuses) in OVERSIZED.items():
        statuses = statuses if isinstance(statuses, tuple) else (statuses,)
        s = limited.connect()
        try:
            got = send_and_read_to_end(s, data + PROBE)
        except ConnectionResetError:
            wrong.append(f"{name}: reset before the answer could be read")
            continue
        finally:
            s.close()
        answers = parse_all(got)
        # A body that grows too large while it comes may be behind an answer already.
        if not answers or answers[-1].status not in statuses or len(answers) > 1 + ("chunk" in name):
            wrong.append(f"{name}: {[r.status for r in answers]} instead of {statuses}")
        if SMUGGLED in got:
            wrong.append(f"{name}: the request behind it was answered")
    assert not wrong, "\n".join(wrong)
    assert Http(limited.connect()).get("/hello").body == HELLO


def test_a_refused_client_that_sends_on_still_gets_the_whole_answer(limited):
    for head in (get(b"/hello", b"Content-Length: 1000000"),
                 get(b"/hello", b"Transfer-Encoding: chunked") + b"f4240\r\n",
                 b"GET /hello HTTP/1.1\r\nbad line\r\n\r\n"):
        s = limited.connect()
        s.sendall(head)
        for _ in range(16):
            try:
                s.sendall(b"x" * 62_500)
            except (BrokenPipeError, ConnectionResetError) as e:
                raise AssertionError("reset while the client was sending") from e
        s.shutdown(socket.SHUT_WR)
        (r,) = parse_all(read_to_end(s))
        assert r.status in (413, 400)
        s.close()


SECRET = b"TOP SECRET"

ESCAPES = [
    "/../secret.txt", "/../../secret.txt", "/sub/../../secret.txt", "/..", "/../", "/sub/../..",
    "//../secret.txt", "/%2e%2e/secret.txt", "/%2E%2E/secret.txt", "/.%2e/secret.txt", "/%2e./secret.txt",
    "/%2e%2e%2fsecret.txt",
    "/..%2fsecret.txt", "/..%2Fsecret.txt", "/sub%2f..%2f..%2fsecret.txt", "/%252e%252e/secret.txt",
    "/..%5csecret.txt", "/..\\secret.txt", "/%2e%2e%5csecret.txt", "/..%00/secret.txt",
    "/../secret.txt%00.html",
    "/%00/../secret.txt", "/..;/secret.txt", "/..%c0%afsecret.txt", "/%c0%ae%c0%ae/secret.txt",
    "/%uff0e%uff0e/secret.txt", "/....//secret.txt", "/.../secret.txt", "/sub/.././../secret.txt",
    "/link-out", "/link-absolute", "/link-folder/secret.txt", "/link-root/etc/passwd", "/link-twice",
    "http://test/../secret.txt", "http://test/..%2fsecret.txt", "/sub/" + "../" * 400 + "secret.txt",
    "/proc/self/root/etc/passwd", "/link-magic/etc/passwd",
]


def test_no_path_leads_out_of_the_root(daemon, www):
    folder = www({"a.html": b"a\n", "sub/b.html": b"b\n"})
    secret = folder.parent / "secret.txt"
    secret.write_bytes(SECRET)
    os.symlink("../secret.txt", folder / "link-out")
    os.symlink(secret, folder / "link-absolute")
    os.symlink("..", folder / "link-folder")
    os.symlink("/", folder / "link-root")
    os.symlink("link-out", folder / "link-twice")
    os.symlink("/proc/self/root", folder / "link-magic")
    d = daemon(http_service(root_route(folder), root_route(folder, "/alias"), RESPOND_SMUGGLED))
    wrong = []
    for target in ESCAPES + ["/alias" + t for t in ESCAPES if t.startswith("/")] + ["/alias../secret.txt"]:
        s = d.connect()
        got = send_and_read_to_end(s, request(target, headers=[("Connection", "close")]))
        s.close()
        (r,) = parse_all(got)
        if SECRET in got or b"root:" in got or r.status not in (400, 403, 404, 414):
            wrong.append(f"{target}: {r}")
    assert not wrong, "\n".join(wrong)


def test_links_that_stay_beneath_the_root_are_followed_and_loops_are_not(daemon, www):
    folder = www({"a.html": b"a\n", "sub/b.html": b"b\n"})
    os.symlink("sub/b.html", folder / "inside")
    os.symlink("../a.html", folder / "sub" / "up")
    os.symlink("loop", folder / "loop")
    os.symlink("nowhere", folder / "dangling")
    web = Http(daemon(http_service(root_route(folder))).connect())
    assert web.get("/inside").body == b"b\n"
    assert web.get("/sub/up").body == b"a\n"
    assert web.get("/loop").status in (403, 404)
    assert web.get("/dangling").status == 404


def test_what_is_no_regular_file_is_never_opened_for_a_client(daemon, www):
    folder = www({"a.html": b"a\n"})
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as s:
        here = os.getcwd()
        os.chdir(folder)        # the path of a socket may be 107 bytes long
        s.bind("socket")
        os.chdir(here)
        web = Http(daemon(http_service(root_route(folder), RESPOND_HELLO)).connect())
        for target in ("/pipe", "/socket"):
            assert web.get(target).status in (403, 404), target
        assert web.get("/a.html").body == b"a\n"


def test_a_file_that_may_not_be_read_is_403(daemon, www):
    folder = www({"a.html": b"a\n", "private.html": SECRET, "closed/x.html": SECRET})
    (folder / "private.html").chmod(0)
    (folder / "closed").chmod(0)
    try:
        d = daemon(http_service(root_route(folder)))
        if os.geteuid() == 0 and os.stat(f"/proc/{d.worker()}").st_uid == 0:
            pytest.skip("the worker is root here and may read everything")
        web = Http(d.connect())
        for target in ("/private.html", "/closed/x.html"):
            r = web.get(target)
            assert r.status in (403, 404) and SECRET not in r.body, target
        assert web.get("/a.html").body == b"a\n"
    finally:
        (folder / "closed").chmod(0o755)
