# SPDX-License-Identifier: BSD-2-Clause
"""What the parser says about the table of HTTP/1.1 and the corpus of the fuzzer, beside what others say: h11, and
llhttp in its strict mode where its sources are installed (Debian: node-llhttp).

Compared are, for each message in the input, method and length of the body, and how it goes on: "end", "more" (the last
is incomplete), "close" (nothing behind it is a request), "refused".  Each difference must be in EXPLAINED, and each row
there must be needed.

tests/differential/verdict.c prints what the parser says, llhttp.c what llhttp says."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import h11
import pytest

from conftest import REPOSITORY, binary_path
from http_cases import CASES

LLHTTP = Path("/usr/share/llhttp"), Path("/usr/include/llhttp"), Path("/usr/share/include/llhttp")
HEAD_MAX = 1 << 20
BOTH, H11, LL = "h11 llhttp", "h11", "llhttp"
HEADER_COMMENT = 3      # bytes in front of each file of the corpus that only the fuzzer reads

# (whose verdict differs, how ours goes on, how theirs, which inputs, why); "": however
EXPLAINED = [
    # We refuse what they let pass.
    (BOTH, "refused", "", r"9112 3\.2(\.\d)? |corpus (path-bad|host)", "they look into neither Host nor target"),
    (BOTH, "refused", "", r"9110 7\.4 ", "https without TLS: they do not know how they were reached"),
    (BOTH, "refused", "", r"3986 5\.2\.4 path .*\\\\", "a backslash in a path"),
    (BOTH, "refused", "", r"9112 3 no version", "HTTP/0.9 has no version, and nobody speaks it"),
    (BOTH, "refused", "", r"9110 15\.6\.6 version ", "versions that are not 1"),
    (BOTH, "refused", "", r"9112 5\.2 folding |corpus fold",
     "folding, which RFC 9112 section 5.2 lets a server refuse"),
    (BOTH, "refused", "", r"9112 2\.2 .*(CR|LF)|9112 2\.2 a dozen|corpus bare-lf",
     "line ends that are not CR LF; many of them"),
    (BOTH, "refused", "", r"(9112 3|6585 5) .*(too (long|large|many)|without an end|a byte too|longer|thousand)",
     "our limits"),
    (BOTH, "refused", "", r"9112 6\.3 Content-Length: '\d+'|9112 7\.1 (size|more than|one byte)|9110 15\.5\.14 |"
                          r"9110 10\.1\.1 .*too long|9112 9\.3\.2 a body that is too long|corpus chunked-large",
     "bodies above our limit"),
    (BOTH, "refused", "", r"9112 7\.1\.2 (a trailer|trailers) that ", "trailers above our limit"),
    (BOTH, "refused", "end", r"9112 7\.1\.2 trailer ", "trailers have the form of fields, for us in every way"),
    (BOTH, "refused", "", r"9112 7\.1\.1 ", "they pass over extensions of chunks without looking at their form"),
    (BOTH, "refused", "", r"9112 5\.1 no name but a blank", "a field without a name"),
    (BOTH, "refused", "", r"9112 6\.3 chunks in HTTP/1\.0", "RFC 9112 section 6.1: to be treated as faulty"),
    (H11, "refused", "", r"9110 5\.5 byte ",
     "control bytes in a value: RFC 9110 section 5.5 lets a recipient keep some"),
    (H11, "refused", "", r"9112 6\.3 (Content-Length: '5, ?5'|two equal lengths)", "a length said twice: in doubt"),
    (H11, "refused", "", r"9112 6\.3 .*(length|chunks)|corpus cl-te",
     "a length beside chunks: RFC 9112 section 6.3 allows both"),
    (H11, "refused", "more", r"9112 2\.2 NUL |9112 7\.1 .*(LF LF|CR and something|no chunks|bad chunks)",
     "it judges lines when they are whole; we at the first byte that cannot be"),
    (H11, "refused", "end", r"9112 7\.1 (space|tab) behind (a|the last) size",
     "blanks that only an extension may follow"),
    (BOTH, "refused", "end", r"9112 7\.1 the end is LF", "a line end that is not CR LF"),
    (H11, "refused", "refused", r"9112 3 PRI|9113 3\.4 ",
     "the preface of HTTP/2: PRI is no method of HTTP/1.1, * only for OPTIONS"),
    (LL, "refused", "end", r"9112 3 two spaces ", "it passes over spaces in the request line"),
    (LL, "refused", "end", r"9112 5\.1 (no name|only a colon)", "a field without a name"),
    (LL, "refused", "end", r"9110 10\.1\.1 100-continue without Host", "it does not look into Host"),
    (LL, "refused", "", r"9112 6\.(1|3) (chunked, then nothing|nothing, then|Transfer-Encoding: '(|[ ,].*)'|"
                        r"length and an empty coding)",
     "a coding that is not said, or a list with an empty element: in doubt"),
    (LL, "refused", "end", r"9112 6\.1 (Transfer-Encoding: '.*,|codings in two lines)",
     "it leaves unknown codings to its caller; we say 501"),
    # They refuse, or end, what we let pass.
    (H11, "", "refused", r"9112 (2\.2|8) (an empty line|half of one)|corpus empty-line",
     "RFC 9112 section 2.2: an empty line should be ignored"),
    (H11, "end", "refused", r"9112 7\.1 many zeros before a size",
     "it takes 20 digits; the grammar has no limit, and zeros are zeros"),
    (H11, "end", "refused", r"9112 7\.1\.1 extension '( |\\t);",
     "it wants the extension right behind the size; the grammar allows blanks"),
    (H11, "end", "close", r".*HTTP/1\.0|corpus http10-keep", "it keeps no HTTP/1.0 connection"),
    (LL, "end", "refused", r"9110 9\.1 |9110 1[03]\.\S+ .*unknown method|9112 9\.3\.2 .*in a row|corpus unknown",
     "it knows a list of methods; others are grammar, and 501 for us"),
    (LL, "end", "refused", r"9112 2\.3 version 1\.[29] ",
     "RFC 9110 section 2.5: a higher minor version is served as the highest known"),
    (LL, "close", "close", r"9112 3\.2\.3 CONNECT with a body",
     "for it a tunnel begins behind the head; we say 405 and end"),
    (LL, "end", "upgrade", r"9112 5 fields that ask for another protocol",
     "it leaves Upgrade to its caller; we ignore it"),
    (LL, "end", "refused", r"9112 6\.[12] .*(blanks around|\\t)", "it takes no tab before a value, which is OWS"),
    (LL, "end", "refused", r"9112 7\.1\.1 extension |corpus chunked-extensions",
     "it takes no blanks and no escapes in extensions"),
    (LL, "end", "refused", r"9112 7\.1\.2 trailer 'Transfer-Encoding",
     "it reads trailers as if they stood in the head"),
    (LL, "end", "close", r"9112 7\.1\.2 trailer 'Connection: close'", "it reads trailers as if they stood in the head"),
    (LL, "end", "close", r"9112 9\.3 field 'Proxy-Connection: close'",
     "a field of no RFC, which it takes for Connection"),
    (LL, "close", "end", r"9112 9\.6 field 'Connection: \\t close", "it takes no tab before a value, which is OWS"),
    (LL, "close", "end", r"9112 9\.3 HTTP/1\.0 with both", "RFC 9112 section 9.3: close comes first"),
]


def inputs():
    """(name, bytes): the table, and what the fuzzer's corpus has for the machine: what people wrote, with names; what it
    found has hashes for names, and nobody could say what it is about."""
    for case in CASES:
        yield f"{case.section} {case.name}", case.send
    corpus = REPOSITORY / "tests" / "fuzz" / "corpus_http"
    for path in sorted(corpus.iterdir()):
        data = path.read_bytes()
        if data[:1] != b"m" and not re.fullmatch("[0-9a-f]{40}", path.name):
            yield f"corpus {path.name}", data[HEADER_COMMENT:]


def verdicts(program, datas):
    blob = b"".join(b"%08x" % len(data) + data for data in datas)
    out = subprocess.run([str(program)], input=blob, capture_output=True, timeout=60, check=True).stdout
    return [re.sub(r"\d+$", "refused", line) for line in out.decode("latin-1").splitlines()]


def closes(connection):
    return h11.MUST_CLOSE in (connection.our_state, connection.their_state)


def h11_verdict(data):
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_MAX)
    connection.receive_data(data)
    said, method, length = [], None, 0
    try:
        while True:
            event = connection.next_event()
            if event in (h11.NEED_DATA, h11.PAUSED) or isinstance(event, h11.ConnectionClosed):
                rest = connection.trailing_data[0].strip(b"\r\n")
                return " ".join([*said, "end" if method is None and not rest else "more"])
            if isinstance(event, h11.Request):
                method, length = event.method.decode("latin-1"), 0
            elif isinstance(event, h11.Data):
                length += len(event.data)
            elif isinstance(event, h11.EndOfMessage):
                said.append(f"{method}:{length}")
                if method == "CONNECT":
                    return " ".join([*said, "close"])
                connection.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
                connection.send(h11.EndOfMessage())
                if closes(connection):
                    return " ".join([*said, "close"])
                method = None
                connection.start_next_cycle()
    except h11.RemoteProtocolError:
        return " ".join([*said, "refused"])


def how(verdict):
    return verdict.rsplit(" ", 1)[-1]


def explanation(who, name, ours, theirs):
    """The number of the first row that explains a difference, or None."""
    for i, (whose, our, their, names, _) in enumerate(EXPLAINED):
        if who in whose.split() and our in ("", how(ours)) and their in ("", how(theirs)):
            if re.match(names, name):
                return i
    return None


def compare(who, theirs):
    program = binary_path().parent / "tests" / "differential" / "verdict"
    if not program.exists():
        pytest.skip(f"no {program}: make check builds it")
    names, datas = zip(*inputs())
    ours, theirs = verdicts(program, datas), list(theirs(datas))
    assert len(ours) == len(theirs) == len(names)
    unexplained, used = [], set()
    for name, our, their in zip(names, ours, theirs):
        if our != their:
            row = explanation(who, name, our, their)
            used.add(row)
            if row is None:
                unexplained.append(f"{name}: {our} here, {their} there")
    assert not unexplained, f"{len(unexplained)} differences from {who} lack a reason\n" + "\n".join(unexplained[:400])
    idle = [row for i, row in enumerate(EXPLAINED) if who in row[0].split() and i not in used]
    assert not idle, f"rows that explain nothing: {idle}"


def test_the_parser_agrees_with_h11_or_the_difference_is_explained():
    compare("h11", lambda datas: map(h11_verdict, datas))


def test_the_parser_agrees_with_llhttp_or_the_difference_is_explained(tmp_path):
    sources, *headers = LLHTTP
    compiler = os.environ.get("CC", "cc").split()
    if not (sources / "llhttp.c").exists() or shutil.which(compiler[0]) is None:
        pytest.skip("llhttp's sources are not installed (bootstrap packages ci)")
    program = tmp_path / "llhttp"
    subprocess.run([*compiler, "-O1", "-DLLHTTP_STRICT_MODE=1", *(f"-I{h}" for h in headers), "-o", str(program),
                    str(REPOSITORY / "tests" / "differential" / "llhttp.c"), *map(str, sorted(sources.glob("*.c")))],
                   check=True, capture_output=True, timeout=120)
    compare("llhttp", lambda datas: verdicts(program, datas))
