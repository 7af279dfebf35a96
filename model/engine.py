"""Continuous batching: requests join a batch while others are being written, and leave it when they end.

All rows share one axis of time: the token that is written next lies at the same place of each row's cache, and a request that joins has
its prompt laid before that place. What lies before the first token of every row is cut off now and then. Prompts that are alike are read
once, and long ones in pieces, between which the others go on. A sample depends on its own seed and name alone (model/generation.py).
Shapes: B rows, T tokens, S places, K key heads, D head size.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch

from starmill.core import seeds
from starmill.core.errors import UsageError
from starmill.model.decoder import Decoder
from starmill.model.generation import PIECE, choose, reading
from starmill.model.likelihood import Score, scores
from starmill.model.prompts import refuse_prompts
from starmill.model.slots import Slots
from starmill.model.waiting import together

BETWEEN = 256  # tokens of prompts that are read between two tokens of those that are being written


@dataclass(frozen=True)
class Ask:
    """A prompt, and how what follows it is drawn. `name` and `seed` decide the random numbers; `stopped` may end it after any token.

    `scored` is told each token that is drawn, a stop id too, with `tops` of the likeliest (model/likelihood.py).
    """

    prompt: Sequence[int]
    max_new_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    stop_ids: frozenset[int] = frozenset()
    seed: int = 0
    name: str | int = 0
    stopped: Callable[[list[int]], bool] | None = None
    scored: Callable[[Score], None] | None = None
    tops: int = 0

    def __post_init__(self) -> None:
        """Raise UsageError for values out of range."""
        if self.temperature < 0 or not 0 < self.top_p <= 1 or self.top_k < 0 or self.max_new_tokens < 1:
            raise UsageError(
                f"temperature={self.temperature}, top_p={self.top_p}, top_k={self.top_k}, max_new_tokens={self.max_new_tokens}: "
                "need >= 0, in (0, 1], >= 0, >= 1"
            )


@dataclass
class _Row:
    ticket: int
    ask: Ask
    limit: int  # new tokens
    new: list[int] = field(default_factory=list)

    def ends(self, token: int) -> bool:
        """Take a token; return whether nothing follows."""
        if token in self.ask.stop_ids:
            return True
        self.new.append(token)
        return len(self.new) >= self.limit or (self.ask.stopped is not None and self.ask.stopped(self.new))


class Engine:
    """Writes what follows prompts, at most `rows` at a time.

    >>> from starmill.model.config import ModelConfig
    >>> engine = Engine(Decoder(ModelConfig(10, 1, 8, 2, 1, 16, "rope", 32)), rows=2)
    >>> tickets = [engine.add(Ask([1, 2, 3], 4)), engine.add(Ask([4], 2)), engine.add(Ask([5, 6], 3))]
    >>> sorted((ticket, len(new)) for ticket, new in engine.finish())
    [(0, 4), (1, 2), (2, 3)]
    """

    def __init__(self, decoder: Decoder, rows: int = 16) -> None:
        """Of a decoder."""
        self.decoder, self.most = decoder, rows
        self._waiting: deque[_Row] = deque()
        self._rows: list[_Row] = []
        self._joining: list[_Row] = []
        self._reading: Iterator[tuple[torch.Tensor, torch.Tensor] | None] = iter(())
        self._read = Slots(decoder.config)
        self._slots = Slots(decoder.config)
        self._tickets = 0
        self._gone: set[int] = set()  # of those whose prompts are being read

    def add(self, ask: Ask) -> int:
        """Take a request; return its ticket. Raises UsageError for a prompt without tokens, or one that leaves no room for an answer."""
        refuse_prompts([ask.prompt], self.decoder.config.max_positions)
        room = self.decoder.config.max_positions - len(ask.prompt)
        self._waiting.append(_Row(self._tickets, ask, min(ask.max_new_tokens, room)))
        self._tickets += 1
        return self._tickets - 1

    def cancel(self, ticket: int) -> None:
        """Forget a request, which may have ended."""
        self._waiting = deque(row for row in self._waiting if row.ticket != ticket)
        self._gone |= {row.ticket for row in self._joining if row.ticket == ticket}
        self._stay([at for at, row in enumerate(self._rows) if row.ticket != ticket])

    @property
    def busy(self) -> bool:
        """Whether a request is being written, or waits."""
        return bool(self._rows or self._joining or self._waiting)

    @property
    def counts(self) -> tuple[int, int]:
        """How many requests are being written, and how many wait."""
        return len(self._rows) + len(self._joining), len(self._waiting)

    @torch.inference_mode()
    def step(self) -> list[tuple[int, list[int], bool]]:
        """Write one token: of those whose prompts are read now, or else of all; return of each its ticket, its new ids, its end.

        Nothing is returned where only a piece of prompts was read.
        """
        if self.decoder.training:  # asked first, because `eval` goes through all modules
            self.decoder.eval()
        if self._waiting and not self._joining and len(self._rows) < self.most:
            places = together((row.ask.prompt for row in self._waiting), self.most - len(self._rows))
            self._joining = [self._waiting[at] for at in places]
            for at in reversed(places):  # near the front, however many wait
                del self._waiting[at]
            self._read = Slots(self.decoder.config)
            self._reading = reading(self.decoder, [row.ask.prompt for row in self._joining], self._read, self._piece)
        if self._joining and (read := next(self._reading)) is not None:
            joining, last_BE = self._joined(read[0])
            found = self._drawn(joining, last_BE) if joining else []
            self._rows += joining
        elif self._rows:
            device = self.decoder.tokens.weight.device
            tokens_B1 = torch.tensor([[row.new[-1]] for row in self._rows], device=device)
            positions_B1 = torch.tensor([[len(row.ask.prompt) + len(row.new) - 1] for row in self._rows], device=device)
            found = self._drawn(self._rows, self.decoder.hidden(tokens_B1, positions_B1, cache=self._slots)[:, -1])
        else:
            return []
        ended = {ticket for ticket, _, last in found if last}
        self._stay([at for at, row in enumerate(self._rows) if row.ticket not in ended])
        return found

    def finish(self) -> list[tuple[int, list[int]]]:
        """Write until all have ended; return their tickets and new ids, as they end."""
        found = []
        while self.busy:
            found += [(ticket, new) for ticket, new, last in self.step() if last]
        return found

    def _piece(self) -> int:
        """Return how many tokens of each prompt are read at once: few, where others wait for their next token."""
        return max(1, BETWEEN // len(self._joining)) if self._rows else PIECE

    def _joined(self, last_BE: torch.Tensor) -> tuple[list[_Row], torch.Tensor]:
        """Lay the prompts that have been read into the cache; return whose they are, and the states of their last tokens."""
        stay = [at for at, row in enumerate(self._joining) if row.ticket not in self._gone]
        joining, self._joining = [self._joining[at] for at in stay], []
        if self._gone:
            self._gone.clear()
            stay_B = torch.tensor(stay, dtype=torch.int64, device=last_BE.device)
            last_BE = last_BE[stay_B]
            self._read.keep(stay_B)
        if joining:
            self._slots.join(self._read)
        return joining, last_BE

    def _drawn(self, rows: Sequence[_Row], states_BE: torch.Tensor) -> list[tuple[int, list[int], bool]]:
        logits_BV = self.decoder.head(states_BE).float()
        alike: dict[tuple[float, float, int], list[int]] = {}
        for at, row in enumerate(rows):
            alike.setdefault((row.ask.temperature, row.ask.top_p, row.ask.top_k), []).append(at)
        found: dict[int, tuple[int, list[int], bool]] = {}
        for (temperature, top_p, top_k), places in alike.items():
            asks = [rows[at].ask for at in places]
            drawn = [
                seeds.uniform(ask.seed, "generate", ask.name, len(rows[at].new)) for at, ask in zip(places, asks, strict=True)
            ]
            chosen = choose(logits_BV[places], temperature, top_p, top_k, drawn if temperature else [])
            for at, token in zip(places, chosen, strict=True):
                ask = rows[at].ask
                if ask.scored is not None:
                    ask.scored(scores(logits_BV[at : at + 1], [token], ask.tops)[0])
                last = rows[at].ends(token)
                found[at] = (rows[at].ticket, rows[at].new, last)
        return [found[at] for at in range(len(rows))]

    def _stay(self, kept: Sequence[int]) -> None:
        """Let all rows leave but these."""
        if len(kept) == len(self._rows):
            return
        self._rows = [self._rows[at] for at in kept]
        if kept:
            self._slots.keep(torch.tensor(kept, device=self.decoder.tokens.weight.device))
            self._slots.trim()
        else:
            self._slots = Slots(self.decoder.config)
