"""The worked examples of the prompt are right, numbers are read as they are written, and answers are compared as numbers."""

from importlib import resources

import pytest
import toys

from starmill.core.errors import InputError
from starmill.evaluation.sandbox.judge import Judge
from starmill.evaluation.tasks.gsm8k import check, number_of


def test_the_examples_compute() -> None:
    text = resources.files("starmill.evaluation.tasks").joinpath("pal.txt").read_text()
    examples = [part.partition("# solution in Python:")[2] for part in text.split("Q: ")[1:]]
    answers = []
    for example in examples:
        names: dict = {}
        exec(example, names)
        answers.append(round(names["solution"](), 6))
    assert answers == [270, 150, 145, 10, 20, 4, 90, 885]
    assert toys.fixed("gsm8k_pal")[0].prompt.startswith(text) and text.endswith("\n\n\n\n")


def test_numbers() -> None:
    assert number_of({"answer": "x\n#### 1,234"}, "f") == 1234 and number_of({"answer": "#### -3.5 "}, "f") == -3.5
    with pytest.raises(InputError, match="no number behind ####"):
        number_of({"answer": "#### many"}, "f")


def test_what_solution_returns_is_compared_and_printed() -> None:
    programs = {"return 2": True, "return 2.0004": True, "return '2'": True, "return 2.01": False, "return None": False}
    with Judge() as judge:
        found = [*judge.judge(check(f"def solution():\n    {line}\n", 2.0) for line in programs)]
    assert [one.passed for one in found] == [*programs.values()]
    assert [one.output.strip() for one in found] == ["2.0", "2.0004", "2.0", "2.01", ""]
