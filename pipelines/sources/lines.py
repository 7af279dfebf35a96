"""The lines of a text that comes in pieces of any size: in time linear in its bytes, and in the memory of one line and one piece."""

from collections.abc import Iterable, Iterator


def lines(pieces: Iterable[bytes], most: int, end: bytes = b"\n") -> Iterator[tuple[bytes | None, int]]:
    r"""Yield each line without its `end` (one byte), with its size in bytes; None in place of one that is longer than `most` bytes.

    >>> list(lines([b"a\nb", b"", b"c\nlong", b"er\n\nd"], 5))
    [(b'a', 1), (b'bc', 2), (None, 6), (b'', 0), (b'd', 1)]
    """
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        *whole, rest = piece.split(end)
        for last in whole:
            size += len(last)
            yield (None if size > most else b"".join((*held, last)) if held else last), size
            held, size = [], 0
        size += len(rest)
        if size > most:
            held = []
        elif rest:
            held.append(rest)
    if size:
        yield (None if size > most else b"".join(held)), size
