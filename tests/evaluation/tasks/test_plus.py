"""Inputs of MBPP+ get their types back; tests hold the reference and all inputs, and survive infinities."""

import pytest
import toys

from starmill.core.errors import InputError
from starmill.evaluation.tasks.plus import SHAPES, _problem, checks_of, restored, types


def test_types_come_back() -> None:
    assert {*types().values()} == {*SHAPES}, "no shape without a task"
    for task, given, wanted in (
        ("Mbpp/2", [[1], [2]], [(1,), (2,)]),
        ("Mbpp/63", [[[1, 2], [3]]], [[(1, 2), (3,)]]),
        ("Mbpp/75", [[[1], [2]], 3], [[(1,), (2,)], 3]),
        ("Mbpp/106", [[1], [2]], [[1], (2,)]),
        ("Mbpp/124", ["0", "(-0-1j)"], [0.0, complex("(-0-1j)")]),
        ("Mbpp/250", [[1, 1], 1], [(1, 1), 1]),
        ("Mbpp/252", ["69.5"], [69.5 + 0j]),
        ("Mbpp/259", [[[1, 2]], [[3]]], [((1, 2),), ((3,),)]),
        ("Mbpp/278", [[1, [2, 3]]], [(1, (2, 3))]),
        ("Mbpp/580", [[1, [2, [3]]]], [(1, (2, (3,)))]),
        ("Mbpp/722", [{"a": [1, 2]}, 3], [{"a": (1, 2)}, 3]),
        ("Mbpp/3", [[1]], [[1]]),
    ):
        assert repr(restored(task, given)) == repr(wanted), task


def test_tests_are_a_program_of_their_own() -> None:
    inputs = [[float("inf")], [float("nan")], [(1, 2j)]]
    program = checks_of("same", "def same(x): return [x]", inputs, 0)
    exec(program, {"same": lambda x: [x], "__name__": "tests"})
    with pytest.raises(AssertionError, match="input 2"):
        exec(program, {"same": lambda x: [x] if isinstance(x, float) else [0], "__name__": "tests"})


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="no name"):
        _problem({"task_id": "x", "entry_point": "f(); import os", "atol": 0}, "", "", "", "", [])


def test_limits_are_those_of_the_slowest_canonical() -> None:
    assert all(problem.check("").cpu_seconds == 10 for problem in toys.fixed("humaneval_plus"))
