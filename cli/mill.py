"""Mill a dump of source code into tokenized shards, stage by stage."""

import functools
import inspect
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from starmill.cli import options
from starmill.core.errors import Interrupted, NotThere, UsageError
from starmill.core.recipe import override, read
from starmill.core.terminal import say
from starmill.pipelines.stages import STAGES, load

if TYPE_CHECKING:
    from starmill.pipelines.recipe import Recipe


def _mill(
    stages: tuple[str, ...],
    recipe: options.DataRecipe = "smoke",
    inputs: options.Inputs = None,
    workspace: options.Place = None,
    sets: options.Sets = None,
    workers: options.Workers = None,
    quiet: options.Quiet = False,
    no_funnel: Annotated[bool, typer.Option("--no-funnel", help="Do not print the funnel at the end.")] = False,
    dry_run: options.DryRun = False,
    as_json: options.Json = False,
    raw: options.Raw = False,
    beam: options.Beam = None,
) -> None:
    override(read(recipe), sets or [])  # before the libraries that the rest of it needs
    with options.needs("pipelines"):
        from starmill.pipelines import recipe as recipes
        from starmill.pipelines.run import place as places

    wanted = recipes.load(recipe, sets or [], inputs or [], workspace)
    # Beam takes a second to import, and is not asked where its options say nothing.
    runner = options.runner(beam, workers, wanted.workspace) if beam else None
    if runner is not None and runner.is_dry_run:
        from starmill.pipelines.run import dry
        from starmill.pipelines.runners.dataflow import describe

        for stage in stages:
            say(f"{stage:<9} dry run: {describe(dry.translate(stage, wanted, runner))}", flush=True)
        return
    if as_json and not dry_run:
        raise UsageError("--json shows what a --dry-run does; after a run, see `starmill funnel --json`")
    from starmill.core.dataset import Workspace

    place = Workspace(wanted.workspace)
    wanted = replace(wanted, workspace=place.root if place.is_local else wanted.workspace)  # workers have another cwd
    with options.files():
        places.check(place, wanted)
        if not load(stages[0]).needs:  # it reads sources
            places.check_inputs(wanted)
        for made in map(load, stages):  # what the last stage cannot use is told now, not after five
            made.steps(wanted)
            made.check(wanted)
        for dataset in load(stages[0]).needs:
            places.complete(place, dataset, stages[0])
    if dry_run:
        runner = runner or options.runner(beam, workers, wanted.workspace)
        from starmill.pipelines.run import dry

        planned = dry.overview(wanted)
        planned["parts"] = options.labels(raw).shown(planned["parts"])
        found, lines = dry.preview(stages[0], wanted, runner) if len(stages) == 1 else ({}, [])
        options.show(as_json, planned | found, [*_lines(planned), *lines])
        return
    from starmill.pipelines.run import interrupt
    from starmill.pipelines.run.stages import run_stage
    from starmill.reports import funnel

    local = functools.cache(lambda: options.runner(beam, workers, wanted.workspace))
    with options.files():
        place.probe()
    started = time.monotonic()
    try:
        with options.files(), interrupt.at_work(place, runner is None or runner.is_local):
            places.claim(place)
            for stage in stages:
                if run_stage(stage, wanted, runner or local, quiet) is None:
                    say(
                        f"{stage}: the job is written down; it ends the stage itself, and the next one can be launched after it"
                    )
                    return
    except KeyboardInterrupt:
        raise Interrupted("stopped; finished parts are kept: run the same command to continue") from None
    if not no_funnel:
        funnel.show(place)
    say(f"done in {time.monotonic() - started:.0f} s: {place.root}")


def _lines(planned: dict[str, Any]) -> Iterator[str]:
    yield f"workspace {planned['workspace']}"
    for p in planned["parts"]:
        size = f"{p['repositories']:6,} repositories {p['bytes'] / 1e6:10,.1f} MB"
        yield f"part {p['part']:5d}  {size}  {p['first']} .. {p['last']}"
    yield from planned["notes"]
    for s in planned["stages"]:
        yield f"stage {s['stage']:<9} {'complete' if s['complete'] else 'to be made'} in {s['folder']}"


def _command(name: str, stages: tuple[str, ...], text: str) -> Callable[..., None]:
    """Return the command that runs these stages: `_mill`, with its stages given."""

    def command(**values: Any) -> None:
        _mill(stages, **values)

    signature = inspect.signature(_mill)
    given = [p for p in signature.parameters.values() if p.name != "stages"]
    command.__signature__ = signature.replace(parameters=given)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in given} | {"return": None}
    command.__name__, command.__doc__ = name, text
    return command


run = _command("run", STAGES, "All stages, then the funnel. Beam's options follow `--`, untouched.")
# A new stage is a new command.
globals().update({stage: _command(stage, (stage,), f"The {stage} stage alone.") for stage in STAGES})


def seeds(
    recipe: options.DataRecipe = "seeds",
    workspace: options.Place = None,
    sets: options.Sets = None,
    workers: options.Workers = None,
    quiet: options.Quiet = False,
    dry_run: options.DryRun = False,
    as_json: options.Json = False,
    beam: options.Beam = None,
) -> None:
    """Documented functions of a finished dataset, as JSON lines: what a model writes instructions from."""
    last = next(place for place, stage in enumerate(STAGES) if load(stage).dataset == "dataset")
    _mill(STAGES[: last + 1], recipe, None, workspace, sets, workers, quiet, dry_run=dry_run, as_json=as_json, beam=beam)
    place = options.place_of(workspace, recipe, sets)
    if dry_run or (beam and place.manifest("dataset") is None):
        return
    from starmill.reports import seeds as written

    with options.files():
        made = written.write(place)
    say(f"{sum(one.seeds for one in made):,} seeds in {len(made):,} files: {place.root}/{written.FOLDER}")


def catalog(
    recipe: options.DataRecipe = "software-heritage",
    *,
    source: Annotated[
        str | None, typer.Option(help="The source of the recipe whose catalog to make (default: the only one of kind swh).")
    ] = None,
    buckets: Annotated[
        int | None,
        typer.Option(min=1, max=65_536, help="Parts of the catalog, a power of two (default: by the export's size)."),
    ] = None,
    shares: Annotated[
        int, typer.Option(min=1, max=4096, help="Parts of the origins: each reads all visits, branches and revisions.")
    ] = 1,
    graph: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="A server of swh-graph, which gives the directories in place of the table directory_entry.",
        ),
    ] = None,
    sets: options.Sets = None,
    workers: options.Workers = None,
    quiet: options.Quiet = False,
    dry_run: options.DryRun = False,
    beam: options.Beam = None,
) -> None:
    """The catalog of a Software Heritage export that is too large for one machine, on any runner."""
    with options.needs("pipelines"):
        from starmill.pipelines import recipe as recipes
        from starmill.pipelines.run import catalog as making

    wanted = recipes.load(recipe, sets or [], [], None)
    with options.files():
        plan = making.planned(wanted.sources, source, buckets, shares, graph=graph)
    _beside(making, plan, wanted, beam, workers, quiet, dry_run)


def threads(
    recipe: options.DataRecipe = "threads",
    *,
    of: Annotated[
        str | None,
        typer.Option(
            "--source", help="The source of the recipe whose hours to sort (default: the only one of kind gharchive)."
        ),
    ] = None,
    divisions: Annotated[
        int | None,
        typer.Option(
            "--buckets",
            min=1,
            max=65_536,
            help="Parts of the repositories, a power of two (default: those that are there, or by the hours' size).",
        ),
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=366, help="Days of hours that a worker sorts at once.")] = 1,
    sets: options.Sets = None,
    workers: options.Workers = None,
    quiet: options.Quiet = False,
    dry_run: options.DryRun = False,
    beam: options.Beam = None,
) -> None:
    """The hours of GHArchive sorted by repository and thread, for more of them than one machine takes, on any runner."""
    with options.needs("pipelines"):
        from starmill.pipelines import recipe as recipes
        from starmill.pipelines.run import threads as making

    wanted = recipes.load(recipe, sets or [], [], None)
    with options.files():
        plan = making.planned(wanted.sources, of, divisions, days)
    _beside(making, plan, wanted, beam, workers, quiet, dry_run)


def _beside(
    making: Any, plan: Any, wanted: "Recipe", beam: list[str] | None, workers: int | None, quiet: bool, dry_run: bool
) -> None:
    """Make what a recipe reads and no stage of it makes, in a workspace of its own. `making` is the module of run/ whose `plan` it is."""
    from starmill.pipelines.run import interrupt
    from starmill.pipelines.run import place as places

    with options.files():
        places.check(plan.workspace, wanted)
        if dry_run:
            for line in making.lines(plan):
                say(line)
            return
    runner = options.runner(beam, workers, plan.workspace.root)
    started = time.monotonic()
    try:
        with options.files(), interrupt.at_work(plan.workspace, runner.is_local):
            places.claim(plan.workspace)
            making.run(plan, runner, quiet)
    except KeyboardInterrupt:
        raise Interrupted("stopped; finished parts are kept: run the same command to continue") from None
    say(f"done in {time.monotonic() - started:.0f} s: {plan.workspace.root}")


def verify(
    recipe: options.DataRecipe = "smoke",
    *,
    stage: Annotated[str | None, typer.Option(help=f"The stage whose parts to make again: {', '.join(STAGES)}.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Compare every file of the workspace with its sha256 instead.")] = False,
    sample: Annotated[int, typer.Option(min=1, max=10**6, help="How many parts to make again.")] = 50,
    workspace: options.Place = None,
    sets: options.Sets = None,
    workers: options.Workers = None,
    quiet: options.Quiet = False,
    beam: options.Beam = None,
) -> int:
    """Whether today's code makes a stage's parts as they are, or whether all files are as published."""
    if (stage is None) is not every:
        raise UsageError(f"verify: give --all, or one --stage of: {', '.join(STAGES)}")
    if stage is not None and stage not in STAGES:
        raise UsageError(f"--stage {stage}: no such stage; give one of: {', '.join(STAGES)}")
    with options.needs("pipelines"):
        from starmill.pipelines import recipe as recipes
        from starmill.pipelines.run.place import complete

    wanted = recipes.load(recipe, sets or [], [], workspace)
    from starmill.core.dataset import Workspace

    place = Workspace(wanted.workspace)
    wanted = replace(wanted, workspace=place.root if place.is_local else wanted.workspace)
    if place.is_local and not Path(place.root).is_dir():
        raise NotThere(f"{place.root}: no such folder; give --workspace the one that `starmill run` filled")
    if stage is not None:
        complete(place, load(stage).dataset, "verify")
    runner = options.runner(beam, workers, wanted.workspace)
    from starmill.pipelines.run import interrupt
    from starmill.pipelines.run import verify as again

    with options.files(), interrupt.at_work(place, runner.is_local):
        if stage is None:
            compared = again.compare(place)
            say(f"{compared.files:,} files, {compared.bytes / 1e6:,.1f} MB compared: {len(compared.damaged)} are damaged")
            say(*compared.damaged, to=sys.stderr)
            return 1 if compared.damaged else 0
        found = again.verify(stage, wanted, runner, sample, quiet)
    if not found.parts:
        say(f"{stage}: up to date, nothing to verify")
    elif found.is_equal:
        say(f"{stage}: {len(found.parts)} parts made again have the same bytes; {found.rekeyed} parts have today's key")
    else:
        differing = ", ".join(map(str, found.differing))
        say(
            f"{stage}: {len(found.differing)} of {len(found.parts)} parts differ: {differing}; nothing was changed",
            to=sys.stderr,
        )
    return 0 if found.is_equal else 1


def clean(
    at: options.At,
    dry_run: options.DryRun = False,
    as_json: options.Json = False,
) -> None:
    """Remove what a finished run made before redaction: records, measures, curated texts."""
    place = options.place_of(at, "", None)
    if place.is_local and not Path(place.root).is_dir():
        raise NotThere(f"{place.root}: no such folder; give the one that `starmill run` filled")
    with options.needs("pipelines"):
        from starmill.pipelines.run import cleaning, interrupt

    with options.files():
        if dry_run:
            wanted = cleaning.planned(place)
        else:
            with interrupt.at_work(place, True):
                wanted = cleaning.planned(place)
                cleaning.clean(wanted)
    options.show(as_json, cleaning.data(wanted, not dry_run), cleaning.lines(wanted, not dry_run))


def pool(
    address: Annotated[str, typer.Option(help="host:port to listen at.")] = "127.0.0.1:50000",
    check: Annotated[
        bool, typer.Option("--check", help="Start none: see whether a pool there starts workers that connect.")
    ] = False,
) -> None:
    """A pool of Beam workers beside a Flink TaskManager."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or len(port) > 5 or int(port) > 65_535:
        raise UsageError(f"--address {address}: give host:port, the port from 0 (any) to 65,535, such as 127.0.0.1:50000")
    with options.needs("pipelines"):
        from starmill.pipelines.runners import flink
        from starmill.pipelines.runners import pool as workers

    if check:
        flink.check_pool(address, seconds=60, starts=True)
    else:
        workers.serve(address)
