"""Roundcube of Debian's packages, before an IMAP server: webmail that logs in anew for each click.

    webmail = Roundcube(self, "127.0.0.1:1143")
    webmail.login("anna", "secret")
    webmail.list()                  subjects in the inbox, as its page has them after one click
    webmail.show(uid)               the text of a mail

It is not installed but unpacked (scripts/unpack_packages.sh), with PHP's own web server and a database in a file.
"""

import http.client
import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.parse
from html import unescape
from pathlib import Path

from .mail_servers import ROOT
from .ports import free_port

UNPACKED = Path(os.environ.get("ROUNDCUBE_BUILD", str(ROOT / "build/roundcube")))
PACKAGES = ("php8.2-cli", "php8.2-sqlite3", "roundcube-core", "roundcube-sqlite3")
EXTENSIONS = ("ctype", "dom", "fileinfo", "iconv", "intl", "mbstring", "pdo", "pdo_sqlite", "phar", "posix", "simplexml", "sockets",
              "sqlite3", "tokenizer", "xml", "xmlreader", "xmlwriter")
START_LIMIT_S = 60


def unpack():
    """False: these packages are not to be had here."""
    done = subprocess.run([str(ROOT / "scripts/unpack_packages.sh"), str(UNPACKED), *PACKAGES], capture_output=True,
                          timeout=200, check=False)
    return done.returncode == 0


class Roundcube:
    """`imap`: "host:port" of the server, in clear."""

    def __init__(self, case, imap):
        self.case = case
        self.home = Path(tempfile.mkdtemp(prefix="lab-webmail-", dir="/tmp"))
        self.log = self.home / "output"
        self.process = None
        self.cookies = {}
        self.token = ""
        case.addCleanup(self.stop)
        self._furnish(imap)
        self._start()

    def _furnish(self, imap):
        share = UNPACKED / "usr/share/roundcube"
        for name in ("program", "SQL", "plugins", "skins", "index.php"):
            os.symlink(share / name, self.home / name)
        for name in ("config", "temp", "logs", "vendor"):
            (self.home / name).mkdir()
        shutil.copy(UNPACKED / "etc/roundcube/defaults.inc.php", self.home / "config/defaults.inc.php")
        host, _, port = imap.rpartition(":")
        (self.home / "config/config.inc.php").write_text(f"""<?php
$config['db_dsnw'] = 'sqlite:///{self.home}/db?mode=0600';
$config['imap_host'] = 'tcp://{host}:{port}';
$config['des_key'] = '0123456789abcdef01234567';
$config['plugins'] = [];
$config['skin'] = 'elastic';
$config['log_driver'] = 'stdout';
$config['temp_dir'] = '{self.home}/temp';
$config['ip_check'] = false;
$config['mime_types'] = null;
$config['enable_installer'] = false;
""")
        # Debian's autoloader is that of what is installed
        (self.home / "begin.php").write_text(f"<?php\ndefine('INSTALL_PATH', '{self.home}/');\n")
        schema = (UNPACKED / "usr/share/roundcube/SQL/sqlite.initial.sql").read_text()
        with sqlite3.connect(self.home / "db") as database:
            database.executescript(schema)

    def _start(self):
        self.port = free_port()
        libraries = [str(path) for path in (UNPACKED / "usr/lib").glob("*-linux-gnu")]
        (extensions,) = [path for path in (UNPACKED / "usr/lib/php").iterdir() if path.name.isdigit()]
        loaded = [word for name in EXTENSIONS if (extensions / f"{name}.so").exists() for word in ("-d", f"extension={name}")]
        with open(self.log, "ab") as output:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", str(UNPACKED / "usr/bin/php8.2"), "-n", "-d", f"extension_dir={extensions}", *loaded,
                 "-d", f"auto_prepend_file={self.home}/begin.php", "-d", f"include_path=.:{UNPACKED}/usr/share/php",
                 "-d", "session.save_path=" + str(self.home / "temp"), "-d", "date.timezone=UTC", "-S", f"127.0.0.1:{self.port}",
                 "-t", str(self.home)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env={**os.environ, "LD_LIBRARY_PATH": ":".join(libraries)})
        limit = time.monotonic() + START_LIMIT_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > limit:
                    raise AssertionError(f"Roundcube did not start\n{self.said()}") from None
                time.sleep(0.02)

    def said(self):
        return self.log.read_text(errors="replace")[-4000:]

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None
        if self.case.failed_so_far():
            print(f"\n=== Roundcube of {self.case.id()}\n{self.said()}", file=sys.stderr)
        shutil.rmtree(self.home, ignore_errors=True)

    # -- a browser's part ---------------------------------------------------------------------

    def ask(self, method, query, form=None, headers=None):
        """(status, text)"""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = dict(headers or {})
        body = None
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if form is not None:
            body = urllib.parse.urlencode(form)
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request(method, "/?" + urllib.parse.urlencode(query), body, headers)
        answer = connection.getresponse()
        for name, value in answer.getheaders():
            if name.lower() == "set-cookie":
                key, _, rest = value.partition("=")
                self.cookies[key] = rest.partition(";")[0]
        text = answer.read().decode(errors="replace")
        connection.close()
        return answer.status, text

    def login(self, user, password):
        _, page = self.ask("GET", {"_task": "login"})
        token = re.search(r'name="_token" value="([^"]+)"', page)
        if token is None:
            raise AssertionError(f"no page to log in: {page[:800]}\n{self.said()}")
        status, page = self.ask("POST", {"_task": "login"}, {
            "_token": token[1], "_task": "login", "_action": "login", "_timezone": "UTC", "_url": "", "_user": user, "_pass": password})
        if status != 302:
            return False
        _, page = self.ask("GET", {"_task": "mail"})
        self.token = re.search(r'"request_token":"([^"]+)"', page)[1]
        return True

    def click(self, **query):
        """One of the requests a click makes; its document."""
        status, text = self.ask("GET", {"_task": "mail", "_remote": "1", "_unlock": "0", **query},
                                headers={"X-Requested-With": "XMLHttpRequest", "X-Roundcube-Request": self.token})
        if status != 200:
            raise AssertionError(f"{query}: {status} {text[:800]}\n{self.said()}")
        return json.loads(text)

    def list(self, mailbox="INBOX"):
        """[(uid, subject)], newest first."""
        rows = re.findall(r'this\.add_message_row\(("?[\w-]+"?),(\{.*?\}),', self.click(_action="list", _mbox=mailbox)["exec"])
        return [(uid.strip('"'), unescape(re.sub(r"<[^>]*>", "", json.loads(columns)["subject"]))) for uid, columns in rows]

    def show(self, uid, mailbox="INBOX"):
        _, page = self.ask("GET", {"_task": "mail", "_action": "show", "_uid": uid, "_mbox": mailbox})
        found = re.search(r'<div class="pre">(.*?)</div>', page, re.S)
        if found is None:
            raise AssertionError(f"no text of {uid}: {page[:1500]}\n{self.said()}")
        return unescape(re.sub(r"<[^>]*>", "", found[1])).strip()

    def mark(self, uid, flag, mailbox="INBOX"):
        status, text = self.ask("POST", {"_task": "mail", "_action": "mark"},
                                {"_uid": uid, "_flag": flag, "_mbox": mailbox, "_remote": "1", "_token": self.token},
                                headers={"X-Requested-With": "XMLHttpRequest", "X-Roundcube-Request": self.token})
        if status != 200:
            raise AssertionError(f"mark {uid}: {status} {text[:800]}")
