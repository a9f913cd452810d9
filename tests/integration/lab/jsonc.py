"""JSON with comments and trailing commas, as the file may have them."""

import json
import re

COMMENT = re.compile(r'("(?:[^"\\]|\\.)*")|//[^\n]*|/\*.*?\*/', re.S)
COMMA = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[\]}])', re.S)


def loads(text):
    for what in (COMMENT, COMMA):
        text = what.sub(lambda found: found[1] or " ", text)
    return json.loads(text)
