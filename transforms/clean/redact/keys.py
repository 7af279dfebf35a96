"""Keys and other secrets: shapes that their issuers chose to be recognisable, private keys, and values that their surroundings tell.

Four kinds of finders look for them, all on bytes: the rows of data/shapes.toml (keys_shapes.py), the first lines of private keys
(keys_blocks.py), and assignments, URLs and headers (keys_assigned.py). Each has a pattern with a longest match, and an anchor that says
where such a match may begin, so that a text is searched only there; without anchors it is searched whole, with the same finds.
"""

import functools
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from starmill.transforms.clean.redact import keys_assigned, keys_blocks, keys_shapes
from starmill.transforms.clean.redact.keys_gibberish import entropy, is_placeholder, surprise
from starmill.transforms.clean.redact.scan import Hits

Span = tuple[int, int]
MIN_ENTROPY = 2.5  # bits per character of a secret of a known shape: random digits have 3, and the shape says the rest
MIN_SURPRISE = 5.0  # of a secret of a known shape that has letters of both cases


class Finder(NamedTuple):
    """A pattern, what says whether a match is a secret and which part of it, and where to look."""

    pattern: re.Pattern[bytes]
    secret: Callable[[bytes, re.Match[bytes]], Span | None]
    anchor: bytes
    reach: int  # bytes from the beginning of a match to the end of its anchor, at most
    longest: int  # bytes of a match, at most
    literal: bytes = b""  # that each match has
    words: tuple[bytes, ...] = ()  # of which each match has one, in lower case
    inside: bool = False  # whether a match that is no secret may hold the beginning of another


@functools.cache
def finders() -> tuple[Finder, ...]:
    """Return all finders; the number of one is that of its anchor."""
    assignment, issued = keys_assigned.assignment(), keys_assigned.issued()
    reach = keys_assigned.REACH
    return (
        *(
            Finder(s.pattern, functools.partial(_of_shape, s), s.anchor, s.reach, s.longest, s.literal)
            for s in keys_shapes.anchored()
        ),
        Finder(keys_blocks.BEGIN, lambda data, m: keys_blocks.block(data, m), keys_blocks.ANCHORS[0], 120, 120, b"PRIVATE KEY"),
        Finder(keys_blocks.PUTTY, lambda data, m: keys_blocks.putty(data, m), keys_blocks.ANCHORS[1], 20, 20, b"Private-Lines"),
        Finder(keys_assigned.URL, keys_assigned.judge_url, keys_assigned.URL_ANCHOR, 330, 340, b"://"),
        Finder(
            keys_assigned.HEADER, keys_assigned.judge_header, keys_assigned.HEADER_ANCHOR, 20, 4120, words=(b"basic", b"bearer")
        ),
        Finder(
            assignment.pattern,
            keys_assigned.judge_assignment,
            assignment.anchor,
            reach,
            reach + keys_assigned.LONGEST,
            inside=True,
        ),
        Finder(
            issued.pattern,
            keys_assigned.judge_issued,
            issued.anchor,
            reach,
            reach + keys_assigned.LONGEST,
            words=issued.words,
            inside=True,
        ),
    )


@functools.cache
def anchors() -> tuple[bytes, ...]:
    """Return the anchors of all finders (scan.py)."""
    return tuple(finder.anchor for finder in finders())


def find(text: str) -> Iterator[Span]:
    """Yield the (start, end) of each secret in characters, finder by finder; two of them may overlap.

    >>> text = "key: 'gh" + "p_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17' # revoked"
    >>> [text[start:end][:8] for start, end in find(text)][:1]
    ['ghp_zQWB']
    """
    data = text.encode("utf-8", "surrogatepass")
    whole = [(0, len(data))]
    lower = data.lower()
    letters = data.decode("latin-1")  # in which Python looks for a piece in half of the time
    likely = sorted(number for literal, some in _by_literal() if literal in letters for number in some)  # few of two hundred
    mine = [f for f in map(finders().__getitem__, likely) if _has_word(f, lower)]
    found = [span for f in mine for span in _search(f, data, whole)]
    if text.isascii():
        yield from found
    else:
        yield from ((_characters(data, start), _characters(data, end)) for start, end in found)


@functools.cache
def _by_literal() -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Return the numbers of the finders of each literal, which is as Latin-1."""
    held: defaultdict[str, list[int]] = defaultdict(list)
    for number, finder in enumerate(finders()):
        held[finder.literal.decode("latin-1")].append(number)
    return tuple((literal, tuple(numbers)) for literal, numbers in held.items())


def judge(data: bytes, hits: Hits) -> Iterator[Span]:
    """Yield the (start, end) of each secret in bytes; `hits` are the (number of the anchor, end) of all matches of anchors, by end."""
    ends: defaultdict[int, list[int]] = defaultdict(list)
    for number, end in hits:
        ends[number].append(end)
    for number in sorted(ends):
        finder = finders()[number]
        yield from _search(finder, data, _beginnings(ends[number], finder.reach))


def _has_word(finder: Finder, lower: bytes) -> bool:
    return not finder.words or any(map(lower.__contains__, finder.words))


def _beginnings(ends: Iterable[int], reach: int) -> Iterator[Span]:
    """Yield where matches may begin, from and to, apart from each other and in order."""
    first = last = -1
    for end in ends:
        if end - reach > last:
            if last >= 0:
                yield first, last
            first = max(0, end - reach)
        last = end
    if last >= 0:
        yield first, last


def _search(finder: Finder, data: bytes, beginnings: Iterable[Span]) -> Iterator[Span]:
    at = 0
    for first, last in beginnings:
        at = max(at, first)
        while at <= last and (match := finder.pattern.search(data, at, last + finder.longest + 1)) and match.start() <= last:
            span = finder.secret(data, match)
            if span:
                yield span
            at = max(match.end(), span[1]) if span else match.end("word" if finder.inside else 0)


def _of_shape(shape: keys_shapes.Shape, data: bytes, match: re.Match[bytes]) -> Span | None:
    start, end = match.span(1) if match.re.groups else match.span()
    secret = data[start:end]
    if shape.check and shape.check.holds(secret):
        return start, end
    body = secret[shape.skip :]
    if is_placeholder(body) or entropy(body) < MIN_ENTROPY:
        return None
    return None if shape.mixed and surprise(body) < MIN_SURPRISE else (start, end)


def _characters(data: bytes, end: int) -> int:
    return len(data[:end].decode("utf-8", "surrogatepass"))
