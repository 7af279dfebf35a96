"""What torchrun and the batch systems start: `starmill train` as one rank, for a node that has the trainer alone."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from starmill.core.errors import StarmillError
from starmill.core.process import die_with
from starmill.trainer.start import start


def train(
    recipe: Annotated[str, typer.Argument()] = "tiny",
    workspace: str | None = None,
    output: str | None = None,
    sets: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE")] = None,
    processes: int = 1,
    fresh: Annotated[bool, typer.Option("--fresh")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run")] = False,
) -> None:
    """Train a model on shards, as one of torchrun's ranks; `starmill train --help` says what the options are."""
    raise typer.Exit(start(recipe, workspace, output, sets or [], processes, fresh, dry_run))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one training; return its exit status."""
    if "TORCHELASTIC_RUN_ID" in os.environ:  # a killed torchrun leaves no rank behind that writes
        die_with(os.getppid())
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(train)
    try:
        app(None if argv is None else list(argv), prog_name="python -m starmill.trainer")
    except SystemExit as done:
        return int(done.code or 0)
    except StarmillError as error:
        rank = os.environ.get("RANK")
        print(f"starmill: {f'rank {rank}: ' if rank else ''}{error}", file=sys.stderr)
        return error.status
    return 0


if __name__ == "__main__":
    sys.exit(main())
