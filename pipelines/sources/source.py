"""What every source speaks in: repositories to plan with, and entries, one for each file found, readable or not."""

import os
import stat
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starmill.core.errors import of_a_file

DIRECTION_MARKS = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True)
class Repository:
    """One repository of a plan. `fingerprint` changes when its content does; `size_bytes` is what parts are packed by."""

    kind: str
    name: str
    location: str
    size_bytes: int
    fingerprint: str
    detail: str = ""


@dataclass(frozen=True)
class Entry:
    """One file. `data` is its bytes, or None with the `reason` why it was not read."""

    path: str
    data: bytes | None
    size: int
    reason: str | None = None
    detail: str | None = None


@dataclass(frozen=True)
class Snapshot:
    """What is known of a repository as a whole; ids are git's, dates may be unknown."""

    directory_id: str | None = None
    revision_id: str | None = None
    branch_name: str | None = None
    revision_date: datetime | None = None
    committer_date: datetime | None = None

    def columns(self) -> dict[str, Any]:
        """Return the repository's columns of schema.RECORDS."""
        return dict(vars(self))


def label(path: bytes) -> tuple[str, str | None]:
    """Return (printable path starting with "/", hostile_path or None) of a path as found in a dump.

    Paths are only ever labels, never opened for writing; still, none that could trick a reader is kept: control characters, marks
    that turn the direction of writing, names that are not UTF-8, "..", "." and ".git".
    """
    text = path.decode("utf-8", "backslashreplace")
    shown = text if text.isascii() and text.isprintable() else "".join(map(_printable, text))
    hostile = shown.encode() != path or any(p in {b"", b".", b".."} or p.lower() == b".git" for p in path.split(b"/"))
    return "/" + shown, "hostile_path" if hostile else None


def _printable(character: str) -> str:
    tricky = unicodedata.category(character) in {"Cc", "Zl", "Zp"} or character in DIRECTION_MARKS
    return character.encode("unicode_escape").decode() if tricky else character


def state_of(path: str | bytes | os.PathLike[str]) -> tuple[object, int]:
    """Return what changes when a file does, for a fingerprint, and the bytes of a regular file (0 of any other).

    The time of change (ctime) is the kernel's own: no tool can put it back, as archives and `touch` do with that of modification,
    and it tells a file that has become readable. Copies of a tree differ in it. That is the cheaper mistake: a copy is read once
    more, gives the same bytes, and so makes nothing anew after ingest; digests would read the whole dump before each run.
    Raises MachineError where the path cannot be looked at and that is no property of it.
    """
    try:
        info = os.lstat(path)
    except OSError as error:
        return of_a_file(error, path), 0
    return (info.st_size, info.st_mtime_ns, info.st_ctime_ns), info.st_size if stat.S_ISREG(info.st_mode) else 0


def timestamp(seconds: int) -> datetime | None:
    """Return the moment, or None where a 64-bit count of nanoseconds cannot hold it."""
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None) if abs(seconds) < 9_000_000_000 else None
