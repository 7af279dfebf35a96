"""Shards to batches: units in an order shuffled by the seed, FIM, packing, and a position that a checkpoint saves exactly.

The units of an epoch, each as often as its factor says, are permuted, rewritten by FIM and laid end to end on `batch` lanes; a
window takes sequence_length + 1 tokens and shares its last one with the next window. The order is a function of the seed alone,
computed place by place: an epoch takes no memory, and the number of workers and ranks does not change the order.
"""

import math
import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count, islice

import numpy as np

from starmill.core import seeds
from starmill.core.errors import InputError
from starmill.core.tokenizer import Tokenizer
from starmill.trainer import ramp
from starmill.trainer.config import Data
from starmill.trainer.data import fim
from starmill.trainer.data.units import Units


@dataclass(frozen=True)
class Position:
    """The next token of a lane: `offset` tokens into the unit at its place `index` of the epoch."""

    epoch: int = 0
    index: int = 0
    offset: int = 0


@dataclass(frozen=True)
class Piece:
    """Tokens of a window that come from one unit, from `offset` of its rewritten tokens on; `turn` is its (epoch, copy)."""

    ids: np.ndarray
    unit: int
    offset: int
    turn: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Chunk:
    """Some tokens of a unit as it is read, which were [start, end) of its document; `moved`: a file that FIM rearranged."""

    ids: np.ndarray
    start: int
    end: int
    moved: bool


@dataclass(frozen=True)
class Batch:
    """`tokens` int64 [windows, sequence_length + 1]; `documents` numbers the unit of each token, `positions` counts within it.

    `units` are the numbers of all units in it, `following` are the next positions of the lanes. `answers`, where only some tokens
    are to be learned: which; `part` is then how much this micro-batch counts in its step, 1 on average.
    """

    tokens: np.ndarray
    documents: np.ndarray
    positions: np.ndarray
    units: tuple[int, ...]
    following: tuple[Position, ...]
    answers: np.ndarray | None = None
    part: float = 1.0
    reference: np.ndarray | None = None


@dataclass(frozen=True)
class Corpus:
    """The units that are trained on, or those that are held out."""

    units: Units
    tokenizer: Tokenizer
    options: Data
    seed: int

    @cached_property
    def _factors(self) -> list[np.ndarray]:
        """Return the factors of the units in each phase."""
        return [self.units.factors(m) for m in (self.options.mixture, *(phase.mixture for phase in self.options.phases))]

    @cached_property
    def _highest(self) -> np.ndarray:
        return np.max(self._factors, axis=0)

    @cached_property
    def _copies(self) -> int:
        # An epoch has this many places for each unit, the same in all phases; a unit of a lower factor leaves some of its places empty.
        if self.is_empty:
            raise InputError("there are no documents to read; check data.held_out, data.mixture, data.phases and the shards")
        return math.ceil(self._highest.max())

    @property
    def is_empty(self) -> bool:
        """Say whether there are no units, or all have the factor 0 in some phase."""
        return not len(self.units) or not all(factors.max() > 0 for factors in self._factors)

    def epoch_tokens(self, phase: int = 0) -> float:
        """Return how many tokens an epoch has, before FIM's sentinels."""
        places = self.units.places
        return float(((places["end"] - places["start"]) * self._factors[phase]).sum())

    def epoch_kinds(self) -> dict[str, float]:
        """Return how many of an epoch's tokens are of each kind, the kinds with most tokens in the shards first."""
        return self.units.epoch_sizes("kind", self._factors[0])

    def at(self, epoch: int, place: int, phase: int | None = None) -> tuple[int, int] | None:
        """Return (unit, copy) at a place of an epoch in a phase (null: in any of them), or None for an empty place."""
        order = seeds.Permutation(len(self.units) * self._copies, self.seed, "unit_order", epoch)
        unit, copy = divmod(order[place], self._copies)
        whole, rest = divmod(float((self._highest if phase is None else self._factors[phase])[unit]), 1.0)
        if copy < whole or (copy == whole and seeds.uniform(self.seed, "unit_share", epoch, unit) < rest):
            return unit, copy
        return None

    def place(self, lane: int, epoch: int, index: int) -> tuple[int, int]:
        """Return the (epoch, place) of a lane at an index of its own epoch.

        More lanes than places go through as many epochs at once, or several lanes would read the same units.
        """
        lanes, places = self.options.batch, len(self.units) * self._copies
        return (epoch, lane + index * lanes) if lanes <= places else divmod(lane + epoch * lanes, places)

    def ids(self, number: int, epoch: int, copy: int = 0) -> np.ndarray:
        """Return the ids of a unit, with FIM where the seed chooses it; each copy in an epoch is cut elsewhere."""
        chunks = self.chunks(number, epoch, copy)
        return chunks[0].ids if len(chunks) == 1 else np.concatenate([chunk.ids for chunk in chunks])

    def chunks(self, number: int, epoch: int, copy: int = 0) -> list[Chunk]:
        """Return the ids of a unit as they are read, and which tokens of the document they were."""
        unit = self.units[number]
        rates = self.options.fim.of(unit.kind)
        shard = self.units.shards[unit.shard]
        tokens = np.asarray(shard.tokens(unit.document))  # slicing a memmap costs ten times as much
        if len(tokens) and (highest := int(tokens.max())) >= self.tokenizer.vocab_size:
            raise InputError(
                f"{shard.prefix}.bin: document {unit.document} has the token {highest}, and the workspace's tokenizer only "
                f"{self.tokenizer.vocab_size:,} of them: another tokenizer made the shard; run `starmill tokenize` again"
            )
        if rates is None:
            return [Chunk(tokens[unit.start : unit.end], unit.start, unit.end, False)]
        chunks, at, name, turn = [], unit.start, f"{unit.shard}:{unit.document}", epoch * self._copies + copy
        spans, files = self.units.spans(unit)
        drawn = fim.is_drawn(rates, self.seed, turn, number, len(self.units))
        for file, start, end in spans:
            if fim.is_chosen(rates, drawn, self.seed, turn, name, file, files):
                moved = fim.rewrite(tokens[start:end], self.tokenizer, rates, self.seed, turn, name, file)
                chunks += [Chunk(tokens[at:start], at, start, False), Chunk(moved, start, end, True)]
                at = end
        return [*chunks, Chunk(tokens[at : unit.end], at, unit.end, False)]

    def windows(self, lane: int, position: Position) -> Iterator[tuple[list[Piece], Position]]:
        """Yield endlessly, from `position` on: the pieces of a window of the first mixture, and the position of the next window."""
        read = Lane(self, lane, position)
        while True:
            yield read.window(0), read.at

    def shards_ahead(self, positions: Sequence[Position], tokens: int, rank: int = 0, ranks: int = 1) -> Iterator[int]:
        """Yield each shard once, in the order in which a share of the lanes, `tokens` long each, reads the shards from `positions` on.

        Of many shards, a few that come last may be left out.
        """
        lanes, places, share = self.options.batch, len(self.units) * self._copies, self.options.batch // ranks
        starts = list(enumerate(positions or [Position()] * lanes))[rank * share : (rank + 1) * share]
        unseen, left = set(np.unique(self.units.places["shard"]).tolist()), tokens * share
        for step in range(20 * len(unseen) // share + 1):  # enough for chance to show thousands of shards
            for lane, start in starts:
                turns, index = divmod(start.index + step, max(1, -(-(places - lane) // lanes)))
                here = self.at(*self.place(lane, start.epoch + turns, index))
                if not unseen or left <= 0:
                    return
                if here is not None:
                    shard, _, first, last, *_ = self.units.places[here[0]].item()
                    left -= last - first
                    if shard in unseen:
                        unseen.remove(shard)
                        yield shard

    def batches(self, positions: Sequence[Position] = (), rank: int = 0, ranks: int = 1, after: int = 0) -> Iterator[Batch]:
        """Yield endlessly the micro-batches of one of `ranks` equal shares of the lanes, from the step behind `after` on.

        `positions` are those of all lanes then (none: the start); a batch's `following` are the next positions of this share's lanes.
        """
        size = self.options.micro_batch
        lanes = self.lanes(positions)[rank * self.options.batch // ranks : (rank + 1) * self.options.batch // ranks]
        for step in count(after + 1):
            due, phase = lanes[ramp.lanes(self.options.stages(), step)], self.options.phase(step)
            for first in range(0, len(due), size):
                yield _batch([lane.window(phase) for lane in due[first : first + size]], tuple(lane.at for lane in lanes))

    def read(self, positions: Sequence[Position], after: int, step: int) -> list[tuple[int, list[Piece]]]:
        """Return what a step reads, as (lane, its window's pieces), from the positions of all lanes after an earlier step."""
        lanes, rows = self.lanes(positions), []
        for number in range(after + 1, step + 1):
            rows = self.turn(lanes, number)
        return rows

    def turn(self, lanes: Sequence["Lane"], step: int) -> list[tuple[int, list[Piece]]]:
        """Return what a step reads, as (lane, its window's pieces), from lanes that stand where the step before left them."""
        due = lanes[ramp.lanes(self.options.stages(), step)]
        return [(lane.number, lane.window(self.options.phase(step))) for lane in due]

    def epochs(self, positions: Sequence[Position]) -> float:
        """Return how many epochs lanes at these positions have read, on average."""
        share = max(1.0, len(self.units) * self._copies / self.options.batch)
        return sum(at.epoch + min(1.0, at.index / share) for at in positions) / len(positions)

    def lanes(self, positions: Sequence[Position]) -> list["Lane"]:
        """Return all lanes, at these positions (none: at the start)."""
        return [Lane(self, i, at) for i, at in enumerate(positions or [Position()] * self.options.batch)]

    def sample(self, count: int, rank: int, ranks: int) -> Iterator[tuple[Batch, np.ndarray]]:
        """Yield this rank's share of `count` windows in micro-batches, and the language of each token [counted, sequence_length + 1].

        The windows come from as many places as there are, and are the same for any number of ranks; each takes as many batches, of
        which only the first `counted` windows count. Languages (indexes into `units.names`) are right without FIM only.
        """
        lanes = min(count, len(self.units))
        spread = replace(self, options=replace(self.options, batch=lanes))
        turns = [-(-(count - lane) // lanes) for lane in range(lanes)]
        rows = [
            pieces for lane in range(rank, lanes, ranks) for pieces, _ in islice(spread.windows(lane, Position()), turns[lane])
        ]
        share = max(sum(turns[r::ranks]) for r in range(ranks))
        filler = rows[:1] or [next(spread.windows(0, Position()))[0]]
        for first in range(0, share, self.options.micro_batch):
            size = min(self.options.micro_batch, share - first)
            chosen = rows[first : first + size]
            languages = [self.units.languages(self.units[p.unit], p.offset, len(p.ids)) for pieces in chosen for p in pieces]
            length = self.options.sequence_length + 1
            counted = np.concatenate([*languages, np.zeros(0, np.int16)]).reshape(len(chosen), length)
            yield _batch([*chosen, *filler * (size - len(chosen))], ()), counted


class Lane:
    """One of the rows of a batch: units end to end, from the position `at` on."""

    def __init__(self, corpus: Corpus, number: int, at: Position) -> None:
        """Begin to read at a position."""
        self.number, self.at, self._corpus = number, at, corpus
        self._share = max(1, -(-(len(corpus.units) * corpus._copies - number) // corpus.options.batch))
        self._key, self._ids = (-1, -1), np.zeros(0, np.uint16)

    def window(self, phase: int) -> list[Piece]:
        """Return the next window, of the units that a phase has."""
        pieces: list[Piece] = []
        at, missing, last = self.at, self._corpus.options.sequence_length + 1, self.at
        while missing:
            if at.index == self._share:
                at = Position(at.epoch + 1)
            epoch, place = self._corpus.place(self.number, at.epoch, at.index)
            here = self._corpus.at(epoch, place, phase)
            if here is not None:
                if self._key != (at.epoch, at.index):
                    self._key, self._ids = (at.epoch, at.index), self._corpus.ids(here[0], epoch, here[1])
                taken = self._ids[at.offset : at.offset + missing]
                if len(taken):
                    pieces.append(Piece(taken, here[0], at.offset, (epoch, here[1])))
                    last = Position(at.epoch, at.index, at.offset + len(taken) - 1)
                    missing -= len(taken)
            at = Position(at.epoch, at.index + 1)
        self.at = last  # the window's last token is the next one's first
        return pieces


def prefetched(batches: Iterator[Batch], ahead: int) -> Iterator[Batch]:
    """Yield the same batches, made `ahead` in a thread: FIM's tokenization overlaps the step. The thread's errors are raised here."""
    ready: queue.Queue[Batch | BaseException] = queue.Queue(ahead)
    stop = threading.Event()

    def fill() -> None:
        try:
            for batch in batches:
                while not stop.is_set():
                    try:
                        ready.put(batch, timeout=0.2)
                        break
                    except queue.Full:
                        continue
                if stop.is_set():
                    return
        except BaseException as error:
            ready.put(error)

    threading.Thread(target=fill, daemon=True).start()
    try:
        while True:
            item = ready.get()
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()


def _batch(rows: list[list[Piece]], following: tuple[Position, ...]) -> Batch:
    def joined(arrays: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(arrays).astype(np.int64)

    tokens = np.stack([joined([p.ids for p in pieces]) for pieces in rows])
    documents = np.stack([joined([np.full(len(p.ids), i) for i, p in enumerate(pieces)]) for pieces in rows])
    positions = np.stack([joined([np.arange(len(p.ids)) for p in pieces]) for pieces in rows])
    return Batch(tokens, documents, positions, tuple(p.unit for pieces in rows for p in pieces), following)
