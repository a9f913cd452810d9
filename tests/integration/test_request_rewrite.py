"""What a route makes of a request: another path or host for servers, shares of pools, redirects, answers."""

import socket
import threading
import unittest

from lab import Closed, LabCase, config_for


def echo_target(peer):
    """The server's answer says what it was asked for."""
    while True:
        try:
            request = peer.rx()
        except Closed:
            return
        peer.tx(200, f"{request.target} {request.get('Host')} {request.get('X-Forwarded-Host')}".encode())


class Routes(LabCase):
    def start(self, routes, script=echo_target, **pools):
        document = config_for(self.origin(script=script))
        document["pools"].update(pools)
        del document["listeners"]["web"]["default_pool"]
        document["routes"] = {name: {"listener": "web", **route} for name, route in routes.items()}
        self.document = document
        self.proxy = self.lbd(document)
        return self.connect(self.proxy)


class Rewriting(Routes):
    MAIN = {"pool": "main"}

    def test_paths_and_hosts(self):
        client = self.start({
            "strip": {"match": {"path_prefix": "/api"}, "action": self.MAIN, "rewrite": {"strip_prefix": True}},
            "prefix": {"match": {"path_prefix": "/v1"}, "action": self.MAIN, "rewrite": {"prefix": "/v2/x"}},
            "template": {"match": {"path_template": "/users/{id}/{rest*}"}, "action": self.MAIN,
                         "rewrite": {"path": "/u/{rest}/of/{id}", "host": "users.internal:81"}},
            "regex": {"match": {"path_regex": "/(en|de)/(.*)"}, "action": self.MAIN,
                      "rewrite": {"path": "/{2}/{1}"}},
        })
        for target, want in [
            ("/api/a/b?x=/api", "/a/b?x=/api h h"), ("/api", "/ h h"), ("/api?q", "/?q h h"),
            ("/%61pi/a", "/a h h"), ("/api/../api/x", "/x h h"),
            ("/v1/a", "/v2/x/a h h"), ("/v1", "/v2/x h h"),
            ("/users/7/a/b?q", "/u/a/b/of/7?q users.internal:81 h"),
            ("/users/%37/%41", "/u/A/of/7 users.internal:81 h"),
            ("/de/a%20b/c", "/a%20b/c/de h h"),
        ]:
            with self.subTest(target):
                self.assertEqual(client.get(target, host="h").body.decode(), want)
        lines = self.proxy.wait_access_log(10)
        self.assertEqual((lines[7]["path"], lines[7]["host"]), ("/users/7/a/b?q", "h"))  # as they came

    def test_nothing_gets_out_of_its_folder(self):
        """Values that make another path when they are put together are refused, not sent."""
        client = self.start({
            "r": {"match": {"path_regex": "/x/(.*)a/(.*)b"}, "action": self.MAIN,
                  "rewrite": {"path": "/safe/{1}{2}/z"}},
            "long": {"match": {"path_template": "/l/{x}"}, "action": self.MAIN, "rewrite": {"path": "/{x}{x}"}},
        })
        self.assertEqual(client.get("/x/ya/zb", host="h").body.decode(), "/safe/yz/z h h")
        for target in ("/x/.a/.b", "/x/.a/b", "/x/a/..b", "/x/%2ea/%2eb"):
            with self.subTest(target):
                self.assert_reason(client.get(target, host="h"), 400, "rewrite_failed")
        self.assert_reason(client.get("/l/" + "a" * 5000), 400, "rewrite_failed")

    def test_it_is_explained(self):
        self.start({"r": {"match": {"path_template": "/users/{id}"}, "action": self.MAIN,
                          "rewrite": {"path": "/u/{id}", "host": "inside"}}})
        said = self.proxy.api("POST", "/v1/explain/route", {"url": "http://x/users/7", "listener": "web"}).body
        self.assertEqual((said["path"], said["sent_path"], said["sent_host"]), ("/users/7", "/u/7", "inside"))


class Splitting(Routes):
    def test_a_client_stays_and_shares_move(self):
        one, two = self.origin(name="one"), self.origin(name="two")
        split = {"pools": {"one": 50, "two": 50}, "key": "cookie", "name": "id"}
        client = self.start({"r": {"action": {"split": split}}},
                            one={"servers": {"a": {"address": one.address}}},
                            two={"servers": {"a": {"address": two.address}}})

        def homes():
            return [client.get("/", {"Cookie": f"id={i}"}).get("Origin-Name") for i in range(60)]

        before = homes()
        self.assertEqual(set(before), {"one", "two"})
        self.assertEqual(homes(), before)
        self.proxy.patch("/v1/routes/r", {"action": {"split": {"pools": {"two": 150}}}})
        after = homes()
        moved = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
        self.assertEqual(set(moved), {("one", "two")})
        self.assertLess(len(moved), before.count("one"))
        self.proxy.patch("/v1/routes/r", {"action": {"split": {"pools": {"one": 0}}}})
        self.assertEqual(set(homes()), {"two"})
        # without the cookie by the address, which is one
        self.assertEqual(len({client.get("/").get("Origin-Name") for _ in range(10)}), 1)
        said = self.proxy.api("POST", "/v1/explain/route", {
            "url": "http://x/", "listener": "web", "headers": {"Cookie": "id=1"}}).body
        self.assertEqual((said["pool"], said["action"]), ("two", {"split": {"pools": {"one": 0, "two": 150}}}))
        in_use = self.proxy.api("DELETE", "/v1/pools/one")
        self.assertEqual(in_use.status, 409, in_use)


class Answers(Routes):
    def test_redirects_by_parts(self):
        client = self.start({
            "https": {"match": {"host": ["a"]}, "action": {"redirect": {"scheme": "https", "status": 308}}},
            "port": {"match": {"host": ["b"]}, "action": {"redirect": {"scheme": "https", "port": 8443}}},
            "www": {"match": {"host": ["c"]}, "action": {"redirect": {
                "host": "www.c", "headers": {"Cache-Control": "no-store"}}}},
            "item": {"match": {"path_template": "/item/{id}"}, "action": {"redirect": {
                "path": "/shop/items/{id}", "status": 301}}},
            "open": {"match": {"host": ["d"]}, "action": {"redirect": {"location": "{path}"}}},
        })
        for host, target, status, location in [
            ("a:81", "/x?q=1", 308, "https://a/x?q=1"), ("b:81", "/x", 302, "https://b:8443/x"),
            ("c:81", "/", 302, "http://www.c/"), ("e:81", "/item/7?q", 301, "http://e:81/shop/items/7?q"),
            ("d", "//evil.test/x", 302, "/evil.test/x"), ("a", "//evil.test", 308, "https://a//evil.test"),
        ]:
            with self.subTest(host + target):
                response = client.get(target, host=host)
                self.assertEqual((response.status, response.get("Location")), (status, location))
        self.assertEqual(client.get("/", host="c").get("Cache-Control"), "no-store")
        said = self.proxy.api("POST", "/v1/explain/route", {"url": "http://e/item/7", "listener": "web"}).body
        self.assertEqual(said["action"]["redirect"]["location"], "http://e/shop/items/7")

    def test_fixed_answers_have_headers(self):
        client = self.start({"r": {"action": {"respond": {
            "status": 503, "body": "later\n", "headers": {"Retry-After": "3600", "X-Why": "moving"}}}}})
        response = client.get("/")
        self.assertEqual((response.get("Retry-After"), response.get("X-Why"), response.body),
                         ("3600", "moving", b"later\n"))


class Timeouts(Routes):
    def test_a_route_has_its_own(self):
        """The pool would wait for a minute; a silent server is given up by the route's word, and the other way."""
        listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listening.close)
        address = "127.0.0.1:%d" % listening.getsockname()[1]
        halves = []

        def serve():
            while True:
                try:
                    connection = listening.accept()[0]
                except OSError:
                    return
                halves.append(connection)
                if b"/half" in connection.recv(65536):
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")

        threading.Thread(target=serve, daemon=True).start()
        client = self.start({
            "soon": {"match": {"path": "/soon"}, "action": {"pool": "silent"}, "timeouts": {"response": "100ms"}},
            "half": {"match": {"path": "/half"}, "action": {"pool": "silent"}, "timeouts": {"idle": "100ms"}},
        }, silent={"servers": {"a": {"address": address}}, "retries": 0})
        self.addCleanup(lambda: [connection.close() for connection in halves])
        self.assert_reason(client.get("/soon"), 504, "response_timeout")
        with self.connect(self.proxy) as other:
            other.send_request("GET", "/half")
            self.assertIn(b"abc", other.read_rest())
        lines = self.proxy.wait_access_log(2)
        self.assertEqual([line["reason"] for line in lines], ["response_timeout", "server_idle_timeout"])


if __name__ == "__main__":
    unittest.main()
