"""A slip in the name of a column ends a plan, with the name that was meant; what only some files have does not."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from starmill.cli import __main__ as cli
from starmill.core.errors import UsageError
from starmill.pipelines.sources.source import Limits
from starmill.pipelines.sources.tables.reader import Tables

ROWS = [
    {"file": {"name": f"{n}.py"}, "body": "x = 1\n", "project": "me/r", "files": [{"text": "y\n", "at": "b.py"}]}
    for n in range(3)
]


def write(place: Path, name: str, rows: list[dict] = ROWS) -> Path:
    place.mkdir(exist_ok=True)
    table = pa.Table.from_pylist(rows)
    if name.endswith("parquet"):
        pq.write_table(table, place / name)
    elif name.endswith("arrow"):
        with pa.OSFile(str(place / name), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as made:
            made.write_table(table)
    else:
        data = "".join(json.dumps(row) + "\n" for row in rows).encode()
        (place / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    return place


NAMES = ("t.parquet", "t.arrow", "t.jsonl", "t.jsonl.gz")
GOOD = {"content": "body", "path": "file.name"}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("columns", "files", "said"),
    [
        (
            {"content": "bdy"},
            None,
            r"columns\.content: no file has a column 'bdy'; did you mean 'body'\?; they have body, file,",
        ),
        ({"path": "file.nane"}, None, r"columns\.path: no file has a column 'file\.nane'; did you mean 'file\.name'\?"),
        ({"path": "zzzzzzz"}, None, r"columns\.path: no file has a column 'zzzzzzz'; they have"),
        (
            {"content": "files.txt", "path": "files.at"},
            "files",
            r"columns\.content: no file has a column 'files\.txt'; did you mean 'files\.text'\?",
        ),
        (
            {"content": "fils.text"},
            "fils",
            r"columns\.content: no file has a column 'fils\.text'; did you mean 'files\.text'\?",
        ),
    ],
)
def test_a_slip_is_refused(tmp_path: Path, name: str, columns: dict, files: str | None, said: str) -> None:
    of = Tables(place=str(write(tmp_path / "t", name)), columns=GOOD | columns, files=files)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=rf"^table .*/t: {said}"):
        of.plan()


@pytest.mark.parametrize("name", NAMES)
def test_what_is_there_is_not(tmp_path: Path, name: str) -> None:
    write(tmp_path / "t", name)
    assert len(Tables(place=str(tmp_path / "t"), columns=GOOD).plan()) == 1  # type: ignore[arg-type]
    nested = Tables(place=str(tmp_path / "t"), columns={"content": "files.text", "path": "files.at"}, files="files")
    assert [e.data for u in nested.plan() for e in nested.read(u, Limits())[1]] == [b"y\n"] * 3


def test_a_column_of_one_file_is_enough(tmp_path: Path) -> None:
    for n in range(70):
        write(tmp_path / "t", f"{n:02d}.parquet", [{"body": "x\n"}])
    write(tmp_path / "t", "99.jsonl")
    assert len(Tables(place=str(tmp_path / "t"), columns=GOOD).plan()) == 71  # type: ignore[arg-type]


def test_a_table_without_contents_says_how_they_are_called(tmp_path: Path) -> None:
    write(tmp_path / "t", "t.parquet", [{"body": "x\n"}])
    with pytest.raises(UsageError, match=r"columns\.content: no file has columns 'content', 'text' or 'code'; they have body"):
        Tables(place=str(tmp_path / "t")).plan()


def test_what_cannot_be_read_is_told_by_its_rows(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(b"PAR1 no table")
    (tmp_path / "t.jsonl").write_bytes(b"")
    (tmp_path / "u.jsonl").write_bytes(b"\xff\xfe no json\n" + b"[1]\n" + b'{"a"' * 100)
    of = Tables(place=str(tmp_path), columns={"path": "slip"})
    assert len(of.plan()) == 3
    assert {e.reason for u in of.plan() for e in of.read(u, Limits())[1]} == {"unreadable_table", "malformed_row"}


def test_names_from_a_dump_are_shown_safely_and_not_all(tmp_path: Path) -> None:
    deep = json.loads('{"a":' * 50 + "1" + "}" * 50)
    rows = [{f"\x1b[31m{n}": 1, f"column{n}\u202e": 1, f"column{n}": 1, "deep": deep} for n in range(3000)]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(UsageError) as refused:
        Tables(place=str(tmp_path), columns={"content": "colunm7"}).plan()
    assert (
        "did you mean 'column7'?" in str(refused.value) and len(str(refused.value)) < 900 and str(refused.value).isprintable()
    )


def test_a_file_of_more_names_than_can_be_looked_at_refuses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("starmill.pipelines.sources.tables.typos.MOST", 5)
    write(tmp_path, "t.jsonl", [{f"c{n}": n for n in range(9)}])
    assert Tables(place=str(tmp_path), columns={"content": "slip"}).plan()


def test_nothing_is_started(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "t", "t.parquet")
    table = f"{{t: {{kind: table, place: {tmp_path / 't'}, columns: {{content: bdy}}}}}}"
    (tmp_path / "r.yaml").write_text(f"workspace: {tmp_path / 'w'}\nsources: {table}\n")
    for more in ([], ["--dry-run"]):
        assert cli.main(["ingest", str(tmp_path / "r.yaml"), "--quiet", *more]) == 2
        assert "did you mean 'body'?" in capsys.readouterr().err and not list(tmp_path.glob("w/records/*"))
