"""What an encoder makes of a text: a linear head over its mean state (StarEncoder's, say), which `starmill score-train --encoder` fits.

The head is a small file of safetensors that says of which encoder it is; the encoder stays a folder of its own. It is computed in a
process that all workers of a machine share (model/encoder/serve.py), since torch is in none of them. On a CPU the answer depends on
neither the other texts nor the number of cores; another processor may give other last digits.
"""

import base64
import functools
import hashlib
import zlib
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import msgspec
import numpy as np
import pyarrow as pa

from starmill.core import tensors
from starmill.core.errors import InputError
from starmill.core.names import Place
from starmill.transforms.chain import annotated
from starmill.transforms.clean.redact import tagging
from starmill.transforms.step import append

FORMAT = "starmill encoder head 1"
WINDOWS = 4  # of an encoder, at the beginning of a text, over whose tokens its state is averaged
Device = Literal["auto", "cpu", "cuda"]


class Head(msgspec.Struct, frozen=True, eq=False):
    """A linear model over states: intercept + state @ weights; of labels a probability is made of it."""

    weights: np.ndarray  # float32[hidden size]
    of: Literal["label", "score"]  # what the examples had
    intercept: float
    encoder: str  # the digest of its folder (tagging.digest)
    windows: int = WINDOWS

    def of_states(self, states: list[list[float] | None]) -> pa.Array:
        """Return float32: the score of each state; null for none."""
        there = np.array([state is not None for state in states], np.bool_)
        rows = np.array([state for state in states if state is not None], np.float64).reshape(-1, len(self.weights))
        values = np.zeros(len(states))
        values[there] = self.intercept + (rows * self.weights.astype(np.float64)).sum(axis=1)
        if self.of == "label":
            values = 1 / (1 + np.exp(-np.clip(values, -700, 700)))
        return pa.array(values, pa.float32(), mask=~there)


def file_of(head: Head) -> bytes:
    """Return a head as a file of safetensors."""
    said = {"format": FORMAT, "of": head.of, "intercept": head.intercept.hex(), "encoder": head.encoder}
    return tensors.written(head.weights.astype("<f4"), {**said, "windows": str(head.windows)})


def read(data: bytes, where: str) -> Head:
    """Return the head of a file. Raises InputError for anything else."""
    try:
        weights, said = tensors.read(data, "<f4")
        head = Head(weights, said["of"], float.fromhex(said["intercept"]), said["encoder"], int(said["windows"]))
        fine = said["format"] == FORMAT and head.of in ("label", "score") and 1 <= head.windows <= 1024 and len(weights) > 0
        fine &= bool(np.isfinite([*weights.tolist(), head.intercept]).all())
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        fine = False
    if not fine:
        raise InputError(
            f"{where}: not a head over an encoder, or a damaged one; give a file that `starmill score-train` wrote"
        )
    return head


def scored(data: bytes, encoder: str, device: Device, where: str) -> "ScoredByEncoder":
    """Return the step of a head's file. Raises InputError for another encoder than that of the head, NotThere or MachineError."""
    if (found := tagging.digest(encoder)) != (wanted := read(data, where).encoder):
        raise InputError(
            f"{where}: a head over the encoder {wanted[:12]}, and {encoder} is {found[:12]}; give its own, or fit a head on this one"
        )
    return ScoredByEncoder(base64.b85encode(zlib.compress(data, 1)).decode(), encoder, device)


@dataclass(frozen=True)
class ScoredByEncoder:
    """Annotates quality_score by a head over an encoder; null for a text without a token."""

    reads: ClassVar[tuple[str, ...]] = ("content",)
    adds: ClassVar[pa.Schema] = annotated("quality_score")

    packed: str = ""  # the head's file; without it all scores are null
    encoder: Place = ""  # the folder, which is not in the key: its digest is
    device: Device = "auto"
    name: str = "encoder_score"  # in `dropped/`; leave it

    def __getstate__(self) -> dict[str, Any]:
        """Return the options for a worker, whose working folder may be another."""
        return {**vars(self), "encoder": self.encoder and tagging.at_home(self.encoder)}

    def counted(self) -> "ScoredByEncoder":
        """Return the step without its files, whose digests `material` tells."""
        return replace(self, packed="", encoder="", device="auto")

    def material(self) -> tuple[str, ...]:
        """Return the digests of the head and of the encoder."""
        return (hashlib.sha256(_unpacked(self.packed)).hexdigest(), *((tagging.digest(self.encoder),) if self.encoder else ()))

    def children(self) -> tuple[str, ...]:
        """Return the module that the encoder's process runs, which a key counts and which nothing here imports."""
        return (tagging.CHILD,)

    def __call__(self, block: pa.RecordBatch) -> pa.RecordBatch:
        """Score each row's content."""
        if not self.packed:
            return append(block, {"quality_score": pa.nulls(block.num_rows, pa.float32())})
        texts = [text or "" for text in block.column("content").to_pylist()]
        return append(block, {"quality_score": of_texts(_opened(self.packed), self.encoder, self.device, texts)})


def of_texts(head: Head, encoder: str, device: Device, texts: list[str]) -> pa.Array:
    """Return float32: the score of each text. Raises MachineError or tagging.TaggingFailed."""
    return head.of_states(tagging.states(tagging.Model(encoder, device), texts, head.windows))


def _unpacked(packed: str) -> bytes:
    return zlib.decompress(base64.b85decode(packed)) if packed else b""


@functools.lru_cache(maxsize=4)
def _opened(packed: str) -> Head:
    return read(_unpacked(packed), "scorer")
