"""MinHash signatures of source code: shingles of words, 256 permutations, 32 or 61 bits each.

A word is a maximal run of `[A-Za-z0-9_]` and bytes >= 0x80; a character of a script without spaces between words (Han, kana,
Thai, ...) is a word by itself, or a clause would be one. Case and digits are kept, because prose normalization merges distinct code.
A shingle is `shingle_words` words in a row. A file with fewer words has no signature and is never near-compared.
The minimum is idempotent, so repeated shingles cost nothing and are not removed first. Broder 1997; StarCoder, section 3.
61 bits: datatrove's permutations, a * x + b in 64 bits, modulo the Mersenne prime 2**61 - 1; its seed draws others.
"""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
from msgspec import Meta

from starmill.core import schema, seeds
from starmill.core.names import Language, Place, Seed
from starmill.transforms.buffers import text_buffers
from starmill.transforms.step import append

Minima = Annotated[int, Meta(ge=1, le=4096)]
# What a byte is (kernel.hash_shingles): from 0xE0 on it starts a character of three or four bytes.
WORD_BYTES = np.array([2 if i >= 0xE0 else int(i >= 0x80 or chr(i).isalnum() or chr(i) == "_") for i in range(256)], np.uint8)
# Brackets, quotes, commas and semicolons are none: formatters change these.
OPERATORS = "!%&*+-/<=>^|~"
WORDS = 2  # which rule cuts words: signatures of another one are not compared (1: a clause without spaces was one word)
SIGNED = b"starmill signed"  # what a signature depends on, in the metadata of the files that hold some
TOKEN_BYTES = np.where(np.isin(np.arange(256), [*OPERATORS.encode()]), 3, WORD_BYTES).astype(np.uint8)


@dataclass(frozen=True)
class MinHash:
    """Options of deduplication. Near duplicates: the Jaccard similarity of two shingle sets is at least `threshold`.

    Pairs are found where all `rows` minima of one of `bands` bands agree: with 32 x 8, a pair at 0.7 is found with probability
    0.85, at 0.8 with 0.997; without both, the optimum for the threshold is taken (`optimum`). `scope`: what a file is compared
    within, exactly or nearly: everything, its language, or a split, which is a named list of languages (all others are one
    more split). `repositories`: repositories with identical trees go whole, first. `near=False`: exact duplicates only.
    `earlier`: workspaces of earlier releases whose kept files outrank all files here. `rounds`: how many rounds of the
    resolution run distributed, before the rest is resolved in one process.
    """

    permutations: Minima = 256  # minima in a signature
    shingle_words: Annotated[int, Meta(ge=1, le=1000)] = 5  # words in a row that make a shingle
    bits: Literal[32, 61] = 32  # of one minimum
    seed: Seed = 0  # of the permutations
    near: bool = True  # false: only exact duplicates go
    threshold: Annotated[float, Meta(gt=0, le=1)] = 0.7  # Jaccard similarity from which files are near duplicates
    bands: Minima | None = 32  # null, with rows: the optimum for the threshold
    rows: Minima | None = 8  # minima of a band, which all agree in a candidate pair
    scope: Literal["all", "language", "split"] = "all"  # what a file is compared within
    splits: dict[str, tuple[Language, ...]] = field(default_factory=dict)  # name of a split to its languages, for scope `split`
    repositories: bool = False  # repositories with identical trees go whole, first
    earlier: tuple[Place, ...] = ()  # workspaces of earlier releases, whose kept files outrank
    rounds: Annotated[int, Meta(ge=0, le=100)] = 0  # of the resolution that run distributed; the rest runs in one process

    def __post_init__(self) -> None:
        """Raise ValueError for values that do not fit each other."""
        if (self.bands is None) != (self.rows is None):
            raise ValueError(f"bands={self.bands}, rows={self.rows}: give both, or neither for the threshold's optimum")
        if self.bands and self.rows and self.bands * self.rows > self.permutations:
            raise ValueError(
                f"bands={self.bands} x rows={self.rows} need {self.bands * self.rows} permutations, there are "
                f"permutations={self.permutations}; lower bands or rows, or raise permutations"
            )
        if (self.scope == "split") != bool(self.splits):
            raise ValueError(
                f"scope={self.scope!r} with splits={self.splits}: scope 'split' needs splits, the others have none"
            )
        if len(listed := [language for split in self.splits.values() for language in split]) > len(set(listed)):
            raise ValueError(f"splits={self.splits}: a language is in two splits")

    @property
    def banding(self) -> tuple[int, int]:
        """Return (bands, rows)."""
        return (self.bands, self.rows) if self.bands and self.rows else optimum(self.threshold, self.permutations)

    @property
    def dtype(self) -> np.dtype:
        """Return the type of one minimum, little-endian."""
        return np.dtype("<u4" if self.bits == 32 else "<u8")

    def signed(self) -> dict[str, int | bool]:
        """Return what a signature depends on: another threshold, scope or banding needs no new signatures."""
        named = ("permutations", "shingle_words", "bits", "seed", "near")
        return {name: getattr(self, name) for name in named} | {"words": WORDS}


def signature_schema(options: MinHash) -> pa.Schema:
    """Return SIGNATURES, with what they depend on as metadata."""
    return schema.SIGNATURES.with_metadata({SIGNED: json.dumps(options.signed())})


def why_others(metadata: Mapping[bytes, bytes] | None, options: MinHash) -> str | None:
    """Return how the signatures of a file differ from those that `options` make, by its metadata; None if they can be compared.

    >>> why_others(signature_schema(MinHash(seed=1)).metadata, MinHash()), why_others(None, MinHash())
    ('seed is 1, here 0', 'it does not say how they were made: it is older than that')
    """
    if not metadata or SIGNED not in metadata:
        return "it does not say how they were made: it is older than that"
    theirs, ours = json.loads(metadata[SIGNED]), options.signed()
    del ours["near"]  # without, there are none to compare, and equal bytes still count
    return (
        ", ".join(f"{name} is {theirs.get(name)}, here {value}" for name, value in ours.items() if theirs.get(name) != value)
        or None
    )


@functools.lru_cache(maxsize=64)
def optimum(threshold: float, permutations: int) -> tuple[int, int]:
    """Return the (bands, rows) with the least sum of false positives below and false negatives above the threshold.

    Both are areas under 1 - (1 - s**rows)**bands, the probability that a pair at similarity s is found: datasketch's choice.
    """
    nodes, weights = np.polynomial.legendre.leggauss(64)
    below, above = (nodes + 1) / 2 * threshold, threshold + (nodes + 1) / 2 * (1 - threshold)

    def cost(bands: int, rows: int) -> float:
        found, missed = (1 - (1 - below**rows) ** bands) @ weights, ((1 - above**rows) ** bands) @ weights
        return float(found * threshold + missed * (1 - threshold))

    choices = ((bands, rows) for bands in range(1, permutations + 1) for rows in range(1, permutations // bands + 1))
    return min(choices, key=lambda c: cost(*c))


def signatures(texts: pa.Array, options: MinHash) -> pa.Array:
    """Return one signature per text: `options.dtype`[permutations] as binary; null under `shingle_words` words."""
    from starmill.transforms.dedup import kernel  # when it is needed: numba takes a second to import

    data, offsets = text_buffers(texts)
    multipliers, addends = _permutations(options.permutations, options.bits, options.seed)
    minima = np.full((len(texts), options.permutations), np.iinfo(options.dtype).max, options.dtype)
    counts = np.empty(len(texts), np.int64)
    kernel.signatures(data, offsets, WORD_BYTES, options.shingle_words, multipliers, addends, minima, counts)
    return _binary(minima, counts > 0)


def shingles(text: bytes | pa.Buffer, words: int, operators: bool = False) -> np.ndarray:
    """Return the set of shingle hashes of a text: uint64[n], ascending, distinct; empty under `words` words.

    With `operators`, runs of up to four of them are words, too: `a > b` and `a < b` differ. Four of a kind, or more, are a line.
    """
    from starmill.transforms.dedup import kernel

    data = np.frombuffer(text, np.uint8)
    out = np.empty((len(data) if operators else len(data) // 2) + 1, np.uint64)
    kinds = TOKEN_BYTES if operators else WORD_BYTES
    found = out[: kernel.hash_shingles(data, 0, len(data), kinds, words, np.empty(words, np.uint64), out)]
    found.sort()  # faster than np.unique, which hashes first
    return found[np.append(True, found[1:] != found[:-1])[: len(found)]]


def signature_rows(block: pa.RecordBatch, options: MinHash, exact: bool = True) -> pa.RecordBatch:
    """Return the SIGNATURES rows of a CURATED block, row by row; without `near` every signature is null, without `exact` every blob_id."""
    column = signatures(block.column("content"), options) if options.near else pa.nulls(block.num_rows, pa.binary())
    known = block.select([name for name in schema.SIGNATURES.names if name != "signature"])
    of_files = {} if exact else {"blob_id": pa.nulls(block.num_rows, pa.string())}
    return schema.conform(append(known, {**of_files, "signature": column}), schema.SIGNATURES)


def matrix(column: pa.Array, options: MinHash) -> np.ndarray:
    """Return the signatures that are not null as `options.dtype`[n, permutations]. Raises ValueError if they are not such."""
    column = column.drop_null()
    width = options.permutations * options.dtype.itemsize
    joined = b"".join(column.to_pylist())
    if len(joined) != len(column) * width:
        raise ValueError(
            f"signatures have {len(joined) // len(column)} bytes, {options.permutations} permutations of {options.bits} bits "
            f"have {width}: run curate again with the same options"
        )
    return np.frombuffer(joined, options.dtype).reshape(-1, options.permutations)


@functools.lru_cache(maxsize=4)
def _permutations(count: int, bits: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    draw = seeds.generator(seed, "minhash")
    if bits == 61:
        prime = (1 << 61) - 1
        return draw.integers(1, prime, count, np.uint64), draw.integers(0, prime, count, np.uint64)
    # x -> a * x + b modulo 2**32 is a permutation of the uint32 for every odd a.
    drawn = draw.integers(0, 1 << 32, (2, count), np.uint32)
    return drawn[0] | np.uint32(1), drawn[1]


def _binary(minima: np.ndarray, valid: np.ndarray) -> pa.Array:
    lengths = np.where(valid, minima.shape[1] * minima.itemsize, 0)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    bits = np.packbits(valid, bitorder="little").tobytes()
    data = minima[valid].tobytes()
    buffers = [pa.py_buffer(bits), pa.py_buffer(offsets.tobytes()), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.binary(), len(valid), buffers)
