"""Take out of finished data what its owners want out."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from starmill.cli import options
from starmill.cli.publish import Told
from starmill.core.errors import InputError, Interrupted, NotThere
from starmill.core.terminal import say

if TYPE_CHECKING:
    from starmill.core.dataset import Workspace
    from starmill.pipelines.run.withdrawal.part import Change
    from starmill.transforms.decide.optout import OptOut

Files = dict[str, tuple[str, int]]


def withdraw(
    wishes: Annotated[str, typer.Argument(metavar="LIST", help="Who and what goes, as in curate.opt_out: a file or URL.")],
    at: options.At,
    trainings: Annotated[
        list[str] | None,
        typer.Option("--training", metavar="OUTPUT", help="Say in the attestation which steps of this training read it."),
    ] = None,
    published: Annotated[
        str | None, typer.Option("--published", metavar="DIR|hf://OWNER/NAME", help="What `publish` wrote, which follows.")
    ] = None,
    recipe: options.RecipeOption = "smoke",
    sets: options.Sets = None,
    workers: options.Workers = None,
    quiet: options.Quiet = False,
    dry_run: options.DryRun = False,
    as_json: options.Json = False,
) -> None:
    """Take what a list names out of finished shards, datasets and indexes, and attest it.

    WORKSPACE may be a copy that has shards/ and tokenizer/ alone. Only affected parts are written again. --recipe is for the card of what
    is --published.
    """
    place = options.place_of(at, "", None)
    if place.is_local and not Path(place.root).is_dir():
        raise NotThere(f"{place.root}: no such folder; give the one that `starmill run` filled, or a copy of its shards")
    with options.needs("pipelines"):
        from starmill.pipelines.run import interrupt
        from starmill.pipelines.run.withdrawal import withdraw as work
    with options.files():
        wanted, place = work.read(wishes), work.workspace_of(place)
        if dry_run:
            every = list(work.changes(place, wanted))
            told = _planned(every)
            options.show(as_json, told, _planned_lines(told, place.root))
            return
    follow = _Follow(published, recipe, str(place.url), sets) if published is not None else None
    runner = options.runner(None, workers, place.root)
    try:
        with options.files(), interrupt.at_work(place, True):
            made = work.withdraw(
                place, wanted, runner, lambda: _read_by(trainings or [], place, wanted), follow, _teller(quiet)
            )
    except KeyboardInterrupt:
        raise Interrupted("stopped; give the same list again to finish what was begun") from None
    if made is None:
        options.show(as_json, None, [f"{place.root}: nothing of what the list names is here; nothing was changed"])
        return
    options.show(as_json, made, _made_lines(made, place))


def attest(
    attestation: Annotated[str, typer.Argument(metavar="ATTESTATION", help="The file that `withdraw` wrote.")],
    attested: Annotated[
        str, typer.Argument(metavar="FOLDER", help="The workspace, a copy of its shards, or what was published.")
    ],
    as_json: options.Json = False,
) -> int:
    """Compare a folder with the attestation of a withdrawal, by the files alone."""
    from starmill.reports import attest as report

    place = options.place_of(attested, "", None)
    with options.files():
        with open(attestation, "rb") as file:
            data = file.read(report.LARGEST + 1)
        if len(data) > report.LARGEST:
            raise InputError(
                f"{attestation}: above {report.LARGEST >> 30} GiB, so no attestation; give the file that `withdraw` wrote"
            )
        if place.is_local and not Path(place.root).is_dir():
            raise NotThere(f"{place.root}: no such folder; give the one that the attestation is of")
        found = report.attest(report.read(data, attestation), place)
    options.show(as_json, report.data(found), report.lines(found, place.root))
    return 1 if found.wrong else 0


class _Follow:
    """What was published of a workspace: its files, and how it is published again."""

    def __init__(self, target: str, recipe: str, workspace: str, sets: list[str] | None) -> None:
        from starmill.reports import targets

        self.target, self._again = target, (recipe, target, workspace, sets)
        with options.needs("pipelines"), options.files():
            self._place = targets.target_of(target, private=True)
            if not self._place.there():
                raise NotThere(
                    f"--published {target}: nothing is published there; give the folder that `starmill publish` wrote"
                )

    def files(self) -> Files:
        """Return the digests of its files."""
        return {name: (held.sha256 or held.git, held.bytes) for name, held in self._place.there().items()}

    def again(self) -> None:
        """Publish again, with notices where there were some."""
        has_notices = any(name.startswith("notices/") for name in self._place.there())
        Told.of(*self._again, no_notices=not has_notices, quiet=True)


def _read_by(trainings: list[str], place: "Workspace", wanted: "OptOut") -> list[dict[str, Any]]:
    if not trainings:
        return []
    with options.needs("trainer"):
        from starmill.trainer import trace
        from starmill.trainer.config import load
    from starmill.pipelines.run.withdrawal import withdraw as work

    spans, told = work.spans(place, wanted), []
    for output in trainings:
        found = trace.steps(load(output, [], place.url), spans)
        told.append({"output": Path(output).name, "steps": trace.steps_data(found)})
    return told


def _teller(quiet: bool) -> Callable[[str], None]:
    return lambda line: None if quiet else say(line)


def _planned(every: "list[Change]") -> dict[str, Any]:
    records: dict[tuple[str, str], list[int]] = {}
    for made in every:
        for key, (files, size) in made.records.items():
            of = records.setdefault(key, [0, 0])
            of[:] = of[0] + files, of[1] + size
    return {
        "records": [{"kind": k, "reason": r, "files": n, "bytes": size} for (k, r), (n, size) in sorted(records.items())],
        "shards": {name: sum(getattr(made, name) for made in every) for name in ("documents", "files", "tokens")},
        "parts": [made.part for made in every],
        "rewritten": sorted(path for made in every for path in made.data),
        "removed": sorted(path for made in every for path in made.removed),
    }


def _removed_lines(records: list[dict[str, Any]], shards: dict[str, int]) -> list[str]:
    return [
        *(f"  {r['files']:>8,} {r['kind'] or 'unknown'} records, {r['bytes']:,} bytes: {r['reason']}" for r in records),
        f"  {shards['files']:>8,} files of shards, {shards['tokens']:,} tokens; {shards['documents']:,} documents are gone",
    ]


def _planned_lines(told: dict[str, Any], root: str) -> list[str]:
    if not told["parts"]:
        return [f"{root}: nothing of what the list names is here"]
    files = f"{len(told['rewritten']):,} files of {len(told['parts']):,} parts, {len(told['removed']):,} more would go"
    return [f"{root}: would write again {files}", *_removed_lines(told["records"], told["shards"]), "nothing was changed"]


def _made_lines(made: dict[str, Any], place: "Workspace") -> list[str]:
    changed = sum(f["before"] != f["after"] for f in made["files"])
    told = [f"{place.root}: withdrawn; {changed:,} of {len(made['files']):,} files changed"]
    told += _removed_lines(made["removed"]["records"], made["removed"]["shards"])
    for training in made["trainings"]:
        told.append(f"  {len({s['step'] for s in training['steps']}):>8,} steps of {training['output']} read it")
    return [*told, f"attestation: {place.path(made['attestation'])}"]
