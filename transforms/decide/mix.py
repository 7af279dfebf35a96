"""The mixture: which records of the dataset go into shards, and how often an epoch has them (StarCoder2, section 4 and table 4).

A cap is a share of a language: a file is taken where a hash of its names lies below cap / total. So the choice depends on no part, no
worker and no other file; what a cap takes, a higher cap takes too, and files are lost evenly over all repositories.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Annotated, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.types as types
from msgspec import Meta

from starmill.core import schema, seeds
from starmill.core.dataset import Count
from starmill.core.document import CODE
from starmill.core.names import Language, Name, OneOf, Seed
from starmill.transforms.step import Split, split

# The languages of the-stack-v2-train-smol, which StarCoder2-3B and 7B were trained on: section 4 of the paper names the first two rows,
# its appendix C.1 the third, and the names of files whose language is not taken as a whole. The appendix is cited from memory.
SMOL = (
    *(
        "C",
        "C#",
        "C++",
        "Go",
        "Java",
        "JavaScript",
        "Kotlin",
        "Lua",
        "PHP",
        "Python",
        "R",
        "Ruby",
        "Rust",
        "SQL",
        "Shell",
        "Swift",
    ),
    *("TypeScript", "AsciiDoc", "HTML", "Markdown", "RDoc", "RMarkdown", "Text", "reStructuredText"),
    *(
        "Ant Build System",
        "CMake",
        "Dockerfile",
        "Go Module",
        "Gradle",
        "INI",
        "Java Properties",
        "Makefile",
        "Maven POM",
        "TOML",
    ),
)
SMOL_FILES = (
    *("CMakeLists.txt", "Cargo.toml", "DESCRIPTION", "Gemfile", "Makefile.am", "NAMESPACE", "Package.swift", "Rakefile"),
    *(
        "build.gradle",
        "build.gradle.kts",
        "composer.json",
        "conda.yml",
        "configure.ac",
        "docker-compose.yml",
        "docker-compose.yaml",
    ),
    *("go.mod", "go.sum", "meson.build", "package.json", "pom.xml", "pyproject.toml", "requirements*.txt", "requirements*.in"),
    *("setup.cfg", "tsconfig.json", "yarn.lock"),
)
NUMBERS = tuple(f.name for f in schema.DATASET if types.is_integer(f.type) or types.is_floating(f.type))
Weight = Annotated[float, Meta(ge=0, le=100)]
Size = Annotated[float, Meta(gt=0, le=1e18)]
BY_NAME = "by name"  # what is said of a language of which only files of some names are taken


@dataclass(frozen=True)
class Level:
    """The weight of records with a value of at least so much."""

    at_least: Annotated[float, Meta(ge=0, le=1e15)]  # of the column
    weight: Weight  # times in an epoch


@dataclass(frozen=True)
class Weights:
    """How often an epoch has a record, by a number that is known of it: a column of the dataset, such as star_events_count.

    A document has the mean weight of its records, by bytes. The trainer reads the weights in the side table of the shards.

    >>> block = pa.record_batch({"star_events_count": [None, 3, 10, 5000]})
    >>> Weights("star_events_count", (Level(10, 2.0), Level(1000, 3.0)), otherwise=0.5).of(block).tolist()
    [0.5, 0.5, 2.0, 3.0]
    """

    column: Annotated[str, OneOf("column of numbers", lambda: NUMBERS)]  # of the dataset
    levels: tuple[Level, ...]  # in rising order
    otherwise: Weight = 1.0  # of records below the first level, and of those without a value

    def __post_init__(self) -> None:
        """Refuse levels that do not rise."""
        ends = [level.at_least for level in self.levels]
        if ends != sorted({*ends}):
            raise ValueError(f"levels={ends}: the values must rise from level to level")

    def of(self, block: pa.RecordBatch) -> np.ndarray:
        """Return the weight of each row."""
        values = block.column(self.column).cast(pa.float64()).fill_null(-np.inf).to_numpy(zero_copy_only=False)
        known = np.array([self.otherwise, *(level.weight for level in self.levels)])
        return known[
            np.searchsorted([level.at_least for level in self.levels], np.nan_to_num(values, nan=-np.inf), side="right")
        ]


@dataclass(frozen=True)
class Mix:
    """What goes into the shards. `languages` and `caps` are about code; a document of another kind is taken whole or not at all.

    What is not taken is a row of `dropped/`, of the step `mix`.

    >>> Mix(languages="smol", caps={"Java": 2e11}).unit
    'file'
    """

    kinds: tuple[Name, ...] | None = None  # kinds of records that are taken; null: all
    languages: Literal["full", "smol"] | tuple[Language, ...] = (
        "full"  # of code: all, those of the-stack-v2-train-smol, or these
    )
    caps: dict[Language, Size] = field(default_factory=dict)  # about so many bytes of text of a language of code
    unit: Literal["file", "repository"] = (
        "file"  # what a cap takes or leaves: a file, or all files of the language in a repository
    )
    seed: Seed = 0  # of the choice of what caps take
    weights: Weights | None = None  # how often an epoch has a record; null: once

    def has(self, kind: str) -> bool:
        """Whether records of a kind are taken."""
        return self.kinds is None or kind in self.kinds

    def of(self, counts: Iterable[Count]) -> "Take":
        """Return the step that takes it from a dataset with these counts."""
        totals: dict[str, int] = {}
        for count in counts:
            if not count.reason and count.kind == CODE and count.language in self.caps:
                totals[count.language] = totals.get(count.language, 0) + count.bytes
        shares = {name: self.caps[name] / total for name, total in sorted(totals.items()) if total > self.caps[name]}
        languages = None if self.languages == "full" else SMOL if self.languages == "smol" else tuple(self.languages)
        return Take(self.kinds, languages, SMOL_FILES if self.languages == "smol" else (), shares, self.unit, self.seed)


@dataclass(frozen=True)
class Take:
    """Drops what is not in the mixture: other kinds, other languages of code (unless a file's name is one of `files`), what is above a cap.

    >>> counts = [Count("", "", "Java", 9, 900, "code"), Count("", "", "C", 1, 9, "code")]
    >>> take = Mix(languages=("C", "Java"), caps={"Java": 300}).of(counts)
    >>> [take.share("code", language) for language in ("C", "Java", "Ada")], take.share("issue", "")
    ([1.0, 0.3333333333333333, 0.0], 1.0)
    """

    reads: ClassVar[tuple[str, ...]] = ("kind", "repo_name", "path", "language")

    kinds: tuple[str, ...] | None = None
    languages: tuple[str, ...] | None = None
    files: tuple[str, ...] = ()
    shares: Mapping[str, float] = field(default_factory=dict)
    unit: str = "file"
    seed: int = 0
    name: str = "mix"

    @property
    def is_everything(self) -> bool:
        """Whether nothing is dropped."""
        return self.kinds is None and self.languages is None and not self.shares

    def share(self, kind: str, language: str) -> float | None:
        """Return the share of the records of a kind and language that is taken; None where that depends on their names."""
        if self.kinds is not None and kind not in self.kinds:
            return 0.0
        if kind != CODE:
            return 1.0
        if self.languages is not None and language not in self.languages:
            return None if self.files else 0.0
        return self.shares.get(language, 1.0)

    def material(self, counts: Iterable[Count]) -> list[list[object]]:
        """Return what decides over the records that are counted; nothing where all of them are taken."""
        found = sorted({(c.kind, c.language): self.share(c.kind, c.language) for c in counts if not c.reason}.items())
        rules: list[list[object]] = []
        for (kind, language), share in found:
            if share is None:
                rules.append([kind, language, BY_NAME, self.shares.get(language, 1.0)])
            elif share != 1:
                rules.append([kind, language, share])
        capped = any(share != 0 and language in self.shares for (_, language), share in found)
        return rules + ([[self.unit, self.seed]] if capped else [])

    def __call__(self, block: pa.RecordBatch) -> Split:
        """Divide a block."""
        if self.is_everything:
            return Split(block, block.slice(0, 0), (), ())
        columns = [block.column(name).to_pylist() for name in self.reads]
        judged = [self._judge(*row) for row in zip(*columns, strict=True)]
        return split(block, [reason for reason, _ in judged], [detail for _, detail in judged])

    def _judge(self, kind: str, repo_name: str, path: str, language: str | None) -> tuple[str | None, str | None]:
        share = self.share(kind, language or "")
        if share is None:
            # A cap of such a language is of all its files, of which few have these names.
            share = self.shares.get(language or "", 1.0) if self._is_named(path) else 0.0
        if share == 0:
            return "not_in_mix", kind if kind != CODE else language
        own = (path,) if self.unit == "file" else ()
        if share == 1 or seeds.uniform(self.seed, "mix", language or "", repo_name, *own) < share:
            return None, None
        return "above_cap", f"{share:.4%} of {language} are taken"

    def _is_named(self, path: str) -> bool:
        name = path.rpartition("/")[2]
        return any(fnmatchcase(name, pattern) for pattern in self.files)
