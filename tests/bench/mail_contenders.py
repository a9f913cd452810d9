"""mail_contenders - the mail proxies beside lbd: nginx mail, Dovecot's login proxy, haproxy, perdition, imapproxy.

Each is started by its kind in contenders.Contender with a MailSetup: which doors it opens (imap, imaps, pop3, ...) and
where the servers are. All of them trust the same fake server (bench_mail_origin), or a real Dovecot of the tests' lab.
perdition and imapproxy conflict with Dovecot as packages: scripts/unpack_packages.sh puts them into build/mail.
"""

import dataclasses
import grp
import json
import os
import pwd
import shutil
import socket
import subprocess
import tempfile

import contenders
from contenders import CIPHERS_12, CIPHERS_13, CONNECTIONS_MAX, FILES_MAX, Contender, certificate, free_port

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
UNPACKED = os.path.join(TOP, "build", "mail")
MAIL_MODULE = "/usr/lib/nginx/modules/ngx_mail_module.so"  # Debian's; others have it built in
DIALECTS = ("imap", "pop3", "smtp", "http")


@dataclasses.dataclass
class MailSetup:
    """What a row asks of every contender."""

    servers: dict  # dialect -> port of the server; "auth": of who answers nginx's auth_http
    doors: tuple = ("imap",)  # a dialect, with an s over TLS
    cache: bool = False  # lbd keeps connections that are logged in
    preload: dict = dataclasses.field(default_factory=dict)

    @property
    def tls(self):
        return any(door not in DIALECTS for door in self.doors)


def plain(door):
    """(dialect, TLS?) of a door."""
    return (door, False) if door in DIALECTS else (door[:-1], True)


def unprivileged():
    """(user, group): ourselves, and nobody in the place of root."""
    user = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    return user.pw_name, grp.getgrgid(user.pw_gid).gr_name


class MailContender(Contender):
    """`ports` has the port of each door. `by_ticks`: its processes or threads come and go with connections."""

    by_ticks = False
    dialects = DIALECTS
    speaks_tls = True

    @classmethod
    def can(cls, setup):
        return all(dialect in cls.dialects and (cls.speaks_tls or not tls) for dialect, tls in map(plain, setup.doors))

    def start(self, setup, core):
        self.ports = {door: free_port() for door in setup.doors}
        return super().start(setup, core)

    def answers(self, setup):
        """Does every door speak first? (HTTP does not; TLS is not tried.)"""
        for door in setup.doors:
            dialect, tls = plain(door)
            try:
                with socket.create_connection(("127.0.0.1", self.ports[door]), timeout=2) as client:
                    if not tls and dialect != "http" and len(client.recv(64)) < 3:
                        return False
            except OSError:
                return False
        return True

    def targets(self):
        """For bench_mail --to."""
        return [word for door, port in self.ports.items() for word in ("--to", f"{door}:{port}")]


class Straight(MailContender):
    """No proxy."""

    name = "straight"

    @classmethod
    def program(cls):
        return "/bin/sleep"

    @classmethod
    def version(cls):
        return "no proxy"

    def start(self, setup, core):
        super().start(setup, core)
        self.ports = {door: setup.servers[plain(door)[0]] for door in setup.doors}
        return self

    def answers(self, setup):
        return True

    def command(self, setup):
        return ["/bin/sleep", "3600"]


class MailNginx(MailContender, contenders.Nginx):
    name = "nginx"

    def command(self, setup):
        module = f"load_module {MAIL_MODULE};\n" if os.path.exists(MAIL_MODULE) else ""
        tls = ""
        if setup.tls:
            chain, key, _ = certificate(self.above, "p256")
            tls = f"""  ssl_certificate {chain};
  ssl_certificate_key {key};
  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_ciphers {CIPHERS_12};
  ssl_prefer_server_ciphers on;
  ssl_ecdh_curve X25519:prime256v1;
"""
        more = {"imap": "imap_auth plain login;", "pop3": "pop3_auth plain;",
                "smtp": "smtp_auth plain login; xclient off; proxy_smtp_auth on;"}
        mail, http = "", ""
        for door, port in self.ports.items():
            dialect, secure = plain(door)
            listen = f"listen 127.0.0.1:{port}{' ssl' if secure else ''} backlog=16384;"
            if dialect == "http":
                http += f"  server {{ {listen} location / {{ proxy_pass http://origin; proxy_http_version 1.1; " \
                        'proxy_set_header Connection ""; } }\n'
            else:
                mail += f"  server {{ {listen} protocol {dialect}; {more[dialect]} }}\n"
        sites = f"""http {{
  access_log off;
  keepalive_timeout 600s;
  keepalive_requests 1000000000;
{tls}  upstream origin {{ server 127.0.0.1:{setup.servers['http']}; keepalive 4096; keepalive_timeout 600s; }}
{http}}}
""" if http else ""
        return self.command_with(f"""{module}daemon off;
worker_processes 1;
worker_rlimit_nofile {FILES_MAX};
pid {self.path('pid')};
error_log {self.path('error.log')} warn;
events {{ worker_connections {CONNECTIONS_MAX}; use epoll; }}
mail {{
  server_name bench.test;
  auth_http 127.0.0.1:{setup.servers['auth']}/auth;
  proxy_timeout 3600s;
{tls}{mail}}}
{sites}""")


class MailHaproxy(MailContender, contenders.Haproxy):
    """Passes bytes on: knows no users."""

    name = "haproxy"

    def command(self, setup):
        parts = ""
        for door, port in self.ports.items():
            dialect, secure = plain(door)
            bind = f" ssl crt {certificate(self.above, 'p256')[2]}" if secure else ""
            parts += f"""listen {door}
    mode {'http' if dialect == 'http' else 'tcp'}
    bind 127.0.0.1:{port}{bind} backlog 16384
    server s0 127.0.0.1:{setup.servers[dialect]}
"""
        with open(self.path("haproxy.cfg"), "w", encoding="ascii") as conf:
            conf.write(f"""global
    nbthread 1
    tune.ssl.cachesize 0
    ssl-default-bind-options ssl-min-ver TLSv1.2
    ssl-default-bind-curves X25519:P-256
    ssl-default-bind-ciphers {CIPHERS_12}
    ssl-default-bind-ciphersuites {CIPHERS_13}
    maxconn {CONNECTIONS_MAX}
    no strict-limits
defaults
    timeout connect 3s
    timeout client 3600s
    timeout server 3600s
    timeout http-keep-alive 600s
    maxconn {CONNECTIONS_MAX}
{parts}""")
        return [self.program(), "-db", "-f", self.path("haproxy.cfg")]


class MailDovecot(MailContender):
    """Dovecot as a proxy: everybody is let in and goes to one server. As root it runs as nobody, without its chroots."""

    name = "dovecot"
    program_names = ("dovecot",)
    version_args = ("--version",)
    dialects = ("imap", "pop3")

    @classmethod
    def version(cls):
        return "Dovecot " + super().version()

    def start(self, setup, core):
        self.home = tempfile.mkdtemp(prefix="lbd-bench-", dir="/tmp")  # the paths of its sockets must be short
        return super().start(setup, core)

    def stop(self):
        super().stop()
        shutil.rmtree(self.home, ignore_errors=True)

    def command(self, setup):
        root = os.geteuid() == 0
        user, group = unprivileged()
        services, tls = "", "ssl = no"
        if setup.tls:
            chain, key, _ = certificate(self.above, "p256")
            for name, path in (("cert", chain), ("key", key)):
                shutil.copy(path, os.path.join(self.home, name))
                os.chmod(os.path.join(self.home, name), 0o644)
            tls = f"ssl = yes\nssl_cert = <{self.home}/cert\nssl_key = <{self.home}/key\n" \
                  "ssl_curve_list = X25519:P-256\nssl_prefer_server_ciphers = yes"
        for dialect in {plain(door)[0] for door in setup.doors}:
            listeners = "".join(
                f"  inet_listener {name} {{ \n    port = {self.ports.get(name, 0)}\n    ssl = {'yes' if name[-1] == 's' else 'no'}\n  }}\n"
                for name in (dialect, dialect + "s"))
            services += f"""service {dialect}-login {{
  chroot =
  service_count = 0
  process_min_avail = 1
  process_limit = 1
  client_limit = {CONNECTIONS_MAX}
{listeners}}}
"""
        port = setup.servers[plain(setup.doors[0])[0]]
        with open(os.path.join(self.home, "conf"), "w", encoding="ascii") as conf:
            conf.write(f"""base_dir = {self.home}/run
state_dir = {self.home}/run
log_path = {self.home}/log
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
default_client_limit = {CONNECTIONS_MAX}
default_vsz_limit = 0
protocols = {' '.join(sorted({plain(door)[0] for door in setup.doors}))}
listen = 127.0.0.1
auth_mechanisms = plain
auth_verbose = no
login_log_format_elements = %u
disable_plaintext_auth = no
mail_max_userip_connections = 0
{tls}
passdb {{
  driver = static
  args = nopassword=y proxy=y host=127.0.0.1 port={port} pass=secret
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
{services}""")
        os.chmod(self.home, 0o755)
        if root:
            shutil.chown(self.home, user, group)
        as_user = ["setpriv", "--reuid", user, "--regid", group, "--clear-groups"] if root else []
        return [*as_user, self.program(), "-F", "-c", os.path.join(self.home, "conf")]


class Unpacked(MailContender):
    """A program of build/mail."""

    package = ""
    place = ""

    @classmethod
    def program(cls):
        path = os.path.join(UNPACKED, cls.place)
        if not os.access(path, os.X_OK):
            subprocess.run([os.path.join(TOP, "scripts", "unpack_packages.sh"), UNPACKED, cls.package], check=False)
        return path if os.access(path, os.X_OK) else None

    @classmethod
    def environment(cls):
        libraries = os.path.join(UNPACKED, "usr", "lib")
        places = [libraries, *(os.path.join(libraries, one) for one in os.listdir(libraries) if one.endswith("-linux-gnu"))]
        return {"LD_LIBRARY_PATH": ":".join(places)}

    @classmethod
    def version(cls):
        return f"{cls.package} of Debian"

    def start(self, setup, core):
        return super().start(dataclasses.replace(setup, preload=self.environment()), core)


class Perdition(Unpacked):
    """A process for each connection."""

    name = "perdition"
    package = "perdition"
    place = "usr/sbin/perdition"
    dialects = ("imap",)
    speaks_tls = False
    by_ticks = True

    def command(self, setup):
        user = ["-u", "root", "-g", "root"] if os.geteuid() == 0 else []
        return [self.program(), "-P", "IMAP4", "--no_daemon", "-f", "/dev/null", "-l", str(self.ports["imap"]), "-b", "127.0.0.1",
                "-M", "", "-n", "-s", f"127.0.0.1:{setup.servers['imap']}", "--ssl_mode", "none", "-L", "0", "--connect_relog", "0",
                "--pid_file", self.path("pid"), "-F", "-", *user]


class Imapproxy(Unpacked):
    """A thread for each connection; it keeps those to the server, and for a user who comes back uses one again."""

    name = "imapproxy"
    package = "imapproxy"
    place = "usr/sbin/imapproxyd"
    dialects = ("imap",)
    speaks_tls = False
    by_ticks = True

    def command(self, setup):
        user, group = unprivileged()
        if os.geteuid() == 0:
            shutil.chown(self.where, user, group)
        with open(self.path("conf"), "w", encoding="ascii") as conf:
            conf.write(f"""server_hostname 127.0.0.1
connect_retries 2
connect_delay 1
cache_size 8000
listen_port {self.ports['imap']}
listen_address 127.0.0.1
server_port {setup.servers['imap']}
cache_expiration_time 300
proc_username {user}
proc_groupname {group}
stat_filename {self.path('stats')}
protocol_log_filename {self.path('protocol')}
syslog_facility LOG_MAIL
send_tcp_keepalives no
enable_select_cache no
foreground_mode yes
force_tls no
enable_admin_commands no
""")
        return [self.program(), "-f", self.path("conf"), "-p", self.path("pid")]


class MailLbd(MailContender, contenders.Lbd):
    name = "lbd"

    def answers(self, setup):
        return super().answers(setup) and os.path.exists(self.api())

    def command(self, setup):
        daemon = {"workers": 1, "max_connections": CONNECTIONS_MAX, "api": {"listen": [f"unix:{self.api()}"]}, "config_source": "api",
                  "state_dir": self.path("state"), "log": {"level": "warn"}}
        if os.getuid() == 0:
            daemon["user"] = ""
        document = {"daemon": daemon, "schema": 1, "listeners": {}, "pools": {}}
        for door, port in self.ports.items():
            dialect, secure = plain(door)
            listener = {"bind": [f"127.0.0.1:{port}"], "protocol": dialect, "default_pool": dialect}
            if secure:
                listener["tls"] = {"certificates": ["bench"]}
            if dialect == "http":
                listener["timeouts"] = {"keep_alive": "600s"}
            else:
                listener["mail"] = {"limits": {"connections_per_address": 0}}
                if not secure:
                    listener["mail"]["allow_cleartext"] = True
                if setup.cache:
                    listener["mail"]["cache"] = {"clients": ["127.0.0.0/8"]}
            document["listeners"][door] = listener
            document["pools"][dialect] = {"servers": {"s0": {"address": f"127.0.0.1:{setup.servers[dialect]}"}}}
            if dialect != "http":
                document["pools"][dialect]["mail"] = {"logins": 0}
        if setup.tls:
            chain, key, _ = certificate(self.above, "p256")
            document["certificates"] = {"bench": {"chain_file": chain, "key_file": key}}
        os.makedirs(self.path("state"))
        with open(self.path("lbd.json"), "w", encoding="ascii") as conf:
            json.dump(document, conf, indent=1)
        return [self.program(), "-c", self.path("lbd.json")]


class MailLbdCached(MailLbd):
    """With the cache of connections that are logged in."""

    name = "lbd+cache"

    def command(self, setup):
        return super().command(dataclasses.replace(setup, cache=True))


KINDS = (MailNginx, MailDovecot, MailHaproxy, Perdition, Imapproxy, MailLbd)


class MailOrigin:
    """The bench_mail_origin process, on the clients' core."""

    def __init__(self, tools, core):
        self.process = subprocess.Popen(
            [os.path.join(tools, "bench_mail_origin")], stdout=subprocess.PIPE, text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}))
        ports = map(int, self.process.stdout.readline().split())
        self.servers = dict(zip(("imap", "pop3", "smtp", "auth"), ports))

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()
