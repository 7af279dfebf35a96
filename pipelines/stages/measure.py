"""Measure: licences, language and statistics of every record, as columns. What is asked here once, curate decides by as often as it likes.

The text of a part is read once. What only the whole part tells (licences spread down a tree) is collected on the way, and its columns
are added at the end.
"""

import hashlib
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from starmill.core import schema, skips
from starmill.core.dataset import ParquetPart, Sidecar, Workspace, part_path
from starmill.core.part import PartRef
from starmill.pipelines.stages.findings import Findings
from starmill.pipelines.stages.ledger import Ledger, lineage
from starmill.pipelines.stages.stage import Options, Stage, by_kind, of_parts
from starmill.transforms.chain import check_chain
from starmill.transforms.step import PartStep, Step, Watch, append, chain

# What a row keeps of its record until its part is read, beside what the steps of the whole part read: what `dropped/` shows.
IDENTITY = ("kind", "repo_name", "path", "blob_id", "content_id", "language", "length_bytes")
ROW = "row"

Steps = Mapping[str, tuple[Step | PartStep, ...]]


@dataclass(frozen=True)
class MeasurePart:
    """records/part-k -> measures/part-k, dropped/measure/part-k. `steps`: by kind."""

    workspace: Workspace
    steps: Steps
    max_error_rate: float = 1.0

    def __call__(self, ref: PartRef) -> Sidecar:
        """Measure one part, row group by row group, and publish the columns."""
        inputs = lineage(self.workspace, ref.part, "records", folders=("records", "dropped"))
        ledger = Ledger("measure", "measures", ref.part, ref.key, inputs, self.max_error_rate)
        seen: dict[PartStep, Watch] = {}  # a licence that lies beside a notebook is its own too
        watches = {kind: self._watches(kind, seen) for kind in self.steps}
        measured: list[tuple[str, pa.RecordBatch]] = []
        count = 0
        for block in replace(self.workspace, digests=inputs).blocks(part_path("records", ref.part)):
            for kind, rows in by_kind(block, self.steps):
                for name, watch in watches[kind]:
                    _show(watch, name, rows)
                numbered = append(rows, {ROW: pa.array(np.arange(count, count + rows.num_rows), pa.int64())})
                count += rows.num_rows
                kept, dropped = chain(numbered, _of_blocks(self.steps[kind]), "measure")
                ledger.drop(dropped)
                measured.append((kind, kept.select(self._held(kind, kept.schema.names))))
        self._miss(ref.part, inputs, [*seen.values()])
        ends = {kind: [watch.step() for _, watch in watches[kind]] for kind in self.steps}
        tables = [_columns(pa.array([], pa.int64()), pa.RecordBatch.from_pylist([], schema=schema.ANNOTATIONS))]
        for kind, rows in measured:
            kept, dropped = chain(rows, ends[kind], "measure")
            ledger.drop(dropped)
            ledger.keep(kept)
            tables.append(_columns(kept.column(ROW), kept))
        part = ParquetPart(schema.MEASURES)
        part.write(_in_order(pa.concat_tables(tables), count))
        ledger.add(part_path("measures", ref.part), part.close(), part.rows)
        return ledger.commit(self.workspace)

    def _watches(self, kind: str, seen: dict[PartStep, Watch]) -> list[tuple[str, Watch]]:
        steps = [step for step in self.steps[kind] if isinstance(step, PartStep)]
        for step in (step for step in steps if step not in seen):
            folder = "-".join((f"cache/{step.name}", *_material(step), *_children(step)))
            seen[step] = step.watch(Findings(self.workspace, folder))
        return [(step.name, seen[step]) for step in steps]

    def _miss(self, part: int, inputs: dict[str, str], watches: Sequence[Watch]) -> None:
        """Show the steps of the whole part what ingest has no text of."""
        dropped = part_path("dropped/ingest", part)
        if watches and dropped in inputs:
            for block in replace(self.workspace, digests=inputs).blocks(dropped, ["repo_name", "path", "reason"]):
                for watch in watches:
                    watch.miss(block)

    def _held(self, kind: str, names: list[str]) -> list[str]:
        read = {name for step in self.steps[kind] if isinstance(step, PartStep) for name in step.reads}
        return [n for n in names if n in {ROW, *IDENTITY, *schema.ANNOTATIONS.names, *read} and n != "content"]


def _show(watch: Watch, name: str, rows: pa.RecordBatch) -> None:
    """Let the step of a whole part see a block, without the records that are left out of it."""
    asked, gone, _ = skips.divide("measure", name, rows)
    if gone is not None:
        watch.lose(gone)
    for some in skips.pieces("measure", name, asked):
        watch.see(some)


def _material(step: PartStep) -> tuple[str, ...]:
    return tuple(getattr(step, "material", tuple)())


def _children(step: PartStep) -> Iterator[str]:
    """Yield a digest of each module that a process of the step runs: what an older one found is not what this one would."""
    for name in getattr(step, "children", tuple)():
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.origin is not None, name
        yield hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()[:16]


def _of_blocks(steps: Sequence[Step | PartStep]) -> list[Step]:
    return [step for step in steps if not isinstance(step, PartStep)]


def _columns(rows: pa.Array, block: pa.RecordBatch) -> pa.Table:
    """Return the annotations of a block, null where no step adds them, behind the numbers of the rows."""
    known = block.select([name for name in schema.ANNOTATIONS.names if name in block.schema.names])
    missing = [name for name in schema.ANNOTATIONS.names if name not in known.schema.names]
    found = schema.conform(known, schema.ANNOTATIONS, nulls=missing)
    return pa.table({ROW: rows, **{name: found.column(name) for name in found.schema.names}})


def _in_order(found: pa.Table, count: int) -> pa.RecordBatch:
    """Return MEASURES rows 0..count-1 of rows in any order, some of which left."""
    place = np.full(count, -1, np.int64)
    place[found.column(ROW).to_numpy()] = np.arange(found.num_rows)
    rows = found.drop_columns([ROW]).take(pa.array(place, mask=place < 0)).combine_chunks()
    columns = {name: rows.column(name).combine_chunks() for name in schema.ANNOTATIONS.names}
    return schema.conform(pa.record_batch({"keep": pa.array(place >= 0), **columns}), schema.MEASURES)


def _steps(options: Options) -> Steps:
    return {name: kind.measure(options.of(name).measure) for name, kind in options.table.items()}


def _work(options: Options, workspace: Workspace) -> MeasurePart:
    return MeasurePart(workspace, _steps(options), options.max_error_rate)


def _checked(options: Options, workspace: Workspace) -> tuple[()]:
    # A chain that cannot work is told here, not by a worker. Steps of the whole part come last.
    for steps in _steps(options).values():
        check_chain([*_of_blocks(steps), *(s for s in steps if isinstance(s, PartStep))], schema.RECORDS.names)
    return ()


STAGE = Stage(
    name="measure",
    dataset="measures",
    needs=("records",),
    reads=lambda options: (),
    steps=_steps,
    material=_checked,
    graph=of_parts(_work),
    sketch=of_parts(_work),
)
