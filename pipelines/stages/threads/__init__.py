"""Hours of GHArchive sorted by repository and thread on any runner, for more hours than the index of one machine takes.

It is no stage of a recipe's run, because a recipe only reads it: its datasets lie in a workspace of their own. A part of days is read
once, and written once, sorted; texts travel through storage only. What is small is exchanged: ids, names, times.
"""

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import apache_beam as beam

from starmill.core import recipe
from starmill.core.dataset import Workspace
from starmill.core.part import PartRef
from starmill.pipelines.sources.gharchive.reading import Listed
from starmill.pipelines.stages.catalog.exchange import Exchange
from starmill.pipelines.stages.stage import Build, Stage
from starmill.pipelines.stages.threads.days import DATASET, NAME, Days
from starmill.pipelines.stages.threads.facts import KnownOf, Names, Repositories
from starmill.transforms.beam import ProcessParts, references

INPUTS = 1024  # that a job reads, at most; each is the work of one worker
DAY = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})-", re.ASCII)  # how the name of an hour begins
LAST = "repositories"


@dataclass(frozen=True)
class Plan:
    """How hours are sorted: into `buckets` of repositories, a power of two; a part reads `days` days."""

    workspace: Workspace
    hours: str
    listed: tuple[Listed, ...]
    buckets: int
    days: int
    max_hour_bytes: int

    def groups(self) -> list[list[Listed]]:
        """Return the hours of each part, in order of the days; what has no day in its name is the last part."""
        groups: dict[int, list[Listed]] = defaultdict(list)
        for found in self.listed:
            groups[self._group(found.hour.name)].append(found)
        return [groups[number] for number in sorted(groups)]

    def _group(self, name: str) -> int:
        try:
            found = DAY.match(name)
            return date(*map(int, found.groups())).toordinal() // self.days if found else date.max.toordinal()
        except ValueError:
            return date.max.toordinal()

    def refs(self) -> list[PartRef]:
        """Return the parts of days, whose keys are what they depend on beside the code."""
        return [
            PartRef(
                part, recipe.digest(self.buckets, [found.hour for found in group]), json.dumps([found.file for found in group])
            )
            for part, group in enumerate(self.groups())
        ]

    def first(self) -> Build:
        """Return the graph that makes days: one worker for each part."""
        work = Days(self.workspace, self.hours, self.buckets, self.max_hour_bytes)

        def graph(pipeline: beam.Pipeline, due: Sequence[PartRef]) -> beam.PCollection:
            return pipeline | references(due) | ProcessParts(work)

        return graph

    def exchanges(self) -> list[Exchange]:
        """Return what is made of days, in order."""
        step = max(1, self.buckets // INPUTS)
        some = tuple(f"{n} {n + step}" for n in range(0, self.buckets, step))
        days = tuple(str(part) for part in range(len(self.groups())))
        works = (("known", days, KnownOf), ("names", some, Names), (LAST, some, Repositories))
        return [
            Exchange(self.workspace, dataset, inputs, work.schemas, work.read, work.write, NAME)
            for dataset, inputs, work in ((name, given, cls(self.workspace, self.buckets)) for name, given, cls in works)
        ]


def stage_of(dataset: str, graph: Build) -> Stage:
    """Return a dataset as the stage that run/stages.py runs; it is called as its dataset is."""
    return Stage(dataset, dataset, (), reads=lambda options: (), graph=lambda *_: graph, sketch=lambda *_: graph)


__all__ = ["DATASET", "LAST", "NAME", "Plan", "stage_of"]
