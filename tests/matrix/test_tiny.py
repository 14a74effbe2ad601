# SPDX-License-Identifier: BSD-2-Clause
"""The small classic services: greet, echo, discard, chargen, daytime, time."""

import os
import re
import socket
import struct
import tempfile
import threading
import time

import pytest

from client import read_exactly, read_to_end
from harness import wait_until
from sites import tiny_service

pytestmark = pytest.mark.usefixtures("model")

NAMES = ("greet", "echo", "discard", "chargen", "daytime", "time")
RFC868_EPOCH = 2_208_988_800


@pytest.fixture
def tiny(daemon, calm):
    greeting = 'greeting = "hello\\n";'
    return daemon(",\n".join(tiny_service(n, more=greeting if n == "greet" else "") for n in NAMES), settings=calm)


def test_greet_speaks_first_and_logs_messages_and_leaving(tiny):
    s = tiny.connect("greet")
    assert read_exactly(s, 6) == b"hello\n"
    peer = re.escape("%s:%d" % s.getsockname())
    s.sendall(b"first message\nsecond ")
    tiny.wait_log(peer + ".*first message")
    s.sendall(b"message\n")
    tiny.wait_log(peer + ".*second message")
    s.sendall(b"bad \x1b[2J\x00\x07 bytes\n")
    line = tiny.wait_log("^.*" + peer + ".*bad .*bytes.*$").group(0)
    assert "\x1b" not in line and "\x00" not in line and "\x07" not in line, "control bytes reach the log"
    s.sendall(b"no newline at the end")
    s.shutdown(socket.SHUT_WR)
    tiny.wait_log(peer + ".*no newline at the end")
    assert read_to_end(s) == b""
    tiny.wait_log(peer + " left$")


def test_greet_logs_the_leaving_of_each_peer_once(tiny):
    peers = []
    for i in range(20):
        s = tiny.connect("greet")
        assert read_exactly(s, 6) == b"hello\n"
        peers.append("%s:%d" % s.getsockname())
        if i % 2:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        s.close()
    for peer in peers:
        tiny.wait_log(re.escape(peer) + " left$")
    assert all(tiny.log().count(peer + " left") == 1 for peer in peers)


def test_greet_takes_lines_of_any_length(tiny):
    s = tiny.connect("greet")
    assert read_exactly(s, 6) == b"hello\n"
    s.sendall(b"a" * 100_000 + b"\n" + b"the end\n")
    tiny.wait_log("the end")


def test_echo_returns_every_byte_in_order(tiny):
    data = bytes(i * 7 % 251 for i in range(1_000_003))
    s = tiny.connect("echo")
    sender = threading.Thread(target=s.sendall, args=(data,))
    sender.start()
    assert read_exactly(s, len(data)) == data
    sender.join()
    s.sendall(b"again")
    assert read_exactly(s, 5) == b"again"


def test_discard_takes_everything_and_says_nothing(tiny):
    s = tiny.connect("discard")
    s.sendall(b"x" * 10_000_000)
    s.shutdown(socket.SHUT_WR)
    assert read_to_end(s) == b""


def chargen_lines(count):
    ring = bytes(range(32, 127))
    return b"".join((ring * 2)[i % 95:i % 95 + 72] + b"\r\n" for i in range(count))


def test_chargen_sends_the_known_pattern_and_stops_when_the_peer_leaves(tiny):
    before = tiny.fds()
    wanted = chargen_lines(15_000)[:1_100_000]
    s = tiny.connect("chargen")
    s.sendall(b"what is sent is thrown away\n")
    got = read_exactly(s, len(wanted))
    first = got.index(b"\r\n") + 2      # RFC 864: a popular pattern; it may begin anywhere in the ring
    assert got[:first + 74 * 3] in chargen_lines(300), got[:300]
    start = chargen_lines(300).index(got[:first + 74 * 3])
    assert got == chargen_lines(15_400)[start:start + len(got)]
    s.close()
    wait_until(lambda: tiny.fds() <= before, what="chargen stopping")
    wait_until(tiny.quiet, what="chargen being quiet")


def test_chargen_stops_after_a_half_close(tiny):
    s = tiny.connect("chargen")
    read_exactly(s, 100_000)
    s.shutdown(socket.SHUT_WR)
    total = len(read_to_end(s, limit=200_000_000))
    assert total < 200_000_000


def test_daytime_says_when_it_is_and_closes(tiny):
    s = tiny.connect("daytime")
    said = read_to_end(s)
    text = said.decode("ascii").rstrip("\r\n")
    assert said.endswith(b"\n") and text and "\n" not in text
    assert time.strftime("%Y", time.gmtime()) in text
    assert re.search(r"\d\d:\d\d:\d\d", text)


def test_time_says_the_seconds_since_1900_and_closes(tiny):
    before = time.time()
    s = tiny.connect("time")
    said = read_to_end(s)
    assert len(said) == 4
    (value,) = struct.unpack("!I", said)
    assert before - 5 <= value - RFC868_EPOCH <= time.time() + 5


def test_daytime_and_time_do_not_wait_for_input_and_survive_it(tiny):
    for name in ("daytime", "time"):
        for data in (b"x", b"x" * 100_000):
            s = tiny.connect(name)
            try:
                s.sendall(data)
            except (BrokenPipeError, ConnectionResetError):
                raise AssertionError(f"{name} reset a peer that had sent something") from None
            s.shutdown(socket.SHUT_WR)
            assert len(read_to_end(s)) >= 4, name


def test_hundreds_of_peers_are_served_side_by_side(tiny):
    sockets = [tiny.connect(n) for _ in range(60) for n in ("greet", "echo", "discard", "time")]
    for i, s in enumerate(sockets):
        if i % 4 != 3:
            s.sendall(b"%d\n" % i)
    for i, s in enumerate(sockets):
        if i % 4 == 0:
            assert read_exactly(s, 6) == b"hello\n"
        elif i % 4 == 1:
            assert read_exactly(s, len(b"%d\n" % i)) == b"%d\n" % i
        elif i % 4 == 3:
            assert len(read_to_end(s)) == 4


def test_services_listen_on_unix_sockets_too(daemon):
    with tempfile.TemporaryDirectory(prefix="iomuxd-") as folder:      # the path of a socket is short
        os.chmod(folder, 0o755)
        d = daemon(tiny_service("echo", listen=f"unix:{folder}/e") + "," +
                   tiny_service("time", listen=f"unix:{folder}/t"))
        assert d.addresses("echo") == [f"unix:{folder}/e"]
        data = bytes(i % 253 for i in range(1_000_000))
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(30)
            s.connect(f"{folder}/e")
            sender = threading.Thread(target=s.sendall, args=(data,))
            sender.start()
            assert read_exactly(s, len(data)) == data
            sender.join()
            s.shutdown(socket.SHUT_WR)
            assert read_to_end(s) == b""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(30)
            s.connect(f"{folder}/t")
            assert len(read_to_end(s)) == 4
        assert d.stop() == 0
        assert not os.path.exists(f"{folder}/e"), "the socket is left behind"
