"""The revisions of a Software Heritage export with their messages and parents, to be looked up by id: a file of SQLite, built once.

An export states no more of a revision than this, and so no id of one can be held against its bytes: what a history leads to is believed.
"""

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from starmill.core import files
from starmill.core.errors import InputError, MachineError
from starmill.pipelines.sources.git.history import MAX_PARENTS, Commit
from starmill.pipelines.sources.git.objects import CorruptObject, MissingObject
from starmill.pipelines.sources.git.refs import HEX
from starmill.pipelines.sources.source import timestamp
from starmill.pipelines.sources.swh.tables import Export

FORMAT = 1  # of the file; another one is built anew
MAX_MESSAGE = 1 << 20  # bytes that are kept of one


class Revisions:
    """The revisions of an export; a context manager. Raises InputError for a file that is none."""

    def __init__(self, place: Path) -> None:
        """Open it to be read."""
        self._place = place
        try:
            self._index = sqlite3.connect(f"{place.absolute().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)
            self._index.execute("select 1 from revisions limit 1")
        except sqlite3.Error as error:
            raise InputError(f"{place}: {error}; remove it, and it is made again") from None

    def __enter__(self) -> "Revisions":
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._index.close()

    def read(self, own: str) -> Commit:
        """Return a revision with its parents by rank. Raises MissingObject, or CorruptObject for one that is no commit of git's."""
        if not HEX.fullmatch(own):
            raise MissingObject(own)
        rows = self._rows("select tree, date, committed, message from revisions where id = ?", own)
        if not rows:
            raise MissingObject(own)
        tree, date, committed, message = rows[0]
        if tree is None:
            raise CorruptObject("a revision without a directory of git's")
        # An export may say a thing twice.
        parents = dict.fromkeys(
            parent.hex() for (parent,) in self._rows("select parent from parents where id = ? order by rank, parent", own)
        )
        return Commit(own, tree.hex(), tuple(parents), _moment(date), _moment(committed), message or b"")

    def _rows(self, query: str, own: str) -> list[tuple[Any, ...]]:
        try:
            return self._index.execute(f"{query} limit {MAX_PARENTS}", [bytes.fromhex(own)]).fetchall()
        except sqlite3.Error as error:
            raise InputError(f"{self._place}: {error}; remove it, and it is made again") from None


def _moment(seconds: int | None) -> datetime | None:
    return None if seconds is None else timestamp(seconds)


def ensure(export: Export, catalog: Path, name: str) -> Path:
    """Return the file of an export's revisions, whose index has this name, built where it is absent. Raises InputError, MachineError."""
    if lacks := [table for table in ("revision", "revision_history") if not export.paths(table)]:
        raise InputError(
            f"{export.url}: an export without its table {lacks[0]!r}, which has the commits; fetch it beside the others"
        )
    place = catalog / f"{name}.revisions-{FORMAT}"
    if place.exists():
        return place
    catalog.mkdir(parents=True, exist_ok=True)
    with files.open_lock(place.with_suffix(".lock")) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            with files.replacing(place) as temporary:
                temporary.unlink(missing_ok=True)
                try:
                    _build(export, temporary)
                except sqlite3.Error as error:
                    raise MachineError(f"{temporary}: {error}; make room, or name another `catalog`") from error
    return place


def _build(export: Export, place: Path) -> None:
    with closing(sqlite3.connect(place)) as index:
        index.executescript("pragma journal_mode = off; pragma synchronous = off; pragma locking_mode = exclusive;")
        index.execute("create table rows (id blob, tree blob, date int, committed int, message blob)")
        index.execute("create table links (id blob, rank int, parent blob)")
        index.executemany("insert into rows values (?, ?, ?, ?, ?)", _revisions(export))
        index.executemany("insert into links values (?, ?, ?)", _parents(export))
        # Sorted once: in the order of their ids rows come from anywhere.
        index.execute(
            "create table revisions (id blob primary key, tree blob, date int, committed int, message blob) without rowid"
        )
        index.execute("insert or ignore into revisions select * from rows order by id, tree, date, committed, message")
        index.execute("create table parents (id blob, rank int, parent blob, primary key (id, rank, parent)) without rowid")
        index.execute("insert or ignore into parents select * from links order by id, rank, parent")
        index.executescript("drop table rows; drop table links;")
        index.commit()


def _revisions(export: Export) -> Iterator[tuple[object, ...]]:
    for block in export.blocks("revision", ["id", "directory", "message"], ["date", "committer_date"]):
        for own, tree, message, date, committed in zip(*(c.to_pylist() for c in block.columns), strict=True):
            if (key := _id(own)) is not None:
                yield key, _id(tree), date, committed, (message or b"")[:MAX_MESSAGE]


def _parents(export: Export) -> Iterator[tuple[object, ...]]:
    for block in export.blocks("revision_history", ["id", "parent_id", "parent_rank"]):
        for own, parent, rank in zip(*(c.to_pylist() for c in block.columns), strict=True):
            if (key := _id(own)) is not None and (above := _id(parent)) is not None:
                yield key, rank or 0, above


def _id(text: bytes | None) -> bytes | None:
    shown = (text or b"").decode("ascii", "replace")
    return bytes.fromhex(shown) if HEX.fullmatch(shown) else None
