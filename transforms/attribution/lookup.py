"""Reads the fingerprints and the texts of a finished workspace by ranges: a page of a partition is one read, also of a bucket."""

import functools
import io
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from starmill.core.dataset import Workspace, part_path
from starmill.core.errors import InputError
from starmill.transforms.attribution import fingerprints
from starmill.transforms.attribution.portrait import RELEASE

TAIL = 1 << 16  # bytes of a file's end that hold most footers
HELD = 256 << 20  # bytes of row groups that stay in memory
ABOUT = ["repo_name", "path", "content_id", "language", "detected_licenses", "license_type", "star_events_count"]
COLUMNS = [*ABOUT, "content"]


class Window(io.RawIOBase):
    """A file of which only bytes [start, start + len(data)) are here: those that a row group has."""

    def __init__(self, data: bytes, start: int, size: int) -> None:
        """Keep them; `size` is that of the file."""
        self._data, self._start, self._size, self._at = data, start, size, 0

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place of the file."""
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def tell(self) -> int:
        """Return the place."""
        return self._at

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return the bytes from here on."""
        begin = self._at - self._start
        assert begin >= 0, "only what was fetched is read"
        data = self._data[begin : begin + size if size >= 0 else None]
        self._at += len(data)
        return data


@dataclass(frozen=True)
class Table:
    """A Parquet file of a workspace, of which one row group at a time is read, in one request."""

    workspace: Workspace
    path: str

    @functools.cached_property
    def size(self) -> int:
        """Its bytes. Raises InputError where it is not there."""
        try:
            return self.workspace.size(self.path)
        except FileNotFoundError:
            raise InputError(f"{self.workspace.path(self.path)}: not there; make it again") from None

    @functools.cached_property
    def footer(self) -> pq.FileMetaData:
        """What its end says. Raises InputError for a damaged file."""
        try:
            tail = self.workspace.read(self.path, max(0, self.size - TAIL), self.size)
            length = int.from_bytes(tail[-8:-4], "little") + 8
            if length > len(tail):
                tail = self.workspace.read(self.path, max(0, self.size - length), self.size)
            return pq.read_metadata(pa.PythonFile(Window(tail, self.size - len(tail), self.size), "r"))
        except (pa.ArrowException, OSError, AssertionError) as error:
            raise InputError(f"{self.workspace.path(self.path)}: damaged ({error}); make it again") from None

    @functools.cached_property
    def ends(self) -> np.ndarray:
        """The number of rows up to the end of each row group, int64."""
        return np.cumsum([self.footer.row_group(g).num_rows for g in range(self.footer.num_row_groups)], dtype=np.int64)

    @functools.cached_property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """The least and the greatest value of the first column in each row group, uint64."""
        said = [self.footer.row_group(g).column(0).statistics for g in range(self.footer.num_row_groups)]
        return np.array([s.min for s in said], np.uint64), np.array([s.max for s in said], np.uint64)

    def group(self, number: int, columns: list[str]) -> pa.Table:
        """Return columns of a row group, in one request. Raises InputError for a damaged file."""
        group = self.footer.row_group(number)
        wanted = [c for c in map(group.column, range(group.num_columns)) if c.path_in_schema.partition(".")[0] in columns]
        starts = [min(x for x in (c.dictionary_page_offset, c.data_page_offset) if x is not None) for c in wanted]
        start = min(starts)
        end = max(first + c.total_compressed_size for first, c in zip(starts, wanted, strict=True))
        try:
            window = Window(self.workspace.read(self.path, start, end), start, self.size)
            file = pq.ParquetFile(pa.PythonFile(window, "r"), metadata=self.footer)
            return file.read_row_group(number, columns=columns, use_threads=False)
        except (pa.ArrowException, OSError, AssertionError) as error:
            raise InputError(f"{self.workspace.path(self.path)}: damaged ({error}); make it again") from None


@dataclass(frozen=True)
class Index:
    """The fingerprints of a finished workspace."""

    workspace: Workspace

    @functools.cached_property
    def partitions(self) -> list[Table]:
        """Its files, in the order of their hashes. Raises InputError where there are none, or of an earlier release."""
        manifest, release = self.workspace.manifest(fingerprints.DATASET), self.workspace.manifest(RELEASE)
        where = self.workspace.root
        if manifest is None or release is None:
            raise InputError(
                f"{where}: no {fingerprints.DATASET}/manifest.json, so no fingerprints; run `starmill index` first"
            )
        found = [Table(self.workspace, part_path(fingerprints.DATASET, p.part)) for p in manifest.parts]
        if (found[0].footer.metadata or {}).get(fingerprints.RELEASE) != release.digest.encode():
            raise InputError(f"{where}: its fingerprints are those of an earlier release; run `starmill index` again")
        return found

    def find(self, hashes: np.ndarray) -> pa.Table:
        """Return the KEPT rows of sorted, distinct hashes, sorted. A page is read once, whatever hashes are on it."""
        made: list[pa.Table] = []
        numbers = fingerprints.partition_of(hashes, len(self.partitions))
        for number in np.unique(numbers).tolist():
            made += self._on_pages(self.partitions[number], hashes[numbers == number])
        return pa.concat_tables(made) if made else fingerprints.KEPT.empty_table()

    def _on_pages(self, table: Table, hashes: np.ndarray) -> Iterator[pa.Table]:
        firsts, lasts = table.bounds
        for page in np.flatnonzero(np.searchsorted(hashes, lasts, "right") > np.searchsorted(hashes, firsts, "left")).tolist():
            rows = table.group(page, fingerprints.KEPT.names)
            held = rows.column("hash").to_numpy()
            at = np.minimum(np.searchsorted(hashes, held), len(hashes) - 1)
            if (wanted := hashes[at] == held).any():
                yield rows.filter(pa.array(wanted)).replace_schema_metadata()


class Texts:
    """The files of a release by part and row, with their texts. Row groups that were read stay in memory up to HELD bytes."""

    def __init__(self, workspace: Workspace) -> None:
        """Open nothing yet."""
        self._workspace = workspace
        self._tables: dict[int, Table] = {}
        self._groups: OrderedDict[tuple[int, int], pa.Table] = OrderedDict()
        self._held = 0  # bytes of them: a group knows its own only by asking each of its columns

    def row(self, part: int, row: int) -> dict[str, object]:
        """Return COLUMNS of a file. Raises InputError where the release has none such: it is not what was indexed."""
        group, at = self._find(part, row)
        return {name: group.column(name)[at].as_py() for name in COLUMNS}

    def bytes_of(self, part: int, row: int) -> tuple[dict[str, object], bytes]:
        """Return COLUMNS of a file but its content, and that in UTF-8: without a text of Python in between. Raises as `row`."""
        group, at = self._find(part, row)
        data = group.column("content")[at].as_buffer()
        return {name: group.column(name)[at].as_py() for name in ABOUT}, b"" if data is None else data.to_pybytes()

    def _find(self, part: int, row: int) -> tuple[pa.Table, int]:
        table = self._tables.setdefault(part, Table(self._workspace, part_path(RELEASE, part)))
        number = int(np.searchsorted(table.ends, row, "right"))
        if number == len(table.ends):
            raise InputError(f"{self._workspace.path(table.path)}: no row {row}; make it again")
        if (part, number) not in self._groups:
            self._groups[part, number] = group = table.group(number, COLUMNS)
            self._held += group.nbytes
            while len(self._groups) > 1 and self._held > HELD:
                self._held -= self._groups.popitem(last=False)[1].nbytes
        self._groups.move_to_end((part, number))
        first = int(table.ends[number]) - table.footer.row_group(number).num_rows
        return self._groups[part, number], row - first
