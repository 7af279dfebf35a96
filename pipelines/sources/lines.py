"""The lines of a text that comes in pieces of any size: in time linear in its bytes, and in the memory of one line and one piece."""

from collections.abc import Iterable, Iterator


def lines(pieces: Iterable[bytes], most: int, end: bytes = b"\n") -> Iterator[tuple[bytes | None, int]]:
    r"""Yield each line without its `end` (one byte), with its size in bytes; None in place of one that is longer than `most` bytes.

    >>> list(lines([b"a\nb", b"", b"c\nlong", b"er\n\nd"], 5))
    [(b'a', 1), (b'bc', 2), (None, 6), (b'', 0), (b'd', 1)]
    """
    for some in by_piece(pieces, most, end):
        for line in some:
            yield (None, line) if isinstance(line, int) else (line, len(line))


def by_piece(pieces: Iterable[bytes], most: int, end: bytes = b"\n") -> Iterator[list[bytes | int]]:
    r"""Yield the lines that each piece ends, together; in place of one that is longer than `most` bytes, its size.

    >>> list(by_piece([b"a\nb", b"", b"c\nlong", b"er\n\nd"], 5))
    [[b'a'], [b'bc'], [6, b''], [b'd']]
    """
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        first, *whole = piece.split(end)
        size += len(first)
        if size > most:
            held = []
        elif first:
            held.append(first)
        if whole:
            *others, rest = whole
            ended: list[bytes | int] = [size if size > most else b"".join(held)]
            ended += others if len(piece) <= most else [len(line) if len(line) > most else line for line in others]
            yield ended
            held, size = [rest] if len(rest) <= most else [], len(rest)
    if size:
        yield [size if size > most else b"".join(held)]
