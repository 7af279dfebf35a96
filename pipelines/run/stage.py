"""Runs one stage on Beam: which parts are due, the graph over them, progress from what gets published, the manifest last.

Progress is read from the workspace (published sidecars out of planned parts), so it is the same on every runner.
"""

import functools
import hashlib
import importlib.metadata
import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import apache_beam as beam
from apache_beam.metrics import MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.runner import PipelineResult, PipelineState
from apache_beam.transforms.environments import SubprocessSDKEnvironment

import starmill.core
import starmill.pipelines
import starmill.transforms
from starmill.core import recipe
from starmill.core.dataset import Manifest, Workspace, at_once, sidecar_path
from starmill.pipelines.run import interrupt
from starmill.pipelines.run.progress import say, watching
from starmill.pipelines.runners import dataflow, flink, worker
from starmill.reports.funnel import timings
from starmill.transforms.beam import PartRef, ProcessParts, references

# Adds a stage's graph to a pipeline; returns the numbers of the parts as they get published.
Build = Callable[[beam.Pipeline, Sequence[PartRef]], beam.PCollection]

# Libraries whose version decides bytes or verdicts; it is part of every key.
DECISIVE = ("pyarrow", "scancode-toolkit", "tokenizers", "faust-cchardet", "dulwich", "numpy")
# Modules that show or steer, and cannot change an output.
INDIFFERENT = {
    "cli.py",
    "funnel.py",
    "why.py",
    "stage.py",
    "progress.py",
    "interrupt.py",
    "worker.py",
    "pool.py",
    "flink.py",
    "dataflow.py",
    "template.py",
    "status.py",
    "bench.py",
    "traffic.py",
    "preview.py",
    "rates.py",
    "estimate.py",
    "shard_cache.py",
}


# Digits of a part's key that tell it from another's at the end of a stage: in a job that ends itself, the whole ones would be most of it.
MARK = 16
OTHER_JOB = (
    "another job is writing this workspace. End it (on a cluster: cancel what a killed run left there), or use another --workspace; "
    "then run the same command to continue"
)


class StageError(RuntimeError):
    """A stage that cannot start or did not finish; the message says what to do."""


@dataclass(frozen=True)
class Engine:
    """How to run: Beam's own options as given after `--`, local worker processes, and where to show progress."""

    beam_options: tuple[str, ...] = ()
    workers: int = 1
    quiet: bool = False

    @property
    def is_local(self) -> bool:
        """Whether the local runner works, which is so unless another is named."""
        return not any(o == "--runner" or o.startswith("--runner=") for o in self.beam_options)

    def pipeline(self, parts: int) -> beam.Pipeline:
        """Return an empty pipeline. Without a runner given, the local one is named: the bare default tries a download."""
        if not self.is_local:
            return beam.Pipeline(options=PipelineOptions([*dataflow.defaults(self.beam_options), *self.beam_options]))
        workers = min(self.workers, parts)
        if workers == 1:
            return beam.Pipeline(FnApiRunner(), PipelineOptions(list(self.beam_options)))
        # Not --direct_running_mode=multi_processing: it would put Beam's own worker command in the place of ours.
        local = [f"--direct_num_workers={workers}"]
        environment = SubprocessSDKEnvironment.from_command_string(worker.command())
        return beam.Pipeline(FnApiRunner(default_environment=environment), PipelineOptions([*local, *self.beam_options]))


def key(stage: str, *material: object) -> str:
    """Return the key of a part or stage: a digest of the recipe values and inputs given, the code, and decisive libraries."""
    return recipe.digest(stage, code_version(), *material)


@functools.cache
def code_version() -> str:
    """Return the package version, a digest of the code that makes data, and the versions of the libraries that decide bytes."""
    h = hashlib.sha256()
    for package in (starmill.core, starmill.transforms, starmill.pipelines):
        root = Path(str(package.__file__)).parent
        for file in sorted(root.rglob("*")):
            if file.suffix in {".py", ".txt", ".go", ".mod"} and file.name not in INDIFFERENT:
                h.update(f"{root.name}/{file.relative_to(root)}\0".encode() + file.read_bytes())
    libraries = " ".join(f"{name}-{importlib.metadata.version(name)}" for name in DECISIVE)
    return f"starmill-{starmill.core.__version__} code-{h.hexdigest()[:16]} {libraries}"


def run(
    workspace: Workspace,
    stage: str,
    refs: Sequence[PartRef],
    build: Build,
    engine: Engine,
    max_error_rate: float = 1.0,
    whole: bool = False,
) -> Manifest | None:
    """Make every part of `refs` that is not there yet, then the manifest. `whole`: one part due means all are.

    Nobody waits for a job that is made from a template: its graph writes the manifest, and None is returned.
    Raises StageError when a worker fails or when more than `max_error_rate` of the files ended as errors.
    """
    stage_key = key(stage, [r.key for r in refs])
    engine = replace(engine, beam_options=flink.named(engine.beam_options, workspace.root, stage))
    if waits := flink.make_room(engine.beam_options):  # before a look at what is there: a leftover job publishes parts
        say(engine.quiet, f"{stage:<9} {waits}")
    done = at_once(lambda r: workspace.is_done(stage, r.part, r.key), refs)
    due = [ref for ref, is_done in zip(refs, done, strict=True) if not is_done]
    manifest = workspace.manifest(stage)
    if not due and manifest is not None and manifest.key == stage_key:
        say(engine.quiet, f"{stage:<9} up to date: {len(refs)} parts")
        return manifest
    if whole and due:
        due = list(refs)
    workspace.sweep(stage, len(refs), {r.part for r in due})
    started = time.monotonic()
    finish = _Finish(workspace, stage, stage_key, tuple(r.key[:MARK] for r in refs), code_version(), max_error_rate)
    if due and dataflow.is_template(engine.beam_options):
        _run_beam(stage, due, finish.after(build), engine)
        return None
    if due:
        with watching(workspace, stage, len(refs), engine.quiet):
            _run_beam(stage, due, build, engine)
    manifest = finish()
    _remember(workspace, stage, time.monotonic() - started)
    return manifest


@dataclass(frozen=True)
class _Finish:
    """The end of a stage: its manifest, unless parts are not this run's, or too many of its files ended as errors."""

    workspace: Workspace
    stage: str
    key: str
    marks: tuple[str, ...]  # how the keys of the parts begin
    version: str
    max_error_rate: float

    def __call__(self) -> Manifest:
        # A cluster goes on by itself when a worker dies, and what that one was writing still lies there.
        self.workspace.sweep_temporary()
        try:
            return self.workspace.finish(self.stage, self.key, len(self.marks), self.version, self._check)
        except FileNotFoundError as error:
            raise StageError(f"stage {self.stage}: {error}, though it was made: {OTHER_JOB}") from None

    def _check(self, manifest: Manifest) -> None:
        for part, mark in zip(manifest.parts, self.marks, strict=True):
            if not part.key.startswith(mark):
                place, key = self.workspace.path(sidecar_path(self.stage, part.part)), part.key[:MARK]
                raise StageError(
                    f"stage {self.stage}: part {part.part} ({place}) has the key {key}.., wanted is {mark}..: {OTHER_JOB}"
                )
        for part, output in self.workspace.torn(manifest.parts):
            raise StageError(
                f"stage {self.stage}: part {part.part}: {self.workspace.path(output.path)} has not the {output.bytes} bytes that its "
                f"sidecar tells: {OTHER_JOB}"
            )
        _check_errors(self.workspace, manifest, self.max_error_rate)

    def after(self, build: Build) -> Build:
        """Return the graph of `build` with the end of the stage in it, once all parts are published."""

        def whole(pipeline: beam.Pipeline, due: Sequence[PartRef]) -> beam.PCollection:
            numbers = build(pipeline, due) | "To one key" >> beam.Map(lambda part: (0, part)).with_output_types(tuple[int, int])
            return numbers | "All parts" >> beam.GroupByKey() | "Finish" >> beam.Map(lambda _: self().digest)

        return whole


def parts(work: ProcessParts) -> Build:
    """Return the graph of a map stage: part references through one ProcessParts."""

    return lambda pipeline, due: pipeline | references(due) | work


def try_out(build: Build, refs: Sequence[PartRef], engine: Engine) -> None:
    """Run a graph that makes no stage. Raises StageError."""
    _run_beam("dry run", refs, build, engine)


def _run_beam(stage: str, due: Sequence[PartRef], build: Build, engine: Engine) -> None:
    logging.getLogger("apache_beam").setLevel(logging.ERROR)
    pipeline = engine.pipeline(len(due))
    build(pipeline, due)
    try:
        with interrupt.held(not engine.is_local) as signals:  # a job that is half handed in cannot be canceled
            result = pipeline.run()
            if dataflow.is_template(engine.beam_options):
                return
            state = _wait(stage, result, engine, signals)
    except Exception as error:
        raise StageError(f"stage {stage} failed: {_root_cause(error)}") from error
    if state not in (None, "DONE"):
        raise StageError(f"stage {stage} ended in state {state}; see the runner's log, then run the same command to continue")
    _tell(stage, result, engine)


def _wait(stage: str, result: PipelineResult, engine: Engine, signals: interrupt.Held) -> str | None:
    try:
        signals.release()
        state: str | None = result.wait_until_finish()
    except KeyboardInterrupt:
        _cancel(stage, result, engine)
        raise
    return state


def _cancel(stage: str, result: PipelineResult, engine: Engine) -> None:
    # A cluster would go on alone, and publish parts of this run among those of the next.
    try:
        flink.cancel(engine.beam_options, lambda: PipelineState.is_terminal(result.state))
        result.cancel()
    except Exception as error:
        raise StageError(
            f"stage {stage} stopped, and its job could not be canceled: cancel it on the cluster ({error})"
        ) from None


def _tell(stage: str, result: PipelineResult, engine: Engine) -> None:
    """Say what a stage counted of itself: what it shuffled, and in how many rounds it resolved."""
    found = result.metrics().query(MetricsFilter().with_namespace("starmill"))
    counted: Counter[str] = Counter()
    for metric in found["counters"]:  # one of a name for each step that counts
        counted[metric.key.metric.name] += metric.result
    shuffled, files = counted[f"{stage}/shuffled/bytes"], counted[f"{stage}/files"]
    if not files:
        return
    distributed = max((m.result.max for m in found["distributions"] if m.key.metric.name == f"{stage}/rounds"), default=0)
    say(
        engine.quiet,
        f"{stage:<9} shuffled {shuffled / 1e6:,.1f} MB, {shuffled / files:,.0f} bytes a file; resolved in {distributed} distributed "
        f"rounds and {1 + counted[f'{stage}/joined_again']} in one process",
    )


def _root_cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[-1]}" if len(lines) > 8 else f"{type(error).__name__}: {error}"


def _check_errors(workspace: Workspace, manifest: Manifest, max_error_rate: float) -> None:
    counts = [c for p in manifest.parts for c in p.counts]
    total, errors = sum(c.files for c in counts), sum(c.files for c in counts if c.reason.startswith("error:"))
    if errors > max_error_rate * total:
        worst = max((c for c in counts if c.reason.startswith("error:")), key=lambda c: c.files)
        raise StageError(
            f"stage {manifest.stage}: {errors} of {total} files ended as errors, above max_error_rate={max_error_rate}; "
            f"most are {worst.reason}. The rows are in {workspace.path('dropped/' + manifest.stage)}; fix the cause, or raise the rate."
        )


def _remember(workspace: Workspace, stage: str, seconds: float) -> None:
    # Durations live apart from the datasets: they are never equal twice.
    times = timings(workspace)
    times[stage] = round(seconds, 2)
    workspace.publish("timings.json", json.dumps(times, indent=1).encode())
