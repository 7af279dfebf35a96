"""The bytes of an archive, inflated as they are asked for: gzip, bzip2, xz and zstd, each of several streams in a row, or none.

Whatever the bytes are, reading ends in data, Damaged or Spent, in bounded memory. What a stream gave is believed once its own check
agrees: up to `believed`, where reading ends in Damaged.
"""

import bz2
import io
import lzma
import os
from collections.abc import Callable
from typing import Any, BinaryIO

import zstandard
from isal import igzip_lib

from starmill.core.errors import is_of_the_machine, one_line

CHUNK = 1 << 18  # bytes, inflated at once
STORED = (
    1 << 14
)  # bytes, read at once: what is left of them is copied at each end of a stream, and there may be one every 20 bytes
MAX_DICTIONARY = 256 << 20  # bytes, of xz and of zstd; the highest levels of both take 64 and 128 MiB
PIECE = 512  # bytes that zstd's reader gets at once: it has no limit of what it gives, and four may be 128 KiB


class _Zstd:
    """zstd's reader, with the manners of bz2's."""

    def __init__(self) -> None:
        self._reader = zstandard.ZstdDecompressor(max_window_size=MAX_DICTIONARY).decompressobj()
        self._due = b""

    @property
    def needs_input(self) -> bool:
        return not self._due

    @property
    def eof(self) -> bool:
        return bool(self._reader.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._reader.unused_data) + self._due

    def decompress(self, data: bytes, _: int) -> bytes:
        self._due += data
        piece, self._due = self._due[:PIECE], self._due[PIECE:]
        return bytes(self._reader.decompress(piece))


# What a compressed stream starts with, and its reader. The format is told by that and not by a name, which is often wrong.
READERS: dict[bytes, Callable[[], Any]] = {
    b"\x1f\x8b": lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP),
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\0": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_DICTIONARY),
    b"\x28\xb5\x2f\xfd": _Zstd,
}


class Damaged(ValueError):
    """Bytes that their format does not allow; `cut_off` says that nothing is wrong but that they end too early."""

    def __init__(self, detail: str, cut_off: bool = False) -> None:
        """Keep both."""
        super().__init__(detail)
        self.cut_off = cut_off


class Spent(ValueError):
    """As many bytes were inflated as may be."""


def opened(path: str) -> BinaryIO:
    """Open a regular file; neither a link nor a pipe put in its place is followed or waited for. Raises OSError."""
    return open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")


class Stream:
    """What a file holds, from front to end.

    >>> import gzip, io
    >>> stream = Stream(io.BytesIO(gzip.compress(b"to be inflated")), 1 << 20)
    >>> stream.read(5), stream.skip(3), stream.read(100), stream.believed
    (b'to be', 3, b'flated', 14)
    """

    def __init__(self, file: BinaryIO, most: int) -> None:
        """Read a file from its start; `most`: bytes that may be inflated. What is not compressed is not counted."""
        self._file, self._most = file, most
        self.at = self.believed = 0  # bytes
        self.broken = False  # whether its compression is: what it gave from `believed` on may be anything
        self.trailing = 0  # stored bytes behind the last stream, which are none
        self._size = file.seek(0, io.SEEK_END)
        file.seek(0)
        # A view, so that a read copies nothing of what is left.
        self._data, self._stored = memoryview(b""), file.read(STORED)
        self._reader: Any = None
        self._failed: Damaged | None = None
        self._make = _reader_of(self._stored)
        self.packed = self._make is not None

    def read(self, size: int) -> bytes:
        """Return so many bytes, fewer at the end. Raises Damaged, Spent, or OSError."""
        parts, left = [], size
        while left and (self._data or self._more()):
            part, self._data = self._data[:left], self._data[left:]
            parts.append(part)
            left -= len(part)
            self.at += len(part)
        return b"".join(parts)

    def some(self, most: int) -> bytes:
        """Return what there is at once of so many bytes; nothing only at the end. Raises as `read`, behind all that was inflated before."""
        if not self._data and not self._more():
            return b""
        part, self._data = self._data[:most], self._data[most:]
        self.at += len(part)
        return bytes(part)

    def skip(self, size: int) -> int:
        """Pass over so many bytes and return how many there were: a plain file is not read for it."""
        if not self.packed:
            size = max(0, min(size, self._size - self.at))
            self._data, self._stored = memoryview(b""), b""
            self.at += size
            self._file.seek(self.at)
            return size
        left = size
        while left and (self._data or self._more()):
            passed = min(left, len(self._data))
            self._data = self._data[passed:]
            left -= passed
            self.at += passed
        return size - left

    def _more(self) -> bool:
        """Fill what is inflated, and say whether there is more of it."""
        if not self.packed:
            self._data, self._stored = memoryview(self._stored or self._file.read(STORED)), b""
            return bool(self._data)
        if self._failed:  # what a library says of a stream after it failed is anything
            raise self._failed
        try:
            self._data = memoryview(self._inflated())
        except Exception as error:  # the four libraries raise seven types
            if not isinstance(error, Damaged) and not _is_of_the_data(error):
                raise
            self._failed = error if isinstance(error, Damaged) else Damaged(one_line(error))
            self.broken = not self._failed.cut_off
            raise self._failed from None
        self._most -= len(self._data)
        if self._most < 0:
            self._data = memoryview(b"")
            raise Spent
        if not self._data:
            self.believed = self.at
        return bool(self._data)

    def _inflated(self) -> bytes:
        while self._make:
            if self._reader is None and not self._next():
                return b""
            reader = self._reader
            if reader.needs_input and not self._stored:
                self._stored = self._file.read(STORED)
            if reader.needs_input and not self._stored:
                raise Damaged("it ends before its end", cut_off=True)
            stored, self._stored = (self._stored, b"") if reader.needs_input else (b"", self._stored)
            data = reader.decompress(stored, CHUNK)
            if reader.eof:
                self._stored, self._reader = reader.unused_data + self._stored, None
            if data:
                return bytes(data)
        return b""

    def _next(self) -> bool:
        """Start on the next of several streams in a row, and say whether there is one."""
        self.believed = self.at
        while len(self._stored) < 6 or not self._stored[0]:
            self._stored = self._stored.lstrip(b"\0")  # padding, which tapes and xz have
            if len(self._stored) >= 6:
                break
            if not (more := self._file.read(STORED)):
                break
            self._stored += more
        if self._stored and _reader_of(self._stored) is self._make:
            self._reader = self._make() if self._make else None
            return True
        if self._stored:
            self.trailing = len(self._stored) + max(0, self._size - self._file.tell())
        self._stored, self._make = b"", None
        return False


def _reader_of(start: bytes) -> Callable[[], Any] | None:
    return next((make for magic, make in READERS.items() if start.startswith(magic)), None)


def _is_of_the_data(error: Exception) -> bool:
    # bz2 raises OSError without a number.
    return error.errno is None if isinstance(error, OSError) else not is_of_the_machine(error)
