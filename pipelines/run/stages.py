"""Runs one stage: which of its parts are due, the job over them, progress from what gets published, the manifest last.

Progress is read from the workspace (published sidecars out of the run's parts), so that progress is the same on every runner.
A stage whose parts are all there is told so without Beam, whose import takes longer than all else together.
"""

import json
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from starmill.core import __version__, skips
from starmill.core.dataset import LastRun, Manifest, StageName, Workspace, at_once, part_path
from starmill.core.errors import UsageError
from starmill.core.part import PartRef
from starmill.pipelines import stages
from starmill.pipelines.recipe import Recipe
from starmill.pipelines.run import keys, withdrawn
from starmill.pipelines.run.place import complete
from starmill.pipelines.run.progress import say, watching
from starmill.pipelines.stages.stage import Build, Stage
from starmill.reports import settings
from starmill.reports.funnel import timings

if TYPE_CHECKING:
    from starmill.pipelines.run.finish import Finish
    from starmill.pipelines.runners.runner import Runner


def run_stage(name: str, options: Recipe, runner: "Runner | Callable[[], Runner]", quiet: bool = False) -> Manifest | None:
    """Run one stage of the recipe; return None for a job that nobody waits for. `runner`: or what makes the one of this machine,
    which is asked where a part is due.

    Raises UsageError where a stage before is not complete, StageError where a worker fails or too many files end as errors.
    """
    stage, workspace = stages.load(name), Workspace(options.workspace)
    withdrawn.refuse_unfinished(workspace, name)
    version = version_of(stage, options)
    skips.gather(workspace)  # what a run found that was killed
    refs = keyed(stage, options, workspace)
    if not stage.needs and due(workspace, stage, refs):
        withdrawn.refuse_again(workspace, name)
    publish_stages(workspace, len(refs))
    settings.publish(workspace, name, settings.plain(options))
    if callable(runner):
        _, manifest = _found(workspace, stage, refs, version)
        if manifest is not None:
            say(quiet, f"{name:<9} up to date: {len(refs)} parts")
            return manifest
        runner = runner()
    if stage.reads_this_machine(options) and not runner.sees_this_machine and due(workspace, stage, refs):
        raise UsageError(
            f"{name}: the runner's workers do not see the folders of this machine; run `starmill {name}` without a runner here, into "
            "the same workspace, then this command again"
        )
    return run(workspace, stage, refs, stage.graph(options, workspace), runner, version, options.max_error_rate, quiet)


def keyed(stage: Stage, options: Recipe, workspace: Workspace) -> list[PartRef]:
    """Return the parts of a stage with their keys. Raises UsageError where a stage before is not complete."""
    inputs = [complete(workspace, dataset, stage.name) for dataset in stage.needs]
    reads, steps = (*stage.reads(options), *stage.material(options, workspace)), stage.steps(options)
    refs, whole = stage.parts(options, workspace, inputs), tuple(m.known_as() for m in inputs) if stage.whole else ()
    kinds = stage.holds(refs, inputs) if steps else {}
    if unknown := sorted({kind for here in kinds.values() for kind in here} - {*steps}):
        raise UsageError(
            f"{stage.name}: {workspace.path(stage.needs[0])} has records of kind {', '.join(unknown)}, which starmill {__version__} "
            "does not know; use the version that made it"
        )
    said = {kind: [keys.said(maker) for maker in makers] for kind, makers in steps.items()}

    def key(ref: PartRef) -> str:
        here = kinds.get(ref.part, ())
        version = keys.version(stage, (maker for kind in here for maker in steps[kind]))
        return keys.key(version, *reads, *(said[kind] for kind in here), *(whole or (ref.key,)))

    return without_skipped(stage, workspace, [ref._replace(key=key(ref)) for ref in refs])


def without_skipped(stage: Stage, workspace: Workspace, refs: Sequence[PartRef]) -> list[PartRef]:
    """Return parts whose references and keys leave out the records of theirs that the workspace's list names. Raises InputError."""
    mine = [skip for skip in skips.read(workspace) if skip.stage == stage.name]
    if stage.whole:
        return list(refs)
    find = stage.listed or (lambda ref, listed: skips.held(workspace, part_path(stage.needs[0], ref.part), listed))
    held = at_once(lambda ref: find(ref, mine) if mine else [], refs)
    return [
        ref._replace(key=skips.key(ref.key, found), skips=skips.packed(found)) for ref, found in zip(refs, held, strict=True)
    ]


def version_of(stage: Stage, options: Recipe) -> str:
    """Return the digest of the code that makes a stage's parts of all kinds."""
    return keys.version(stage, (maker for makers in stage.steps(options).values() for maker in makers))


def due(workspace: Workspace, stage: Stage, refs: Sequence[PartRef]) -> list[PartRef]:
    """Return the parts that are to be made: those that are not there with their key; all of a whole stage if one is."""
    done = at_once(lambda r: workspace.is_done(stage.dataset, r.part, r.key), refs)
    missing = [ref for ref, is_done in zip(refs, done, strict=True) if not is_done]
    return list(refs) if missing and stage.whole else missing


def _found(workspace: Workspace, stage: Stage, refs: Sequence[PartRef], version: str) -> tuple[list[PartRef], Manifest | None]:
    """Return the parts of a stage that are due, and the manifest where none is and it is of these parts and this code."""
    missing, manifest = due(workspace, stage, refs), workspace.manifest(stage.dataset)
    is_made = not missing and manifest is not None and manifest.key == keys.key(version, [r.key for r in refs])
    return missing, manifest if is_made else None


def run(
    workspace: Workspace,
    stage: Stage,
    refs: Sequence[PartRef],
    build: Build,
    runner: "Runner",
    version: str,
    max_error_rate: float = 1.0,
    quiet: bool = False,
) -> Manifest | None:
    """Make every part of `refs` that is due, then the manifest. Raises StageError.

    Nobody waits for a job that is made from a template: its graph writes the manifest, and None is returned.
    """
    from starmill.pipelines.run import again, job

    name, dataset = stage.name, stage.dataset
    runner = runner.named(workspace.root, name)
    if waits := runner.make_room():  # before a look at what is there: a leftover job publishes parts
        say(quiet, f"{name:<9} {waits}")
    missing, manifest = _found(workspace, stage, refs, version)
    if manifest is not None:
        say(quiet, f"{name:<9} up to date: {len(refs)} parts")
        return manifest
    workspace.sweep(dataset, len(refs), {r.part for r in missing})
    started = time.monotonic()
    if missing and not runner.waits:
        job.run(name, missing, _finish(workspace, stage, refs, version, max_error_rate).after(build), runner, quiet)
        return None
    if missing:
        with watching(workspace, StageName(name, dataset), len(refs), quiet):
            due_now = lambda: due(workspace, stage, without_skipped(stage, workspace, refs))  # noqa: E731
            again.run(name, missing, workspace, due_now, build, runner, quiet)
    manifest = _finish(workspace, stage, without_skipped(stage, workspace, refs), version, max_error_rate)()
    _remember(workspace, name, time.monotonic() - started)
    return manifest


def publish_stages(workspace: Workspace, parts: int) -> None:
    """Publish the list of stages and the number of parts, for the views."""
    named = (stages.load(name) for name in stages.STAGES)
    workspace.publish_last_run(LastRun(tuple(StageName(s.name, s.dataset) for s in named), parts))


def _finish(workspace: Workspace, stage: Stage, refs: Sequence[PartRef], version: str, max_error_rate: float) -> "Finish":
    from starmill.pipelines.run.finish import MARK, Finish

    marks, stage_key = tuple(r.key[:MARK] for r in refs), keys.key(version, [r.key for r in refs])
    return Finish(workspace, stage.name, stage.dataset, stage_key, marks, version, max_error_rate)


def _remember(workspace: Workspace, stage: str, seconds: float) -> None:
    # Durations live apart from the datasets: they are never equal twice.
    times = timings(workspace)
    times[stage] = round(seconds, 2)
    workspace.publish("timings.json", json.dumps(times, indent=1).encode())
