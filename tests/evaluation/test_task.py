"""A task's stops, its digest, and texts of other harnesses."""

from dataclasses import replace

import toys

from starmill.evaluation.sandbox.job import Job
from starmill.evaluation.task import cut
from starmill.evaluation.tasks import TASKS


def test_a_completion_ends_at_the_first_stop() -> None:
    assert cut("    x\n\nprint(1)\nclass A", ("\nclass", "\nprint")) == "    x\n"
    assert cut("\ndef f", ("\ndef",)) == "" and cut("x", ()) == "x"


def test_texts_with_their_prompt_without_it_and_whole_programs() -> None:
    task, (problem, _) = TASKS["humaneval"], toys.fixed("humaneval")
    wanted = problem.check("\n    return 2 * x")
    assert task.checked(problem, f"{problem.prompt}\n    return 2 * x\ndef more(): 1") == wanted
    assert task.checked(problem, "def twice(x): return 2 * x") == Job("def twice(x): return 2 * x", wanted.tests)


def test_the_digest_is_of_all_that_asks_or_judges() -> None:
    for name in ("humaneval", "canitedit_lazy", "humanevalexplain", "santacoder_fim_py"):
        task, problems = TASKS[name], toys.fixed(name)
        known = task.digest(problems)
        assert known == task.digest(toys.fixed(name))
        others = [
            replace(task, stops=("x",)).digest(problems),
            replace(task, vote=True).digest(problems),
            task.digest(problems[:1]),
            task.digest([replace(problems[0], prompt="x"), problems[1]]),
            task.digest([replace(problems[0], check=lambda _: Job("", "x = 1")), problems[1]]),
        ]
        assert len({known, *others}) == len(others) + 1
