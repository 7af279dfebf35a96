"""Votes, summaries, and limits that a slow canonical solution raises."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest
import toys

from starmill.evaluation.run.score import Outcome, bounds, outcomes, summary, verdicts, vote
from starmill.evaluation.sandbox.job import Job, Verdict
from starmill.evaluation.sandbox.judge import Judge
from starmill.evaluation.task import Score
from starmill.evaluation.tasks import TASKS


def test_the_vote_is_of_what_is_printed() -> None:
    def of(*answers: tuple[str, bool]) -> bool:
        return vote([Outcome("p", i, passed, printed=printed) for i, (printed, passed) in enumerate(answers)])

    assert of(("4.0", True), ("5.0", False), ("4.0", True)) and not of(("4.0", True), ("5.0", False), ("5.0", False))
    assert of(("4.0", True), ("5.0", False)) and not of(("5.0", False), ("4.0", True)), "of several, the first"
    assert not of(("", False), ("", False)) and of(("", False), ("", False), ("4.0", True)), "what printed nothing has no vote"


def test_a_summary_counts_each_problem_once() -> None:
    task = TASKS["humaneval"]
    found = [Outcome("a", i, i < 3, "" if i < 3 else "wrong") for i in range(10)] + [
        Outcome("b", i, False, "cpu") for i in range(10)
    ]
    told = summary(task, found, 0)
    assert told["scores"]["pass@1"]["value"] == pytest.approx(0.15) and told["scores"]["pass@10"]["value"] == 0.5
    assert "pass@100" not in told["scores"] and told["reasons"] == {"cpu": 10, "wrong": 7} and told["passed"] == 3
    assert summary(task, [], 0)["scores"] == {}


def test_scores_need_no_judge_and_order_is_kept() -> None:
    wanted = [Score(True), Job("x = 1", "assert x == 1"), Score(False, "another line"), Job("x = 1", "assert x == 2")]
    with Judge() as judge:
        found = [*verdicts(judge, wanted)]
    assert [one.passed for one in found] == [True, True, False, False]
    assert (found[2].reason, found[2].said) == ("wrong", "another line")


class Slow:
    """Says of every job that it took 20 seconds, and notes its limit."""

    level = "said"

    def __init__(self) -> None:
        self.limits: list[float] = []

    def judge(self, jobs: Iterable[Job]) -> Iterator[Verdict]:
        for job in jobs:
            self.limits.append(job.cpu_seconds)
            yield Verdict(True, cpu_seconds=20.0)


def test_a_slow_canonical_raises_the_limit() -> None:
    task, problems, judge = TASKS["humaneval_plus"], toys.fixed("humaneval_plus"), Slow()
    assert bounds(task, problems, judge) == {"Toy/0": 80.0, "Toy/1": 80.0}
    assert bounds(replace(task, calibrated=False), problems, judge) == {}
    judge.limits.clear()
    outcomes(task, [(problem, 0, problem.check("x"), "x") for problem in problems], judge)
    assert judge.limits == [300.0, 300.0, 80.0, 80.0]
