"""Arguments and options that several commands share, each declared once with its one text; and what all commands do alike."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from starmill.core import names
from starmill.core.errors import InputError, MachineError, StarmillError, UsageError, is_of_the_machine
from starmill.core.files import refuse_below_file
from starmill.core.recipe import SHIPPED, RecipeError, convert, override, read
from starmill.core.terminal import log_errors, say

if TYPE_CHECKING:
    from starmill.core.dataset import Workspace
    from starmill.pipelines.runners.runner import Runner
    from starmill.reports.query import Labels


def shipped(folder: str) -> Callable[[str], list[str]]:
    def names(incomplete: str) -> list[str]:
        return sorted(p.stem for p in (SHIPPED / folder).glob(f"{incomplete}*.yaml"))

    return names


RECIPE_HELP = "YAML file, or the name of one that ships."
DataRecipe = Annotated[str, typer.Argument(metavar="RECIPE", help=RECIPE_HELP, autocompletion=shipped("data"))]
TrainRecipe = Annotated[str, typer.Argument(metavar="RECIPE", help=RECIPE_HELP, autocompletion=shipped("train"))]
RecipeOption = Annotated[
    str, typer.Option("--recipe", help="The recipe whose workspace to look into.", autocompletion=shipped("data"))
]
Sets = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a value of the recipe.")]
Place = Annotated[str | None, typer.Option("--workspace", help="The workspace: any fsspec URL (default: the recipe's).")]
At = Annotated[str, typer.Argument(metavar="WORKSPACE", help="The workspace: any fsspec URL.")]
Output = Annotated[
    str | None, typer.Option("--output", help="Where checkpoints, metrics and the model go (default: the recipe's).")
]
Inputs = Annotated[
    list[str] | None,
    typer.Option("--input", metavar="DIR...", help="Folders of checkouts or bare git repositories (default: the recipe's)."),
]
Model = Annotated[str, typer.Argument(help="Folder with config.json, model.safetensors and tokenizer.json.")]
Seed = Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Another number draws another sample.")]
Temperature = Annotated[
    float | None, typer.Option(min=0, max=100, help="0: the likeliest token each time (default: 0, or that of a task).")
]
TopP = Annotated[
    float | None,
    typer.Option(
        min=1e-6, max=1, help="Sample from the likeliest tokens that make this probability (default: 1, or a task's)."
    ),
]
MaxNewTokens = Annotated[
    int | None,
    typer.Option(min=1, max=1 << 24, help="The longest completion, in tokens (default: 64, in a chat 512, or that of a task)."),
]
Device = Annotated[str | None, typer.Option(help="Such as cpu (default: cuda where there is one).")]
Unsafe = Annotated[bool, typer.Option("--unsafe", help="Execute code even where the machine gives no isolation.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Languages = Annotated[int, typer.Option(min=0, max=10**6, help="How many languages to list.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and stop.")]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, max=1024, help="Local worker processes (default: one per core).")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress.")]
Rates = Annotated[str, typer.Option("--rates", help="The file of rates.")]
Beam = Annotated[list[str] | None, typer.Option("--beam", hidden=True)]  # what followed `--`: cli/__main__.py
Raw = Annotated[
    bool, typer.Option("--raw", help="Show e-mail and IP addresses and keys that are in names, texts and errors as they are.")
]
MAY_BE_EMPTY = "may be empty"  # marks an option whose text may be empty; any other is refused (cli/__main__.py)
Traceback = Annotated[bool, typer.Option("--traceback", help="Show where an error came from.")]


def show(as_json: bool, data: Any, lines: Iterable[str]) -> None:
    """Print a view: its data as JSON, or its lines for a person."""
    if as_json:
        say(*json.dumps(data, indent=2).split("\n"))
    else:
        for line in lines:
            say(line)


def labels(raw: bool) -> "Labels":
    """Return how a view calls repositories and paths, and all else that is from a dump: without personal data unless `raw`."""
    from starmill.reports.query import RAW, Labels
    from starmill.transforms.clean.redact import labels

    return Labels(RAW.shown if raw else labels.hidden, labels.aliases)


def hidden(said: str) -> str:
    """Return an error without e-mail addresses and keys: a name may be in it. An IP address is rather that of a machine."""
    from starmill.transforms.clean.redact import labels

    return labels.redacted(said, ip_addresses=False)


def place_of(workspace: str | None, recipe: str, sets: Sequence[str] | None) -> "Workspace":
    """Return the workspace to look into, read from the recipe alone: a view needs neither Beam nor the stages' options."""
    from starmill.core.dataset import Workspace

    place = workspace or override(read(recipe), sets or []).get("workspace")
    try:
        found = Workspace(convert(place, names.Place, "workspace"))
    except RecipeError:
        raise UsageError(f"{recipe}: workspace={place!r:.200}: give a folder or URL, here or with --workspace") from None
    if found.is_local:
        refuse_below_file("--workspace", found.root)
    return found


def runner(beam: Sequence[str] | None, workers: int | None, workspace: str) -> "Runner":
    """Import Beam; return the runner that its options name. Raises UsageError for one that cannot work."""
    with needs("pipelines"):
        from starmill.pipelines.runners import choose

        found = choose(tuple(beam or ()), workers or os.cpu_count() or 1)
    found.check(workspace)
    return found


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """In the block the imports of one extra are done: a missing library is told with what to install. Raises MachineError."""
    log_errors()
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "starmill":
            raise
        raise MachineError(
            f"this command needs {error.name}, which is not installed: pip install 'starmill[{extra}]'"
        ) from None


@contextmanager
def files() -> Iterator[None]:
    """In the block a user's file is read or written: one that cannot be is told, as InputError or MachineError."""
    try:
        yield
    except (StarmillError, BrokenPipeError):
        raise
    except OSError as error:
        kind = MachineError if is_of_the_machine(error) else InputError
        raise kind(
            f"{error.filename or 'input'}: {error.strerror or error}; mend that, then run the same command again"
        ) from error
