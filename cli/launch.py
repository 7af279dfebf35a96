"""Hand a training to the batch system of a cluster."""

import inspect
from collections.abc import Callable
from typing import Any

import typer

from starmill.cli import options
from starmill.trainer.clusters.job import Job, KubernetesJob, SlurmJob

launch = typer.Typer(help="Hand a training to Slurm or Kubernetes, or show exactly what would be handed over.")
# What the fields of a job that other commands have too are on the command line.
SHARED = {
    "recipe": options.TrainRecipe,
    "workspace": options.Place,
    "output": options.Output,
    "sets": options.Sets,
    "dry_run": options.DryRun,
}


def _command(job: type[Job]) -> Callable[..., int]:
    """Return the command with the fields of a job as its options."""

    def command(**values: Any) -> int:
        with options.needs("trainer"):
            from starmill.trainer.clusters import launch as submit

        made = job(**{name: value for name, value in values.items() if value is not None})
        with options.files():
            if isinstance(made, SlurmJob):
                return submit.slurm(made)
            assert isinstance(made, KubernetesJob)
            return submit.pods(made)

    given = [p.replace(annotation=SHARED.get(p.name, p.annotation)) for p in inspect.signature(job).parameters.values()]
    command.__signature__ = inspect.Signature(given)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in given}
    command.__doc__ = job.__doc__
    return command


launch.command("slurm")(_command(SlurmJob))
launch.command("kubernetes")(_command(KubernetesJob))
