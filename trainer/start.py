"""Start a training as a command does: show it, hand it to torchrun for several ranks, or train in this process.

What can be refused without PyTorch, which takes seconds to import, is refused before.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from starmill.core.errors import InputError, StarmillError, UsageError
from starmill.core.files import refuse_below_file
from starmill.core.process import die_with
from starmill.core.terminal import say
from starmill.model import devices
from starmill.model.exchange import folders
from starmill.trainer import plan
from starmill.trainer.clusters.launch import fitting
from starmill.trainer.config import load, values
from starmill.trainer.data.inputs import look, open_inputs
from starmill.trainer.trackers import refuse_missing


def start(
    recipe: str,
    workspace: str | None = None,
    output: str | None = None,
    sets: Sequence[str] = (),
    processes: int = 1,
    fresh: bool = False,
    dry_run: bool = False,
) -> int:
    """Run one training; return its exit status: 0, or 128 + the number of a signal that stopped it. Raises StarmillError.

    With several `processes`, outside of torchrun, torchrun takes this process's place. An error of one of its ranks names the rank.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:  # a killed torchrun leaves no rank behind that writes
        die_with(os.getppid())
    try:
        return _start(recipe, workspace, output, sets, processes, fresh, dry_run)
    except StarmillError as error:
        if rank := os.environ.get("RANK"):
            raise type(error)(f"rank {rank}: {error}") from error
        raise


def _start(
    recipe: str, workspace: str | None, output: str | None, sets: Sequence[str], processes: int, fresh: bool, dry_run: bool
) -> int:
    wanted = load(recipe, list(sets), workspace, output)
    refuse_below_file("output", wanted.output)
    if wanted.weights and not (Path(wanted.output) / "checkpoints").is_dir():  # checkpoints replace them
        try:
            folders.places_of(Path(wanted.weights), folders.shape(wanted.weights))
        except InputError as error:
            raise type(error)(f"weights: {error}") from None
    if not dry_run and "RANK" not in os.environ:
        fitting(recipe, values(recipe, list(sets), workspace, output), 1, processes)  # told once, and not by every rank
    look(wanted)
    refuse_missing(wanted.track)
    if wanted.tasks is not None and "RANK" not in os.environ:
        wanted.tasks.refuse_unknown()
    if wanted.device == "cuda":
        devices.refuse("device=", wanted.device)
    import torch

    if wanted.device == "cuda" and not torch.cuda.is_available():
        raise UsageError("device=cuda: PyTorch sees no GPU here; set device=cpu, or auto")
    if dry_run:
        found = open_inputs(wanted)
        say(*plan.lines(wanted, found.config), *plan.data_lines(wanted, found))
        return 0
    if processes > 1 and "RANK" not in os.environ:
        places = [f"--{name}={place}" for name, place in (("workspace", workspace), ("output", output)) if place]
        _torchrun(processes, wanted.threads, [recipe, *places, *(f"--set={s}" for s in sets), *(["--fresh"] if fresh else [])])
    from starmill.trainer.loop import train

    return train(wanted, fresh)


def _torchrun(processes: int, threads: int, arguments: list[str]) -> NoReturn:
    from starmill.trainer.parallel import MEETING

    # Another program in this process: signals and the exit status need no passing on. Ranks of one machine talk over loopback, and meet
    # in files without a name that only this user may open: torchrun's own store listens on all interfaces, lets in whoever asks, and
    # holds pickles. The node's torchrun gives ranks the time to save, and its exit status is theirs.
    ranks, rendezvous = (f"/proc/{os.getpid()}/fd/{os.memfd_create(name, 0)}" for name in ("ranks", "rendezvous"))
    lid = {"OMP_NUM_THREADS": str(threads), "GLOO_SOCKET_IFNAME": "lo", **os.environ}
    run = [
        "-m",
        "starmill.trainer.clusters.node",
        f"--nproc-per-node={processes}",
        "--rdzv-backend=c10d",
        f"--rdzv-id={os.getpid()}",
    ]
    where = [f"--rdzv-endpoint={rendezvous}", "--rdzv-conf=store_type=file", "-m", "starmill.cli", "train"]
    environment = {**lid, "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1", MEETING: ranks}
    os.execve(sys.executable, [sys.executable, *run, *where, *arguments], environment)
