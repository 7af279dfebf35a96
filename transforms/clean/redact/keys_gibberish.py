"""Whether a value looks drawn at random, or written by somebody: characters that follow each other, and the habits of placeholders.

The model is a table of bigrams: how many bits does each character cost behind the one before, in the identifiers and words of source code?
Digits are one character, letters keep their case: `aB3` costs more than `getName`. The table (data/bigrams.txt) is trained from
the project's own files and Python's standard library, each word once:

    .venv/bin/python -m starmill.transforms.clean.redact.keys_gibberish transforms/clean/redact/data/bigrams.txt

The same files give the same table; another Python's library moves a cell by a step.
"""

import functools
import math
import re
import string
import sys
import sysconfig
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

SYMBOLS = string.ascii_lowercase + string.ascii_uppercase + "0."  # a digit is 0, what is neither letter nor digit is a dot
STEP = 0.25  # bits that a step of the table stands for
WORD = re.compile(rb"[A-Za-z0-9_./+-]{6,80}")
TABLE = Path(__file__).parent / "data/bigrams.txt"
_INDEX = bytes(
    SYMBOLS.index(chr(b)) if chr(b) in string.ascii_letters else SYMBOLS.index("0" if chr(b) in string.digits else ".")
    for b in range(256)
)
# What people write where a secret would stand, in lower case.
PLACEHOLDER = re.compile(
    rb"example|\*{3}|\.{3}|placeholder|change_?me|changeit|insert|replace|dummy|sample|redacted|secret_?here|foobar|undefined"
    rb"|[$%#]\{|\{\{|<[a-z]|lorem|notreal|deadbeef|cafebabe"
)
# Four letters come by chance too: of long keys of letters and digits one in some thousands has one of these. So the rest is looked at.
SHORT_PLACEHOLDER = re.compile(rb"(?i)x{4,}|your|todo|fake")
DRAWN_CHARS, DRAWN_SURPRISE = 24, 7.0  # of the rest, at least, where the four letters are chance


def entropy(value: bytes) -> float:
    """Return Shannon's entropy of the bytes, in bits per byte.

    >>> entropy(b"abcd"), entropy(b"aaaa"), entropy(b"")
    (2.0, 0.0, 0.0)
    """
    return -sum(n / len(value) * math.log2(n / len(value)) for n in Counter(value).values()) or 0.0 if value else 0.0


def surprise(value: bytes) -> float:
    """Return what a character of the value costs behind the one before, in bits, on average: words 4 to 6, random letters 7 to 10.

    >>> surprise(b"getElementByName") < 6 < 8 < surprise(b"gX9qLw3KzT7vPb2N")
    True
    """
    at = value.translate(_INDEX)
    if len(at) < 2:
        return 0.0
    table = _table()
    return sum(table[a * len(SYMBOLS) + b] for a, b in pairwise(at)) * STEP / (len(at) - 1)


@functools.lru_cache(maxsize=1 << 10)
def is_placeholder(value: bytes) -> bool:
    """Say whether a value is one of documentation: a word that says so, few characters, a run of neighbours, or a repeat.

    >>> [is_placeholder(v) for v in (b"AKIAIOSFODNN7EXAMPLE", b"0123456789abcdef", b"abcabcabcabc", b"gX9qLw3KzT7vPb2N")]
    [True, True, True, False]
    """
    low = value.lower()
    if len(set(low)) < 6 or PLACEHOLDER.search(low):
        return True
    if SHORT_PLACEHOLDER.search(low):
        rest = SHORT_PLACEHOLDER.sub(b"", value)
        if len(rest) < DRAWN_CHARS or surprise(rest) < DRAWN_SURPRISE:
            return True
    steps = sum(b - a in (0, 1, -1) for a, b in pairwise(low))
    if steps > 0.5 * len(low):
        return True
    return any(low[period:] == low[:-period] for period in range(1, len(low) // 2 + 1)) if len(low) <= 256 else False


@functools.cache
def _table() -> tuple[int, ...]:
    text = TABLE.read_text().split("\n")
    return tuple(ord(c) - ord("!") for line in text if not line.startswith("#") for c in line)


def train(texts: Iterable[bytes]) -> str:
    """Return the table of the words of texts: a line for each symbol, a character for each that may follow, `!` for no bits."""
    pairs: Counter[tuple[int, int]] = Counter()
    for word in {word for text in texts for word in WORD.findall(text)}:
        at = word.translate(_INDEX)
        pairs.update(pairwise(at))
    n = len(SYMBOLS)
    lines = [
        "# Quarters of a bit that a character costs behind another, in the order of keys_gibberish.SYMBOLS, as characters from ! on."
    ]
    for a in range(n):
        total = sum(pairs[a, b] for b in range(n)) + n
        bits = (-math.log2((pairs[a, b] + 1) / total) for b in range(n))
        lines.append("".join(chr(ord("!") + min(90, round(b / STEP))) for b in bits))
    return "\n".join(lines) + "\n"


def own_texts() -> Iterable[bytes]:
    """Yield the project's own code and documents and Python's standard library, in order of their names."""
    root = Path(__file__).resolve().parents[3]
    for folder in (
        *(root / name for name in ("core", "transforms", "pipelines", "docs")),
        Path(sysconfig.get_paths()["stdlib"]),
    ):
        for path in sorted(folder.rglob("*.[pm][yd]")):
            if not {"site-packages", "test", "tests"} & {*path.parts}:
                yield path.read_bytes()


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(train(own_texts()))
