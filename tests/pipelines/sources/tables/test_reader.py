"""Tables of every dialect give the rows that were written, with git's ids; what is bad in one is a named row, nothing else is lost."""

import gzip
import json
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from starmill.core import recipe as recipes
from starmill.core.dataset import Workspace
from starmill.pipelines.recipe import Recipe
from starmill.pipelines.sources.source import Entry, Limits
from starmill.pipelines.sources.tables.reader import Tables
from starmill.pipelines.stages import ingest

LIMITS = Limits(max_file_bytes=50_000)
Rows = list[dict]


def rows_of(count: int, seed: int = 1) -> Rows:
    """Return rows, each a file, of repositories in their order."""
    rng = random.Random(seed)
    words = ["x = 1\n", "# ünïcödé 🐍\n", '"quoted" \\ and\ttabs\r\n', "\x1b[31m\u2028\n", "def f():\n    return 0\n"]
    return [
        {
            "repo_name": f"owner/r{i // 7:04d}",
            "path": f"src/{i}.py",
            "content": "".join(rng.choices(words, k=rng.randrange(1, 40))),
            "stars": i,
        }
        for i in range(count)
    ]


def nested(rows: Rows) -> Rows:
    """Return the same as repositories with files."""
    made: dict[str, dict] = {}
    for row in rows:
        of = made.setdefault(row["repo_name"], {"repo_name": row["repo_name"], "meta": {"stars": row["stars"]}, "files": []})
        of["files"].append({"path": row["path"], "content": row["content"], "unused": "u"})
        row["stars"] = of["meta"]["stars"]
    return list(made.values())


def json_lines(rows: Rows) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=bool(i % 2)).encode() + b"\n" for i, row in enumerate(rows))


def parquet(file: Path, rows: Rows, schema: pa.Schema | None = None, size: int = 50) -> None:
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), file, row_group_size=size, data_page_size=500)


def arrow(file: Path, rows: Rows, writer: Callable) -> None:
    table = pa.Table.from_pylist(rows)
    with pa.OSFile(str(file), "wb") as sink, writer(sink, table.schema) as made:
        made.write_table(table, max_chunksize=30)


LARGE = pa.schema(
    [
        ("repo_name", pa.dictionary(pa.int32(), pa.string())),
        ("path", pa.large_string()),
        ("content", pa.large_binary()),
        ("stars", pa.int8()),
    ]
)
DIALECTS: dict[str, Callable[[Path, Rows], None]] = {
    "t.parquet": parquet,
    "large.parquet": lambda f, rows: parquet(f, [{**r, "content": r["content"].encode()} for r in rows], LARGE),
    "t.jsonl": lambda f, rows: f.write_bytes(b"\xef\xbb\xbf" + json_lines(rows).rstrip(b"\n")) and None,
    "crlf.ndjson": lambda f, rows: f.write_bytes(json_lines(rows).replace(b"\n", b"\r\n\n")) and None,
    "t.jsonl.gz": lambda f, rows: (
        f.write_bytes(gzip.compress(json_lines(rows[:9]), mtime=0) + gzip.compress(json_lines(rows[9:]), mtime=0)) and None
    ),
    "t.JSONL.ZST": lambda f, rows: (
        f.write_bytes(b"".join(zstandard.compress(json_lines(part)) for part in (rows[:9], rows[9:]))) and None
    ),
    "file.arrow": lambda f, rows: arrow(f, rows, pa.ipc.new_file),
    "stream.arrow": lambda f, rows: arrow(f, rows, pa.ipc.new_stream),
}


def read(source: Tables, limits: Limits = LIMITS) -> list[Entry]:
    return [entry for unit in source.plan() for entry in source.read(unit, limits)[1]]


def seen(entries: list[Entry]) -> list[tuple]:
    return [((e.repo_name or b"").decode(), e.path.decode(), e.data, e.facts.get("star_events_count")) for e in entries]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_row_is_a_file(tmp_path: Path, dialect: str) -> None:
    rows = rows_of(120)
    DIALECTS[dialect](tmp_path / dialect, rows)
    source = Tables(place=str(tmp_path), columns={"star_events_count": "stars"})
    assert seen(read(source)) == [(r["repo_name"], r["path"], r["content"].encode(), r["stars"]) for r in rows]
    assert source.count(source.plan()[0], LIMITS).files == 120


def test_datasets_reads_the_same_rows_of_a_table_and_writes_what_is_read(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="NOT RUN: no `datasets`, whose reader of tables is an oracle")
    rows = rows_of(120)
    asked = {"star_events_count": "stars"}
    for dialect, reader in (("t.parquet", "parquet"), ("t.jsonl.gz", "json"), ("stream.arrow", "arrow")):
        file = tmp_path / reader / dialect
        file.parent.mkdir()
        DIALECTS[dialect](file, rows)
        peer = datasets.load_dataset(reader, data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))
        found = [(row["repo_name"], row["path"], row["content"].encode(), row["stars"]) for row in peer]
        assert seen(read(Tables(place=str(file), columns=asked))) == found and len(found) == 120
    peer.save_to_disk(str(tmp_path / "saved"), num_shards=2)
    assert seen(read(Tables(place=str(tmp_path / "saved"), columns=asked, names="unique"))) == found


@pytest.mark.parametrize("dialect", [d for d in DIALECTS if d != "large.parquet"])
def test_a_row_is_a_repository(tmp_path: Path, dialect: str) -> None:
    rows = rows_of(120)
    DIALECTS[dialect](tmp_path / dialect, nested(rows))
    columns = {"content": "files.content", "path": "files.path", "star_events_count": "meta.stars"}
    source = Tables(place=str(tmp_path / dialect), columns=columns, files="files")  # type: ignore[arg-type]
    assert seen(read(source)) == [(r["repo_name"], r["path"], r["content"].encode(), r["stars"]) for r in rows]
    assert source.count(source.plan()[0], LIMITS).files == 120


def test_a_folder_of_datasets(tmp_path: Path) -> None:
    """The layout of `save_to_disk`: streams, and files that say what they are."""
    for k in range(2):
        arrow(tmp_path / f"data-0000{k}-of-00002.arrow", rows_of(20, k), pa.ipc.new_stream)
    for name in ("dataset_info.json", "state.json"):
        (tmp_path / name).write_text("{}")
    source = Tables(place=str(tmp_path), names="unique")
    assert [r.name for r in source.plan()] == ["data-00000-of-00002", "data-00001-of-00002"]
    assert [(r.name, r.left_out) for r in source.inventory() if r.left_out] == [
        (n, "not_a_table") for n in ("dataset_info.json", "state.json")
    ]
    assert [e.data for e in read(source)] == [r["content"].encode() for k in range(2) for r in rows_of(20, k)]
    (tmp_path / "data-00000-of-00002").write_text("no table\n")
    assert len({r.name for r in source.planned()}) == len(source.planned()) == 5, "nor is one of these called as a unit is"
    (tmp_path / "data-00000-of-00002").unlink()
    only = Tables(place=str(tmp_path), match=("*1-of-*",))
    assert [r.name for r in only.plan()] == ["data-00001-of-00002"] and len(only.inventory()) == 4


FACTS_V3 = pa.struct(
    [*((name, pa.string()) for name in ("branch", "repo_created_at")), *((name, pa.int32()) for name in ("stars", "forks"))]
)
STACK_V3 = pa.schema(
    [
        ("repo_path", pa.string()),
        ("repo_id", pa.int64()),
        ("commit_id", pa.string()),
        (
            "github_metadata",
            pa.struct(
                [
                    ("branch", pa.string()),
                    ("repo_created_at", pa.string()),
                    ("is_fork", pa.bool_()),
                    ("stars", pa.int32()),
                    ("forks", pa.int32()),
                ]
            ),
        ),
        ("num_files", pa.int64()),
        (
            "files",
            pa.list_(
                pa.struct(
                    [
                        *((name, pa.string()) for name in ("content_id", "content", "file_path", "language", "license_type")),
                        ("size_bytes", pa.int64()),
                        ("detected_licenses", pa.list_(pa.string())),
                    ]
                )
            ),
        ),
    ]
)


def stack_v3(folder: Path, files: int = 2, repositories: int = 6) -> None:
    """Write the layout of HuggingFaceCode/stack-v3-train, of our own texts."""
    (folder / "data").mkdir(parents=True)
    for part in range(files):
        rows = [
            {
                "repo_path": f"owner/{part}{i}",
                "repo_id": i,
                "commit_id": "ab" * 20,
                "github_metadata": {
                    "branch": "main",
                    "repo_created_at": "2015-01-01T00:00:00Z",
                    "is_fork": False,
                    "stars": i,
                    "forks": 0,
                },
                "num_files": 2,
                "files": [{"content_id": "", "content": f"x = {part}{i}{k}\n", "file_path": f"{k}.py"} for k in range(2)],
            }
            for i in range(repositories)
        ]
        rows[0]["files"].append(rows[0]["files"][0])
        pq.write_table(
            pa.Table.from_pylist(rows, STACK_V3), folder / f"data/part-{part:05d}-x.snappy.parquet", row_group_size=3
        )


def records(source: Tables, work: Path) -> tuple[Rows, Rows]:
    """Return what ingest keeps of a table, and what it drops."""
    options = Recipe(str(work), {"table": source})
    workspace = Workspace(options.workspace)
    part = ingest.IngestPart(workspace, options.sources, options.ingest)
    sidecars = [part(ref) for ref in part.publish(ingest.STAGE.parts(options, workspace, ()))]
    tables = [(o.path, workspace.table(o.path).to_pylist()) for s in sidecars for o in s.outputs if o.path.endswith(".parquet")]
    kept, lost = ([row for path, rows in tables if path.startswith(d) for row in rows] for d in ("records", "dropped"))
    return kept, lost


def test_the_stack_v3(tmp_path: Path) -> None:
    stack_v3(tmp_path / "dump")
    kept, lost = records(Tables(place=str(tmp_path / "dump"), dataset="stack-v3"), tmp_path / "w")
    assert [(r["repo_name"], r["path"]) for r in kept] == [
        (f"owner/{p}{i}", f"/{k}.py") for p in range(2) for i in range(6) for k in range(2)
    ]
    assert [(r["repo_name"], r["path"], r["reason"]) for r in lost] == [
        (f"owner/{p}0", "/0.py~2", "same_file_again") for p in range(2)
    ]
    assert {(r["branch_name"], r["revision_id"], str(r["gha_created_at"])[:10]) for r in kept} == {
        ("main", "ab" * 20, "2015-01-01")
    }
    assert [r["star_events_count"] for r in kept if r["path"] == "/0.py"] == [*range(6)] * 2
    git = ["git", "hash-object", "--stdin"]
    for row in kept[:4]:
        assert (
            subprocess.run(git, input=row["content"].encode(), capture_output=True).stdout.decode().strip() == row["content_id"]
        )


def test_ids_that_a_table_states_are_compared(tmp_path: Path) -> None:
    rows = rows_of(3)
    ids = (
        subprocess.run(["git", "hash-object", "--stdin"], input=rows[0]["content"].encode(), capture_output=True)
        .stdout.decode()
        .strip()
    )
    parquet(tmp_path / "t.parquet", [{**r, "content_id": said} for r, said in zip(rows, (ids.upper(), ids, None), strict=True)])
    source = Tables(place=str(tmp_path))
    assert [e.reason for e in read(source)] == [None, "wrong_id", None]
    assert [e.reason for e in read(Tables(place=str(tmp_path), mismatch="keep"))] == [None] * 3
    wrong = Tables(place=str(tmp_path), columns={"blob_id": "content_id", "content_id": "path"})
    assert {e.reason for e in read(wrong)} == {"wrong_id"}


def test_units_do_not_name_two_records_alike(tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet", rows_of(14))
    parquet(tmp_path / "b.parquet", [*rows_of(21)[7:], {**rows_of(1)[0], "repo_name": "a/first"}])
    named = [(e.repo_name, e.path) for e in read(Tables(place=str(tmp_path)))]
    assert len(set(named)) == len(named) == 29
    marked = [(n, p) for n, p in named if b"~" in p]
    assert len(marked) == 7 and {n for n, _ in marked} == {b"owner/r0001"} and all(p.endswith(b".py") for _, p in marked)
    unique = [(e.repo_name, e.path) for e in read(Tables(place=str(tmp_path), names="unique"))]
    assert len(set(unique)) == 22
    stack_v3(tmp_path / "sorted")
    assert not [e.path for e in read(Tables(place=str(tmp_path / "sorted"), dataset="stack-v3")) if b"~" in e.path]


def test_texts_without_names_are_numbered(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_bytes(b"".join(b'{"text": "number %d"}\n' % i for i in range(3)))
    kept, _ = records(Tables(place=str(tmp_path)), tmp_path / "w")
    assert [(r["repo_name"], r["path"]) for r in kept] == [("t", "/1"), ("t", "/2"), ("t", "/3")]
    kept, _ = records(
        Tables(place=str(tmp_path / "t.jsonl"), constants={"repo_name": "my/set", "gha_license_id": "MIT"}), tmp_path / "x"
    )
    assert [(r["repo_name"], r["path"], r["gha_license_id"]) for r in kept] == [("my/set", f"/t/{i}", "MIT") for i in (1, 2, 3)]


@pytest.mark.parametrize(
    "row",
    [
        {"stars": "many"},
        {"stars": 2.5},
        {"stars": 1e400},
        {"stars": True},
        {"path": 7},
        {"content": ["x"]},
        {"repo_name": {"a": 1}},
    ],
)
def test_a_value_of_a_wrong_type_is_a_row(tmp_path: Path, row: dict) -> None:
    good, columns = rows_of(2), {"star_events_count": "stars"}
    (tmp_path / "t.jsonl").write_bytes(json_lines([good[0], good[1] | row]).replace(b"Infinity", b"1e999"))
    lines = Tables(place=str(tmp_path / "t.jsonl"), columns=columns)  # type: ignore[arg-type]
    assert [e.reason for e in read(lines)] == [None, "malformed_row" if row.get("stars") == 1e400 else "wrong_type"]
    parquet(tmp_path / "t.parquet", [good[1] | row])
    typed = Tables(place=str(tmp_path / "t.parquet"), columns=columns)  # type: ignore[arg-type]
    assert [e.reason for e in read(typed)] == ["wrong_type"]


def test_what_a_table_lacks(tmp_path: Path) -> None:
    parquet(tmp_path / "t.parquet", [{k: v for k, v in r.items() if k != "content"} for r in rows_of(3)])
    (tmp_path / "u.jsonl").write_bytes(
        b'{"path": "a.py"}\n{"path": "b.py", "content": null}\n{"path": "c.py", "content": "x"}\n'
    )
    found = read(Tables(place=str(tmp_path)))
    assert [(e.path, e.reason) for e in found] == [
        (b"", "missing_column"),
        (b"1", "missing_column"),
        (b"b.py", "no_content"),
        (b"c.py", None),
    ]
    assert found[0].detail == "3 rows: no column 'content'; it has repo_name, path, stars"
    gone = Tables(place=str(tmp_path / "none"))
    with pytest.raises(FileNotFoundError):
        gone.plan()


def test_a_rewritten_text_names_its_parent(tmp_path: Path) -> None:
    parent = "swh:1:cnt:" + "0a" * 20
    parquet(tmp_path / "t.parquet", [{"text": "t", "source": said} for said in (parent, None, parent.upper(), "a.py")])
    found = read(Tables(place=str(tmp_path), columns={"parent": "source"}, records="rewritten"))
    assert [(e.path, e.reason, e.facts.get("parent")) for e in found] == [
        (b"1", None, parent),
        (b"2", None, None),
        (b"3", "wrong_type", None),
        (b"4", "wrong_type", None),
    ]
    assert (found[3].detail or "").endswith("is no SWHID of a content, swh:1:cnt:<40 hexadecimal digits>")


def test_a_recipe_says_what_a_column_is(tmp_path: Path) -> None:
    parquet(tmp_path / "t.parquet", rows_of(1))

    def built(**values: object) -> Recipe:
        return recipes.build(Recipe, {"workspace": "w", "sources": {"t": {"kind": "table", "place": str(tmp_path), **values}}})

    for wrong, said in (
        ({"columns": {"contents": "c"}}, "'contents' is not one of"),
        ({"dataset": "stack-v4"}, "did you mean 'stack-v"),
        ({"constants": {"visit_date": "yesterday"}}, "visit_date"),
        ({"records": "codes"}, "did you mean 'code'"),
        ({"place": "s3://user:secret@bucket/x"}, "credentials"),
    ):
        with pytest.raises(recipes.RecipeError, match=said):
            built(**wrong)
    one, other = (built(columns=columns).sources["t"] for columns in ({}, {"star_events_count": "stars"}))
    assert one.plan()[0].fingerprint != other.plan()[0].fingerprint, "another map of the columns reads the table anew"
