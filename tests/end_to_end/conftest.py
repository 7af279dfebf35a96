"""One small tree, milled once for all end-to-end tests."""

import json
from pathlib import Path

import pytest
from small_tree import RECIPE, TASK, build_tree, starmill


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `tree/`, `benchmark.jsonl` and `recipe.yaml`, whose workspace is `work/`."""
    place = tmp_path_factory.mktemp("place")
    (place / "tree").mkdir()
    build_tree(place / "tree")
    (place / "benchmark.jsonl").write_text(json.dumps(TASK) + "\n")
    values = {"workspace": place / "work", "tree": place / "tree", "benchmark": place / "benchmark.jsonl"}
    (place / "recipe.yaml").write_text(RECIPE.format(**values))
    return place


@pytest.fixture(scope="session")
def milled(place: Path) -> Path:
    """The same folder after one run with one worker."""
    starmill("run", "recipe.yaml", "--workers", "1", cwd=place)
    return place
