"""Batches that grow: stages of a run, each with its own number of windows per step.

A stage of a smaller batch takes the lanes of the whole one in turns, so that each rank has the same lanes all the time, and lasts for
whole turns of them.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple


class Stage(NamedTuple):
    """Steps from `first` on take `batch` windows; the steps before it took `tokens`."""

    first: int
    batch: int
    tokens: int


def stages(ramp: Sequence[tuple[float, int]], batch: int, sequence_length: int) -> tuple[Stage, ...]:
    """Return the stages of a ramp of (tokens, batch), and the last one of `batch`.

    >>> stages([(250, 2)], batch=4, sequence_length=10)
    (Stage(first=1, batch=2, tokens=0), Stage(first=15, batch=4, tokens=280))
    """
    found, step, tokens, turn = [], 1, 0, batch * sequence_length
    for until, size in ramp:
        found.append(Stage(step, size, tokens))
        turns = max(1, math.ceil((until - tokens) / turn))
        step, tokens = step + turns * (batch // size), tokens + turns * turn
    return (*found, Stage(step, batch, tokens))


def stage(stages: Sequence[Stage], step: int) -> Stage:
    """Return the stage of a step, from 1."""
    return next(stage for stage in reversed(stages) if stage.first <= max(1, step))


def tokens(stages: Sequence[Stage], steps: int, sequence_length: int) -> int:
    """Return the tokens of the first `steps` steps."""
    here = stage(stages, steps)
    return here.tokens + (steps - here.first + 1) * here.batch * sequence_length


def lanes(stages: Sequence[Stage], step: int) -> slice:
    """Return which lanes of a rank a step reads: all, or every n-th."""
    here, every = stage(stages, step), stages[-1].batch // stage(stages, step).batch
    return slice((step - here.first) % every, None, every)
