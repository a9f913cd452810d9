"""One user, one machine: whatever the protocol, and whatever becomes of the machines."""

import collections
import concurrent.futures
import unittest

from lab import LabCase, wait_for
from lab.machines import PROTOCOLS, Machine, Mailbox, Refused
from test_agent import Agent

CHECK = {"type": "imap", "interval": "200ms", "timeout": "3s", "rise": 1, "fall": 2}


class UsersCase(LabCase):
    def open(self, machines, mail=None, limits=None, check=None, **sections):
        """A listener and a pool for each protocol; every machine is a server of all pools."""
        document = {
            "listeners": {protocol: {
                "bind": ["127.0.0.1:0"], "protocol": protocol, "default_pool": protocol,
                "mail": {"allow_cleartext": True, "limits": {"connections_per_address": 0, **(limits or {})}},
            } for protocol in PROTOCOLS},
            "pools": {protocol: {
                "mail": mail or {}, **({"health_check": protocol} if check else {}),
                "servers": {m.name: {"address": m.address(protocol)} for m in machines},
            } for protocol in PROTOCOLS},
            **({"health_checks": {protocol: {**check, "type": protocol} for protocol in PROTOCOLS}} if check else {}),
            **sections,
        }
        self.proxy = self.lbd(document)
        if check:
            wait_for(lambda: all(self.usable(p, m.name) for p in PROTOCOLS for m in machines), "the first checks")
        return document

    def usable(self, pool, server):
        return self.proxy.server_status(server, pool)["health"] == "up"

    def down(self, name):
        return all(self.proxy.server_status(name, p)["health"] == "down" for p in PROTOCOLS)

    def change(self, document):
        self.proxy.put("/v1/config", document)

    def machines(self, count=3):
        return [Machine(self, f"b{i + 1}") for i in range(count)]

    def come(self, user, protocol="imap", password="secret", source=None):
        box = Mailbox("%s:%d" % self.proxy.address(protocol), protocol, source=source)
        self.addCleanup(box.close)
        box.log_in(user, password)
        return box

    def visit(self, user, protocol="imap"):
        """Comes and goes."""
        box = Mailbox("%s:%d" % self.proxy.address(protocol), protocol)
        try:
            box.log_in(user)
        finally:
            box.close()

    @staticmethod
    def places(machines, *protocols):
        where = collections.defaultdict(set)
        for machine in machines:
            for user in machine.users(*protocols):
                where[user].add(machine.name)
        return where


class Users(UsersCase):
    def test_500_users_by_4_protocols_are_at_one_of_3_machines_each(self):
        machines = self.machines()
        self.open(machines, mail={"affinity": "failover"})
        users = [f"user{i}@example.com" for i in range(500)]
        held = [self.come(user, PROTOCOLS[i % 4]) for i, user in enumerate(users)]
        for i, user in enumerate(users):
            for protocol in PROTOCOLS[1:] + PROTOCOLS[:1]:
                if protocol != PROTOCOLS[i % 4]:
                    self.visit(user, protocol)
        self.assertTrue(all(not box.is_closed() for box in held))
        wait_for(lambda: sum(len(m.logins) for m in machines) == 2000, "the last login in the machines' lists")
        where = self.places(machines)
        self.assertEqual(len(where), 500)
        self.assertEqual({user: names for user, names in where.items() if len(names) != 1}, {})
        shares = collections.Counter(next(iter(names)) for names in where.values())
        self.assertEqual(len(shares), 3)
        self.assertLessEqual(max(shares.values()), 500 / 3 * 1.25 + 1)
        for machine in machines:
            self.proxy.wait_metric(shares[machine.name], "lbd_mail_users", group="mail", server=machine.name)
        spills = sum(self.proxy.metric("lbd_mail_affinity_spills_total", group="mail", server=m.name) for m in machines)
        self.assertLess(spills, 250)

    def test_names_are_the_same_user_however_they_are_written(self):
        machines = self.machines()
        document = self.open(machines)
        for listener in document["listeners"].values():
            listener["mail"].update(default_domain="example.com", strip_extension="+")
        self.change(document)
        for i in range(20):
            for name in (f"u{i}", f"U{i}@Example.com", f"u{i}+lists", f"u{i}@example.com"):
                self.visit(name)
        wait_for(lambda: sum(len(m.logins) for m in machines) == 80, "the last login in the machines' lists")
        where = collections.defaultdict(set)
        for user, names in self.places(machines).items():
            where[user.lower().partition("@")[0].partition("+")[0]] |= names
        self.assertEqual([names for names in where.values() if len(names) != 1], [])
        self.assertTrue(any("+lists" in user for m in machines for user in m.users()))  # servers get what was said

    def test_a_machine_that_dies_strict(self):
        machines = self.machines()
        self.open(machines, check=CHECK)
        users = [f"u{i}" for i in range(30)]
        for user in users:
            self.visit(user)
        wait_for(lambda: len(self.places(machines)) == len(users), "the last login in the machines' lists")
        where = {user: next(iter(names)) for user, names in self.places(machines).items()}
        dead = machines[0]
        dead.kill()
        wait_for(lambda: self.down("b1"), "b1 down")
        for user in users:
            if where[user] == "b1":
                with self.assertRaisesRegex(Refused, "UNAVAILABLE"):
                    self.visit(user)
            else:
                self.visit(user)
        dead.start()
        wait_for(lambda: self.usable("imap", "b1"), "b1 up")
        for user in users:
            self.visit(user)
        wait_for(lambda: len(self.places(machines)) == 30, "the machines' lists")
        self.assertEqual({user: next(iter(n)) for user, n in self.places(machines).items()}, where)

    def fail_over(self, end, back):
        machines = self.machines()
        self.open(machines, mail={"affinity": "failover", "down_for": "500ms", "spread": 1000, "close_over": "1s"},
                  check=CHECK)
        users = [f"u{i}" for i in range(30)]
        held = {user: self.come(user) for user in users}
        wait_for(lambda: len(self.places(machines)) == len(users), "the last login in the machines' lists")
        where = {user: next(iter(names)) for user, names in self.places(machines).items()}
        theirs = [user for user in users if where[user] == "b1"]
        self.assertTrue(theirs)
        end(machines[0])
        wait_for(lambda: self.down("b1"), "b1 down")
        # sessions that hang are ended by the next login of their protocol; then the others go there, too
        for machine in machines:
            machine.logins.clear()

        def moved(user, protocol="pop3"):
            try:
                self.visit(user, protocol)
                return True
            except Refused as error:
                self.assertRegex(str(error), "SYS/TEMP|UNAVAILABLE")
                return False
        with concurrent.futures.ThreadPoolExecutor(30) as pool:
            list(pool.map(lambda user: wait_for(lambda: moved(user, "imap"), f"{user} elsewhere"), theirs))
        self.assertTrue(all(held[user].is_closed() for user in theirs))
        for user in users:
            wait_for(lambda user=user: moved(user), f"{user} elsewhere")
        wait_for(lambda: sum(len(m.users("pop3")) for m in machines) == 30, "the machines' lists")
        after = self.places(machines, "pop3")
        for user in users:
            self.assertEqual(len(after[user]), 1)
            self.assertNotIn("b1", after[user])
            if user not in theirs:
                self.assertEqual(after[user], {where[user]})
        back(machines[0])
        wait_for(lambda: all(self.usable(p, "b1") for p in PROTOCOLS), "b1 up")
        machines[0].logins.clear()

        def are_back():  # lazy: as soon as they have no session
            for user in theirs:
                self.visit(user)
            return machines[0].users("imap") == set(theirs)
        wait_for(are_back, "theirs at b1 again")

    def test_a_machine_that_dies_failover(self):
        self.fail_over(Machine.kill, Machine.start)

    def test_a_machine_that_hangs_failover(self):
        self.fail_over(Machine.stop, Machine.go_on)

    def test_a_user_is_not_split_while_a_session_is_left(self):
        machines = self.machines()
        self.open(machines, mail={"affinity": "failover", "linger": "0s"})
        box = self.come("joe")
        wait_for(lambda: self.places(machines), "the machines' lists")
        home = next(iter(self.places(machines)["joe"]))
        other = next(m.name for m in machines if m.name != home)
        self.proxy.put("/v1/mail/users/joe", {"server": other})
        for protocol in PROTOCOLS:
            self.visit("joe", protocol)
        wait_for(lambda: sum(len(m.logins) for m in machines) == 5, "the machines' lists")
        self.assertEqual(self.places(machines)["joe"], {home})
        box.close()

        def at_the_other():
            self.visit("joe", "pop3")
            return other in self.places(machines)["joe"]
        wait_for(at_the_other, "the user where it belongs once its session has ended")

    def split(self, machines):
        return {user: names for user, names in self.places(machines).items() if len(names) != 1}

    def test_a_server_that_one_pool_has_before_the_others(self):
        machines = self.machines()
        document = self.open(machines, mail={"affinity": "failover"})
        for protocol in ("pop3", "smtp", "sieve"):
            document["pools"][protocol]["servers"].pop("b3")
        self.change(document)
        users = [f"u{i}" for i in range(12)]
        held = {user: self.come(user) for user in users}
        wait_for(lambda: len(self.places(machines)) == len(users), "the machines' lists")
        new = [user for user in users if self.places(machines)[user] == {"b3"}]
        self.assertTrue(new and len(new) < len(users))

        def come(user):
            try:
                self.visit(user, "pop3")
                return True
            except Refused as error:
                self.assertIn("SYS/TEMP", str(error))
                return False
        with concurrent.futures.ThreadPoolExecutor(len(users)) as pool:
            came = dict(zip(users, pool.map(come, users)))
        self.assertEqual({user for user in users if not came[user]}, set(new))
        self.assertEqual(self.split(machines), {})
        for user in new:
            held[user].close()
            wait_for(lambda user=user: come(user), "a user whose session there has ended")

    def test_names_that_are_one_user_at_the_server(self):
        machines = self.machines()
        document = self.open(
            machines, mail={"affinity": "failover", "linger": "0s"},
            mail_users={f"alias{i}": {"login_user": f"u{i}"} for i in range(8)},
            mail_maps={"domains": {"type": "domain", "entries": {"a.example": {"login_user": "{local}"}}}})
        for listener in document["listeners"].values():
            listener["mail"]["maps"] = ["domains"]
        self.change(document)
        for i in range(8):
            for name, protocol in ((f"u{i}", "imap"), (f"alias{i}", "pop3"), (f"U{i}@a.example", "smtp")):
                self.come(name, protocol)
        wait_for(lambda: sum(len(m.logins) for m in machines) == 24, "the machines' lists")
        self.assertEqual(self.split(machines), {})
        status = self.proxy.get("/v1/mail/users/alias3/status")
        (place,) = status["places"]
        self.assertEqual((place["server"], place["sessions"]), (min(self.places(machines)["u3"]), 3))
        self.assertEqual(len(self.proxy.get("/v1/mail/sessions?user=alias3")["sessions"]), 3)
        other = next(m.name for m in machines if m.name != place["server"])
        moved = self.proxy.api("POST", "/v1/mail/users/u3@a.example/move", {"server": other, "kick_delay": "0s"}).body
        self.assertEqual(moved["kicked"], 3)
        for name in ("alias3", "u3"):
            self.come(name)
        wait_for(lambda: ("imap", "u3") in machines[int(other[1]) - 1].logins, "the user where it was moved")
        self.assertEqual(self.proxy.api("POST", "/v1/mail/users/alias3/kick", {}).body["kicked"], 2)

    def test_a_change_of_servers_moves_no_more_than_it_must(self):
        machines = self.machines()
        document = self.open(machines, mail={"affinity": "failover", "linger": "0s", "spread": 1000})
        users = [f"u{i}" for i in range(90)]

        def where():
            for machine in machines:
                machine.logins.clear()
            for user in users:
                self.visit(user)
            wait_for(lambda: sum(len(m.logins) for m in machines) == len(users), "the machines' lists")
            return {user: next(iter(names)) for user, names in self.places(machines).items()}

        first = where()
        gone = {protocol: pool["servers"].pop("b3") for protocol, pool in document["pools"].items()}
        self.change(document)
        without = where()
        self.assertEqual({user for user in users if first[user] != without[user]},
                         {user for user in users if first[user] == "b3"})
        for protocol, pool in document["pools"].items():
            pool["servers"]["b3"] = gone[protocol]
        self.change(document)
        self.assertEqual(where(), first)
        for pool in document["pools"].values():
            pool["servers"]["b1"]["weight"] = 200  # of 400: half of all, a third before
        self.change(document)
        heavy = where()
        moved = [user for user in users if first[user] != heavy[user]]
        self.assertTrue(moved)
        self.assertEqual({heavy[user] for user in moved}, {"b1"})
        self.assertLess(len(moved), len(users) / 3)

    def test_what_a_server_can_bear_just_now_moves_nobody(self):
        """A slow start, and what an agent says."""
        machines = self.machines(2)
        document = self.open(machines, mail={"affinity": "strict"})
        users = [f"u{i}" for i in range(40)]

        def belong():
            return {user: self.proxy.get(f"/v1/mail/users/{user}/status")["routes"][0]["hashed"]
                    for user in users}

        def weight(server):
            return self.proxy.server_status(server, "imap")["effective_weight"]
        first = belong()
        agent = Agent()
        self.addCleanup(agent.stop)
        document["pools"]["imap"]["slow_start"] = "1h"
        self.change(document)
        self.proxy.admin("b1", "maint", pool="imap")
        self.proxy.admin("b1", "ready", pool="imap")
        wait_for(lambda: weight("b1") < 50, "the slow start")
        self.assertEqual(belong(), first)
        del document["pools"]["imap"]["slow_start"]
        agent.asked = None  # it is sent nothing
        agent.line = b"5%\n"
        document["pools"]["imap"]["agent"] = {"port": agent.port, "interval": "100ms"}
        document["pools"]["imap"]["servers"]["b2"]["address"] = machines[1].address("imap").replace("127.0.0.1", "127.0.0.2")
        self.change(document)
        wait_for(lambda: weight("b1") == 5, "the word of the agent")
        self.assertEqual(weight("b2"), 100)
        self.assertEqual(belong(), first)
        self.proxy.put("/v1/pools/imap/servers/b1/overrides/weight", {"weight": 900})  # that is a will
        self.assertGreater(collections.Counter(belong().values())["b1"], collections.Counter(first.values())["b1"])

    def test_maps_and_entries_and_who_may_not(self):
        machines = self.machines()
        document = self.open(machines, mail_maps={
            "domains": {"type": "domain", "entries": {"a.example": {"server": "b1", "login_user": "{local}"}}},
            "letters": {"type": "regex", "entries": {"^([a-m])(.*)$": {"server": "b2", "login_user": "{2}-{1}"}}},
            "begins": {"type": "prefix", "entries": {"z": {"server": "b2"}, "zz": {"server": "b3"}}},
        }, mail_users={"ann@a.example": {"server": "b3"}, "gone@a.example": {"disabled": True}})
        for listener in document["listeners"].values():
            listener["mail"]["maps"] = ["domains", "letters", "begins"]
        self.change(document)
        for user in ("joe@a.example", "ann@a.example", "carl", "zoe", "zzz"):
            self.visit(user)
        wait_for(lambda: sum(len(m.logins) for m in machines) == 5, "the machines' lists")
        self.assertEqual([m.users() for m in machines],
                         [{"joe"}, {"arl-c", "zoe"}, {"ann@a.example", "zzz"}])
        with self.assertRaisesRegex(Refused, "AUTHENTICATIONFAILED") as gone:
            self.visit("gone@a.example")
        with self.assertRaises(Refused) as wrong:
            self.come("joe@a.example", password="wrong")
        self.assertEqual(str(gone.exception), str(wrong.exception))

    def test_an_entry_says_nothing_of_other_machines(self):
        machines = self.machines(2)
        document = self.open(machines, mail_users={"ann": {"server": "b2"}, "eve": {"server": "b9"}})
        document["pools"]["smtp"]["servers"] = {"p1": {"address": machines[0].address("smtp")}}
        document["pools"]["pop3"]["servers"].pop("b2")  # a machine without that door
        self.change(document)
        self.visit("ann")
        self.visit("ann", "smtp")
        wait_for(lambda: sum(len(m.logins) for m in machines) == 2, "the machines' lists")
        self.assertEqual([m.users() for m in machines], [{"ann"}, {"ann"}])
        for user, protocol in (("ann", "pop3"), ("eve", "imap"), ("eve", "smtp")):
            with self.assertRaises(Refused):
                self.visit(user, protocol)


class BruteForce(UsersCase):
    LIMITS = {"ban_failures": 6, "ban_window": "1m", "ban": "8s", "failures": 1}

    def guess(self, user, source):
        with self.assertRaises(Refused):
            self.come(user, password="wrong", source=source)

    def test_an_address_is_banned_and_nobody_else(self):
        machines = self.machines(1)
        self.open(machines, limits=self.LIMITS)
        boxes = [Mailbox("%s:%d" % self.proxy.address("imap"), "imap", source="127.0.0.7") for _ in range(6)]
        for i, box in enumerate(boxes):  # all at once: each answer is held back
            self.addCleanup(box.close)
            box.send(f"a LOGIN u{i} wrong")
        for box in boxes:
            self.assertRegex(box._answer("a"), "a NO")
        with self.assertRaisesRegex(Refused, "LIMIT"):
            self.come("joe", source="127.0.0.7")
        for protocol in PROTOCOLS:
            self.come("joe", protocol, source="127.0.0.8")

        def let_in():
            try:
                self.come("joe", source="127.0.0.7")
                return True
            except (Refused, ConnectionError):
                return False
        wait_for(let_in, "the end of the ban")

    def test_a_user_under_attack_gets_in(self):
        machines = self.machines(1)
        self.open(machines, limits=self.LIMITS)
        boxes = [Mailbox("%s:%d" % self.proxy.address("imap"), "imap", source=f"127.0.1.{i}") for i in range(1, 7)]
        for box in boxes:
            self.addCleanup(box.close)
            box.send("a LOGIN joe wrong")
        for box in boxes:
            self.assertRegex(box._answer("a"), "a NO")
        self.guess("joe", "127.0.1.8")
        with self.assertRaisesRegex(Refused, "LIMIT"):
            self.come("joe", source="127.0.1.8")  # it has failed for this name
        self.come("ann", source="127.0.1.8")
        self.come("joe", source="127.0.1.99")


if __name__ == "__main__":
    unittest.main()
