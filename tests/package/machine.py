# SPDX-License-Identifier: BSD-2-Clause
"""A booted Debian: a copy-on-write view of the cached root, run by systemd-nspawn with a network of its own.

Commands run inside by nsenter, so that no bus and no machined of this machine is needed.  Clients are this process
itself: their sockets are made by a thread that lives in the container's network."""

import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import queue

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "matrix"))
import client                                                                   # noqa: E402

CLONE_NEWNET = 0x40000000
LANDLOCK = "landlock_create_ruleset landlock_add_rule landlock_restrict_self"   # which nspawn forbids by itself
BOOT_S = 60             # the longest that a boot may take; it takes about one second
COMMAND_S = 60          # and a command
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/root",
               "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0", "DEBIAN_FRONTEND": "noninteractive"}


def wait_until(true, what, timeout=20):
    """Waits until true() gives something true, and returns it."""
    deadline = time.monotonic() + timeout
    while True:
        value = true()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {timeout} s for {what}"
        time.sleep(0.05)


class Plumber(threading.Thread):
    """Makes sockets in the network of a process.  A socket stays in the network that it was made in."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.network = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
        self.wishes = queue.SimpleQueue()
        self.start()

    def run(self):
        libc = ctypes.CDLL(None, use_errno=True)
        moved = libc.setns(self.network, CLONE_NEWNET) == 0
        while (wish := self.wishes.get()) is not None:
            family, answer = wish
            answer.put(socket.socket(family, socket.SOCK_STREAM) if moved else OSError(ctypes.get_errno(), "setns"))

    def socket(self, family):
        answer = queue.SimpleQueue()
        self.wishes.put((family, answer))
        made = answer.get(timeout=COMMAND_S)
        if isinstance(made, OSError):
            raise made
        return made

    def close(self):
        self.wishes.put(None)
        self.join()
        os.close(self.network)


def hierarchies():
    """Mount points and our own groups of the cgroup hierarchies in which systemd keeps its services."""
    mounts = {}
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        kind, _, options = rest.split(" ")
        root, point = fields.split(" ")[3:5]
        if kind == "cgroup2":
            mounts[""] = (root, point)
        elif kind == "cgroup" and "name=systemd" in options:
            mounts["name=systemd"] = (root, point)
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers in mounts:
            root, point = mounts[controllers]
            yield pathlib.Path(point) / os.path.relpath(path, root)


class Machine:
    def __init__(self, root, folder):
        self.folder = pathlib.Path(folder)
        self.root = self.folder / "root"
        # two runs may go on at the same time on one machine
        self.name = f"iomuxd-{os.environ['IOMUXD_PACKAGE_TOKEN']}-{self.folder.name}".replace("_", "-")
        self.nspawn = self.init = self.plumber = None
        self.groups = []
        for part in "root", "upper", "work":
            (self.folder / part).mkdir(parents=True)
        options = f"lowerdir={root},upperdir={self.folder}/upper,workdir={self.folder}/work"
        if subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay", self.root],
                          stderr=subprocess.DEVNULL).returncode != 0:
            subprocess.run(["cp", "-a", "--reflink=auto", f"{root}/.", self.root], check=True)

    # --- its life -----------------------------------------------------------------------------------------------

    def move_to_group(self):
        """Where systemd does not run outside, each container needs a group of its own, or two would share one."""
        for above in hierarchies():
            group = above / self.name
            group.mkdir(exist_ok=True)
            self.groups.append(group)

    def boot(self):
        command = ["systemd-nspawn", "--quiet", "--boot", "--settings=no", "--register=no", "--private-network",
                   "--link-journal=no", "--resolv-conf=off", "--timezone=off", "--console=pipe",
                   f"--system-call-filter={LANDLOCK}",
                   f"--machine={self.name}", f"--directory={self.root}"]
        if not os.path.isdir("/run/systemd/system"):
            command.append("--keep-unit")
            self.move_to_group()
        groups = [str(group / "cgroup.procs") for group in self.groups]

        def join_groups():
            for group in groups:
                with open(group, "w", encoding="ascii") as f:
                    f.write(str(os.getpid()))

        self.console = self.folder / "console"
        with open(self.console, "wb") as console:
            self.nspawn = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=console, stderr=console,
                                           preexec_fn=join_groups)
        self.init = wait_until(self.find_init, f"the container ({self.console} says more)", BOOT_S)
        self.plumber = Plumber(self.init)
        wait_until(lambda: self.run("systemctl", "is-system-running", check=False).stdout.strip()
                   in ("running", "degraded"), f"its boot ({self.console} says more)", BOOT_S)
        return self

    def find_init(self):
        """The child of systemd-nspawn that has become an init."""
        assert self.nspawn.poll() is None, f"systemd-nspawn ended:\n{self.console.read_text(errors='replace')}"
        children = pathlib.Path(f"/proc/{self.nspawn.pid}/task/{self.nspawn.pid}/children").read_text().split()
        for child in children:
            try:
                if pathlib.Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                    return int(child)
            except FileNotFoundError:
                pass
        return None

    def halt(self):
        if self.plumber:
            self.plumber.close()
        if self.nspawn and self.nspawn.poll() is None:
            self.nspawn.send_signal(signal.SIGTERM)         # nspawn asks the init to shut down
            try:
                self.nspawn.wait(20)
            except subprocess.TimeoutExpired:
                self.nspawn.kill()                          # its container dies with it
                self.nspawn.wait()
        subprocess.run(["umount", "--lazy", self.root], stderr=subprocess.DEVNULL)
        for group in self.groups:
            for folder, _, _ in os.walk(group, topdown=False):
                try:
                    os.rmdir(folder)
                except OSError:
                    pass                                    # a process is still ending; an empty group does no harm
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- commands -----------------------------------------------------------------------------------------------

    def run(self, *command, check=True, timeout=COMMAND_S, stdin=""):
        """Runs a command inside; stdout and stderr are text, both together in .output."""
        done = subprocess.run(["nsenter", f"--target={self.init}", "--all", "--", *map(str, command)],
                              input=stdin, capture_output=True, text=True, errors="replace", timeout=timeout,
                              env=ENVIRONMENT)
        done.output = done.stdout + done.stderr
        assert not check or done.returncode == 0, f"{command}: status {done.returncode}\n{done.output}"
        return done

    def chroot(self, *command, check=True):
        """The same in a root that is not booted."""
        done = subprocess.run(["chroot", self.root, *map(str, command)], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=COMMAND_S, env=ENVIRONMENT)
        done.output = done.stdout + done.stderr
        assert not check or done.returncode == 0, f"{command}: status {done.returncode}\n{done.output}"
        return done

    def sh(self, script, **options):
        return self.run("sh", "-euc", script, **options)

    def systemctl(self, *arguments, **options):
        return self.run("systemctl", *arguments, **options)

    def show(self, what, unit="iomuxd.service"):
        return self.systemctl("show", "-P", what, unit).stdout.strip()

    def install(self, package, *options, **more):
        """dpkg -i, as quiet as dpkg is on a machine of an administrator who is asked nothing."""
        return self.run_with(package, "dpkg", *options, "-i", **more)

    def install_by_apt(self, package):
        """As the README says.  What it depends on is there."""
        return self.run_with(package, "apt-get", "install", "-y")

    def run_with(self, package, *command, **more):
        target = self.root / "var" / "tmp" / pathlib.Path(package).name
        shutil.copy(package, target)
        try:
            return self.run(*command, f"/var/tmp/{target.name}", **more)
        finally:
            target.unlink()

    # --- files --------------------------------------------------------------------------------------------------

    def path(self, inside):
        return self.root / inside.lstrip("/")

    def read(self, inside):
        return self.path(inside).read_text()

    def write(self, inside, text):
        """A file that everybody may read, in folders that everybody may enter."""
        path = self.path(inside)
        for folder in reversed(path.parents):
            if not folder.exists():
                folder.mkdir()
                folder.chmod(0o755)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(0o644)

    def files(self):
        """Every file, with what it is, but for what dpkg and systemd keep about what happened."""
        found = {}
        moving = re.compile(r"^/(proc|sys|dev|run|tmp|var/tmp|var/lib/(dpkg|apt)|var/log|var/cache/(ldconfig|apt)|"
                            r"var/lib/systemd/(random-seed|timers|catalog|deb-systemd-helper-enabled$)|"
                            r"var/lib/(logrotate|private)|etc/(passwd|group|shadow|gshadow|subuid|subgid)-?$|"
                            r"etc/(machine-id|\.pwd\.lock|ld\.so\.cache))")
        for folder, folders, files in os.walk(self.root):
            for name in folders + files:
                inside = "/" + os.path.relpath(os.path.join(folder, name), self.root)
                if not moving.match(inside):
                    found[inside] = os.lstat(self.root / inside[1:]).st_mode
            folders[:] = [name for name in folders
                          if not moving.match("/" + os.path.relpath(os.path.join(folder, name), self.root))]
        return found

    # --- the journal --------------------------------------------------------------------------------------------

    def cursor(self):
        """A place in the journal: what comes later is behind it."""
        entries = self.run("journalctl", "--sync", check=False)
        assert entries.returncode == 0, entries.output
        last = self.run("journalctl", "-n", "1", "-o", "json", "--no-pager").stdout
        return json.loads(last)["__CURSOR"]

    def journal(self, since=None, unit="iomuxd.service"):
        """The records of a unit, oldest first; its own and those of systemd about it."""
        self.run("journalctl", "--sync", check=False)
        behind = [f"--after-cursor={since}"] if since else []
        text = self.run("journalctl", "-u", unit, "-o", "json", "--all", "--no-pager", *behind).stdout
        return [json.loads(line) for line in text.splitlines()]

    def wait_journal(self, pattern, since=None, timeout=20):
        """The first record whose message has the pattern."""
        def look():
            for record in self.journal(since):
                if isinstance(record.get("MESSAGE"), str) and re.search(pattern, record["MESSAGE"]):
                    return record
            return None
        return wait_until(look, f"a journal entry with {pattern!r}", timeout)

    # --- the service --------------------------------------------------------------------------------------------

    def connect(self, port, address="127.0.0.1"):
        sock = self.plumber.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        sock.settimeout(20)
        sock.connect((address, port))
        return sock

    def get(self, port, target="/", address="127.0.0.1", **options):
        with self.connect(port, address) as sock:
            return client.Http(sock).get(target, **options)

    def refuses(self, port, address="127.0.0.1"):
        try:
            self.connect(port, address).close()
        except ConnectionRefusedError:
            return True
        return False

    def master(self):
        """The number, inside, of the master; 0 if there is none."""
        return int(self.show("MainPID"))

    def workers(self):
        """The numbers, inside, of the workers."""
        return [pid for pid, name in self.children() if name != "iomuxd-logger"]

    def logger(self):
        """The number, inside, of the process that writes the logs."""
        return next(pid for pid, name in self.children() if name == "iomuxd-logger")

    def children(self):
        """Numbers and names of the children of the master."""
        master = self.master()
        text = self.sh(f"for p in $(cat /proc/{master}/task/{master}/children); do "
                       "echo $p $(cat /proc/$p/comm 2>/dev/null || :); done").stdout
        return [(int(words[0]), words[1]) for words in map(str.split, text.splitlines()) if len(words) > 1]

    def kill(self, pid, name):
        self.sh(f"kill -{name} {pid}")

    def status_of(self, pid):
        """/proc/PID/status as a dict."""
        text = self.run("cat", f"/proc/{pid}/status").stdout
        return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)

    def configure(self, text, act="restart"):
        """A new /etc/iomuxd.conf, and the service on it."""
        self.write("/etc/iomuxd.conf", text)
        self.systemctl("reset-failed", "iomuxd.service", check=False)
        self.systemctl(act, "iomuxd.service")
