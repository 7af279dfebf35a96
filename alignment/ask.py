"""Asks a model for what is not answered yet: each answer is on disk before the next is asked, and a budget ends the asking cleanly.

An answer is known by a digest of the model, the prompt and the sampling, the seed of its name included: a recipe that asks otherwise
finds no answers of another, and what was answered is never asked again.
"""

import hashlib
import itertools
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec

from starmill.alignment.prompts import STOP
from starmill.alignment.recipe import Asked, Budget, Prices
from starmill.core.errors import InputError, StarmillError
from starmill.evaluation.run.endpoint import Endpoint
from starmill.evaluation.run.generate import Decoding, Reply, Request
from starmill.evaluation.run.lines import Lines

CHARS = 3  # bytes of text in a token, where nobody counts them: of code and English rather more
WAVES = 4  # batches of a folder's model that are asked at once


class BudgetSpent(StarmillError):
    """The budget is spent: what was answered is kept, and a run with a larger one goes on there."""

    status = 4


class Folder(Protocol):
    """A model in a folder: ours, or one of transformers."""

    batch: int
    identity: dict[str, str]

    def replies(self, requests: Sequence[Request], decoding: Decoding) -> Iterator[tuple[int, Reply]]:
        """Yield the index of each request with what came of it, in any order, each as soon as it is there."""
        ...


@dataclass(frozen=True)
class Wanted:
    """One request: what it is about, which of several it is, and the prompt."""

    name: str
    number: int
    prompt: str


@dataclass(frozen=True)
class Answer:
    """A line of the answers: what came, and who was asked, by which prompt and how."""

    key: str
    name: str
    number: int
    text: str
    refused: str
    ended: str
    asked: int
    told: int
    model: dict[str, str]
    prompt: str  # its digest
    prompts: str  # that of the templates and examples
    sampling: dict[str, Any]


@dataclass
class Spent:
    """What was asked so far."""

    requests: int = 0
    asked: int = 0  # tokens of prompts
    told: int = 0  # tokens of answers

    def add(self, asked: int, told: int) -> None:
        """Count an answer."""
        self.requests += 1
        self.asked += asked
        self.told += told

    def money(self, prices: Prices) -> float:
        """Return what it cost."""
        return (self.asked * prices.prompt + self.told * prices.answer) / 1e6


class Asking:
    """A model with a budget, which is of all answers in a folder."""

    def __init__(
        self,
        model: Endpoint | Folder,
        folder: Path,
        seed: int,
        budget: Budget,
        prices: Prices,
        prompts: str,
        per_minute: int | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Count what was asked in the folder; `prompts` is the digest of the templates and examples, which answers name."""
        self._between, self._pause, self._last = 60 / per_minute if per_minute else 0.0, pause, -math.inf
        self.model, self.folder, self.seed, self.budget, self.prices, self.prompts = (
            model,
            folder,
            seed,
            budget,
            prices,
            prompts,
        )
        self.spent, self.new = Spent(), 0
        self._reserved = Spent()
        for place in sorted(folder.glob("*/*.jsonl")):
            with _opened(place) as lines:
                for one in _answers(lines):
                    self.spent.add(one.asked, one.told)

    def answers(
        self, stage: str, part: str, wanted: Sequence[Wanted], how: Asked, tell: Callable[[str], None] = lambda _: None
    ) -> dict[tuple[str, int], Reply]:
        """Return the answers to all that is wanted, asking for those that are not there. Raises BudgetSpent, MachineError, UsageError."""
        decoding = Decoding(
            how.max_new_tokens, how.temperature, how.top_p, (STOP, *(("\n",) if stage == "judge" else ())), self.seed
        )
        requests = {(one.name, one.number): Request(f"align/{stage}/{one.name}/{one.number}", one.prompt) for one in wanted}
        keys = {self._key(request, decoding): at for at, request in requests.items()}
        found: dict[tuple[str, int], Reply] = {}
        with _opened(self.folder / stage / f"{part}.jsonl") as lines:
            for one in _answers(lines):
                if (known := keys.pop(one.key, None)) is not None:
                    found[known] = Reply(one.text, one.refused, one.ended, one.asked, one.told)
            missing = {requests[at].name: (key, at) for key, at in keys.items()}
            done = len(found)
            for request, reply in self._asked([requests[at] for at in keys.values()], decoding):
                key, at = missing[request.name]
                answer = self._answer(key, at, request, reply, decoding)
                lines.append(asdict(answer))
                self.spent.add(answer.asked, answer.told)
                self.new += 1
                self._release(request, decoding)
                found[at] = reply
                tell(f"{stage} {part}: {len(found):,} of {len(wanted):,} answered, {done:,} of them before")
            if len(found) < len(wanted):
                raise BudgetSpent(self._said(len(wanted) - len(found), stage, part))
        return found

    def _asked(self, requests: Sequence[Request], decoding: Decoding) -> Iterator[tuple[Request, Reply]]:
        within = self._within(requests, decoding)
        if isinstance(self.model, Endpoint):
            sent: list[Request] = []
            for index, reply in self.model.replies(_kept(within, sent), decoding):
                yield sent[index], reply
            return
        while some := [*itertools.islice(within, WAVES * self.model.batch)]:
            for index, reply in self.model.replies(some, decoding):
                yield some[index], reply

    def _within(self, requests: Iterable[Request], decoding: Decoding) -> Iterator[Request]:
        """Yield requests while the budget has room for all that is under way, each with the longest answer."""
        for request in requests:
            self._reserved.add(_tokens(request), decoding.max_new_tokens)
            if not self._has_room():
                self._release(request, decoding)
                return
            if (wait := self._last + self._between - time.monotonic()) > 0:
                self._pause(wait)
            self._last = time.monotonic()
            yield request

    def _release(self, request: Request, decoding: Decoding) -> None:
        self._reserved.requests -= 1
        self._reserved.asked -= _tokens(request)
        self._reserved.told -= decoding.max_new_tokens

    def _has_room(self) -> bool:
        whole = Spent(
            self.spent.requests + self._reserved.requests,
            self.spent.asked + self._reserved.asked,
            self.spent.told + self._reserved.told,
        )
        bounds = (
            (self.budget.requests, whole.requests),
            (self.budget.tokens, whole.asked + whole.told),
            (self.budget.money, whole.money(self.prices)),
        )
        return all(bound is None or used <= bound for bound, used in bounds)

    def _key(self, request: Request, decoding: Decoding) -> str:
        asked = [self.model.identity, request.prompt, _sampling(request, decoding)]
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:32]

    def _answer(self, key: str, at: tuple[str, int], request: Request, reply: Reply, decoding: Decoding) -> Answer:
        assert isinstance(request.prompt, str)
        asked = reply.asked if reply.asked is not None else 0 if reply.refused else _tokens(request)
        told = reply.told if reply.told is not None else len(reply.text.encode("utf-8", "replace")) // CHARS
        prompt = hashlib.sha256(request.prompt.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        how = _sampling(request, decoding)
        model = dict(self.model.identity)
        return Answer(key, *at, reply.text, reply.refused, reply.ended, asked, told, model, prompt, self.prompts, how)

    def _said(self, left: int, stage: str, part: str) -> str:
        cost = self.spent.money(self.prices)
        return (
            f"the budget is spent: {self.spent.requests:,} requests, {self.spent.asked + self.spent.told:,} tokens, money {cost:,.2f}; "
            f"{left:,} of {stage} {part} are not asked. What was answered is kept: run the same command with a larger --set budget.*"
        )


def _opened(place: Path) -> Lines:
    return Lines(place, "answer", "alignment", "give another --workspace")


def _answers(lines: Lines) -> Iterator[Answer]:
    for number, row in enumerate(lines.taken(), 1):
        try:
            yield msgspec.convert(row, Answer)
        except msgspec.ValidationError:
            raise InputError(
                f"{lines.place}: line {number} is no answer; remove the file, and its answers are made again"
            ) from None


def _sampling(request: Request, decoding: Decoding) -> dict[str, Any]:
    return {
        "temperature": decoding.temperature,
        "top_p": decoding.top_p,
        "max_new_tokens": decoding.max_new_tokens,
        "stops": list(decoding.stops),
        "seed": request.seed(decoding),
    }


def _tokens(request: Request) -> int:
    """Return about how many tokens a prompt has."""
    assert isinstance(request.prompt, str)
    return len(request.prompt.encode("utf-8", "replace")) // CHARS + 1


def _kept(requests: Iterable[Request], sent: list[Request]) -> Iterator[Request]:
    for request in requests:
        sent.append(request)
        yield request
