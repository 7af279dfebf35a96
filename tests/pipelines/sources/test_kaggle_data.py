"""What Kaggle's notebooks read, from the table that docs/sources.md joins: before their scripts, and as a part's key says."""

import csv
import json
import re
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from starmill.core.dataset import Workspace
from starmill.core.errors import InputError, NotThere
from starmill.core.recipe import RecipeError
from starmill.pipelines import recipe
from starmill.pipelines.recipe import Recipe
from starmill.pipelines.run.stages import run_stage
from starmill.pipelines.runners import choose
from starmill.pipelines.sources.kaggle_data import MOST, Known
from starmill.pipelines.sources.notebooks import records

ROOT = Path(__file__).resolve().parents[3]
NOTEBOOK = json.dumps(
    {
        "cells": [{"cell_type": "code", "source": "import pandas as pd\n\nprint(pd.read_csv('shapes.csv').describe())\n" * 3}],
        "metadata": {"kernelspec": {"name": "python3"}},
        "nbformat": 4,
    }
)
SHAPES = "Shapes\nWidths and heights.\nKaggle dataset identifier: ann/shapes"
Rows = list[dict[str, object]]


def table(place: Path, rows: Rows, size: int = 2, **options: object) -> Known:
    schema = pa.schema([("notebook", pa.int64()), ("id", pa.string()), ("title", pa.string()), ("description", pa.string())])
    pq.write_table(pa.Table.from_pylist(rows, schema), place, row_group_size=size, **options)
    return Known(str(place))


def row(
    notebook: int | None, own: str | None = "ann/shapes", title: str | None = "Shapes", said: str | None = ""
) -> dict[str, object]:
    return {"notebook": notebook, "id": own, "title": title, "description": said}


def test_a_notebook_is_found_by_the_number_of_its_version_in_whatever_row_group(tmp_path: Path) -> None:
    rows = [row(n, f"ann/{n}-{k}", None, None) for n in (3, 5, 5, 5, 8, 13) for k in range(2)]
    known = table(tmp_path / "t.parquet", [*rows, row(20, said="a\0b\r\nc" + "d" * 2000), row(None), row(21, None)])
    wanted = {f"Kaggle dataset identifier: {r['id']}" for r in rows if r["notebook"] == 5}
    assert known.of(b"0000/005/5.ipynb") == sorted(wanted), "three row groups, and each set once"
    assert [len(known.of(b"%d.ipynb" % n)) for n in (2, 3, 4, 8, 13, 21, 99)] == [0, 2, 0, 2, 2, 0, 0]
    assert [known.of(path) for path in (b"a.ipynb", b"5.py", b"5x.ipynb", b"")] == [()] * 4
    [text] = known.of(b"x/20.ipynb")
    assert text == "Shapes\nab\nc" + "d" * 996 + "[...]\nKaggle dataset identifier: ann/shapes"
    many = table(tmp_path / "many.parquet", [row(1, f"ann/{n}") for n in range(9, 0, -1)], 9)
    assert [text[-1] for text in many.of(b"1.ipynb")] == [*"123456789"][:MOST]


def test_a_script_stands_behind_its_data() -> None:
    [alone], [made] = (list(records(NOTEBOOK, ("kaggle",), data)) for data in ((), (SHAPES, "Other")))
    assert made.text == f"{SHAPES}\nOther\n{alone.text}"
    assert [made.text[s["start"] : s["end"]] for s in made.segments] == [SHAPES, "Other", alone.text]
    assert [(s["role"], s["name"]) for s in made.segments] == [("markdown", None)] * 2 + [("script", "Python")]
    assert {
        found.kind: found.text.startswith(SHAPES) for found in records(NOTEBOOK, ("notebook_script", "kaggle"), (SHAPES,))
    } == {
        "notebook_script": False,
        "kaggle": True,
    }
    [broken] = records("{}", ("kaggle",), (SHAPES,))
    assert broken.reason == "unreadable_notebook" and not broken.text


@pytest.mark.parametrize(
    ("rows", "options", "said"),
    [
        ([row(2), row(3), row(1)], {}, "not sorted by notebook"),
        ([row(1)], {"write_statistics": False}, "states no ranges"),
        ([{"notebook": None}], {}, "states no ranges"),
    ],
)
def test_a_table_that_cannot_serve_is_refused(tmp_path: Path, rows: Rows, options: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        table(tmp_path / "t.parquet", rows, **options).digest()


def test_what_is_no_such_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotThere, match=r"ingest\.kaggle_data: .*none: no such file"):
        Known(str(tmp_path / "none")).digest()
    (tmp_path / "text").write_text("notebook,id\n1,ann/shapes\n")
    with pytest.raises(InputError, match="give a Parquet table"):
        Known(str(tmp_path / "text")).digest()
    for columns, said in (
        ({"notebook": [1], "id": ["a"]}, "no column 'title'"),
        ({**row(1), "notebook": "1"}, "give whole numbers"),
    ):
        pq.write_table(
            pa.table({name: v if isinstance(v, list) else [v] for name, v in columns.items()}), tmp_path / "t.parquet"
        )
        with pytest.raises(InputError, match=said):
            Known(str(tmp_path / "t.parquet")).digest()
    with pytest.raises(RecipeError, match=r"ingest.*give notebooks: \[kaggle\] too"):
        recipe.build({"workspace": "w", "ingest": {"kaggle_data": "t.parquet"}})


def test_another_table_makes_other_records_and_the_same_one_none(tmp_path: Path) -> None:
    (tmp_path / "kernels/0001").mkdir(parents=True)
    (tmp_path / "kernels/0001/7.ipynb").write_text(NOTEBOOK)

    sources = {"kaggle": {"kind": "folders", "roots": [str(tmp_path / "kernels")]}}
    chosen = {"notebooks": ["kaggle"], "kaggle_data": str(tmp_path / "t.parquet")}
    made: Recipe = recipe.build({"workspace": str(tmp_path / "w"), "sources": sources, "ingest": chosen})

    def run() -> list[str]:
        run_stage("ingest", made, choose((), 1), quiet=True)
        return Workspace(made.workspace).table("records/part-00000.parquet").column("content").to_pylist()

    table(tmp_path / "t.parquet", [row(7, said="Widths and heights.")])
    [first] = run()
    assert first.startswith(SHAPES + "\nimport pandas")
    table(tmp_path / "t.parquet", [row(7, title="Forms")])
    [second] = run()
    before = (tmp_path / "w/records/part-00000.parquet").stat().st_mtime_ns
    assert run() == [second] and (tmp_path / "w/records/part-00000.parquet").stat().st_mtime_ns == before
    assert second.startswith("Forms\nKaggle dataset identifier: ann/shapes\nimport pandas")


def test_the_join_of_the_docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables: dict[str, Rows] = {
        "KernelVersionDatasetSources": [
            {"Id": 1, "KernelVersionId": 9, "SourceDatasetVersionId": 4},
            {"Id": 2, "KernelVersionId": 7, "SourceDatasetVersionId": 4},
            {"Id": 3, "KernelVersionId": 8, "SourceDatasetVersionId": 5},
        ],
        "DatasetVersions": [
            {"Id": 4, "DatasetId": 2, "Slug": "shapes", "Title": "Shapes", "Description": 'Widths\nand "heights".'},
            {"Id": 5, "DatasetId": 3, "Slug": "forms", "Title": "Forms", "Description": ""},
        ],
        "Datasets": [
            {"Id": 2, "OwnerUserId": 5, "OwnerOrganizationId": ""},
            {"Id": 3, "OwnerUserId": "", "OwnerOrganizationId": 1},
        ],
        "Users": [{"Id": 5, "UserName": "ann"}],
        "Organizations": [{"Id": 1, "Slug": "toys"}],
        "KernelVersionCompetitionSources": [{"Id": 1, "KernelVersionId": 7, "SourceCompetitionId": 3}],
        "Competitions": [{"Id": 3, "Slug": "circles", "Title": "Circles", "Subtitle": "Find the width"}],
    }
    for name, rows in tables.items():
        with open(tmp_path / f"{name}.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    monkeypatch.chdir(tmp_path)
    [query] = re.findall(r"^COPY \(.*?^\) TO .*?;$", (ROOT / "docs/sources.md").read_text(), re.M | re.S)
    duckdb.sql(query)
    known = Known(str(tmp_path / "kaggle-data.parquet"))
    known.digest()
    shapes = 'Shapes\nWidths\nand "heights".\nKaggle dataset identifier: ann/shapes'
    assert known.of(b"9.ipynb") == [shapes]
    assert known.of(b"8.ipynb") == ["Forms\nKaggle dataset identifier: toys/forms"]
    assert known.of(b"7.ipynb") == [shapes, "Circles\nFind the width\nKaggle dataset identifier: circles"]
