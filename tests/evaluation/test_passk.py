"""pass@k against all subsets, its interval against the normal approximation, McNemar against scipy."""

import itertools
import math

import pytest
from scipy.stats import binomtest

from starmill.evaluation.passk import estimate, mcnemar, pass_at_k


def test_pass_at_k_is_the_share_of_subsets_with_one_that_passed() -> None:
    for n in range(1, 8):
        for c in range(n + 1):
            for k in range(1, n + 1):
                subsets = [*itertools.combinations([True] * c + [False] * (n - c), k)]
                assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, subsets)) / len(subsets), abs=1e-12)
    product = 1 - math.prod(1 - 100 / i for i in range(200 - 30 + 1, 201))  # as the paper computes it
    assert pass_at_k(200, 30, 100) == pytest.approx(product, abs=1e-12)
    for wrong in ((5, 6, 1), (5, -1, 1), (5, 1, 6), (5, 1, 0)):
        with pytest.raises(ValueError, match="need"):
            pass_at_k(*wrong)


def test_an_interval_is_that_of_a_mean_and_the_same_each_time() -> None:
    values = [1.0] * 60 + [0.0] * 104
    found = estimate(values, 0, "humaneval")
    half = 1.96 * math.sqrt(found.value * (1 - found.value) / len(values))
    assert found.value == pytest.approx(60 / 164)
    assert found.low == pytest.approx(found.value - half, abs=0.015) and found.high == pytest.approx(
        found.value + half, abs=0.015
    )
    assert found == estimate(values, 0, "humaneval")
    fine = [i / 99 for i in range(100)]
    assert estimate(fine, 0) != estimate(fine, 1)
    with pytest.raises(ValueError, match="no values"):
        estimate([], 0)


def test_mcnemar_is_the_binomial_test_of_what_differs() -> None:
    for only_first, only_second in itertools.product(range(6), range(9)):
        both = [True] * 3
        first = both + [True] * only_first + [False] * only_second
        second = both + [False] * only_first + [True] * only_second
        wanted = binomtest(only_first, only_first + only_second).pvalue if only_first + only_second else 1.0
        assert mcnemar(first, second) == (only_first, only_second, pytest.approx(wanted))
