"""How rare a text is, in bits: what tells a solution that anybody writes from one that is a benchmark's.

A word has -log2 of its share of the words of a large body of code; data/words.txt has the most common ones with their counts, and a word
that is not among them has what its length can hold, or CAP bits. `return x + y` has some 20 bits and is anybody's code; a text of 60 is in
none of a hundred million places by chance. Words are what they are in `forms.letters`: cut at `_` and where a name goes up in case.

    python -m starmill.transforms.clean.overlap.rarity DIR ... > transforms/clean/overlap/data/words.txt
"""

import collections
import functools
import math
import re
import sys
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path

WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|[A-Z]+|\d+")
BY_LETTER = math.log2(26)
CAP = 18.0  # bits of a word that the table has not
MANY = 6000  # words in the table
MARK = 3.0  # bits of a mark in a squashed text
# Tables of them are everywhere: one is as rare as a digit.
NUMERALS = frozenset("zero one two three four five six seven eight nine ten eleven twelve".split())


def words(text: str) -> Iterator[re.Match[str]]:
    """Yield the words of a text.

    >>> [word[0] for word in words("has_close(elementsOf, HTTPServer2)")]
    ['has', 'close', 'elements', 'Of', 'HTTP', 'Server', '2']
    """
    return WORD.finditer(text)


@functools.cache
def _table() -> tuple[dict[str, float], int]:
    lines = resources.files("starmill.transforms.clean.overlap").joinpath("data/words.txt").read_text("utf-8").splitlines()
    total = int(lines[0].split()[-1])
    return {word: math.log2(total / int(count)) for word, count in map(str.split, lines[1:])}, total


def bits(word: str) -> float:
    """Return how many bits a word has.

    >>> bits("return") < bits("between") < bits("zyxwvutsr") == CAP
    True
    >>> bits("seven") == bits("7")
    True
    """
    table, _ = _table()
    if word.lower() in NUMERALS:
        return BY_LETTER
    return min(table.get(word.lower(), CAP), BY_LETTER * len(word))


def commonest(count: int) -> list[str]:
    """Return the words that code has most often.

    >>> len(commonest(20)), "self" in commonest(20)
    (20, True)
    """
    return [*_table()[0]][:count]


def count(texts: Iterable[str], most: int = MANY) -> str:
    """Return the table of the words of some texts: the number of all words, then a line for each of the most common ones."""
    found = collections.Counter(word[0].lower() for text in texts for word in words(text) if word[0].isascii())
    best = sorted(found.items(), key=lambda one: (-one[1], one[0]))[:most]
    return "\n".join([f"words {sum(found.values())}", *(f"{word} {times}" for word, times in best), ""])


def main(folders: Iterable[str]) -> None:
    """Print the table of the files below folders."""

    def texts() -> Iterator[str]:
        for path in sorted(p for folder in folders for p in Path(folder).rglob("*") if p.is_file()):
            try:
                yield path.read_bytes().decode()
            except (UnicodeDecodeError, OSError):  # an image, a library: not text
                continue

    sys.stdout.write(count(texts()))


if __name__ == "__main__":
    main(sys.argv[1:])
