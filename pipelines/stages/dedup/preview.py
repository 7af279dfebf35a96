"""What each threshold would remove, before any is chosen: `starmill dedup --dry-run`. Nothing of a dataset is written.

The graph is that of dedup at the lowest threshold, with the bands that suit it; each threshold is resolved over its own edges.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace

import apache_beam as beam
import numpy as np
import pyarrow as pa

from starmill.core.dataset import Workspace
from starmill.core.part import PartRef
from starmill.pipelines.stages.dedup.graph import Dedup, number_parts, spread_parts
from starmill.transforms.beam import block_from_ipc
from starmill.transforms.dedup import clusters, hot
from starmill.transforms.dedup.minhash import MinHash

THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
REPORT = "preview-dedup.json"


@dataclass(frozen=True)
class Removed:
    """Files and bytes that a threshold would remove: `exact` copies, the same for all, and `near` duplicates."""

    threshold: float
    files: int
    bytes: int
    exact_files: int
    exact_bytes: int
    near_files: int
    near_bytes: int


def build(pipeline: beam.Pipeline, workspace: Workspace, parts: Sequence[PartRef], options: MinHash) -> beam.PCollection:
    """Add the preview to `pipeline`; it publishes REPORT."""
    lowest = replace(options, threshold=THRESHOLDS[0], bands=None, rows=None, near=True)
    stage = Dedup.sized(workspace, lowest)
    refs = stage.parts(pipeline, parts)
    copies = stage.copies(refs | spread_parts()).main
    return (
        (copies, stage.graph(refs | number_parts(), copies))
        | "Flatten all" >> beam.Flatten()
        | "One key" >> beam.Map(lambda element: (0, element[1])).with_output_types(tuple[int, bytes])
        | "Group all" >> beam.GroupByKey()
        | "Report" >> beam.Map(lambda group: report(stage, [p.part for p in parts], group[1]))
    )


def report(stage: Dedup, parts: Sequence[int], blocks: Iterable[bytes]) -> None:
    """REMOVAL, EDGE, FILE and MEMBER blocks -> what each threshold would remove, as JSON in the workspace."""
    unpacked = [block_from_ipc(b) for b in blocks]
    copies, edges, members = (
        pa.Table.from_batches([b for b in unpacked if b.schema.equals(s)], s)
        for s in (clusters.REMOVAL, clusters.EDGE, hot.MEMBER)
    )
    ids, sizes = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for part in parts:
        for here, block in stage.candidates.blocks(part, ["length_bytes"]):
            ids.append(here)
            sizes.append(block.column("length_bytes").to_numpy())
    order = np.argsort(every := np.concatenate(ids))
    every, size = every[order], np.concatenate(sizes)[order]

    def count(files: np.ndarray) -> tuple[int, int]:
        return len(files), int(size[np.searchsorted(every, files)].sum())

    exact = count(copies.column("file").to_numpy())
    jaccard = edges.column("jaccard").to_numpy()
    results = [Removed(0.0, len(every), int(size.sum()), *exact, 0, 0)]
    for threshold in THRESHOLDS:
        candidates = replace(stage.candidates, options=replace(stage.options, threshold=threshold))
        # A component has other leaders at another threshold.
        joined, _, followers = candidates.join(*(members.column(c).to_numpy() for c in ("component", "file")))
        a, b = (np.append(edges.column(c).to_numpy()[jaccard >= threshold], joined.column(c).to_numpy()) for c in ("a", "b"))
        near = count(candidates.resolve(a, b, pa.Table.from_batches([followers]))[0])
        results.append(Removed(threshold, exact[0] + near[0], exact[1] + near[1], *exact, *near))
    stage.candidates.workspace.publish(REPORT, json.dumps([asdict(r) for r in results]).encode())


def table(removed: Sequence[Removed]) -> list[str]:
    """Return a report as lines for a person."""
    every, *results = removed
    lines = [
        f"{every.files:,} files, {every.bytes / 1e6:,.1f} MB; {every.exact_files:,} exact copies, {every.exact_bytes / 1e6:,.1f} MB",
        "threshold  near duplicates          MB   removed in all",
    ]
    for r in results:
        share = r.files / max(every.files, 1)
        lines.append(f"{r.threshold:9.2f}  {r.near_files:15,}  {r.near_bytes / 1e6:10,.1f}   {r.files:,} files ({share:.1%})")
    return lines
