"""Scores of checkpoints on benchmark tasks: `starmill evaluate` in a process of its own, one at a time, while the training goes on.

A checkpoint's weights are written to a folder first, so that the process needs nothing of the training, and removed once they are scored.
What fails there, such as benchmark files that are not found, is said and fails no training; a run that goes on tries it again.
"""

import fnmatch
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any

from msgspec import Meta

from starmill.core import files
from starmill.core.errors import MachineError, UsageError
from starmill.core.names import AtLeast0, AtLeast1, Place
from starmill.core.process import die_with

TICK = 0.1  # seconds from one look at a process to the next
SCORES, MODEL = "scores.json", "model"
LAST_WORDS = 4096  # bytes of what a process says that are looked at when it fails
MOST = 1 << 30  # bytes of what it prints


@dataclass(frozen=True)
class Tasks:
    """The section `tasks`: checkpoints are scored on these tasks, as `starmill evaluate` scores a model.

    >>> Tasks(names=("humaneval",), limit=10).every
    0
    """

    names: Annotated[tuple[str, ...], Meta(min_length=1)]  # of tasks, or patterns; `starmill evaluate --list` has them
    every: AtLeast0 = 0  # steps from one to the next, a multiple of checkpoint_every; 0: only the last step
    benchmarks: Place | None = None  # folder with the files of benchmarks
    held_out_files: Place | None = None  # folder of source files, for held_out_fim and held_out_likelihood
    limit: AtLeast1 | None = None  # only so many first problems of each task
    samples: AtLeast1 | None = None  # of each problem; null: the task's
    workers: AtLeast1 = 1  # processes that judge programs
    device: str = "cpu"  # of the process: a GPU of the training has no room for it

    def after(self, step: int, steps: int) -> bool:
        """Say whether the checkpoint after this step is scored."""
        return step == steps or (self.every > 0 and step > 0 and step % self.every == 0)

    def arguments(self) -> list[str]:
        """Return the options of `starmill evaluate` that say so, without the model."""
        given = {"--benchmarks": self.benchmarks, "--held-out-files": self.held_out_files, "--limit": self.limit}
        given |= {"--samples": self.samples, "--workers": self.workers, "--device": self.device}
        names = [f"--tasks={name}" for name in self.names]
        return [*names, *(f"{option}={value}" for option, value in given.items() if value is not None)]

    def refuse_unknown(self) -> None:
        """Raise UsageError for a name that is no task's, before a training has run for days."""
        found = subprocess.run(_command("--list", "--json"), capture_output=True, check=False)
        if found.returncode:
            raise MachineError(f"tasks: `starmill evaluate --list` failed: {_last_line(found.stderr)}")
        known = [row["task"] for row in json.loads(found.stdout)]
        known += ["held_out_fim", "held_out_likelihood"] if self.held_out_files else []
        for name in self.names:
            if not fnmatch.filter(known, name):
                raise UsageError(f"tasks.names: {name!r:.100}: no such task; `starmill evaluate --list` names them")


class Scoring:
    """Scores the checkpoints of one output, in their order. `tell` gets a step and the scores by task and metric; `say` gets lines.

    What an earlier start of the run left unscored is scored first; what it scored of later steps is removed, as their metrics are.
    """

    def __init__(
        self, tasks: Tasks, output: Path, step: int, tell: Callable[[int, dict[str, Any]], None], say: Callable[[str], None]
    ) -> None:
        """Look at what is there; nothing is started."""
        self._tasks, self._place, self._tell, self._say = tasks, output / "tasks", tell, say
        self._running: tuple[Path, subprocess.Popen[bytes]] | None = None
        self._waiting: list[Path] = []
        for place in sorted(self._place.glob("step-" + "[0-9]" * 8)):
            if _step(place) > step:
                shutil.rmtree(place)
            elif not (place / SCORES).exists() and (place / MODEL).is_dir():
                self._waiting.append(place)

    def __enter__(self) -> "Scoring":
        """Start the first that waits."""
        self.poll()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End the process that is at work; the next start of the run begins it again, and evaluate goes on where it was."""
        if self._running is not None:
            place, process = self._running
            process.terminate()
            process.wait()
            self._say(f"tasks after step {_step(place)}: not scored yet; the same command goes on with them")

    def begin(self, step: int, write: Callable[[Path], None]) -> None:
        """Have the checkpoint of this step scored, unless it is already; `write` writes its model to a folder."""
        place = self._place / f"step-{step:08d}"
        if (place / SCORES).exists() or place in self._waiting or (self._running and self._running[0] == place):
            return
        half = place / f"{files.TEMPORARY}{MODEL}"
        shutil.rmtree(half, ignore_errors=True)
        write(half)
        os.rename(half, place / MODEL)
        self._waiting.append(place)
        self.poll()

    def poll(self) -> None:
        """Take the scores of a process that has ended, and start the next one."""
        if self._running is not None and self._running[1].poll() is not None:
            self._conclude()
        if self._running is None and self._waiting:
            place = self._waiting.pop(0)
            command = _command(str(place / MODEL), *self._tasks.arguments(), f"--output={place}", "--json")
            with open(place / "result.json", "wb") as out, open(place / "log.txt", "wb") as err:
                # Ctrl-C is for the training, which ends this process itself.
                process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True, env=_environment()
                )
            self._running = place, process

    def finish(self, stopped: Callable[[], bool]) -> None:
        """Wait until all are scored, or somebody has `stopped` the run."""
        if self._running is not None or self._waiting:
            self._say(f"scoring on {', '.join(self._tasks.names)}; Ctrl-C leaves it for the next start")
        while self._running is not None and not stopped():
            time.sleep(TICK)
            self.poll()

    def _conclude(self) -> None:
        assert self._running is not None
        (place, process), self._running = self._running, None
        if process.returncode:
            said = _last_line((place / "log.txt").read_bytes()[-LAST_WORDS:])
            self._say(f"tasks after step {_step(place)}: not scored: {said} ({place / 'log.txt'})")
            return
        found = json.loads(files.read_small(place / "result.json", MOST))["tasks"]
        scores = {
            one["task"]: {name: value["value"] for name, value in one["scores"].items()}
            | {name: value["mean"] for name, value in one["measures"].items()}
            for one in found
        }
        self._tell(_step(place), scores)
        files.write(place / SCORES, json.dumps(scores, indent=1).encode())
        shutil.rmtree(place / MODEL)


def _step(place: Path) -> int:
    return int(place.name.removeprefix("step-"))


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "starmill.trainer.benchmarks", str(os.getpid()), "evaluate", *arguments]


def _environment() -> dict[str, str]:
    """Return the environment without what torchrun says to a rank."""
    return {
        name: value
        for name, value in os.environ.items()
        if not re.match(r"(RANK$|LOCAL_|WORLD_|GROUP_|ROLE_|MASTER_|TORCHELASTIC)", name)
    }


def _last_line(said: bytes) -> str:
    lines = [line for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1][:500] if lines else "it said nothing"


def _main(words: Sequence[str]) -> None:
    """Run the command that `words` end with, and die with the process that they begin with."""
    die_with(int(words[0]))
    sys.argv = ["starmill", *words[1:]]
    runpy.run_module("starmill.cli", run_name="__main__")


if __name__ == "__main__":
    _main(sys.argv[1:])
