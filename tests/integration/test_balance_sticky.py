"""Clients stay with their server: by a cookie of ours or of the application, over every change."""

import os
import re
import shutil
import tempfile
import unittest

from lab import LabCase, certs, config_for, h2, wait_for
from lab.ports import free_port

TOKEN = re.compile(r"\Alb=([0-9a-f]{16})((?:; [^;]+)*)\Z")


class Sticky(LabCase):
    def serve(self, count=3, workers=2, script=None, listener=None, sticky=None, servers=None, **pool):
        self.servers = {n: self.origin(script, name=n) for n in "abcdef"[:count]}
        document = config_for(
            pool={"sticky": {"cookie": "lb", **(sticky or {})}, **pool}, listener=listener
        )
        document["pools"]["main"]["servers"] = {
            n: {"address": o.address, **((servers or {}).get(n, {}))}
            for n, o in self.servers.items()
        }
        self.proxy = self.lbd(document, daemon={"workers": workers})

    def ask(self, cookie=None, target="/", listener="web"):
        """(who answered, the cookie we got or None, the response), on a connection of its own."""
        with self.connect(self.proxy, listener=listener) as client:
            response = client.get(target, {"Cookie": cookie} if cookie is not None else None)
        return response.get("Origin-Name"), response.get("Set-Cookie"), response

    def belong(self):
        """One client of each server: {name: cookie}."""
        found = {}
        for _ in range(200):
            name, cookie, _ = self.ask()
            found[name] = cookie.partition(";")[0]
            if len(found) == len(self.servers):
                return found
        self.fail(f"only {sorted(found)} took clients")

    def stays(self, clients, times=6):
        for name, cookie in clients.items():
            for _ in range(times):
                who, again, _ = self.ask(cookie)
                self.assertEqual((who, again), (name, None))

    def sticky_metric(self, result):
        return self.proxy.metric("lbd_pool_sticky_total", pool="main", result=result)

    # -- a cookie of ours

    def test_a_client_stays_on_all_workers(self):
        self.serve(workers=3)
        clients = self.belong()
        self.stays(clients)
        self.assertEqual(len(set(clients.values())), 3)
        for name, cookie in clients.items():
            self.assertRegex(cookie, TOKEN)
        self.assertEqual(self.sticky_metric("hit"), 18)
        self.assertGreaterEqual(self.sticky_metric("new"), 3)
        self.assertEqual(self.sticky_metric("rebalanced"), 0)

    def test_what_the_cookie_looks_like(self):
        self.serve(count=1)
        _, cookie, _ = self.ask()
        self.assertEqual(TOKEN.match(cookie).group(2), "; Path=/; HttpOnly; SameSite=Lax")
        self.proxy.patch("/v1/pools/main", {"sticky": {
            "path": "/shop", "domain": "test", "http_only": False, "secure": "on",
            "same_site": "none", "max_age": "90s"}})
        _, other, _ = self.ask()
        self.assertEqual(TOKEN.match(other).group(2),
                         "; Path=/shop; Domain=test; Max-Age=90; Secure; SameSite=None")
        self.assertEqual(TOKEN.match(other).group(1), TOKEN.match(cookie).group(1))

    def test_it_is_secure_over_tls(self):
        folder = tempfile.mkdtemp(prefix="lab-sticky-")
        self.addCleanup(shutil.rmtree, folder)
        authority = certs.Authority(folder)
        certificate = authority.issue("web", names=["DNS:localhost"])
        origin = self.origin(name="a")
        document = config_for(origin, pool={"sticky": {"cookie": "lb"}})
        document["certificates"] = {"c": {"chain_file": str(certificate.chain),
                                          "key_file": str(certificate.key)}}
        document["listeners"]["safe"] = {
            "bind": ["127.0.0.1:0"], "default_pool": "main", "tls": {"certificates": ["c"]}}
        self.proxy = self.lbd(document)
        context = certs.client_context(authority)
        with self.connect(self.proxy, listener="safe", tls=context) as client:
            self.assertIn("; Secure;", client.get("/").get("Set-Cookie"))
        self.assertNotIn("Secure", self.ask()[1])
        self.proxy.patch("/v1/pools/main", {"sticky": {"secure": "off"}})
        with self.connect(self.proxy, listener="safe", tls=context) as client:
            self.assertNotIn("Secure", client.get("/").get("Set-Cookie"))

    def test_servers_do_not_see_it_and_others_stay_as_they_are(self):
        self.serve(count=1)
        cookie = self.belong()["a"]
        origin = self.servers["a"]
        for sent, seen in [
            (cookie, None),
            (f"x=1; {cookie}", "x=1"),
            (f"{cookie}; x=\"a b\";  y=2", "x=\"a b\";  y=2"),
            (f"x=1; {cookie}; y=2; {cookie}", "x=1; y=2"),
            (f"xlb=1; lbx=2; {cookie}; lb", "xlb=1; lbx=2; lb"),
            ("lb=nonsense; x=1", "x=1"),
            ("x=1; y", "x=1; y"),
        ]:
            with self.subTest(sent):
                self.ask(sent)
                self.assertEqual(origin.requests[-1].get("Cookie"), seen)
        self.proxy.patch("/v1/pools/main", {"sticky": {"forward": True}})
        self.ask(f"x=1; {cookie}")
        self.assertEqual(origin.requests[-1].get("Cookie"), f"x=1; {cookie}")

    def test_what_is_of_no_server_is_replaced(self):
        self.serve()
        for value in ("", "0" * 16, "a" * 17, "G" * 16, "a", "\"" + "1" * 14 + "\""):
            with self.subTest(value):
                who, cookie, response = self.ask(f"lb={value}")
                self.assertEqual(response.status, 200)
                self.assertRegex(cookie, TOKEN)
        self.assertEqual(self.sticky_metric("unknown"), 6)

    def test_it_says_no_name(self):
        self.serve(count=2)
        for name, cookie in self.belong().items():
            value = cookie.partition("=")[2]
            self.assertNotIn(name.encode().hex(), value[:2])
            self.assertNotIn(str(self.servers[name].address.rpartition(":")[2]), value)

    def test_it_survives_changes_and_restarts(self):
        self.serve()
        clients = self.belong()
        new = self.origin(name="new")
        self.proxy.put("/v1/pools/main/servers/0", {"address": new.address})  # the first now
        self.stays(clients)
        self.proxy.patch("/v1/pools/main", {"algorithm": "round_robin", "retries": 3})
        self.stays(clients)
        self.proxy.delete("/v1/pools/main/servers/a")
        who, cookie, _ = self.ask(clients["a"])
        self.assertIn(who, ("b", "c", "new"))
        self.assertRegex(cookie, TOKEN)
        self.proxy.put("/v1/pools/main/servers/a", {"address": self.servers["a"].address})
        self.stays(clients)
        self.proxy.stop()
        self.proxy.restart()
        self.stays(clients)

    def key_file(self, text):
        folder = tempfile.mkdtemp(prefix="lab-sticky-")
        self.addCleanup(shutil.rmtree, folder)
        secret = os.path.join(folder, "secret")
        with open(secret, "w", encoding="ascii") as file:
            file.write(text)
        os.chmod(secret, 0o600)
        return secret

    def test_a_key_makes_other_values_and_several_lbd_agree(self):
        secret = self.key_file("sixteen bytes or more\n")
        self.serve(sticky={"key_file": secret})
        keyed = self.belong()
        document = self.proxy.get("/v1/config")
        self.proxy = self.lbd({k: document[k] for k in ("listeners", "pools")})
        self.stays(keyed, times=2)
        self.proxy.patch("/v1/pools/main", {"sticky": {"key_file": None}})
        self.assertFalse(set(self.belong().values()) & set(keyed.values()))

    def test_a_key_that_cannot_be_read_is_refused(self):
        self.serve(count=1)
        short = self.key_file("short")
        for path in (short, f"{short}-none"):
            reply = self.proxy.api("PATCH", "/v1/pools/main", {"sticky": {"key_file": path}})
            self.assertEqual(reply.status, 422, reply)
            self.assertEqual(reply.pointers, ["#/pools/main/sticky/key_file"], reply)

    def test_a_key_follows_its_file_while_that_can_be_used(self):
        secret = self.key_file("sixteen bytes or more\n")
        self.serve(sticky={"key_file": secret})
        clients = self.belong()
        os.unlink(secret)  # the one before stays, whatever else becomes new
        wait_for(lambda: "secret.failed" in self.proxy.log_text(), "a line in the log")
        self.proxy.patch("/v1/pools/main/servers/b", {"admin_state": "maint"})
        self.assertNotIn("b", {self.ask()[0] for _ in range(20)})
        self.proxy.patch("/v1/pools/main/servers/b", {"admin_state": "ready"})
        self.stays(clients)
        os.rename(self.key_file("another, of sixteen bytes\n"), secret)
        wait_for(lambda: self.ask(clients["a"])[1] is not None, "values of the other key")
        self.proxy.wait_log("secret.loaded")
        self.assertFalse(set(self.belong().values()) & set(clients.values()))

    # -- when the server is not usable

    def test_a_drain_keeps_clients_and_takes_no_new_ones(self):
        self.serve()
        clients = self.belong()
        self.proxy.patch("/v1/pools/main/servers/b", {"admin_state": "drain"})
        self.stays(clients)
        self.assertNotIn("b", {self.ask()[0] for _ in range(20)})
        self.proxy.patch("/v1/pools/main", {"sticky": {"on_drain": "move"}})
        who, cookie, _ = self.ask(clients["b"])
        self.assertIn(who, ("a", "c"))
        self.stays({who: cookie.partition(";")[0]})

    def test_who_is_out_loses_its_clients_for_good(self):
        self.serve()
        clients = self.belong()
        self.proxy.patch("/v1/pools/main/servers/b", {"admin_state": "maint"})
        who, cookie, _ = self.ask(clients["b"])
        self.assertIn(who, ("a", "c"))
        self.assertEqual(self.sticky_metric("rebalanced"), 1)
        moved = {who: cookie.partition(";")[0]}
        self.proxy.patch("/v1/pools/main/servers/b", {"admin_state": "ready"})
        self.stays(moved)
        self.stays(clients)  # and a client that slept through it returns

    def test_a_server_that_cannot_be_reached_is_left(self):
        self.serve(retries=1)
        clients = self.belong()
        self.proxy.patch("/v1/pools/main/servers/b", {"address": f"127.0.0.1:{free_port()}"})
        who, cookie, response = self.ask(clients["b"])
        self.assertEqual(response.status, 200)
        self.assertIn(who, ("a", "c"))
        self.stays({who: cookie.partition(";")[0]}, times=2)

    def test_it_may_fail_instead(self):
        self.serve(sticky={"on_unavailable": "fail"}, retries=2)
        clients = self.belong()
        self.proxy.patch("/v1/pools/main/servers/b", {"admin_state": "maint"})
        self.assert_reason(self.ask(clients["b"])[2], 503, "sticky_unavailable")
        self.assertIsNone(self.ask(clients["b"])[1], "and it still belongs to it")
        self.assertEqual(self.sticky_metric("refused"), 2)
        self.proxy.patch("/v1/pools/main/servers/b",
                         {"admin_state": "ready", "address": f"127.0.0.1:{free_port()}"})
        self.assert_reason(self.ask(clients["b"])[2], 502, "connect_refused")
        self.stays({n: c for n, c in clients.items() if n != "b"}, times=2)
        who, _, response = self.ask("lb=" + "0" * 16)
        self.assertEqual(response.status, 200, "who belongs to none is served")

    def test_its_own_answer_is_passed_on_when_nobody_else_may_be_asked(self):
        broken = set()

        def script(peer):
            while True:
                peer.rx()
                name = peer.origin.name
                peer.tx(503 if name in broken else 200, name, {"Origin-Name": name})

        self.serve(count=2, sticky={"on_unavailable": "fail"}, retries=2,
                   retry={"on": ["503"], "budget_min": 1000}, script=script)
        clients = self.belong()
        broken.add("a")
        for _ in range(3):
            who, cookie, response = self.ask(clients["a"])
            self.assertEqual((who, cookie, response.status), ("a", None, 503))
            self.assertIsNone(response.get("Lbd-Reason"))
        self.assertEqual(self.proxy.metric("lbd_pool_retries_total", pool="main"), 0)
        self.stays({"b": clients["b"]}, times=2)
        # who belongs to none yet goes on to the other
        self.assertEqual({self.ask()[0] for _ in range(10)}, {"b"})
        self.proxy.patch("/v1/pools/main", {"sticky": {"on_unavailable": "rebalance"}})
        self.assertEqual(self.ask(clients["a"])[0], "b")

    def test_when_all_are_down_and_tried_all_the_same(self):
        self.serve(when_all_down="fail_open")
        self.proxy.put("/v1/health-checks/h", {"type": "http", "path": "/", "interval": "100ms",
                                               "expect": {"status": [599]}})
        self.proxy.patch("/v1/pools/main", {"health_check": "h"})
        for name in self.servers:
            self.proxy.wait_health(name, "down")
        self.stays(self.belong(), times=3)

    # -- HTTP/2

    def test_over_http2_and_crumbs(self):
        self.serve()
        client = h2.H2Client(self.proxy.address("web"))
        self.addCleanup(client.close)
        first = client.request()
        cookie = first.get("set-cookie").partition(";")[0]
        name = first.get("origin-name")
        for _ in range(6):
            answer = client.request(extra=(("cookie", "x=1"), ("cookie", cookie), ("cookie", "y=2")))
            self.assertEqual(answer.get("origin-name"), name)
            self.assertIsNone(answer.get("set-cookie"))
        self.assertEqual(self.servers[name].requests[-1].get("Cookie"), "x=1; y=2")
        self.stays({name: cookie}, times=2)

    # -- a cookie of the application

    def test_passive_follows_the_application(self):
        self.serve(sticky={"mode": "passive", "cookie": "JSESSIONID"},
                   servers={"a": {"sticky_id": "node.1"}, "b": {"sticky_id": "n2"}})
        for value, who in [("n2", "b"), ("0A.1B.n2", "b"), ("node.1", "a"), ("0A.1B.node.1", "a"), ("c", "c"), ("S.c", "c"),
                           ("\"S.n2\"", "b")]:
            with self.subTest(value):
                for _ in range(4):
                    got, cookie, _ = self.ask(f"JSESSIONID={value}")
                    self.assertEqual((got, cookie), (who, None))
                self.assertEqual(self.servers[who].requests[-1].get("Cookie"), f"JSESSIONID={value}")
        for value in ("b", "S.b", "n2.S", "n2.", "S", ""):
            names = {self.ask(f"JSESSIONID={value}")[0] for _ in range(20)}
            self.assertGreater(len(names), 1, value)

    # -- what answers bring

    def app(self, name, header=None):
        """A server that makes a session for who has none: "name-number"."""
        made = []

        def script(peer):
            while True:
                request = peer.rx()
                if request.target == "/login":
                    made.append(1)
                    session = f"{name}{len(made)}"
                    fields = ({header: session} if header else
                              [("Set-Cookie", "SID=old"), ("Set-Cookie", "other=1"),
                               ("Set-Cookie", f"SID={session}; Path=/; HttpOnly")])
                    peer.tx(200, name, fields)
                else:
                    peer.tx(200, name, {"Set-Cookie": "SID=; Max-Age=0"}
                            if request.target == "/logout" else None)

        return self.origin(script, name=name)

    def serve_app(self, count=3, header=None, **sticky):
        self.servers = {n: self.app(n, header) for n in "abcdef"[:count]}
        named = {"header": header} if header else {"cookie": "SID"}
        self.proxy = self.lbd(config_for(*self.servers.values(), pool={
            "algorithm": "round_robin", "sticky": {"mode": "learn", **named, **sticky}}),
            daemon={"workers": 3})

    def send(self, target="/", session=None, header=None):
        """(who answered, the session it set)."""
        fields = {header: session} if header else {"Cookie": f"x=1; SID={session}"}
        with self.connect(self.proxy) as client:
            answer = client.get(target, fields if session else None)
        set_cookies = [v for n, v in answer.headers if n.lower() == "set-cookie"]
        return answer.text, answer.get(header) if header else set_cookies[-1:]

    def logins(self, count, header=None):
        found = {}
        for _ in range(count):
            who, session = self.send("/login", header=header)
            if not header:
                session = session[0].partition(";")[0].partition("=")[2]
            self.assertNotIn(session, found)
            found[session] = who
        return found

    def test_sessions_are_learnt_by_all_workers(self):
        self.serve_app()
        sessions = self.logins(30)
        self.assertEqual(set(sessions.values()), set(self.servers))
        for _ in range(3):
            for session, who in sessions.items():
                self.assertEqual(self.send("/", session)[0], who)
        self.assertEqual(self.sticky_metric("hit"), 90)
        self.assertEqual(self.sticky_metric("new"), 30)
        unknown = {self.send("/", "stranger")[0] for _ in range(12)}
        self.assertGreater(len(unknown), 1, "a session that no answer set belongs to nobody")
        state = self.proxy.get("/v1/pools/main/status")["sticky"]
        self.assertEqual((state["mode"], state["sessions"]), ("learn", 30))

    def test_sessions_of_a_header(self):
        self.serve_app(header="Session-Id")
        sessions = self.logins(9, "Session-Id")
        for session, who in sessions.items():
            for _ in range(3):
                self.assertEqual(self.send("/", session, "session-id")[0], who)

    def test_a_session_moves_with_its_server_and_stays_there(self):
        self.serve_app()
        session, who = next(iter(self.logins(1).items()))
        self.proxy.patch(f"/v1/pools/main/servers/{who}", {"admin_state": "drain"})
        self.assertEqual(self.send("/", session)[0], who)
        self.proxy.patch(f"/v1/pools/main/servers/{who}", {"admin_state": "maint"})
        moved = self.send("/", session)[0]
        self.assertNotEqual(moved, who)
        self.proxy.patch(f"/v1/pools/main/servers/{who}", {"admin_state": "ready"})
        self.assertEqual({self.send("/", session)[0] for _ in range(8)}, {moved})

    def test_changes_keep_the_table(self):
        self.serve_app()
        sessions = self.logins(12)
        new = self.origin(name="new")
        self.proxy.put("/v1/pools/main/servers/0", {"address": new.address})
        self.proxy.patch("/v1/pools/main", {"sticky": {"learn": {"entries": 64, "ttl": "1m"}}})
        for session, who in sessions.items():
            self.assertEqual(self.send("/", session)[0], who)
        self.send("/logout", next(iter(sessions)))  # an empty value is no session
        self.assertEqual(self.proxy.get("/v1/pools/main/sessions")["count"], 12)

    def test_the_table_is_bounded(self):
        self.serve_app(learn={"entries": 64})
        sessions = self.logins(100)
        table = self.proxy.get("/v1/pools/main/sessions?limit=1000")
        self.assertEqual((table["count"], table["evicted"], len(table["sessions"])), (64, 36, 64))
        for session, who in list(sessions.items())[-64:]:
            self.assertEqual(self.send("/", session)[0], who)

    def test_the_table_is_seen_and_forgotten(self):
        self.serve_app(count=2)
        sessions = self.logins(10)
        table = self.proxy.get("/v1/pools/main/sessions")
        self.assertEqual({s["server"] for s in table["sessions"]}, {"a", "b"})
        self.assertFalse({s["session"] for s in table["sessions"]} & set(sessions))
        self.assertEqual(len(self.proxy.get("/v1/pools/main/sessions?limit=3")["sessions"]), 3)
        of_a = self.proxy.get("/v1/pools/main/sessions?server=a")["sessions"]
        count = {n: list(sessions.values()).count(n) for n in "ab"}
        self.assertEqual(len(of_a), count["a"])

        def forget(query):
            return self.proxy.delete(f"/v1/pools/main/sessions{query}").body["forgotten"]

        self.assertEqual(forget(f"?session={of_a[0]['session']}"), 1)
        self.assertEqual(forget("?session=b1"), 1)  # by its value
        self.assertEqual(forget("?session=none"), 0)
        self.assertEqual(forget("?server=a"), count["a"] - 1)
        self.assertEqual(forget(""), count["b"] - 1)
        self.assertEqual(self.proxy.get("/v1/pools/main/sessions")["count"], 0)
        for path in ("/v1/pools/none/sessions", "/v1/pools/main/sessions?server=none"):
            self.assertEqual(self.proxy.api("GET", path).status, 404)
        self.proxy.patch("/v1/pools/main", {"sticky": {"mode": "insert", "learn": None}})
        self.assertEqual(self.proxy.api("GET", "/v1/pools/main/sessions").status, 404)

    # -- the document

    def test_it_is_of_http_only(self):
        self.serve(count=1)
        reply = self.proxy.api("PUT", "/v1/listeners/raw", {
            "bind": ["127.0.0.1:0"], "protocol": "tcp", "default_pool": "main"})
        self.assertEqual(reply.status, 422)
        self.assertEqual(reply.pointers, ["#/pools/main/sticky"])

    def test_the_status_says_so(self):
        self.serve(sticky={"mode": "passive"})
        self.assertEqual(self.proxy.get("/v1/pools/main/status")["sticky"],
                         {"mode": "passive", "cookie": "lb"})


if __name__ == "__main__":
    unittest.main()
