"""Excess code: the new lines that can run, and that no test runs."""

import json

import pytest
import toys

from starmill.evaluation.sandbox.judge import Judge
from starmill.evaluation.tasks.canitedit import excess

BEFORE = "def f(x):\n    return x\n"
EDITS = {
    "def f(x):\n    return x + 1\n": 0.0,
    "def f(x):\n    if x > 100:\n        return 0\n    return x + 1\n": 1 / 3,
    "def f(x):\n    return x + 1\n\n# a remark\ndef g():\n    return 2\n": 1 / 3,  # of the return, def g and its body
    BEFORE: 0.0,
}


def test_lines_that_no_test_runs() -> None:
    with Judge() as judge:
        found = [*judge.judge(excess(after, BEFORE, "f(1)\n") for after in EDITS)]
    assert [json.loads(one.output)["excess_code"] for one in found] == [pytest.approx(share) for share in EDITS.values()]


def test_two_instructions() -> None:
    full, lazy = toys.fixed("canitedit_descriptive")[0], toys.fixed("canitedit_lazy")[0]
    assert (
        "Make hello() return upper case." in full.prompt
        and "Shout." in lazy.prompt
        and full.prompt.endswith("## Code After:\n")
    )
    assert full.check(full.canonical).together
