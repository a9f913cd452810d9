"""The callback of mail, held against nginx: the same auth server is asked the same, and the same comes of it."""

import concurrent.futures
import http.server
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

from lab import LabCase, wait_for
from lab.certs import Authority
from lab.machines import Machine, Mailbox, Refused
from lab.ports import free_ports

NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
MODULE = "/usr/lib/nginx/modules/ngx_mail_module.so"
# what nginx says that has nothing to do with the login
NOT_COMPARED = {"host", "user-agent", "connection", "accept", "content-length", "content-type"}


class AuthServer:
    """Answers by the user's name; `asked`: the header lines of each question."""

    def __init__(self, case, answer, tls=None):
        self.asked = []
        self.connections = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                outer.connections.append(self.request)
                super().setup()

            def do_GET(self):
                self.take(b"")

            def do_POST(self):
                self.take(self.rfile.read(int(self.headers["Content-Length"])))

            def take(self, body):
                outer.asked.append([(k.lower(), v) for k, v in self.headers.items()
                                    if k.lower() not in NOT_COMPARED] or json.loads(body))
                said = answer(dict((k.lower(), v) for k, v in self.headers.items()), body)
                if said is None:  # an end without a word
                    self.close_connection = True
                    return
                if isinstance(said, bytes):
                    self.wfile.write(said)
                    self.close_connection = True
                    return
                body = b""
                if isinstance(said, dict):
                    body = json.dumps(said).encode()
                    said = [("Content-Type", "application/json")]
                self.send_response_only(200)
                for name, value in said:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if tls is not None:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        case.addCleanup(self.close)
        self.url = "%s://127.0.0.1:%d/auth" % ("https" if tls else "http", self.server.server_address[1])

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        for connection in self.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class CallbackCase(LabCase):
    def lbd_with(self, url, machine, callback=None, pool=None, limits=None, listener=None,
                 protocols=("imap", "pop3", "smtp"), mail=None, **sections):
        self.proxy = self.lbd({
            "listeners": {protocol: {
                "bind": ["127.0.0.1:0"], "protocol": protocol, "default_pool": protocol,
                "mail": {"allow_cleartext": True, "callback": "auth", **(mail or {}),
                         "limits": {"ban_failures": 0, "failures": 10, "connections_per_address": 0,
                                    **(limits or {})}},
                **(listener or {}),
            } for protocol in protocols},
            "pools": {protocol: {"servers": {"b1": {"address": machine.address(protocol)},
                                             "b2": {"address": "127.0.0.1:1"}}, "mail": {}, **(pool or {})}
                      for protocol in protocols},
            "mail_callbacks": {"auth": {"urls": url if isinstance(url, list) else [url], "timeout": "20s",
                                        **(callback or {})}},
            **sections,
        })
        return {p: "%s:%d" % self.proxy.address(p) for p in protocols}

    def nginx(self, url, proxy=False, smtp_auth="plain"):
        directory = tempfile.mkdtemp(prefix="lab-nginx-", dir="/tmp")
        self.addCleanup(shutil.rmtree, directory, True)
        ports = dict(zip(("imap", "pop3", "smtp"), free_ports(3)))
        servers = "".join(f"server {{ listen 127.0.0.1:{port}{' proxy_protocol' if proxy else ''}; protocol {protocol}; {protocol}_auth {smtp_auth if protocol == 'smtp' else 'plain'}; }}\n"
                          for protocol, port in ports.items())
        path = os.path.join(directory, "nginx.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"""
                load_module {MODULE};
                daemon off; master_process off; pid {directory}/pid; error_log {directory}/error.log info;
                events {{ worker_connections 256; }}
                mail {{ server_name mail.example; auth_http {url.removeprefix("http://")};
                        auth_http_header X-Auth-Key key; xclient off; set_real_ip_from 127.0.0.1; {servers} }}
            """)
        process = subprocess.Popen([NGINX, "-c", path, "-p", directory, "-e", f"{directory}/error.log"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)

        def answers():
            try:
                socket.create_connection(("127.0.0.1", ports["smtp"]), timeout=1).close()
                return True
            except OSError:
                return False
        wait_for(answers, "nginx listens")
        return {protocol: f"127.0.0.1:{port}" for protocol, port in ports.items()}

    def box(self, address, protocol):
        box = Mailbox(address, protocol, timeout=30)
        self.addCleanup(box.close)
        return box

    def come(self, address, protocol, user, password="secret", looks=False):
        """"in", or what was said; and (when it `looks`) whether the connection is still there."""
        box = self.box(address, protocol)
        try:
            box.log_in(user, password)
            said = "in"
        except Refused as error:
            said = str(error)
        except (ConnectionError, TimeoutError) as error:
            said = type(error).__name__
        deadline = time.monotonic() + (0.3 if looks else 0)
        while not box.is_closed() and time.monotonic() < deadline:
            time.sleep(0.02)
        return said, not box.is_closed()


@unittest.skipUnless(NGINX and os.path.exists(MODULE), "no nginx with mail")
class AgainstNginx(CallbackCase):
    def setUp(self):
        super().setUp()
        self.machine = Machine(self, "b1")

        def answer(headers, _):
            user = headers["auth-user"].removeprefix("joe%20")
            protocol = headers["auth-protocol"]
            target = [("Auth-Status", "OK"), ("Auth-Server", "127.0.0.1"),
                      ("Auth-Port", str(self.machine.ports[protocol]))]
            if headers["auth-pass"] == "wrong":
                return [("Auth-Status", "Invalid login")]
            return {
                "renamed": target + [("Auth-User", "other")],
                "text": [("Auth-Status", "Come on Monday")],
                "waits": [("Auth-Status", "Slowly"), ("Auth-Wait", "1")],
                "code": [("Auth-Status", "Later"), ("Auth-Error-Code", "451 4.3.2"), ("Auth-Wait", "1")],
                "noport": target[:2],
                "name": [("Auth-Status", "OK"), ("Auth-Server", "localhost"), ("Auth-Port", "143")],
                "badport": [("Auth-Status", "OK"), ("Auth-Server", "127.0.0.1"), ("Auth-Port", "abc")],
                "nothing": [],
                "closes": None,
                "garbage": b"no HTTP at all\r\n\r\n",
                "noise": [(f"X-Noise-{i}", "x" * 20) for i in range(20)] + target,
            }.get(user, target)
        self.auth = AuthServer(self, answer)
        self.theirs = self.nginx(self.auth.url)
        self.ours = self.lbd_with(self.auth.url, self.machine, {"headers": {"X-Auth-Key": "key"}})

    def ask_both(self, protocol, user, password="secret", looks=False):
        """What came of it, with nginx and with us."""
        with concurrent.futures.ThreadPoolExecutor() as pool:
            return list(pool.map(lambda address: self.come(address[protocol], protocol, user, password, looks),
                                 (self.theirs, self.ours)))

    def questions(self, protocol, user, password):
        questions = []
        for address in (self.theirs, self.ours):
            self.auth.asked.clear()
            self.come(address[protocol], protocol, user, password)
            questions.append(list(self.auth.asked))
        return questions

    def test_the_same_is_asked(self):
        for protocol in ("imap", "pop3", "smtp"):
            for user, password in (("joe", "secret"), ("Joe@Example.com", "p%20w"), ("joe+x", "a'b\"c".replace('"', "")),
                                   ("text", "x"), ("j\u00f6rg", "\u00fc\u00df")):
                with self.subTest(protocol=protocol, user=user):
                    theirs, ours = self.questions(protocol, user, password)
                    self.assertEqual(len(theirs), 1)
                    self.assertEqual(dict(theirs[0]), dict(ours[0]))
                    self.assertEqual([name for name, _ in theirs[0]], [name for name, _ in ours[0]])

    def test_the_same_is_asked_behind_a_proxy(self):
        theirs = self.nginx(self.auth.url, proxy=True)
        ours = self.lbd_with(self.auth.url, self.machine, {"headers": {"X-Auth-Key": "key"}},
                             listener={"proxy_protocol_from": ["127.0.0.1/32"]})
        asked = []
        for address in (theirs["imap"], ours["imap"]):
            host, port = address.rsplit(":", 1)
            self.auth.asked.clear()
            with socket.create_connection((host, int(port)), timeout=30) as client:
                client.sendall(f"PROXY TCP4 192.0.2.7 127.0.0.1 1234 {port}\r\n".encode())
                client.makefile("rb").readline()
                client.sendall(b"a LOGIN joe secret\r\n")
                wait_for(lambda: self.auth.asked, "the question")
            question = dict(self.auth.asked[0])
            self.assertEqual(question.pop("proxy-protocol-server-port"), port)
            asked.append(question)
        self.assertEqual(asked[0], asked[1])
        self.assertEqual((asked[1]["client-ip"], asked[1]["proxy-protocol-addr"], asked[1]["proxy-protocol-port"]),
                         ("192.0.2.7", "192.0.2.7", "1234"))

    def test_the_same_comes_of_it(self):
        for protocol in ("imap", "pop3"):
            for user, good, text in (("joe", True, None), ("renamed", True, None), ("noise", None, None),
                                     ("text", False, "Come on Monday"), ("waits", False, "Slowly"),
                                     ("code", False, "Later")):
                with self.subTest(protocol=protocol, user=user):
                    (theirs, _), (ours, _) = self.ask_both(protocol, user)
                    if good is not None:
                        self.assertEqual(theirs == "in", good)
                        self.assertEqual(ours == "in", good)
                    if text:
                        self.assertEqual(theirs, ours)
                        self.assertIn(text, ours)
        for user in ("noport", "name", "badport", "nothing", "closes", "garbage"):
            with self.subTest(user=user):
                (theirs, _), (ours, _) = self.ask_both("imap", user)
                self.assertNotEqual(theirs, "in")
                self.assertRegex(ours, r"a NO \[")  # where nginx says BAD and closes: nobody has done wrong
        with self.subTest(protocol="smtp"):
            (theirs, _), (ours, _) = self.ask_both("smtp", "code")
            self.assertEqual((theirs, ours), ("451 4.3.2 Later", "451 4.3.2 Later"))

    def test_a_refusal_with_a_wait_leaves_the_connection(self):
        (_, theirs), (_, ours) = self.ask_both("imap", "waits", looks=True)
        self.assertTrue(theirs)
        self.assertTrue(ours)
        box = self.box(self.ours["imap"], "imap")
        began = time.monotonic()
        with self.assertRaises(Refused):
            box.log_in("waits")
        self.assertGreater(time.monotonic() - began, 0.9)
        box.log_in("joe")

    def test_a_renamed_user_is_renamed_at_the_server(self):
        self.ask_both("imap", "renamed")
        wait_for(lambda: len(self.machine.logins) == 2, "both logins at the server")
        self.assertEqual(set(self.machine.logins), {("imap", "other")})


class Relay:
    """An SMTP server that takes mail from and for everybody but `no@`, and writes down what it hears."""

    def __init__(self, case):
        self.heard = []
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        case.addCleanup(self.listening.close)

    def address(self, _protocol):
        return f"127.0.0.1:{self.port}"

    def _accept(self):
        while True:
            try:
                sock, _ = self.listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        with sock, sock.makefile("rb") as lines:
            sock.sendall(b"220 relay ESMTP\r\n")
            is_data = False
            for line in lines:
                text = line.decode().rstrip("\r\n")
                self.heard.append(text)
                verb = text[:4].upper()
                if is_data:
                    is_data = text != "."
                    reply = b"" if is_data else b"250 2.6.0 taken\r\n"
                elif verb == "EHLO":
                    reply = b"250-relay\r\n250 PIPELINING\r\n"
                elif "<no@" in text:
                    reply = b"550 5.7.1 not this " + (b"sender" if verb == "MAIL" else b"recipient") + b"\r\n"
                elif verb == "DATA":
                    is_data = True
                    reply = b"354 go on\r\n"
                else:
                    reply = {"MAIL": b"250 2.1.0 sender\r\n", "RCPT": b"250 2.1.5 recipient\r\n",
                             "QUIT": b"221 2.0.0 bye\r\n"}.get(verb, b"250 2.0.0 fine\r\n")
                sock.sendall(reply)
                if verb == "QUIT" and not is_data:
                    return


@unittest.skipUnless(NGINX and os.path.exists(MODULE), "no nginx with mail")
class RelayAgainstNginx(CallbackCase):
    """A relay port: nobody logs in, and the callback is asked with the first RCPT."""

    def setUp(self):
        super().setUp()
        self.relay = Relay(self)

        def answer(headers, _):
            to = headers["auth-smtp-to"]
            if "away@" in to:
                return [("Auth-Status", "No such user"), ("Auth-Error-Code", "550 5.1.1"), ("Auth-Wait", "1")]
            return [("Auth-Status", "OK"), ("Auth-Server", "127.0.0.1"), ("Auth-Port", str(self.relay.port))]
        self.auth = AuthServer(self, answer)
        self.theirs = self.nginx(self.auth.url, smtp_auth="none")["smtp"]
        self.ours = self.lbd_with(self.auth.url, self.relay, {"headers": {"X-Auth-Key": "key"}}, protocols=("smtp",),
                                  mail={"login": "none"})["smtp"]

    def talk(self, address, commands, pipelined=False):
        """The replies, the questions, and what the server heard from MAIL on."""
        self.auth.asked.clear()
        self.relay.heard.clear()
        host, port = address.rsplit(":", 1)
        replies = []
        with socket.create_connection((host, int(port)), timeout=30) as sock, sock.makefile("rb") as lines:
            def reply():
                line = b"-"
                while line[3:4] == b"-" or line == b"-":
                    line = lines.readline()
                return line.decode().rstrip("\r\n")
            replies.append(reply()[:3])
            if pipelined:
                sock.sendall("".join(c + "\r\n" for c in commands).encode())
            for command in commands:
                if not pipelined:
                    sock.sendall((command + "\r\n").encode())
                if not command.startswith(("Subject:", " ")) and command != "":
                    replies.append(reply())
        first = next((i for i, line in enumerate(self.relay.heard) if line.startswith("MAIL")), None)
        return replies, list(self.auth.asked), self.relay.heard[first:] if first is not None else []

    def both(self, *commands, pipelined=False):
        return self.talk(self.theirs, commands, pipelined), self.talk(self.ours, commands, pipelined)

    def test_the_same_is_asked(self):
        for hello in ("EHLO client.example", "HELO client.example"):
            theirs, ours = self.both(hello, "MAIL FROM:<a@b> BODY=8BITMIME", "RCPT TO:<c@d>", "RCPT TO:<e@f>", "DATA",
                                     "Subject: x", "", "  text", ".", "QUIT")
            self.assertEqual(len(theirs[1]), 1)
            self.assertEqual(theirs[1], ours[1])
            question = dict(ours[1][0])
            self.assertEqual((question["auth-method"], question["auth-smtp-helo"], question["auth-smtp-from"],
                              question["auth-smtp-to"]),
                             ("none", "client.example", "MAIL FROM:<a@b> BODY=8BITMIME", "RCPT TO:<c@d>"))
            self.assertEqual(theirs[2], ours[2])
            self.assertEqual([r[:3] for r in theirs[0]], [r[:3] for r in ours[0]])
            self.assertEqual(theirs[0][2:], ours[0][2:])

    def test_in_one_segment(self):
        commands = ("EHLO c", "MAIL FROM:<a@b>", "RCPT TO:<c@d>", "RCPT TO:<e@f>", "QUIT")
        theirs, ours = self.both(*commands, pipelined=True)
        self.assertEqual(theirs[1:], ours[1:])
        self.assertEqual(theirs[0][2:], ours[0][2:])

    def test_out_of_order(self):
        for commands in (("EHLO c", "RCPT TO:<c@d>", "QUIT"), ("EHLO c", "MAIL FROM:<a@b>", "MAIL FROM:<x@y>", "QUIT"),
                         ("EHLO c", "MAIL", "QUIT"), ("EHLO c", "MAIL FROM:<a@b>", "RCPT", "QUIT"),
                         ("EHLO c", "MAIL FROM:<a@b>", "RSET", "RCPT TO:<c@d>", "QUIT"),
                         ("EHLO c", "MAIL FROM:<a@b>", "EHLO c", "RCPT TO:<c@d>", "QUIT")):
            with self.subTest(commands):
                theirs, ours = self.both(*commands)
                self.assertEqual([r[:3] for r in theirs[0]], [r[:3] for r in ours[0]])
                self.assertEqual((theirs[1], ours[1]), ([], []))

    def test_a_recipient_that_is_refused_and_another(self):
        theirs, ours = self.both("EHLO c", "MAIL FROM:<a@b>", "RCPT TO:<away@d>", "RCPT TO:<c@d>", "QUIT")
        self.assertEqual([r[:3] for r in ours[0]], [r[:3] for r in theirs[0]])
        self.assertEqual(ours[0][3], "550 5.1.1 No such user")
        self.assertEqual(theirs[0][3:], ours[0][3:])
        self.assertEqual([dict(q)["auth-smtp-to"] for q in ours[1]], ["RCPT TO:<away@d>", "RCPT TO:<c@d>"])
        self.assertEqual(theirs[1], ours[1])
        self.assertEqual(theirs[2], ours[2])

    def test_what_the_server_refuses(self):
        (theirs, _, _), (ours, _, _) = self.both("EHLO c", "MAIL FROM:<a@b>", "RCPT TO:<no@d>", "QUIT")
        self.assertEqual(ours[3], "550 5.7.1 not this recipient")
        replies, asked, heard = self.talk(self.ours, ("EHLO c", "MAIL FROM:<no@b>", "RCPT TO:<c@d>", "QUIT"))
        self.assertEqual(replies[2:4], ["250 2.0.0 OK", "550 5.7.1 not this sender"])
        self.assertEqual((len(asked), set(heard) - {"QUIT"}), (1, {"MAIL FROM:<no@b>"}))


class Callback(CallbackCase):
    def test_json(self):
        machine = Machine(self, "b1")

        def answer(_, body):
            question = json.loads(body)
            return {"joe": {"status": "ok", "server": "b1"},
                    "ann": {"status": "ok", "address": machine.address("imap"), "login_user": "anna",
                            "password": "other"},
                    "zoe": {"status": "ok", "pool": "imap"},
                    "no": {"status": "refused", "text": "Not you", "wait": 1}}.get(question["user"], {"status": "?"})
        auth = AuthServer(self, answer)
        ours = self.lbd_with(auth.url, machine, {"format": "json"})
        for user, said in (("Joe", "in"), ("ann", "in"), ("no", "a NO Not you"), ("else", None)):
            got, _ = self.come(ours["imap"], "imap", user)
            if said:
                self.assertEqual(got, said)
            else:
                self.assertRegex(got, r"a NO \[")
        question = auth.asked[0]
        self.assertEqual((question["protocol"], question["method"], question["user"], question["login"],
                          question["password"], question["attempt"]), ("imap", "plain", "joe", "Joe", "secret", 1))
        self.assertEqual(question["client"]["ip"], "127.0.0.1")
        self.assertEqual(machine.users(), {"Joe", "anna"})

    def test_an_unknown_server_is_refused_and_said(self):
        machine = Machine(self, "b1")
        auth = AuthServer(self, lambda *_: [("Auth-Status", "OK"), ("Auth-Server", "127.0.0.1"), ("Auth-Port", "9")])
        ours = self.lbd_with(auth.url, machine)
        self.assertRegex(self.come(ours["imap"], "imap", "joe")[0], r"a NO \[")
        wait_for(lambda: re.search(r"mail\.lookup why=.*callback 'auth' names 127\.0\.0\.1:9", self.proxy.log_text()),
                 "a line in the log")

    def test_urls_connections_and_what_was_kept(self):
        machine = Machine(self, "b1")
        target = [("Auth-Status", "OK"), ("Auth-Server", "127.0.0.1"), ("Auth-Port", str(machine.ports["imap"]))]
        auth = AuthServer(self, lambda headers, _: target if headers["auth-pass"] == "secret" else
                          [("Auth-Status", "no"), ("Auth-Wait", "1")])
        ours = self.lbd_with(["http://127.0.0.1:1/", auth.url], machine, {"cache_ttl": "1m"})
        for _ in range(5):
            self.assertEqual(self.come(ours["imap"], "imap", "joe")[0], "in")
        self.assertEqual(len(auth.asked), 1)  # whichever worker
        for i in range(6):
            self.assertEqual(self.come(ours["imap"], "imap", f"u{i}")[0], "in")
        self.assertLessEqual(len(auth.connections), 2)  # one of each worker
        self.assertNotEqual(self.come(ours["imap"], "imap", "joe", "other")[0], "in")
        self.assertEqual(len(auth.asked), 8)
        self.proxy.delete("/v1/mail/cache?user=joe")
        self.assertEqual(self.come(ours["imap"], "imap", "joe")[0], "in")
        self.assertEqual(len(auth.asked), 9)
        auth.close()
        self.assertEqual(self.come(ours["imap"], "imap", "joe")[0], "in")
        self.assertRegex(self.come(ours["imap"], "imap", "new")[0], r"a NO \[")
        for result, count in (("ok", 8), ("kept", 5), ("refused", 1), ("failed", 1)):
            self.proxy.wait_metric(count, "lbd_mail_callback_answers_total", protocol="imap", result=result)

    def test_a_refusal_takes_back_what_was_kept(self):
        """Else whose account was closed would be let in again as soon as nobody answers."""
        machine = Machine(self, "b1")
        target = [("Auth-Status", "OK"), ("Auth-Server", "127.0.0.1"), ("Auth-Port", str(machine.ports["imap"]))]
        closed = set()
        auth = AuthServer(self, lambda headers, _: [("Auth-Status", "Account closed"), ("Auth-Wait", "1")]
                          if headers["auth-user"] in closed else target)
        ours = self.lbd_with(auth.url, machine)
        for user in ("joe", "ann"):
            self.assertEqual(self.come(ours["imap"], "imap", user)[0], "in")
        closed.add("joe")
        self.assertEqual(self.come(ours["imap"], "imap", "joe")[0], "a NO Account closed")
        auth.close()
        self.assertEqual(self.come(ours["imap"], "imap", "ann")[0], "in")
        self.assertRegex(self.come(ours["imap"], "imap", "joe")[0], r"a NO \[UNAVAILABLE\]")

    def test_https_is_verified(self):
        directory = tempfile.mkdtemp(prefix="lab-ca-", dir="/tmp")
        self.addCleanup(shutil.rmtree, directory)
        ours_ca, other_ca = Authority(directory, "ours"), Authority(directory, "other")
        certificate = ours_ca.issue("auth", "127.0.0.1", ["IP:127.0.0.1"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.chain, certificate.key)
        machine = Machine(self, "b1")
        auth = AuthServer(self, lambda *_: [("Auth-Status", "OK"), ("Auth-Server", "127.0.0.1"),
                                            ("Auth-Port", str(machine.ports["imap"]))], tls=context)
        for ca, said in ((ours_ca, "in"), (other_ca, None)):
            ours = self.lbd_with(auth.url, machine, {"ca": "site"}, ca_sets={"site": {"file": str(ca.certificate)}})
            got = self.come(ours["imap"], "imap", "joe")[0]
            if said:
                self.assertEqual(got, said)
            else:
                self.assertRegex(got, r"a NO \[UNAVAILABLE\]")
                wait_for(lambda: "mail.lookup why=\"callback 'auth': TLS" in self.proxy.log_text(), "a line in the log")

    def test_wait_is_asked_again(self):
        machine = Machine(self, "b1")
        count = []

        def answer(*_):
            count.append(time.monotonic())
            if len(count) < 3:
                return [("Auth-Status", "WAIT"), ("Auth-Wait", "1")]
            return [("Auth-Status", "OK"), ("Auth-Server", "127.0.0.1"), ("Auth-Port", str(machine.ports["imap"]))]
        ours = self.lbd_with(AuthServer(self, answer).url, machine)
        self.assertEqual(self.come(ours["imap"], "imap", "joe")[0], "in")
        self.assertGreater(count[2] - count[0], 1.9)

    def test_a_pool_that_is_shown_no_password_needs_its_yes(self):
        machine = Machine(self, "b1")
        auth = AuthServer(self, lambda headers, _: [("Auth-Status", "no"), ("Auth-Wait", "1")]
                          if headers["auth-pass"] == "wrong" else
                          [("Auth-Status", "OK"), ("Auth-Server", "127.0.0.1"), ("Auth-Port", str(machine.ports["imap"]))])
        directory = tempfile.mkdtemp(dir="/tmp")
        self.addCleanup(shutil.rmtree, directory)
        secret = os.path.join(directory, "secret")
        with open(secret, "w", encoding="utf-8", opener=lambda p, f: os.open(p, f, 0o600)) as file:
            file.write("master\n")
        master = {"mail": {"credentials": "master", "master_user": "lbd", "master_password_file": secret}}
        ours = self.lbd_with(auth.url, machine, pool=master, mail_users={"joe": {"server": "b1"}})
        self.assertEqual(self.come(ours["imap"], "imap", "joe", "wrong")[0], "a NO no")
        self.assertEqual(machine.logins, [])
        self.assertEqual(self.come(ours["imap"], "imap", "joe", "right")[0], "in")
        self.assertEqual(len(auth.asked), 2)


if __name__ == "__main__":
    unittest.main()
