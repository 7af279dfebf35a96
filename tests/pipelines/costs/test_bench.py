"""Bench: samples are nested, bursts fall out of rounds, and a stage observed is the stage that runs."""

from dataclasses import replace
from pathlib import Path

import pytest
from plain_tree import tree

from starmill.core.dataset import Workspace
from starmill.pipelines import stages
from starmill.pipelines.costs import bench, rates
from starmill.pipelines.costs.bench import TooLittle
from starmill.pipelines.recipe import Recipe
from starmill.pipelines.run.stages import run_stage
from starmill.pipelines.runners.local import Local
from starmill.pipelines.sources.folders import Folders
from starmill.pipelines.stages import STAGES, ingest
from starmill.pipelines.stages.ingest import Ingest
from starmill.pipelines.stages.vocabulary import TokenizerOptions


def test_samples_are_nested_and_have_their_size(tmp_path: Path) -> None:
    options = Recipe("w", tree(tmp_path / "dump", 40, 1))
    small, large = (bench.sample(options, size, 30_000, 60_000) for size in (50_000, 200_000))
    assert set(small.sources["input"].include) < set(large.sources["input"].include)
    for sampled, size in ((small, 50_000), (large, 200_000)):
        held = sum(r.size_bytes for p in ingest.plan(sampled) for r in p.repositories)
        assert size <= held <= size + 30_000
        assert max(r.size_bytes for p in ingest.plan(sampled) for r in p.repositories) <= 30_000
    assert bench.sample(options, 50_000, 30_000, 60_000) == small
    with pytest.raises(TooLittle, match="--megabytes"):
        bench.sample(options, 10_000_000, 30_000, 60_000)


def test_a_burst_of_other_work_in_one_round_of_three_is_not_seen() -> None:
    def seen(cpu: float, stored: float | None) -> list[rates.Observation]:
        costs = {"cpu": cpu} | ({} if stored is None else {"stored/shards": stored})
        return [
            rates.Observation("ingest", {"files": 2.0}, costs),
            rates.Observation("dedup", {"files": 1.0}, {"cpu": 2 * cpu}),
        ]

    found = bench.median([seen(1.1, 5.0), seen(9.0, None), seen(1.0, 5.0)])
    assert [(o.row, o.drivers["files"], o.costs) for o in found] == [
        ("ingest", 2.0, {"cpu": 1.1, "stored/shards": 5.0}),
        ("dedup", 1.0, {"cpu": 2.2}),
    ]


def test_a_recipe_of_folders_is_measured_on_packages_unless_folders_are_given() -> None:
    folders = Recipe("w", {"dump": Folders(roots=("dump",))}, Ingest(max_file_bytes=7))
    found = bench.packages_unless([], folders)
    [source] = found.sources.values()
    assert source.kind == "packages" and "pypi/torch" in source.exclude and found.ingest.max_file_bytes == 7
    assert bench.packages_unless([], found) == found
    assert bench.packages_unless(["dump"], folders) == folders


def test_what_is_observed_is_what_the_stages_did(tmp_path: Path) -> None:
    tokenizer = TokenizerOptions(vocab_size=300, sample_bytes=50_000)
    whole = Recipe(str(tmp_path / "w"), tree(tmp_path / "dump", 12, 2), tokenizer=tokenizer)
    options = bench.sample(whole, 200_000, 80_000, 80_000)
    found = {o.row: o for stage in STAGES for o in bench.observe(options, stage)}
    assert set(found) == set(rates.ROWS)
    workspace = Workspace(options.workspace)
    for stage in STAGES:
        manifest, seen = workspace.manifest(stages.load(stage).dataset), found[stage]
        assert manifest is not None
        written: dict[str, float] = {}
        for output in (o for part in manifest.parts for o in part.outputs):
            folder = f"stored/{output.path.rpartition('/')[0]}"
            written[folder] = written.get(folder, 0.0) + output.bytes
        assert written.items() <= seen.costs.items()
        on_disk = (Path(workspace.root) / stages.load(stage).dataset / "manifest.json").stat().st_size
        assert seen.costs["stored/manifest"] >= on_disk
        assert seen.drivers["files"] == sum(c.files for p in manifest.parts for c in p.counts)
        assert seen.drivers["parts"] == len(manifest.parts) == len(ingest.plan(options)) > 2
        assert seen.costs["shuffled"] > 0 and seen.costs["cpu"] > 0
        assert seen.costs["PUT"] >= len([o for part in manifest.parts for o in part.outputs]) + len(manifest.parts)
    assert found["licenses"].costs["PUT"] == 0  # there is none here
    # The same recipe on a plain folder has the same bytes.
    plain = replace(options, workspace=str(tmp_path / "plain"))
    for stage in ("ingest", "measure", "curate", "dedup"):
        manifest = run_stage(stage, plain, Local(), quiet=True)
        expected = workspace.manifest(stages.load(stage).dataset)
        assert expected is not None and manifest.digest == expected.digest


def test_distinct_licences_grow_by_a_power_of_repositories() -> None:
    def texts(less: tuple[float, float], more: tuple[float, float], at: float) -> float:
        found = bench._texts(*({"repositories": r, "texts": t} for r, t in (less, more)))
        return found["texts"] * at ** found["texts_exponent"]

    assert texts((10, 10), (40, 20), 160) == pytest.approx(40)
    assert texts((10, 10), (40, 40), 160) == pytest.approx(160)
    assert texts((10, 10), (40, 80), 160) == pytest.approx(320)  # never faster than repositories
    assert texts((10, 0), (40, 4), 160) == pytest.approx(16)
    assert texts((10, 0), (40, 0), 160) == 0
