"""Checkpoints: everything that a continued run needs to equal an unbroken one, bit for bit. Written whole or not at all."""

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from starmill.trainer.data import Position

TEMPORARY = ".tmp-"


class CheckpointError(ValueError):
    """A checkpoint that does not belong to this run; the message names what differs, and the way out."""


@dataclass(frozen=True)
class Meta:
    """Which run a checkpoint is of, and where in it."""

    step: int
    positions: tuple[Position, ...]
    recipe: str
    data: str


def save(folder: Path, meta: Meta, state: dict[str, Any], keep: int) -> Path:
    """Write `folder/step-N` with tensors and meta.json, then remove all but the newest `keep`."""
    temporary, final = folder / f"{TEMPORARY}step-{meta.step:08d}", folder / f"step-{meta.step:08d}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    torch.save(state, temporary / "state.pt")
    (temporary / "meta.json").write_text(json.dumps(asdict(meta)))
    for name in ("state.pt", "meta.json"):
        with open(temporary / name, "rb") as file:
            os.fsync(file.fileno())
    shutil.rmtree(final, ignore_errors=True)
    os.replace(temporary, final)
    for old in _finished(folder)[:-keep]:
        shutil.rmtree(old)
    return final


def newest(folder: Path) -> tuple[Path, Meta] | None:
    """Return the newest whole checkpoint; what a killed run was writing is removed."""
    for leftover in folder.glob(f"{TEMPORARY}*"):
        shutil.rmtree(leftover)
    for path in reversed(_finished(folder)):
        values = json.loads((path / "meta.json").read_text())
        return path, Meta(**{**values, "positions": tuple(Position(**p) for p in values["positions"])})
    return None


def load(path: Path, meta: Meta, recipe: str, data: str) -> dict[str, Any]:
    """Return the tensors of a checkpoint. Raises CheckpointError if it is of another recipe or other data."""
    for name, there, here in (("recipe", meta.recipe, recipe), ("data", meta.data, data)):
        if there != here:
            raise CheckpointError(f"{path}: was made with another {name}; go back to it, use --fresh, or another --output")
    state: dict[str, Any] = torch.load(path / "state.pt", map_location="cpu", weights_only=True)
    return state


def _finished(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("step-*") if (p / "meta.json").exists())
