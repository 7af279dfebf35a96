"""What `starmill estimate` predicts against what runs cost, at one, two and four times the largest size that its rates were fitted on.

    .venv/bin/python benchmarks/estimate.py [--megabytes 8] [--rounds 3] [--input DIR ...] [--workers 2] [--write]

Rates are fitted to samples of `megabytes` and four times that; the runs have 4, 8 and 16 times as much. Each is made twice: each
stage alone with one worker, as the rates were measured, and all of them in one process with `--workers`, for the time alone.
What is predicted from is what one knows of a dump: its files, bytes, repositories, and share of duplicates.
A shared machine's speed drifts by more than what is to be seen here: samples and runs are therefore made in rounds, one after the
other, and what is fitted and what is compared are medians.
"""

import argparse
import datetime
import os
import platform
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import report

from starmill.pipelines import recipe as recipes
from starmill.pipelines.costs import bench, estimate
from starmill.pipelines.costs.estimate import Dump, RowCost
from starmill.pipelines.costs.rates import NEAR, REQUESTS, STAGE_OF, Observation, Rates
from starmill.pipelines.recipe import Recipe
from starmill.pipelines.stages import STAGES

TIMES = (4, 8, 16)
WITHIN = 0.25  # what is promised
Row = tuple[str, str, float, float]  # row, cost, predicted, real


def compare(rates: Rates, options: Recipe, found: list[Observation]) -> Iterator[Row]:
    """Yield the costs of a run with one worker; `options` are those of the run."""
    real = {o.row: o for o in found}
    costs = predicted(rates, options, found, 1)
    for cost in costs:
        seen = real[cost.row].costs
        yield cost.row, "CPU s", cost.cpu, seen["cpu"] + seen.get("start", 0.0)
        yield cost.row, "peak MB", cost.peak / 1e6, seen["peak"] / 1e6
        yield cost.row, "stored MB", cost.stored / 1e6, sum(v for k, v in seen.items() if k.startswith("stored/")) / 1e6
        yield cost.row, "read MB", cost.fetched / 1e6, seen["fetched"] / 1e6
        yield cost.row, "requests", sum(cost.requests.values()), sum(seen[kind] for kind in REQUESTS)
        if "shuffled" in seen:
            yield cost.row, "shuffled MB", cost.shuffled / 1e6, seen["shuffled"] / 1e6
    took = {stage: sum(o.costs["seconds"] for o in found if STAGE_OF.get(o.row, o.row) == stage) for stage in STAGES}
    yield from times(costs, took, 1)


def times(costs: list[RowCost], took: dict[str, float], workers: int) -> Iterator[Row]:
    """Yield the time of each stage, and of all."""
    guess = {stage: sum(c.seconds for c in costs if STAGE_OF.get(c.row, c.row) == stage) for stage in STAGES}
    for name, some in (*((stage, [stage]) for stage in STAGES), ("together", list(STAGES))):
        yield name, f"s, {workers} workers", sum(guess[s] for s in some), sum(took[s] for s in some)


def predicted(rates: Rates, options: Recipe, found: list[Observation], workers: int) -> list[RowCost]:
    """Return the costs that are computed for what a run had to do."""
    into, near = found[0].drivers, next(o.drivers for o in found if o.row == NEAR)
    dump = Dump(into["files"], into["bytes"], into["repositories"], near["removed"] / near["files"])
    return estimate.estimate(rates, options, dump, workers)


def table(sizes: list[str], runs: list[list[Row]]) -> list[str]:
    """Return the ratios of all runs, and of the last one the numbers, as a table in Markdown, and then how many are within WITHIN."""
    ratios = [{(row, cost): guess / real for row, cost, guess, real in run if real} for run in runs]
    lines = [
        f"| row | cost | {' | '.join(f'ratio at {s}' for s in sizes)} | predicted at {sizes[-1]} | real |",
        "|---" * 7 + "|",
    ]
    for row, cost, guess, real in runs[-1]:
        if real:
            told = " | ".join(f"{r[row, cost]:.2f}" if (row, cost) in r else "" for r in ratios)
            lines.append(f"| {row} | {cost} | {told} | {guess:,.2f} | {real:,.2f} |")
    for size, found in zip(sizes, ratios, strict=True):
        far = [f"{row} {cost} {r:.2f}" for (row, cost), r in found.items() if abs(r - 1) > WITHIN]
        lines += [
            "",
            f"At {size} {len(found) - len(far)} of {len(found)} are within {WITHIN:.0%}; not: {', '.join(far) or 'none'}.",
        ]
    return lines


def main() -> None:
    """Measure, print, and with --write append to the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--megabytes", type=float, default=8, help="of the smallest sample (default: 8)")
    parser.add_argument("--rounds", type=int, default=3, help="so often, for the median (default: 3)")
    parser.add_argument("--input", nargs="+", default=[], metavar="DIR", help="folders of checkouts (default: packages)")
    parser.add_argument("--workers", type=int, default=2, help="of the second run, whose time is taken (default: 2)")
    report.add_write(parser)
    asked = parser.parse_args()
    options = recipes.load("recipes/data/smoke.yaml", [], asked.input, None)
    size, load = int(asked.megabytes * 1e6), os.getloadavg()[0]
    samples = bench.samples_of(options, asked.megabytes)
    sampled = {f"{n * size / 1e6:g} MB": bench.sample(options, size * n, size // 2, size // 2, size // 8) for n in TIMES}
    fits, shares = [], []
    found: dict[str, list[list[Observation]]] = {name: [] for name in sampled}
    took: dict[str, list[dict[str, float]]] = {name: [] for name in sampled}
    for _ in range(asked.rounds):
        observed, shared = bench.measure(samples, print)
        fits.append(observed)
        shares.append(shared)
        for name, drawn in sampled.items():
            with tempfile.TemporaryDirectory(prefix="starmill-estimate-") as folder:
                larger = replace(drawn, workspace=f"{folder}/one")
                found[name].append(bench.run(larger, print))
                took[name].append(bench.seconds(replace(larger, workspace=f"{folder}/many"), asked.workers))
    rates = bench.of(bench.median(fits), options, bench.middle(shares))
    runs, observed = [], [*rates.observations]
    for name, larger in sampled.items():
        real = bench.median(found[name])
        costs = predicted(rates, larger, real, asked.workers)
        runs.append([*compare(rates, larger, real), *times(costs, bench.middle(took[name]), asked.workers)])
        observed += real
    Path("runs").mkdir(exist_ok=True)
    Path("runs/estimate.json").write_text(replace(rates, observations=tuple(observed)).to_json())
    into = real[0].drivers
    head = f"## {datetime.date.today()}, {platform.machine()}, {os.cpu_count()} cores, load {load:.1f}, Python {platform.python_version()}"
    told = (
        f"Fitted on {size / 1e6:g} and {4 * size / 1e6:g} MB; the largest run has {into['bytes'] / 1e6:,.0f} MB in "
        f"{into['files']:,.0f} files and {into['parts']:,.0f} parts. Medians of {asked.rounds} rounds."
    )
    report.tell("estimate", [head, "", told, "", *table([*sampled], runs)], asked.write)


if __name__ == "__main__":
    main()
