"""Stories from hand-made datasets: found by SWHID, blob id, path, and repository; the whole tree is in tests/end_to_end."""

from pathlib import Path

import pyarrow as pa
import pytest

from starmill.core import schema
from starmill.core.dataset import LastRun, ParquetPart, Sidecar, StageName, Workspace, output, part_path
from starmill.core.errors import InputError
from starmill.reports import why

# The view knows the stages that a run left in the workspace, whatever their names.
STAGES = tuple(
    StageName(*s) for s in (("read", "records"), ("choose", "curated"), ("dedup", "verdicts"), ("publish", "dataset"))
)
CONTENT = {"/a.py": "import os\nx = 1\nprint(x)\n" + "same\n" * 9, "/dup.py": "import os\nx = 2\nprint(x)\n" + "same\n" * 9}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = Workspace(str(tmp_path))
    files = [
        {
            "repo_name": r,
            "path": p,
            "blob_id": b * 40,
            "content_id": c * 40,
            "directory_id": d * 40,
            "src_encoding": "UTF-8",
            "length_bytes": 3,
        }
        for r, p, b, c, d in (("r", "/a.py", "1", "a", "d"), ("s", "/a.py", "2", "b", "e"), ("s", "/dup.py", "3", "c", "e"))
    ]
    lost = {
        "stage": "read",
        "step": "decode",
        "reason": "nul_bytes",
        "repo_name": "r",
        "path": "/bin",
        "content_id": "f" * 40,
    }
    twin = {
        "stage": "dedup",
        "step": "near",
        "reason": "near_duplicate",
        "repo_name": "s",
        "path": "/dup.py",
        "content_id": "c" * 40,
    }
    twin |= {"kept_repo_name": "r", "kept_path": "/a.py", "kept_content_id": "a" * 40, "jaccard": 0.8125, "cluster_id": "k"}
    tables = {
        "records": (schema.RECORDS, files),
        "curated": (
            schema.CURATED,
            [
                {
                    **f,
                    "language": "Python",
                    "license_type": "permissive",
                    "detected_licenses": ["MIT"],
                    "content": CONTENT[f["path"]],
                }
                for f in files
            ],
        ),
        "dropped/read": (schema.DROPPED, [lost]),
        "dropped/dedup": (schema.DROPPED, [twin]),
    }
    for name, (kind, rows) in tables.items():
        part = ParquetPart(kind)
        part.write(pa.RecordBatch.from_pylist(rows, schema=kind))
        made.publish(part_path(name, 0), part.close())
    for stage in STAGES[:2]:
        made.publish_sidecar(Sidecar(stage.name, stage.dataset, 0, "k", (output(part_path(stage.dataset, 0), b""),)))
    made.publish_last_run(LastRun(STAGES, 1))
    return made


def tell(workspace: Workspace, query: str, diff_lines: int = 40) -> list[str]:
    return [*why.lines(why.tell(workspace, query, diff_lines))]


def test_a_file_below_what_was_not_read_has_the_row_that_counts_it(workspace: Workspace) -> None:
    lost = [
        {"stage": "read", "step": "read", "reason": reason, "detail": "9 files", "repo_name": "out", "path": path}
        for reason, path in (("excluded", "/"), ("too_deep", "/deep/er"))
    ]
    part = ParquetPart(schema.DROPPED)
    part.write(pa.RecordBatch.from_pylist(lost, schema=schema.DROPPED))
    workspace.publish(part_path("dropped/read", 1), part.close())
    workspace.publish(part_path("records", 1), ParquetPart(schema.RECORDS).close())
    for text, path, reason in (("out:/deep/er/a.py", "/deep/er", "too_deep"), ("out:/deep/erer.py", "/", "excluded")):
        [file] = why.tell(workspace, text)["files"]
        assert (file["repo_name"], file["path"], file["stages"][0]["reason"]) == ("out", path, reason)
    with pytest.raises(InputError, match="no such file"):
        why.tell(workspace, "r:/none.py")


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ("/a.py", ["r:/a.py", "s:/a.py"]),
        ("a.py", ["r:/a.py", "s:/a.py"]),
        ("./a.py", ["r:/a.py", "s:/a.py"]),
        ("s:a.py", ["s:/a.py"]),
        ("s:/a.py", ["s:/a.py"]),
        ("swh:1:cnt:" + "A" * 40, ["r:/a.py"]),
        ("2" * 40, ["s:/a.py"]),
        ("/bin", ["r:/bin"]),
        ("swh:1:cnt:" + "f" * 40 + ";origin=https://example.org/r;path=/bin", ["r:/bin"]),
    ],
)
def test_what_a_query_finds(workspace: Workspace, query: str, titles: list[str]) -> None:
    assert [line.split("  ")[0] for line in tell(workspace, query) if line and not line.startswith(" ")] == titles


def test_a_rewritten_text_names_its_parent_and_is_found_by_it(workspace: Workspace) -> None:
    parent = "swh:1:cnt:" + "a" * 40
    rows = [
        {"repo_name": "told", "path": f"/{n}", "content_id": n * 40, "parent": of} for n, of in (("5", parent), ("6", None))
    ]
    part = ParquetPart(schema.RECORDS)
    part.write(pa.RecordBatch.from_pylist(rows, schema=schema.RECORDS))
    workspace.publish(part_path("records", 1), part.close())
    workspace.publish_sidecar(Sidecar("read", "records", 1, "k", (output(part_path("records", 1), b""),)))
    assert [line for line in tell(workspace, "told:/5") if "parent" in line] == [
        f"  read      kept in records/part-00001.parquet (parent={parent})"
    ]
    assert [f["path"] for f in why.tell(workspace, parent)["files"]] == ["/a.py", "/5"]
    assert not any("parent" in line for line in tell(workspace, "told:/6"))


def test_a_duplicates_story(workspace: Workspace) -> None:
    story = "\n".join(tell(workspace, "s:/dup.py"))
    for text in (
        "choose    kept in curated/part-00000.parquet (language=Python, license_type=permissive, detected_licenses=MIT)",
        "dropped by near: near_duplicate",
        "kept instead: r:/a.py",
        "Jaccard 0.8125",
    ):
        assert text in story
    assert "publish" not in story


def test_json_has_fields_and_no_lines(workspace: Workspace) -> None:
    [file] = why.tell(workspace, "s:/dup.py")["files"]
    assert (file["repo_name"], file["path"], file["swhid"]) == ("s", "/dup.py", "swh:1:cnt:" + "c" * 40)
    read, choose, dedup = file["stages"]
    assert read == {"stage": "read", "file": "records/part-00000.parquet", "src_encoding": "UTF-8", "length_bytes": 3}
    assert (choose["language"], choose["detected_licenses"]) == ("Python", ["MIT"]) and "length_bytes" not in choose
    assert {name: dedup[name] for name in ("stage", "step", "reason", "kept_repo_name", "kept_path", "jaccard")} == {
        "stage": "dedup",
        "step": "near",
        "reason": "near_duplicate",
        "kept_repo_name": "r",
        "kept_path": "/a.py",
        "jaccard": 0.8125,
    }
    assert dedup["diff"][0] == "--- r:/a.py" and dedup["diff_lines"] == 7
    [tree] = why.tell(workspace, "swh:1:dir:" + "E" * 40)["repositories"]
    assert (tree["repo_name"], tree["files"], tree["paths"]) == ("s", 2, ["/a.py", "/dup.py"])


def test_nothing_is_an_error(workspace: Workspace) -> None:
    with pytest.raises(InputError, match=r"no such file in .*; give swh:1:cnt:<hash>, a path, or repository:path$"):
        tell(workspace, "/none")
    with pytest.raises(InputError, match=r"; the nearest are s:/dup\.py$"):
        tell(workspace, "r:/lib/dupe.py")


def test_a_directory_names_its_files(workspace: Workspace) -> None:
    assert tell(workspace, "swh:1:dir:" + "E" * 40) == [
        "s: 2 files were read; ask for one of them",
        "  starmill why s:/a.py",
        "  starmill why s:/dup.py",
    ]
    with pytest.raises(InputError, match="knows the root of each repository only"):
        tell(workspace, "swh:1:dir:" + "9" * 40)
    with pytest.raises(InputError, match="no file of it"):
        tell(workspace, "swh:1:rev:" + "9" * 40)


def test_a_near_duplicate_is_shown_as_a_diff(workspace: Workspace):
    story = tell(workspace, "/dup.py")
    place = next(i for i, line in enumerate(story) if "kept instead" in line)
    assert f"kept instead: r:/a.py  swh:1:cnt:{'a' * 40}, Jaccard 0.8125, cluster k" in story[place]
    assert [line.strip() for line in story[place + 1 :]] == [
        "--- r:/a.py",
        "+++ s:/dup.py",
        "@@ -1,3 +1,3 @@",
        "import os",
        "-x = 1",
        "+x = 2",
        "print(x)",
    ]
    short = tell(workspace, "/dup.py", 2)
    assert short[-1].strip() == "... 5 more lines; see them with --diff-lines 7"
    assert not any("@@" in line for line in tell(workspace, "/dup.py", 0))


def test_a_diff_needs_the_text(workspace: Workspace):
    workspace.remove(part_path("curated", 0))  # as the records here, those of another dataset may have no text
    assert "no diff: the text of r:/a.py is not in" in tell(workspace, "/dup.py")[-1]


def test_records_of_several_kinds_that_one_file_became_have_stories_of_their_own(tmp_path: Path) -> None:
    made = Workspace(str(tmp_path))
    both = [{"repo_name": "r", "path": "/n.ipynb", "content_id": "a" * 40, "kind": kind} for kind in ("notebook", "kaggle")]
    lost = {"stage": "choose", "step": "kaggle", "reason": "no_dataset", **both[1]}
    tables = {
        "records": (schema.RECORDS, both),
        "curated": (schema.CURATED, both[:1]),
        "dropped/choose": (schema.DROPPED, [lost]),
    }
    for name, (columns, rows) in tables.items():
        part = ParquetPart(columns)
        part.write(pa.RecordBatch.from_pylist(rows, schema=columns))
        made.publish(part_path(name, 0), part.close())
    for stage in STAGES[:2]:
        made.publish_sidecar(Sidecar(stage.name, stage.dataset, 0, "k", (output(part_path(stage.dataset, 0), b""),)))
    made.publish_last_run(LastRun(STAGES[:2], 1))
    stories = why.tell(made, "r:/n.ipynb")["files"]
    told = [(file["stages"][0]["kind"], file["stages"][-1].get("reason")) for file in stories]
    assert told == [("notebook", None), ("kaggle", "no_dataset")]
