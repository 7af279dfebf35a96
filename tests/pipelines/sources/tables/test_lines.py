"""JSON Lines as Python's json reads them, and every damage as a row: nothing is lost beside it, and no line is held that is too long."""

import gzip
import json
import random
import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
import zstandard

from starmill.core.errors import MachineError
from starmill.pipelines.sources.tables import lines as tables_lines
from starmill.pipelines.sources.tables.columns import Bad, Columns, Row

COLUMNS = Columns({"content": ["content"], "path": ["path", "name"]}, frozenset(("content",)))


def opened(data: bytes) -> Callable[[], pa.NativeFile]:
    return lambda: pa.BufferReader(data)


def read(data: bytes, codec: str = "", most: int = 1 << 20) -> list[Row | Bad]:
    return list(tables_lines.rows(tables_lines.lines(opened(data), codec, most), COLUMNS))


def contents(rows: list[Row | Bad]) -> list[str]:
    return [row.values["content"] for row in rows if isinstance(row, Row)]


GOOD = b'{"content": "before", "path": "a.py"}'
BAD = {
    "invalid UTF-8": (b'{"content": "\xff"}', "malformed_row"),
    "lone surrogate": (b'{"content": "\\ud800"}', "malformed_row"),
    "lone surrogate in bytes": (b'{"content": "\xed\xa0\x80"}', "malformed_row"),
    "NaN": (b'{"content": "x", "stars": NaN}', "malformed_row"),
    "one key twice": (b'{"content": "x", "content": "y"}', "malformed_row"),
    "no object": (b"[1, 2]", "malformed_row"),
    "two glued": (GOOD + GOOD, "malformed_row"),
    "cut": (GOOD[:-5], "malformed_row"),
    "deep": (b'{"content": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "malformed_row"),
    "NULs": (b"\0\0\0" + GOOD, "malformed_row"),
    "too long": (b'{"content": "' + b"x" * 500_000 + b'"}', "too_large"),
    "no content": (b'{"path": "a.py"}', "missing_column"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_line_is_a_row(case: str) -> None:
    line, reason = BAD[case]
    rows = read(b"\n".join((GOOD, line, GOOD)), most=400_000)
    assert [(r.number, r.reason) for r in rows if isinstance(r, Bad)] == [(2, reason)]
    assert contents(rows) == ["before", "before"]


def test_what_is_no_damage() -> None:
    strange = [
        {"content": 'a "content": "b"', "path": "content"},
        {"content": "x", "more": {"content": "y", "path": "z"}},
        {"content": "\U0001f40d\u2028", "path": None, "number": 2**200},
    ]
    data = b"\xef\xbb\xbf" + b"\r\n\n".join(json.dumps(row).encode() for row in strange)
    assert contents(read(data)) == [row["content"] for row in strange]
    assert read(b"") == read(b"\n\n") == []


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_all_whole_lines_before_a_damage_are_read(codec: str) -> None:
    """The same lines as zlib and zstandard give, whatever the place of the cut; a damaged stream ends in one row that says so."""
    rng = random.Random(1)
    texts = [rng.randbytes(rng.randrange(60)).hex() for _ in range(3000)]
    data = b"".join(json.dumps({"content": text}).encode() + b"\n" for text in texts)
    whole = gzip.compress(data, mtime=0) if codec == "gzip" else zstandard.ZstdCompressor(write_checksum=True).compress(data)
    assert contents(read(whole, codec)) == texts
    for cut in (1, 12, 5_000, len(whole) // 2, len(whole) - 1):
        inflate = zlib.decompressobj(31) if codec == "gzip" else zstandard.ZstdDecompressor().decompressobj()
        lines = inflate.decompress(whole[:cut]).count(b"\n")
        rows = read(whole[:cut], codec)
        assert contents(rows) == texts[:lines]
        assert [r.reason for r in rows if isinstance(r, Bad)] == ["unreadable_table"]
    wrong = whole[:-6] + bytes(b ^ 0xFF for b in whole[-6:])
    assert [r.reason for r in read(wrong, codec) if isinstance(r, Bad)] == ["unreadable_table"]


def test_trouble_of_the_machine_is_no_row() -> None:
    class Broken:
        def read(self, size: int) -> bytes:
            raise OSError(5, "Input/output error")

        closed = False

        def readable(self) -> bool:
            return True

        def close(self) -> None: ...

    with pytest.raises(MachineError, match="Input/output error"):
        list(tables_lines.lines(lambda: pa.PythonFile(Broken(), mode="r"), "", 100))


def test_a_bomb_is_never_held(tmp_path: Path) -> None:
    bomb = zlib.compressobj(9, wbits=31)
    data = bomb.compress(b"x" * (64 << 20)) + bomb.flush()
    before = pa.total_allocated_bytes()
    rows = list(tables_lines.lines(opened(data), "gzip", 1000))
    assert [(r.data, r.size) for r in rows] == [(None, 64 << 20)] and pa.total_allocated_bytes() - before < 1 << 20
