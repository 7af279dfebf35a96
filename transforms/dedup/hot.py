"""Hot buckets: a band key that many files share (a license header, a generated table) costs n log n instead of n * n.

Hot buckets that share a file are one component. Its files are taken in rank order, and each is joined with the *leaders* above
it, the files that resemble no leader themselves: near-equal files have one leader, so they cost one comparison per file.
Where all resemble each other too little, the join's prefix filter (Bayardo, Ma, Srikant 2007; Xiao et al. 2008) costs about one
look-up per shingle: two sets at the threshold share one of their rarest shingles, and what the header gave is not rare.

Nothing at the threshold is lost for good: a follower (a file that has a leader above it) that is kept after all, because its
leaders were removed for files elsewhere, is joined again with all kept files of its component (`clusters.resolve` and `to_rejoin`).
"""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from starmill.core import seeds
from starmill.transforms.dedup import verify

MOST_VARIANTS = 64

# A file of a component of hot buckets; `follows`: it is near a file of the component that ranks above it.
MEMBER = pa.schema([("component", pa.int64()), ("file", pa.int64()), ("follows", pa.bool_())])


def components(keys: np.ndarray, files: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct files of (key, file) rows, ascending, and for each the least file that shared keys lead to."""
    _, bucket = np.unique(keys, return_inverse=True)
    distinct, file = np.unique(files, return_inverse=True)
    label = np.arange(len(distinct))
    while True:
        least = np.full(bucket.max(initial=-1) + 1, len(distinct))
        np.minimum.at(least, bucket, label[file])
        lower = label.copy()
        np.minimum.at(lower, file, least[bucket])
        lower = lower[lower]  # a shortcut over what is known: the rounds grow with the logarithm of the longest path
        if (lower == label).all():
            return distinct, distinct[label]
        label = lower


def batches(labels: np.ndarray, size: int = 1 << 16) -> Iterator[np.ndarray]:
    """Yield row numbers of whole components, about `size` rows at a time, or one component that is larger."""
    order = np.argsort(labels, kind="stable")
    _, counts = np.unique(labels, return_counts=True)
    start = end = 0
    for count in counts.tolist():
        if end > start and end + count - start > size:
            yield order[start:end]
            start = end
        end += count
    if end > start:
        yield order[start:end]


def neighbors(
    sets: Sequence[np.ndarray], threshold: float, rivals: int | None = None, variants: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Join sets (uint64, ascending, distinct), best rank first: return pairs int64[n, 2] (above, below), their similarities, and
    bool[sets]: who follows.

    Each set meets all leaders before it whose Jaccard similarity is at least `threshold`. With `rivals`, the first so many sets
    lead, whatever they resemble, and no others. Equal sets of different `variants` (int64[sets]) do not resemble each other. Needs 16
    bytes per element.
    """
    from starmill.transforms.dedup import kernel  # when it is needed: numba takes a second to import

    offsets = np.cumsum([0, *map(len, sets)], dtype=np.int64)
    elements = np.concatenate([np.empty(0, np.uint64), *sets])
    bits = max(10, int(len(elements) * 2).bit_length())
    slots = (seeds.mix(elements) >> np.uint64(64 - bits)).astype(np.int64)
    counts = np.minimum(np.bincount(slots, minlength=1 << bits), (1 << 24) - 1).astype(np.uint64)
    # Rarest first, by a total order over elements: how many have its slot, then the element's own upper bits.
    ordered = (counts[slots] << np.uint64(40)) | (elements >> np.uint64(24))
    del slots, counts
    variants = np.zeros(len(sets), np.int64) if variants is None else variants
    leading = -1 if rivals is None else rivals
    above, below, similar, follows = kernel.join(elements, ordered, offsets, variants, threshold, leading, bits)
    return np.stack([above, below], axis=1), similar, follows


def variants(twins: np.ndarray, tokens: Sequence[np.ndarray | None], threshold: float) -> np.ndarray:
    """Return int64[n]: files of one number resemble each other in their operators, too; of others the words alone may be equal.

    `twins` numbers the signatures of the files, best rank first; `tokens` are their shingle sets with operators (None where no
    other file has the signature). The first of a variant stands for it, and at most MOST_VARIANTS of a signature are told apart by
    similarity, all others by equality: the cost is linear.
    """
    found = np.arange(len(twins))
    seen: dict[int, tuple[dict[int, np.ndarray], dict[bytes, int]]] = {}
    for i, (twin, mine) in enumerate(zip(twins.tolist(), tokens, strict=True)):
        if mine is None:
            continue
        firsts, known = seen.setdefault(twin, ({}, {}))
        name = hashlib.sha256(mine.tobytes()).digest()
        if name not in known:
            pairs = np.array([(i, first) for first in firsts])
            similar = verify.jaccards(pairs, {i: mine}, firsts) if firsts else np.empty(0)
            known[name] = next((first for first, s in zip(firsts, similar, strict=True) if s >= threshold), i)
            if known[name] == i and len(firsts) < MOST_VARIANTS:
                firsts[i] = mine
        found[i] = known[name]
    return found


def to_rejoin(component: np.ndarray, follows: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Return bool[n]: the kept members of components in which a follower is kept."""
    return kept & np.isin(component, component[follows & kept])
