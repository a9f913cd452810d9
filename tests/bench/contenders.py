"""contenders - starts nginx, haproxy, lbd and the origin alike: one worker, one core, same timeouts.

A Setup says what a row needs (servers, hosts, log); each contender turns it into its own
configuration in a directory of its own. Keep-alive to the servers everywhere, access log off unless
asked for, X-Forwarded-For and X-Forwarded-Proto added by all, since lbd always adds them. TLS: the same
certificate, TLS 1.2 and 1.3, the cipher that the clients offer first, sessions resumed by tickets and kept nowhere.
"""

import dataclasses
import json
import os
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import time

import procfs

FILES_MAX = 20000
CONNECTIONS_MAX = 19500
STREAM_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"  # Debian's; others have it built in
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
    tls: str = ""  # kind of the certificate's key, one of KEYS; "": in clear
    http2: bool = False  # clients speak HTTP/2: by ALPN, or in clear with prior knowledge
    tcp: bool = False  # clients speak what the servers speak
    upgrade: bool = False  # clients ask for WebSocket
    origin_http2: bool = False  # the servers speak HTTP/2 in clear
    grpc: bool = False  # and nothing but gRPC
    least: bool = False  # the server with the least connections, not each in turn
    retry: bool = False  # 503 is tried on two further servers
    policies: bool = False  # a rate limit by address, edited headers both ways, a sticky cookie
    farm: Farm | None = None

    def farm_pools(self):
        """[(pool, [server])]"""
        if self.farm is None:
            return []
        return [(f"p{p}", [f"s{i}" for i in range(self.farm.servers)]) for p in range(self.farm.pools)]


KEYS = {"p256": ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"], "rsa": ["rsa:2048"]}
CIPHERS_12 = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"
CIPHERS_13 = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"


def certificate(where, kind):
    """(chain, key, both in one file): a certificate of its own for bench.test, made once."""
    stem = os.path.join(where, f"bench-{kind}")
    names = stem + ".crt", stem + ".key", stem + ".pem"
    if not os.path.exists(names[2]):
        subprocess.run(["openssl", "req", "-x509", "-newkey", *KEYS[kind], "-nodes", "-days", "30",
                        "-subj", "/CN=bench.test", "-addext", "subjectAltName=DNS:bench.test,DNS:*.bench.test",
                        "-out", names[0], "-keyout", names[1]], check=True, capture_output=True)
        with open(names[2], "w", encoding="ascii") as both:
            for name in names[:2]:
                with open(name, encoding="ascii") as part:
                    both.write(part.read())
    return names


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
        self.above = where
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
        while not self.answers(setup):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                with open(self.errors, encoding="utf-8", errors="replace") as errors:
                    raise RuntimeError(f"{self.name} did not start:\n{errors.read()[-2000:]}")
            time.sleep(0.05)
        return self

    def answers(self, setup):
        """Does a request come back with 200? Of HTTP/2 in clear: does it say its settings?"""
        if setup.http2 and not setup.tls:
            question, answer = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]), b""
        else:
            question = b"GET /b/1 HTTP/1.1\r\nHost: h0.bench.test\r\nConnection: close\r\n\r\n"
            answer = b"HTTP/1.1" if setup.grpc else b"HTTP/1.1 200"  # no page stands beside the calls
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as client:
                if setup.tls:
                    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                    context.check_hostname = False
                    context.verify_mode = ssl.CERT_NONE
                    client = context.wrap_socket(client, server_hostname="bench.test")
                with client:
                    client.sendall(question)
                    got = client.recv(64)
                    return got.startswith(answer) and len(got) > 8
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
        connection = "proxy_set_header Upgrade $http_upgrade;\n        proxy_set_header Connection upgrade;" \
            if setup.upgrade else 'proxy_set_header Connection "";'
        location = f"""location /bench.Bench {{
        grpc_pass grpc://origin;
        grpc_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        grpc_set_header X-Forwarded-Proto $scheme;
    }}""" if setup.grpc else f"""location / {{
        proxy_pass http://origin;
        proxy_http_version 1.1;
        proxy_set_header Host $http_host;
        {connection}
        {"proxy_next_upstream error timeout http_503; proxy_next_upstream_tries 3;" if setup.retry else ""}
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
    }}"""
        farm = "\n".join(f"  upstream {pool} {{ " + " ".join(f"server {setup.farm.address};" for _ in servers) + " }"
                         for pool, servers in setup.farm_pools())
        names = [f"h{i}.bench.test" for i in range(setup.hosts)] or ["_"]
        door, tls = "", ""
        if setup.tls:
            chain, key, _ = certificate(self.above, setup.tls)
            door = " ssl"
            tls = f"""  ssl_certificate {chain};
  ssl_certificate_key {key};
  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_ciphers {CIPHERS_12};
  ssl_prefer_server_ciphers on;
  ssl_ecdh_curve X25519:prime256v1;
"""
        if setup.http2:
            door += " http2"
        sites = "\n".join(f"  server {{ listen 127.0.0.1:{self.port}{door} backlog=16384; "
                          f"server_name {name}; {location} }}"
                          if i == 0 else
                          f"  server {{ listen 127.0.0.1:{self.port}; server_name {name}; {location} }}"
                          for i, name in enumerate(names))
        if setup.tcp:
            return self.command_with(self.tcp_text(servers))
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
{tls}  upstream origin {{
{"    least_conn;" if setup.least else ""}
{servers}
    keepalive {max(1024, len(setup.servers) + 100)};
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
  }}
{farm}
{sites}
}}
"""
        return self.command_with(text)

    def tcp_text(self, servers):
        module = f"load_module {STREAM_MODULE};\n" if os.path.exists(STREAM_MODULE) else ""
        return f"""{module}daemon off;
worker_processes 1;
worker_rlimit_nofile {FILES_MAX};
pid {self.path('pid')};
error_log {self.path('error.log')} warn;
events {{ worker_connections {CONNECTIONS_MAX}; use epoll; }}
stream {{
  proxy_connect_timeout 3s;
  proxy_timeout 600s;
  tcp_nodelay on;
  upstream origin {{
{servers}
  }}
  server {{ listen 127.0.0.1:{self.port} backlog=16384; proxy_pass origin; }}
}}
"""

    def command_with(self, text):
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
        spoken = " proto h2" if setup.origin_http2 else ""
        servers = "\n".join(f"    server s{i} {host}:{port}{spoken}" for i, (host, port) in enumerate(setup.servers))
        farm = "\n".join(f"backend {pool}\n" + "\n".join(f"    server {one} {setup.farm.address}" for one in farmed)
                         for pool, farmed in setup.farm_pools())
        log = "    log global\n    option httplog" if setup.access_log else "    no log"
        choose = "    default_backend origin"
        if setup.hosts:
            with open(self.path("hosts.map"), "w", encoding="ascii") as hosts:
                hosts.writelines(f"h{i}.bench.test origin\n" for i in range(setup.hosts))
            choose = f"    use_backend %[req.hdr(host),lower,map({self.path('hosts.map')})]"
        door, headers = "", "" if setup.tcp else f"    http-request set-header X-Forwarded-Proto {scheme(setup)}\n"
        if setup.tls:
            door = f" ssl crt {certificate(self.above, setup.tls)[2]}" + (" alpn h2,http/1.1" if setup.http2 else "")
        elif setup.http2:
            door = " proto h2"
        if setup.policies:
            headers += """    stick-table type ipv6 size 100k expire 10s store http_req_rate(10s)
    http-request track-sc0 src
    http-request deny deny_status 429 if { sc_http_req_rate(0) gt 1000000000 }
    http-request set-header X-Site bench
    http-request del-header X-Debug
    http-response set-header X-Content-Type-Options nosniff
    http-response del-header X-Powered-By
"""
            servers = "    cookie SRV insert indirect nocache httponly\n" + "\n".join(
                f"{line} cookie c{i}" for i, line in enumerate(servers.splitlines()))
        retry = "    retries 2\n    retry-on conn-failure empty-response 503\n    option redispatch 1\n" \
            if setup.retry else ""
        mode = "tcp" if setup.tcp else "http\n    option http-keep-alive\n    option forwardfor\n    http-reuse always"
        text = f"""global
    nbthread 1
    tune.ssl.cachesize 0
    ssl-default-bind-options ssl-min-ver TLSv1.2
    ssl-default-bind-curves X25519:P-256
    ssl-default-bind-ciphers {CIPHERS_12}
    ssl-default-bind-ciphersuites {CIPHERS_13}
    maxconn {CONNECTIONS_MAX}
    no strict-limits
    stats socket {self.path('admin')} mode 600 level admin expose-fd listeners
    log stdout format raw local0
defaults
    mode {mode}
    timeout connect 3s
    timeout client 600s
    timeout server 600s
    timeout tunnel 600s
    timeout http-keep-alive 600s
    timeout http-request 60s
    maxconn {CONNECTIONS_MAX}
{self.extra}{log}
frontend web
    bind 127.0.0.1:{self.port}{door} backlog 16384
{headers}{choose}
backend origin
    balance {"leastconn" if setup.least else "roundrobin"}
{retry}    fullconn {CONNECTIONS_MAX}
{servers}
{farm}
"""
        with open(self.path("haproxy.cfg"), "w", encoding="ascii") as conf:
            conf.write(text)
        return [self.program(), *(["-W"] if setup.master else ["-db"]), "-f", self.path("haproxy.cfg")]

    def reload(self):
        self.process.send_signal(signal.SIGUSR2)


def scheme(setup):
    return "https" if setup.tls else "http"


class HaproxySplice(Haproxy):
    name = "haproxy+splice"
    extra = "    option splice-auto\n"


class HaproxySpliceAlways(Haproxy):
    """splice-auto finds little to splice between two fast peers: here it has no choice."""

    name = "haproxy+splice-always"
    extra = "    option splice-request\n    option splice-response\n"


class Lbd(Contender):
    name = "lbd"
    least = "least_request"
    version_args = ("--version",)
    binary = None  # set by bench.py

    @classmethod
    def program(cls):
        return cls.binary if cls.binary and os.access(cls.binary, os.X_OK) else None

    def api(self):
        return self.path("api.sock")

    def answers(self, setup):
        """Requests come first, the API a moment later."""
        return super().answers(setup) and os.path.exists(self.api())

    def document(self):
        """What it was started with, as the API takes it."""
        with open(self.path("lbd.json"), encoding="ascii") as conf:
            document = json.load(conf)
        del document["daemon"]
        return document

    def command(self, setup):
        daemon = {
            "workers": 1,
            "max_connections": CONNECTIONS_MAX,
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
        if setup.tcp:
            web = {"bind": web["bind"], "protocol": "tcp"}
        if setup.tls:
            web["tls"] = {"certificates": ["bench"]}
        if not routes:
            web["default_pool"] = "origin"
        document = {
            "daemon": daemon,
            "schema": 1,
            "listeners": {"web": web},
            "routes": routes,
            "pools": {"origin": {
                "algorithm": self.least if setup.least else "round_robin",
                "timeouts": {"connect": "3s", "response": "60s", "idle": "600s"},
                "servers": {f"s{i}": {"address": f"{host}:{port}"}
                            for i, (host, port) in enumerate(setup.servers)}}},
        }
        if setup.policies:
            web["policies"] = ["rate", "heads"]
            document["policies"] = {
                "rate": {"rate_limit": {"requests": 1000000, "burst": 1000000}},
                "heads": {"headers": {"request": {"set": {"X-Site": "bench"}, "remove": ["X-Debug"]},
                                      "response": {"set": {"X-Content-Type-Options": "nosniff"},
                                                   "remove": ["X-Powered-By"]}}}}
            document["pools"]["origin"]["sticky"] = {"cookie": "SRV"}
        if setup.tls:
            chain, key, _ = certificate(self.above, setup.tls)
            document["certificates"] = {"bench": {"chain_file": chain, "key_file": key}}
        if setup.retry:
            document["pools"]["origin"].update(retries=2, retry={"on": ["connect", "reset", "503"], "budget_min": 0})
        if setup.origin_http2:
            document["pools"]["origin"]["http_version"] = "2"
        if setup.farm is not None:
            document["observability"] = {"metrics": {"max_series": 1000000}}
        for pool, servers in setup.farm_pools():
            document["pools"][pool] = {"servers": {one: {"address": setup.farm.address} for one in servers}}
            if setup.farm.interval:
                document["pools"][pool]["health_check"] = "farm"
                document["health_checks"] = {"farm": {"type": "tcp", "interval": setup.farm.interval}}
        os.makedirs(self.path("state"))
        with open(self.path("lbd.json"), "w", encoding="ascii") as conf:
            json.dump(document, conf, indent=1 if setup.hosts <= 10000 else None)
        return [self.program(), "-c", self.path("lbd.json")]


class LbdEwma(Lbd):
    """By how long servers take, where the others count connections."""

    name = "lbd+ewma"
    least = "peak_ewma"


class Origin:
    """The bench_origin process, on the clients' core."""

    def __init__(self, tools, core, addresses=0, stall_ms=0):
        self.process = subprocess.Popen(
            [os.path.join(tools, "bench_origin"), "--addresses", str(addresses), "--stall", str(stall_ms)],
            stdout=subprocess.PIPE, text=True, preexec_fn=lambda: os.sched_setaffinity(0, {core}))
        self.port = int(self.process.stdout.readline())
        self.servers = [("127.0.0.1", self.port)]
        self.many = [(f"127.1.{i // 250}.{i % 250 + 1}", self.port) for i in range(addresses)]

    def stop(self):
        self.process.terminate()
        self.process.wait()
