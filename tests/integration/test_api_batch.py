"""Many changes, all or none, one revision."""

import unittest

from lab import LabCase, config_for


class Batch(LabCase):
    def setUp(self):
        super().setUp()
        self.server = self.origin(name="a")
        self.proxy = self.lbd(config_for(self.server))

    def batch(self, *operations, query="", **more):
        return self.proxy.api("POST", "/v1/batch" + query, list(operations), **more)

    def op(self, method, path, body=None, **more):
        operation = {"method": method, "path": path, **more}
        if body is not None:
            operation["body"] = body
        return operation

    def refused(self, answer, status, kind, operation):
        self.assertEqual((answer.status, answer.body["type"]), (status, f"/v1/problems/{kind}"),
                         answer.body)
        self.assertEqual(answer.body.get("operation"), operation, answer.body)
        self.assertEqual(answer.header("Lbd-Changed") or "false", "false")
        for error in answer.body.get("errors", []):
            self.assertEqual(error.get("operation"), operation, error)

    def test_one_revision_in_any_order(self):
        """The route comes before its pool; both come before what they replace goes."""
        before = self.proxy.api("GET", "/v1/config").revision
        answer = self.batch(
            self.op("PUT", "/v1/routes/r", {"listener": "web", "action": {"pool": "next"}}),
            self.op("PUT", "/v1/pools/next", {"servers": {"n": {"address": self.server.address}}}),
            self.op("PATCH", "/v1/listeners/web", {"default_pool": "next"}),
            self.op("DELETE", "/v1/pools/main"),
            self.op("PATCH", "/v1/pools/next/servers/n", {"weight": 7}),
        )
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual((answer.body["revision"], answer.body["changed"]), (before + 1, True))
        self.assertEqual([r["status"] for r in answer.body["results"]], [201, 201, 200, 204, 201])
        self.assertEqual(answer.body["results"][1]["etag"],
                         self.proxy.api("GET", "/v1/pools/next").etag)
        self.assertEqual(answer.body["results"][4]["path"], "/v1/pools/next/servers/n")
        self.assertNotIn("etag", answer.body["results"][3])
        config = self.proxy.get("/v1/config")
        self.assertEqual(list(config["pools"]), ["next"])
        self.assertEqual(config["pools"]["next"]["servers"]["n"]["weight"], 7)
        self.assertEqual(self.connect(self.proxy).get("/").status, 200)
        newest = self.proxy.get("/v1/revisions")["revisions"][0]
        self.assertEqual((newest["via"], newest["revision"]), ("batch", before + 1))

    def test_nothing_changes_when_one_fails(self):
        before = self.proxy.api("GET", "/v1/config")
        good = self.op("PUT", "/v1/pools/x", {})
        cases = (
            (self.op("PUT", "/v1/pools/y", {"retries": -1}), 422, "invalid-config"),
            (self.op("PATCH", "/v1/pools/no", {}), 404, "not-found"),
            (self.op("DELETE", "/v1/pools/no"), 404, "not-found"),
            (self.op("DELETE", "/v1/pools/main"), 409, "in-use"),
            (self.op("PUT", "/v1/routes/r", {"listener": "web", "action": {"pool": "no"}}), 422,
             "invalid-config"),
            (self.op("PUT", "/v1/pools/main", {}, if_match='"0000000000000000"'), 412,
             "precondition-failed"),
            (self.op("PUT", "/v1/pools/main", {}, if_none_match="*"), 412, "precondition-failed"),
            (self.op("PUT", "/v1/config", {"daemon": {}}), 422, "invalid-config"),
        )
        for bad, status, kind in cases:
            for at in (0, 1, 2):
                with self.subTest(bad, at=at):
                    operations = [good, self.op("PUT", "/v1/pools/z", {})]
                    operations.insert(at, bad)
                    self.refused(self.batch(*operations), status, kind, at)
                    now = self.proxy.api("GET", "/v1/config")
                    self.assertEqual((now.body, now.etag, now.revision),
                                     (before.body, before.etag, before.revision))

    def test_412_tells_tag_and_resource(self):
        answer = self.batch(self.op("PUT", "/v1/pools/x", {}),
                            self.op("PUT", "/v1/pools/main", {}, if_match='"0000000000000000"'))
        self.assertEqual(answer.etag, self.proxy.api("GET", "/v1/pools/main").etag)
        self.assertEqual(answer.body["current"], self.proxy.get("/v1/pools/main"))

    def test_all_mistakes_at_once(self):
        answer = self.batch(
            self.op("PUT", "/v1/pools/x", {"retries": -1}),
            self.op("PUT", "/v1/pools/y", {}),
            self.op("PUT", "/v1/pools/z", {"nonsense": 1}),
        )
        self.assertEqual([(e["pointer"], e["operation"]) for e in answer.body["errors"]],
                         [("#/pools/x/retries", 0), ("#/pools/z/nonsense", 2)])

    def test_what_is_no_operation(self):
        for operation in (7, [], {}, {"method": "PUT"}, {"method": "GET", "path": "/v1/pools/x"},
                          self.op("POST", "/v1/pools/x", {}), self.op("PUT", "/v1/nothing", {}),
                          self.op("PUT", "/v1/pools", {}), self.op("PUT", "/v1/pools/x/status", {}),
                          self.op("PUT", "/v1/pools/X", {}), self.op("PUT", "/v1/pools/x"),
                          self.op("DELETE", "/v1/pools/x", {}), self.op("DELETE", "/v1/config"),
                          self.op("PUT", "/v1/pools/x", {}, iff_match="x"),
                          self.op("PUT", "/v1/pools/x", {}, if_match=7),
                          self.op("PUT", "/v1/pools/x", {}, missing="ok"),
                          self.op("DELETE", "/v1/pools/x", missing="no"),
                          self.op("PUT", "/v1/pools/x/servers/y/admin-state", {"state": "ready"})):
            with self.subTest(operation):
                self.refused(self.batch(self.op("PUT", "/v1/pools/ok", {}), operation), 422,
                             "invalid-body", 1)
        for body in (b"[]", b"{}", b"7", b'"x"', b"null"):
            answer = self.proxy.api("POST", "/v1/batch", body,
                                    headers={"Content-Type": "application/json"})
            self.assertEqual(answer.status, 422, body)
        answer = self.proxy.api("POST", "/v1/batch", b"[{",
                                headers={"Content-Type": "application/json"})
        self.assertEqual(answer.status, 400)
        self.assertEqual(self.proxy.api("POST", "/v1/batch", [], {"Content-Type": "text/plain"})
                         .status, 415)

    def test_limits(self):
        many = [self.op("PUT", f"/v1/pools/p{i}", {}) for i in range(1001)]
        self.assertEqual(self.batch(*many).status, 422)
        answer = self.batch(*many[:1000])
        self.assertEqual((answer.status, len(answer.body["results"])), (200, 1000))
        self.assertEqual(len(self.proxy.get("/v1/pools")), 1001)
        answer = self.batch(*[self.op("DELETE", f"/v1/pools/p{i}") for i in range(1000)])
        self.assertEqual(answer.status, 200)
        self.assertEqual(list(self.proxy.get("/v1/pools")), ["main"])

    def test_dry_run_and_unchanged(self):
        before = self.proxy.api("GET", "/v1/config").revision
        operations = (self.op("PUT", "/v1/pools/x", {}), self.op("PUT", "/v1/pools/y", {}))
        answer = self.batch(*operations, query="?dry_run=true")
        self.assertEqual((answer.status, answer.body["changes_total"]), (200, 2))
        self.assertEqual(self.proxy.api("GET", "/v1/config").revision, before)
        there_and_back = (self.op("PUT", "/v1/pools/x", {}), self.op("DELETE", "/v1/pools/x"),
                          self.op("DELETE", "/v1/pools/y", missing="ok"))
        answer = self.batch(*there_and_back)
        self.assertEqual((answer.status, answer.body["changed"], answer.body["revision"]),
                         (200, False, before))

    def test_preconditions_are_of_the_document_before(self):
        tag = self.proxy.api("GET", "/v1/pools/main").etag
        answer = self.batch(
            self.op("PATCH", "/v1/pools/main", {"retries": 2}, if_match=tag),
            self.op("PATCH", "/v1/pools/main", {"when_all_down": "fail_open"}, if_match=tag),
            self.op("PUT", "/v1/pools/x", {}, if_none_match="*"),
        )
        self.assertEqual(answer.status, 200, answer)
        whole = self.proxy.api("GET", "/v1/config").etag
        self.assertEqual(self.batch(self.op("PUT", "/v1/pools/y", {}),
                                    headers={"If-Match": '"0000000000000000"'}).status, 412)
        self.assertEqual(self.batch(self.op("PUT", "/v1/pools/y", {}),
                                    headers={"If-Match": whole}).status, 200)

    def test_file_mode(self):
        proxy = self.lbd(config_for(self.server), daemon={"config_source": "file"})
        operations = [self.op("PUT", "/v1/pools/x", {})]
        self.assertEqual(proxy.api("POST", "/v1/batch", operations).status, 409)
        self.assertEqual(proxy.api("POST", "/v1/batch?dry_run=true", operations).status, 200)


if __name__ == "__main__":
    unittest.main()
