"""Listener, host and path decide where a request goes; fixed answers and redirects go nowhere."""

import tempfile
import unittest

from lab import LabCase, config_for


class Routing(LabCase):
    """Listener, host and path decide; so do fixed answers and redirects."""

    def setUp(self):
        super().setUp()
        self.one = self.origin(name="one")
        self.two = self.origin(name="two")
        document = config_for(self.one)
        document["pools"]["other"] = {"servers": {"x": {"address": self.two.address}}}
        del document["listeners"]["web"]["default_pool"]
        self.document = document

    def routes(self, **routes):
        for name, route in routes.items():
            route.setdefault("listener", "web")
            route.setdefault("match", {})
            self.document.setdefault("routes", {})[name.replace("_", "-")] = route
        self.proxy = self.lbd(self.document)
        return self.connect(self.proxy)

    def who(self, client, target="/", host="x"):
        response = client.get(target, host=host)
        return response.get("Origin-Name") or response.get("Lbd-Reason") or response.status

    def test_no_route_is_404(self):
        client = self.routes(a={"match": {"path": "/a"}, "action": {"pool": "main"}})
        self.assert_reason(client.get("/b"), 404, "no_route")
        self.assertEqual(self.who(client, "/a"), "one")

    def test_host_exact_before_wildcard_before_any(self):
        client = self.routes(
            exact={"match": {"host": ["a.example.com"]}, "action": {"respond": {"status": 201}}},
            wild={"match": {"host": ["*.example.com"]}, "action": {"respond": {"status": 202}}},
            deep={"match": {"host": ["*.b.example.com"]}, "action": {"respond": {"status": 203}}},
            any={"action": {"respond": {"status": 200, "body": "any"}}},
        )
        for host, status in [
            ("a.example.com", 201), ("A.Example.COM", 201), ("a.example.com:81", 201),
            ("b.example.com", 202), ("x.b.example.com", 203), ("x.y.example.com", 202),
            ("example.com", 200), ("notexample.com", 200), ("other", 200), ("127.0.0.1", 200),
        ]:
            with self.subTest(host):
                self.assertEqual(client.get("/", host=host).status, status)

    def test_path_exact_before_longest_prefix(self):
        client = self.routes(
            root={"match": {"path_prefix": "/"}, "action": {"respond": {"status": 200}}},
            api={"match": {"path_prefix": "/api"}, "action": {"respond": {"status": 201}}},
            v2={"match": {"path_prefix": "/api/v2"}, "action": {"respond": {"status": 202}}},
            one={"match": {"path": "/api/v2/x"}, "action": {"respond": {"status": 203}}},
        )
        for path, status in [
            ("/", 200), ("/api", 201), ("/api/", 201), ("/apix", 200), ("/api/v1", 201),
            ("/api/v2", 202), ("/api/v2/", 202), ("/api/v20", 201), ("/api/v2/x", 203),
            ("/api/v2/x/", 202), ("/api/v2/x?q", 203), ("/API", 200),
            ("/api/../api/v2/./x", 203), ("/%61pi/v2", 202),
        ]:
            with self.subTest(path):
                self.assertEqual(client.get(path).status, status)

    def test_priority_beats_specificity(self):
        client = self.routes(
            exact={"match": {"host": ["a"], "path": "/x"}, "action": {"respond": {"status": 201}}},
            loud={"priority": 10, "match": {"path_prefix": "/"}, "action": {"respond": {"status": 202}}},
            quiet={"priority": -5, "action": {"respond": {"status": 203}}},
        )
        self.assertEqual(client.get("/x", host="a").status, 202)

    def test_fixed_response(self):
        client = self.routes(
            fixed={"action": {"respond": {"status": 403, "body": "no\n", "content_type": "text/html"}}}
        )
        response = client.get("/")
        self.assertEqual((response.status, response.text), (403, "no\n"))
        self.assertEqual(response.get("Content-Type"), "text/html")
        head = client.request("HEAD", "/")
        self.assertEqual((head.status, head.get("Content-Length")), (403, "3"))
        response = client.request("POST", "/", body=b"x" * 1000)
        self.assertEqual(response.status, 403)
        for line in self.proxy.wait_access_log(3):
            self.assertEqual((line["reason"], line["route"]), ("fixed_response", "fixed"))

    def test_redirect(self):
        client = self.routes(
            away={"action": {"redirect": {"status": 308, "location": "https://new.example{path}"}}}
        )
        response = client.get("/a/b?c=d")
        self.assertEqual(response.status, 308)
        self.assertEqual(response.get("Location"), "https://new.example/a/b?c=d")
        self.assertEqual(self.proxy.wait_access_log(1)[0]["reason"], "redirect")

    def test_pools_by_path(self):
        client = self.routes(
            a={"match": {"path_prefix": "/one"}, "action": {"pool": "main"}},
            b={"match": {"path_prefix": "/two"}, "action": {"pool": "other"}},
        )
        self.assertEqual(self.who(client, "/one"), "one")
        self.assertEqual(self.who(client, "/two/x"), "two")
        self.assertEqual(self.who(client, "/one/y"), "one")

    def test_listeners_have_their_own_routes(self):
        self.document["listeners"]["second"] = {
            "bind": ["127.0.0.1:0"], "protocol": "http", "default_pool": "other",
        }
        self.routes(a={"action": {"pool": "main"}})
        self.assertEqual(self.who(self.connect(self.proxy)), "one")
        self.assertEqual(self.who(self.connect(self.proxy, listener="second")), "two")

    def test_several_binds_and_unix(self):
        path = "unix:" + str(self.lbd_directory()) + "/web.sock"
        self.document["listeners"]["web"] = {
            "bind": ["127.0.0.1:0", "127.0.0.1:0", "[::1]:0", path],
            "protocol": "http", "default_pool": "main",
        }
        proxy = self.lbd(self.document)
        addresses = proxy.addresses()
        self.assertEqual(len(addresses), 4)
        for address in addresses:
            if address.startswith("127.0.0.1"):
                client = self.connect(("127.0.0.1", int(address.rpartition(":")[2])))
                self.assertEqual(self.who(client), "one")
        self.assertEqual(self.who(self.connect(path.removeprefix("unix:"))), "one")

    def lbd_directory(self):
        holder = tempfile.TemporaryDirectory(prefix="lab-")
        self.addCleanup(holder.cleanup)
        return holder.name


if __name__ == "__main__":
    unittest.main()
