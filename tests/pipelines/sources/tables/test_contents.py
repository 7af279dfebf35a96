"""The Stack v2, a double of it: tables of ids in both its forms, and a store on loopback; git says what each record's ids are."""

import gzip
import json
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import contents as double
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from contents import Contents

from starmill.cli import __main__ as cli
from starmill.core import recipe as recipes
from starmill.core.dataset import Workspace
from starmill.core.swhid import blob_id, content_id
from starmill.pipelines.recipe import Recipe
from starmill.pipelines.sources.source import Entry, Limits
from starmill.pipelines.sources.tables.contents import TYPICAL, Due, due
from starmill.pipelines.sources.tables.reader import Tables
from starmill.pipelines.stages import ingest

TEXTS, COUNTS, DATES = pa.string(), pa.int64(), pa.timestamp("ns")
REPOSITORY = dict.fromkeys(("repo_name", "snapshot_id", "revision_id", "directory_id", "branch_name"), TEXTS)
REPOSITORY |= dict.fromkeys(("visit_date", "revision_date", "committer_date"), DATES)
REPOSITORY |= dict.fromkeys(("github_id", "star_events_count", "fork_events_count"), COUNTS)
REPOSITORY |= {"gha_license_id": TEXTS, "gha_created_at": DATES, "gha_language": TEXTS}
FILE = dict.fromkeys(("blob_id", "path", "content_id", "language", "license_type", "src_encoding"), TEXTS)
FILE |= {"length_bytes": COUNTS, "detected_licenses": pa.list_(TEXTS), "is_vendor": pa.bool_(), "is_generated": pa.bool_()}
MORE = {"alphanum_fraction": pa.float32(), "num_lines": pa.int32()}
STACK_V2 = pa.schema({**FILE, **REPOSITORY, "extension": TEXTS, "gha_event_created_at": DATES})
TRAIN = pa.schema({**REPOSITORY, "repo_url": TEXTS, "num_files": COUNTS, "files": pa.list_(pa.struct({**FILE, **MORE}))})

PYTHON = b"def area(width, height):\n    return width * height\n" * 4
LATIN = "# été, à peu près l'été\nprix = 'coûte 3 euros'\n".encode("latin-1") * 6
TEXT_OF = {"area.py": PYTHON, "prix.py": LATIN, "nul.bin": b"a\0b", "big.txt": b"x" * 3000, "empty.py": b""}


def row(path: str, data: bytes, **said: object) -> dict:
    """Return what a table says of a file: of its own words for encoding, language and licence none is right."""
    wrong = {"src_encoding": "utf-16", "language": "COBOL", "license_type": "permissive", "detected_licenses": ["GPL-3.0"]}
    return {"path": f"/{path}", "blob_id": blob_id(data), "content_id": content_id(data), "length_bytes": 1} | wrong | said


def repository(n: int, files: list[dict]) -> dict:
    of = {"repo_name": f"owner/r{n}", "snapshot_id": "5" * 40, "revision_id": "6" * 40, "directory_id": "7" * 40}
    of |= {"branch_name": "refs/heads/main", "visit_date": datetime(2023, 9, 1), "revision_date": datetime(2020, 1, 1)}
    return of | {"github_id": n, "star_events_count": 3, "gha_license_id": "MIT", "num_files": len(files), "files": files}


def repositories(server: Contents) -> list[dict]:
    server.put(*TEXT_OF.values())
    server.objects |= {"1" * 40: b"\0" * 99, "2" * 40: gzip.compress(b"other\n"), "3" * 40: gzip.compress(PYTHON)[:-9]}
    lost = [row("missing.py", b"absent\n")]
    lost += [row(f"{n}.py", b"", blob_id=f"{n}" * 40) for n in (1, 2, 3)]
    lost += [
        row("null.py", b"", blob_id=None),
        row("path.py", b"", blob_id="../../secret"),
        row("git.py", PYTHON, content_id="8" * 40),
    ]
    files = [row(path, data) for path, data in TEXT_OF.items()]
    return [
        repository(0, [*files, files[0]]),
        repository(1, [row("upper.py", PYTHON, blob_id=blob_id(PYTHON).upper())]),
        repository(2, lost),
    ]


def write(place: Path, found: list[dict], form: str) -> None:
    place.mkdir()
    if form == "train":
        pq.write_table(pa.Table.from_pylist(found, TRAIN), place / "train-00000.parquet", row_group_size=2)
    elif form == "lines":
        lines = [json.dumps(repo, default=str) + "\n" for repo in found]
        (place / "train.jsonl").write_text("".join(lines))
    else:
        rows = [{**repo, **file} for repo in found for file in repo["files"]]
        pq.write_table(pa.Table.from_pylist(rows, STACK_V2), place / "train-00000.parquet", row_group_size=5)


@pytest.fixture
def server() -> Iterator[Contents]:
    with double.contents() as server:
        yield server


def table(place: Path, server: Contents, form: str = "files", **options: object) -> Tables:
    dataset = "stack-v2" if form == "files" else "stack-v2-train"
    return Tables(place=str(place), dataset=dataset, contents=server.url, **options)  # type: ignore[arg-type]


def milled(source: Tables, work: Path) -> tuple[list[dict], list[dict]]:
    options = Recipe(str(work), {"table": source}, ingest.Ingest(max_file_bytes=3000))
    workspace = Workspace(options.workspace)
    part = ingest.IngestPart(workspace, options.sources, options.ingest)
    made = [part(ref) for ref in part.publish(ingest.STAGE.parts(options, workspace, ()))]
    tables = [(o.path, workspace.table(o.path).to_pylist()) for s in made for o in s.outputs if o.path.endswith(".parquet")]
    kept, lost = ([row for path, rows in tables if path.startswith(d) for row in rows] for d in ("records", "dropped"))
    return kept, lost


LOST = {
    ("owner/r0", "/nul.bin"): "nul_bytes",
    ("owner/r0", "/big.txt"): "too_large",
    ("owner/r0", "/empty.py"): "empty",
    ("owner/r2", "/missing.py"): "missing_content",
    ("owner/r2", "/1.py"): "zeroed_object",
    ("owner/r2", "/2.py"): "wrong_content",
    ("owner/r2", "/3.py"): "truncated_content",
    ("owner/r2", "/null.py"): "no_content",
    ("owner/r2", "/path.py"): "wrong_id",
    ("owner/r2", "/git.py"): "wrong_content",
}


@pytest.mark.parametrize("form", ["files", "train", "lines"])
def test_the_stack_v2_in_its_forms(server: Contents, tmp_path: Path, form: str) -> None:
    write(tmp_path / "dump", repositories(server), form)
    kept, lost = milled(table(tmp_path / "dump", server, form), tmp_path / "w")
    again = {("owner/r0", "/area.py~2"): "same_file_again"} if form != "files" else {}
    assert {(r["repo_name"], r["path"]): r["reason"] for r in lost} == LOST | again
    both = [
        ("owner/r0", "/area.py"),
        ("owner/r0", "/prix.py"),
        *([("owner/r0", "/area.py~2")] * (not again)),
        ("owner/r1", "/upper.py"),
    ]
    assert [(r["repo_name"], r["path"]) for r in kept] == both
    for found in kept:
        data = LATIN if found["path"] == "/prix.py" else PYTHON
        said = subprocess.run(["git", "hash-object", "--stdin"], input=data, capture_output=True, check=True).stdout.decode()
        assert found["content_id"] == said.strip() and found["blob_id"] == blob_id(data)
        facts = [found[name] for name in ("snapshot_id", "revision_id", "directory_id", "branch_name", "gha_license_id")]
        assert facts == ["5" * 40, "6" * 40, "7" * 40, "refs/heads/main", "MIT"] and found["star_events_count"] == 3
        assert (found["visit_date"], found["revision_date"]) == (datetime(2023, 9, 1), datetime(2020, 1, 1))
    [latin] = [r for r in kept if r["path"] == "/prix.py"]
    assert latin["content"] == LATIN.decode("latin-1") and latin["src_encoding"] != "utf-16", "decoded by our own rule"
    assert server.asked["../../secret"] == 0 and not any("secret" in name for name in server.asked)
    assert server.asked[blob_id(PYTHON)] <= 2, "once for each thousand rows and row group"


def test_both_forms_give_the_same_records(server: Contents, tmp_path: Path) -> None:
    found = repositories(server)
    found[0]["files"].pop()
    for form in ("files", "train"):
        write(tmp_path / form, found, form)
    one, other = (milled(table(tmp_path / form, server, form), tmp_path / f"w-{form}") for form in ("files", "train"))
    assert one == other


def test_a_store_that_got_what_it_lacked_is_asked_again_where_a_person_says_so(server: Contents, tmp_path: Path) -> None:
    write(tmp_path / "dump", [repository(0, [row("late.py", PYTHON)])], "files")
    first = table(tmp_path / "dump", server, misses=str(tmp_path / "misses"))

    def read(source: Tables) -> list[Entry]:
        return [e for unit in source.plan() for e in source.read(unit, Limits())[1]]

    assert [e.reason for e in read(first)] == ["missing_content"]
    server.put(PYTHON)
    again = table(tmp_path / "dump", server, misses=str(tmp_path / "misses"), ask_again=1)
    assert [e.reason for e in read(first)] == ["missing_content"] and [e.data for e in read(again)] == [PYTHON]
    [before], [after] = first.plan(), again.plan()
    assert before.fingerprint == after.fingerprint and before.state != after.state
    assert again.fingerprint(after) == after.fingerprint


@pytest.mark.parametrize("form", ["files", "train"])
def test_a_plan_knows_how_many_contents_there_are(
    server: Contents, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [repository(n, [row(f"{k}.py", b"%d" % k) for k in range(10)]) for n in range(4)]
    write(tmp_path / "dump", found, form)
    [unit] = table(tmp_path / "dump", server, form).plan()
    assert unit.size_bytes == 40 * TYPICAL and table(tmp_path / "dump", server, form).count(unit, Limits()).files == 40
    monkeypatch.setattr("starmill.pipelines.sources.tables.plan.UNIT_BYTES", 10 * TYPICAL)
    monkeypatch.setattr("starmill.pipelines.sources.tables.plan.SMALL_UNIT", 0)
    units = table(tmp_path / "dump", server, form).plan()
    assert len(units) > 3 and sum(u.size_bytes for u in units) == 40 * TYPICAL


def test_a_table_of_ids_needs_a_store(tmp_path: Path) -> None:
    values = {"workspace": "w", "sources": {"t": {"kind": "table", "place": "x", "dataset": "stack-v2"}}}
    with pytest.raises(
        recipes.RecipeError, match="has ids and no contents; give contents, such as contents=https://softwareheritage"
    ):
        recipes.build(Recipe, values)


def test_any_table_with_ids_may_name_a_store(server: Contents, tmp_path: Path) -> None:
    server.put(PYTHON)
    (tmp_path / "t.jsonl").write_text(json.dumps({"sha1": blob_id(PYTHON), "path": "a.py", "content": "another text"}) + "\n")
    source = Tables(place=str(tmp_path / "t.jsonl"), columns={"blob_id": "sha1"}, contents=server.url)
    assert [(e.path, e.data) for u in source.plan() for e in source.read(u, Limits())[1]] == [(b"a.py", PYTHON)]


@pytest.mark.parametrize("text", ["", "é" * 40, "A" * 39, "g" * 40, "a" * 40 + "\n", "/" * 40, "a" * 10_000])
def test_what_is_no_id_is_part_of_no_url(text: str) -> None:
    made = due(Entry(b"a", b""), {"blob_id": text, "content_id": None})
    assert isinstance(made, Entry) and made.data is None and made.reason == ("wrong_id" if text else "no_content")
    assert isinstance(due(Entry(b"a", b""), {"blob_id": "A" * 40}), Due)


def test_a_run_says_how_often_the_store_was_asked(server: Contents, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "dump", repositories(server), "files")
    v2 = f"{{kind: table, place: {tmp_path / 'dump'}, dataset: stack-v2, contents: '{server.url}'}}"
    (tmp_path / "r.yaml").write_text(f"workspace: {tmp_path / 'w'}\nsources: {{v2: {v2}}}\n")
    assert cli.main(["ingest", str(tmp_path / "r.yaml"), "--workers", "1", "--no-funnel"]) == 0
    assert f"{server.asked.total()} requests to content stores, 0 of them again" in capfd.readouterr().err
