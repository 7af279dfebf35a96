"""The files of a Megatron-LM checkpoint: one pickle for each tensor rank of each pipeline stage, read without running their code.

Only tensors and plain values are unpickled; every other class becomes an inert stand-in.
"""

import argparse
import os
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from starmill.core.errors import InputError, one_line
from starmill.core.files import read_small

RANK = re.compile(r"mp_rank_(\d+)(?:_(\d+))?$")


class MegatronError(InputError):
    """A folder that is no checkpoint, or one of another model; the message names the file and what is wrong."""


class Inert:
    """Stands in for every class that a checkpoint names; takes anything and does nothing."""

    def __init__(self, *_: object) -> None:
        """Ignore the arguments."""

    def __setstate__(self, _: object) -> None:
        """Ignore the state."""


@dataclass(frozen=True)
class Ranks:
    """`stages[pipeline rank][tensor rank]` are tensors by name, without those of outer modules; `arguments` are the training's."""

    place: Path
    version: float
    arguments: dict[str, Any]
    stages: list[list[dict[str, torch.Tensor]]]

    def part(self, stage: int, rank: int, name: str) -> torch.Tensor:
        """Return one rank's tensor. Raises MegatronError naming a tensor that the rank lacks."""
        found = self.stages[stage][rank].get(name)
        if found is None:
            raise MegatronError(f"{self.place}: pipeline stage {stage % len(self.stages)}, tensor rank {rank} has no {name}")
        return found

    def joined(self, stage: int, name: str, cut: int | None) -> torch.Tensor:
        """Return a tensor joined along the dimension `cut`; None: every rank holds the whole tensor."""
        if cut is None:
            return self.part(stage, 0, name)
        return torch.cat([self.part(stage, rank, name) for rank in range(len(self.stages[stage]))], dim=cut)


def read_ranks(folder: str | os.PathLike[str]) -> Ranks:
    """Open `iter_...` or the folder above it; tensors are memory-mapped. Raises MegatronError naming what is wrong."""
    place = _iteration(Path(folder))
    found = {m: p for p in sorted(place.iterdir()) if (m := RANK.match(p.name))}
    by_rank = {(int(m[2] or 0), int(m[1])): _read(_file(p)) for m, p in found.items()}
    stages, width = 1 + max((r[0] for r in by_rank), default=-1), 1 + max((r[1] for r in by_rank), default=-1)
    if not by_rank or len(by_rank) != stages * width:
        raise MegatronError(f"{place}: {len(by_rank)} folders mp_rank_* for {stages} x {width} ranks; fetch all of them")
    parts = [[_parts(place, by_rank[s, t]) for t in range(width)] for s in range(stages)]
    version = by_rank[0, 0].get("checkpoint_version", 0)
    if not isinstance(version, int | float):
        raise MegatronError(f"{place}: checkpoint_version={version!r:.200}: no number; fetch the checkpoint again")
    return Ranks(place, float(version), vars(by_rank[0, 0]["args"]), parts)


def _iteration(place: Path) -> Path:
    latest = place / "latest_checkpointed_iteration.txt"
    if latest.exists():
        try:
            text = read_small(latest, 1 << 10).decode("ascii", "backslashreplace").strip()
        except OSError as error:
            raise MegatronError(f"{latest}: {one_line(error)}; write the number of an iteration there") from None
        if not re.fullmatch(r"release|[0-9]{1,12}", text):
            raise MegatronError(f"{latest}: {text[:50]!r} is neither a number nor release")
        place = place / ("release" if text == "release" else f"iter_{int(text):07}")
    if not place.is_dir():
        raise MegatronError(f"{place}: no such folder; give iter_... or the folder with latest_checkpointed_iteration.txt")
    return place


def _file(rank: Path) -> Path:
    for name in ("model_optim_rng.pt", "model_rng.pt"):
        if (rank / name).is_file():  # a pipe would never answer
            return rank / name
    raise MegatronError(f"{rank}: neither model_optim_rng.pt nor model_rng.pt; another kind of checkpoint")


def _read(file: Path) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(file) as members:
            if any(member.compress_type for member in members.infolist()):  # torch.save compresses nothing
                raise ValueError("compressed, so that it may be of any size")
        foreign = torch.serialization.get_unsafe_globals_in_checkpoint(file)
        allowed: list[Any] = [(argparse.Namespace if name == "argparse.Namespace" else Inert, name) for name in foreign]
        with torch.serialization.safe_globals(allowed):
            read = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # torch raises whatever its unpickler meets
        raise MegatronError(f"{file}: not readable ({one_line(error)}); fetch it again") from None
    if not isinstance(read, dict) or "model" not in read or not isinstance(read.get("args"), argparse.Namespace):
        raise MegatronError(f"{file}: no model and args in it; not a Megatron-LM checkpoint")
    return read


def _parts(place: Path, rank: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Return the language model's tensors under the fork's names, without the modules around them."""
    model = rank["model"].get("language_model")
    if not isinstance(model, dict):
        raise MegatronError(f"{place}: model has no language_model; not a Megatron-LM checkpoint of a GPT")
    parts: dict[str, torch.Tensor] = {}
    try:
        found = [*_flat(model, "")]
    except RecursionError:
        raise MegatronError(f"{place}: its model is nested without end; fetch the checkpoint again") from None
    for name, tensor in found:
        if tensor.layout != torch.strided or tensor.nbytes > tensor.untyped_storage().nbytes():
            raise MegatronError(
                f"{place}: {name!r:.200} has the shape {tuple(tensor.shape)}, for which the file has too few bytes; fetch it again"
            )
        name = re.sub(r"^(embedding|transformer|encoder|output_layer(?=\.output_layer))\.", "", name)
        parts[name.replace(".attention.", ".self_attention.")] = tensor
    return parts


def _flat(values: Mapping[str, Any], before: str) -> Iterator[tuple[str, torch.Tensor]]:
    for name, value in values.items():
        if isinstance(value, torch.Tensor):
            yield f"{before}{name}", value
        elif isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
