"""Writes what docs/recipes.md says of every field, and the schemas beside the recipes, anew from the types: `python docs/recipes.py`."""

import json
from pathlib import Path
from typing import Any

from starmill.alignment.commits.recipe import CommitsRecipe
from starmill.alignment.recipe import AlignRecipe
from starmill.core import recipe_page
from starmill.model.presets import PRESETS
from starmill.pipelines.recipe import Recipe
from starmill.trainer.config import TrainRecipe

ROOT = Path(__file__).resolve().parent.parent
MARK = "<!-- From here on, docs/recipes.py writes this page from the types. -->\n"


def files() -> dict[Path, str]:
    """Return the text of each file."""
    page = ROOT / "docs" / "recipes.md"
    written, _, _ = page.read_text("utf-8").partition(MARK)
    sections = [
        ("Data recipes", Recipe),
        ("Training recipes", TrainRecipe),
        ("Alignment recipes", AlignRecipe),
        ("Alignment recipes of commits", CommitsRecipe),
    ]
    texts = {page: written + MARK + "".join(f"\n## {title}\n\n{recipe_page.page(cls)}" for title, cls in sections)}
    schemas = {
        "data": recipe_page.schema(Recipe),
        "train": _with_presets(recipe_page.schema(TrainRecipe)),
        "align": _either(recipe_page.schema(AlignRecipe), "commits", recipe_page.schema(CommitsRecipe)),
    }
    for name, made in schemas.items():
        text = json.dumps(made, indent=1, ensure_ascii=False)
        texts[ROOT / "recipes" / f"schema-{name}.json"] = text + "\n"
    return texts


def _either(schema: dict[str, Any], key: str, other: dict[str, Any]) -> dict[str, Any]:
    """Return a schema of recipes of two forms: those with `key` are of the other."""
    both = {"if": {"required": [key]}, "then": {"$ref": other["$ref"]}, "else": {"$ref": schema["$ref"]}}
    return both | {"$defs": schema["$defs"] | other["$defs"], "$schema": schema["$schema"]}


def _with_presets(schema: dict[str, Any]) -> dict[str, Any]:
    """Let the section `model` of a training recipe be the name of a preset, or a preset with changes."""
    names = {"enum": sorted(PRESETS)}
    model = schema["$defs"]["Model"]
    model["properties"]["preset"] = names
    model["anyOf"] = [{"required": ["preset"]}, {"required": model.pop("required")}]
    training = schema["$defs"]["TrainRecipe"]["properties"]
    training["model"] = {"anyOf": [names, training["model"], {"type": "null"}]}  # null: that of `weights`
    schema["$defs"]["TrainRecipe"]["required"].remove("model")
    return schema


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text, "utf-8")
