"""What a step is, and how a chain of steps runs over one block without ever losing a row.

A step is a frozen dataclass whose fields are its options; calling it with a RecordBatch returns a RecordBatch with more columns
(annotate) or a Split (decide), whose rows may have columns more that say by what they were decided. A step that needs a look at its
whole part first is a PartStep. A step's class says which columns the step `reads` and which it `adds`; transforms/chain.py refuses a
chain that cannot work. What outside of itself decides a step's answer (a built library, signatures, weights), the step tells in
`material()`. A step that raises on a block is retried row by row; a row that still raises is dropped with the reason
`error:<step>:<Type>`. Trouble of the machine is no row's: OSError, ImportError, MemoryError and MachineError fail the part. So does one
type of error on every row of a block of more than a handful: then the step is broken, and not the data.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import pyarrow as pa

from starmill.core import schema, skips
from starmill.core.errors import MachineError, StarmillError, one_line, printable

# Up to so many rows may all be bad: above, one type of error on each of them is a broken step's.
HANDFUL = 8
# How the reason begins of a record that the workspace's list (core/skips.py) leaves out of a step.
SKIPPED = "skipped:"
# What a dropped row may lack: it left before these were known, or is no duplicate.
UNKNOWN = (
    "kind",
    "blob_id",
    "content_id",
    "language",
    "kept_repo_name",
    "kept_path",
    "kept_content_id",
    "kept_release",
    "jaccard",
    "cluster_id",
)


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

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns that the step looks at. A step that adds columns also has `adds`, a schema."""
        ...

    def __call__(self, block: pa.RecordBatch) -> pa.RecordBatch | Split:
        """Annotate or decide."""
        ...


class Cache(Protocol):
    """Remembers what was found in a text, beyond a part and a run; `key` says which text and how it was looked at."""

    def get(self, key: str) -> list[str] | None:
        """Return what was found, or None if the text was not looked at."""
        ...

    def put(self, key: str, found: list[str]) -> None:
        """Remember what was found in a text."""
        ...


class Watch(Protocol):
    """One part as a PartStep sees it."""

    def see(self, block: pa.RecordBatch) -> None:
        """Take a block of the part, as ingest wrote it."""
        ...

    def lose(self, block: pa.RecordBatch) -> None:
        """Take records of the part that are left out of the step: what they would have told stays unknown."""
        ...

    def miss(self, block: pa.RecordBatch) -> None:
        """Take what of the part is no record: rows of DROPPED, with the reason why ingest has no text of a file."""
        ...

    def step(self) -> Step:
        """Return the step to use for the rows of this part, after each block was seen."""
        ...


@runtime_checkable
class PartStep(Protocol):
    """A step whose answers depend on its whole part (licences spread down a tree). What it returns at the end reads no text."""

    @property
    def name(self) -> str:
        """The step's name in `dropped/`."""
        ...

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns that the step looks at."""
        ...

    def watch(self, cache: Cache) -> Watch:
        """Begin with a part."""
        ...


def split(block: pa.RecordBatch, reasons: Sequence[str | None], details: Sequence[str | None] | None = None) -> Split:
    """Divide `block` by a reason a row; None keeps the row."""
    drop = [i for i, r in enumerate(reasons) if r is not None]
    return Split(
        # Most rules drop no row of a block, whose texts then are not copied.
        kept=block.filter(pa.array([r is None for r in reasons], pa.bool_())) if drop else block,
        dropped=block.take(pa.array(drop, pa.int64())),
        reasons=tuple(str(reasons[i]) for i in drop),
        details=None if details is None else tuple(details[i] for i in drop),
    )


def judge_rows(block: pa.RecordBatch, columns: Sequence[str], judge: Callable[..., str | None]) -> Split:
    """Lift `judge(value, ...) -> reason | None` over the rows of `block`."""
    values = [block.column(c).to_pylist() for c in columns]
    return split(block, [judge(*row) for row in zip(*values, strict=True)])


class Rule:
    """A step that decides over each row by itself: `judge` takes the columns that the step `reads` and returns a reason, or None."""

    reads: ClassVar[tuple[str, ...]]
    judge: Callable[..., str | None]

    def __call__(self, block: pa.RecordBatch) -> Split:
        """Divide a block by what `judge` says of each row."""
        return judge_rows(block, self.reads, self.judge)


def append(block: pa.RecordBatch, columns: dict[str, pa.Array]) -> pa.RecordBatch:
    """Return `block` with `columns` added, or replaced in their places where the name exists."""
    # In their places: a step that replaces a column of some blocks only must not give blocks of two orders.
    names = [*block.schema.names, *(n for n in columns if n not in block.schema.names)]
    arrays = [columns[n] if n in columns else block.column(n) for n in names]
    return pa.RecordBatch.from_arrays(arrays, names=names)


def chain(block: pa.RecordBatch, steps: Sequence[Step], stage: str) -> tuple[pa.RecordBatch, list[pa.RecordBatch]]:
    """Run `steps` over `block`; return what is kept and what was dropped (DROPPED schema), step by step."""
    dropped: list[pa.RecordBatch] = []
    for step in steps:
        block, losses = apply(block, step, stage)
        dropped += losses
    return block, dropped


def apply(block: pa.RecordBatch, step: Step, stage: str) -> tuple[pa.RecordBatch, list[pa.RecordBatch]]:
    """Run one step over `block`, row by row if the block as a whole makes it raise.

    Records that the workspace's list leaves out of the step are dropped first. A step that took too long with a block is run row by row.
    Raises MachineError, naming the step, for trouble of the machine and for a step that is broken; SchemaError if dropped rows
    have no identity.
    """
    block, left_out = leave_out(block, step.name, stage)
    if skips.one_by_one(stage, step.name):
        kept, dropped = _row_by_row(block, step, stage)
        return kept, left_out + dropped
    try:
        with skips.at(stage, step.name, block):
            result = step(block)
    except Exception as error:
        _raise_if_of_the_machine(error, step, stage)
        kept, dropped = _row_by_row(block, step, stage)
    else:
        kept, dropped = _route(result, step.name, stage)
    return kept, left_out + dropped


def leave_out(block: pa.RecordBatch, step: str, stage: str) -> tuple[pa.RecordBatch, list[pa.RecordBatch]]:
    """Return the rows that a step is asked about, and as DROPPED rows those that the workspace's list leaves out of it."""
    block, gone, said = skips.divide(stage, step, block)
    return block, [] if gone is None else [drop_rows(gone, stage, step, [f"{SKIPPED}{step}"] * len(said), said)]


def raise_if_broken(what: str, rows: int, kinds: set[str], first: str) -> None:
    """Raise MachineError if errors on all of `rows` rows, of these `kinds`, mean that `what` is broken.

    They do if the rows are more than a handful and failed alike: a few bad values fill a small block, but not a large one.
    `first` tells the first error and its record.
    """
    if rows > HANDFUL and len(kinds) == 1:
        raise MachineError(
            f"{what} fails on each of {rows} rows with the same type of error, so it is broken, and not the data; the first: "
            f"{first}. Mend what it calls (a library, a file beside it), then run again"
        )


def _row_by_row(block: pa.RecordBatch, step: Step, stage: str) -> tuple[pa.RecordBatch, list[pa.RecordBatch]]:
    kept: list[pa.RecordBatch] = []
    dropped: list[pa.RecordBatch] = []
    kinds: set[str] = set()
    failed, first = 0, ""
    for row in range(block.num_rows):
        single = block.slice(row, 1)
        try:
            with skips.at(stage, step.name, single):
                result = step(single)
        except Exception as error:
            _raise_if_of_the_machine(error, step, stage)
            failed, first = failed + 1, first or f"{one_line(error)}, on {_record(single)}"
            kinds.add(type(error).__name__)
            reason = f"error:{step.name}:{type(error).__name__}"
            dropped.append(drop_rows(single, stage, step.name, [reason], [printable(error)]))
            continue
        good, losses = _route(result, step.name, stage)
        kept.append(good)
        dropped += losses
    if failed == block.num_rows:
        raise_if_broken(f"{stage}: step {step.name}", failed, kinds, first)
    dropped = [_joined(dropped)] if dropped else []  # one, as of a block: how it was run shows in no file
    if kept and sum(b.num_rows for b in kept):
        return _joined(kept), dropped
    # Even with every row lost the block must have the columns that later steps expect: ask the step with none.
    try:
        result = step(block.slice(0, 0))
    except Exception as error:
        raise MachineError(f"{stage}: step {step.name} fails even without a row: {one_line(error)}") from error
    return _route(result, step.name, stage)[0], dropped


def _joined(blocks: list[pa.RecordBatch]) -> pa.RecordBatch:
    return pa.Table.from_batches(blocks).combine_chunks().to_batches()[0]


def _raise_if_of_the_machine(error: Exception, step: Step, stage: str) -> None:
    if isinstance(error, OSError | ImportError | MemoryError | MachineError):
        raise MachineError(f"{stage}: step {step.name}: {one_line(error)}") from error
    if isinstance(error, StarmillError | schema.SchemaError):
        raise error


def _record(single: pa.RecordBatch) -> str:
    names = [n for n in ("repo_name", "path") if n in single.schema.names]
    return "".join(str(single.column(n)[0].as_py()) for n in names) or "a record without a name"


def drop_rows(
    block: pa.RecordBatch,
    stage: str,
    step: str,
    reasons: Sequence[str],
    details: Sequence[str | None] | None = None,
    **columns: Any,
) -> pa.RecordBatch:
    """Turn rows into DROPPED rows: what they are, and why. `columns` adds arrays such as kept_path and jaccard.

    Raises SchemaError for rows without repo_name, path or length_bytes, and for added columns that are not DROPPED's.
    """
    n = block.num_rows
    said = {
        "stage": pa.array([stage] * n, pa.string()),
        "step": pa.array([step] * n, pa.string()),
        "reason": pa.array(reasons, pa.string()),
        "detail": pa.array(details if details is not None else [None] * n, pa.string()),
        **columns,
    }
    known = block.select([name for name in schema.DROPPED.names if name in block.schema.names])
    return schema.conform(append(known, said), schema.DROPPED, nulls=UNKNOWN)


def _route(result: pa.RecordBatch | Split, step: str, stage: str) -> tuple[pa.RecordBatch, list[pa.RecordBatch]]:
    if isinstance(result, Split):
        lost = drop_rows(result.dropped, stage, step, result.reasons, result.details) if result.reasons else None
        return result.kept, [lost] if lost is not None else []
    return result, []
