"""A data recipe: where the data lies, and the options of every stage. The values of the recipes that ship are in recipes/data/."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import msgspec

from starmill.core import recipe, skips
from starmill.core.names import Name, Place, Positive, Share, Words, did_you_mean
from starmill.pipelines.kinds import KINDS, Curate, Kind, KindName, Measure, Release, Sections
from starmill.pipelines.sources.archives.reader import Archives
from starmill.pipelines.sources.arxiv import Arxiv
from starmill.pipelines.sources.documentation.reader import Documentation
from starmill.pipelines.sources.folders import Folders
from starmill.pipelines.sources.functions.reader import Functions
from starmill.pipelines.sources.gharchive.reader import GHArchive
from starmill.pipelines.sources.git.commits import Commits
from starmill.pipelines.sources.ir.reader import Programs
from starmill.pipelines.sources.packages import Packages
from starmill.pipelines.sources.sets.reader import Sets
from starmill.pipelines.sources.source import Source
from starmill.pipelines.sources.stackexchange.reader import StackExchange
from starmill.pipelines.sources.swh.commits import SoftwareHeritageCommits
from starmill.pipelines.sources.swh.reader import SoftwareHeritage
from starmill.pipelines.sources.tables.reader import Tables
from starmill.pipelines.sources.wikipedia.reader import Wikipedia
from starmill.pipelines.stages.ingest import REPOSITORY_SECONDS, Ingest
from starmill.pipelines.stages.vocabulary import TokenizerOptions
from starmill.transforms.decide.mix import Mix
from starmill.transforms.dedup.minhash import MinHash
from starmill.transforms.render.code import Format

# The only list of the sources. It is here, because no stage and no source may depend on all of them: a part's key counts its own.
SOURCES: tuple[type[Source], ...] = (
    Packages,
    Folders,
    SoftwareHeritage,
    Tables,
    GHArchive,
    Archives,
    Commits,
    SoftwareHeritageCommits,
    Sets,
    Programs,
    StackExchange,
    Wikipedia,
    Arxiv,
    Documentation,
    Functions,
)


@dataclass(frozen=True)
class Card:
    """What the card of a published data set says that no manifest knows."""

    name: Words = "A data set of source code"
    version: Annotated[str, msgspec.Meta(pattern=r"^\d{1,9}\.\d{1,9}\.\d{1,9}\Z", description="a version such as 1.0.0")] = (
        "1.0.0"
    )
    date: Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\d\Z", description="a date such as 2026-11-27")] | None = (
        None  # on which it is published
    )
    contact: Words | None = None  # an address or a page where a person can ask for removal


@dataclass(frozen=True)
class Recipe:
    """A data recipe: where the data lies, and the options of every stage."""

    workspace: Place  # the folder or fsspec URL of all datasets
    sources: dict[Name, Source] = field(default_factory=dict)  # what is milled: named sources, each of a kind
    ingest: Ingest = field(default_factory=Ingest)
    measure: Measure = field(default_factory=Measure)
    curate: Curate = field(default_factory=Curate)
    minhash: MinHash = field(default_factory=MinHash)
    release: Release = field(default_factory=Release)
    mix: Mix = field(default_factory=Mix)
    tokenizer: TokenizerOptions = field(default_factory=TokenizerOptions)
    format: Format = field(default_factory=Format)
    card: Card = field(default_factory=Card)
    kinds: dict[KindName, Sections] = field(default_factory=dict)  # what is otherwise for one kind of record
    max_error_rate: Share = 0.01  # of the files of a stage, and of a part with ten errors or more; above it the stage fails
    max_record_seconds: Positive = (
        skips.SECONDS
    )  # in one step; a record that takes longer is left out, and listed in skips.json
    max_repository_seconds: Positive = REPOSITORY_SECONDS  # of reading one; a slower one is left out, and listed in skips.json

    def __post_init__(self) -> None:
        """Raise ValueError for a rule over what is not measured, and for a kind in the mixture that there is not."""
        self.of("")
        for kind in self.mix.kinds or ():
            if kind not in KINDS:
                raise ValueError(f"mix.kinds: '{kind}' is no kind of record{did_you_mean(kind, KINDS)}")

    def of(self, kind: str) -> Sections:
        """Return the sections that hold for a kind of record."""
        return self.kinds.get(kind) or Sections(self.measure, self.curate, self.release)

    @property
    def table(self) -> Mapping[str, Kind]:
        """The kinds of records; stages, which must not import it, find the table here."""
        return KINDS


def load(path: str, overrides: list[str], inputs: list[str], workspace: str | None) -> Recipe:
    """Read a data recipe; `inputs` (folders of checkouts) replace its sources, `workspace` its place. Raises RecipeError."""
    if Path(path).is_dir():
        raise recipe.RecipeError(
            f"{path}: a folder, where a recipe should be; give a recipe's file or name, and name a workspace with --workspace"
        )
    values = recipe.override(recipe.read(path), overrides)
    if "source" in values:
        raise recipe.RecipeError(
            f"{path}: `source` is now `sources`, a mapping of named sources, each with its `kind`; see docs/recipes.md"
        )
    if inputs:
        missing = [i for i in inputs if not Path(i).is_dir()]
        if missing:
            raise recipe.RecipeError(f"--input {missing[0]}: no such folder")
        given = (values.get("sources") or {}).get("input") or {}  # what --set sources.input says of them
        values["sources"] = {"input": {**given, "kind": "folders", "roots": inputs}}
    if workspace:
        values["workspace"] = workspace
    return build(values, where=path)


def build(values: Mapping[str, Any], where: str = "recipe") -> Recipe:
    """Return the recipe of these values; what a kind has no value of is as in the recipe. Raises RecipeError."""
    base = {name: values[name] for name in Sections.__dataclass_fields__ if name in values}
    own = values.get("kinds")
    if isinstance(own, dict):
        values = {**values, "kinds": {kind: _merged(base, over) for kind, over in own.items()}}
    return recipe.build(Recipe, values, where=where)


def _merged(base: Any, over: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(over, dict):
        return over
    return base | {key: _merged(base.get(key), value) for key, value in over.items()}
