"""What a step is, and how a chain of steps runs over one block without ever losing a row.

A step is a frozen dataclass whose fields are its options; calling it with a RecordBatch returns a RecordBatch with more columns
(annotate) or a Split (decide). A step that needs a look at its whole part first has `prepare(part)`, which returns the step to
use for that part. Its class says which columns a step `reads` and which it `adds`; transforms/chain.py refuses a chain that cannot
work. A step that raises on a block is retried row by row; a row that still raises is dropped with the reason
`error:<step>:<Type>`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import pyarrow as pa

from starmill.core import schema


@dataclass(frozen=True)
class Split:
    """A decision over a block: `reasons[i]` says why `dropped[i]` is not in `kept`; `details` may say more."""

    kept: pa.RecordBatch
    dropped: pa.RecordBatch
    reasons: tuple[str, ...]
    details: tuple[str | None, ...] | None = None


class Step(Protocol):
    """Anything callable on a block, with a stable `name` for reasons, counters and tables."""

    @property
    def name(self) -> str:
        """The step's name in `dropped/`: snake_case, never changed."""
        ...

    def __call__(self, block: pa.RecordBatch) -> pa.RecordBatch | Split:
        """Annotate or decide."""
        ...


class PartBlocks(Protocol):
    """A part that can be read more than once: `part(columns)` yields its blocks."""

    def __call__(self, columns: Sequence[str]) -> Iterable[pa.RecordBatch]:
        """Yield the part's blocks with these columns."""
        ...


@runtime_checkable
class PartStep(Protocol):
    """A step whose answers depend on its whole part (licences spread down a tree)."""

    name: str

    def prepare(self, part: PartBlocks) -> Step:
        """Return the step to use for this part."""
        ...


def split(block: pa.RecordBatch, reasons: Sequence[str | None], details: Sequence[str | None] | None = None) -> Split:
    """Divide `block` by a reason a row; None keeps the row."""
    keep = pa.array([r is None for r in reasons], pa.bool_())
    drop = [i for i, r in enumerate(reasons) if r is not None]
    return Split(
        kept=block.filter(keep),
        dropped=block.take(pa.array(drop, pa.int64())),
        reasons=tuple(str(reasons[i]) for i in drop),
        details=None if details is None else tuple(details[i] for i in drop),
    )


def judge_rows(block: pa.RecordBatch, columns: Sequence[str], judge: Callable[..., str | None]) -> Split:
    """Lift `judge(value, ...) -> reason | None` over the rows of `block`."""
    values = [block.column(c).to_pylist() for c in columns]
    return split(block, [judge(*row) for row in zip(*values, strict=True)])


def append(block: pa.RecordBatch, columns: dict[str, pa.Array]) -> pa.RecordBatch:
    """Return `block` with `columns` added, or replaced where the name exists."""
    names = [n for n in block.schema.names if n not in columns]
    arrays = [block.column(n) for n in names] + list(columns.values())
    return pa.RecordBatch.from_arrays(arrays, names=[*names, *columns])


def chain(block: pa.RecordBatch, steps: Sequence[Step], stage: str) -> tuple[pa.RecordBatch, list[pa.RecordBatch]]:
    """Run `steps` over `block`; return what is kept and what was dropped (DROPPED schema), step by step."""
    dropped: list[pa.RecordBatch] = []
    for step in steps:
        block, losses = apply(block, step, stage)
        dropped += losses
    return block, dropped


def apply(block: pa.RecordBatch, step: Step, stage: str) -> tuple[pa.RecordBatch, list[pa.RecordBatch]]:
    """Run one step over `block`, row by row if the block as a whole makes it raise."""
    try:
        return _route(step(block), step.name, stage)
    except Exception:
        kept: list[pa.RecordBatch] = []
        dropped: list[pa.RecordBatch] = []
        for row in range(block.num_rows):
            single = block.slice(row, 1)
            try:
                good, losses = _route(step(single), step.name, stage)
            except Exception as error:
                reason = f"error:{step.name}:{type(error).__name__}"
                dropped.append(drop_rows(single, stage, step.name, [reason], [str(error)[:500]]))
                continue
            kept.append(good)
            dropped += losses
        # Even with every row lost the block must have the columns that later steps expect: ask the step with none.
        blocks = kept or [_route(step(block.slice(0, 0)), step.name, stage)[0]]
        return pa.Table.from_batches(blocks).combine_chunks().to_batches()[0] if kept else blocks[0], dropped


def drop_rows(
    block: pa.RecordBatch,
    stage: str,
    step: str,
    reasons: Sequence[str],
    details: Sequence[str | None] | None = None,
    **columns: Any,
) -> pa.RecordBatch:
    """Turn rows into DROPPED rows. `columns` adds arrays such as kept_path and jaccard."""
    n = block.num_rows
    said = {
        "stage": pa.array([stage] * n, pa.string()),
        "step": pa.array([step] * n, pa.string()),
        "reason": pa.array(reasons, pa.string()),
        "detail": pa.array(details if details is not None else [None] * n, pa.string()),
        **columns,
    }
    return schema.conform(append(block, said), schema.DROPPED)


def _route(result: pa.RecordBatch | Split, step: str, stage: str) -> tuple[pa.RecordBatch, list[pa.RecordBatch]]:
    if isinstance(result, Split):
        lost = drop_rows(result.dropped, stage, step, result.reasons, result.details) if result.reasons else None
        return result.kept, [lost] if lost is not None else []
    return result, []
