"""The members of a zip archive by its central directory (APPNOTE 6.3.10), each read alone: stored, deflated, bzip2, lzma or zstd.

zipfile makes an object of each entry before it gives any, and lets members lie over each other: a megabyte can be petabytes. Here an
entry takes its path and a number, and what lies over another is not read.
"""

import bz2
import lzma
import os
import stat
import struct
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import zstandard

from starmill.core.errors import is_of_the_machine, one_line
from starmill.pipelines.sources.archives.inflate import MAX_DICTIONARY, Damaged
from starmill.pipelines.sources.archives.tar import Member

END = struct.Struct("<4s4H2LH")  # of the central directory
END64 = struct.Struct("<4sQ2H2L4Q")
LOCATOR = struct.Struct("<4sLQL")
ENTRY = struct.Struct("<4s4B4HL2L5H2L")
LOCAL = struct.Struct("<4s5H3L2H")
LARGE = 0xFFFFFFFF  # stands for a number in the extra field
MAX_COMMENT = 65535
ENCRYPTED, UNIX = 0x2041, 3  # flags: encrypted, strongly, or with a hidden directory
LINK = 4096  # bytes, of a link's target


class Fields(NamedTuple):
    """What the central directory says of a member."""

    path: bytes
    flags: int
    method: int
    crc: int
    stored: int
    size: int
    at: int  # of its local header
    mode: int
    length: int  # of the entry itself


class Zip:
    """A zip archive. `notes` says what is wrong with it as a whole."""

    listed_by = "unzip -l"

    def __init__(self, file: BinaryIO, max_file_bytes: int, max_content: int) -> None:
        """Read an archive. `max_content`: bytes of contents that may be inflated."""
        self._file, self._max_file, self._left = file, max_file_bytes, max_content
        self.contents = True  # a zip's are not read before they are asked for
        self.notes: list[tuple[str, str]] = []
        self.whole = False  # whether all of the directory was read
        self._starts = array("Q")  # of the members, and of the directory
        self._sorted, self._base = False, 0

    def close(self) -> None:
        """Let go of what was held, which is nothing."""

    def members(self) -> Iterator[Member]:
        """Yield the members in the order of the directory."""
        count = 0
        try:
            at, end = self._directory()
            self._starts.append(at)
            while at < end:
                fields = self._entry(at, end)
                count += 1
                self._starts.append(fields.at)
                if not (fields.path.endswith(b"/") and not fields.size):
                    yield Member(fields.path, fields.size, at, *self._reason(fields))
                at += fields.length
            self.whole = True
        except Damaged as error:
            self.notes.append(("corrupt_archive" if count else "not_an_archive", f"after {count:,} members: {error}"))

    def data(self, member: Member) -> bytes:
        """Return the data of a member. Raises Damaged."""
        return self._data(self._entry(member.at, 1 << 62))

    def link(self, member: Member) -> str | None:
        """Return where a link leads, or None where that cannot be told."""
        fields = self._entry(member.at, 1 << 62)
        try:
            return self._data(fields).decode("utf-8", "backslashreplace") if fields.size <= LINK else None
        except Damaged:
            return None

    def _at(self, at: int, size: int) -> bytes:
        self._file.seek(at)
        return self._file.read(size)

    def _directory(self) -> tuple[int, int]:
        """Return where the central directory starts and ends. Raises Damaged."""
        size = self._file.seek(0, os.SEEK_END)
        start = max(0, size - MAX_COMMENT - END.size)
        tail = self._at(start, MAX_COMMENT + END.size)
        found = tail.rfind(b"PK\5\6")
        if found < 0 or len(tail) < found + END.size:
            raise Damaged("it has no end of a central directory, which a zip archive ends in")
        _, disk, first, _, _, length, offset, comment = END.unpack_from(tail, found)
        end = start + found
        if (behind := size - end - END.size - comment) != 0:
            self.notes.append(
                ("trailing_data", f"{max(behind, 0):,} bytes behind its end" if behind > 0 else "its comment is cut off")
            )
        # Its place tells a zip64 archive, as it does for zipfile: some that need none of it have it.
        locator = self._at(max(0, end - LOCATOR.size), LOCATOR.size)
        if end >= LOCATOR.size and locator.startswith(b"PK\6\7"):
            end = end - LOCATOR.size - END64.size
            record = self._at(max(0, end), END64.size)
            if end < 0 or not record.startswith(b"PK\6\6") or LOCATOR.unpack(locator)[2] > end:
                raise Damaged("its zip64 record is not where its locator says")
            _, _, _, _, disk, first, _, _, length, offset = END64.unpack(record)
        if disk or first:
            raise Damaged("it is one of several disks")
        self._base = end - length - offset  # what is prepended, as to an archive that unpacks itself
        if self._base < 0:
            raise Damaged(f"a central directory of {length:,} bytes at {offset:,}, which there is no room for")
        return end - length, end

    def _entry(self, at: int, end: int) -> Fields:
        head = self._at(at, ENTRY.size)
        if len(head) < ENTRY.size or not head.startswith(b"PK\1\2"):
            raise Damaged(f"no entry of the central directory at byte {at:,}")
        _, _, system, _, _, flags, method, _, _, crc, stored, size, n, extra, comment, _, _, mode, offset = ENTRY.unpack(head)
        length = ENTRY.size + n + extra + comment
        rest = self._file.read(n + extra)
        if at + length > end or len(rest) < n + extra:
            raise Damaged(f"an entry of the central directory at byte {at:,} that is cut off")
        if LARGE in (stored, size, offset):
            wide = iter(_wide(rest[n:]))
            size, stored, offset = (next(wide, LARGE) if v == LARGE else v for v in (size, stored, offset))
        unix = mode >> 16 if system == UNIX else 0
        return Fields(rest[:n], flags, method, crc, stored, size, self._base + offset, unix, length)

    def _reason(self, fields: Fields) -> tuple[str | None, str | None]:
        kind = stat.S_IFMT(fields.mode)
        if kind == stat.S_IFLNK:
            return "symlink", None
        if kind and kind not in (stat.S_IFREG, stat.S_IFDIR):
            return "not_a_regular_file", None
        if fields.flags & ENCRYPTED:
            return "encrypted", None
        if fields.method not in METHODS:
            return "unsupported_compression", f"method {fields.method}"
        if fields.size >= self._max_file:
            return "too_large", None
        self._left -= fields.size
        return (
            ("inflates_too_far", "beyond max_inflated_bytes or max_inflation of the archive")
            if self._left < 0
            else (None, None)
        )

    def _data(self, fields: Fields) -> bytes:
        if not self._sorted:
            self._starts, self._sorted = array("Q", sorted(min(at, 2**63) for at in self._starts)), True
        after = bisect_right(self._starts, fields.at)
        if after > 1 and self._starts[after - 2] == fields.at:
            raise Damaged("another member starts where it does")
        head = self._at(min(fields.at, 1 << 62), LOCAL.size)
        if len(head) < LOCAL.size or not head.startswith(b"PK\3\4"):
            raise Damaged(f"no header of a member at byte {fields.at:,}")
        *_, n, extra = LOCAL.unpack(head)
        start = fields.at + LOCAL.size + n + extra
        end = start + fields.stored
        if after == len(self._starts) or end > self._starts[after]:
            raise Damaged("it lies over the next member")
        if self._file.read(n) != fields.path:
            raise Damaged("its own header gives another name")
        data = _inflated(self._at(start, min(fields.stored, _most(fields.size))), fields)
        if len(data) != fields.size:
            raise Damaged(f"{len(data):,} bytes where the directory says {fields.size:,}")
        if zlib.crc32(data) != fields.crc:
            raise Damaged("its checksum does not agree")
        return data


def _most(size: int) -> int:
    """Return what so many bytes take at most when they are stored, with room for headers and for a bad compressor."""
    return size + size // 8 + 4096


def _wide(extra: bytes) -> list[int]:
    """Return the numbers of the field that zip64 has in the extra fields."""
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            field = extra[at + 4 : at + 4 + size]
            return [*struct.unpack(f"<{len(field) // 8}Q", field[: len(field) // 8 * 8])]
        at += 4 + size
    return []


def _lzma(stored: bytes) -> tuple[Any, bytes]:
    # Two bytes of version, two of the length of the properties, and these.
    size = int.from_bytes(stored[2:4], "little")
    if size != 5 or len(stored) < 9 or int.from_bytes(stored[5:9], "little") > MAX_DICTIONARY or stored[4] >= 225:
        raise Damaged("properties of lzma that it does not have")
    rest, lc = divmod(stored[4], 9)
    pb, lp = divmod(rest, 5)
    chain = [{"id": lzma.FILTER_LZMA1, "dict_size": int.from_bytes(stored[5:9], "little"), "lc": lc, "lp": lp, "pb": pb}]
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=chain), stored[9:]


def _inflated(stored: bytes, fields: Fields) -> bytes:
    """Return at most one byte more than the directory says. Raises Damaged."""
    most = fields.size + 1
    try:
        match fields.method:
            case 0:
                return stored[:most]
            case 8:
                return zlib.decompressobj(-15).decompress(stored, most)
            case 12:
                return bz2.BZ2Decompressor().decompress(stored, most)
            case 14:
                reader, stored = _lzma(stored)
                return bytes(reader.decompress(stored, most))
            case _:
                return bytes(zstandard.ZstdDecompressor(max_window_size=MAX_DICTIONARY).stream_reader(stored).read(most))
    except Exception as error:  # zlib.error, OSError, EOFError, ValueError, LZMAError
        if isinstance(error, Damaged) or (is_of_the_machine(error) and getattr(error, "errno", 0) is not None):
            raise
        raise Damaged(one_line(error)) from None


METHODS = (0, 8, 12, 14, 93)
