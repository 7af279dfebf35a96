"""A part of a release alone: the rows that go, the books, and a damaged file."""

from pathlib import Path

import pytest
from released_workspace import build, row

from starmill.core.dataset import Count, StageName, Workspace
from starmill.core.errors import InputError
from starmill.core.tokenizer import Tokenizer
from starmill.pipelines.run.withdrawal.chosen import Chosen, judges
from starmill.pipelines.run.withdrawal.part import Change, change
from starmill.transforms.decide.optout import wishes

ROWS = [row(f"{owner}/r", f"/{i}.py", f"x = {i}\n", github_id=7 if i == 4 else None) for i in range(6) for owner in ("a", "b")]


def changed(workspace: Workspace, *lines: str) -> Change:
    def tokenizer() -> Tokenizer:
        raise AssertionError("there is no shard")

    return change(workspace, [StageName("release", "dataset")], 0, Chosen(judges(wishes(lines, "list"))), tokenizer)


def test_rows_and_books(tmp_path: Path) -> None:
    workspace = build(tmp_path / "w", [ROWS], group=5)
    assert changed(workspace, "c").is_empty and not changed(workspace, "a").is_empty
    made = changed(workspace, "A", "github:7")
    assert [*made.data] == ["dataset/part-00000.parquet"] and made.removed == [] and made.tokens == 0
    gone = [r for i, r in enumerate(ROWS) if i % 2 == 0 or r["github_id"]]
    assert {key: files for key, (files, _) in made.records.items()} == {
        ("code", "withdrawn_owner"): 6,
        ("code", "withdrawn_repository"): 1,
    }
    [sidecar], [old] = made.sidecars, [workspace.sidecar("dataset", 0)]
    assert old is not None and sidecar.made == old.digest() == sidecar.known_as() != sidecar.digest()
    left = sum(r["length_bytes"] for r in ROWS if r not in gone)
    assert Count("", "", "", 5, left, "code") in sidecar.counts
    assert sum(c.files for c in sidecar.counts) == len(ROWS) and {c.step for c in sidecar.counts} == {"", "withdraw"}
    workspace.commit(sidecar, list(made.data.values()))
    rows = build(tmp_path / "x", [ROWS]).table("dataset/part-00000.parquet").to_pylist()
    rest = [r for r in rows if r["repo_name"] == "b/r" and not r["github_id"]]
    assert workspace.table("dataset/part-00000.parquet").to_pylist() == rest
    assert changed(workspace, "A", "github:7").is_empty, "nothing goes twice"


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    workspace = build(tmp_path / "w", [ROWS])
    place = tmp_path / "w/dataset/part-00000.parquet"
    build(tmp_path / "other", [ROWS[:4]])
    place.write_bytes((tmp_path / "other/dataset/part-00000.parquet").read_bytes())
    with pytest.raises(InputError, match=r"dataset/part-00000\.parquet: its sha256 is .* it is damaged, or was changed"):
        changed(workspace, "a")
