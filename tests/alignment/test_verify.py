"""Responses' own tests in the sandbox: those of the examples that ship pass; wrong, endless, flaky and cheating ones do not."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from starmill.alignment.prompts import Prompts
from starmill.alignment.read import Response, response
from starmill.alignment.recipe import Verify
from starmill.alignment.verify import job, verified
from starmill.evaluation.sandbox.job import Job, Verdict
from starmill.evaluation.sandbox.judge import Judge

TESTS = "assert f() == 1"


def made(code: str, tests: str = TESTS) -> Response:
    return Response({}, code, code, tests)


def test_verdicts() -> None:
    shipped = [response(shot["response"]) for shot in Prompts().shots if "response" in shot]
    shots = [one for one in shipped if isinstance(one, Response)]
    cases = {
        "failed_wrong": made("def f(): return 2"),
        "failed_error": made("def f(): return 1 / 0"),
        "failed_cpu": made("def f():\n    while True: pass"),
        "failed_ended": made("import os\ndef f(): os._exit(0)"),
    }
    drawn = made("import random\ndef f(): return random.random()", "assert f() == __import__('random').Random(0).random()")
    later = made("from __future__ import annotations\nimport random\ndef f(): return random.random()", drawn.tests)
    with Judge() as judge:
        found = [*verified(judge, [*shots, drawn, later, *cases.values()], Verify(cpu_seconds=1.0))]
        assert found[: len(shots) + 2] == [None] * (len(shots) + 2)
        assert [why and why.reason for why in found[len(shots) + 2 :]] == [*cases]


def test_one_that_passes_not_each_time_is_flaky() -> None:
    class Moods:
        """The sandbox; from the third time on it is given other tests, as of a program that has changed its mind."""

        times = 0

        def judge(self, jobs: Iterable[Job]) -> Iterator[Verdict]:
            self.times += 1
            yield from judge.judge(
                replace(one, tests="assert f() == 2") if self.times > 2 and "1 + 0" in one.solution else one for one in jobs
            )

    changing, steady, wrong = made("def f(): return 1 + 0"), made("def f(): return 1"), made("def f(): return 2")
    with Judge() as judge:
        found = [*verified(Moods(), [changing, steady, wrong], Verify(runs=3))]
        assert [why and why.reason for why in found] == ["flaky", None, "failed_wrong"]
        assert [*verified(judge, [changing], Verify(runs=3))] == [None]


def test_a_job_has_the_bounds_of_the_recipe() -> None:
    one = job(made("x = 1"), Verify(cpu_seconds=3.0, memory_bytes=1 << 28))
    assert (one.cpu_seconds, one.memory_bytes, one.together) == (3.0, 1 << 28, True)
