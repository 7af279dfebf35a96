"""The near-deduplication that made The Stack, written anew from its description, because the original is a script, not a package.

    with_bigcode.py run CORPUS.parquet KEPT.parquet

5-grams of what `[^A-Za-z_0-9]` parts, SHA-1 cut to 32 bits, 256 permutations modulo 2**61 - 1, 25 bands of 10, connected components,
the first file of each stays; no candidate is verified (Kocetkov et al. 2022, The Stack).
"""

import hashlib
import json
import re
import sys
import time
from collections import defaultdict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

NON_ALPHA = re.compile("[^A-Za-z_0-9]")
PRIME = np.uint64((1 << 61) - 1)
BANDS, ROWS, PERMUTATIONS, WORDS = 25, 10, 256, 5


def bands(text: str, a: np.ndarray, b: np.ndarray) -> list[bytes]:
    """Return the keys of a text's bands; none where it is shorter than a shingle."""
    words = NON_ALPHA.split(text)
    grams = {" ".join(words[i : i + WORDS]).encode() for i in range(len(words) - WORDS + 1)}
    if not grams:
        return []
    hashes = np.array([int.from_bytes(hashlib.sha1(gram).digest()[:4], "little") for gram in grams], np.uint64)
    minima = np.full(PERMUTATIONS, 0xFFFFFFFF, np.uint64)
    for first in range(0, len(hashes), 4096):  # the matrix of a large file does not fit in memory
        permuted = (hashes[first : first + 4096, None] * a + b) % PRIME & np.uint64(0xFFFFFFFF)
        np.minimum(minima, permuted.min(axis=0), out=minima)
    return [minima[i * ROWS : (i + 1) * ROWS].tobytes() for i in range(BANDS)]


def run(corpus: str, kept: str) -> dict[str, float]:
    """Write the files that stay; return the CPU seconds of each step."""
    clock = [time.process_time()]
    table = pq.read_table(corpus)
    a, b = np.random.default_rng(42).integers(1, int(PRIME), (2, PERMUTATIONS), np.uint64)
    tables: list[defaultdict[bytes, list[int]]] = [defaultdict(list) for _ in range(BANDS)]
    for file, text in enumerate(table.column("content").to_pylist()):
        for buckets, key in zip(tables, bands(text, a, b), strict=False):
            buckets[key].append(file)
    clock.append(time.process_time())
    parent = list(range(len(table)))

    def find(file: int) -> int:
        while parent[file] != file:
            parent[file] = file = parent[parent[file]]
        return file

    for buckets in tables:
        for files in buckets.values():
            for file in files[1:]:
                one, other = find(files[0]), find(file)
                parent[max(one, other)] = min(one, other)
    stays = pa.array([parent[file] == file for file in range(len(table))])
    clock.append(time.process_time())
    pq.write_table(table.filter(stays), kept)
    clock.append(time.process_time())
    return dict(zip(("signatures", "cluster", "filter"), np.diff(clock).tolist(), strict=True))


if __name__ == "__main__":
    print(json.dumps(run(*sys.argv[2:4])))
