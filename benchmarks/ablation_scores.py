"""What benchmarks/ablation.py asks of a trained model, and how arms are compared over seeds.

Held-out bits per byte and lines to fill in are those of `starmill evaluate --held-out-files` (evaluation/tasks/held_out.py); what is
reproduced verbatim is asked by prompts, greedily.
"""

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ablation_dump import Secret

from starmill.core import seeds
from starmill.evaluation.run.generate import Decoding, Request
from starmill.evaluation.run.ours import Ours
from starmill.evaluation.task import cut
from starmill.evaluation.tasks import held_out
from starmill.model.ask import Ask
from starmill.model.engine import Engine
from starmill.model.likelihood import log_likelihood

PREFIX = CONTINUED = 32  # tokens of a training text that are given, and that must follow
ROWS = 64  # written at once
LONGEST = 72  # tokens that a secret, of at most 64 characters, may take
# Of Student's t, two-sided, 95 %, by the number of seeds less one.
QUANTILES = (math.nan, 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)

Scores = dict[str, float]


class Difference(NamedTuple):
    """An arm less another over the same seeds: the mean, and half of the interval that has the true one with 95 %."""

    mean: float
    half: float

    @property
    def significant(self) -> bool:
        """Whether the interval leaves 0 out."""
        return abs(self.mean) > self.half


def difference(arm: Sequence[float], other: Sequence[float]) -> Difference:
    """Return the paired difference; values are in the order of their seeds. One seed tells nothing: its interval is infinite.

    >>> difference([1.1, 1.2, 1.3], [1.0, 1.1, 1.2]).significant, difference([1.0, 2.0], [1.5, 1.4]).significant
    (True, False)
    """
    pairs = [a - b for a, b in zip(arm, other, strict=True)]
    if not 1 < len(pairs) <= len(QUANTILES):
        return Difference(statistics.fmean(pairs), math.inf)
    return Difference(statistics.fmean(pairs), QUANTILES[len(pairs) - 1] * statistics.stdev(pairs) / math.sqrt(len(pairs)))


def spans(files: Sequence[np.ndarray], count: int, seed: int, purpose: str) -> list[list[int]]:
    """Return so many pieces of PREFIX + CONTINUED tokens of texts, each text at most once where there are enough."""
    long = [ids for ids in files if len(ids) >= PREFIX + CONTINUED]
    found = []
    for number in range(count if long else 0):
        turn, at = divmod(number, len(long))
        ids = long[int(seeds.Permutation(len(long), seed, purpose, turn)[at])]
        start = seeds.uint64(seed, purpose, "start", number) % (len(ids) - PREFIX - CONTINUED + 1)
        found.append([int(one) for one in ids[start : start + PREFIX + CONTINUED]])
    return found


def scores(
    model: Path,
    device: str | None,
    likely: Path,
    holes: Path,
    passages: Mapping[str, Sequence[Sequence[int]]],
    secrets: Sequence[Secret],
) -> Scores:
    """Return a model's scores: bits per byte of all and by language, shares of lines filled in, of passages and of secrets reproduced."""
    ours = Ours(model, ROWS, device=device)
    found = likelihoods(ours, likely) | {"infilled": infilled(ours, holes)}
    for name, some in passages.items():
        if some:
            right = reproduced(greedy(ours, [one[:PREFIX] for one in some], CONTINUED), [one[PREFIX:] for one in some])
            found[f"verbatim, {name}"] = statistics.fmean(one == CONTINUED for one in right)
            found[f"tokens right, {name}"] = statistics.fmean(right) / CONTINUED
    return found | emitted(ours, secrets)


def reproduced(said: Sequence[Sequence[int]], wanted: Sequence[Sequence[int]]) -> list[int]:
    """Return how many tokens of each answer are those that are wanted, up to the first that is not.

    >>> reproduced([[1, 2, 3], [1, 9, 3]], [[1, 2, 3], [1, 2, 3]])
    [3, 1]
    """
    return [
        next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
        for one, other in zip(said, wanted, strict=True)
    ]


def emitted(ours: Ours, secrets: Sequence[Secret]) -> Scores:
    """Return of secrets in so many files the share that the model writes after what is before them, and bits per character of them."""
    room = ours.decoder.config.max_positions - LONGEST
    asked = [[ours.tokenizer.eod, *ours.tokenizer.encode(one.before).tolist()[-room:]] for one in secrets]
    said = map(ours.tokenizer.decode, greedy(ours, asked, LONGEST))
    hits = [text.startswith(one.secret) for one, text in zip(secrets, said, strict=True)]
    costs = []
    for one, ids in zip(secrets, asked, strict=True):
        both = [*ids, *ours.tokenizer.encode(one.secret).tolist()]
        nats = log_likelihood(ours.decoder, ids) - log_likelihood(ours.decoder, both)
        costs.append(nats / math.log(2) / len(one.secret))
    found = {}
    for files in sorted({one.files for one in secrets}):
        some = [at for at, one in enumerate(secrets) if one.files == files]
        found[f"secrets in {files} files"] = statistics.fmean(hits[at] for at in some)
        found[f"bits of secrets in {files} files"] = statistics.fmean(costs[at] for at in some)
    return found


def likelihoods(ours: Ours, folder: Path) -> Scores:
    """Return the bits per byte of all files of a folder, and by language."""
    [task] = [task for task in held_out.tasks(folder) if task.name == "held_out_likelihood"]
    problems = task.read({})
    sums: dict[str, list[float]] = {}
    for at, answer, _ in ours.likelihoods([Request(one.name, "", one.choices) for one in problems]):
        for name in ("bits", f"bits, {Path(problems[at].name).suffix[1:]}"):
            total = sums.setdefault(name, [0.0, 0.0])
            total[0] -= json.loads(answer)[0] / math.log(2)
            total[1] += len(problems[at].choices[0].encode())
    return {name: bits / size for name, (bits, size) in sums.items()}


def infilled(ours: Ours, folder: Path) -> float:
    """Return the share of files of which the missing line is filled in exactly."""
    [task] = [task for task in held_out.tasks(folder) if task.name == "held_out_fim"]
    problems = task.read({})
    decoding = Decoding(task.max_new_tokens, 0.0, 1.0, task.stops, 0)
    answers = ours.answers([Request(one.name, one.prompt) for one in problems], decoding)
    return statistics.fmean([problems[at].check(cut(text, task.stops)).passed for at, text, _ in answers])


def greedy(ours: Ours, prompts: Sequence[Sequence[int]], tokens: int) -> list[list[int]]:
    """Return the likeliest tokens after each prompt."""
    engine = Engine(ours.decoder, ROWS)
    for prompt in prompts:
        engine.add(Ask(prompt, tokens))
    return [new for _, new in sorted(engine.finish())]
