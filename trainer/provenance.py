"""What made a run's output: `recipe.yaml` with every override, from which the run goes on, and `starts.jsonl`, what each start ran on.

A start is a line: time, command, versions, hosts, devices, ranks, the digests of tokenizer and shards. Times and hosts are in this file
and in nothing that is trained or published. `positions.jsonl` has where the lanes of the batch stood at each checkpoint, also of those
that were removed, so that `starmill trace` finds any step's files.
"""

import json
import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, astuple
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import torch
import yaml

from starmill.core import __version__, files
from starmill.trainer.config import TrainRecipe, load
from starmill.trainer.data.corpus import Position
from starmill.trainer.data.inputs import Inputs
from starmill.trainer.parallel import Ranks

RECIPE, STARTS = "recipe.yaml", "starts.jsonl"
PLACES = ("workspace", "cache")  # made absolute; `weights` is part of what a run is, and stays as it was given
POSITIONS = "positions.jsonl"
ABSENT = "absent"


class Started(msgspec.Struct):
    """What is read of a line of starts.jsonl."""

    shards: str


class Noted(msgspec.Struct):
    """A line of positions.jsonl: (epoch, index, offset) of each lane."""

    step: int
    lanes: tuple[tuple[int, int, int], ...]


def keep(options: TrainRecipe, found: Inputs, ranks: Ranks, step: int) -> None:
    """Write a run's recipe, and append how it was started; all ranks call this, the first one writes."""
    device = torch.cuda.get_device_name(ranks.device) if ranks.device.type == "cuda" else platform.machine()
    hosts = ranks.gathered((platform.node(), device))
    if ranks.rank != 0:
        return
    output = Path(options.output)
    if step == 0:  # what an earlier run left, which this one replaces
        for name in (STARTS, POSITIONS):
            (output / name).unlink(missing_ok=True)
    values = json.loads(json.dumps(asdict(options)))
    values |= {name: os.path.abspath(values[name]) for name in PLACES if values[name] and "://" not in values[name]}
    files.write(output / RECIPE, yaml.safe_dump(values, sort_keys=False, allow_unicode=True).encode())
    start = {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "after_step": step,
        "command": sys.argv,
        "versions": {"starmill": __version__, "torch": torch.__version__, "python": platform.python_version()},
        "commit": _commit(),
        "hosts": sorted({host for host, _ in hosts}),
        "devices": sorted({name for _, name in hosts}),
        "ranks": {"all": ranks.world, "data": ranks.data_ranks, "tensor": ranks.tensor_ranks},
        "tokenizer": found.tokenizer.sha256,
        "shards": found.digest,
    }
    with open(output / STARTS, "a") as starts:
        starts.write(json.dumps(start) + "\n")


def note(output: Path, ranks: Ranks, step: int, positions: Sequence[Position]) -> None:
    """Append where each lane of the batch goes on after a step; the first rank writes."""
    if ranks.rank == 0:
        with open(output / POSITIONS, "a") as noted:
            noted.write(json.dumps({"step": step, "lanes": [astuple(p) for p in positions]}) + "\n")


def noted(output: Path, step: int) -> tuple[int, tuple[Position, ...]]:
    """Return the last noted step before `step`, and where the lanes went on after it; step 0 where none is noted."""
    best: tuple[int, tuple[Position, ...]] = (0, ())
    with suppress(FileNotFoundError), open(output / POSITIONS, "rb") as lines:
        for line in lines:
            try:
                found = msgspec.json.decode(line, type=Noted)
            except msgspec.MsgspecError:  # a line that a kill left
                continue
            if best[0] < found.step < step:
                best = found.step, tuple(Position(*lane) for lane in found.lanes)
    return best


def shards(options: TrainRecipe) -> str | None:
    """Return the digest of the shards that a run was last started with; None where that is not known."""
    found = None
    with suppress(FileNotFoundError), open(Path(options.output) / STARTS, "rb") as lines:
        for line in lines:
            with suppress(msgspec.MsgspecError):
                found = msgspec.json.decode(line, type=Started).shards
    return found


def changed(options: TrainRecipe) -> list[str]:
    """Return `key: there -> here` for each key that changes what is learned and differs from the recipe kept in the output."""
    place = Path(options.output) / RECIPE
    if not place.exists():
        return []
    there, here = dict(_flat(load(str(place), []).learned())), dict(_flat(options.learned()))
    keys = [key for key in {**there, **here} if there.get(key, ABSENT) != here.get(key, ABSENT)]
    return [f"{key}: {there.get(key, ABSENT)} -> {here.get(key, ABSENT)}" for key in keys]


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def _commit() -> str | None:
    """Return the commit that pip installed from, as PEP 610 records it; None for a release, or a folder."""
    try:
        origin = json.loads(metadata.distribution("starmill").read_text("direct_url.json") or "{}")
    except (metadata.PackageNotFoundError, ValueError):
        return None
    found = origin.get("vcs_info", {}).get("commit_id")
    return found if isinstance(found, str) else None
