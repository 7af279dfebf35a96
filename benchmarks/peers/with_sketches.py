"""MinHash libraries, run by the Python of their own environment: signatures of 256 permutations over 5-word shingles.

    with_sketches.py signatures SAMPLE.parquet

They take shingles, not texts: the words are cut by the regex and joined by Python, which is the least that a user must do.
"""

import json
import re
import sys
import time
from collections.abc import Callable

import pyarrow.parquet as pq
import xxhash
from datasketch import MinHash
from rensa import CMinHash, RMinHash

WORDS = re.compile(r"\w+")


def shingles(text: str) -> list[str]:
    """Return the shingles of a text as strings."""
    words = WORDS.findall(text)
    return [" ".join(words[i : i + 5]) for i in range(len(words) - 4)]


def datasketch(hash_function: Callable[[bytes], int] | None) -> Callable[[list[str]], object]:
    """Return a signer by datasketch; None is its default, SHA-1."""
    options = {} if hash_function is None else {"hashfunc": hash_function}
    empty = MinHash(num_perm=256, **options)

    def sign(found: list[str]) -> object:
        sketch = empty.copy()
        sketch.update_batch({s.encode() for s in found})
        return sketch.digest()

    return sign


def rensa(kind: type) -> Callable[[list[str]], object]:
    """Return a signer by one of rensa's classes."""

    def sign(found: list[str]) -> object:
        sketch = kind(num_perm=256, seed=1)
        sketch.update(found)
        return sketch.digest()

    return sign


def signatures(sample: str) -> dict[str, float]:
    """Return MiB/s, shingling included."""
    texts = pq.read_table(sample, columns=["content"]).column("content").to_pylist()
    size = sum(len(t.encode()) for t in texts) / 2**20
    signers = {
        "rensa RMinHash": rensa(RMinHash),
        "rensa CMinHash": rensa(CMinHash),
        "datasketch, SHA-1 (its default)": datasketch(None),
        "datasketch, xxHash": datasketch(xxhash.xxh32_intdigest),
    }
    speeds = {}
    for label, sign in signers.items():
        started = time.process_time()
        for text in texts:
            sign(shingles(text))
        speeds[label] = size / (time.process_time() - started)
    return speeds


if __name__ == "__main__":
    print(json.dumps(signatures(sys.argv[2])))
