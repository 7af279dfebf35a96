"""Hand a training to the batch system of a cluster."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from starmill.cli import options

launch = typer.Typer(help="Hand a training to Slurm or Kubernetes, or show exactly what would be handed over.")


@dataclass(frozen=True)
class Job:
    """The options of both commands, and their defaults: those of trainer/clusters/launch.py."""

    recipe: options.TrainRecipe
    workspace: options.Place = None
    output: options.Output = None
    sets: options.Sets = None
    nodes: Annotated[int, typer.Option(help="Machines.")] = 1
    gpus_per_node: Annotated[int, typer.Option(help="Ranks per node, one per GPU; 0 trains on CPUs.")] = 0
    processes_per_node: Annotated[int, typer.Option(help="Ranks per node without GPUs.")] = 1
    name: Annotated[str, typer.Option(help="Of the job.")] = "starmill-train"
    dry_run: options.DryRun = False


@dataclass(frozen=True)
class Slurm(Job):
    """Submit a training to Slurm."""

    cpus_per_node: Annotated[
        int | None, typer.Option(help="Take so many of a node (default: all of one with GPUs, or those of the ranks).")
    ] = None
    time: Annotated[str | None, typer.Option(help="Limit of the job; it saves before, and is queued again.")] = None
    save_seconds: Annotated[int, typer.Option(help="How long before the limit it is warned.")] = 300
    partition: Annotated[str | None, typer.Option(help="Slurm's.")] = None
    account: Annotated[str | None, typer.Option(help="Slurm's.")] = None
    qos: Annotated[str | None, typer.Option(help="Slurm's.")] = None
    array: Annotated[str | None, typer.Option(help="Several trainings: %a in --output and --set is the task's number.")] = None
    logs: Annotated[str, typer.Option(help="Folder of the logs.")] = "runs/logs"
    python: Annotated[str | None, typer.Option(help="Python with starmill, on the nodes (default: this one).")] = None
    sbatch: Annotated[list[str] | None, typer.Option(metavar="OPTION", help="--sbatch=--constraint=h100")] = None


@dataclass(frozen=True)
class Kubernetes(Job):
    """Submit a training to Kubernetes."""

    image: Annotated[str, typer.Option(help="With the trainer and its Python.")] = "starmill-trainer:0.1.0"
    overlay: Annotated[
        str | None, typer.Option(help="Folder of a kustomization (default: cpu-small, or gpu-h100 with GPUs).")
    ] = None
    namespace: Annotated[str | None, typer.Option(help="Kubernetes'.")] = None
    claim: Annotated[str, typer.Option(help="Volume mounted at /data, below which relative paths lie.")] = "starmill-data"
    folder: Annotated[str | None, typer.Option(help="Where the kustomization is written (default: runs/launch/NAME).")] = None


def _command(job: type[Job]) -> Callable[..., int]:
    """Return the command with a job's options."""

    def command(**values: Any) -> int:
        with options.needs("trainer"):
            from starmill.trainer.clusters import launch as submit

        given = {name: value for name, value in values.items() if value is not None}
        with options.files():
            return submit.slurm(submit.SlurmJob(**given)) if job is Slurm else submit.pods(submit.KubernetesJob(**given))

    command.__signature__ = inspect.signature(job)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in inspect.signature(job).parameters.values()}
    command.__doc__ = job.__doc__
    return command


for _job in (Slurm, Kubernetes):
    launch.command(_job.__name__.lower())(_command(_job))
