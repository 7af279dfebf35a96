"""Hand a training to the batch system of a cluster."""

import sys
from typing import Annotated

import typer

from starmill.cli import options

Nodes = Annotated[int, typer.Option(help="Machines.")]
Gpus = Annotated[int, typer.Option(help="Ranks per node, one per GPU; 0 trains on CPUs.")]
Processes = Annotated[int, typer.Option(help="Ranks per node without GPUs.")]
Name = Annotated[str, typer.Option(help="Of the job.")]

launch = typer.Typer(help="Hand a training to Slurm or Kubernetes, or show exactly what would be handed over.")


@launch.command("slurm")
def _slurm(
    recipe: options.TrainRecipe,
    workspace: options.Place = None,
    output: options.Output = None,
    sets: options.Sets = None,
    nodes: Nodes = 1,
    gpus_per_node: Gpus = 0,
    processes_per_node: Processes = 1,
    name: Name = "starmill-train",
    cpus_per_node: Annotated[
        int | None, typer.Option(help="Take so many of a node (default: all of one with GPUs, or those of the ranks).")
    ] = None,
    time: Annotated[str | None, typer.Option(help="Limit of the job; it saves before, and is queued again.")] = None,
    save_seconds: Annotated[int, typer.Option(help="How long before the limit it is warned.")] = 300,
    partition: Annotated[str | None, typer.Option(help="Slurm's.")] = None,
    account: Annotated[str | None, typer.Option(help="Slurm's.")] = None,
    qos: Annotated[str | None, typer.Option(help="Slurm's.")] = None,
    array: Annotated[str | None, typer.Option(help="Several trainings: %a in --output and --set is the task's number.")] = None,
    logs: Annotated[str, typer.Option(help="Folder of the logs.")] = "runs/logs",
    python: Annotated[str | None, typer.Option(help="Python with starmill, on the nodes (default: this one).")] = None,
    sbatch: Annotated[list[str] | None, typer.Option(metavar="OPTION", help="--sbatch=--constraint=h100")] = None,
    dry_run: options.DryRun = False,
) -> int:
    """Submit a training to Slurm."""
    with options.needs("trainer"):
        from starmill.trainer.clusters import launch as submit

    job = submit.SlurmJob(
        recipe, workspace, output, sets or [], nodes, gpus_per_node, processes_per_node, name, dry_run,
        cpus_per_node, time, save_seconds, partition, account, qos, array, logs, python or sys.executable, sbatch or [],
    )  # fmt: skip
    with options.files():
        return submit.slurm(job)


@launch.command("kubernetes")
def _kubernetes(
    recipe: options.TrainRecipe,
    workspace: options.Place = None,
    output: options.Output = None,
    sets: options.Sets = None,
    nodes: Nodes = 1,
    gpus_per_node: Gpus = 0,
    processes_per_node: Processes = 1,
    name: Name = "starmill-train",
    image: Annotated[str, typer.Option(help="With the trainer and its Python.")] = "starmill-trainer:0.1.0",
    overlay: Annotated[
        str | None, typer.Option(help="Folder of a kustomization (default: cpu-small, or gpu-h100 with GPUs).")
    ] = None,
    namespace: Annotated[str | None, typer.Option(help="Kubernetes'.")] = None,
    claim: Annotated[str, typer.Option(help="Volume mounted at /data, below which relative paths lie.")] = "starmill-data",
    folder: Annotated[str | None, typer.Option(help="Where the kustomization is written (default: runs/launch/NAME).")] = None,
    dry_run: options.DryRun = False,
) -> int:
    """Submit a training to Kubernetes."""
    with options.needs("trainer"):
        from starmill.trainer.clusters import launch as submit

    job = submit.KubernetesJob(
        recipe, workspace, output, sets or [], nodes, gpus_per_node, processes_per_node, name, dry_run,
        image, overlay, namespace, claim, folder,
    )  # fmt: skip
    with options.files():
        return submit.pods(job)
