"""Attention that crosses documents, as StarCoder's did, against attention that does not: the held-out loss of both, seed by seed.

    .venv/bin/python benchmarks/masking.py [--workspace runs/smoke] [--steps 400] [--positions rope|learned] [--write]

A model of two blocks, without a sliding window (which is a mask too), on windows of 1,024 tokens whose documents are files, as
StarCoder's were. Both runs of a seed see the same windows in the same order from the same first weights. Each model is then read in
both ways: as it was trained, and as it was not; a file that is completed alone is read as by the masked one. Positions are rotations by
default, of which a document's own start changes nothing; with `--positions learned` the masked one's begin anew in each.
"""

import argparse
import datetime
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path

import report
import torch

from starmill.model.exchange.huggingface import load
from starmill.trainer import parallel
from starmill.trainer.config import TrainRecipe
from starmill.trainer.config import load as recipe
from starmill.trainer.data.inputs import open_inputs
from starmill.trainer.loop import train
from starmill.trainer.optim import Optimizer
from starmill.trainer.step import Run

WAYS = {"crossing": False, "masked": True}
SHAPE = [
    "model.sliding_window=null",
    "model.layers=2",
    "model.hidden_size=128",
    "model.mlp_size=512",
    "model.heads=4",
    "model.kv_heads=1",
    "data.sequence_length=1024",
    "data.batch=4",
    "data.micro_batch=4",
    "data.unit_tokens=1",
    "data.held_out_windows=128",
]


def held_out(options: TrainRecipe, folder: Path) -> float:
    """Return the held-out loss a token of the model in `folder`, read as `options` say. Raises ValueError if nothing is held out."""
    found, decoder = open_inputs(options), load(folder)
    with parallel.joined("cpu", 1) as ranks:
        told = Run(options, ranks, found.train, decoder, Optimizer(decoder, options.optimizer)).evaluate(found.held_out)
    if told is None:
        raise ValueError(f"{options.workspace}: no held-out repositories; mill more, or set data.held_out")
    return told.loss


def compare(options: TrainRecipe) -> dict[tuple[str, str], float]:
    """Train in both ways; return the held-out loss by (trained, read)."""
    losses = {}
    with tempfile.TemporaryDirectory(prefix="starmill-masking-") as folder:
        ways = {
            way: replace(options, output=f"{folder}/{way}", data=replace(options.data, mask_documents=mask))
            for way, mask in WAYS.items()
        }
        for trained, given in ways.items():
            train(given)
            for read, other in ways.items():
                losses[trained, read] = held_out(other, Path(given.output) / "model")
    return losses


def table(runs: dict[int, dict[tuple[str, str], float]]) -> list[str]:
    """Return one line a seed and the means, in Markdown."""
    columns = [(trained, read) for trained in WAYS for read in WAYS]
    lines = [f"| seed | {' | '.join(f'{t}, read {r}' for t, r in columns)} |", "|---" * (len(columns) + 1) + "|"]
    rows = {str(seed): losses for seed, losses in runs.items()}
    rows["mean"] = {c: statistics.fmean(losses[c] for losses in runs.values()) for c in columns}
    return lines + [f"| {name} | {' | '.join(f'{losses[c]:.4f}' for c in columns)} |" for name, losses in rows.items()]


def main() -> None:
    """Measure, print, and with --write append to the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--workspace", default="runs/smoke", help="that of `make run` (default: runs/smoke)")
    parser.add_argument("--steps", type=int, default=400, help="of each run, of 4,096 tokens (default: 400)")
    parser.add_argument("--seeds", type=int, default=3, help="how many (default: 3)")
    parser.add_argument("--positions", choices=("rope", "learned"), default="rope", help="of the model (default: rope)")
    parser.add_argument("--threads", type=int, default=2, help="for sums (default: 2)")
    report.add_write(parser)
    asked = parser.parse_args()
    given = [f"model.positions={asked.positions}", f"steps={asked.steps}", f"checkpoint_every={asked.steps}"]
    given = [*SHAPE, *given, f"threads={asked.threads}"]
    runs = {}
    for seed in range(asked.seeds):
        runs[seed] = compare(recipe("recipes/train/tiny.yaml", [*given, f"seed={seed}"], asked.workspace))
        print(f"seed {seed}: {runs[seed]}", flush=True)
    found = open_inputs(recipe("recipes/train/tiny.yaml", given, asked.workspace))
    units, read = found.train.units, asked.steps * 4096
    head = f"## {datetime.date.today()}, torch {torch.__version__}, positions: {asked.positions}, {asked.steps} steps"
    told = (
        f"Held-out loss a token, of 128 windows of 1,024 tokens. {read / 1e6:.1f} M tokens were read in such windows, of "
        f"{units.tokens / 1e6:.1f} M in {len(units):,} files, {units.tokens / len(units):,.0f} tokens each."
    )
    report.tell("masking", [head, "", told, "", *table(runs)], asked.write)


if __name__ == "__main__":
    main()
