"""Hours of GHArchive that `starmill threads` sorted on any number of machines, as a source reads them: bucket by bucket.

A bucket is what falls to one number of the checksums of the repositories' ids. Each part of days has it in row groups of its own, sorted by
repository, thread, time and id; a reader merges those of all parts, and holds one row group of each. The footer of a file says of its
buckets, in order, how many row groups end with each, as the value of the key ENDS.
"""

import heapq
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from starmill.core import recipe
from starmill.core.dataset import Manifest, Workspace, at_once, part_path
from starmill.core.errors import InputError, MachineError, one_line
from starmill.pipelines.sources.gharchive.events import EVENT as DECODER
from starmill.pipelines.sources.gharchive.reading import Hour, Problem
from starmill.pipelines.sources.gharchive.threads import Said

MADE = "threads.json"
AGAIN = "run `starmill threads` with the same recipe"
SLAB = 64  # buckets of a file: its footer, which is read with each of them, has some 500 bytes a row group
ENDS = "starmill.ends"
ROWS = 256  # that are Python's at once, of each part
EVENT = pa.schema(
    [
        ("repo", pa.string()),  # its id, or its name where no id is known
        ("thread", pa.string()),  # issues/17 or pull/17
        ("time", pa.string()),  # UTC, 2015-01-01T00:00:06Z
        ("id", pa.large_string()),
        ("data", pa.large_binary()),  # gharchive_events.Event, as MessagePack
    ]
)
HOURS = pa.schema([("hour", pa.string()), ("bytes", pa.int64()), ("problems", pa.int64()), ("digest", pa.string())])
LOST = pa.schema(
    [
        ("hour", pa.string()),
        ("line", pa.int64()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("size", pa.int64()),
    ]
)
TEXTS = ("repo", "name", "last", "branch", "license", "created", "language")
KNOWN = pa.schema(
    [*((name, pa.string()) for name in TEXTS), *((name, pa.int64()) for name in ("bytes", "rows", "stars", "forks"))]
)


@dataclass(frozen=True)
class Known:
    """What all events say of a repository; `name` is unique. `rows` and `bytes` are those of its events."""

    repo: str
    name: str
    last: str
    branch: str | None
    license: str | None
    created: str | None
    language: str | None
    bytes: int
    rows: int
    stars: int
    forks: int


@dataclass(frozen=True)
class Made:
    """What `threads.json` says of a sort: the state of its hours, its buckets and parts, and a digest of all of it, none before the end."""

    state: str
    buckets: int
    parts: int
    digest: str


def state_of(hours: Sequence[Hour]) -> str:
    """Return what changes when an hour does, or comes or goes."""
    return recipe.digest(sorted(hours))


def bucket_of(repo: str, buckets: int) -> int:
    """Return the bucket of a repository, of a power of two.

    >>> [bucket_of(str(n), 4) for n in range(6)]
    [1, 3, 1, 3, 0, 2]
    """
    return zlib.crc32(repo.encode()) & buckets - 1


def slab(number: int) -> str:
    """Return the folder of the files of so many buckets.

    >>> slab(3)
    'events-003'
    """
    return f"events-{number:03}"


def opened(url: str) -> "Sorted":
    """Return what was sorted into a folder or URL. Raises InputError where nothing is finished there."""
    workspace = Workspace(url)
    made = workspace.load(MADE, Made)
    if made is None or not made.digest:
        raise InputError(f"{url}: no sort of hours is finished there; {AGAIN}")
    return Sorted(workspace, made)


@dataclass(frozen=True)
class Sorted:
    """Sorted hours."""

    workspace: Workspace
    made: Made

    def check(self, hours: Sequence[Hour]) -> None:
        """Raise InputError where these are not the hours that were sorted, MachineError where a file is absent or cut off."""
        if self.made.state != state_of(hours):
            raise InputError(f"{self.workspace.url}: this is the sort of other hours than those that are there now; {AGAIN}")
        for dataset in ("days", "repositories"):
            for _, output in self.workspace.torn(self._manifest(dataset).parts):
                raise MachineError(f"{self.workspace.path(output.path)}: absent or cut off; {AGAIN}")

    def buckets(self) -> Iterator[tuple[int, int]]:
        """Yield each bucket that has a repository, and the bytes of its events."""
        paths = [part_path("repositories", bucket) for bucket in range(self.made.buckets)]
        for bucket, table in enumerate(at_once(lambda path: self.workspace.table(path, ["bytes"]), paths)):
            if table.num_rows:
                yield bucket, sum(table.column("bytes").to_pylist())

    def damaged_hours(self) -> Iterator[tuple[str, int, int, str]]:
        """Yield the hours that lost something: name, part, bytes, and a digest of what is lost."""
        paths = [part_path("hours", part) for part in range(self.made.parts)]
        for part, table in enumerate(at_once(self.workspace.table, paths)):
            for row in table.to_pylist():
                if row["problems"]:
                    yield row["hour"], part, row["bytes"], row["digest"]

    def problems(self, hour: str, part: int) -> Iterator[Problem]:
        """Yield what an hour lost, by line. Raises MachineError."""
        with _told(self.workspace, part_path("lost", part)):
            for block in self.workspace.blocks(part_path("lost", part)):
                yield from (Problem(*(row[n] for n in Problem._fields)) for row in block.to_pylist() if row["hour"] == hour)

    def repositories(self, bucket: int) -> Iterator[Known]:
        """Yield the repositories of a bucket, by their ids. Raises MachineError."""
        with _told(self.workspace, part_path("repositories", bucket)):
            for block in self.workspace.blocks(part_path("repositories", bucket)):
                yield from (Known(**row) for row in block.to_pylist())

    def threads(self, bucket: int) -> Iterator[tuple[str, str, Iterator[Said]]]:
        """Yield the threads of a bucket, each with its repository's id and its events in the order of time.

        An event that several hours have, or one hour twice, comes once: the fullest. Raises MachineError.
        """
        for (repo, thread), some in groupby(self._merged(bucket, EVENT.names), key=lambda row: row[:2]):
            yield (
                repo,
                thread,
                (
                    Said(time, own, DECODER.decode(next(same)[5]))
                    for (time, own), same in groupby(some, key=lambda row: row[2:4])
                ),
            )

    def names(self, bucket: int) -> Iterator[tuple[str, str]]:
        """Yield each repository's id with the name of each of its threads, and read no text."""
        for found, _ in groupby(self._merged(bucket, ["repo", "thread"])):
            yield found[0], found[1]

    def _merged(self, bucket: int, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        paths = [part_path(slab(bucket // SLAB), part) for part in range(self.made.parts)]
        begun = at_once(lambda path: _group(self.workspace, path, bucket % SLAB, 0, columns), paths)
        streams = [
            _rows(self.workspace, path, bucket % SLAB, first, many, columns)
            for path, (first, many) in zip(paths, begun, strict=True)
            if first is not None
        ]
        return heapq.merge(*streams)

    def _manifest(self, dataset: str) -> Manifest:
        manifest = self.workspace.manifest(dataset)
        if manifest is None:
            raise InputError(f"{self.workspace.url}: {dataset} is not complete; {AGAIN}")
        return manifest


def _rows(
    workspace: Workspace, path: str, at: int, first: pa.Table, many: int, columns: Sequence[str]
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a bucket in one part as tuples that sort as they lie, the fullest of equal events first."""
    table: pa.Table | None = first
    del first  # which is not held until the last one
    for number in range(many):
        if number:
            table, _ = _group(workspace, path, at, number, columns)
        for block in table.to_batches(ROWS):  # type: ignore[union-attr]
            values = [column.to_pylist() for column in block.columns]
            if len(values) == len(EVENT):
                yield from zip(*values[:4], (-len(data) for data in values[4]), values[4], strict=True)
            else:
                yield from zip(*values, strict=True)
        table = None


def _group(workspace: Workspace, path: str, at: int, number: int, columns: Sequence[str]) -> tuple[pa.Table | None, int]:
    """Return a row group of a bucket, by its place in the file, and how many the bucket has. No file stays open."""
    with _told(workspace, path), workspace.open(path) as file:
        parquet = pq.ParquetFile(file, pre_buffer=not workspace.is_local, page_checksum_verification=True)
        ends = json.loads(parquet.metadata.metadata[ENDS.encode()])
        start, end = ends[at - 1] if at else 0, ends[at]
        if start + number >= end:
            return None, 0
        return parquet.read_row_group(start + number, columns=list(columns), use_threads=False), end - start


class _told:
    """Names the file of an error that damage explains."""

    def __init__(self, workspace: Workspace, path: str) -> None:
        self._workspace, self._path = workspace, path

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        damage = (pa.ArrowException, OSError, KeyError, ValueError, IndexError, TypeError)
        if isinstance(error, damage) and not isinstance(error, MachineError):
            raise MachineError(f"{self._workspace.path(self._path)}: {one_line(error)}; {AGAIN}") from error
