"""What Beam counts of a run is what lies in the workspace: in the sidecars, and in the datasets themselves."""

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import kills
import pytest
from counted import Kept, of_sidecars, published

from starmill.core.dataset import Workspace
from starmill.pipelines import recipe as recipes
from starmill.pipelines import stages
from starmill.pipelines.run.stages import run_stage
from starmill.pipelines.stages import STAGES


@pytest.fixture(scope="module")
def counted(milled: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, dict[str, Counter[str]]]:
    """The small tree milled once more, and what each stage counted; licences are those found before.

    Dedup, which alone counts what it shuffles, has two workers; that two make the bytes of one is test_dump_to_shards.py's for all stages.
    """
    place = tmp_path_factory.mktemp("counted")
    shutil.copytree(milled / "work" / "cache", place / "work" / "cache")
    recipe = replace(recipes.load(str(milled / "recipe.yaml"), [], [], None), workspace=str(place / "work"))
    counters = {}
    for stage in STAGES:
        engine = Kept(workers=2 if stage == "dedup" else 1)
        run_stage(stage, recipe, engine, quiet=True)
        counters[stage] = engine.counted(stage)
    return Workspace(recipe.workspace), counters


def test_what_is_counted_is_what_was_made_before(counted: tuple[Workspace, dict[str, Counter[str]]], milled: Path) -> None:
    assert kills.digests(Path(counted[0].root)) == kills.digests(milled / "work")


@pytest.mark.parametrize("stage", STAGES)
def test_counters_agree_with_the_sidecars(counted: tuple[Workspace, dict[str, Counter[str]]], stage: str) -> None:
    workspace, counters = counted
    assert published(counters[stage]) == of_sidecars(workspace, stage)


@pytest.mark.parametrize("stage", STAGES)
def test_counters_agree_with_the_datasets(counted: tuple[Workspace, dict[str, Counter[str]]], stage: str) -> None:
    workspace, counters = counted
    files = [n for n in workspace.files(f"dropped/{stage}") if n.endswith(".parquet")]
    dropped = [workspace.table(f"dropped/{stage}/{n}", ["step", "reason", "length_bytes"]) for n in files]
    rows, size = Counter(), Counter()
    for table in dropped:
        for step, reason, length in zip(*(c.to_pylist() for c in table.columns), strict=True):
            rows[f"{stage}/dropped/{step}/{reason}/files"] += 1
            size[f"{stage}/dropped/{step}/{reason}/bytes"] += length or 0
    mine = counters[stage]
    assert {k: n for k, n in mine.items() if "/dropped/" in k and k.endswith("/files") and "/written/" not in k} == rows
    assert all(mine[k] == n for k, n in size.items())
    assert sum(rows.values()) == mine[f"{stage}/written/dropped/{stage}/rows"]
    assert rows or stage in ("measure", "tokenize"), "the tree has something for each stage to drop"
    if stage not in ("dedup", "tokenize"):  # verdicts have a row for a removed file too, and shards have none
        dataset = stages.load(stage).dataset
        kept = sum(workspace.table(path).num_rows for path in workspace.parts(dataset))
        assert kept == mine[f"{stage}/kept/files"] == mine[f"{stage}/written/{dataset}/rows"] > 0
