"""A data recipe from the command line: folders replace its source, and its place is another."""

from pathlib import Path

import pytest

from starmill.core import recipe
from starmill.pipelines import recipe as recipes


def test_inputs_and_workspace_from_the_command_line(tmp_path: Path) -> None:
    loaded = recipes.load("smoke", ["minhash.threshold=0.8"], [str(tmp_path)], "elsewhere")
    assert (loaded.source.kind, loaded.source.roots, loaded.workspace) == ("folders", (str(tmp_path),), "elsewhere")
    assert loaded.minhash.threshold == 0.8
    with pytest.raises(recipe.RecipeError, match="no such folder"):
        recipes.load("smoke", [], [str(tmp_path / "none")], None)
