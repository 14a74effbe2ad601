# SPDX-License-Identifier: BSD-2-Clause
"""What was built, before anybody installs it."""

import filecmp
import pathlib
import re
import subprocess


def files_of(package):
    lines = subprocess.run(["dpkg-deb", "-c", package], check=True, capture_output=True, text=True).stdout
    return {line.split()[5].lstrip("."): line.split()[0] for line in lines.splitlines()}


def test_two_builds_give_the_same_bytes(built):
    names = sorted(p.name for p in built.first.glob("*.deb"))
    assert [re.sub("_.*", "", name) for name in names] == ["iomux-bench-dbgsym", "iomux-bench", "iomuxd-dbgsym", "iomuxd"]
    assert names == sorted(p.name for p in built.second.glob("*.deb"))
    for name in names:
        assert filecmp.cmp(built.first / name, built.second / name, shallow=False), \
            f"{name} differs (diffoscope {built.first / name} {built.second / name})"


def test_lintian_has_nothing_to_say(built):
    changes, = built.first.glob("*.changes")
    done = subprocess.run(["lintian", "--allow-root", "--info", "--pedantic", "--display-info",
                           "--fail-on=error,warning,info,pedantic", changes], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_what_the_build_needs_is_stated(built):
    """bootstrap's list and debian/control agree; a machine that has more than it needs would not show it."""
    top = pathlib.Path(__file__).resolve().parent.parent.parent
    listed = re.search(r"build\) echo (.*?);;", (top / "bootstrap").read_text(), re.S).group(1)
    stated = re.search(r"^Build-Depends:(.*?)^\S", (top / "debian" / "control").read_text(), re.S | re.M).group(1)
    libraries = {word for word in listed.split() if word.endswith("-dev")} - {"libc6-dev"}
    assert libraries == set(re.findall(r"[\w-]+-dev\b", stated))
    optional = re.findall(r"^IOMUXD_OPTIONAL\(\[(\w+)\]", (top / "configure.ac").read_text(), re.M)
    chosen = re.findall(r"--with-(\w+)(?=[ \n])", (top / "debian" / "rules").read_text())
    assert optional and sorted(chosen) == sorted(optional)


def test_the_package_has_everything_that_belongs_to_it(built):
    files = files_of(built.package)
    for path in ("/usr/sbin/iomuxd", "/usr/bin/iomuxctl", "/etc/iomuxd.conf", "/etc/logrotate.d/iomuxd",
                 "/lib/systemd/system/iomuxd.service", "/lib/systemd/system/iomuxd.socket",
                 "/usr/lib/sysusers.d/iomuxd.conf", "/usr/lib/tmpfiles.d/iomuxd.conf",
                 "/usr/share/bash-completion/completions/iomuxd",
                 "/usr/share/bash-completion/completions/iomuxctl",
                 "/usr/share/zsh/vendor-completions/_iomuxd", "/usr/share/zsh/vendor-completions/_iomuxctl",
                 "/usr/share/iomuxd/www/index.html", "/usr/share/doc/iomuxd/copyright",
                 "/usr/share/doc/iomuxd/README.gz", "/usr/share/man/man8/iomuxd.8.gz",
                 "/usr/share/man/man5/iomuxd.conf.5.gz", "/usr/share/man/man1/iomuxctl.1.gz"):
        assert path in files
    assert not [path for path, mode in files.items() if "s" in mode or "t" in mode[-1]]


def test_what_measures_is_a_package_of_its_own(built):
    files = files_of(built.bench)
    for path in ("/usr/bin/iomux-load", "/usr/share/man/man1/iomux-load.1.gz",
                 "/usr/bin/iomux-bench", "/usr/share/man/man1/iomux-bench.1.gz", "/usr/libexec/iomux-bench/iomux-floor",
                 "/usr/share/iomux-bench/iomux_bench/cli.py",
                 "/usr/share/bash-completion/completions/iomux-bench", "/usr/share/zsh/vendor-completions/_iomux-bench",
                 "/usr/share/bash-completion/completions/iomux-load", "/usr/share/zsh/vendor-completions/_iomux-load",
                 "/usr/share/doc/iomux-bench/iomux-bench.html", "/usr/share/doc-base/iomux-bench.iomux-bench",
                 "/usr/share/doc/iomux-bench/copyright"):
        assert path in files
    assert not {p for p in files if not p.endswith("/")} & {p for p in files_of(built.package) if not p.endswith("/")}


def test_the_program_is_hardened(built, tmp_path):
    """Position independent, all symbols bound at start, checked buffers: what hardening-check(1) looks at."""
    for package in built.package, built.bench:
        subprocess.run(["dpkg-deb", "-x", package, tmp_path], check=True)
    for program in "usr/sbin/iomuxd", "usr/bin/iomuxctl", "usr/bin/iomux-load":
        looked = subprocess.run(["readelf", "-W", "-h", "-l", "-d", "--dyn-syms", tmp_path / program], check=True,
                                capture_output=True, text=True).stdout
        assert re.search(r"Type: +DYN", looked)
        assert "GNU_RELRO" in looked
        assert re.search(r"FLAGS.*(BIND_)?NOW", looked)
        assert re.search(r"GNU_STACK.* RW ", looked)
        assert "__stack_chk_fail" in looked
        assert "_chk@GLIBC" in looked
