"""Users of mail by hand: where they are, moves, kicks, lists, bans, and a server that is emptied of them."""

import imaplib
import socket
import time
import unittest
from urllib.parse import quote

from lab.imap_server import ImapServer
from lab.lbd import run_lbctl
from lab.mail import MailCase
from lab.waits import wait_for

USERS = [f"user{i}" for i in range(6)]


class Operate(MailCase):
    def setUp(self):
        super().setUp()
        users = {"anna": "secret", **{user: "secret" for user in USERS}}
        self.servers = [self.dovecot(users=users), self.dovecot(users=users)]
        self.open(*[server.address("imap") for server in self.servers],
                  mail={"limits": {"ban_failures": 2}}, daemon={"workers": 2})

    def login(self, user="anna"):
        client = self.imap()
        self.assertEqual(client.login(user, "secret")[0], "OK")
        return client

    def status(self, user="anna"):
        return self.proxy.get(f"/v1/mail/users/{user}/status")

    def place(self, user="anna"):
        (place,) = self.status(user)["places"]
        return place

    def post(self, path, body=None):
        answer = self.proxy.api("POST", path, body if body is not None else {})
        self.assertEqual(answer.status, 200, answer)
        return answer.body

    def ended(self, client):
        """Has the session of this client ended?"""
        with self.assertRaises((imaplib.IMAP4.abort, OSError)):
            for _ in range(100):
                client.noop()
                time.sleep(0.05)

    def lbctl(self, *words, code=0):
        done = run_lbctl("mail", *words, socket_path=self.proxy.api_socket)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout


class ByHand(Operate):
    def test_where_a_user_is(self):
        status = self.status()
        self.assertEqual(status["places"], [])
        (route,) = status["routes"]
        self.assertEqual((route["listener"], route["by"], route["pool"], route["server"]),
                         ("mail", "default", "boxes", route["hashed"]))
        client = self.login()
        place = self.place()
        self.assertEqual((place["server"], place["sessions"], place["protocols"]),
                         (route["server"], 1, {"imap": 1}))
        self.assertIn(f"on {place['server']}: 1 session", self.lbctl("who", "anna"))
        client.logout()
        place = wait_for(lambda: (lambda p: p if p["sessions"] == 0 else None)(self.place()), "the session's end")
        self.assertIn("expires", place)

    def test_a_move_ends_sessions_and_holds(self):
        client = self.login()
        before = self.place()["server"]
        after = "b" if before == "a" else "a"
        moved = self.post("/v1/mail/users/anna/move", {"server": after, "kick_delay": "10ms"})
        self.assertEqual((moved["server"], moved["kicked"]), (after, 1))
        self.ended(client)
        self.login()
        self.assertEqual((self.place()["server"], self.place()["pinned"]), (after, True))
        wait_for(lambda: len(self.servers["ab".index(after)].logins("anna")) == 1, "the login in Dovecot's log")
        self.lbctl("release", "anna")
        self.assertFalse(self.place()["pinned"])

    def test_a_move_ends_with_its_server(self):
        before = self.status()["routes"][0]["server"]
        after = "b" if before == "a" else "a"
        self.post("/v1/mail/users/anna/move", {"server": after})
        client = self.login()
        self.assertEqual(self.place()["server"], after)
        client.logout()
        wait_for(lambda: self.place()["sessions"] == 0, "the session's end")
        self.assertLess(self.proxy.api("DELETE", f"/v1/pools/boxes/servers/{after}").status, 300)
        self.login()
        self.assertEqual((self.place()["server"], self.place()["pinned"]), (before, False))

    def test_top_shows_logins(self):
        client = self.login()
        wait_for(lambda: self.proxy.get("/v1/stats?scope=process")["process"]["mail"] == {
            "clients": 0, "sessions": 1, "logins": 1, "failed_logins": 0}, "the login in the numbers")
        done = run_lbctl("top", "--once", socket_path=self.proxy.api_socket)
        self.assertRegex(done.stdout, r"\Albd .*  mail: 1 session  0 logins/s  0% failed\n")
        client.logout()

    def test_a_move_to_nowhere_is_refused(self):
        answer = self.proxy.api("POST", "/v1/mail/users/anna/move", {"server": "z"})
        self.assertEqual(answer.status, 404)
        answer = self.proxy.api("POST", "/v1/mail/users/anna/move", {"sever": "a"})
        self.assertEqual(answer.status, 422)
        self.assertEqual([error["pointer"] for error in answer.body["errors"]], ["#/sever", "#/server"])

    def test_a_kick_ends_this_users_sessions_only(self):
        anna, other = self.login(), self.login(USERS[0])
        self.assertEqual(self.post("/v1/mail/users/anna/kick", {"reason": "stolen"})["kicked"], 1)
        self.ended(anna)
        self.assertEqual(other.noop()[0], "OK")
        self.assertEqual(self.lines("end")[0]["reason"], "user_kicked")

    def test_sessions_are_listed_and_ended_one_by_one(self):
        clients = {user: self.login(user) for user in USERS}
        answer = self.proxy.get("/v1/mail/sessions")
        self.assertEqual(answer["total"], len(USERS))
        self.assertEqual({one["user"] for one in answer["sessions"]}, set(USERS))
        (one,) = self.proxy.get(f"/v1/mail/sessions?user={USERS[2]}")["sessions"]
        self.assertEqual((one["state"], one["protocol"], one["pool"]), ("logged_in", "imap", "boxes"))
        self.assertEqual(self.proxy.get("/v1/mail/sessions?client=192.0.2.1")["total"], 0)
        self.assertEqual(self.proxy.get("/v1/mail/sessions?pool=boxes")["total"], len(USERS))
        for wrong, status in (("limit=1001", 400), ("server=boxes/z", 404), ("pool=none", 404), ("client=x", 400)):
            self.assertEqual(self.proxy.api("GET", f"/v1/mail/sessions?{wrong}").status, status, wrong)
        self.assertIn(USERS[2], self.lbctl("sessions", USERS[2]))
        self.proxy.api("DELETE", f"/v1/mail/sessions/{one['id']}")
        self.ended(clients[USERS[2]])
        self.assertEqual(clients[USERS[3]].noop()[0], "OK")

    def test_who_belongs_where_goes_out_and_comes_in(self):
        clients = [self.login(user) for user in USERS[:3]]
        listed = self.proxy.get("/v1/mail/affinity/boxes?limit=100")
        self.assertEqual({entry["user"] for entry in listed["users"]}, set(USERS[:3]))
        known = {entry["user"]: entry["server"] for entry in listed["users"]}
        self.assertEqual(len(self.proxy.get("/v1/mail/affinity/boxes?limit=1")["users"]), 1)
        self.proxy.put("/v1/pools/others", {"mail": {"group": "others"}, "servers": {
            name: {"address": "127.0.0.1:9"} for name in "ab"}})  # other machines of the same names
        self.assertEqual(self.proxy.get("/v1/mail/affinity/others"), {"users": [], "total": 0})
        lines = "".join(f"{user} {'b' if known.get(user) == 'a' else 'a'}\n" for user in USERS[:4])
        placed = self.post("/v1/mail/affinity/boxes", {"text": lines + "someone nowhere\n"})
        self.assertEqual((placed["imported"], placed["skipped"]), (1, 4))  # who is here stays
        self.assertEqual(self.place(USERS[3])["server"], "a")
        self.login(USERS[3])
        self.assertEqual(self.place(USERS[3])["server"], "a")
        for client in clients:
            self.assertEqual(client.noop()[0], "OK")

    def test_what_affinity_prints_is_what_import_takes(self):
        self.login(USERS[0]), self.login(USERS[1])
        lines = self.lbctl("affinity", "boxes", "-o", "jsonl")
        self.assertEqual(len(lines.splitlines()), 2)
        lines = lines.replace(USERS[0], USERS[2]).replace(USERS[1], USERS[3])
        done = run_lbctl("mail", "import", "boxes", "-", socket_path=self.proxy.api_socket, stdin=lines)
        self.assertEqual((done.returncode, done.stdout), (0, "users placed: 2 from stdin\n"), done.stderr)
        self.assertEqual(self.place(USERS[2])["server"], self.place(USERS[0])["server"])

    def test_an_operator_may_write_a_name_as_its_user_does(self):
        client = self.login()
        self.assertEqual(self.status("Anna")["user"], "anna")
        self.assertEqual(self.place("ANNA")["sessions"], 1)
        self.assertIn("anna", self.lbctl("sessions", "Anna"))
        self.assertEqual(self.lbctl("kick", "Anna"), "kicked: anna, 1 session ended\n")
        self.ended(client)

    def test_a_popmap_becomes_a_map(self):
        self.proxy.put("/v1/mail/maps/old", {})
        host, port = self.servers[1].address("imap").rsplit(":", 1)
        done = self.post("/v1/mail/maps/old/import",
                         {"pool": "boxes", "text": f"anna: anna@{host}:{port}\nnobody: nowhere.example\n"})
        self.assertEqual((done["imported"], done["skipped"]), (1, 1))
        entries = self.proxy.get("/v1/mail/maps/old/entries")
        self.assertEqual(entries["anna"]["server"], "b")

    def test_a_ban_is_listed_and_lifted(self):
        for _ in range(2):
            with self.assertRaises(imaplib.IMAP4.error):
                self.imap().login("anna", "wrong")
        bans = wait_for(lambda: self.proxy.get("/v1/mail/bans")["bans"] or None, "the ban")
        (ban,) = [one for one in bans if "user" not in one]
        self.assertEqual((ban["address"], ban["failures"]), ("127.0.0.1", 2))
        self.assertIn("127.0.0.1", self.lbctl("bans"))
        self.lbctl("unban", ban["id"])
        left = [one["user"] for one in self.proxy.get("/v1/mail/bans")["bans"]]
        self.assertTrue(left and set(left) == {"anna"}, left)  # the name was guessed at, and is watched
        answer = self.proxy.api("DELETE", "/v1/mail/bans?user=anna")
        self.assertEqual((answer.status, answer.body["lifted"] >= len(left)), (200, True), answer)
        self.assertEqual(self.proxy.get("/v1/mail/bans")["bans"], [])
        self.login()


class Names(MailCase):
    def test_whoever_can_log_in_can_be_operated_on(self):
        names = ("a/b", "a/../b", "x%41", "..", "a?b", "a#b", "ä b", "status")
        self.open(ImapServer(self, passwords={name: "secret" for name in names}).address)
        for name in names:
            with self.subTest(name):
                text = name.encode()
                sock = socket.create_connection(self.proxy.address("mail"), timeout=10)
                self.addCleanup(sock.close)
                sock.sendall(b"a LOGIN {%d+}\r\n%s secret\r\n" % (len(text), text))
                lines = sock.makefile("rb")
                wait_for(lambda: lines.readline().startswith(b"a OK "), "the login")
                path = "/v1/mail/users/" + quote(name, safe="")
                self.assertEqual(self.proxy.get(path + "/status")["sessions"], 1)
                self.assertEqual(self.proxy.put(path, {"sessions": 5}).status, 201)
                self.assertEqual(self.proxy.get("/v1/mail/users")[name]["sessions"], 5)
                self.proxy.delete(path)
                answer = self.proxy.api("POST", path + "/kick", {})
                self.assertEqual((answer.status, answer.body["kicked"]), (200, 1), answer)

    def test_what_is_no_name_of_a_user(self):
        self.open("127.0.0.1:9")
        for name in ("a" * 321, "a%0Ab", "a%00b", "%7f"):
            answer = self.proxy.api("GET", f"/v1/mail/users/{name}/status")
            self.assertEqual(answer.status, 404)
            self.assertIn("is not a name: 1 to 320 bytes without control characters", answer.body["detail"])


    def test_an_entry_without_effect_is_warned_of(self):
        self.open("127.0.0.1:9", sections={"mail_maps": {"m": {"entries": {"Zoe": {"pool": "boxes"}}}}})
        for path, body, warning in (
                ("/v1/mail/users/Anna", {"disabled": True},
                 "/mail_users/Anna without effect: names are looked up in lower case"),
                ("/v1/mail/users/anna", {"server": "nope"}, "has a server 'nope'"),
                ("/v1/mail/users/" + "A" * 320, {"disabled": True}, "without effect"),
                ("/v1/mail/maps/m/entries/Joe", {"pool": "boxes"}, "without effect"),
                ("/v1/mail/users/otto", {"disabled": True}, None)):  # and nothing of the others
            with self.subTest(path, body=body):
                answer = self.proxy.put(path, body)
                self.assertEqual(answer.status, 201)
                said = answer.header("Lbd-Warning")
                self.assertTrue(said is None if warning is None else said and warning in said, said)


class Lists(MailCase):
    """Names in lists become those that the listeners make."""

    def open_two(self, mail, **more):
        servers = [ImapServer(self, passwords={"joe": "secret", "Joe": "secret"}) for _ in range(2)]
        self.open(*[server.address for server in servers], mail=mail, **more)

    def post(self, path, body):
        answer = self.proxy.api("POST", path, body)
        self.assertEqual(answer.status, 200, answer)
        return answer.body

    def place(self, user):
        return [(place["server"], place["sessions"]) for place in self.proxy.get(f"/v1/mail/users/{user}/status")["places"]]

    def test_users_that_are_placed_come_by_their_name(self):
        for mail, name in (({"default_domain": "example.com"}, "joe@example.com"),
                           ({"default_domain": "example.com", "keep_case": True}, "Joe@example.com"),
                           ({"keep_case": True}, "Joe")):
            for server in "ab":  # the hash would choose one of them
                with self.subTest(name, server=server):
                    self.open_two(mail)
                    placed = self.post("/v1/mail/affinity/boxes", {"text": f"Joe {server}\n"})
                    self.assertEqual(placed, {"imported": 1, "skipped": 0})
                    client = self.imap()
                    client.login("Joe", "secret")
                    status = self.proxy.get("/v1/mail/users/Joe/status")
                    self.assertEqual(status["user"], name)
                    self.assertEqual(self.place("Joe"), [(server, 1)])
                    client.shutdown()

    def test_a_popmap_has_the_names_of_listeners_that_ask_it(self):
        maps = {"exact": {"type": "exact"}, "regex": {"type": "regex"}, "prefix": {"type": "prefix"}}
        for keeps, name in ((True, "Joe"), (False, "joe")):
            with self.subTest(keeps=keeps):
                self.open_two({"default_domain": "example.com", "keep_case": keeps, "maps": list(maps)},
                              sections={"mail_maps": maps})
                for kind, key in (("exact", f"{name}@example.com"), ("regex", f"^{name}"), ("prefix", name)):
                    text = ("^Joe" if kind == "regex" else "Joe") + ": b\n"
                    done = self.post(f"/v1/mail/maps/{kind}/import", {"text": text, "pool": "boxes"})
                    self.assertEqual(done["imported"], 1)
                    self.assertEqual(list(self.proxy.get(f"/v1/mail/maps/{kind}/entries")), [key])

    def test_where_listeners_do_not_agree_names_stay(self):
        other = {"bind": ["127.0.0.1:0"], "protocol": "imap", "default_pool": "boxes",
                 "mail": {"allow_cleartext": True, "keep_case": True}}
        self.open_two({})
        self.proxy.put("/v1/listeners/other", other)
        placed = self.post("/v1/mail/affinity/boxes", {"text": "Joe a\nann b\nx@ a\n"})
        self.assertEqual(placed, {"imported": 2, "skipped": 1, "as_written": 1,
                                  "first_skipped": "line 3: 'x@' is no name for the listeners"})
        self.assertEqual(self.place("Joe"), [("a", 0)])
        done = run_lbctl("mail", "import", "boxes", "-", socket_path=self.proxy.api_socket, stdin="Bob a\n")
        self.assertEqual(done.stdout, "users placed: 1 from stdin, 1 as written: listeners make different names of them\n")


class Emptied(Operate):
    def test_users_are_moved_off_a_drained_server(self):
        clients = {user: self.login(user) for user in USERS}
        there = [user for user in USERS if self.place(user)["server"] == "a"]
        if not there:
            self.post(f"/v1/mail/users/{USERS[0]}/move", {"server": "a", "kick_delay": "10ms"})
            self.ended(clients[USERS[0]])
            clients[USERS[0]] = self.login(USERS[0])
            there = [USERS[0]]
        path = "/v1/pools/boxes/servers/a/mail-drain"
        self.assertEqual(self.proxy.api("PUT", path, {"mode": "flush"}).status, 409)
        self.proxy.put("/v1/pools/boxes/servers/a/admin-state", {"state": "drain", "reason": "kernel"})
        drain = self.proxy.put(path, {"mode": "flush"})
        done = wait_for(lambda: (lambda d: d if d["done"] else None)(self.proxy.get(path)), "the drain")
        self.assertEqual((done["users"], done["moved"], done["remaining"], done["stuck"]),
                         (len(there), len(there), 0, 0), drain)
        for user in there:
            self.ended(clients[user])
        for user in set(USERS) - set(there):
            self.assertEqual(clients[user].noop()[0], "OK")
        again = wait_for(lambda: self.try_login(there[0]), "the login after the kick delay")
        self.assertEqual(self.place(there[0])["server"], "b")
        again.logout()
        self.proxy.put("/v1/pools/boxes/servers/a/admin-state", {"state": "ready"})  # and nothing is told of it
        wait_for(lambda: self.proxy.api("GET", path).status == 404, "the end of the drain")

    def test_users_who_came_before_the_group_changed_are_moved_off(self):
        client = self.login()
        here = self.place()["server"]
        answer = self.proxy.patch("/v1/pools/boxes", {"mail": {"group": "other"}})
        self.assertEqual(answer.status, 200, answer)
        self.proxy.admin(here, "drain", pool="boxes")
        said = self.lbctl("flush", f"boxes/{here}", "--wait")
        self.assertIn("1 user moved", said)
        self.ended(client)
        wait_for(lambda: self.try_login("anna"), "the login after the kick delay")
        self.assertEqual([(place["server"], place["group"]) for place in self.status()["places"] if place["sessions"]],
                         [("b" if here == "a" else "a", "other")])

    def test_a_drain_goes_with_its_pool(self):
        pool = {"mail": {}, "servers": {"x": {"address": "127.0.0.1:9"}}}
        path = "/v1/pools/old/servers/x/mail-drain"
        self.proxy.put("/v1/pools/old", pool)
        self.proxy.admin("x", "drain", pool="old")
        self.assertTrue(self.proxy.put(path, {"mode": "flush"}).body["done"])
        self.proxy.delete("/v1/pools/old")
        time.sleep(3)  # they are looked at once a second
        self.proxy.put("/v1/pools/old", pool)
        self.assertEqual(self.proxy.api("GET", path).status, 404)

    def test_a_flush_is_waited_for(self):
        client = self.login()
        here = self.place()["server"]
        self.proxy.admin(here, "drain", pool="boxes")
        said = self.lbctl("flush", f"boxes/{here}", "--wait", "--timeout", "20s")
        self.assertRegex(said, rf"(?m)^boxes/{here}: 1 user goes, ")
        self.assertRegex(said, rf"(?m)^boxes/{here} is empty: 1 user moved, 0 left$")
        self.ended(client)

    def try_login(self, user):
        client = self.imap()
        try:
            client.login(user, "secret")
        except imaplib.IMAP4.error:
            return None
        return client

    def test_those_whom_nobody_can_take_stay(self):
        client = self.login()
        here = self.place()["server"]
        for server in "ab":
            self.proxy.put(f"/v1/pools/boxes/servers/{server}/admin-state", {"state": "drain", "reason": "both"})
        path = f"/v1/pools/boxes/servers/{here}/mail-drain"
        self.proxy.put(path, {"mode": "flush"})
        done = wait_for(lambda: (lambda d: d if d["done"] else None)(self.proxy.get(path)), "the drain")
        self.assertEqual((done["moved"], done["stuck"]), (0, 1))
        said = self.lbctl("flush", f"boxes/{here}", "--wait", code=1)
        self.assertRegex(said, rf"boxes/{here} is not empty: 0 users moved, 1 left \(no other server of the pool is usable\)")
        self.assertEqual(client.noop()[0], "OK")


if __name__ == "__main__":
    unittest.main()
