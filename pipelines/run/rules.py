"""What each rule of curate would drop, alone, with its other choices and at half and twice its thresholds: `starmill curate --dry-run`.

It writes no dataset. Only columns are read, so a look over a whole dump takes minutes, not the days that its licences took.
"""

import dataclasses
import json
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import apache_beam as beam
import numpy as np
import pyarrow as pa

from starmill.core import schema
from starmill.core.dataset import Workspace
from starmill.core.part import PartRef
from starmill.pipelines.stages.curate import STAGE, Rules, measured
from starmill.pipelines.stages.stage import by_kind
from starmill.transforms.beam import Reference, references
from starmill.transforms.step import Step, append, chain

REPORT = "preview-curate.json"
ROW = "row"


@dataclass(frozen=True)
class Dropped:
    """Files and bytes that a rule would drop by itself, with one `option` at `value`. `only_files`: those that no other rule drops.

    The row without an option is of the recipe's own values, and the row without a step of all records.
    """

    kind: str
    step: str
    option: str
    value: float | str | None
    files: int
    bytes: int
    only_files: int


def variants(step: Step) -> Iterator[tuple[str, float | str, Step]]:
    """Yield (option, value, step): each number among the options of `step` at half and at twice its value, each choice as another one."""
    types = typing.get_type_hints(type(step))
    for field in dataclasses.fields(step):  # type: ignore[arg-type]
        value = getattr(step, field.name)
        if typing.get_origin(types[field.name]) is Literal:
            for choice in typing.get_args(types[field.name]):
                if choice != value:
                    yield field.name, choice, dataclasses.replace(step, **{field.name: choice})  # type: ignore[type-var]
        if isinstance(value, int | float) and not isinstance(value, bool):
            for other in (type(value)(value / 2), value * 2):
                yield field.name, other, dataclasses.replace(step, **{field.name: other})  # type: ignore[type-var]


def build(
    pipeline: beam.Pipeline, workspace: Workspace, parts: Sequence[PartRef], rules: Mapping[str, Rules]
) -> beam.PCollection:
    """Add the count of all parts to `pipeline`; it publishes REPORT."""

    def one(reference: Reference) -> tuple[int, bytes]:
        return 0, json.dumps([asdict(d) for d in counted(workspace, reference[0], rules)]).encode()

    return (
        pipeline
        | references(parts)
        | "Spread" >> beam.Reshuffle()
        | "Count" >> beam.Map(one).with_output_types(tuple[int, bytes])
        | "Group" >> beam.GroupByKey()
        | "Report" >> beam.Map(lambda group: _report(workspace, group[1]))
    )


def counted(workspace: Workspace, part: int, rules: Mapping[str, Rules]) -> list[Dropped]:
    """Return what each rule would drop of one part: all records of a kind first, then its rules in their order."""
    read = {name for of_kind in rules.values() for step in of_kind.steps for name in step.reads}
    columns = [n for n in schema.RECORDS.names if n in read | {"kind", "repo_name", "path", "length_bytes"}]
    found: list[Dropped] = []
    for block in measured(workspace, part, columns):
        for kind, rows in by_kind(block, rules):
            found += _of_rows(kind, append(rows, {ROW: pa.array(np.arange(rows.num_rows))}), rules[kind].steps)
    return together(found)


def _of_rows(kind: str, rows: pa.RecordBatch, steps: Sequence[Step]) -> Iterator[Dropped]:
    sizes = rows.column("length_bytes").to_numpy()

    def tell(step: str, option: str, value: float | str | None, gone: np.ndarray, only: int = 0) -> Dropped:
        return Dropped(kind, step, option, value, int(gone.sum()), int(sizes[gone].sum()), only)

    yield tell("", "", None, np.ones(rows.num_rows, np.bool_))
    drops = [_gone(rows, step) for step in steps]
    times = np.sum(drops, axis=0)  # how many rules drop each row
    for step, gone in zip(steps, drops, strict=True):
        yield tell(step.name, "", None, gone, int((gone & (times == 1)).sum()))
        for option, value, other in variants(step):
            yield tell(step.name, option, value, _gone(rows, other))


def _gone(rows: pa.RecordBatch, step: Step) -> np.ndarray:
    kept, _ = chain(rows, [step], STAGE.name)
    return ~np.isin(np.arange(rows.num_rows), kept.column(ROW).to_numpy())


def together(found: Iterable[Dropped]) -> list[Dropped]:
    """Return one row for each rule, option and value, in the order in which they came first."""
    sums: dict[tuple[str, str, str, float | str | None], list[int]] = {}
    for one in found:
        total = sums.setdefault((one.kind, one.step, one.option, one.value), [0, 0, 0])
        total[:] = (a + b for a, b in zip(total, (one.files, one.bytes, one.only_files), strict=True))
    return [Dropped(*rule, *total) for rule, total in sums.items()]


def _report(workspace: Workspace, parts: Iterable[bytes]) -> None:
    # Sorted, because a shuffle has no order. The rules of a kind come in the order in which they run, in every part.
    rows = together(Dropped(**values) for part in sorted(parts) for values in json.loads(part))
    workspace.publish(REPORT, json.dumps([asdict(r) for r in rows]).encode())


def table(rows: Sequence[Dropped]) -> list[str]:
    """Return a report as lines for a person."""
    lines = []
    for r in rows:
        if not r.step:
            every = max(1, r.files)
            lines += [f"{r.files:,} records of kind {r.kind}, {r.bytes / 1e6:,.1f} MB. Each rule by itself would drop:"]
            lines += [f"{'rule':<46}{'files':>12}{'MB':>12}{'share':>8}  no other rule drops"]
            continue
        value = f"{r.value:g}" if isinstance(r.value, int | float) else r.value
        name = f"  {r.option}={value}" if r.option else r.step
        only = "" if r.option else f"{r.only_files:14,}"
        lines.append(f"{name:<46}{r.files:12,}{r.bytes / 1e6:12,.1f}{r.files / every:8.1%}{only}")
    return lines
