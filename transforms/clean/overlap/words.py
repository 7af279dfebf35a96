"""The words of a text and of a docstring, by which one is found that is told in other words (retold.py has the search).

A word is letters, digits, `_` and what is beyond ASCII in a row, in lower case, without an `s` at its end. A docstring told again keeps
the words that say what it is about, and most of the others. Looked up are pairs of its words that are not among the commonest, with at
most one such word between them.
"""

import collections
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from starmill.transforms.clean.overlap import lookup, rarity

UNIT = 8  # of weight in a bit
QUARTER = 0.2  # of their bits, what many tasks of a benchmark say counts
FEW = 3
OFTEN = 0.1  # of a benchmark's tasks: words that more of them say
LONGEST = 250  # words of a docstring that are looked for; of a longer one the first
COMMONEST = 200  # words that are in no pair
LEAST = 3  # characters of a word that is in a pair
RUN = 4  # words with one space between two, at least, that are looked up
STOP_BITS = 13
PAIRS = 12  # of a docstring that are looked up, the rarest
ALONE = 3  # pairs of a docstring of which one is enough to judge; where it has more, two that are near each other
REACH = 8  # words from the first of a pair to its second, at most
WORDS_SHARE = 0.75  # of the different words of a docstring that must stand there
FEWEST = 7  # and so many of them, or all
EXTRA = 2  # words by which the run that counts is longer than the docstring
WORD = re.compile(rb"[0-9a-z_\x80-\xff]+")
ALL, PRIME = (1 << 64) - 1, 0x100000001B3  # of FNV-1a


def hashed(word: bytes) -> int:
    """Return the hash of a word in lower case.

    >>> hashed(b"lists") == hashed(b"list") != hashed(b"tsil")
    True
    """
    made = 0
    for byte in word.removesuffix(b"s"):
        made = (made ^ byte) * PRIME & ALL
    return made


def spelled(text: str) -> list[bytes]:
    """Return the words of a docstring in lower case.

    >>> spelled("Find the 2 lists.")
    [b'find', b'the', b'2', b'lists']
    """
    return WORD.findall(text.encode().lower())[:LONGEST]


def within() -> np.ndarray:
    """Return uint8[256]: 1 for a byte that is part of a word."""
    return np.array([bool(WORD.fullmatch(bytes((byte,)))) or 65 <= byte <= 90 for byte in range(256)], np.uint8)


def common(texts: Iterable[str]) -> frozenset[bytes]:
    """Return the words that many of a benchmark's docstrings have."""
    pieces = [{*spelled(text)} for text in texts]
    found = collections.Counter(word for piece in pieces for word in piece)
    return frozenset(word for word, count in found.items() if count > max(FEW, OFTEN * len(pieces)))


def row(text: str, often: frozenset[bytes]) -> dict[str, Any]:
    """Return bits, symbols and weights of a docstring: its words with a space between two, and what each of them weighs."""
    said = spelled(text)
    weights = [
        min(255, round(rarity.bits(word.decode("utf-8", "replace")) * UNIT * (QUARTER if word in often else 1)))
        for word in said
    ]
    once = dict(zip(said, weights, strict=True))
    return {"bits": sum(once.values()) / UNIT, "symbols": b" ".join(said), "weights": bytes(weights)}


def stops() -> np.ndarray:
    """Return uint8[2**STOP_BITS]: 1 at the first bits of the stirred hash of each of the commonest words."""
    found = np.zeros(1 << STOP_BITS, np.uint8)
    for word in rarity.commonest(COMMONEST):
        found[_stop(hashed(word.encode()))] = 1
    return found


def _stop(word: int) -> int:
    return (word * int(lookup.MULTIPLY) & ALL) >> 64 - STOP_BITS


def tables(texts: Sequence[dict[str, Any]], least_bits: int, share: float) -> tuple[Any, Any]:
    """Return ((lookup table of pairs, state), units) of docstrings (`row`).

    units: (hashes of the different words, uint64; bounds; weights, uint8; words with repetitions; least weight; least number
    of words; 1 where a pair is enough).
    """
    stop = stops()
    hashes, weights, bounds, lengths, least, fewest = list[int](), list[int](), [0], list[int](), list[int](), list[int]()
    alone: list[bool] = []
    pairs: list[tuple[int, int, int]] = []
    for n, text in enumerate(texts):
        spelt = text["symbols"].split()
        said = [*map(hashed, spelt)]
        weight = dict(zip(said, text["weights"], strict=True))
        hashes += weight
        weights += weight.values()
        bounds.append(len(hashes))
        lengths.append(len(said))
        least.append(max(least_bits * UNIT, round(share * sum(weight.values()))))
        fewest.append(max(math.ceil(WORDS_SHARE * len(weight)), min(len(weight), FEWEST)))
        rare = [(at, word) for at, word in enumerate(said) if len(spelt[at]) >= LEAST and not stop[_stop(word)]]
        found: dict[tuple[int, int], int] = {}
        for step in (1, 2):
            for (at, one), (end, other) in zip(rare, rare[step:], strict=False):
                if one != other and end - at <= REACH:
                    found[one + other & ALL, one ^ other] = weight[one] + weight[other]
        pairs += [(*pair, n) for pair in sorted(found, key=lambda pair: (-found[pair], pair))[:PAIRS]]
        alone.append(len(found) <= ALONE)
    hashes_of = np.array([pair[:2] for pair in pairs], np.uint64).reshape(-1, 2)
    which = np.array([pair[2] for pair in pairs], np.int32)
    table = lookup.table(lookup.mixed(*hashes_of.T), which, np.zeros(len(pairs), np.int32))
    count = len(texts)
    state = (np.full(count, -1, np.int64), *(np.zeros(count, np.int64) for _ in range(3)))
    units = (
        np.array(hashes, np.uint64),
        np.array(bounds, np.int64),
        np.array(weights, np.uint8),
        *(np.array(one, np.int64) for one in (lengths, least, fewest, alone)),
    )
    return (table, state), units
