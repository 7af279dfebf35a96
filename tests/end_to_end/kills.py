"""Runs whose processes get killed: a worker, or ScanCode, which a worker started, at a moment of a stage."""

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from starmill.core.dataset import Workspace
from starmill.pipelines import stages
from starmill.transforms.measure import scancode

# What the command line of a victim says.
VICTIMS = {"worker": "starmill.pipelines.runners.worker", "child": scancode.SERVER}
HANG = 500.0  # seconds after which a run is taken to hang


@dataclass(frozen=True)
class Kill:
    """A SIGKILL for one of the victims, so many seconds after the first of them came in a stage."""

    stage: str
    victim: str
    after: float


@dataclass(frozen=True)
class Ended:
    """A run that ended by itself: its status, what it said, and the kills that met somebody."""

    status: int
    said: str
    kills: tuple[Kill, ...]


def drawn(seed: int, seconds: dict[str, float], victim: str = "worker") -> list[Kill]:
    """Return a kill in each stage, within the seconds that the stage took undisturbed; ScanCode's, while it starts."""
    moments = random.Random(seed)
    return [
        Kill(stage, victim, moments.uniform(0, taken if victim == "worker" else min(taken, 3.0)))
        for stage, taken in seconds.items()
    ]


def run(place: Path, workspace: Path, kills: Sequence[Kill], seed: int = 0, what: str = "run") -> Ended:
    """Run the recipe of `place` with two workers, and kill. Raises TimeoutError for a run that does not end.

    The run has a ScanCode of its own: that of the machine may be one that the tests started.
    """
    command = [sys.executable, "-m", "starmill.cli", what, "recipe.yaml", "--workers", "2", "--workspace", str(workspace)]
    choice, made, seen, since = random.Random(seed), list[Kill](), "", 0.0
    with (
        tempfile.TemporaryDirectory(prefix="kills-") as own,
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(command, cwd=place, stdout=said, stderr=said, env=os.environ | {"TMPDIR": own}) as driver,
    ):
        began, at = time.monotonic(), psutil.Process(driver.pid)
        while driver.poll() is None:
            if time.monotonic() - began > HANG:
                for process in (*at.children(recursive=True), at):
                    process.kill()
                raise TimeoutError(f"{HANG:.0f} s after its start, and {made}, the run goes on")
            stage = current(workspace)
            for kill in (k for k in kills if k.stage == stage and k not in made):
                victims = processes(at, kill.victim)
                if victims and seen != stage:
                    seen, since = stage, time.monotonic()
                if victims and time.monotonic() - since >= kill.after:
                    choice.choice(victims).kill()
                    made.append(kill)
            time.sleep(0.02)
        said.seek(0)
        return Ended(driver.returncode, said.read(), tuple(made))


def current(workspace: Path) -> str:
    """Return the first stage that has no manifest."""
    made = (name for name in stages.STAGES if not (workspace / stages.load(name).dataset / "manifest.json").exists())
    return next(made, "")


def processes(driver: psutil.Process, victim: str) -> list[psutil.Process]:
    """Return the processes below a driver that are of this kind."""
    found = []
    with suppress(psutil.NoSuchProcess):
        for process in driver.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if VICTIMS[victim] in process.cmdline():
                    found.append(process)
    return found


def digests(workspace: Path) -> dict[str, str]:
    """Return the digest of each complete dataset: over all its files and those below dropped/."""
    manifests = {name: Workspace(str(workspace)).manifest(stages.load(name).dataset) for name in stages.STAGES}
    return {name: manifest.digest for name, manifest in manifests.items() if manifest is not None}
