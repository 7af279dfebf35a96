"""datatrove's chain over a corpus of code, run by the Python of its own environment: near-deduplication, then its formatter of PII.

    chain_datatrove.py CORPUS.parquet FOLDER

Leaves FOLDER/texts.jsonl with `id` and `text`. Its filters are for prose: none runs, and the last line that is printed says how many files
each would have kept (Gopher's two, with their defaults).
"""

import json
import sys
from pathlib import Path

import pyarrow.parquet as pq
import with_datatrove
from datatrove.data import Document
from datatrove.pipeline.filters import GopherQualityFilter, GopherRepetitionFilter
from datatrove.pipeline.formatters import PIIFormatter


def main(corpus: str, folder: str) -> None:
    """Run the chain."""
    with_datatrove.run(corpus, folder, "regex")
    clean = PIIFormatter()
    with open(Path(folder, "texts.jsonl"), "w") as file:
        for name in sorted(Path(folder, "kept").glob("*.parquet")):
            for row in pq.read_table(name, columns=["id", "text"]).to_pylist():
                file.write(json.dumps({"id": row["id"], "text": clean.format(row["text"])}) + "\n")
    texts = pq.read_table(corpus, columns=["content"]).column("content").to_pylist()
    told = {}
    for judge in (GopherRepetitionFilter(), GopherQualityFilter()):
        kept = sum(judge.filter(Document(text=text, id="")) is True for text in texts)
        told[type(judge).__name__] = f"{kept} of {len(texts)}"
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:3])
