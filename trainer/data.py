"""Shards to batches: units in an order shuffled by the seed, FIM, packing, and a position that a checkpoint saves exactly.

A unit is a run of whole files of one repository (about `unit_tokens`), so that one large repository does not fill the first
thousand batches. Units of an epoch are permuted, rewritten by FIM and laid end to end; a window takes sequence_length + 1 tokens
and shares its last one with the next window. The order is a function of the seed alone: workers and ranks can only share it out.
"""

import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from starmill.core import seeds
from starmill.core.shards import ShardReader
from starmill.core.tokenizer import Tokenizer
from starmill.trainer import fim
from starmill.trainer.config import Data


@dataclass(frozen=True)
class Position:
    """The next token of a lane: `offset` tokens into its unit number `index` of the epoch."""

    epoch: int = 0
    index: int = 0
    offset: int = 0


@dataclass(frozen=True)
class Unit:
    """Tokens [start, end) of a document and the files in them: (number, path, content_id, start, end), relative to the document."""

    shard: int
    document: int
    repo_name: str
    start: int
    end: int
    files: tuple[tuple[int, str, str, int, int], ...]
    files_in_document: int
    is_code: bool


@dataclass(frozen=True)
class Batch:
    """`tokens` int64 [windows, sequence_length + 1]; `documents` numbers the unit of each token, `positions` counts within it.

    `following` is where every lane goes on after this batch.
    """

    tokens: np.ndarray
    documents: np.ndarray
    positions: np.ndarray
    units: tuple[Unit, ...]
    following: tuple[Position, ...]


@dataclass
class Corpus:
    """All units of some shards."""

    shards: Sequence[ShardReader]
    units: list[Unit]
    tokenizer: Tokenizer
    options: Data
    seed: int

    def order(self, epoch: int) -> np.ndarray:
        """Return the permutation of the units in an epoch: 8 bytes a unit."""
        return seeds.generator(self.seed, "unit_order", epoch).permutation(len(self.units))

    def ids(self, unit: Unit, epoch: int) -> np.ndarray:
        """Return the ids of a unit, with FIM where the seed wants it."""
        tokens = self.shards[unit.shard].tokens(unit.document)
        pieces, at = [], unit.start
        name = f"{unit.shard}:{unit.document}"
        for number, _, _, start, end in unit.files if unit.is_code else ():
            if fim.is_chosen(self.options.fim, self.seed, epoch, name, number, unit.files_in_document):
                chunk = fim.rewrite(tokens[start:end], self.tokenizer, self.options.fim, self.seed, epoch, name, number)
                pieces += [tokens[at:start], chunk]
                at = end
        return np.concatenate([*pieces, tokens[at : unit.end]]) if pieces else tokens[unit.start : unit.end]

    @property
    def lanes(self) -> int:
        """Windows in a step."""
        return self.options.micro_batch * self.options.accumulation

    def windows(self, lane: int, position: Position) -> Iterator[tuple[list[tuple[np.ndarray, Unit, int]], Position]]:
        """Yield for ever, from `position` on: the pieces (ids, unit, offset in the unit) of a window, and where the next starts."""
        if not self.units:
            raise ValueError("there are no documents to read; check data.held_out and the shards")
        at, order = position, self.order(position.epoch)
        share = max(1, -(-(len(self.units) - lane) // self.lanes))
        key, ids = (-1, -1), np.zeros(0, np.uint16)
        while True:
            pieces: list[tuple[np.ndarray, Unit, int]] = []
            missing, last = self.options.sequence_length + 1, at
            while missing:
                if at.index == share:
                    at = Position(at.epoch + 1)
                    order = self.order(at.epoch)
                unit = self.units[order[(lane + at.index * self.lanes) % len(order)]]
                if key != (at.epoch, at.index):
                    key, ids = (at.epoch, at.index), self.ids(unit, at.epoch)
                piece = ids[at.offset : at.offset + missing]
                if len(piece):
                    pieces.append((piece, unit, at.offset))
                    last = Position(at.epoch, at.index, at.offset + len(piece) - 1)
                    missing -= len(piece)
                at = Position(at.epoch, at.index + 1)
            yield pieces, last
            at = last  # the window's last token is the next one's first

    def batches(self, positions: Sequence[Position] = ()) -> Iterator[Batch]:
        """Yield micro-batches for ever, from where the lanes are on (the start, if none are given)."""
        following = list(positions) or [Position()] * self.lanes
        windows = [self.windows(lane, at) for lane, at in enumerate(following)]
        while True:
            for first in range(0, self.lanes, self.options.micro_batch):
                rows = []
                for lane in range(first, first + self.options.micro_batch):
                    pieces, following[lane] = next(windows[lane])
                    rows.append(pieces)
                yield _batch(rows, tuple(following))


def units(shards: Sequence[ShardReader], unit_tokens: int) -> list[Unit]:
    """Cut every document into units at file boundaries; a file larger than `unit_tokens` is a unit alone."""
    found: list[Unit] = []
    for number, shard in enumerate(shards):
        for row in shard.table.to_pylist():
            files = [
                (i, f["path"], f["content_id"], f["token_start"], f["token_start"] + f["token_count"])
                for i, f in enumerate(row["files"])
            ]
            # A unit starts with the <file_sep> before its first file; the first one with whatever opens the document.
            starts = [0]
            for i in range(1, len(files)):
                if files[i][4] - starts[-1] > unit_tokens:
                    starts.append(files[i][3] - 1)
            for start, end in zip(starts, [*starts[1:], row["token_count"]], strict=True):
                inside = tuple(f for f in files if start <= f[3] and f[4] <= end)
                is_code = row["source"] == "code"
                found.append(Unit(number, row["document"], row["repo_name"], start, end, inside, len(files), is_code))
    return found


def split(found: Sequence[Unit], held_out: float, seed: int) -> tuple[list[Unit], list[Unit]]:
    """Return (training, held-out) units; a repository is wholly in one of them, by a hash of its name."""
    train: list[Unit] = []
    held: list[Unit] = []
    for unit in found:
        (held if seeds.uniform(seed, "held_out", unit.repo_name) < held_out else train).append(unit)
    return train, held


def prefetched(batches: Iterator[Batch], ahead: int) -> Iterator[Batch]:
    """Yield the same batches, made `ahead` in a thread: FIM's tokenization overlaps the step. Errors are raised here."""
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


def _batch(rows: list[list[tuple[np.ndarray, Unit, int]]], following: tuple[Position, ...]) -> Batch:
    def joined(arrays: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(arrays).astype(np.int64)

    tokens = np.stack([joined([ids for ids, _, _ in pieces]) for pieces in rows])
    documents = np.stack([joined([np.full(len(ids), i) for i, (ids, _, _) in enumerate(pieces)]) for pieces in rows])
    positions = np.stack([joined([np.arange(len(ids)) for ids, _, _ in pieces]) for pieces in rows])
    return Batch(tokens, documents, positions, tuple(unit for pieces in rows for _, unit, _ in pieces), following)
