"""Real mail servers of Debian's packages: Dovecot, Postfix and Cyrus, as many as a test asks for.

    dovecot = Dovecot(self, users={"anna": "secret", "bernd": 'odd "%{x}\\\\ pass'})
    dovecot.port("imap")            imap pop3 sieve submission lmtp: plain, with STARTTLS where there is a certificate
    dovecot.port("imaps")           imaps pop3s submissions: TLS from the first byte (certificate=...)
    dovecot.deliver("anna", b"...") a mail into her inbox
    dovecot.mails("anna")           what is there
    dovecot.logins()                [(user, protocol, method, rip), ...] of the log

    postfix = Postfix(self, dovecot)        submission on port("submission"), TLS on port("smtps"); Dovecot says who is who
                                            and gets the mails
    cyrus = Cyrus(self, users={...})        imap, pop3, sieve; with certificate=... imaps and pop3s as well

Each lives in a directory and a group of processes of its own, which end with the test; a test that fails shows the end of
the log. `stop`, `kill` (-9), `freeze` and `thaw` act on all processes of one server; `start` has it again at the same ports.
As root, Dovecot runs as nobody: the programs it would change to need not be there. Postfix has to be started by root
(`Postfix.possible`). Cyrus is in Dovecot's way as a package: scripts/unpack_packages.sh puts it into build/mail.
"""

import base64
import contextlib
import grp
import hashlib
import hmac
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .ports import free_ports
from .waits import wait_for

ROOT = Path(__file__).resolve().parents[3]
UNPACKED = Path(os.environ.get("MAIL_BUILD", str(ROOT / "build/mail")))
START_LIMIT_S = 60
STARTS = 5  # with other ports each time: a port that was free may be taken when the server comes to it


def plain_user():
    """Who the servers run as: ourselves, and nobody in the place of root."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())


class MailServer:
    """A server program: ports, directory, processes, log. Subclasses say how it is configured and started."""

    name = "mail server"
    services = ()

    def __init__(self, case, start=True):
        self.case = case
        self.host = getattr(self, "host", "127.0.0.1")
        # short: the paths of sockets inside have a limit of 108 bytes
        self.directory = Path(tempfile.mkdtemp(prefix="lab-mail-", dir="/tmp"))
        self.directory.chmod(0o755)
        self.log_path = self.directory / "log"
        self.process = None
        self.ports = {}
        case.addCleanup(self.cleanup)
        if start:
            self.start()

    # what a subclass has
    def configure(self):
        """Writes the files for self.ports."""
        raise NotImplementedError

    def command(self):
        raise NotImplementedError

    def popen_more(self):
        return {}

    # -- life ---------------------------------------------------------------------------------

    def start(self):
        """Starts it, at the ports it had before if it had any."""
        chosen = not self.ports
        for attempt in range(STARTS):
            if chosen:
                self.ports = dict(zip(self.services, free_ports(len(self.services), self.host)))
            self.configure()
            with open(self.directory / "output", "ab") as output:
                self.process = subprocess.Popen(
                    ["setpriv", "--pdeathsig", "KILL", *self.command()], stdin=subprocess.DEVNULL, stdout=output,
                    stderr=output, start_new_session=True, **self.popen_more())
            if self._came_up():
                return self
            self.kill()
            if not chosen or "ddress already in use" not in self.log_text():
                break
        raise AssertionError(f"{self.name} did not start\n{self.log_tail()}")

    def _came_up(self):
        limit = time.monotonic() + START_LIMIT_S
        waiting = list(self.ports.values())
        while waiting:
            try:
                socket.create_connection((self.host, waiting[0]), timeout=1).close()
                waiting.pop(0)
            except OSError:
                if self.process.poll() is not None or time.monotonic() > limit:
                    return False
                time.sleep(0.01)
        return self.process.poll() is None

    def _signal(self, number):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def stop(self):
        """Asks it to end."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            pass
        self.kill()

    def kill(self):
        """kill -9 of all its processes."""
        if self.process is not None:
            self._signal(signal.SIGKILL)
            self.process.wait(10)
            self.process = None

    def freeze(self):
        """SIGSTOP of all its processes: the kernel accepts, nobody answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self):
        self._signal(signal.SIGCONT)

    def cleanup(self):
        if self.case.failed_so_far():
            print(f"\n=== {self.name} of {self.case.id()}\n{self.log_tail()}", file=sys.stderr)
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    # -- questions ----------------------------------------------------------------------------

    def port(self, service):
        return self.ports[service]

    def address(self, service):
        return f"{self.host}:{self.ports[service]}"

    def log_text(self):
        text = ""
        for path in (self.log_path, self.directory / "output"):
            with contextlib.suppress(OSError):
                text += path.read_text(errors="replace")
        return text

    def log_tail(self):
        return self.log_text()[-6000:]

    def wait_log(self, pattern, timeout=None):
        """Waits for a line of the log; the match."""
        return wait_for(lambda: re.search(pattern, self.log_text(), re.M), f"log of {self.name}: {pattern}", timeout)


# -- Dovecot ----------------------------------------------------------------------------------


PLAIN = {"imap": ("imap-login", "imap"), "pop3": ("pop3-login", "pop3"), "sieve": ("managesieve-login", "sieve"),
         "submission": ("submission-login", "submission"), "lmtp": ("lmtp", "lmtp")}
TLS = {"imaps": ("imap-login", "imaps"), "pop3s": ("pop3-login", "pop3s"),
       "submissions": ("submission-login", "submissions")}


class Dovecot(MailServer):
    """One Dovecot.

    users        {name: password}; passwords may be anything but NUL, as str or bytes
    masters      {name: password} of those who may log in as anybody (authzid of SASL PLAIN, or user*master)
    certificate  a lab.certs.Certificate: STARTTLS on the plain ports, and the ports of TLS
    trusted      networks whose ID and XCLIENT are believed (login_trusted_networks)
    hashed       True: passwords are kept as SHA512-CRYPT, which a login takes time to compare with
    cleartext    False: passwords only after STARTTLS (LOGINDISABLED); it is at 127.0.0.2 then, and trusts nobody
    haproxy      True: every port wants a PROXY header first
    relay        port of 127.0.0.1 that submission hands mails to
    mailboxes    a directory that several share (None: its own)
    more         more lines of dovecot.conf
    """

    name = "dovecot"
    possible = shutil.which("dovecot", path="/usr/sbin:/usr/bin") is not None

    def __init__(self, case, users=None, masters=None, certificate=None, trusted="127.0.0.0/8 ::1", cleartext=True,
                 haproxy=False, relay=None, mailboxes=None, name="dovecot", hashed=False, more="", start=True):
        self.users = dict(users if users is not None else {"anna": "secret"})
        self.masters = dict(masters or {})
        self.certificate = certificate
        self.trusted = trusted
        self.hashed = hashed
        self.cleartext = cleartext
        # passwords are as good as under TLS to Dovecot where both ends have one address
        self.host = "127.0.0.1" if cleartext else "127.0.0.2"
        self.haproxy = haproxy
        self.relay = relay
        self.name = name
        self.more = more
        self.token_key = os.urandom(32)
        self.mailboxes = Path(mailboxes) if mailboxes else None
        self.services = (*PLAIN, *(TLS if certificate else ()))
        self.user = plain_user()
        super().__init__(case, start)

    def command(self):
        return ["/usr/sbin/dovecot", "-F", "-c", str(self.directory / "dovecot.conf")]

    def popen_more(self):
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}

    def _own(self, path):
        if os.geteuid() == 0:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def _write(self, name, text):
        path = self.directory / name
        fresh = path.with_suffix(".fresh")
        fresh.write_text(text)
        fresh.chmod(0o600)
        self._own(fresh)
        if path.exists():  # a file of the same size and second is the same to Dovecot
            later = max(fresh.stat().st_mtime, path.stat().st_mtime + 1)
            os.utime(fresh, (later, later))
        os.replace(fresh, path)
        return path

    def set_password(self, user, password):
        """From the next login on."""
        self.users[user] = password
        self._write_users()

    def set_master_password(self, master, password):
        self.masters[master] = password
        self._write_users()

    def _write_users(self):
        for name, people in (("users", self.users), ("masters", self.masters)):
            lines = []
            for user, password in people.items():
                raw = password if isinstance(password, bytes) else password.encode()
                # in base64: it may have a colon in it, or anything
                kept = "{PLAIN.b64}" + base64.b64encode(raw).decode()
                if self.hashed:
                    done = subprocess.run(["openssl", "passwd", "-6", "-stdin"], input=raw, capture_output=True, check=True)
                    kept = "{SHA512-CRYPT}" + done.stdout.decode().strip()
                lines.append(f"{user}:{kept}::::::\n")
            self._write(name, "".join(lines))

    def configure(self):
        self._own(self.directory)
        if self.mailboxes is None:
            self.mailboxes = self.directory / "mail"
        self.mailboxes.mkdir(exist_ok=True)
        self._own(self.mailboxes)
        self._write_users()
        keys = self.directory / "keys/default/HS256"
        keys.mkdir(parents=True, exist_ok=True)
        (keys / "default").write_text(base64.b64encode(self.token_key).decode())
        who, group = self.user.pw_name, self._group()
        at = self.directory
        services = ""
        for service, (program, listener) in {**PLAIN, **(TLS if self.certificate else {})}.items():
            services += (
                f"service {program} {{\n  inet_listener {listener} {{\n    address = {self.host}\n"
                f"    port = {self.ports[service]}\n"
                f"    ssl = {'yes' if service in TLS else 'no'}\n"
                f"    haproxy = {'yes' if self.haproxy and service != 'lmtp' else 'no'}\n  }}\n}}\n")
        for service, (program, listener) in TLS.items():
            if service not in self.ports:
                services += f"service {program} {{\n  inet_listener {listener} {{\n    port = 0\n  }}\n}}\n"
        for program in ("imap-login", "pop3-login", "managesieve-login", "submission-login"):
            # one process for many clients; nothing is chroot'ed, for we are not root
            services += f"service {program} {{\n  chroot =\n  service_count = 0\n  client_limit = 4000\n}}\n"
        for program in ("imap", "pop3", "managesieve", "submission"):
            services += f"service {program} {{\n  process_limit = 4096\n}}\n"
        if self.certificate:
            services += (f"ssl = yes\nssl_cert = <{self._secret(self.certificate.chain, 'cert.pem')}\n"
                         f"ssl_key = <{self._secret(self.certificate.key, 'key.pem')}\n")
        else:
            services += "ssl = no\n"
        self._write("oauth2.conf", (
            "introspection_mode = local\nusername_attribute = sub\n"
            f"local_validation_key_dict = fs:posix:prefix={at}/keys/\n"))
        self._write("dovecot.conf", f"""
base_dir = {at}/run
state_dir = {at}/run
log_path = {self.log_path}
instance_name = {at.name}
default_internal_user = {who}
default_internal_group = {group}
default_login_user = {who}
protocols = imap pop3 lmtp sieve submission
listen = {self.host}
hostname = {self.name}.test
auth_mechanisms = plain login xoauth2 oauthbearer
auth_username_chars =
auth_username_format = %Lu
auth_failure_delay = 0
auth_master_user_separator = *
auth_verbose = yes
disable_plaintext_auth = {'no' if self.cleartext else 'yes'}
login_trusted_networks = {self.trusted if self.cleartext else ''}
haproxy_trusted_networks = 127.0.0.0/8
mail_max_userip_connections = 0
mail_location = maildir:~/Maildir
mail_uid = {self.user.pw_uid}
mail_gid = {self.user.pw_gid}
first_valid_uid = 1
first_valid_gid = 1
mail_fsync = never
mailbox_list_index = no
postmaster_address = postmaster@{self.name}.test
submission_relay_host = 127.0.0.1
submission_relay_port = {self.relay or 9}
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {at}/oauth2.conf
}}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {at}/masters
  master = yes
  result_success = continue
}}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {at}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {at}/users
  default_fields = uid={self.user.pw_uid} gid={self.user.pw_gid} home={self.mailboxes}/%u
}}
userdb {{
  driver = passwd-file
  args = username_format=%n {at}/users
  default_fields = uid={self.user.pw_uid} gid={self.user.pw_gid} home={self.mailboxes}/%n
}}
namespace inbox {{
  inbox = yes
  separator = /
}}
service auth {{
  unix_listener postfix {{
    mode = 0666
  }}
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
plugin {{
  sieve = file:~/sieve;active=~/.dovecot.sieve
}}
{services}
{self.more}
""")

    def _secret(self, path, name):
        copy = self.directory / name
        shutil.copy(path, copy)
        copy.chmod(0o600)
        self._own(copy)
        return copy

    def _group(self):
        return grp.getgrgid(self.user.pw_gid).gr_name

    # -- mails and logins ---------------------------------------------------------------------

    def token(self, user, lifetime_s=3600, key=None):
        """A bearer token (a JWT signed by our key, or another): XOAUTH2 and OAUTHBEARER believe it."""
        def part(value):
            return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")
        now = int(time.time())
        signed = part({"alg": "HS256", "typ": "JWT"}) + b"." + part(
            {"sub": user, "iat": now - 5, "nbf": now - 5, "exp": now + lifetime_s})
        mac = hmac.new(key or self.token_key, signed, hashlib.sha256).digest()
        return (signed + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")).decode()

    def maildir(self, user):
        return self.mailboxes / user / "Maildir"

    def deliver(self, user, message):
        """Puts a mail into the inbox as a delivery agent does: IDLE tells of it."""
        inbox = self.maildir(user)
        for path in (inbox.parent, inbox, inbox / "tmp", inbox / "new", inbox / "cur"):
            if not path.exists():
                path.mkdir()
                self._own(path)
        self.delivered = getattr(self, "delivered", 0) + 1
        name = f"{time.time_ns()}.{self.delivered}.lab"
        path = inbox / "tmp" / name
        path.write_bytes(message)
        self._own(path)
        path.rename(inbox / "new" / name)

    def mails(self, user, folder=""):
        """The mails of a folder (inbox) as bytes, oldest first."""
        box = self.maildir(user) / (f".{folder}" if folder else "")
        files = [p for part in ("cur", "new") for p in (box / part).glob("*")] if box.exists() else []
        return [p.read_bytes() for p in sorted(files, key=lambda p: p.name)]

    def logins(self, user=None):
        """(user, protocol, method, rip) of each login in the log."""
        found = re.findall(
            r"(\S+)-login: Info: Login: user=<([^>]*)>, method=([^,]*), rip=([^,]*)", self.log_text())
        return [(u, p, m, rip) for p, u, m, rip in found if user in (None, u)]


# -- Postfix ----------------------------------------------------------------------------------


MASTER_CF = """
pickup    unix n - n 60    1 pickup
cleanup   unix n - n -     0 cleanup
qmgr      unix n - n 300   1 qmgr
rewrite   unix - - n -     - trivial-rewrite
bounce    unix - - n -     0 bounce
defer     unix - - n -     0 bounce
trace     unix - - n -     0 bounce
tlsmgr    unix - - n 1000? 1 tlsmgr
verify    unix - - n -     1 verify
flush     unix n - n 1000? 0 flush
proxymap  unix - - n -     - proxymap
showq     unix n - n -     - showq
error     unix - - n -     - error
retry     unix - - n -     - error
discard   unix - - n -     - discard
lmtp      unix - - n -     - lmtp
anvil     unix - - n -     1 anvil
postlog   unix-dgram n - n - 1 postlogd
"""


class Postfix(MailServer):
    """A submission server: who logs in is asked of `dovecot`, mails for anybody @dovecot.test go into its inboxes.

    certificate  STARTTLS on `submission`, and TLS on `smtps`
    xclient      who may send XCLIENT (smtpd_authorized_xclient_hosts)
    haproxy      True: every port wants a PROXY header first
    more         {name: value} of main.cf
    """

    name = "postfix"
    services = ("submission", "smtps")
    possible = os.geteuid() == 0 and shutil.which("postfix", path="/usr/sbin:/usr/bin") is not None

    def __init__(self, case, dovecot, certificate=None, xclient="127.0.0.0/8", haproxy=False, more=None, start=True):
        self.dovecot = dovecot
        self.certificate = certificate
        self.xclient = xclient
        self.haproxy = haproxy
        self.more = dict(more or {})
        self.services = ("submission", "smtps") if certificate else ("submission",)
        super().__init__(case, start)

    def command(self):
        return ["/usr/lib/postfix/sbin/master", "-c", str(self.directory / "etc"), "-d"]

    def configure(self):
        at = self.directory
        etc = at / "etc"
        etc.mkdir(exist_ok=True)
        owner = pwd.getpwnam("postfix")
        for name in ("queue", "data"):
            (at / name).mkdir(exist_ok=True)
        os.chown(at / "data", owner.pw_uid, owner.pw_gid)
        main = {
            "compatibility_level": "3.6",
            "queue_directory": at / "queue",
            "data_directory": at / "data",
            "maillog_file": self.log_path,
            "maillog_file_prefixes": at,
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "myhostname": "postfix.test",
            "mydestination": "",
            "local_transport": "error:nobody is local",
            "local_recipient_maps": "",
            "alias_maps": "",
            "alias_database": "",
            "virtual_mailbox_domains": "dovecot.test",
            "virtual_transport": f"lmtp:inet:{self.dovecot.address('lmtp')}",
            "default_transport": "discard",
            "relay_transport": "discard",
            "mynetworks": "",
            "biff": "no",
            "smtpd_sasl_auth_enable": "yes",
            "smtpd_sasl_type": "dovecot",
            "smtpd_sasl_path": self.dovecot.directory / "run/postfix",
            "smtpd_sasl_security_options": "noanonymous",
            "smtpd_tls_auth_only": "no",
            "smtpd_relay_restrictions": "permit_sasl_authenticated,reject",
            "smtpd_recipient_restrictions": "permit_sasl_authenticated,reject",
            "smtpd_authorized_xclient_hosts": self.xclient,
            "smtpd_client_connection_rate_limit": "0",
            "smtpd_client_connection_count_limit": "0",
            "smtpd_peername_lookup": "no",
            "smtpd_client_auth_rate_limit": "0",
            "disable_dns_lookups": "yes",
            "smtp_dns_support_level": "disabled",
            "smtputf8_enable": "yes",
        }
        if self.certificate:
            main["smtpd_tls_security_level"] = "may"
            main["smtpd_tls_cert_file"] = self.certificate.chain
            main["smtpd_tls_key_file"] = self.certificate.key
        if self.haproxy:
            main["smtpd_upstream_proxy_protocol"] = "haproxy"
        main.update(self.more)
        (etc / "main.cf").write_text("".join(f"{name} = {value}\n" for name, value in main.items()))
        doors = f"{self.address('submission')} inet n - n - - smtpd\n"
        if self.certificate:
            doors += f"{self.address('smtps')} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes\n"
        (etc / "master.cf").write_text(MASTER_CF + doors)
        # what `postfix check` makes, in a hundredth of the time
        posts = grp.getgrnam("postdrop").gr_gid
        for name in ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved",
                     "trace"):
            self._place(at / "queue" / name, owner.pw_uid, 0, 0o700)
        self._place(at / "queue/pid", 0, 0, 0o755)
        self._place(at / "queue/public", owner.pw_uid, posts, 0o710)
        self._place(at / "queue/maildrop", owner.pw_uid, posts, 0o730)

    @staticmethod
    def _place(path, owner, group, mode):
        path.mkdir(exist_ok=True)
        os.chown(path, owner, group)
        path.chmod(mode)


# -- Cyrus ------------------------------------------------------------------------------------


def unpacked(*packages):
    """The directory that has the programs of these packages, and the environment they run with."""
    done = subprocess.run([str(ROOT / "scripts/unpack_packages.sh"), str(UNPACKED), *packages],
                          capture_output=True, text=True, timeout=200)
    if done.returncode != 0:
        raise AssertionError(f"unpack_packages.sh: {done.stdout}{done.stderr}")
    libraries = [UNPACKED / "usr/lib", *(UNPACKED / "usr/lib").glob("*-linux-gnu")]
    return UNPACKED, {**os.environ, "LD_LIBRARY_PATH": ":".join(str(path) for path in libraries)}


class Cyrus(MailServer):
    """One Cyrus, another dialect than Dovecot's: its own words in capabilities, answers and mailboxes.

    users        {name: password}; they have an INBOX
    admins       {name: password} of those who may log in as anybody (authzid of SASL PLAIN)
    certificate  STARTTLS on the plain ports, and the ports of TLS
    """

    name = "cyrus"
    # as nobody, it must be able to reach its programs
    possible = shutil.which("apt-get") is not None and (
        os.geteuid() != 0 or all(path.stat().st_mode & 1 for path in ROOT.parents))

    def __init__(self, case, users=None, admins=None, certificate=None, more="", start=True):
        self.users = dict(users if users is not None else {"anna": "secret"})
        self.admins = {"cyrus": "cyrus", **(admins or {})}
        self.certificate = certificate
        self.more = more
        self.services = ("imap", "pop3", "sieve", *(("imaps", "pop3s") if certificate else ()))
        self.user = plain_user()
        self.programs, self.environment = unpacked("cyrus-imapd", "cyrus-pop3d", "sasl2-bin")
        super().__init__(case, start)

    def popen_more(self):
        more = {"env": self.environment}
        if os.geteuid() == 0:
            more.update(user=self.user.pw_uid, group=self.user.pw_gid, extra_groups=[])
        return more

    def command(self):
        return [str(self.programs / "usr/lib/cyrus/bin/master"), "-D", "-C", str(self.directory / "imapd.conf"),
                "-M", str(self.directory / "cyrus.conf"), "-p", str(self.directory / "pid")]

    def configure(self):
        at, bin_ = self.directory, self.programs / "usr/lib/cyrus/bin"
        for name in (".", "lib", "lib/proc", "lib/lock", "lib/db", "lib/socket", "lib/log", "lib/msg", "spool", "sieve"):
            path = at / name
            path.mkdir(exist_ok=True)
            if os.geteuid() == 0:
                os.chown(path, self.user.pw_uid, self.user.pw_gid)
        tls = ""
        if self.certificate:
            for source, name in ((self.certificate.chain, "cert.pem"), (self.certificate.key, "key.pem")):
                shutil.copy(source, at / name)
                (at / name).chmod(0o600)
                if os.geteuid() == 0:
                    os.chown(at / name, self.user.pw_uid, self.user.pw_gid)
            tls = f"tls_server_cert: {at}/cert.pem\ntls_server_key: {at}/key.pem\n"
        (at / "imapd.conf").write_text(f"""
configdirectory: {at}/lib
partition-default: {at}/spool
defaultpartition: default
sievedir: {at}/sieve
cyrus_user: {self.user.pw_name}
cyrus_group: {grp.getgrgid(self.user.pw_gid).gr_name}
admins: {" ".join(self.admins)}
proxyservers: {" ".join(self.admins)}
servername: cyrus.test
autocreate_quota: 0
allowplaintext: yes
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: {at}/sasldb
sasl_mech_list: PLAIN LOGIN
virtdomains: off
unixhierarchysep: yes
altnamespace: yes
lmtpsocket: {at}/lib/socket/lmtp
idlesocket: {at}/lib/socket/idle
notifysocket: {at}/lib/socket/notify
{tls}{self.more}
""")
        doors = {"imap": "imapd", "pop3": "pop3d", "sieve": "timsieved", "imaps": "imapd -s", "pop3s": "pop3d -s"}
        services = "".join(
            f'  {service} cmd="{bin_}/{doors[service]} -C {at}/imapd.conf" listen="{self.address(service)}" prefork=0\n'
            for service in self.services)
        (at / "cyrus.conf").write_text(
            f'START {{\n  recover cmd="{bin_}/ctl_cyrusdb -C {at}/imapd.conf -r"\n}}\n'
            f'SERVICES {{\n{services}}}\n')
        for user, password in {**self.users, **self.admins}.items():
            done = subprocess.run(
                [str(self.programs / "usr/sbin/saslpasswd2"), "-p", "-c", "-f", str(at / "sasldb"), "-u", "cyrus.test", user],
                input=password.encode(), env=self.environment, capture_output=True, timeout=200)
            if done.returncode != 0:
                raise AssertionError(f"saslpasswd2: {done.stderr}")
        if os.geteuid() == 0:
            os.chown(at / "sasldb", self.user.pw_uid, self.user.pw_gid)
