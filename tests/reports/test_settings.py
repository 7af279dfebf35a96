"""What a run leaves of its recipe for the views, and what becomes of a damaged or newer file."""

import json
from pathlib import Path

import pytest

from starmill.core.dataset import Workspace
from starmill.core.errors import InputError
from starmill.pipelines.recipe import build
from starmill.reports import settings


def test_each_stage_has_its_own_values(tmp_path: Path) -> None:
    place = Workspace(str(tmp_path))
    assert settings.read(place) == settings.Settings()
    settings.publish(place, "one", {"rules": {"limit": 3}, "names": ("a", "b")})
    settings.publish(place, "two", {"rules": {"limit": 4}})
    found = settings.read(place)
    assert [found.of(stage, "rules", "limit") for stage in ("one", "two", "none")] == [3, 4, None]
    assert found.of("one", "names") == ["a", "b"] and found.of("one", "rules", "limit", "deeper") is None


def test_nothing_is_written_twice(tmp_path: Path) -> None:
    place = Workspace(str(tmp_path))
    settings.publish(place, "one", {"names": ("a",)})
    file = tmp_path / settings.PLACE
    file.chmod(0o444)
    before = file.stat().st_mtime_ns, file.stat().st_ino
    settings.publish(place, "one", {"names": ("a",)})
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == before


def test_a_whole_recipe_is_plain_data(tmp_path: Path) -> None:
    recipe = build({"workspace": str(tmp_path), "kinds": {"commit": {"curate": {"commits": {"seed": 4}}}}})
    settings.publish(Workspace(str(tmp_path)), "one", settings.plain(recipe))
    found = settings.read(Workspace(str(tmp_path)))
    assert found.of("one", "kinds", "commit", "curate", "commits", "seed") == 4
    assert found.of("one", "curate", "quality", "alpha", "min_fraction") == 0.25
    assert found.of("one", "workspace") is None and str(tmp_path) not in (tmp_path / settings.PLACE).read_text()


def test_a_damaged_file_counts_as_absent_and_a_newer_one_is_told(tmp_path: Path) -> None:
    place = Workspace(str(tmp_path))
    for damage in (b"\0" * 40, b"[]", b'{"format": 1, "stages": {"one": 3}}'):
        place.publish(settings.PLACE, damage)
        assert settings.read(place) == settings.Settings()
    place.publish(settings.PLACE, json.dumps({"format": 7, "stages": {}}).encode())
    with pytest.raises(InputError, match="newer starmill"):
        settings.read(place)
