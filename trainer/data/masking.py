"""Windows to pairs with masks, BERT's two tasks (Devlin et al. 2019, section 3.1), as StarEncoder was trained: MLM at 0.15, and NSP.

A window's tokens become `<cls>` A `<sep>` B `<sep>`. The cut lies inside the window's longest unit, so that B goes on where A stops; half
of the pairs have for B a piece of a unit that the seed draws. Of the tokens of text 15 % are to be told: 80 % of those are masked, 10 % are
another token, 10 % stay. What is drawn depends on seed, step and the window's tokens: not on ranks, and not on micro-batches.
"""

from typing import NamedTuple

import numpy as np

from starmill.core import seeds
from starmill.model.encoder.encoder import NO_TARGET
from starmill.model.encoder.tokens import CLS, MASK, PAD, SEP
from starmill.trainer.data.corpus import Batch, Corpus

RATE, MASKED, OTHER = 0.15, 0.8, 0.1  # share of tokens to tell, and what share of those is masked, and another token
RANDOM = 0.5  # share of pairs whose second half is of somewhere else
AROUND = 3  # special tokens of a pair


class Pairs(NamedTuple):
    """Arrays [B, T] (and [B] for `is_random`); `origin`: which token of the window a target is, -1 where there is none of the window."""

    tokens: np.ndarray
    targets: np.ndarray
    is_random: np.ndarray
    padding: np.ndarray
    types: np.ndarray
    origin: np.ndarray


def pairs(batch: Batch, corpus: Corpus, seed: int, step: int) -> Pairs:
    """Return the pairs of a batch's windows; a pair has as many tokens as a window has next tokens."""
    rows = [
        _pair(tokens, documents, corpus, seeds.generator(seed, "masks", step, tokens.tobytes()))
        for tokens, documents in zip(batch.tokens, batch.documents, strict=True)
    ]
    return Pairs(*(np.stack(column) for column in zip(*rows, strict=True)))


def _pair(tokens: np.ndarray, documents: np.ndarray, corpus: Corpus, draw: np.random.Generator) -> Pairs:
    size, text, tokenizer = len(tokens) - 1, len(tokens) - 1 - AROUND, corpus.tokenizer
    cut = _cut(documents[:text], draw)
    second, places = tokens[cut:text], np.arange(cut, text)
    is_random = draw.random() < RANDOM
    if is_random:
        second = _elsewhere(corpus, text - cut, draw)
        places = np.full(len(second), -1)
    special = tokenizer.vocab_size
    cls, sep = np.array([special + CLS]), np.array([special + SEP])
    made = np.concatenate([cls, tokens[:cut], sep, second, sep])
    origin = np.concatenate([[-1], np.arange(cut), [-1], places, [-1]])
    missing = size - len(made)
    whole = np.concatenate([made, np.full(missing, special + PAD)]).astype(np.int64)
    origin = np.concatenate([origin, np.full(missing, -1)]).astype(np.int64)
    told = (draw.random(size) < RATE) & (whole >= tokenizer.specials) & (whole < special)
    how, others = draw.random(size), draw.integers(tokenizer.specials, special, size)
    shown = np.where(told & (how < MASKED), special + MASK, whole)
    shown = np.where(told & (how >= MASKED) & (how < MASKED + OTHER), others, shown)
    return Pairs(
        tokens=shown,
        targets=np.where(told, whole, NO_TARGET),
        is_random=np.array(int(is_random)),
        padding=np.arange(size) >= len(made),
        types=((np.arange(size) > cut + 1) & (np.arange(size) < len(made))).astype(np.int64),
        origin=np.where(told, origin, -1),
    )


def _cut(documents: np.ndarray, draw: np.random.Generator) -> int:
    """Return how many tokens are A's: a place inside the longest run of one unit."""
    bounds = np.concatenate([[0], np.flatnonzero(np.diff(documents)) + 1, [len(documents)]])
    longest = int(np.argmax(np.diff(bounds)))
    start, end = int(bounds[longest]), int(bounds[longest + 1])
    return int(draw.integers(start + 1, end)) if end - start > 1 else max(1, end - 1)


def _elsewhere(corpus: Corpus, size: int, draw: np.random.Generator) -> np.ndarray:
    """Return at most `size` tokens from a place of a unit, both drawn."""
    ids = np.asarray(corpus.ids(int(draw.integers(len(corpus.units))), 0))
    start = int(draw.integers(max(1, len(ids) - size + 1)))
    return ids[start : start + size].astype(np.int64)
