"""The lines of one hour of GHArchive, whatever the file is: gzip of whole members, plain text, or none of both.

A member that ends early gives other lines in another reader, so none of its lines is read: whoever reads an hour meets `Cut`, and
reads it again up to the last whole member.
"""

from collections.abc import Iterable, Iterator
from typing import Protocol

from isal import igzip_lib

from starmill.pipelines.sources import lines

# Bytes that are read at once: what is left of them is copied at each end of a member, and there may be one every 20 bytes.
CHUNK = 1 << 16
BLOCK = 1 << 17  # bytes that are inflated at once: what the processor's cache holds until its lines are read
MAX_LINE = 64 << 20  # bytes of an event; the largest real ones have some 3 MB


class File(Protocol):
    """What an hour is read from."""

    def read(self, size: int) -> bytes:
        """Return the next bytes; none at the end."""
        ...


class Cut(Exception):
    """A member that ends early or is damaged; `whole` members lie before it."""

    def __init__(self, whole: int, detail: str) -> None:
        """Keep both."""
        super().__init__(detail)
        self.whole = whole


class NoEvents(Exception):
    """A file that is no hour; the message is `reason: detail`."""

    def __init__(self, reason: str, detail: str) -> None:
        """Keep both."""
        super().__init__(detail)
        self.reason = reason


def blocks(file: File, members: int | None = None, max_bytes: int = 1 << 62) -> Iterator[bytes | int]:
    r"""Yield the lines of an hour with their ends, some at once; of one above MAX_LINE, how many bytes it has.

    `members`: of a gzip file, only so many. Raises Cut and NoEvents, the latter also above `max_bytes` inflated bytes.

    >>> import io
    >>> list(blocks(io.BytesIO(b'{"a": 1}\n{"b": 2}')))
    [b'{"a": 1}\n', b'{"b": 2}']
    """
    return lines.blocks(_counted(_blocks(file, members), max_bytes), MAX_LINE)


def _counted(blocks: Iterable[bytes], max_bytes: int) -> Iterator[bytes]:
    total = 0
    for block in blocks:
        yield block
        total += len(block)
        if total > max_bytes:
            raise NoEvents("too_many_bytes", f"more than max_hour_bytes={max_bytes}")


def _blocks(file: File, members: int | None) -> Iterator[bytes]:
    first = bytes(file.read(CHUNK))
    if not first:
        raise NoEvents("empty_file", "an hour without a byte")
    gzipped = first[:2] == b"\x1f\x8b"
    found = _inflated(file, first, members) if gzipped else _plain(file, first)
    for number, block in enumerate(found):
        # A first event that lost its head is no reason to leave the others.
        if not number and (block.lstrip(b"\0 \t\r\n\xef\xbb\xbf").startswith(b"<") or b"{" not in block):
            raise NoEvents("not_events", f"it begins with {block[:60]!r}")
        yield block


def _plain(file: File, first: bytes) -> Iterator[bytes]:
    while first:
        yield first
        first = bytes(file.read(CHUNK))


def _inflated(file: File, data: bytes, members: int | None) -> Iterator[bytes]:
    whole = 0
    while members is None or whole < members:
        reader = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
        while not reader.eof:
            if reader.needs_input and not data and not (data := bytes(file.read(CHUNK))):
                raise Cut(whole, "the file ends in it")
            try:
                block = reader.decompress(data, BLOCK)  # it keeps what it has no room for
            except igzip_lib.IsalError as error:  # type: ignore[misc]  # its stub calls the class an instance
                raise Cut(whole, str(error)) from None
            data = b""
            if block:
                yield block
        whole, data = whole + 1, reader.unused_data
        # Zeros behind the last member are no member.
        while not data.strip(b"\0"):
            if not (data := bytes(file.read(CHUNK))):
                return
