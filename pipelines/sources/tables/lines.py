"""Reads JSON Lines, plain or compressed: each line that lies whole before a damage, and each value once.

A line that is no row is a `Bad` row: no JSON, NaN, invalid UTF-8, a lone surrogate, an object with one key twice, above the limit.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa

from starmill.core.errors import InputError, MachineError, StarmillError, is_of_the_machine, one_line
from starmill.pipelines.sources.lines import lines as split
from starmill.pipelines.sources.tables.columns import Bad, Columns, MissingColumn, Row, WrongType

Names = Mapping[str, Sequence[str]]  # of roles
Open = Callable[[], AbstractContextManager[pa.NativeFile]]  # opens the file anew
CHUNK = 1 << 18  # bytes of text
DAMAGE = (pa.ArrowException, OSError, ValueError, RecursionError, msgspec.MsgspecError)


def damaged(error: Exception) -> str:
    """Return what an error says of a file that cannot be read. Raises MachineError where the file does not explain it."""
    if isinstance(error, StarmillError) and not isinstance(error, InputError):
        raise error
    # Arrow says that a file is damaged by an OSError without a number.
    if isinstance(error, OSError) and error.errno is not None and is_of_the_machine(error):
        raise MachineError(one_line(error)) from error
    return one_line(error)


def longest(columns: Columns, most: int) -> int:
    """Return the bytes that a line may have: a character of content takes up to six, and a row may be a repository."""
    return (64 if columns.files else 6) * most + (1 << 20)


class Line(NamedTuple):
    """A line of a text: its bytes, or None for one that is too long; or an `error`, after which nothing can be read."""

    number: int
    data: bytes | None
    size: int = 0
    error: str = ""


def lines(open_: Open, codec: str, most: int) -> Iterator[Line]:
    """Yield the lines of a text, those that are not empty; holds `most` bytes of one. Raises MachineError.

    Of a damaged gzip or zstd stream every line is given that lies whole before the damage.
    """
    number, begun = 0, _Begun()
    try:
        for number, (data, size) in enumerate(split(begun.of(_chunks(open_, codec)), most), start=1):
            text = data and data.strip()
            if text or data is None:
                yield Line(number, text, size)
    except DAMAGE as error:
        yield Line(number + 1, None, begun.size, f"nothing after line {number:,} can be read: {damaged(error)}")


class _Begun:
    """Counts the bytes of the line that has begun in what was given out."""

    def __init__(self) -> None:
        self.size = 0

    def of(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            end = chunk.rfind(b"\n") + 1
            self.size = len(chunk) - end + (0 if end else self.size)
            yield chunk


def _chunks(open_: Open, codec: str) -> Iterator[bytes]:
    done = 0
    try:
        with open_() as file, _inflated(file, codec) as stream:
            while chunk := stream.read(CHUNK):
                done += len(chunk)
                yield chunk
    except OSError as error:
        damaged(error)
        if not codec or isinstance(error, StarmillError | FileNotFoundError):
            raise
        # What was inflated before the damage is lost with the read that met it: again, byte by byte from there.
        with open_() as file, _inflated(file, codec) as stream:
            while done > 0:
                done -= len(stream.read(min(done, CHUNK)))
            while byte := stream.read(1):
                yield byte


def _inflated(file: pa.NativeFile, codec: str) -> AbstractContextManager[pa.NativeFile]:
    stream: AbstractContextManager[pa.NativeFile] = pa.CompressedInputStream(file, codec) if codec else file
    return stream


def rows(found: Iterable[Line], columns: Columns) -> Iterator[Row | Bad]:
    """Yield the row of each line."""
    keys = {n.split(".")[0] for names in columns.names.values() for n in names}
    quoted = {key: b'"%s"' % key.encode() for key in sorted(keys)}
    within = {role: [columns.inside(n) for n in names] for role, names in columns.names.items() if columns.inside(names[0])}
    own = {role: names for role, names in columns.names.items() if role not in within}
    for line in found:
        if line.error:
            yield Bad(None, "unreadable_table", line.error)
        elif line.data is None:
            yield Bad(line.number, "too_large", "a line above the limit", line.size)
        else:
            try:
                yield _row(line.number, _object(line, quoted), columns, own, within)
            except MissingColumn as error:
                yield Bad(line.number, "missing_column", str(error), line.size)
            except WrongType as error:
                yield Bad(line.number, "wrong_type", str(error), line.size)
            except (ValueError, RecursionError, msgspec.MsgspecError) as error:
                yield Bad(line.number, "malformed_row", one_line(error), line.size)


def _object(line: Line, quoted: Mapping[str, bytes]) -> dict[str, Any]:
    data = (line.data or b"").removeprefix(b"\xef\xbb\xbf" if line.number == 1 else b"")
    row = msgspec.json.decode(data)
    if not isinstance(row, dict):
        raise ValueError("no object")
    # One key twice: msgspec keeps the last, others the first.
    if any(data.count(quoted[key]) > 1 for key in row if key in quoted):
        json.loads(data, object_pairs_hook=_once)
    return row


def _row(number: int, row: dict[str, Any], columns: Columns, own: Names, within: Names) -> Row:
    values = {}
    for role, names in own.items():
        values[role], there = _first(row, names)
        if not there and role in columns.required:
            raise MissingColumn(f"no key {names[0]!r}")
    if not columns.files:
        return Row(number, values, ({},))
    listed = _first(row, [columns.files])[0]
    if not isinstance(listed, list) or not all(isinstance(file, dict) for file in listed):
        raise WrongType(f"{columns.files}: no list of objects")
    return Row(number, values, ({role: _first(file, names)[0] for role, names in within.items()} for file in listed))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("an object with one key twice")
    return made


def _first(row: dict[str, Any], names: Sequence[str]) -> tuple[Any, bool]:
    """Return the value of the first of some names that an object has, and whether it has one."""
    for name in names:
        if name in row:
            return row[name], True
        if "." not in name:
            continue
        at: Any = row
        for key in name.split("."):
            at = at.get(key, _NONE) if isinstance(at, dict) else _NONE
        if at is not _NONE:
            return at, True
    return None, False


_NONE = object()
