# SPDX-License-Identifier: BSD-2-Clause
"""Lists of folders: the page and the JSON, hostile names, folders that are huge, clients that leave."""

import base64
import calendar
import hashlib
import html.parser
import json
import os
import re
import threading
import time
import urllib.parse
from signal import SIGTERM

import pytest

from client import Http, request
from harness import wait_until
from sites import HELLO, RESPOND_HELLO, http_service

pytestmark = pytest.mark.usefixtures("model")

ENTRIES_MAX = 10_000
VOID = {"meta", "link", "br", "img", "hr"}
HOSTILE = ["<script>alert(1)", "a&amp;b", "q\"uote'", "javascript:alert(1)", "per%cent", "que?ry", "ha#sh",
           " lead", "trail ", "back\\slash", "\u00fcml\u00e4ut", "\U0001f4c4",
           "bidi\u202eevil", "x" * 255]


class Page(html.parser.HTMLParser):
    """The page taken apart; every element must be closed where it should be."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.links, self.heading, self.style, self.texts = [], [], "", "", []
        assert text.startswith("<!DOCTYPE html>\n")
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert not any(name.startswith("on") or name == "style" for name, _ in attrs)
        assert tag != "script"
        if tag == "a":
            self.links.append([dict(attrs)["href"], ""])
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        where = self.open[-1] if self.open else None
        if where == "a":
            self.links[-1][1] += data
        elif where == "h1":
            self.heading += data
        elif where == "style":
            self.style += data
        elif where == "p":
            self.texts.append(data)


def listing(folder, path="/", kind="root", more="autoindex = true;"):
    return f'{{ path = "{path}"; {kind} = "{folder}"; {more} }}'


def as_json(web, target):
    r = web.get(target, headers=[("Accept", "application/json")])
    assert (r.status, r.get("content-type"), r.get("vary")) == (200, "application/json", "Accept")
    return json.loads(r.body)


@pytest.fixture
def folder(www):
    folder = www({"b2.txt": b"12345", "b10.txt": b"", "A.txt": b"a", "sub/x": b"x", "Zed/index.html": b"zed\n",
                  ".hidden": b"", "sub/.hidden": b""})
    (folder / "out").symlink_to("/etc")
    (folder / "passwd").symlink_to("/etc/passwd")
    (folder / "broken").symlink_to("nowhere")
    os.mkfifo(folder / "fifo")
    return folder


def test_a_folder_is_listed_as_a_page(daemon, folder):
    d = daemon(http_service(listing(folder), RESPOND_HELLO))
    web = Http(d.connect())
    r = web.get("/")
    page = Page(r.body.decode())
    assert (r.status, r.get("content-type"), r.get("vary")) == (200, "text/html; charset=utf-8", "Accept")
    assert r.get("cache-control") == "no-cache"
    assert page.heading == "Index of /"
    assert [text for _, text in page.links] == ["sub/", "Zed/", "A.txt", "b2.txt", "b10.txt"]
    for link, text in page.links:
        r = web.get(urllib.parse.urljoin("/", link))
        assert r.status == 200, text
    assert [text for _, text in Page(web.get("/sub/").body.decode()).links] == ["../", "x"]
    assert web.get("/Zed/").body == b"zed\n"
    r = web.get("/sub")
    assert (r.status, r.get("location")) == (301, "/sub/")
    assert web.get("/none/").status == 404
    assert web.get("/A.txt/").status == 404
    assert web.get("/out/").status == 404


def test_the_policy_of_the_page_allows_its_style_and_nothing_else(daemon, folder):
    r = Http(daemon(http_service(listing(folder))).connect()).get("/")
    digest = base64.b64encode(hashlib.sha256(Page(r.body.decode()).style.encode()).digest()).decode()
    policy = r.get("content-security-policy")
    assert f"style-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy and "unsafe" not in policy and "script-src" not in policy


def test_what_the_route_says_comes_in_place_of_what_lists_say(daemon, folder):
    said = {"/control": ('headers : { add : { cache-control = "max-age=5"; }; };', {"cache-control": "max-age=5"}),
            "/private": ('cache_control = "private";', {"cache-control": "private"}),
            "/expires": ("expires = 5;", {"cache-control": "max-age=5"}),
            "/policy": ('headers : { add : { Content-Security-Policy = "default-src *"; '
                        'X-CONTENT-TYPE-OPTIONS = "none"; }; };',
                        {"content-security-policy": "default-src *", "x-content-type-options": "none"})}
    web = Http(daemon(http_service(*(listing(folder, path, "alias", f"autoindex = true; {more}")
                                     for path, (more, _) in said.items()))).connect())
    for path, (_, wanted) in said.items():
        for headers in ([], [("Accept", "application/json")], [("If-None-Match", "*")]):
            answer = web.get(f"{path}/", headers=headers)
            names = [name for name, _ in answer.headers]
            assert len(names) == len(set(names)), (path, names)
            assert answer.get("cache-control") == wanted.get("cache-control", "no-cache")
            for name, value in wanted.items():
                assert answer.get(name) == value, path


def test_a_folder_is_listed_as_json(daemon, folder):
    d = daemon(http_service(listing(folder), listing(folder, "/j", "alias", 'autoindex = "json";'),
                            listing(folder, "/h", "alias", 'autoindex = "html"; dotfiles = true;'),
                            listing(folder, "/n", "alias", "autoindex = false;")))
    web = Http(d.connect())
    entries = as_json(web, "/")
    assert [e["name"] for e in entries] == ["sub", "Zed", "A.txt", "b2.txt", "b10.txt"]
    assert [e["type"] for e in entries] == ["directory"] * 2 + ["file"] * 3
    assert [e.get("size") for e in entries] == [None, None, 1, 5, 0]
    for e in entries:
        mtime = time.strptime(e["mtime"], "%Y-%m-%dT%H:%M:%SZ")
        assert calendar.timegm(mtime) == int((folder / e["name"]).stat().st_mtime)
    r = web.get("/j/")
    assert (r.get("content-type"), r.get("vary"), json.loads(r.body)) == ("application/json", None, entries)
    r = web.get("/h/", headers=[("Accept", "application/json")])
    assert (r.get("content-type"), r.get("vary")) == ("text/html; charset=utf-8", None)
    assert ".hidden" in [text for _, text in Page(r.body.decode()).links]
    assert web.get("/n/").status == 403


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_head_is_get_without_the_body(daemon, folder, accept):
    web = Http(daemon(http_service(listing(folder))).connect())
    get = web.get("/", headers=[("Accept", accept)])
    head = web.get("/", "HEAD", headers=[("Accept", accept)])
    assert [f for f in get.headers if f[0] != "date"] == [f for f in head.headers if f[0] != "date"]
    assert head.body == b""


def test_hostile_names_are_shown_and_linked_as_they_are(daemon, www):
    folder = www({})
    names = [n.encode() for n in HOSTILE] + [b"bad\xff\xfeutf8", b"\xc3", b"cut\xe2\x82"]
    for name in names:
        with open(os.path.join(os.fsencode(folder), name), "wb") as f:
            f.write(name)
    os.mkdir(folder / "d<i>r")
    for name in ("new\nline", "tab\tbed", "del\x7f"):     # no request can name them
        (folder / name).touch()
    web = Http(daemon(http_service(listing(folder))).connect())
    page = Page(web.get("/").body.decode())             # which is valid UTF-8
    got = []
    for link, _ in page.links[1:]:
        assert link.startswith("./") and re.fullmatch(r"[\x21-\x7e]+", link)
        r = web.get(urllib.parse.urljoin("/", link))
        assert r.status == 200
        got.append(r.body)
    assert sorted(got) == sorted(names)
    assert page.links[0] == ["./d%3Ci%3Er/", "d<i>r/"]
    assert set(HOSTILE) <= {text for _, text in page.links}
    listed = [e["name"] for e in as_json(web, "/")]
    assert set(HOSTILE) <= set(listed)
    assert len([n for n in listed if "\ufffd" in n]) == 3
    assert Page(web.get("/d%3Ci%3Er/").body.decode()).heading == "Index of /d<i>r/"


def many_files(folder, n):
    for i in range(n):
        (folder / f"file{i:05}").touch()


def test_a_huge_folder_is_cut_and_says_so_while_others_are_served(daemon, www):
    folder = www({})
    many_files(folder, ENTRIES_MAX + 1)
    d = daemon(http_service(listing(folder), RESPOND_HELLO))
    web, other = Http(d.connect()), Http(d.connect())
    web.send(request("/") * 3)
    for _ in range(50):
        assert other.get("/hello").body == HELLO
    for _ in range(3):
        page = Page(web.read().body.decode())
        assert len(page.links) == ENTRIES_MAX
        assert [t for t in page.texts if str(ENTRIES_MAX) in t]
    r = web.get("/", headers=[("Accept", "application/json")])
    assert (len(json.loads(r.body)), r.get("x-truncated")) == (ENTRIES_MAX, "true")
    (folder / "file00000").unlink()
    r = web.get("/", headers=[("Accept", "application/json")])
    assert (len(json.loads(r.body)), r.get("x-truncated")) == (ENTRIES_MAX, None)
    assert Page(web.get("/").body.decode()).texts == []


def test_lists_in_a_pipeline_with_files_keep_their_order(daemon, folder):
    d = daemon(http_service(listing(folder), RESPOND_HELLO))
    web = Http(d.connect())
    order = ["/", "/hello", "/sub/", "/A.txt", "/none/", "/", "/b2.txt"] * 20
    sender = threading.Thread(target=web.send, args=(b"".join(request(t) for t in order),))
    sender.start()
    first = web.read().body
    for target in order[1:]:
        r = web.read()
        expected = {"/": first, "/hello": HELLO, "/A.txt": b"a", "/b2.txt": b"12345",
                    "/none/": b"404 Not Found\n"}.get(target, r.body)
        assert r.body == expected, target
        assert r.status == (404 if target == "/none/" else 200)
    sender.join()


def test_clients_that_leave_while_a_list_is_made_leave_nothing_behind(daemon, www):
    folder = www({})
    many_files(folder, 2000)
    d = daemon(http_service(listing(folder), RESPOND_HELLO))
    assert Http(d.connect()).get("/hello").body == HELLO
    before = d.fds()
    for i in range(60):
        s = d.connect()
        s.sendall(request("/") * (1 + i % 3))
        s.close()
    web = Http(d.connect())
    assert web.get("/").status == 200
    web.close()
    wait_until(lambda: d.fds() <= before, what="all connections and folders being closed")


def test_lists_that_are_being_made_arrive_when_the_daemon_stops(daemon, www):
    folder = www({})
    many_files(folder, 5000)
    d = daemon(http_service(listing(folder), RESPOND_HELLO))
    webs = [Http(d.connect()) for _ in range(5)]
    for web in webs:
        web.send(request("/hello") + request("/"))
        assert web.read().body == HELLO     # and the next request has come with the first
    d.signal(SIGTERM)
    for web in webs:
        assert len(Page(web.read().body.decode()).links) == 5000
    assert d.wait() == 0


def test_a_half_closed_client_gets_its_list(daemon, folder):
    d = daemon(http_service(listing(folder)))
    s = d.connect()
    s.sendall(request("/sub/"))
    s.shutdown(1)
    web = Http(s)
    assert [text for _, text in Page(web.read().body.decode()).links] == ["../", "x"]
    assert web.at_end()
