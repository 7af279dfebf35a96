"""What a run would do, without doing it: its parts, the graph that a runner would get, and what each threshold of dedup would remove."""

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


def plan(options: Recipe) -> list[str]:
    """Return what a run of the recipe would do, as lines: the parts of its source, and which stages are complete already."""
    workspace, plans = Workspace(options.workspace), ingest.plan(options.source)
    lines = [f"workspace {workspace.root}"]
    for part, planned in enumerate(plans):
        repositories = ingest.repositories_of(planned)
        size, names = sum(r.size_bytes for r in repositories), f"{repositories[0].name} .. {repositories[-1].name}"
        lines.append(f"part {part:5d}  {len(repositories):6,} repositories {size / 1e6:10,.1f} MB  {names}")
    for stage in map(stages.load, stages.STAGES):
        state = "complete" if workspace.manifest(stage.dataset) else "to be made"
        lines.append(f"stage {stage.name:<9} {state} in {workspace.path(stage.dataset)}")
    return lines


def thresholds(options: Recipe, runner: Runner) -> list[str]:
    """Return what each threshold of dedup would remove, as lines of a table. Raises UsageError before curate is complete."""
    workspace = Workspace(options.workspace)
    refs = [PartRef(p.part, "") for p in complete(workspace, "curated", "dedup").parts]
    named = runner.named(workspace.root, "dedup-dry-run")
    job.run("dry run", refs, lambda pipeline, due: preview.build(pipeline, workspace, due, options.minhash), named, quiet=True)
    return preview.table(workspace)
