"""Asks a model for what is missing of a task's samples.

A sample's seed is of its name (task, problem, number), so that neither the batch nor the order changes it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from starmill.core import seeds
from starmill.evaluation.run.samples import Sample, Samples
from starmill.evaluation.task import Problem, Prompt, cut


@dataclass(frozen=True)
class Decoding:
    """How texts are drawn; part of a result's key."""

    max_new_tokens: int
    temperature: float
    top_p: float
    stops: tuple[str, ...]
    seed: int
    sentinels: tuple[str, ...] = ()  # texts of prompts that are special tokens


@dataclass(frozen=True)
class Request:
    """A prompt, and the name that decides its random numbers."""

    name: str
    prompt: Prompt
    choices: tuple[str, ...] = ()  # texts whose likelihoods are asked

    def seed(self, decoding: Decoding) -> int:
        """Return a number of 31 bits for software that takes one."""
        return seeds.uint64(decoding.seed, "evaluate", self.name) >> 33


@dataclass(frozen=True)
class Reply:
    """What came of a request: the text, or why there is none.

    `ended`: why the text ends, in the API's words ("stop", "length"; "" where that is not said). `asked`, `told`: tokens of the prompt
    and of the text; None where they are not known.
    """

    text: str
    refused: str = ""
    ended: str = ""
    asked: int | None = None
    told: int | None = None


class Model(Protocol):
    """What answers requests. `identity` is part of a result's key: what tells this model from another."""

    @property
    def identity(self) -> dict[str, str]:
        """What tells this model from another."""
        ...

    def answers(self, requests: Sequence[Request], decoding: Decoding) -> Iterator[tuple[int, str, str]]:
        """Yield the index of each request with its text, or with "" and why there is none; in any order, each as soon as it is there."""
        ...

    def likelihoods(self, requests: Sequence[Request]) -> Iterator[tuple[int, str, str]]:
        """Yield the index of each request with a JSON list of its choices' log-likelihoods, in nats, or with "" and why there is none."""
        ...


def fill(
    samples: Samples,
    task: str,
    problems: Sequence[Problem],
    each: int,
    model: Model,
    decoding: Decoding,
    tell: Callable[[str], None] = lambda _: None,
) -> None:
    """Ask for the samples 0 to `each` of the problems that are not there yet, the first turns before the second."""
    ordered = [(problem, number) for problem in problems for number in range(each)]
    turns = 2 if any(problem.then for problem in problems) else 1
    for turn in range(1 - turns, 1):
        requests, keys = [], []
        for problem, number in ordered:
            key = (problem.name, number, turn)
            if key in samples.found or (turn < 0 and not problem.then):
                continue
            prompt = problem.prompt
            if turn == 0 and problem.then:
                before = samples.found[problem.name, number, -1]
                if before.refused:
                    samples.add(Sample(problem.name, number, "", turn, before.refused))
                    continue
                prompt = problem.then(before.text)
            name = "/".join((task, problem.name, str(number), *["first"] * -turn))
            requests.append(Request(name, prompt, problem.choices))
            keys.append(key)
        likely = any(request.choices for request in requests)  # of a task, all have some or none has
        answers = model.likelihoods(requests) if likely else model.answers(requests, decoding)
        for done, (index, text, refused) in enumerate(answers, 1):
            samples.add(Sample(*keys[index][:2], cut(text, decoding.stops), turn, refused))
            tell(f"{task}: {done:,} of {len(requests):,} samples{' of the first turn' * -turn}")
    samples.order([(problem.name, number, turn) for problem, number in ordered for turn in range(1 - turns, 1)])
