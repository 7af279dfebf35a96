"""MB/s, memory and requests of each stage on one core, over at least 100 MB of real code; appends a dated table to results/.

    .venv/bin/python benchmarks/stages.py [--megabytes 100] [--input DIR ...] [--write]

The measurement is `starmill bench`'s (pipelines/costs/bench.py), of one workspace: each stage is one process pinned to one core, with one
worker. MB are 10^6 bytes that the stage read; `licenses` is ScanCode, `tokenizer` the training of the vocabulary.
"""

import argparse
import datetime
import os
import platform
import tempfile
from dataclasses import replace
from pathlib import Path

from starmill.pipelines import recipe as recipes
from starmill.pipelines.costs import bench


def main() -> None:
    """Measure, print, and with --write append to the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--megabytes", type=float, default=100, help="of the sample; refused where the input has less")
    parser.add_argument("--input", nargs="+", default=[], metavar="DIR", help="folders of checkouts (default: packages)")
    parser.add_argument("--write", action="store_true", help="append the table to benchmarks/results/stages.md")
    options = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    recipe = recipes.load("recipes/data/smoke.yaml", [], options.input, None)
    source = bench.sample(recipe.source, int(options.megabytes * 1e6), 16 << 20, 32 << 20)
    with tempfile.TemporaryDirectory(prefix="starmill-bench-") as folder:
        found = bench.run(replace(recipe, workspace=f"{folder}/work", source=replace(source, block_bytes=8 << 20)), print)
    text = "\n".join(
        [
            f"## {datetime.date.today()}, {platform.machine()}, one core of {os.cpu_count()}, Python {platform.python_version()}",
            "",
            *bench.table(found),
            "",
        ]
    )
    print(text)
    if options.write:
        with open(Path(__file__).parent / "results" / "stages.md", "a") as results:
            results.write(text + "\n")


if __name__ == "__main__":
    main()
