"""What Kaggle's notebooks read: the data sets and competitions of each, from a table that was joined of Meta Kaggle's (docs/sources.md).

A row is a version of a notebook and one set that it reads. StarCoder2 puts title, description and identifier of these before a
script (paper, section 2.4.2). The table is Parquet, sorted by notebook: the ranges in its footer say which row group has one.
"""

import functools
import hashlib
import os
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from starmill.core.errors import InputError, one_line
from starmill.core.storage import named

KEY = "ingest.kaggle_data"
COLUMNS = ("notebook", "id", "title", "description")
MOST = 4  # sets of a notebook that are shown, by their identifiers; a few notebooks read hundreds
MAX_DESCRIPTION = 1000  # characters, so that scripts of one set do not look alike to dedup for what is said of it
NUMBER = re.compile(rb"(?:.*/)?(\d{1,18})\.ipynb", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True)
class Known:
    """The table at `place`, a file or URL; opened at first use."""

    place: str

    def digest(self) -> str:
        """Return the sha256 of the table. Raises NotThere, InputError for what is no such table, or MachineError."""
        found = hashlib.sha256()
        with named(KEY, self.place, mode="rb") as file:
            while data := file.read(1 << 20):
                found.update(data)
        return f"{found.hexdigest()} {len(self._ranges)}"

    def of(self, path: bytes) -> Sequence[str]:
        """Return what is known of the notebook at a path, whose name is the number of its version: a text for each set."""
        if not (match := NUMBER.fullmatch(path)):
            return ()
        number = int(match[1])
        found = set[str]()
        for group in range(bisect_left(self._ranges, number, key=lambda ends: ends[1]), len(self._ranges)):
            if self._ranges[group][0] > number:
                break
            found.update(self._group(group).get(number, ()))
        return [text for _, text in sorted((text.rpartition("\n")[2], text) for text in found)[:MOST]]

    @functools.cached_property
    def _file(self) -> pq.ParquetFile:
        with named(KEY, self.place, mode="rb"):  # says what is wrong with the place
            pass
        try:
            return pq.ParquetFile(fsspec.open(self.place, mode="rb").open())
        except pa.ArrowInvalid as error:
            raise InputError(f"{KEY}: {self.place}: {one_line(error)}; give a Parquet table") from error

    @functools.cached_property
    def _ranges(self) -> list[tuple[int, int]]:
        """The first and the last notebook of each row group that has some."""
        schema = self._file.schema_arrow
        types = {field.name: field.type for field in schema}
        if missing := [name for name in COLUMNS if name not in types]:
            raise InputError(f"{KEY}: {self.place}: no column '{missing[0]}'; it has {', '.join(types)}")
        if not pa.types.is_integer(types["notebook"]):
            raise InputError(f"{KEY}: {self.place}: notebook is {types['notebook']}; give whole numbers")
        about = self._file.metadata
        place = next(n for n in range(about.num_columns) if about.schema.column(n).path == "notebook")
        stated = [about.row_group(group).column(place).statistics for group in range(about.num_row_groups)]
        if not all(found is not None and found.has_min_max for found in stated):
            raise InputError(f"{KEY}: {self.place}: its footer states no ranges of notebook; write it with statistics")
        ranges = [(int(found.min), int(found.max)) for found in stated]
        if any(one[1] > two[0] for one, two in pairwise(ranges)):
            raise InputError(f"{KEY}: {self.place}: not sorted by notebook; sort it")
        return ranges

    def _group(self, group: int) -> Mapping[int, Sequence[str]]:
        held: dict[int, Mapping[int, Sequence[str]]] = self.__dict__.setdefault("_held", {})
        if group not in held:
            while len(held) > 1:  # paths come in order, so that one group follows the other
                del held[next(iter(held))]
            held[group] = _read(self._file, group)
        return held[group]


def _read(file: pq.ParquetFile, group: int) -> Mapping[int, Sequence[str]]:
    made = defaultdict[int, list[str]](list)
    for row in file.read_row_group(group, columns=[*COLUMNS], use_threads=False).to_pylist():
        if row["notebook"] is not None and (own := _clean(row["id"])):
            made[row["notebook"]].append(text(own, _clean(row["title"]), _clean(row["description"])))
    return made


def text(own: str, title: str, description: str) -> str:
    r"""Return what stands before a script for one set.

    >>> text("ann/shapes", "Shapes", "Widths and heights.")
    'Shapes\nWidths and heights.\nKaggle dataset identifier: ann/shapes'
    """
    if len(description) > MAX_DESCRIPTION:
        description = description[:MAX_DESCRIPTION] + "[...]"
    return "\n".join(part for part in (title, description, f"Kaggle dataset identifier: {own}") if part)


def _clean(said: object) -> str:
    found = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said or "")
    return found.replace("\0", "").replace("\r\n", "\n").strip()


def at_home(place: str | None) -> Known | None:
    """Return the table at a place of a recipe, absolute where it is of this machine: a worker may have another working folder."""
    return Known(place if "://" in place else os.path.abspath(place)) if place else None


def material(place: str | None) -> tuple[str, ...]:
    """Return what of the table at a place, if any, decides the records. Raises NotThere, InputError or MachineError."""
    known = at_home(place)
    return (known.digest(),) if known else ()


def is_here(place: str | None) -> bool:
    """Say whether there is a table, and it is a file of this machine."""
    return place is not None and "://" not in place
