"""docs/api.md: every command in it is run, and must print what the page shows.

Each chapter ("## ...") is one shell in an empty folder beside a new lbd. In a block of ```console, "$ "
begins a command and "> " goes on with it; the other lines are what it prints, where "..." stands for
anything. LBD_WRITE_GUIDE=1 puts in what was printed where the page differs; read the difference.
"""

import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from lab import LabCase
from lab.lbd import ROOT, environment

GUIDE = ROOT / "docs/api.md"
WRITE = os.environ.get("LBD_WRITE_GUIDE")


class Command:
    def __init__(self, line, number):
        self.text = line[2:]
        self.number = number  # of its last line
        self.shown = []


def chapters():
    """{heading: [Command]}"""
    found = {}
    heading, inside, commands = "", False, []
    for number, line in enumerate(GUIDE.read_text().splitlines(), 1):
        if line.startswith("```"):
            inside = line == "```console"
        elif inside and line.startswith("$ "):
            commands.append(Command(line, number))
        elif inside and line.startswith("> ") and not commands[-1].shown:
            commands[-1].text += "\n" + line[2:]
            commands[-1].number = number
        elif inside:
            commands[-1].shown.append(line)
        elif line.startswith("## "):
            heading, commands = line[3:], []
            found[heading] = commands
    return found


def fits(shown, printed):
    pattern = ".*".join(re.escape(part) for part in "\n".join(shown).split("..."))
    return re.fullmatch(pattern, "\n".join(printed)) is not None


class Guide(LabCase):
    maxDiff = None

    def run_commands(self, commands):
        """What each printed, as lists of lines."""
        proxy = self.lbd({})
        folder = Path(tempfile.mkdtemp(prefix="guide-"))
        self.addCleanup(shutil.rmtree, folder)
        script = "exec 2>&1\n" + "".join(
            f"{command.text}\nprintf '\\n@@@ %s\\n' $?\n" for command in commands)
        done = subprocess.run(["bash"], input=script, capture_output=True, text=True, cwd=folder,
                              timeout=300, env=environment(LBD_SOCKET=proxy.api_socket, LC_ALL="C.UTF-8"))
        blocks = re.split(r"\n@@@ \d+\n", done.stdout)
        self.assertEqual(len(blocks), len(commands) + 1, done)
        return [block.splitlines() for block in blocks[:-1]]

    def test_every_command_prints_what_is_shown(self):
        all_chapters = chapters()
        self.assertGreaterEqual(sum(1 for commands in all_chapters.values() if commands), 5)
        for heading, commands in all_chapters.items():
            with self.subTest(heading):
                if not commands:
                    continue  # a chapter that only tells
                printed = self.run_commands(commands)
                wrong = [(command, lines) for command, lines in zip(commands, printed, strict=True)
                         if not fits(command.shown, lines)]
                if WRITE:
                    self.write(wrong)
                    continue
                for command, lines in wrong:
                    with self.subTest(f"docs/api.md:{command.number}"):
                        self.assertEqual("\n".join(command.shown), "\n".join(lines), command.text)

    def write(self, wrong):
        lines = GUIDE.read_text().splitlines()
        for command, printed in sorted(wrong, key=lambda pair: -pair[0].number):
            lines[command.number:command.number + len(command.shown)] = printed
        GUIDE.write_text("\n".join(lines) + "\n")

    def test_the_three_ways_are_there(self):
        for word in ("Terraform", "Ansible", "Controller"):
            (commands,) = (found for heading, found in chapters().items() if heading.startswith(word))
            self.assertGreater(len(commands), 10)


if __name__ == "__main__":
    unittest.main()
