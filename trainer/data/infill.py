"""Lines of held-out code to fill in, as FIM asks for them: a model gets a line right if each of its tokens is the likeliest one.

Greedy decoding writes exactly the line where, behind the prompt and the line so far, each next token of the line is the likeliest: one
forward pass over prompt and line says so, on any layout of ranks. Lines, one a file, are chosen by a hash of the seed.
"""

from typing import NamedTuple

import numpy as np

from starmill.core import seeds
from starmill.core.tokenizer import Tokenizer
from starmill.trainer.data.corpus import Corpus

SHORTEST = 5  # characters of a line that is asked for


class Infill(NamedTuple):
    """Ids of prefix, suffix and middle with their sentinels, as PSM has them; the middle begins at `first`."""

    ids: np.ndarray
    first: int


def infills(corpus: Corpus, count: int) -> list[Infill]:
    """Return at most `count` lines of code of a corpus, of files in the order of the seed, with as much around as fits a window."""
    found: list[Infill] = []
    if not count or not len(corpus.units):
        return found
    order = seeds.Permutation(len(corpus.units), corpus.seed, "infill")
    for place in range(len(corpus.units)):
        unit = corpus.units[order[place]]
        if corpus.options.fim.of(unit.kind) is None:
            continue
        tokens = np.asarray(corpus.units.shards[unit.shard].tokens(unit.document))
        spans, _ = corpus.units.spans(unit)
        for file, start, end in spans:
            name = f"{unit.shard}:{unit.document}"
            made = _infill(tokens[start:end], corpus.tokenizer, corpus.options.sequence_length + 1, (corpus.seed, name, file))
            if made is not None:
                found.append(made)
                if len(found) == count:
                    return found
    return found


def _infill(ids: np.ndarray, tokenizer: Tokenizer, room: int, key: tuple[int, str, int]) -> Infill | None:
    if not len(ids) or bool((ids < tokenizer.specials).any()):
        return None  # a placeholder of the redaction is no text to guess
    lines = tokenizer.decode_bytes(ids.tolist()).decode().splitlines(keepends=True)
    chosen = [i for i, line in enumerate(lines) if len(line.strip()) >= SHORTEST and line.endswith("\n")]
    if not chosen:
        return None
    at = chosen[int(seeds.uniform(key[0], "infill", *key[1:]) * len(chosen))]
    pre, mid, suf = (tokenizer.encode("".join(part)) for part in (lines[:at], lines[at : at + 1], lines[at + 1 :]))
    free = room - len(mid) - 3
    if free < 0:
        return None
    suf = suf[: max(free // 2, free - len(pre))]
    pre = pre[max(0, len(pre) - (free - len(suf))) :]
    opening, hole, end = (np.array([tokenizer.special(f"<fim_{n}>")], tokenizer.dtype) for n in ("prefix", "middle", "suffix"))
    whole = np.concatenate([opening, pre, end, suf, hole, mid]).astype(np.int64)
    return Infill(whole, len(whole) - len(mid))
