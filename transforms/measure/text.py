"""What can be counted in a text: lines, their lengths, letters. Annotations only; the rules over them are in quality.py.

Lines are what newlines (U+000A) separate; a newline at the very end opens no further line; a carriage return is a character. Lengths
and fractions count Unicode characters; fractions are of all characters, newlines included.
"""

import functools
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from starmill.transforms.step import append


@dataclass(frozen=True, slots=True)
class Stats:
    """The measures of one text."""

    num_lines: int
    max_line_length: int
    avg_line_length: float
    alpha_fraction: float
    alphanum_fraction: float


def stats(text: bytes) -> Stats:
    """Measure one UTF-8 text. An empty one has no lines."""
    if not text:
        return Stats(0, 0, 0.0, 0.0, 0.0)
    # An ASCII byte is a character; anything else is widened to code points.
    ascii_only = text.isascii()
    codes = np.frombuffer(text if ascii_only else text.decode().encode("utf-32-le"), np.uint8 if ascii_only else np.uint32)
    ends = np.flatnonzero(codes == 10)
    if not len(ends) or ends[-1] != len(codes) - 1:
        ends = np.append(ends, len(codes))
    lengths = np.diff(ends, prepend=-1) - 1
    kinds = _kinds()[codes]
    letters = int(np.count_nonzero(kinds == 2))
    return Stats(
        num_lines=len(lengths),
        max_line_length=int(lengths.max()),
        avg_line_length=float(lengths.mean()),
        alpha_fraction=letters / len(codes),
        alphanum_fraction=int(np.count_nonzero(kinds)) / len(codes),
    )


@dataclass(frozen=True)
class Measure:
    """Annotates num_lines, max_line_length, avg_line_length, alpha_fraction and alphanum_fraction."""

    name: str = "measure"

    def __call__(self, block: pa.RecordBatch) -> pa.RecordBatch:
        """Measure each row's content."""
        found = [stats(text.as_buffer().to_pybytes()) for text in block.column("content").cast(pa.binary())]
        return append(
            block,
            {
                "num_lines": pa.array([s.num_lines for s in found], pa.int32()),
                "max_line_length": pa.array([s.max_line_length for s in found], pa.int32()),
                "avg_line_length": pa.array([s.avg_line_length for s in found], pa.float32()),
                "alpha_fraction": pa.array([s.alpha_fraction for s in found], pa.float32()),
                "alphanum_fraction": pa.array([s.alphanum_fraction for s in found], pa.float32()),
            },
        )


@functools.lru_cache(maxsize=1)
def _kinds() -> np.ndarray:
    # 2: alphabetic, 1: alphanumeric otherwise, by Python's Unicode tables; a megabyte, made in a fifth of a second.
    characters = map(chr, range(0x110000))
    return np.fromiter((2 if c.isalpha() else 1 if c.isalnum() else 0 for c in characters), np.uint8, 0x110000)
