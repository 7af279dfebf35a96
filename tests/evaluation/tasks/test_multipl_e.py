"""MultiPL-E: Python's file calls its tests itself, others' stand behind the function; a sum in each language, ours and the file's."""

import pytest
import toys
import toys_languages

from starmill.evaluation.run import run
from starmill.evaluation.sandbox import Job, programs
from starmill.evaluation.task import cut
from starmill.evaluation.tasks import TASKS
from starmill.evaluation.tasks.multipl_e import OTHERS


def test_tests_are_those_of_the_file() -> None:
    problem = toys.fixed("multipl_e_python")[0]
    job = problem.check(problem.canonical)
    assert job.tests.count("\ncheck(twice)") == 1 and job.solution == f"{toys.TWICE}    return 2 * x\n"


@pytest.fixture(params=OTHERS)
def language(request: pytest.FixtureRequest) -> str:
    if reason := programs.absent(TASKS[f"multipl_e_{request.param}"].language):
        pytest.skip(f"NOT RUN: {reason}")
    return str(request.param)


def test_a_sum_passes_and_another_value_does_not(language: str) -> None:
    (problem,) = toys.fixed(f"multipl_e_{language}")
    _, right, wrong, _ = toys_languages.SUMS[language]
    for text, passed in ((right, True), (wrong, False)):
        job = problem.check(cut(f"\n{text}", TASKS[f"multipl_e_{language}"].stops))
        assert isinstance(job, Job) and programs.verdict(job).passed == passed, programs.verdict(job)


@pytest.mark.slow
@pytest.mark.skipif(not toys.SHARED.is_dir(), reason=f"NOT RUN: no files of published benchmarks in {toys.SHARED}")
def test_the_published_sum(language: str) -> None:
    loaded = run.load(TASKS[f"multipl_e_{language}"], toys.SHARED)
    (problem,) = [one for one in loaded.problems if one.name.endswith("_53_add")]
    _, right, wrong, _ = toys_languages.SUMS[language]
    stops = TASKS[f"multipl_e_{language}"].stops
    jobs = [problem.check(cut(f"\n{text}", stops)) for text in (right, wrong)]
    found = [isinstance(job, Job) and programs.verdict(job).passed for job in jobs]
    assert found == [True, False]
