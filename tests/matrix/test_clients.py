# SPDX-License-Identifier: BSD-2-Clause
"""HTTP clients that people use, and one that they use against servers: curl, wget, ab, h2load, wrk, Chromium and
slowhttptest.

`bootstrap check` installs all of them but Chromium, which is large: where it is missing its test is skipped."""

import concurrent.futures
import os
import re
import shutil
import subprocess
import threading

import h11
import pytest

from client import Http
from harness import wait_until
from sites import HELLO, file_site

pytestmark = pytest.mark.usefixtures("model")

TEXT = bytes(range(256)) * 8
TIMEOUT_S = 120
PAGES = {
    "index.html": b'<!doctype html><title>site</title><a href="a.html">a</a> <a href="sub/">sub</a> '
                  b'<a href="with%20space.html">s</a><link rel="stylesheet" href="style.css">'
                  b'<img src="pixel.svg?v=1">\n',
    "a.html": b'<!doctype html><title>a</title><a href="/">home</a> <a href="sub/b.html?x=1">b</a> '
              b'<a href="big.bin">big</a>\n',
    "sub/index.html": b'<!doctype html><title>sub</title><a href="b.html">b</a> <a href="../a.html">a</a> '
                      b'<a href="deep/">deep</a>\n',
    "sub/b.html": b"<!doctype html><title>b</title>\n", "sub/deep/index.html": b"<!doctype html><title>deep</title>\n",
    "with space.html": b"<!doctype html><title>space</title>\n", "style.css": b"body { color: black }\n",
    "pixel.svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>\n', "text.txt": TEXT,
    "big.bin": 3_000_000,
    "empty.txt": b"", "robots.txt": b"User-agent: *\nDisallow:\n",
}


def run(*command, status=0, cwd=None):
    """stdout and stderr of a client that must end with this status."""
    done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, cwd=cwd, env={**os.environ, "LC_ALL": "C",
        "http_proxy": ""})
    out, err = done.stdout, done.stderr.decode(errors="replace")
    assert done.returncode == status, f"{command} ended with {done.returncode}: {err[-2000:]} {out[-2000:]!r}"
    return out, err


@pytest.fixture
def folder(www):
    return www(PAGES)


@pytest.fixture
def url(daemon, folder):
    return f"http://127.0.0.1:{daemon(file_site(folder)).port()}"


# --- curl -----------------------------------------------------------------------------------------------------------

def curl(*arguments, status=0):
    return run("curl", "--silent", "--show-error", "--max-time", "60", *arguments, status=status)[0]


def code_of(*arguments):
    """The status and the number of connections that curl made."""
    code, connects = curl("--output", os.devnull, "--write-out", "%{http_code} %{num_connects}", *arguments).split()
    return int(code), int(connects)


def test_curl_fetches_parts_resumes_and_revalidates(url, folder, tmp_path):
    big = (folder / "big.bin").read_bytes()
    assert curl(f"{url}/text.txt") == TEXT
    assert curl("--range", "100-199", f"{url}/text.txt") == TEXT[100:200]
    assert curl("--range", "-7", f"{url}/text.txt") == TEXT[-7:]
    assert curl("--http1.0", f"{url}/text.txt") == TEXT
    assert curl("--head", f"{url}/big.bin").splitlines()[0] == b"HTTP/1.1 200 OK"
    part = tmp_path / "part.bin"
    part.write_bytes(big[:1_234_567])
    curl("--continue-at", "-", "--output", str(part), f"{url}/big.bin")
    assert part.read_bytes() == big, "a download that was broken off goes on"
    tag = tmp_path / "tag"
    curl("--etag-save", str(tag), "--output", os.devnull, f"{url}/text.txt")
    assert code_of("--etag-compare", str(tag), f"{url}/text.txt")[0] == 304
    assert code_of("--time-cond", str(folder / "text.txt"), f"{url}/text.txt")[0] == 304
    assert code_of("--time-cond", "1 Jan 2000", f"{url}/text.txt")[0] == 200


def test_curl_keeps_its_connection_and_follows_redirects(url):
    out = curl("--write-out", "%{num_connects}\n", f"{url}/hello", f"{url}/empty.txt", f"{url}/hello", "--output",
        os.devnull,
               "--output", os.devnull, "--output", os.devnull)
    assert out.split() == [b"1", b"0", b"0"]
    assert b"<title>deep" in curl("--location", f"{url}/sub/deep")
    assert b"<title>space" in curl(f"{url}/with%20space.html")
    for target in ("/../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc/passwd"):
        assert code_of("--path-as-is", url + target)[0] in (400, 403, 404)


def test_curl_uploads_with_100_continue(url, folder):
    body = f"@{folder / 'big.bin'}"
    out, said = run("curl", "--verbose", "--silent", "--max-time", "60", "--header", "Expect: 100-continue",
        "--data-binary",
                    f"@{folder / 'text.txt'}", f"{url}/hello")
    assert out == HELLO and "HTTP/1.1 100 Continue" in said and "HTTP/1.1 200 OK" in said
    assert curl("--header", "Transfer-Encoding: chunked", "--data-binary", f"@{folder / 'text.txt'}",
        f"{url}/hello") == HELLO
    _, said = run("curl", "--verbose", "--silent", "--max-time", "60", "--header", "Expect: 100-continue",
        "--data-binary",
                  f"@{folder / 'text.txt'}", f"{url}/text.txt")
    assert "100 Continue" not in said and "HTTP/1.1 405 " in said, "what is not allowed is said before the body is sent"
    assert code_of("--header", "Expect: 100-continue", "--data-binary", body, f"{url}/hello")[0] == 413
    assert code_of("--header", "Expect:", "--data-binary", f"@{folder / 'text.txt'}", f"{url}/a.html")[0] == 405


# --- wget -----------------------------------------------------------------------------------------------------------

def test_wget_mirrors_a_site_and_resumes(url, folder, tmp_path):
    mirror = tmp_path / "mirror"
    command = ["wget", "--no-verbose", "--no-config", "--mirror", "--page-requisites", "--no-host-directories",
        "--tries=1",
               f"--directory-prefix={mirror}", f"{url}/"]
    run(*command)
    got = {str(p.relative_to(mirror)): p.read_bytes() for p in mirror.rglob("*") if p.is_file()}
    for name in ("index.html", "a.html", "sub/index.html", "sub/b.html", "sub/deep/index.html", "with space.html",
        "style.css", "big.bin"):
        alias = {"sub/b.html": "sub/b.html?x=1"}.get(name, name)
        assert got.get(name, got.get(alias)) == (folder / name).read_bytes(), f"{name}: {sorted(got)}"
    before = {p: p.stat().st_mtime_ns for p in mirror.rglob("*.html")}
    run(*command)
    assert {p: p.stat().st_mtime_ns for p in before} == before, "what has not changed is not fetched again"
    part = tmp_path / "big.bin"
    part.write_bytes((folder / "big.bin").read_bytes()[:777_777])
    run("wget", "--no-verbose", "--no-config", "--continue", "--tries=1", f"{url}/big.bin", cwd=tmp_path)
    assert part.read_bytes() == (folder / "big.bin").read_bytes()


# --- loads ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("options", [("-k",), ("-k", "-i"), (), ("-k", "-p", "text.txt", "-T", "text/plain")],
    ids=" ".join)
def test_ab_has_no_failure(url, folder, options):
    target = "/hello" if "-p" in options else "/text.txt"
    out = run("ab", "-q", "-n", "2000", "-c", "20", *options, url + target, cwd=folder)[0].decode()
    assert re.search(r"Complete requests: +2000\n", out) and re.search(r"Failed requests: +0\n", out), out
    assert "Non-2xx" not in out and "Write errors" not in out, out
    if "-k" in options:
        assert re.search(r"Keep-Alive requests: +2000\n", out), out


def test_h2load_pipelines_without_an_error(url):
    out = run("h2load", "--h1", "-n", "5000", "-c", "10", "-m", "16", f"{url}/hello", f"{url}/text.txt")[0].decode()
    assert "5000 done, 5000 succeeded, 0 failed, 0 errored, 0 timeout" in out, out
    assert "status codes: 5000 2xx, 0 3xx, 0 4xx, 0 5xx" in out, out


def test_wrk_reports_no_error(url):
    out = run("wrk", "-t", "1", "-c", "16", "-d", "1s", "--timeout", "60s", f"{url}/text.txt")[0].decode()
    assert "Socket errors" not in out and "Non-2xx" not in out, out
    assert int(re.search(r"(\d+) requests in", out).group(1)) > 0, out


# --- a browser ------------------------------------------------------------------------------------------------------

SCRIPT = b"""<!doctype html><html><head><meta charset="utf-8"><link rel="icon" href="icon.svg"><script>
let good = 0, bad = [];
function ok() { good++ }
function no(e) { bad.push(e.src || e.href) }
addEventListener("error", e => bad.push(e.message), true);
addEventListener("load", () => document.body.dataset.result = good + " good, " + bad.length + " bad" + bad.join(" "));
</script>"""


def page_of_100():
    """Style sheets, scripts and pictures; what was loaded is counted by the page itself."""
    files, page = {}, SCRIPT
    for i in range(30):
        files[f"s{i}.css"] = b"p { color: #%03d }\n" % i
        page += b'<link rel="stylesheet" href="s%d.css" onload="ok()" onerror="no(this)">' % i
    for i in range(30):
        files[f"j{i}.js"] = b"globalThis.j%d = %d;\n" % (i, i)
        page += b'<script src="j%d.js" onload="ok()" onerror="no(this)"></script>' % i
    page += b"</head><body>"
    for i in range(40):
        files[f"i{i}.svg"] = b'<svg xmlns="http://www.w3.org/2000/svg" width="1" height="%d"/>\n' % (i + 1)
        page += b'<img src="i%d.svg?%d" onload="ok()" onerror="no(this)">' % (i, i)
    return {"index.html": page + b"</body></html>\n", "icon.svg": files["i0.svg"], **files}


def test_chromium_loads_a_page_with_100_resources(daemon, www, tmp_path):
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed (bootstrap packages ci)")
    url = f"http://127.0.0.1:{daemon(file_site(www(page_of_100()))).port()}/"
    out, said = run(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
        "--disable-background-networking",
                    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
                    "--enable-logging=stderr",
                    f"--user-data-dir={tmp_path / 'profile'}", "--timeout=60000", "--dump-dom", url)
    assert b'data-result="100 good, 0 bad"' in out, out[-300:]
    assert ":CONSOLE" not in said, said


# --- slow clients ---------------------------------------------------------------------------------------------------

SLOW = {
    "slow headers": ("-H", "/", "No open connections left"),
    "slow bodies": ("-B", "/hello", "No open connections left"),
    "overlapping ranges": ("-R", "/big.bin", "No open connections left"),
    "slow readers": ("-X", "/big.bin", "Hit test time limit"),     # they do read, if slowly: they may stay
}
DEADLINE_S, ATTACK_S = 2, 8


def attack(url, mode):
    option, target, _ = SLOW[mode]
    out = run("slowhttptest", option, "-c", "40", "-r", "40", "-i", "1", "-l", str(ATTACK_S), "-p", "10", "-w",
              "512", "-y", "1024", "-n", "1", "-z", "32", "-u", url + target)[0].decode()
    return re.sub(r"\x1b\[[0-9;]*m", "", out)


def test_slowhttptest_takes_nothing_from_others(daemon, folder):
    d = daemon(file_site(folder), timeouts={"header": DEADLINE_S, "body": DEADLINE_S, "idle": DEADLINE_S, "send": 30})
    over = threading.Event()
    served = 0
    with concurrent.futures.ThreadPoolExecutor(len(SLOW)) as pool:
        attacks = {mode: pool.submit(attack, f"http://127.0.0.1:{d.port()}", mode) for mode in SLOW}
        pool.submit(lambda: (concurrent.futures.wait(attacks.values()), over.set()))
        web = Http(d.connect(timeout=30))
        while not over.is_set():
            try:
                body = web.get("/hello").body
            except (h11.RemoteProtocolError, ConnectionError):      # we stood still for two seconds
                web = Http(d.connect(timeout=30))
                body = web.get("/hello").body
            assert body == HELLO
            fresh = Http(d.connect(timeout=30))
            assert fresh.get("/text.txt", headers=[("Connection", "close")]).body == TEXT and fresh.at_end()
            fresh.close()
            served += 2
            over.wait(0.02)
    for mode, future in attacks.items():
        out = future.result()
        assert SLOW[mode][2] in out, f"{mode}: {out}"
        assert "service available:   NO" not in out, f"{mode}: {out}"
    assert served > 0
    web.close()
    wait_until(lambda: Http(d.connect()).get("/hello").body == HELLO, what="an answer behind it all")
