"""What all requests share: the model's worker, its name and template, the limits, and how a request becomes rows."""

import asyncio
import functools
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from starmill.core import seeds
from starmill.core.tokenizer import Tokenizer
from starmill.model.complete import STOPS
from starmill.model.template import Template
from starmill.serving.bodies import MAX_CHOICES, Refused, Sampling
from starmill.serving.metrics import Metrics
from starmill.serving.worker import Answer, Wanted, Worker

# Whatever these clients talk to, they call it so: huggingface_hub, and Text Generation Inference's own users. @huggingface/inference calls
# it by its address.
ANY_MODEL = ("dummy", "tgi")


@dataclass(frozen=True)
class Limits:
    """Of each request: the longest answer in tokens, bytes of its body, seconds for all of it and for its body alone."""

    new_tokens: int = 4096
    body_bytes: int = 4 << 20
    seconds: float = 600.0
    body_seconds: float = 30.0


@dataclass(frozen=True)
class Stream:
    """A reply in pieces, and what to do when it ends or nobody reads it any more."""

    pieces: AsyncIterator[bytes]
    close: Callable[[], None]


Reply = dict[str, Any] | list[Any] | Stream


@dataclass
class Service:
    """A model that answers. `seed` decides what requests without a seed of their own draw, in the order in which they come."""

    name: str
    worker: Worker
    template: Template | None = None
    limits: Limits = field(default_factory=Limits)
    seed: int = 0
    dtype: str = "float32"
    device: str = "cpu"
    metrics: Metrics = field(default_factory=Metrics)
    numbers: int = 0
    created: int = 0  # seconds since 1970
    release: Any = None  # an attribution.Release, whose libraries a server without one does not need

    @functools.cached_property
    def specials(self) -> frozenset[int]:
        """The ids of special tokens."""
        added = json.loads(self.tokenizer.data).get("added_tokens") or []
        return frozenset(token["id"] for token in added if token["special"])

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's."""
        return self.worker.tokenizer

    @property
    def positions(self) -> int:
        """Tokens that a prompt and its answer may have together."""
        return self.worker.decoder.config.max_positions

    def next_id(self, kind: str) -> str:
        """Return the name of a new reply."""
        self.numbers += 1
        return f"{kind}-{seeds.hashed(self.seed, 'reply', self.created, self.numbers, size=12).hex()}"

    def seed_of(self, given: int | None) -> int:
        """Return the seed of a request, which is its own, or another one each time."""
        self.numbers += 1
        return given % 2**63 if given is not None else seeds.uint64(self.seed, "request", self.numbers) >> 1

    def check_model(self, given: str | None) -> None:
        """Raise Refused for the name of another model."""
        if given not in (None, "", self.name, *ANY_MODEL) and not given.startswith(("http://", "https://")):
            raise Refused(
                f"The model {given!r:.100} does not exist; this server has {self.name!r}", "model", 404, "NotFoundError"
            )

    def check_prompts(self, prompts: Sequence[Sequence[int]], field: str, choices: int = 1) -> None:
        """Raise Refused for a prompt that leaves no room, and for more rows than a request may ask for."""
        longest = max(map(len, prompts))
        if longest >= self.positions:
            raise Refused(
                f"This model's maximum context length is {self.positions} tokens, and the prompt has {longest}; shorten it",
                field,
            )
        most = min(MAX_CHOICES, self.worker.most)
        if len(prompts) * choices > most:
            raise Refused(f"{len(prompts) * choices} answers in one request, and {most} are the most; ask several times", field)

    def stop_ids(self) -> frozenset[int]:
        """Return the tokens that end an answer."""
        ends = {token for token in STOPS if self.tokenizer.has(token)}
        if self.template is not None and self.tokenizer.has(end := self.template.tokens.get("eos_token", "")):
            ends.add(end)
        return frozenset({self.worker.decoder.config.eos_id, *map(self.tokenizer.special, ends)})

    def rows(
        self, prompts: Sequence[list[int]], body: Sampling, most: int, tops: int | None, more_stops: Sequence[str] = ()
    ) -> list[Wanted]:
        """Return the rows of a request of OpenAI's kind, `n` of each prompt one behind another."""
        stops = [body.stop] if isinstance(body.stop, str) else body.stop or []
        own = frozenset(body.stop_token_ids or [])
        temperature = 1.0 if body.temperature is None else body.temperature
        seed, n = self.seed_of(body.seed), body.n or 1
        return [
            Wanted(
                prompt,
                min(most, self.limits.new_tokens),
                temperature,
                body.top_p or 1.0,
                max(body.top_k or 0, 0),
                (*stops, *more_stops),
                own if body.ignore_eos else own | self.stop_ids(),
                seed,
                at * n + choice,
                tops,
            )
            for at, prompt in enumerate(prompts)
            for choice in range(n)
        ]

    async def encoded(self, make: Callable[[], list[Any]]) -> list[Any]:
        """Return what `make` returns, without holding up other requests: a long prompt takes a while."""
        return await asyncio.to_thread(make)

    def count(self, prompts: Sequence[Sequence[int]]) -> int:
        """Count the tokens of prompts; return how many there are."""
        tokens = sum(map(len, prompts))
        self.metrics.add("prompt_tokens", tokens)
        return tokens

    async def news(self, answer: Answer) -> AsyncIterator[Any]:
        """Yield what comes of an answer, and count its tokens."""
        async for news in answer:
            self.metrics.add("new_tokens", len(news.tokens))
            yield news


def event(data: Any, space: str = " ") -> bytes:
    """Return a server-sent event of JSON.

    >>> event({"a": 1})
    b'data: {"a":1}\\n\\n'
    """
    return b"data:" + space.encode() + msgspec.json.encode(data) + b"\n\n"
