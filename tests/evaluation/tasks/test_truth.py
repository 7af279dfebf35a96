"""Every task, judged by the truth: canonical solutions pass and mutants fail, of toys here and, slowly, of the published files."""

from pathlib import Path

import pytest
import toys

from starmill.core.errors import UsageError
from starmill.evaluation import data
from starmill.evaluation.run import run
from starmill.evaluation.run.score import outcomes
from starmill.evaluation.sandbox import programs
from starmill.evaluation.sandbox.judge import Judge
from starmill.evaluation.tasks import TASKS

# Problems whose libraries are not everywhere: a canonical solution that needs one passes where it is installed.
NEED_LIBRARIES = {"canitedit_descriptive", "canitedit_lazy"}
# DS-1000's need the libraries of its year (docs/evaluation.md); JavaScript/162 a package of npm, two of C++ Boost; CPP/38's declaration
# holds half of its solution; 47_merge_sort compares times.
ELSEWHERE = {name for name in TASKS if name.startswith("ds1000")}
NOT_HERE = {"JavaScript/162", "CPP/22", "CPP/137", "CPP/38", "47_merge_sort"}


def present(name: str) -> None:
    """Skip a task whose programs this machine cannot run."""
    if TASKS[name].language != "python" and (reason := programs.absent(TASKS[name].language)):
        pytest.skip(f"NOT RUN: {reason}")


@pytest.fixture(scope="module")
def judge():
    with Judge(preload=["numpy"]) as judge:
        yield judge


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toys.write(tmp_path_factory.mktemp("benchmarks"))


# The tasks of one file of another language differ in their prompts alone, and their programs take seconds to compile.
ONCE = [
    name
    for name, task in TASKS.items()
    if task.language == "python" or not name.startswith(("humanevalfix_docs", "humanevals", "humanevale"))
]


@pytest.mark.parametrize("name", ONCE)
def test_the_truth_passes_and_mutants_fail(name: str, folder: Path, judge: Judge) -> None:
    present(name)
    loaded = toys.loaded(name, folder)
    if not TASKS[name].solved:
        with pytest.raises(UsageError, match="no solutions"):
            run.of_solutions(loaded, "canonical")
        return
    for which in ("canonical", "mutant"):
        samples = run.of_solutions(loaded, which)
        result = run.judged(loaded, samples, judge, 0, {"model": which})
        assert [row["passed"] for row in result["outcomes"]] == [which == "canonical"] * len(samples), result["outcomes"]
        if which == "canonical":
            assert result["scores"]["pass@1"] == {"value": 1.0, "low": 1.0, "high": 1.0} and result["passed"] == len(samples)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("name", ONCE)
@pytest.mark.skipif(not toys.SHARED.is_dir(), reason=f"NOT RUN: no files of published benchmarks in {toys.SHARED}")
def test_published_files(name: str, judge: Judge) -> None:
    present(name)
    if absent := [file for file in TASKS[name].files if not data.known()[file].sha256]:
        pytest.skip(f"NOT RUN: {', '.join(absent)} could not be had")
    loaded = run.load(TASKS[name], toys.SHARED)
    assert loaded.warnings == ()
    if not TASKS[name].solved or name in ELSEWHERE:
        return
    for which in ("canonical", "mutant"):
        step = max(1, len(loaded.problems) // (40 if loaded.task.language == "python" else 12))  # all of them: `make truth`
        answers = [(p, 0, p.check(getattr(p, which)), "") for p in loaded.problems[::step]]
        found = outcomes(loaded.task, answers, judge)
        odd = [one for one in found if one.passed != (which == "canonical") and one.problem not in NOT_HERE]
        if name in NEED_LIBRARIES and which == "canonical":
            odd = [one for one in odd if "ModuleNotFoundError" not in one.said and "No module named" not in one.said]
        assert odd == []
