"""`starmill launch`: hand a training to Slurm or Kubernetes, or show exactly what would be handed over.

Nothing here schedules: sbatch gets infra/slurm/train.sbatch with its arguments, kubectl a kustomization on top of infra/kubernetes/train.
Both are called with lists of arguments, no shell in between, and what a user names is checked before it becomes one of them.
"""

import argparse
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from starmill.core import recipe
from starmill.trainer import config, plan
from starmill.trainer.clusters import kubernetes
from starmill.trainer.config import TrainRecipe

SCRIPT = Path(__file__).resolve().parents[2] / "infra" / "slurm" / "train.sbatch"
# What each value may look like. sbatch and kubectl take them as they are, so this is for early, clear errors.
SHAPES = {
    "name": (r"[a-z]([-a-z0-9]{0,40}[a-z0-9])?", "lower-case letters, digits and dashes, 42 at most"),
    "image": (r"[a-z0-9][\w.:/-]*(@sha256:[0-9a-f]{64})?", "an image, such as registry.example.org/starmill-trainer:0.1.0"),
    "namespace": (r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", "lower-case letters, digits and dashes"),
    "claim": (r"[a-z0-9]([-.a-z0-9]{0,200}[a-z0-9])?", "the name of a volume claim"),
    "time": (r"(\d+-)?\d+(:\d+){0,2}", "Slurm's minutes, hours:minutes:seconds or days-hours"),
    "partition": (r"[\w.-]+(,[\w.-]+)*", "names, with commas between them"),
    "account": (r"[\w.-]+", "a name"),
    "qos": (r"[\w.-]+", "a name"),
    "array": (r"\d+(-\d+)?(,\d+(-\d+)?)*(%\d+)?", "Slurm's numbers and ranges, such as 0-3 or 1,5,7%2"),
    "sbatch": (r"--[a-z][a-z-]*(=[^\s]+)?", "one option of sbatch's as --option=value"),
}


class LaunchError(ValueError):
    """What cannot be submitted; the message names the value and the fix."""


def main(argv: Sequence[str] | None = None) -> int:
    """Submit one training; return the exit status."""
    options = _parser().parse_args(argv)
    try:
        _check_shapes(options)
        ranks = options.gpus_per_node or options.processes_per_node
        if min(options.nodes, ranks) < 1 or options.gpus_per_node < 0:
            raise LaunchError("--nodes and --processes-per-node must be at least 1, --gpus-per-node at least 0")
        return _slurm(options, ranks) if options.batch_system == "slurm" else _kubernetes(options, ranks)
    except (ValueError, OSError) as error:
        print(f"starmill: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="starmill launch", description=__doc__)
    systems = parser.add_subparsers(dest="batch_system", required=True, metavar="slurm|kubernetes")
    for system, text in (("slurm", "submit to Slurm"), ("kubernetes", "submit to Kubernetes")):
        command = systems.add_parser(system, help=text, description=text)
        command.add_argument("recipe", help="YAML file, or the name of one that ships")
        command.add_argument("--workspace", help="where the shards are (default: the recipe's)")
        command.add_argument("--output", help="where checkpoints, metrics and the model go (default: the recipe's)")
        command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a value of the recipe")
        command.add_argument("--nodes", type=int, default=1)
        command.add_argument("--gpus-per-node", type=int, default=0, help="as many ranks a node; 0 trains on CPUs")
        command.add_argument("--processes-per-node", type=int, default=1, help="ranks a node without GPUs")
        command.add_argument("--name", default="starmill-train", help="of the job")
        command.add_argument("--dry-run", action="store_true", help="print what would be submitted, and stop")
    slurm, pods = (systems.choices[name] for name in ("slurm", "kubernetes"))
    slurm.add_argument(
        "--cpus-per-node", type=int, help="take so many of a node (default: all of one with GPUs, or those of the ranks)"
    )
    slurm.add_argument("--time", help="limit of the job; it saves before, and is queued again")
    slurm.add_argument("--save-seconds", type=int, default=300, help="how long before the limit it is warned (default: 300)")
    slurm.add_argument("--partition")
    slurm.add_argument("--account")
    slurm.add_argument("--qos")
    slurm.add_argument("--array", help="several trainings: %%a in --output and --set is the task's number")
    slurm.add_argument("--logs", default="runs/logs", help="folder of the logs (default: runs/logs)")
    slurm.add_argument("--python", default=sys.executable, help="Python with starmill, on the nodes (default: this one)")
    slurm.add_argument("--sbatch", action="append", default=[], metavar="OPTION", help="--sbatch=--constraint=h100")
    pods.add_argument("--image", default="starmill-trainer:0.1.0", help="with the trainer and its Python")
    pods.add_argument("--overlay", help="folder of a kustomization (default: cpu-small, or gpu-h100 with GPUs)")
    pods.add_argument("--namespace")
    pods.add_argument("--claim", default="starmill-data", help="volume mounted at /data, below which relative paths lie")
    pods.add_argument("--folder", help="where the kustomization is written (default: runs/launch/NAME)")
    return parser


def fitting(where: str, values: dict[str, Any], nodes: int, ranks: int) -> TrainRecipe:
    """Return the recipe, if it can be trained on so many nodes with so many ranks each. Raises ValueError saying what does not fit."""
    wanted, world = recipe.build(TrainRecipe, values, where=where), nodes * ranks
    tensor = wanted.parallel.tensor
    if world % tensor:
        raise LaunchError(f"{where}: parallel.tensor={tensor} does not divide the {world} ranks of {nodes} nodes")
    if ranks % tensor:
        raise LaunchError(
            f"{where}: parallel.tensor={tensor} does not divide the {ranks} ranks of a node; a matrix would span nodes"
        )
    try:
        wanted.accumulation(world // tensor)
    except ValueError as error:
        raise LaunchError(f"{where}: {error}") from None
    model = wanted.model.config(wanted.model.vocab_size or 1)
    if tensor not in [tensor_ranks for _, tensor_ranks, _ in plan.layouts(model, wanted, world)]:
        raise LaunchError(f"{where}: parallel.tensor={tensor} does not divide the model's heads, key heads or mlp_size")
    return wanted


def _check_shapes(options: argparse.Namespace) -> None:
    for name, (shape, meaning) in SHAPES.items():
        given = getattr(options, name, None)
        for value in given if isinstance(given, list) else [given]:
            if value is not None and not re.fullmatch(shape, value, re.ASCII):
                raise LaunchError(f"--{name} {value!r}: expected {meaning}")


def _values(options: argparse.Namespace, task: str | None = None) -> dict[str, Any]:
    given = [options.workspace or "", options.output or "", *options.set]
    workspace, output, *overrides = given if task is None else [text.replace("%a", task) for text in given]
    return config.values(options.recipe, overrides, workspace, output)


def _slurm(options: argparse.Namespace, ranks: int) -> int:
    tasks = _tasks(options.array) if options.array else [None]
    wanted = [fitting(options.recipe, _values(options, task), options.nodes, ranks) for task in tasks]
    if len({w.output for w in wanted}) < len(tasks):
        raise LaunchError(
            f"--array {options.array}: tasks would share an --output; put %a into it, such as --output runs/model-%a"
        )
    if options.save_seconds < 1:
        raise LaunchError(f"--save-seconds {options.save_seconds}: must be at least 1")
    if options.cpus_per_node is not None and options.cpus_per_node < ranks:
        raise LaunchError(f"--cpus-per-node {options.cpus_per_node}: must be at least the {ranks} ranks of a node")
    command = slurm_command(options, ranks, max(w.threads for w in wanted))
    if options.dry_run:
        print(f"{shlex.join(command)}\n\n# {SCRIPT}\n{SCRIPT.read_text()}", end="")
        return 0
    _needs("sbatch", "submit from a login node of the cluster, or use --dry-run")
    Path(options.logs).mkdir(parents=True, exist_ok=True)
    return subprocess.run(command).returncode


def slurm_command(options: argparse.Namespace, ranks: int, threads: int) -> list[str]:
    """Return the call of sbatch. A node is one task, and a task gets one CPU where nothing is said: so `threads` a rank are."""
    log = "%x-%A_%a.log" if options.array else "%x-%j.log"
    command = ["sbatch", f"--job-name={options.name}", f"--nodes={options.nodes}", f"--output={Path(options.logs, log)}"]
    command += [f"--signal=B:USR1@{options.save_seconds}"]
    if options.gpus_per_node:
        command.append(f"--gpus-per-node={options.gpus_per_node}")
    if options.gpus_per_node and options.cpus_per_node is None:
        command += ["--exclusive", "--mem=0"]  # all of the node's
    else:
        command.append(f"--cpus-per-task={options.cpus_per_node or ranks * threads}")
    command += [f"--{k}={getattr(options, k)}" for k in ("time", "partition", "account", "qos", "array") if getattr(options, k)]
    file = Path(options.recipe)
    command += [
        *options.sbatch,
        str(SCRIPT),
        options.python,
        str(ranks),
        str(file.resolve()) if file.exists() else options.recipe,
    ]
    for key in ("workspace", "output"):
        if getattr(options, key):
            command += [f"--{key}", getattr(options, key)]
    for item in options.set:
        command += ["--set", item]
    return command


def _tasks(array: str) -> list[str]:
    found: list[str] = []
    for part in array.partition("%")[0].split(","):
        first, _, last = part.partition("-")
        found += map(str, range(int(first), int(last or first) + 1))
    if not found:
        raise LaunchError(f"--array {array}: no task in it")
    return found


def _kubernetes(options: argparse.Namespace, ranks: int) -> int:
    values = _values(options)
    wanted = fitting(options.recipe, values, options.nodes, ranks)
    folder = Path(options.folder or f"runs/launch/{options.name}")
    overlay = kubernetes.overlay(options.overlay, options.gpus_per_node)
    training = kubernetes.Training(
        options.name,
        options.image,
        options.namespace,
        options.claim,
        options.nodes,
        ranks,
        options.gpus_per_node,
        wanted.output,
    )
    files = kubernetes.files(training, values, overlay, folder)
    command = ["kubectl", "apply", "-k", str(folder)]
    if options.dry_run:
        print("\n".join(f"# {folder / name}\n{text}" for name, text in files.items()) + f"\n# {shlex.join(command)}")
        rendered = kubernetes.render(files, folder)
        print(
            f"# which is:\n{rendered}" if rendered else "# kubectl is not on PATH: what it would make of this is not shown",
            end="",
        )
        return 0
    _needs("kubectl", "install it, with access to the cluster, or use --dry-run")
    kubernetes.write(files, folder)
    return subprocess.run(command).returncode


def _needs(program: str, how: str) -> None:
    if shutil.which(program) is None:
        raise LaunchError(f"there is no {program} on PATH; {how}")


if __name__ == "__main__":
    sys.exit(main())
