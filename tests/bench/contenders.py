"""contenders - starts nginx, haproxy, lbd and the origin alike: one worker, one core, same timeouts.

A Setup says what a row needs (servers, hosts, log); each contender turns it into its own
configuration in a directory of its own. Keep-alive to the servers everywhere, access log off unless
asked for, X-Forwarded-For and X-Forwarded-Proto added by all, since lbd always adds them.
"""

import dataclasses
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import time

import procfs

FILES_MAX = 20000
CONNECTIONS_MAX = 19500
START_S = 15


@dataclasses.dataclass
class Farm:
    """Further pools p0... of servers s0..., which get no requests."""

    pools: int
    servers: int
    address: str  # of all of them
    interval: str = ""  # of their health checks; "": none


@dataclasses.dataclass
class Setup:
    """What a row asks of every contender."""

    servers: list  # (address, port), all of one pool
    hosts: int = 0  # virtual hosts h0..., all to that pool; 0: one site for every name
    access_log: bool = False
    master: bool = False  # started so that it can be reloaded
    preload: dict = dataclasses.field(default_factory=dict)  # environment of the malloc counter
    farm: Farm | None = None

    def farm_pools(self):
        """[(pool, [server])]"""
        if self.farm is None:
            return []
        return [(f"p{p}", [f"s{i}" for i in range(self.farm.servers)]) for p in range(self.farm.pools)]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def find_program(*names):
    for name in names:
        path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")
        if path:
            return path
    return None


def cores():
    """(core of the proxy, core of clients and origin); the same one when there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[1 % len(usable)]


class Contender:
    """One proxy: its configuration, its process."""

    name = ""
    program_names = ()
    version_args = ("-v",)

    def __init__(self, where):
        self.where = os.path.join(where, self.name.replace("+", "-"))
        self.process = None
        self.port = 0
        self.errors = os.path.join(self.where, "stderr")

    @classmethod
    def program(cls):
        return find_program(*cls.program_names)

    @classmethod
    def version(cls):
        done = subprocess.run([cls.program(), *cls.version_args], capture_output=True, text=True, check=False)
        return (done.stdout + done.stderr).strip().splitlines()[0]

    def path(self, name):
        return os.path.join(self.where, name)

    def command(self, setup):
        raise NotImplementedError

    def reload(self):
        raise NotImplementedError

    def start(self, setup, core):
        shutil.rmtree(self.where, ignore_errors=True)
        os.makedirs(self.where, mode=0o755)
        self.port = free_port()
        command = self.command(setup)

        def prepare():
            os.sched_setaffinity(0, {core})
            resource.setrlimit(resource.RLIMIT_NOFILE, (FILES_MAX, FILES_MAX))

        with open(self.errors, "wb") as errors:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, preexec_fn=prepare,
                env={**os.environ, **setup.preload}, start_new_session=True)
        deadline = time.monotonic() + START_S
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                with open(self.errors, encoding="utf-8", errors="replace") as errors:
                    raise RuntimeError(f"{self.name} did not start:\n{errors.read()[-2000:]}")
            time.sleep(0.05)
        return self

    def answers(self):
        """Does a request come back with 200?"""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as client:
                client.sendall(b"GET /b/1 HTTP/1.1\r\nHost: h0.bench.test\r\nConnection: close\r\n\r\n")
                return client.recv(64).startswith(b"HTTP/1.1 200")
        except OSError:
            return False

    def pids(self):
        return procfs.tree(self.process.pid)

    def stop(self):
        if self.process is None:
            return
        pids = self.pids() if self.process.poll() is None else []
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for pid in pids[1:]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process = None


class Nginx(Contender):
    name = "nginx"
    program_names = ("nginx",)

    def command(self, setup):
        log = f"{self.path('access.log')} combined buffer=64k flush=1s" if setup.access_log else "off"
        servers = "\n".join(f"    server {host}:{port} max_fails=0;" for host, port in setup.servers)
        location = """location / {
        proxy_pass http://origin;
        proxy_http_version 1.1;
        proxy_set_header Host $http_host;
        proxy_set_header Connection "";
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
    }"""
        farm = "\n".join(f"  upstream {pool} {{ " + " ".join(f"server {setup.farm.address};" for _ in servers) + " }"
                         for pool, servers in setup.farm_pools())
        names = [f"h{i}.bench.test" for i in range(setup.hosts)] or ["_"]
        sites = "\n".join(f"  server {{ listen 127.0.0.1:{self.port} backlog=16384; server_name {name}; {location} }}"
                          if i == 0 else
                          f"  server {{ listen 127.0.0.1:{self.port}; server_name {name}; {location} }}"
                          for i, name in enumerate(names))
        text = f"""daemon off;
worker_processes 1;
worker_rlimit_nofile {FILES_MAX};
pid {self.path('pid')};
error_log {self.path('error.log')} warn;
events {{ worker_connections {CONNECTIONS_MAX}; use epoll; }}
http {{
  access_log {log};
  server_names_hash_max_size 8192;
  server_names_hash_bucket_size 128;
  keepalive_timeout 600s;
  keepalive_requests 1000000000;
  client_header_timeout 60s;
  send_timeout 60s;
  proxy_connect_timeout 3s;
  proxy_read_timeout 60s;
  proxy_max_temp_file_size 0;
  tcp_nodelay on;
  client_body_temp_path {self.path('t1')};
  proxy_temp_path {self.path('t2')};
  fastcgi_temp_path {self.path('t3')};
  uwsgi_temp_path {self.path('t4')};
  scgi_temp_path {self.path('t5')};
  upstream origin {{
{servers}
    keepalive {max(1024, len(setup.servers) + 100)};
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
  }}
{farm}
{sites}
}}
"""
        with open(self.path("nginx.conf"), "w", encoding="ascii") as conf:
            conf.write(text)
        return [self.program(), "-c", self.path("nginx.conf"), "-e", self.path("error.log")]

    def reload(self):
        self.process.send_signal(signal.SIGHUP)


class Haproxy(Contender):
    name = "haproxy"
    program_names = ("haproxy",)
    extra = ""

    def command(self, setup):
        servers = "\n".join(f"    server s{i} {host}:{port}" for i, (host, port) in enumerate(setup.servers))
        farm = "\n".join(f"backend {pool}\n" + "\n".join(f"    server {one} {setup.farm.address}" for one in farmed)
                         for pool, farmed in setup.farm_pools())
        log = "    log global\n    option httplog" if setup.access_log else "    no log"
        choose = "    default_backend origin"
        if setup.hosts:
            with open(self.path("hosts.map"), "w", encoding="ascii") as hosts:
                hosts.writelines(f"h{i}.bench.test origin\n" for i in range(setup.hosts))
            choose = f"    use_backend %[req.hdr(host),lower,map({self.path('hosts.map')})]"
        text = f"""global
    nbthread 1
    maxconn {CONNECTIONS_MAX}
    no strict-limits
    stats socket {self.path('admin')} mode 600 level admin expose-fd listeners
    log stdout format raw local0
defaults
    mode http
    option http-keep-alive
    option forwardfor
    http-reuse always
    timeout connect 3s
    timeout client 600s
    timeout server 600s
    timeout http-keep-alive 600s
    timeout http-request 60s
    maxconn {CONNECTIONS_MAX}
{self.extra}{log}
frontend web
    bind 127.0.0.1:{self.port} backlog 16384
    http-request set-header X-Forwarded-Proto http
{choose}
backend origin
    balance roundrobin
    fullconn {CONNECTIONS_MAX}
{servers}
{farm}
"""
        with open(self.path("haproxy.cfg"), "w", encoding="ascii") as conf:
            conf.write(text)
        return [self.program(), *(["-W"] if setup.master else ["-db"]), "-f", self.path("haproxy.cfg")]

    def reload(self):
        self.process.send_signal(signal.SIGUSR2)


class HaproxySplice(Haproxy):
    name = "haproxy+splice"
    extra = "    option splice-auto\n"


class Lbd(Contender):
    name = "lbd"
    version_args = ("--version",)
    binary = None  # set by bench.py

    @classmethod
    def program(cls):
        return cls.binary if cls.binary and os.access(cls.binary, os.X_OK) else None

    def api(self):
        return self.path("api.sock")

    def answers(self):
        """Requests come first, the API a moment later."""
        return super().answers() and os.path.exists(self.api())

    def document(self):
        """What it was started with, as the API takes it."""
        with open(self.path("lbd.json"), encoding="ascii") as conf:
            document = json.load(conf)
        del document["daemon"]
        return document

    def command(self, setup):
        daemon = {
            "workers": 1,
            "api": {"listen": [f"unix:{self.api()}"]},
            "config_source": "api",
            "state_dir": self.path("state"),
            "log": {"level": "warn"},
        }
        if os.getuid() == 0:
            daemon["user"] = ""  # stay: nothing here is worth another user
        if setup.access_log:
            daemon["access_log"] = {"path": self.path("access.log")}
        routes = {f"h{i}": {"listener": "web", "match": {"host": [f"h{i}.bench.test"]},
                            "action": {"pool": "origin"}} for i in range(setup.hosts)}
        web = {"bind": [f"127.0.0.1:{self.port}"], "protocol": "http",
               "timeouts": {"keep_alive": "600s"}}
        if not routes:
            web["default_pool"] = "origin"
        document = {
            "daemon": daemon,
            "schema": 1,
            "listeners": {"web": web},
            "routes": routes,
            "pools": {"origin": {
                "algorithm": "round_robin",
                "timeouts": {"connect": "3s", "response": "60s", "idle": "600s"},
                "servers": {f"s{i}": {"address": f"{host}:{port}"}
                            for i, (host, port) in enumerate(setup.servers)}}},
        }
        if setup.farm is not None:
            document["observability"] = {"metrics": {"max_series": 1000000}}
        for pool, servers in setup.farm_pools():
            document["pools"][pool] = {"servers": {one: {"address": setup.farm.address} for one in servers}}
            if setup.farm.interval:
                document["pools"][pool]["health_check"] = "farm"
                document["health_checks"] = {"farm": {"type": "tcp", "interval": setup.farm.interval}}
        os.makedirs(self.path("state"))
        with open(self.path("lbd.json"), "w", encoding="ascii") as conf:
            json.dump(document, conf, indent=1)
        return [self.program(), "-c", self.path("lbd.json")]


class Origin:
    """The bench_origin process, on the clients' core."""

    def __init__(self, tools, core, addresses=0):
        self.process = subprocess.Popen(
            [os.path.join(tools, "bench_origin"), "--addresses", str(addresses)],
            stdout=subprocess.PIPE, text=True, preexec_fn=lambda: os.sched_setaffinity(0, {core}))
        self.port = int(self.process.stdout.readline())
        self.servers = [("127.0.0.1", self.port)]
        self.many = [(f"127.1.{i // 250}.{i % 250 + 1}", self.port) for i in range(addresses)]

    def stop(self):
        self.process.terminate()
        self.process.wait()
