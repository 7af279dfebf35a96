"""EvalPlus' comparison against numpy's, which it calls, and its rules for answers that no equality can judge."""

import random

import numpy as np
import pytest

from starmill.evaluation.tasks.compare import check_all, close, floats, right


def test_close_is_numpys_allclose() -> None:
    draw = random.Random(0)
    for _ in range(300):
        expected = [draw.uniform(-1e6, 1e6) * 10 ** draw.randint(-8, 3) for _ in range(draw.randint(1, 4))]
        out = [x * (1 + draw.choice((0, 0.9e-7, 1.1e-7, 1e-3))) + draw.choice((0, 0.9e-6, 1.5e-6)) for x in expected]
        for atol in (1e-6, 1e-4):
            assert close(out, expected, atol) == np.allclose(out, expected, rtol=1e-7, atol=atol)
    nested = [[1.0, 2.0], [3.0, 4.0]]
    assert close([[1.0, 2.0], [3.0, 4.0 + 1e-7]], nested, 1e-6) and not close([[1.0, 2.0], [3.0, 4.1]], nested, 1e-6)
    assert close(1 + 2j, 1 + 2.0000001j, 1e-6) and close(float("inf"), float("inf"), 1e-6)
    for out, expected in (
        (1, 1.0),
        ([1.0], (1.0,)),
        ("1", 1.0),
        ([1.0], [1.0, 2.0]),
        (float("nan"), float("nan")),
        (None, 1.0),
    ):
        assert not close(out, expected, 1e-6), (out, expected)


def test_exactly_where_nothing_is_a_float() -> None:
    assert right("f", [], [1, "a"], [1, "a"], 0) and not right("f", [], [1, 2], [1, 3], 0)
    assert right("f", [], 0.1 + 0.2, 0.3, 0), "floats have a tolerance of 1e-6, whatever the task says"
    assert not right("f", [], (0.1 + 0.2, 1), (0.3, 1), 0), "not a tuple of floats alone"
    assert floats((1.0,)) and not floats([]) and not floats([1.0, 1])


def test_rules_of_their_own() -> None:
    assert right("find_zero", [[-6, 11, -6, 1]], 1.00000001, 3.0, 1e-4), "any zero"
    assert not right("find_zero", [[-6, 11, -6, 1]], 1.5, 3.0, 1e-4)
    assert right("similar_elements", [], [2, 1], (1, 2), 0) and not right("similar_elements", [], [1], (1, 2), 0)
    assert (
        right("check_str", [], object(), True, 0)
        and right("check_str", [], False, None, 0)
        and not right("check_str", [], None, 1, 0)
    )
    assert right("surface_Area", [3, 4], 35, 33, 0) and not right("surface_Area", [3, 4], 34, 33, 0)
    assert right("digit_distance_nums", [1, 23], 4, 5, 0) and not right("digit_distance_nums", [1, 23], 3, 5, 0)


def test_each_input_is_given_anew() -> None:
    inputs = [[[3, 1, 2]]]
    check_all("f", sorted, lambda x: x.sort() or x, inputs, 0)
    assert inputs == [[[3, 1, 2]]]
    with pytest.raises(AssertionError, match="input 0"):
        check_all("f", lambda x: x, lambda x: x.sort() or x, inputs, 0)
