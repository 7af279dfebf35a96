"""Writes what docs/recipes.md says of every field, and the schemas beside the recipes, anew from the types: `python docs/recipes.py`."""

import json
from pathlib import Path

from starmill.core import recipe_page
from starmill.pipelines.recipe import Recipe
from starmill.trainer.config import TrainRecipe

ROOT = Path(__file__).resolve().parent.parent
MARK = "<!-- From here on, docs/recipes.py writes this page from the types. -->\n"


def made() -> dict[Path, str]:
    """Return the text of each file."""
    page = ROOT / "docs" / "recipes.md"
    written, _, _ = page.read_text("utf-8").partition(MARK)
    sections = [("Data recipes", Recipe), ("Training recipes", TrainRecipe)]
    texts = {page: written + MARK + "".join(f"\n## {title}\n\n{recipe_page.page(cls)}" for title, cls in sections)}
    for name, cls in (("data", Recipe), ("train", TrainRecipe)):
        text = json.dumps(recipe_page.schema(cls), indent=1, ensure_ascii=False)
        texts[ROOT / "recipes" / f"schema-{name}.json"] = text + "\n"
    return texts


if __name__ == "__main__":
    for path, text in made().items():
        path.write_text(text, "utf-8")
