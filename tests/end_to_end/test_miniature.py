"""The miniature of StarCoder2's data: every kind of record comes from its dump to shards."""

import json
from pathlib import Path

import miniature
import pytest
import toolchains
from samples import SAMPLES
from selectolax.lexbor import LexborHTMLParser
from small_tree import starmill

from starmill.core.shards import open_shards
from starmill.pipelines.kinds import KINDS

RECIPE = Path(__file__).resolve().parents[2] / "recipes/data/miniature.yaml"
# Documented functions are records of a second workspace, whose dump is the dataset of a first one.
ELSEWHERE = {"seed"}


def test_the_dumps_are_the_same_each_time(tmp_path: Path) -> None:
    made = [miniature.make(tmp_path / name, SAMPLES if SAMPLES.exists() else None) for name in ("a", "b")]
    one, other = (
        {p.relative_to(m): p.read_bytes() for p in m.rglob("*") if p.is_file() and ".git" not in p.parts} for m in made
    )
    assert one == other and len(one) > 100


@pytest.mark.slow
def test_every_kind_comes_to_shards(tmp_path: Path) -> None:
    """From dumps of every sort; tests/end_to_end/test_flink.py compares the bytes with Flink's."""
    miniature.make(tmp_path / "miniature", SAMPLES if SAMPLES.exists() else None)
    starmill("run", str(RECIPE), "--workers", "2", "--workspace", "work", *toolchains.of_the_miniature(), cwd=tmp_path)
    kinds = {kind for shard in open_shards(str(tmp_path / "work")) for kind in shard.table.column("kind").to_pylist()}
    assert {*KINDS} - ELSEWHERE <= kinds
    card = json.loads(starmill("datacard", str(RECIPE), "--workspace", "work", "--json", cwd=tmp_path).stdout)
    assert {*card["kinds"]} == kinds
    stages = json.loads(starmill("funnel", "--workspace", "work", "--json", cwd=tmp_path).stdout)["stages"]
    assert all(kinds <= {*stage["kinds"]} for stage in stages)
    starmill("report", "work", cwd=tmp_path)
    page = LexborHTMLParser((tmp_path / "report.html").read_text())
    for place in ('#funnel [data-tab="Kinds"] [data-unit=records] tbody th', "#mixture tbody th"):
        assert kinds <= {head.text() for head in page.css(place)}
