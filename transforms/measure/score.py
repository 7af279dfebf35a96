"""What a trained scorer makes of a text: a linear model over hashed n-grams, which `starmill score-train` fits on labelled examples.

The scorer is one file in the format of safetensors (https://huggingface.co/docs/safetensors): integers as weights, and beside them as
metadata what they are of. Its digest is in the key of each part. Nothing is decided here: curate.signals and mix.weights hold
thresholds against the column.
"""

import base64
import functools
import hashlib
import zlib
from dataclasses import dataclass
from typing import ClassVar, Literal

import msgspec
import numpy as np
import pyarrow as pa

from starmill.core import tensors
from starmill.core.errors import InputError
from starmill.core.names import Place
from starmill.core.storage import named
from starmill.transforms.buffers import text_buffers
from starmill.transforms.chain import annotated
from starmill.transforms.measure import encoded
from starmill.transforms.measure.encoded import Device, ScoredByEncoder
from starmill.transforms.step import append

FORMAT = "starmill linear 1"
KEY = "measure.score.model"
LARGEST = 1 << 28  # bytes of a scorer's file


class Scorer(msgspec.Struct, frozen=True, eq=False):
    """A linear model: intercept + mean over the n-grams of scale * weights[place]; of labels a probability is made of it."""

    weights: np.ndarray  # int32[2**bits]
    of: Literal["label", "score"]  # what the examples had
    orders: int  # an n-gram has up to so many tokens
    scale: float
    intercept: float

    def of_texts(self, texts: pa.Array) -> pa.Array:
        """Return float32: the score of each text; null for one without a token."""
        from starmill.transforms.measure import ngrams  # numba takes a second to import

        data, offsets = text_buffers(texts)
        sums, counts = np.zeros((2, len(texts)), np.int64)
        ngrams.score(data, offsets, _kinds(), self.weights, self.orders, sums, counts)
        values = self.intercept + self.scale * sums / np.maximum(counts, 1)
        if self.of == "label":
            values = 1 / (1 + np.exp(-np.clip(values, -700, 700)))
        return pa.array(values, pa.float32(), mask=counts == 0)


def file_of(scorer: Scorer) -> bytes:
    """Return a scorer as a file of safetensors."""
    said = {"format": FORMAT, "of": scorer.of, "orders": str(scorer.orders)}
    said |= {"scale": scorer.scale.hex(), "intercept": scorer.intercept.hex()}
    return tensors.written(scorer.weights.astype("<i4"), said)


def read(data: bytes, where: str) -> Scorer:
    """Return the scorer of a file. Raises InputError for anything else."""
    try:
        weights, said = tensors.read(data, "<i4")
        scorer = Scorer(weights, said["of"], int(said["orders"]), *(float.fromhex(said[n]) for n in ("scale", "intercept")))
        fine = said["format"] == FORMAT and scorer.of in ("label", "score") and 1 <= scorer.orders <= 5
        fine &= 1 < len(weights) == 1 << (len(weights).bit_length() - 1)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        fine = False
    if not fine and _format(data) == encoded.FORMAT:
        raise InputError(f"{where}: a head over an encoder; give the encoder's folder, as measure.score.encoder")
    if not fine or not np.isfinite([scorer.scale, scorer.intercept]).all():
        raise InputError(f"{where}: not a scorer, or a damaged one; give a file that `starmill score-train` wrote")
    return scorer


def _format(data: bytes) -> object:
    try:
        return tensors.metadata(data)["format"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


@dataclass(frozen=True)
class Score:
    """The scorer of texts: the file that `starmill score-train` wrote."""

    model: Place  # a file or URL; its bytes are in the keys, and its place is not
    encoder: Place | None = None  # for a head that was fitted over one: its folder, or OWNER/NAME of the Hub; needs torch
    device: Device = "auto"  # of an encoder; auto: a GPU where there is one

    def step(self) -> "Scored | ScoredByEncoder":
        """Return the step, which holds the weights: a worker needs an encoder's folder alone. Raises StarmillError."""
        with named(KEY, self.model, mode="rb") as file:
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise InputError(f"{KEY}: {self.model}: above {LARGEST:,} bytes; give a file that `starmill score-train` wrote")
        where = f"{KEY}: {self.model}"
        if self.encoder is not None:
            return encoded.scored(data, self.encoder, self.device, where)
        return scored(data, where)


def scored(data: bytes, where: str = "scorer") -> "Scored":
    """Return the step of a scorer's file. Raises InputError."""
    read(data, where)
    return Scored(base64.b85encode(zlib.compress(data, 1)).decode())


@dataclass(frozen=True)
class Scored:
    """Annotates quality_score: by a scorer of labels a probability, by one of scores a number of their scale; null without a token."""

    reads: ClassVar[tuple[str, ...]] = ("content",)
    adds: ClassVar[pa.Schema] = annotated("quality_score")

    packed: str = ""  # the scorer's file; without it all scores are null
    name: str = "score"  # in `dropped/`; leave it

    def counted(self) -> "Scored":
        """Return the step without its file, whose digest `material` tells."""
        return Scored()

    def material(self) -> tuple[str, ...]:
        """Return the digest of the scorer."""
        return (hashlib.sha256(_unpacked(self.packed)).hexdigest(),)

    def __call__(self, block: pa.RecordBatch) -> pa.RecordBatch:
        """Score each row's content."""
        if not self.packed:
            return append(block, {"quality_score": pa.nulls(block.num_rows, pa.float32())})
        return append(block, {"quality_score": _opened(self.packed).of_texts(block.column("content"))})


def _unpacked(packed: str) -> bytes:
    return zlib.decompress(base64.b85decode(packed)) if packed else b""


@functools.lru_cache(maxsize=4)
def _opened(packed: str) -> Scorer:
    return read(_unpacked(packed), "scorer")


@functools.lru_cache(maxsize=1)
def _kinds() -> np.ndarray:
    from starmill.transforms.measure.ngrams import byte_kinds

    return byte_kinds()
