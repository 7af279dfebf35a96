"""Events of many hours sorted by repository, thread and time: a file of SQLite, which is a sort through storage in bounded memory.

An hour is taken in whole or not at all, and once: an interrupted run goes on behind the last one. In which order hours come does not
show in what is read. Two runs may use one index at the same time; readers never write.
"""

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from starmill.core.errors import InputError, MachineError, one_line
from starmill.pipelines.sources.gharchive import events as gharchive_events
from starmill.pipelines.sources.gharchive import feed
from starmill.pipelines.sources.gharchive import hours as gharchive_hours
from starmill.pipelines.sources.gharchive import reading as gharchive_reading
from starmill.pipelines.sources.gharchive.events import EVENT, Row
from starmill.pipelines.sources.gharchive.hours import Cut, File
from starmill.pipelines.sources.gharchive.reading import Hour, Problem
from starmill.pipelines.sources.gharchive.threads import Said
from starmill.pipelines.sources.source import Entry

TABLES = """
CREATE TABLE made (by TEXT);
CREATE TABLE hours (hour INTEGER PRIMARY KEY, name TEXT UNIQUE, state TEXT, bytes INTEGER, problems TEXT);
CREATE TABLE problems (hour INTEGER, line INTEGER, reason TEXT, detail TEXT, size INTEGER);
CREATE TABLE events (repo TEXT, thread TEXT, time TEXT, id TEXT, hour INTEGER, data BLOB, PRIMARY KEY (repo, thread, time, id, hour))
  WITHOUT ROWID;
CREATE TABLE repos (repo TEXT, hour INTEGER, batch INTEGER, name TEXT, last TEXT, threads INTEGER, bytes INTEGER, digest TEXT,
  PRIMARY KEY (repo, hour, batch)) WITHOUT ROWID;
"""
# Of an event that an hour has twice, the longest data, and of equal ones the first by their bytes: as between hours.
FULLEST = """
INSERT INTO events VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET data=excluded.data
  WHERE length(excluded.data) > length(data) OR (length(excluded.data) = length(data) AND excluded.data < data)
"""
APPLICATION = 0x73746D6C  # SQLite's mark of whose a file is: a database of another program is left alone
BATCH_ROWS, BATCH_BYTES = 50_000, 64 << 20  # that are sorted in memory
PATIENCE = 600.0  # seconds in which another run may write
# Errors of SQLite that a damaged file explains; any other is the machine's.
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)


class Found(NamedTuple):
    """A repository, or an hour that lost something, as the index has it."""

    key: str
    name: str
    last: str  # the time of its newest event
    bytes: int
    digest: str


@contextmanager
def opened(place: str, write: bool = False) -> Iterator[sqlite3.Connection]:
    """Open an index. Raises FileNotFoundError, InputError for a damaged one, MachineError for trouble of the machine."""
    file = Path(place).absolute()
    if file.is_dir():
        raise InputError(f"{place}: a folder; name a file as the index, which is made where it is missing")
    if not write and not file.is_file():
        raise FileNotFoundError(place)
    try:
        uri = f"{file.as_uri()}?mode={'rwc' if write else 'ro'}"
        with closing(sqlite3.connect(uri, uri=True, timeout=PATIENCE, isolation_level=None)) as index:
            yield index
    except sqlite3.Error as error:
        if not isinstance(error, sqlite3.OperationalError) and getattr(error, "sqlite_errorcode", 0) in DAMAGED:
            fix = "name another file as the index, or remove this one if it was one: it is made again from the dump"
            raise InputError(f"{place}: {one_line(error)}; {fix}") from error
        raise MachineError(f"{place}: {one_line(error)}; see to its disk, then run again") from error


def check(name: str, place: str, dumps: str, is_file: bool = True) -> None:
    """Raise ValueError for an option of this name whose place is a URL, where it must be a file, or lies among the dumps."""
    if is_file and "://" in place:
        raise ValueError(f"{name}={place}: must be a file of this machine")
    if "://" not in dumps + place and os.path.abspath(place).startswith(os.path.join(os.path.abspath(dumps), "")):
        raise ValueError(f"{name}={place}: must not lie in {dumps}, where it would be read as one of the dumps")


def without(error: Exception, kind: str) -> Entry:
    """Return what is read of an index that could not be opened, of which `error` is why: a row with a reason."""
    reason = "missing_index" if isinstance(error, FileNotFoundError) else "unreadable_index"
    return Entry(b"", None, reason, str(error), kind=kind)


def made_by() -> str:
    """Return the digest of the code that makes rows: an index of other code is made again."""
    files = (gharchive_events.__file__, feed.__file__, gharchive_hours.__file__, gharchive_reading.__file__, __file__)
    return hashlib.sha256(b"".join(Path(file).read_bytes() for file in files)).hexdigest()


def claim(index: sqlite3.Connection, by: str, statements: str) -> None:
    """Make the tables where they are missing or of other code (`by`), in a transaction that stays open. Raises InputError for others'."""
    index.execute("PRAGMA synchronous=NORMAL")
    index.execute("BEGIN IMMEDIATE")
    tables = [name for (name,) in index.execute("SELECT name FROM sqlite_master WHERE type='table'")]
    if tables and index.execute("PRAGMA application_id").fetchone() != (APPLICATION,):
        place = index.execute("PRAGMA database_list").fetchone()[2]
        raise InputError(
            f"{place}: a database of another program, with a table {tables[0]!r:.100}; name another file as the index"
        )
    known = index.execute("SELECT by FROM made").fetchone() if "made" in tables else None
    if known != (by,):
        for name in tables:
            index.execute(f'DROP TABLE "{name}"')
        index.execute(f"PRAGMA application_id={APPLICATION}")
        for statement in statements.split(";"):
            index.execute(statement)
        index.execute("INSERT INTO made VALUES (?)", (by,))


def prepare(index: sqlite3.Connection, hours: Iterable[Hour]) -> list[Hour]:
    """Make the tables where they are missing or of other code, forget hours that have gone; return those that are to be read.

    Raises InputError for a database of another program.
    """
    claim(index, made_by(), TABLES)
    wanted = set(hours)
    have = {Hour(name, state): hour for hour, name, state in index.execute("SELECT hour, name, state FROM hours")}
    for hour in [number for found, number in have.items() if found not in wanted]:
        for table in ("hours", "problems", "events", "repos"):
            index.execute(f"DELETE FROM {table} WHERE hour=?", (hour,))
    index.execute("COMMIT")
    return sorted(wanted - have.keys())


def take(index: sqlite3.Connection, hour: Hour, files: "Iterator[File]", max_bytes: int) -> None:
    """Take an hour in; `files` opens it anew for each look."""
    members: int | None = None
    cut: Problem | None = None
    while True:
        index.execute("BEGIN IMMEDIATE")
        if index.execute("SELECT 1 FROM hours WHERE name=?", (hour.name,)).fetchone():  # another run was faster
            index.execute("COMMIT")
            return
        number = index.execute("INSERT INTO hours (name, state) VALUES (?, ?)", hour).lastrowid
        assert number is not None
        try:
            _insert(index, number, next(files), members, max_bytes, cut)
        except Cut as error:
            index.execute("ROLLBACK")
            members, cut = error.whole, gharchive_reading.cut(error)
        except BaseException:
            index.execute("ROLLBACK")
            raise
        else:
            index.execute("COMMIT")
            return


def _insert(index: sqlite3.Connection, hour: int, file: File, members: int | None, max_bytes: int, cut: Problem | None) -> None:
    rows: list[Row] = []
    problems = [cut] if cut else []
    held = total = batch = 0
    said = hashlib.sha256()

    def flush() -> None:
        nonlocal held, batch
        _store(index, hour, batch, rows)
        index.executemany("INSERT INTO problems VALUES (?, ?, ?, ?, ?)", [(hour, *problem) for problem in problems])
        for problem in problems:
            said.update(repr(problem).encode())
        batch, held = batch + 1, 0
        rows.clear()
        problems.clear()

    for found, lost, size in gharchive_reading.found(file, members, max_bytes):
        total += size
        if found:
            rows += found
            held += sum(len(row.data) for row in found)
        if lost:
            problems += lost
        if held > BATCH_BYTES or len(rows) > BATCH_ROWS or len(problems) > BATCH_ROWS:
            flush()
    flush()
    some = index.execute("SELECT 1 FROM problems WHERE hour=?", (hour,)).fetchone()
    index.execute("UPDATE hours SET bytes=?, problems=? WHERE hour=?", (total, said.hexdigest() if some else "", hour))


def _store(index: sqlite3.Connection, hour: int, batch: int, rows: list[Row]) -> None:
    """Write rows, and what they say of each repository: a sum of digests does not depend on the order of the lines."""
    rows.sort()
    index.executemany(
        FULLEST,
        [(r.repo, r.thread, r.time, r.id, hour, r.data) for r in rows],
    )
    sums = []
    for repo, some in groupby(rows, key=lambda r: r.repo):
        of = list(some)
        digest = sum(int.from_bytes(hashlib.sha256(repr(row).encode()).digest()) for row in of) % (1 << 256)
        last, name = max((row.time, row.name) for row in of)
        threads, size = sum(1 for row in of if row.thread), sum(len(row.data) for row in of)
        sums.append((repo, hour, batch, name, last, threads, size, f"{digest:064x}"))
    index.executemany("INSERT INTO repos VALUES (?, ?, ?, ?, ?, ?, ?, ?)", sums)


def repositories(index: sqlite3.Connection, key: str | None = None) -> Iterator[Found]:
    """Yield the repositories that have issues or pull requests, or the one with this key, by their keys."""
    where, values = ("WHERE repo=?", (key,)) if key is not None else ("", ())
    rows = index.execute(f"SELECT repo, name, last, threads, bytes, digest FROM repos {where} ORDER BY repo", values)
    for repo, some in groupby(rows, key=lambda row: row[0]):
        of = list(some)
        last, name = max((row[2], row[1]) for row in of)
        if any(row[3] for row in of):
            digest = hashlib.sha256(repr(sorted(row[5] for row in of)).encode()).hexdigest()
            yield Found(repo, name, last, sum(row[4] for row in of), digest)


def damaged_hours(index: sqlite3.Connection, name: str | None = None) -> Iterator[Found]:
    """Yield the hours that lost something, or the one of this name, by name."""
    where, values = ("AND name=?", (name,)) if name is not None else ("", ())
    rows = index.execute(f"SELECT hour, name, bytes, problems FROM hours WHERE problems != '' {where} ORDER BY name", values)
    for hour, found, size, digest in rows:
        yield Found(str(hour), found, "", size, digest)


def problems(index: sqlite3.Connection, name: str) -> Iterator[Problem]:
    """Yield what an hour lost, by line."""
    rows = index.execute(
        "SELECT line, reason, detail, size FROM problems WHERE hour=(SELECT hour FROM hours WHERE name=?) ORDER BY line, reason, detail",
        (name,),
    )
    yield from map(Problem._make, rows)


def threads(index: sqlite3.Connection, repo: str) -> Iterator[tuple[str, Iterator[Said]]]:
    """Yield each thread of a repository, by name, with its events in the order of time; those of no thread come first, as thread ''.

    An event that several hours have, or one hour twice, comes once: the fullest.
    """
    rows = index.execute(
        "SELECT thread, time, id, data FROM events WHERE repo=? ORDER BY thread, time, id, length(data) DESC, data", (repo,)
    )
    for thread, some in groupby(rows, key=lambda row: row[0]):
        yield (
            thread,
            (
                Said(time, own, EVENT.decode(next(same)[3]))
                for (time, own), same in groupby(some, key=lambda row: (row[1], row[2]))
            ),
        )


def count(index: sqlite3.Connection, repo: str, begins: str = "") -> int:
    """Return how many issues and pull requests a repository has, or of its threads those whose names begin so."""
    named = "SELECT count(DISTINCT thread) FROM events WHERE repo=? AND thread!='' AND substr(thread, 1, ?)=?"
    [(found,)] = index.execute(named, (repo, len(begins), begins))
    return int(found)
