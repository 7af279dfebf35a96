"""What `starmill estimate` predicts against what a run costs, at four times the size that its rates were fitted on.

    .venv/bin/python benchmarks/estimate.py [--megabytes 8] [--input DIR ...] [--workers 2] [--write]

Rates are fitted to samples of `megabytes` and four times that; the run has sixteen times. Once each stage alone with one worker,
as the rates were measured; once `starmill run` with `--workers` processes, for the time alone.
"""

import argparse
import datetime
import os
import platform
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from starmill.core.dataset import STAGES, Workspace
from starmill.pipelines import bench, estimate, mill
from starmill.pipelines.estimate import STAGE_OF, Cost, Dump
from starmill.pipelines.mill import Recipe
from starmill.pipelines.rates import REQUESTS, Observation, Rates
from starmill.pipelines.stage import Engine, timings

TIMES = 16


def compare(rates: Rates, options: Recipe, found: list[Observation]) -> Iterator[tuple[str, str, float, float]]:
    """Yield (row, cost, predicted, real) of a run with one worker; `options` are those of the run."""
    real = {o.row: o for o in found}
    into = real["ingest"].drivers
    costs = estimate.estimate(rates, options, Dump(into["files"], into["bytes"], into["repositories"]), 1)
    for cost in costs:
        seen = real[cost.row].costs
        yield cost.row, "CPU s", cost.cpu, seen["cpu"]
        yield cost.row, "peak MB", cost.peak / 1e6, seen["peak"] / 1e6
        yield cost.row, "stored MB", cost.stored / 1e6, sum(v for k, v in seen.items() if k.startswith("stored/")) / 1e6
        yield cost.row, "read MB", cost.fetched / 1e6, seen["fetched"] / 1e6
        yield cost.row, "requests", sum(cost.requests.values()), sum(seen[kind] for kind in REQUESTS)
        if "shuffled" in seen:
            yield cost.row, "shuffled MB", cost.shuffled / 1e6, seen["shuffled"] / 1e6
    for stage in STAGES:
        yield stage, "wall s, 1 worker", _seconds(costs, stage), real[stage].costs["wall"]


def _seconds(costs: list[Cost], stage: str) -> float:
    return sum(c.seconds for c in costs if STAGE_OF.get(c.row, c.row) == stage)


def main() -> None:
    """Measure, print, and with --write append to the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--megabytes", type=float, default=8, help="of the smallest sample (default: 8)")
    parser.add_argument("--input", nargs="+", default=[], metavar="DIR", help="folders of checkouts (default: packages)")
    parser.add_argument("--workers", type=int, default=2, help="of the run whose time is taken (default: 2)")
    parser.add_argument("--write", action="store_true", help="append the table to benchmarks/results/estimate.md")
    asked = parser.parse_args()
    options = mill.load("recipes/smoke.yaml", [], asked.input, None)
    size, block = int(asked.megabytes * 1e6), int(asked.megabytes * 1e6 / 2)
    source = bench.sample(options.source, size * TIMES, block, block)  # refused before anything is measured
    rates = bench.bench(options, asked.megabytes, print)
    with tempfile.TemporaryDirectory(prefix="starmill-estimate-") as folder:
        large = replace(options, workspace=f"{folder}/one", source=source)
        found = bench.run(large, print)
        Path("runs").mkdir(exist_ok=True)
        Path("runs/estimate.json").write_text(replace(rates, observations=(*rates.observations, *found)).to_json())
        rows = [*compare(rates, large, found)]
        into = found[0].drivers
        costs = estimate.estimate(rates, large, Dump(into["files"], into["bytes"], into["repositories"]), asked.workers)
        many = replace(large, workspace=f"{folder}/many")
        for stage in STAGES:
            mill.run_stage(stage, many, Engine(workers=asked.workers, quiet=True))
        took = timings(Workspace(many.workspace))
        rows += [(stage, f"wall s, {asked.workers} workers", _seconds(costs, stage), took[stage]) for stage in STAGES]
    told = [f"| {row} | {cost} | {guess:,.2f} | {real:,.2f} | {guess / real:.2f} |" for row, cost, guess, real in rows if real]
    load = os.getloadavg()[0]
    head = f"## {datetime.date.today()}, {platform.machine()}, {os.cpu_count()} cores, load {load:.1f}, Python {platform.python_version()}"
    fitted = (
        f"Fitted on {size / 1e6:g} and {4 * size / 1e6:g} MB, run on {into['bytes'] / 1e6:,.0f} MB in {into['files']:,.0f} files "
        f"and {into['parts']:,.0f} parts."
    )
    text = "\n".join([head, "", fitted, "", "| row | cost | predicted | real | ratio |", "|---|---|---|---|---|", *told, ""])
    print(text)
    if asked.write:
        with open(Path(__file__).parent / "results" / "estimate.md", "a") as results:
            results.write(text + "\n")


if __name__ == "__main__":
    main()
