"""Distributions of what was measured, with the recipe's thresholds on them, and what each other threshold would drop.

A row of DRAWN says which option of which rule limits which number, and of which records; the options are those that the run left in
`settings.json`. Each rule is looked at by itself, as `starmill curate --dry-run` does. The edges of the bins are the thresholds that the
page offers, and the recipe's own is one of them, so that all counts are exact for the rows that were looked at.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from starmill.core.document import CODE
from starmill.reports.page.sample import MEASURES, RECORDS, Sample
from starmill.reports.settings import Settings

Columns = Mapping[str, np.ndarray]
Options = Mapping[str, Any]
STEPS = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)  # of each power of ten: the edges of bins of sizes
FRACTIONS = 50  # bins of a share
COLUMNS = (
    *("keep", "language", "num_lines", "max_line_length", "avg_line_length", "alpha_fraction", "alphanum_fraction"),
    *("num_chars", "encoded_longest", "encoded_total", "visible_text_chars"),
    *("syntax_error_fraction", "quality_score"),
)


@dataclass(frozen=True)
class Drawn:
    """A threshold: `option` of the rule at `rule` of the recipe's section; records are dropped whose number is on its `side`.

    `number` gives what is compared; `held` the records that the rule looks at.

    >>> lines = next(row for row in DRAWN if row.option == "max_lines")
    >>> lines.side, lines.number({"num_lines": np.array([3.0])}, {}).tolist()
    ('above', [3.0])
    """

    kind: str
    rule: tuple[str, ...]
    option: str
    title: str
    side: Literal["above", "below"]
    number: Callable[[Columns, Options], np.ndarray]
    held: Callable[[Columns, Options], np.ndarray] = lambda columns, options: np.ones(len(columns["language"]), np.bool_)
    is_share: bool = False


def _column(name: str) -> Callable[[Columns, Options], np.ndarray]:
    return lambda columns, options: columns[name]


def _among(option: str, inside: bool = True) -> Callable[[Columns, Options], np.ndarray]:
    return lambda columns, options: np.isin(columns["language"], list(options[option])) == inside


def _letters(columns: Columns, options: Options) -> np.ndarray:
    other = np.isin(columns["language"], list(options["alphanum_languages"]))
    return np.where(other, columns["alphanum_fraction"], columns["alpha_fraction"])


def _share(part: str) -> Callable[[Columns, Options], np.ndarray]:
    return lambda columns, options: columns[part] / np.maximum(columns["num_chars"], 1)


def _html(columns: Columns, options: Options) -> np.ndarray:
    return (columns["language"] == "HTML") & ~np.isnan(columns["visible_text_chars"])


LINES, DATA = ("quality", "long_lines"), ("quality", "data_lines")
DRAWN: tuple[Drawn, ...] = (
    Drawn(CODE, LINES, "max_lines", "Lines of a file", "above", _column("num_lines")),
    Drawn(
        CODE,
        LINES,
        "max_line_chars",
        "Longest line, characters",
        "above",
        _column("max_line_length"),
        _among("data_languages", False),
    ),
    Drawn(
        CODE,
        LINES,
        "max_data_line_chars",
        "Longest line of prose and data",
        "above",
        _column("max_line_length"),
        _among("data_languages"),
    ),
    Drawn(
        CODE,
        LINES,
        "max_mean_chars",
        "Mean length of lines",
        "above",
        _column("avg_line_length"),
        _among("data_languages", False),
    ),
    Drawn(CODE, ("quality", "alpha"), "min_fraction", "Share of letters", "below", _letters, is_share=True),
    Drawn(CODE, ("quality", "encoded_data"), "max_match_chars", "Longest encoded run", "above", _column("encoded_longest")),
    Drawn(
        CODE,
        ("quality", "encoded_data"),
        "max_fraction",
        "Share of encoded data",
        "above",
        _share("encoded_total"),
        is_share=True,
    ),
    Drawn(CODE, DATA, "max_lines", "Lines of a data file", "above", _column("num_lines"), _among("languages")),
    Drawn(CODE, ("quality", "html"), "min_text_chars", "Visible text of HTML", "below", _column("visible_text_chars"), _html),
    Drawn(
        CODE,
        ("quality", "html"),
        "min_text_fraction",
        "Visible share of HTML",
        "below",
        _share("visible_text_chars"),
        _html,
        True,
    ),
    Drawn(
        CODE,
        ("signals", "syntax_errors"),
        "max_fraction",
        "Share in errors of syntax",
        "above",
        _column("syntax_error_fraction"),
        is_share=True,
    ),
    Drawn(CODE, ("signals", "low_score"), "at_least", "Score", "below", _column("quality_score"), is_share=True),
    Drawn("pull_request", ("pulls",), "min_chars", "Size of pull requests", "below", _column("num_chars")),
    Drawn("pull_request", ("pulls",), "max_chars", "Size of pull requests", "above", _column("num_chars")),
)


def of_sample(sample: Sample, settings: Settings, deciding: str) -> list[dict[str, Any]]:
    """Return what is drawn: one item for each threshold that the recipe of stage `deciding` has, and that records are held to."""
    numbers: dict[str, list[dict[str, np.ndarray]]] = {}
    kinds = {row.kind for row in DRAWN}
    for part in sample:
        measured, known = part.columns(MEASURES, *COLUMNS), part.columns(RECORDS, "kind", "length_bytes")
        if measured is None or known is None or measured.num_rows != known.num_rows or "keep" not in measured.schema.names:
            continue
        for kind in sorted(kinds):
            here = pc.fill_null(pc.and_(pc.equal(known.column("kind"), kind), measured.column("keep")), False)
            if pc.any(here).as_py():
                numbers.setdefault(kind, []).append(
                    _arrays(measured.filter(here)) | _arrays(known.filter(here).select(["length_bytes"]))
                )
    whole = {kind: {name: np.concatenate([one[name] for one in found]) for name in found[0]} for kind, found in numbers.items()}
    items = []
    for row in DRAWN:
        options = settings.of(deciding, "kinds", row.kind, deciding, *row.rule) or settings.of(deciding, deciding, *row.rule)
        if row.kind in whole and isinstance(options, dict) and isinstance(options.get(row.option), int | float):
            try:
                item = _item(row, whole[row.kind], options)
            except (KeyError, TypeError, ValueError, ArithmeticError):  # the recipe or columns of another release
                continue
            if item is not None:
                items.append(item)
    return items


def _arrays(table: pa.Table) -> dict[str, np.ndarray]:
    found = {}
    for name in table.schema.names:
        column = table.column(name)
        if pa.types.is_string(column.type):
            found[name] = np.array([value or "" for value in column.to_pylist()], dtype=np.str_)
        else:
            found[name] = column.cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64)
    return found


def _item(row: Drawn, columns: Columns, options: Options) -> dict[str, Any] | None:
    held = row.held(columns, options)
    values = row.number(columns, options)[held]
    sizes = columns["length_bytes"][held]
    fine = ~np.isnan(values)
    values, sizes = values[fine], sizes[fine]
    if not len(values):
        return None
    edges = edges_of(values, float(options[row.option]), row.is_share)
    files, size = counted(values, sizes, edges, row.side)
    return {
        "kind": row.kind,
        "rule": row.rule[-1],
        "option": row.option,
        "title": row.title,
        "side": row.side,
        "share": row.is_share,
        "threshold": options[row.option],
        "edges": edges,
        "files": files,
        "bytes": size,
    }


def edges_of(values: np.ndarray, threshold: float, is_share: bool) -> list[float]:
    """Return the edges between bins, in rising order: round numbers from the least to the largest value, and the threshold.

    >>> edges_of(np.array([3.0, 60.0]), 40, False)
    [2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 70.0]
    """
    if is_share:
        grid = [round(i / FRACTIONS, 4) for i in range(FRACTIONS + 1)]
        return sorted({*grid, threshold})
    low, high = min(float(values.min()), threshold), max(float(values.max()), threshold)
    powers = range(max(0, math.floor(math.log10(max(low, 1)))) - 1, math.ceil(math.log10(max(high, 1))) + 1)
    grid = [0.0, *(float(round(step * 10**power, 4)) for power in powers for step in STEPS if power >= 0)]
    first = max((i for i, edge in enumerate(grid) if edge < low), default=0)
    last = min((i for i, edge in enumerate(grid) if edge >= high), default=len(grid) - 1)
    return sorted({*grid[first : last + 1], float(threshold)})


def counted(values: np.ndarray, sizes: np.ndarray, edges: Sequence[float], side: str) -> tuple[list[int], list[int]]:
    """Return files and bytes of each bin: the first is what lies before the first edge, the last what lies behind the last one.

    A value on an edge is on the side that a rule keeps: a threshold of `above` drops what is above, one of `below` what is below it.

    >>> counted(np.array([1.0, 2.0, 3.0]), np.array([10, 20, 30]), [2.0], "above")
    ([2, 1], [30, 30])
    >>> counted(np.array([1.0, 2.0, 3.0]), np.array([10, 20, 30]), [2.0], "below")
    ([1, 2], [10, 50])
    """
    at = np.searchsorted(np.asarray(edges), values, side="left" if side == "above" else "right")
    files = np.bincount(at, minlength=len(edges) + 1)
    size = np.bincount(at, weights=sizes, minlength=len(edges) + 1)
    return [int(n) for n in files], [int(n) for n in size]


def similarities(rows: Sequence[Mapping[str, Any]], threshold: float | None) -> dict[str, Any] | None:
    """Return the distribution of the similarity of removed near duplicates to what was kept of them, from the threshold up."""
    found = [
        (row["jaccard"], row["length_bytes"] or 0) for row in rows if row.get("jaccard") is not None and row["jaccard"] < 1
    ]
    if not found or threshold is None:
        return None
    values, sizes = (np.array(column, np.float64) for column in zip(*found, strict=True))
    edges = sorted({float(threshold), *(round(i / 100, 2) for i in range(math.ceil(threshold * 100), 101))})
    files, size = counted(values, sizes, edges, "below")
    item = {
        "kind": "",
        "rule": "near",
        "option": "threshold",
        "title": "Similarity of near duplicates",
        "side": "above",
        "share": True,
    }
    return item | {"threshold": threshold, "edges": edges, "files": files, "bytes": size}
