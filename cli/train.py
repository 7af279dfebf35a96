"""Train a model on shards, see what that costs, and publish what came of it."""

import re
from pathlib import Path
from typing import Annotated, Literal

import typer

from starmill.cli import launch as clusters
from starmill.cli import options
from starmill.core.errors import UsageError
from starmill.core.files import refuse_below_file
from starmill.core.terminal import say


def plan(
    recipe: options.TrainRecipe = "tiny",
    workspace: options.Place = None,
    sets: options.Sets = None,
    as_json: options.Json = False,
) -> None:
    """What a training would cost: parameters, FLOPs, memory of each layout, hours and energy.

    Shards are looked at where there are any.
    """
    with options.needs("trainer"):
        from starmill.trainer import plan as report
        from starmill.trainer.config import load

    wanted = load(recipe, sets or [], workspace)
    config, found = report.look(wanted)
    lines = [*report.lines(wanted, config), *(report.data_lines(wanted, found) if found else [])]
    options.show(as_json, report.data(wanted, config, found), lines)


def train(
    recipe: options.TrainRecipe = "tiny",
    workspace: options.Place = None,
    output: options.Output = None,
    sets: options.Sets = None,
    processes: Annotated[
        int, typer.Option(min=1, max=1024, help="Start this many ranks on this machine (torchrun does more).")
    ] = 1,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start again; removes the checkpoints in --output.")] = False,
    resume: Annotated[
        str | None, typer.Option("--resume", metavar="OUTPUT", help="Go on with the recipe that a training's output keeps.")
    ] = None,
    dry_run: options.DryRun = False,
) -> int:
    """Train a model on shards; stopped and started again, it goes on where it was."""
    if resume is not None:
        if not (Path(resume) / "recipe.yaml").is_file():
            raise UsageError(
                f"--resume {resume}: no recipe.yaml in it; give the output of a training, or its recipe and --output"
            )
        if fresh or output:
            raise UsageError(f"--resume {resume}: goes on in that folder; leave out {'--fresh' if fresh else '--output'}")
        recipe = resume
    with options.needs("trainer"):
        from starmill.trainer.start import start

        return start(recipe, workspace, output, sets or [], processes, fresh, dry_run)


def export(
    recipe: options.TrainRecipe = "tiny",
    workspace: options.Place = None,
    output: options.Output = None,
    sets: options.Sets = None,
    to: Annotated[Path | None, typer.Option(help="Folder to write (default: export/ in --output).")] = None,
    dtype: Annotated[
        Literal["bfloat16", "float16", "float32"], typer.Option(help="Type of the published weights.")
    ] = "bfloat16",
    license: Annotated[
        str | None,
        typer.Option(help="The model's, as the Hub spells it (default: bigcode-openrail-m; none for a tuned model)."),
    ] = None,
    checkpoints: Annotated[
        bool, typer.Option("--checkpoints", help="Every checkpoint that the run kept, in checkpoints/step-N.")
    ] = False,
    average: Annotated[
        bool, typer.Option("--average", help="The moving average of the weights (optimizer.average) in place of the last.")
    ] = False,
    push: Annotated[
        str | None,
        typer.Option(metavar="OWNER/NAME", help="Upload to the Hugging Face Hub; checkpoints become branches."),
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="A repository that --push makes is private otherwise.")] = False,
) -> None:
    """What one publishes of a training: weights, tokenizer, model card, notices.

    Give the training's output folder, which keeps its recipe; or the recipe and --set that it was trained with.
    """
    with options.needs("trainer"):
        from starmill.trainer.config import load
        from starmill.trainer.data.inputs import look

        wanted = load(recipe, sets or [], workspace, output)
        folder = to or Path(wanted.output) / "export"
        refuse_below_file("--to", folder)
        if push and not re.fullmatch(r"[\w.-]{1,96}/[\w.-]{1,96}", push):
            raise UsageError(f"--push {push}: give OWNER/NAME, such as my-team/my-model")
        look(wanted)
        from starmill.trainer import export as publish  # PyTorch, which takes seconds

    with options.files():
        told = publish.export(wanted, folder, publish.TYPES[dtype], license, checkpoints, average)
    say(*told)
    if push:
        say(*publish.push(folder, push, public))


def convert(
    there: Annotated[Path, typer.Argument(metavar="FROM", help="A .gguf file, or the folder of a model.")],
    here: Annotated[Path, typer.Argument(metavar="TO", help="The folder to write (weights in float32), or a .gguf file.")],
) -> None:
    """Read a model from llama.cpp's GGUF into a folder, as `starmill train` writes them, or write a folder as GGUF.

    The tokenizer and the chat template go along. Quantized weights are read at the values that they stand for.
    """
    refuse_below_file("TO", here)
    if (there.suffix == ".gguf") == (here.suffix == ".gguf"):
        raise UsageError(f"convert {there} {here}: one is a .gguf file, the other the folder of a model")
    with options.needs("trainer"):
        from starmill.model.exchange import folders, huggingface

        if here.suffix == ".gguf":
            config = folders.shape(there)
            folders.places_of(there, config)
    with options.needs("gguf"), options.files():
        from starmill.model.exchange import gguf, gguf_write

        if there.suffix == ".gguf":
            config = gguf.to_folder(there, here)
        else:
            gguf_write.write(huggingface.load(there), here, gguf_write.tokenizer_files(there), here.stem)
    from starmill.model.config import parameter_count

    say(f"{here}: {parameter_count(config):,} parameters, {config.layers} layers, {config.vocab_size:,} tokens")


def merge(
    original: Annotated[Path, typer.Argument(metavar="FROM", help="The folder of a model.")],
    adapter: Annotated[Path, typer.Argument(metavar="ADAPTER", help="The folder of a LoRA adapter, as peft saves it.")],
    merged: Annotated[Path, typer.Argument(metavar="TO", help="The folder to write, in the type of FROM's weights.")],
) -> None:
    """Add a LoRA adapter to the weights of the model that it is of. The tokenizer and the chat template go along."""
    refuse_below_file("TO", merged)
    with options.needs("trainer"):
        from starmill.model import adapters
        from starmill.model.exchange import folders, huggingface

        folders.places_of(original, folders.shape(original))
    decoder = huggingface.load(original)
    added = adapters.merge(decoder, adapter)
    with options.files():
        huggingface.save(decoder, merged, folders.tokenizer_files(original))
    say(f"{merged}: {original} with {added} matrices of {adapter}")


def trace(
    recipe: Annotated[str, typer.Argument(metavar="OUTPUT", help="The output of a training.")],
    step: Annotated[int | None, typer.Option(min=1, max=10**9, help="Number of the step, from 1.")] = None,
    withdrawn: Annotated[
        str | None,
        typer.Option(metavar="LIST", help="Which steps read what a list names, before it is withdrawn: a file or URL."),
    ] = None,
    workspace: options.Place = None,
    as_json: options.Json = False,
    raw: options.Raw = False,
) -> None:
    """The files that a step of a training read, by path and SWHID; or the steps that read what a list names."""
    if (step is None) == (withdrawn is None):
        raise UsageError("trace: give --step or --withdrawn, and not both")
    with options.needs("trainer"):
        from dataclasses import asdict

        from starmill.trainer import trace as report
        from starmill.trainer.config import load

        wanted = load(recipe, [], workspace)
        if step is not None:
            rows = report.trace(wanted, step)
            shown = options.labels(raw).shown
            options.show(
                as_json, {"step": step, "read": [shown(asdict(row)) for row in rows]}, map(shown, report.lines(step, rows))
            )
            return
    assert withdrawn is not None
    with options.needs("pipelines"):
        from starmill.core.dataset import Workspace
        from starmill.pipelines.run.withdrawal import withdraw
    with options.files():
        spans = withdraw.spans(Workspace(wanted.workspace), withdraw.read(withdrawn))
    found = report.steps(wanted, spans)
    options.show(as_json, {"steps": report.steps_data(found)}, report.steps_lines(found, recipe))


launch = clusters.launch  # slurm and kubernetes
