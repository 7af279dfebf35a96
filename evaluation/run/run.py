"""One task from its files to its result: OUTPUT/<task>/<key>/ holds samples.jsonl and results.json, and the same call continues them."""

import hashlib
import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from starmill.core import __version__
from starmill.core.errors import InputError, UsageError, one_line
from starmill.core.files import read_small, write
from starmill.evaluation import data
from starmill.evaluation.run.generate import Decoding, Model, fill
from starmill.evaluation.run.samples import Sample, Samples
from starmill.evaluation.run.score import Judges, Outcome, outcomes, summary
from starmill.evaluation.sandbox.job import Job
from starmill.evaluation.task import Problem, Score, Task

Solutions = Literal["canonical", "mutant"]
MAX_GENERATIONS = 4 << 30  # bytes of another harness's file
FORMAT = 1


@dataclass(frozen=True)
class Loaded:
    """A task with its problems, all of them and those that are asked, and what the user should know of its files."""

    task: Task
    every: list[Problem]
    problems: list[Problem]
    files: dict[str, str]
    warnings: tuple[str, ...]

    @property
    def digest(self) -> str:
        """What tells it from the task with other files, prompts or tests."""
        return self.task.digest(self.every)


def load(task: Task, folder: Path | None, limit: int | None = None, any_version: bool = False) -> Loaded:
    """Read a task's files. Raises NotThere or InputError, which name the file and the fix."""
    found = {name: data.read(name, folder, any_version) for name in task.files}
    try:
        every = task.read({name: one.rows for name, one in found.items()})
    except (KeyError, TypeError, AttributeError, IndexError, SyntaxError) as error:
        raise InputError(
            f"{', '.join(task.files)}: not as {task.name} reads it ({one_line(error):.200}); get the known version"
        ) from None
    if len({problem.name for problem in every}) < len(every) or not every:
        raise InputError(f"{', '.join(task.files)}: no problems, or two of one name; get the known version")
    warnings = tuple(one.warning for one in found.values() if one.warning)
    return Loaded(task, every, every[:limit], {name: one.sha256 for name, one in found.items()}, warnings)


def decoding_of(task: Task, seed: int, temperature: float | None, top_p: float | None, max_new_tokens: int | None) -> Decoding:
    """Return a task's decoding, with what the user wants otherwise."""
    return Decoding(
        task.max_new_tokens if max_new_tokens is None else max_new_tokens,
        task.temperature if temperature is None else temperature,
        task.top_p if top_p is None else top_p,
        task.stops,
        seed,
        task.sentinels,
    )


def key_of(loaded: Loaded, identity: dict[str, str], decoding: Decoding) -> str:
    """Return what no other model, task or decoding has: the name of the folder of these samples."""
    return hashlib.sha256(json.dumps([FORMAT, loaded.digest, identity, asdict(decoding)], sort_keys=True).encode()).hexdigest()[
        :12
    ]


def generated(
    loaded: Loaded, model: Model, decoding: Decoding, each: int, output: Path, tell: Callable[[str], None] = lambda _: None
) -> tuple[Path, list[Sample]]:
    """Ask for what is missing of a task's samples; return their folder, and the samples that are asked, in order."""
    place = output / loaded.task.name / key_of(loaded, model.identity, decoding)
    with Samples(place / "samples.jsonl") as samples:
        fill(samples, loaded.task.name, loaded.problems, each, model, decoding, tell)
        found = [samples.found[problem.name, number, 0] for problem in loaded.problems for number in range(each)]
    return place, found


def generations(place: Path, loaded: Loaded) -> list[list[str]]:
    """Return another harness's generations: a list of texts for each problem, in the benchmark's order. Raises InputError."""
    try:
        texts = json.loads(read_small(place, MAX_GENERATIONS))
    except ValueError as error:
        raise InputError(f"{place}: not JSON ({one_line(error):.100}); give a list of lists of texts") from None
    if isinstance(texts, dict) and loaded.task.name in texts:
        texts = texts[loaded.task.name]
    right = isinstance(texts, list) and all(isinstance(each, list) and each for each in texts)
    if not right or not all(isinstance(text, str) for each in texts for text in each):
        raise InputError(
            f"{place}: not a list with a list of texts for each problem; give generations of bigcode-evaluation-harness"
        )
    if len(texts) > len(loaded.every):
        raise InputError(
            f"{place}: texts for {len(texts):,} problems, and {loaded.task.name} has {len(loaded.every):,}; give its own"
        )
    return texts


def judged(
    loaded: Loaded,
    samples: Sequence[Sample],
    judge: Judges,
    seed: int,
    key: dict[str, Any],
    whole: bool = False,
    tell: Callable[[str], None] = lambda _: None,
    classify: Callable[[Sequence[str]], list[dict[str, float]]] | None = None,
    programs: bool = False,
) -> dict[str, Any]:
    """Judge samples; return the result. `whole`: they are of another harness, and may have their prompts or be whole programs.

    `classify` gives numbers of texts, for tasks whose answers are sentences. `programs`: samples are whole programs, of a model that
    was asked for such.
    """
    problems = {problem.name: problem for problem in loaded.problems}
    answers: list[tuple[Problem, int, Job | Score, str]] = []
    for sample in samples:
        problem = problems[sample.problem]
        if sample.refused:
            answers.append((problem, sample.number, Score(False, f"not asked: {sample.refused}"), ""))
        elif whole:
            answers.append((problem, sample.number, loaded.task.checked(problem, sample.text), ""))
        else:
            check = problem.whole if programs and problem.whole else problem.check
            answers.append((problem, sample.number, check(sample.text), sample.text))
    found = outcomes(loaded.task, answers, judge, tell)
    if classify is not None and loaded.task.classified:
        texts = [_classified(loaded.task, problem, text) for problem, _, _, text in answers]
        found = [
            replace(one, measured={**(one.measured or {}), **more}) for one, more in zip(found, classify(texts), strict=True)
        ]
    refused = sum(bool(sample.refused) for sample in samples)
    warnings = list(loaded.warnings)
    if refused:
        warnings.append(
            f"{refused:,} of {len(samples):,} samples could not be asked for, and count as wrong: see their outcomes"
        )
    return {
        "format": FORMAT,
        "task": loaded.task.name,
        "about": loaded.task.about,
        "source": loaded.task.source,
        "key": key | {"task": loaded.digest, "files": loaded.files},
        "sandbox": judge.level,
        "versions": {"starmill": __version__, "python": platform.python_version()},
        "of": len(loaded.every),
        **summary(loaded.task, found, seed),
        "refused": refused,
        "warnings": warnings,
        "outcomes": [_row(one) for one in found],
    }


def _classified(task: Task, problem: Problem, text: str) -> str:
    return f"{problem.prompt}{text}" if task.classified == "whole" else text


def _row(one: Outcome) -> dict[str, Any]:
    return {name: value for name, value in asdict(one).items() if value not in ("", None)}


def of_solutions(loaded: Loaded, which: Solutions) -> list[Sample]:
    """Return the canonical solutions, or the mutants, as samples: what all must pass, and none may.

    Raises UsageError where the benchmark has none.
    """
    if not loaded.task.solved:
        raise UsageError(f"--solutions {which}: {loaded.task.name} has no solutions in its files; give other --tasks")
    return [Sample(problem.name, 0, getattr(problem, which)) for problem in loaded.problems]


def of_generations(loaded: Loaded, texts: Sequence[Sequence[str]]) -> tuple[Loaded, list[Sample]]:
    """Return another harness's texts as samples, and the task with the problems that they answer."""
    problems = loaded.problems[: len(texts)]
    samples = [
        Sample(p.name, number, text) for p, each in zip(problems, texts, strict=False) for number, text in enumerate(each)
    ]
    return replace(loaded, problems=problems), samples


def publish(place: Path, result: dict[str, Any]) -> Path:
    """Write a result beside its samples; return its place."""
    place.mkdir(parents=True, exist_ok=True)
    write(place / "results.json", f"{json.dumps(result, indent=1)}\n".encode())
    return place / "results.json"
