"""MB/s of one core from text to ids beside tokenizers, tiktoken and fastokens, in one run, with the same ids.

    .venv/bin/python benchmarks/tokenizing.py TOKENIZER.json [--megabytes 20] [--write]

Texts are code of this machine (corpus.py). Each way is a process of its own with one thread; CPU seconds are of the second pass over
the texts, so that no way pays for what it keeps or compiles. Bytes are UTF-8's. `alike`: all ids are those of Hugging Face's tokenizers.
"""

import argparse
import datetime
import json
import os
import platform
import tempfile
from pathlib import Path

import corpus
import report
import tools

WAYS = ("tokenizers", "tiktoken", "fastokens")


def main() -> None:
    """Measure, print and, with --write, append a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("--megabytes", type=float, default=20)
    parser.add_argument(
        "--cache", type=Path, default=Path("~/.cache/starmill-bench").expanduser(), help="where peers are installed"
    )
    report.add_write(parser)
    options = parser.parse_args()
    os.environ |= {"RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    table = corpus.build(corpus.roots(), int(options.megabytes * 2**20), 0)
    size = corpus.size(table) / 1e6
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "texts.parquet"
        corpus.write(table, place)
        found: dict[str, dict[str, float] | str] = {}
        for way in ("starmill", *WAYS):
            try:
                python = tools.environment("starmill" if way == "starmill" else "tokenizing", options.cache)
                usage = tools.run([python, str(tools.PEERS / "tokenizing.py"), way, str(options.tokenizer), str(place)])
                found[way] = json.loads(usage.last)
            except tools.Failed as error:
                found[way] = str(error)
    report.tell("tokenizing", lines(found, size, len(table)), options.write)


def lines(found: dict[str, dict[str, float] | str], size: float, texts: int) -> list[str]:
    """Return the table of what the ways measured, or why they did not, over `size` MB."""
    ours, right = found["starmill"], found["tokenizers"]
    head = f"## {datetime.date.today()}, {report.processor()}, one core, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}"
    told = [
        head,
        "",
        f"{texts:,} texts, {size:.1f} MB.",
        "",
        "| | MB per CPU s | starmill is faster | ids | alike |",
        "|---|---|---|---|---|",
    ]
    for way, row in found.items():
        if isinstance(row, str) or isinstance(ours, str):
            told.append(f"| {way} | NOT RUN: {row} | | | |")
            continue
        alike = "yes" if not isinstance(right, str) and row["sha256"] == right["sha256"] else "no"
        told.append(
            f"| {way} | {size / row['seconds']:.1f} | {row['seconds'] / ours['seconds']:.1f} x | {row['ids']:,} | {alike} |"
        )
    return told


if __name__ == "__main__":
    main()
