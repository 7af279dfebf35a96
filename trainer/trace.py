"""`starmill trace`: which files, by path and SWHID, one step of a training read; computed again from the order, which the seed decides.

A checkpoint notes where each lane of the batch stands (provenance.py); from the one before the step on, the windows are made again.
"""

from dataclasses import dataclass
from pathlib import Path

from starmill.core.errors import InputError, UsageError
from starmill.trainer import provenance
from starmill.trainer.config import TrainRecipe
from starmill.trainer.data.inputs import open_inputs


@dataclass(frozen=True)
class Read:
    """`tokens` of a window that came from one unit, a run of whole files of a repository; `files` are `repository:path swhid`."""

    lane: int
    tokens: int
    files: tuple[str, ...]


def trace(options: TrainRecipe, step: int) -> list[Read]:
    """Return what step number `step` (from 1) read, lane after lane. Raises UsageError, and InputError for shards made again since."""
    if not 1 <= step <= options.steps:
        raise UsageError(f"--step {step}: the training has steps 1 to {options.steps}")
    found = open_inputs(options)
    trained = provenance.shards(options)
    if trained != found.digest:
        raise InputError(
            f"{options.workspace}: its shards are not those that {options.output} was trained on; give the workspace as it was"
            if trained
            else f"{options.output}: no {provenance.STARTS}, so its shards are not known; give the output of a training"
        )
    noted, positions = provenance.noted(Path(options.output), step)
    rows = []
    for lane, pieces in found.train.read(positions, noted, step):
        rows += [Read(lane, len(piece.ids), tuple(found.train.units.named(piece.unit))) for piece in pieces]
    return rows


def lines(step: int, rows: list[Read]) -> list[str]:
    """Return the rows for people: each lane's units, and their files."""
    told = [f"step {step}: {len({row.lane for row in rows})} windows, {sum(row.tokens for row in rows):,} tokens"]
    for row in rows:
        told += [f"lane {row.lane}: {row.tokens:,} tokens of", *(f"  {file}" for file in row.files)]
    return told
