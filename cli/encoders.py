"""Train what finds names and passwords: annotated texts, planted ones, and a tagger fine-tuned on them."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from starmill.cli import options
from starmill.core.files import refuse_below_file
from starmill.core.terminal import say

TaggerRecipe = Annotated[
    str, typer.Argument(metavar="RECIPE", help=options.RECIPE_HELP, autocompletion=options.shipped("encoders"))
]


def plant(
    planted: Annotated[Path, typer.Argument(metavar="FILE", help="The JSONL file to write.")],
    folders: Annotated[list[str], typer.Argument(metavar="DIR...", help="Folders of code and conversations (.txt).")],
    count: Annotated[int, typer.Option(min=1, max=10**7, help="How many texts to make.")] = 20_000,
    split: Annotated[
        Literal["train", "test"], typer.Option(help="Formats and names to train on, or those to measure by.")
    ] = "train",
    seed: options.Seed = 0,
) -> None:
    """Plant personal data of every type into real texts: a set to train and to measure a tagger by.

    Its columns are those of bigcode/bigcode-pii-dataset, which is gated.
    """
    with options.needs("trainer"):
        from starmill.trainer.encoders import examples
        from starmill.trainer.encoders import plant as planting

    refuse_below_file("FILE", planted)
    with options.files():
        some = [*planting.passages(planting.files(folders), seed)]
        made = planting.plant(planting.mixed(some), count, split, seed)
        examples.write(planted, made)
    say(f"{planted}: {len(made):,} texts, {sum(len(one.spans) for one in made):,} planted values, of {len(some):,} passages")


def tagger(recipe: TaggerRecipe = "starpii-tiny", output: options.Output = None, sets: options.Sets = None) -> None:
    """Fine-tune a tagger (StarPII) on annotated texts, and show its scores on held-out ones.

    `release.redact.model` of a data recipe names the folder that it writes.
    """
    with options.needs("trainer"):
        from starmill.trainer.encoders.recipe import load

        wanted = load(recipe, sets or [], output)
        refuse_below_file("output", wanted.output)
        from starmill.trainer.encoders import train as training  # PyTorch, which takes seconds

    with options.files():
        found = training.train(wanted)
    say(*training.table(found), f"model: {wanted.output}")
