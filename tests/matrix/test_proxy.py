# SPDX-License-Identifier: BSD-2-Clause
"""The PROXY protocol: the client that a proxy names is the peer everywhere, nobody speaks before the header, and who may
not say such things, or says them wrongly, is closed."""

import re
import select
import socket
import struct
import subprocess
import time

import pytest

from client import Http, parse_all, read_to_end, request
from harness import wait_until
from sites import HELLO, RESPOND_HELLO, tiny_service

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
ROUTES = f"routes = ( {RESPOND_HELLO} );"

each_model = pytest.mark.usefixtures("model")


def line(client="192.0.2.33", port=4711, family="TCP4", server="198.51.100.1"):
    return f"PROXY {family} {client} {server} {port} 443\r\n".encode()


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def block(client="192.0.2.44", port=4711, command=0x21, family=None, extensions=b"", checksum=False):
    six = ":" in client
    kind = socket.AF_INET6 if six else socket.AF_INET
    ends = socket.inet_pton(kind, client) + socket.inet_pton(kind, "::1" if six else "127.0.0.1")
    body = ends + struct.pack(">HH", port, 443) + extensions
    if checksum:
        body += b"\3\0\4\0\0\0\0"
    whole = SIGNATURE + bytes([command, family or (0x21 if six else 0x11)]) + struct.pack(">H", len(body)) + body
    return whole[:-4] + struct.pack(">I", crc32c(whole)) if checksum else whole


LOCAL = SIGNATURE + b"\x20\0\0\0"


def web(trusted='[ "127.0.0.1" ]', more="", listen='"127.0.0.1:0"', name="web"):
    return (f'{{ name = "{name}"; protocol = "http"; listen = {listen}; proxy_protocol = true; '
            f'trusted = {trusted}; {ROUTES} {more} }}')


def tiny(protocol, more=""):
    return tiny_service(protocol, more=f'proxy_protocol = true; trusted = "127.0.0.0/8"; {more}')


def is_cut(sock):
    """The server closes without a word."""
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True


def access_lines(d, path, n):
    wait_until(lambda: path.exists() and path.read_text().count("\n") >= n, what=f"{n} access lines")
    return path.read_text().splitlines()


@each_model
def test_the_client_behind_the_proxy_stands_in_the_access_log(daemon, tmp_path):
    log = tmp_path / "access.log"
    log.touch()
    log.chmod(0o666)
    d = daemon(web('[ "127.0.0.1", "10.0.0.0/8" ]'),
               settings=f'access_log : {{ target = "file:{log}"; format = "combined"; }};')
    headers = [line(), line("2001:db8::7", family="TCP6", server="::1"), block(), block("2001:db8::8"),
               block(extensions=b"\1\0\2h2\xe0\0\3xyz"), block(checksum=True),
               line("::ffff:192.0.2.99", family="TCP6", server="::1"),
               b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN what ever\r\n", LOCAL]
    expected = ["192.0.2.33", "2001:db8::7", "192.0.2.44", "2001:db8::8", "192.0.2.44", "192.0.2.44", "192.0.2.99",
                "127.0.0.1", "127.0.0.1", "127.0.0.1"]
    for i, header in enumerate(headers):
        c = Http(d.connect())
        c.send(header + request("/hello"))              # in one piece
        assert c.read().body == HELLO
        assert c.get("/hello").body == HELLO, "it is a connection as any other from there on"
        lines = access_lines(d, log, 2 * (i + 1))
        assert [x.split()[0] for x in lines[-2:]] == [expected[i]] * 2, header


@each_model
def test_a_header_may_come_in_any_pieces(daemon):
    d = daemon(web())
    for header in (line(), block(extensions=b"\4\0\0")):
        data = header + request("/hello")
        for cut in range(1, len(header) + 2):
            c = Http(d.connect())
            c.send(data[:cut])
            c.send(data[cut:])
            assert c.read().body == HELLO, f"cut at {cut}"
            c.close()
        c = Http(d.connect())
        for i in range(len(data)):
            c.send(data[i:i + 1])
        assert c.read().body == HELLO


@each_model
def test_nobody_speaks_before_the_header(daemon):
    d = daemon(",".join([tiny("greet", 'greeting = "hi\\n";'), tiny("echo"), tiny("daytime"), tiny("chargen")]))
    for name, expected in (("greet", rb"hi\n"), ("echo", b"abc"), ("daytime", rb".+\n"), ("chargen", rb".{72}\r\n")):
        s = d.connect(name)
        s.sendall(line()[:-1])
        assert not select.select([s], [], [], 0.2)[0], f"{name} speaks before the header is complete"
        s.sendall(b"\nabc")
        got = b""
        while not re.match(expected, got):
            piece = s.recv(4096)
            assert piece, got
            got += piece
        s.close()
    d.wait_log("192.0.2.33:4711 says \"abc\"")
    d.wait_log("192.0.2.33:4711 left")


@each_model
def test_who_is_not_trusted_is_closed_at_once(daemon):
    d = daemon(web('[ "127.0.0.2", "10.0.0.0/8" ]', more=""), settings='log : { level = "debug"; };')
    s = d.connect()
    assert is_cut(s)
    s = d.connect()
    try:
        s.sendall(line() + request("/hello"))
    except OSError:
        pass
    assert is_cut(s)
    d.wait_log("is no trusted proxy")
    c = Http(d.connect(source="127.0.0.2"))
    c.send(line() + request("/hello"))
    assert c.read().body == HELLO


@each_model
def test_a_wrong_header_ends_the_connection(daemon):
    d = daemon(web(), settings='log : { level = "debug"; };')
    before = d.fds()
    wrong = block(checksum=True)
    for data in (request("/hello"), b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n", b"PROXY TCP4 192.0.2.1 x 1 2\r\n",
                 b"PROXY UNKNOWN " + b"x" * 100, block(command=0x22), block(family=0x21), SIGNATURE + b"\x11",
                 wrong[:-1] + bytes([wrong[-1] ^ 1]), b"\r\n\r\nGET / HTTP/1.1\r\n", b"\x16\x03\x01"):
        s = d.connect()
        s.sendall(data)
        assert is_cut(s), data
        s.close()
    d.wait_log("sent no PROXY header")
    wait_until(lambda: d.fds() <= before, what="all descriptors being closed")
    c = Http(d.connect())
    c.send(line() + request("/hello"))
    assert c.read().body == HELLO


@each_model
def test_a_header_that_does_not_come_is_waited_for_no_longer_than_for_any_head(daemon):
    d = daemon(web() + "," + tiny("greet"), timeouts={"header": 0.5, "idle": 60})
    for service in ("web", "greet"):
        begin = time.monotonic()
        silent, slow = d.connect(service), d.connect(service)
        data = iter(line() * 10)
        while not select.select([slow], [], [], 0.05)[0]:
            assert time.monotonic() - begin < 20, "bytes prolong it"
            try:
                slow.send(bytes([next(data)]))
            except OSError:
                break
        assert is_cut(slow) and is_cut(silent)
        assert time.monotonic() - begin >= 0.4


@each_model
def test_a_client_that_leaves_before_its_header_is_forgotten(daemon):
    d = daemon(web())
    before = d.fds()
    for data in (b"", b"P", line()[:-2], block()[:20], line()):
        s = d.connect()
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        assert read_to_end(s) == b""
        s.close()
    wait_until(lambda: d.fds() <= before, what="all descriptors being closed")


@each_model
def test_limits_are_those_of_the_client_behind_the_proxy(daemon):
    d = daemon(web(), limits={"connections_per_address": 2, "requests_per_second": 3})

    def client(address):
        c = Http(d.connect())
        c.send(line(address))
        return c
    many = [client(f"192.0.2.{i}") for i in range(1, 30)]
    for c in many:
        assert c.get("/hello").status == 200, "the proxy's own address must not count"
    twin = client("192.0.2.1")
    assert twin.get("/hello").status == 200
    third = client("192.0.2.1")
    third.send(request("/hello"))
    (r,) = parse_all(read_to_end(third.sock))
    assert r.status == 503 and r.get("retry-after") == "1"
    many[0].close()

    def free():
        c = client("192.0.2.1")
        c.send(request("/hello"))
        return c.read().status in (200, 429)
    wait_until(free, what="the free place of the client being used", pause=0.05)
    many[4].send(request("/hello") * 10)
    assert 429 in [many[4].read().status for _ in range(10)]
    assert many[5].get("/hello").status == 200


@each_model
def test_who_is_let_in_is_the_client_behind_the_proxy(daemon):
    """allow and deny never hear of the proxy: it is in no network that is let in, and stands in one that is not."""
    rules = 'allow = [ "192.0.2.0/24", "2001:db8::/32" ]; deny = [ "127.0.0.1", "192.0.2.66" ];'
    d = daemon(web(more=rules))
    for client, status in (("192.0.2.9", 200), ("198.51.100.9", 403), ("192.0.2.66", 403), ("127.0.0.1", 403)):
        for header in (line(client), block(client)):
            c = Http(d.connect())
            c.send(header + request("/hello"))
            assert c.read().status == status, header
            assert c.get("/hello").status == status, "so it is for all of the connection"
            c.close()
    for header, status in ((line("2001:db8::9", family="TCP6", server="::1"), 200), (block("2001:db9::9"), 403),
                           (b"PROXY UNKNOWN\r\n", 403), (LOCAL, 403)):
        c = Http(d.connect())
        c.send(header + request("/hello"))
        assert c.read().status == status, header
        c.close()


@each_model
def test_listeners_of_one_service_may_differ(daemon, tmp_path):
    path = tmp_path / "proxied.sock"
    listen = ('( "127.0.0.1:0", { address = "127.0.0.1:0"; proxy_protocol = true; trusted = "127.0.0.1"; }, '
              f'{{ address = "unix:{path}"; proxy_protocol = true; }} )')
    d = daemon(f'{{ name = "web"; protocol = "http"; listen = {listen}; {ROUTES} }}')
    plain, proxied = (int(a.rsplit(":", 1)[1]) for a in d.addresses("web")[:2])
    for address, header in ((("127.0.0.1", plain), b""), (("127.0.0.1", proxied), block()), (str(path), line())):
        s = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
        s.settimeout(30)
        s.connect(address)
        c = Http(s)
        c.send(header + request("/hello"))
        assert c.read().body == HELLO, address
        c.close()
    s = socket.create_connection(("127.0.0.1", proxied), timeout=30)
    s.sendall(request("/hello"))
    assert is_cut(s), "without a header this listener takes nothing"
    s.close()


@each_model
def test_a_proxied_connection_that_waits_when_the_worker_goes_does_not_keep_it(daemon):
    d = daemon(web(), timeouts={"header": 60, "drain": 30})
    waiting, asked = d.connect(), Http(d.connect())
    waiting.sendall(line()[:10])
    asked.send(line() + request("/hello"))
    assert asked.read().body == HELLO
    begin = time.monotonic()
    assert d.stop() == 0
    assert time.monotonic() - begin < 20
    assert is_cut(waiting)


def test_what_cannot_be_is_refused_with_the_reason(iomuxd_bin, tmp_path, plain):
    conf = tmp_path / "t.conf"
    for service, reason in (
            ('listen = "127.0.0.1:0"; proxy_protocol = true;', "addresses of the proxies must be there"),
            ('listen = [ "127.0.0.1:0", "udp:127.0.0.1:0" ]; proxy_protocol = true; trusted = "::1";', "is for streams"),
            ('listen = "127.0.0.1:0"; trusted = "10.0.0.0/8";', "means nothing without proxy_protocol"),
            ('listen = "127.0.0.1:0"; proxy_protocol = true; trusted = "10.0.0.1/8";', "the network is \"10.0.0.0/8\"")):
        conf.write_text(f'{plain} services = ( {{ name = "e"; protocol = "echo"; {service} }} );\n')
        out = subprocess.run([str(iomuxd_bin), "-t", "-c", str(conf)], capture_output=True, text=True, timeout=60)
        assert out.returncode == 1 and reason in out.stderr and f"{conf}:1: services.[0]." in out.stderr, out
