"""What a real Flink costs: once and four times the data, on one TaskManager and on two, stage by stage, beside the estimate.

    .venv/bin/python benchmarks/flink.py [--megabytes 32] [--input DIR ...] [--write]

Clusters are those of `make flink-up`, each in turn. CPU seconds are those of the Python workers with their children, and of the
TaskManagers. What was shuffled says Flink itself: the bytes that its vertices read from exchanges which send elsewhere (by hash,
or around), and apart from them what they wrote into any exchange, also from one step to the next in one process. What a stage
counts of its shuffle is its own payload. The estimate's rates are fitted to samples of a quarter of `megabytes` and of `megabytes`.
"""

import argparse
import datetime
import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import apache_beam as beam
import psutil
import report
from apache_beam.metrics import MetricsFilter

from starmill.core.dataset import Workspace
from starmill.pipelines import recipe as recipes
from starmill.pipelines import stages
from starmill.pipelines.costs import bench, estimate, rates
from starmill.pipelines.costs.estimate import Dump
from starmill.pipelines.recipe import Recipe
from starmill.pipelines.run.stages import run_stage
from starmill.pipelines.runners.flink import Flink
from starmill.pipelines.stages import STAGES, ingest
from starmill.reports import funnel

ROOT = Path(__file__).resolve().parent.parent
PORTS = {"rest": 18081, "rpc": 16123, "pool": 15000, "job": 18099}
TIMES, MANAGERS = (1, 4), (1, 2)
# Ways of Flink's to ship a vertex's records that leave a slot.
SENT = ("Hash Partition", "Rebalance", "Range Partition", "Custom Partition", "Broadcast")


@dataclass(frozen=True)
class Measured:
    """One stage of one run. `job`: Flink's own seconds of it; bytes are Flink's, but `counted`, which is the stage's."""

    wall: float
    job: float
    workers: float
    managers: float
    shuffled: float
    exchanged: float
    counted: float


@dataclass(frozen=True)
class _Counted(Flink):
    """A runner that keeps what its last pipeline counted."""

    counted: Counter[str] = field(default_factory=Counter)

    def pipeline(self, parts: int) -> beam.Pipeline:
        pipeline = super().pipeline(parts)
        run = pipeline.run

        def keep() -> Any:
            result = run()
            wait = result.wait_until_finish

            def waited(*given: Any) -> Any:
                state = wait(*given)
                for metric in result.metrics().query(MetricsFilter().with_namespace("starmill"))["counters"]:
                    self.counted[metric.key.metric.name] += metric.result
                return state

            result.wait_until_finish = waited
            return result

        pipeline.run = keep
        return pipeline


@dataclass(frozen=True)
class Cluster:
    """A cluster that is up: Beam's options, its REST interface, the processes whose CPU counts."""

    options: tuple[str, ...]
    pool: int
    managers: tuple[int, ...]

    def get(self, path: str) -> dict[str, Any]:
        """Ask Flink."""
        with urllib.request.urlopen(f"http://127.0.0.1:{PORTS['rest']}/{path}", timeout=60) as answer:
            values: dict[str, Any] = json.load(answer)
            return values

    def measure(self, recipe: Recipe, stage: str) -> Measured:
        """Run one stage."""
        runner, before = _Counted(self.options), {job["jid"] for job in self.get("jobs/overview")["jobs"]}
        workers, managers, started = self._workers(), _cpu(self.managers), time.monotonic()
        run_stage(stage, recipe, runner, quiet=True)
        wall, after = time.monotonic() - started, self._workers()
        [job] = [job for job in self.get("jobs/overview")["jobs"] if job["jid"] not in before]
        told = self.get(f"jobs/{job['jid']}")
        return Measured(
            wall,
            job["duration"] / 1000,
            sum(cpu - workers.get(process, 0) for process, cpu in after.items()),  # none ends while its job runs
            _cpu(self.managers) - managers,
            *exchanges(told),
            runner.counted[f"{stage}/shuffled/bytes"],
        )

    def _workers(self) -> dict[int, float]:
        return {child.pid: _cpu([child.pid]) for child in psutil.Process(self.pool).children(recursive=True)}


def exchanges(job: dict[str, Any]) -> tuple[float, float]:
    """Return the bytes that the vertices of a finished job read from other slots, and those that they wrote at all."""
    ways = {node["id"]: [i["ship_strategy"] for i in node.get("inputs", ())] for node in job["plan"]["nodes"]}
    sent = written = 0.0
    for vertex in job["vertices"]:
        written += vertex["metrics"]["write-bytes"]
        if any(way.startswith(SENT) for way in ways[vertex["id"]]):
            sent += vertex["metrics"]["read-bytes"]
    return sent, written


def _cpu(processes: Iterable[int]) -> float:
    seconds = 0.0
    for pid in processes:
        with suppress(psutil.NoSuchProcess):
            seconds += sum(psutil.Process(pid).cpu_times()[:4])  # its own, and its ended children's
    return seconds


@contextmanager
def cluster(folder: Path, managers: int) -> Iterator[Cluster]:
    """Bring a cluster up, and down again."""
    flags = [f"--folder={folder}", f"--taskmanagers={managers}", *(f"--{name}-port={port}" for name, port in PORTS.items())]
    command = [sys.executable, str(ROOT / "infra" / "flink" / "cluster.py"), *flags]
    subprocess.run([*command, "up"], check=True, stdout=subprocess.DEVNULL)
    try:
        options = subprocess.run([*command, "options"], check=True, capture_output=True, text=True).stdout
        up = [
            line.split()
            for line in subprocess.run([*command, "status"], check=True, capture_output=True, text=True).stdout.splitlines()
        ]
        pids = {words[0]: int(words[2]) for words in up if words[1:2] == ["pid"]}
        those = tuple(pid for name, pid in pids.items() if name.startswith("taskmanager"))
        yield Cluster(tuple(shlex.split(options)), pids["pool"], those)
    finally:
        subprocess.run([*command, "down"], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Measure, print, and with --write append to the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--megabytes", type=float, default=32, help="of code, once (default: 32)")
    parser.add_argument("--input", nargs="+", default=[], metavar="DIR", help="folders of checkouts (default: packages)")
    parser.add_argument("--rates", help="a rates file of `starmill bench` (default: measure them, after all else)")
    report.add_write(parser)
    asked = parser.parse_args()
    recipe = recipes.load("recipes/data/smoke.yaml", [], asked.input, None)
    size, part = int(asked.megabytes * 1e6), int(asked.megabytes * 1e6 / 4)
    samples = {times: bench.sample(recipe, size * times, part, part) for times in TIMES}  # refused before anything is measured
    load = os.getloadavg()[0]
    found: dict[tuple[int, str, int], Measured] = {}
    with tempfile.TemporaryDirectory(prefix="starmill-flink-") as home:
        for managers in MANAGERS:
            with cluster(Path(home) / f"cluster-{managers}", managers) as up:
                warm = replace(samples[1], workspace=f"{home}/warm-{managers}")
                up.measure(warm, "ingest")  # the first job loads Flink's and Beam's classes
                for times in TIMES:
                    mine = replace(samples[times], workspace=f"{home}/{times}-{managers}")
                    for stage in STAGES:
                        found[times, stage, managers] = seen = up.measure(mine, stage)
                        print(f"{times}x, TaskManagers: {managers}, {stage:<9} {seen}", flush=True)
        fitted = rates.load(asked.rates) if asked.rates else bench.bench(recipe, asked.megabytes / 4, print)
        lines = []
        for times in TIMES:
            mine = replace(samples[times], workspace=f"{home}/{times}-1")
            same(mine.workspace, f"{home}/{times}-2")
            lines += table(times, mine, fitted, found)
    report.tell("flink", [*heading(load), *lines, *efficiency(found)], asked.write)


def same(one: str, other: str) -> None:
    """Assert that two workspaces hold the same data."""
    for stage in STAGES:
        a, b = Workspace(one).manifest(stages.load(stage).dataset), Workspace(other).manifest(stages.load(stage).dataset)
        assert a and b and a.digest == b.digest, stage


def heading(load: float) -> list[str]:
    """Return the heading of the results."""
    where = f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f} before, Python {platform.python_version()}"
    return [f"## {datetime.date.today()}, {where}", ""]


def table(times: int, recipe: Recipe, fitted: rates.Rates, found: dict[tuple[int, str, int], Measured]) -> list[str]:
    """Return what was measured of one size, beside what the estimate says of its shuffle."""
    into = {f.stage: f for f in funnel.measure(Workspace(recipe.workspace))}["ingest"].into
    plans = ingest.plan(recipe)
    repositories = sum(len(planned.repositories) for planned in plans)
    costs = estimate.estimate(fitted, recipe, Dump(into.files, into.bytes, repositories), max(MANAGERS))
    predicted = {cost.row: cost.shuffled for cost in costs}
    lines = [
        f"{into.bytes / 1e6:,.0f} MB, {into.files:,} files, {len(plans)} parts.",
        "",
        "| stage | TaskManagers | wall s | in Flink s | CPU s, workers | CPU s, TaskManagers | shuffled B, Flink "
        "| all exchanges B, Flink | shuffled B, the stage's count | shuffled B, estimate |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for stage in STAGES:
        for managers in MANAGERS:
            m = found[times, stage, managers]
            seconds = " | ".join(f"{value:.1f}" for value in (m.wall, m.job, m.workers, m.managers))
            sizes = " | ".join(f"{value:,.0f}" for value in (m.shuffled, m.exchanged, m.counted, predicted[stage]))
            lines.append(f"| {stage} | {managers} | {seconds} | {sizes} |")
    return [*lines, ""]


def efficiency(found: dict[tuple[int, str, int], Measured]) -> list[str]:
    """Return how many times as fast two TaskManagers are as one, and the half of that."""
    lines = [
        "| data | stage | wall s, 1 | wall s, 2 | efficiency | in Flink s, 1 | in Flink s, 2 | efficiency |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for times in TIMES:
        for stage in (*STAGES, "together"):
            some = STAGES if stage == "together" else (stage,)
            cells = []
            for name in ("wall", "job"):
                one, two = (sum(getattr(found[times, s, k], name) for s in some) for k in MANAGERS)
                cells += [f"{one:.1f}", f"{two:.1f}", f"{one / two / 2:.2f}"]
            lines.append(f"| {times}x | {stage} | {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    main()
