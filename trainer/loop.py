"""The training loop, one process and one device. Ranks will share out `Corpus.batches`; nothing else here knows how many there are."""

import json
import math
import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import numpy as np
import torch
from torch.nn import functional as F

from starmill.core import recipe as recipes
from starmill.core import seeds
from starmill.core.dataset import Workspace
from starmill.core.shards import open_shards
from starmill.core.tokenizer import Tokenizer, huggingface_files
from starmill.model import huggingface
from starmill.model.config import ModelConfig, parameter_count
from starmill.model.decoder import Decoder
from starmill.trainer import checkpoint
from starmill.trainer.config import TrainRecipe
from starmill.trainer.data import Batch, Corpus, Position, prefetched, split, units
from starmill.trainer.metrics import Metrics, say
from starmill.trainer.optim import learning_rate, optimizer


class TrainingStopped(RuntimeError):
    """A loss that is not a number; the message names the files of the batch."""


@dataclass(frozen=True)
class Inputs:
    """What a run reads: the tokenizer, training and held-out units, the model's shape, and the digest of the data."""

    tokenizer: Tokenizer
    train: Corpus
    held_out: Corpus
    config: ModelConfig
    digest: str


def inputs(options: TrainRecipe) -> Inputs:
    """Open the workspace. Raises ShardError, FileNotFoundError or ValueError, naming what is missing."""
    workspace = Workspace(options.workspace)
    shards = open_shards(options.workspace)
    tokenizer = Tokenizer.load(workspace.path("tokenizer/tokenizer.json"))
    manifest = workspace.manifest("tokenize")
    assert manifest is not None  # open_shards read it
    train, held = split(units(shards, options.data.unit_tokens), options.data.held_out, options.seed)
    corpora = [Corpus(shards, found, tokenizer, options.data, options.seed) for found in (train, held)]
    return Inputs(tokenizer, corpora[0], corpora[1], options.model.config(tokenizer.vocab_size), manifest.digest)


def plan(options: TrainRecipe, found: Inputs) -> list[str]:
    """Return what a run would do, as lines."""
    tokens, per_step = sum(u.end - u.start for u in found.train.units), tokens_per_step(options)
    parameters = parameter_count(found.config)
    return [
        f"model      {parameters:,} parameters, vocabulary {found.config.vocab_size:,}",
        f"data       {len(found.train.units):,} units, {tokens:,} tokens; held out: {len(found.held_out.units):,} units",
        f"steps      {options.steps:,} of {per_step:,} tokens = {options.steps * per_step:,} tokens, "
        f"{options.steps * per_step / max(1, tokens):.2f} epochs",
        f"compute    {6 * parameters * options.steps * per_step:.2e} FLOPs (6 N D)",
        f"memory     {16 * parameters / 1e6:,.0f} MB of weights, gradients and optimizer, without activations",
        f"output     {options.output}",
    ]


def tokens_per_step(options: TrainRecipe) -> int:
    """Return how many tokens one optimizer step trains on."""
    return options.data.sequence_length * options.data.micro_batch * options.data.accumulation


def train(options: TrainRecipe, fresh: bool = False) -> int:
    """Train, or continue, to the end; return the exit status (128 + the number of a signal that stopped it).

    Raises TrainingStopped for a loss that is not finite, CheckpointError for a checkpoint of another run.
    """
    torch.set_num_threads(options.threads)
    found, output = inputs(options), Path(options.output)
    # Neither where things lie nor how often something is said or saved changes a loss.
    identity = recipes.digest(recipes.override(vars_of(options), [f"{k}=0" for k in ("workspace", "output", "log_every")]))
    device = torch.device(options.device if options.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu")
    decoder = Decoder(found.config)
    decoder.init_weights(torch.Generator().manual_seed(seeds.uint64(options.seed, "weights") >> 1))
    decoder.to(device)
    adam = optimizer(decoder, options.optimizer)
    torch.manual_seed(seeds.uint64(options.seed, "dropout") >> 1)
    step = 0
    positions: tuple[Position, ...] = ()
    before = None if fresh else checkpoint.newest(output / "checkpoints")
    if before is not None:
        path, meta = before
        state = checkpoint.load(path, meta, identity, found.digest)
        decoder.load_state_dict(state["model"])
        adam.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"])
        step, positions = meta.step, meta.positions
        say(f"continuing after step {step} from {path}")
    output.mkdir(parents=True, exist_ok=True)
    with (
        Metrics(output / "metrics.jsonl", step, options.steps, options.log_every, tokens_per_step(options)) as metrics,
        _signals() as stop,
    ):
        if step == 0:
            for line in plan(options, found):
                say(line)
            _evaluate(decoder, found, options, metrics, 0)
        batches = prefetched(found.train.batches(positions), options.data.prefetch)
        while step < options.steps:
            step += 1
            loss, norm, positions = _step(decoder, adam, batches, options, step)
            metrics.step(step, loss, learning_rate(step, options.steps, options.optimizer), norm)
            if step % options.checkpoint_every == 0 or step == options.steps or stop:
                state = {"model": decoder.state_dict(), "optimizer": adam.state_dict(), "random": torch.get_rng_state()}
                meta = checkpoint.Meta(step, positions, identity, found.digest)
                checkpoint.save(output / "checkpoints", meta, state, options.keep_checkpoints)
            if stop and step < options.steps:
                say(f"stopped after step {step}; run the same command to continue")
                return 128 + stop[0]
        batches.close()  # type: ignore[attr-defined]
        if before is None or before[1].step < options.steps:
            _evaluate(decoder, found, options, metrics, step)
        else:
            say(f"all {options.steps} steps are done; writing the model again")
    huggingface.save(decoder, output / "model", huggingface_files(found.tokenizer.data))
    say(f"model: {output / 'model'}")
    return 0


def vars_of(options: TrainRecipe) -> dict[str, object]:
    """Return the recipe as plain values."""
    values: dict[str, object] = json.loads(recipes.canonical(options))
    return values


def loss_of(decoder: Decoder, batch: Batch, masked: bool) -> torch.Tensor:
    """Return the mean cross-entropy of the next tokens, over all of them."""
    device = decoder.tokens.weight.device
    tokens_BT, documents_BT, positions_BT = (
        torch.from_numpy(a).to(device, non_blocking=True) for a in (batch.tokens, batch.documents, batch.positions)
    )
    with torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else nullcontext():
        inside = (positions_BT[:, :-1], documents_BT[:, :-1]) if masked else (None, None)
        logits_BTV = decoder(tokens_BT[:, :-1], *inside)
    return F.cross_entropy(logits_BTV.float().flatten(0, 1), tokens_BT[:, 1:].flatten())


def _step(
    decoder: Decoder, adam: torch.optim.AdamW, batches: Iterator[Batch], options: TrainRecipe, step: int
) -> tuple[float, float, tuple[Position, ...]]:
    decoder.train()
    for group in adam.param_groups:
        group["lr"] = learning_rate(step, options.steps, options.optimizer)
    total, seen = 0.0, []
    for _ in range(options.data.accumulation):
        batch = next(batches)
        seen.append(batch)
        loss = loss_of(decoder, batch, options.data.mask_documents) / options.data.accumulation
        loss.backward()
        total += loss.item()
    norm = torch.nn.utils.clip_grad_norm_(decoder.parameters(), options.optimizer.clip).item()
    if not math.isfinite(total) or not math.isfinite(norm):
        files = sorted({f"{u.repo_name}:{f[1]} swh:1:cnt:{f[2]}" for b in seen for u in b.units for f in u.files})
        raise TrainingStopped(f"step {step}: loss {total}, gradient norm {norm}. The batch's files:\n  " + "\n  ".join(files))
    adam.step()
    adam.zero_grad(set_to_none=True)
    return total, norm, seen[-1].following


@torch.no_grad()
def _evaluate(decoder: Decoder, found: Inputs, options: TrainRecipe, metrics: Metrics, step: int) -> None:
    if not found.held_out.units:
        return
    decoder.eval()
    windows = found.held_out.batches()
    rounds = max(1, options.data.held_out_windows // options.data.micro_batch)
    losses = [loss_of(decoder, next(windows), options.data.mask_documents).item() for _ in range(rounds)]
    metrics.held_out(step, float(np.mean(losses)))


@contextmanager
def _signals() -> Iterator[list[int]]:
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)

    old = {n: signal.signal(n, note) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
