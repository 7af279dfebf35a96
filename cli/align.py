"""Teach a model by what it writes itself: instructions and responses, verified by their own tests."""

import hashlib
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from starmill.cli import options
from starmill.core.errors import UsageError
from starmill.core.files import refuse_below_file
from starmill.core.terminal import seldom

if TYPE_CHECKING:
    from starmill.alignment.ask import Folder
    from starmill.alignment.commits.recipe import CommitsRecipe
    from starmill.alignment.recipe import AlignRecipe
    from starmill.evaluation.run.endpoint import Endpoint

Recipe = Annotated[str, typer.Argument(metavar="RECIPE", help=options.RECIPE_HELP, autocompletion=options.shipped("align"))]


def align(
    recipe: Recipe,
    workspace: options.Place = None,
    sets: options.Sets = None,
    dry_run: options.DryRun = False,
    as_if: Annotated[
        int | None, typer.Option("--as-if", min=1, max=10**10, help="With --dry-run: the cost for so many seeds.")
    ] = None,
    workers: options.Workers = None,
    unsafe: options.Unsafe = False,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Make instructions of a model's own answers that pass their own tests, or of commits.

    A run that was stopped, or whose budget is spent (status 4), goes on where it was: nothing that was answered is asked again.
    """
    if as_if is not None and not dry_run:
        raise UsageError("--as-if is of --dry-run; give both, or leave it out")
    with options.needs("trainer"), options.files():
        from starmill.alignment import card
        from starmill.alignment import run as running
        from starmill.alignment.languages import refuse_absent
        from starmill.alignment.recipe import AlignRecipe, load

        wanted = load(recipe, sets or [], workspace)
        refuse_below_file("workspace", wanted.workspace)
        if not isinstance(wanted, AlignRecipe):
            if as_if is not None:
                raise UsageError(f"--as-if is of recipes that ask a model, and {recipe} asks none; leave it out")
            _of_commits(wanted, dry_run, quiet, as_json)
            return
        if dry_run:
            _show_cost(wanted, as_if, as_json)
            return
        running.seed_files(wanted)  # before a model is loaded
        refuse_absent(wanted.languages)
        from starmill.evaluation.sandbox.judge import Judge, installed
        from starmill.pipelines.benchmarks import index
        from starmill.transforms.clean.decontaminate import Decontaminate

        blob = index(wanted.benchmarks)
        boxes: list[Judge] = []

        def judge() -> Judge:
            there = installed(sys.executable, wanted.verify.libraries)
            boxes.append(Judge(workers or os.cpu_count() or 1, [*there], unsafe))
            return boxes[0]

        try:
            done = running.run(
                wanted,
                _model(wanted),
                judge,
                Decontaminate(blob).judge,
                hashlib.sha256(blob.encode()).hexdigest(),
                seldom(quiet),
            )
        finally:
            for box in boxes:
                box.__exit__()
    told = {
        "workspace": wanted.workspace,
        "stages": [asdict(step) for step in done.funnel],
        "asked": {**asdict(done.spent), "money": round(done.spent.money(wanted.prices), 4), "by_this_run": done.new},
    }
    lines = [*card.lines(done.funnel), f"{done.spent.requests:,} requests, {done.new:,} of them by this run"]
    options.show(
        as_json, told, [*lines, f"{wanted.workspace}/instructions has the pairs, preferences/ what passed and what failed"]
    )


def _of_commits(wanted: "CommitsRecipe", dry_run: bool, quiet: bool, as_json: bool) -> None:
    from starmill.alignment import card
    from starmill.alignment.commits import run as running
    from starmill.pipelines.benchmarks import index
    from starmill.transforms.clean.decontaminate import Decontaminate

    if dry_run:
        steps = [running.tried(wanted)]
        options.show(
            as_json,
            {"stages": [asdict(step) for step in steps]},
            [*card.lines(steps), "nothing is written, and no model is asked"],
        )
        return
    blob = index(wanted.benchmarks)
    made = running.run(wanted, Decontaminate(blob).judge, hashlib.sha256(blob.encode()).hexdigest(), seldom(quiet))
    told = {"workspace": wanted.workspace, "stages": [asdict(step) for step in made.funnel]}
    options.show(as_json, told, [*card.lines(made.funnel), f"{wanted.workspace}/instructions has the pairs"])


def _show_cost(wanted: "AlignRecipe", as_if: int | None, as_json: bool) -> None:
    from starmill.alignment import estimate, languages, run
    from starmill.alignment.stages import seeds_of

    known: set[str] = set()
    found = [
        row for name, read in run.seed_files(wanted).items() for row in seeds_of(name, read(), known, wanted.languages).kept
    ]
    shares = estimate.shares(wanted, run.prompts_of(wanted), found, as_if or len(found))
    absent = languages.absent(wanted.languages)
    told = {"seeds": as_if or len(found), "stages": [asdict(one) for one in shares], "together": estimate.whole(shares, wanted)}
    more = [f"not verified on this machine: {said}" for said in absent]
    options.show(as_json, told | ({"absent": absent} if absent else {}), [*estimate.lines(shares, wanted), *more])


def _model(wanted: "AlignRecipe") -> "Endpoint | Folder":
    if wanted.endpoint is not None:
        from starmill.evaluation.run.endpoint import Endpoint

        return Endpoint(wanted.endpoint, wanted.model, wanted.at_once, chat=wanted.chat)
    from starmill.evaluation.run.folder import model_of

    return model_of(Path(wanted.model), wanted.at_once, wanted.dtype)
