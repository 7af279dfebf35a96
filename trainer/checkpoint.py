"""Checkpoints: the state from which a continued run equals an unbroken one. Ranks write their pieces; a checkpoint is published whole.

`torch.distributed.checkpoint` lays out the pieces as safetensors with their places in the whole, so that any number of ranks reads
them, and nothing in them is executed. The step seeds dropout (step.py) and is Adam's count of steps, so that no other state is needed.
`meta.json` has the sha256 of each file: a checkpoint of which a bit has changed is not continued from.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import socket
import sys
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, cast

import msgspec
import torch
from torch import nn
from torch.distributed.checkpoint import state_dict_loader, state_dict_saver
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter

from starmill.core import files
from starmill.core.dataset import at_once
from starmill.core.errors import InputError, MachineError
from starmill.core.terminal import say, tell_damage
from starmill.trainer.data.corpus import Position
from starmill.trainer.optim import Optimizer
from starmill.trainer.parallel import Ranks

ROOM = "make room, and run the same command to continue from the checkpoint before"
NAME = re.compile(r"step-\d{8}")  # of a checkpoint; all other names beside it are the user's
FileName = Annotated[str, msgspec.Meta(pattern=r"^[\w-][\w.-]{0,200}\Z")]  # never a path: meta.json may come from outside


class CheckpointError(InputError):
    """A checkpoint of another run, or a damaged one; the message names the checkpoint and the fix."""


@dataclass(frozen=True)
class Meta:
    """The run and the step of a checkpoint, and the position of every lane of the batch, of all ranks."""

    step: int
    positions: tuple[Position, ...]
    recipe: str
    data: str
    losses: tuple[float, ...] = ()  # of the last steps, with which a spike is compared
    skipped: tuple[int, ...] = ()  # steps that the run did not learn from, which the optimizer has not counted
    falling: str = ""  # TrainRecipe.falling
    files: dict[FileName, str] = field(
        default_factory=dict, compare=False
    )  # sha256 by name; empty in those of an older starmill


class Checkpoints:
    """The checkpoints of one run, `folder/step-N`; the newest `keep` are kept, and those of every `milestones`th step.

    All ranks call the same methods in the same order. `asynchronous` copies the tensors and writes them in a thread while
    training goes on; `finish` waits for that thread.
    """

    def __init__(self, folder: Path, ranks: Ranks, keep: int, asynchronous: bool = False, milestones: int = 0) -> None:
        """Name the folder; no file is touched."""
        self._folder, self._ranks, self._keep, self._asynchronous = folder, ranks, keep, asynchronous
        self._milestones = milestones
        self._writing: tuple[Meta, Future[Any]] | None = None

    def save(self, meta: Meta, state: dict[str, torch.Tensor]) -> None:
        """Write a checkpoint, after the previous one is published."""
        self.finish()
        temporary = self._temporary(meta)
        if self._ranks.rank == 0:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
        self._ranks.wait()
        writer = HuggingFaceStorageWriter(str(temporary), save_distributed=True)
        group, alone = self._ranks.writers, self._ranks.world == 1
        if self._asynchronous:
            future = cast(
                "Future[Any]", state_dict_saver.async_save(state, storage_writer=writer, process_group=group, no_dist=alone)
            )
            # Rank 0's save ends after all others': the files are whole, and their digests are taken in a thread too.
            thread = ThreadPoolExecutor(1)
            self._writing = meta, thread.submit(lambda: (future.result(), self._digests(temporary))[1])
            thread.shutdown(wait=False)
        else:
            with _failures(temporary, "written", ROOM):
                state_dict_saver.save(state, storage_writer=writer, process_group=group, no_dist=alone)
                made = self._digests(temporary)
            self._publish(replace(meta, files=made))

    def poll(self) -> None:
        """Publish the checkpoint that the thread has written, if any. Rank 0's thread ends last: it waits for all others."""
        if self._writing is not None and self._writing[1].done() and self._ranks.rank == 0:
            self.finish()

    def finish(self) -> None:
        """Wait for the thread, and publish its checkpoint."""
        if self._writing is not None:
            meta, future = self._writing
            self._writing = None
            with _failures(self._temporary(meta), "written", ROOM):
                made = future.result()
            self._publish(replace(meta, files=made))

    def newest(self) -> tuple[Path, Meta] | None:
        """Return, on all ranks, the newest whole checkpoint that rank 0 sees; remove the unfinished ones of a killed run.

        Each rank reads its share of the files and compares them with their digests. Raises CheckpointError where there are
        checkpoints and all are damaged. On a network file system other nodes may still see an older listing.
        """
        listed: tuple[list[tuple[Path, Meta]], int] = [], 0
        if self._ranks.rank == 0:
            for leftover in self._folder.glob(f"{files.TEMPORARY}step-*"):
                if NAME.fullmatch(leftover.name.removeprefix(files.TEMPORARY)):
                    shutil.rmtree(leftover)
            found = whole(self._folder)
            listed = [*reversed(found.items())], sum((path / "meta.json").exists() for path in _named(self._folder))
        candidates, count = self._ranks.gathered(listed)[0]
        for path, meta in candidates:
            share = dict([*meta.files.items()][self._ranks.data :: self._ranks.data_ranks])
            bad = [name for names in self._ranks.gathered(damaged(path, share)) for name in names]
            if not bad:
                return path, meta
            for name in bad if self._ranks.rank == 0 else ():
                tell_damage(str(path / name), "its sha256 is not that in meta.json")
        if count:
            raise CheckpointError(
                f"{self._folder}: each of its {count} checkpoints is damaged; bring one back from a copy, or start anew with --fresh"
            )
        return None

    def clear(self) -> None:
        """Remove all checkpoints, before a run starts anew."""
        if self._ranks.rank == 0:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _digests(self, folder: Path) -> dict[str, str]:
        names = sorted(path.name for path in folder.iterdir()) if self._ranks.rank == 0 else []
        return dict(zip(names, at_once(_sha256, [folder / name for name in names]), strict=True))

    def _publish(self, meta: Meta) -> None:
        if self._ranks.rank != 0:
            return
        temporary, final = self._temporary(meta), self.place(meta)
        files.write(temporary / "meta.json", json.dumps(asdict(meta)).encode())
        shutil.rmtree(final, ignore_errors=True)
        os.replace(temporary, final)
        passing = [path for path, of in whole(self._folder).items() if not self._milestones or of.step % self._milestones]
        for old in passing[: -self._keep]:
            shutil.rmtree(old)

    def place(self, meta: Meta) -> Path:
        """Return the folder of the checkpoint once it is whole."""
        return self._folder / _name(meta)

    def _temporary(self, meta: Meta) -> Path:
        return self._folder / f"{files.TEMPORARY}{_name(meta)}"


def named(path: Path) -> Meta:
    """Return what a checkpoint that a recipe names is of. Raises CheckpointError for what is none, or a damaged one."""
    meta = whole(path.parent).get(path)
    if meta is None:
        raise CheckpointError(f"branch: {path} is no checkpoint; give the folder OUTPUT/checkpoints/step-N of a training")
    if bad := damaged(path, meta.files):
        raise CheckpointError(f"branch: {path / bad[0]}: its sha256 is not that in meta.json; branch from another checkpoint")
    return meta


def whole(folder: Path) -> dict[Path, Meta]:
    """Return the checkpoints of a run that are whole, oldest first, and what each is of; no file is touched. A damaged one is named."""
    found = {}
    for path in _named(folder):
        try:
            meta = msgspec.json.decode((path / "meta.json").read_bytes(), type=Meta)
            if path.name != _name(meta):
                raise ValueError(f"it is of step {meta.step}")
            found[path] = meta
        except FileNotFoundError:
            continue
        except (IsADirectoryError, ValueError, RecursionError, msgspec.MsgspecError) as error:
            tell_damage(str(path / "meta.json"), str(error)[:200])
    return found


def damaged(path: Path, expected: Mapping[str, str]) -> list[str]:
    """Return the names of a checkpoint's files that are absent, or have another sha256 than `expected`.

    Raises MachineError for one that cannot be read: trouble of a disk is no damage, and to go back would lose steps.
    """

    def differs(name: str) -> bool:
        try:
            return _sha256(path / name) != expected[name]
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return True
        except OSError as error:
            raise MachineError(
                f"{path / name}: {error.strerror}; see to the disk, and run the same command to continue"
            ) from error

    return [name for name, bad in zip(expected, at_once(differs, expected), strict=True) if bad]


@contextmanager
def alone(output: Path, ranks: Ranks) -> Iterator[None]:
    """Keep other trainings from writing to an output folder in the block. Raises CheckpointError, on all ranks, while one does.

    The lock is the kernel's, or the network file system's: it ends with the process, or with the lease of a node that is gone.
    """
    with ExitStack() as held:
        holder = None
        if ranks.rank == 0:
            output.mkdir(parents=True, exist_ok=True)
            lock = held.enter_context(files.open_lock(output / ".lock"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                lock.truncate(0)
                lock.write(f"process {os.getpid()} of {socket.gethostname()}".encode())
                lock.flush()
            except BlockingIOError:
                holder = re.sub(r"[^\w. -]", "?", lock.read(200).decode(errors="replace")) or "another process"
            except OSError:
                say(
                    f"{output}: its file system has no locks, so nothing keeps another training from writing there",
                    to=sys.stderr,
                )
        if holder := ranks.gathered(holder)[0]:
            raise CheckpointError(
                f"{output}: another training writes to it ({holder}); wait for its end, or give another --output"
            )
        yield


def _named(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("step-*") if NAME.fullmatch(path.name))


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _name(meta: Meta) -> str:
    return f"step-{meta.step:08d}"


def check(path: Path, meta: Meta, recipe: str, data: str, fix: str) -> None:
    """Raise CheckpointError, which ends with `fix`, if the checkpoint is of another recipe or other data."""
    for name, there, here in (("recipe", meta.recipe, recipe), ("data", meta.data, data)):
        if there != here:
            raise CheckpointError(f"{path}: was made with another {name}; {fix}")


def state(decoder: nn.Module, optimizer: Optimizer, step: int) -> dict[str, torch.Tensor]:
    """Return the run's own weights, moments and averages by name. Missing moments are created, as of step `step`."""
    weights = {f"model.{name}": parameter.detach() for name, parameter in decoder.named_parameters()}
    return weights | optimizer.tensors(step)


def load(path: Path, into: dict[str, torch.Tensor], ranks: Ranks) -> None:
    """Fill the tensors of `state`, each rank its pieces. Raises CheckpointError for files that are damaged or missing."""
    reader = HuggingFaceStorageReader(str(path))
    with _failures(path, "read", "remove it to continue from the checkpoint before"):
        state_dict_loader.load(into, storage_reader=reader, process_group=ranks.writers, no_dist=ranks.world == 1)


@contextmanager
def _failures(path: Path, what: str, fix: str) -> Iterator[None]:
    # The library raises a BaseException that holds each rank's error and trace.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")  # one process is intended
        try:
            yield
        except CheckpointException as error:
            causes = sorted({(str(cause).splitlines() or [type(cause).__name__])[0] for cause, _ in error.failures.values()})
            raise CheckpointError(f"{path}: could not be {what} ({'; '.join(causes)}); {fix}") from None
        except OSError as error:
            raise CheckpointError(f"{path}: could not be {what} ({error}); {fix}") from None
