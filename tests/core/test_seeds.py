"""Seeds: the same everywhere and always, different for different keys, uniform."""

import numpy as np
import pytest

from starmill.core import seeds


def test_values_are_fixed_for_ever() -> None:
    # Changing these numbers changes every shard ever made: a new format version, not a refactoring.
    assert seeds.uint64(0, "fim", "a", 1) == 4986709315159397115
    assert seeds.uniform(0, "fim", "a", 1) == seeds.uint64(0, "fim", "a", 1) // 2**11 / 2**53


def test_keys_never_run_together() -> None:
    drawn = {
        seeds.uint64(0, "p", *keys)
        for keys in [("a", "b"), ("ab",), ("ab", ""), ("", "ab"), ("a", "b", ""), (b"ab",), (1, 2), (12,), ("1", "2")]
    }
    assert len(drawn) == 9


def test_uniform_is_uniform() -> None:
    values = np.array([seeds.uniform(7, "test", i) for i in range(20_000)])
    assert values.min() >= 0 and values.max() < 1
    histogram = np.histogram(values, bins=20, range=(0, 1))[0]
    assert ((histogram - 1000) ** 2 / 1000).sum() < 43.8  # chi-squared, 19 degrees of freedom, p = 0.001


def test_generators_are_independent_of_each_other() -> None:
    first = seeds.generator(0, "x", 1).random(4)
    seeds.generator(0, "x", 2).random(4)
    assert (first == seeds.generator(0, "x", 1).random(4)).all()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 16, 17, 1000, 4097])
def test_a_permutation_is_one(size: int) -> None:
    made = seeds.Permutation(size, 0, "order", 1)
    assert sorted(made[i] for i in range(size)) == list(range(size))
    with pytest.raises(IndexError):
        made[size]
    with pytest.raises(IndexError):
        made[-1]


def test_permutations_differ_by_key_and_put_anything_anywhere() -> None:
    size, tries = 11, 4000
    table = np.array([[seeds.Permutation(size, seed, "order")[i] for i in range(size)] for seed in range(tries)])
    for counts in (np.bincount(column, minlength=size) for column in table.T):
        # chi-squared with 10 degrees of freedom: 35 is its one in ten thousand
        assert ((counts - tries / size) ** 2 / (tries / size)).sum() < 35
    assert seeds.Permutation(2**62, 0, "order")[5] != seeds.Permutation(2**62, 0, "other")[5]
