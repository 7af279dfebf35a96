"""Which files a table has, what each is read in at once, and which repositories may be in two of those.

Reads listings and the footers of Parquet files; never a content.
"""

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from starmill.core.errors import of_a_file
from starmill.core.storage import Storage
from starmill.pipelines.sources.source import state_of
from starmill.pipelines.sources.tables.columns import Columns
from starmill.pipelines.sources.tables.contents import TYPICAL
from starmill.pipelines.sources.tables.rows import columns_of, resolve

# A row group above is read in pieces: compressed bytes that a part can hold, and files that a repository of a plan may have.
UNIT_BYTES, UNIT_ROWS = 512 << 20, 900_000
SMALL_UNIT = 128 << 20  # bytes of row groups that are read together
# What tells the versions of a stored object apart, in the words of one store or another.
STATE = ("size", "ETag", "etag", "md5Hash", "generation", "blob_id", "lfs")
PATIENCE = 60.0  # seconds: who lacks access to a gated data set does not wait ten minutes for the answer


class Found(NamedTuple):
    """A file below the place: what changes with it, its bytes, and why it cannot be read, if so."""

    state: str
    size: int
    reason: str = ""


class Span(NamedTuple):
    """From the first to the last name of a repository in a unit; None: no bound.

    >>> Span(b"a", b"c").meets(Span(b"b", None)), Span(b"a", b"b").meets(Span(b"c", b"d")), b"bb" in Span.read("62-63")
    (Span(first=b'b', last=b'c'), None, True)
    """

    first: bytes
    last: bytes | None

    @staticmethod
    def read(text: str) -> "Span | None":
        """Return what `str` wrote; nothing for nothing."""
        first, dash, last = text.partition("-")
        return Span(bytes.fromhex(first), None if last == "*" else bytes.fromhex(last)) if dash else None

    def __str__(self) -> str:
        """Write it, for a plan."""
        return f"{self.first.hex()}-{'*' if self.last is None else self.last.hex()}"

    def __contains__(self, name: object) -> bool:
        """Say whether a name lies in it."""
        return isinstance(name, bytes) and self.first <= name and (self.last is None or name <= self.last)

    def meets(self, other: "Span") -> "Span | None":
        """Return what both have, or None."""
        ends = [end for end in (self.last, other.last) if end is not None]
        both = Span(max(self.first, other.first), min(ends) if ends else None)
        return both if both.last is None or both.first <= both.last else None

    def with_(self, other: "Span") -> "Span":
        """Return what holds both."""
        last = None if self.last is None or other.last is None else max(self.last, other.last)
        return Span(min(self.first, other.first), last)


ALL = Span(b"", None)


class Piece(NamedTuple):
    """What is read at once of a Parquet file: rows of some row groups, `skip` left out; and the bytes of their wanted columns."""

    groups: range
    skip: int
    take: int
    size: int
    span: Span | None

    @property
    def extent(self) -> dict[str, str]:
        """What a plan says of it."""
        return {"groups": f"{self.groups.start}-{self.groups.stop}", "skip": str(self.skip), "take": str(self.take)}


class Mark(NamedTuple):
    """What a unit puts into the paths of repositories that a unit before it may have, or that lie outside of its own range."""

    text: bytes
    own: Span | None
    shared: Span | None

    @staticmethod
    def of(place: Mapping[str, str]) -> "Mark":
        """Read a unit's mark."""
        return Mark(place.get("mark", "").encode(), *(Span.read(place.get(name, "")) for name in ("span", "shared")))

    def __call__(self, name: bytes | None, path: bytes) -> bytes:
        """Return a path, with the mark where it needs one.

        >>> mark = Mark(b"1f2e", Span(b"a", b"c"), Span(b"a", b"b"))
        >>> mark(b"b", b"src/a.py"), mark(b"c", b"src/a.py"), mark(b"z", b"x/.env")
        (b'src/a~1f2e.py', b'src/a.py', b'x/.env~1f2e')
        """
        if name is None or self.own is None or (name in self.own and (self.shared is None or name not in self.shared)):
            return path
        folder, slash, base = path.rpartition(b"/")
        dot = base.rfind(b".") if base.rfind(b".") > 0 else len(base)
        return b"".join((folder, slash, base[:dot], b"~", self.text, base[dot:]))


def extent(place: Mapping[str, str]) -> tuple[range | None, int, int]:
    """Return the row groups, the rows left out and those taken, as a plan says them."""
    if "groups" not in place:
        return None, 0, -1
    start, _, stop = place["groups"].partition("-")
    return range(int(start), int(stop)), int(place["skip"]), int(place["take"])


def listing(place: str) -> tuple[str, dict[str, Found]]:
    """Return the folder or URL, and each file below by its path. Raises OSError where it cannot be listed, or is not there."""
    if "://" not in place:
        here = Path(place).resolve()
        if here.is_file():
            return str(here.parent), {here.name: local(str(here.parent), here.name)}
        return str(here), {name: local(str(here), name) for name in _walk(str(here), "")}
    storage = Storage(place, patience=PATIENCE)
    if storage.info("")["type"] == "file":
        root, _, name = place.rpartition("/")
        return root, {name: told(Storage(root, patience=PATIENCE).info(name))}
    return place, {name: told(info) for name, info in storage.infos().items()}


def _walk(root: str, folder: str) -> Iterator[str]:
    with os.scandir(os.path.join(root, folder)) as found:
        entries = sorted((e.name, e.is_dir(follow_symlinks=False)) for e in found)
    for name, is_folder in entries:
        path = f"{folder}/{name}" if folder else name
        if is_folder:
            yield from _walk(root, path)
        else:
            yield path


def local(root: str, name: str) -> Found:
    """Return what is known of a file of this machine."""
    path = os.path.join(root, name)
    state, size = state_of(path)
    try:
        mode = os.lstat(path).st_mode
    except OSError as error:
        return Found(repr(state), size, of_a_file(error, path) and "unreadable")
    kind = "" if stat.S_ISREG(mode) else "symlink" if stat.S_ISLNK(mode) else "not_a_regular_file"
    return Found(repr(state), size, kind)


def told(info: Mapping[str, Any]) -> Found:
    """Return what a store says of a file."""
    return Found(repr([(name, str(info[name])) for name in STATE if name in info]), int(info.get("size") or 0))


def state(place: Mapping[str, str]) -> str:
    """Return what changes with the file of a unit, as it is now; nothing where it has gone."""
    if "://" not in place["root"]:
        return local(place["root"], place["file"]).state
    try:
        return told(Storage(place["root"], patience=PATIENCE).info(place["file"])).state
    except FileNotFoundError:
        return ""


def opened(place: Mapping[str, str]) -> AbstractContextManager[pa.NativeFile]:
    """Open the file of a unit."""
    return Storage(place["root"], patience=PATIENCE).open(place["file"])


def pieces(file: pa.NativeFile, columns: Columns) -> list[Piece]:
    """Return what a Parquet file is read in. Raises MissingColumn, ArrowException or OSError for one that cannot be read."""
    table = pq.ParquetFile(file, pre_buffer=False)
    held, found = table.metadata, resolve(table.schema_arrow, columns)
    wanted = columns_of(held, found.values(), columns)
    names = columns_of(held, [found["repo_name"]], columns) if "repo_name" in found else []
    files = columns_of(held, [found["blob_id"]], columns)[:1] if columns.stored else []
    made = list[Piece]()
    for g in range(held.num_row_groups):
        group = held.row_group(g)
        rows, size = group.num_rows, sum(max(0, group.column(i).total_uncompressed_size) for i in wanted)
        stored = sum(max(0, group.column(i).total_compressed_size) for i in wanted)
        if columns.stored:  # a footer says how many contents there are, and nothing of their size
            size = stored = TYPICAL * max(0, group.column(files[0]).num_values)
        span = _span(group.column(names[0])) if names else None
        last = made[-1] if made else None
        if last and last.size + size <= SMALL_UNIT and last.take + rows <= UNIT_ROWS:
            both = last.span.with_(span) if last.span and span else None
            made[-1] = Piece(range(last.groups.start, g + 1), 0, last.take + rows, last.size + size, both)
            continue
        cuts = max(1, -(-rows // UNIT_ROWS), -(-stored // UNIT_BYTES))
        step = max(1, -(-rows // cuts))
        for start in range(0, rows, step):
            take = min(step, rows - start)
            made.append(Piece(range(g, g + 1), start, take, size * take // rows, span))
    return made


def _span(column: pq.ColumnChunkMetaData) -> Span:
    """Return the range that a footer states; a value outside of it is found when it is read."""
    try:
        held = column.statistics
        low, high = (held.min, held.max) if held is not None and held.has_min_max else (None, None)
    except (pa.ArrowException, ValueError, OSError):
        return ALL
    first, last = (end.encode() if isinstance(end, str) else end for end in (low, high))
    return Span(first, last) if isinstance(first, bytes) and isinstance(last, bytes) else ALL


def shared(spans: Sequence[Span | None]) -> list[Span | None]:
    """Return for each unit, in order, which repositories a unit before it may have too.

    >>> shared([Span(b"a", b"c"), Span(b"c", b"f"), None, Span(b"g", None)])
    [None, Span(first=b'c', last=b'c'), None, None]
    """
    made, before = list[Span | None](), None
    for span in spans:
        made.append(span.meets(before) if span and before else None)
        before = before.with_(span) if span and before else span or before
    return made
