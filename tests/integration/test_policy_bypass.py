"""What clients try to get past policies, or to pass for somebody else: nothing of it does."""

import base64
import hashlib
import hmac
import json
import tempfile
import time
import unittest
from pathlib import Path

from lab import LabCase, config_for, h2
from lab.origin import respond

SECRET = b"0123456789abcdef0123456789abcdef"
ANN = "Basic " + base64.b64encode(b"ann:secret").decode()
USERS = ["ann:$5$salt$kpa26zwgX83BPSR8d7w93OIXbFt/d3UOTZaAu5vsTM6"]


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(secret=SECRET, **claims):
    claims = {"exp": int(time.time()) + 600, "sub": "ann", **claims}
    data = ".".join(b64(json.dumps(part).encode()) for part in ({"alg": "HS256"}, claims))
    return f"{data}.{b64(hmac.new(secret, data.encode(), hashlib.sha256).digest())}"


class Bypass(LabCase):
    def keys(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = Path(folder.name) / "jwks.json"
        path.write_text(json.dumps({"keys": [{"kty": "oct", "k": b64(SECRET)}]}))
        path.chmod(0o600)
        return str(path)

    def jwt(self, **more):
        return {"jwt": {"keys_file": self.keys(), "headers": {"X-User": "sub"}, **more}}

    def service(self, answer):
        """An external_auth that is told yes or no by answer(head)."""
        self.asked = []

        def script(peer):
            while True:
                self.asked.append(peer.rx())
                peer.send(answer(self.asked[-1]))
        return f"http://{self.origin(script).address}/"

    def start(self, *policies, route=None, **sections):
        self.server = self.origin()
        document = config_for(self.server, **sections)
        document["policies"] = {f"p{i}": policy for i, policy in enumerate(policies)}
        document["routes"] = {"all": {"listener": "web", "action": {"pool": "main"}, **(route or {})}}
        if policies:
            document["routes"]["all"]["policies"] = list(document["policies"])
        self.proxy = self.lbd(document)
        return self.connect(self.proxy)

    def statuses(self, client, *requests):
        return [client.get("/", headers=headers).status for headers in requests]

    def over_h2(self, *fields):
        with h2.H2Client(self.proxy.address()) as client:
            return client.request(list(fields))

    # -- tokens --

    def test_of_several_tokens_none_is_taken(self):
        """The server would perhaps believe the one that nobody verified."""
        for optional in (False, True):
            client = self.start(self.jwt(optional=optional, pass_on=True))
            good, forged = f"Bearer {token()}", f"Bearer {token(b'x' * 32, sub='root')}"
            for pair in ((good, forged), (forged, good), (good, good), (good, ANN), (ANN, forged)):
                answer = client.get("/", headers=[("Authorization", value) for value in pair])
                self.assert_reason(answer, 401, "token_invalid")
            answer = self.over_h2((":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "x"),
                                  ("authorization", good), ("authorization", forged))
            self.assertEqual((answer.status, answer.get("lbd-reason")), (401, "token_invalid"))
            for odd in (f"Bearer\t{token(b'x' * 32)}", f"bearer  {token(b'x' * 32)}"):
                self.assert_reason(client.get("/", headers={"Authorization": odd}), 401, "token_invalid")
            self.assertEqual(self.server.requests, [])
            self.assertEqual(client.get("/", headers={"Authorization": good}).status, 200)
            self.assertEqual(client.get("/", headers={"Authorization": "Bearer"}).status, 200 if optional else 401)

    def test_of_several_cookies_none_is_taken(self):
        for optional in (False, True):
            client = self.start(self.jwt(optional=optional, cookie="session"))
            good, forged = f"session={token()}", f"session={token(b'x' * 32, sub='root')}"
            odd = forged.replace("=", " = ", 1)
            for lines in ([f"{good}; {forged}"], [f"{forged}; {good}"], [good, forged], [f"a=b; {good}", f"{odd}; c=d"], [odd]):
                answer = client.get("/", headers=[("Cookie", line) for line in lines])
                self.assert_reason(answer, 401, "token_invalid")
            self.assertEqual(self.server.requests, [])
            self.assertEqual(client.get("/", headers={"Cookie": f"a=b; {good}"}).status, 200)

    def test_claims_that_would_arrive_as_others_are_not_told(self):
        client = self.start(self.jwt())
        for sub in (" root", "root ", "\troot", "ro\r\not", "ro\not"):
            answer = client.get("/", headers={"Authorization": f"Bearer {token(sub=sub)}", "X-User": "root"})
            self.assertEqual(answer.status, 200)
            self.assertEqual(self.server.requests[-1].all("X-User"), [], repr(sub))

    # -- who servers are told it is --

    def test_trailers_bring_no_identity(self):
        url = self.service(lambda head: respond(204))
        policies = {"jwt": (self.jwt(optional=True), []),
                    "basic": ({"basic_auth": {"users": USERS, "user_header": "X-User"}}, [("Authorization", ANN)]),
                    "external": ({"external_auth": {"url": url, "response_headers": ["X-User"]}}, [])}
        for name, (policy, headers) in policies.items():
            with self.subTest(name):
                client = self.start(policy, route={"trailers": "forward"})
                for spelt in (b"X-User", b"x-user"):
                    client.send_request("POST", "/", [*headers, ("Transfer-Encoding", "chunked"), ("Trailer", "X-User")],
                                        b"1\r\na\r\n0\r\n" + spelt + b": root\r\n\r\n")
                    self.assertEqual(client.read_response().status, 200)
                    self.assertEqual(self.server.requests[-1].body, b"a")
                    self.assertEqual(self.server.requests[-1].trailers, [])

    def test_the_last_policy_that_tells_a_name_has_it(self):
        url = self.service(lambda head: respond(204, headers={"X-User": "of the service"}))
        client = self.start({"headers": {"request": {"add": {"X-User": "nobody"}}}}, self.jwt(),
                            {"external_auth": {"url": url, "request_headers": ["X-User"], "response_headers": ["X-User"]}})
        answer = client.get("/", headers={"Authorization": f"Bearer {token()}", "X-User": "root"})
        self.assertEqual(answer.status, 200)
        self.assertEqual(self.asked[-1].all("X-User"), ["ann"])
        self.assertEqual(self.server.requests[-1].all("X-User"), ["of the service"])

    def test_no_room_is_no_way_to_be_anonymous(self):
        lines = {"headers": {"request": {"add": {f"X-Line-{i}": "x" for i in range(8)}}}}
        client = self.start(lines, lines, self.jwt(headers={f"X-User-{i}": "sub" for i in range(3)}))
        self.assert_reason(client.get("/", headers={"Authorization": f"Bearer {token()}"}), 500, "no_header_room")
        self.assertEqual(self.server.requests, [])

    def test_limits_count_those_whom_policies_name(self):
        client = self.start(self.jwt(), {"rate_limit": {"requests": 1, "per": "hour", "key": {
            "by": "header", "name": "X-User", "missing": "pass"}}})
        of = {sub: {"Authorization": f"Bearer {token(sub=sub)}", "X-User": "somebody"} for sub in ("ann", "bob")}
        self.assertEqual(self.statuses(client, of["ann"], of["ann"], of["bob"], of["bob"]), [200, 429, 200, 429])

    def test_names_that_frame_or_are_ours_are_refused(self):
        self.start(self.jwt())
        ours = ("Content-Length", "Transfer-Encoding", "Host", "Connection", "X-Forwarded-For", "Client-Cert", "forwarded")
        for name in ours:
            for policy, pointer in ((self.jwt(headers={name: "sub"}), f"jwt/headers/{name}"),
                                    ({"basic_auth": {"users": USERS, "user_header": name}}, "basic_auth/user_header"),
                                    ({"external_auth": {"url": "http://a/", "response_headers": ["X-A", name]}},
                                     "external_auth/response_headers/1"),
                                    ({"external_auth": {"url": "http://a/", "request_headers": [name]}},
                                     "external_auth/request_headers/0")):
                answer = self.proxy.api("PUT", "/v1/policies/x", policy)
                self.assertEqual((answer.status, answer.pointers), (422, [f"#/policies/x/{pointer}"]), (name, policy))
        for name in ("X-Forwarded-Method", "x-forwarded-uri"):
            answer = self.proxy.api("PUT", "/v1/policies/x",
                                    {"external_auth": {"url": "http://a/", "request_headers": [name]}})
            self.assertEqual(answer.pointers, ["#/policies/x/external_auth/request_headers/0"])

    # -- a service that is asked --

    def test_what_a_client_can_bring_about_opens_no_door(self):
        said = [respond(204)]
        url = self.service(lambda head: said[0])
        client = self.start({"external_auth": {"url": url, "on_error": "allow", "timeout": "20s"}},
                            listener={"limits": {"header_size": "64KiB"}})
        self.assert_reason(client.get("/", headers={"Cookie": "a=" + 40000 * "x"}), 431, "external_too_large")
        self.assertEqual(self.asked, [])
        for status in (400, 404, 413, 429, 431):  # as who is told rubbish, or too much, or too often, says
            said[0] = respond(status)
            self.assert_reason(client.get("/"), 503, "external_failed")
        self.assertEqual(self.server.requests, [])
        said[0] = respond(500)
        self.assertEqual(client.get("/").status, 200)

    def test_the_service_is_told_what_servers_see(self):
        url = self.service(lambda head: respond(403))
        self.start({"external_auth": {"url": url, "request_headers": ["X-Request-Id"]}})
        fields = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/chat"), (":authority", "x"),
                  ("sec-websocket-version", "13"), ("x-request-id", "a"), ("x-request-id", "b")]
        with h2.H2Client(self.proxy.address()) as client:
            stream = client.new_stream()
            client.send(h2.headers(stream, fields, end=False))
            self.assertEqual(client.answer(stream).status, 403)
        self.assertEqual(self.asked[-1].get("X-Forwarded-Method"), "GET")
        (told,) = self.asked[-1].all("X-Request-Id")
        self.assertNotIn(told, ("a", "b"))

    # -- other spellings --

    def test_spellings_of_what_routes_guard(self):
        guarded = {"host": {"host": ["admin.example"]}, "method": {"host": ["m.example"], "method": ["POST", "DELETE"]},
                   "cookie": {"host": ["c.example"], "cookie": {"exact": {"role": "admin"}}},
                   "query": {"host": ["q.example"], "query": {"exact": {"admin": "1"}}}}
        self.start(route={"priority": -1})
        self.proxy.put("/v1/policies/no", {"access": {"deny": ["0.0.0.0/0"]}})
        for name, match in guarded.items():
            self.proxy.put(f"/v1/routes/{name}", {"listener": "web", "match": match, "policies": ["no"],
                                                  "action": {"pool": "main"}})
        tries = [("GET", "/", host, ()) for host in (
            "admin.example", "ADMIN.Example", "admin.example.", "admin.example:80", "admin.example.:080", "admin.example..",
            ".admin.example", "admin.example..:80", "admin.example:", "x@admin.example", "admin.example,a", "admin%2eexample")]
        tries += [(method, "/", "m.example", ()) for method in ("POST", "post", "Post", "delete", "DELETE", "trace", "Connect")]
        tries += [("GET", "/", "c.example", [("Cookie", text)]) for text in (
            "role=admin", "role=user; role=admin", "role =admin", "role= admin", "\trole\t=\t\"admin\"\t", "a; role=admin;")]
        tries += [("GET", f"/?{query}", "q.example", ()) for query in (
            "admin=1", "admin=0&admin=1", "%61dmin=%31", "&&admin=1", "a=%26&admin=1")]
        for method, target, host, headers in tries:
            with self.subTest(f"{method} {target} {host} {headers}"):
                answer = self.connect(self.proxy).request(method, target, headers=headers, host=host)
                self.assertIn(answer.status, (400, 403))
                answer = self.over_h2((":method", method), (":scheme", "http"), (":path", target), (":authority", host),
                                      *((name.lower(), text.strip()) for name, text in headers))
                self.assertIn(answer.status, (400, 403, 501))
        self.assertEqual(self.server.requests, [])


if __name__ == "__main__":
    unittest.main()
