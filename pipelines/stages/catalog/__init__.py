"""The catalog of a Software Heritage export: its tables joined on any runner, for exports that are too large for one machine.

It is no stage of a recipe's run, because a recipe only reads it: its datasets lie in a workspace of their own, and each is made as a
stage's is, from parts with keys, so that a run that was killed goes on in the dataset that it was making.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from starmill.core.dataset import Workspace
from starmill.pipelines.sources.swh.graph import Graph
from starmill.pipelines.sources.swh.tables import Export
from starmill.pipelines.stages.catalog.exchange import Exchange
from starmill.pipelines.stages.catalog.frontier import Files, Heads, Level, Roots, level
from starmill.pipelines.stages.catalog.graph import Traversed
from starmill.pipelines.stages.catalog.rows import DATASETS, Rows
from starmill.pipelines.stages.catalog.store import Contents, Directories
from starmill.pipelines.stages.stage import Stage

LEVELS = 64  # below a root: what git.walk opens
MOST_ROOTS = 1_000_000  # of a directory at a level, as The Stack v2 had it
INPUTS = 1024  # that a job reads, at most; each is the work of one worker
LAST = DATASETS[0]


@dataclass(frozen=True)
class Plan:
    """How a catalog is made: `buckets` of ids, a power of two up to 65,536; `shares` of origins, each read by one worker.

    `graph`: where its directories come from, in place of the export's table directory_entry.
    """

    workspace: Workspace
    export: Export
    buckets: int
    shares: int = 1
    most_roots: int = MOST_ROOTS
    graph: Graph | None = None

    def tables(self) -> list[Exchange]:
        """Return what is made of the export alone: directories (where no graph has them), contents and heads."""
        entries = self._files("directory_entry", "directory")
        directories = [self._exchange("directories", entries, Directories(self.export, self.buckets))]
        contents = self._files("content", "skipped_content")
        shares = [str(n) for n in range(self.shares)]
        return [
            *(directories if self.graph is None else ()),
            self._exchange("contents", contents, Contents(self.export, self.buckets)),
            self._exchange("heads", shares, Heads(self.export, self.shares)),
        ]

    def traversed(self) -> list[Exchange]:
        """Return what is made of the roots and the graph, where there is one: directories."""
        if self.graph is None:
            return []
        given = [*self._files("directory"), *(f"roots {some}" for some in self._some())]
        return [self._exchange("directories", given, Traversed(self.workspace, self.export, self.graph, self.buckets))]

    def level(self, number: int) -> Exchange:
        """Return how a level is made of the one before; the first one, of the heads."""
        if number == 0:
            return self._exchange(level(0), [str(n) for n in range(self.shares)], Roots(self.workspace, self.buckets))
        work = Level(self.workspace, self.buckets, number, self.most_roots)
        return self._exchange(level(number), self._some(), work)

    def ends(self, levels: int) -> list[Exchange]:
        """Return what is made of all levels: what is known of the files, and the rows that a source reads."""
        given = [f"{what} {some}" for what in ("trees", "files") for some in self._some()] + [f"heads 0 {self.shares}"]
        return [
            self._exchange("files", self._some(), Files(self.workspace, self.buckets, levels)),
            self._exchange(LAST, given, Rows(self.workspace, self.buckets, levels)),
        ]

    def parts(self, dataset: str) -> int:
        """Return how many parts a dataset has."""
        return self.shares if dataset == "heads" else self.buckets

    def _some(self) -> list[str]:
        """Return runs of buckets that are read together: the rows for another bucket are the more, the fewer there are."""
        step = max(1, self.buckets // INPUTS)
        return [f"{n} {n + step}" for n in range(0, self.buckets, step)]

    def _files(self, *tables: str) -> list[str]:
        return [f"{table} {path}" for table in tables for path in self.export.paths(table)]

    def _exchange(
        self,
        dataset: str,
        inputs: Sequence[str],
        work: Directories | Traversed | Contents | Heads | Roots | Level | Files | Rows,
    ) -> Exchange:
        return Exchange(self.workspace, dataset, tuple(inputs), work.schemas, work.read, work.write)


def stage_of(made: Exchange) -> Stage:
    """Return an exchange as the stage that run/stages.py runs; it is called as its dataset is."""
    graph = lambda *_: made  # noqa: E731
    return Stage(made.dataset, made.dataset, (), reads=lambda options: (), graph=graph, sketch=graph)
