"""The Prometheus text format, read back strictly."""

import re

SAMPLE = re.compile(
    r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([0-9eE.+-]+|NaN|[+-]Inf)(?: [0-9]+)?\Z"
)
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\.)*)"(?:,|\Z)')


class Metrics(dict):
    """{(name, frozenset of (label, value)): number}; `types` and `helps` by family."""

    def __init__(self):
        super().__init__()
        self.types = {}
        self.helps = {}


def parse_labels(text):
    labels = []
    position = 0
    while position < len(text):
        match = LABEL.match(text, position)
        if not match:
            raise ValueError(f"bad labels: {text!r}")
        labels.append((match[1], match[2]))
        position = match.end()
    if len({n for n, _ in labels}) != len(labels):
        raise ValueError(f"label twice: {text!r}")
    return frozenset(labels)


def parse(text):
    result = Metrics()
    if not text.endswith("\n"):
        raise ValueError("the text must end in a line feed")
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            if name in result.types:
                raise ValueError(f"second TYPE of {name}")
            result.types[name] = kind
        elif line.startswith("# HELP "):
            _, _, name, words = line.split(" ", 3)
            result.helps[name] = words
        elif line and not line.startswith("#"):
            match = SAMPLE.match(line)
            if not match:
                raise ValueError(f"bad sample: {line!r}")
            key = (match[1], parse_labels(match[2] or ""))
            if key in result:
                raise ValueError(f"sample twice: {line!r}")
            result[key] = float(match[3])
    return result


def select(metrics, name, **labels):
    """{labels: value} of the samples of `name` that carry `labels`."""
    wanted = set(labels.items())
    return {k[1]: v for k, v in metrics.items() if k[0] == name and wanted <= k[1]}


def total(metrics, name, **labels):
    return sum(select(metrics, name, **labels).values())


def family_of(metrics, name):
    """The family a sample belongs to (histogram samples carry a suffix)."""
    if name in metrics.types:
        return name
    for suffix in ("_bucket", "_sum", "_count"):
        base = name.removesuffix(suffix)
        if base != name and metrics.types.get(base) in ("histogram", "summary"):
            return base
    return None


def went_back(before, after):
    """Counters (and histogram samples) that are smaller in `after`, or gone."""
    worse = []
    for key, value in before.items():
        family = family_of(before, key[0])
        if before.types.get(family) not in ("counter", "histogram"):
            continue
        if key not in after or after[key] < value:
            worse.append((key[0], dict(key[1]), value, after.get(key)))
    return worse
