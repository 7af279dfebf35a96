"""Dry runs: the parts of a run, the graph that a runner would get, and what each rule or threshold would drop."""

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TypeVar

from apache_beam.portability.api import beam_runner_api_pb2

from starmill.core.dataset import Workspace
from starmill.core.errors import UsageError
from starmill.core.part import PartRef
from starmill.pipelines import stages
from starmill.pipelines.recipe import Recipe
from starmill.pipelines.run import job, rules
from starmill.pipelines.run.place import complete
from starmill.pipelines.runners.runner import Runner
from starmill.pipelines.stages import curate, dedup, ingest
from starmill.pipelines.stages.dedup import preview as thresholds
from starmill.reports.cleaned import is_cleaned

R = TypeVar("R")


def translate(name: str, options: Recipe, runner: Runner) -> beam_runner_api_pb2.Pipeline:
    """Return a stage's graph as a cluster would get it, over two parts that need not exist. Sends and reads nothing."""
    pipeline = runner.pipeline(2)
    stages.load(name).sketch(options, Workspace(options.workspace))(pipeline, [PartRef(part, "") for part in range(2)])
    return pipeline.run().job.proto_pipeline


def overview(options: Recipe) -> dict[str, Any]:
    """Return what a run of the recipe would do, as plain data: the parts of its sources, and which stages are complete already."""
    workspace, parts = Workspace(options.workspace), []
    for part, planned in enumerate(ingest.plan(options)):
        repositories = planned.repositories
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
    notes = [f"source {name}: {note}" for name in sorted(options.sources) for note in options.sources[name].notes()]
    if not parts:
        notes.append("nothing to read: these sources have no repositories, or all are left out; a run would end with an error")
    return {"workspace": workspace.root, "parts": parts, "notes": notes, "stages": states}


def preview(name: str, options: Recipe, runner: Runner) -> tuple[dict[str, Any], list[str]]:
    """Return what each threshold or rule of a stage would drop, as plain data and as lines; nothing for a stage that has none.

    Raises UsageError before the stage that made the dataset is complete, and where `starmill clean` emptied what is read.
    """
    if name not in (dedup.STAGE.name, curate.STAGE.name):
        return {}, []
    workspace, stage = Workspace(options.workspace), stages.load(name)
    refs = [PartRef(p.part, "") for p in complete(workspace, stage.needs[-1], name).parts]
    if gone := next((dataset for dataset in stage.needs if is_cleaned(workspace, dataset)), None):
        raise UsageError(f"{name}: `starmill clean` emptied {workspace.path(gone)}; run `starmill run` first")
    named = runner.named(workspace.root, f"{name}-dry-run")
    if stage is dedup.STAGE:
        job.run(
            "dry run",
            refs,
            lambda pipeline, due: thresholds.build(pipeline, workspace, due, options.minhash),
            named,
            quiet=True,
        )
        removed = taken(workspace, thresholds.REPORT, thresholds.Removed)
        return {"thresholds": [asdict(r) for r in removed]}, thresholds.table(removed)
    of_kinds = curate.rules_of(options)
    job.run("dry run", refs, lambda pipeline, due: rules.build(pipeline, workspace, due, of_kinds), named, quiet=True)
    dropped = taken(workspace, rules.REPORT, rules.Dropped)
    return {"rules": [asdict(d) for d in dropped]}, rules.table(dropped)


def taken(workspace: Workspace, report: str, row: Callable[..., R]) -> list[R]:
    """Take a report out of the workspace, and return its rows."""
    rows = [row(**values) for values in json.loads(workspace.read(report))]
    workspace.remove(report)
    return rows
