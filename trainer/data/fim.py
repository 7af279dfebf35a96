"""Fill in the middle (Bavarian et al. 2022; StarCoder2, section 5.1) on whole files, cut at characters.

    PSM  <fim_prefix> pre <fim_suffix> suf <fim_middle> mid
    SPM  <fim_prefix> <fim_suffix> suf <fim_middle> pre mid        (variant 2)

FIM is applied before packing, so that no window edge is tokenized again, and to a file's own tokens only: `<file_sep>` and the repository's
name stay. Special tokens inside a file (redaction placeholders) count as one character and survive. Every choice is a hash of seed, epoch,
document and file, so that no choice depends on an order. The rate of documents is drawn for units, which are runs of whole files.
"""

import math

import numpy as np

from starmill.core import seeds
from starmill.core.tokenizer import Tokenizer
from starmill.trainer.config import FimRates

Item = str | int  # text, or the id of a special token


def is_drawn(options: FimRates, seed: int, turn: int, unit: int, units: int) -> bool:
    """Say whether the rate of documents falls on this one of `units` units: of each turn's units exactly that share is drawn.

    A draw by itself for each repository has the rate on average only: a few large ones decide how many files of an epoch are rewritten.
    """
    at = seeds.Permutation(units, seed, "fim_unit", turn)[unit]
    return math.floor((at + 1) * options.rate) > math.floor(at * options.rate)


def is_chosen(options: FimRates, drawn: bool, seed: int, epoch: int, document: str, file: int, files: int) -> bool:
    """Say whether this file of a document is rewritten; of a document with one file the draw of its unit alone decides."""
    if options.file_rate is None:
        return seeds.uniform(seed, "fim_file", epoch, document, file) < options.rate
    return drawn and (files == 1 or seeds.uniform(seed, "fim_file", epoch, document, file) < options.file_rate)


def rewrite(
    ids: np.ndarray, tokenizer: Tokenizer, options: FimRates, seed: int, epoch: int, document: str, file: int
) -> np.ndarray:
    """Return the ids of one file's chunk, rearranged at two random places."""
    items = _items(ids, tokenizer)
    length = sum(len(i) if isinstance(i, str) else 1 for i in items)
    draws = seeds.generator(seed, "fim_cut", epoch, document, file)
    first, second = sorted(int(draws.integers(0, length + 1)) for _ in range(2))
    prefix, rest = _cut(items, first)
    middle, suffix = _cut(rest, second - first)
    pre, mid, suf = (_encode(part, tokenizer) for part in (prefix, middle, suffix))
    opening, hole, end = (np.array([tokenizer.special(f"<fim_{n}>")], tokenizer.dtype) for n in ("prefix", "middle", "suffix"))
    if draws.random() < options.spm_rate:
        return np.concatenate([opening, end, suf, hole, pre, mid])
    return np.concatenate([opening, pre, end, suf, hole, mid])


def _items(ids: np.ndarray, tokenizer: Tokenizer) -> list[Item]:
    special = np.flatnonzero(ids < tokenizer.specials)
    items: list[Item] = []
    start = 0
    for at in [*special.tolist(), len(ids)]:
        if at > start:
            items.append(tokenizer.decode_bytes(ids[start:at].tolist()).decode())
        if at < len(ids):
            items.append(int(ids[at]))
        start = at + 1
    return items


def _cut(items: list[Item], at: int) -> tuple[list[Item], list[Item]]:
    left: list[Item] = []
    for i, item in enumerate(items):
        size = len(item) if isinstance(item, str) else 1
        if at < size:
            if at == 0 or isinstance(item, int):
                return left, items[i:]
            return [*left, item[:at]], [item[at:], *items[i + 1 :]]
        left.append(item)
        at -= size
    return left, []


def _encode(items: list[Item], tokenizer: Tokenizer) -> np.ndarray:
    parts = [tokenizer.encode(i) if isinstance(i, str) else np.array([i], tokenizer.dtype) for i in items]
    return np.concatenate(parts) if parts else np.zeros(0, tokenizer.dtype)
