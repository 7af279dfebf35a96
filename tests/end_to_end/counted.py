"""What Beam counted of a stage on any runner, and what its sidecars say that it should have."""

from collections import Counter
from typing import ClassVar

import apache_beam as beam
from apache_beam.metrics import MetricsFilter
from apache_beam.runners.runner import PipelineResult

from starmill.core.dataset import Workspace
from starmill.pipelines import stages
from starmill.pipelines.runners.flink import Flink
from starmill.pipelines.runners.local import Local
from starmill.pipelines.stages import STAGES

# What a stage moved, and dedup compared: no dataset holds that.
INSIDE = {"dedup/files", "dedup/candidates", "dedup/joined_again", *(f"{stage}/shuffled/bytes" for stage in STAGES)}


class Keeping:
    """A runner that keeps the results of its pipelines."""

    results: ClassVar[list[PipelineResult]] = []

    def pipeline(self, parts: int) -> beam.Pipeline:
        pipeline = super().pipeline(parts)  # type: ignore[misc]
        run = pipeline.run

        def kept() -> PipelineResult:
            self.results.append(run())
            return self.results[-1]

        pipeline.run = kept
        return pipeline

    def counted(self, stage: str) -> Counter[str]:
        found = self.results[-1].metrics().query(MetricsFilter().with_namespace("starmill"))["counters"]
        counted: Counter[str] = Counter()
        for metric in found:
            assert metric.key.metric.name.startswith(f"{stage}/")
            counted[metric.key.metric.name] += metric.result
        return counted


class Kept(Keeping, Local):
    """Here."""


class KeptOnFlink(Keeping, Flink):
    """On a Flink."""


def published(counted: Counter[str]) -> Counter[str]:
    """The counts of what was published."""
    return +Counter({name: n for name, n in counted.items() if name not in INSIDE})


def of_sidecars(workspace: Workspace, stage: str) -> Counter[str]:
    """The same, from the sidecars that the stage's manifest holds."""
    manifest = workspace.manifest(stages.load(stage).dataset)
    assert manifest
    wanted = Counter({f"{stage}/parts": len(manifest.parts)})
    for part in manifest.parts:
        for decided in part.counts:
            what = f"dropped/{decided.step}/{decided.reason}" if decided.reason else "kept"
            wanted[f"{stage}/{what}/files"] += decided.files
            wanted[f"{stage}/{what}/bytes"] += decided.bytes
        for output in part.outputs:
            dataset = output.path.rpartition("/")[0]
            wanted[f"{stage}/written/{dataset}/bytes"] += output.bytes
            wanted[f"{stage}/written/{dataset}/rows"] += output.rows or 0
    return +wanted
