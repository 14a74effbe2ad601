# SPDX-License-Identifier: BSD-2-Clause
"""The table of HTTP/1.1: what a client may send, what must come back, and what then happens to the connection.

Data only; test_conformance.py sends it.  A row of the table is a Case:

  section   where the rule stands: "9112 6.3" is RFC 9112 section 6.3
  name      what is special about it
  send      the bytes; @ETAG@ stands for the entity tag of /text.txt, @WEAK@ for the same one marked as weak
  want      the final status of each answer, in order: a number, or a tuple where the RFC leaves a choice
  fate      KEPT     the connection goes on: a request that is sent right behind is answered
            CLOSED   the connection ends: what is sent right behind is never answered
            EOF      nothing is sent behind, the client shuts its sending half down: the server answers, then closes
  fields    of the last answer: a value, a compiled regular expression, True (it is there) or None (it is not)
  body      of the last answer; None: whatever it is
  methods   of the requests that are answered; by itself the first word of `send`
  interim   how many 100 (Continue) come before the last answer

The site that answers: see test_conformance.py.  /hello and /probe are fixed replies (GET, HEAD, POST, OPTIONS),
everything else are files."""

import re
from dataclasses import dataclass, field

KEPT, CLOSED, EOF = "kept", "closed", "eof"

REQUEST_LINE, HEADER_BYTES, HEADER_COUNT, BODY_BYTES = 8192, 32768, 100, 100_000       # limits of the site
TEXT = bytes(range(256)) * 8            # /text.txt: each offset tells itself from its neighbours
HELLO = b"Hello from the table.\n"
MODIFIED_S = 1577934245                 # of all files
MODIFIED = b"Thu, 02 Jan 2020 03:04:05 GMT"
BEFORE, AFTER = b"Thu, 02 Jan 2020 03:04:04 GMT", b"Thu, 02 Jan 2020 03:04:06 GMT"
PAST, FUTURE = b"Sun, 06 Nov 1994 08:49:37 GMT", b"Fri, 31 Dec 2060 23:59:59 GMT"


@dataclass
class Case:
    section: str
    name: str
    send: bytes
    want: tuple
    fate: str
    fields: dict = field(default_factory=dict)
    body: bytes | None = None
    methods: tuple = ()
    interim: int = 0


CASES = []


def add(section, want, fate, rows, **more):
    """Rows are {name: bytes} that all have the same outcome."""
    for name, send in rows.items():
        answers = want if isinstance(want, list) else [want]
        methods = more.get("methods") or (send.lstrip(b"\r\n").split(b" ", 1)[0].decode("latin-1"),) * len(answers)
        CASES.append(Case(section, name, send, tuple(answers), fate, more.get("fields") or {}, more.get("body"),
                          tuple(methods), more.get("interim", 0)))


def lines(*of):
    return b"".join(line + b"\r\n" for line in of)


def request(target=b"/hello", *fields, method=b"GET", version=b"HTTP/1.1", host=b"Host: x"):
    return lines(method + b" " + target + b" " + version, *([host] if host is not None else []), *fields, b"")


def get(*fields):
    return request(b"/hello", *fields)


def post(body, *fields, target=b"/hello", method=b"POST"):
    return request(target, *fields, b"Content-Length: %d" % len(body), method=method) + body


def old(*fields, target=b"/hello", method=b"GET"):
    return request(target, *fields, method=method, version=b"HTTP/1.0", host=None)


def by_own(what, rows, make):
    """Names for rows that are best named by their own bytes."""
    return {f"{what} {repr(row)[1:]}": make(row) for row in rows}


def by_byte(what, codes, make):
    return {f"byte {code:#04x} in {what}": make(bytes([code])) for code in codes}


SMUGGLED = request(b"/smuggled")

TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
CONTROLS = [*range(0x20), 0x7f]
DELIMITERS = [*b'"(),/:;<=>?@[\\]{}']
HIGH = [0x80, 0xa0, 0xc3, 0xff]

# --- the request line -----------------------------------------------------------------------------------------------

add("9112 3", 200, KEPT, {
    "a plain request": get(),
    "no field but Host": request(),
    "Host is not the first field": lines(b"GET /hello HTTP/1.1", b"A: b", b"Host: x", b""),
    "lower-case host": lines(b"GET /hello HTTP/1.1", b"host: x", b""),
    "upper-case HOST": lines(b"GET /hello HTTP/1.1", b"HOST: x", b""),
}, body=HELLO, fields={"content-length": str(len(HELLO)), "content-type": True, "transfer-encoding": None,
                       "connection": None})

add("9112 3", 400, CLOSED, {
    "two spaces behind the method": b"GET  /hello HTTP/1.1\r\nHost: x\r\n\r\n",
    "two spaces behind the target": b"GET /hello  HTTP/1.1\r\nHost: x\r\n\r\n",
    "space behind the version": b"GET /hello HTTP/1.1 \r\nHost: x\r\n\r\n",
    "tab behind the version": b"GET /hello HTTP/1.1\t\r\nHost: x\r\n\r\n",
    "space before the method": b" GET /hello HTTP/1.1\r\nHost: x\r\n\r\n",
    "tab before the method": b"\tGET /hello HTTP/1.1\r\nHost: x\r\n\r\n",
    "tabs for spaces": b"GET\t/hello\tHTTP/1.1\r\nHost: x\r\n\r\n",
    "tab behind the target": b"GET /hello\tHTTP/1.1\r\nHost: x\r\n\r\n",
    "vertical tab for space": b"GET\x0b/hello HTTP/1.1\r\nHost: x\r\n\r\n",
    "form feed for space": b"GET /hello\x0cHTTP/1.1\r\nHost: x\r\n\r\n",
    "carriage return for space": b"GET\r/hello\rHTTP/1.1\r\nHost: x\r\n\r\n",
    "space in the target": b"GET /hel lo HTTP/1.1\r\nHost: x\r\n\r\n",
    "no target": b"GET HTTP/1.1\r\nHost: x\r\n\r\n",
    "empty target": b"GET  HTTP/1.1\r\nHost: x\r\n\r\n",
    "no version": b"GET /hello\r\nHost: x\r\n\r\n",
    "no version, as HTTP/0.9": b"GET /hello\r\n",
    "a space for the version": b"GET /hello \r\nHost: x\r\n\r\n",
    "a fourth word": b"GET /hello HTTP/1.1 x\r\nHost: x\r\n\r\n",
    "the method alone": b"GET\r\nHost: x\r\n\r\n",
    "no method": b"/hello HTTP/1.1\r\nHost: x\r\n\r\n",
    "a space for the method": b" /hello HTTP/1.1\r\nHost: x\r\n\r\n",
    "a status line": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a byte order mark": b"\xef\xbb\xbfGET /hello HTTP/1.1\r\nHost: x\r\n\r\n",
    "only a colon": b":\r\n\r\n",
    "a field for a request line": b"Host: x\r\n\r\n",
})

# Space ends the method, and behind '/' a method is no method any more.
add("9110 9.1", 400, CLOSED, by_byte("the method", [c for c in CONTROLS + DELIMITERS + HIGH],
                                     lambda b: b"GE" + b + b"T /hello HTTP/1.1\r\nHost: x\r\n\r\n"))

add("9110 9.1", 501, KEPT, by_own("method", [
    b"get", b"Get", b"gET", b"head", b"options", b"GETS", b"GE", b"G", b"FOO", b"PROPFIND", b"MKCOL", b"LOCK", b"PURGE",
    b"BREW", b"QUERY", b"LINK", b"M-SEARCH", b"TRACK", b"DEBUG", b"GET2", b"X" * 64, b"!#$%&'*+-.^_`|~09AZaz"
], lambda m: request(method=m)), fields={"content-length": True})
add("9110 9.1", 501, KEPT, {
    "unknown method with a body": post(b"hello", method=b"FOO"),
    "unknown method with chunks": request(b"/hello", b"Transfer-Encoding: chunked", method=b"FOO") + b"0\r\n\r\n",
    "unknown method for nothing": request(b"/none", method=b"FOO"),
    "unknown method for a file": request(b"/text.txt", method=b"FOO"),
    "unknown method, HTTP/1.0": old(b"Connection: keep-alive", method=b"FOO"),
})
add("9112 3", 501, CLOSED, {"a method longer than a request line may be": b"A" * (REQUEST_LINE + 100)})
add("9112 3", (400, 501), CLOSED, {
    "PRI, the preface of HTTP/2, cut": b"PRI * HTTP/1.1\r\nHost: x\r\n\r\nSM\r\n\r\n",
})
add("9113 3.4", (400, 505), CLOSED, {"the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"})

add("9112 2.3", 200, KEPT, {
    "version 1.2 is served as 1.1": request(version=b"HTTP/1.2"),
    "version 1.9 is served as 1.1": request(version=b"HTTP/1.9"),
}, body=HELLO)
add("9110 15.6.6", 505, CLOSED, by_own("version", [
    b"HTTP/0.9", b"HTTP/0.0", b"HTTP/0.1", b"HTTP/2.0", b"HTTP/2.1", b"HTTP/3.0", b"HTTP/9.9"
], lambda v: request(version=v)))
add("9112 2.3", 400, CLOSED, by_own("version", [
    b"http/1.1", b"Http/1.1", b"HTTp/1.1", b"HTTP/1", b"HTTP/1.", b"HTTP/.1", b"HTTP/1.10", b"HTTP/1.1.1", b"HTTP/01.1",
    b"HTTP/1.01", b"HTTP/11", b"HTTP/1,1", b"HTTP/1 1", b"HTTP/ 1.1", b"HTTP /1.1", b"HTTP//1.1", b"HTTP/-1.1",
    b"HTTP/+1.1", b"HTTP/1.x", b"HTTP/x.1", b"HTTP/A.B", b"HTTP", b"HTTP/", b"HTTP1.1", b"HTTPS/1.1", b"XHTTP/1.1",
    b"HTTP/2", b"HTTP/1.1\0", b"HTTP/1\0.1", b"HTTP\\1.1", b"ICY/1.1", b"1.1", b"SIP/2.0", b"HTTP/\xb2.0", b"HTTP/1.1;",
    b"HTTP/1.1#", b"HTTP/1.1\x0b"
], lambda v: request(version=v)))

# --- what is asked for ----------------------------------------------------------------------------------------------

add("9112 3.2.1", 200, KEPT, by_own("target", [
    b"/hello", b"/hello?", b"/hello?a=b", b"/hello?a=b&c=d", b"/hello??", b"/hello?/../", b"/hello?%", b"/hello?%zz",
    b"/hello?%00", b"/hello?a=b?c=d", b"/hello?a[]=1", b"/hello?a|b", b"/hello?{a}", b"/hello?a^b`c\\d",
    b"/hello?http://a/b", b"/hello?@:!$&'()*+,;=-._~", b"/%68ello", b"/%68%65%6c%6c%6f", b"/%68%65%6C%6C%6F",
    b"/./hello", b"/sub/../hello", b"//hello", b"/%2e/hello", b"/sub/%2e%2e/hello"
], request), body=HELLO)
add("9112 3.2", 400, CLOSED, by_byte("the path", [c for c in CONTROLS + [*b'"#<>'] + HIGH],
                                     lambda b: b"GET /he" + b + b"llo HTTP/1.1\r\nHost: x\r\n\r\n"))
add("9112 3.2", 400, CLOSED, by_byte("the query", [c for c in CONTROLS + [*b'"#<>'] + HIGH],
                                     lambda b: b"GET /hello?a" + b + b"b HTTP/1.1\r\nHost: x\r\n\r\n"))
# RFC 3986 has none of these in a path, and no browser sends them there: RFC 9112 section 3 says 400.  '[', ']' and
# '|' browsers do send, and in queries all of these.
add("9112 3.2", 400, CLOSED, by_byte("the path", [*b"\\^`{}"], lambda b: request(b"/he" + b + b"llo")))
add("9112 3.2", 404, KEPT, by_byte("the path, which browsers send", [*b"[]|"], lambda b: request(b"/he" + b + b"llo")))
add("9112 3.2", 400, CLOSED, by_own("target", [
    b"hello", b"./hello", b"../hello", b"?a=b", b"hello/", b"%2fhello", b"*", b"**", b"*/hello", b"/hello#",
    b"/hello#a", b"#", b"\\hello", b":80", b"x:80", b"x", b"[::1]:80", b"u@x:80", b"x:80/hello", b"http:/hello",
    b"http:hello", b"http:", b"http", b"http//x/hello", b"http:\\\\x\\hello", b"http:///hello", b"http://",
    b"http://?a", b"http://:80/hello", b"http://u@x/hello", b"http://u:p@x/hello", b"http://x:y/hello",
    b"http://x:-1/hello", b"http://x:65536/hello", b"http://x:99999999999999999999/hello", b"http://x y/hello",
    b"http://[::1/hello", b"http://::1/hello", b"http://x[/hello", b"http://x\\hello", b"http://x#a",
    b"http://x%/hello", b"http://x%4/hello", b"http://x%zz/hello", b"ftp://x/hello", b"file:///hello", b"ws://x/hello",
    b"gopher://x/hello", b"data:,x", b"javascript:x", b"mailto:a@b", b"urn:x", b"a://x/hello", b"://x/hello"
], request))
add("9110 7.4", 421, CLOSED, {
    "https without TLS": request(b"https://x/hello"), "https with a port": request(b"https://x:443/hello"),
    "HTTPS in capitals": request(b"HTTPS://x/hello"),
})
add("9112 3.2.2", 200, KEPT, by_own("target", [
    b"http://x/hello", b"http://x:80/hello", b"http://x:/hello", b"http://x:8080/hello", b"HTTP://x/hello",
    b"HtTp://X/hello", b"http://other/hello", b"http://x/hello?a=b", b"http://x/sub/../hello", b"http://x//hello",
    b"http://127.0.0.1/hello", b"http://[::1]/hello", b"http://[::1]:80/hello", b"http://x./hello",
    b"http://x%41/hello", b"http://a_b/hello"
], request), body=HELLO)
add("9112 3.2.2", 200, KEPT, {
    "no path means /": request(b"http://x"), "no path but a query means /": request(b"http://x?a=b"),
    "no path, a port": request(b"http://x:80"),
}, fields={"content-type": re.compile("text/html")})
add("9112 3.2.2", 200, KEPT, {
    "the target's host counts": request(b"http://example.org/host", host=b"Host: x"),
    "the target's host counts, in capitals": request(b"http://EXAMPLE.ORG/host", host=b"Host: x"),
    "the target's host counts, with a port": request(b"http://example.org:81/host", host=b"Host: x:80"),
    "Host alone": request(b"/host", host=b"Host: example.org"),
    "Host in capitals": request(b"/host", host=b"Host: Example.ORG"),
    "Host with a port": request(b"/host", host=b"Host: example.org:8080"),
    "Host with an empty port": request(b"/host", host=b"Host: example.org:"),
    "Host with its last dot": request(b"/host", host=b"Host: example.org."),
}, body=b"example\n")
add("9112 3.2.2", 200, KEPT, {
    "the target's host counts against Host": request(b"http://x/host", host=b"Host: example.org"),
    "another Host": request(b"/host", host=b"Host: example.net"),
    "a longer Host": request(b"/host", host=b"Host: www.example.org"),
    "a shorter Host": request(b"/host", host=b"Host: example.or"),
}, body=b"default\n")
add("9112 3.2", 400, CLOSED, {
    "absolute-form without Host": request(b"http://x/hello", host=None),
    "absolute-form with two Hosts": request(b"http://x/hello", b"Host: x"),
    "absolute-form with a bad Host": request(b"http://x/hello", host=b"Host: a b"),
})
add("9112 3.2.2", 200, CLOSED, {"absolute-form in HTTP/1.0": old(target=b"http://x/hello")}, body=HELLO)

add("9112 3.2.3", 405, CLOSED, {
    "CONNECT": request(b"x:443", method=b"CONNECT"),
    "CONNECT to an address": request(b"127.0.0.1:80", method=b"CONNECT"),
    "CONNECT to an IPv6 address": request(b"[::1]:80", method=b"CONNECT"),
    "CONNECT and what a client would tunnel": request(b"x:80", method=b"CONNECT") + SMUGGLED,
    "CONNECT with a body": request(b"x:80", b"Content-Length: 5", method=b"CONNECT") + b"hello",
}, fields={"allow": True})
add("9112 3.2.3", 400, CLOSED, by_own("CONNECT to", [
    b"/hello", b"*", b"http://x/", b"x", b"x:", b":80", b"x:y", b"x:65536", b"x:80/", b"u@x:80", b"x:80:80"
], lambda t: request(t, method=b"CONNECT")))
add("9112 3.2.4", 204, KEPT, {
    "OPTIONS *": request(b"*", method=b"OPTIONS"),
    "OPTIONS * with an empty body": post(b"", target=b"*", method=b"OPTIONS"),
    "OPTIONS * with a body": post(b"hello", target=b"*", method=b"OPTIONS"),
    "OPTIONS * with Max-Forwards": request(b"*", b"Max-Forwards: 0", method=b"OPTIONS"),
}, fields={"allow": re.compile(r"GET, HEAD"), "content-length": None, "transfer-encoding": None})
add("9112 3.2.4", 400, CLOSED, {f"{m.decode()} *": request(b"*", method=m)
                               for m in (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"PATCH", b"TRACE")})

# --- Host -----------------------------------------------------------------------------------------------------------

add("9112 3.2", 200, KEPT, by_own("Host", [
    b"x", b"X", b"x:80", b"x:", b"x:0", b"x:65535", b"x:00080", b"localhost", b"127.0.0.1", b"127.0.0.1:8080", b"1.2.3",
    b"1", b"a.b.c.d.e", b"a-b", b"a_b", b"-a", b"a.", b"xn--bcher-kva.example", b"a" * 255, b"[::1]", b"[::1]:80",
    b"[::1]:", b"[::]", b"[1:2:3:4:5:6:7:8]", b"[1:2:3:4:5:6:7::]", b"[::2:3:4:5:6:7:8]", b"[2001:DB8::1]",
    b"[::ffff:1.2.3.4]", b"[1:2:3:4:5:6:1.2.3.4]", b"[v1.x:y]", b"%41", b"a%2fb", b"!$&'()*+,;=", b"~"
], lambda h: request(host=b"Host: " + h)), body=HELLO)
add("9112 5.1", 200, KEPT, {
    "no blank before Host's value": request(host=b"Host:x"),
    "blanks around Host's value": request(host=b"Host: \t x \t "),
})
add("9112 3.2", 400, CLOSED, {
    "no Host": request(host=None),
    "no Host, but another field": request(b"/hello", b"X-Host: x", host=None),
    "no Host, version 1.2": request(host=None, version=b"HTTP/1.2"),
    "no Host, for nothing": request(b"/none", host=None),
    "no Host, an unknown method": request(host=None, method=b"FOO"),
    "no Host, OPTIONS *": request(b"*", host=None, method=b"OPTIONS"),
    "two Hosts": get(b"Host: x"),
    "two different Hosts": get(b"Host: y"),
    "two Hosts, one empty": get(b"Host:"),
    "two Hosts, far apart": get(b"A: b", b"C: d", b"hOST: x"),
    "two Hosts in HTTP/1.0": old(b"Host: x", b"Host: x"),
    "a bad Host in HTTP/1.0": old(b"Host: a b"),
})
add("9112 3.2", 400, CLOSED, by_own("Host", [
    b"", b" ", b"a b", b"a\tb", b"u@x", b"u:p@x", b"@x", b"x@", b"http://x", b"//x", b"x/", b"x/hello", b"/", b"x?a",
    b"?", b"x#a", b"#", b"x\\y", b"a, b c", b"x:y", b"x:80x", b"x:-80", b"x:+80", b"x: 80", b"x :80", b"x:80:80",
    b"x::80", b":", b":80", b"x:65536", b"x:99999999999999999999", b"x:8_0", b"x:0x50", b"[", b"]", b"[]", b"[:]",
    b"[::1", b"::1", b"1:2:3:4:5:6:7:8", b"[::1]80", b"[::1]x", b"[::1]:x", b"[::1] :80", b"x[::1]", b"[[::1]]",
    b"[::g]", b"[:::]", b"[::1::2]", b"[1:2:3]", b"[1:2:3:4:5:6:7:8:9]", b"[1:2:3:4:5:6:7]", b"[12345::]",
    b"[1:2:3:4:5:6:7:]", b"[:1:2:3:4:5:6:7]", b"[::1.2.3]", b"[::1.2.3.256]", b"[::1.2.3.4.5]", b"[1.2.3.4]",
    b"[::1.2.3.4:5]", b"[x]", b"[::1%25eth0]", b"[::1%eth0]", b"[v.x]", b"[v1.]", b"[vg.x]", b"[v1x]", b"%", b"%4",
    b"%zz", b"x%", b'"x"', b"<x>", b"{x}", b"x|y", b"x^y", b"x`y"
], lambda h: request(host=b"Host: " + h)))
add("9112 3.2", 400, CLOSED, by_byte("Host", [c for c in CONTROLS + HIGH if c != 9],
                                     lambda b: request(host=b"Host: x" + b + b"y")))

# --- fields ---------------------------------------------------------------------------------------------------------

add("9112 5", 200, KEPT, {
    "a field": get(b"X-A: b"),
    "an empty value": get(b"X-A:"),
    "a blank value": get(b"X-A:  \t "),
    "no blank": get(b"X-A:b"),
    "blanks around": get(b"X-A: \t b \t "),
    "colons in a value": get(b"X-A: :b:c:"),
    "all of a name": get(b"!#$%&'*+-.^_`|~09AZaz: b"),
    "all of a value": get(b"X-A: " + bytes(c for c in range(0x20, 0x7f)) + bytes(range(0x80, 0x100))),
    "a tab in a value": get(b"X-A: b\tc"),
    "a name of digits": get(b"1: b"),
    "a long name": get(b"X" * 2000 + b": b"),
    "a long value": get(b"X-A: " + b"b" * 20000),
    "the same field often": get(*[b"X-A: b"] * 50),
    "a name that begins like another": get(b"Host-: y", b"Hos: y", b"Content-Lengthy: 40",
        b"XTransfer-Encoding: chunked"),
    "an underscore for a minus": get(b"Content_Length: 40", b"Transfer_Encoding: chunked"),
    "fields that browsers send": get(b"User-Agent: Mozilla/5.0 (X11; Linux x86_64)",
        b"Accept: text/html;q=0.9,*/*;q=0.8",
                                     b"Accept-Language: de,en;q=0.5", b"Accept-Encoding: gzip, deflate, br", b"DNT: 1",
                                     b"Upgrade-Insecure-Requests: 1", b"Sec-Fetch-Mode: navigate", b"Cookie: a=b; c=d"),
    "fields that ask for another protocol": get(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c",
                                                b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"),
    "fields about trailers": get(b"TE: trailers, deflate;q=0.5", b"Connection: TE", b"Trailer: X-Sum"),
    "fields of proxies": get(b"Via: 1.1 a", b"X-Forwarded-For: 1.2.3.4", b"Forwarded: for=1.2.3.4;host=y",
        b"Max-Forwards: 0"),
}, body=HELLO)
add("9112 5.1", 400, CLOSED, {
    "space before the colon": get(b"X-A : b"),
    "tab before the colon": get(b"X-A\t: b"),
    "space before the colon of Host": request(host=b"Host : x"),
    "space before the colon of the length": get(b"Content-Length : 40"),
    "space before the colon of the coding": get(b"Transfer-Encoding : chunked"),
    "tab before the colon of the coding": get(b"Transfer-Encoding\t: chunked"),
    "vertical tab before the colon of the coding": get(b"Transfer-Encoding\x0b: chunked"),
    "no colon": get(b"X-A"), "no colon but blanks": get(b"X-A b"), "an equals sign": get(b"X-A= b"),
    "no name": get(b": b"), "only a colon": get(b":"), "no name but a blank": get(b" : b"),
    "a name in quotes": get(b'"X-A": b'),
    "the request line again": get(b"GET /hello HTTP/1.1"),
})
add("9112 5.1", 400, CLOSED,
    by_byte("a field name", [c for c in CONTROLS + [0x20] + DELIMITERS + HIGH if c != ord(":")],
                                     lambda b: get(b"X" + b + b"A: b")))
add("9110 5.5", 400, CLOSED, by_byte("a field value", [c for c in CONTROLS if c != 9],
    lambda b: get(b"X-A: b" + b + b"c")))
add("9110 5.5", 400, CLOSED, by_byte("the beginning of a field value", [c for c in CONTROLS if c != 9],
                                     lambda b: get(b"X-A: " + b + b"c")))
add("9112 5.2", 400, CLOSED, {
    "folding with a space": get(b"X-A: b", b" c"),
    "folding with a tab": get(b"X-A: b", b"\tc"),
    "folding into nothing": get(b"X-A: b", b" "),
    "folding of an empty value": get(b"X-A:", b" b"),
    "folding of Host": request(host=b"Host:\r\n x"),
    "folding of the coding": get(b"Transfer-Encoding:", b" chunked"),
    "folding of the length": get(b"Content-Length:", b" 5"),
    "folding that hides a length": get(b"X-A: b", b" Content-Length: 40"),
    "folding of the last field": get(b"X-A: b", b" c", b" d"),
})
add("9112 2.2", 400, CLOSED, {
    "space before the first field": lines(b"GET /hello HTTP/1.1", b" Host: x", b""),
    "tab before the first field": lines(b"GET /hello HTTP/1.1", b"\tHost: x", b""),
    "a blank line before the first field": lines(b"GET /hello HTTP/1.1", b" ", b"Host: x", b""),
    "a blank line and no field": lines(b"GET /hello HTTP/1.1", b" ", b""),
})

# --- line ends ------------------------------------------------------------------------------------------------------

add("9112 2.2", 200, KEPT, {
    "an empty line before the request": b"\r\n" + get(),
}, body=HELLO)
add("9112 2.2", [200, 200], KEPT, {
    "an empty line between requests": get() + b"\r\n" + get(),
    "an empty line behind a body": post(b"hello") + b"\r\n" + get(),
    "an empty line before each request": b"\r\n" + get() + b"\r\n" + get(),
}, body=HELLO)
add("9112 2.2", (200, 400), CLOSED, {"a dozen empty lines before the request":
                                     b"\r\n" * 12 + get(b"Connection: close")}, methods=["GET"])
add("9112 2.2", 400, CLOSED, {
    "LF ends all lines": get().replace(b"\r\n", b"\n"),
    "LF ends the request line": b"GET /hello HTTP/1.1\nHost: x\r\n\r\n",
    "LF ends a field": b"GET /hello HTTP/1.1\r\nHost: x\nA: b\r\n\r\n",
    "LF ends the last field": b"GET /hello HTTP/1.1\r\nHost: x\n\r\n",
    "LF for the empty line": b"GET /hello HTTP/1.1\r\nHost: x\r\n\n",
    "LF LF ends the head": b"GET /hello HTTP/1.1\r\nHost: x\n\n",
    "LF ends a field that hides another": get(b"X-A: b\nContent-Length: 40"),
    "CR ends all lines": get().replace(b"\r\n", b"\r"),
    "CR ends the request line": b"GET /hello HTTP/1.1\rHost: x\r\n\r\n",
    "CR ends a field": b"GET /hello HTTP/1.1\r\nHost: x\rA: b\r\n\r\n",
    "CR for the empty line": b"GET /hello HTTP/1.1\r\nHost: x\r\n\rX",
    "CR CR LF ends the request line": b"GET /hello HTTP/1.1\r\r\nHost: x\r\n\r\n",
    "CR CR LF ends a field": b"GET /hello HTTP/1.1\r\nHost: x\r\r\n\r\n",
    "CR CR LF for the empty line": b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\r\n",
    "LF CR ends lines": get().replace(b"\r\n", b"\n\r"),
    "CR in a value": get(b"X-A: b\rc"), "CR at the end of a value": get(b"X-A: b\r"),
    "CR before a hidden coding": get(b"X-A: b\rTransfer-Encoding: chunked"),
    "an empty line of LF before the request": b"\n" + get(),
    "an empty line of CR before the request": b"\r" + get(),
    "an empty line of CR CR LF before the request": b"\r\r\n" + get(),
    "a blank line before the request": b" \r\n" + get(),
    "NEL for a line end": b"GET /hello HTTP/1.1\x85Host: x\r\n\r\n",
    "LF in the request line": b"GET /hello\n HTTP/1.1\r\nHost: x\r\n\r\n",
    "CR LF in the request line": b"GET\r\n /hello HTTP/1.1\r\nHost: x\r\n\r\n",
    "NUL behind the head's line end": b"GET /hello HTTP/1.1\r\nHost: x\r\n\0\r\n",
})

# --- where a body ends ----------------------------------------------------------------------------------------------

add("9112 6.2", 200, KEPT, {
    "no body": request(method=b"POST"),
    "length 0": post(b""),
    "length 1": post(b"x"),
    "length 5": post(b"hello"),
    "length with zeros before": request(b"/hello", b"Content-Length: 0005", method=b"POST") + b"hello",
    "length 0 written 000": request(b"/hello", b"Content-Length: 000", method=b"POST"),
    "length with many zeros before": request(b"/hello", b"Content-Length: " + b"0" * 50 + b"5", method=b"POST") +
    b"hello",
    "length with blanks around": request(b"/hello", b"Content-Length: \t 5 \t", method=b"POST") + b"hello",
    "length without a blank": request(b"/hello", b"Content-Length:5", method=b"POST") + b"hello",
    "length in odd capitals": request(b"/hello", b"cOnTeNt-lEnGtH: 5", method=b"POST") + b"hello",
    "a body that looks like a request": post(SMUGGLED),
    "a body of empty lines": post(b"\r\n\r\n\r\n"),
    "a body of all bytes": post(bytes(range(256))),
    "a body of many bytes": post(SMUGGLED * 1000),
    "a body as long as it may be": post(b"x" * BODY_BYTES),
    "a body of a GET": post(b"hello", method=b"GET"),
    "a length of 0 in a GET": post(b"", method=b"GET"),
    "a body of another media type": post(b"{}", b"Content-Type: application/json"),
    "a body with a coding of its content": post(b"\x1f\x8b", b"Content-Encoding: gzip"),
}, body=HELLO)
add("9112 6.2", 200, KEPT, {"a body of a HEAD": post(b"hello", method=b"HEAD")}, body=b"")
add("9112 6.3", 400, CLOSED, by_own("Content-Length:", [
    b"", b" ", b"x", b"+5", b"-5", b"-0", b"+0", b"0x5", b"5x", b"x5", b"5.0", b"5e0", b"1_0", b"5 5", b"5\t5", b"5,5",
    b"5, 5", b"5, 6", b"5,", b",5", b", 5", b"5;", b"5;a=b", b'"5"', b"'5'", b"(5)", b"five", b"NaN", b"inf", b"0b1",
    b"0o5", b"05h", b"1'000", b"\xd9\xa5", b"5\xa0", b"\xa05", b"5\0", b"\x0b5", b"5\x0c", b"-18446744073709551611",
    b"5/2", b"5%", b"%35", b"#5", b"$5"
], lambda v: request(b"/hello", b"Content-Length: " + v, method=b"POST") + b"hello"))
add("9112 6.3", 400, CLOSED, {
    "two lengths": get(b"Content-Length: 5", b"Content-Length: 6") + b"hello",
    "two lengths, one 0": get(b"Content-Length: 0", b"Content-Length: 40"),
    "two lengths, the last 0": get(b"Content-Length: 40", b"Content-Length: 0"),
    "two equal lengths": get(b"Content-Length: 5", b"Content-Length: 5") + b"hello",
    "two equal lengths of 0": get(b"Content-Length: 0", b"Content-Length: 0"),
    "two equal lengths, far apart": get(b"Content-Length: 5", b"A: b", b"content-length: 5") + b"hello",
    "two lengths, one empty": get(b"Content-Length: 5", b"Content-Length:") + b"hello",
    "a bad length of an unknown method": request(b"/hello", b"Content-Length: x", method=b"FOO"),
    "a bad length for nothing": request(b"/none", b"Content-Length: x"),
    "a bad length in HTTP/1.0": old(b"Content-Length: x", b"Connection: keep-alive"),
})
add("9112 6.3", (400, 413), CLOSED, by_own("Content-Length:", [
    b"%d" % (BODY_BYTES + 1), b"1000000000", b"2147483648", b"4294967296", b"4294967301", b"9223372036854775807",
    b"9223372036854775808", b"18446744073709551615", b"18446744073709551616", b"18446744073709551621", b"9" * 40,
    b"1" + b"0" * 400
], lambda v: request(b"/hello", b"Content-Length: " + v, method=b"POST") + b"hello"))
add("9112 6.3", 400, CLOSED, {
    "length and chunks": request(b"/hello", b"Content-Length: 40", b"Transfer-Encoding: chunked", method=b"POST") +
    b"0\r\n\r\n",
    "chunks and length": request(b"/hello", b"Transfer-Encoding: chunked", b"Content-Length: 5", method=b"POST") +
    b"0\r\n\r\n",
    "chunks and length 0": request(b"/hello", b"Transfer-Encoding: chunked", b"Content-Length: 0", method=b"POST") +
    b"0\r\n\r\n",
    "chunks and the right length": request(b"/hello", b"Transfer-Encoding: chunked", b"Content-Length: 15",
        method=b"POST") +
                                   b"5\r\nhello\r\n0\r\n\r\n",
    "chunks and a bad length": request(b"/hello", b"Transfer-Encoding: chunked", b"Content-Length: x",
        method=b"POST") + b"0\r\n\r\n",
    "a request hidden by the length": request(b"/hello", b"Content-Length: 5", b"Transfer-Encoding: chunked",
        method=b"POST") +
                                      b"0\r\n\r\n" + SMUGGLED,
    "a request hidden by chunks": request(b"/hello", b"Transfer-Encoding: chunked", b"Content-Length: 4",
        method=b"POST") +
                                  b"2a\r\n" + SMUGGLED + b"\r\n0\r\n\r\n",
    "length and identity": request(b"/hello", b"Content-Length: 5", b"Transfer-Encoding: identity", method=b"POST") +
    b"hello",
    "length and an unknown coding": request(b"/hello", b"Content-Length: 5", b"Transfer-Encoding: foo",
        method=b"POST") + b"hello",
    "length and an empty coding": request(b"/hello", b"Content-Length: 5", b"Transfer-Encoding:", method=b"POST") +
    b"hello",
    "chunks in HTTP/1.0": old(b"Transfer-Encoding: chunked", b"Connection: keep-alive", method=b"POST") + b"0\r\n\r\n",
    "chunks and a length in HTTP/1.0": old(b"Transfer-Encoding: chunked", b"Content-Length: 5",
        b"Connection: keep-alive",
                                           method=b"POST") + b"0\r\n\r\n",
    "an unknown coding in HTTP/1.0": old(b"Transfer-Encoding: foo", method=b"POST"),
})
add("9112 6.1", 200, KEPT, by_own("field", [
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: Chunked", b"Transfer-Encoding: CHUNKED",
    b"transfer-encoding:chunked", b"TRANSFER-ENCODING:  \t chunked \t "
], lambda f: request(b"/hello", f, method=b"POST") + b"5\r\nhello\r\n0\r\n\r\n"), body=HELLO)
add("9112 6.3", 400, CLOSED, by_own("Transfer-Encoding:", [
    b"", b" ", b"identity", b"gzip", b"deflate", b"compress", b"x-gzip", b"foo", b"chunke", b"xchunked", b"chunkedx",
    b"chunked-x", b"x chunked", b"chunked x", b"chunked chunked", b"chunked, chunked", b"chunked,chunked",
    b"chunked, gzip", b"chunked, identity", b"chunked;", b"chunked;a=b", b"chunked; q=1", b"chunked,", b",chunked",
    b", chunked", b"chunked, ,", b"\"chunked\"", b"'chunked'", b"<chunked>", b"(chunked)", b"chunked=1", b"=chunked",
    b"chunked.", b"chunked:", b"chunked\0", b"\0chunked", b"\x0bchunked", b"chunked\x0b", b"\x0cchunked",
    b"chun\xa0ked", b"\xa0chunked", b"chunked\xff", b"chunk\xc4\x99d", b"chun ked", b"chun\tked",
    b"gzip, chunked, chunked", b"gzip, chunked, gzip", b"chunked, gzip, chunked", b"chunked\rx", b"chunked\x7f", b"cow",
    b"%63hunked"
], lambda v: request(b"/hello", b"Transfer-Encoding: " + v, method=b"POST") + b"0\r\n\r\n"))
add("9112 6.1", 501, CLOSED, by_own("Transfer-Encoding:", [
    b"gzip, chunked", b"gzip,chunked", b"identity, chunked", b"foo, chunked", b"foo;a=b, chunked",
    b'foo;a="b,c", chunked', b"GZip, Chunked", b"deflate, gzip, chunked"
], lambda v: request(b"/hello", b"Transfer-Encoding: " + v, method=b"POST") + b"0\r\n\r\n"))
add("9112 6.1", 501, CLOSED, {
    "codings in two lines": request(b"/hello", b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked",
        method=b"POST") + b"0\r\n\r\n",
})
add("9112 6.1", 400, CLOSED, {
    "chunked in two lines": request(b"/hello", b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked",
        method=b"POST") + b"0\r\n\r\n",
    "chunked, then identity": request(b"/hello", b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity",
        method=b"POST") +
                              b"0\r\n\r\n",
    "chunked, then nothing": request(b"/hello", b"Transfer-Encoding: chunked", b"Transfer-Encoding:", method=b"POST") +
    b"0\r\n\r\n",
    "nothing, then chunked": request(b"/hello", b"Transfer-Encoding:", b"Transfer-Encoding: chunked", method=b"POST") +
    b"0\r\n\r\n",
    "chunked, then an unknown one": request(b"/hello", b"Transfer-Encoding: chunked", b"Transfer-encoding: cow",
        method=b"POST") +
                                    b"0\r\n\r\n",
    "a bad coding of a GET": get(b"Transfer-Encoding: xchunked"),
    "a bad coding of a HEAD": request(b"/hello", b"Transfer-Encoding: xchunked", method=b"HEAD"),
    "a bad coding of an unknown method": request(b"/hello", b"Transfer-Encoding: xchunked", method=b"FOO"),
})

# --- chunks ---------------------------------------------------------------------------------------------------------

CHUNKED = request(b"/hello", b"Transfer-Encoding: chunked", method=b"POST")
LAST = b"0\r\n\r\n"

add("9112 7.1", 200, KEPT, {name: CHUNKED + body for name, body in {
    "no data": LAST,
    "one chunk": b"5\r\nhello\r\n" + LAST,
    "two chunks": b"5\r\nhello\r\n6\r\n world\r\n" + LAST,
    "zeros before a size": b"0005\r\nhello\r\n" + LAST,
    "many zeros before a size": b"0" * 60 + b"5\r\nhello\r\n" + LAST,
    "zeros for the last size": b"5\r\nhello\r\n00000\r\n\r\n",
    "a size in capitals": b"A\r\n0123456789\r\n" + LAST,
    "a size in small letters": b"a\r\n0123456789\r\n" + LAST,
    "a size of two digits": b"1f\r\n" + b"x" * 31 + b"\r\n" + LAST,
    "a size of mixed letters": b"aA\r\n" + b"x" * 170 + b"\r\n" + LAST,
    "data that look like the end": b"7\r\n0\r\n\r\n\r\n\r\n" + LAST,
    "data that look like a request": b"%x\r\n" % len(SMUGGLED) + SMUGGLED + b"\r\n" + LAST,
    "data of all bytes": b"100\r\n" + bytes(range(256)) + b"\r\n" + LAST,
    "a thousand chunks": b"3\r\nGET\r\n" * 1000 + LAST,
    "as much as there may be": b"%x\r\n" % BODY_BYTES + b"x" * BODY_BYTES + b"\r\n" + LAST,
}.items()}, body=HELLO)
add("9112 7.1.1", 200, KEPT, by_own("extension", [
    b";a", b";a=b", b";a=\"b\"", b";a=\"\"", b";a=\"b;c\"", b";a=\"b\\\"c\"", b";a=\"b\\\\\"", b";a=\"b,c=d\"",
    b";a;b;c", b";a=b;c=\"d\";e", b" ;a", b"\t;a=b", b"; a=b", b";a =b", b";a= b", b";a = \"b\" ;c", b";a=\"\xff\tb\"",
    b";" + b"a" * 500, b";a=" + b"b" * 500, b";!#$%&'*+-.^_`|~=x"
], lambda e: CHUNKED + b"5" + e + b"\r\nhello\r\n0" + e + b"\r\n\r\n"), body=HELLO)
add("9112 7.1.2", 200, KEPT, by_own("trailer", [
    b"X-Sum: 1", b"X-Sum:", b"X-Sum:1", b"X-Sum: \t 1 \t", b"A: b\r\nC: d", b"Content-Length: 40",
    b"Transfer-Encoding: chunked", b"Host: y", b"Connection: close", b"Expect: 100-continue", b"Content-MD5: x",
    b"X-A: \xff", b"Trailer: a", b"Range: bytes=0-1"
], lambda t: CHUNKED + b"5\r\nhello\r\n0\r\n" + t + b"\r\n\r\n"), body=HELLO)
add("9112 7.1", 400, CLOSED, {name: CHUNKED + body for name, body in {
    "no size": b"\r\nhello\r\n" + LAST, "no size but an extension": b";a\r\nhello\r\n" + LAST,
    "a size with 0x": b"0x5\r\nhello\r\n" + LAST, "a size with x": b"x5\r\nhello\r\n" + LAST,
    "a size with h": b"5h\r\nhello\r\n" + LAST,
    "a negative size": b"-5\r\nhello\r\n" + LAST, "a size with plus": b"+5\r\nhello\r\n" + LAST,
    "a size with a point": b"5.0\r\nhello\r\n" + LAST, "a size with an underscore": b"0_5\r\nhello\r\n" + LAST,
    "a size in quotes": b'"5"\r\nhello\r\n' + LAST, "a size that is a letter": b"g\r\nhello\r\n" + LAST,
    "a size with a comma": b"5,5\r\nhello\r\n" + LAST, "a size in a wide digit": b"\xef\xbc\x95\r\nhello\r\n" + LAST,
    "space before a size": b" 5\r\nhello\r\n" + LAST, "tab before a size": b"\t5\r\nhello\r\n" + LAST,
    "an empty line before a size": b"\r\n5\r\nhello\r\n" + LAST,
    "space behind a size": b"5 \r\nhello\r\n" + LAST, "tab behind a size": b"5\t\r\nhello\r\n" + LAST,
    "space in a size": b"0 5\r\nhello\r\n" + LAST, "NUL in a size": b"5\0\r\nhello\r\n" + LAST,
    "a size ended by LF": b"5\nhello\r\n" + LAST, "a size ended by CR": b"5\rhello\r\n" + LAST,
    "a size ended by CR CR LF": b"5\r\r\nhello\r\n" + LAST, "a size ended by LF CR": b"5\n\rhello\r\n" + LAST,
    "a size and nothing": b"5hello\r\n" + LAST,
    "data ended by LF": b"5\r\nhello\n" + LAST, "data ended by CR": b"5\r\nhello\r" + LAST,
    "data ended by nothing": b"5\r\nhello" + LAST, "data ended by CR CR LF": b"5\r\nhello\r\r\n" + LAST,
    "data ended by LF CR": b"5\r\nhello\n\r" + LAST, "data that are too long": b"5\r\nhello!\r\n" + LAST,
    "data that are too short": b"6\r\nhello\r\n" + LAST, "data ended by two other bytes": b"5\r\nhelloXX0\r\n\r\n",
    "the last size ended by LF": b"5\r\nhello\r\n0\n\r\n", "the end is LF": b"5\r\nhello\r\n0\r\n\n",
    "the last size ended by LF LF": b"5\r\nhello\r\n0\n\n", "the end is CR and something": b"5\r\nhello\r\n0\r\n\rX",
    "a negative last size": b"5\r\nhello\r\n-0\r\n\r\n", "the last size has a sign": b"5\r\nhello\r\n+0\r\n\r\n",
    "space behind the last size": b"5\r\nhello\r\n0 \r\n\r\n",
    "no chunks at all": b"hello world",
}.items()})
add("9112 7.1", (400, 413), CLOSED, by_own("size", [
    b"%x" % (BODY_BYTES + 1), b"7fffffff", b"80000000", b"ffffffff", b"100000000", b"100000005", b"7fffffffffffffff",
    b"8000000000000000", b"ffffffffffffffff", b"fffffffffffffffe", b"10000000000000000", b"10000000000000005",
    b"100000000000000000000000005", b"f" * 100, b"0" * 2000 + b"5"
], lambda size: CHUNKED + size + b"\r\nhello\r\n" + LAST))
add("9112 7.1", 413, CLOSED, {
    "more than there may be": CHUNKED + (b"1000\r\n" + b"x" * 4096 + b"\r\n") * (BODY_BYTES // 4096 + 1) + LAST,
    "one byte more than there may be": CHUNKED + b"%x\r\n" % BODY_BYTES + b"x" * BODY_BYTES + b"\r\n1\r\nx\r\n" + LAST,
})
add("9112 7.1.1", 400, CLOSED, by_own("extension", [
    b";", b";;", b";;a", b";a;", b";=b", b";a=", b";a=;b", b";a==b", b";a b", b";a=b c", b";a=\"b", b";a=\"b\"c",
    b";a=\"b\\\"", b";a=b\"c\"", b";\"a\"", b";a=(b)", b";a=b,c", b"; ", b";a ", b";a=b ", b";a=\"b\" ", b" a=b",
    b"a=b", b",a", b":a", b";a\0", b";a=\0", b";a=\"\0\"", b";a=\x7f", b";a=\"\n\"", b";a=\n", b";a\n", b";a=\"\r\"",
    b";a\r", b";a\xff=b", b";a=\xff", b"/a", b";a=b\x0b", b";\x0ba"
], lambda e: CHUNKED + b"5" + e + b"\r\nhello\r\n" + LAST))
add("9112 7.1.1", 400, CLOSED, {
    "an extension that is too long": CHUNKED + b"5;a=" + b"b" * 5000 + b"\r\nhello\r\n" + LAST,
    "a flood of extensions": CHUNKED + (b"1;a=" + b"b" * 500 + b"\r\nx\r\n") * 200 + LAST,
    "an extension that hides a line end": CHUNKED + b"5;\nhello\r\n" + LAST,
    "a request hidden by an extension": CHUNKED + b"2;\nxx\r\n4c\r\n0\r\n\r\n" + SMUGGLED + LAST,
})
add("9112 7.1.2", 400, CLOSED, by_own("trailer", [
    b"X-Sum", b": 1", b"X-Sum : 1", b"X Sum: 1", b" X-Sum: 1", b"X-Sum: 1\r\n 2", b"X-Sum: \x01", b"X-Sum: \0",
    b"X-Sum: 1\rY: 2", b"X-Sum: 1\nY: 2", b"X(: 1", b"\xff: 1", b"\0", b"GET /smuggled HTTP/1.1", b"5\r\nhello", b"=",
    b" "
], lambda t: CHUNKED + b"5\r\nhello\r\n0\r\n" + t + b"\r\n\r\n"))
add("9112 7.1.2", 431, CLOSED, {
    "trailers that are too large": CHUNKED + b"0\r\n" + b"X-Sum: 1\r\n" * 5000 + b"\r\n",
    "a trailer that is too large": CHUNKED + b"0\r\nX: " + b"1" * (HEADER_BYTES + 10) + b"\r\n\r\n",
})
add("9112 7.1", 200, KEPT, {
    "chunks of a GET": get(b"Transfer-Encoding: chunked") + b"5\r\nhello\r\n" + LAST,
}, body=HELLO)
add("9112 7.1", 200, KEPT, {
    "chunks of a HEAD": request(b"/hello", b"Transfer-Encoding: chunked", method=b"HEAD") + b"5\r\nhello\r\n" + LAST,
}, body=b"")
add("9112 7.1", 405, KEPT, {
    "chunks for a file": request(b"/text.txt", b"Transfer-Encoding: chunked", method=b"POST") + b"5\r\nhello\r\n" +
    LAST,
}, fields={"allow": True})
add("9112 7.1", 400, CLOSED, {
    "bad chunks for a file": request(b"/text.txt", b"Transfer-Encoding: chunked", method=b"POST") + b"5\r\nhelloXX",
    "bad chunks of a GET": get(b"Transfer-Encoding: chunked") + b"5\nhello\r\n" + LAST,
    "bad chunks of an unknown method": request(b"/hello", b"Transfer-Encoding: chunked", method=b"FOO") + b"x",
})

# --- limits ---------------------------------------------------------------------------------------------------------

GET_ROOM = len(b"GET / HTTP/1.1")

add("9112 3", 200, KEPT, {
    "a target of 8,000 bytes": request(b"/hello?" + b"a" * 7993),
    "a request line as long as it may be": request(b"/hello?" + b"a" * (REQUEST_LINE - GET_ROOM - 6)),
}, body=HELLO)
add("9112 3", 414, CLOSED, {
    "a request line that is one byte too long": request(b"/hello?" + b"a" * (REQUEST_LINE - GET_ROOM - 5)),
    "a request line without an end": b"GET /" + b"a" * 20000,
    "a request line that is far too long": request(b"/" + b"a" * 100_000),
    "a POST's request line that is too long": request(b"/" + b"a" * 9000, method=b"POST"),
})
add("6585 5", 200, KEPT, {
    "as many fields as there may be": get(*[b"A: b"] * (HEADER_COUNT - 1)),
    "as many bytes of fields as there may be": get(b"A: " + b"b" * (HEADER_BYTES - len(b"Host: x\r\nA: \r\n"))),
}, body=HELLO)
add("6585 5", 431, CLOSED, {
    "one field too many": get(*[b"A: b"] * HEADER_COUNT),
    "a thousand fields": get(*[b"A: b"] * 1000),
    "a byte too many of fields": get(b"A: " + b"b" * (HEADER_BYTES - len(b"Host: x\r\nA: \r\n") + 1)),
    "a value that is too large": get(b"A: " + b"b" * 100_000),
    "a name that is too large": get(b"A" * 100_000 + b": b"),
    "fields without an end": b"GET /hello HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 10_000,
    "a cookie that is too large": get(b"Cookie: " + b"a=b; " * 10_000),
})
add("9110 15.5.14", 413, CLOSED, {
    "a body that is a byte too long": post(b"x" * (BODY_BYTES + 1)),
    "a body that is too long for a file": post(b"x" * (BODY_BYTES + 1), target=b"/text.txt"),
})

# --- the connection -------------------------------------------------------------------------------------------------

add("9112 9.3", 200, KEPT, by_own("field", [
    b"Connection: keep-alive", b"Connection: Keep-Alive", b"Connection:", b"Connection: ,", b"Connection: foo",
    b"Connection: closed", b"Connection: x-close", b"Connection: close-x", b"Connection: Upgrade",
    b"Keep-Alive: timeout=5", b"Proxy-Connection: close", b"Connection: host", b"Connection: te, keep-alive"
], lambda f: get(f)), body=HELLO, fields={"connection": None})
add("9112 9.6", 200, CLOSED, by_own("field", [
    b"Connection: close", b"Connection: Close", b"Connection: CLOSE", b"connection:close", b"Connection: \t close \t",
    b"Connection: foo, close", b"Connection: close, foo", b"Connection: ,close,", b"Connection: , , close",
    b"Connection: keep-alive, close", b"Connection: close, keep-alive", b"Connection: foo,bar ,close",
    b"Connection: keep-alive\r\nConnection: close", b"Connection: close\r\nConnection: keep-alive"
], lambda f: get(f)), body=HELLO, fields={"connection": "close"})
add("9112 9.6", 200, CLOSED, {
    "close with a body": post(b"hello", b"Connection: close"),
    "close with chunks": request(b"/hello", b"Connection: close", b"Transfer-Encoding: chunked", method=b"POST") +
    b"5\r\nhello\r\n" + LAST,
    "close, and more": get(b"Connection: close") + SMUGGLED * 3,
    "close, and rubbish": get(b"Connection: close") + b"\0\xff" * 1000,
    "close, and a half request": get(b"Connection: close") + b"GET /smug",
}, body=HELLO, fields={"connection": "close"})
add("9112 9.6", 404, CLOSED, {"close of what is not there": request(b"/none", b"Connection: close")},
    fields={"connection": "close"})
add("9112 9.6", 405, CLOSED, {"close of what is not allowed": request(b"/text.txt", b"Connection: close",
    method=b"PUT")},
    fields={"connection": "close", "allow": True})
add("9112 9.3", 200, CLOSED, {
    "HTTP/1.0": old(), "HTTP/1.0 with Host": old(b"Host: x"), "HTTP/1.0 with close": old(b"Connection: close"),
    "HTTP/1.0 with both": old(b"Connection: close, keep-alive"),
    "HTTP/1.0 with another option": old(b"Connection: foo"),
    "HTTP/1.0 with a body": old(b"Content-Length: 5", method=b"POST") + b"hello",
    "HTTP/1.0, and more": old() + SMUGGLED,
    "HTTP/1.0 with Keep-Alive alone": old(b"Keep-Alive: 5"),
}, body=HELLO, fields={"connection": "close"})
add("9112 9.3", 200, KEPT, {
    "HTTP/1.0 that is kept": old(b"Connection: keep-alive"),
    "HTTP/1.0 that is kept, in capitals": old(b"Connection: KEEP-ALIVE"),
    "HTTP/1.0 that is kept, in a list": old(b"Connection: foo, keep-alive"),
    "HTTP/1.0 that is kept, with Host": old(b"Host: x", b"Connection: keep-alive"),
    "HTTP/1.0 that is kept, with a body": old(b"Connection: keep-alive", b"Content-Length: 5", method=b"POST") +
    b"hello",
}, body=HELLO, fields={"connection": re.compile("(?i)keep-alive$")})
add("9112 9.3", 404, KEPT, {"HTTP/1.0 that is kept, of what is not there": old(b"Connection: keep-alive",
    target=b"/none")},
    fields={"connection": re.compile("(?i)keep-alive$")})
add("9112 9.3", 304, KEPT, {"HTTP/1.0 that is kept, not modified": old(b"Connection: keep-alive",
    b"If-Modified-Since: " + MODIFIED,
                                                                      target=b"/text.txt")},
    fields={"connection": re.compile("(?i)keep-alive$")})
add("9112 9.3", [200, 200], KEPT, {"HTTP/1.0 and HTTP/1.1 on one connection": old(b"Connection: keep-alive") + get()},
    body=HELLO)
add("9112 9.3", [200, 200], CLOSED, {"HTTP/1.1 and HTTP/1.0 on one connection": get() + old()}, body=HELLO)

# --- pipelines ------------------------------------------------------------------------------------------------------

MIX = [(get(), 200, "GET"), (request(b"/text.txt"), 200, "GET"), (request(b"/none"), 404, "GET"),
       (request(b"/text.txt", method=b"HEAD"), 200, "HEAD"), (post(SMUGGLED), 200, "POST"),
       (post(b"hello", target=b"/text.txt"), 405, "POST"), (request(method=b"FOO"), 501, "FOO"),
       (CHUNKED + b"%x;a=b\r\n" % len(SMUGGLED) + SMUGGLED + b"\r\n0\r\nX: y\r\n\r\n", 200, "POST"),
       (request(b"/text.txt", b"Range: bytes=0-4"), 206, "GET"), (request(b"/text.txt", b"If-None-Match: *"), 304,
           "GET"),
       (request(b"/sub"), 301, "GET"), (request(method=b"OPTIONS"), 204, "OPTIONS"), (request(b"/empty.txt"), 200,
           "GET"),
       (request(b"/gone"), 410, "GET"), (request(b"/moved"), 302, "GET"), (request(b"/nothing"), 204, "GET"),
       (request(b"/text.txt", b"If-Match: \"x\""), 412, "GET"), (request(b"/text.txt", b"Range: bytes=9999-"), 416,
           "GET")]

for n, turn in ((2, 0), (3, 1), (5, 2), (len(MIX), 3), (len(MIX), 7), (3 * len(MIX), 5)):
    row = [MIX[(turn + 5 * i) % len(MIX)] for i in range(n)]
    add("9112 9.3.2", [r[1] for r in row], KEPT, {f"{n} requests in a row from {turn}": b"".join(r[0] for r in row)},
        methods=[r[2] for r in row])
add("9112 9.3.2", [200, 200, 400], CLOSED, {
    "a bad request behind good ones": get() + get() + b"BAD\r\n\r\n" + SMUGGLED,
    "a bad body behind good ones": get() + post(b"hello") + CHUNKED + b"x" + SMUGGLED,
}, methods=["GET", "GET", "POST"])
add("9112 9.3.2", [200, 413], CLOSED, {"a body that is too long behind a good one":
                                       get() + request(b"/hello", b"Content-Length: 200000", method=b"POST") +
                                       SMUGGLED},
    methods=["GET", "POST"])
add("9112 9.3.2", [200, 200], CLOSED, {"the second closes": get() + get(b"Connection: close") + SMUGGLED}, body=HELLO)

# --- half-closes, and what is never completed -----------------------------------------------------------------------

add("9112 9.6", 200, EOF, {"a request, then the end": get(), "a body, then the end": post(b"hello"),
                           "chunks, then the end": CHUNKED + LAST, "HTTP/1.0, then the end": old()}, body=HELLO)
add("9112 9.6", [200] * 5, EOF, {"five requests, then the end": get() * 5}, body=HELLO)
add("9112 9.6", [200, 400], EOF, {"a request and a half, then the end": get() + b"GET /hel"})
add("9112 8", 400, EOF, {
    "half a method": b"GE", "half a target": b"GET /hel", "half a version": b"GET /hello HTTP/1.",
    "half a request line": b"GET /hello HTTP/1.1",
    "no line end": b"GET /hello HTTP/1.1\r\nHost: x", "half a line end": b"GET /hello HTTP/1.1\r\nHost: x\r",
    "half a head": b"GET /hello HTTP/1.1\r\nHost: x\r\n", "half an empty line": b"GET /hello HTTP/1.1\r\nHost: x\r\n\r",
    "no body": request(b"/hello", b"Content-Length: 5", method=b"POST"),
    "half a body": request(b"/hello", b"Content-Length: 5", method=b"POST") + b"hel",
    "no chunk": CHUNKED, "half a size": CHUNKED + b"5", "half a size line": CHUNKED + b"5\r",
    "no data": CHUNKED + b"5\r\n",
    "half the data": CHUNKED + b"5\r\nhel", "data without an end": CHUNKED + b"5\r\nhello",
    "no last chunk": CHUNKED + b"5\r\nhello\r\n",
    "half a last chunk": CHUNKED + b"5\r\nhello\r\n0", "no empty line": CHUNKED + b"5\r\nhello\r\n0\r\n",
    "half an empty line behind chunks": CHUNKED + b"5\r\nhello\r\n0\r\n\r", "half a trailer": CHUNKED + b"0\r\nX-S",
})
add("9112 8", [], EOF, {"nothing at all": b"", "an empty line before nothing": b"\r\n",
    "half of one before nothing": b"\r"}, methods=[])

# --- Expect ---------------------------------------------------------------------------------------------------------

EXPECT = b"Expect: 100-continue"

add("9110 10.1.1", 200, KEPT, {
    "100-continue with a body": post(b"hello", EXPECT),
    "100-continue in capitals": post(b"hello", b"EXPECT: 100-Continue"),
    "100-continue with chunks": request(b"/hello", EXPECT, b"Transfer-Encoding: chunked", method=b"POST") +
    b"5\r\nhello\r\n" + LAST,
    "100-continue twice": post(b"hello", EXPECT, EXPECT),
    "100-continue twice in a list": post(b"hello", b"Expect: 100-continue, 100-continue"),
    "100-continue of a GET with a body": post(b"hello", EXPECT, method=b"GET"),
}, body=HELLO, interim=1)
add("9110 10.1.1", 200, KEPT, {
    "100-continue without a body": get(EXPECT),
    "100-continue with a length of 0": post(b"", EXPECT),
    "an empty expectation": get(b"Expect:"),
    "an empty expectation with a body": post(b"hello", b"Expect:"),
}, body=HELLO)
add("9110 10.1.1", 200, CLOSED, {
    "100-continue in HTTP/1.0": old(EXPECT, b"Content-Length: 5", method=b"POST") + b"hello",
    "100-continue in HTTP/1.0 without a body": old(EXPECT),
}, body=HELLO)
add("9110 10.1.1", 200, KEPT, {
    "100-continue in HTTP/1.0 that is kept": old(EXPECT, b"Connection: keep-alive", b"Content-Length: 5",
        method=b"POST") + b"hello",
}, body=HELLO)
add("9110 10.1.1", 417, KEPT, by_own("Expect:", [
    b"foo", b"100-continued", b"200-ok", b"100-continue=1", b"100-continue;a=b", b"100-continue, foo",
    b"foo, 100-continue", b"100", b"continue", b'"100-continue"'
], lambda v: get(b"Expect: " + v)))
add("9110 10.1.1", 417, CLOSED, {"an unknown expectation with a body": post(b"hello", b"Expect: foo"),
                                 "an unknown expectation with chunks": request(b"/hello", b"Expect: foo",
                                     b"Transfer-Encoding: chunked",
                                                                               method=b"POST") + LAST})
# What the head alone decides is said at once, and 100 is not; whether the body still comes nobody knows, so it ends.
add("9110 10.1.1", 405, CLOSED, {
    "100-continue for a file": post(b"hello", EXPECT, target=b"/text.txt"),
    "100-continue for a file, chunks": request(b"/text.txt", EXPECT, b"Transfer-Encoding: chunked", method=b"POST") +
    LAST,
    "100-continue of a PUT": post(b"hello", EXPECT, method=b"PUT"),
    "100-continue for a file, and the body is held back": request(b"/text.txt", EXPECT, b"Content-Length: 5",
                                                                  method=b"POST"),
}, fields={"allow": True, "connection": "close"})
add("9110 10.1.1", 404, CLOSED, {"100-continue for a hidden file": post(b"hello", EXPECT, target=b"/.hidden",
    method=b"GET")})
add("9110 10.1.1", 501, CLOSED, {"100-continue of an unknown method": post(b"hello", EXPECT, method=b"FOO")})
add("9110 10.1.1", 413, CLOSED, {"100-continue with a body that is too long":
                                 request(b"/hello", EXPECT, b"Content-Length: 100001", method=b"POST")})
add("9110 10.1.1", 400, CLOSED, {
    "100-continue with a bad length": request(b"/hello", EXPECT, b"Content-Length: x", method=b"POST"),
    "100-continue without Host": request(b"/hello", EXPECT, b"Content-Length: 5", method=b"POST", host=None) + b"hello",
    "100-continue with a bad path": post(b"hello", EXPECT, target=b"/%zz"),
})
add("9110 10.1.1", [200, 200], KEPT, {"two that expect 100-continue": post(b"hello", EXPECT) * 2}, body=HELLO,
    interim=1)

# --- methods --------------------------------------------------------------------------------------------------------

FILE_ALLOW, FIXED_ALLOW = "GET, HEAD, OPTIONS", "GET, HEAD, POST, OPTIONS"
add("9110 9.3.1", 200, KEPT, {"GET of a file": request(b"/text.txt")}, body=TEXT, fields={
    "content-length": "2048", "content-type": re.compile("text/plain"), "last-modified": MODIFIED.decode(),
    "etag": re.compile('^"[^"]+"$'),
    "accept-ranges": "bytes", "content-range": None})
add("9110 9.3.2", 200, KEPT, {"HEAD of a file": request(b"/text.txt", method=b"HEAD")}, body=b"", fields={
    "content-length": "2048", "content-type": re.compile("text/plain"), "last-modified": MODIFIED.decode(),
    "etag": re.compile('^"[^"]+"$'),
    "accept-ranges": "bytes"})
add("9110 9.3.2", 200, KEPT, {"HEAD of a fixed reply": request(method=b"HEAD")}, body=b"",
    fields={"content-length": str(len(HELLO))})
add("9110 9.3.2", 200, KEPT, {"HEAD of an empty file": request(b"/empty.txt", method=b"HEAD")}, body=b"",
    fields={"content-length": "0"})
add("9110 9.3.1", 200, KEPT, {"GET of an empty file": request(b"/empty.txt")}, body=b"", fields={"content-length": "0"})
add("9110 9.3.2", 404, KEPT, {"HEAD of nothing": request(b"/none", method=b"HEAD")}, body=b"",
    fields={"content-length": True})
add("9110 9.3.2", 301, KEPT, {"HEAD of a folder": request(b"/sub", method=b"HEAD")}, body=b"",
    fields={"location": "/sub/"})
add("9110 9.3.2", 410, KEPT, {"HEAD of what is gone": request(b"/gone", method=b"HEAD")}, body=b"",
    fields={"content-length": True})
add("9110 9.3.2", 204, KEPT, {"HEAD of no content": request(b"/nothing", method=b"HEAD")}, body=b"",
    fields={"content-length": None})
add("9110 15.3.5", 204, KEPT, {"no content": request(b"/nothing"), "no content for a POST": post(b"hello",
    target=b"/nothing")},
    body=b"", fields={"content-length": None, "transfer-encoding": None})
add("9110 9.3.3", 200, KEPT,
    {"POST to a fixed reply": post(b"a=b", b"Content-Type: application/x-www-form-urlencoded")}, body=HELLO)
add("9110 15.5.6", 405, KEPT, {f"{m.decode()} of a file": make(m) for m in (b"POST", b"PUT", b"DELETE", b"PATCH",
    b"TRACE") for make in (
    lambda m: request(b"/text.txt", method=m),)}, fields={"allow": FILE_ALLOW})
add("9110 15.5.6", 405, KEPT, {f"{m.decode()} with a body of a file": post(SMUGGLED, target=b"/text.txt", method=m)
                              for m in (b"POST", b"PUT", b"DELETE", b"PATCH")}, fields={"allow": FILE_ALLOW})
add("9110 15.5.6", 405, KEPT, {f"{m.decode()} of what is not there": request(b"/none", method=m)
                              for m in (b"POST", b"PUT", b"DELETE", b"PATCH", b"TRACE")}, fields={"allow": FILE_ALLOW})
add("9110 15.5.6", 405, KEPT, {f"{m.decode()} of a fixed reply": request(method=m) for m in (b"PUT", b"DELETE",
    b"PATCH", b"TRACE")},
    fields={"allow": FIXED_ALLOW})
add("9110 15.5.6", 405, KEPT, {"POST to a folder": post(b"hello", target=b"/sub/"), "POST to the root": post(b"hello",
    target=b"/"),
                               "PUT with a Content-Range": post(b"hello", b"Content-Range: bytes 0-4/5",
                                   target=b"/text.txt", method=b"PUT"),
                               "TRACE with a secret": request(b"/text.txt", b"Cookie: a=b", b"Max-Forwards: 0",
                                   method=b"TRACE")},
    fields={"allow": FILE_ALLOW})
add("9110 9.3.7", 204, KEPT, {"OPTIONS of a file": request(b"/text.txt", method=b"OPTIONS"),
                              "OPTIONS of what is not there": request(b"/none", method=b"OPTIONS"),
                              "OPTIONS of a folder": request(b"/sub/", method=b"OPTIONS"),
                              "OPTIONS in absolute-form": request(b"http://x/text.txt", method=b"OPTIONS"),
                              "OPTIONS in absolute-form without a path": request(b"http://x", method=b"OPTIONS"),
                              "OPTIONS with a body": post(b"hello", target=b"/text.txt", method=b"OPTIONS"),
                              "OPTIONS for another site": request(b"/text.txt", b"Origin: http://y",
                                                                  b"Access-Control-Request-Method: PUT",
                                                                  method=b"OPTIONS")},
    body=b"", fields={"allow": FILE_ALLOW, "content-length": None, "content-type": None})
add("9110 9.3.7", 204, KEPT, {"OPTIONS of a fixed reply": request(method=b"OPTIONS")}, body=b"",
    fields={"allow": FIXED_ALLOW})
add("9110 15.4.3", 302, KEPT, {f"{m.decode()} of what has moved": request(b"/moved", method=m)
                              for m in (b"GET", b"POST", b"PUT", b"DELETE")}, fields={"location": "/hello",
                              "content-length": True})
add("9110 15.5.11", 410, KEPT, {f"{m.decode()} of what is gone": request(b"/gone", method=m) for m in (b"GET", b"POST",
    b"DELETE")})
add("9110 15.5.6", 405, KEPT, {"TRACE of what has moved": request(b"/moved", method=b"TRACE")}, fields={"allow": True})

# --- paths ----------------------------------------------------------------------------------------------------------

add("3986 6.2.2", 200, KEPT, by_own("path", [
    b"/text.txt", b"/%74ext.txt", b"/text%2etxt", b"/text%2Etxt", b"/%74%65%78%74%2e%74%78%74", b"/./text.txt",
    b"/././text.txt", b"/sub/../text.txt", b"/sub/./../text.txt", b"/sub/%2e%2e/text.txt", b"/sub/%2E%2E/text.txt",
    b"/sub/.%2e/text.txt", b"/sub/%2e./text.txt", b"/none/../text.txt", b"//text.txt", b"///text.txt",
    b"/sub//../text.txt", b"/sub/..//text.txt", b"/%2e/text.txt", b"/sub%2f..%2ftext.txt", b"/sub/..%2ftext.txt",
    b"/text.txt?", b"/text.txt?../../..", b"/text.txt?%2e%2e%2f", b"/%2ftext.txt", b"http://x/./text.txt"
], request), body=TEXT)
add("3986 2.1", 200, KEPT, by_own("path", [
    b"/with%20space.txt", b"/%c3%bcmlaut.txt", b"/%C3%BCmlaut.txt", b"/100%25.txt", b"/plus+.txt", b"/plus%2b.txt",
    b"/a;b.txt", b"/a%3bb.txt", b"/a:b.txt", b"/a,b.txt", b"/a=b.txt", b"/a&b.txt", b"/a@b.txt", b"/a'b.txt",
    b"/(a).txt", b"/a!.txt", b"/a$.txt", b"/a*.txt", b"/~a.txt", b"/a%7Cb.txt", b"/a|b.txt", b"/[a].txt",
    b"/%5Ba%5D.txt", b"/a%5cb.txt", b"/%7Ba%7D.txt", b"/q%3fq.txt", b"/h%23h.txt", b"/%22.txt", b"/a..b.txt",
    b"/a...txt", b"/a../a.txt", b"/a%2e%2e/a.txt"
], request), body=b"odd\n")
add("9110 15.5.5", 404, KEPT, by_own("path", [
    b"/none", b"/none/", b"/none/none", b"/text.txt/", b"/text.txt/x", b"/text.txt/.", b"/TEXT.TXT", b"/text.txt%20",
    b"/text.txt.", b"/text.txt;a", b"/text%252etxt", b"/with+space.txt", b"/100%2525.txt", b"/%c3%9cmlaut.txt",
    b"/%fcmlaut.txt", b"/sub%252f", b"/hellox", b"/hell", b"/Hello", b"/.hidden", b"/%2ehidden", b"/%2Ehidden",
    b"/sub/.hidden", b"/.git/config", b"/./.hidden", b"/sub/../.hidden", b"//.hidden", b"/%252ehidden", b"/.%2ehidden",
    b"/" + b"a" * 5000, b"/" + b"a/" * 2500, b"/" + b"a" * 256, b"/none?a=b", b"/%e2%80%ae", b"/~", b"/-"
], request))
add("3986 5.2.4", (400, 403, 404), None, by_own("path", [
    b"/../secret.txt", b"/../../secret.txt", b"/..%2fsecret.txt", b"/%2e%2e/secret.txt", b"/%2e%2e%2fsecret.txt",
    b"/%2E%2E%2Fsecret.txt", b"/.%2e/secret.txt", b"/%2e./secret.txt", b"/sub/../../secret.txt",
    b"/sub/%2e%2e/%2e%2e/secret.txt", b"/sub/..%2f..%2fsecret.txt", b"/sub/../..//secret.txt", b"/./../secret.txt",
    b"//../secret.txt", b"///../secret.txt", b"/..//secret.txt", b"/..", b"/../", b"/%2e%2e",
    b"/../../../../etc/passwd", b"/%2e%2e/%2e%2e/%2e%2e/etc/passwd", b"/..%5csecret.txt", b"/..%5c..%5csecret.txt",
    b"/%2e%2e%5csecret.txt", b"/sub/..%5c..%5csecret.txt", b"/%252e%252e/secret.txt", b"/%252e%252e%252fsecret.txt",
    b"/..%252fsecret.txt", b"/%25252e%25252e/secret.txt", b"/%c0%ae%c0%ae/secret.txt", b"/%c0%ae%c0%ae%c0%afsecret.txt",
    b"/..%c0%afsecret.txt", b"/%e0%80%ae%e0%80%ae/secret.txt", b"/%f0%80%80%ae%f0%80%80%ae/secret.txt",
    b"/..%c1%9csecret.txt", b"/%uff0e%uff0e/secret.txt", b"/%u002e%u002e/secret.txt", b"/..%u2215secret.txt",
    b"/..;/secret.txt", b"/..;a=b/secret.txt", b"/sub/..;/..;/secret.txt", b"/.;./secret.txt", b"/..%00/secret.txt",
    b"/..%0d/secret.txt", b"/%2e%2e%00/secret.txt", b"/text.txt%00", b"/text.txt%00.html", b"/%00", b"/%00/text.txt",
    b"/text%00.txt", b"/text.txt%0a", b"/text.txt%0d%0aX:%20y", b"/%0d%0a", b"/%09", b"/%7f", b"/%1f", b"/%", b"/%2",
    b"/%zz", b"/%2z", b"/%z2", b"/text.txt%", b"/text.txt%2", b"/%%32%65", b"/%-1", b"/% 1", b"/%+1", b"/%0x",
    b"/%u0041", b"/\\..\\..\\secret.txt", b"/..\\secret.txt", b"/.../...//secret.txt", b"/....//secret.txt",
    b"/..../secret.txt", b"/.. /secret.txt".replace(b" ", b"%20"), b"/%2e%2e%20/secret.txt", b"/link/secret.txt",
    b"/link", b"/link/", b"/file-link", b"http://x/../secret.txt", b"http://x/%2e%2e/secret.txt",
    b"/sub/../sub/../../secret.txt", b"/%2f..%2fsecret.txt", b"/%2f%2e%2e%2fsecret.txt", b"/%5c..%5csecret.txt",
    b"/x/../../secret.txt"
], request))
add("9110 15.4.2", 301, KEPT, {"a folder without its slash": request(b"/sub"), "the same encoded": request(b"/%73ub"),
                               "the same behind dots": request(b"/./sub"),
                               "the same behind two slashes": request(b"//sub"),
                               "the same in absolute-form": request(b"http://x/sub")}, fields={"location": "/sub/",
                               "content-length": True})
add("9110 15.4.2", 301, KEPT, {"a folder without its slash, with a query": request(b"/sub?a=b")},
    fields={"location": "/sub/?a=b"})
add("9110 15.4.2", 301, KEPT, {"an odd folder without its slash": request(b"/a%2e%2e")}, fields={"location": "/a../"})
add("9110 15.4.2", 301, KEPT, {"a folder that has to be encoded": request(b"/with%20space")},
    fields={"location": "/with%20space/"})
add("9110 9.3.1", 200, KEPT, by_own("path", [
    b"/", b"/index.html", b"/sub/", b"/sub/index.html", b"/?a=b", b"//", b"/.", b"/./", b"/sub/..", b"/sub/.",
    b"/sub//", b"http://x/sub/", b"/%2e", b"/sub/%2e"
], request), fields={"content-type": re.compile("text/html"), "etag": True,
                                     "last-modified": MODIFIED.decode()})
add("9110 15.5.4", (403, 404), KEPT, {"a folder without an index": request(b"/bare/")})

# --- conditions -----------------------------------------------------------------------------------------------------

def asked(*fields, method=b"GET", target=b"/text.txt"):
    return request(target, *fields, method=method)


# What a cache knows already is not said again where there is an entity tag (section 15.4.5).
NOT_MODIFIED = {"etag": re.compile('^"'), "last-modified": None, "content-length": (None, "2048"), "content-type": None,
                "transfer-encoding": None, "accept-ranges": None}

add("9110 13.1.2", 304, KEPT, by_own("If-None-Match:", [
    b"@ETAG@", b"@WEAK@", b"*", b"@ETAG@, \"x\"", b"\"x\", @ETAG@", b"\"x\",@ETAG@,\"y\"", b", @ETAG@", b"@ETAG@ ,",
    b"W/\"x\", @WEAK@", b"\"a,b\", @ETAG@", b"\"\", @ETAG@", b"\"x\"\t,\t@ETAG@", b"\"x\"\r\nIf-None-Match: @ETAG@",
    b"@ETAG@\r\nIf-None-Match: \"x\""
], lambda v: asked(b"If-None-Match: " + v)), body=b"", fields=NOT_MODIFIED)
add("9110 13.1.2", 200, KEPT, by_own("If-None-Match:", [
    b"", b"\"x\"", b"W/\"x\"", b"\"\"", b"x", b"\"x", b"x\"", b"\"*\"", b"\"x\", \"y\"", b"w/@ETAG@", b"\"@ETAG@\"",
    b"'x'", b"\"a,b\"", b",", b"W/", b"\"x\";q=1"
], lambda v: asked(b"If-None-Match: " + v)), body=TEXT)
add("9110 13.1.2", 304, KEPT, {"HEAD with If-None-Match": asked(b"If-None-Match: @ETAG@", method=b"HEAD")}, body=b"",
    fields=NOT_MODIFIED)
add("9110 13.1.2", 304, KEPT, {"If-None-Match counts, not If-Modified-Since": asked(b"If-None-Match: @ETAG@",
    b"If-Modified-Since: " + PAST)},
    body=b"", fields=NOT_MODIFIED)
add("9110 13.1.3", 200, KEPT, {
    "If-Modified-Since does not count beside If-None-Match": asked(b"If-None-Match: \"x\"",
        b"If-Modified-Since: " + MODIFIED),
    "If-Modified-Since twice": asked(b"If-Modified-Since: " + MODIFIED, b"If-Modified-Since: " + MODIFIED),
}, body=TEXT)
add("9110 13.1.3", 304, KEPT, by_own("If-Modified-Since:", [
    MODIFIED, AFTER, b"Thursday, 02-Jan-20 03:04:05 GMT", b"Thu Jan  2 03:04:05 2020", b"Fri, 03 Jan 2020 00:00:00 GMT"
], lambda v: asked(b"If-Modified-Since: " + v)), body=b"", fields=NOT_MODIFIED)
add("9110 13.1.3", (200, 304), KEPT, {"If-Modified-Since in the future": asked(b"If-Modified-Since: " + FUTURE)})
add("9110 13.1.3", 200, KEPT, by_own("If-Modified-Since:", [
    BEFORE, PAST, b"Sunday, 06-Nov-94 08:49:37 GMT", b"Sun Nov  6 08:49:37 1994", b"Thu, 01 Jan 1970 00:00:00 GMT",
    b"Mon, 01 Jan 1900 00:00:00 GMT"
], lambda v: asked(b"If-Modified-Since: " + v)), body=TEXT)
# What is no date is ignored.
NO_DATES = [b"", b"x", b"0", b"1577934245", b"now", b"Thu, 02 Jan 2020 03:04:05", b"Thu, 02 Jan 2020 03:04:05 UTC",
    b"Thu, 02 Jan 2020 03:04:05 +0000",
            b"Thu, 02 Jan 2020 03:04:05 CET", b"Thu, 2 Jan 2020 03:04:05 GMT", b"02 Jan 2020 03:04:05 GMT",
            b"Thu, 02-Jan-2020 03:04:05 GMT",
            b"Thu, 32 Jan 2030 03:04:05 GMT", b"Thu, 00 Jan 2030 03:04:05 GMT", b"Thu, 30 Feb 2030 03:04:05 GMT",
            b"Thu, 02 Foo 2030 03:04:05 GMT",
            b"Thu, 02 Jan 2030 24:04:05 GMT", b"Thu, 02 Jan 2030 03:60:05 GMT", b"Thu, 02 Jan 2030 03:04:61 GMT",
            b"Thu, 02 Jan 20 03:04:05 GMT",
            b"Thu, 02 Jan 20200 03:04:05 GMT", b"Foo, 02 Jan 2030 03:04:05 GMT", b"Thu 02 Jan 2030 03:04:05 GMT",
            b"Thu, 02 Jan 2030 3:04:05 GMT",
            b"Thu, 02 Jan 2030 03:04:05 GMT x", b"Thu, 02 Jan 2030 03:04:05 GMT, Thu, 02 Jan 2030 03:04:05 GMT",
            b"\"Thu, 02 Jan 2020 03:04:05 GMT\"",
            b"Thu Jan 2 03:04:05 2030", b"Thursday, 02-Jan-30 03:04:05", b"2030-01-02T03:04:05Z",
            b"Thu, 02 Jan 2030 03.04.05 GMT", b"@ETAG@", b"*"]
add("9110 5.6.7", 200, KEPT, by_own("If-Modified-Since:", NO_DATES, lambda v: asked(b"If-Modified-Since: " + v)),
    body=TEXT)
add("9110 5.6.7", 200, KEPT, by_own("If-Unmodified-Since:", [d.replace(b"2030", b"1990") for d in NO_DATES],
       lambda v: asked(b"If-Unmodified-Since: " + v)), body=TEXT)
add("9110 13.1.4", 200, KEPT, by_own("If-Unmodified-Since:", [
    MODIFIED, AFTER, FUTURE, b"Thursday, 02-Jan-20 03:04:05 GMT", b"Thu Jan  2 03:04:05 2020"
], lambda v: asked(b"If-Unmodified-Since: " + v)), body=TEXT)
add("9110 13.1.4", 412, KEPT, by_own("If-Unmodified-Since:", [
    BEFORE, PAST, b"Sunday, 06-Nov-94 08:49:37 GMT", b"Sun Nov  6 08:49:37 1994"
], lambda v: asked(b"If-Unmodified-Since: " + v)))
add("9110 13.1.1", 200, KEPT, by_own("If-Match:", [
    b"@ETAG@", b"*", b"\"x\", @ETAG@", b"@ETAG@, \"x\"", b",@ETAG@,", b"\"x\"\r\nIf-Match: @ETAG@"
], lambda v: asked(b"If-Match: " + v)), body=TEXT)
add("9110 13.1.1", 412, KEPT, by_own("If-Match:", [
    b"\"x\"", b"W/\"x\"", b"@WEAK@", b"\"x\", @WEAK@", b"x", b"\"", b"\"\"", b"\"*\"", b""
], lambda v: asked(b"If-Match: " + v)))
add("9110 13.1.1", 412, KEPT, {"HEAD with If-Match": asked(b"If-Match: \"x\"", method=b"HEAD"),
                               "HEAD with If-Unmodified-Since": asked(b"If-Unmodified-Since: " + PAST,
                                   method=b"HEAD")}, body=b"")
add("9110 13.2.2", 200, KEPT, {
    "If-Match counts, not If-Unmodified-Since": asked(b"If-Match: @ETAG@", b"If-Unmodified-Since: " + PAST),
    "If-Match and If-None-Match both hold": asked(b"If-Match: @ETAG@", b"If-None-Match: \"x\""),
}, body=TEXT)
add("9110 13.2.2", 412, KEPT, {
    "If-Match comes before If-None-Match": asked(b"If-Match: \"x\"", b"If-None-Match: @ETAG@"),
    "If-Match comes before If-Modified-Since": asked(b"If-Match: \"x\"", b"If-Modified-Since: " + MODIFIED),
    "If-Unmodified-Since comes before If-None-Match": asked(b"If-Unmodified-Since: " + PAST, b"If-None-Match: @ETAG@"),
    "If-Unmodified-Since comes before If-Modified-Since": asked(b"If-Unmodified-Since: " + PAST,
        b"If-Modified-Since: " + MODIFIED),
    "If-Match comes before Range": asked(b"If-Match: \"x\"", b"Range: bytes=0-4"),
    "If-Match comes before a Range that cannot be": asked(b"If-Match: \"x\"", b"Range: bytes=9999-"),
    "If-Unmodified-Since comes before Range": asked(b"If-Unmodified-Since: " + PAST, b"Range: bytes=0-4"),
})
add("9110 13.2.2", 304, KEPT, {
    "If-Match holds, then If-None-Match": asked(b"If-Match: @ETAG@", b"If-None-Match: @ETAG@"),
    "If-Match holds, then If-Modified-Since": asked(b"If-Match: *", b"If-Modified-Since: " + MODIFIED),
    "If-Unmodified-Since holds, then If-None-Match": asked(b"If-Unmodified-Since: " + MODIFIED,
        b"If-None-Match: @ETAG@"),
    "If-Unmodified-Since holds, then If-Modified-Since": asked(b"If-Unmodified-Since: " + AFTER,
        b"If-Modified-Since: " + AFTER),
    "If-None-Match comes before Range": asked(b"If-None-Match: @ETAG@", b"Range: bytes=0-4"),
    "If-None-Match comes before a Range that cannot be": asked(b"If-None-Match: @ETAG@", b"Range: bytes=9999-"),
    "If-None-Match comes before If-Range": asked(b"If-None-Match: @ETAG@", b"If-Range: \"x\"", b"Range: bytes=0-4"),
    "If-Modified-Since comes before Range": asked(b"If-Modified-Since: " + MODIFIED, b"Range: bytes=0-4"),
}, body=b"", fields=NOT_MODIFIED)
# Conditions count only where the answer would otherwise be a 2xx (section 13.2.1).
add("9110 13.2.1", 404, KEPT, {
    "If-Match of nothing": asked(b"If-Match: *", target=b"/none"),
    "If-None-Match of nothing": asked(b"If-None-Match: *", target=b"/none"),
    "If-Unmodified-Since of nothing": asked(b"If-Unmodified-Since: " + PAST, target=b"/none"),
    "Range of nothing": asked(b"Range: bytes=0-4", target=b"/none"),
})
add("9110 13.2.1", 301, KEPT, {"If-Match of a folder": asked(b"If-Match: \"x\"", target=b"/sub"),
                               "If-Modified-Since of a folder": asked(b"If-Modified-Since: " + FUTURE, target=b"/sub")})
add("9110 13.2.1", 302, KEPT, {"If-Match of what has moved": asked(b"If-Match: \"x\"", target=b"/moved")})
add("9110 13.2.1", 410, KEPT, {"If-None-Match of what is gone": asked(b"If-None-Match: *", target=b"/gone")})
add("9110 13.2.1", 405, KEPT, {"If-Match of what is not allowed": asked(b"If-Match: \"x\"", method=b"DELETE"),
                               "If-None-Match of what is not allowed": asked(b"If-None-Match: *", method=b"PUT")},
                               fields={"allow": FILE_ALLOW})
add("9110 13.2.1", 501, KEPT, {"If-Match of an unknown method": asked(b"If-Match: \"x\"", method=b"FOO")})
add("9110 13.2.1", 204, KEPT, {"If-None-Match of OPTIONS": asked(b"If-None-Match: @ETAG@", method=b"OPTIONS"),
                               "If-Match of OPTIONS": asked(b"If-Match: @ETAG@", method=b"OPTIONS")},
                               fields={"allow": FILE_ALLOW})
add("9110 13.1", 304, KEPT, {"a fixed reply is there": asked(b"If-None-Match: *", target=b"/hello")}, body=b"")
add("9110 13.1", 412, KEPT, {"a fixed reply has no tag": asked(b"If-Match: \"x\"", target=b"/hello"),
                             "a POST may not be when it is there": asked(b"If-None-Match: *", target=b"/hello",
                                 method=b"POST")})
add("9110 13.1", 200, KEPT, {"a fixed reply exists": asked(b"If-Match: *", target=b"/hello"),
                             "a fixed reply has no date": asked(b"If-Modified-Since: " + MODIFIED, target=b"/hello"),
                             "a fixed reply has no date, either way": asked(b"If-Unmodified-Since: " + PAST,
                                 target=b"/hello"),
                             "a fixed reply has no parts": asked(b"Range: bytes=0-4", target=b"/hello"),
                             "If-Modified-Since of a POST": asked(b"If-Modified-Since: " + MODIFIED, target=b"/hello",
                                 method=b"POST")}, body=HELLO)

# --- ranges ---------------------------------------------------------------------------------------------------------

def part(value, first, end):
    size = len(TEXT)
    add("9110 14.1.2", 206, KEPT, {f"Range: {value}": asked(b"Range: " + value.encode())}, body=TEXT[first:end],
        fields={
        "content-range": f"bytes {first}-{end - 1}/{size}", "content-length": str(end - first),
        "accept-ranges": "bytes",
        "content-type": re.compile("text/plain"), "etag": re.compile('^"'), "last-modified": MODIFIED.decode()})


for row in (("bytes=0-0", 0, 1), ("bytes=0-1", 0, 2), ("bytes=0-499", 0, 500), ("bytes=500-999", 500, 1000),
    ("bytes=2047-", 2047, 2048),
            ("bytes=2047-2047", 2047, 2048), ("bytes=500-", 500, 2048), ("bytes=0-", 0, 2048),
            ("bytes=-1", 2047, 2048), ("bytes=-500", 1548, 2048),
            ("bytes=-2048", 0, 2048), ("bytes=-2049", 0, 2048), ("bytes=-99999", 0, 2048), ("bytes=0-2047", 0, 2048),
            ("bytes=0-2048", 0, 2048),
            ("bytes=0-99999", 0, 2048), ("bytes=2000-99999999999999999999999", 2000, 2048),
            ("bytes=-99999999999999999999999", 0, 2048),
            ("bytes=100-18446744073709551615", 100, 2048), ("bytes=100-18446744073709551616", 100, 2048),
            ("bytes=00-09", 0, 10),
            ("Bytes=1-2", 1, 3), ("BYTES=1-2", 1, 3), ("bytes=1-2,", 1, 3), ("bytes=,1-2", 1, 3)):
    part(*row)
add("9110 15.5.17", 416, KEPT, by_own("Range:", [
    b"bytes=2048-", b"bytes=2048-2049", b"bytes=9999-", b"bytes=9999-99999", b"bytes=18446744073709551615-",
    b"bytes=18446744073709551616-", b"bytes=-0", b"bytes=-00"
], lambda v: asked(b"Range: " + v)), fields={"content-range": "bytes */2048"})
add("9110 15.5.17", 416, KEPT, {"a range of an empty file": asked(b"Range: bytes=0-", target=b"/empty.txt")},
    fields={"content-range": "bytes */0"})
add("9110 14.2", 200, KEPT, by_own("Range:", [
    b"", b"bytes", b"bytes=", b"bytes=-", b"bytes=x", b"bytes=a-b", b"bytes=0-x", b"bytes=x-0", b"bytes=5-2",
    b"bytes=--1", b"bytes=-1-2", b"bytes=1-2x", b"bytes=+1-2", b"bytes=1-+2", b"bytes=0x1-2", b"bytes=1.0-2",
    b"bytes=1", b"bytes 0-4", b"bytes:0-4", b"bytes==0-4", b"bytes =0-4", b"0-4", b"=0-4", b"items=0-4", b"none=0-4",
    b"xbytes=0-4", b"bytesx=0-4", b"bytes=0-4;5", b"bytes=1- 2", b"bytes=1 -2", b"bytes=\"0-4\"", b"bytes=0-4/2048",
    b"bytes=*", b"seconds=1-2"
], lambda v: asked(b"Range: " + v)), body=TEXT, fields={"content-range": None})
add("9110 14.2", 200, KEPT, {
    "two Range lines": asked(b"Range: bytes=0-4", b"Range: bytes=5-9"),
    "two equal Range lines": asked(b"Range: bytes=0-4", b"Range: bytes=0-4"),
}, body=TEXT, fields={"content-range": None})
add("9110 14.2", 200, KEPT, {"Range of a HEAD": asked(b"Range: bytes=0-4", method=b"HEAD"),
                             "a Range that cannot be of a HEAD": asked(b"Range: bytes=9999-", method=b"HEAD")},
    body=b"", fields={"content-length": "2048", "content-range": None})
add("9110 14.2", 405, KEPT, {"Range of a POST": post(b"", b"Range: bytes=0-4", target=b"/text.txt")})
add("9110 14.6", 206, KEPT, by_own("Range:", [
    b"bytes=0-1,5-6", b"bytes=0-1, 5-6", b"bytes=5-6,0-1", b"bytes=0-1,9999-,5-6", b"bytes=0-1,,5-6", b"bytes=0-1,-1",
], lambda v: asked(b"Range: " + v)), fields={"content-type": re.compile("multipart/byteranges; boundary="),
                                             "content-range": None, "etag": True, "last-modified": MODIFIED.decode()})
add("9110 14.6", 206, KEPT, by_own("Range:", [
    b"bytes=0-4,9999-", b"bytes=9999-,0-4", b"bytes=0-2,1-4", b"bytes=0-2,3-4", b"bytes=0-4,0-4", b"bytes=2-4,0-1",
], lambda v: asked(b"Range: " + v)), body=TEXT[:5], fields={"content-range": "bytes 0-4/2048"})
add("9110 14.2", 200, KEPT, {
    "a thousand ranges": asked(b"Range: bytes=" + b",".join(b"%d-%d" % (2 * i, 2 * i) for i in range(1000))),
    "a thousand overlapping ranges": asked(b"Range: bytes=0-" + b",0-" * 999),
}, body=TEXT)
add("9110 13.1.5", 206, KEPT, {"If-Range is the tag": asked(b"Range: bytes=0-4", b"If-Range: @ETAG@"),
                               "If-Range is the date": asked(b"Range: bytes=0-4", b"If-Range: " + MODIFIED),
                               "If-Range before Range": asked(b"If-Range: @ETAG@", b"Range: bytes=0-4")},
    body=TEXT[:5], fields={"content-range": "bytes 0-4/2048"})
add("9110 13.1.5", 200, KEPT, by_own("If-Range:", [
    b"\"x\"", b"@WEAK@", b"W/\"x\"", b"", b"x", b"*", b"@ETAG@, \"x\"", BEFORE, AFTER, PAST, FUTURE,
    b"Thu, 02 Jan 2020 03:04:05", b"\"x"
], lambda v: asked(b"Range: bytes=0-4", b"If-Range: " + v)), body=TEXT, fields={"content-range": None})
add("9110 13.1.5", 200, KEPT, {"If-Range without Range": asked(b"If-Range: @ETAG@"),
    "If-Range that fails without Range": asked(b"If-Range: \"x\""),
                               "a Range that cannot be, and If-Range fails": asked(b"Range: bytes=9999-",
                                   b"If-Range: \"x\"")}, body=TEXT)
add("9110 13.1.5", 416, KEPT, {"a Range that cannot be, and If-Range holds": asked(b"Range: bytes=9999-",
    b"If-Range: @ETAG@")},
    fields={"content-range": "bytes */2048"})
add("9110 13.2.2", 206, KEPT, {"all conditions hold": asked(b"If-Match: @ETAG@", b"If-None-Match: \"x\"",
    b"If-Range: @ETAG@", b"Range: bytes=0-4"),
                               "If-Unmodified-Since holds, then Range": asked(b"If-Unmodified-Since: " + MODIFIED,
                                   b"Range: bytes=0-4"),
                               "If-Modified-Since fails, then Range": asked(b"If-Modified-Since: " + PAST,
                                   b"Range: bytes=0-4")},
    body=TEXT[:5], fields={"content-range": "bytes 0-4/2048"})
