"""A driver whose curate has a step that is stuck for ever on records with `slow` in their path, with Python's lock held.

`ingest` as fourth argument: its ingest, whose reader is stuck for ever in the repository `three`. `all`: every stage, of which dedup and
the training of the tokenizer take some seconds with a text that says so.
"""

import ctypes
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pyarrow as pa

from starmill.core import watch
from starmill.pipelines.kinds import KINDS, Kind
from starmill.pipelines.recipe import Recipe
from starmill.pipelines.run.stages import run_stage
from starmill.pipelines.runners import choose
from starmill.pipelines.sources.folders import Folders
from starmill.pipelines.sources.source import Entry, Limits, Repository, Snapshot
from starmill.pipelines.stages import STAGES, vocabulary
from starmill.pipelines.stages.ingest import Ingest
from starmill.transforms.dedup import verify
from starmill.transforms.step import Rule


@dataclass(frozen=True)
class Stuck(Rule):
    """Judges by the path, and never ends where it says `slow`."""

    reads: ClassVar[tuple[str, ...]] = ("path",)
    name: str = "stuck"

    def judge(self, path: str) -> str | None:
        """Drop what is odd."""
        if "slow" in path:
            ctypes.PyDLL(None).sleep(1000)
        return "odd" if "odd" in path else None


@dataclass(frozen=True, kw_only=True)
class StuckFolders(Folders):
    """Folders of which one is never read to its end."""

    def read(self, repository: Repository, limits: Limits) -> tuple[Snapshot, Iterator[Entry]]:
        """Read all others."""
        if repository.name == "three":
            ctypes.PyDLL(None).sleep(1000)
        return super().read(repository, limits)


@dataclass(frozen=True)
class WithStuck(Recipe):
    """A recipe whose curate is that step, and whose measure is nothing."""

    @property
    def table(self) -> Mapping[str, Kind]:
        """The one kind."""
        return {"code": replace(KINDS["code"], measure=lambda on: (), decide=lambda on: (Stuck(),))}


def options(place: str, dump: str) -> WithStuck:
    """Return the recipe: a part a repository, two seconds a record."""
    return WithStuck(place, {"input": Folders(roots=(dump,))}, Ingest(part_bytes=1), max_record_seconds=2)


def read(place: str, dump: str, workers: int) -> None:
    """Make ingest, two seconds a repository."""
    sources = {"input": StuckFolders(roots=(dump,))}
    run_stage("ingest", replace(options(place, dump), sources=sources, max_repository_seconds=2), choose((), workers))


def mill(place: str, dump: str, workers: int) -> None:
    """Make curate and what it needs; the stages before it in this process."""
    for name, several in (("ingest", 1), ("measure", 1), ("curate", workers)):
        run_stage(name, options(place, dump), choose((), several))


def mill_slowly(place: str, dump: str, workers: int) -> None:
    """Make all stages in this process, and name what takes a second."""

    def shingle_sets(files: Iterable[int], texts: pa.Array, words: int) -> dict[int, np.ndarray]:
        linger(texts.to_pylist())
        return shingled(files, texts, words)

    def train(texts: Iterable[str], vocab_size: int, more: Sequence[str] = ()) -> bytes:
        return trained((text for text in texts if linger([text])), vocab_size, more)

    watch.NAMED_SECONDS = 1.0
    shingled, verify.shingle_sets = verify.shingle_sets, shingle_sets
    trained, vocabulary.train = vocabulary.train, train
    made = Recipe(place, {"input": Folders(roots=(dump,))}, tokenizer=vocabulary.TokenizerOptions(vocab_size=300))
    made = replace(made, minhash=replace(made.minhash, threshold=0.5))
    for name in STAGES:
        run_stage(name, made, choose((), 1))


def linger(texts: list[str]) -> bool:
    """Take some seconds with a text that says so, with Python's lock held."""
    if any("linger" in text for text in texts):
        ctypes.PyDLL(None).sleep(4)
    return True


if __name__ == "__main__":
    import stuck_step  # not __main__: the workers know this module by its name

    made = {"ingest": stuck_step.read, "all": stuck_step.mill_slowly}.get(sys.argv[4] if sys.argv[4:] else "", stuck_step.mill)
    made(sys.argv[1], sys.argv[2], int(sys.argv[3]))
