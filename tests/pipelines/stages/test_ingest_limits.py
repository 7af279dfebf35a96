"""Parts of a dump that holds more than its plan thought: what a worker keeps in memory is bounded, and nothing is lost in silence."""

import random
from pathlib import Path

import pyarrow.parquet as pq

from starmill.core.dataset import Sidecar, Workspace
from starmill.pipelines.recipe import Recipe
from starmill.pipelines.sources.folders import Folders
from starmill.pipelines.stages import ingest
from starmill.pipelines.stages.ingest import Ingest, IngestPart


def run(dump: Path, work: Path, **options: int) -> list[Sidecar]:
    recipe = Recipe(str(work), {"input": Folders(roots=(str(dump),))}, Ingest(**options))
    part = IngestPart(Workspace(recipe.workspace), recipe.sources, recipe.ingest)
    return [part(ref) for ref in part.publish(ingest.STAGE.parts(recipe, part.workspace, ()))]


def rows(work: Path, folder: str) -> list[dict]:
    return [row for part in sorted((work / folder).glob("*.parquet")) for row in pq.read_table(part).to_pylist()]


def test_a_part_that_is_full_is_closed_whatever_was_planned(tmp_path: Path) -> None:
    for name in [f"{repository}/{i:02d}.txt" for repository in "abc" for i in range(20)]:
        (tmp_path / "dump" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "dump" / name).write_text(random.Random(name).randbytes(5_000).hex())
    [sidecar] = run(tmp_path / "dump", tmp_path / "w", max_part_bytes=180_000, block_bytes=20_000)
    kept, lost = rows(tmp_path / "w", "records"), rows(tmp_path / "w", "dropped/ingest")
    assert 180_000 <= sidecar.outputs[0].bytes < 300_000 and {r["reason"] for r in lost} == {"part_is_full"}
    assert sum(r["repo_name"] == "b" for r in kept) and sum(r["repo_name"] == "b" for r in kept + lost) == 20
    assert [(r["path"], r["length_bytes"]) for r in lost if r["repo_name"] == "c"] == [("/", 200_000)]
    run(tmp_path / "dump", tmp_path / "apart", max_part_bytes=180_000, part_bytes=1)
    assert len(rows(tmp_path / "apart", "records")) == 60


def test_names_fill_a_row_group_as_content_does(tmp_path: Path) -> None:
    (tmp_path / "dump/p").mkdir(parents=True)
    for i in range(100):
        (tmp_path / f"dump/p/{i:03d}{'n' * 200}").write_text("x")
    run(tmp_path / "dump", tmp_path / "w", block_bytes=5_000)
    assert pq.ParquetFile(tmp_path / "w/records/part-00000.parquet").num_row_groups == 4
