"""What a benchmark is: a task is a table of problems with a way to ask for them; a problem is a prompt and what judges a completion."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from starmill.evaluation.sandbox.job import Job

Prompt = str | tuple[str, str]  # text to continue, or what is before and behind a hole
Rows = Mapping[str, Sequence[Mapping[str, Any]]]  # the rows of each file that a task needs


@dataclass(frozen=True)
class Score:
    """A judgement without running anything, such as an exact match; `said` is why not, `measured` numbers beside it, by name."""

    passed: bool
    said: str = ""
    measured: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Problem:
    """One question. `check` takes a completion that was cut at the task's stops."""

    name: str
    prompt: Prompt
    check: Callable[[str], Job | Score]
    canonical: str  # a completion that is right
    mutant: str  # one that is wrong
    # How a text is checked that is a whole program, prompt and all, as other harnesses keep them; None: as a completion.
    whole: Callable[[str], Job | Score] | None = None
    # The prompt of a second turn, made of the first one's completion: the second one's is checked.
    then: Callable[[str], Prompt] | None = None
    # Texts of which the model says how likely each is, in nats, instead of going on from the prompt: a JSON list of numbers is checked.
    choices: tuple[str, ...] = ()
    # What a completion that passed is measured by: a job that prints a JSON object of numbers.
    measure: Callable[[str], Job] | None = None


def cut(completion: str, stops: Sequence[str]) -> str:
    """Return a completion up to the first of the stops.

    >>> cut("x = 1\\n\\ndef f", ("\\nclass", "\\ndef"))
    'x = 1\\n'
    """
    return completion[: min((at for stop in stops if (at := completion.find(stop)) >= 0), default=len(completion))]


@dataclass(frozen=True)
class Task:
    """A benchmark with the protocol that its paper, or the papers of StarCoder, use.

    `vote`: the answer is what most samples of a problem print, and whether that is right a score. `calibrated`: a problem's CPU
    limit is at least four times what its canonical solution takes, measured before.
    """

    name: str
    about: str  # what it asks, in a line
    source: str  # paper or repository
    files: tuple[str, ...]  # of the table of evaluation/data.py
    read: Callable[[Rows], list[Problem]]
    stops: tuple[str, ...] = ()
    max_new_tokens: int = 512
    temperature: float = 0.2
    top_p: float = 0.95
    samples: int = 1
    vote: bool = False
    calibrated: bool = False
    sentinels: tuple[str, ...] = ()  # texts in prompts that are special tokens of the models that have them
    libraries: tuple[str, ...] = ()  # modules beside the standard library that solutions may import
    language: str = "python"  # of the programs that are judged (sandbox/languages.py)
    classified: Literal["", "completion", "whole"] = ""  # what of an answer a model that classifies texts reads
    ratio: tuple[str, str] | None = None  # two measures, in nats and bytes, whose sums make bits for a byte
    solved: bool = True  # whether the benchmark publishes solutions: canonical ones, and wrong ones

    def checked(self, problem: Problem, text: str) -> Job | Score:
        """Return how a text of another harness is judged: with the prompt at its beginning or without, or as a whole program."""
        before = problem.prompt if isinstance(problem.prompt, str) else problem.prompt[0]
        if before and text.startswith(before):
            return problem.check(cut(text[len(before) :], self.stops))
        return problem.check(cut(text, self.stops)) if problem.whole is None else problem.whole(text)

    def digest(self, problems: Sequence[Problem]) -> str:
        """Return what tells this task from one that asks or judges otherwise: of prompts, stops, and the tests of canonical answers."""
        h = hashlib.sha256(json.dumps([self.name, self.stops, self.vote, self.calibrated]).encode())
        for problem in problems:
            wanted = problem.check(problem.canonical)
            measured = problem.measure(problem.canonical) if problem.measure else None
            second = problem.then("") if problem.then else None
            judged = [[getattr(job, one.name) for one in fields(job)] for job in (wanted, measured) if job is not None]
            h.update(
                json.dumps([problem.name, problem.prompt, second, judged, *problem.choices]).encode("utf-8", "surrogatepass")
            )
        return h.hexdigest()[:16]
