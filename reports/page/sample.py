"""Which parts and rows of a workspace the report reads: all of a small one, and a bounded sample of a large one, the same each time.

Parts are drawn by core.seeds, so the sample depends on the number of parts alone. Texts are cut, and hidden before anything else is done
with them: what comes out of here has no secret that `hide` knows.
"""

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from starmill.core import schema
from starmill.core.dataset import Workspace, part_path
from starmill.core.errors import InputError, StarmillError, one_line
from starmill.core.summary import DRAWN

PARTS, ROWS = DRAWN, 200_000  # that are looked at: the columns of so many rows are read in seconds
TEXT = 200_000  # characters of a text that are looked at
MARGIN = 20_100  # behind these: the longest secret that is known is shorter, so that none is shown by half
RECORDS, MEASURES, CURATED, VERDICTS, DATASET = "records", "measures", "curated", "verdicts", "dataset"

Key = tuple[str, str, str]
Hide = Callable[[Any], Any]


def drawn(rows: Iterable[tuple[int, int]], most_parts: int = PARTS, most_rows: int = ROWS) -> list[int]:
    """Return the parts to look at, sorted: the first of (part, rows) in drawn order, while they are few and hold few rows; one at least.

    >>> drawn([(2, 10), (0, 10), (1, 10)])
    [0, 1, 2]
    >>> drawn([(2, 10), (0, 10), (1, 10)], most_rows=20)
    [0, 2]
    """
    chosen, held = list[int](), 0
    for number, some in itertools.islice(rows, most_parts):
        held += some
        if chosen and held > most_rows:
            break
        chosen.append(number)
    return sorted(chosen)


def cut(text: str, hide: Hide) -> str:
    """Return the beginning of a text, hidden.

    >>> cut("a" * 300_000, lambda text: text) == "a" * TEXT
    True
    """
    if len(text) <= TEXT + MARGIN:
        return str(hide(text))
    hidden = str(hide(text[: TEXT + MARGIN]))
    return hidden[: max(0, len(hidden) - MARGIN)]


@contextmanager
def opened(workspace: Workspace, path: str) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file. Raises FileNotFoundError, and InputError for one that is damaged, wherever in it the block notices that."""
    try:
        with workspace.open(path) as file:
            yield pq.ParquetFile(file, pre_buffer=not workspace.is_local)
    except (StarmillError, FileNotFoundError):
        raise
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # not of Arrow, but of the machine
            raise
        raise InputError(
            f"{workspace.path(path)}: damaged: {one_line(error)}; `starmill verify --all --workspace {workspace.root}` names what is, and "
            "the next run makes it again"
        ) from None


@dataclass
class Part:
    """One part of a workspace: which records it holds, what was measured of them, their texts. Everything is read when it is asked for.

    >>> Part(Workspace("memory://none"), 0).text(0)
    ''
    """

    workspace: Workspace
    number: int
    hide: Hide = field(repr=False, default=lambda data: data)
    _dropped: dict[str, pa.Table | None] = field(default_factory=dict, repr=False)

    def columns(self, dataset: str, *names: str) -> pa.Table | None:
        """Return columns of this part of a dataset, those that are there; None where the part or all the columns are absent."""
        try:
            with opened(self.workspace, part_path(dataset, self.number)) as parquet:
                there = {*parquet.schema_arrow.names}
                here = [name for name in names if name in there]
                return parquet.read(columns=here, use_threads=False) if here else None  # small: threads cost more
        except FileNotFoundError:
            return None

    @functools.cached_property
    def names(self) -> list[Key]:
        """(kind, repository, path) of each record, as they are stored, in the order of the rows."""
        table = self.columns(RECORDS, "kind", "repo_name", "path")
        if table is None or table.num_columns < 3:
            return []
        return list(zip(*(table.column(n).to_pylist() for n in ("kind", "repo_name", "path")), strict=True))

    @functools.cached_property
    def rows(self) -> dict[Key, int]:
        """The row of each record."""
        return {key: row for row, key in enumerate(self.names)}

    @functools.cached_property
    def measures(self) -> pa.Table | None:
        """What was measured, row by row."""
        return self.columns(MEASURES, *schema.MEASURES.names)

    def measured(self, row: int) -> dict[str, Any]:
        """Return what was measured of a record, without what is null."""
        found = self.measures.slice(row, 1).to_pylist() if self.measures is not None else []
        return {name: value for name, value in (found[0] if found else {}).items() if value is not None}

    def dropped(self, stage: str) -> pa.Table | None:
        """Return the rows that a stage dropped of this part; None where there is no such file."""
        if stage not in self._dropped:
            table = self.columns(f"dropped/{stage}", *schema.DROPPED.names)
            if table is not None and (missing := {*schema.DROPPED.names} - {*table.schema.names}):
                path = self.workspace.path(part_path(f"dropped/{stage}", self.number))
                raise InputError(f"{path}: has no columns {', '.join(sorted(missing))}; it is not what starmill writes there")
            self._dropped[stage] = table
        return self._dropped[stage]

    def texts(self, rows: Iterable[int], dataset: str = RECORDS, *more: str) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the wanted rows with `content` (stored, not hidden) and `more` columns; only the row groups that hold some are read."""
        wanted = sorted({*rows})
        if not wanted:
            return
        try:
            with opened(self.workspace, part_path(dataset, self.number)) as parquet:
                columns = [n for n in ("content", *more) if n in parquet.schema_arrow.names]
                first = 0
                for group in range(parquet.num_row_groups):
                    end = first + parquet.metadata.row_group(group).num_rows
                    if here := [row for row in wanted if first <= row < end]:
                        table = parquet.read_row_group(group, columns=columns)
                        yield from zip(here, table.take([row - first for row in here]).to_pylist(), strict=True)
                    first = end
        except FileNotFoundError:
            return

    def text(self, row: int) -> str:
        """Return the beginning of a record's text, hidden; empty where there is none."""
        found = [values.get("content") for _, values in self.texts([row])]
        return cut(found[0], self.hide) if found and found[0] else ""


@dataclass
class Sample:
    """The parts that are looked at, `of` so many. A part that is asked for is kept.

    >>> sample = Sample(Workspace("memory://none"), [0, 2], of=3)
    >>> [part.number for part in sample], sample.is_whole, sample.part(1).names
    ([0, 2], False, [])
    """

    workspace: Workspace
    numbers: list[int]
    of: int
    hide: Hide = field(repr=False, default=lambda data: data)
    _held: dict[int, Part] = field(default_factory=dict, repr=False)

    def part(self, number: int) -> Part:
        """Return a part, of the sample or another one."""
        return self._held.setdefault(number, Part(self.workspace, number, self.hide))

    def __iter__(self) -> Iterator[Part]:
        """Yield the parts of the sample."""
        return map(self.part, self.numbers)

    @property
    def is_whole(self) -> bool:
        """Whether these are all parts."""
        return len(self.numbers) == self.of
