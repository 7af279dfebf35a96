"""Trains a tagger: windows of annotated texts in an order of the seed, weighted cross-entropy, early stopping on held-out texts.

A run takes minutes and starts anew when it was stopped. What it writes is a folder that transformers loads as BertForTokenClassification.
"""

import json
import math
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tokenizers
import torch
from torch.nn import functional as F

from starmill.core import seeds
from starmill.core import tokenizer as bpe
from starmill.core.errors import InputError, StarmillError
from starmill.core.files import read_small
from starmill.core.files import write as write_whole
from starmill.core.terminal import say
from starmill.model.config import TaggerConfig
from starmill.model.encoder.encoder import NO_TARGET, Encoder
from starmill.model.encoder.rows import MOST_TOKENIZER, around
from starmill.model.encoder.spans import labelled
from starmill.model.encoder.tagger import Tagger
from starmill.model.encoder.tokens import published_files
from starmill.model.exchange import huggingface
from starmill.trainer.allocator import keep_freed
from starmill.trainer.encoders.examples import Example, read
from starmill.trainer.encoders.local import look_alike, look_near
from starmill.trainer.encoders.plant import files
from starmill.trainer.encoders.recipe import TaggerRecipe
from starmill.trainer.encoders.scores import Score, by_type, of_entities
from starmill.trainer.optim import Optimizer

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
HEAVIEST = 4.0  # weight of a rare label: more, and what is frequent is called rare too often
LOG_EVERY = 20  # steps
PIECE = re.compile(r"(?:[^\n]*\n){1,12}")  # lines of an unlabelled text that are labelled at once
MULTIPLE = 8  # tokens: lengths of a batch are multiples of it
EVALUATED = 400  # held-out texts of an evaluation, at most; the last one takes all


@dataclass(frozen=True)
class Window:
    """Token ids and a label for each: NO_TARGET for the special ones around them, if any."""

    ids: list[int]
    labels: list[int]


def train(options: TaggerRecipe) -> dict[str, Score]:
    """Train to the end, write the folder, and return the held-out scores by type. Raises InputError, StarmillError for a bad loss.

    With `unlabelled`, what a first model is sure of there is trained on beside the annotated texts (pseudo-labels, as StarPII had).
    """
    torch.set_num_threads(options.threads)
    device = torch.device(options.device if options.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu":
        keep_freed()
    texts, held_out = _texts(options)
    output, since = Path(options.output), time.process_time()
    lines = _fit(options, texts, held_out, device)
    if options.unlabelled:
        more = sure(Tagger.load(output, device.type), options)
        say(f"{len(more):,} texts of which the first model is sure")
        lines = _fit(options, [*texts, *more], held_out, device)
    spent = time.process_time() - since
    found = scores(Tagger.load(output, device.type), held_out)
    lines.append({"held_out": {kind: _shown(score) for kind, score in found.items()}, "cpu_seconds": round(spent, 1)})
    write_whole(output / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in lines).encode())
    return found


def sure(tagger: Tagger, options: TaggerRecipe) -> list[Example]:
    """Return the unlabelled texts, in pieces, in which a tagger finds something, and nothing with less than `confidence`."""
    pieces = [piece for _, text in files(options.unlabelled) for piece in PIECE.findall(text)]
    return [
        Example(piece, tuple((s.start, s.end, s.kind) for s in found))
        for piece, found in zip(pieces, tagger.spans(pieces), strict=True)
        if found and min(s.score for s in found) >= options.confidence
    ]


def _fit(
    options: TaggerRecipe, texts: Sequence[Example], held_out: Sequence[Example], device: torch.device
) -> list[dict[str, Any]]:
    """Train one model, write its folder, and return what happened."""
    model, beside = _start(options, texts)
    tokenizer = tokenizers.Tokenizer.from_str(beside["tokenizer.json"].decode())
    tokenizer.encode_special_tokens = True
    rows = _encoded(options, tokenizer, texts)
    model.to(device)
    say(f"{len(texts):,} texts of {sum(len(row.ids) for row in rows):,} tokens, {len(held_out):,} held out")
    optimizer = Optimizer(model, options.optimizer)
    weights = _weights(options, rows).to(device)
    best: tuple[float, dict[str, torch.Tensor]] = (-1.0, {})
    waited, since = 0, time.monotonic()
    lines: list[dict[str, Any]] = []
    batches = _batches(options, tokenizer, rows)
    for step in range(1, options.steps + 1):
        model.train()
        optimizer.set_rate(step, options.steps)
        torch.manual_seed(seeds.uint64(options.seed, "dropout", step) >> 1)
        ids, labels, padding = (t.to(device) for t in next(batches))
        seen = padding if bool(padding.any()) else None
        loss = F.cross_entropy(model.labels(ids, seen).flatten(0, 1), labels.flatten(), weights, ignore_index=NO_TARGET)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), options.optimizer.clip or math.inf)
        optimizer.step()
        optimizer.zero_grad()
        if step % LOG_EVERY == 0 or step == options.steps:
            if not math.isfinite(loss.item()):
                raise StarmillError(f"step {step}: loss {loss.item()}; take a lower optimizer.lr")
            lines.append({"step": step, "loss": round(loss.item(), 4), "seconds": round(time.monotonic() - since, 1)})
        if step % options.evaluate_every == 0 or step == options.steps:
            score = _score(model, options, tokenizer, held_out, device)
            lines.append(
                {
                    "step": step,
                    "f1": round(score.f1, 4),
                    "precision": round(score.precision, 4),
                    "recall": round(score.recall, 4),
                }
            )
            say(f"step {step}: loss {loss.item():.3f}, held-out F1 {score.f1:.3f}")
            waited = 0 if score.f1 >= best[0] + options.least_gain else waited + 1
            if score.f1 > best[0]:
                best = score.f1, {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
            if waited >= options.patience:
                say(f"stopped: {options.patience} evaluations without a gain of {options.least_gain} in F1")
                break
    model.load_state_dict(best[1])
    huggingface.save(model.cpu(), Path(options.output), beside)
    return lines


def scores(tagger: Tagger, examples: Sequence[Example]) -> dict[str, Score]:
    """Return a tagger's scores by type on annotated texts."""
    found = tagger.spans([example.text for example in examples])
    return by_type([[(s.start, s.end, s.kind) for s in one] for one in found], [example.spans for example in examples])


def table(found: dict[str, Score]) -> list[str]:
    """Return scores by type as lines of a table for people."""
    rows = [f"{kind:<12}{s.precision:10.3f}{s.recall:8.3f}{s.f1:8.3f}{s.true:8,}" for kind, s in found.items()]
    return [f"{'type':<12}{'precision':>10}{'recall':>8}{'F1':>8}{'spans':>8}", *rows]


def _shown(score: Score) -> dict[str, Any]:
    return {
        "precision": round(score.precision, 4),
        "recall": round(score.recall, 4),
        "f1": round(score.f1, 4),
        "spans": score.true,
    }


def _texts(options: TaggerRecipe) -> tuple[list[Example], list[Example]]:
    texts = [example for place in options.train for example in read(place, options.kinds)]
    held_out = [example for place in options.held_out for example in read(place, options.kinds)]
    if not options.held_out:
        chosen = [seeds.uniform(options.seed, "held_out", example.text) < options.held_out_share for example in texts]
        held_out = [example for example, held in zip(texts, chosen, strict=True) if held]
        texts = [example for example, held in zip(texts, chosen, strict=True) if not held]
    if not texts or not held_out:
        raise InputError(f"{len(texts)} texts to train on and {len(held_out)} held out; both are needed")
    return texts, held_out


def _start(options: TaggerRecipe, texts: Sequence[Example]) -> tuple[Encoder, dict[str, bytes]]:
    """Return the tagger before training and the files of its tokenizer."""
    if options.base is not None:
        place = Path(options.base)
        base = huggingface.load_encoder(place, torch.float32)
        files = {name: read_small(place / name, MOST_TOKENIZER) for name in TOKENIZER_FILES if (place / name).is_file()}
        if "tokenizer.json" not in files:
            raise InputError(f"{place}: no tokenizer.json; give an encoder's folder with its tokenizer")
        config = base.config
    else:
        assert options.model is not None
        data = bpe.train((example.text for example in texts), options.vocab_size)
        config = options.model.config(bpe.Tokenizer(data).vocab_size)
        base, files = None, published_files(data, min(config.max_positions, options.sequence_length))
    if config.max_positions < options.sequence_length:
        raise InputError(f"sequence_length={options.sequence_length} is above the encoder's {config.max_positions} positions")
    shape = {name: getattr(config, name) for name in vars(config) if name != "labels"}
    if base is None:  # a place that was never trained is none: the tagger reads windows of as many tokens as it has places
        shape["max_positions"] = options.sequence_length
    model = Encoder(TaggerConfig(**shape, labels=options.labels))
    draw = torch.Generator().manual_seed(seeds.uint64(options.seed, "weights") >> 1)
    model.init_weights(draw)
    if base is None:
        look_near(model, draw)
        look_alike(model, tokenizers.Tokenizer.from_str(files["tokenizer.json"].decode()), options.seed)
    else:
        body = {
            name: value for name, value in base.state_dict().items() if name in model.state_dict() and "classifier" not in name
        }
        model.load_state_dict(body, strict=False)
    return model, files


def _encoded(options: TaggerRecipe, tokenizer: tokenizers.Tokenizer, texts: Sequence[Example]) -> list[Window]:
    """Return each text's token ids and labels, without special tokens."""
    numbers = {label: number for number, label in enumerate(options.labels)}
    encoded = tokenizer.encode_batch([example.text for example in texts], add_special_tokens=False)
    return [
        Window(one.ids, [numbers[label] for label in labelled(one.offsets, example.spans)])
        for example, one in zip(texts, encoded, strict=True)
    ]


def _cut(options: TaggerRecipe, tokenizer: tokenizers.Tokenizer, row: Window) -> list[Window]:
    """Return the windows of a row of tokens, all of them full but for the last."""
    before, after = around(tokenizer)
    size = options.sequence_length - len(before) - len(after)
    edges = [NO_TARGET] * len(before), [NO_TARGET] * len(after)
    return [
        Window([*before, *row.ids[at : at + size], *after], [*edges[0], *row.labels[at : at + size], *edges[1]])
        for at in range(0, len(row.ids), size)
    ]


def _packed(options: TaggerRecipe, tokenizer: tokenizers.Tokenizer, rows: Sequence[Window], epoch: int) -> list[Window]:
    """Return windows of all texts one behind the other, in another order each epoch: little is padding, and a text begins anywhere."""
    order = seeds.Permutation(len(rows), options.seed + epoch, "packed")
    ordered = [rows[order[place]] for place in range(len(rows))]
    ids = [one for row in ordered for one in row.ids]
    return _cut(options, tokenizer, Window(ids, [one for row in ordered for one in row.labels]))


def _weights(options: TaggerRecipe, rows: Sequence[Window]) -> torch.Tensor:
    """Return a weight for each label, 1 for the most frequent one: the root keeps a rare label from drowning all others."""
    counts = torch.bincount(
        torch.tensor([label for row in rows for label in row.labels]),
        minlength=len(options.labels),
    )
    if options.class_weights == "none":
        return torch.ones(len(options.labels))
    return (counts.max() / counts.clamp(min=1)).sqrt().clamp(max=HEAVIEST)


def _batches(
    options: TaggerRecipe, tokenizer: tokenizers.Tokenizer, rows: Sequence[Window]
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Yield (ids, labels, padding) endlessly, each window once an epoch, in an order of the seed."""
    ahead: list[Window] = []
    epoch = 0
    while True:
        while len(ahead) < options.batch:
            inside = _packed(options, tokenizer, rows, epoch)
            order = seeds.Permutation(len(inside), options.seed, "windows", epoch)
            ahead += (inside[order[place]] for place in range(len(inside)))
            epoch += 1
        yield _tensors(ahead[: options.batch])
        del ahead[: options.batch]


def _tensors(rows: Sequence[Window]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    longest = -(-max(len(row.ids) for row in rows) // MULTIPLE) * MULTIPLE
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    labels, padding = torch.full_like(ids, NO_TARGET), torch.ones_like(ids, dtype=torch.bool)
    for at, row in enumerate(rows):
        ids[at, : len(row.ids)], padding[at, : len(row.ids)] = torch.tensor(row.ids), False
        labels[at, : len(row.ids)] = torch.tensor(row.labels)
    return ids, labels, padding


@torch.no_grad()
def _score(
    model: Encoder, options: TaggerRecipe, tokenizer: tokenizers.Tokenizer, held_out: Sequence[Example], device: torch.device
) -> Score:
    model.eval()
    rows = [window for row in _encoded(options, tokenizer, held_out[:EVALUATED]) for window in _cut(options, tokenizer, row)]
    found, true = [], []
    for at in range(0, len(rows), options.batch):
        ids, labels, padding = _tensors(rows[at : at + options.batch])
        best = model.labels(ids.to(device), padding.to(device)).argmax(-1).cpu()
        for ours, theirs in zip(best, labels, strict=True):
            kept = theirs != NO_TARGET
            found.append([options.labels[i] for i in ours[kept].tolist()])
            true.append([options.labels[i] for i in theirs[kept].tolist()])
    return of_entities(found, true)
