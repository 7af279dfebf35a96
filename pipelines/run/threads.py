"""Sorts hours of GHArchive: days first, each part once; then what all days say of each repository.

A part that is there with today's key is not made again, so that a run that was killed goes on where it was, and new hours cost their own
parts of days and what is made of ids.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace

from starmill.core import recipe
from starmill.core.dataset import FORMAT, LastRun, Manifest, StageName, Workspace
from starmill.core.errors import InputError, UsageError
from starmill.core.part import PartRef
from starmill.core.storage import Storage
from starmill.pipelines.run import keys
from starmill.pipelines.run.progress import say
from starmill.pipelines.run.stages import run as run_stage
from starmill.pipelines.runners.runner import Runner
from starmill.pipelines.sources.gharchive.reader import GHArchive
from starmill.pipelines.sources.gharchive.reading import listed
from starmill.pipelines.sources.gharchive.sorted import MADE, Made, state_of
from starmill.pipelines.sources.source import Source
from starmill.pipelines.stages.stage import Build
from starmill.pipelines.stages.threads import DATASET, NAME, Plan, stage_of

BUCKET_BYTES = 512 << 20  # of hours, compressed, for a bucket; docs/scale.md says what that is in a worker
LEAST_BUCKETS, MOST_BUCKETS = 4, 1 << 14


def planned(sources: Mapping[str, Source], name: str | None, buckets: int | None = None, days: int = 1) -> Plan:
    """Return how the hours of one source of a recipe are sorted, by default of its only one of this kind.

    Raises UsageError for a source that is none of this kind or has nowhere to sort to, InputError where there is no hour.
    """
    found = {n: s for n, s in sources.items() if isinstance(s, GHArchive) and name in (None, n)}
    if len(found) != 1:
        ours = [n for n, s in sources.items() if isinstance(s, GHArchive)]
        if not ours:
            raise UsageError(
                "threads: the recipe has no source of kind gharchive; name one below `sources`, or give another recipe"
            )
        wrong = "several sources of kind gharchive" if name is None else f"no source of kind gharchive is called '{name}'"
        raise UsageError(f"threads: {wrong}; give --source one of: {', '.join(ours)}")
    [(name, source)] = found.items()
    if source.threads is None:
        change = f"--set sources.{name}.threads=PLACE --set sources.{name}.index=null"
        raise UsageError(f"threads: sources.{name}.threads is not set; give {change}, PLACE a folder or URL")
    if buckets is not None and buckets & (buckets - 1):
        raise UsageError(f"--buckets {buckets}: give a power of two")
    storage, place = Storage(source.hours), Workspace(source.threads)
    hours = listed(storage, source.max_hour_bytes)
    if not hours:
        raise InputError(f"sources.{name}.hours: {source.hours}: no hour lies there; give a folder or URL of hours")
    before = place.load(MADE, Made)
    if buckets is None and before is not None:
        buckets = before.buckets  # other ones would sort every hour again
    elif buckets is None:
        size = sum(found.size for found in hours)
        buckets = min(MOST_BUCKETS, max(LEAST_BUCKETS, 1 << (size // BUCKET_BYTES).bit_length()))
    # Workers have another folder.
    local = storage.root if storage.is_local else source.hours
    return Plan(Workspace(place.root) if place.is_local else place, local, tuple(hours), buckets, days, source.max_hour_bytes)


def lines(plan: Plan) -> Iterator[str]:
    """Yield what a dry run prints: what would be read, into how many parts, and which datasets are there."""
    groups = plan.groups()
    size, most = sum(found.size for found in plan.listed), max(sum(found.size for found in group) for group in groups)
    yield f"threads {plan.workspace.root}: {len(groups):,} parts of days, {plan.buckets:,} buckets"
    yield f"hours {len(plan.listed):,} files {size / 1e6:,.1f} MB, at most {most / 1e6:,.1f} MB a part"
    due = sum(not plan.workspace.is_done(DATASET, ref.part, ref.key) for ref in keyed(plan))
    yield f"dataset {DATASET:<12} {due:,} of {len(groups):,} parts to be made"
    for exchange in plan.exchanges():
        state = "to be made" if plan.workspace.manifest(exchange.dataset) is None else "made, if nothing has changed"
        yield f"dataset {exchange.dataset:<12} {state}"


def run(plan: Plan, runner: Runner, quiet: bool = False) -> Made:
    """Sort the hours. Raises StageError, UsageError for a runner that cannot."""
    if not runner.sees_this_machine and (Storage(plan.hours).is_local or plan.workspace.is_local):
        raise UsageError("threads: the runner's workers do not see the folders of this machine; give URLs as hours and threads")
    if not runner.waits:
        raise UsageError("threads: each job depends on what the one before made, so that none can be made from a template")
    names = (DATASET, *(exchange.dataset for exchange in plan.exchanges()))
    plan.workspace.publish_last_run(LastRun(tuple(StageName(name, name) for name in names), 0))
    manifests = [*datasets(plan, runner, quiet)]
    digest = recipe.digest(manifests[0].digest, manifests[-1].digest)
    made = Made(state_of([found.hour for found in plan.listed]), plan.buckets, len(plan.groups()), digest)
    _publish(plan, made)
    return made


def _publish(plan: Plan, made: Made) -> None:
    if plan.workspace.load(MADE, Made) != made:
        plan.workspace.publish(MADE, (json.dumps({"format": FORMAT, **asdict(made)}, indent=1) + "\n").encode())


def datasets(plan: Plan, runner: Runner, quiet: bool) -> Iterator[Manifest]:
    """Make the datasets, and yield the manifest of each."""
    made = [_make(plan, DATASET, plan.first(), keyed(plan), runner, quiet)]
    size, lost = (
        sum(c.bytes if kept else c.files for p in made[0].parts for c in p.counts if bool(c.reason) is not kept)
        for kept in (True, False)
    )
    stored = sum(o.bytes for p in made[0].parts for o in p.outputs)
    say(
        quiet,
        f"{DATASET:<12} {size / 1e6:,.1f} MB of events, {stored / 1e6:,.1f} MB sorted; {lost:,} lines or hours are damaged",
    )
    yield made[0]
    for exchange in plan.exchanges():
        key = keys.key(_version(), exchange.dataset, plan.buckets, *(m.digest for m in made))
        refs = [PartRef(part, key) for part in range(plan.buckets)]
        made.append(_make(plan, exchange.dataset, exchange, refs, runner, quiet))
        moved = [c for p in made[-1].parts for c in p.counts]
        rows, size = sum(p.outputs[0].rows or 0 for p in made[-1].parts), sum(c.bytes for c in moved)
        say(quiet, f"{exchange.dataset:<12} {rows:,} rows; {sum(c.files for c in moved):,} moved, {size / 1e6:,.1f} MB")
        yield made[-1]


def _version() -> str:
    """Return the version of the package that makes all of them."""
    return keys.version(replace(stage_of(NAME, _nothing), name=NAME))


def _nothing(*_: object) -> None:
    return None


def keyed(plan: Plan) -> list[PartRef]:
    """Return the parts of days with their keys."""
    return [ref._replace(key=keys.key(_version(), DATASET, ref.key)) for ref in plan.refs()]


def _make(plan: Plan, dataset: str, graph: Build, refs: list[PartRef], runner: Runner, quiet: bool) -> Manifest:
    before = plan.workspace.manifest(dataset)
    if before is None or before.key != keys.key(_version(), [ref.key for ref in refs]):
        _publish(plan, Made("", plan.buckets, 0, ""))  # until the end: it may not say of other files that they are there
    found = run_stage(plan.workspace, stage_of(dataset, graph), refs, graph, runner, _version(), quiet=quiet)
    assert found is not None
    return found
