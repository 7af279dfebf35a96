"""What a completion answers, and that an answer cannot be the question."""

import pytest
import toys

from starmill.evaluation.sandbox.job import Job
from starmill.evaluation.sandbox.judge import Judge
from starmill.evaluation.task import Score
from starmill.evaluation.tasks.cruxeval import answer, check_input, check_output

CODE = "def f(a, b):\n    return a + b"


@pytest.mark.parametrize("said", ["", "(", "assert f(1) ==", "[ANSWER]\n[/ANSWER]", "(" * 3000, "x = 1", "\x00"], ids=repr)
def test_no_answer(said: str) -> None:
    assert answer(said) is None and check_output(said, CODE, "1, 2") == Score(False, "no answer")


def test_answers() -> None:
    outs = {
        "assert f(1, 2) == 3": True,
        "3": True,
        "4": False,
        "f(1, 2)": False,
        "[THOUGHT]\nf is\n[ANSWER]\nassert f(1, 2) == 3": True,
    }
    ins = {
        "assert f(1, 2) == 3": True,
        "f(0, 3)": True,
        "f(1, 1)": False,
        "assert f(2, 1) == 4": True,
        "3": False,
        "g(3)": False,
    }
    jobs = [check_output(said, CODE, "1, 2") for said in outs] + [check_input(said, CODE, "3") for said in ins]
    with Judge() as judge:
        found = iter(judge.judge(job for job in jobs if isinstance(job, Job)))
        passed = [next(found).passed if isinstance(job, Job) else job.passed for job in jobs]
    assert passed == [*outs.values(), *ins.values()]


def test_prompts_end_where_the_answer_begins() -> None:
    for name, last in (("cruxeval_output", "[ANSWER]\n"), ("cruxeval_output_cot", "[THOUGHT]\n")):
        prompt = toys.fixed(name)[0].prompt
        assert (
            prompt.endswith(f"def f(a, b):\n    return a + b\nassert f(1, 2) == ??\n[/PYTHON]\n{last}") and "== 3" not in prompt
        )
    assert "assert f(??) == 3\n[/PYTHON]\n[ANSWER]\n" in toys.fixed("cruxeval_input")[0].prompt
