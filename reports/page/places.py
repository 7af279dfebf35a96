"""The index that the page searches by path: records with what became of them, as few bytes as that takes."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from starmill.core import seeds
from starmill.reports.page.sample import Sample

MOST = 40_000  # records of the index
BYTES = 3_000_000  # of their paths together
LONGEST = 400  # characters of a path


def index(sample: Sample, stages: Sequence[str]) -> dict[str, Any]:
    """Return `ends` (what can become of a record), `repositories` and, for each of these, `paths` and the number of each one's end.

    A record that no stage dropped has the end 0, which is named "". `of` counts the records of the sample: where they are more than MOST, a
    drawn choice of them is in the index.
    """
    ends: dict[str, int] = {"": 0}
    rows: list[tuple[str, str, int]] = []
    for part in sample:
        became: dict[tuple[str, str, str], str] = {}
        for stage in stages:
            table = part.dropped(stage)
            names = ("kind", "repo_name", "path", "step", "reason")
            for kind, repository, path, step, reason in zip(*_columns(table, names), strict=True):
                became[kind or "", repository, path] = f"{stage}: {step}: {reason}"
        here = dict.fromkeys(((kind or "", repository, path) for kind, repository, path in part.names), "") | became
        rows += [(repository, path, ends.setdefault(end, len(ends))) for (_, repository, path), end in here.items()]
    chosen = sorted(rows if len(rows) <= MOST else _drawn(rows))
    repositories: list[str] = []
    paths: list[list[str]] = []
    found: list[list[int]] = []
    size, last = 0, None
    for repository, path, end in chosen:
        if repository != last:
            last = repository
            repositories.append(str(sample.hide(repository)))
            paths.append([])
            found.append([])
        shown = str(sample.hide(path))[:LONGEST]
        size += len(shown)
        if size > BYTES:
            break
        paths[-1].append(shown)
        found[-1].append(end)
    return {"ends": list(ends), "repositories": repositories, "paths": paths, "found": found, "of": len(rows)}


def _columns(table: pa.Table | None, names: Sequence[str]) -> list[list[str]]:
    return [table.column(name).to_pylist() if table is not None else [] for name in names]


def _drawn(rows: list[tuple[str, str, int]]) -> list[tuple[str, str, int]]:
    return sorted(rows, key=lambda row: seeds.uint64(0, "report", row[0], row[1]))[:MOST]
