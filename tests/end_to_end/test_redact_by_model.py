"""The main job with a model that finds names: other workers give the same data set, and another model remakes release alone."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import small_tagger
from small_tree import starmill

OPTIONS = ("--quiet", "--set", "release.redact.model=tagger", "--set", "release.redact.model_device=cpu")


def manifest(place: Path, dataset: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((place / dataset / "manifest.json").read_text())
    return found


@pytest.mark.slow
def test_workers_change_nothing_and_another_model_remakes_release(tmp_path: Path) -> None:
    small_tagger.plant(tmp_path / "src")
    small_tagger.make(tmp_path / "tagger")
    for workers in ("1", "2"):
        starmill("run", "smoke", "--input", "src", "--workspace", f"w{workers}", "--workers", workers, *OPTIONS, cwd=tmp_path)
    first, second = (manifest(tmp_path / place, "dataset") for place in ("w1", "w2"))
    assert first["digest"] == second["digest"]
    assert manifest(tmp_path / "w1", "shards")["digest"] == manifest(tmp_path / "w2", "shards")["digest"]

    before = manifest(tmp_path / "w1", "curated")["key"]
    shutil.copy(tmp_path / "tagger/config.json", tmp_path / "kept.json")
    values = json.loads((tmp_path / "kept.json").read_text())
    (tmp_path / "tagger/config.json").write_text(json.dumps(values | {"note": "another"}))
    starmill("run", "smoke", "--input", "src", "--workspace", "w1", "--workers", "1", *OPTIONS, cwd=tmp_path)
    assert manifest(tmp_path / "w1", "dataset")["key"] != first["key"]
    assert manifest(tmp_path / "w1", "curated")["key"] == before
