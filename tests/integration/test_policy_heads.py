"""Policies that write heads: headers, cors, security_headers; and maintenance."""

import shutil
import tempfile
import unittest

from lab import LabCase, config_for, h2
from lab.certs import Authority, client_context


def fields_for(method="GET", path="/guarded", *more):
    return [(":method", method), (":scheme", "http"), (":path", path), (":authority", "x"), *more]


class Heads(LabCase):
    def start(self, *policies, answer=None, route=None, **sections):
        def script(peer):
            while True:
                peer.rx()
                peer.tx(200, b"hello", headers=answer or {})

        self.server = self.origin(script)
        self.document = config_for(self.server, **sections)
        self.document["policies"] = {f"p{i}": policy for i, policy in enumerate(policies)}
        self.document["routes"] = {"guarded": {
            "listener": "web", "match": {"path_prefix": "/guarded"},
            "policies": list(self.document["policies"]), "action": {"pool": "main"}, **(route or {})}}
        if not policies:
            del self.document["routes"]
        self.proxy = self.lbd(self.document)
        return self.connect(self.proxy)

    def sent(self):
        return self.server.requests[-1]

    def refused(self, policy, *pointers):
        answer = self.proxy.api("PUT", "/v1/policies/x", policy)
        self.assertEqual(answer.status, 422, policy)
        self.assertEqual(answer.pointers, [f"#/policies/x/{pointer}" for pointer in pointers], answer)

    def decisions(self, *words, policy="p0"):
        return [self.proxy.metric("lbd_policy_decisions_total", policy=policy, decision=word) for word in words]

    # -- headers --

    EDITS = {"headers": {
        "request": {"set": {"X-Who": "{client_ip} by {route}", "X-User": "nobody"}, "add": {"X-Seen": "{{{method}}"},
                    "remove": ["X-Debug"]},
        "response": {"set": {"Cache-Control": "no-store", "X-Id": "{request_id}"}, "remove": ["Server", "X-Powered-By"],
                     "add": {"Vary": "X-Who"}}}}

    def test_requests_and_answers_are_edited(self):
        client = self.start(self.EDITS, answer={"Server": "secret", "Vary": "Accept", "Cache-Control": "public",
                                                "X-POWERED-BY": "php"})
        answer = client.get("/guarded", headers=[("x-user", "root"), ("X-USER", "admin"), ("X-Seen", "a"),
                                                 ("x-debug", "1")])
        self.assertEqual(self.sent().all("X-Who"), ["127.0.0.1 by guarded"])
        self.assertEqual(self.sent().all("X-User"), ["nobody"])
        self.assertEqual(self.sent().all("X-Seen"), ["a", "{GET}"])
        self.assertEqual(self.sent().all("X-Debug"), [])
        self.assertEqual(answer.all("Cache-Control"), ["no-store"])
        self.assertEqual(answer.all("Vary"), ["Accept", "X-Who"])
        self.assertEqual([answer.get("Server"), answer.get("X-Powered-By")], [None, None])
        self.assertEqual(answer.get("X-Id"), self.sent().get("X-Request-Id"))
        self.assertIsNone(client.get("/").get("X-Id"))

    def test_over_http2_and_on_answers_of_lbd(self):
        self.start(self.EDITS)
        with h2.H2Client(self.proxy.address()) as client:
            answer = client.request(fields_for("GET", "/guarded", ("x-user", "root"), ("x-user", "admin")))
            self.assertEqual((answer.status, answer.get("cache-control")), (200, "no-store"))
            self.assertEqual(self.sent().all("X-User"), ["nobody"])
            self.proxy.admin("a", "maint")
            answer = client.request(fields_for())
            self.assertEqual((answer.status, answer.get("cache-control")), (503, "no-store"))

    def test_no_way_around(self):
        client = self.start(self.EDITS, route={"trailers": "forward"})
        client.send(b"POST /guarded HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: X-User\r\n"
                    b"Connection: X-User, X-Who\r\n\r\n1\r\na\r\n0\r\nX-User: root\r\nx-debug: 1\r\n\r\n")
        self.assertEqual(client.read_response().status, 200)
        self.assertEqual(self.sent().all("X-User"), ["nobody"])
        self.assertEqual(self.sent().all("X-Who"), ["127.0.0.1 by guarded"])
        self.assertNotIn(b"root", repr(vars(self.sent())).encode())
        for line in (b"X_User: root", b"X.User: root", b"X-User : root", b"X-Other: 1\r\n X-User: root"):
            client = self.connect(self.proxy)
            client.send(b"GET /guarded HTTP/1.1\r\nHost: x\r\n" + line + b"\r\n\r\n")
            self.assertEqual(client.read_response().status, 400, line)
        for path in (b"/%67uarded", b"/a/../guarded", b"/./guarded"):
            self.assertEqual(self.connect(self.proxy).get(path.decode(), headers={"X-User": "root"}).status, 200)
            self.assertEqual(self.sent().all("X-User"), ["nobody"], path)

    def test_shadow_edits_nothing_and_counts(self):
        client = self.start({**self.EDITS, "mode": "shadow"}, answer={"Server": "s"})
        answer = client.get("/guarded", headers={"X-User": "root"})
        self.assertEqual((self.sent().get("X-User"), answer.get("Server"), answer.get("X-Id")), ("root", "s", None))
        self.assertEqual(self.decisions("allow", "shadow"), [0, 1])

    def test_many_edits_have_room_or_the_request_ends(self):
        edits = [{"headers": {"request": {"add": {f"X-{i}-{k}": "v" for k in range(8)}},
                              "response": {"add": {f"Y-{i}-{k}": "v" for k in range(8)}}}} for i in range(4)]
        client = self.start(*edits)
        self.assert_reason(client.get("/guarded"), 500, "no_header_room")
        self.document["routes"]["guarded"]["policies"] = ["p0", "p1"]
        self.proxy.put("/v1/config", self.document)
        answer = client.get("/guarded")
        self.assertEqual(answer.status, 200)
        self.assertEqual(self.sent().get("X-1-7"), "v")
        self.assertEqual(answer.get("Y-0-7"), "v")

    def test_lines_of_the_route_take_no_room_of_policies(self):
        lines = [{f"Y-{i}-{k}": "v" for k in range(8)} for i in range(3)]
        client = self.start({"headers": {"response": {"set": lines[0]}}}, {"headers": {"response": {"add": lines[1]}}},
                            route={"action": {"respond": {"status": 200, "headers": lines[2]}}})
        answer = client.get("/guarded")
        self.assertEqual([name for each in lines for name in each if answer.get(name) is None], [])

    def test_what_may_not_be_written(self):
        self.start()
        for name in ("Content-Length", "connection", "Host", "X-Forwarded-For", "X_A", "Via"):
            self.refused({"headers": {"request": {"set": {name: "x"}}}}, f"headers/request/set/{name}")
            self.refused({"headers": {"request": {"remove": ["A", name]}}}, "headers/request/remove/1")
        self.refused({"headers": {"response": {"add": {"A": "x\r\nB: y"}}}}, "headers/response/add/A")
        self.refused({"headers": {"response": {"set": {"A": "{nothing}"}}}}, "headers/response/set/A")
        self.refused({"headers": {"response": {"set": {"A": "{route"}}}}, "headers/response/set/A")
        self.refused({"headers": {"request": {"set": {f"A{i}": "x" for i in range(5)},
                                              "add": {f"B{i}": "x" for i in range(5)}}}}, "headers/request")

    def test_why_lbd_answers_is_written_by_lbd_alone(self):
        client = self.start({"headers": {"response": {"remove": ["Lbd-Reason"]}}}, {"access": {"deny": ["127.0.0.0/8"]}})
        for name in ("Lbd-Reason", "lbd-reason-detail"):
            self.refused({"headers": {"response": {"set": {name: "x"}}}}, f"headers/response/set/{name}")
            self.refused({"headers": {"response": {"add": {name: "x"}}}}, f"headers/response/add/{name}")
            for action in ({"respond": {"status": 200, "headers": {name: "x"}}},
                           {"redirect": {"path": "/", "headers": {name: "x"}}}):
                answer = self.proxy.api("PUT", "/v1/routes/own", {"listener": "web", "action": action})
                (kind,) = action
                self.assertEqual((answer.status, answer.pointers),
                                 (422, [f"#/routes/own/action/{kind}/headers/{name}"]))
        self.proxy.put("/v1/routes/own", {"listener": "web", "match": {"path": "/own"},
                                          "action": {"respond": {"status": 503}}})
        self.assertIsNone(client.get("/own").get("Lbd-Reason"), "what is configured is no failure")
        refused = client.get("/guarded")
        self.assertEqual((refused.status, refused.get("Lbd-Reason")), (403, None))

    # -- cors --

    CORS = {"cors": {"origins": ["https://app.example.com", "https://*.example.org"], "methods": ["GET", "PUT"],
                     "headers": ["Content-Type", "X-A"], "exposed_headers": ["ETag"], "credentials": True,
                     "max_age": "1h"}}

    def preflight(self, client, origin):
        return client.request("OPTIONS", "/guarded", headers={"Origin": origin, "Access-Control-Request-Method": "PUT"})

    def test_preflights_are_answered_here(self):
        client = self.start(self.CORS)
        answer = self.preflight(client, "https://a.b.example.org")
        self.assertEqual((answer.status, answer.get("Lbd-Reason"), answer.body), (204, "cors_preflight", b""))
        self.assertIsNone(answer.get("Content-Type"))
        want = {"Allow-Origin": "https://a.b.example.org", "Allow-Credentials": "true", "Allow-Methods": "GET, PUT",
                "Allow-Headers": "Content-Type, X-A", "Max-Age": "3600", "Expose-Headers": None}
        self.assertEqual({name: answer.get("Access-Control-" + name) for name in want}, want)
        self.assertEqual(answer.get("Vary"), "Origin")
        for origin in ("https://example.org", "https://evilexample.org", "http://a.example.org", "null",
                       "https://a.example.org.evil.test", "https://evil.test/.example.org", "https://a.example.org:1"):
            answer = self.preflight(client, origin)
            self.assertEqual((answer.status, answer.get("Access-Control-Allow-Origin")), (204, None), origin)
            self.assertEqual(answer.get("Vary"), "Origin")
        self.assertEqual(self.server.requests, [])
        self.assertEqual(self.decisions("allow", "deny"), [8, 0])
        self.assertEqual(client.request("OPTIONS", "/guarded", headers={"Origin": "https://app.example.com"}).status, 200)
        self.assertEqual(len(self.server.requests), 1)

    def test_answers_are_marked_those_of_lbd_too(self):
        client = self.start(self.CORS, {"access": {"deny": ["127.0.0.9"]}},
                            answer={"Access-Control-Allow-Origin": "*", "access-control-max-age": "1", "Vary": "Accept"})
        answer = client.get("/guarded", headers={"Origin": "https://app.example.com"})
        self.assertEqual(answer.all("Access-Control-Allow-Origin"), ["https://app.example.com"])
        self.assertEqual(answer.get("Access-Control-Expose-Headers"), "ETag")
        self.assertIsNone(answer.get("Access-Control-Max-Age"))
        self.assertEqual(answer.all("Vary"), ["Accept", "Origin"])
        plain = client.get("/guarded")
        self.assertEqual((plain.all("Access-Control-Allow-Origin"), plain.all("Vary")), ([], ["Accept", "Origin"]))
        denied = self.connect(self.proxy, source="127.0.0.9").get("/guarded", headers={"Origin": "https://app.example.com"})
        self.assert_reason(denied, 403, "access_denied")
        self.assertEqual(denied.get("Access-Control-Allow-Origin"), "https://app.example.com")
        self.proxy.admin("a", "maint")
        with h2.H2Client(self.proxy.address()) as fast:
            answer = fast.request(fields_for("GET", "/guarded", ("origin", "https://app.example.com")))
            self.assertEqual((answer.status, answer.get("access-control-allow-origin")),
                             (503, "https://app.example.com"))

    def test_everybody_but_without_credentials(self):
        client = self.start({"cors": {"origins": ["*"]}})
        answer = self.preflight(client, "https://any.test")
        self.assertEqual((answer.get("Access-Control-Allow-Origin"), answer.get("Vary")), ("*", None))
        self.assertEqual(answer.get("Access-Control-Allow-Methods"), "GET, HEAD, POST")
        self.refused({"cors": {"origins": ["*"], "credentials": True}}, "cors/credentials")
        self.refused({"cors": {"origins": ["https://a.test", "*"]}}, "cors/origins/1")
        for origin in ("example.com", "https://A.test", "https://a.test/", "https://*", "https://a.*.test", "https://"):
            self.refused({"cors": {"origins": [origin]}}, "cors/origins/0")

    def test_shadow_lets_servers_speak(self):
        client = self.start({**self.CORS, "mode": "shadow"}, answer={"Access-Control-Allow-Origin": "https://old.test"})
        answer = self.preflight(client, "https://app.example.com")
        self.assertEqual((answer.status, answer.get("Access-Control-Allow-Origin")), (200, "https://old.test"))

    # -- security_headers --

    def test_browsers_are_warned(self):
        client = self.start({"security_headers": {"content_security_policy": "default-src 'self'"}},
                            answer={"x-frame-options": "DENY"})
        answer = client.get("/guarded")
        self.assertEqual(answer.get("X-Content-Type-Options"), "nosniff")
        self.assertEqual(answer.all("X-Frame-Options"), ["DENY"])
        self.assertEqual(answer.get("Referrer-Policy"), "strict-origin-when-cross-origin")
        self.assertEqual(answer.get("Content-Security-Policy"), "default-src 'self'")
        self.assertIsNone(answer.get("Strict-Transport-Security"))  # RFC 6797 7.2
        self.document["policies"]["p0"] = {"security_headers": {"override": True, "no_sniff": False}}
        self.proxy.put("/v1/config", self.document)
        answer = client.get("/guarded")
        self.assertEqual(answer.all("X-Frame-Options"), ["SAMEORIGIN"])
        self.assertIsNone(answer.get("X-Content-Type-Options"))

    def test_https_alone_is_told_over_tls(self):
        folder = tempfile.mkdtemp(prefix="lab-heads-")
        self.addCleanup(shutil.rmtree, folder, True)
        authority = Authority(folder)
        pair = authority.issue("shop", cn="shop", names=["DNS:shop.test"])
        self.start({"security_headers": {"hsts_subdomains": True}}, listener={"tls": {"certificates": ["shop"]}},
                   certificates={"shop": {"chain_file": str(pair.chain), "key_file": str(pair.key)}})
        client = self.connect(self.proxy, tls=client_context(authority, protocols=["http/1.1"]), name="shop.test")
        answer = client.get("/guarded", host="shop.test")
        self.assertEqual(answer.get("Strict-Transport-Security"), "max-age=31536000; includeSubDomains")

    # -- maintenance --

    def test_one_page_for_all_but_who_works(self):
        client = self.start({"mode": "shadow", "maintenance": {"allow": ["127.0.0.2"], "body": "<h1>Back at six</h1>",
                                                               "retry_after": "1h"}})
        self.assertEqual(client.get("/guarded").status, 200)
        self.assertEqual(self.decisions("shadow"), [1])
        self.proxy.patch("/v1/policies/p0", {"mode": "enforce"})
        answer = client.get("/guarded")
        self.assertEqual((answer.status, answer.text, answer.get("Content-Type")),
                         (503, "<h1>Back at six</h1>", "text/html; charset=utf-8"))
        self.assertEqual((answer.get("Lbd-Reason"), answer.get("Retry-After")), ("maintenance", "3600"))
        self.assertEqual(client.request("HEAD", "/guarded").body, b"")
        self.assertEqual(self.connect(self.proxy, source="127.0.0.2").get("/guarded").status, 200)
        self.assertEqual(client.get("/").status, 200)
        with h2.H2Client(self.proxy.address()) as fast:
            self.assertEqual(fast.request(fields_for()).status, 503)


if __name__ == "__main__":
    unittest.main()
