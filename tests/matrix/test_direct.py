# SPDX-License-Identifier: BSD-2-Clause
"""direct_io: large files are read past the page cache, and nobody can tell from the answers.  On every model.

What the page cache holds of a file is asked with mincore(2)."""

import ctypes
import fcntl
import mmap
import os
import random
import shutil
import socket
import struct
import tempfile
import termios
from pathlib import Path

import pytest

from client import Http, read_exactly, read_to_end, request
from harness import wait_until
from sites import file_site, http_service, root_route

PAGE = mmap.PAGESIZE
LARGE = 3_000_001           # bytes: many stages and a tail
REFUSED = "direct_io is refused"

libc = ctypes.CDLL(None, use_errno=True)
libc.mincore.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p)


def cached_pages(path):
    """How many pages of a file are in the page cache."""
    with open(path, "rb") as f:
        size = os.fstat(f.fileno()).st_size
        pages = (size + PAGE - 1) // PAGE
        answer = ctypes.create_string_buffer(pages)
        with mmap.mmap(f.fileno(), size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as m:
            start = ctypes.c_char.from_buffer(m)
            result = libc.mincore(ctypes.addressof(start), size, answer)
            del start
        assert result == 0, os.strerror(ctypes.get_errno())
    return sum(byte & 1 for byte in answer.raw)


def drop_pages(path):
    """Takes a file out of the page cache; what was just written may need a moment."""
    with open(path, "rb") as f:
        def gone():
            os.fsync(f.fileno())
            os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            return cached_pages(path) == 0

        wait_until(gone, what=f"{path} leaves the page cache")


def why_not_direct(folder):
    """Why files of this folder cannot be read with O_DIRECT, or None."""
    probe = folder / "probe"
    probe.write_bytes(bytes(PAGE))
    try:
        fd = os.open(probe, os.O_RDONLY | os.O_DIRECT)
        try:
            with mmap.mmap(-1, PAGE) as page:
                os.preadv(fd, [page], 0)
        finally:
            os.close(fd)
        drop_pages(probe)
    except (OSError, AssertionError) as e:
        return f"{folder}: no direct I/O here: {e}"
    finally:
        probe.unlink()
    return None


@pytest.fixture
def direct_www(www, tmp_path):
    reason = why_not_direct(tmp_path)
    if reason:
        pytest.skip(reason)
    return www


def unread(sock):
    return struct.unpack("i", fcntl.ioctl(sock, termios.FIONREAD, bytes(4)))[0]


def direct_site(folder, direct_io="on", name="web"):
    return http_service(root_route(folder, more=f'direct_io = "{direct_io}";'), name=name)


def check_whole(http, folder, name):
    r = http.get(f"/{name}")
    assert r.status == 200
    assert r.body == (folder / name).read_bytes()


SIZES = sorted({base + more for base in (512, 4096, 16384, 20480, 65536, 131072, 196608)
                for more in (-1, 0, 1, 511, 512, 513)} | {1, 100_000, LARGE})


def test_files_of_all_sizes_come_whole(daemon, direct_www, model):
    folder = direct_www({f"f{size}": size for size in SIZES})
    d = daemon(direct_site(folder))
    http = Http(d.connect())
    for size in SIZES:
        check_whole(http, folder, f"f{size}")
    assert REFUSED not in d.log()


def test_ranges_are_exact(daemon, direct_www, model):
    folder = direct_www({"large": LARGE, "odd": 70_001})
    d = daemon(direct_site(folder))
    http = Http(d.connect())
    rng = random.Random(7)
    for name, size in (("large", LARGE), ("odd", 70_001)):
        content = (folder / name).read_bytes()
        borders = [0, 1, 511, 512, 513, 4095, 4096, 4097, 65535, 65536, 65537, size - 2, size - 1]
        pairs = [(a, b) for a in borders for b in borders if a <= b]
        pairs += [tuple(sorted(rng.choices(range(size), k=2))) for _ in range(20)]
        for first, last in rng.sample(pairs, 60):
            r = http.get(f"/{name}", headers=[("Range", f"bytes={first}-{last}")])
            assert r.status == 206
            assert r.get("Content-Range") == f"bytes {first}-{last}/{size}"
            assert r.body == content[first:last + 1], (name, first, last)
        r = http.get(f"/{name}", headers=[("Range", "bytes=-777")])
        assert r.status == 206 and r.body == content[-777:]
        r = http.get(f"/{name}", headers=[("Range", f"bytes={size}-")])
        assert r.status == 416


def test_the_page_cache_is_left_alone(daemon, direct_www, model):
    folder = direct_www({"large": LARGE})
    content = (folder / "large").read_bytes()
    d = daemon(direct_site(folder))
    drop_pages(folder / "large")
    http = Http(d.connect())
    for _ in range(3):
        assert http.get("/large").body == content
    assert http.get("/large", headers=[("Range", "bytes=100000-2000000")]).body == content[100000:2000001]
    assert cached_pages(folder / "large") == 0


def test_without_the_setting_the_page_cache_is_used(daemon, direct_www, model):
    folder = direct_www({"large": LARGE})
    content = (folder / "large").read_bytes()
    d = daemon(file_site(folder))
    drop_pages(folder / "large")
    assert Http(d.connect()).get("/large").body == content
    assert cached_pages(folder / "large") > 0


def test_the_size_decides(daemon, direct_www, model):
    folder = direct_www({"below": 99_999, "at": 100_000})
    contents = {name: (folder / name).read_bytes() for name in ("below", "at")}
    d = daemon(direct_site(folder, "100000"))
    http = Http(d.connect())
    for name, content in contents.items():
        drop_pages(folder / name)
        assert http.get(f"/{name}").body == content
    assert cached_pages(folder / "below") > 0
    assert cached_pages(folder / "at") == 0


def test_pipelined_requests_are_answered_in_order(daemon, direct_www, model):
    folder = direct_www({"large": LARGE, "middle": 65_536, "small": 900})
    d = daemon(direct_site(folder))
    http = Http(d.connect())
    order = [("small", "GET"), ("large", "GET"), ("middle", "HEAD"), ("middle", "GET"), ("small", "GET"),
             ("large", "GET"), ("large", "HEAD"), ("small", "GET")]
    http.send(b"".join(request(f"/{name}", method) for name, method in order))
    for name, method in order:
        r = http.read(method)
        assert r.status == 200
        assert r.get("Content-Length") == str((folder / name).stat().st_size)
        assert r.body == ((folder / name).read_bytes() if method == "GET" else b"")


def test_more_slow_readers_than_stages(daemon, direct_www, model):
    """Each holds a loaded piece while its socket is full; none sees the bytes of another."""
    readers = 80
    names = [f"f{i}" for i in range(4)]
    folder = direct_www({name: 1_000_003 for name in names})
    d = daemon(direct_site(folder), limits={"connections": 200}, timeouts={"send": 300})
    socks = []
    for i in range(readers):
        s = d.connect(rcvbuf=4096)
        s.sendall(request(f"/{names[i % 4]}", headers=[("Connection", "close")]))
        socks.append(s)
    for s in socks:
        wait_until(lambda: unread(s) > 1000, what="every reader has a full socket")
    for i, s in enumerate(socks):
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        body = read_to_end(s).partition(b"\r\n\r\n")[2]
        assert body == (folder / names[i % 4]).read_bytes()


def test_clients_that_leave_in_the_middle_do_no_harm(daemon, direct_www, model):
    folder = direct_www({"large": LARGE})
    d = daemon(direct_site(folder))
    check_whole(Http(d.connect()), folder, "large")
    fds = d.fds()
    for i in range(40):
        s = d.connect(rcvbuf=4096)
        s.sendall(request("/large") * 2)
        if i % 2:
            read_exactly(s, 3000 * i)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        s.close()
    check_whole(Http(d.connect()), folder, "large")
    wait_until(lambda: d.fds() <= fds + 4, what="descriptors are given back")


def test_a_file_that_shrinks_ends_the_connection(daemon, direct_www, model):
    size = 32 << 20
    folder = direct_www({})
    path = folder / "shrinking"
    path.write_bytes(bytes(size))
    d = daemon(direct_site(folder))
    s = d.connect(rcvbuf=4096)
    s.sendall(request("/shrinking"))
    head = read_exactly(s, 1000)
    assert head.startswith(b"HTTP/1.1 200") and f"Content-Length: {size}".encode() in head
    os.truncate(path, 10_000)
    try:
        got = len(read_to_end(s))
    except ConnectionResetError:
        got = 0
    assert got < size - 1000
    (folder / "still").write_bytes(b"here" * 10_000)
    check_whole(Http(d.connect()), folder, "still")


def test_a_file_that_changes_is_seen(daemon, direct_www, model):
    folder = direct_www({"large": 200_001})
    d = daemon(direct_site(folder))
    http = Http(d.connect())
    check_whole(http, folder, "large")
    for size in (200_001, 150_000, 300_007, 65_537):
        new = random.Random(size).randbytes(size)
        (folder / "new").write_bytes(new)
        os.replace(folder / "new", folder / "large")
        assert http.get("/large").body == new
        new = new[::-1]
        (folder / "large").write_bytes(new)         # in place: the pages are dirty when it is read directly
        assert http.get("/large").body == new


def test_a_stop_waits_for_a_direct_file(daemon, direct_www, model):
    folder = direct_www({"large": 20_000_003})
    d = daemon(direct_site(folder), timeouts={"drain": 60})
    s = d.connect(rcvbuf=4096)
    s.sendall(request("/large"))
    start = read_exactly(s, 2000)
    d.signal(15)
    d.wait_log("draining")
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    body = (start + read_to_end(s)).partition(b"\r\n\r\n")[2]
    assert body == (folder / "large").read_bytes()
    assert d.wait() == 0


@pytest.fixture
def memory_folder():
    """A folder of a file system that has no disk behind it."""
    shm = Path("/dev/shm")
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    if [str(shm), "tmpfs"] not in mounts or not os.access(shm, os.W_OK):
        pytest.skip("/dev/shm is no tmpfs that can be written")
    folder = Path(tempfile.mkdtemp(prefix="iomuxd-matrix-", dir=shm))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_where_it_is_refused_files_are_served_and_the_log_says_so_once(daemon, memory_folder, model):
    """Once for the root, not for each worker, file or request."""
    contents = {f"f{i}": random.Random(i).randbytes(100_000 + i) for i in range(3)}
    for name, content in contents.items():
        (memory_folder / name).write_bytes(content)
    d = daemon(direct_site(memory_folder), workers=3)
    for i in range(30):
        name = f"f{i % 3}"
        http = Http(d.connect())
        assert http.get(f"/{name}").body == contents[name]
        r = http.get(f"/{name}", headers=[("Range", "bytes=513-70000")])
        assert r.status == 206 and r.body == contents[name][513:70001]
    lines = [line for line in d.log().splitlines() if REFUSED in line]
    assert len(lines) == 1, d.log()
    assert str(memory_folder) in lines[0]
    assert " warn " in lines[0]


def test_each_root_has_its_own_line(daemon, memory_folder, model):
    routes = []
    for name in ("one", "two"):
        (memory_folder / name / name).mkdir(parents=True)
        (memory_folder / name / name / "file").write_bytes(bytes(50_000))
        routes.append(root_route(memory_folder / name, path=f"/{name}", more='direct_io = "on";'))
    d = daemon(http_service(*routes))
    http = Http(d.connect())
    for path in ("/one/file", "/two/file", "/one/file", "/two/file"):
        assert http.get(path).body == bytes(50_000)
    lines = [line for line in d.log().splitlines() if REFUSED in line]
    assert len(lines) == 2
    assert sum(str(memory_folder / "one") in line for line in lines) == 1
