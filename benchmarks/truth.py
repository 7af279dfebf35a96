"""The oracle of deduplication: every pair of files at a Jaccard similarity over 5-word shingle sets, and what removals are worth.

Shares no code with starmill: words by `re`, n-grams numbered exactly (no hash, so no collision), all pairs by prefix filtering
(Bayardo, Ma, Srikant 2007: sets that similar share one of their rarest elements), which loses none.
"""

import hashlib
import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

# A character of a script without spaces between words, or a run of others that words are of.
ALONE = "\u0e00-\u109f\u1780-\u17ff\u2e80-\u312f\u31a0-\u9fff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff9f\U00020000-\U0003ffff"
WORD = re.compile(rf"[{ALONE}]|(?:(?![{ALONE}])[A-Za-z0-9_\x80-\U0010ffff])+")


@dataclass(frozen=True)
class ShingleSets:
    """The distinct shingles of each file as ascending numbers, int64; a smaller number is in fewer files."""

    offsets: np.ndarray
    shingles: np.ndarray

    def __len__(self) -> int:
        """Count the files."""
        return len(self.offsets) - 1

    def sizes(self) -> np.ndarray:
        """Return the number of shingles of each file, int64[files]."""
        return np.diff(self.offsets)

    def of(self, file: int) -> np.ndarray:
        """Return the shingles of one file."""
        return self.shingles[self.offsets[file] : self.offsets[file + 1]]


@dataclass(frozen=True)
class Truth:
    """All pairs at or above some similarity, int64[n, 2] and float64[n], and a number for the bytes of each file, int64[files]."""

    pairs: np.ndarray
    jaccards: np.ndarray
    contents: np.ndarray

    def at(self, threshold: float) -> np.ndarray:
        """Return the pairs at or above a threshold."""
        return self.pairs[self.jaccards >= threshold]


def shingle_sets(texts: Iterable[bytes], words: int = 5) -> ShingleSets:
    """Return the shingle sets of UTF-8 texts; a text under `words` words has none."""
    numbers: defaultdict[str, int] = defaultdict(itertools.count().__next__)
    streams = []
    for text in texts:
        found = WORD.findall(text.decode())
        streams.append(np.fromiter(map(numbers.__getitem__, found), np.int64, len(found)))
    flat = np.concatenate([np.empty(0, np.int64), *streams])
    file = np.repeat(np.arange(len(streams)), [len(s) for s in streams])
    grams = flat
    for i in range(1, words):  # a gram of i + 1 words is the number of (gram of i words, next word)
        grams = np.unique(grams[:-1] * len(numbers) + flat[i:], return_inverse=True)[1]
    inside = file[: len(grams)] == file[words - 1 :]
    count = int(grams.max(initial=0)) + 1
    keys = np.unique(file[: len(grams)][inside] * count + grams[inside])
    file, grams = keys // count, keys % count
    order = np.argsort(np.bincount(grams, minlength=count), kind="stable")
    rarity = np.empty(count, np.int64)
    rarity[order] = np.arange(count)
    keys = np.sort(file * count + rarity[grams])
    sizes = np.bincount(keys // count, minlength=len(streams))
    return ShingleSets(np.concatenate([[0], np.cumsum(sizes)]), keys % count)


def jaccards(sets: ShingleSets, pairs: np.ndarray) -> np.ndarray:
    """Return the similarity of pairs of files, int64[n, 2] -> float64[n]; 0 for a file without shingles."""
    out, marks = np.zeros(len(pairs)), _marks(sets)
    order = np.argsort(pairs[:, 0], kind="stable")
    first, bounds = np.unique(pairs[order, 0], return_index=True)
    for file, rows in zip(first.tolist(), np.split(order, bounds[1:]), strict=True):
        out[rows] = _against(sets, marks, file, pairs[rows, 1])
    return out


def similar_pairs(texts: Sequence[bytes], sets: ShingleSets, least: float = 0.5) -> Truth:
    """Return every pair (a < b) of files whose similarity is at least `least`."""
    sizes = sets.sizes()
    # Two sets this similar share one of the first size - ceil(least * size) + 1 shingles of each, in the order of rarity.
    lengths = np.where(sizes > 0, sizes - np.ceil(least * sizes - 1e-9).astype(np.int64) + 1, 0)
    at, owner = _ranges(sets.offsets[:-1], lengths), np.repeat(np.arange(len(sets)), lengths)
    order = np.argsort(sets.shingles[at], kind="stable")
    owners = owner[order]
    starts = np.searchsorted(sets.shingles[at][order], np.arange(int(sets.shingles.max(initial=0)) + 2))
    pairs, values, marks = [np.empty((0, 2), np.int64)], [np.empty(0)], _marks(sets)
    for file in range(len(sets)):
        prefix = sets.of(file)[: lengths[file]]
        met = np.unique(owners[_ranges(starts[prefix], starts[prefix + 1] - starts[prefix])])
        met = met[met > file]
        met = met[np.minimum(sizes[met], sizes[file]) >= least * np.maximum(sizes[met], sizes[file]) - 1e-9]
        similarity = _against(sets, marks, file, met)
        met, similarity = met[similarity >= least], similarity[similarity >= least]
        pairs.append(np.stack([np.full(len(met), file), met], axis=1))
        values.append(similarity)
    contents = np.unique([hashlib.sha256(t).hexdigest() for t in texts], return_inverse=True)[1]
    return Truth(np.concatenate(pairs), np.concatenate(values), contents)


def quality(truth: Truth, kept: np.ndarray) -> dict[str, float]:
    """Return what keeping some files (bool[files]) did.

    `resolved_T`: share of the pairs at T or above of which not both are kept. `justified_T`: share of the removed files for
    which a file at T or above, or with the same bytes, is kept. `left_T`: kept files that still have a kept twin at T or above.
    """
    removed = np.flatnonzero(~kept)
    copied = np.isin(truth.contents[removed], truth.contents[kept])
    result: dict[str, float] = {"removed": len(removed)}
    for threshold in (0.8, 0.7):
        pairs = truth.at(threshold)
        both = kept[pairs].all(axis=1)
        result[f"resolved_{threshold}"] = 1 - float(both.mean()) if len(pairs) else 1.0
        result[f"left_{threshold}"] = len(np.unique(pairs[both]))
    for threshold in (0.7, 0.5):
        pairs = truth.at(threshold)
        mixed = pairs[kept[pairs].sum(axis=1) == 1]
        reason = copied | np.isin(removed, mixed)
        result[f"justified_{threshold}"] = float(reason.mean()) if len(removed) else 1.0
    return result


def banded_recall(truth: Truth, signatures: Sequence[bytes | None], permutations: int, bands: int, threshold: float) -> float:
    """Return the share of the pairs at `threshold` or above that banding finds: all minima of one of `bands` bands agree."""
    width = max((len(s) for s in signatures if s), default=4 * permutations)
    empty = bytes(width)
    minima = np.frombuffer(b"".join(s or empty for s in signatures), f"<u{width // permutations}").reshape(
        -1, bands, permutations // bands
    )
    pairs = truth.at(threshold)
    found = [(minima[some[:, 0]] == minima[some[:, 1]]).all(axis=2).any(axis=1) for some in _chunks(pairs)]
    return float(np.concatenate(found).mean()) if found else 1.0


def _marks(sets: ShingleSets) -> np.ndarray:
    return np.zeros(int(sets.shingles.max(initial=0)) + 1, bool)


def _against(sets: ShingleSets, marks: np.ndarray, file: int, others: np.ndarray) -> np.ndarray:
    """Return the similarity of one file to others, float64[n]; `marks` is all False before and after."""
    mine, sizes = sets.of(file), sets.sizes()[others]
    marks[mine] = True
    hits = np.concatenate([[0], np.cumsum(marks[sets.shingles[_ranges(sets.offsets[others], sizes)]])])
    marks[mine] = False
    ends = np.cumsum(sizes)
    common = hits[ends] - hits[ends - sizes]
    return common / np.maximum(len(mine) + sizes - common, 1)


def _ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the concatenation of the ranges starts[i] .. starts[i] + lengths[i]."""
    ends = np.cumsum(lengths)
    return np.repeat(starts - (ends - lengths), lengths) + np.arange(int(ends[-1]) if len(ends) else 0)


def _chunks(pairs: np.ndarray, size: int = 1 << 16) -> Iterator[np.ndarray]:
    return (pairs[first : first + size] for first in range(0, len(pairs), size))
