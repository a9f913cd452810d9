"""Roundcube before a real Dovecot: the same pages straight and through the cache, for far fewer logins."""

import shutil
import unittest

from lab import roundcube
from lab.mail import MailCase
from lab.mail_servers import Dovecot

CLICKS = 100


@unittest.skipUnless(shutil.which("apt-get") and Dovecot.possible, "no packages to unpack, or no Dovecot")
class Webmail(MailCase):
    @classmethod
    def setUpClass(cls):
        if not roundcube.unpack():
            raise unittest.SkipTest("no Roundcube to be had")
        super().setUpClass()

    def mailbox(self):
        dovecot = self.dovecot(users={"anna": "secret", "berta": "other"})
        for number in range(5):
            dovecot.deliver("anna", b"From: a@x.test\r\nSubject: number %d\r\n\r\nhello %d\r\n" % (number, number))
        return dovecot

    def browse(self, webmail, dovecot):
        """What a hundred clicks show; a mail arrives in the middle."""
        self.assertFalse(webmail.login("anna", "wrong"))
        self.assertTrue(webmail.login("anna", "secret"))
        seen = []
        for click in range(CLICKS):
            listed = webmail.list()
            seen.append(listed)
            if click == CLICKS // 2:
                dovecot.deliver("anna", b"Subject: in the middle\r\n\r\nnew\r\n")
            elif click % 10 == 0:
                seen.append(webmail.show(listed[click % len(listed)][0]))
            elif click % 25 == 1:
                webmail.mark(listed[0][0], "flagged")
        self.assertEqual(seen[-1][0][1], "in the middle")
        return seen

    def test_a_hundred_clicks(self):
        straight, behind = self.mailbox(), self.mailbox()
        proxy = self.open(behind.address("imap"), mail={"cache": {"clients": ["127.0.0.0/8"]}})
        host, port = proxy.address("mail")
        wanted = self.browse(roundcube.Roundcube(self, straight.address("imap")), straight)
        shown = self.browse(roundcube.Roundcube(self, f"{host}:{port}"), behind)
        self.assertEqual(shown, wanted)
        self.assertGreater(len(straight.logins("anna")), CLICKS)
        self.assertLess(len(behind.logins("anna")), 5)
        self.wait_for(lambda: proxy.metric("lbd_mail_cache_hits_total") > CLICKS, "lbd_mail_cache_hits_total")

    def test_two_users_do_not_meet(self):
        dovecot = self.mailbox()
        dovecot.deliver("berta", b"Subject: for berta\r\n\r\nhers\r\n")
        proxy = self.open(dovecot.address("imap"), mail={"cache": {"clients": ["127.0.0.0/8"]}})
        host, port = proxy.address("mail")
        anna, berta = roundcube.Roundcube(self, f"{host}:{port}"), roundcube.Roundcube(self, f"{host}:{port}")
        self.assertTrue(anna.login("anna", "secret"))
        self.assertTrue(berta.login("berta", "other"))
        for _ in range(10):
            self.assertEqual(len(anna.list()), 5)
            self.assertEqual([subject for _, subject in berta.list()], ["for berta"])


if __name__ == "__main__":
    unittest.main()
