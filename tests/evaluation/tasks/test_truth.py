"""Every task, judged by the truth: canonical solutions pass and mutants fail, of toys here and, slowly, of the published files."""

from pathlib import Path

import pytest
import toys

from starmill.evaluation.run import run
from starmill.evaluation.run.score import outcomes
from starmill.evaluation.sandbox.judge import Judge
from starmill.evaluation.tasks import TASKS

# Problems whose libraries are not everywhere: a canonical solution that needs one passes where it is installed.
NEED_LIBRARIES = {"canitedit_descriptive", "canitedit_lazy"}


@pytest.fixture(scope="module")
def judge():
    with Judge() as judge:
        yield judge


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toys.write(tmp_path_factory.mktemp("benchmarks"))


@pytest.mark.parametrize("name", TASKS)
def test_the_truth_passes_and_mutants_fail(name: str, folder: Path, judge: Judge) -> None:
    loaded = toys.loaded(name, folder)
    for which in ("canonical", "mutant"):
        samples = run.of_solutions(loaded, which)
        result = run.judged(loaded, samples, judge, 0, {"model": which})
        assert [row["passed"] for row in result["outcomes"]] == [which == "canonical"] * len(samples), result["outcomes"]
        if which == "canonical":
            assert result["scores"]["pass@1"] == {"value": 1.0, "low": 1.0, "high": 1.0} and result["passed"] == len(samples)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("name", TASKS)
@pytest.mark.skipif(not toys.SHARED.is_dir(), reason=f"NOT RUN: no files of published benchmarks in {toys.SHARED}")
def test_published_files(name: str, judge: Judge) -> None:
    loaded = run.load(TASKS[name], toys.SHARED)
    assert loaded.warnings == ()
    for which in ("canonical", "mutant"):
        answers = [(p, 0, p.check(getattr(p, which)), "") for p in loaded.problems]
        found = outcomes(loaded.task, answers, judge)
        odd = [one for one in found if one.passed != (which == "canonical")]
        if name in NEED_LIBRARIES and which == "canonical":
            odd = [one for one in odd if "ModuleNotFoundError" not in one.said]
        assert odd == []
