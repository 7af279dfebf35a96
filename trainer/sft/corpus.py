"""Conversations to batches, with what trainer/data/corpus.py's Corpus has: whole ones in an order that the seed shuffles, packed or alone.

Each epoch has each conversation once, and a step that an epoch's end cuts goes on with the next epoch. A window is a list of
conversations; packing fills windows by first fit among the last few, so that it needs no second pass. All lanes have the same position,
the window at which the step begins. Preferences are pairs: the window of a chosen response, and behind it that of the rejected one.
"""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from starmill.core import seeds
from starmill.core.errors import InputError
from starmill.core.tokenizer import Tokenizer
from starmill.trainer.config import Data
from starmill.trainer.data.corpus import Batch, Piece, Position
from starmill.trainer.sft.examples import Examples

OPEN = 64  # windows that a conversation may still be put into
ROUND = 64  # tokens: lengths of batches without packing are multiples, so that kernels and compilers see few


@dataclass(frozen=True, eq=False)
class Conversations:
    """The conversations that are trained on, or those that are held out."""

    units: Examples
    tokenizer: Tokenizer
    options: Data
    seed: int
    packing: bool = False
    in_pairs: bool = False
    reference: np.ndarray | None = None  # of pairs: the reference model's log-probability of each response, float32

    @property
    def is_empty(self) -> bool:
        """Say whether there are none."""
        return not len(self.units)

    def epoch_tokens(self, phase: int = 0) -> float:
        """Return how many tokens an epoch has: the same in all phases, of which a recipe with conversations has one."""
        return float(self.units.tokens)

    def epoch_kinds(self) -> dict[str, float]:
        """Return how many of them are of each kind."""
        return {"conversation": self.epoch_tokens()}

    def shards_ahead(self, positions: Sequence[Position], tokens: int, rank: int, ranks: int) -> Iterator[int]:
        """Yield nothing: all conversations are in memory."""
        return iter(())

    @functools.lru_cache(maxsize=2)  # noqa: B019 - two epochs, of a corpus that lives as long as its run
    def epoch(self, number: int) -> list[list[int]]:
        """Return the windows of an epoch, each as the numbers of its conversations."""
        order = seeds.Permutation(len(self.units) // self._each, self.seed, "conversations", number)
        turns = [
            order[place] * self._each + side for place in range(len(self.units) // self._each) for side in range(self._each)
        ]
        if not self.packing:
            return [[one] for one in turns]
        sizes, whole = np.diff(self.units.first).tolist(), self.options.sequence_length + 1
        windows: list[list[int]] = []
        room: list[int] = []
        for one in turns:
            start = max(0, len(windows) - OPEN)
            at = next((i for i in range(start, len(windows)) if room[i] >= sizes[one]), None)
            if at is None:
                windows.append([one])
                room.append(whole - sizes[one])
            else:
                windows[at].append(one)
                room[at] -= sizes[one]
        return windows

    @property
    def _each(self) -> int:
        return 2 if self.in_pairs else 1

    def _at(self, epoch: int, index: int) -> tuple[int, int]:
        if self.is_empty:
            raise InputError("there are no conversations to learn from; check data.held_out")
        while index >= len(self.epoch(epoch)):
            epoch, index = epoch + 1, index - len(self.epoch(epoch))
        return epoch, index

    def _window(self, position: Position, lane: int) -> list[int]:
        epoch, index = self._at(position.epoch, position.index + lane)
        return self.epoch(epoch)[index]

    def _after(self, position: Position) -> Position:
        return Position(*self._at(position.epoch, position.index + self.options.batch))

    def read(self, positions: Sequence[Position], after: int, step: int) -> list[tuple[int, list[Piece]]]:
        """Return what a step reads, as (lane, its window's pieces), from the positions of all lanes after an earlier step."""
        at = positions[0] if positions else Position()
        for _ in range(after + 1, step):
            at = self._after(at)
        return [
            (lane, [Piece(self.units.ids[self.units.of(one)], one, 0) for one in self._window(at, lane)])
            for lane in range(self.options.batch)
        ]

    def epochs(self, positions: Sequence[Position]) -> float:
        """Return how many epochs were read up to these positions, which are all the same."""
        return positions[0].epoch + positions[0].index / max(1, len(self.epoch(positions[0].epoch)))

    def batches(self, positions: Sequence[Position] = (), rank: int = 0, ranks: int = 1, after: int = 0) -> Iterator[Batch]:
        """Yield endlessly the micro-batches of one of `ranks` equal shares of the lanes, as Corpus.batches does; `after` changes none.

        Each counts by its share of the whole step's tokens to be learned: a step's loss is their mean. All pairs count alike.
        """
        at = positions[0] if positions else Position()
        lanes, share, size = self.options.batch, self.options.batch // ranks, self.options.micro_batch
        while True:
            rows = [self._window(at, lane) for lane in range(lanes)]
            learned = [1 if self.in_pairs else self._learned(row) for row in rows]
            at = self._after(at)
            for first in range(rank * share, (rank + 1) * share, size):
                part = sum(learned[first : first + size]) * lanes / size / sum(learned)
                yield self.batch(rows[first : first + size], (at,) * share, part)

    def sample(self, count: int, rank: int, ranks: int) -> Iterator[tuple[Batch, np.ndarray]]:
        """Yield this rank's share of the first `count` windows, as Corpus.sample does; all are of one nameless language."""
        windows, each, size = list(islice(self.epoch(0), count)), self._each, self.options.micro_batch
        mine = [window for number, window in enumerate(windows) if number // each % ranks == rank]
        for first in range(0, -(-len(windows) // (each * ranks)) * each, size):
            chosen = mine[first : first + size]
            batch = self.batch([*chosen, *(windows[:each] * size)[: size - len(chosen)]])
            yield batch, np.zeros((len(chosen), batch.tokens.shape[1]), np.int16)

    def _learned(self, row: list[int]) -> int:
        return sum(int(self.units.answers[self.units.of(one)][1:].sum()) for one in row)

    def batch(self, rows: list[list[int]], following: tuple[Position, ...] = (), part: float = 1.0) -> Batch:
        """Return windows, each the numbers of its conversations, as a micro-batch."""
        sizes = np.diff(self.units.first)
        longest = max(int(sizes[row].sum()) for row in rows) - 1
        length = (
            self.options.sequence_length if self.packing else min(-(-longest // ROUND) * ROUND, self.options.sequence_length)
        )
        shape = (len(rows), length + 1)
        tokens, documents, positions = (np.zeros(shape, np.int64) for _ in range(3))
        answers = np.zeros(shape, bool)
        for i, row in enumerate(rows):
            at = 0
            for number, one in enumerate(row):
                ids = self.units.ids[self.units.of(one)]
                here = slice(at, at + len(ids))
                tokens[i, here], documents[i, here], positions[i, here] = ids, number, np.arange(len(ids))
                answers[i, here] = self.units.answers[self.units.of(one)]
                answers[i, at] = False  # what is before it is another conversation
                at += len(ids)
            documents[i, at:] = len(row)
            positions[i, at:] = np.arange(length + 1 - at)
        units = tuple(one for row in rows for one in row)
        known = None if self.reference is None else self.reference[[row[0] for row in rows]]
        return Batch(tokens, documents, positions, units, following, answers, part, known)
