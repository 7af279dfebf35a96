"""Encodes the texts of a Parquet file in one of several ways: `tokenizing.py WAY TOKENIZER.json TEXTS.parquet`.

Prints JSON: CPU seconds of the second of two passes (the first fills what a way keeps), ids, and their sha256 as 32-bit numbers.
tiktoken gets the pattern that splits as Sequence[Digits, ByteLevel] does, and the ids as ranks.
"""

import hashlib
import json
import sys
import time
from array import array
from collections.abc import Callable, Iterable
from typing import Any

import pyarrow.parquet as pq

PATTERN = r"\p{N}|'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?=\p{N})|\s+(?!\S)|\s+"
Encode = Callable[[list[str]], Iterable[Any]]


def by_starmill(place: str) -> Encode:
    """Return the compiled encoder."""
    from starmill.core.tokenizer import Tokenizer
    from starmill.transforms.bpe import encoder

    made = encoder(Tokenizer.load(place, any_family=True))
    assert made is not None
    return made


def by_tokenizers(place: str) -> Encode:
    """Return Hugging Face's, by its fastest method."""
    import tokenizers

    made = tokenizers.Tokenizer.from_file(place)
    made.encode_special_tokens = True
    return lambda texts: made.encode_batch_fast(texts, add_special_tokens=False)


def by_tiktoken(place: str) -> Encode:
    """Return tiktoken over the same merges."""
    import tiktoken

    with open(place) as file:
        found = json.load(file)
    printing = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [b for b in range(256) if b not in printing]
    letters = {chr(b): b for b in printing} | {chr(256 + i): b for i, b in enumerate(hidden)}
    special = {token["content"] for token in found["added_tokens"]}
    ranks = {bytes(letters[c] for c in token): n for token, n in found["model"]["vocab"].items() if token not in special}
    made = tiktoken.Encoding("peer", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})
    return lambda texts: [made.encode_ordinary(text) for text in texts]


def by_fastokens(place: str) -> Encode:
    """Return fastokens, with the pre-tokenizer in the words that it takes, and without special tokens."""
    import fastokens

    with open(place) as file:
        found = json.load(file)
    split = {"type": "Split", "pattern": {"Regex": PATTERN}, "behavior": "Isolated", "invert": False}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    found |= {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, level]}, "added_tokens": []}
    made = fastokens.Tokenizer.from_json_str(json.dumps(found))
    return lambda texts: [made.encode_ordinary(text) for text in texts]


WAYS = {"starmill": by_starmill, "tokenizers": by_tokenizers, "tiktoken": by_tiktoken, "fastokens": by_fastokens}


def main() -> None:
    """Encode twice."""
    way, place, corpus = sys.argv[1:]
    texts = pq.read_table(corpus, columns=["content"]).column("content").to_pylist()
    batches = [texts[k : k + 64] for k in range(0, len(texts), 64)]
    encode = WAYS[way](place)
    h, count, seconds = hashlib.sha256(), 0, 0.0
    for last in (False, True):
        for batch in batches:
            started = time.process_time()
            found = encode(batch)
            seconds += (time.process_time() - started) * last
            for ids in found:
                ids = getattr(ids, "ids", ids)
                if last:
                    count += len(ids)
                    h.update(array("I", ids.tolist() if hasattr(ids, "tolist") else ids).tobytes())
    print(json.dumps({"seconds": seconds, "ids": count, "sha256": h.hexdigest()}))


if __name__ == "__main__":
    main()
