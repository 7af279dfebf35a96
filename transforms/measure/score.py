"""What a trained scorer makes of a text: a linear model over hashed n-grams, which `starmill score-train` fits on labelled examples.

The scorer is one file in the format of safetensors (https://huggingface.co/docs/safetensors): integers as weights, and beside them as
metadata what they are of. Its digest is in the key of each part. Nothing is decided here: curate.signals and mix.weights hold
thresholds against the column.
"""

import base64
import functools
import hashlib
import json
import zlib
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import msgspec
import numpy as np
import pyarrow as pa

from starmill.core.errors import InputError
from starmill.core.names import Place
from starmill.core.storage import named
from starmill.transforms.buffers import text_buffers
from starmill.transforms.chain import annotated
from starmill.transforms.step import append

FORMAT = "starmill linear 1"
KEY = "measure.score.model"
LARGEST = 1 << 28  # bytes of a scorer's file
TENSOR = "weights"


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
    data = scorer.weights.astype("<i4").tobytes()
    tensor = {"dtype": "I32", "shape": [len(scorer.weights)], "data_offsets": [0, len(data)]}
    head = json.dumps({"__metadata__": said, TENSOR: tensor}).encode()
    head += b" " * (-len(head) % 8)
    return len(head).to_bytes(8, "little") + head + data


def read(data: bytes, where: str) -> Scorer:
    """Return the scorer of a file. Raises InputError for anything else."""
    try:
        size = int.from_bytes(data[:8], "little")
        head = json.loads(data[8 : 8 + size])
        said: dict[str, Any] = head["__metadata__"]
        weights = np.frombuffer(data[8 + size :], "<i4").astype(np.int32)
        scorer = Scorer(weights, said["of"], int(said["orders"]), *(float.fromhex(said[n]) for n in ("scale", "intercept")))
        fine = said["format"] == FORMAT and scorer.of in ("label", "score") and 1 <= scorer.orders <= 5
        fine &= head[TENSOR]["shape"] == [len(weights)] and 1 < len(weights) == 1 << (len(weights).bit_length() - 1)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        fine = False
    if not fine or not np.isfinite([scorer.scale, scorer.intercept]).all():
        raise InputError(f"{where}: not a scorer, or a damaged one; give a file that `starmill score-train` wrote")
    return scorer


@dataclass(frozen=True)
class Score:
    """The scorer of texts: the file that `starmill score-train` wrote."""

    model: Place  # a file or URL; its bytes are in the keys, and its place is not

    def step(self) -> "Scored":
        """Return the step, which holds the weights: a worker needs no file. Raises NotThere, InputError or MachineError."""
        with named(KEY, self.model, mode="rb") as file:
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise InputError(f"{KEY}: {self.model}: above {LARGEST:,} bytes; give a file that `starmill score-train` wrote")
        return scored(data, f"{KEY}: {self.model}")


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
