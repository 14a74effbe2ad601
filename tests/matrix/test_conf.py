# SPDX-License-Identifier: BSD-2-Clause
"""The configuration as a user meets it: -t, -T and -o, exit statuses, complaints, hostile files, the sample,
the manual."""

import os
import random
import re
import stat
import subprocess

import pytest

import conftest
import harness

RUN_TIMEOUT = 120       # seconds: a run that takes longer hangs

ECHO = 'services = ( { name = "e"; protocol = "echo"; listen = "127.0.0.1:0"; } );\n'

FULL = r'''
workers = 3; io_model = "%(model)s"; user = "root"; group = "root"; mime_types = "%(folder)s/mime";
log : { target = "file:%(folder)s/a \"log\""; level = "debug"; };
access_log : { target = "file:%(folder)s/access"; format = "$peer\t\"$request\" ${status} $$"; };
timeouts : { header = 0.001; body = 1.5; idle = 86400; send = 59.999; drain = 7; };
limits : { connections = 5; request_line = "1k"; header_bytes = "16m"; header_count = 3; body_bytes = "1024g";
           requests = 1000000000; connections_per_address = 7; requests_per_second = 1000000; body_rate = "64k"; };
services = (
  { name = "web"; protocol = "http"; proxy_protocol = true; trusted = [ "10.0.0.0/8", "::1" ];
    listen = ( "0", { address = "[::1]:0"; trusted = "2001:db8::/32"; }, "unix:%(folder)s/sock",
               { address = "127.0.0.1:0"; proxy_protocol = false; } );
    allow = []; deny = [ "::/0" ]; headers : { add : { X-All = "1"; }; };
    routes = (
      { path = "/"; root = "%(folder)s"; index = [ "a", "b" ]; dotfiles = true; },
      { path = "/"; host = "EXAMPLE.org"; root = "/"; index = []; },
      { path = "/r"; respond : { status = 418; type = "a/b"; body = "\x01\x7f\xff \"\\ \xc3\xbc\n"; }; },
      { path = "/to"; redirect = "/there"; },
      { path = "/var"; redirect : { to = "https://${host}$path$query#$$"; }; host = [ "*.Example.org", "[::0]" ]; },
      { path = "/rules"; status = 404; methods = [ "GET", "PUT" ]; allow = [ "10.0.0.0/8", "::1", "unix" ]; deny = "1.2.3.4";
        headers : { add = ( { name = "X.1"; value = "a \"b\""; } ); remove = [ "ETag", "X-All" ]; };
        cache_control = "private=\"x\""; expires = 0; },
      { path = "/to2"; redirect : { status = 308; to = "https://example.org/"; }; },
      { path = "/gone"; status = 410; } ); },
  { name = "greeter"; protocol = "greet"; listen = "127.0.0.1:0"; greeting = ""; }
);
pools = ( { name = "main"; services = [ "web" ]; }, { name = "trial"; io_model = "poll"; workers = "auto"; } );
'''


@pytest.fixture
def full(plain_model, tmp_path):
    """A configuration with every setting."""
    (tmp_path / "mime").write_text("text/plain txt\n")
    return FULL % {"folder": tmp_path, "model": plain_model}


@pytest.fixture
def iomuxd(iomuxd_bin, plain_model, tmp_path):
    """Runs the binary with a configuration in tmp_path; a text becomes the file iomuxd.conf.  Where the default model
    cannot run, another is named for a text that names none."""

    def run(text, *arguments, file="iomuxd.conf"):
        if text is not None:
            (tmp_path / file).write_bytes(text if isinstance(text, bytes) else text.encode())
        names_none = isinstance(text, str) and not re.search(r"^ *io_model = ", text, re.M)
        if plain_model != conftest.DEFAULT_MODEL and (text is None or names_none):
            arguments = ("-o", f"io_model={plain_model}", *arguments)
        done = subprocess.run([str(iomuxd_bin), "-c", file, *arguments], cwd=tmp_path, capture_output=True,
                              stdin=subprocess.DEVNULL, timeout=RUN_TIMEOUT)
        done.stdout = done.stdout.decode(errors="surrogateescape")
        done.stderr = done.stderr.decode(errors="surrogateescape")
        assert not harness.SANITIZER.search(done.stderr), done.stderr
        return done

    return run


def refused(done, *lines):
    assert done.stderr.splitlines() == list(lines)
    assert done.stdout == ""
    assert done.returncode == 1


# --- -t ---------------------------------------------------------------------------------------------------

def test_a_good_configuration_passes(iomuxd):
    done = iomuxd(ECHO, "-t")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "iomuxd.conf: configuration ok\n")


def test_what_is_hardly_meant_is_told_and_passes(iomuxd):
    text = 'services = ( { name = "s"; protocol = "status";\n listen = "9000"; } );\n'
    done = iomuxd(text, "-t")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.splitlines() == [
        'iomuxd.conf:1: services.[0]: anybody can read the statistics; allow = [ "127.0.0.1", "::1" ] limits it',
        "iomuxd.conf: configuration ok"]
    assert iomuxd(text, "-T").stderr == ""


def test_all_mistakes_are_told_at_once_with_their_lines(iomuxd, iomuxd_bin):
    done = iomuxd('wokers = 2;\n'
                  'timeouts : {\n'
                  '  idle = "long";\n'
                  '  darin = 5;\n'
                  '};\n'
                  'io_model = "epol";\n'
                  'services = (\n'
                  '  { name = "a"; protocol = "htpp"; listen = "127.0.0.1:0"; },\n'
                  '  { name = "a"; protocol = "http";\n'
                  '    listen = [ "127.0.0.1:80",\n'
                  '               "localhost:80",\n'
                  '               "127.0.0.1:80" ];\n'
                  '    routes = ( { path = "/"; root = "/nonexistent"; },\n'
                  '               { path = "x"; status = 404; } ); }\n'
                  ');\n', "-t")
    lines = done.stderr.splitlines()
    assert done.returncode == 1
    names = [model[0] for model in conftest.listed_models(iomuxd_bin)]
    assert lines.pop(3) == ('iomuxd.conf:6: io_model: "epol" cannot be used: there is no such model, only '
                            + ", ".join(names) + ("; did you mean 'epoll'?" if "epoll" in names else ""))
    assert lines == [
        "iomuxd.conf:1: wokers: is no known setting; did you mean 'workers'?",
        'iomuxd.conf:3: timeouts.idle: must be a number of seconds from 0.001 to 86400, not "long"',
        "iomuxd.conf:4: timeouts.darin: is no known setting; did you mean 'drain'?",
        'iomuxd.conf:8: services.[0].protocol: must be "http", "greet", "echo", "discard", "chargen",'
        ' "daytime", "time" or "status", not "htpp"; did you mean \'http\'?',
        'iomuxd.conf:9: services.[1].name: "a" is taken: each service has a name of its own',
        'iomuxd.conf:11: services.[1].listen.[1]: "localhost:80": \'localhost\' is not an IPv4 address; names'
        ' are not looked up, so write an address such as 127.0.0.1',
        'iomuxd.conf:12: services.[1].listen.[2]: "127.0.0.1:80" is taken by service "a"',
        'iomuxd.conf:13: services.[1].routes.[0].root: "/nonexistent": No such file or directory',
        'iomuxd.conf:14: services.[1].routes.[1].path: "x" must begin with \'/\'',
    ]


def test_a_start_with_mistakes_fails_like_the_test(iomuxd):
    text = 'wokers = 2;\n' + ECHO
    refused(iomuxd(text), *iomuxd(text, "-t").stderr.splitlines())


def test_a_syntax_error_has_its_line_and_says_what_is_wanted(iomuxd):
    refused(iomuxd('workers = 2;\nuser "x";\n', "-t"),
            "iomuxd.conf:2: syntax error at \"x\": expected '=' behind the name of a setting")
    refused(iomuxd('timeouts : {\n idle = 10s;\n};\n', "-t"),
            "iomuxd.conf:2: syntax error: 10s is not a number; text needs quotes")
    refused(iomuxd(ECHO + "\n/* to the end\n", "-t"),
            "iomuxd.conf:3: syntax error: /* begins a comment that has no end")
    refused(iomuxd("workers = 1;\nworkers = 2;\nuser = x;\n", "-t"),
            "iomuxd.conf:2: workers: is set twice, first at line 1",
            "iomuxd.conf:3: syntax error at x: expected a value; text needs quotes")


def test_what_libconfig_would_stop_at_is_told_with_everything_else(iomuxd, tmp_path):
    (tmp_path / "more").write_text('name = "again";\nworkers = 2;\n')
    refused(iomuxd('wokers = 2;\n'
                   'services = (\n'
                   '  { name = "a"; protocol = "echo"; listen = [ "127.0.0.1:0",\n'
                   '                                              8080 ]; },\n'
                   '  { name = "b"; protocol = "echo"; listen = "127.0.0.1:0";\n'
                   '    listen = "127.0.0.1:1"; listen = { a = 1; }\n'
                   '@include "more"\n'
                   '  } );\n'
                   'services = ( { name = "x"; name = "y"; } );\n'
                   'timeouts : { idle = 0; };\n', "-t", "-o", "log={level=\"info\"; level=\"warn\"}"),
            "iomuxd.conf:1: wokers: is no known setting; did you mean 'workers'?",
            "iomuxd.conf:4: services.[0].listen.[1]: the elements of an array [ ] must be of one type; a list ( )"
            " takes any",
            "iomuxd.conf:6: services.[1].listen: is set twice, first at line 5",
            "iomuxd.conf:6: services.[1].listen: is set twice, first at line 5",
            "more:1: services.[1].name: is set twice, first at iomuxd.conf:5",
            "more:2: services.[1].workers: is no known setting",
            "iomuxd.conf:9: services: is set twice, first at line 2",
            "iomuxd.conf:9: services.[0].name: is set twice, first at line 9",
            "iomuxd.conf:10: timeouts.idle: must be a number of seconds from 0.001 to 86400, not 0",
            '-o log={level="info"; level="warn"}: log.level: is set twice in the same group')


@pytest.mark.skipif(os.geteuid() != 0, reason="only a daemon that root starts needs accounts")
def test_accounts_that_are_not_there_are_told_with_everything_else(iomuxd):
    refused(iomuxd('workers = 0;\n'
                   'user = "no-such-user";\n'
                   'timeouts : { idle = 0; };\n'
                   'group = "no-such-group";\n' + ECHO + 'wokers = 1;\n', "-t"),
            'iomuxd.conf:1: workers: must be "auto" or a whole number from 1 to 1024, not 0',
            'iomuxd.conf:2: user: there is no user "no-such-user"',
            "iomuxd.conf:3: timeouts.idle: must be a number of seconds from 0.001 to 86400, not 0",
            'iomuxd.conf:4: group: there is no group "no-such-group"',
            "iomuxd.conf:6: wokers: is no known setting; did you mean 'workers'?")
    refused(iomuxd(ECHO, "-t", "-o", "user=" + "u" * 300),
            f'-o user={"u" * 300}: user: there is no user "{"u" * 60}"')


def test_a_log_target_that_is_not_in_this_build_is_told_with_everything_else(iomuxd):
    done = iomuxd('workers = 0;\nlog : {\n  target = "journal"; };\nwokers = 1;\n' + ECHO, "-t")
    lines = done.stderr.splitlines()
    assert done.returncode == 1
    if len(lines) == 3:
        assert lines.pop(1) == 'iomuxd.conf:3: log.target: "journal" is not in this build (no libsystemd)'
    assert lines == ['iomuxd.conf:1: workers: must be "auto" or a whole number from 1 to 1024, not 0',
                     "iomuxd.conf:4: wokers: is no known setting; did you mean 'workers'?"]


def test_a_word_that_is_nearly_right_is_named(iomuxd):
    for option, near in (("io_model=pol", "poll"), ("io_model=EPOLL", "epoll"), ("io_model=atuo", "auto"),
                         ("workers=Auto", "auto"), ("log.level=wran", "warn"), ("log.target=sdterr", "stderr"),
                         ("access_log.target=of", "off"), ("access_log.format=jsno", "json"),
                         ("services.e.protocol=ecoh", "echo"), ("services.e.listen=UDP:7", "udp:"),
                         ("pools=({name=\"p\"; io_model=\"io-uring\";})", "io_uring")):
        done = iomuxd(ECHO, "-t", "-o", option)
        assert done.returncode == 1
        lines = done.stderr.splitlines()
        assert len(lines) == 1 and lines[0].startswith(f"-o {option}: "), lines
        assert lines[0].endswith(f"did you mean '{near}'?"), lines


def test_a_name_of_a_model_that_cannot_run_is_refused_with_the_reason(iomuxd, iomuxd_bin):
    for name, _, available, why in conftest.listed_models(iomuxd_bin):
        done = iomuxd(ECHO, "-t", "-o", f"io_model={name}")
        assert done.returncode == (0 if available else 1), done.stderr
        assert available or (why in done.stderr and name in done.stderr)


# --- -T and -o --------------------------------------------------------------------------------------------

def test_what_is_printed_prints_the_same_again(iomuxd, full):
    for text in (ECHO, full):
        once = iomuxd(text, "-T")
        assert (once.returncode, once.stderr) == (0, "")
        twice = iomuxd(once.stdout.encode(errors="surrogateescape"), "-T", file="printed.conf")
        assert (twice.returncode, twice.stderr, twice.stdout) == (0, "", once.stdout)


def test_defaults_are_printed(iomuxd, plain_model):
    shown = iomuxd(ECHO, "-T").stdout
    for line in ('workers = "auto";', f'io_model = "{plain_model}";', '    target = "auto";', '    level = "info";',
                 '    format = "combined";', "    header = 10;", "    idle = 60;", "    connections = 10000;",
                 "    body_bytes = 1048576;"):
        assert line in shown.splitlines()


def test_overrides_win_over_the_file(iomuxd):
    shown = iomuxd("workers = 9;\n" + ECHO, "-T", "-o", "workers=2", "-o", "timeouts.idle=0.5",
                   "-o", "log.level=debug", "-o", "services.[0].name=f",
                   "-o", 'services.f.listen=["127.0.0.1:0", "[::1]:0"]').stdout
    for line in ("workers = 2;", "    idle = 0.5;", '    level = "debug";', '        name = "f";',
                 '        listen = [ "127.0.0.1:0", "[::1]:0" ];'):
        assert line in shown.splitlines()


def test_a_bare_number_may_be_an_address(iomuxd):
    shown = iomuxd(ECHO, "-T", "-o", "services.[0].listen=8081").stdout
    assert '        listen = [ "8081" ];' in shown.splitlines()


def test_wrong_overrides_are_told_by_their_option(iomuxd):
    refused(iomuxd(ECHO, "-t", "-o", "workers=0", "-o", "log.levle=debug", "-o", "services.[4].name=x",
                   "-o", "nothing"),
            '-o workers=0: workers: must be "auto" or a whole number from 1 to 1024, not 0',
            "-o log.levle=debug: log.levle: is no known setting; did you mean 'level'?",
            "-o services.[4].name=x: services: has no element [4]; it has 1",
            "-o nothing: is no PATH=VALUE: the '=' is missing")


def test_a_wrong_root_is_told_by_its_own_place(iomuxd, tmp_path):
    text = ('services = ( { name = "w"; protocol = "http"; listen = "127.0.0.1:0"; routes = (\n'
            '  { path = "/";\n    root = "/nonexistent/file"; } ); } );\n')
    option = "services.[0].routes.[0].root=/nonexistent/option"
    refused(iomuxd(text, "-t"),
            'iomuxd.conf:3: services.[0].routes.[0].root: "/nonexistent/file": No such file or directory')
    refused(iomuxd(text, "-t", "-o", option),
            f'-o {option}: services.[0].routes.[0].root: "/nonexistent/option": No such file or directory')


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts workers that may less than their master")
def test_what_workers_may_not_read_is_told_by_its_own_place(iomuxd, tmp_path):
    text = ('user = "nobody"; workers = 1;\n'
            'services = ( { name = "w"; protocol = "http"; listen = "127.0.0.1:0"; routes = (\n'
            '  { path = "/";\n    root = "/"; } ); } );\n')
    (tmp_path / "secret").mkdir(mode=0o700)
    (tmp_path / "mime").write_text("")
    (tmp_path / "mime").chmod(0o600)
    option = f"services.[0].routes.[0].root={tmp_path}/secret"
    done = iomuxd(text, "-o", option)
    assert done.returncode == 1
    assert re.search(rf"-o {re.escape(option)}: services\.w\.routes\.\[0\]\.root: cannot open {tmp_path}/secret: "
                     r"Permission denied$", done.stderr, re.M), done.stderr
    done = iomuxd(text + f'mime_types = "{tmp_path}/mime";\n')
    assert done.returncode == 1
    assert re.search(rf"iomuxd\.conf:5: mime_types: cannot read {tmp_path}/mime: Permission denied$", done.stderr,
                     re.M), done.stderr


# --- files ------------------------------------------------------------------------------------------------

def test_a_file_that_cannot_be_read_is_named(iomuxd, tmp_path):
    refused(iomuxd(None, "-t"), "iomuxd.conf: No such file or directory")
    refused(iomuxd(None, "-t", file="."), ".: is a folder, not a file")
    refused(iomuxd(None, "-t", file="/dev/zero"), "/dev/zero: is not a regular file")
    os.mkfifo(tmp_path / "fifo")
    refused(iomuxd(None, "-t", file="fifo"), "fifo: is not a regular file")
    if os.geteuid() != 0:
        (tmp_path / "secret").write_text(ECHO)
        (tmp_path / "secret").chmod(0)
        refused(iomuxd(None, "-t", file="secret"), "secret: Permission denied")


def test_an_empty_file_has_no_services(iomuxd):
    refused(iomuxd("", "-t"), "iomuxd.conf:1: services: is missing; iomuxd needs one service at least")


def test_a_file_of_100_mb_is_not_read(iomuxd, tmp_path):
    with open(tmp_path / "long", "wb") as f:
        f.write(ECHO.encode())
        f.truncate(100 << 20)
    refused(iomuxd(None, "-t", file="long"), "long: is too long: a configuration has at most 1 MiB")


@pytest.mark.parametrize("seed", range(4))
def test_garbage_is_refused_in_one_line_without_control_bytes(iomuxd, seed):
    garbage = random.Random(seed).randbytes(1 << (4 * seed + 4))
    done = iomuxd(garbage, "-t")
    assert done.returncode == 1
    assert re.fullmatch(r"iomuxd\.conf:\d+: [^\x00-\x1f\x7f]+\n", done.stderr)


@pytest.mark.parametrize("what", ["self", "missing", "folder", "fifo", "/dev/zero", "long"])
def test_an_include_that_cannot_be_read_is_refused(iomuxd, tmp_path, what):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    with open(tmp_path / "long", "wb") as f:
        f.truncate(100 << 20)
    (tmp_path / "self").write_text('@include "self"\n')
    done = iomuxd(f'\n@include "{what}"\n' + ECHO, "-t")
    assert done.returncode == 1
    assert re.fullmatch(r'(iomuxd\.conf:2|self:1): @include: [^\n]+\n', done.stderr)


def test_mistakes_in_an_included_file_name_that_file(iomuxd, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "main").write_text('\n@include "part"\nwrokers = 1;\n')
    (tmp_path / "sub" / "part").write_text(ECHO + "\nusre = 1;\n")
    refused(iomuxd(None, "-t", file="sub/main"),
            "sub/part:3: usre: is no known setting; did you mean 'user'?",
            "sub/main:3: wrokers: is no known setting; did you mean 'workers'?")


def test_a_configuration_of_damaged_bytes_is_refused_or_read(iomuxd, full):
    whole = full.encode()
    chance = random.Random(7)
    for _ in range(40):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 8)):
            at = chance.randrange(len(damaged))
            choice = chance.randrange(3)
            if choice == 0:
                damaged[at] = chance.randrange(256)
            elif choice == 1:
                del damaged[at:at + chance.randint(1, 20)]
            else:
                damaged[at:at] = damaged[:chance.randint(1, 100)]
        done = iomuxd(bytes(damaged), "-t")
        assert done.returncode in (0, 1)
        assert done.returncode == 0 or done.stderr.count("\n") >= 1
        for line in done.stderr.splitlines():
            assert re.match(r"(iomuxd\.conf|printed\.conf)(:\d+)?: ", line), line


# --- what ships -------------------------------------------------------------------------------------------

def sample(folder):
    text = (conftest.REPOSITORY / "etc" / "iomuxd.conf.in").read_text()
    (folder / "www").mkdir(exist_ok=True)
    return text.replace("@pkgdatadir@", str(folder)).replace("@sysconfdir@", str(folder))


def uncommented(text):
    return re.sub(r"^( *)#(,?\{|[a-z_]+ ?[=:]|\};|\);| {4}[a-z{])", r"\1\2", text, flags=re.M)


def test_the_sample_passes_as_it_is(iomuxd, tmp_path):
    assert iomuxd(sample(tmp_path), "-t").returncode == 0


def test_the_sample_shows_the_defaults(iomuxd, plain_model, tmp_path, features):
    """With its comments taken away it is a configuration, and only what has no fixed default differs."""
    text = uncommented(sample(tmp_path)).replace("/etc/mime.types", str(tmp_path / "mime"))
    text = text.replace("/srv/errors/404.html", str(tmp_path / "404.html")).replace("/srv/downloads", str(tmp_path))
    (tmp_path / "mime").write_text("")
    (tmp_path / "404.html").write_text("<p>not here</p>")
    (tmp_path / "iomuxd.htpasswd").write_text("anna:$1$abcdefgh$Abj3MQ9GTohjsHn6M1Vr5/\n")
    if "libxcrypt" not in features:
        text = re.sub(r"^ *basic_auth .*\n", "", text, flags=re.M)
    text = re.sub(r'(user|group) = "iomuxd"', r'\1 = "root"', text).replace('"io_uring"', '"poll"')
    text = text.replace('io_model = "epoll"', f'io_model = "{plain_model}"')
    plain, full = iomuxd(sample(tmp_path), "-T"), iomuxd(text, "-T", file="full.conf")
    assert (plain.returncode, full.returncode) == (0, 0), full.stderr
    defaults, shown = (t.stdout.split("services = (")[0] for t in (plain, full))
    defaults = re.sub(r"^# (user|group|control|mime_types) is not set\n", "", defaults, flags=re.M)
    shown = re.sub(r"^(user|group|control|mime_types) = .*\n", "", shown, flags=re.M)
    assert shown == defaults
    for key in ("header", "body", "idle", "send", "drain", "connections", "request_line", "header_bytes",
                "header_count", "body_bytes", "requests", "level", "format", "workers", "io_model"):
        assert re.search(rf"^ *{key} = ", text, re.M), f"the sample does not show {key}"


# In which sections of the manual the settings of a table stand.
SECTIONS = {
    "conf_settings": None,      # all of them: groups are sections
    "log_settings": ["log"], "access_settings": ["access_log"], "timeout_settings": ["timeouts"],
    "limit_settings": ["limits"], "conf_pool_settings": ["pools"],
    "conf_service_settings": ["services"], "conf_listen_settings": ["services"],
    "conf_route_settings": ["routes", "What"], "respond_settings": ["routes"], "redirect_settings": ["routes"],
    "conf_error_page_settings": ["Error"], "header_settings": ["What"], "auth_settings": ["What"],
}


def settings_by_table():
    """Table -> keys, as the program has them."""
    source = (conftest.REPOSITORY / "src" / "conf" / "conf_table.c").read_text()
    proxy = re.search(r"#define PROXY_SETTINGS\(type\).*?[^\\]\n", source, re.S)
    source = source.replace(proxy[0], "").replace("PROXY_SETTINGS(", proxy[0] + "(")
    tables = re.findall(r"^(?:static )?const struct conf_setting (\w+)\[\] = \{\n(.*?)^\};", source, re.S | re.M)
    return {name: re.findall(r'\.key = "(\w+)"', rows) for name, rows in tables}, len(re.findall(r'\.key = "', source))


def test_the_manual_has_every_setting():
    manual = (conftest.REPOSITORY / "man" / "iomuxd.conf.5").read_text()
    sections = {part.split(maxsplit=1)[0]: part for part in manual.split("\n.Ss ")[1:]}
    tables, rows = settings_by_table()
    assert tables.keys() == SECTIONS.keys() and rows == sum(map(len, tables.values())) > 80
    for table, keys in tables.items():
        text = manual if SECTIONS[table] is None else "".join("Ss " + sections[s] for s in SECTIONS[table])
        for key in keys:
            assert re.search(rf"^\.(It Cm (\w+ , )*{key}\b|Ss {key} [=:])", text, re.M), f"{table}: no {key} in iomuxd.conf(5)"


def test_what_the_program_prints_are_settings_of_these_tables(iomuxd, full):
    """Nothing is read past the tables."""
    shown = set(re.findall(r"^ *([a-z_]+) [=:] ", iomuxd(full, "-T").stdout, re.M))
    tables, _ = settings_by_table()
    assert {"workers", "listen", "redirect", "to", "greeting", "level", "header_count"} <= shown
    assert shown <= {key for keys in tables.values() for key in keys} | {"name", "value"}


def test_a_configuration_is_not_written_to(iomuxd, tmp_path):
    iomuxd(ECHO, "-T")
    assert (tmp_path / "iomuxd.conf").read_text() == ECHO
    assert sorted(p.name for p in tmp_path.iterdir()) == ["iomuxd.conf"]
    assert stat.S_ISREG((tmp_path / "iomuxd.conf").stat().st_mode)
