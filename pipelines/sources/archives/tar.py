"""The members of a tar archive in one pass from front to end: ustar, pax and GNU's, whatever it is compressed with.

tarfile reads each block of 512 bytes. What spans several of them (long names, pax records, maps of sparse files) is read here, with
limits: tarfile holds a header of any size that it is told, and its patterns take a square of its bytes.
"""

import tarfile
import tempfile
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from starmill.core.errors import one_line
from starmill.pipelines.sources.archives.inflate import CHUNK, Damaged, Spent, Stream

BLOCK = tarfile.BLOCKSIZE
MAX_HEADER = 1 << 20  # bytes of the long name or the pax records of one member
IN_MEMORY = 64 << 20  # bytes of contents; more of them wait in a file without a name
LONG = {tarfile.GNUTYPE_LONGNAME: b"path", tarfile.GNUTYPE_LONGLINK: b"linkpath"}
PAX = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.XGLTYPE)
USED = (b"path", b"linkpath", b"size")  # of pax's records


class Member(NamedTuple):
    """One member that is no folder: where its data is found, or the reason why it is not read."""

    path: bytes
    size: int
    at: int  # where its reader finds it
    reason: str | None = None
    detail: str | None = None
    end: int = 0  # bytes of the stream up to its end


class Tar:
    """A tar archive. What `members` gave `data` has, once all were given; what is wrong with the archive as a whole is in `notes`."""

    listed_by = "tar -tf"

    def __init__(self, file: BinaryIO, max_file_bytes: int, max_content: int, most: int, contents: bool = True) -> None:
        """Read an archive from its start. `max_content`: bytes of contents to be held, `most`: to be inflated; `contents`: hold any."""
        self._stream = Stream(file, most)
        self._max_file, self._left, self.contents = max_file_bytes, max_content, contents
        self._file, self._spool = file, tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115  # close() closes it
        self.notes: list[tuple[str, str]] = []
        self.whole = False  # whether all was read
        self._check = contents
        self._ended: Damaged | Spent | None = None  # why there is nothing after the last member

    def close(self) -> None:
        """Let go of what was held."""
        self._spool.close()

    def members(self) -> Iterator[Member]:
        """Yield the members in the archive's order."""
        count = 0
        try:
            for count, member in enumerate(self._members(), 1):  # noqa: B007
                yield member
            self.whole = True
        except Spent:
            self.notes.append(
                ("inflates_too_far", f"after {count:,} members: beyond max_inflated_bytes or max_inflation of the archive")
            )
        except Damaged as error:
            read = self._stream.at
            self._verify()
            if count or read > BLOCK:
                self.notes.append(
                    ("truncated_archive" if error.cut_off else "corrupt_archive", f"after {count:,} members: {error}")
                )
            else:
                self.notes.append(("not_an_archive", str(error)))

    def _verify(self) -> None:
        """Read on where a tar is damaged: whether its compression is, only the checksum behind it tells."""
        try:
            while self._check and self._stream.packed and self._stream.read(CHUNK):
                pass
        except (Damaged, Spent):
            pass

    def data(self, member: Member) -> bytes:
        """Return the data of a member. Raises Damaged."""
        if self._stream.broken and member.end > self._stream.believed:
            raise Damaged("the checksum of what holds it does not agree, or is not reached")
        held = self._spool if self._stream.packed else self._file
        held.seek(member.at)
        data = held.read(member.size)
        if len(data) != member.size:
            raise Damaged("it ends before its end", cut_off=True)
        return data

    def _members(self) -> Iterator[Member]:
        of_all: dict[bytes, bytes] = {}
        own: dict[bytes, bytes] = {}
        trouble = ""
        while block := self._stream.read(BLOCK):
            if not block.strip(b"\0"):
                break
            head = self._head(block)
            if head.type in LONG or head.type in PAX:
                whole = self._held(head.size)
                records = (
                    None if whole is None else _records(whole) if head.type in PAX else {LONG[head.type]: _until_nul(whole)}
                )
                if records is None:
                    trouble = f"a header of {head.size:,} bytes that is too large or broken"
                else:
                    (of_all if head.type == tarfile.XGLTYPE else own).update(records)
                continue
            if member := self._member(head, block, {**of_all, **own}, trouble):
                yield member
            if self._ended:
                raise self._ended
            own, trouble = {}, ""
        if not self._stream.at:
            raise Damaged("there is nothing in it")
        if self._check:
            self._drain()

    def _drain(self) -> None:
        """Read on to the end, where the checksums are."""
        end, more = self._stream.at, 0
        while data := self._stream.read(CHUNK):
            more = max(more, self._stream.at - end) if data.strip(b"\0") else more
        if more or self._stream.trailing:
            self.notes.append(("trailing_data", f"{more + self._stream.trailing:,} bytes or more behind its end"))

    def _head(self, block: bytes) -> tarfile.TarInfo:
        try:
            if len(block) < BLOCK:
                raise Damaged("it ends in a header", cut_off=self._stream.at > BLOCK)
            head = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except (tarfile.HeaderError, ValueError, OverflowError) as error:
            if isinstance(error, Damaged):
                raise
            raise Damaged(f"no header at byte {self._stream.at - BLOCK:,}: {one_line(error)}") from None
        if head.size < 0:
            raise Damaged(f"a member of {head.size} bytes at byte {self._stream.at - BLOCK:,}")
        return head

    def _held(self, size: int) -> bytes | None:
        if size > MAX_HEADER:
            self._pass(_padded(size))
            return None
        data = self._stream.read(_padded(size))
        if len(data) < size:
            raise Damaged("it ends in a header", cut_off=True)
        return data[:size]

    def _pass(self, size: int) -> None:
        if self._stream.skip(size) < size:
            raise Damaged("it ends in a member", cut_off=True)

    def _member(self, head: tarfile.TarInfo, block: bytes, more: dict[bytes, bytes], trouble: str) -> Member | None:
        """Read on to the end of a member, and hold what it has. Returns None for a folder."""
        path, size = more.get(b"path") or _bytes(head.name), head.size
        if (said := more.get(b"size")) is not None:
            if not said.isdigit() or len(said) > 18:
                raise Damaged(f"a member of {said[:30]!r} bytes")
            size = int(said)
        extended = head.type == tarfile.GNUTYPE_SPARSE and block[482]
        while extended:  # a map of holes that goes on in the next block
            if len(block := self._stream.read(BLOCK)) < BLOCK:
                raise Damaged("it ends in a header", cut_off=True)
            extended = block[504]
        # A link or a folder has no data, whatever its size says; all else has, and what nobody knows.
        stored = size if head.isreg() or head.type not in tarfile.SUPPORTED_TYPES else 0
        reason, detail = ("unreadable_header", trouble) if trouble else _reason(head, more, stored, self._max_file)
        if not reason and stored > self._left:
            reason, detail = "inflates_too_far", "beyond max_inflated_bytes of the archive"
        start = self._stream.at
        at = self._spool.seek(0, 2) if self._stream.packed else start
        try:
            if passed := self._read(stored, keep=not reason and self.contents and self._stream.packed):
                self._ended, reason, detail = Damaged("it ends in a member", cut_off=True), "truncated", passed
        except (Damaged, Spent) as error:
            self._ended, detail = error, str(error)
            reason = "inflates_too_far" if isinstance(error, Spent) else "truncated" if error.cut_off else "corrupt_member"
        if not reason:
            self._left -= stored
        if head.isdir() and not self._ended:
            return None
        return Member(path, stored, at, reason, detail, start + stored)

    def _read(self, size: int, keep: bool) -> str:
        """Read the data of a member, and say in words what is missing of it."""
        passed = 0 if keep else self._stream.skip(size)
        while passed < size and keep and (data := self._stream.read(min(CHUNK, size - passed))):
            self._spool.write(data)
            passed += len(data)
        if passed == size:
            self._stream.skip(_padded(size) - size)
        return "" if passed == size else f"{passed:,} of {size:,} bytes"


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _until_nul(data: bytes) -> bytes:
    return data.partition(b"\0")[0]


def _records(data: bytes) -> dict[bytes, bytes] | None:
    """Return what is used of pax's records, each `length key=value` and a line's end; None where they are broken."""
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(data) and data[at]:
        length = data[at : at + 8].partition(b" ")[0]
        end = at + int(length) if length.isdigit() else 0
        record = data[at + len(length) + 1 : end - 1]
        key, equals, value = record.partition(b"=")
        if not equals or not at < end <= len(data) or data[end - 1 : end] != b"\n":
            return None
        if key in USED:
            found[key] = value
        elif key.startswith(b"GNU.sparse."):
            found[b"sparse"] = b"1"
            if key == b"GNU.sparse.name":
                found[b"sparse"] = value
        at = end
    return found


def _reason(head: tarfile.TarInfo, more: dict[bytes, bytes], size: int, max_file_bytes: int) -> tuple[str | None, str | None]:
    if head.issym() or head.islnk():
        target = more.get(b"linkpath", _bytes(head.linkname)).decode("utf-8", "backslashreplace")
        return "symlink" if head.issym() else "hard_link", target
    if not head.isreg() and not head.isdir():
        known = head.ischr() or head.isblk() or head.isfifo()
        return "not_a_regular_file", None if known else f"of type {head.type.decode('latin-1')!r}"
    if head.type == tarfile.GNUTYPE_SPARSE or b"sparse" in more:
        return "sparse_file", "it has holes; pack it without"
    return ("too_large", None) if size >= max_file_bytes else (None, None)
