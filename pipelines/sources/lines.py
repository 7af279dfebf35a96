"""The lines of a text that comes in pieces of any size: in time linear in its bytes, and in the memory of one line and one piece."""

from collections.abc import Iterable, Iterator


def lines(pieces: Iterable[bytes], most: int, end: bytes = b"\n") -> Iterator[tuple[bytes | None, int]]:
    r"""Yield each line without its `end` (one byte), with its size in bytes; None in place of one that is longer than `most` bytes.

    >>> list(lines([b"a\nb", b"", b"c\nlong", b"er\n\nd"], 5))
    [(b'a', 1), (b'bc', 2), (None, 6), (b'', 0), (b'd', 1)]
    """
    for block in blocks(pieces, most, end):
        if isinstance(block, int):
            yield None, block
        else:
            for line in block.removesuffix(end).split(end):
                yield (None if len(line) > most else line), len(line)


def blocks(pieces: Iterable[bytes], most: int, end: bytes = b"\n") -> Iterator[bytes | int]:
    r"""Yield the lines that each piece ends, together and with their ends; of one that several pieces hold and that is too long, its size.

    A line that lies in one piece may have more than `most` bytes.

    >>> list(blocks([b"a\nb", b"", b"c\nd\nlong", b"er\n\nd"], 5))
    [b'a\n', b'bc\nd\n', 6, b'\n', b'd']
    """
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        last = piece.rfind(end) + 1
        if last:
            first = piece.find(end)
            if size + first > most:
                yield size + first
                whole = piece[first + 1 : last]
            else:
                whole = b"".join([*held, piece[:last]])
            if whole:
                yield whole
            held, size = [], 0
        if last < len(piece):
            size += len(piece) - last
            if size > most:
                held = []
            else:
                held.append(piece[last:])
    if size:
        yield size if size > most else b"".join(held)
