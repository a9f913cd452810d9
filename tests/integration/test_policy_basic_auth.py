"""HTTP Basic: good and wrong logins, files that change, floods, clients that leave; servers see the name only."""

import base64
import os
import warnings
import tempfile
import unittest
from pathlib import Path

from lab import LabCase, config_for
from lab.origin import respond

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import crypt


SALTS = {"yescrypt": "$y$j75$lH9Yx5Yx5Yx5Yx5Y", "bcrypt": "$2y$05$abcdefghijklmnopqrstuu", "sha512crypt": "$6$rounds=1000$salt"}


def hash_of(password, method="sha512crypt"):
    return crypt.crypt(password, SALTS[method])


def login(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


class BasicAuth(LabCase):
    def start(self, **auth):
        document = config_for(self.origin())
        document["policies"] = {"staff": {"basic_auth": {"realm": "staff", "user_header": "X-User", **auth}}}
        document["listeners"]["web"]["policies"] = ["staff"]
        self.document = document
        self.proxy = self.lbd(document)
        return self.connect(self.proxy)

    def test_good_and_wrong(self):
        users = [f"{method}:{hash_of('a:b c', method)}" for method in ("yescrypt", "bcrypt", "sha512crypt")]
        client = self.start(users=users)
        for user in ("yescrypt", "bcrypt", "sha512crypt"):
            for _ in range(2):  # the second time it is remembered
                self.assertEqual(client.get("/", headers=login(user, "a:b c")).status, 200)
        for headers, reason in (({}, "login_required"), ({"Authorization": "Bearer x"}, "login_required"),
                                ({"Authorization": "Basic !"}, "login_refused"),
                                ({"Authorization": "Basic "}, "login_required"),
                                (login("bcrypt", "a:b"), "login_refused"), (login("nobody", "a:b c"), "login_refused"),
                                (login("bcrypt", ""), "login_refused"), (login("", "a:b c"), "login_refused"),
                                (login("bcrypt", "x" * 300), "login_refused")):
            with self.subTest(headers):
                answer = client.get("/", headers=headers)
                self.assert_reason(answer, 401, reason)
                self.assertEqual(answer.get("WWW-Authenticate"), 'Basic realm="staff", charset="UTF-8"')

    def test_two_headers_are_none(self):
        client = self.start(users=["ann:" + hash_of("secret")])
        good = login("ann", "secret")["Authorization"]
        client.send(f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: {good}\r\nauthorization: {good}\r\n\r\n".encode())
        self.assert_reason(client.read_response(), 401, "login_required")

    def test_servers_see_the_name_and_no_password(self):
        seen = []
        def script(peer):
            while True:
                seen.append({name.lower(): value for name, value in peer.rx().headers})
                peer.send(respond(200))
        document = config_for(self.origin(script))
        document["policies"] = {"staff": {"basic_auth": {"user_header": "X-User", "users": ["ann:" + hash_of("s")]}}}
        document["listeners"]["web"]["policies"] = ["staff"]
        proxy = self.lbd(document)
        client = self.connect(proxy)
        client.get("/", headers={**login("ann", "s"), "X-User": "root"})
        self.assertEqual(seen[0].get("x-user"), "ann")
        self.assertNotIn("authorization", seen[0])
        document["policies"]["staff"]["basic_auth"]["pass_on"] = True
        proxy.put("/v1/config", document)
        client.get("/", headers=login("ann", "s"))
        self.assertIn("authorization", seen[1])

    def test_a_file_that_changes(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "users"
            path.write_text("# people\nann:" + hash_of("one") + "\n")
            path.chmod(0o600)
            client = self.start(users_file=str(path))
            self.assertEqual(client.get("/", headers=login("ann", "one")).status, 200)
            new = Path(folder) / "new"
            new.write_text("ann:" + hash_of("two") + "\n")
            new.chmod(0o600)
            os.replace(new, path)
            self.wait_for(lambda: client.get("/", headers=login("ann", "two")).status == 200, "the new password")
            self.assertEqual(client.get("/", headers=login("ann", "one")).status, 401)
            new.write_text("ann:plain\n")
            new.chmod(0o600)
            os.replace(new, path)
            self.proxy.wait_log("policy.file_refused")
            self.assertEqual(client.get("/", headers=login("ann", "two")).status, 200)

    def test_weak_hashes_are_refused(self):
        self.start(users=["ann:" + hash_of("x")])
        for line in ("ann:secret", "ann:$1$abc$def", "ann", ":x", "ann:" + hash_of("x") + "\nann:" + hash_of("y")):
            self.document["policies"]["staff"]["basic_auth"]["users"] = [line]
            answer = self.proxy.api("PUT", "/v1/config", self.document)
            self.assertEqual(answer.status, 422, line)
            self.assertNotIn("secret", str(answer.body))

    def test_a_flood_is_bounded_and_leavers_leave_nothing(self):
        client = self.start(users=["ann:" + hash_of("x", "yescrypt")])
        crowd = [self.connect(self.proxy) for _ in range(200)]
        for i, one in enumerate(crowd):
            one.send_request("GET", "/", login("ann", f"wrong{i}"))
        for one in crowd[:20]:
            one.close()
        reasons = {one.read_response().get("Lbd-Reason") for one in crowd[20:]}
        self.assertLessEqual(reasons, {"login_refused", "login_busy"})
        self.assertIn("login_busy", reasons)
        self.wait_for(lambda: client.get("/", headers=login("ann", "x")).status == 200, "a login after the flood")


if __name__ == "__main__":
    unittest.main()
