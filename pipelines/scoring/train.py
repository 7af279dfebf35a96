"""From examples to the file of a scorer, with what it gets right of the examples that were held out."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pyarrow as pa

from starmill.core import files
from starmill.core.errors import InputError
from starmill.pipelines.scoring.examples import Example, read
from starmill.pipelines.scoring.fit import Rows, auc, fit, r_squared
from starmill.transforms.clean.redact import tagging
from starmill.transforms.measure import encoded, ngrams
from starmill.transforms.measure.encoded import Device
from starmill.transforms.measure.score import Scorer, file_of

LARGEST = (1 << 30) - 1  # of a weight as an integer


@dataclass(frozen=True)
class Options:
    """How a scorer is fitted."""

    seed: int = 0
    held_out: float = 0.1  # share of the texts
    bits: int = 18  # 2**bits weights of 4 bytes
    orders: int = 2  # an n-gram has up to so many tokens
    l2: float | None = None  # penalty of a weight's square; None: 1e-7, and over an encoder 1e-3
    encoder: str | None = None  # its folder, for a head over its states in place of n-grams
    device: Device = "auto"  # of an encoder


def train(out: Path, places: Sequence[str], options: Options, tell: Callable[[str], None]) -> dict[str, Any]:
    """Fit a scorer, write its file, and return what came of it. Raises InputError for examples that cannot be fitted."""
    of, examples = read(places, options.seed, options.held_out)
    known = [one for one in examples if not one.is_held_out]
    tell(f"{len(examples):,} examples with a {of}, {len(examples) - len(known):,} of them held out")
    rows, having = rows_of(known, options) if options.encoder is None else states_of(known, options.encoder, options.device)
    wanted = np.array([one.value for one in known])[having]
    if len(np.unique(wanted)) < 2:
        each = f"each {of} is {wanted[0]:g}" if len(wanted) else "no text has a token"
        raise InputError(f"{', '.join(places)}: {each} of {len(wanted):,} examples to fit; give examples of both sides")
    l2 = options.l2 if options.l2 is not None else 1e-7 if options.encoder is None else 1e-3
    made = fit(rows, wanted, of == "label", l2, tell)
    kind = cast(Literal["label", "score"], of)
    scores: Callable[[list[str]], pa.Array]
    if options.encoder is None:
        scale = max(float(np.abs(made.weights).max()), 1e-30) / LARGEST
        weights = np.rint(made.weights / scale).astype(np.int32)
        scorer = Scorer(weights, kind, options.orders, scale, made.intercept)
        data, scores = file_of(scorer), lambda texts: scorer.of_texts(pa.array(texts, pa.string()))
    else:
        place, device = options.encoder, options.device
        head = encoded.Head(made.weights.astype(np.float32), kind, made.intercept, tagging.digest(place))
        data, scores = encoded.file_of(head), lambda texts: encoded.of_texts(head, place, device, texts)
    files.write(out, data)
    measured = [one for one in examples if one.is_held_out]
    return {
        "model": str(out),
        "sha256": hashlib.sha256(data).hexdigest(),
        "of": of,
        "examples": len(examples),
        "without_a_token": len(known) - len(wanted),
        "held_out": len(measured),
        "iterations": made.iterations,
        "loss": made.loss,
        "held_out_metrics": metrics(scores, kind, measured),
    }


def states_of(examples: Sequence[Example], encoder: str, device: Device) -> tuple[Rows, np.ndarray]:
    """Return an encoder's state of each text that has a token, and which have. Raises NotThere, InputError or MachineError."""
    told = tagging.states(tagging.Model(encoder, device), [one.text for one in examples], encoded.WINDOWS)
    there = [state for state in told if state is not None]
    width = len(there[0]) if there else 0
    starts, columns = np.arange(len(there) + 1, dtype=np.int64) * width, np.tile(np.arange(width, dtype=np.int32), len(there))
    return Rows(starts, columns, np.array(there, np.float64).reshape(-1), width), np.array([one is not None for one in told])


def rows_of(examples: Sequence[Example], options: Options) -> tuple[Rows, np.ndarray]:
    """Return the shares of the n-grams of each text that has a token, and which have."""
    kinds, columns, values = ngrams.byte_kinds(), [], []
    for example in examples:
        data = np.frombuffer(example.text.encode(), np.uint8)
        room = np.empty(options.orders * len(data), np.int32)
        some = room[: ngrams.places(data, kinds, options.bits, options.orders, room)]
        if len(some):
            place, count = np.unique(some, return_counts=True)
            columns.append(place)
            values.append(count / len(some))
        else:
            columns.append(room[:0])
            values.append(np.zeros(0))
    sizes = np.array([len(some) for some in columns], np.int64)
    starts = np.concatenate([[0], np.cumsum(sizes[sizes > 0])]).astype(np.int64)
    whole = (np.concatenate([*columns, np.zeros(0, np.int32)]), np.concatenate([*values, np.zeros(0)]))
    return Rows(starts, *whole, 1 << options.bits), sizes > 0


def metrics(
    scores_of: Callable[[list[str]], pa.Array], of: Literal["label", "score"], examples: Sequence[Example]
) -> dict[str, float | None]:
    """Return AUC, log loss and accuracy of labels; R2 and the root of the mean squared error of scores; None where examples lack."""
    scores = scores_of([one.text for one in examples]).to_numpy(zero_copy_only=False)
    having = ~np.isnan(scores)
    found, wanted = scores[having].astype(np.float64), np.array([one.value for one in examples])[having]
    if of == "score":
        error = float(np.sqrt(((found - wanted) ** 2).mean())) if len(wanted) else None
        return {"r2": r_squared(found, wanted), "rmse": error}
    if not len(wanted):
        return {"auc": None, "log_loss": None, "accuracy": None}
    sure = np.clip(np.where(wanted == 1, found, 1 - found), 1e-15, 1)
    right = float(((found >= 0.5) == (wanted == 1)).mean())
    return {"auc": auc(found, wanted), "log_loss": float(-np.log(sure).mean()), "accuracy": right}
