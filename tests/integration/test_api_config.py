"""Configuration over REST: whole documents and single resources, all or nothing."""

import json
import time
import unittest

from lab import Client, Closed, LabCase, config_for


class ApiCase(LabCase):
    def setUp(self):
        super().setUp()
        self.server = self.origin(name="alpha")
        self.document = config_for(self.server)
        self.proxy = self.lbd(self.document)
        self.api = self.proxy.api

    def assert_problem(self, answer, status, pointer=None, words=None):
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.header("Content-Type").partition(";")[0], "application/problem+json")
        body = answer.body
        self.assertEqual(body["status"], status)
        self.assertTrue(body["type"].startswith("/v1/problems/"), body)
        self.assertTrue(body["title"])
        if pointer is not None:
            self.assertIn(pointer, answer.pointers, body)
        if words is not None:
            self.assertRegex(json.dumps(body), words)
        return body

    def assert_unchanged(self, revision):
        """A refused change changes nothing."""
        answer = self.api("GET", "/v1/config")
        self.assertEqual(answer.revision, revision)
        self.assertEqual(self.connect(self.proxy).get("/").status, 200)


class Whole(ApiCase):
    def test_get_returns_what_was_set(self):
        answer = self.api("GET", "/v1/config")
        self.assertEqual(answer.status, 200)
        body = dict(answer.body)
        body.pop("schema", None)
        self.assertEqual(
            {k: v for k, v in body.items() if v}, self.document, "no defaults injected"
        )
        self.assertNotIn("daemon", answer.body)
        self.assertRegex(answer.etag, r'\A"[0-9a-f]{16}"\Z')
        self.assertGreaterEqual(answer.revision, 1)
        self.assertEqual(answer.header("Cache-Control"), "no-store")
        self.assertTrue(answer.header("Lbd-Request-Id"))

    def test_defaults_on_request(self):
        body = self.proxy.get("/v1/config?defaults=true")
        self.assertEqual(body["pools"]["main"]["servers"]["a"]["weight"], 100)
        self.assertEqual(body["listeners"]["web"]["timeouts"]["header"], "10s")

    def test_put_what_get_returned_changes_nothing(self):
        before = self.api("GET", "/v1/config")
        answer = self.api("PUT", "/v1/config", before.body)
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.header("Lbd-Changed"), "false")
        self.assertEqual(answer.revision, before.revision)
        self.assertEqual(self.api("GET", "/v1/config").etag, before.etag)

    def test_put_takes_effect_before_it_answers(self):
        other = self.origin(name="beta")
        client = self.connect(self.proxy)
        self.assertEqual(client.get("/").get("Origin-Name"), "alpha")
        before = self.api("GET", "/v1/config")
        document = config_for(other)
        answer = self.api("PUT", "/v1/config", document)
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.header("Lbd-Changed"), "true")
        self.assertEqual(answer.revision, before.revision + 1)
        self.assertNotEqual(self.api("GET", "/v1/config").etag, before.etag)
        # the very next request on the same connection, no waiting
        self.assertEqual(client.get("/").get("Origin-Name"), "beta")

    def test_patch_is_a_merge_patch(self):
        answer = self.api("PATCH", "/v1/config", {
            "pools": {"main": {"retries": 2}, "second": {"servers": {}}},
        })
        self.assertEqual(answer.status, 200, answer)
        pools = self.proxy.get("/v1/config")["pools"]
        self.assertEqual(pools["main"]["retries"], 2)
        self.assertIn("a", pools["main"]["servers"], "what is not named stays")
        self.proxy.patch("/v1/config", {"pools": {"second": None, "main": {"retries": None}}})
        pools = self.proxy.get("/v1/config")["pools"]
        self.assertNotIn("second", pools)
        self.assertNotIn("retries", pools["main"])

    def test_patch_wants_its_media_type(self):
        answer = self.api("PATCH", "/v1/config", {"pools": {}}, {"Content-Type": "application/json"})
        self.assert_problem(answer, 415)
        self.assertIn("application/merge-patch+json", answer.header("Accept-Patch"))

    def test_put_wants_json(self):
        for kind in ("text/plain", "application/x-www-form-urlencoded"):
            answer = self.api("PUT", "/v1/config", b"{}", {"Content-Type": kind})
            self.assert_problem(answer, 415)

    def test_delete_of_the_document_is_405(self):
        answer = self.api("DELETE", "/v1/config")
        self.assert_problem(answer, 405)
        self.assertIn("GET", answer.header("Allow"))

    def test_daemon_is_not_the_apis(self):
        revision = self.api("GET", "/v1/config").revision
        answer = self.api("PATCH", "/v1/config", {"daemon": {"workers": 1}})
        self.assert_problem(answer, 422, "#/daemon")
        self.assert_unchanged(revision)

    def test_all_errors_with_pointers(self):
        revision = self.api("GET", "/v1/config").revision
        document = config_for(self.server)
        document["listeners"]["web"]["protcol"] = "http"
        document["pools"]["main"]["servers"]["a"]["weight"] = 5000
        document["pools"]["main"]["retries"] = "two"
        answer = self.api("PUT", "/v1/config", document)
        body = self.assert_problem(answer, 422, "#/listeners/web/protcol")
        self.assertIn("#/pools/main/servers/a/weight", answer.pointers)
        self.assertIn("#/pools/main/retries", answer.pointers)
        self.assertEqual(len(body["errors"]), 3)
        for error in body["errors"]:
            self.assertTrue(error["detail"])
            self.assertTrue(error["code"])
            self.assertGreaterEqual(error["line"], 1)
        (first,) = [e for e in body["errors"] if e["pointer"].endswith("protcol")]
        self.assertEqual(first["suggestion"], "protocol")
        self.assert_unchanged(revision)

    def test_broken_references_change_nothing(self):
        revision = self.api("GET", "/v1/config").revision
        answer = self.api("PATCH", "/v1/config", {
            "routes": {"r": {"listener": "web", "match": {}, "action": {"pool": "mian"}}},
        })
        body = self.assert_problem(answer, 422, "#/routes/r/action/pool")
        self.assertEqual(body["errors"][0]["suggestion"], "main")
        self.assert_unchanged(revision)

    def test_syntax_errors_are_400_with_a_place(self):
        revision = self.api("GET", "/v1/config").revision
        for text in (b"", b"{", b"[]", b'{"a":1,}', b"// x\n{}", b'{"a":1}x', b'{"a":1,"a":2}',
                     b'{"a":"\\u0000"}', b'\xff{}', b'{"a": 01}'):
            with self.subTest(text):
                answer = self.api("PUT", "/v1/config", text, {"Content-Type": "application/json"})
                self.assertIn(answer.status, (400, 422), answer)
                self.assert_problem(answer, answer.status)
        self.assert_unchanged(revision)

    def test_depth_is_limited(self):
        text = b'{"pools":' + b'{"a":' * 40 + b"1" + b"}" * 40 + b"}"
        answer = self.api("PUT", "/v1/config", text, {"Content-Type": "application/json"})
        self.assertIn(answer.status, (400, 422))
        self.assert_problem(answer, answer.status)

    def test_bind_failure_is_refused_whole(self):
        revision = self.api("GET", "/v1/config").revision
        answer = self.api("PATCH", "/v1/config", {
            "listeners": {"taken": {"bind": [self.server.address], "protocol": "http"}},
            "pools": {"main": {"retries": 3}},
        })
        self.assertIn(answer.status, (409, 422), answer)
        self.assert_problem(answer, answer.status, words=self.server.address.replace(".", r"\."))
        self.assert_unchanged(revision)
        self.assertNotIn("retries", self.proxy.get("/v1/pools/main"))


class Preconditions(ApiCase):
    def test_if_match(self):
        answer = self.api("GET", "/v1/config")
        stale = '"0000000000000000"'
        refused = self.api("PATCH", "/v1/config", {"pools": {"p": {}}}, {"If-Match": stale})
        self.assert_problem(refused, 412)
        self.assertEqual(refused.etag, answer.etag, "the current ETag is told")
        self.assert_unchanged(answer.revision)
        changed = self.api("PATCH", "/v1/config", {"pools": {"p": {}}}, {"If-Match": answer.etag})
        self.assertEqual(changed.status, 200, changed)
        again = self.api("PATCH", "/v1/config", {"pools": {"q": {}}}, {"If-Match": answer.etag})
        self.assert_problem(again, 412)

    def test_if_match_of_one_resource(self):
        pool = self.api("GET", "/v1/pools/main")
        self.proxy.put("/v1/pools/unrelated", {"servers": {}})
        # somebody else's change elsewhere does not spoil it
        answer = self.api("PATCH", "/v1/pools/main", {"retries": 2}, {"If-Match": pool.etag})
        self.assertEqual(answer.status, 200, answer)
        answer = self.api("PATCH", "/v1/pools/main", {"retries": 3}, {"If-Match": pool.etag})
        self.assert_problem(answer, 412)
        self.assertEqual(self.proxy.get("/v1/pools/main")["retries"], 2)

    def test_if_match_star_and_list(self):
        self.assert_problem(self.api("PUT", "/v1/pools/new", {}, {"If-Match": "*"}), 412)
        tag = self.api("GET", "/v1/pools/main").etag
        answer = self.api("PATCH", "/v1/pools/main", {"retries": 2}, {"If-Match": f'"x", {tag}'})
        self.assertEqual(answer.status, 200, answer)

    def test_if_none_match_star_creates_only(self):
        answer = self.api("PUT", "/v1/pools/new", {"servers": {}}, {"If-None-Match": "*"})
        self.assertEqual(answer.status, 201, answer)
        answer = self.api("PUT", "/v1/pools/new", {"servers": {}}, {"If-None-Match": "*"})
        self.assert_problem(answer, 412)

    def test_get_if_none_match(self):
        for path in ("/v1/config", "/v1/pools/main", "/v1/listeners/web"):
            tag = self.api("GET", path).etag
            answer = self.api("GET", path, headers={"If-None-Match": tag})
            self.assertEqual((answer.status, answer.raw), (304, b""), path)
            answer = self.api("GET", path, headers={"If-None-Match": '"other"'})
            self.assertEqual(answer.status, 200)

    def test_etag_is_of_the_content(self):
        before = self.api("GET", "/v1/pools/main").etag
        self.proxy.patch("/v1/pools/main", {"retries": 2})
        middle = self.api("GET", "/v1/pools/main").etag
        self.proxy.patch("/v1/pools/main", {"retries": None})
        self.assertNotEqual(before, middle)
        self.assertEqual(self.api("GET", "/v1/pools/main").etag, before)

    def test_status_never_changes_the_etag(self):
        before = self.api("GET", "/v1/pools/main").etag
        self.proxy.admin("a", "drain")
        self.connect(self.proxy).get("/")
        self.assertEqual(self.api("GET", "/v1/pools/main").etag, before)


class DryRun(ApiCase):
    def test_dry_run_changes_nothing(self):
        before = self.api("GET", "/v1/config")
        for method, path, body in [
            ("PUT", "/v1/config", config_for("127.0.0.1:1")),
            ("PATCH", "/v1/config", {"pools": {"main": {"retries": 5}}}),
            ("PUT", "/v1/pools/new", {"servers": {}}),
            ("PATCH", "/v1/pools/main", {"retries": 5}),
            ("PUT", "/v1/pools/main/servers/z", {"address": "127.0.0.1:1"}),
            ("DELETE", "/v1/pools/main/servers/a", None),
        ]:
            with self.subTest(method, path=path):
                answer = self.api(method, path + "?dry_run=true", body)
                self.assertIn(answer.status, (200, 201, 204), answer)
                after = self.api("GET", "/v1/config")
                self.assertEqual((after.etag, after.revision), (before.etag, before.revision))
        self.assertEqual(self.connect(self.proxy).get("/").status, 200)

    def test_dry_run_finds_the_errors(self):
        answer = self.api("PATCH", "/v1/pools/main?dry_run=true", {"retries": -1})
        self.assert_problem(answer, 422)

    def test_dry_run_binds(self):
        answer = self.api("PUT", "/v1/listeners/taken?dry_run=true", {
            "bind": [self.server.address], "protocol": "http",
        })
        self.assertIn(answer.status, (409, 422), answer)
        answer = self.api("PUT", "/v1/listeners/free?dry_run=true", {
            "bind": ["127.0.0.1:0"], "protocol": "http",
        })
        self.assertIn(answer.status, (200, 201), answer)
        self.assertEqual(self.api("GET", "/v1/listeners/free").status, 404)

    def test_dry_run_respects_if_match(self):
        answer = self.api(
            "PATCH", "/v1/pools/main?dry_run=true", {"retries": 2}, {"If-Match": '"x"'}
        )
        self.assert_problem(answer, 412)

    def test_a_typo_in_the_query_must_not_apply(self):
        before = self.api("GET", "/v1/config").revision
        for query in ("dryrun=true", "dry-run=true", "dry_run=maybe", "dry_run", "x=1",
                      "dry_run=true&dry_run=false"):
            answer = self.api("PATCH", f"/v1/pools/main?{query}", {"retries": 5})
            self.assert_problem(answer, 400)
        self.assert_unchanged(before)


class Resources(ApiCase):
    GOOD = {
        "/v1/listeners/second": {"bind": ["127.0.0.1:0"], "protocol": "http"},
        "/v1/routes/r1": {"listener": "web", "match": {"path": "/x"}, "action": {"pool": "main"}},
        "/v1/pools/p1": {"algorithm": "round_robin", "servers": {"x": {"address": "127.0.0.1:9"}}},
        "/v1/pools/main/servers/b": {"address": "127.0.0.1:9", "weight": 7},
        "/v1/health-checks/h1": {"type": "http", "path": "/hc", "interval": "1s"},
    }
    PATCHES = {
        "/v1/listeners/second": ({"timeouts": {"header": "5s"}}, "timeouts", {"header": "5s"}),
        "/v1/routes/r1": ({"priority": 5}, "priority", 5),
        "/v1/pools/p1": ({"retries": 0}, "retries", 0),
        "/v1/pools/main/servers/b": ({"weight": 8}, "weight", 8),
        "/v1/health-checks/h1": ({"path": "/other"}, "path", "/other"),
    }

    def test_life_of_every_kind(self):
        for path, body in self.GOOD.items():
            with self.subTest(path):
                self.assert_problem(self.api("GET", path), 404)
                answer = self.api("PUT", path, body)
                self.assertEqual(answer.status, 201, answer)
                self.assertEqual(answer.header("Lbd-Changed"), "true")
                got = self.api("GET", path)
                self.assertEqual(got.body, body)
                self.assertRegex(got.etag, r'\A"[0-9a-f]{16}"\Z')
                again = self.api("PUT", path, body)
                self.assertEqual(again.status, 200, again)
                self.assertEqual(again.header("Lbd-Changed"), "false")
                patch, key, value = self.PATCHES[path]
                answer = self.api("PATCH", path, patch)
                self.assertEqual(answer.status, 200, answer)
                self.assertEqual(self.proxy.get(path)[key], value)
                self.assertEqual(self.proxy.get(path), {**body, key: value})
        for path in reversed(list(self.GOOD)):
            with self.subTest(path):
                answer = self.api("DELETE", path)
                self.assertEqual((answer.status, answer.raw), (204, b""))
                self.assert_problem(self.api("GET", path), 404)
                self.assert_problem(self.api("DELETE", path), 404)

    def test_resource_and_document_are_one(self):
        for path, body in self.GOOD.items():
            self.proxy.put(path, body)
        document = self.proxy.get("/v1/config")
        self.assertEqual(document["listeners"]["second"], self.GOOD["/v1/listeners/second"])
        self.assertEqual(document["routes"]["r1"], self.GOOD["/v1/routes/r1"])
        self.assertEqual(document["pools"]["main"]["servers"]["b"]["weight"], 7)
        self.assertEqual(document["health_checks"]["h1"], self.GOOD["/v1/health-checks/h1"])

    def test_collections(self):
        for path, name in [("/v1/listeners", "web"), ("/v1/pools", "main"),
                           ("/v1/pools/main/servers", "a")]:
            self.assertIn(name, self.proxy.get(path))
        self.assertEqual(self.proxy.get("/v1/routes"), {})
        self.assertEqual(self.proxy.get("/v1/health-checks"), {})

    def test_patch_of_nothing_is_404(self):
        for path in ("/v1/pools/no", "/v1/pools/no/servers/x", "/v1/routes/no", "/v1/listeners/no",
                     "/v1/health-checks/no", "/v1/pools/main/servers/no"):
            self.assert_problem(self.api("PATCH", path, {}), 404)

    def test_server_of_no_pool(self):
        self.assert_problem(self.api("PUT", "/v1/pools/no/servers/a", {"address": "a:1"}), 404)

    def test_in_use_is_409_with_the_referrers(self):
        self.proxy.put("/v1/health-checks/h1", self.GOOD["/v1/health-checks/h1"])
        self.proxy.patch("/v1/pools/main", {"health_check": "h1"})
        self.proxy.put("/v1/routes/r1", self.GOOD["/v1/routes/r1"])
        revision = self.api("GET", "/v1/config").revision
        answer = self.api("DELETE", "/v1/pools/main")
        self.assert_problem(answer, 409, words="web")
        self.assertRegex(json.dumps(answer.body), "r1")
        self.assert_problem(self.api("DELETE", "/v1/health-checks/h1"), 409, words="main")
        self.assert_problem(self.api("DELETE", "/v1/listeners/web"), 409, words="r1")
        self.assertEqual(self.api("GET", "/v1/config").revision, revision)

    def test_delete_missing_ok(self):
        self.assertEqual(self.api("DELETE", "/v1/pools/no?missing=ok").status, 204)

    def test_bad_names(self):
        for name in ("UPPER", "a%20b", "-x", "x-", ".x", "x" * 64, "a%2fb", "%00", "%ff"):
            with self.subTest(name):
                answer = self.api("PUT", f"/v1/pools/{name}", {"servers": {}})
                self.assertIn(answer.status, (400, 404, 422), answer)

    def test_good_names(self):
        for name in ("a", "a.b", "a_b", "a-b", "0", "x" * 63):
            with self.subTest(name):
                self.assertEqual(self.api("PUT", f"/v1/pools/{name}", {}).status, 201)

    def test_errors_of_one_resource_point_into_the_document(self):
        answer = self.api("PUT", "/v1/pools/main/servers/a", {"adress": "x:1", "weight": -1})
        body = self.assert_problem(answer, 422)
        self.assertGreaterEqual(len(body["errors"]), 2)
        for error in body["errors"]:
            self.assertTrue(error["pointer"].endswith(("/adress", "/weight", "/a", "/address", "#/")
                                                      ) or error["pointer"] == "#", error)
        self.assertRegex(json.dumps(body), "address")

    def test_unknown_paths_and_methods(self):
        for path in ("/", "/v1", "/v2/config", "/v1/poolz", "/v1/pools/main/x", "/v1/config/x",
                     "/v1/pools/main/servers/a/x"):
            self.assert_problem(self.api("GET", path), 404)
        for path in ("/v1/pools/main", "/v1/pools", "/v1/config", "/metrics", "/healthz"):
            answer = self.api("POST", path, {})
            self.assert_problem(answer, 405)
            self.assertIn("GET", answer.header("Allow"))

    def test_meta_is_carried(self):
        meta = {"managed_by": "terraform", "note": "n", "labels": {"team": "shop"}}
        self.proxy.put("/v1/pools/p1", {"servers": {}, "meta": meta})
        got = self.proxy.get("/v1/pools/p1")["meta"]
        self.assertEqual({k: got[k] for k in meta}, meta)

    def test_patches_of_different_fields_both_stand(self):
        self.proxy.patch("/v1/pools/main/servers/a", {"weight": 3})
        self.proxy.patch("/v1/pools/main/servers/a", {"max_connections": 9})
        server = self.proxy.get("/v1/pools/main/servers/a")
        self.assertEqual((server["weight"], server["max_connections"]), (3, 9))

    def test_many_servers_in_one_document(self):
        servers = {f"s{i:05}": {"address": f"10.1.{i // 250}.{i % 250 + 1}:80"} for i in range(3000)}
        answer = self.api("PUT", "/v1/pools/large", {"servers": servers})
        self.assertEqual(answer.status, 201, str(answer)[:500])
        self.assertEqual(self.proxy.get("/v1/pools/large")["servers"], servers)


class Limits(ApiCase):
    def test_body_limit(self):
        big = json.dumps({"note": "x" * (2 * 1024 * 1024)}).encode()
        answer = self.api("PUT", "/v1/pools/p", big, {"Content-Type": "application/json"})
        self.assertEqual(answer.status, 413, answer)

    def test_document_limit(self):
        with Client(self.proxy.api_socket) as client:
            client.send_request("PUT", "/v1/config", {
                "Content-Type": "application/json", "Content-Length": str(64 * 1024 * 1024),
            })
            # refused from the head alone: not one byte of the body was sent
            self.assertEqual(client.read_response().status, 413)

    def test_all_bodies_together_have_a_limit(self):
        """Who may only read may send documents to be validated, on as many connections as there are."""
        most = 16 * 1024 * 1024
        holders = []
        for _ in range(9):  # 8 have room
            client = Client(self.proxy.api_socket)
            self.addCleanup(client.close)
            client.send_request("POST", "/v1/config/validate", {
                "Content-Type": "application/json", "Content-Length": str(most)}, host="lbd")
            client.send(b" " * (most - 10))  # what the kernel holds of it is less than a ninth
            holders.append(client)
        self.assertEqual(self.api("GET", "/v1/pools").status, 200)
        answers = []
        for client in holders:
            client.send(b" " * 8 + b"{}")
            answers.append(client.read_response())
        self.assertEqual(sorted(a.status for a in answers), [200] * 8 + [503])
        refused = max(answers, key=lambda a: a.status)
        self.assertEqual((refused.get("Retry-After"), refused.get("Connection")), ("1", "close"))
        self.assertEqual(self.api("PUT", "/v1/pools/new", {}).status, 201)

    def test_all_answers_together_have_a_limit(self):
        """Those that are held whole until they are taken, of clients that take nothing."""
        servers = {f"s{i:05}": {"address": "127.0.0.1:1", "meta": {"note": "n" * 200}}
                   for i in range(5000)}
        self.proxy.put("/v1/pools/large", {})
        self.proxy.put("/v1/pools/large/endpoints", servers)
        size = len(self.api("GET", "/v1/pools/large").raw)
        fit = 128 * 1024 * 1024 // size
        waiting = []
        taken_s = {}
        for _ in range(fit + 3):
            client = Client(self.proxy.api_socket)
            self.addCleanup(client.close)
            client.send_request("GET", "/v1/pools/large", {"Connection": "close"}, host="lbd")
            # nobody may take nothing for 30 s, nor so much that an answer is over before all have come
            waiting.append(client)
            taken_s[client] = time.monotonic()
            for one in waiting:
                if time.monotonic() - taken_s[one] > 10:
                    one.reader.fill()
                    taken_s[one] = time.monotonic()

        # heads alone: the bodies stay where they are
        statuses = [client.read_head().status for client in waiting]
        self.assertEqual(sorted(statuses), [200] * fit + [503] * 3)
        self.assertEqual(self.api("GET", "/v1/pools/main").status, 200, "what is small")
        self.proxy.patch("/v1/pools/large", {"retries": 2})  # what was changed is said
        for client in waiting:
            client.close()
        self.wait_for(lambda: self.api("GET", "/v1/pools/large").status == 200, "room again")

    def test_chunked_body_has_the_limit_too(self):
        with Client(self.proxy.api_socket) as client:
            client.send("PUT /v1/pools/p HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                        "Transfer-Encoding: chunked\r\n\r\n")
            block = b"10000\r\n" + b" " * 65536 + b"\r\n"
            for _ in range(32):
                if not client.send(block):
                    break
            client.send(b"0\r\n\r\n")
            try:
                self.assertEqual(client.read_response().status, 413)
            except Closed:
                pass  # closed in its face is a refusal as well
        self.assertEqual(self.api("GET", "/v1/pools/p").status, 404)

    def test_chunked_body_is_accepted(self):
        with Client(self.proxy.api_socket) as client:
            client.send("PUT /v1/pools/p HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                        "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"ser\r\n9\r\nvers\":{}}\r\n0\r\n\r\n")
            self.assertEqual(client.read_response().status, 201)

    def test_two_lengths_are_refused(self):
        """libmicrohttpd would take both and serve what follows as a request."""
        with Client(self.proxy.api_socket) as client:
            client.send("PUT /v1/pools/p HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
                        "2\r\n{}\r\n0\r\n\r\nDELETE /v1/pools/main HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertEqual(client.read_response().status, 400)
            self.assertEqual(client.read_rest(), b"")
        self.assertEqual(self.api("GET", "/v1/pools/p").status, 404)
        self.assertEqual(self.api("GET", "/v1/pools/main").status, 200)

    def test_keep_alive_and_pipelined_reads(self):
        with Client(self.proxy.api_socket) as client:
            for _ in range(5):
                self.assertEqual(client.get("/healthz").status, 200)

    def test_browser_requests_are_refused(self):
        for header in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Mode": "no-cors"}):
            answer = self.api("PUT", "/v1/pools/p", {}, header)
            self.assertEqual(answer.status, 403, answer)

    def test_slow_caller_does_not_hold_up_others(self):
        with Client(self.proxy.api_socket) as slow:
            slow.send("PUT /v1/pools/p HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                      "Content-Length: 1000\r\n\r\n{")
            for _ in range(3):
                self.assertEqual(self.api("GET", "/v1/config").status, 200)

    def test_caller_that_leaves_in_the_middle(self):
        for _ in range(5):
            with Client(self.proxy.api_socket) as client:
                client.send("PUT /v1/pools/p HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                            "Content-Length: 13\r\n\r\n{\"servers\":")
        self.assertEqual(self.api("GET", "/v1/pools/p").status, 404)


class FileMode(LabCase):
    def test_config_is_the_files(self):
        server = self.origin()
        proxy = self.lbd(config_for(server), daemon={"config_source": "file"})
        answer = proxy.api("PATCH", "/v1/pools/main", {"retries": 2})
        self.assertEqual(answer.status, 409, answer)
        self.assertRegex(answer.body["type"], "managed-by-file")
        self.assertIn(str(proxy.config_path), json.dumps(answer.body))
        self.assertEqual(self.connect(proxy).get("/").status, 200)
        # an override is not configuration
        proxy.admin("a", "drain")
        self.assertEqual(self.connect(proxy).get("/").status, 503)


if __name__ == "__main__":
    unittest.main()
