"""How each stage's CPU time grows with the text, at four sizes over 32x on one core; appends a table with exponents to results/growth.md.

    .venv/bin/python benchmarks/growth.py [--megabytes 2 6 20 64] [--input DIR ...] [--write]

The measurement is `starmill bench`'s (pipelines/costs/bench.py): ScanCode's processes are counted, imports are not. Larger samples hold the
smaller, and parts stay as large. The exponent is the slope of log CPU s over log MB that the stage read: of a line through all sizes, which
what a stage costs at any size flattens, and of the last step alone, which it hardly does, but noise tilts.
"""

import argparse
import datetime
import math
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import report

from starmill.pipelines import recipe as recipes
from starmill.pipelines.costs import bench, rates
from starmill.pipelines.costs.rates import Observation

BLOCK, PART = 1 << 20, 4 << 20  # bytes: so that small samples have parts too, and repositories of at most a block


def main() -> None:
    """Measure, print, and with --write append to the results."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--megabytes", nargs="+", type=float, default=[2, 6, 20, 64], help="of the samples, ascending")
    parser.add_argument("--input", nargs="+", default=[], metavar="DIR", help="folders of checkouts (default: packages)")
    report.add_write(parser)
    options = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    load = os.getloadavg()[0]
    recipe = recipes.load("recipes/data/smoke.yaml", [], options.input, None)
    found = []
    with tempfile.TemporaryDirectory(prefix="starmill-bench-") as folder:
        sampled = [bench.sample(recipe, int(size * 1e6), BLOCK, PART) for size in options.megabytes]
        bench.seconds(replace(sampled[0], workspace=f"{folder}/warm"), 1)  # compiles bytecode and kernels
        for number, one in enumerate(sampled):
            found.append(bench.run(replace(one, workspace=f"{folder}/{number}"), print))
    head = (
        f"## {datetime.date.today()}, one core of {os.cpu_count()} ({report.processor()}), load average at the start {load:.1f}"
    )
    report.tell("growth", [head, "", *table(found)], options.write)


def table(found: Sequence[Sequence[Observation]]) -> Iterator[str]:
    """Yield the table: a row for each stage, a column for each size."""
    yield "| stage | CPU s (MB in) " + "| " * (len(found) - 1) + "| exponent | of the last step |"
    yield "|" + "---|" * (len(found) + 3)
    for row in rates.ROWS:
        same = [next(o for o in of_size if o.row == row) for of_size in found]
        sizes, cpu = [o.drivers["bytes"] / 1e6 for o in same], [o.costs["cpu"] for o in same]
        cells = [f"{seconds:.2f} ({size:.1f})" for seconds, size in zip(cpu, sizes, strict=True)]
        yield "| " + " | ".join([row, *cells, f"{slope(sizes, cpu):.2f}", f"{slope(sizes[-2:], cpu[-2:]):.2f}"]) + " |"


def slope(sizes: Sequence[float], cpu: Sequence[float]) -> float:
    """Return the exponent of a power law through the points.

    >>> round(slope([1, 2, 4], [3, 12, 48]), 6)
    2.0
    """
    if min(*sizes, *cpu) <= 0:
        return math.nan
    return float(np.polyfit(np.log(sizes), np.log(cpu), 1)[0])


if __name__ == "__main__":
    main()
