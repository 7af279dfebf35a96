"""Measure what milling costs, and reckon what it would."""

from pathlib import Path
from typing import Annotated

import typer

from starmill.cli import options
from starmill.core.errors import UsageError
from starmill.core.files import refuse_below_file
from starmill.core.terminal import say


def bench(
    recipe: options.DataRecipe = "smoke",
    inputs: options.Inputs = None,
    sets: options.Sets = None,
    megabytes: Annotated[
        float, typer.Option(min=0.001, max=1e6, help="Of the first sample; the second has four times as much.")
    ] = 8,
    rounds: Annotated[
        int,
        typer.Option(min=1, max=1000, help="Number of rounds, of which medians are taken: 3 on a machine that others share."),
    ] = 1,
    profile: Annotated[
        bool, typer.Option("--profile", help="Instead of rates, the costliest functions of each stage, by py-spy.")
    ] = False,
    rates: options.Rates = "runs/rates.json",
) -> None:
    """What each stage costs on this machine, measured on samples.

    Without --input, the samples are of this environment's packages.
    """
    if profile and rounds != 1:
        raise UsageError("--profile, --rounds: a profile is of one round; leave --rounds out")
    refuse_below_file("--rates", Path(rates).parent)
    if Path(rates).is_dir():
        raise UsageError(f"--rates: {rates}: a folder, where a file is to be written; give another name")
    with options.needs("pipelines"):
        from starmill.pipelines import recipe as recipes

        given = recipes.load(recipe, sets or [], inputs or [], None)  # refused before Beam is imported, which takes a second
        from starmill.pipelines.costs import bench as costs

    wanted = costs.packages_unless(inputs or [], given)
    if profile:
        from starmill.pipelines.costs import profile as profiles

        say(*profiles.table(profiles.profile(wanted, megabytes, lambda line: say(line, flush=True))))
        return
    found = costs.bench(wanted, megabytes, lambda line: say(line, flush=True), rounds)
    with options.files():
        Path(rates).parent.mkdir(parents=True, exist_ok=True)
        Path(rates).write_text(found.to_json())
    say(*costs.table(costs.largest(found.observations)))


def estimate(
    recipe: options.DataRecipe = "smoke",
    *,
    files: Annotated[float, typer.Option(min=1, max=1e15, help="Of the dump.")],
    size: Annotated[float, typer.Option("--bytes", min=1, max=1e18, help="Of the dump, uncompressed.")],
    workers: Annotated[int, typer.Option(min=1, max=10**6, help="Processes at work at once.")],
    repositories: Annotated[
        float | None, typer.Option(min=1, max=1e15, help="Of the dump (default: as many for its files as the bench's had).")
    ] = None,
    duplicates: Annotated[
        float | None,
        typer.Option(min=0, max=0.999, help="The share of files that dedup removes (default: as in the bench's sample)."),
    ] = None,
    latency: Annotated[float, typer.Option(min=0, max=3600, help="Seconds that a bucket takes to answer; 0 is a disk.")] = 0,
    sets: options.Sets = None,
    rates: options.Rates = "runs/rates.json",
    as_json: options.Json = False,
) -> None:
    """What a recipe would cost for so many files, from the rates of bench."""
    with options.needs("pipelines"):
        from starmill.pipelines import recipe as recipes
        from starmill.pipelines.costs.rates import load

        wanted, found = recipes.load(recipe, sets or [], [], None), load(rates)
        from starmill.pipelines.costs import estimate as reckon

    dump = reckon.Dump(files, size, repositories, duplicates)
    costs = reckon.estimate(found, wanted, dump, workers, latency)
    limits = reckon.limits(found, wanted, costs)
    lines = (*reckon.table(costs, workers), *reckon.limit_lines(limits))
    options.show(as_json, reckon.data(costs, workers) | {"limits": limits}, lines)
