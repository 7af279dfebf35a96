"""Tables of an export: ORC and Parquet give the same, dates of any year are read, and a file that is none is named."""

from pathlib import Path

import exports
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from starmill.core.errors import InputError
from starmill.pipelines.sources.swh import tables

DATES = (None, 0, -1, -86400, 1_500_000_000, 32_503_680_000, -9_000_000_000_000)  # the years 3000 and -283232
ROWS = {"revision": [{"id": f"{n:040x}", "directory": "f" * 40, "date": d, "committer_date": 1} for n, d in enumerate(DATES)]}


def rows(export: tables.Export, table: str, columns: list[str], dates: list[str]) -> list[dict]:
    return [row for block in export.blocks(table, columns, dates) for row in block.to_pylist()]


@pytest.mark.parametrize("form", ["orc", "parquet"])
def test_dates_of_any_year_are_read_beside_the_others(tmp_path: Path, form: str) -> None:
    export = tables.export(str(exports.save(tmp_path / form, ROWS, form)))
    found = rows(export, "revision", ["directory", "id"], ["committer_date", "date"])
    assert [r["date"] for r in found] == [*DATES] and {r["committer_date"] for r in found} == {1}
    assert [r["id"] for r in found] == [f"{n:040x}".encode() for n in range(len(DATES))]


def test_ids_are_twenty_bytes_whatever_stands_in_their_place() -> None:
    good, zeros = bytes(range(20)), b"\0" * 20
    column = pa.array([good.hex().encode()] * 3, pa.large_binary())
    for part in (column, column[1:], column[:0]):
        assert tables.plain(tables.ids(part)) == [good] * len(part)
    odd = pa.array(
        [good.hex().encode(), None, b"", b"g" * 40, good.hex().encode() + b"0", good.hex().upper().encode()], pa.large_binary()
    )
    assert tables.plain(tables.ids(odd)) == [good, zeros, zeros, zeros, zeros, good]
    ends_in_nul = pa.array([zeros.hex().encode(), b"61" * 19 + b"00"], pa.large_binary())
    assert tables.plain(tables.ids(ends_in_nul)) == [zeros, b"a" * 19 + b"\0"]


def test_what_is_no_table_names_the_file(tmp_path: Path) -> None:
    folder = exports.save(tmp_path / "orc", ROWS)
    file = folder / "revision/revision-0.orc"
    whole = file.read_bytes()
    for cut in (0, 5, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:cut])
        with pytest.raises(
            InputError, match=r"orc/revision/revision-0\.orc: .*it is damaged, or no table 'revision' of an export"
        ):
            rows(tables.export(str(folder)), "revision", ["id"], ["date"])
    file.unlink()
    pq.write_table(pa.table({"id": [1.5], "date": ["today"]}), folder / "revision/revision-0.parquet")
    for columns, dates, said in (
        (["id"], [], "float|double"),
        (["directory"], [], "no column 'directory'"),
        ([], ["date"], "a date is"),
    ):
        with pytest.raises(InputError, match=rf"revision-0\.parquet: .*({said})"):
            rows(tables.export(str(folder)), "revision", columns, dates)


def test_another_state_of_a_file_is_another_state_of_the_export(tmp_path: Path) -> None:
    folder = exports.save(tmp_path / "orc", ROWS)
    before = tables.export(str(folder))
    assert tables.export(str(folder)) == before and (folder / "revision/_SUCCESS").write_text("") == 0
    assert tables.export(str(folder)).state == before.state, "what is no table's file does not count"
    file = folder / "revision/revision-0.orc"
    file.write_bytes(file.read_bytes())
    assert tables.export(str(folder)).state != before.state


def test_a_link_in_an_export_is_refused(tmp_path: Path) -> None:
    folder = exports.save(tmp_path / "orc", ROWS)
    file = folder / "revision/revision-0.orc"
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="a link inside"):
        tables.export(str(folder))


def test_an_export_of_a_bucket_is_read_as_one_of_a_folder(tmp_path: Path) -> None:
    import fsspec

    folder, memory = exports.save(tmp_path / "orc", ROWS), fsspec.filesystem("memory")
    for path in folder.rglob("*.orc"):
        memory.pipe_file(f"/export-tables/orc/{path.relative_to(folder)}", path.read_bytes())
    bucket = tables.export("memory://export-tables")
    assert rows(bucket, "revision", ["id"], ["date"]) == rows(tables.export(str(folder)), "revision", ["id"], ["date"])
    assert bucket.state == tables.export("memory://export-tables").state


def test_an_export_is_not_looked_through_for_each_repository(tmp_path: Path) -> None:
    folder = exports.save(tmp_path / "orc", ROWS)
    before = tables.export(str(folder))
    file = folder / "revision/revision-0.orc"
    file.write_bytes(file.read_bytes())
    assert tables.again(str(folder)) is before, "its own index is right whatever was written over"
    after = tables.export(str(folder))
    assert after != before and tables.again(str(folder)) is after
    file.rename(file.with_name("revision-7.orc"))
    assert tables.again(str(folder)).paths("revision") == ["revision/revision-1.orc", "revision/revision-7.orc"]
