"""Publish a dataset with its card."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from starmill.cli import options
from starmill.core.errors import Interrupted
from starmill.core.terminal import say

if TYPE_CHECKING:
    from starmill.core.dataset import Workspace
    from starmill.reports.datacard import Facts

FILE_BYTES = 1 << 30  # of text in a file


def datacard(
    recipe: options.DataRecipe = "smoke",
    workspace: options.Place = None,
    sets: options.Sets = None,
    as_json: options.Json = False,
) -> None:
    """The data card: what a dataset has, how it was made, its terms, what was left out."""
    from starmill.reports import datacard as card

    place, method, found = Known.of(recipe, workspace, sets)
    told = card.data(place, found, method) if as_json else {}
    options.show(as_json, told, () if as_json else card.text(place, found, method).split("\n"))


def publish(
    recipe: options.DataRecipe = "smoke",
    target: Annotated[
        str, typer.Option("--to", metavar="DIR|hf://OWNER/NAME", help="A folder, or a data set of a hub (token: HF_TOKEN).")
    ] = "published",
    workspace: options.Place = None,
    sets: options.Sets = None,
    file_bytes: Annotated[
        int, typer.Option("--file-bytes", min=1 << 10, max=1 << 40, help="Bytes of text in a Parquet file.")
    ] = FILE_BYTES,
    no_notices: Annotated[bool, typer.Option("--no-notices", help="Leave the texts of licences out.")] = False,
    for_everyone: Annotated[
        bool, typer.Option("--public", help="A new data set of a hub is for everyone (default: private).")
    ] = False,
    quiet: options.Quiet = False,
    dry_run: options.DryRun = False,
    as_json: options.Json = False,
) -> None:
    """Write the dataset as a Hugging Face folder: Parquet by kind and language, card, Croissant, licences, SWHIDs."""
    told = Told.of(recipe, target, workspace, sets, file_bytes, no_notices, for_everyone, quiet, dry_run)
    options.show(as_json, told.data, told.lines)


class Known(NamedTuple):
    """A recipe's workspace, how it was made, and what is counted of its dataset."""

    place: "Workspace"
    method: dict[str, Any]
    facts: "Facts"

    @classmethod
    def of(cls, recipe: str, workspace: str | None, sets: list[str] | None) -> "Known":
        """Read a recipe, and count."""
        from starmill.reports import datacard as card

        with options.needs("pipelines"):
            from starmill.pipelines import recipe as recipes
            from starmill.pipelines.run.method import method

        wanted = recipes.load(recipe, sets or [], [], workspace)
        place = options.place_of(wanted.workspace, recipe, None)
        with options.files():
            told = method(wanted, place)
            # An address to write to is meant to be read; all else that is from a recipe or a dump is shown as a view shows it.
            return cls(place, {**options.labels(raw=False).shown(told), "card": told["card"]}, card.facts(place, "card"))


class Told(NamedTuple):
    """What was planned or published, for programs and for people."""

    data: dict[str, Any]
    lines: list[str]

    @classmethod
    def of(
        cls,
        recipe: str,
        target: str,
        workspace: str | None,
        sets: list[str] | None,
        file_bytes: int = FILE_BYTES,
        no_notices: bool = False,
        for_everyone: bool = False,
        quiet: bool = False,
        dry_run: bool = False,
        known: Known | None = None,
    ) -> "Told":
        """Plan, or publish, a workspace; `known` is what was counted of it already. Raises Interrupted."""
        from starmill.reports import croissant, targets
        from starmill.reports import datacard as card
        from starmill.reports import publish as publishing

        with options.needs("pipelines"):
            place_to = targets.target_of(target, private=not for_everyone)
        place, method, found = known or Known.of(recipe, workspace, sets)
        with options.files():
            planned = publishing.plan(place, found.manifest, place_to, file_bytes, not no_notices)
        if dry_run:
            told = publishing.data(planned, target)
            return cls(told, _planned_lines(told))

        def cards(made: Sequence[publishing.Made]) -> dict[str, bytes]:
            return {
                "README.md": card.text(place, found, method, planned.files, made).encode(),
                "croissant.json": croissant.text(card.about(found, method), planned.files, made),
            }

        def told_line(line: str) -> None:
            if not quiet:
                say(line, to=sys.stderr, flush=True)

        try:
            with options.files():
                made = publishing.publish(place, planned, place_to, cards, options.labels(raw=False), told_line)
        except KeyboardInterrupt:
            raise Interrupted("stopped; what is finished is kept: run the same command to continue") from None
        new = sum(one.made and "/" in one.path for one in made)
        size, gone = sum(one.bytes for one in made), len(planned.stale)
        said = f"{target}: {len(made):,} files, {size:,} bytes; {new:,} of them made now, {gone:,} removed"
        return cls(publishing.data(planned, target, made), [said])


def _planned_lines(told: dict[str, Any]) -> list[str]:
    lines = [f"{'there' if file['there'] else 'to be made'}  {file['path']}" for file in told["files"]]
    return [*lines, *(f"to be removed  {name}" for name in told["remove"]), f"nothing was written to {told['to']}"]
