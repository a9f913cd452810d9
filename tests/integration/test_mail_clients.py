"""Mail programs of other people, straight at the server and through lbd: both times the same comes of it."""

import dataclasses
import imaplib
import mailbox
import os
import poplib
import re
import shutil
import smtplib
import socket
import subprocess
import tempfile
import unittest
from pathlib import Path

from lab import LabCase, wait_for
from lab.certs import Authority, client_context
from lab.mail_servers import Dovecot, Postfix

PASSWORD = 'se"cr\\et {3}'
PLAIN_PASSWORD = "secret"
MAILS = [b"From: a@x.test\r\nTo: anna@dovecot.test\r\nSubject: number %d\r\nMessage-ID: <%d@x.test>\r\n"
         b"Date: Thu, 01 Jan 2026 00:00:00 +0000\r\n\r\nhello %d\r\n.starts with a dot\r\n" % (i, i, i)
         for i in range(1, 4)]
# what a server says otherwise each time
CHANGING = [
    (re.compile(r"\d{9,}"), "N"),
    (re.compile(r"\(\d+\.\d+ \+ \d+\.\d+( \+ \d+\.\d+)? secs\)"), "(T)"),
    (re.compile(r"<[^<>]*@postfix\.test>"), "<id>"),
    (re.compile(r"queued as \w+"), "queued as ID"),
]


def normal(value):
    """Texts, and everything made of them, without what changes."""
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if isinstance(value, str):
        for pattern, word in CHANGING:
            value = pattern.sub(word, value)
        return value
    if isinstance(value, (list, tuple)):
        return [normal(one) for one in value]
    return value


def has(program):
    return unittest.skipUnless(shutil.which(program), f"no {program} here")


@dataclasses.dataclass
class Side:
    """Where a client goes: the servers, or lbd before servers that are like them."""

    name: str
    ports: dict
    dovecot: Dovecot
    home: Path  # for the client's files

    def port(self, service):
        return self.ports[service]


@unittest.skipUnless(Dovecot.possible, "no Dovecot here")
class ClientCase(LabCase):
    services = ("imap", "imaps", "pop3", "pop3s", "sieve")

    def setUp(self):
        super().setUp()
        self.directory = Path(tempfile.mkdtemp(prefix="lab-clients-", dir="/tmp"))
        self.directory.chmod(0o755)
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.ca = Authority(self.directory)
        self.certificate = self.ca.issue("mail", "localhost", ["DNS:localhost", "IP:127.0.0.1"])
        self.straight = self.servers("straight")
        behind = self.servers("behind")
        self.through = dataclasses.replace(behind, name="through", home=self.home("through"), ports=self.proxied(behind))

    def home(self, name):
        path = self.directory / name
        path.mkdir()
        return path

    def servers(self, name):
        dovecot = Dovecot(self, users={"anna": PASSWORD, "berta": PLAIN_PASSWORD}, certificate=self.certificate,
                          name="dovecot")
        for mail in MAILS:
            dovecot.deliver("anna", mail)
            dovecot.deliver("berta", mail)
        return Side(name, dict(dovecot.ports), dovecot, self.home(name))

    def proxied(self, side):
        document = {
            "certificates": {"mail": {"chain_file": str(self.certificate.chain), "key_file": str(self.certificate.key)}},
            "listeners": {}, "pools": {}}
        for service in self.services:
            protocol = service.removesuffix("s") if service != "sieve" else service
            listener = {"bind": ["127.0.0.1:0"], "protocol": protocol, "default_pool": protocol,
                        "tls": {"certificates": ["mail"]},
                        "mail": {"mechanisms": ["plain", "login", "xoauth2", "oauthbearer"]}}
            if service == protocol:
                listener["mail"].update(starttls=True, allow_cleartext=True)
            document["listeners"][service] = listener
            document["pools"].setdefault(protocol, {"servers": {"a": {
                "address": f"127.0.0.1:{side.port('submission' if protocol == 'smtp' else protocol)}"}}})
        self.proxy = self.lbd(document)
        return {service: self.proxy.port(service) for service in self.services}

    def same(self, scenario, *args):
        """Runs it on both sides; what it answers, which is the same."""
        straight, through = normal(scenario(self.straight, *args)), normal(scenario(self.through, *args))
        self.assertEqual(straight, through)
        return through

    def run_client(self, *command, side=None, stdin="", timeout=200, check=True, **env):
        environment = {**os.environ, **({"HOME": str(side.home)} if side else {}), "LC_ALL": "C.UTF-8", **env}
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, input=stdin,
                              timeout=timeout, env=environment, check=False)
        if check:
            self.assertEqual(done.returncode, 0, f"{command}\n{done.stdout}\n{done.stderr}")
        return done

    def write(self, side, name, text):
        path = side.home / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    def bodies(self, maildir):
        """What lies in a Maildir, by subject; headers that clients add are left out."""
        box = mailbox.Maildir(str(maildir), create=False)
        return sorted((mail["Subject"], mail.get_payload()) for mail in box)

    WANTED = sorted((f"number {i}", f"hello {i}\n.starts with a dot\n") for i in range(1, 4))


class Imap(ClientCase):
    def imaplib(self, side, how):
        if how == "tls":
            client = imaplib.IMAP4_SSL("localhost", side.port("imaps"), ssl_context=client_context(self.ca), timeout=60)
        else:
            client = imaplib.IMAP4("localhost", side.port("imap"), timeout=60)
            if how == "starttls":
                client.starttls(client_context(self.ca))
        said = [client.login("anna", PASSWORD) if how == "clear" else
                client.authenticate("PLAIN", lambda _: b"\0anna\0" + PASSWORD.encode())]
        said += [client.capability(), client.select("INBOX"), client.search(None, "ALL"),
                 client.fetch("1:*", "(FLAGS ENVELOPE BODY[])"), client.store("1", "+FLAGS", "\\Deleted"),
                 client.expunge(), client.append("INBOX", None, None, MAILS[0]), client.noop(),
                 client.create("Other"), client.copy("1:2", "Other"), client.status("Other", "(MESSAGES)"),
                 client.list(), client.close(), client.logout()]
        return said

    def test_imaplib(self):
        for how in ("clear", "starttls", "tls"):
            with self.subTest(how):
                self.same(self.imaplib, how)
                for side in (self.straight, self.through):
                    shutil.rmtree(side.dovecot.maildir("anna"))
                    for mail in MAILS:
                        side.dovecot.deliver("anna", mail)

    def test_login_that_fails(self):
        def scenario(side):
            client = imaplib.IMAP4("localhost", side.port("imap"), timeout=60)
            with self.assertRaises(imaplib.IMAP4.error) as raised:
                client.login("anna", "wrong")
            client.shutdown()
            return "AUTHENTICATIONFAILED" in str(raised.exception)
        self.assertTrue(self.same(scenario))

    def test_the_bytes_after_the_login(self):
        """Line by line, with literals, IDLE and a mail that comes meanwhile."""
        steps = [b"b ENABLE CONDSTORE", b"c ID NIL", b"d NAMESPACE", b'e SELECT "INBOX" (CONDSTORE)',
                 b"f UID FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])", b"g FOO", b"h UID SEARCH SUBJECT 2",
                 b"i APPEND INBOX {12+}\r\nSubject: x\r\n", b"j STATUS INBOX (MESSAGES UNSEEN)", b"k UNSELECT",
                 b"l GETQUOTAROOT INBOX", b"m LOGOUT"]

        def answer(stream, tag):
            lines = []
            while not lines or not lines[-1].startswith(tag):
                line = stream.readline()
                if not line:
                    break
                lines.append(line)
            return b"".join(lines)

        def scenario(side):
            with socket.create_connection(("127.0.0.1", side.port("imap")), timeout=60) as client:
                stream = client.makefile("rwb")
                stream.readline()
                stream.write(b'a LOGIN {4}\r\n')
                stream.flush()
                said = [stream.readline()[:2]]
                stream.write(b'anna "%s"\r\n' % PASSWORD.replace("\\", "\\\\").replace('"', '\\"').encode())
                stream.flush()
                said.append(answer(stream, b"a "))
                for step in steps:
                    stream.write(step + b"\r\n")
                    stream.flush()
                    said.append(answer(stream, step[:2]))
                    if step.startswith(b"d "):
                        said.append(self.idle(stream, side, answer))
                said.append(stream.read())
            return said
        said = self.same(scenario)
        self.assertIn("IDLE", said[1])

    def idle(self, stream, side, answer):
        stream.write(b"x SELECT INBOX\r\ny IDLE\r\n")
        stream.flush()
        said = [answer(stream, b"x "), stream.readline()]
        side.dovecot.deliver("anna", MAILS[0])
        said.append(answer(stream, b"* 4 EXISTS"))
        stream.write(b"DONE\r\n")
        stream.flush()
        rest = answer(stream, b"y ")
        said.append(rest[rest.index(b"y OK"):])
        return said

    @has("curl")
    def test_curl(self):
        def scenario(side, url, *args):
            return self.run_client("curl", "-s", "--cacert", self.ca.certificate, url.format(**side.ports), *args).stdout

        password = ("--user", "berta:" + PLAIN_PASSWORD)
        for args in (("imap://localhost:{imap}/INBOX;MAILINDEX=1", *password),
                     ("imap://localhost:{imap}/INBOX?ALL", *password, "--ssl-reqd"),
                     ("imap://localhost:{imap}/INBOX;MAILINDEX=2", *password, "--login-options", "AUTH=LOGIN"),
                     ("imaps://localhost:{imaps}/INBOX;UID=3;SECTION=TEXT", *password),
                     ("imap://localhost:{imap}/", *password, "--ssl-reqd"),
                     ("imap://localhost:{imap}/INBOX", *password, "-X", "STATUS INBOX (MESSAGES)")):
            with self.subTest(args[0]):
                self.assertNotEqual(self.same(scenario, *args), "")

    @has("curl")
    def test_curl_with_a_token(self):
        for mechanism in ("XOAUTH2", "OAUTHBEARER"):
            def scenario(side, good):
                token = side.dovecot.token("berta") if good else side.dovecot.token("berta", key=b"other")
                done = self.run_client(
                    "curl", "-s", "--cacert", self.ca.certificate, "--ssl-reqd", "--user", "berta", "--oauth2-bearer", token,
                    "--login-options", f"AUTH={mechanism}", f"imap://localhost:{side.port('imap')}/INBOX;MAILINDEX=1",
                    check=False)
                return done.returncode, done.stdout
            with self.subTest(mechanism):
                self.assertIn("number 1", self.same(scenario, True)[1])
                self.assertEqual(self.same(scenario, False), [67, ""])

    @has("mbsync")
    def test_mbsync(self):
        def scenario(side, tls):
            box = side.home / f"box-{tls}"
            box.mkdir()
            kind = {"STARTTLS": "STARTTLS", "IMAPS": "IMAPS", "None": "None"}[tls]
            self.write(side, "mbsyncrc", f"""
IMAPAccount here
Host localhost
Port {side.port('imaps' if tls == 'IMAPS' else 'imap')}
User berta
Pass {PLAIN_PASSWORD}
SSLType {kind}
CertificateFile {self.ca.certificate}
AuthMechs {'LOGIN' if tls == 'None' else 'PLAIN'}

IMAPStore far
Account here

MaildirStore near
Path {box}/
Inbox {box}/INBOX

Channel all
Far :far:
Near :near:
Patterns *
Create Both
SyncState *
""")
            self.run_client("mbsync", "-c", side.home / "mbsyncrc", "-a", side=side)
            mailbox.Maildir(str(box / "INBOX")).add(b"Subject: from here\n\nup\n")
            self.run_client("mbsync", "-c", side.home / "mbsyncrc", "-a", side=side)
            return self.bodies(box / "INBOX"), len(side.dovecot.mails("berta"))

        for tls, count in (("STARTTLS", 4), ("IMAPS", 5), ("None", 6)):
            with self.subTest(tls):
                self.assertEqual(self.same(scenario, tls)[1], count)

    @has("offlineimap")
    def test_offlineimap(self):
        def scenario(side):
            config = self.write(side, "offlineimaprc", f"""
[general]
accounts = a
metadata = {side.home}/meta
ui = quiet
[Account a]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {side.home}/offline
[Repository far]
type = IMAP
remotehost = localhost
remoteport = {side.port('imaps')}
remoteuser = anna
remotepasseval = {PASSWORD!r}
ssl = yes
sslcacertfile = {self.ca.certificate}
""")
            self.run_client("offlineimap", "-o", "-c", config, side=side)
            return self.bodies(side.home / "offline/INBOX")
        self.assertEqual(self.same(scenario), [list(one) for one in self.WANTED])

    @has("mutt")
    def test_mutt(self):
        def scenario(side):
            rc = self.write(side, "muttrc", f"""
set imap_user=berta imap_pass={PLAIN_PASSWORD} ssl_starttls=yes ssl_force_tls=yes
set certificate_file={self.ca.certificate} ssl_usesystemcerts=no ssl_ca_certificates_file={self.ca.certificate}
set header_cache="" message_cachedir="" folder={side.home} quit=yes confirmcreate=no confirmappend=no delete=yes move=no copy=no
set wait_key=no mbox_type=Maildir abort_key=\\Cx
""")
            # a terminal of its own, for it insists on one
            self.run_client("script", "-qec", f"mutt -n -F {rc} -f imap://localhost:{side.port('imap')}/INBOX "
                            f"-e 'push <tag-pattern>~A<enter><tag-prefix><copy-message><kill-line>{side.home}/copied<enter><quit>'",
                            "/dev/null", side=side, TERM="xterm")
            return self.bodies(side.home / "copied")
        self.assertEqual(self.same(scenario), [list(one) for one in self.WANTED])


class Pop3(ClientCase):
    def poplib(self, side, how):
        if how == "tls":
            client = poplib.POP3_SSL("localhost", side.port("pop3s"), context=client_context(self.ca), timeout=60)
        else:
            client = poplib.POP3("localhost", side.port("pop3"), timeout=60)
            if how == "starttls":
                client.stls(client_context(self.ca))
        client.user("berta")
        said = [client.pass_(PLAIN_PASSWORD), client.stat(), client.list(), client.retr(1), client.top(2, 1),
                client.retr(3), client.dele(2), client.noop(), client.rset(), client.quit()]
        return said

    def test_poplib(self):
        for how in ("clear", "starttls", "tls"):
            with self.subTest(how):
                self.same(self.poplib, how)

    @has("curl")
    def test_curl(self):
        def scenario(side, url, *args):
            return self.run_client("curl", "-s", "--cacert", self.ca.certificate, url.format(**side.ports), *args).stdout

        password = ("--user", "berta:" + PLAIN_PASSWORD)
        for args in (("pop3://localhost:{pop3}/1", *password), ("pop3://localhost:{pop3}/2", *password, "--ssl-reqd"),
                     ("pop3s://localhost:{pop3s}/3", *password), ("pop3://localhost:{pop3}/", *password),
                     ("pop3://localhost:{pop3}/1", *password, "--login-options", "AUTH=LOGIN"),
                     ("pop3://localhost:{pop3}/1", *password, "--login-options", "AUTH=PLAIN", "--sasl-ir")):
            with self.subTest(str(args)):
                self.assertNotEqual(self.same(scenario, *args), "")

    @has("getmail")
    def test_getmail(self):
        def fetch(side, kind, box, timeout):
            mailbox.Maildir(str(box))
            user = ""
            if os.geteuid() == 0:  # it delivers nothing as root
                user = "user = nobody"
                for path in (side.home, box, *box.iterdir()):
                    shutil.chown(path, "nobody")
            port = side.port({"SimplePOP3SSLRetriever": "pop3s", "SimpleIMAPSSLRetriever": "imaps"}[kind])
            config = self.write(side, "getmailrc", f"""
[retriever]
type = {kind}
server = localhost
port = {port}
username = anna
password = {PASSWORD}
ca_certs = {self.ca.certificate}
[destination]
type = Maildir
path = {box}/
{user}
[options]
delivered_to = false
received = false
""")
            self.run_client("getmail", "--getmaildir", side.home, "--rcfile", config, side=side, timeout=timeout)

        def scenario(side, kind):
            """getmail and the child that delivers for it now and then wait for each other, straight at Dovecot, too."""
            for attempt, timeout in enumerate((15, 15, 60)):
                box = side.home / f"getmail-{kind}-{attempt}"
                try:
                    fetch(side, kind, box, timeout)
                    break
                except subprocess.TimeoutExpired:
                    if timeout == 60:
                        raise
            return self.bodies(box)
        for kind in ("SimplePOP3SSLRetriever", "SimpleIMAPSSLRetriever"):
            with self.subTest(kind):
                self.assertEqual(self.same(scenario, kind), [list(one) for one in self.WANTED])

    @has("fetchmail")
    def test_fetchmail(self):
        def scenario(side, protocol):
            config = self.write(side, "fetchmailrc", f"""
set pidfile "{side.home}/fetchmail-{protocol}.pid"
poll localhost service {side.port(protocol)} protocol {protocol.upper()}
  user berta password {PLAIN_PASSWORD} ssl
  sslproto "auto" sslcertck sslcertfile {self.ca.certificate}
  keep fetchall mda "cat >> {side.home}/fetched-{protocol}; echo >> {side.home}/fetched-{protocol}"
""".replace(f"service {side.port(protocol)}", f"service {side.port(protocol + 's')}"))
            self.run_client("fetchmail", "-f", config, side=side, FETCHMAILHOME=str(side.home))
            text = (side.home / f"fetched-{protocol}").read_text()
            return re.findall(r"^(?:Subject: |hello ).*", text, re.M)
        for protocol in ("pop3", "imap"):
            with self.subTest(protocol):
                self.assertEqual(len(self.same(scenario, protocol)), 6)


class Sieve(ClientCase):
    @has("sieve-connect")
    def test_sieve_connect(self):
        def scenario(side):
            script = self.write(side, "keep.sieve", 'require "fileinto";\nkeep;\n')
            password = self.write(side, "password", PLAIN_PASSWORD + "\n")

            def act(*words):
                with open(password, encoding="utf-8") as file:
                    done = subprocess.run(
                        ["sieve-connect", "-s", "localhost", "-p", str(side.port("sieve")), "-u", "berta", "--passwordfd",
                         str(file.fileno()), "--tlscafile", str(self.ca.certificate), *map(str, words)],
                        capture_output=True, text=True, timeout=200, stdin=subprocess.DEVNULL, pass_fds=[file.fileno()],
                        env={**os.environ, "HOME": str(side.home)}, check=False)
                return done.returncode, done.stdout, done.stderr
            said = [act("--upload", "--localsieve", script, "--remotesieve", "keep"), act("--list"),
                    act("--activate", "--remotesieve", "keep"), act("--list"),
                    act("--download", "--remotesieve", "keep", "--localsieve", side.home / "back.sieve")]
            return [(code, out) for code, out, _ in said], (side.home / "back.sieve").read_text(), [err for *_, err in said]
        steps, back, _ = self.same(scenario)
        self.assertEqual([code for code, _ in steps], [0] * 5)
        self.assertIn("keep;", back)
        self.assertIn("ACTIVE", steps[3][1])


@unittest.skipUnless(Postfix.possible, "no Postfix here")
class Smtp(ClientCase):
    services = ("smtp", "smtps")

    def servers(self, name):
        side = super().servers(name)
        postfix = Postfix(self, side.dovecot, certificate=self.certificate)
        side.ports.update(smtp=postfix.port("submission"), smtps=postfix.port("smtps"), submission=postfix.port("submission"))
        return side

    def delivered(self, side, subject):
        """The body that arrived under this subject."""
        def found():
            for mail in side.dovecot.mails("anna"):
                if b"Subject: " + subject in mail:
                    return mail.replace(b"\r\n", b"\n").partition(b"\n\n")[2]
            return None
        return wait_for(found, f"a mail about {subject}")

    def smtplib(self, side, how):
        if how == "tls":
            client = smtplib.SMTP_SSL("localhost", side.port("smtps"), context=client_context(self.ca), timeout=60)
        else:
            client = smtplib.SMTP("localhost", side.port("smtp"), timeout=60)
            client.ehlo("me.test")
            if how == "starttls":
                client.starttls(context=client_context(self.ca))
        client.ehlo("me.test")
        said = [client.login("berta", PLAIN_PASSWORD)]
        subject = f"by smtplib {how}".encode()
        said += [client.mail("berta@dovecot.test"), client.rcpt("anna@dovecot.test"), client.rcpt("nobody@"),
                 client.data(b"Subject: " + subject + b"\r\n\r\n.dot\r\n" + b"x" * 100000 + b"\r\n"), client.noop(),
                 client.vrfy("anna"), client.docmd("FOO"), client.rset(), client.quit()]
        return said, self.delivered(side, subject)

    def test_smtplib(self):
        for how in ("clear", "starttls", "tls"):
            with self.subTest(how):
                self.same(self.smtplib, how)

    @has("curl")
    def test_curl(self):
        def scenario(side, name, url, *args):
            mail = self.write(side, "mail", f"Subject: {name}\r\n\r\nby curl\r\n")
            self.run_client("curl", "-s", "--cacert", self.ca.certificate, "--mail-from", "berta@dovecot.test", "--mail-rcpt",
                            "anna@dovecot.test", "--upload-file", mail, url.format(**side.ports), *args)
            return self.delivered(side, name.encode())
        password = ("--user", "berta:" + PLAIN_PASSWORD)
        for number, args in enumerate((("smtp://localhost:{smtp}/me.test", *password),
                                       ("smtp://localhost:{smtp}/me.test", *password, "--ssl-reqd"),
                                       ("smtps://localhost:{smtps}/me.test", *password, "--login-options", "AUTH=LOGIN"))):
            with self.subTest(str(args)):
                self.assertEqual(self.same(scenario, f"curl {number}", *args), "by curl\n")

    @has("swaks")
    def test_swaks(self):
        def scenario(side, name, service, *args):
            done = self.run_client(
                "swaks", "--server", "localhost", "--port", side.port(service), "--from", "berta@dovecot.test", "--to",
                "anna@dovecot.test", "--auth-user", "berta", "--auth-password", PLAIN_PASSWORD, "--helo", "me.test", "--data",
                f"Subject: {name}\\n\\nby swaks\\n", "--tls-ca-path", self.ca.certificate, *args)
            # what is said from the login on
            return (re.findall(r"^ ?<[-~*]*  ?(?:235|250 2|354|221).*", done.stdout, re.M), self.delivered(side, name.encode()))
        for number, args in enumerate((("smtp", "--auth", "PLAIN"), ("smtp", "--auth", "LOGIN"),
                                       ("smtp", "--auth", "PLAIN", "-tls"), ("smtps", "--auth", "LOGIN", "-tlsc"))):
            with self.subTest(str(args)):
                self.assertIn("235", str(self.same(scenario, f"swaks {number}", *args)))

    @has("msmtp")
    def test_msmtp(self):
        def scenario(side, how):
            config = self.write(side, "msmtprc", f"""
account default
host localhost
port {side.port('smtps' if how == 'tls' else 'smtp')}
auth plain
user berta
password {PLAIN_PASSWORD}
from berta@dovecot.test
domain me.test
tls {'off' if how == 'clear' else 'on'}
tls_starttls {'off' if how == 'tls' else 'on'}
tls_trust_file {'' if how == 'clear' else self.ca.certificate}
""".replace("tls_trust_file \n", ""))
            if how == "clear":
                config.write_text(config.read_text().replace("tls_starttls on\n", "").replace("auth plain", "auth login"))
            self.run_client("msmtp", "-C", config, "anna@dovecot.test", side=side, stdin=f"Subject: msmtp {how}\n\n.\nend\n")
            return self.delivered(side, f"msmtp {how}".encode())
        for how in ("starttls", "tls"):
            with self.subTest(how):
                self.assertEqual(self.same(scenario, how), ".\nend\n")


if __name__ == "__main__":
    unittest.main()
