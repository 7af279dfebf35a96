"""Fits a linear model by L-BFGS (Nocedal and Wright, Numerical Optimization, algorithm 7.5): the mean loss and l2 / 2 * |weights|^2.

The loss is logistic for labels and half the squared error for scores; the intercept is not penalized. Both are convex, so that the answer
depends on the examples alone. Sums are compiled loops in a fixed order, never a library's: equal on any number of cores.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from starmill.transforms.jit import jit

PAIRS = 10  # of steps and changes of the gradient that are remembered
MOST_ITERATIONS = 500
TOLERANCE = 1e-6  # of the largest part of the gradient, by that of the start
FLAT = 1e-9  # a step that gains less than this share of the loss, twice, is the last one
ENOUGH = 1e-4  # of the gain that the slope promises a step must bring (Armijo)


class Rows(NamedTuple):
    """A sparse matrix by rows: row i has values[starts[i]:starts[i + 1]] in these columns of `width`."""

    starts: np.ndarray  # int64[rows + 1]
    columns: np.ndarray  # int32[entries]
    values: np.ndarray  # float64[entries]
    width: int


class Fitted(NamedTuple):
    """A model, and what the fit came to: its mean loss on the examples, without the penalty."""

    weights: np.ndarray  # float64[width]
    intercept: float
    loss: float
    iterations: int


def fit(rows: Rows, wanted: np.ndarray, is_label: bool, l2: float, tell: Callable[[str], None] = lambda _: None) -> Fitted:
    """Return the model of least loss. `wanted`: float64[rows], labels 0 and 1, or scores."""
    middle = 0.0 if is_label else _sum(wanted) / len(wanted)  # the intercept has no far way to go
    x = np.zeros(rows.width + 1)
    shifted = wanted - middle
    cost, loss, slope = _objective(rows, shifted, is_label, l2, x)
    first, flat, count = float(np.abs(slope).max()), 0, 0
    steps: list[tuple[np.ndarray, np.ndarray, float]] = []
    while count < MOST_ITERATIONS and flat < 2 and np.abs(slope).max() > TOLERANCE * max(first, 1e-12):
        way = _direction(slope, steps)
        down = _dot(way, slope)
        length = 1.0 if steps else 1.0 / max(1e-12, math.sqrt(_dot(slope, slope)))
        for _ in range(60):
            at = x + length * way
            new, new_loss, new_slope = _objective(rows, shifted, is_label, l2, at)
            if new <= cost + ENOUGH * length * down:
                break
            length /= 2
        else:
            break  # no step that a float64 can tell gains anything
        step, change = at - x, new_slope - slope
        if (curved := _dot(step, change)) > 1e-12 * _dot(change, change):
            steps = [*steps[1 - PAIRS :], (step, change, curved)]
        flat = flat + 1 if cost - new < FLAT * abs(cost) else 0
        x, cost, loss, slope, count = at, new, new_loss, new_slope, count + 1
        if count % 20 == 0:
            tell(f"iteration {count}: loss {loss:.6f}")
    return Fitted(x[:-1], float(x[-1]) + middle, loss, count)


def _direction(slope: np.ndarray, steps: list[tuple[np.ndarray, np.ndarray, float]]) -> np.ndarray:
    way, shares = -slope, []
    for step, change, curved in reversed(steps):
        shares.append(_dot(step, way) / curved)
        way = way - shares[-1] * change
    if steps:
        _, change, curved = steps[-1]
        way = way * (curved / _dot(change, change))
    for (step, change, curved), share in zip(steps, reversed(shares), strict=True):
        way = way + (share - _dot(change, way) / curved) * step
    return way


def _objective(rows: Rows, wanted: np.ndarray, is_label: bool, l2: float, x: np.ndarray) -> tuple[float, float, np.ndarray]:
    """Return the cost, the mean loss and the gradient at `x`, the weights with the intercept behind them."""
    slope = np.zeros_like(x)
    loss = _loss(rows.starts, rows.columns, rows.values, wanted, is_label, x, slope)
    weights = x[:-1]
    slope[:-1] += l2 * weights
    return loss + l2 / 2 * _dot(weights, weights), loss, slope


@jit
def _loss(
    starts: np.ndarray,
    columns: np.ndarray,
    values: np.ndarray,
    wanted: np.ndarray,
    is_label: bool,
    x: np.ndarray,
    slope: np.ndarray,
) -> float:
    """Return the mean loss, and add its gradient to `slope`."""
    loss, last = 0.0, len(x) - 1
    for row in range(len(wanted)):
        margin = x[last]
        for at in range(starts[row], starts[row + 1]):
            margin += values[at] * x[columns[at]]
        if is_label:
            small = math.exp(-abs(margin))
            loss += math.log1p(small) + max(margin, 0.0) - wanted[row] * margin
            wrong = (1.0 if margin > 0 else small) / (1.0 + small) - wanted[row]
        else:
            wrong = margin - wanted[row]
            loss += wrong * wrong / 2
        wrong /= len(wanted)
        slope[last] += wrong
        for at in range(starts[row], starts[row + 1]):
            slope[columns[at]] += wrong * values[at]
    return loss / len(wanted)


@jit
def _dot(left: np.ndarray, right: np.ndarray) -> float:
    total = 0.0
    for at in range(len(left)):
        total += left[at] * right[at]
    return total


@jit
def _sum(values: np.ndarray) -> float:
    total = 0.0
    for value in values:
        total += value
    return total


def auc(scores: np.ndarray, labels: np.ndarray) -> float | None:
    """Return the share of pairs of a 1 and a 0 that the scores order rightly, ties for a half; None without both.

    >>> auc(np.array([0.1, 0.4, 0.4, 0.9]), np.array([0, 0, 1, 1]))
    0.875
    """
    ones = int(np.count_nonzero(labels))
    zeros = len(labels) - ones
    if not ones or not zeros:
        return None
    _, group, sizes = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = np.cumsum(sizes) - (sizes - 1) / 2  # of a group, from 1
    return float((ranks[group][labels == 1].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def r_squared(scores: np.ndarray, wanted: np.ndarray) -> float | None:
    """Return how much of the variance the scores explain, at most 1; None where there is none.

    >>> r_squared(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 4.0])).__round__(3)
    0.786
    """
    all_of_it = float(((wanted - wanted.mean()) ** 2).sum()) if len(wanted) else 0.0
    return 1 - float(((scores - wanted) ** 2).sum()) / all_of_it if all_of_it else None
