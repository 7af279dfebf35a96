"""What Beam counts of a run is what lies in the workspace: in the sidecars, and in the datasets themselves."""

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import apache_beam as beam
import pytest
from apache_beam.metrics import MetricsFilter
from apache_beam.runners.runner import PipelineResult

from starmill.core.dataset import STAGES, Workspace
from starmill.pipelines import mill
from starmill.pipelines.stage import Engine

# What a stage moved, and dedup compared: no dataset holds that.
INSIDE = {"dedup/files", "dedup/candidates", "dedup/joined_again", *(f"{stage}/shuffled/bytes" for stage in STAGES)}


class Kept(Engine):
    """An engine that keeps the results of its pipelines."""

    results: ClassVar[list[PipelineResult]] = []

    def pipeline(self, parts: int) -> beam.Pipeline:
        pipeline = super().pipeline(parts)
        run = pipeline.run

        def kept() -> PipelineResult:
            self.results.append(run())
            return self.results[-1]

        pipeline.run = kept
        return pipeline

    def counted(self, stage: str) -> Counter[str]:
        found = self.results[-1].metrics().query(MetricsFilter().with_namespace("starmill"))["counters"]
        counted: Counter[str] = Counter()
        for metric in found:
            assert metric.key.metric.name.startswith(f"{stage}/")
            counted[metric.key.metric.name] += metric.committed
        return counted


@pytest.fixture(scope="module")
def counted(milled: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, dict[str, Counter[str]]]:
    """The small tree milled once more by two workers, and what each stage counted; licences are those found before."""
    place = tmp_path_factory.mktemp("counted")
    shutil.copytree(milled / "work" / "cache", place / "work" / "cache")
    recipe = replace(mill.load(str(milled / "recipe.yaml"), [], [], None), workspace=str(place / "work"))
    engine = Kept(workers=2, quiet=True)
    counters = {}
    for stage in STAGES:
        mill.run_stage(stage, recipe, engine)
        counters[stage] = engine.counted(stage)
    return Workspace(recipe.workspace), counters


@pytest.mark.parametrize("stage", STAGES)
def test_counters_agree_with_the_sidecars(counted: tuple[Workspace, dict[str, Counter[str]]], stage: str) -> None:
    workspace, counters = counted
    manifest = workspace.manifest(stage)
    assert manifest
    wanted = Counter({f"{stage}/parts": len(manifest.parts)})
    for part in manifest.parts:
        for decided in part.counts:
            what = f"dropped/{decided.step}/{decided.reason}" if decided.reason else "kept"
            wanted[f"{stage}/{what}/files"] += decided.files
            wanted[f"{stage}/{what}/bytes"] += decided.bytes
        for output in part.outputs:
            dataset = output.path.rpartition("/")[0]
            wanted[f"{stage}/written/{dataset}/bytes"] += output.bytes
            wanted[f"{stage}/written/{dataset}/rows"] += output.rows or 0
    assert +Counter({k: n for k, n in counters[stage].items() if k not in INSIDE}) == +wanted


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
    assert rows or stage == "tokenize", "the tree has something for each stage to drop"
    if stage not in ("dedup", "tokenize"):  # verdicts have a row for a removed file too, and shards have none
        kept = sum(workspace.table(f"{STAGES[stage]}/{n}").num_rows for n in workspace.files(STAGES[stage]) if ".parquet" in n)
        assert kept == mine[f"{stage}/kept/files"] == mine[f"{stage}/written/{STAGES[stage]}/rows"] > 0
