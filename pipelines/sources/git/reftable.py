"""References in git's reftables (gitformat-reftable): a stack of sorted tables, of which the newest that names a reference counts.

Only values are looked up; logs, and the indexes beside the references, are not read. Whatever the bytes are, reading ends in an answer or
in CorruptTable, in time linear in them.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from starmill.pipelines.sources.git.objects import inside

NAME = re.compile(r"[\w.-]{1,200}\.ref")
MAX_TABLES = 1000  # in a stack; git itself keeps their number logarithmic
MAX_BYTES = 1 << 30  # of a table
MAX_LIST = 1 << 18  # bytes of the list of tables
MAX_NAME = 1 << 12  # bytes of a reference; each record repeats the start of the one before without writing it
NOWHERE = "refs/heads/.invalid"  # where the file HEAD of such a repository leads
DELETED, VALUE, PEELED, SYMBOLIC = range(4)  # the types of a record's value
SHA256_TABLE = b"s256"


class CorruptTable(ValueError):
    """A table or a list of tables that no git writes, or that has ids other than SHA-1."""


class Record(NamedTuple):
    """What a table says of a reference: `said` is an id in hexadecimal digits, `ref: NAME`, or nothing for one that was deleted."""

    name: bytes
    said: str


def lookup(folder: Path, name: str, root: Path) -> str:
    """Return what the tables in a folder say of a reference, as its file would: an id, `ref: NAME`, or nothing.

    Raises CorruptTable, or OSError.
    """
    wanted = name.encode("utf-8", "surrogateescape")
    for table in reversed(_tables(folder, root)):
        for record in records(table.read_bytes()):
            if record.name == wanted:
                return record.said
            if record.name > wanted:
                break
    return ""


def _tables(folder: Path, root: Path) -> list[Path]:
    listed = _file(folder / "tables.list", root, MAX_LIST)
    names = listed.read_text("ascii", "replace").splitlines() if listed else []
    if len(names) > MAX_TABLES or not all(NAME.fullmatch(name) for name in names):
        raise CorruptTable("reftable/tables.list names no tables")
    found = [_file(folder / name, root, MAX_BYTES) for name in names]
    if None in found:
        raise CorruptTable(f"reftable/{names[found.index(None)]} is not there, too large, or leads out of the input")
    return [path for path in found if path]


def _file(path: Path, root: Path, most: int) -> Path | None:
    real = inside(path, root)
    return real if real and real.is_file() and real.stat().st_size <= most else None


def records(data: bytes) -> Iterator[Record]:
    """Yield what a table says, in its order. Raises CorruptTable."""
    if data[:4] != b"REFT" or data[4:5] not in (b"\1", b"\2"):
        raise CorruptTable("no reftable of version 1 or 2")
    version = data[4]
    if version == 2 and data[24:28] == SHA256_TABLE:
        raise CorruptTable("a reftable of SHA-256 ids")
    block_bytes, at = int.from_bytes(data[5:8]), 0
    header, footer = (24, 68) if version == 1 else (28, 72)
    end = len(data) - footer
    while at < end:
        start = at if at else header
        if data[start : start + 1] != b"r":  # references come first
            return
        size = int.from_bytes(data[start + 1 : start + 4])
        count = int.from_bytes(data[at + size - 2 : at + size])
        records_end = at + size - 2 - 3 * count
        if not start + 4 <= records_end <= at + size <= end:
            raise CorruptTable("a block that leads out of its table")
        yield from _block(data, start + 4, records_end)
        at += size
        if block_bytes > size and data[at : at + 1] in (b"\0", b""):  # it is padded; else the next one follows at once
            at += block_bytes - size


def _block(data: bytes, at: int, end: int) -> Iterator[Record]:
    name = b""
    while at < end:
        shared, at = _varint(data, at, end)
        coded, at = _varint(data, at, end)
        length, kind = coded >> 3, coded & 7
        if shared > len(name) or at + length > end or shared + length > MAX_NAME or kind > SYMBOLIC:
            raise CorruptTable("a record that leads out of its block")
        name, at = name[:shared] + data[at : at + length], at + length
        _, at = _varint(data, at, end)  # when it was written
        said = ""
        if kind == SYMBOLIC:
            length, at = _varint(data, at, end)
            said, at = f"ref: {data[at : at + length].decode('utf-8', 'surrogateescape')}", at + length
        elif kind != DELETED:
            said, at = data[at : at + 20].hex(), at + 20 * kind
        if at > end:
            raise CorruptTable("a record that leads out of its block")
        yield Record(name, said)


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    value, limit = -1, min(end, at + 10)
    while at < limit:
        value, at = ((value + 1) << 7) | (data[at] & 0x7F), at + 1
        if data[at - 1] < 0x80:
            return value, at
    raise CorruptTable("a number that does not end")
