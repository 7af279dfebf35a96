"""Processes that parse: one that somebody ends is started again, one that never lives is trouble of the machine."""

import os
import signal

import pytest

from starmill.core import parsing
from starmill.core.errors import MachineError
from starmill.pipelines.sources.functions import child
from starmill.transforms.measure.syntax import CHILD

FUNCTIONS = child.__name__
PYTHON = ("python", "x = 1\n", False)


def test_a_process_that_somebody_ends_is_started_again() -> None:
    assert parsing.answers(CHILD, "measure.syntax", [PYTHON]) == [0.0]
    process = parsing.own.children[os.getpid(), CHILD].process
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert parsing.answers(CHILD, "measure.syntax", [("python", "x = $$ 1", False), PYTHON]) == [pytest.approx(0.25), 0.0]


def test_children_of_two_kinds_live_beside_each_other() -> None:
    code = 'def f(x):\n    """It is x."""\n    return x\n'
    assert parsing.answers(CHILD, "measure.syntax", [PYTHON]) == [0.0]
    [[found]] = parsing.answers(FUNCTIONS, "sources", [("Python", code)])
    assert found["text"] == code and parsing.answers(CHILD, "measure.syntax", [PYTHON]) == [0.0]


def test_a_process_that_never_lives_is_the_machines_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing.own, "children", {}, raising=False)
    with pytest.raises(MachineError, match=r"measure\.syntax: .*status 1, twice"):
        parsing.answers("starmill.no_such_module", "measure.syntax", [PYTHON])
