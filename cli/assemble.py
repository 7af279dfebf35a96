"""Put a release together."""

from pathlib import Path
from typing import Annotated

import typer

from starmill.cli import options
from starmill.cli.publish import Known, Told
from starmill.core.errors import UsageError
from starmill.core.files import refuse_below_file


def assemble(
    recipe: options.DataRecipe = "smoke",
    weights_of: Annotated[
        str | None, typer.Option("--model", metavar="FOLDER", help="The model, as `export` wrote it, with its card.")
    ] = None,
    into: Annotated[str, typer.Option("--to", metavar="DIR", help="The folder of the release.")] = "released",
    compared: Annotated[
        str | None, typer.Option("--check", metavar="DIR", help="Is this release whole? Nothing is written.")
    ] = None,
    workspace: options.Place = None,
    sets: options.Sets = None,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> int:
    """One folder with dataset, model, cards, licence texts, portrait and index, or whether such a folder is whole.

    Portrait and fingerprints are those that `portrait` and `index` made of the workspace. What is there already is not written again.
    """
    from dataclasses import asdict

    from starmill.reports import governance
    from starmill.reports import release as made

    if compared is not None:
        with options.files():
            found = made.check(Path(compared))
        options.show(as_json, {**asdict(found), "whole": found.is_whole}, made.lines(found))
        return 0 if found.is_whole else 1
    if weights_of is None:
        raise UsageError("--model: give the folder of a model that `starmill export` wrote, or --check DIR")
    refuse_below_file("--to", into)
    to, model = Path(into), Path(weights_of)
    known = Known.of(recipe, workspace, sets)
    place, method, facts = known
    with options.needs("pipelines"):
        from starmill.transforms.attribution.lookup import Index
        from starmill.transforms.attribution.portrait import Portrait
        from starmill.transforms.attribution.search import Searcher
        from starmill.transforms.measure.license_texts import texts
    with options.files():
        made.model_files(model)  # what is missing is said before anything is written
        answers = made.indexes(place)
        # Each says where it is of an earlier release.
        Portrait(place)
        Index(place).partitions  # noqa: B018
        if "trigrams" in answers:
            Searcher(place)
        made.refuse_foreign(to)
    told = Told.of(recipe, str(to / made.DATA), workspace, sets, quiet=quiet, known=known)
    with options.files():
        made.copy_model(model, to)
        made.copy_indexes(place, answers, to)
        shown = options.labels(raw=False).shown
        licences = {shown(name): count for name, count in facts.licenses.items()}
        card = governance.text(place, facts, method, [*answers])
        made.put(to, {**made.licences(licences, texts(licences)), "GOVERNANCE.md": card.encode()})
        files = made.finish(to, method["card"]["name"], method["card"]["version"], facts.manifest.digest)
    size = sum(one.bytes for one in files)
    lines = [*told.lines, f"{into}: {len(files):,} files, {size:,} bytes; `starmill assemble --check {into}` compares them"]
    options.show(as_json, made.data(files, into), lines)
    return 0
