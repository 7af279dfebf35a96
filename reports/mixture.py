"""The mixture of a workspace: records, bytes and tokens by kind and language, read from manifests alone, at any size in seconds.

Where shards are there, the table is exact: tokenize counts in its sidecars what it took and made. Before that, pipelines/run/mixture.py
reckons the same rows from a recipe.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from starmill.core.dataset import Workspace
from starmill.core.summary import Summary

DATASET, SHARDS = "dataset", "shards"


@dataclass(frozen=True)
class Row:
    """A kind and language: what the dataset has, what of it is taken, and its tokens; `epoch`: the tokens times their documents' weights.

    `documents` is null where nothing is tokenized yet.
    """

    kind: str
    language: str
    records: int = 0
    bytes: int = 0
    taken_records: float = 0
    taken_bytes: float = 0
    documents: int | None = None
    tokens: float = 0
    epoch: float = 0

    def __add__(self, other: "Row") -> "Row":
        """Return the sum, which is called as the first is."""
        known = [row.documents for row in (self, other) if row.documents is not None]
        return Row(
            self.kind,
            self.language,
            self.records + other.records,
            self.bytes + other.bytes,
            self.taken_records + other.taken_records,
            self.taken_bytes + other.taken_bytes,
            sum(known) if known else None,
            self.tokens + other.tokens,
            self.epoch + other.epoch,
        )


@dataclass(frozen=True)
class Table:
    """Rows, and how their tokens are known: `basis` says how they were estimated, and is empty where they were counted."""

    rows: tuple[Row, ...] = ()
    basis: str = ""


def of_shards(workspace: Workspace) -> Table | None:
    """Return the mixture of the shards; None where they are not complete, or not made of the dataset that is there."""
    return of_summaries(workspace.summary(DATASET), workspace.summary(SHARDS))


def of_summaries(dataset: Summary | None, shards: Summary | None) -> Table | None:
    """Return the mixture of shards and the dataset that they are made of; None where one of both is not there, or they do not fit."""
    if dataset is None or shards is None or not _is_made_of(shards, dataset):
        return None
    rows = of_dataset(dataset)

    def add(row: Row) -> None:
        known = rows.get((row.kind, row.language), Row(row.kind, row.language))
        rows[row.kind, row.language] = known + row

    for key, (n, size) in _sums(shards).items():
        add(Row(*key, taken_records=n, taken_bytes=size))
    for made in shards.tokens:
        add(Row(made.kind, made.language, documents=made.documents, tokens=made.tokens, epoch=made.epoch))
    return Table(tuple(rows[key] for key in sorted(rows)))


def of_dataset(dataset: Summary) -> dict[tuple[str, str], Row]:
    """Return a row for each kind and language of the dataset, of which nothing is taken yet."""
    return {key: Row(*key, records=n, bytes=size) for key, (n, size) in _sums(dataset).items()}


def _sums(found: Summary) -> dict[tuple[str, str], list[int]]:
    """Return the records and bytes that stayed, by kind and language."""
    sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for count in (count for count in found.counts if not count.reason):
        here = sums[count.kind, count.language]
        here[0] += count.files
        here[1] += count.bytes
    return sums


def _is_made_of(shards: Summary, dataset: Summary) -> bool:
    made = {folder: files.digest for folder, files in dataset.outputs.items()}
    return shards.parts == dataset.parts and all(made.get(folder) == digest for folder, digest in shards.lineage.items())


def data(workspace: Workspace, table: Table | None = None) -> dict[str, Any]:
    """Return a table as plain data, for JSON; without one, that of the shards, if there are any."""
    table = table or of_shards(workspace) or Table()
    kinds = [asdict(row) | {"languages": [asdict(r) for r in below]} for row, below in _by_kind(table.rows)]
    total = asdict(sum(table.rows, Row("", "")))
    for row in (total, *kinds):
        row.pop("language")
    total.pop("kind")
    return {"workspace": workspace.root, "estimated": bool(table.basis), "basis": table.basis, "total": total, "kinds": kinds}


def lines(workspace: Workspace, table: Table | None = None, languages: int = 12) -> Iterator[str]:
    """Yield a table for a person, with the `languages` languages of each kind of which most is taken."""
    table = table or of_shards(workspace) or Table()
    if not table.rows:
        yield f"{workspace.root}: no shards are complete here"
        return
    total = sum(table.rows, Row("total", ""))
    weighted = any(row.epoch != row.tokens for row in table.rows)
    about = "~" if table.basis else ""
    head = f"{'records':>14}{'MB':>14}{'taken':>14}{'MB taken':>14}{'tokens':>20}{'share':>9}"
    yield f"{'kind, language':<24}{head}{'tokens an epoch':>20}" if weighted else f"{'kind, language':<24}{head}"

    def shown(name: str, row: Row) -> str:
        cells = (
            f"{name:<24}{row.records:14,}{row.bytes / 1e6:14,.2f}{round(row.taken_records):14,}{row.taken_bytes / 1e6:14,.2f}"
        )
        cells += f"{about + format(round(row.tokens), ','):>20}{row.tokens / max(1, total.tokens):9.2%}"
        return cells + f"{about + format(round(row.epoch), ','):>20}" if weighted else cells

    for kind, below in _by_kind(table.rows):
        yield shown(kind.kind or "(unknown)", kind)
        named = [row for row in below if row.language]
        ranked = sorted(below if named else [], key=lambda row: (-row.taken_bytes, -row.bytes, row.language))
        for row in ranked[:languages]:
            yield shown(f"  {row.language or '(no language)'}", row)
        if rest := ranked[languages:]:
            yield shown(f"  {len(rest)} others", sum(rest[1:], rest[0]))
    yield shown("total", total)
    yield table.basis or "tokens are those of the shards, as counted when they were made"


def _by_kind(rows: Sequence[Row]) -> list[tuple[Row, list[Row]]]:
    """Return each kind's sum and its rows, the kind with most tokens first."""
    below: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        below[row.kind].append(row)
    sums = [(sum(found[1:], found[0]), found) for found in below.values()]
    return sorted(sums, key=lambda pair: (-pair[0].tokens, -pair[0].bytes, pair[0].kind))
