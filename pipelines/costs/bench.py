"""`starmill bench`: the costs of each stage on this machine, measured on samples of real code, as rates for `starmill estimate`.

After a warm-up, three small workspaces are milled: a sample, four times as much, and that once more in parts of four times the size.
So costs per run, part, row group and byte can be fitted apart. Each stage runs in a process of its own with one worker, on a file
system that counts a bucket's requests. CPU seconds are those of the stage, and separately those before the stage began; memory is the
process's own peak, not its parent's. A fourth workspace is milled by two workers: the time above half of one worker's is the cost of
workers in processes of their own. On a shared machine all runs are repeated in rounds, and each figure is the median of the rounds.
"""

import glob
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import apache_beam as beam
import fsspec
import numpy as np
import psutil
from apache_beam.metrics import MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from starmill.core import recipe, seeds, terminal
from starmill.core.dataset import Workspace
from starmill.core.errors import InputError, MachineError
from starmill.pipelines import recipe as recipes
from starmill.pipelines.costs import estimate, rates
from starmill.pipelines.costs.rates import NEAR, STAGE_OF, Observation, Rates
from starmill.pipelines.costs.traffic import PROTOCOL, Traffic, counting
from starmill.pipelines.recipe import Recipe
from starmill.pipelines.run.stages import run_stage
from starmill.pipelines.runners.local import Local
from starmill.pipelines.runners.runner import Runner
from starmill.pipelines.sources.packages import Packages
from starmill.pipelines.stages import STAGES, ingest, tokenize, vocabulary
from starmill.pipelines.stages.dedup import graph as dedup
from starmill.pipelines.stages.findings import CACHE
from starmill.reports import funnel
from starmill.transforms.dedup import hot, verify
from starmill.transforms.measure.scancode import detector

# Name, size of the sample, size of the parts.
RUNS = (("small", 1, 1), ("large", 4, 1), ("large parts", 4, 4))
NOT_COSTS = ("kept_files", "kept_bytes", "candidates", "decode", "seconds")
WORKERS = 2


class TooLittle(InputError):
    """Too little code to measure; the message says how many bytes there are."""


@dataclass(frozen=True)
class _Counted(Runner):
    """The local runner in this process, which keeps its counters."""

    counted: Counter[str] = field(default_factory=Counter)

    def pipeline(self, parts: int) -> beam.Pipeline:
        return beam.Pipeline(_Counting(self.counted), PipelineOptions([]))


class _Counting(FnApiRunner):
    def __init__(self, counted: Counter[str]) -> None:
        super().__init__()
        self._counted = counted

    def run_pipeline(self, pipeline: beam.Pipeline, options: PipelineOptions) -> Any:
        result = super().run_pipeline(pipeline, options)
        for metric in result.metrics().query(MetricsFilter().with_namespace("starmill"))["counters"]:
            self._counted[metric.key.metric.name] += metric.result
        return result


def bench(options: Recipe, megabytes: float, say: Callable[[str], None], rounds: int = 1) -> Rates:
    """Measure the recipe's stages on samples of its sources, `megabytes` (10**6 bytes) the first, `rounds` times. Raises TooLittle."""
    samples = samples_of(options, megabytes)
    measured = [measure(samples, say) for _ in range(rounds)]
    return of(median([found for found, _ in measured]), options, middle([shared for _, shared in measured]))


def samples_of(options: Recipe, megabytes: float) -> dict[str, Recipe]:
    """Return the recipe over the samples of RUNS, `megabytes` (10**6 bytes) the first. Raises TooLittle."""
    half = max(1, int(megabytes * 5e5))
    return {name: sample(options, 2 * half * times, half, half * larger, half // 4) for name, times, larger in RUNS}


def measure(samples: Mapping[str, Recipe], say: Callable[[str], None]) -> tuple[list[Observation], dict[str, float]]:
    """Return the observations of each run, and the seconds of each stage of the second run with WORKERS workers."""
    with tempfile.TemporaryDirectory(prefix="starmill-bench-") as folder:
        seconds(replace(samples["small"], workspace=f"{folder}/warm"), 1)  # compiles bytecode and kernels
        runs = (replace(sampled, workspace=f"{folder}/{name}") for name, sampled in samples.items())
        found = [o for larger in runs for o in run(larger, say)]
        return found, seconds(replace(samples["large"], workspace=f"{folder}/shared"), WORKERS)


def median(rounds: Sequence[Sequence[Observation]]) -> list[Observation]:
    """Return each observation with the medians of its costs over the rounds."""
    return [replace(same[0], costs=middle([o.costs for o in same])) for same in zip(*rounds, strict=True)]


def middle(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the median of each value."""
    names = dict.fromkeys(name for values in rounds for name in values)
    return {name: statistics.median(values.get(name, 0.0) for values in rounds) for name in names}


def sample(options: Recipe, size: int, block: int, part: int, largest: int | None = None) -> Recipe:
    """Return the recipe over repositories drawn from its sources, about `size` bytes, in row groups of `block` and parts of `part` bytes.

    Repositories have at most `largest` bytes, by default a row group's, since a few large ones say little of others; large samples
    hold the small. Raises TooLittle.
    """
    everything, most = [(p.source, r) for p in ingest.plan(options) for r in p.repositories], largest or block
    some = [(source, r) for source, r in everything if 0 < r.size_bytes <= most]
    chosen: dict[str, list[str]] = {}
    held = 0
    for source, repository in sorted(some, key=lambda pair: (seeds.uint64(0, "bench", pair[1].name), pair[1].name)):
        if held < size:
            chosen.setdefault(source, []).append(glob.escape(repository.name))
            held += repository.size_bytes
    if held < size:
        raise TooLittle(
            f"bench: {held / 1e6:.1f} MB in {sum(map(len, chosen.values()))} of {len(everything)} repositories, those of at most "
            f"{most / 1e6:.1f} MB, and {size / 1e6:.1f} MB are wanted; give more with --input, or lower --megabytes"
        )
    drawn = {name: replace(options.sources[name], include=tuple(names), exclude=()) for name, names in chosen.items()}  # type: ignore[type-var]
    cut = replace(options.ingest, part_bytes=part, block_bytes=block, rows_of_left_out=False)
    return replace(options, sources=drawn, ingest=cut)


def run(options: Recipe, say: Callable[[str], None]) -> list[Observation]:
    """Mill one workspace, each stage in a process of its own, and return the observations. Raises MachineError."""
    found: list[Observation] = []
    for stage in STAGES:
        found += [Observation(**o) for o in apart(options, stage)]
        say(f"{stage:<9} {found[-1].drivers['bytes'] / 1e6:8.1f} MB {found[-1].costs['cpu']:8.1f} CPU s")
    return found


def seconds(options: Recipe, workers: int) -> dict[str, float]:
    """Mill one workspace as `starmill run` does, and return the seconds of each stage. Raises MachineError."""
    return dict(apart(options, str(workers)))


def apart(options: Recipe, what: str, under: Sequence[str] = ()) -> Any:
    """Return what `main` prints in a process of its own, which the command `under` may start. Raises MachineError."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}  # as on any machine
    command = [*under, sys.executable, "-m", "starmill.pipelines.costs.bench", what]
    with tempfile.TemporaryDirectory(prefix="bench-") as own:  # a ScanCode of its own, which is loaded once and counted
        kept |= {"TMPDIR": own, CACHE: "off"}
        done = subprocess.run(command, input=recipe.canonical(options), capture_output=True, text=True, env=kept)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["without a word"])[-1]
        raise MachineError(f"bench: {'stage ' if what in STAGES else 'a run of '}{what} failed: {said}")
    return json.loads(
        next(line for line in done.stdout.splitlines()[::-1] if line.startswith(("[", "{")))
    )  # a profiler says a word too


def of(observations: Sequence[Observation], options: Recipe, shared: Mapping[str, float]) -> Rates:
    """Fit the rates to the observations of RUNS; shares and shape are those of the second run.

    `shared`: the seconds of each stage of the second run with WORKERS workers.
    """
    second = {o.row: o for o in largest(observations)}
    kept = {s: (_share(second[s], "files"), _share(second[s], "bytes")) for s in STAGES}
    first, near = second[STAGES[0]].drivers, second[NEAR]
    shape = {
        "unfilled": first["planned_bytes"] - first["bytes"] / first["parts"],
        "files_per_repository": first["files"] / first["repositories"],
        "candidates_per_duplicate": near.costs["candidates"] / max(1.0, near.drivers["removed"]),
        "decode": near.costs["decode"],
    }
    less = next(o.drivers for o in observations if o.row == "licenses")
    shape |= _texts(less, second["licenses"].drivers)
    asked = [replace(o, costs={k: v for k, v in o.costs.items() if k not in NOT_COSTS}) for o in observations]
    fitted = rates.fit(asked)
    for row in rates.ROWS:  # seconds per CPU second: seconds alone are too uneven to fit
        took, used = (sum(o.costs[c] for o in observations if o.row == row) for c in ("seconds", "cpu"))
        shape[f"pace/{row}"] = took / used if used else 1.0
    for stage, took in shared.items():
        for o in (o for o in second.values() if STAGE_OF.get(o.row, o.row) == stage):
            at_once = estimate.at_once(o.row, WORKERS, o.drivers["parts"])
            once = fitted[o.row]["cpu"]["one"] * shape[f"pace/{o.row}"]
            took -= estimate.shared_out(o.costs["seconds"], once, at_once)
        shape[f"apart/{stage}"] = max(0.0, took)
    return Rates(fitted, kept, shape, estimate.options_digest(options), tuple(observations))


def packages_unless(given: Sequence[str], options: Recipe) -> Recipe:
    """Return the recipe with this machine's packages as its source, unless folders are given or it reads packages anyway."""
    if given or {*map(type, options.sources.values())} == {Packages}:
        return options
    return replace(options, sources=recipes.load("smoke", [], [], None).sources)


def table(observed: Sequence[Observation]) -> list[str]:
    """Return the observations of one run as a table in Markdown; MB are 10**6 bytes."""
    lines = [
        "| stage | files in | MB in | CPU s | s per MB | ms per file | MB/s | shuffle B per file | MB stored | requests per part "
        "| peak MB |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for o in observed:
        size, files, cpu = o.drivers["bytes"] / 1e6, o.drivers["files"], o.costs["cpu"] + o.costs.get("start", 0.0)
        stored = sum(v for k, v in o.costs.items() if k.startswith("stored/")) / 1e6
        asked = sum(o.costs[kind] for kind in rates.REQUESTS) / o.drivers["parts"]
        pace = [f"{cpu / max(size, 1e-9):.3f}", f"{1000 * cpu / max(1, files):.2f}", f"{size / max(cpu, 1e-9):.2f}"]
        rest = [
            f"{o.costs.get('shuffled', 0) / max(1, files):.0f}",
            f"{stored:.2f}",
            f"{asked:.1f}",
            f"{o.costs['peak'] / 1e6:.0f}",
        ]
        lines.append("| " + " | ".join([o.row, f"{files:,.0f}", f"{size:.1f}", f"{cpu:.1f}", *pace, *rest]) + " |")
    return lines


def largest(observations: Sequence[Observation]) -> list[Observation]:
    """Return the observations of the large sample in small parts."""
    return [[o for o in observations if o.row == row][1] for row in rates.ROWS]


def observe(options: Recipe, stage: str) -> list[Observation]:
    """Run one stage in this process, whose workspace is a local folder, and return its rows."""
    start, asked = _cpu(), detector().cpu
    traffic, runner = Traffic(), _Counted()
    fsspec.register_implementation(PROTOCOL, counting(traffic), clobber=True)
    local = Workspace(options.workspace)
    counted = replace(options, workspace=f"{PROTOCOL}://{local.root}")
    found: list[tuple[str, dict[str, float]]] = []
    if stage == NEAR:
        _compile_kernels()  # otherwise only samples that have candidates would count the compilation
    if stage == STAGE_OF["tokenizer"]:
        _forget_peak()
        clock, used = time.monotonic(), _cpu()
        made = Workspace(counted.workspace)
        vocabulary.prepare(made, options.tokenizer, tokenize.sentinels(options), tokenize.taking(counted, made))
        trained = {"seconds": time.monotonic() - clock, "cpu": _cpu() - used, "peak": _peaks(os.getpid())}
        found.append(("tokenizer", trained | traffic.take(local.root, lambda d: True)))
        _forget_peak()
    clock, used = time.monotonic(), _cpu()
    run_stage(stage, counted, runner, quiet=True)
    costs = {"seconds": time.monotonic() - clock, "cpu": _cpu() - used, "start": start, "peak": _peaks(os.getpid())}
    if stage == STAGE_OF["licenses"]:  # the stage waits for ScanCode
        cpu, peak = detector().cpu - asked, _shared_peak()
        costs["seconds"] = max(0.0, costs["seconds"] - cpu)
        less = {"seconds": cpu, "cpu": cpu, "peak": peak}
        found.append(("licenses", less | traffic.take(local.root, lambda d: d == "cache")))
    costs |= traffic.take(local.root, lambda d: True) | {"shuffled": float(runner.counted[f"{stage}/shuffled/bytes"])}
    into = {f.stage: f for f in funnel.measure(local)}[stage]
    costs |= {"kept_files": float(into.kept.files), "kept_bytes": float(into.kept.bytes)}
    if stage == NEAR:
        costs |= {"candidates": float(runner.counted[f"{stage}/candidates"]), "decode": _decode(local)}
    found.append((stage, costs))
    texts = sum(c["PUT"] for row, c in found if row == "licenses")
    drivers = _drivers(options, local, stage, costs.get("candidates", 0.0), texts)
    return [Observation(row, drivers, costs) for row, costs in found]


def _drivers(options: Recipe, workspace: Workspace, stage: str, candidates: float, texts: float) -> dict[str, float]:
    """Return the drivers of the stage that ran."""
    ingested = workspace.manifest("records")
    assert ingested is not None
    read = [sum(c.bytes for c in part.counts if not c.reason) for part in ingested.parts]
    funnels = {f.stage: f for f in funnel.measure(workspace)}
    into = {name: found.into for name, found in funnels.items()}
    shape = dedup.Dedup.sized(workspace, options.minhash) if workspace.parts("curated") else None
    work = estimate.Work(
        files=into[stage].files,
        bytes=into[stage].bytes,
        removed=into[stage].files - funnels[stage].kept.files,
        parts=len(read),
        groups=sum(-(-max(1, size) // options.ingest.block_bytes) for size in read),
        repositories=sum(len(p.repositories) for p in ingest.plan(options)),
        texts=texts,
        part_bytes=into[STAGES[0]].bytes / len(read),
        sample=min(options.tokenizer.sample_bytes, into[stage].bytes if stage == STAGE_OF["tokenizer"] else 0),
        partitions=shape.partitions if shape else 1,
        keys=0.0,  # the measured costs include all keys
        group=shape.group if shape else 1,
        candidates=candidates,
    )
    return work.drivers() | {"planned_bytes": float(options.ingest.part_bytes)}


def _texts(less: dict[str, float], more: dict[str, float]) -> dict[str, float]:
    """Return the factor and the exponent by which distinct licence texts follow repositories (Heaps' law)."""
    exponent = 1.0
    if less["texts"] and less["repositories"] < more["repositories"]:
        exponent = math.log(more["texts"] / less["texts"]) / math.log(more["repositories"] / less["repositories"])
    exponent = min(1.0, max(0.0, exponent))
    return {"texts": more["texts"] / more["repositories"] ** exponent, "texts_exponent": exponent}


def _share(observed: Observation, what: str) -> float:
    return observed.costs[f"kept_{what}"] / max(1.0, observed.drivers[what])


def _compile_kernels() -> None:
    """Compile dedup's kernels, or load what an earlier process compiled."""
    sets = {file: np.arange(file, 20, dtype=np.uint64) for file in range(2)}
    verify.jaccards(np.array([[0, 1]]), sets, sets)
    hot.neighbors([*sets.values()], 0.7)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _peaks(pid: int) -> float:
    """Return a process's peak memory since its start or since `_forget_peak`: its own, not its parent's."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024.0
    return 0.0


def _shared_peak() -> float:
    """Return the peak memory of the largest process below this one, and what the others have for themselves: they are its forks."""
    below = psutil.Process().children(recursive=True)
    peaks = {child.pid: _peaks(child.pid) for child in below}
    most = max(peaks, key=lambda pid: peaks[pid], default=0)
    return peaks.get(most, 0.0) + sum(child.memory_full_info().uss for child in below if child.pid != most)


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")  # proc(5): the peak begins anew


def _decode(workspace: Workspace) -> float:
    """Return the CPU seconds per byte of reading curated text from a row group."""
    started, size = time.process_time(), 0
    for path in workspace.parts("curated"):
        size += sum(block.nbytes for block in workspace.blocks(path, ["content"]))
    return (time.process_time() - started) / max(1, size)


def main() -> None:
    """Observe the named stage, or time all stages with the given number of workers: JSON recipe from stdin, one JSON line to stdout."""
    options, what = recipe.build(Recipe, json.load(sys.stdin)), sys.argv[1]
    if what in STAGES:
        terminal.say(json.dumps([asdict(o) for o in observe(options, what)]))
        return
    took = {}
    for stage in STAGES:
        clock = time.monotonic()
        run_stage(stage, options, Local(workers=int(what)), quiet=True)
        took[stage] = time.monotonic() - clock
    terminal.say(json.dumps(took))


if __name__ == "__main__":
    main()
