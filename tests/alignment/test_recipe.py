"""Recipes of alignment: those that ship load, fit their schema and have the paper's values; values that do not fit are refused."""

import json
from pathlib import Path

import jsonschema
import pytest

from starmill.alignment.prompts import Prompts
from starmill.alignment.recipe import AlignRecipe, load
from starmill.core import recipe
from starmill.core.recipe import RecipeError

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = sorted((ROOT / "recipes/align").glob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_recipes_that_ship(path: Path) -> None:
    wanted = load(path.stem, [], "elsewhere")
    assert wanted.workspace == "elsewhere"
    if isinstance(wanted, AlignRecipe):
        assert wanted.concepts.shots <= len(Prompts().shots)
    schema = json.loads((ROOT / "recipes/schema-align.json").read_text())
    check = jsonschema.Draft202012Validator(schema)
    values = recipe.read(str(path))
    assert not [error.message for error in check.iter_errors(values)]
    assert not check.is_valid({**values, "sample": 3}) and not check.is_valid({**values, "seed": -1})


def test_the_values_of_starcoder2_self_align() -> None:
    wanted = load("starcoder2-instruct", [])
    assert isinstance(wanted, AlignRecipe) and wanted.languages == ("Python",)
    asked = [(one.shots, one.temperature, one.max_new_tokens) for one in (wanted.concepts, wanted.instruct, wanted.respond)]
    assert asked == [(8, 0.7, 1536), (8, 0.7, 1536), (1, 0.7, 1536)] and (wanted.respond.samples, wanted.seed) == (10, 3407)
    assert wanted.judge is not None
    assert (wanted.judge.shots, wanted.judge.temperature, wanted.judge.max_new_tokens) == (7, 0.0, 5)
    assert (wanted.verify.cpu_seconds, wanted.verify.memory_bytes) == (10.0, 1 << 30)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("chat=true", "a folder's model is asked for completions"),
        ("budget.money=3", "nothing has a price"),
        ("respond.samples=0", "respond.samples: expected int from 1 to 1,000"),
        ("verify.libraries=[os; rm]", "a name of letters"),
        ("languages=[python]", "did you mean 'Python'?"),
        ("languages=[Haskell]", "languages: Haskell: unknown; give some of Python, JavaScript,"),
        ("languages=[]", "none, or one of them twice"),
        ("languages=[Go, Go]", "none, or one of them twice"),
        ("judge.shot=3", "unknown key 'shot'"),
        ("model=https://me:secret@example.org", "credentials"),
    ],
)
def test_what_is_refused(override: str, said: str) -> None:
    with pytest.raises(RecipeError) as error:
        load("align-tiny", [override])
    assert said in str(error.value) or said == "credentials", str(error.value)
    assert "secret" not in str(error.value)
