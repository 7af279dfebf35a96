"""Kept files that are near duplicates of a text: `starmill near`. Signatures say which, and the texts of the release how near exactly.

All signatures of a workspace are read, one row group at a time: a million files are a gigabyte with 256 minima of 32 bits.
"""

import dataclasses
import heapq
import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from starmill.core import swhid
from starmill.core.dataset import Workspace, part_path
from starmill.core.errors import InputError, UsageError
from starmill.transforms.dedup.minhash import SIGNED, WORDS, MinHash, matrix, shingles, signatures


@dataclass(frozen=True)
class Near:
    """A kept file: the share of minima that agree, and the similarity of shingle sets (Jaccard), None without its text."""

    repo_name: str
    path: str
    swhid: str
    language: str
    estimate: float
    jaccard: float | None


def near(workspace: Workspace, text: str, most: int = 10, least: float = 0.5) -> list[Near]:
    """Return the kept files whose estimated similarity to a text is at least `least`, the nearest first, at most `most`.

    Raises InputError for a workspace without signatures and verdicts, or with those of another release of starmill; UsageError for a text
    that has no shingle.
    """
    manifest = workspace.manifest("verdicts")
    if manifest is None or not manifest.parts:
        raise InputError(f"{workspace.root}: no verdicts/manifest.json, so nothing was deduplicated; run `starmill run` first")
    options = _signed(workspace, part_path("signatures", manifest.parts[0].part))
    (asked,) = signatures(pa.array([text], pa.string()), options).to_pylist()
    if asked is None:
        raise UsageError(f"a text of fewer than {options.shingle_words} words has no signature; give more of it")
    own = np.frombuffer(asked, options.dtype)
    found: list[tuple[float, int, int]] = []
    for part in manifest.parts:
        for row, share in _agreements(workspace, part.part, own, options):
            if share >= least:
                heapq.heappush(found, (share, -part.part, -row))
                if len(found) > most:
                    heapq.heappop(found)
    ours = shingles(text.encode(), options.shingle_words)
    return sorted(
        (_described(workspace, -part, -row, share, ours, options) for share, part, row in sorted(found, reverse=True)),
        key=lambda one: (-(one.jaccard if one.jaccard is not None else one.estimate), one.repo_name, one.path),
    )


def _signed(workspace: Workspace, path: str) -> MinHash:
    """Return the options that signatures were made with, as far as they depend on them."""
    with workspace.open(path) as file:
        said = json.loads((pq.read_schema(file).metadata or {}).get(SIGNED, b"{}"))
    if said.get("words") != WORDS or not said.get("near"):
        raise InputError(f"{workspace.path(path)}: has no signatures of this starmill; run `starmill run` there again")
    return MinHash(**{field.name: said[field.name] for field in dataclasses.fields(MinHash) if field.name in said})


def _agreements(workspace: Workspace, part: int, own: np.ndarray, options: MinHash) -> Iterator[tuple[int, float]]:
    """Yield the row of each kept file of a part that has a signature, and the share of its minima that agrees."""
    keep = workspace.table(part_path("verdicts", part), ["keep"]).column("keep").to_numpy()
    first = 0
    for block in workspace.blocks(part_path("signatures", part), ["signature"]):
        column = block.column("signature")
        rows = first + np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
        if len(rows):
            shares = (matrix(column, options) == own).mean(axis=1)
            yield from ((int(row), float(share)) for row, share in zip(rows, shares, strict=True) if keep[row])
        first += block.num_rows


def _described(workspace: Workspace, part: int, row: int, share: float, ours: np.ndarray, options: MinHash) -> Near:
    known = ["repo_name", "path", "content_id", "language"]
    (about,) = workspace.table(part_path("signatures", part), known).slice(row, 1).to_pylist()
    jaccard = None
    for block in workspace.blocks(part_path("dataset", part), ["content_id", "repo_name", "content"]):
        same = pc.and_(
            pc.equal(block.column("content_id"), about["content_id"]), pc.equal(block.column("repo_name"), about["repo_name"])
        )
        for content in block.filter(same).column("content").to_pylist():
            theirs = shingles(content.encode(), options.shingle_words)
            both = len(np.intersect1d(ours, theirs, assume_unique=True))
            jaccard = both / max(1, len(ours) + len(theirs) - both)
    language = str(about["language"])
    return Near(
        str(about["repo_name"]), str(about["path"]), swhid.swhid("cnt", str(about["content_id"])), language, share, jaccard
    )
