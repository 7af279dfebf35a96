"""datatrove's MinHash deduplication, run by the Python of its own environment: its signatures alone, or its four stages.

    with_datatrove.py signatures SAMPLE.parquet
    with_datatrove.py run CORPUS.parquet FOLDER [spacy]

Its default tokenizer is spaCy's English one; `regex` (runs of `\\w`) is what a person who deduplicates code would put instead.
"""

import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets
from datatrove.pipeline.readers import ParquetReader
from datatrove.pipeline.writers import ParquetWriter


class Words:
    """The one method of a word tokenizer that deduplication calls."""

    find = re.compile(r"\w+")

    def word_tokenize(self, text: str) -> list[str]:
        """Return the words of a text."""
        return self.find.findall(text)


def signer(folder: str, config: MinhashConfig, tokenizer: str) -> MinhashDedupSignature:
    """Return stage 1 with the default tokenizer or ours."""
    step = MinhashDedupSignature(folder, config)
    if tokenizer == "regex":
        step.word_tokenizer = Words()
    return step


def signatures(sample: str) -> dict[str, float]:
    """Return MiB/s of shingling and hashing, without I/O: 256 permutations, and the default of 112."""
    texts = pq.read_table(sample, columns=["content"]).column("content").to_pylist()
    size = sum(len(t.encode()) for t in texts) / 2**20
    speeds = {}
    for label, tokenizer, buckets in (
        ("datatrove, regex tokenizer, 32x8", "regex", 32),
        ("datatrove, regex tokenizer, 14x8 (its default)", "regex", 14),
        ("datatrove, spaCy (its default), 32x8", "spacy", 32),
    ):
        step = signer("/tmp", MinhashConfig(num_buckets=buckets, hashes_per_bucket=8), tokenizer)
        step.get_shingles("load the tokenizer before the clock starts")
        started = time.process_time()
        for text in texts:
            shingles = step.get_shingles(text)
            if shingles.size:
                step.get_signature(shingles)
        speeds[label] = size / (time.process_time() - started)
    return speeds


def run(corpus: str, folder: str, tokenizer: str) -> dict[str, float]:
    """Run the four stages with the defaults (14 buckets of 8), one process; return the CPU seconds of each."""
    config = MinhashConfig()
    paths = {name: f"{folder}/{name}" for name in ("signatures", "buckets", "removed", "kept", "logs")}

    def read() -> Any:
        return ParquetReader(str(Path(corpus).parent), glob_pattern=Path(corpus).name, text_key="content", id_key="id")

    stages = {
        "signatures": [read(), signer(paths["signatures"], config, tokenizer)],
        "buckets": [MinhashDedupBuckets(paths["signatures"], paths["buckets"], config=config)],
        "cluster": [MinhashDedupCluster(paths["buckets"], paths["removed"], config=config)],
        "filter": [read(), MinhashDedupFilter(paths["removed"]), ParquetWriter(paths["kept"])],
    }
    seconds = {}
    for name, steps in stages.items():
        started = time.process_time()
        tasks = config.num_buckets if name == "buckets" else 1
        LocalPipelineExecutor(steps, tasks=tasks, workers=1, logging_dir=f"{paths['logs']}/{name}").run()
        seconds[name] = time.process_time() - started
    return seconds


if __name__ == "__main__":
    if sys.argv[1] == "signatures":
        print(json.dumps(signatures(sys.argv[2])))
    else:
        print(json.dumps(run(sys.argv[2], sys.argv[3], (*sys.argv[4:], "regex")[0])))
