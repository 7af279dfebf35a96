"""A part of days: its hours are read once, and become rows sorted by bucket, repository, thread, time and id, in row groups of one bucket.

Rows wait in memory up to SPILL_BYTES, and beyond that, sorted, in a file without a name in TMPDIR; the rows of one bucket come together
again when it is written. What no thread has, stars, forks and facts of repositories, lies apart from the texts.
"""

import hashlib
import json
import os
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from starmill.core.dataset import Count, Output, ParquetPart, Sidecar, Workspace, output, part_path
from starmill.core.part import PartRef
from starmill.core.storage import Storage
from starmill.pipelines.sources.gharchive import reading
from starmill.pipelines.sources.gharchive.events import Row
from starmill.pipelines.sources.gharchive.hours import Cut
from starmill.pipelines.sources.gharchive.reading import Problem
from starmill.pipelines.sources.gharchive.sorted import ENDS, EVENT, HOURS, LOST, SLAB, bucket_of, slab
from starmill.transforms.beam import block_from_ipc, pack

NAME, DATASET = "threads", "days"
SPILL_BYTES, SPILL_ROWS = 256 << 20, 500_000  # that wait in memory; a row takes some 600 bytes beside its data
GROUP_BYTES, GROUP_ROWS = 1 << 20, 8192  # of a row group: of each part, whoever reads a bucket holds one
TOLD = 50_000  # problems of an hour that wait as they are
FACT = pa.schema([("repo", pa.string()), ("time", pa.string()), ("id", pa.large_string()), ("data", pa.large_binary())])
SEEN = pa.schema(
    [("repo", pa.string()), ("last", pa.string()), ("name", pa.string()), ("threads", pa.int64()), ("bytes", pa.int64())]
)
# Bucket, repository, thread, time, id, the length of the data below zero, the data, and the name that the repository had.
Key = tuple[int, str, str, str, str, int, bytes, str]
WAITING = pa.schema([*EVENT, ("name", pa.string())])


@dataclass(frozen=True)
class Days:
    """The work on a part, whose plan is a list of files."""

    workspace: Workspace
    hours: str
    buckets: int
    max_hour_bytes: int

    def __call__(self, ref: PartRef) -> Sidecar:
        """Read the hours, and publish what is in them. Raises OSError."""
        storage, waiting, told = Storage(self.hours), Waiting(self.buckets), Told()
        outputs = list[Output]()
        with waiting:
            for file in json.loads(ref.plan):
                size, problems = self._hour(storage, file, waiting)
                told.hour(quote(os.fsencode(file)), size, problems)
            for folder, data, rows in chain(_written(waiting, self.buckets), told.files()):
                # Each as soon as it is there: a week of hours is gigabytes, and without its sidecar no part.
                outputs.append(output(part_path(folder, ref.part), data, rows))
                self.workspace.publish(outputs[-1].path, data)
        counts = (Count("read", "", "", waiting.rows, waiting.bytes), *told.counts())
        sidecar = Sidecar(NAME, DATASET, ref.part, ref.key, tuple(outputs), counts)
        self.workspace.publish_sidecar(sidecar)
        return sidecar

    def _hour(self, storage: Storage, file: str, waiting: "Waiting") -> tuple[int, "Problems"]:
        """Return the bytes of an hour, and what is lost of it; its rows wait."""
        members: int | None = None
        cut: list[Problem] = []
        with reading.Looks(storage, file) as looks:
            while True:
                total, problems = 0, Problems(cut)
                try:
                    for rows, lost, size in reading.found(next(looks), members, self.max_hour_bytes):
                        total += size
                        if rows:
                            waiting.add(rows)
                        if lost:
                            problems.add(lost)
                except Cut as error:
                    waiting.forget()
                    members, cut = error.whole, [reading.cut(error)]
                else:
                    waiting.keep()
                    return total, problems


class Problems:
    """What is lost of an hour, by line."""

    def __init__(self, whole: Sequence[Problem]) -> None:
        """Begin with what is lost beside lines."""
        self._whole, self._held, self._packed = [*whole], list[Problem](), list[bytes]()

    def add(self, lost: Sequence[Problem]) -> None:
        """Take what is lost of a line; line 0 is the hour."""
        if lost[0].line == 0:
            self._whole += lost
        else:
            self._held += sorted(lost)
        if len(self._held) > TOLD:
            self._packed.append(pack(self._block(self._held)))
            self._held = []

    def blocks(self) -> Iterator[pa.RecordBatch]:
        """Yield LOST rows without the hour."""
        yield self._block(sorted(self._whole))
        yield from map(block_from_ipc, self._packed)
        yield self._block(self._held)

    @staticmethod
    def _block(rows: Sequence[Problem]) -> pa.RecordBatch:
        return pa.RecordBatch.from_pylist([row._asdict() for row in rows], pa.schema([*LOST][1:]))


@dataclass
class Told:
    """What is said of the hours of a part."""

    hours: list[dict[str, Any]] = field(default_factory=list)
    lost: ParquetPart = field(default_factory=lambda: ParquetPart(LOST))
    reasons: Counter[str] = field(default_factory=Counter)
    sizes: Counter[str] = field(default_factory=Counter)

    def hour(self, name: str, size: int, problems: Problems) -> None:
        """Write down an hour."""
        digest, count = hashlib.sha256(), 0
        for block in problems.blocks():
            named = pa.RecordBatch.from_arrays([pa.array([name] * block.num_rows, pa.string()), *block.columns], schema=LOST)
            self.lost.write(named)
            for row in block.to_pylist():
                digest.update(repr(row).encode())
                self.reasons[row["reason"]] += 1
                self.sizes[row["reason"]] += row["size"]
            count += block.num_rows
        self.hours.append({"hour": name, "bytes": size, "problems": count, "digest": digest.hexdigest() if count else ""})

    def files(self) -> "Files":
        """Yield the files with their folders."""
        part = ParquetPart(HOURS)
        part.write(pa.RecordBatch.from_pylist(self.hours, HOURS))
        yield "hours", part.close(), part.rows
        yield "lost", self.lost.close(), self.lost.rows

    def counts(self) -> Iterator[Count]:
        """Yield what was lost, by reason."""
        for reason in sorted(self.reasons):
            yield Count("read", reason, "", self.reasons[reason], self.sizes[reason])


Files = Iterator[tuple[str, pa.Buffer, int]]  # each with its folder and its rows


class Waiting:
    """Rows that wait until all of their part are read; those of the present hour may still be forgotten. Use as a context manager."""

    def __init__(self, buckets: int) -> None:
        """Begin with none."""
        self.rows = self.bytes = 0
        self._buckets = buckets
        self._kept, self._fresh = list[Key](), list[Key]()
        self._kept_bytes = self._fresh_bytes = 0
        self._end = self._spilled_now = 0  # of the file, and of it what is of whole hours
        self._slices: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self._slices_now: list[tuple[int, int, int]] = []
        self._counted = [0, 0]
        self._file: Any = None

    def __enter__(self) -> "Waiting":
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give the file back."""
        if self._file is not None:
            self._file.close()

    def add(self, rows: Iterable[Row]) -> None:
        """Take rows of the present hour."""
        for repo, thread, time, own, name, data in rows:
            place = bucket_of(repo, self._buckets)
            self._fresh.append((place, repo, thread, time, own, -len(data), data, name))
            self._fresh_bytes += len(data)
        if self._fresh_bytes > SPILL_BYTES or len(self._fresh) > SPILL_ROWS:
            self._slices_now += self._spill(self._fresh)
            self._counted[0] += len(self._fresh)
            self._counted[1] += self._fresh_bytes
            self._fresh, self._fresh_bytes = [], 0

    def forget(self) -> None:
        """Forget the rows of the present hour."""
        self._fresh, self._fresh_bytes, self._slices_now, self._counted = [], 0, [], [0, 0]

    def keep(self) -> None:
        """Keep the rows of the present hour, and begin the next."""
        self.rows += len(self._fresh) + self._counted[0]
        self.bytes += self._fresh_bytes + self._counted[1]
        self._kept += self._fresh
        self._kept_bytes += self._fresh_bytes
        for place, start, size in self._slices_now:
            self._slices[place].append((start, size))
        self.forget()
        if self._kept_bytes > SPILL_BYTES or len(self._kept) > SPILL_ROWS:
            for place, start, size in self._spill(self._kept):
                self._slices[place].append((start, size))
            self._kept, self._kept_bytes = [], 0

    def buckets(self) -> Iterator[tuple[int, list[Key]]]:
        """Yield the rows of each bucket that has some, sorted."""
        self._kept.sort()
        held = {place: [*rows] for place, rows in groupby(self._kept, key=lambda row: row[0])}
        self._kept = []
        for place in sorted({*held, *self._slices}):
            rows = held.pop(place, [])
            if place in self._slices:
                for start, size in self._slices.pop(place):
                    rows += self._read(place, start, size)
                rows.sort()
            yield place, rows

    def _spill(self, rows: list[Key]) -> list[tuple[int, int, int]]:
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115  # closed with this
        rows.sort()
        made = []
        for place, some in groupby(rows, key=lambda row: row[0]):
            _, repo, thread, time, own, _, data, name = zip(*some, strict=True)
            columns = (repo, thread, time, own, data, name)
            arrays = [pa.array(values, f.type) for values, f in zip(columns, WAITING, strict=True)]
            packed = pack(pa.RecordBatch.from_arrays(arrays, schema=WAITING))
            made.append((place, self._end, len(packed)))
            self._file.write(packed)
            self._end += len(packed)
        return made

    def _read(self, place: int, start: int, size: int) -> Iterator[Key]:
        self._file.flush()
        block = block_from_ipc(os.pread(self._file.fileno(), size, start))
        for repo, thread, time, own, data, name in zip(*(c.to_pylist() for c in block.columns), strict=True):
            yield place, repo, thread, time, own, -len(data), data, name


class _Slab:
    """The file of SLAB buckets: row groups of one bucket each, and in its footer how many row groups end with each bucket."""

    def __init__(self) -> None:
        self.rows = self._groups = 0
        self._ends = list[int]()
        self._sink = pa.BufferOutputStream()
        # Statistics would be most of a footer that is read for each bucket; a page has a checksum, for a reader believes it.
        options = {"use_dictionary": ["repo", "thread"], "write_statistics": False, "write_page_checksum": True}
        self._writer = pq.ParquetWriter(self._sink, EVENT, compression="zstd", compression_level=3, **options)

    def write(self, at: int, rows: Iterable[Key]) -> None:
        """Write the rows of the bucket at this place in the slab."""
        self._ends += [self._groups] * (at - len(self._ends))
        for group in _groups(rows):
            _, repo, thread, time, own, _, data, _ = zip(*group, strict=True)
            columns = zip((repo, thread, time, own, data), EVENT, strict=True)
            block = pa.RecordBatch.from_arrays([pa.array(values, f.type) for values, f in columns], schema=EVENT)
            self._writer.write_batch(block, row_group_size=block.num_rows)
            self._groups, self.rows = self._groups + 1, self.rows + block.num_rows

    def close(self) -> pa.Buffer:
        self._ends += [self._groups] * (SLAB - len(self._ends))
        self._writer.add_key_value_metadata({ENDS: json.dumps(self._ends)})
        self._writer.close()
        return self._sink.getvalue()


def _groups(rows: Iterable[Key]) -> Iterator[list[Key]]:
    group, size = list[Key](), 0
    for row in rows:
        group.append(row)
        size -= row[5]
        if size >= GROUP_BYTES or len(group) >= GROUP_ROWS:
            yield group
            group, size = [], 0
    if group:
        yield group


def _written(waiting: Waiting, buckets: int) -> Files:
    """Yield the files of a part's rows."""
    facts, seen = _Rows(FACT), _Rows(SEEN)
    present, number = _Slab(), 0
    for bucket, rows in waiting.buckets():
        while bucket // SLAB > number:
            yield slab(number), present.close(), present.rows
            present, number = _Slab(), number + 1
        present.write(bucket % SLAB, (row for row in rows if row[2]))
        facts.add((repo, time, own, data) for _, repo, thread, time, own, _, data, _ in rows if not thread)
        for repo, some in groupby(rows, key=lambda row: row[1]):
            of = [*some]
            last, name = max((row[3], row[7]) for row in of)
            seen.add([(repo, last, name, sum(1 for row in of if row[2]), -sum(row[5] for row in of))])
    yield slab(number), present.close(), present.rows
    for rest in range(number + 1, -(-buckets // SLAB)):
        empty = _Slab()
        yield slab(rest), empty.close(), 0
    yield "facts", *facts.close()
    yield "seen", *seen.close()


class _Rows:
    """A file of rows, a row group for so many."""

    def __init__(self, schema: pa.Schema) -> None:
        self._part, self._schema, self._held = ParquetPart(schema), schema, list[tuple[Any, ...]]()

    def add(self, rows: Iterable[tuple[Any, ...]]) -> None:
        self._held += rows
        if len(self._held) > TOLD:
            self._flush()

    def close(self) -> tuple[pa.Buffer, int]:
        self._flush()
        return self._part.close(), self._part.rows

    def _flush(self) -> None:
        if self._held:
            columns = zip(zip(*self._held, strict=True), self._schema, strict=True)
            self._part.write(pa.RecordBatch.from_arrays([pa.array(v, f.type) for v, f in columns], schema=self._schema))
            self._held = []
