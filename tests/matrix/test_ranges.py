# SPDX-License-Identifier: BSD-2-Clause
"""Several ranges of one file: multipart/byteranges (RFC 9110 sections 14.6, 15.3.7.2) over real sockets."""

import re
import threading

import pytest

from client import Http, request
from harness import wait_until
from sites import http_service, root_route

pytestmark = pytest.mark.usefixtures("model")

SIZES = [10, 2000, 16384, 16385, 1_000_000, 5_000_000]
PARTS_MAX = 16


@pytest.fixture(params=["", 'direct_io = "on";'], ids=["cached", "direct"])
def site(request, daemon, www):
    folder = www({f"{n}.html": n for n in SIZES})
    d = daemon(http_service(root_route(folder, more=request.param)))
    d.www = folder
    return d


def parts_of(response, size):
    """[(first, last, bytes)] of a multipart answer, taken apart to the byte."""
    boundary = re.fullmatch(r"multipart/byteranges; boundary=([0-9a-f]{32})", response.get("content-type"))[1]
    body, parts = response.body, []
    head = re.compile(rb"--" + boundary.encode() + rb"\r\nContent-Type: text/html; charset=utf-8\r\n"
                      rb"Content-Range: bytes (\d+)-(\d+)/" + str(size).encode() + rb"\r\n\r\n")
    at = 0
    while match := head.match(body, at):
        first, last = int(match[1]), int(match[2])
        end = match.end() + last - first + 1
        parts.append((first, last, body[match.end():end]))
        assert body[end:end + 2] == b"\r\n"
        at = end + 2
    assert body[at:] == b"--" + boundary.encode() + b"--\r\n"
    assert response.get("content-length") == str(len(body))
    assert response.get("content-range") is None
    return parts


def ask(web, size, field, method="GET", headers=()):
    return web.get(f"/{size}.html", method, headers=[("Range", field), *headers])


@pytest.mark.parametrize("size", SIZES)
def test_parts_of_files_of_every_size_come_byte_for_byte(site, size):
    web = Http(site.connect())
    whole = (site.www / f"{size}.html").read_bytes()
    for ranges in ([(0, 0), (size - 1, size - 1)],
                   [(size // 2, size - 1), (0, size // 2 - 2)],
                   [(i * size // 10, i * size // 10) for i in (9, 0, 4, 2)]):
        r = ask(web, size, "bytes=" + ", ".join(f"{a}-{b}" for a, b in ranges))
        assert r.status == 206
        assert parts_of(r, size) == [(a, b, whole[a:b + 1]) for a, b in ranges]


def test_as_many_parts_as_allowed_come_and_more_are_answered_whole(site):
    web = Http(site.connect())
    for size in (16384, 1_000_000):
        whole = (site.www / f"{size}.html").read_bytes()
        ranges = [(i * 1000, i * 1000 + 499) for i in range(PARTS_MAX)]
        r = ask(web, size, "bytes=" + ",".join(f"{a}-{b}" for a, b in ranges))
        assert parts_of(r, size) == [(a, b, whole[a:b + 1]) for a, b in ranges]
        r = ask(web, size, "bytes=" + ",".join(f"{10 * i}-{10 * i}" for i in range(PARTS_MAX + 1)))
        assert (r.status, r.body) == (200, whole)


def test_a_thousand_overlapping_ranges_cost_no_more_than_the_file(site):
    web = Http(site.connect())
    size = 5_000_000
    whole = (site.www / f"{size}.html").read_bytes()
    for field in ("bytes=" + ",".join(f"{i}-" for i in range(1000)),
                  "bytes=" + ",".join(["0-"] * 250),
                  "bytes=0-," + ",".join(f"{i}-{i + 1}" for i in range(0, 500, 2))):
        r = ask(web, size, field)
        assert r.status in (200, 206)
        assert r.body == whole


def test_one_range_that_is_left_is_no_multipart(site):
    web = Http(site.connect())
    for field, first, last in (("bytes=2-4,3-7", 2, 7), ("bytes=5-5,10-", 5, 5), ("bytes=0-1,2-3,4-4", 0, 4)):
        r = ask(web, 10, field)
        assert (r.status, r.get("content-range")) == (206, f"bytes {first}-{last}/10")
        assert r.body == (site.www / "10.html").read_bytes()[first:last + 1]
    r = ask(web, 10, "bytes=10-,20-30")
    assert (r.status, r.get("content-range")) == (416, "bytes */10")


def test_head_and_another_version_get_no_parts(site):
    web = Http(site.connect())
    r = ask(web, 2000, "bytes=0-0,5-5", "HEAD")
    assert (r.status, r.get("content-length"), r.get("content-type")) == (200, "2000", "text/html; charset=utf-8")
    r = ask(web, 2000, "bytes=0-0,5-5", headers=[("If-Range", '"another"')])
    assert (r.status, len(r.body)) == (200, 2000)
    etag = r.get("etag")
    r = ask(web, 2000, "bytes=0-0,5-5", headers=[("If-Range", etag)])
    assert (r.status, len(parts_of(r, 2000)), r.get("etag")) == (206, 2, etag)


def test_boundaries_change(site):
    web = Http(site.connect())

    def boundary():
        return ask(web, 2000, "bytes=0-0,5-5").get("content-type")

    seen = {boundary()}
    for n in (2, 3):
        wait_until(lambda: seen.add(boundary()) or len(seen) >= n, what=f"boundary {n}")


def test_pipelined_multiparts_come_in_order_to_a_slow_reader(site):
    size = 1_000_000
    whole = (site.www / f"{size}.html").read_bytes()
    web = Http(site.connect(rcvbuf=8192))
    asked = [[(i, i + 200_000), (500_000 + i, 500_000 + i), (900_000 - i, size - 1)] for i in range(20)]
    text = b"".join(request(f"/{size}.html", headers=[("Range", "bytes=" + ",".join(f"{a}-{b}" for a, b in ranges))])
                    for ranges in asked)
    sender = threading.Thread(target=web.send, args=(text,))
    sender.start()
    for ranges in asked:
        assert parts_of(web.read(), size) == [(a, b, whole[a:b + 1]) for a, b in ranges]
    sender.join()


def test_who_leaves_in_the_middle_of_parts_leaves_nothing_behind(site):
    before = site.fds()
    for _ in range(20):
        s = site.connect(rcvbuf=4096)
        s.sendall(request("/5000000.html", headers=[("Range", "bytes=0-2000000,3000000-")]) * 3)
        s.recv(100)
        s.close()
    web = Http(site.connect())
    assert ask(web, 10, "bytes=0-0,5-5").status == 206
    web.close()
    # An open file may be remembered: one more than before.
    wait_until(lambda: site.fds() <= before + 1, what="all descriptors being closed")
