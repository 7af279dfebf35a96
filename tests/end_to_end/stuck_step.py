"""A driver whose curate has a step that is stuck for ever on records with `slow` in their path, with Python's lock held."""

import ctypes
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from starmill.pipelines.kinds import KINDS, Kind
from starmill.pipelines.recipe import Recipe
from starmill.pipelines.run.stages import run_stage
from starmill.pipelines.runners import choose
from starmill.pipelines.sources.folders import Folders
from starmill.pipelines.stages.ingest import Ingest
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


def mill(place: str, dump: str, workers: int) -> None:
    """Make curate and what it needs; the stages before it in this process."""
    for name, several in (("ingest", 1), ("measure", 1), ("curate", workers)):
        run_stage(name, options(place, dump), choose((), several))


if __name__ == "__main__":
    import stuck_step  # not __main__: the workers know this module by its name

    stuck_step.mill(sys.argv[1], sys.argv[2], int(sys.argv[3]))
