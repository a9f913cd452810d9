"""Method, headers, cookies, query, client, templates and regular expressions decide where a request goes.

What is asked is asked through the real program, by polite clients and by such that try to get past a route.
"""

import unittest

from lab import LabCase, config_for


def match(status, **conditions):
    """A route that takes what is said and answers with this status, which tells it from the others."""
    priority = conditions.pop("priority", 0)
    return {"listener": "web", "priority": priority, "match": conditions, "action": {"respond": {"status": status}}}


class Matching(LabCase):
    def routes(self, **routes):
        document = config_for(self.origin())
        del document["listeners"]["web"]["default_pool"]
        document["routes"] = {name.replace("_", "-"): route for name, route in routes.items()}
        self.proxy = self.lbd(document)
        return self.connect(self.proxy)

    def expect(self, client, cases):
        for case in cases:
            target, headers, status = case[:3]
            method = case[3] if len(case) > 3 else "GET"
            with self.subTest(f"{method} {target} {headers}"):
                self.assertEqual(client.request(method, target, headers).status, status)

    def test_method_and_more_conditions_go_first(self):
        client = self.routes(
            all=match(200, path_prefix="/api"),
            write=match(201, path_prefix="/api", method=["POST", "PUT"]),
            urgent=match(202, path_prefix="/api", method=["POST"], header={"present": ["X-Urgent"]}),
        )
        self.expect(client, [
            ("/api/x", {}, 200), ("/api/x", {}, 201, "PUT"), ("/api/x", {}, 201, "POST"),
            ("/api/x", {"X-Urgent": ""}, 202, "POST"), ("/api/x", {"X-Urgent": "1"}, 201, "PUT"),
            ("/api/x", {"X-Urgent": "1"}, 200), ("/api", {}, 200, "HEAD"),
        ])

    def test_a_canary_by_header_or_cookie(self):
        client = self.routes(
            stable=match(200),
            never=match(200, priority=2, header={"exact": {"X-Canary": "never"}}),
            canary=match(201, priority=1, header={"exact": {"X-Canary": "always"}}),
            beta=match(201, priority=1, cookie={"exact": {"group": "beta"}}),
        )
        self.expect(client, [
            ("/", {}, 200), ("/", {"X-Canary": "always"}, 201), ("/", {"X-Canary": "no"}, 200),
            ("/", {"Cookie": "a=1; group=beta"}, 201), ("/", {"Cookie": "group=alpha"}, 200),
            ("/", {"Cookie": "group=beta", "X-Canary": "never"}, 200),
        ])

    def test_who_repeats_or_encodes_gets_past_nothing(self):
        """A route that refuses something takes it in each spelling that a server might take it for."""
        client = self.routes(
            all=match(200),
            no_admin=match(403, query={"exact": {"admin": "1"}}),
            no_role=match(403, header={"exact": {"X-Role": "root"}}),
            no_user=match(403, cookie={"exact": {"user": "root"}}),
            no_path=match(403, path_prefix="/admin"),
            no_item=match(403, path_template="/items/{id}/delete"),
        )
        self.expect(client, [
            ("/?admin=1", {}, 403), ("/?admin=0&admin=1", {}, 403), ("/?admin=1&admin=0", {}, 403),
            ("/?%61dmin=1", {}, 403), ("/?admin=%31", {}, 403), ("/?x&&admin=1", {}, 403),
            ("/?admin=2", {}, 200), ("/?xadmin=1", {}, 200), ("/admin=1", {}, 200),
            ("/", [("X-Role", "user"), ("X-Role", "root")], 403),
            ("/", [("X-Role", "root"), ("x-role", "user")], 403),
            ("/", [("Cookie", "user=a"), ("Cookie", "user=root")], 403),
            ("/", {"Cookie": "user=a; user=\"root\""}, 403),
            ("/admin", {}, 403), ("/%61dmin/x", {}, 403), ("/x/../admin", {}, 403), ("/./admin/.", {}, 403),
            ("/items/7/delete", {}, 403), ("/items/%37/del%65te", {}, 403), ("/items/a/../7/delete", {}, 403),
            ("/items//delete", {}, 200), ("/items/7/8/delete", {}, 200),
        ])
        # what could be read in two ways is refused before any route
        for target in ("/%2e%2e%2fadmin", "/admin%2fx", "/x/..;/admin", "/items/7%5cdelete"):
            with self.subTest(target):
                self.assert_reason(self.connect(self.proxy).get(target), 400, "bad_target")
        for name in ("X_Role", "X.Role", "X-Role "):
            with self.subTest(name):
                self.assertEqual(self.connect(self.proxy).get("/", {name: "root"}).status, 400)

    def test_the_client_decides(self):
        client = self.routes(
            inside=match(200, source=["10.0.0.0/8"]),
            here=match(201, source=["127.0.0.0/8", "::1"]),
            others=match(403),
        )
        self.expect(client, [("/", {}, 201), ("/", {"X-Forwarded-For": "10.0.0.1"}, 201)])

    def test_templates_and_patterns(self):
        client = self.routes(
            root=match(200),
            user=match(201, path_template="/users/{id}"),
            mine=match(202, path="/users/me"),
            files=match(203, path_template="/files/{rest*}"),
            lang=match(204, path_regex="/(en|de)/.*"),
            shop=match(205, host_regex="shop-[0-9]+[.]example[.]com"),
        )
        self.expect(client, [
            ("/users/7", {}, 201), ("/users/me", {}, 202), ("/users/7/", {}, 200), ("/files/a/b", {}, 203),
            ("/en/x?y", {}, 204), ("/fr/x", {}, 200), ("/x/en/x", {}, 200), ("/%65n/x", {}, 204),
        ])
        for host, status in [("shop-12.example.com", 205), ("SHOP-1.Example.com:81", 205),
                             ("shop-1.example.com.evil", 200), ("shop-.example.com", 200)]:
            with self.subTest(host):
                self.assertEqual(client.get("/", host=host).status, status)

    def test_patterns_cannot_be_made_to_run(self):
        """A subject that would keep a matcher busy for years: no match, soon, and counted."""
        client = self.routes(evil=match(201, path_regex="/(a+)+[bc]"), other=match(200))
        evil = "/" + "a" * 4000
        self.assertEqual(client.get("/ab").status, 201)
        for _ in range(20):
            self.assertEqual(client.get(evil).status, 200)
        self.proxy.wait_metric(20, "lbd_http_patterns_limited_total", listener="web")

    def test_it_is_explained(self):
        self.routes(
            canary=match(201, header={"exact": {"X-Canary": "always"}}, source=["10.0.0.0/8"]),
            user=match(202, path_template="/users/{id}"),
            all=match(200),
        )
        said = self.proxy.api("POST", "/v1/explain/route",
                              {"url": "http://x/users/7", "listener": "web", "client": "10.1.2.3"}).body
        self.assertEqual((said["route"], said["why"]), ("user", "any host, path_template /users/{id}"))
        why = {other["route"]: other["why"] for other in said["considered"]}
        self.assertEqual(why["canary"], "header X-Canary is not 'always'")
        self.assertEqual(why["all"],
                         "any path is less exact than path_template /users/{id} of route 'user'")
        said = self.proxy.api("POST", "/v1/explain/route", {
            "url": "http://x/", "listener": "web", "client": "10.1.2.3", "headers": {"x-canary": "always"}}).body
        self.assertEqual((said["route"], said["why"]),
                         ("canary", "any host, any path, source 10.1.2.3 is in one of its networks, "
                                    "header X-Canary is 'always'"))
        wrong = self.proxy.api("POST", "/v1/explain/route", {"url": "http://x/", "client": "nobody"})
        self.assertEqual(wrong.status, 422, wrong)

    def test_what_is_wrong_is_said_with_its_place(self):
        self.routes(all=match(200))
        refused = self.proxy.api("PUT", "/v1/routes/r", match(200, path_regex="/a("))
        self.assertEqual(refused.pointers, ["#/routes/r/match/path_regex"], refused)
        self.assertIn("at byte 3: missing closing parenthesis", str(refused.body))


if __name__ == "__main__":
    unittest.main()
