"""Judges samples, and makes of the verdicts what is told: pass@k with intervals, the vote of samples, what passing ones are measured by."""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import tee
from typing import Any, Protocol

from starmill.evaluation import passk
from starmill.evaluation.sandbox.job import Job, Verdict
from starmill.evaluation.task import Problem, Score, Task

KS = (1, 10, 100)
LIMIT_FACTOR = 4.0  # of the CPU time of a canonical solution, as EvalPlus has it
MOST_SECONDS = 300.0  # of CPU for a canonical solution


class Judges(Protocol):
    """What evaluation/sandbox/judge.py is here."""

    level: str

    def judge(self, jobs: Iterable[Job]) -> Iterator[Verdict]:
        """Yield the verdicts in the jobs' order."""
        ...


@dataclass(frozen=True)
class Outcome:
    """What came of one sample. `printed` is the last line that it printed."""

    problem: str
    number: int
    passed: bool
    reason: str = ""
    said: str = ""
    printed: str = ""
    measured: dict[str, float] | None = None


def verdicts(judge: Judges, wanted: Iterable[Job | Score]) -> Iterator[Verdict]:
    """Yield a verdict for each, in order: what is scored already asks no judge."""
    first, second = tee(wanted)
    judged = judge.judge(item for item in first if isinstance(item, Job))
    for item in second:
        yield next(judged) if isinstance(item, Job) else Verdict(item.passed, "" if item.passed else "wrong", item.said)


def bounds(task: Task, problems: Sequence[Problem], judge: Judges) -> dict[str, float]:
    """Return the CPU seconds of the problems whose canonical solutions need more than their tests allow, as measured here."""
    if not task.calibrated:
        return {}
    jobs = [job for problem in problems if isinstance(job := problem.check(problem.canonical), Job)]
    measured = judge.judge(replace(job, cpu_seconds=MOST_SECONDS) for job in jobs)
    wanted = {p.name: LIMIT_FACTOR * verdict.cpu_seconds for p, verdict in zip(problems, measured, strict=True)}
    return {p.name: wanted[p.name] for p, job in zip(problems, jobs, strict=True) if wanted[p.name] > job.cpu_seconds}


def outcomes(
    task: Task,
    answers: Sequence[tuple[Problem, int, Job | Score, str]],
    judge: Judges,
    tell: Callable[[str], None] = lambda _: None,
) -> list[Outcome]:
    """Return the outcomes of answers: problem, the sample's number, how it is checked, and its text if that is what is measured."""
    needed = {problem.name: problem for problem, *_ in answers}
    limits = bounds(task, [*needed.values()], judge)
    wanted = [
        replace(check, cpu_seconds=limits[problem.name]) if isinstance(check, Job) and problem.name in limits else check
        for problem, _, check, _ in answers
    ]
    found = []
    for done, ((problem, number, check, _), verdict) in enumerate(zip(answers, verdicts(judge, wanted), strict=True), 1):
        lines = verdict.output.strip().splitlines() if task.vote else []
        measured = {**check.measured} or None if isinstance(check, Score) else None
        printed = lines[-1][:100] if lines else ""
        found.append(Outcome(problem.name, number, verdict.passed, verdict.reason, verdict.said[:300], printed, measured))
        tell(f"{task.name}: {done:,} of {len(answers):,} judged, {sum(one.passed for one in found):,} passed")
    measures = [
        (at, problem.measure(text))
        for at, (problem, _, _, text) in enumerate(answers)
        if problem.measure and found[at].passed and text
    ]
    for (at, _), verdict in zip(measures, judge.judge(job for _, job in measures), strict=True):
        found[at] = replace(found[at], measured=_numbers(verdict.output))
    return found


def _numbers(output: str) -> dict[str, float] | None:
    """Return the JSON object of numbers on the last line of an output; a program that prints others is not measured."""
    try:
        values = json.loads(output.strip().rpartition("\n")[2])
    except ValueError:
        return None
    numeric = isinstance(values, dict) and all(isinstance(v, int | float) for v in values.values())
    return {str(name): float(value) for name, value in values.items()} if numeric else None


def vote(found: Sequence[Outcome]) -> bool:
    """Say whether the answer that most samples print is right; of several, the one printed first. What prints nothing has no vote."""
    counts = Counter(one.printed for one in found if one.printed)
    if not counts:
        return False
    most = max(counts.values())
    chosen = next(one.printed for one in found if one.printed and counts[one.printed] == most)
    return any(one.passed for one in found if one.printed == chosen)


def summary(task: Task, found: Sequence[Outcome], seed: int) -> dict[str, Any]:
    """Return the scores of outcomes. Every problem counts once, whatever the number of its samples."""
    by_problem: dict[str, list[Outcome]] = {}
    for one in found:
        by_problem.setdefault(one.problem, []).append(one)
    counts = [(len(each), sum(one.passed for one in each)) for each in by_problem.values()]
    least = min((n for n, _ in counts), default=0)
    estimates = {
        f"pass@{k}": asdict(passk.estimate([passk.pass_at_k(n, c, k) for n, c in counts], seed, task.name, str(k)))
        for k in KS
        if k <= least
    }
    if task.vote and counts:
        votes = [float(vote(each)) for each in by_problem.values()]
        estimates["majority"] = asdict(passk.estimate(votes, seed, task.name, "majority"))
    measured: dict[str, list[float]] = {}
    for one in found:
        for name, value in (one.measured or {}).items():
            measured.setdefault(name, []).append(value)
    means = {name: {"mean": sum(each) / len(each), "samples": len(each)} for name, each in sorted(measured.items())}
    for group in (
        [name.removeprefix(task.ratio[0]) for name in measured if name.startswith(task.ratio[0])] if task.ratio else []
    ):
        assert task.ratio is not None
        nats, size = (sum(measured[f"{kind}{group}"]) for kind in task.ratio)
        means[f"bits_per_byte{group}"] = {
            "mean": nats / size / math.log(2),
            "samples": len(measured[f"{task.ratio[0]}{group}"]),
        }
    return {
        "problems": len(counts),
        "samples": len(found),
        "passed": sum(one.passed for one in found),
        "scores": estimates,
        "measures": means,
        "reasons": dict(sorted(Counter(one.reason for one in found if one.reason).items())),
    }
