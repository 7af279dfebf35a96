"""A data recipe: where the data lies, and the options of every stage. The values of the recipes that ship are in recipes/data/."""

from dataclasses import dataclass, field
from pathlib import Path

from starmill.core import recipe
from starmill.pipelines.stages.curate import Curate
from starmill.pipelines.stages.ingest import Source
from starmill.pipelines.stages.release import Release
from starmill.pipelines.stages.vocabulary import TokenizerOptions
from starmill.transforms.dedup.minhash import MinHash
from starmill.transforms.render.code import Format


@dataclass(frozen=True)
class Recipe:
    """A data recipe: where the data lies, and the options of every stage."""

    workspace: str  # the folder or fsspec URL of all datasets
    source: Source = field(default_factory=Source)
    curate: Curate = field(default_factory=Curate)
    minhash: MinHash = field(default_factory=MinHash)
    release: Release = field(default_factory=Release)
    tokenizer: TokenizerOptions = field(default_factory=TokenizerOptions)
    format: Format = field(default_factory=Format)
    max_error_rate: float = 0.01  # of the files of a stage, and of a part with ten errors or more; above it the stage fails


def load(path: str, overrides: list[str], inputs: list[str], workspace: str | None) -> Recipe:
    """Read a data recipe; `inputs` (folders of checkouts) replace its source, `workspace` its place. Raises RecipeError."""
    values = recipe.override(recipe.read(path), overrides)
    if inputs:
        missing = [i for i in inputs if not Path(i).is_dir()]
        if missing:
            raise recipe.RecipeError(f"--input {missing[0]}: no such folder")
        values["source"] = {**values.get("source", {}), "kind": "folders", "roots": inputs}
    if workspace:
        values["workspace"] = workspace
    return recipe.build(Recipe, values, where=path)
