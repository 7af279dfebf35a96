"""Reads the rows of one table file, or of some row groups of it, in small batches: Parquet, JSON Lines (plain, gzip, zstd), Arrow.

A row is a file, or a repository with a list of files. What cannot be read is a `Bad` row, which says how many rows went with it.
Of Parquet only the wanted columns are read, page by page: a row group of nested lists may be gigabytes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from starmill.core.errors import NotThere, one_line
from starmill.pipelines.sources.tables import lines
from starmill.pipelines.sources.tables.columns import Bad, Columns, MissingColumn, Row, TooLarge
from starmill.pipelines.sources.tables.lines import DAMAGE, Open, damaged

SUFFIXES = {".parquet": "parquet", ".arrow": "arrow", ".jsonl": "json", ".ndjson": "json", ".json": "json"}
CODECS = {".gz": "gzip", ".zst": "zstd"}
PAGES = 1 << 20  # bytes of a column that are read ahead
BATCH_BYTES, BATCH_ROWS = 8 << 20, 1024


def form(name: str) -> tuple[str, str]:
    """Return (format, codec) of a file by its name, or two empty texts.

    >>> form("data/train-0.parquet"), form("a.JSONL.gz"), form("README.md")
    (('parquet', ''), ('json', 'gzip'), ('', ''))
    """
    lower = name.lower()
    codec = next((c for suffix, c in CODECS.items() if lower.endswith(suffix)), "")
    found = next((f for suffix, f in SUFFIXES.items() if (lower.rpartition(".")[0] if codec else lower).endswith(suffix)), "")
    return (found, codec) if found and (found == "json" or not codec) else ("", "")


def read(
    open_: Open, name: str, columns: Columns, most: int, groups: range | None = None, skip: int = 0, take: int = -1
) -> Iterator[Row | Bad]:
    """Yield the rows of a file; of Parquet those of its row `groups`, of which `skip` are left out and `take` read (-1: all).

    A content of `most` bytes or more is TooLarge. Raises MachineError for trouble of the machine.
    """
    kind, codec = form(name)
    try:
        with open_() as file:
            if kind == "parquet":
                yield from _parquet(file, columns, most, groups, skip, take)
            elif kind == "arrow":
                yield from _arrow(file, columns, most)
            else:
                yield from lines.rows(lines.lines(open_, codec, lines.longest(columns, most)), columns)
    except MissingColumn as error:
        yield Bad(None, "missing_column", str(error))
    except (FileNotFoundError, NotThere) as error:
        yield Bad(None, "missing_file", damaged(error))
    except DAMAGE as error:
        yield Bad(None, "unreadable_table", damaged(error))


def resolve(schema: pa.Schema, columns: Columns) -> dict[str, str]:
    """Return the column of each role that a table has. Raises MissingColumn."""
    found = {role: next((n for n in names if _has(schema, n, columns)), "") for role, names in columns.names.items()}
    if columns.files and not _is_list(_type(schema, columns.files) or pa.null()):
        raise MissingColumn(f"no list column {columns.files!r}; it has {', '.join(schema.names)}"[:500])
    if lacking := [columns.names[role][0] for role in found if not found[role] and role in columns.required]:
        raise MissingColumn(f"no column {lacking[0]!r}; it has {', '.join(schema.names)}"[:500])
    return {role: name for role, name in found.items() if name}


def _has(schema: pa.Schema, name: str, columns: Columns) -> bool:
    if inside := columns.inside(name):
        of = _type(schema, columns.files) or pa.null()
        return _is_list(of) and _below(of.value_type, inside.split(".")) is not None
    return _type(schema, name) is not None


def _type(schema: pa.Schema, name: str) -> pa.DataType | None:
    top, *below = name.split(".")
    at = schema.get_field_index(name)
    if at >= 0:  # a column whose own name has dots
        return schema.field(at).type
    at = schema.get_field_index(top)
    return _below(schema.field(at).type, below) if at >= 0 else None


def _below(of: pa.DataType, names: Sequence[str]) -> pa.DataType | None:
    for name in names:
        at = of.get_field_index(name) if pa.types.is_struct(of) else -1
        if at < 0:
            return None
        of = of.field(at).type
    return of


def _is_list(of: pa.DataType) -> bool:
    return pa.types.is_list(of) or pa.types.is_large_list(of)


def rows_of(batch: pa.RecordBatch, found: Mapping[str, str], columns: Columns, most: int, first: int) -> Iterator[Row]:
    """Yield the rows of a batch; the first has the number `first`."""
    own = {role: _values(_leaf(batch, name), role, most) for role, name in found.items() if not columns.inside(name)}
    if not columns.files:
        for i in range(batch.num_rows):
            yield Row(first + i, {role: of(i) for role, of in own.items()}, ({},))
        return
    lists = _leaf(batch, columns.files)
    lists.validate(full=True)
    starts, valid, held = lists.offsets.to_pylist(), lists.is_valid().to_pylist(), lists.values
    within = {r: _values(_down(held, name.split(".")), r, most) for r, n in found.items() if (name := columns.inside(n))}

    def files(i: int) -> Iterator[dict[str, Any]]:
        return ({role: of(j) for role, of in within.items()} for j in range(starts[i], starts[i + 1]))

    for i in range(batch.num_rows):
        yield Row(first + i, {role: of(i) for role, of in own.items()}, files(i) if valid[i] else ())


def _leaf(batch: pa.RecordBatch, name: str) -> pa.Array:
    at = batch.schema.get_field_index(name)
    if at >= 0:
        return batch.column(at)
    top, *below = name.split(".")
    return _down(batch.column(batch.schema.get_field_index(top)), below)


def _down(array: pa.Array, names: Sequence[str]) -> pa.Array:
    for name in names:
        array = pc.struct_field(array, name)
    return array


def _values(array: pa.Array, role: str, most: int) -> Callable[[int], Any]:
    """Return what gives the value at a place: of a text its bytes, which nobody has checked to be UTF-8."""
    of = array.type
    if pa.types.is_dictionary(of):
        array.validate(full=True)
        array, of = array.dictionary_decode(), of.value_type
    if pa.types.is_string(of) or pa.types.is_large_string(of):
        array = array.view(pa.binary() if pa.types.is_string(of) else pa.large_binary())
    elif pa.types.is_timestamp(of):
        array = array.cast(pa.timestamp("us", of.tz), safe=False).cast(pa.timestamp("us"))
    array.validate(full=True)
    if role != "content" or not (pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type)):
        return array.to_pylist().__getitem__
    sizes = pc.binary_length(array).to_pylist()
    # One content at a time becomes an object of Python.
    return lambda i: None if sizes[i] is None else TooLarge(sizes[i]) if sizes[i] >= most else array[i].as_py()


def _parquet(
    file: pa.NativeFile, columns: Columns, most: int, groups: range | None, skip: int, take: int
) -> Iterator[Row | Bad]:
    table = pq.ParquetFile(file, buffer_size=PAGES, pre_buffer=False)
    held = table.metadata
    try:
        found = resolve(table.schema_arrow, columns)
    except MissingColumn as error:
        raise MissingColumn(f"{held.num_rows if take < 0 else take:,} rows: {error}") from None
    groups = range(held.num_row_groups) if groups is None else groups
    if groups.stop > held.num_row_groups:
        raise ValueError(f"{held.num_row_groups} row groups, {groups.stop} when it was planned")
    wanted = [held.schema.column(i).path for i in columns_of(held, [*found.values(), *filter(None, [columns.files])], columns)]
    at = sum(held.row_group(g).num_rows for g in range(groups.start))
    until = at + sum(held.row_group(g).num_rows for g in groups) if take < 0 else at + skip + take
    since = at + skip
    for group in groups:
        first, count = at, held.row_group(group).num_rows
        size = sum(held.row_group(group).column(i).total_uncompressed_size for i in columns_of(held, found.values(), columns))
        few = max(1, min(BATCH_ROWS, BATCH_BYTES * count // max(size, 1)))
        try:
            for batch in table.iter_batches(few, row_groups=[group], columns=wanted, use_threads=False):
                left, right = max(since - at, 0), min(until - at, batch.num_rows)
                if left < right:
                    yield from rows_of(batch.slice(left, right - left), found, columns, most, at + left + 1)
                at += batch.num_rows
                if at >= until:
                    return
        except DAMAGE as error:
            said, lost = damaged(error), min(first + count, until) - max(at, since)
            yield Bad(None, "unreadable_rows", f"row group {group}: {lost:,} rows from row {max(at, since) + 1:,} on: {said}")
        at = first + count


def columns_of(held: pq.FileMetaData, names: Iterable[str], columns: Columns) -> list[int]:
    """Return the Parquet columns that hold what Arrow calls by these names, sorted; of the list of files only the wanted fields."""
    wanted = {tuple(n.split(".")) for n in names if n != columns.files or not columns.files}
    found = []
    for i in range(held.num_columns):
        parts = held.schema.column(i).path.split(".")
        plain = tuple(p for k, p in enumerate(parts) if not _is_level(parts, k))
        if any(plain[: len(w)] == w for w in wanted) or tuple(parts) in wanted:
            found.append(i)
    return found


def _is_level(parts: Sequence[str], k: int) -> bool:
    pair = {"list": ("element", "item", "array"), "bag": ("array_element",)}
    here = k > 0 and k + 1 < len(parts) and parts[k + 1] in pair.get(parts[k], ())
    return here or (k > 1 and parts[k] in pair.get(parts[k - 1], ()))


def _arrow(file: pa.NativeFile, columns: Columns, most: int) -> Iterator[Row | Bad]:
    at = 0
    for batch in arrow_batches(file):
        found = resolve(batch.schema, columns)
        try:
            yield from rows_of(batch, found, columns, most, at + 1)
        except pa.ArrowException as error:
            yield Bad(None, "unreadable_rows", f"{batch.num_rows:,} rows from row {at + 1:,} on: {one_line(error)}")
        at += batch.num_rows


def arrow_batches(file: pa.NativeFile) -> Iterator[pa.RecordBatch]:
    """Yield the batches of an Arrow file or stream (`datasets` writes streams). Raises ArrowException or OSError."""
    is_file = file.read(6) == b"ARROW1"
    file.seek(0)
    if not is_file:
        yield from pa.ipc.open_stream(file)
        return
    reader = pa.ipc.open_file(file)
    for i in range(reader.num_record_batches):
        yield reader.get_batch(i)
