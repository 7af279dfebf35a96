"""What the launcher of the flex template runs: its parameters (infra/docker/metadata.json) become the command line of one stage.

A template makes one job and waits for none, so a launch is one stage; the job itself writes the manifest.
"""

import argparse
import sys
from collections.abc import Sequence

from starmill.cli import __main__ as cli
from starmill.pipelines.stages import STAGES


def parser() -> argparse.ArgumentParser:
    """Return the parser of the template's own parameters; what it does not know is Beam's."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)  # --stage is not short for --staging_location
    parser.add_argument("--stage", choices=STAGES, required=True)
    parser.add_argument("--workspace", required=True)
    parser.add_argument("--recipe", default="smoke")
    parser.add_argument("--settings", default="", help="key=value;key=value")
    return parser


def command(arguments: Sequence[str]) -> list[str]:
    """Return the command line of `starmill` for the parameters of a launch."""
    ours, beam = parser().parse_known_args(arguments)
    settings = [word for setting in ours.settings.split(";") if setting for word in ("--set", setting)]
    return [ours.stage, ours.recipe, "--workspace", ours.workspace, *settings, "--no-funnel", "--", *beam]


def main() -> int:
    """Hand one stage to Dataflow; return the exit status."""
    return cli.main(command(sys.argv[1:]))
