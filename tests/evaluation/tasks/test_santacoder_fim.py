"""Exact match of the first line, blank ends aside."""

import toys

from starmill.evaluation.task import Score
from starmill.evaluation.tasks.santacoder_fim import exact


def test_exact_match() -> None:
    for same in ("    b = 2", "b = 2", "b = 2  \nmore", "\n    b = 2\n"):
        assert exact(same, "    b = 2") == Score(True, "another line"), same
    assert not exact("b = 20", "b = 2").passed and not exact("", "b = 2").passed and exact("  \n", " ").passed


def test_names_are_one_each() -> None:
    assert [problem.name for problem in toys.fixed("santacoder_fim_js")] == ["0:n", "1:n"]
