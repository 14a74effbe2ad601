# SPDX-License-Identifier: BSD-2-Clause
"""Basic authentication with a file of users: who comes in, what the others hear, and that nobody waits for it."""

import base64
import json
import select
import threading
from signal import SIGTERM

import pytest

from client import Http, parse_all, read_to_end, request, send_and_read_to_end
from harness import stopped, wait_until
from sites import RESPOND_HELLO, HELLO, http_service, respond_route, root_route

pytestmark = pytest.mark.usefixtures("model")

# SLOW takes about half a second of CPU time, for which others do not wait.
USERS = """# who may come in
anna:$5$rounds=1000$saltsalt$eKLZU9t9OoPWrqOQsoTIKG0aYkZ5rGOoOQhiIvoSWX2
bj\u00f6rn:$1$abcdefgh$Abj3MQ9GTohjsHn6M1Vr5/:likes colons

carol:$y$j75$abcdefgh$sIElN0ugcYXz0hZEjFHQfthuAyj4x63FyfzseagM7hB
"""
RIGHT = [("anna", "secret"), ("bj\u00f6rn", "p:w d\u00fc"), ("carol", "y")]
SLOW = "slow:$5$rounds=2000000$saltsalt$lT4zq90DislIKGKrYzGY2qqJ5Rt81DcgkJxUEXeTxY9\n"


@pytest.fixture
def guarded(daemon, www, tmp_path, needs, calm):
    """A site whose /private asks who comes, with an access log; .entries(n) waits for n entries."""
    needs("libxcrypt")

    def start(users=USERS, **more):
        folder = www({"private/a.txt": b"0123456789", "private/list/x.txt": b"x"})
        path, log = tmp_path / "users", tmp_path / "access.log"
        path.write_text(users)
        log.touch()
        log.chmod(0o666)
        auth = f'basic_auth : {{ realm = "My \\"house\\""; file = "{path}"; }};'
        d = daemon(http_service(root_route(folder), RESPOND_HELLO, root_route(folder, "/private", auth + "autoindex = true;"),
                                respond_route("/fixed", "fixed", auth)),
                   settings=calm + f'access_log : {{ target = "file:{log}"; format = "json"; }};', **more)

        def entries(n):
            def there():
                lines = log.read_text().splitlines()
                return lines if len(lines) >= n else None
            return [json.loads(line) for line in wait_until(there, what=f"{n} lines in the access log")]

        d.entries = entries
        return d

    return start


def credentials(user, password):
    return [("Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())]


def test_users_come_in_and_the_log_names_them(guarded):
    d = guarded()
    for user, password in RIGHT:
        web = Http(d.connect())
        for _ in range(20):
            assert web.get("/private/a.txt", headers=credentials(user, password)).body == b"0123456789"
        assert web.get("/private/none", headers=credentials(user, password)).status == 404
        assert b"x.txt" in web.get("/private/list/", headers=credentials(user, password)).body
        assert web.get("/fixed", "POST", headers=credentials(user, password), body=b"abc").body == b"fixed"
    entries = d.entries(69)
    # the last line of a connection may come behind the first one of the next
    assert sorted(e["user"] for e in entries) == sorted(user for user, _ in RIGHT for _ in range(23))


@pytest.mark.parametrize("headers", [
    [], credentials("anna", "Secret"), credentials("anna", ""), credentials("nobody", "secret"), credentials("", ""),
    credentials("carol", "secret"), [("Authorization", "Basic YW5uYTpzZWNyZXQ")], [("Authorization", "Bearer x")],
    credentials("anna", "secret") * 2, [("Authorization", "Basic " + "A" * 4000)],
], ids=range(10))
def test_all_others_hear_the_same(guarded, headers):
    d = guarded()
    web = Http(d.connect())
    for target, method in (("/private/a.txt", "GET"), ("/private/none", "GET"), ("/private/a.txt", "OPTIONS"),
                           ("/fixed", "POST")):
        answer = web.get(target, method, headers=headers, body=b"abc" if method == "POST" else None)
        assert answer.status == 401
        assert answer.get("www-authenticate") == 'Basic realm="My \\"house\\"", charset="UTF-8"'
        assert answer.get("etag") is None and answer.body == b"401 Unauthorized\n"
    assert web.get("/hello", headers=headers).body == HELLO
    assert {e["user"] for e in d.entries(5)} == {""}


def test_pipelined_requests_are_answered_in_order(guarded):
    d = guarded()
    right, wrong = credentials("anna", "secret"), credentials("anna", "x")
    data = b"".join(request("/private/a.txt", headers=h) + request("/hello") for h in (right, wrong) * 10)
    data += request("/fixed", "POST", headers=right, body=b"x" * 1000)
    data += request("/private/a.txt", headers=[*right, ("Connection", "close")])
    answers = parse_all(send_and_read_to_end(d.connect(), data))
    assert [a.status for a in answers] == [200, 200, 401, 200] * 10 + [200, 200]


def test_a_client_that_half_closes_hears_the_answer(guarded):
    d = guarded()
    data = send_and_read_to_end(d.connect(), request("/private/a.txt", headers=credentials("carol", "y")), shut=True)
    assert [a.body for a in parse_all(data)] == [b"0123456789"]


def test_clients_that_leave_while_their_password_is_checked_do_no_harm(guarded):
    d = guarded()
    for i in range(40):
        s = d.connect()
        s.sendall(request("/private/a.txt", headers=credentials("carol", f"wrong {i}")))
        s.close()
    assert Http(d.connect()).get("/private/a.txt", headers=credentials("carol", "y")).status == 200
    wait_until(d.quiet, what="rest")


def test_nobody_waits_for_a_password_that_takes_long(guarded):
    """While slow hashes are computed others are answered."""
    d = guarded(USERS + SLOW)
    web, answers = Http(d.connect()), []

    def come_in(password):
        client = Http(d.connect(timeout=170))
        answers.append((password, client.get("/fixed", headers=credentials("slow", password)).status))

    threads = [threading.Thread(target=come_in, args=(p,)) for p in ("right", "wrong")]
    for t in threads:
        t.start()
    served = 0
    while any(t.is_alive() for t in threads):
        assert web.get("/hello").body == HELLO
        served += not answers
    for t in threads:
        t.join()
    assert sorted(answers) == [("right", 200), ("wrong", 401)]
    assert served > 3, "others were answered only when the passwords had been checked"
    assert Http(d.connect()).get("/fixed", headers=credentials("slow", "right")).status == 200


def test_stopping_answers_who_is_being_checked(guarded):
    d = guarded(USERS + SLOW, timeouts={"drain": 100})
    s = d.connect(timeout=170)
    before = d.cpu()
    s.sendall(request("/fixed", headers=credentials("slow", "right")))
    wait_until(lambda: d.cpu() - before > 0.05, what="a hash that is being computed")
    states = [c["state"] for c in d.ask("connections")["connections"]]
    assert states == ["working"] or select.select([s], [], [], 0)[0], "it waits for the hash, unless that is done already"
    with stopped(d.worker()):
        computing = not select.select([s], [], [], 0)[0]
        d.signal(SIGTERM)
        d.wait_log("SIGTERM: stopping")
    assert d.wait(120) == 0
    (answer,) = parse_all(read_to_end(s))
    assert answer.body == b"fixed"
    assert answer.get("connection") == "close" or not computing, "the worker began to go while the hash was computed"
