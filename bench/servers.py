# SPDX-License-Identifier: BSD-2-Clause
"""The servers that are compared: how each is built, configured, started in the foreground and stopped.

A started server is a Running: its port and its processes.  Knows nothing of load and of figures."""
import grp
import os
import pwd
import re
import socket
import subprocess

from iomux_bench.process import Failure, Running

FIXED_BODY = b"Hello, World!\n"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def _nobody():
    """The account that workers drop to when the bench runs as root."""
    account = pwd.getpwnam("nobody")
    return account.pw_name, grp.getgrgid(account.pw_gid).gr_name


class Server:
    """A server that can be started again and again.  Subclasses know how."""

    threads = False             # it has many, which wait for each other

    def __init__(self, name, setup):
        self.name = name
        self.setup = setup

    def launch(self, argv, ready):
        running = Running(self.name, argv, self.setup.server_cpu, self.setup.folder_new(self.name))
        try:
            running.wait_ready(ready)
        except BaseException:
            running.stop()
            raise
        return running


class Floor(Server):
    """bench/floor.c.  It sends what another server answered, so that both move the same bytes."""

    def __init__(self, setup):
        super().__init__("floor", setup)
        self._binary = os.path.join(setup.folder, "floor-program")
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "floor.c")
        compiler = os.environ.get("CC", "cc").split()
        built = subprocess.run([*compiler, "-std=gnu17", "-O2", "-D_GNU_SOURCE", source, "-o", self._binary],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if built.returncode != 0:
            raise Failure(f"cannot build the floor:\n{built.stdout}")

    def start(self, row, reply, _capacity):
        argv = [self._binary, "-r", str(len(row.request))]
        in_memory = reply.raw
        if row.sendfile:
            argv += ["-f", self.setup.page(row.path)]
            in_memory = reply.head
        if row.close:
            argv.append("-c")
        file = self.setup.file_new("reply", in_memory)
        return self.launch([*argv, file], lambda log: int(log) if log.strip().isdigit() else 0)


class Nginx(Server):
    """nginx from Debian, tuned, with everything it writes in a folder of ours."""

    CONFIG = """\
daemon off;
worker_processes 1;
%(user)s
pid nginx.pid;
error_log error.log warn;
events { use epoll; worker_connections %(capacity)d; multi_accept on; accept_mutex off; }
http {
    access_log off;
    default_type text/plain;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_timeout 300s;
    keepalive_requests 1000000000;
    open_file_cache max=1000 inactive=300s;
    open_file_cache_valid 60s;
    open_file_cache_min_uses 1;
    client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp;
    uwsgi_temp_path tmp; scgi_temp_path tmp;
    server {
        listen 127.0.0.1:%(port)d deferred backlog=4096;
        root %(root)s;
        location = /fixed { return 200 "%(body)s"; }
    }
}
"""

    def start(self, _row, _reply, capacity):
        prefix = self.setup.folder_new("nginx-prefix")
        port = free_port()
        user = "user %s %s;" % _nobody() if os.geteuid() == 0 else ""
        config = self.setup.file_new("nginx.conf", (self.CONFIG % {
            "user": user, "capacity": capacity, "port": port, "root": self.setup.www,
            "body": FIXED_BODY.decode().replace("\n", "\\n")}).encode())

        def listening(_log):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError:
                return 0
            return port

        return self.launch([self.setup.nginx, "-p", prefix, "-e", "error.log", "-c", config], listening)


class Iomuxd(Server):
    """iomuxd with one worker."""

    THREADED = ("blocking", "aio")

    CONFIG = """\
workers = 1;
io_model = "%(model)s";
%(user)s
log : { target = "stderr"; level = "notice"; };
access_log : { target = "%(access)s"; };
limits : { connections = %(capacity)d; requests = 0; };
services = (
  { name = "bench"; protocol = "http"; listen = [ "127.0.0.1:0" ];
    routes = ( { path = "/"; root = "%(root)s"; },
               { path = "/fixed"; respond : { status = 200; type = "text/plain"; body = "%(body)s"; }; } ); }
);
"""

    def __init__(self, name, setup, binary, model, access="off"):
        super().__init__(name, setup)
        self._binary = binary
        self._access = access
        self._model = model
        self.threads = model in self.THREADED

    def start(self, _row, _reply, capacity):
        user = 'user = "%s"; group = "%s";' % _nobody() if os.geteuid() == 0 else ""
        access = self._access
        if access == "file":
            access = "file:" + os.path.join(self.setup.folder_new("access-log"), "access.log")
        config = self.setup.file_new("iomuxd.conf", (self.CONFIG % {
            "model": self._model, "access": access, "user": user, "capacity": capacity, "root": self.setup.www,
            "body": FIXED_BODY.decode().replace("\n", "\\n")}).encode())

        def ready(log):
            port = re.search(r"listening: bench \S*:(\d+) ", log)
            return int(port[1]) if port and re.search(r"ready: ", log) else 0

        return self.launch([self._binary, "-c", config], ready)
