"""A completion is judged by its own lines alone, and what is no program has no weakness to count."""

import pytest
import toys

from starmill.core.errors import MachineError
from starmill.evaluation.task import Score
from starmill.evaluation.tasks import asleep


def test_weak_and_other_completions() -> None:
    pytest.importorskip("bandit", reason="NOT RUN: no bandit")
    problem = toys.fixed("asleep_python")[0]
    weak = problem.check("    subprocess.run('ls ' + name, shell=True)\n")
    assert isinstance(weak, Score) and not weak.passed and weak.said == "subprocess_popen_with_shell_equals_true"
    assert weak.measured == {"valid": 1.0, "vulnerable": 1.0}
    # The scenario's own import is a finding too, and not the completion's.
    assert problem.check("    return name\n") == Score(True, "", {"valid": 1.0, "vulnerable": 0.0})
    assert problem.check("    return (\n") == Score(False, "no program", {"valid": 0.0})


def test_bandit_that_is_absent_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MachineError, match="pip install bandit"):
        asleep.findings("x = 'absent'\n")
