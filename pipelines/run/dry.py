"""What a run would do, without doing it: its parts, the graph that a runner would get, and what each threshold of dedup would remove."""

from typing import Any

from apache_beam.portability.api import beam_runner_api_pb2

from starmill.core.dataset import Workspace
from starmill.pipelines import stages
from starmill.pipelines.recipe import Recipe
from starmill.pipelines.run import job
from starmill.pipelines.run.stages import complete
from starmill.pipelines.runners.runner import Runner
from starmill.pipelines.stages import ingest
from starmill.pipelines.stages.dedup import preview
from starmill.transforms.beam import PartRef


def translate(name: str, options: Recipe, runner: Runner) -> beam_runner_api_pb2.Pipeline:
    """Return a stage's graph as a runner elsewhere would get it, over two parts that need not be. Sends and reads nothing."""
    pipeline = runner.pipeline(2)
    stages.load(name).sketch(options, Workspace(options.workspace))(pipeline, [PartRef(part, "") for part in range(2)])
    return pipeline.run().job.proto_pipeline


def plan(options: Recipe) -> dict[str, Any]:
    """Return what a run of the recipe would do, as plain data: the parts of its source, and which stages are complete already."""
    workspace, parts = Workspace(options.workspace), []
    for part, planned in enumerate(ingest.plan(options.source)):
        repositories = ingest.repositories_of(planned)
        size = sum(r.size_bytes for r in repositories)
        ends = {"first": repositories[0].name, "last": repositories[-1].name}
        parts.append({"part": part, "repositories": len(repositories), "bytes": size, **ends})
    states = [
        {
            "stage": stage.name,
            "complete": workspace.manifest(stage.dataset) is not None,
            "folder": workspace.path(stage.dataset),
        }
        for stage in map(stages.load, stages.STAGES)
    ]
    return {"workspace": workspace.root, "parts": parts, "stages": states}


def thresholds(options: Recipe, runner: Runner) -> list[preview.Removed]:
    """Return what each threshold of dedup would remove; the first row is of all files. Raises UsageError before curate is complete."""
    workspace = Workspace(options.workspace)
    refs = [PartRef(p.part, "") for p in complete(workspace, "curated", "dedup").parts]
    named = runner.named(workspace.root, "dedup-dry-run")
    job.run("dry run", refs, lambda pipeline, due: preview.build(pipeline, workspace, due, options.minhash), named, quiet=True)
    return preview.taken(workspace)
