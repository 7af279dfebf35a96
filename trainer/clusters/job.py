"""What is told to a batch system of a training; the command line reads its options from here, so this needs no torch and is light."""

import re
import sys
from dataclasses import dataclass
from typing import Annotated

from typer import Option

from starmill.core.errors import UsageError

# The form of each value. sbatch and kubectl take values as they are; this gives earlier and clearer errors.
SHAPES = {
    "name": (r"[a-z]([-a-z0-9]{0,40}[a-z0-9])?", "lower-case letters, digits and dashes, 42 at most"),
    "image": (r"[a-z0-9][\w.:/-]*(@sha256:[0-9a-f]{64})?", "an image, such as registry.example.org/starmill-trainer:0.1.0"),
    "namespace": (r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", "lower-case letters, digits and dashes"),
    "claim": (r"[a-z0-9]([-.a-z0-9]{0,200}[a-z0-9])?", "the name of a volume claim"),
    "time": (r"(\d+-)?\d+(:\d+){0,2}", "Slurm's minutes, hours:minutes:seconds or days-hours"),
    "partition": (r"[\w.-]+(,[\w.-]+)*", "names, with commas between them"),
    "account": (r"[\w.-]+", "a name"),
    "qos": (r"[\w.-]+", "a name"),
    "array": (
        r"\d{1,7}(-\d{1,7})?(,\d{1,7}(-\d{1,7})?){0,1000}(%\d{1,7})?",
        "Slurm's numbers and ranges, such as 0-3 or 1,5,7%2",
    ),
    "sbatch": (r"--[a-z][a-z-]*(=[^\s]+)?", "one option of sbatch's as --option=value"),
}


class LaunchError(UsageError):
    """A job that cannot be submitted; the message names the value and the fix."""


@dataclass(frozen=True)
class Job:
    """A training and the machines that it gets, on any batch system. `sets` are the training's --set."""

    recipe: str
    workspace: str | None = None
    output: str | None = None
    sets: tuple[str, ...] | list[str] = ()
    nodes: Annotated[int, Option(min=1, max=65_536, help="Machines.")] = 1
    gpus_per_node: Annotated[int, Option(min=0, max=1024, help="Ranks per node, one per GPU; 0 trains on CPUs.")] = 0
    processes_per_node: Annotated[int, Option(min=1, max=1024, help="Ranks per node without GPUs.")] = 1
    name: Annotated[str, Option(help="Of the job.")] = "starmill-train"
    dry_run: bool = False

    def __post_init__(self) -> None:
        """Refuse what sbatch or kubectl would not take. Raises LaunchError."""
        for name, (shape, meaning) in SHAPES.items():
            given = getattr(self, name, None)
            for value in given if isinstance(given, list | tuple) else [given]:
                if value is not None and not re.fullmatch(shape, value, re.ASCII):
                    raise LaunchError(f"--{name} {value!r}: expected {meaning}")

    @property
    def ranks(self) -> int:
        """Ranks per node."""
        return self.gpus_per_node or self.processes_per_node


@dataclass(frozen=True)
class SlurmJob(Job):
    """Submit a training to Slurm."""

    cpus_per_node: Annotated[
        int | None,
        Option(min=1, max=65_536, help="Take so many of a node (default: all of one with GPUs, or those of the ranks)."),
    ] = None
    time: Annotated[str | None, Option(help="Limit of the job; it saves before, and is queued again.")] = None
    save_seconds: Annotated[int, Option(min=1, max=86_400, help="Seconds before the limit it is warned.")] = 300
    partition: Annotated[str | None, Option(help="Slurm's.")] = None
    account: Annotated[str | None, Option(help="Slurm's.")] = None
    qos: Annotated[str | None, Option(help="Slurm's.")] = None
    array: Annotated[str | None, Option(help="Several trainings: %a in --output and --set is the task's number.")] = None
    logs: Annotated[str, Option(help="Folder of the logs.")] = "runs/logs"
    python: Annotated[str, Option(help="Python with starmill, on the nodes (default: this one).", show_default=False)] = (
        sys.executable
    )
    sbatch: Annotated[list[str] | None, Option(metavar="OPTION", help="--sbatch=--constraint=h100")] = None


@dataclass(frozen=True)
class KubernetesJob(Job):
    """Submit a training to Kubernetes."""

    image: Annotated[str, Option(help="With the trainer and its Python.")] = "starmill-trainer:0.1.0"
    overlay: Annotated[str | None, Option(help="Folder of a kustomization (default: cpu-small, or gpu-h100 with GPUs).")] = None
    namespace: Annotated[str | None, Option(help="Kubernetes'.")] = None
    claim: Annotated[str, Option(help="Volume mounted at /data, below which relative paths lie.")] = "starmill-data"
    folder: Annotated[str | None, Option(help="Where the kustomization is written (default: runs/launch/NAME).")] = None
