"""Damaged Parquet and Arrow files: what lies before and after the damage is read, and the rows that it cost are counted."""

import random
from contextlib import AbstractContextManager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from starmill.pipelines.sources.tables import rows as tables_rows
from starmill.pipelines.sources.tables.columns import Bad, Columns, Row, TooLarge

COLUMNS = Columns({"content": ["content"], "path": ["path"]}, frozenset(("content",)))


def read(file: Path, columns: Columns = COLUMNS, *extent: object) -> list[Row | Bad]:
    def open_() -> AbstractContextManager[pa.NativeFile]:
        return pa.OSFile(str(file))

    return list(tables_rows.read(open_, file.name, columns, 10_000, *extent))  # type: ignore[arg-type]


def table(rows: int) -> pa.Table:
    rng = random.Random(1)
    return pa.table({"path": [f"{i}.py" for i in range(rows)], "content": [rng.randbytes(100).hex() for _ in range(rows)]})


def contents(rows: list[Row | Bad]) -> list[bytes]:
    return [row.values["content"] for row in rows if isinstance(row, Row)]


def test_some_rows_of_some_row_groups(tmp_path: Path) -> None:
    pq.write_table(table(100), tmp_path / "t.parquet", row_group_size=30)
    wanted = [text.encode() for text in table(100).column("content").to_pylist()]
    assert contents(read(tmp_path / "t.parquet")) == wanted
    assert contents(read(tmp_path / "t.parquet", COLUMNS, range(1, 3), 0, 60)) == wanted[30:90]
    some = read(tmp_path / "t.parquet", COLUMNS, range(1, 2), 10, 15)
    assert contents(some) == wanted[40:55] and [row.number for row in some] == [*range(41, 56)]
    [gone] = read(tmp_path / "t.parquet", COLUMNS, range(3, 9), 0, 1)
    assert isinstance(gone, Bad) and gone.reason == "unreadable_table" and "row groups" in gone.detail


def test_a_corrupt_page_costs_the_rest_of_its_row_group(tmp_path: Path) -> None:
    pq.write_table(table(90), tmp_path / "t.parquet", row_group_size=30, use_dictionary=False)
    column = pq.read_metadata(tmp_path / "t.parquet").row_group(1).column(1)
    data = bytearray((tmp_path / "t.parquet").read_bytes())
    middle = column.data_page_offset + column.total_compressed_size // 2
    data[column.data_page_offset : middle] = b"\xff" * (middle - column.data_page_offset)
    (tmp_path / "t.parquet").write_bytes(data)
    rows, wanted = read(tmp_path / "t.parquet"), [text.encode() for text in table(90).column("content").to_pylist()]
    assert contents(rows) == wanted[:30] + wanted[60:]
    [bad] = [row for row in rows if isinstance(row, Bad)]
    assert bad.reason == "unreadable_rows" and bad.detail.startswith("row group 1: 30 rows from row 31 on: ")


@pytest.mark.parametrize("name", ["t.parquet", "t.arrow"])
def test_bytes_changed_anywhere_never_raise(tmp_path: Path, name: str) -> None:
    whole = table(40)
    if name == "t.parquet":
        pq.write_table(whole, tmp_path / name, row_group_size=20)
    else:
        with pa.OSFile(str(tmp_path / name), "wb") as sink, pa.ipc.new_stream(sink, whole.schema) as made:
            made.write_table(whole, max_chunksize=20)
    data, rng = (tmp_path / name).read_bytes(), random.Random(2)
    for _ in range(150):
        changed = bytearray(data)
        at = rng.randrange(len(data))
        changed[at : at + rng.randrange(1, 9)] = rng.randbytes(rng.randrange(9))
        (tmp_path / name).write_bytes(changed[: rng.choice((len(changed), rng.randrange(len(changed))))])
        assert all(isinstance(row, Row | Bad) for row in read(tmp_path / name))


def test_texts_that_are_no_utf_8_are_bytes(tmp_path: Path) -> None:
    latin = pa.array([b"caf\xe9", None], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"content": latin}), tmp_path / "t.parquet")
    assert contents(read(tmp_path / "t.parquet")) == [b"caf\xe9", None]


def test_a_large_content_stays_in_its_batch(tmp_path: Path) -> None:
    pq.write_table(pa.table({"content": ["x" * 10_000, "x" * 9_999]}), tmp_path / "t.parquet")
    assert contents(read(tmp_path / "t.parquet")) == [TooLarge(10_000), b"x" * 9_999]


def test_columns_that_no_role_has_are_not_read(tmp_path: Path) -> None:
    inner = pa.struct([("text", pa.string()), ("list", pa.string()), ("noise", pa.list_(pa.string()))])
    rows = [{"a.b": "dotted", "s": {"list": "struct"}, "files": [{"text": "x", "list": "y", "noise": ["n"]}]}]
    schema = pa.schema([("a.b", pa.string()), ("s", pa.struct([("list", pa.string())])), ("files", pa.list_(inner))])
    pq.write_table(pa.Table.from_pylist(rows, schema), tmp_path / "t.parquet")
    held = pq.read_metadata(tmp_path / "t.parquet")
    columns = Columns({"content": ["files.text"], "path": ["files.list"], "repo_name": ["a.b"]}, frozenset(), "files")
    wanted = tables_rows.columns_of(held, ["files.text", "files.list", "a.b"], columns)
    assert [held.schema.column(i).path for i in wanted] == ["a.b", "files.list.element.text", "files.list.element.list"]
    [row] = read(tmp_path / "t.parquet", columns)
    assert isinstance(row, Row) and row.values == {"repo_name": b"dotted"} and [*row.files] == [{"content": b"x", "path": b"y"}]


def test_one_column_twice_is_none(tmp_path: Path) -> None:
    twice = pa.Table.from_arrays([pa.array(["x"]), pa.array(["y"])], ["content", "content"])
    pq.write_table(twice, tmp_path / "t.parquet")
    [bad] = read(tmp_path / "t.parquet")
    assert isinstance(bad, Bad) and bad.reason == "missing_column"


def test_a_row_group_of_nested_lists_is_never_held(tmp_path: Path) -> None:
    text = random.Random(1).randbytes(20_000).hex()
    files = [[{"path": f"{k}.py", "content": f"{i} {k} {text[i + k :]}"} for k in range(10)] for i in range(320)]
    table = pa.table({"repo": [str(i) for i in range(320)], "files": files})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=1000, use_dictionary=False)
    whole = pq.read_metadata(tmp_path / "t.parquet").row_group(0).total_byte_size
    del table, files
    columns = Columns({"content": ["files.content"], "path": ["files.path"]}, frozenset(), "files")
    before, held, most = pa.total_allocated_bytes(), 0, 1 << 20
    for row in tables_rows.read(lambda: pa.OSFile(str(tmp_path / "t.parquet")), "t.parquet", columns, most):
        assert isinstance(row, Row) and len([*row.files]) == 10
        held = max(held, pa.total_allocated_bytes() - before)
    assert whole > 120_000_000 and held < whole / 2
