"""`starmill launch`: hand a training to Slurm or Kubernetes, or show exactly what would be handed over.

Nothing here schedules: sbatch gets infra/slurm/train.sbatch with its arguments, kubectl a kustomization on top of infra/kubernetes/train.
Both are called with lists of arguments, no shell in between, and what a user names is checked before it becomes one of them.
"""

import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

from starmill.core import recipe
from starmill.core.errors import MachineError, UsageError
from starmill.core.files import refuse_below_file
from starmill.core.terminal import say_text
from starmill.trainer import config, plan
from starmill.trainer.clusters import kubernetes
from starmill.trainer.clusters.job import Job, KubernetesJob, LaunchError, SlurmJob
from starmill.trainer.config import TrainRecipe

MAX_TASKS = 1000  # of an array, as Slurm has it unless its administrator says otherwise
SCRIPT = Path(__file__).resolve().parents[2] / "infra" / "slurm" / "train.sbatch"


def fitting(where: str, values: dict[str, Any], nodes: int, ranks: int) -> TrainRecipe:
    """Return the recipe, if it fits `nodes` nodes of `ranks` ranks. Raises LaunchError saying what does not fit."""
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
    except UsageError as error:
        raise LaunchError(f"{where}: {error}") from None
    model = wanted.model.config(wanted.model.vocab_size or 1)
    if tensor not in [tensor_ranks for _, tensor_ranks, _ in plan.layouts(model, wanted, world)]:
        raise LaunchError(f"{where}: parallel.tensor={tensor} does not divide the model's heads, key heads or mlp_size")
    return wanted


def _values(options: Job, task: str | None = None) -> dict[str, Any]:
    given = [options.workspace or "", options.output or "", *options.sets]
    workspace, output, *overrides = given if task is None else [text.replace("%a", task) for text in given]
    return config.values(options.recipe, overrides, workspace, output)


def slurm(options: SlurmJob) -> int:
    """Submit one training to Slurm, or an array of them; return the exit status. Raises StarmillError."""
    ranks = options.ranks
    tasks = _tasks(options.array) if options.array else [None]
    wanted = [fitting(options.recipe, _values(options, task), options.nodes, ranks) for task in tasks]
    if len({w.output for w in wanted}) < len(tasks):
        raise LaunchError(
            f"--array {options.array}: tasks would share an --output; put %a into it, such as --output runs/model-%a"
        )
    if options.cpus_per_node is not None and options.cpus_per_node < ranks:
        raise LaunchError(f"--cpus-per-node {options.cpus_per_node}: must be at least the {ranks} ranks of a node")
    command = slurm_command(options, ranks, max(w.threads for w in wanted))
    refuse_below_file("--logs", options.logs)
    if options.dry_run:
        say_text(f"{shlex.join(command)}\n\n# {SCRIPT}\n{SCRIPT.read_text().rstrip()}")
        return 0
    _needs("sbatch", "submit from a login node of the cluster, or use --dry-run")
    Path(options.logs).mkdir(parents=True, exist_ok=True)
    return subprocess.run(command).returncode


def slurm_command(options: SlurmJob, ranks: int, threads: int) -> list[str]:
    """Return the call of sbatch. A node is one task, which would get one CPU: so `threads` per rank are asked for."""
    log = "%x-%A_%a.log" if options.array else "%x-%j.log"
    command = ["sbatch", f"--job-name={options.name}", f"--nodes={options.nodes}", f"--output={Path(options.logs, log)}"]
    command += [f"--signal=B:USR1@{options.save_seconds}"]
    if options.gpus_per_node:
        command.append(f"--gpus-per-node={options.gpus_per_node}")
    if options.gpus_per_node and options.cpus_per_node is None:
        command += ["--exclusive", "--mem=0"]  # all memory of the node
    else:
        command.append(f"--cpus-per-task={options.cpus_per_node or ranks * threads}")
    command += [f"--{k}={getattr(options, k)}" for k in ("time", "partition", "account", "qos", "array") if getattr(options, k)]
    file = Path(options.recipe)
    command += [
        *(options.sbatch or []),
        str(SCRIPT),
        options.python,
        str(ranks),
        str(file.resolve()) if file.exists() else options.recipe,
    ]
    for key in ("workspace", "output"):
        if getattr(options, key):
            command += [f"--{key}", getattr(options, key)]
    for item in options.sets:
        command += ["--set", item]
    return command


def _tasks(array: str) -> list[str]:
    found: list[int] = []
    for part in array.partition("%")[0].split(","):
        first, _, last = part.partition("-")
        found += range(int(first), min(int(last or first), int(first) + MAX_TASKS) + 1)
    if not 0 < len(found) <= MAX_TASKS:
        raise LaunchError(f"--array {array}: no task in it, or more than {MAX_TASKS:,}; give from 1 to {MAX_TASKS:,} tasks")
    return list(map(str, found))


def pods(options: KubernetesJob) -> int:
    """Submit one training to Kubernetes; return the exit status. Raises StarmillError."""
    ranks = options.ranks
    values = _values(options)
    wanted = fitting(options.recipe, values, options.nodes, ranks)
    folder = Path(options.folder or f"runs/launch/{options.name}")
    refuse_below_file("--folder", folder)
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
        say_text("\n".join(f"# {folder / name}\n{text}" for name, text in files.items()) + f"\n# {shlex.join(command)}")
        rendered = kubernetes.render(files, folder)
        say_text(
            f"# which is:\n{rendered.rstrip()}"
            if rendered
            else "# kubectl is not on PATH: the rendered manifests are not shown"
        )
        return 0
    _needs("kubectl", "install it, with access to the cluster, or use --dry-run")
    kubernetes.write(files, folder)
    return subprocess.run(command).returncode


def _needs(program: str, how: str) -> None:
    if shutil.which(program) is None:
        raise MachineError(f"there is no {program} on PATH; {how}")
