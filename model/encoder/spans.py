"""From labels of tokens to spans of characters, and back: BIO (Ramshaw and Marcus 1995), read leniently as seqeval's default does.

A span begins at a B- label, or at an I- label that does not go on with a span of its type. What surrounds a value is not the value's: white
space, leading punctuation, and trailing punctuation but behind keys and passwords, whose last character may be any
(bigcode-dataset, pii/ner, strips alike).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

LEADING = re.compile(r"[\W_]*")
ANY_END = ("KEY", "PASSWORD")  # whose first and last characters may be no letters
QUOTES = " \t\r\n\f\v\"'`"


class Found(NamedTuple):
    """A span of characters, what is there, and the mean probability of its labels."""

    start: int
    end: int
    kind: str
    score: float = 1.0


def spans(
    text: str, labels: Sequence[str], offsets: Sequence[tuple[int, int]], scores: Sequence[float] | None = None
) -> list[Found]:
    """Return the spans that the labels of tokens at these offsets give, in order and without what surrounds them; none is empty.

    >>> spans("by Jane Doe.", ["O", "B-NAME", "I-NAME", "I-NAME"], [(0, 2), (2, 7), (7, 11), (11, 12)])
    [Found(start=3, end=11, kind='NAME', score=1.0)]
    """
    found: list[Found] = []
    for kind, first, last in entities(labels):
        score = sum(scores[first:last]) / (last - first) if scores is not None else 1.0
        start, end = stripped(text, offsets[first][0], max(end for _, end in offsets[first:last]), kind)
        if start < end and not (found and start < found[-1].end):
            found.append(Found(start, end, kind, round(score, 4)))
    return found


def entities(labels: Iterable[str]) -> Iterator[tuple[str, int, int]]:
    """Yield (kind, first token, token behind the last) of each entity.

    >>> list(entities(["B-NAME", "I-NAME", "B-NAME", "O", "I-KEY"]))
    [('NAME', 0, 2), ('NAME', 2, 3), ('KEY', 4, 5)]
    """
    kind, first, at = "", 0, 0
    for at, label in enumerate([*labels, "O"]):
        mark, _, named = label.partition("-")
        if kind and not (mark == "I" and named == kind):
            yield kind, first, at
            kind = ""
        if not kind and named:
            kind, first = named, at


def stripped(text: str, start: int, end: int, kind: str) -> tuple[int, int]:
    """Return the bounds of a value without what surrounds it."""
    value = text[start:end]
    if kind in ANY_END:
        return start + len(value) - len(value.lstrip(QUOTES)), end - (len(value) - len(value.rstrip(QUOTES)))
    skipped = LEADING.match(value).end()  # type: ignore[union-attr]  # it matches the empty text, too
    last = len(value)
    while last > skipped and not value[last - 1].isalnum():  # a pattern would try each place of a long run
        last -= 1
    return start + skipped, start + last


def labelled(offsets: Sequence[tuple[int, int]], found: Iterable[tuple[int, int, str]]) -> list[str]:
    """Return the labels of tokens for spans that are in order and do not overlap: a token that holds a character of one is of it.

    >>> labelled([(0, 2), (2, 7), (7, 11), (11, 12)], [(3, 11, "NAME")])
    ['O', 'B-NAME', 'I-NAME', 'O']
    """
    ahead, labels = iter(found), []
    now, begun = next(ahead, None), False
    for start, end in offsets:
        while now is not None and now[1] <= start:
            now, begun = next(ahead, None), False
        if now is None or end <= now[0] or start == end:
            labels.append("O")
        else:
            labels.append(f"{'I' if begun else 'B'}-{now[2]}")
            begun = True
    return labels
