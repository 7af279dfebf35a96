"""Languages and extensions that a release kept, by what people saw in samples of each, with limits of an extension's own.

Tables are CSV: `data/starcoder.csv` and `data/stack-v2.csv` ship, each dated and with its source, and a recipe may name another of the same
columns. A row is of a language and an extension (empty: a name without one); the row `*` says what becomes of pairs that no row names.
"""

import csv
import functools
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from typing import ClassVar, NamedTuple

from starmill.core.errors import InputError
from starmill.core.names import Place, did_you_mean, languages
from starmill.core.storage import named
from starmill.transforms.step import Rule

COLUMNS = ("language", "extension", "keep", "max_line_chars", "min_alphanum", "min_alpha")
SHIPPED = ("starcoder", "stack-v2")
OTHERS = "*"
MEAN_CHARS = 100  # a line on average, at most, where a row has a longest line


class Row(NamedTuple):
    """What a table says of an extension of a language; None is no limit."""

    keep: bool
    max_line_chars: int | None = None
    min_alphanum: float | None = None
    min_alpha: float | None = None


Table = tuple[tuple[str, str, Row], ...]


def read(lines: Iterable[str]) -> Table:
    """Return the rows of a table, sorted. Raises ValueError, naming the line.

    >>> read(["language,extension,keep,max_line_chars,min_alphanum,min_alpha", "*,,1,,,", "C,cats,0,,,"])[1]
    ('C', 'cats', Row(keep=False, max_line_chars=None, min_alphanum=None, min_alpha=None))
    """
    found: dict[tuple[str, str], Row] = {}
    rows = csv.reader(line for line in lines if not line.startswith("#"))
    if (head := tuple(next(rows, ()))) != COLUMNS:
        raise ValueError(f"its columns are {','.join(head)!r:.200}; give {','.join(COLUMNS)}")
    for number, row in enumerate(rows, 1):
        try:
            language, extension, keep, longest, alphanum, alpha = row
            limits = [None if not text else float(text) for text in (longest, alphanum, alpha)]
            if not all(limit is None or 0 <= limit < 1e9 for limit in limits):
                raise ValueError
            made = Row({"0": False, "1": True}[keep], None if limits[0] is None else int(limits[0]), *limits[1:])
        except (ValueError, KeyError):
            raise ValueError(
                f"row {number}, {','.join(row)!r:.200}: give a language, an extension, 0 or 1, and numbers or nothing"
            ) from None
        if language != OTHERS and language not in languages():
            raise ValueError(f"row {number}: '{language:.100}' is no language{did_you_mean(language, languages())}")
        if (language, extension) in found:
            raise ValueError(f"row {number}: {language} {extension or '(none)'} a second time")
        found[language, extension] = made
    if (OTHERS, "") not in found:
        raise ValueError(f"no row {OTHERS}: it says what becomes of all that the table does not name")
    return tuple(sorted((language, extension, made) for (language, extension), made in found.items()))


@dataclass(frozen=True)
class Extensions:
    """Which extensions of which languages are kept: `table` is starcoder, stack-v2, or a CSV file; null keeps all.

    >>> step = Extensions("stack-v2").step()
    >>> step.judge("XML", "kml", 10, 10.0, 0.9, 0.9), step.judge("Python", "py", 10, 10.0, 0.9, 0.9)
    ('excluded_extension', None)
    """

    table: Place | None = None  # a table that ships (starcoder, stack-v2), or a CSV file; null: every extension
    name: str = "extensions"  # in `dropped/`; leave it

    def step(self) -> "JudgeExtensions":
        """Return the step. Raises NotThere or InputError, naming the file, for a table that cannot be read."""
        if self.table is None:
            return JudgeExtensions(name=self.name)
        if self.table in SHIPPED:
            text = resources.files("starmill.transforms.decide").joinpath(f"data/{self.table}.csv").read_text("utf-8")
            return JudgeExtensions(read(text.splitlines()), self.name)
        with named("curate.quality.extensions.table", self.table, mode="rt", encoding="utf-8") as file:
            try:
                return JudgeExtensions(read(file.read().splitlines()), self.name)
            except ValueError as error:
                raise InputError(f"curate.quality.extensions.table: {self.table}: {error}") from None


@dataclass(frozen=True)
class JudgeExtensions(Rule):
    """Drops what a table leaves out, and what is beyond the limits of its extension.

    >>> JudgeExtensions((("*", "", Row(False)), ("C", "h", Row(True, max_line_chars=9)))).judge("C", "h", 10, 5.0, 1.0, 1.0)
    'line_too_long'
    """

    reads: ClassVar[tuple[str, ...]] = (
        "language",
        "extension",
        "max_line_length",
        "avg_line_length",
        "alphanum_fraction",
        "alpha_fraction",
    )

    rows: Table = ((OTHERS, "", Row(keep=True)),)
    name: str = "extensions"

    @functools.cached_property
    def _known(self) -> dict[tuple[str, str], Row]:
        return {(language, extension): row for language, extension, row in self.rows}

    def judge(
        self, language: str | None, extension: str | None, longest: int, mean: float, alphanum: float, alpha: float
    ) -> str | None:
        """Return excluded_extension, line_too_long, mean_line_too_long, few_letters_or_digits, few_letters or None."""
        row = self._known.get((language or "", extension or ""), self._known[OTHERS, ""])
        if not row.keep:
            return "excluded_extension"
        if row.max_line_chars is not None and longest > row.max_line_chars:
            return "line_too_long"
        if row.max_line_chars is not None and mean > MEAN_CHARS:
            return "mean_line_too_long"
        if row.min_alphanum is not None and alphanum < row.min_alphanum:
            return "few_letters_or_digits"
        return "few_letters" if row.min_alpha is not None and alpha < row.min_alpha else None
