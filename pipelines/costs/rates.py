"""Rates: the costs of each stage by their drivers; fitted to observations of small runs, kept as one JSON file.

A cost is a sum of coefficients times drivers: a constant ("one"), and amounts per part, row group, file, byte and repository.
`law` states the drivers of each cost, from how the stage works; only the coefficients are fitted, none below zero.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from starmill.core.errors import InputError, NotThere
from starmill.core.files import read_small
from starmill.pipelines.stages import STAGES, dedup, measure, tokenize

NEAR = dedup.STAGE.name
# What grows inside a stage by another law: ScanCode goes by licence texts, a tokenizer is trained once.
STAGE_OF = {"licenses": measure.STAGE.name, "tokenizer": tokenize.STAGE.name}
ROWS = tuple(row for stage in STAGES for row in (*(inner for inner, of in STAGE_OF.items() if of == stage), stage))
REQUESTS = ("GET", "PUT", "LIST", "DELETE")  # GET stands for HEAD too: the stores price them alike
FORMAT = 4

# Bytes of a dropped row, of which a sample has too few to fit: hashes and paths of the dropped and of the kept file. Measured on parts
# with 15 to 150 dropped rows; each row group that has some takes 4 kB more.
DROPPED_ROW = 150.0

# Datasets whose size grows with bytes of text, not with the number of files.
_BY_BYTES = frozenset(("records", "curated", "dataset", "shards"))


@dataclass(frozen=True)
class Observation:
    """One row of one run. Costs: `seconds`, `cpu` seconds, those before the stage began (`start`), bytes of `peak`, `shuffled`,
    `fetched` and `stored/<dataset>`, and requests by kind.
    """

    row: str
    drivers: dict[str, float]
    costs: dict[str, float]


@dataclass(frozen=True)
class Rates:
    """Coefficients by row, cost and driver; the shares of files and bytes that each stage keeps; the shape of the measured input.

    >>> rates = Rates({"ingest": {"cpu": {"one": 2.0, "bytes": 1e-6}}}, kept={}, shape={}, options="")
    >>> rates.cost("ingest", "cpu", {"one": 1, "bytes": 5e6})
    7.0
    """

    coefficients: dict[str, dict[str, dict[str, float]]]
    kept: dict[str, tuple[float, float]]
    shape: dict[str, float]
    options: str  # the digest of the recipe's options that the rates hold for
    observations: tuple[Observation, ...] = ()

    def cost(self, row: str, cost: str, drivers: Mapping[str, float]) -> float:
        """Return one cost of one row."""
        found = self.coefficients.get(row, {}).get(cost, {})
        return sum(value * drivers[name] for name, value in found.items())

    def stored(self, row: str) -> list[str]:
        """Return the names of the costs that are a row's stored bytes."""
        return [name for name in self.coefficients.get(row, {}) if name.startswith("stored/")]

    def to_json(self) -> str:
        """Return the text of a rates file."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1, sort_keys=True) + "\n"


MAX_BYTES = 16 << 20  # of a rates file


def load(path: str) -> Rates:
    """Read a rates file. Raises NotThere or InputError, which say how to make one."""
    try:
        values = json.loads(read_small(path, MAX_BYTES))
        if values.pop("format") != FORMAT:
            raise ValueError("another format")
        observations = tuple(Observation(**o) for o in values.pop("observations"))
        kept = {stage: (float(files), float(size)) for stage, (files, size) in values.pop("kept").items()}
        return Rates(kept=kept, observations=observations, **values)
    except FileNotFoundError:
        raise NotThere(f"{path}: no rates here; run `starmill bench --rates {path}` first") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{path}: not the rates of this version ({error}); run `starmill bench --rates {path}` again"
        ) from None


def law(row: str, cost: str) -> tuple[str, ...]:
    """Return the drivers of a cost."""
    if cost.startswith("stored/"):
        return _stored(cost.removeprefix("stored/"))
    if row == "licenses":  # each repository looks its texts up, and ScanCode reads the new ones
        return {"cpu": ("one", "texts"), "peak": ("one",), "PUT": ("texts",)}.get(cost, ("repositories",))
    if row == "tokenizer":
        return ("one", "sample") if cost in ("cpu", "peak") else ("one", "parts", "groups")
    if cost == "start":
        return ("one",)
    size = "files" if row == NEAR else "bytes"
    if cost == "peak":
        return ("one", "part_bytes")  # estimate.py computes dedup's shuffle; verification reads whole row groups
    if cost == "shuffled":
        return ("files", "stays", "blocks") if row == NEAR else ("parts",)
    if cost == "fetched":
        return ("parts", "bytes")
    if cost == "cpu":
        return ("one", "parts", size)
    return ("one", "parts", "cells" if row == NEAR else "groups")


def _stored(dataset: str) -> tuple[str, ...]:
    if dataset == "tokenizer":
        return ("one",)
    if dataset == "manifest":
        return ("one", "parts")
    if dataset == "cache":
        return ("texts",)
    if dataset == "plans":
        return ("parts", "repositories")
    if dataset == "verdicts":
        return ("parts", "files", "removed")
    if dataset == f"dropped/{NEAR}":
        return ("parts", "dropping")
    if dataset.startswith("dropped/"):
        return ("parts", "removed")
    return ("parts", "bytes" if dataset in _BY_BYTES else "files")


def fit(observations: Sequence[Observation]) -> dict[str, dict[str, dict[str, float]]]:
    """Return the coefficients of every cost of every row."""
    fitted: dict[str, dict[str, dict[str, float]]] = {}
    for row in ROWS:
        mine = [o for o in observations if o.row == row]
        for cost in sorted({name for o in mine for name in o.costs}):
            drivers, known = law(row, cost), {"removed": DROPPED_ROW} if cost == f"stored/dropped/{NEAR}" else {}
            table = np.array([[o.drivers[d] for d in drivers] for o in mine])
            rest = [o.costs.get(cost, 0.0) - sum(value * o.drivers[d] for d, value in known.items()) for o in mine]
            values = solve(table, np.array(rest))
            fitted.setdefault(row, {})[cost] = dict(zip(drivers, values.tolist(), strict=True)) | known
    return fitted


def solve(table: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return coefficients >= 0 of the columns of `table` that come nearest to `values`, relative to each value.

    Tries all subsets of the columns, at most three, and takes the best solution without negative coefficients.
    """
    columns = table.shape[1]
    weights = 1 / np.maximum(values, max(values.max(initial=0) / 1000, 1e-9))
    best, least = np.zeros(columns), np.inf
    for mask in range(1, 1 << columns):
        chosen = [c for c in range(columns) if mask >> c & 1]
        some = table[:, chosen] * weights[:, None]
        scale = np.maximum(some.max(axis=0), 1e-300)
        found = np.linalg.lstsq(some / scale, values * weights, rcond=1e-9)[0] / scale
        error = float(((some @ found - values * weights) ** 2).sum())
        if (found >= 0).all() and error < least - 1e-12:
            best, least = np.zeros(columns), error
            best[chosen] = found
    return best
