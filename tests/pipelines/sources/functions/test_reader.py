"""Functions of another workspace's dataset: repositories, SWHIDs and lines; what is no seed is a row; the same bytes however it runs."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets_made import dataset

from starmill.cli import __main__ as cli
from starmill.core.dataset import Workspace
from starmill.core.errors import NotThere
from starmill.core.recipe import RecipeError
from starmill.pipelines.recipe import build
from starmill.pipelines.sources.functions.reader import Functions
from starmill.pipelines.sources.source import Entry, Limits

PLAIN = 'import math\n\n\ndef area(r):\n    """Of a circle."""\n    return math.pi * r * r\n\n\ndef bare(x):\n    return x\n'
OTHER = (
    'def other(x):\n    """Twice {}."""\n    total = x\n    for number in range(x):\n        total += number\n'
    "    if total > x:\n        total -= x\n    return total\n"
)
ROWS = [
    ("me/a", "/a.py", "Python", PLAIN),
    ("me/a", "/b.txt", "Text", "words\n"),
    ("me/b", "/src/c.py", "Python", OTHER.format("c")),
    ("me/b", "/src/none.py", "Python", "x = 1\n"),
    ("me/a", "/z.py", "Python", OTHER.format("z")),  # of a table, whose repositories do not lie together
    ("me/b", "/again.py", "Python", "x = 1\n" * 2000),
    ("me/b", "/large.py", "Python", "".join(f"x{n} = {n}\n" for n in range(12_000))),
]


def read(source: Functions, name: str) -> list[Entry]:
    [repository] = [r for r in source.plan() if r.name == name]
    return list(source.read(repository, Limits())[1])


def test_repositories_are_the_datasets_wherever_their_rows_lie(tmp_path: Path) -> None:
    dataset(tmp_path, ROWS, group=2)
    source = Functions(workspace=str(tmp_path))
    assert [(r.name, r.place["rows"]) for r in source.plan()] == [("me/a", "0-2,4-5"), ("me/b", "2-4,5-7")]
    found = [(e.path, e.reason, e.detail) for e in (*read(source, "me/a"), *read(source, "me/b"))]
    assert found == [
        (b"a.py/4-6", None, None),
        (b"a.py/9-10", "no_documentation", "function bare"),
        (b"b.txt", "another_language", None),
        (b"z.py/1-8", None, None),
        (b"src/c.py/1-8", None, None),
        (b"src/none.py", "no_function", None),
        (b"again.py", "repeats_itself", None),
        (b"large.py", "too_large_to_parse", None),
    ]


def test_a_seed_has_its_files_swhid_and_facts_and_its_marks(tmp_path: Path) -> None:
    dataset(tmp_path, ROWS)
    area = read(Functions(workspace=str(tmp_path)), "me/a")[0]
    rows = pq.read_table(tmp_path / "dataset/part-00000.parquet").to_pylist()
    assert area.facts["parent"] == f"swh:1:cnt:{rows[0]['content_id']}" and area.facts["star_events_count"] == 7
    text = (area.data or b"").decode()
    assert text == PLAIN.partition("\n\n\ndef bare")[0] + "\n" and area.repo_name == b"me/a"
    marked = [(s["role"], s["name"], text[s["start"] : s["end"]]) for s in area.segments or ()]
    assert marked == [
        ("code", "Python", text),
        ("imports", None, "import math"),
        ("documentation", None, '"""Of a circle."""'),
        ("parameters", "1", ""),
        ("license", "MIT", ""),
    ]


def test_what_is_asked_for_is_another_plan(tmp_path: Path) -> None:
    dataset(tmp_path, ROWS)
    plans = [Functions(workspace=str(tmp_path), **more).plan() for more in ({}, {"languages": ("Go",)}, {"max_bytes": 10})]
    assert len({r.fingerprint for plan in plans for r in plan}) == 6
    assert {e.reason for e in read(Functions(workspace=str(tmp_path), languages=("Go",)), "me/a")} == {"another_language"}
    assert {e.reason for e in read(Functions(workspace=str(tmp_path), max_bytes=10), "me/a")} == {
        "too_large_to_parse",
        "another_language",
    }


def test_a_workspace_without_a_dataset_and_a_language_without_a_row_are_told(tmp_path: Path) -> None:
    with pytest.raises(NotThere, match=r"no complete dataset/ in it; finish a run there first"):
        Functions(workspace=str(tmp_path)).plan()
    with pytest.raises(RecipeError, match=r"no functions of Ruby are known.*give some of Python, "):
        build({"workspace": "w", "sources": {"d": {"kind": "functions", "workspace": "x", "languages": ["Ruby"]}}})


def seeds(tmp_path: Path, name: str, workers: int) -> tuple[dict[str, str], list[dict[str, Any]]]:
    values = [f"sources.dataset.workspace={tmp_path / 'milled'}", "release.benchmarks=[]", "release.type_check=null"]
    values += ["ingest.part_bytes=300", "ingest.rows_of_left_out=false"]
    command = ["seeds", "--workspace", str(tmp_path / name), "--workers", str(workers), "--quiet"]
    assert cli.main([*command, *(word for value in values for word in ("--set", value))]) == 0
    workspace = Workspace(str(tmp_path / name))
    stages = ("records", "measures", "curated", "verdicts", "dataset")
    digests = {stage: manifest.digest for stage in stages if (manifest := workspace.manifest(stage))}
    assert len(digests) == len(stages)
    lines = [line for path in sorted((tmp_path / name / "seeds").iterdir()) for line in path.read_text().splitlines()]
    return digests, [json.loads(line) for line in lines]


@pytest.mark.slow
def test_seeds_are_the_same_with_any_workers_and_on_top_of_half_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset(tmp_path / "milled", ROWS)
    one, found = seeds(tmp_path, "one", 1)
    assert (one, found) == seeds(tmp_path, "two", 2) == seeds(tmp_path, "one", 1)
    assert [(s["repository"], s["path"], s["lines"]) for s in found] == [("me/a", "a.py", [4, 6]), ("me/a", "z.py", [1, 8])]
    assert (
        found[0]["licenses"] == ["MIT"]
        and found[0]["swhid"].startswith("swh:1:cnt:")
        and found[0]["seed"].startswith("import math")
    )
    dropped = pq.read_table(tmp_path / "one/dropped/dedup").to_pylist()
    assert [(r["path"], r["reason"], r["kept_path"]) for r in dropped] == [("/src/c.py/1-8", "near_duplicate", "/z.py/1-8")]
    assert (
        cli.main(
            [
                "seeds",
                "--workspace",
                str(tmp_path / "new"),
                "--dry-run",
                "--set",
                f"sources.dataset.workspace={tmp_path / 'milled'}",
                "--set",
                "release.type_check=null",
            ]
        )
        == 0
    )
    assert "me/a .. me/b" in capsys.readouterr().out and not (tmp_path / "new").exists()


def test_a_part_that_is_damaged_is_a_row(tmp_path: Path) -> None:
    dataset(tmp_path, ROWS)
    source = Functions(workspace=str(tmp_path))
    [repository, _] = source.plan()
    place = tmp_path / "dataset/part-00000.parquet"
    place.write_bytes(place.read_bytes()[:-100])
    [entry] = source.read(repository, Limits())[1]
    assert (entry.path, entry.data, entry.reason) == (b"", None, "unreadable_part") and entry.kind == "seed"
    assert isinstance(pa.array([entry.detail]), pa.Array)
