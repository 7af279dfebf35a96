"""Train what scores texts: a small linear model over n-grams or over an encoder's states, fitted on labelled examples."""

from pathlib import Path
from typing import Annotated

import typer

from starmill.cli import options
from starmill.core.files import refuse_below_file


def score_train(
    scorer: Annotated[Path, typer.Argument(metavar="MODEL", help="The file to write: a scorer, as safetensors.")],
    examples: Annotated[
        list[str],
        typer.Argument(metavar="EXAMPLES...", help="Lines of JSON: `text`, and `label` (0 or 1) or `score` (a number)."),
    ],
    held_out: Annotated[float, typer.Option(min=0, max=0.9, help="Share of the texts to measure by.")] = 0.1,
    bits: Annotated[int, typer.Option(min=8, max=24, help="2**BITS weights, of four bytes each.")] = 18,
    ngrams: Annotated[int, typer.Option(min=1, max=5, help="Tokens of the longest n-gram.")] = 2,
    l2: Annotated[
        float | None,
        typer.Option(min=0, max=1e6, help="Penalty: a larger one makes a duller scorer. Default: 1e-7, with an encoder 1e-3."),
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER", help="Fit a head over this encoder, such as StarEncoder, in place of n-grams; needs torch."
        ),
    ] = None,
    seed: options.Seed = 0,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Fit a scorer of texts on labelled examples, and show what it gets right of those that were held out.

    `measure.score.model` of a data recipe names the file; the score is a column, for curate.signals and mix.weights to decide by.
    """
    with options.needs("pipelines"):
        from starmill.pipelines.run.progress import say as tell
        from starmill.pipelines.scoring.train import Options, train

    refuse_below_file("MODEL", scorer.parent)
    with options.files():
        made = train(scorer, examples, Options(seed, held_out, bits, ngrams, l2, encoder), lambda said: tell(quiet, said))
    found = ", ".join(f"{name} {'unknown' if v is None else f'{v:.4f}'}" for name, v in made["held_out_metrics"].items())
    of = f"{made['model']}: fitted on {made['examples'] - made['held_out']:,} examples with a {made['of']}"
    lines = [f"{of}, loss {made['loss']:.4f} after {made['iterations']} iterations", f"{made['held_out']:,} held out: {found}"]
    options.show(as_json, made, lines)
