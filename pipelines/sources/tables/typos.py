"""A column that no file of a table has is refused before any work: as rows it would be one `missing_column` for each row of the table.

Looked at are the schemas of Parquet and Arrow files, and the first rows of JSON Lines, file after file until every column was seen: of a
table without a slip that is the first file.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from starmill.core.dataset import at_once
from starmill.core.errors import UsageError
from starmill.core.names import did_you_mean
from starmill.pipelines.sources.tables import lines, plan
from starmill.pipelines.sources.tables.columns import Columns
from starmill.pipelines.sources.tables.lines import DAMAGE, damaged
from starmill.pipelines.sources.tables.rows import form

FIRST_ROWS, FIRST_BYTES = 100, 8 << 20  # of JSON Lines
DEPTH = 4  # of structs in structs
MOST = 50_000  # names of a file's columns; one with more, as JSON Lines may have, is not judged


def refuse(
    place: str, columns: Columns, given: Mapping[str, str], files: Iterable[set[str] | None], dataset: str | None = None
) -> None:
    """Raise UsageError where no file has the column of a required role. `given`: what the recipe says that a role's column is called.

    `dataset`: the name of a set whose columns these are, and which no option calls otherwise.

    `files`: the names of each file's columns; nothing for one that cannot be read, since its rows say what is wrong with it; None for one
    that may have any.
    """
    due = {role: columns.names[role] for role in sorted(columns.required)}
    if columns.files:
        due["files"] = (columns.files,)
    every = set[str]()
    for names in files:
        if names is None:
            return
        if len(every) < MOST:
            every |= names
        due = {role: wanted for role, wanted in due.items() if names.isdisjoint(wanted)}
        if not due:
            return
    if not every:
        return
    role, wanted = next(iter(due.items()))
    shown = sorted(name for name in every if name.isprintable() and len(name) <= 100)
    option = "files" if role == "files" else f"columns.{role}"
    said = f"columns {', '.join(map(repr, wanted[:-1]))} or {wanted[-1]!r}" if len(wanted) > 1 else f"a column {wanted[0]!r}"
    near = did_you_mean(wanted[0], shown) if role in given or len(wanted) == 1 else ""
    of = f"table {place}: {option}" if dataset is None else f"set {place}: dataset {dataset}"
    raise UsageError(f"{of}: no file has {said}{near}; they have {', '.join(shown)[:500]}")


def names_of(root: str, files: Sequence[str], many: int) -> Iterator[set[str] | None]:
    """Yield the names of each file's columns, `many` asked for at once. The first is looked at alone, since it mostly has all."""

    def names(file: str) -> set[str] | None:
        return names_in(file, lambda: plan.opened({"root": root, "file": file}))

    yield from map(names, files[:1])
    for start in range(1, len(files), 2 * many):
        yield from at_once(names, files[start : start + 2 * many], many)


def names_in(name: str, open_: Callable[[], AbstractContextManager[pa.NativeFile]]) -> set[str] | None:
    """Return the names of a file's columns, those in structs and lists with a dot; nothing where it cannot be read, None for too many.

    Raises MachineError.
    """
    kind, codec = form(name)
    try:
        if kind == "json":
            return _few(name for row in _first(lines.lines(open_, codec, FIRST_BYTES)) for name in _of_row(row, "", DEPTH))
        with open_() as file:
            schema = pq.read_schema(file) if kind == "parquet" else _of_arrow(file)
            return _few(name for field in schema for name in _of_type(field.name, field.type, DEPTH))
    except DAMAGE as error:
        damaged(error)
        return set()


def _few(found: Iterator[str]) -> set[str] | None:
    names = set[str]()
    for name in found:
        names.add(name)
        if len(names) > MOST:
            return None
    return names


def _first(found: Iterator[lines.Line]) -> Iterator[Any]:
    size = 0
    for line in islice(found, FIRST_ROWS):
        size += line.size
        try:
            yield msgspec.json.decode((line.data or b"").removeprefix(b"\xef\xbb\xbf"))
        except (ValueError, RecursionError, msgspec.MsgspecError):
            continue
        if size > FIRST_BYTES:
            return


def _of_row(found: Any, before: str, depth: int) -> Iterator[str]:
    if isinstance(found, list):
        found = found[0] if found else None
    if isinstance(found, dict) and depth:
        for key, inside in found.items():
            yield f"{before}{key}"
            yield from _of_row(inside, f"{before}{key}.", depth - 1)


def _of_arrow(file: pa.NativeFile) -> pa.Schema:
    is_file = file.read(6) == b"ARROW1"
    file.seek(0)
    return pa.ipc.open_file(file).schema if is_file else pa.ipc.open_stream(file).schema


def _of_type(name: str, of: pa.DataType, depth: int) -> Iterator[str]:
    yield name
    if pa.types.is_list(of) or pa.types.is_large_list(of):
        of = of.value_type
    if pa.types.is_struct(of) and depth:
        for field in of:
            yield from _of_type(f"{name}.{field.name}", field.type, depth - 1)
