"""Continuous batching: requests join a batch while others are being written, and leave it when they end.

All rows share one axis of time: the token that is written next lies at the same place of each row's cache, and a request that joins has
its prompt laid before that place. On a CPU a step also reads guesses behind that token (model/drafts.py): it draws what it would draw
without them, and where a guess is that token, what follows is drawn in the same step; places of wrong guesses are hidden. Places that no
row needs are given back now and then. Prompts that are alike are read once, and long ones in pieces, between which the others go on.
A sample depends on its own seed and name alone (model/generation.py).
Shapes: B rows, T tokens, S places, K key heads, D head size.
"""

from collections import deque
from collections.abc import Iterator, Sequence

import torch

from starmill.core import seeds
from starmill.model.ask import Ask, Row
from starmill.model.decoder import Decoder
from starmill.model.drafts import MOST, READ, width
from starmill.model.generation import PIECE, choose, reading
from starmill.model.likelihood import scores
from starmill.model.prompts import refuse_prompts
from starmill.model.slots import Slots
from starmill.model.waiting import together

BETWEEN = 256  # tokens of prompts that are read between two tokens of those that are being written


class Engine:
    """Writes what follows prompts, at most `rows` at a time.

    >>> from starmill.model.config import ModelConfig
    >>> engine = Engine(Decoder(ModelConfig(10, 1, 8, 2, 1, 16, "rope", 32)), rows=2)
    >>> tickets = [engine.add(Ask([1, 2, 3], 4)), engine.add(Ask([4], 2)), engine.add(Ask([5, 6], 3))]
    >>> sorted((ticket, len(new)) for ticket, new in engine.finish())
    [(0, 4), (1, 2), (2, 3)]
    """

    def __init__(self, decoder: Decoder, rows: int = 16, drafts: int | None = None) -> None:
        """Of a decoder; `drafts` are guesses of a row that are read at once, at most (model/drafts.py), by default on a CPU alone."""
        self.decoder, self.most = decoder, rows
        on_cpu = decoder.tokens.weight.device.type == "cpu"
        self.drafts, self.drafted, self.accepted = (MOST if on_cpu else 0) if drafts is None else drafts, 0, 0
        self._waiting: deque[Row] = deque()
        self._rows: list[Row] = []
        self._joining: list[Row] = []
        self._reading: Iterator[tuple[torch.Tensor, torch.Tensor] | None] = iter(())
        self._read = Slots(decoder.config)
        self._slots = Slots(decoder.config)
        self._tickets = 0
        self._gone: set[int] = set()  # of those whose prompts are being read

    def add(self, ask: Ask) -> int:
        """Take a request; return its ticket. Raises UsageError for a prompt without tokens, or one that leaves no room for an answer."""
        refuse_prompts([ask.prompt], self.decoder.config.max_positions)
        room = self.decoder.config.max_positions - len(ask.prompt)
        self._waiting.append(Row(self._tickets, ask, min(ask.max_new_tokens, room)))
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
        """Write of those whose prompts are read now, or else of all; return of each its ticket, its new ids, its end.

        There is one more id, or several where guesses were right. Nothing is returned where only a piece of prompts was read.
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
            found = self._drawn(joining, self.decoder.head(last_BE)) if joining else []
            self._rows += joining
        elif self._rows:
            found = self._written()
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

    def _joined(self, last_BE: torch.Tensor) -> tuple[list[Row], torch.Tensor]:
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

    def _written(self) -> list[tuple[int, list[int], bool]]:
        """Read the last token of every row and guesses behind it; draw what follows each, as long as the guess before was right."""
        rows, device, few = self._rows, self.decoder.tokens.weight.device, min(self.drafts, READ // len(self._rows) - 1)
        drafts = [row.draft(few) if few > 0 else [] for row in rows]
        longest = width(drafts)
        guesses = [[token for token, _ in draft[:longest]] for draft in drafts]
        tokens = [[row.new[-1], *guess, *[0] * (longest - len(guess))] for row, guess in zip(rows, guesses, strict=True)]
        first_B1 = torch.tensor([[len(row.ask.prompt) + len(row.new) - 1] for row in rows], device=device)
        steps_T = torch.arange(1 + longest, device=device)
        wrong_BT = steps_T > torch.tensor([[len(guess)] for guess in guesses], device=device)
        positions_BT = (first_B1 + steps_T).masked_fill(wrong_BT, 0)
        padding_BT = wrong_BT if any(len(guess) < longest for guess in guesses) else None
        hidden_BTE = self.decoder.hidden(
            torch.tensor(tokens, device=device), positions_BT, cache=self._slots, padding_BT=padding_BT
        )
        logits_BTV = self.decoder.head(hidden_BTE)
        found, going = dict[int, tuple[int, list[int], bool]](), [*range(len(rows))]
        right = [0] * len(rows)
        for at in range(1 + longest):
            drawn = self._drawn([rows[place] for place in going], logits_BTV[going, at])
            found.update(zip(going, drawn, strict=True))
            going = [place for place in going if guesses[place][at : at + 1] == rows[place].new[-1:] and not found[place][2]]
            for place in going:
                right[place] += 1
            if not going:
                break
        self.drafted, self.accepted = self.drafted + sum(map(len, guesses)), self.accepted + sum(right)
        if longest:
            self._slots.forget(1 + longest, steps_T > torch.tensor(right, device=device)[:, None])
            self._slots.trim()
        return [found[place] for place in range(len(rows))]

    def _drawn(self, rows: Sequence[Row], logits_BV: torch.Tensor) -> list[tuple[int, list[int], bool]]:
        logits_BV = logits_BV.float()
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
