"""Recipes: strict keys and types, overrides as strict as the file, every message names the key and the fix."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from starmill.core import recipe


@dataclass(frozen=True)
class MinHash:
    threshold: float = 0.7
    bands: int = 32

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ValueError(f"threshold={self.threshold}: must be in (0, 1]")


@dataclass(frozen=True)
class Recipe:
    workspace: str
    kind: Literal["git", "folders"] = "git"
    roots: tuple[str, ...] = ()
    minhash: MinHash = field(default_factory=MinHash)
    limit: int | None = None
    weights: dict[str, float] = field(default_factory=dict)


def test_reads_nested_values(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_text("workspace: w\nroots: [a, b]\nminhash: {threshold: 8e-1}\nweights: {python: 2}\nlimit: null\n")
    loaded = recipe.load(Recipe, str(file), ["minhash.bands=16", "kind=folders"])
    assert loaded == Recipe("w", "folders", ("a", "b"), MinHash(0.8, 16), None, {"python": 2.0})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"workspce": "w"}, "unknown key 'workspce'; did you mean 'workspace'"),
        ({"workspace": "w", "minhash": {"treshold": 1}}, "did you mean 'threshold'"),
        ({"workspace": 3}, "workspace: expected str, got 3"),
        ({"workspace": "w", "minhash": {"bands": True}}, "bands: expected int, got True"),
        ({"workspace": "w", "minhash": {"bands": 2.5}}, "bands: expected int, got 2.5"),
        ({"workspace": "w", "minhash": 5}, "minhash: expected a section"),
        ({"workspace": "w", "minhash": {"threshold": 7}}, r"threshold=7.0: must be in"),
        ({"workspace": "w", "kind": "svn"}, "'svn' is not one of git, folders"),
        ({"workspace": "w", "roots": "a"}, "roots: expected a list"),
        ({"workspace": "w", "roots": [1]}, r"roots\[0\]: expected str"),
        ({}, "workspace"),
    ],
)
def test_refuses_and_says_why(values: dict, message: str) -> None:
    with pytest.raises(recipe.RecipeError, match=message):
        recipe.build(Recipe, values)


def test_bad_overrides_and_files(tmp_path: Path) -> None:
    with pytest.raises(recipe.RecipeError, match="write it as key=value"):
        recipe.override({}, ["minhash.threshold"])
    with pytest.raises(recipe.RecipeError, match="is a value, not a section"):
        recipe.override({"workspace": "w"}, ["workspace.x=1"])
    with pytest.raises(recipe.RecipeError, match=r"--set seed=%a: not readable as YAML \(.*\); quote the value"):
        recipe.override({}, ["seed=%a"])
    with pytest.raises(recipe.RecipeError, match=r"no such recipe.*smoke"):
        recipe.read(str(tmp_path / "absent.yaml"))
    (tmp_path / "list.yaml").write_text("- a\n")
    with pytest.raises(recipe.RecipeError, match="a list"):
        recipe.read(str(tmp_path / "list.yaml"))


@pytest.mark.parametrize("place", ["workspace", "roots", "minhash", "kind", "unknown"])
def test_a_url_with_credentials_is_refused_before_anything_quotes_it(place: str, tmp_path: Path) -> None:
    url = "s3://AKIAKEY:se/cret@bucket/work"
    (tmp_path / "r.yaml").write_text(f"workspace: {url}\n  : nothing of YAML")
    for build in (
        lambda: recipe.build(Recipe, {"workspace": "w", place: [url] if place == "roots" else url}),
        lambda: recipe.override({}, [f"{place}={url}: x"]),
        lambda: recipe.read(url),
        lambda: recipe.read(str(tmp_path / "r.yaml")),
    ):
        with pytest.raises(recipe.RecipeError, match="in the environment") as refusal:
            build()
        assert "cret" not in str(refusal.value) and "AKIAKEY" not in str(refusal.value)


def test_digest_follows_values_only() -> None:
    assert recipe.digest(MinHash(), "x") == recipe.digest(MinHash(0.7, 32), "x")
    assert recipe.digest(MinHash(), "x") != recipe.digest(MinHash(0.8), "x")
    assert recipe.digest("ab", "c") != recipe.digest("a", "bc")
