"""What the two sides of a job do with names, in a real sandbox."""

from collections.abc import Iterator

import pytest
import toolchains

from starmill.evaluation.sandbox import Job, Verdict
from starmill.evaluation.sandbox.judge import Judge


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    toolchains.namespaces()
    with Judge() as made:
        yield made


def one(judge: Judge, solution: str, tests: str, together: bool = False) -> Verdict:
    (found,) = judge.judge([Job(solution, tests, 5, together=together)])
    return found


def test_names_that_the_tests_do_not_make_are_the_solution_s(judge: Judge) -> None:
    solution = (
        "import math\nfrom typing import List\nfrom collections import Counter as C\nLIMIT = 3\ndef f(x: List[int]): return x"
    )
    tests = "assert LIMIT == 3 and math.pi > 3 and C('aa')['a'] == 2 and List\ndef f(x): return 0\nassert f(1) == 0"
    assert one(judge, solution, tests).passed


def test_a_name_of_python_s_is_the_solution_s_where_the_tests_ask_for_no_other(judge: Judge) -> None:
    solution = "def sum(values): return 7\ndef f(x): return x"
    assert one(judge, solution, "x = [1]\nassert sum(x) == 7 and [y for y in x]").passed
    assert one(judge, solution, "assert f(1) == 1 and sum([1]) == 1").passed


def test_what_fails_is_said_in_words_of_ours(judge: Judge) -> None:
    found = one(judge, "raise ValueError('\\ud800')", "pass")
    assert (found.reason, found.said) == ("error", "ValueError: ?")


def test_a_name_that_is_nowhere_is_missing(judge: Judge) -> None:
    found = one(judge, "def g(): pass", "assert f(1) == 0")
    assert (found.reason, found.said) == ("missing", "NameError: name 'f' is not defined")


def test_how_a_solution_fails(judge: Judge) -> None:
    for solution, reason, said in (
        ("def f(:", "syntax", "SyntaxError: invalid syntax"),
        ("\x00", "syntax", "ource code string cannot contain null bytes"),
        ("exec('1 +')", "error", "SyntaxError"),
        ("import absent_module", "error", "ModuleNotFoundError: No module named 'absent_module'"),
        ("def f(x): return 1 / 0", "error", "ZeroDivisionError: division by zero"),
        ("def f(x): return 1", "wrong", "AssertionError: one"),
    ):
        found = one(judge, solution, "assert f(1) == 0, 'one'")
        assert (found.passed, found.reason) == (False, reason) and said in found.said, solution


def test_together_the_tests_may_be_anything(judge: Judge) -> None:
    solution = "from abc import ABC, abstractmethod\nclass Shape(ABC):\n    @abstractmethod\n    def area(self): ..."
    tests = (
        "class Square(Shape):\n    def area(self): return 4\nassert Square().area() == 4\n"
        "import inspect\nassert 'abstractmethod' in inspect.getsource(Shape)"
    )
    assert one(judge, solution, tests, together=True).passed
    assert one(judge, solution, "assert False", together=True).reason == "wrong"
    assert one(judge, "import os\nos._exit(0)", "pass", together=True).reason == "ended"
    assert one(judge, "import sys\nsys.exit(0)", "pass", together=True).reason == "error"


def test_what_is_printed_is_kept_in_part(judge: Judge) -> None:
    found = one(judge, "print('x' * 10000)\ndef f(): print('later')", "f()")
    assert found.passed and found.output == "x" * 4096
