"""External auth: a real service over http and https says yes, no, go there, or nothing at all."""

import ssl
import tempfile
import threading
import unittest

from lab import LabCase, config_for
from lab import h2
from lab.certs import Authority
from lab.origin import respond


class ExternalAuth(LabCase):
    def start(self, answer, **policy):
        """`answer` makes the bytes of the service's answer from the head of its question."""
        self.asked, self.seen = [], []
        def service(peer):
            while True:
                head = {name.lower(): value for name, value in peer.rx().headers}
                self.asked.append(head)
                peer.send(answer(head))
        def origin(peer):
            while True:
                self.seen.append({name.lower(): value for name, value in peer.rx().headers})
                peer.send(respond(200))
        self.service = self.origin(service)
        document = config_for(self.origin(origin))
        document["policies"] = {"door": {"external_auth": {
            "url": f"http://{self.service.address}/auth", "response_headers": ["X-User", "X-Groups"], **policy}}}
        document["listeners"]["web"]["policies"] = ["door"]
        self.document = document
        self.proxy = self.lbd(document)
        return self.connect(self.proxy)

    def test_yes_and_what_is_told(self):
        client = self.start(lambda head: respond(204, headers={"X-User": "ann"}))
        for _ in range(2):
            answer = client.request("POST", "/a%2Db?c=d", {"Authorization": "Bearer t", "Cookie": "k=v", "X-User": "root",
                                                          "X-Groups": "wheel", "X-Secret": "s"}, b"body", host="shop.example")
            self.assertEqual(answer.status, 200)
        head = self.asked[-1]
        self.assertEqual([head[f"x-forwarded-{name}"] for name in ("method", "proto", "host", "uri", "for")],
                         ["POST", "http", "shop.example", "/a-b?c=d", "127.0.0.1"])
        self.assertEqual((head["authorization"], head["cookie"]), ("Bearer t", "k=v"))
        self.assertNotIn("x-secret", head)
        self.assertEqual(self.seen[-1]["x-user"], "ann")
        self.assertNotIn("x-groups", self.seen[-1])
        self.assertEqual(len(self.asked), 2)

    def test_no_is_the_clients(self):
        answers = {"401": respond(401, b"who?", {"WWW-Authenticate": 'Basic realm="x"', "Content-Type": "text/html"}),
                   "403": respond(403, b"not you"), "302": respond(302, b"", {"Location": "https://login/", "Set-Cookie": "a=b"})}
        client = self.start(lambda head: answers[head["x-want"]], request_headers=["X-Want"])
        for want, name, value, body in (("401", "WWW-Authenticate", 'Basic realm="x"', b"who?"),
                                        ("403", "Content-Type", "text/plain", b"not you"),
                                        ("302", "Location", "https://login/", None)):
            answer = client.get("/", headers={"X-Want": want})
            self.assertEqual((answer.status, answer.get(name), answer.get("Lbd-Reason")), (int(want), value, "external_denied"))
            if body is not None:
                self.assertEqual(answer.body, body)
        self.assertEqual(self.seen, [])

    def test_a_no_has_what_the_client_needs_of_it(self):
        answers = [respond(302, b"", [("Set-Cookie", f"c{i}=v") for i in range(20)] + [
            ("X-Inside", "secret"), ("Cache-Control", "no-store"), ("Location", "https://login/"), ("Location", "https://evil/")])]
        client = self.start(lambda head: answers[0])
        answer = client.get("/")
        self.assertEqual((answer.status, answer.get("Cache-Control"), answer.get("X-Inside")), (302, "no-store", None))
        lines = [(name, value) for name, value in answer.headers if name in ("Location", "Set-Cookie")]
        self.assertEqual(lines, [("Location", "https://login/")] + [("Set-Cookie", f"c{i}=v") for i in range(16)])
        # however much of it there is
        answers[0] = respond(401, b"", [("Set-Cookie", f"c{i}=v") for i in range(30)] + [
            (name, f"v{i}") for name in ("WWW-Authenticate", "Cache-Control", "Location") for i in range(10)])
        self.proxy.put("/v1/policies/more", {"security_headers": {}})
        self.proxy.patch("/v1/listeners/web", {"policies": ["more", "door"], "server_timing": True})
        answer = client.get("/")
        count = {name: sum(1 for one, _ in answer.headers if one == name) for name in
                 ("Location", "WWW-Authenticate", "Cache-Control", "Set-Cookie", "X-Content-Type-Options")}
        self.assertEqual((answer.status, count), (401, {
            "Location": 1, "WWW-Authenticate": 4, "Cache-Control": 4, "Set-Cookie": 9, "X-Content-Type-Options": 0}))

    def test_what_cannot_be_asked_is_not_accepted(self):
        self.start(lambda head: respond(204))
        urls = {"http:///x": "must have a host", "https://127.0.0.1/x#frag": "must have no fragment",
                "http://u:p@127.0.0.1/": "must have a host", "http://127.0.0.1:99999/": "must have a host",
                "http://a/" + 2048 * "x": "must be at most 2048 bytes long", "ftp://x": "must be a URL"}
        for url, words in urls.items():
            for kind, key in (("external_auth", "url"), ("jwt", "keys_url")):
                answer = self.proxy.api("PUT", "/v1/policies/x", {kind: {key: url}})
                self.assertEqual((answer.status, answer.pointers), (422, [f"#/policies/x/{kind}/{key}"]), answer)
                self.assertTrue(answer.body["errors"][0]["detail"].startswith(words), answer)

    def test_no_answer(self):
        bad = [respond(500), respond(200), b"rubbish\r\n\r\n", b""]
        client = self.start(lambda head: bad[0], timeout="300ms", on_error="deny")
        self.assert_reason(client.get("/"), 503, "external_failed")
        bad[0] = bad[2]
        self.assert_reason(client.get("/"), 503, "external_failed")
        bad[0] = bad[3]  # it says nothing until the time is up
        self.assert_reason(client.get("/"), 503, "external_failed")
        self.document["policies"]["door"]["external_auth"]["on_error"] = "allow"
        self.proxy.put("/v1/config", self.document)
        self.assertEqual(client.get("/", headers={"X-User": "root"}).status, 200)
        self.assertNotIn("x-user", self.seen[-1])
        bad[0] = bad[1]
        self.assertEqual(client.get("/").status, 200)

    def test_a_verdict_whose_rest_is_no_good_is_a_verdict(self):
        def head(status, *lines):
            return "\r\n".join([f"HTTP/1.1 {status} X", *lines, "", ""]).encode()
        large = b"x" * 70000
        broken = {
            "body": lambda status, name: (respond(status, large, {name: "v"}), False),
            "cut": lambda status, name: (head(status, f"{name}: v", "Content-Length: 9") + b"no", True),
            "silent": lambda status, name: (head(status, f"{name}: v", "Content-Length: 9"), False),
            "chunk": lambda status, name: (head(status, f"{name}: v", "Transfer-Encoding: chunked") + b"zz\r\n", False),
            "head": lambda status, name: (head(status, "X-Long: " + 66000 * "x", "Content-Length: 0"), False),
            "line": lambda status, name: (head(status, "no colon here", "Content-Length: 0"), False),
            "lengths": lambda status, name: (head(status, "Content-Length: 1", "Content-Length: 2"), False),
            "cut head": lambda status, name: (head(status, "A: b")[:-2], True),
        }
        now = []

        def service(peer):
            while True:
                peer.rx()
                peer.send(now[0][0])
                if now[0][1]:
                    return
        self.service = self.origin(service)
        self.server = self.origin()
        document = config_for(self.server)
        document["policies"] = {"door": {"external_auth": {
            "url": f"http://{self.service.address}/", "response_headers": ["X-User"], "timeout": "500ms"}}}
        document["listeners"]["web"]["policies"] = ["door"]
        proxy = self.lbd(document)
        for on_error in ("allow", "deny"):
            proxy.patch("/v1/policies/door", {"external_auth": {"on_error": on_error}})
            client = self.connect(proxy)
            for status, name in ((401, "WWW-Authenticate"), (403, "WWW-Authenticate"), (302, "Location")):
                for what, make in broken.items():
                    now[:] = [make(status, name)]
                    with self.subTest(what, status=status, on_error=on_error):
                        answer = client.get("/")
                        self.assert_reason(answer, status, "external_denied")
                        self.assertTrue(answer.body.startswith(b"lbd: external_denied"), answer.body[:80])
                        self.assertEqual(answer.get(name), "v" if what in ("body", "cut", "silent", "chunk") else None)
            self.assertEqual(self.server.requests, [])
            for what, make in broken.items():
                now[:] = [make(200, "X-User")]
                with self.subTest(what, status=200, on_error=on_error):
                    answer = client.get("/")
                    if what in ("body", "cut", "silent", "chunk"):  # what servers are told is there
                        self.assertEqual(answer.status, 200)
                        self.assertEqual(self.server.requests[-1].get("X-User"), "v")
                    else:
                        self.assert_reason(answer, 503, "external_failed")
            self.server.requests.clear()
        now[:] = [(respond(304), False)]
        self.assert_reason(client.get("/"), 503, "external_failed")

    def test_a_yes_is_remembered_as_long_as_it_is_the_same_question(self):
        client = self.start(lambda head: respond(200, headers={"X-User": head.get("authorization", "-")}), cache_ttl="60s")
        for token in ("a", "a", "b", "a"):
            self.assertEqual(client.get("/", headers={"Authorization": token}).status, 200)
            self.assertEqual(self.seen[-1]["x-user"], token)
        # each worker remembers for itself; this is one connection
        self.assertEqual(len(self.asked), 2)
        client.get("/other", headers={"Authorization": "a"})
        self.assertEqual(len(self.asked), 3)

    def test_a_client_that_leaves_meanwhile(self):
        client = self.start(lambda head: b"", timeout="5s")
        crowd = [self.connect(self.proxy) for _ in range(10)]
        for one in crowd:
            one.send_request("GET", "/")
        self.wait_for(lambda: len(self.asked) == 10, "all questions")
        for one in crowd:
            one.close()
        self.proxy.wait_metric(0, "lbd_http_requests_in_flight")
        self.assertEqual(self.seen, [])
        self.assertEqual(client.get("/").get("Lbd-Reason"), "external_failed")

    def test_what_was_given_up_is_not_answered_twice(self):
        go = threading.Event()
        self.addCleanup(go.set)

        def answer(head):
            go.wait(60)
            return respond(403, b"not you")
        self.start(answer, timeout="30s")
        with h2.H2Client(self.proxy.address(), options=[(h2.INITIAL_WINDOW_SIZE, 0)]) as client:
            stream = client.new_stream()
            client.send(h2.headers(stream, h2.GET, end=True))
            self.wait_for(lambda: self.asked, "the question")
            (shown,) = self.proxy.get("/v1/connections")["connections"]
            self.proxy.delete(f"/v1/connections/{shown['id']}", headers={"If-Match": "*"})
            client.read_until(lambda got: got.kind == h2.HEADERS)  # its body waits for a window
            go.set()
            self.wait_for(lambda: self.connect(self.proxy).get("/").status == 403, "the service's word")
            client.send(h2.window_update(stream, 65535))
            heads = [got for got in client.read_to_end() if got.kind == h2.HEADERS]
        self.assertEqual(heads, [])

    # -- shadow mode --

    def decisions(self, allow, shadow, deny=0, wait=0):
        for decision, count in (("allow", allow), ("shadow", shadow), ("deny", deny), ("wait", wait)):
            self.proxy.wait_metric(count, "lbd_policy_decisions_total", policy="door", decision=decision)

    def shadow(self, answer, **policy):
        self.start(answer, **policy)
        self.proxy.patch("/v1/policies/door", {"mode": "shadow"})
        return self.connect(self.proxy)

    def test_in_shadow_mode_nobody_waits(self):
        go = threading.Event()
        self.addCleanup(go.set)
        says = [403]

        def answer(head):
            go.wait(60)
            return respond(says[0], headers={"X-User": "ann"})
        client = self.shadow(answer, timeout="30s")
        for _ in range(3):  # the service is silent, and each is served at once
            self.assertEqual(client.get("/", headers={"X-User": "own"}).status, 200)
            self.assertEqual(self.seen[-1]["x-user"], "own")
        self.wait_for(lambda: len(self.asked) == 3, "the questions")
        self.decisions(0, 0)
        go.set()
        self.decisions(0, 3)
        for says[0], allow, shadow in ((204, 1, 3), (401, 1, 4), (404, 1, 5), (500, 1, 6)):
            self.assertEqual(client.get("/").status, 200)
            self.decisions(allow, shadow)
        self.proxy.patch("/v1/policies/door", {"external_auth": {"on_error": "allow"}})
        for says[0], allow, shadow in ((500, 2, 6), (302, 2, 7)):
            self.assertEqual(client.get("/").status, 200)
            self.decisions(allow, shadow)

    def test_what_shadow_mode_finds_in_time_is_logged(self):
        told = threading.Event()

        def answer(head):
            return respond(403)

        def origin(peer):
            while True:
                peer.rx()
                told.wait(60)
                peer.send(respond(200))
        client = self.shadow(answer)
        self.proxy.patch("/v1/pools/main", {"servers": {"a": {"address": self.origin(origin).address}}})
        client.send_request("GET", "/")
        self.decisions(0, 1)
        told.set()
        self.assertEqual(client.read_response().status, 200)
        self.assertEqual(self.proxy.wait_access_log(1)[-1].get("shadow_policy"), "door")

    def test_questions_in_shadow_mode_outlive_what_they_are_of(self):
        go = threading.Event()
        self.addCleanup(go.set)
        client = self.shadow(lambda head: go.wait(60) and respond(403), timeout="60s")
        leaver = self.connect(self.proxy)
        leaver.send_request("GET", "/")
        self.wait_for(lambda: len(self.asked) == 1, "a question")
        leaver.close()
        self.assertEqual(client.get("/").status, 200)
        self.wait_for(lambda: len(self.asked) == 2, "two questions")
        self.proxy.patch("/v1/listeners/web", {"policies": None})
        self.proxy.delete("/v1/policies/door", headers={"If-Match": "*"})
        self.assertEqual(client.get("/").status, 200)
        go.set()
        # another policy, and lbd stops with its questions
        go.clear()
        self.proxy.put("/v1/config", self.document)
        self.proxy.patch("/v1/policies/door", {"mode": "shadow"})
        for _ in range(5):
            self.assertEqual(client.get("/").status, 200)
        self.wait_for(lambda: len(self.asked) == 7, "the questions")

    def test_only_so_many_questions_of_shadow_mode(self):
        go = threading.Event()
        self.addCleanup(go.set)
        client = self.shadow(lambda head: go.wait(60) and respond(403), timeout="60s")
        for _ in range(140):  # of one connection, which is one worker
            self.assertEqual(client.get("/").status, 200)
        self.wait_for(lambda: len(self.asked) == 128, "the questions")
        go.set()
        self.decisions(0, 128)
        self.assertEqual(client.get("/").status, 200)
        self.decisions(0, 129)

    def test_shadow_mode_remembers_too(self):
        client = self.shadow(lambda head: respond(204), cache_ttl="60s")
        self.assertEqual(client.get("/").status, 200)
        self.decisions(1, 0)
        self.assertEqual(client.get("/").status, 200)
        self.decisions(2, 0)
        self.assertEqual(len(self.asked), 1)

    def test_https_is_verified(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        ours, other = Authority(folder.name, "ours"), Authority(folder.name, "other")
        certificate = ours.issue("auth", "127.0.0.1", ["IP:127.0.0.1"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.chain, certificate.key)

        def service(peer):
            while True:
                peer.rx()
                peer.send(respond(204))
        place = self.origin(service, tls=context).address
        document = config_for(self.origin())
        document["ca_sets"] = {"site": {"file": str(ours.certificate)}}
        document["policies"] = {"door": {"external_auth": {"url": f"https://{place}/", "ca": "site"}}}
        document["listeners"]["web"]["policies"] = ["door"]
        proxy = self.lbd(document)
        client = self.connect(proxy)
        self.assertEqual(client.get("/").status, 200)
        document["ca_sets"]["site"]["file"] = str(other.certificate)
        proxy.put("/v1/config", document)
        self.assert_reason(client.get("/"), 503, "external_failed")
        self.assertEqual(proxy.api("DELETE", "/v1/ca-sets/site").status, 409)


if __name__ == "__main__":
    unittest.main()
