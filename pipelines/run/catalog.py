"""Makes a catalog: one dataset after another, each a job over its parts, until a level has no row; then what a source reads.

A dataset whose parts are there with today's keys is not made again, so that a run that was killed goes on where it was.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from starmill.core.dataset import FORMAT, Count, LastRun, Manifest, StageName, Workspace
from starmill.core.errors import UsageError
from starmill.core.part import PartRef
from starmill.core.storage import Storage
from starmill.pipelines.run import keys
from starmill.pipelines.run.progress import say
from starmill.pipelines.run.stages import run as run_stage
from starmill.pipelines.runners.runner import Runner
from starmill.pipelines.sources.source import Source
from starmill.pipelines.sources.swh.catalog import MADE, Made
from starmill.pipelines.sources.swh.graph import Graph
from starmill.pipelines.sources.swh.reader import SoftwareHeritage
from starmill.pipelines.sources.swh.tables import Export, export
from starmill.pipelines.stages.catalog import LEVELS, MOST_ROOTS, Plan, stage_of
from starmill.pipelines.stages.catalog.exchange import NAME, Exchange
from starmill.pipelines.stages.catalog.frontier import level

ENTRIES = "directory_entry"
BUCKET_BYTES = 64 << 20  # of the table in the export, compressed, for a bucket; a worker holds some ten times as much
MOST_BUCKETS = 1 << 16


@dataclass(frozen=True)
class Size:
    """What a dry run says of a table: its files and their bytes."""

    table: str
    files: int
    bytes: int


def planned(
    sources: Mapping[str, Source],
    name: str | None,
    buckets: int | None = None,
    shares: int = 1,
    most_roots: int = MOST_ROOTS,
    graph: str | None = None,
) -> Plan:
    """Return the plan of the catalog of one source of a recipe, by default of its only one of this kind.

    `graph`: `host:port` of a compressed graph's server, which gives the directories in place of the export's table.

    Raises UsageError for a source that is none of this kind or has nowhere to keep a catalog, InputError for a damaged export.
    """
    found = {n: s for n, s in sources.items() if isinstance(s, SoftwareHeritage) and name in (None, n)}
    if len(found) != 1:
        swh = [n for n, s in sources.items() if isinstance(s, SoftwareHeritage)]
        if not swh:
            raise UsageError("catalog: the recipe has no source of kind swh; name one below `sources`, or give another recipe")
        wrong = "several sources of kind swh" if name is None else f"no source of kind swh is called '{name}'"
        raise UsageError(f"catalog: {wrong}; give --source one of: {', '.join(swh)}")
    [(name, source)] = found.items()
    if source.catalog is None:
        raise UsageError(
            f"catalog: sources.{name}.catalog is not set; give --set sources.{name}.catalog=PLACE, a folder or URL"
        )
    if buckets is not None and buckets & (buckets - 1):
        raise UsageError(f"--buckets {buckets}: give a power of two")
    read, place = export(source.export), Workspace(source.catalog)
    if graph is None:
        read.require(ENTRIES)
    if buckets is None:  # with a graph by the contents, whose part of a bucket is then the larger one
        size = sum(s.bytes for s in sizes(read) if s.table == (ENTRIES if graph is None else "content"))
        buckets = min(MOST_BUCKETS, 1 << max(4, (size // BUCKET_BYTES).bit_length()))
    # Workers have another folder.
    local = replace(read, url=Storage(read.url).root) if Storage(read.url).is_local else read
    return Plan(
        Workspace(place.root) if place.is_local else place,
        local,
        buckets,
        shares,
        most_roots,
        None if graph is None else Graph(graph),
    )


def sizes(read: Export) -> list[Size]:
    """Return the files and bytes of each table that is read."""
    storage, found = Storage(read.url), list[Size]()
    for table in dict.fromkeys(table for table, _, _ in read.files):
        names = {path.rpartition("/")[2] for path in read.paths(table)}
        folder = read.paths(table)[0].rpartition("/")[0]
        found.append(Size(table, len(names), sum(f.size for f in storage.listing(folder) if f.name in names)))
    return found


def lines(plan: Plan) -> Iterator[str]:
    """Yield what a dry run prints: what would be read, and which datasets are there."""
    yield f"catalog {plan.workspace.root}: {plan.buckets:,} buckets, {plan.shares:,} shares of origins"
    if plan.graph is not None:
        yield f"graph {plan.graph.server}: the directories at or below the roots, in place of the table {ENTRIES}"
    for size in sizes(plan.export):
        if size.table == ENTRIES and plan.graph is not None:
            continue
        yield f"table {size.table:<20} {size.files:6,} files {size.bytes / 1e6:12,.1f} MB"
    for name in (*(e.dataset for e in (*plan.tables(), *plan.traversed())), "levels", *(e.dataset for e in plan.ends(0))):
        first = level(0) if name == "levels" else name
        state = "to be made" if plan.workspace.manifest(first) is None else "made, if nothing has changed"
        yield f"dataset {name:<12} {state}"


def run(plan: Plan, runner: Runner, quiet: bool = False) -> Made:
    """Make the catalog. Raises StageError, UsageError for a runner that cannot."""
    if not runner.sees_this_machine and (Storage(plan.export.url).is_local or plan.workspace.is_local):
        raise UsageError(
            "catalog: the runner's workers do not see the folders of this machine; give URLs as export and catalog"
        )
    if not runner.waits:
        raise UsageError("catalog: each job depends on what the one before found, so that none can be made from a template")
    made = [*datasets(plan, runner, quiet)]
    plan.workspace.publish_last_run(LastRun(tuple(StageName(m.dataset, m.dataset) for m in made), 0))
    finished = Made(plan.export.state, plan.buckets, made[-1].digest)
    if plan.workspace.load(MADE, Made) != finished:
        plan.workspace.publish(MADE, (json.dumps({"format": FORMAT, **asdict(finished)}, indent=1) + "\n").encode())
    return finished


def datasets(plan: Plan, runner: Runner, quiet: bool) -> Iterator[Manifest]:
    """Make the datasets, and yield the manifest of each. A dataset's key counts those that it is made of."""
    made: dict[str, Manifest] = {}
    # Something, so that what is begun is known as no folder of an index.
    plan.workspace.publish_last_run(LastRun(tuple(StageName(e.dataset, e.dataset) for e in plan.tables()), 0))
    for exchange in plan.tables():
        yield _make(plan, exchange, [plan.export.state], runner, quiet, made)
    number = 0
    while True:
        needs = ["directories", level(number - 1)] if number else ["heads"]
        yield _make(plan, plan.level(number), needs, runner, quiet, made)
        if number == 0 and plan.graph is not None:
            needs = [level(0), plan.export.state, plan.graph.state()]
            for exchange in plan.traversed():
                yield _make(plan, exchange, needs, runner, quiet, made)
        if number == LEVELS or not rows(made[level(number)]):
            break
        number += 1
    for exchange in plan.ends(number + 1):
        yield _make(plan, exchange, [*made], runner, quiet, made)


def _make(
    plan: Plan, exchange: Exchange, needs: Sequence[str], runner: Runner, quiet: bool, made: dict[str, Manifest]
) -> Manifest:
    stage = stage_of(exchange)
    version = keys.version(replace(stage, name=NAME))  # of the package that makes all of them
    shape = (plan.buckets, plan.shares, plan.most_roots)
    key = keys.key(version, exchange.dataset, *shape, *(made[n].digest if n in made else n for n in needs))
    refs = [PartRef(part, key) for part in range(plan.parts(exchange.dataset))]
    before = plan.workspace.manifest(exchange.dataset)
    if before is None or before.key != keys.key(version, [key] * len(refs)):
        plan.workspace.remove(MADE)  # until the end: it may not outlive what it says is there
    found = run_stage(plan.workspace, stage, refs, exchange, runner, version, quiet=quiet)
    assert found is not None
    made[exchange.dataset] = found
    say(quiet, f"{exchange.dataset:<9} {rows(found):,} rows; {moved(found).files:,} moved, {moved(found).bytes / 1e6:,.1f} MB")
    return found


def rows(made: Manifest) -> int:
    """Return the rows of a dataset."""
    return sum(part.outputs[0].rows or 0 for part in made.parts)


def moved(made: Manifest) -> Count:
    """Return the rows and bytes that were moved for a dataset."""
    counts = [count for part in made.parts for count in part.counts]
    return Count("moved", "", "", sum(c.files for c in counts), sum(c.bytes for c in counts))
