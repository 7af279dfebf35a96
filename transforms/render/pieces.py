"""A record's text as the pieces of a document: the placeholders of redaction become special tokens, its segments come one by one.

A renderer is a function of DATASET blocks and the recipe's format that yields documents; what a role's sentinel is, is up to it:

    for segment in segments(row):
        pieces += [SENTINELS[segment.role], *segment.pieces]
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from starmill.core.document import Document, FileSpan, Piece, Special
from starmill.core.schema import PLACEHOLDER, PRIVATE_IPV4

# Placeholders that are one token; a replaced IP address is ordinary text.
PLACEHOLDERS = {kind: Special(f"<{kind}>") for kind in ("NAME", "EMAIL", "KEY", "PASSWORD")}


class Segment(NamedTuple):
    """One segment of a record: what it is, whose or where (as text: `label`), and its text."""

    role: str
    name: str | None
    pieces: tuple[Piece, ...]


def redacted(content: str, redactions: Sequence[Mapping[str, Any]], start: int = 0, end: int | None = None) -> Iterator[Piece]:
    """Yield the text from `start` to `end` (characters), with Specials for the placeholders among `redactions` that lie there."""
    at, end = start, len(content) if end is None else end
    for span in redactions:
        if span["kind"] in PLACEHOLDERS:
            if at < span["start"]:
                yield content[at : span["start"]]
            yield PLACEHOLDERS[span["kind"]]
            at = span["end"]
    if at < end:
        yield content[at:end]


def label(name: str) -> Iterator[Piece]:
    """Yield the pieces of a name in a DATASET row: its placeholders as Specials, or as one of The Stack's private addresses.

    >>> [*label("by <EMAIL-9c0f0ae56c71>.py")]
    ['by ', Special(token='<EMAIL>'), '.py']
    """
    text, *found = PLACEHOLDER.split(name)
    yield text
    for kind, digest, after in zip(found[::3], found[1::3], found[2::3], strict=True):
        yield PLACEHOLDERS.get(kind) or PRIVATE_IPV4[int(digest, 16) % len(PRIVATE_IPV4)]
        yield after


def joined(pieces: Iterable[Piece]) -> list[Piece]:
    """Return pieces with the texts that follow each other as one: a text piece is encoded on its own."""
    made: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, str) and made and isinstance(made[-1], str):
            made[-1] += piece
        elif piece != "":
            made.append(piece)
    return made


def document(row: Mapping[str, Any], kind: str, pieces: Iterable[Piece], language: str = "") -> Document:
    """Return the document of one record, which is its only file."""
    made = tuple(joined(pieces))
    file = FileSpan(row["path"].lstrip("/"), row["content_id"], language, 0, len(made))
    return Document(kind, row["repo_name"], language, made, (file,))


def segments(row: Mapping[str, Any]) -> Iterator[Segment]:
    r"""Yield the segments of a DATASET row, in order, each with its text; a mark has no pieces.

    >>> row = {"content": "Crash\nby <EMAIL>", "redactions": [{"kind": "EMAIL", "start": 9, "end": 16}]}
    >>> row["segments"] = [{"role": "title", "name": None, "start": 0, "end": 5}, {"role": "comment", "name": "a", "start": 6, "end": 16}]
    >>> [(s.role, s.pieces) for s in segments(row)]
    [('title', ('Crash',)), ('comment', ('by ', Special(token='<EMAIL>')))]
    """
    spans = row["redactions"] or []
    starts = [span["start"] for span in spans]
    for segment in row["segments"] or []:
        start, end = segment["start"], segment["end"]
        inside = spans[bisect_left(starts, start) : bisect_left(starts, end)]
        yield Segment(segment["role"], segment["name"], tuple(redacted(row["content"], inside, start, end)))
