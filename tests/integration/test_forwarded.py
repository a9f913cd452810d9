"""Who the client of a request is, when proxies before us say so, and what servers are told."""

import shutil
import tempfile
import unittest

from lab import LabCase, Origin, config_for
from lab.h2 import H2Client
from lab.origin import respond

TRUSTED = {"trusted": ["127.0.0.0/8", "10.0.0.0/8"]}
FIELDS = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "Forwarded")


class Forwarded(LabCase):
    def start(self, forwarded, **listener):
        self.server = self.origin()
        self.proxy = self.lbd(config_for(
            self.server, listener={**({"forwarded": forwarded} if forwarded else {}), **listener}))

    def told(self, lines="", target=None, status=200):
        """What the server got, and who the access log says it was."""
        client = self.connect(target or self.proxy)
        client.send(f"GET / HTTP/1.1\r\nHost: a.test\r\n{lines}Connection: close\r\n\r\n".encode())
        answer = client.read_rest()
        client.close()
        self.assertTrue(answer.startswith(f"HTTP/1.1 {status}".encode()), answer[:200])
        self.count = getattr(self, "count", 0) + 1
        line = self.proxy.wait_access_log(self.count)[-1]
        request = self.server.requests[-1]
        return {name: request.get(name) for name in FIELDS}, line["client"].rpartition(":")[0].strip("[]")

    def test_a_trusted_proxy_names_the_client(self):
        self.start(TRUSTED)
        told, client = self.told("X-Forwarded-For: 6.6.6.6, 203.0.113.7, 10.0.0.2\r\n"
                                 "X-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.test\r\n"
                                 "X-Forwarded-Port: 443\r\nForwarded: for=9.9.9.9\r\n")
        self.assertEqual(client, "203.0.113.7")
        self.assertEqual(told, {
            "X-Forwarded-For": "203.0.113.7, 10.0.0.2, 127.0.0.1", "X-Forwarded-Proto": "https",
            "X-Forwarded-Host": "shop.test", "X-Forwarded-Port": "443", "Forwarded": None})
        told, client = self.told()
        self.assertEqual((client, told["X-Forwarded-For"], told["X-Forwarded-Proto"],
                          told["X-Forwarded-Host"]), ("127.0.0.1", "127.0.0.1", "http", "a.test"))

    def test_how_the_client_asked_is_what_the_trusted_proxy_says(self):
        asked = []

        def service(peer):
            while True:
                asked.append({name.lower(): value for name, value in peer.rx().headers})
                peer.send(respond(204))
        server = self.origin()
        document = config_for(server, listener={"forwarded": {"trusted": ["127.0.0.0/8"]}})
        document["policies"] = {
            "door": {"external_auth": {"url": f"http://{self.origin(service).address}/"}},
            "lines": {"headers": {"request": {"set": {"X-Scheme": "{scheme}"}}}},
            "browsers": {"security_headers": {}}}
        document["listeners"]["web"]["policies"] = ["door", "lines", "browsers"]
        document["pools"]["main"]["sticky"] = {"cookie": "at"}
        document["pools"]["other"] = {"servers": {"b": {"address": server.address}}}
        document["routes"] = {"split": {"listener": "web", "match": {"path": "/split"}, "action": {
            "split": {"pools": {"main": 1, "other": 1}, "cookie": {"name": "arm"}}}},
            "rest": {"listener": "web", "action": {"pool": "main"}}}
        proxy = self.lbd(document)
        for lines, scheme, host in (({"X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.test"}, "https", "shop.test"),
                                    ({"X-Forwarded-Proto": "http"}, "http", "a.test"), ({}, "http", "a.test")):
            for path in ("/", "/split"):
                with self.subTest(lines, path=path):
                    answer = self.connect(proxy).get(path, {"X-Forwarded-For": "203.0.113.7", **lines}, host="a.test")
                    self.assertEqual(answer.status, 200)
                    self.assertEqual((asked[-1]["x-forwarded-proto"], asked[-1]["x-forwarded-host"]), (scheme, host))
                    self.assertEqual(server.requests[-1].get("X-Scheme"), scheme)
                    self.assertEqual(answer.get("Strict-Transport-Security") is not None, scheme == "https")
                    cookies = [value for name, value in answer.headers if name.lower() == "set-cookie"]
                    self.assertTrue(cookies)
                    for cookie in cookies:
                        self.assertEqual("; Secure" in cookie, scheme == "https", cookie)

    def test_others_name_nobody(self):
        for forwarded in (None, {"trusted": ["10.0.0.0/8"]}, {"send": "both"}):
            self.count = 0
            self.start(forwarded)
            told, client = self.told("X-Forwarded-For: 10.0.0.2\r\nX-Forwarded-Proto: https\r\n"
                                     "X-Forwarded-Host: evil.test\r\nX-Forwarded-Port: 1\r\n"
                                     "Forwarded: for=10.0.0.2;proto=https\r\nX-Real-IP: 10.0.0.2\r\n")
            self.assertEqual(client, "127.0.0.1")
            self.assertEqual(told["X-Forwarded-For"], "127.0.0.1")
            self.assertEqual(told["X-Forwarded-Proto"], "http")
            self.assertEqual(told["X-Forwarded-Host"], "a.test")
            self.assertIsNone(told["X-Forwarded-Port"])
            self.assertEqual(told["Forwarded"], 'for=127.0.0.1;proto=http;host="a.test"'
                             if forwarded and "send" in forwarded else None)
            self.assertIsNone(self.server.requests[-1].get("X-Real-IP"))

    def test_forwarded_in_and_out(self):
        self.start({**TRUSTED, "header": "forwarded", "send": "forwarded"})
        told, client = self.told('Forwarded: for="1.1.1.1, for="[2001:db8::7]:4711";proto=https;host=shop.test\r\n'
                                 "X-Forwarded-For: 9.9.9.9\r\n")
        self.assertEqual(client, "2001:db8::7")
        self.assertEqual(told, {**dict.fromkeys(FIELDS), "Forwarded":
                         'for="[2001:db8::7]";proto=https;host="shop.test", for=127.0.0.1'})

    def test_garbage_is_counted_and_names_the_proxy(self):
        self.start(TRUSTED)
        for count, value in enumerate(("not an address", "203.0.113.7, [10.0.0.1", "1.2.3.4.5",
                                       "203.0.113.7 10.0.0.2", "%00", "'; drop table")):
            told, client = self.told(f"X-Forwarded-For: {value}\r\n")
            self.assertEqual((client, told["X-Forwarded-For"]), ("127.0.0.1", "127.0.0.1"), value)
            self.proxy.wait_metric(count + 1, "lbd_http_forwarded_broken_total", listener="web")
        for value in ("unknown", "_hidden", "203.0.113.7, unknown"):
            self.assertEqual(self.told(f"X-Forwarded-For: {value}\r\n")[1], "127.0.0.1")
        self.proxy.wait_metric(6, "lbd_http_forwarded_broken_total", listener="web")

    def test_hundreds_of_members(self):
        self.start({**TRUSTED, "depth": 3})
        chain = "203.0.113.7, " + ", ".join(["10.0.0.9"] * 700)
        told, client = self.told(f"X-Forwarded-For: {chain}\r\n")
        self.assertEqual(client, "10.0.0.9")
        self.assertEqual(told["X-Forwarded-For"], "10.0.0.9, 10.0.0.9, 10.0.0.9, 127.0.0.1")

    def test_it_may_not_be_taken_out_by_connection(self):
        self.start(TRUSTED)
        client = self.connect(self.proxy)
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\n"
                    b"Connection: close, x-forwarded-for\r\n\r\n")
        self.assertTrue(client.read_rest().startswith(b"HTTP/1.1 400"))

    def test_over_http2_and_live(self):
        self.start(None)
        client = H2Client(self.proxy.address())
        self.addCleanup(client.close)

        def ask():
            self.assertEqual(client.request(extra=[("x-forwarded-for", "203.0.113.7")]).status, 200)
            return self.server.requests[-1].get("X-Forwarded-For")

        self.assertEqual(ask(), "127.0.0.1")
        self.proxy.patch("/v1/listeners/web", {"forwarded": TRUSTED})
        self.assertEqual(ask(), "203.0.113.7, 127.0.0.1")
        self.proxy.patch("/v1/listeners/web", {"forwarded": None})
        self.assertEqual(ask(), "127.0.0.1")

    def test_over_a_unix_socket_behind_a_proxy_header(self):
        directory = tempfile.mkdtemp(prefix="lab-unix-")
        self.addCleanup(shutil.rmtree, directory)
        path = f"{directory}/front.sock"
        self.start({"trusted": ["unix"]}, bind=[f"unix:{path}"])
        told, client = self.told("X-Forwarded-For: 203.0.113.7\r\n", target=path)
        self.assertEqual((client, told["X-Forwarded-For"]), ("203.0.113.7", "203.0.113.7, unix"))

    def test_the_client_is_the_key_of_balancing(self):
        servers = [self.origin(name=name) for name in "abcd"]
        proxy = self.lbd(config_for(*servers, listener={"forwarded": TRUSTED},
                                    pool={"algorithm": "maglev", "hash": {"key": "source"}}))
        client = self.connect(proxy)
        for number in range(48):
            for _ in range(2):
                client.request("GET", "/", headers={"X-Forwarded-For": f"203.0.113.{number}"})
        seen = [{request.get("X-Forwarded-For") for request in server.requests} for server in servers]
        self.assertTrue(all(seen), [len(one) for one in seen])  # not all by the peer's address
        self.assertEqual(sum(map(len, seen)), 48)               # and each client stays

    def test_only_http_has_it(self):
        self.start(None)
        answer = self.proxy.api("POST", "/v1/config/validate", config_for(
            self.server, listener={"protocol": "tcp", "forwarded": TRUSTED}))
        self.assertEqual(answer.status, 200)
        self.assertIn("#/listeners/web/forwarded", [w["pointer"] for w in answer.body["warnings"]])


if __name__ == "__main__":
    unittest.main()
