"""One tensor in a file of safetensors (https://huggingface.co/docs/safetensors), with what it is of as metadata: the files of scorers."""

import json
from typing import Any, Literal

import numpy as np

NAME = "weights"
TYPES = {"<i4": "I32", "<f4": "F32"}


def written(weights: np.ndarray, said: dict[str, str]) -> bytes:
    """Return a vector of int32 or float32, little-endian, as a file.

    >>> read(written(np.array([1, 2], "<i4"), {"a": "b"}), "<i4")
    (array([1, 2], dtype=int32), {'a': 'b'})
    """
    data = weights.tobytes()
    tensor = {"dtype": TYPES[weights.dtype.str], "shape": [len(weights)], "data_offsets": [0, len(data)]}
    head = json.dumps({"__metadata__": said, NAME: tensor}).encode()
    head += b" " * (-len(head) % 8)
    return len(head).to_bytes(8, "little") + head + data


def metadata(data: bytes) -> dict[str, Any]:
    """Return what a file says of its tensor. Raises ValueError, KeyError, TypeError or RecursionError for anything else."""
    head: dict[str, Any] = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    said: dict[str, Any] = head["__metadata__"]
    return said


def read(data: bytes, kind: Literal["<i4", "<f4"]) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the vector and its metadata. Raises ValueError, KeyError, TypeError or RecursionError for anything else."""
    size = int.from_bytes(data[:8], "little")
    head: dict[str, Any] = json.loads(data[8 : 8 + size])
    weights = np.frombuffer(data[8 + size :], kind).astype(kind[1:])
    if head[NAME]["shape"] != [len(weights)] or head[NAME]["dtype"] != TYPES[kind]:
        raise ValueError("another tensor")
    return weights, metadata(data)
