"""Near-deduplication by rensa's own deduplicator (Rust), as its documentation has it: 5-word shingles, 256 permutations, 32 bands.

    with_rensa.py run CORPUS.parquet KEPT.parquet

rensa takes shingles, not texts: the words are cut by the regex and joined by Python, which is the least that a user must do. It keeps the
first of the files that its signatures say are similar; no text is compared.
"""

import json
import re
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rensa import RMinHash, RMinHashDeduplicator

WORDS = re.compile(r"\w+")
SHINGLE, PERMUTATIONS, BANDS, THRESHOLD = 5, 256, 32, 0.7


def run(corpus: str, kept: str) -> dict[str, float]:
    """Write the files that stay; return the CPU seconds of each step."""
    clock = [time.process_time()]
    table = pq.read_table(corpus)
    seen = RMinHashDeduplicator(threshold=THRESHOLD, num_perm=PERMUTATIONS, use_lsh=True, num_bands=BANDS, seed=42)
    stays = []
    for file, text in enumerate(table.column("content").to_pylist()):
        words = WORDS.findall(text)
        sketch = RMinHash(num_perm=PERMUTATIONS, seed=42)
        shingles = [" ".join(words[i : i + SHINGLE]) for i in range(len(words) - SHINGLE + 1)]
        sketch.update(shingles)
        stays.append(not shingles or seen.add(str(file), sketch))  # a file shorter than a shingle has no signature
    clock.append(time.process_time())
    pq.write_table(table.filter(pa.array(stays)), kept)
    clock.append(time.process_time())
    return dict(zip(("signatures and look-ups", "filter"), np.diff(clock).tolist(), strict=True))


if __name__ == "__main__":
    print(json.dumps(run(*sys.argv[2:4])))
