"""The tables of a Software Heritage graph export, read in blocks: ORC as it is published, or Parquet as the newest exporter writes it.

Both give the same columns: texts as their bytes, a date as whole seconds since 1970. Only the columns that are asked for
are read, one stripe of ORC or some rows of a row group of Parquet at a time.
"""

import binascii
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import orc

from starmill.core.errors import InputError, StarmillError, is_of_the_machine, one_line
from starmill.core.storage import Storage
from starmill.pipelines.sources.source import state_of

ROWS = 65_536  # of a block of Parquet; a stripe of ORC is a block as its writer made it
ID = np.dtype(
    "S20"
)  # NumPy compares such ids as bytes; it shows one without its last NULs, so that an id is taken out by `plain`
NO_ID = b"\0" * 20
NUMBERS = ("visit", "perms", "length", "parent_rank", "stars", "forks")  # the columns that are no texts
FORMATS = (".orc", ".parquet")
FOLDERS = ("", "orc/", "parquet/")  # below the place that a recipe names
NEEDED = ("origin_visit_status", "snapshot_branch", "revision", "content")
TABLES = (
    *NEEDED,
    "directory_entry",  # needed by all that has no catalog
    "origin",
    "release",
    "directory",
    "skipped_content",
    "revision_history",
    "gharchive",  # no table of Software Heritage's: what `starmill threads` knows of repositories, laid beside the others
)  # what may be absent is what an export may have none of


@dataclass(frozen=True)
class Export:
    """An export's files: the table of each, its path, and the state that changes when the file does. `url`: where they lie.

    >>> Export("memory://none", ()).paths("content")
    []
    """

    url: str
    files: tuple[tuple[str, str, str], ...]

    @property
    def state(self) -> str:
        """A digest of which files there are, and of their states."""
        return hashlib.sha256(repr(self.files).encode()).hexdigest()

    def paths(self, table: str) -> list[str]:
        """Return the files of a table, sorted."""
        return [path for of, path, _ in self.files if of == table]

    def require(self, table: str) -> None:
        """Raise InputError where there is no file of a table."""
        if not self.paths(table):
            folder = "/".join([*self.files[0][1].split("/")[:-2], table])
            raise InputError(f"{self.url}: an export without its table {table!r}; fetch {folder}/ beside the others")

    def only(self, path: str) -> "Export":
        """Return the export as if a table had this file alone."""
        return Export(self.url, tuple(file for file in self.files if file[1] == path))

    def blocks(self, table: str, columns: Sequence[str], dates: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        """Yield a table block by block: its `columns`, then its `dates` in seconds, null for none.

        Raises InputError, which names a file that is damaged or lacks a column; MachineError.
        """
        storage = Storage(self.url)
        for path in self.paths(table):
            try:
                with storage.open(path) as file:
                    yield from (_orc if path.endswith(".orc") else _parquet)(file, columns, dates)
            except (StarmillError, MemoryError):
                raise
            except Exception as error:  # what Arrow makes of damaged bytes has many types, and no number of the system's
                if isinstance(error, OSError) and error.errno is not None and is_of_the_machine(error):
                    raise
                raise InputError(
                    f"{self.url}/{path}: {one_line(error)}; it is damaged, or no table {table!r} of an export: fetch it again"
                ) from error


def export(url: str) -> Export:
    """Return what lies at a folder or URL: a folder per table, there or in its `orc` or `parquet`. Raises InputError, MachineError."""
    storage = Storage(url)
    for folder in FOLDERS:
        files = tuple((t, p, s) for t in TABLES for p, s in _listed(storage, folder + t))
        if files:
            found = Export(url, files)
            for table in NEEDED:
                found.require(table)
            _known[url] = (_folders(storage), found)
            return found
    raise InputError(
        f"{url}: no export of Software Heritage; name the folder that holds `directory_entry/`, `content/` and so on"
    )


def again(url: str) -> Export:
    """Return what `export` does, which looks at every file; this looks whether one has come or gone since, and in a bucket not even that.

    It is asked for each repository, and an export has thousands of files, which are published once.
    """
    known = _known.get(url)
    return known[1] if known and known[0] == _folders(Storage(url)) else export(url)


_known: dict[str, tuple[list[object], Export]] = {}  # what this process has listed


def _folders(storage: Storage) -> list[object]:
    return (
        [state_of(f"{storage.root}/{folder}{table}")[0] for folder in FOLDERS for table in TABLES] if storage.is_local else []
    )


def _listed(storage: Storage, folder: str) -> list[tuple[str, str]]:
    if storage.is_local:
        names = [n for n in storage.files(folder) if n.endswith(FORMATS)]
        return [(f"{folder}/{n}", repr(state_of(storage.path(f"{folder}/{n}")))) for n in names]
    found = storage.listing(folder)
    return [(f"{folder}/{f.name}", repr((f.size, f.modified))) for f in found if f.name.endswith(FORMATS)]


def _orc(file: pa.NativeFile, columns: Sequence[str], dates: Sequence[str]) -> Iterator[pa.RecordBatch]:
    table = orc.ORCFile(file)
    _have(table.schema, (*columns, *dates))
    for stripe in range(table.nstripes):
        try:
            # Asked for again by name, because a file's own order may be another.
            block = table.read_stripe(stripe, [*columns, *dates]).select([*columns, *dates])
            found = [_seconds(block.column(name)) for name in dates]
        except pa.ArrowInvalid:
            if not dates:
                raise
            # One date outside of 1677 to 2262 fails the whole column of Arrow's reader, whose dates are nanoseconds.
            block = table.read_stripe(stripe, [*columns]).select([*columns])
            found = _wild(file, stripe, dates)
        yield _block(block, columns, dates, found)


class _Seconds:
    """How pyorc makes a date: as its seconds."""

    @staticmethod
    def from_orc(seconds: int, nanoseconds: int, timezone: object) -> int:
        return seconds

    @staticmethod
    def to_orc(*_: object) -> tuple[int, int]:
        raise NotImplementedError("nothing is written")


def _wild(file: pa.NativeFile, stripe: int, dates: Sequence[str]) -> list[pa.Array]:
    import pyorc  # only where Arrow cannot

    converters: dict[Any, Any] = {pyorc.TypeKind.TIMESTAMP: _Seconds}
    reader = pyorc.Reader(
        file, column_names=[*dates], struct_repr=pyorc.StructRepr.DICT, converters=converters
    )  # of all columns of dates, in any order
    rows = list(reader.read_stripe(stripe))
    return [pa.array([row[name] for row in rows], pa.int64()) for name in dates]


def _parquet(file: pa.NativeFile, columns: Sequence[str], dates: Sequence[str]) -> Iterator[pa.RecordBatch]:
    table = pq.ParquetFile(file)
    _have(table.schema_arrow, (*columns, *dates))
    for block in table.iter_batches(ROWS, columns=[*columns, *dates]):
        yield _block(block, columns, dates, [_seconds(block.column(name)) for name in dates])


def _have(schema: pa.Schema, names: Sequence[str]) -> None:
    if lacks := [name for name in names if name not in schema.names]:
        raise ValueError(f"no column {lacks[0]!r}, but {', '.join(map(repr, schema.names))}")


def _block(block: pa.RecordBatch, columns: Sequence[str], dates: Sequence[str], found: list[pa.Array]) -> pa.RecordBatch:
    # Bytes whatever they are: what says that it is UTF-8 need not be.
    plain = [block.column(name).cast(pa.int64() if name in NUMBERS else pa.large_binary()) for name in columns]
    return pa.RecordBatch.from_arrays([*plain, *found], names=[*columns, *dates])


def _seconds(column: pa.Array) -> pa.Array:
    """Return the whole seconds of a date, however it is written: a moment, or seconds with microseconds beside."""
    if pa.types.is_struct(column.type):
        return pc.struct_field(column, "seconds").cast(pa.int64())
    if not pa.types.is_timestamp(column.type):
        raise ValueError(f"a date is of type {column.type}")
    per = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[column.type.unit]
    valid = np.asarray(column.is_valid())
    return pa.array(np.asarray(column.cast(pa.int64()).fill_null(0)) // per, mask=~valid)


def ids(column: pa.Array) -> npt.NDArray[np.bytes_]:
    """Return a column of 40 hexadecimal digits (large binary) as ids of 20 bytes, and NO_ID for what is none.

    >>> ids(pa.array([b"41" * 20, None, b"no id"], pa.large_binary())).tolist()
    [b'AAAAAAAAAAAAAAAAAAAA', b'', b'']
    """
    start, stop, size = 0, 0, len(column)
    if size and not column.null_count:
        ends = np.frombuffer(column.buffers()[1], np.int64, size + 1, column.offset * 8)
        start, stop = int(ends[0]), int(ends[-1])
        if stop - start == 40 * size and (np.diff(ends) == 40).all():
            try:
                return np.frombuffer(binascii.unhexlify(column.buffers()[2][start:stop]), ID)
            except binascii.Error:
                pass
    return np.frombuffer(b"".join(map(_id, column.to_pylist())), ID)


def _id(text: bytes | None) -> bytes:
    try:
        return binascii.unhexlify(text) if text is not None and len(text) == 40 else NO_ID
    except binascii.Error:
        return NO_ID


def plain(found: npt.NDArray[np.bytes_]) -> list[bytes]:
    """Return ids as bytes, each of 20."""
    shown: list[bytes] = np.ascontiguousarray(found).view("V20").tolist()
    return shown
