"""Look into a workspace."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from starmill.cli import options

if TYPE_CHECKING:
    from starmill.reports.query import Labels


def funnel(
    recipe: options.RecipeOption = "smoke",
    workspace: options.Place = None,
    sets: options.Sets = None,
    languages: options.Languages = 12,
    as_json: options.Json = False,
) -> None:
    """What each stage kept and dropped, and why."""
    from starmill.reports import funnel as report

    place = options.place_of(workspace, recipe, sets)
    if as_json:
        options.show(True, report.data(place), ())
    else:
        report.show(place, languages)


def report(
    place: Annotated[
        str | None, typer.Argument(metavar="WORKSPACE", help="The workspace: any fsspec URL (default: the recipe's).")
    ] = None,
    recipe: options.RecipeOption = "smoke",
    sets: options.Sets = None,
    page_at: Annotated[
        str, typer.Option("--output", help="The file to write: one page, which needs nothing beside it.")
    ] = "report.html",
    as_json: options.Json = False,
) -> None:
    """One page for a browser: the funnel, what left and why, thresholds, licences, duplicates, redactions.

    It reads the manifests, and a bounded sample of the parts, the same each time. With --json what the page shows is printed, and no page
    is written. Personal data in names and texts is replaced.
    """
    from pathlib import Path

    from starmill.core.errors import InputError, UsageError
    from starmill.core.files import refuse_below_file
    from starmill.core.terminal import say
    from starmill.reports import instructions
    from starmill.reports.page import document, gather

    refuse_below_file("--output", Path(page_at).parent)
    if Path(page_at).is_dir():
        raise UsageError(f"--output {page_at}: a folder, where a file is to be written; give another name")
    workspace = options.place_of(place, recipe, sets)
    labels = options.labels(raw=False)
    with options.files():
        if instructions.is_aligned(workspace):
            found, made = instructions.gather(workspace, labels), instructions.page
        else:
            found, made = gather.data(workspace, labels.shown), document.page
        if not found["stages"]:
            raise InputError(f"{workspace.root}: no stage is complete here; run `starmill run` first")
        if as_json:
            options.show(True, found, ())
            return
        page = made(found).encode()
        Path(page_at).parent.mkdir(parents=True, exist_ok=True)
        Path(page_at).write_bytes(page)
    say(f"{page_at}: {len(page) / 1e6:,.1f} MB; open it in a browser")


def mix(
    recipe: options.DataRecipe = "smoke",
    workspace: options.Place = None,
    sets: options.Sets = None,
    languages: options.Languages = 12,
    dry_run: options.DryRun = False,
    as_json: options.Json = False,
) -> None:
    """Records, bytes and tokens by kind and language: of the shards, or what the recipe would take.

    Before anything is tokenized, tokens are estimated. With --dry-run it is what the recipe would take, also where shards are there;
    nothing is made either way.
    """
    from starmill.reports import mixture as report

    with options.needs("pipelines"):
        from starmill.pipelines import recipe as recipes
        from starmill.pipelines.run import mixture

    wanted = recipes.load(recipe, sets or [], [], workspace)
    place = options.place_of(wanted.workspace, recipe, None)
    with options.files():
        table = (None if dry_run else report.of_shards(place)) or mixture.expected(wanted, place)
    options.show(as_json, report.data(place, table), report.lines(place, table, languages))


def why(
    file: Annotated[str, typer.Argument(help="swh:1:cnt:<hash>, a path, or repository:path.")],
    recipe: options.RecipeOption = "smoke",
    workspace: options.Place = None,
    sets: options.Sets = None,
    diff_lines: Annotated[
        int, typer.Option(min=0, max=10**6, help="Of the diff between a near duplicate and the kept file.")
    ] = 40,
    everywhere: Annotated[
        bool, typer.Option("--all", help="Every file that FILE names, however many parts of the workspace hold one.")
    ] = False,
    as_json: options.Json = False,
    raw: options.Raw = False,
) -> None:
    """One file's whole story; in a workspace of `starmill align`, that of the seeds that came from it."""
    import sys

    from starmill.reports import instructions
    from starmill.reports import why as report

    place = options.place_of(workspace, recipe, sets)
    if instructions.is_aligned(place):
        seeds = instructions.tell(place, file, options.labels(raw))
        options.show(as_json, seeds, instructions.lines(seeds))
        return
    most = sys.maxsize if everywhere else report.MOST_PARTS
    told = report.tell(place, file, diff_lines, options.labels(raw), most)
    options.show(as_json, told, report.lines(told))


def locate(
    what: Annotated[
        str | None,
        typer.Argument(
            help="shard:token, shard:document:token, of a --training step:lane:token; or a file as `why` takes it (default: draw)."
        ),
    ] = None,
    recipe: options.RecipeOption = "smoke",
    workspace: options.Place = None,
    sets: options.Sets = None,
    nth: Annotated[int | None, typer.Option(min=0, max=2**62, metavar="TOKEN", help="Counted over all shards, from 0.")] = None,
    text: Annotated[str | None, typer.Option(help="The first tokens that hold this text.")] = None,
    training: Annotated[
        str | None,
        typer.Option(metavar="OUTPUT", help="The output of a training: a token of a step's batch, or the steps of a file."),
    ] = None,
    seed: options.Seed = 0,
    as_json: options.Json = False,
    raw: options.Raw = False,
) -> None:
    """The file that a training token came from, and the tokens of a file and the steps that read them."""
    from dataclasses import asdict

    from starmill.reports import locate as report

    labels = options.labels(raw)
    if training is not None:
        _locate_in_training(training, what, workspace, as_json, labels)
        return
    place = options.place_of(workspace, recipe, sets)
    if what is not None and not report.is_position(what):
        files = [report.shown(one, labels) for one in report.of_file(place, what, labels)]
        options.show(as_json, [asdict(one) for one in files], report.file_lines(files))
    else:
        token = report.shown(report.locate(place, what, nth, text, seed), labels)
        options.show(as_json, asdict(token), report.lines(token))


def _locate_in_training(output: str, what: str | None, workspace: str | None, as_json: bool, labels: "Labels") -> None:
    from dataclasses import asdict

    from starmill.core.dataset import Workspace
    from starmill.core.errors import UsageError
    from starmill.reports import locate as report

    if what is None:
        raise UsageError("--training: give step:lane:token, or a file; a token is not drawn from a training")
    with options.needs("trainer"):
        from starmill.trainer import trace
        from starmill.trainer.config import load
    recipe = load(output, [], workspace)
    place = Workspace(recipe.workspace)
    if report.is_position(what):
        step, lane, at = report.numbers(what)
        if at is None:
            raise UsageError(f"{what}: of a training a token is step:lane:token; step counts from 1, lane and token from 0")
        read = trace.token(recipe, step, lane, at)
        token = report.shown(report.locate(place, f"{read.shard}:{read.document}:{read.start}"), labels)
        said = f"step {step}, lane {lane}, token {at}"
        moved = [f"{said}: fill in the middle rearranged this file, and it is one of its tokens; the first one:"]
        told = {"step": step, "lane": lane, "window_token": at, "moved": read.moved, **asdict(token)}
        options.show(as_json, told, [*(moved if read.moved else [f"{said}:"]), *report.lines(token)])
        return
    files = report.of_file(place, what, labels)
    found = trace.steps(recipe, report.spans(place, files))
    shown = [report.shown(one, labels) for one in files]
    told = {"files": [asdict(one) for one in shown], "steps": trace.steps_data(found)}
    options.show(as_json, told, [*report.file_lines(shown), *trace.steps_lines(found, output)])


def sources(as_json: options.Json = False) -> None:
    """The kinds of sources that a recipe may name, with their options."""
    from starmill.core import recipe_page
    from starmill.pipelines.recipe import SOURCES

    told: list[dict[str, Any]] = []
    for one in SOURCES:
        gives = [*one.gives] if isinstance(one.gives, tuple) else []  # else what the recipe says
        told.append({"kind": one.kind, "gives": gives, "about": recipe_page.text(one), "options": recipe_page.fields(one)})
    lines = []
    for source in told:
        kinds = ", ".join(source["gives"]) or "the recipe's choice"
        lines += [
            f"kind: {source['kind']} gives records of kind {kinds}",
            *(f"  {line}" for line in source["about"].splitlines() if line),
        ]
        for field in source["options"]:
            meaning = field["meaning"] and f"  # {field['meaning']}"
            lines.append(f"    {field['key']}: {field['default']} ({field['type']}){meaning}".replace("`", ""))
    options.show(as_json, told, lines)


def status(
    recipe: options.RecipeOption = "smoke",
    workspace: options.Place = None,
    sets: options.Sets = None,
    as_json: options.Json = False,
) -> None:
    """How far each stage is, and how long the one at work will take."""
    from starmill.reports import status as report

    place = options.place_of(workspace, recipe, sets)
    if as_json:
        options.show(True, report.data(place), ())
    else:
        options.show(False, None, report.lines(place))


def contamination(
    at: options.At,
    benchmark: Annotated[
        list[str],
        typer.Option("--benchmark", metavar="PLACE", help="A file of tasks, DESCRIPTION=PLACE, or the name of one that ships."),
    ],
    shards: Annotated[bool, typer.Option("--shards", help="Decode the shards, also where dataset/ is there.")] = False,
    tasks: Annotated[int, typer.Option(min=0, max=10**6, help="How many tasks to list.")] = 12,
    only: Annotated[list[str] | None, typer.Option("--only", metavar="MATCHER", help="Look by this matcher alone.")] = None,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
    raw: options.Raw = False,
) -> None:
    """The texts of benchmarks in a finished data set or its shards, by benchmark and task."""
    import sys
    from dataclasses import fields

    from starmill.core.errors import UsageError
    from starmill.core.terminal import say
    from starmill.reports import contamination as report

    with options.needs("pipelines"):
        from starmill.pipelines.run import contamination as look
        from starmill.transforms.clean.overlap.index import Matchers

    switches = [field.name for field in fields(Matchers) if isinstance(field.default, bool)]
    if wrong := {*(only or [])} - {*switches}:
        raise UsageError(f"--only {min(wrong)}: no such matcher; give one of {', '.join(switches)}")
    matchers = Matchers(**{name: name in only for name in switches}) if only else Matchers()
    place = options.place_of(at, "", None)

    def tell(done: int, parts: int) -> None:
        if not quiet:
            say(f"contamination {done}/{parts} parts", to=sys.stderr)

    with options.files():
        table = look.table(place, benchmark, matchers, look.SHARDS if shards else None, tell)
    told = report.data(place, table, options.labels(raw))
    options.show(as_json, told, report.lines(told, tasks))
