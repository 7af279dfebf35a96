"""Attention that crosses documents, as StarCoder's did, against attention that does not: the held-out loss of both, seed by seed.

    .venv/bin/python benchmarks/masking.py [--workspace runs/smoke] [--steps 240] [--seeds 3] [--threads 2] [--write]

The model of recipes/train-tiny.yaml without its sliding window (which is a mask too), on windows of 512 tokens. Both runs of a seed see the
same windows in the same order from the same first weights. Each model is then read in both ways: as it was trained, and as it was
not; a file that is completed alone is read as by the masked one. Loss does not depend on the machine's speed.
"""

import argparse
import datetime
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from starmill.model.huggingface import load
from starmill.trainer import parallel
from starmill.trainer.config import TrainRecipe
from starmill.trainer.config import load as recipe
from starmill.trainer.inputs import open_inputs
from starmill.trainer.loop import train
from starmill.trainer.step import Run

WAYS = {"crossing": False, "masked": True}
SHAPE = [
    "model.sliding_window=null",
    "data.sequence_length=512",
    "data.batch=8",
    "data.micro_batch=8",
    "data.held_out_windows=256",
]


def held_out(options: TrainRecipe, folder: Path) -> float:
    """Return the held-out loss a token of the model in `folder`, read as `options` say. Raises ValueError if nothing is held out."""
    found, decoder = open_inputs(options), load(folder)
    with parallel.joined("cpu", 1) as ranks:
        told = Run(options, ranks, found.train, decoder, torch.optim.AdamW(decoder.parameters())).evaluate(found.held_out)
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
    parser.add_argument("--steps", type=int, default=240, help="of each run, of 4,096 tokens (default: 240)")
    parser.add_argument("--seeds", type=int, default=3, help="how many (default: 3)")
    parser.add_argument("--threads", type=int, default=2, help="for sums (default: 2)")
    parser.add_argument("--write", action="store_true", help="append the table to benchmarks/results/masking.md")
    asked = parser.parse_args()
    fixed = [f"steps={asked.steps}", f"checkpoint_every={asked.steps}", f"threads={asked.threads}"]
    runs = {}
    for seed in range(asked.seeds):
        runs[seed] = compare(recipe("recipes/train-tiny.yaml", [*SHAPE, *fixed, f"seed={seed}"], asked.workspace))
        print(f"seed {seed}: {runs[seed]}", flush=True)
    found = open_inputs(recipe("recipes/train-tiny.yaml", SHAPE, asked.workspace))
    units = found.train.units
    head = f"## {datetime.date.today()}, torch {torch.__version__}, {asked.steps} steps of 4,096 tokens in windows of 512"
    told = f"Held-out loss a token (256 windows). An epoch has {found.train.epoch_tokens / 1e6:.1f} M tokens in {len(units):,} units."
    text = "\n".join([head, "", told, "", *table(runs), ""])
    print(text)
    if asked.write:
        with open(Path(__file__).parent / "results" / "masking.md", "a") as results:
            results.write(text + "\n")


if __name__ == "__main__":
    main()
