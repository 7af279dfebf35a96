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

import report

from starmill.pipelines import recipe as recipes
from starmill.pipelines.costs import bench


def sampled(said: str, megabytes: float, block: int, part: int) -> tuple[argparse.Namespace, recipes.Recipe]:
    """Read the options of a benchmark of stages, go to one core, and return the options and the recipe over a sample; sizes in bytes."""
    parser = argparse.ArgumentParser(description=said.splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=megabytes, help="of the sample; refused where the input has less")
    parser.add_argument("--input", nargs="+", default=[], metavar="DIR", help="folders of checkouts (default: packages)")
    report.add_write(parser)
    options = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    recipe = recipes.load("recipes/data/smoke.yaml", [], options.input, None)
    return options, bench.sample(recipe, int(options.megabytes * 1e6), block, part)


def main() -> None:
    """Measure, print, and with --write append to the results."""
    options, recipe = sampled(str(__doc__), 100, 16 << 20, 32 << 20)
    with tempfile.TemporaryDirectory(prefix="starmill-bench-") as folder:
        cut = replace(recipe.ingest, block_bytes=8 << 20)
        found = bench.run(replace(recipe, workspace=f"{folder}/work", ingest=cut), print)
    head = f"## {datetime.date.today()}, {platform.machine()}, one core of {os.cpu_count()}, Python {platform.python_version()}"
    report.tell("stages", [head, "", *bench.table(found)], options.write)


if __name__ == "__main__":
    main()
