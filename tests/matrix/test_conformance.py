# SPDX-License-Identifier: BSD-2-Clause
"""The table of HTTP/1.1 (http_cases.py) on every model: whole, byte by byte, and cut in two at every offset.

Each case is sent with a request right behind it.  All answers are read strictly by h11; beyond what the table says,
each must have a right Date, 405 its Allow, the last before the server closes "Connection: close" and no other, and
nothing behind a refused request may be answered.

Cutting all cases at all offsets would be 180,000 connections for each model, so each takes another part of them, and all
models that can run here have all of them together.  Long cases are cut at some offsets by every model, each at others.
IOMUXD_ALL_CUTS=1 in the environment has every model take all parts."""

import email.utils
import functools
import os
import random
import re
import time

import h11
import pytest

from client import Http, parse_all
from conftest import listed_models
from http_cases import (BODY_BYTES, CASES, EOF, HEADER_BYTES, HEADER_COUNT, HELLO, KEPT, MODIFIED_S, REQUEST_LINE,
                        TEXT)
from pieces import Ending, converse
from sites import http_service, respond_route, root_route

pytestmark = pytest.mark.usefixtures("model")

PROBE_BODY = b"PROBE\n"
PROBE = b"GET /probe HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n"
SECRET = b"SECRET of the table"
SMALL = 400             # bytes of a case that is worth sending byte by byte
TINY = 160              # bytes of a case that is worth cutting everywhere
LONG_CUTS = 6           # of a longer one: in its first TINY bytes, in its last, and anywhere
SHOWN = 40              # complaints that a failure shows

# A client that said it would send no more, and does, may meet a closed socket.
LAST_OF_CLIENT = re.compile(rb"(?i)\r\nconnection:[^\r]*close|HTTP/1\.0")

ODD = [
    "with space.txt", "ümlaut.txt", "100%.txt", "plus+.txt", "a;b.txt", "a:b.txt", "a,b.txt", "a=b.txt", "a&b.txt",
    "a@b.txt", "a'b.txt", "(a).txt", "a!.txt", "a$.txt", "a*.txt", "~a.txt", "a|b.txt", "[a].txt", "a\\b.txt",
    "{a}.txt", "q?q.txt", "h#h.txt", '".txt', "a..b.txt", "a...txt", "a../a.txt"
]
FILES = {
    "text.txt": TEXT, "index.html": b"<p>index\n", "empty.txt": b"", "sub/index.html": b"<p>sub\n", "sub/.hidden": SECRET,
    ".hidden": SECRET, ".git/config": SECRET, "bare/file.txt": b"bare\n", "with space/index.html": b"<p>space\n",
    **{name: b"odd\n" for name in ODD}
}


class Site:
    """The daemon that the table is about, and what has to be learnt from it."""

    def __init__(self, daemon, folder):
        os.symlink("..", folder / "link")
        os.symlink("../secret.txt", folder / "file-link")
        (folder.parent / "secret.txt").write_bytes(SECRET)
        for path in folder.rglob("*"):
            if path.is_file():
                os.utime(path, (MODIFIED_S, MODIFIED_S))
        service = http_service(
            root_route(folder), respond_route("/hello", HELLO.decode().replace("\n", "\\n")),
            respond_route("/probe", "PROBE\\n"),
            respond_route("/smuggled", "SMUGGLED"), respond_route("/host", "default\\n"),
            respond_route("/host", "example\\n", 'host = "example.org";'), respond_route("/nothing", "", status=204),
            '{ path = "/moved"; redirect : { status = 302; to = "/hello"; }; }', '{ path = "/gone"; status = 410; }')
        self.daemon = daemon(service, limits={"request_line": REQUEST_LINE, "header_bytes": HEADER_BYTES,
                                              "header_count": HEADER_COUNT, "body_bytes": BODY_BYTES},
                             timeouts={"header": 120, "body": 120, "idle": 120})
        self.address = ("127.0.0.1", self.daemon.port())
        self.etag = Http(self.daemon.connect()).get("/text.txt").get("etag").encode()
        assert re.fullmatch(rb'"[!#-~]+"', self.etag), "the table needs a strong entity tag"

    def bytes_of(self, case):
        data = case.send.replace(b"@ETAG@", self.etag).replace(b"@WEAK@", b"W/" + self.etag)
        return data if case.fate == EOF else data + PROBE


@pytest.fixture
def site(daemon, www):
    return Site(daemon, www(FILES))


@functools.lru_cache(maxsize=64)
def date_is_right(value):
    moment = email.utils.parsedate_to_datetime(value)
    return email.utils.format_datetime(moment, usegmt=True) == value and abs(moment.timestamp() - time.time()) < 300


def field_complaints(response, wanted):
    for name, want in wanted.items():
        got = response.get(name)
        if isinstance(want, re.Pattern):
            right = got is not None and want.match(got)
        elif want is True:
            right = got is not None
        else:
            right = got in (want if isinstance(want, tuple) else (want,))
        if not right:
            yield f"{name} is {got!r}"


def answer_complaints(response):
    date = response.get("date")
    if date is None or not date_is_right(date):
        yield f"Date is {date!r}"
    if response.version != "1.1":
        yield f"the version is {response.version}"
    if response.status == 405 and not response.get("allow"):
        yield "405 without Allow"
    if response.status == 304 and response.get("content-type"):
        yield "304 with Content-Type"
    if response.status not in (204, 304) and response.get("content-length") is None:
        yield "no Content-Length"


def connection_complaints(responses, closes):
    """`closes`: the server ends the connection behind the last of them."""
    for i, r in enumerate(responses):
        says = "close" in (r.get("connection") or "").lower()
        if says != (closes and i + 1 == len(responses)):
            yield f"answer {i + 1} of {len(responses)} has Connection: {r.get('connection')}"


def is_method(word):
    return re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", word) is not None


def complaints(case, got, end):
    """What is wrong with an answer, or nothing."""
    if end is not None and not (isinstance(end, ConnectionResetError) and LAST_OF_CLIENT.search(case.send)):
        yield f"it ended with {end!r}"
    if SECRET in got or b"SMUGGLED" in got:
        yield "it gave away what it must not"
    methods = [m if is_method(m) else "GET" for m in case.methods] + ["GET"]
    try:
        responses = parse_all(got, methods + ["GET"] * 9)
    except (h11.RemoteProtocolError, AssertionError) as e:
        yield f"no HTTP: {e}: {got[:300]!r}"
        return
    probed = bool(responses) and responses[-1].body == PROBE_BODY
    if probed != (case.fate == KEPT) and case.fate is not None:
        yield "what came behind it was answered" if probed else "what came behind it was not answered"
    yield from connection_complaints(responses, closes=probed or case.fate != EOF or "close" in (
        responses[-1].get("connection") or "" if responses else ""))
    if probed:
        responses.pop()
    said = [r.status for r in responses]
    if len(said) != len(case.want) or any(s not in (w if isinstance(w, tuple) else (w,)) for s,
        w in zip(said, case.want)):
        yield f"status {said}"
        return
    for r in responses:
        yield from answer_complaints(r)
    if responses:
        last = responses[-1]
        if case.body is not None and last.body != case.body:
            yield f"the body is {last.body[:60]!r}"
        if len(last.informational) != case.interim:
            yield f"{len(last.informational)} times 100"
        yield from field_complaints(last, case.fields)


def check(site, sent):
    """sent: (case, pieces, how it was cut)."""
    wrong = []
    plans = [(pieces, Ending.SHUT if case.fate == EOF else Ending.WAIT) for case, pieces, _ in sent]
    for (case, _, how), (got, end) in zip(sent, converse(site.address, plans)):
        for complaint in complaints(case, got, end):
            wrong.append(f"RFC {case.section}: {case.name} ({how}): wanted {case.want} {case.fate}: {complaint}")
    assert not wrong, f"{len(wrong)} complaints\n" + "\n".join(wrong[:SHOWN])


def test_each_case_is_answered_as_the_table_says(site):
    assert len({(c.section, c.name) for c in CASES}) == len(CASES), "two rows have one name"
    check(site, [(c, [site.bytes_of(c)], "whole") for c in CASES])


def test_each_case_is_answered_the_same_byte_by_byte(site):
    small = [c for c in CASES if len(c.send) <= SMALL]
    check(site, [(c, [bytes([b]) for b in site.bytes_of(c)], "byte by byte") for c in small])


def some_offsets(case, size, model):
    """The same in each run."""
    seeded = random.Random(f"{case.section} {case.name} {model}")
    places = range(1, min(TINY, size)), range(max(1, size - TINY), size), range(1, size)
    return sorted({at for place in places for at in seeded.sample(place, LONG_CUTS)})


def test_cases_are_answered_the_same_cut_anywhere(site, model, iomuxd_bin):
    models = [name for name, _, can_run, _ in listed_models(iomuxd_bin) if can_run and name != "auto"]
    tiny = [c for c in CASES if len(c.send) <= TINY]
    mine = tiny if "IOMUXD_ALL_CUTS" in os.environ else tiny[models.index(model)::len(models)]
    sent = []
    for c in mine + [c for c in CASES if len(c.send) > TINY]:
        data = site.bytes_of(c)
        offsets = range(1, len(data)) if len(c.send) <= TINY else some_offsets(c, len(data), model)
        sent += [(c, [data[:at], data[at:]], f"cut at {at}") for at in offsets]
    check(site, sent)
