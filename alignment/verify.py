"""Runs responses' own tests in the sandbox, several times where they pass: one that passes not each time is flaky. Of Python, randomness
is fixed.
"""

import re
from collections.abc import Iterator, Sequence

from starmill.alignment.languages import LANGUAGES
from starmill.alignment.read import Reason, Response
from starmill.alignment.recipe import Verify
from starmill.evaluation.run.score import Judges
from starmill.evaluation.sandbox.job import Job, Verdict
from starmill.evaluation.sandbox.languages import NONCE

FUTURE = re.compile(r"^from __future__ import ", re.MULTILINE)
SEEDED = "import random as _random\n_random.seed(0)\n"


def job(found: Response, how: Verify) -> Job:
    """Return a response's program: its code, and behind it its tests, in one namespace.

    `random` of Python is seeded before both, or where the code begins with an import from `__future__`, between them. Programs of other
    languages end with a number that only a run to the end of the tests says (programs.py).
    """
    row = LANGUAGES[found.language]
    if row.program is not None and row.syntax is not None:
        code, tests = (text.replace(NONCE, "") for text in (found.code, found.tests))  # whose place no answer may name
        whole = row.program(code, tests, row.syntax)
        return Job(whole, "", how.cpu_seconds, how.memory_bytes, together=True, language=row.sandbox)
    before, between = (SEEDED, "") if not FUTURE.search(found.code) else ("", SEEDED)
    return Job(before + found.code, between + found.tests, how.cpu_seconds, how.memory_bytes, together=True)


def verified(judge: Judges, responses: Sequence[Response], how: Verify) -> Iterator[Reason | None]:
    """Yield for each response why it is dropped, or None for one that passed each time."""
    jobs = [job(one, how) for one in responses]
    first = [*judge.judge(jobs)]
    passed = [at for at, verdict in enumerate(first) if verdict.passed]
    again: dict[int, Verdict] = {}
    for _ in range(how.runs - 1):
        once_more = [at for at in passed if at not in again]
        for at, verdict in zip(once_more, judge.judge(jobs[at] for at in once_more), strict=True):
            if not verdict.passed:
                again[at] = verdict
    for at, verdict in enumerate(first):
        if not verdict.passed:
            yield Reason(f"failed_{verdict.reason or 'wrong'}", verdict.said[:200])
        elif at in again:
            yield Reason("flaky", again[at].said[:200])
        else:
            yield None
