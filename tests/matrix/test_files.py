# SPDX-License-Identifier: BSD-2-Clause
"""The bytes of files: sizes around every border, files that change, and files that break under a download."""

import os
import socket
import subprocess
import threading
import time

import h11
import pytest

from client import Http, request
from harness import wait_until
from sites import HELLO, RESPOND_HELLO, http_service, root_route

pytestmark = pytest.mark.usefixtures("model")

SIZES = [0, 1, 2, 1023, 1024, 2047, 2048, 2049, 4095, 4096, 4097, 8191, 8192, 8193, 16383, 16384, 16385,
         32768, 65535, 65536, 65537, 262143, 262144, 262145, 300_000, 1_048_576, 1_048_577, 5_000_000]


@pytest.fixture
def site(daemon, www):
    folder = www({f"{n}.bin": n for n in SIZES})
    d = daemon(http_service(root_route(folder), RESPOND_HELLO))
    d.www = folder
    return d


def test_files_of_every_size_come_byte_for_byte(site):
    web = Http(site.connect())
    for _ in range(2):          # the second time they come from whatever was remembered
        for n in SIZES:
            r = web.get(f"/{n}.bin")
            assert (r.status, r.get("content-length")) == (200, str(n))
            assert r.body == (site.www / f"{n}.bin").read_bytes(), f"{n} bytes differ"


def test_files_of_every_size_come_byte_for_byte_in_a_pipeline(site):
    web = Http(site.connect())
    order = SIZES + SIZES[::-1]
    sender = threading.Thread(target=web.send, args=(b"".join(request(f"/{n}.bin") for n in order),))
    sender.start()
    for n in order:
        assert web.read().body == (site.www / f"{n}.bin").read_bytes(), f"{n} bytes differ"
    sender.join()


def test_many_connections_fetch_files_of_all_sizes_at_once(site):
    wrong = []

    def fetch(shift):
        web = Http(site.connect())
        for n in SIZES[shift:] + SIZES[:shift]:
            if web.get(f"/{n}.bin").body != contents[n]:
                wrong.append(n)
        web.close()

    contents = {n: (site.www / f"{n}.bin").read_bytes() for n in SIZES}
    threads = [threading.Thread(target=fetch, args=(i,)) for i in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def rewrite(path, content):
    """Changes a file in place, surely to another modification time (the clock of files may tick slowly)."""
    before = path.stat().st_mtime_ns

    def changed():
        with open(path, "r+b") as f:
            f.write(content)
            f.truncate()
        return path.stat().st_mtime_ns != before

    wait_until(changed, 5, "a new modification time", pause=0.001)


def replace(path, content):
    fresh = path.with_name(path.name + ".new")
    fresh.write_bytes(content)
    os.rename(fresh, path)


CHANGES = {
    "rewritten with the same length": lambda p, old: rewrite(p, b"x" * len(old)),
    "grown": lambda p, old: rewrite(p, old + b"grown"),
    "grown a lot": lambda p, old: rewrite(p, old * 20),
    "shrunk": lambda p, old: rewrite(p, old[:len(old) // 2]),
    "emptied": lambda p, old: rewrite(p, b""),
    "replaced by rename": lambda p, old: replace(p, b"new " + old),
    "replaced by rename, same length": lambda p, old: replace(p, b"y" * len(old)),
}


@pytest.mark.parametrize("size", [100, 10_000, 100_000])
def test_a_changed_file_is_served_fresh_at_the_next_request(daemon, www, size):
    folder = www({"f.html": b"a" * size})
    path = folder / "f.html"
    web = Http(daemon(http_service(root_route(folder))).connect())
    for name, change in CHANGES.items():
        rewrite(path, b"a" * size)
        for _ in range(3):
            first = web.get("/f.html")
            assert first.body == b"a" * size, f"before it was {name}"
        change(path, first.body)
        r = web.get("/f.html", headers=[("If-None-Match", first.get("etag"))])
        assert (r.status, r.body) == (200, path.read_bytes()), f"after it was {name}"
        assert r.get("etag") != first.get("etag"), f"after it was {name}"
    path.unlink()
    assert web.get("/f.html").status == 404
    path.write_bytes(b"back\n")
    assert web.get("/f.html").body == b"back\n"
    path.unlink()
    path.mkdir()
    assert web.get("/f.html").status in (301, 308)


def keep_time(path, change):
    """Changes a file and puts its modification time back."""
    st = path.stat()
    change()
    os.utime(path, ns=(st.st_atime_ns, st.st_mtime_ns))


SETTLED_CHANGES = CHANGES | {
    "rewritten with the same length and time": lambda p, old: keep_time(p, lambda: rewrite(p, b"z" * len(old))),
    "replaced, same length and time": lambda p, old: keep_time(p, lambda: replace(p, b"z" * len(old))),
    "removed": lambda p, old: p.unlink(),
}


def test_a_file_that_was_at_rest_for_long_is_served_fresh_when_it_changes(daemon, www):
    folder = www({f"{i}-{size}.bin": size for i in range(len(SETTLED_CHANGES)) for size in (500, 50_000)})
    web = Http(daemon(http_service(root_route(folder))).connect())
    youngest = max(p.stat().st_ctime for p in folder.iterdir())
    wait_until(lambda: time.time() > youngest + 3, 10, "the files being at rest")
    for i, (name, change) in enumerate(SETTLED_CHANGES.items()):
        for size in (500, 50_000):
            path = folder / f"{i}-{size}.bin"
            old = path.read_bytes()
            for _ in range(3):
                assert web.get(f"/{path.name}").body == old, f"before it was {name}"
            change(path, old)
            r = web.get(f"/{path.name}")
            if path.exists():
                assert (r.status, r.body) == (200, path.read_bytes()), f"after it was {name}"
            else:
                assert r.status == 404, f"after it was {name}"


def test_an_index_that_appears_or_goes_is_noticed_at_once(daemon, www):
    folder = www({"sub/x.html": b"x\n"})
    web = Http(daemon(http_service(root_route(folder))).connect())
    for _ in range(3):
        assert web.get("/sub/").status in (403, 404)
        (folder / "sub" / "index.html").write_bytes(b"here\n")
        assert web.get("/sub/").body == b"here\n"
        (folder / "sub" / "index.html").unlink()


def test_a_download_goes_on_with_the_old_file_when_it_is_replaced_or_removed(daemon, www):
    folder = www({"big.bin": 8_000_000})
    d = daemon(http_service(root_route(folder)))
    old = (folder / "big.bin").read_bytes()
    for change in (lambda: replace(folder / "big.bin", b"new\n"), (folder / "big.bin").unlink):
        replace(folder / "big.bin", old)
        web = Http(d.connect(rcvbuf=8192))
        web.send(request("/big.bin"))
        web.rest = web.sock.recv(1000)
        change()
        assert web.read().body == old
        web.close()


def test_a_file_truncated_under_a_download_ends_the_connection(daemon, www):
    folder = www({"big.bin": 20_000_000})
    d = daemon(http_service(root_route(folder), RESPOND_HELLO))
    whole = (folder / "big.bin").read_bytes()
    web = Http(d.connect(rcvbuf=8192))
    web.send(request("/big.bin") + request("/hello"))
    web.rest = web.sock.recv(1000)
    os.truncate(folder / "big.bin", 0)     # to the middle of a page would change bytes that are on their way
    got = bytearray(web.rest)
    try:
        while piece := web.sock.recv(65536):
            got += piece
    except ConnectionResetError:
        pass
    body = bytes(got[got.index(b"\r\n\r\n") + 4:])
    assert len(body) < len(whole), "it was padded"
    assert body == whole[:len(body)], "what came is not what the file had"
    assert HELLO not in body
    assert Http(d.connect()).get("/hello").body == HELLO


def test_a_download_that_the_client_leaves_gives_its_descriptors_back(site):
    before = site.fds()
    for i in range(30):
        s = site.connect(rcvbuf=4096)
        s.sendall(request("/5000000.bin") * 3)
        s.recv(100)
        if i % 2:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        s.close()
    with pytest.raises((h11.RemoteProtocolError, OSError)):
        Http(s).read()
    # An open file may be remembered: one more than before, not thirty.
    wait_until(lambda: site.fds() <= before + 1, what="all descriptors of the downloads being closed")


def test_a_root_in_trouble_is_an_error_of_the_server_and_fills_no_log(daemon):
    """A folder of /proc whose process is gone answers each look with ESRCH, as others do with EIO or ESTALE."""
    other = subprocess.Popen(["sleep", "600"])
    try:
        d = daemon(http_service(root_route(f"/proc/{other.pid}"), RESPOND_HELLO))
    finally:
        other.kill()
        other.wait()
    d.allow_log("web: cannot open [a-z]*: No such process")
    clients = [Http(d.connect()) for _ in range(10)]
    for name in ("status", "maps", "stat"):
        for web in clients:
            assert web.get(f"/{name}").status == 500
    assert clients[0].get("/hello").body == HELLO
    d.wait_log("web: cannot open status: No such process")
    assert 1 <= d.log().count("cannot open") <= 3, "one line a minute"
