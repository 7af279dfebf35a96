"""pass@k by the unbiased estimator (Chen et al. 2021), how sure it is, and whether two models differ."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from starmill.core import seeds

RESAMPLES = 2000


def pass_at_k(samples: int, passed: int, k: int) -> float:
    """Return the chance that at least one of `k` samples, drawn without replacement, is one of those that passed.

    >>> pass_at_k(4, 1, 1), pass_at_k(5, 2, 4), pass_at_k(4, 0, 2)
    (0.25, 1.0, 0.0)
    """
    if not 0 <= passed <= samples or not 1 <= k <= samples:
        raise ValueError(f"{passed} of {samples} passed, k={k}: need 0 <= passed <= samples and 1 <= k <= samples")
    return 1.0 - math.comb(samples - passed, k) / math.comb(samples, k)


@dataclass(frozen=True)
class Estimate:
    """A mean over problems, with the interval that holds it in 95 of 100 draws of as many problems."""

    value: float
    low: float
    high: float


def estimate(values: Sequence[float], seed: int, *keys: str) -> Estimate:
    """Return the mean of a value per problem, with its bootstrap interval (percentiles; Efron 1979). `seed` and `keys` decide the draws.

    >>> estimate([1.0, 1.0], 0)
    Estimate(value=1.0, low=1.0, high=1.0)
    """
    array = np.asarray(values, dtype=np.float64)
    if not len(array):
        raise ValueError("no values: an estimate needs at least one problem")
    drawn = seeds.generator(seed, "bootstrap", *keys)
    means = [array[drawn.integers(0, len(array), len(array))].mean() for _ in range(RESAMPLES)]
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(float(array.mean()), float(low), float(high))


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> tuple[int, int, float]:
    """Return how many problems only the first passes, how many only the second, and the exact two-sided p (McNemar 1947).

    >>> mcnemar([True, True, False, True], [True, False, False, False])
    (2, 0, 0.5)
    """
    only_first = sum(a and not b for a, b in zip(first, second, strict=True))
    only_second = sum(b and not a for a, b in zip(first, second, strict=True))
    n, least = only_first + only_second, min(only_first, only_second)
    p = min(1.0, 2 * sum(math.comb(n, i) for i in range(least + 1)) / 2**n)
    return only_first, only_second, p
