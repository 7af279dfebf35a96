"""A data recipe from the command line: folders replace its sources, and its place is another."""

import json
from pathlib import Path

import pytest

from starmill.core import recipe
from starmill.pipelines import recipe as recipes
from starmill.pipelines.recipe import Recipe
from starmill.pipelines.sources.folders import Folders
from starmill.pipelines.sources.packages import Packages


def test_inputs_and_workspace_from_the_command_line(tmp_path: Path) -> None:
    loaded = recipes.load("smoke", ["minhash.threshold=0.8"], [str(tmp_path)], "elsewhere")
    assert loaded.sources == {"input": Folders(roots=(str(tmp_path),))} and loaded.workspace == "elsewhere"
    assert loaded.minhash.threshold == 0.8
    with pytest.raises(recipe.RecipeError, match="no such folder"):
        recipes.load("smoke", [], [str(tmp_path / "none")], None)


def test_sources_are_named_and_of_a_kind(tmp_path: Path) -> None:
    sources = {"python": {"kind": "packages", "include": ["cpython/*"]}, "git": {"kind": "folders", "roots": ["dump"]}}
    loaded = recipe.build(Recipe, {"workspace": "w", "sources": sources})
    assert loaded.sources == {"python": Packages(include=("cpython/*",)), "git": Folders(roots=("dump",))}
    assert recipe.build(Recipe, json.loads(recipe.canonical(loaded))) == loaded
    given = recipes.load("smoke", ["sources.input.exclude=[a]", "ingest.part_bytes=9"], [str(tmp_path)], None)
    assert given.sources == {"input": Folders(roots=(str(tmp_path),), exclude=("a",))} and given.ingest.part_bytes == 9


KINDS = ", ".join(source.kind for source in recipes.SOURCES)


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (
            {"x": {"kind": "folder"}},
            rf"^recipe: sources\.x\.kind: 'folder' is not one of {KINDS}; did you mean 'folders'",
        ),
        ({"x": {"kind": ["folders"]}}, rf"sources\.x\.kind: '\['folders'\]' is not one of {KINDS}"),
        ({"x": {}}, rf"sources\.x\.kind: give one of {KINDS}"),
        ({"x": "folders"}, r"sources\.x: expected a section with keys, got 'folders'"),
        ({"x": {"kind": "folders"}}, r"sources\.x\.roots: give a value"),
        ({"x": {"kind": "folders", "roots": [1]}}, r"sources\.x\.roots\[0\]: expected str, got 1"),
        ({"x": {"kind": "packages", "roots": []}}, r"sources\.x: unknown key 'roots'"),
        ([{"kind": "packages"}], r"sources: expected a section with keys"),
    ],
)
def test_a_source_that_is_none_is_refused(sources: object, message: str) -> None:
    with pytest.raises(recipe.RecipeError, match=message):
        recipe.build(Recipe, {"workspace": "w", "sources": sources})


def test_a_recipe_of_one_source_is_told_what_to_write(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_text("workspace: w\nsource: {kind: packages}\n")
    with pytest.raises(recipe.RecipeError, match="`source` is now `sources`, a mapping of named sources"):
        recipes.load(str(file), [], [], None)
    with pytest.raises(recipe.RecipeError, match="`source` is now `sources`, a mapping of named sources"):
        recipes.load("smoke", ["source.part_bytes=7"], [], None)
