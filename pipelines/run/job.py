"""One Beam job: submitted, waited for, canceled when a signal stops the run; then its counters are printed."""

import logging
import shutil
from collections import Counter
from collections.abc import Sequence

from apache_beam.metrics import MetricsFilter
from apache_beam.runners.runner import PipelineResult, PipelineState

from starmill.core.errors import MachineError, StarmillError
from starmill.core.part import PartRef
from starmill.pipelines.run import interrupt
from starmill.pipelines.run.progress import say
from starmill.pipelines.runners.runner import Runner
from starmill.pipelines.stages.stage import Build
from starmill.transforms import spill


class StageError(MachineError):
    """A stage that cannot start or did not finish; the message names the stage and the fix."""


def run(name: str, due: Sequence[PartRef], build: Build, runner: Runner, quiet: bool) -> None:
    """Run a graph over the due parts, and wait for the job if the runner waits. Raises StageError."""
    # What fails on this machine comes back as an error; Beam would log its traces, once for each worker, before that.
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL if runner.is_local else logging.ERROR)
    pipeline = runner.pipeline(len(due))
    shutil.rmtree(
        pipeline.local_tempdir, ignore_errors=True
    )  # of transforms in other languages; a run that is killed would leave it
    build(pipeline, due)
    try:
        with interrupt.held(not runner.is_local) as signals:  # a half-submitted job cannot be canceled
            result = pipeline.run()
            if not runner.waits:
                return
            state = _wait(name, result, runner, signals)
    except StarmillError:
        raise
    except Exception as error:
        raise StageError(f"stage {name} failed: {_root_cause(error)}") from error
    finally:
        spill.ended(pipeline)
    if state not in (None, "DONE"):
        raise StageError(f"stage {name} ended in state {state}; see the runner's log, then run the same command to continue")
    _tell(name, result, quiet)


def _wait(name: str, result: PipelineResult, runner: Runner, signals: interrupt.Held) -> str | None:
    try:
        signals.release()
        state: str | None = result.wait_until_finish()
    except KeyboardInterrupt:
        _cancel(name, result, runner)
        raise
    return state


def _cancel(name: str, result: PipelineResult, runner: Runner) -> None:
    # Otherwise the cluster would go on, and publish parts of this run among those of the next.
    try:
        runner.cancel(lambda: PipelineState.is_terminal(result.state))
        result.cancel()
    except Exception as error:
        raise StageError(
            f"stage {name} stopped, and its job could not be canceled: cancel it on the cluster ({error})"
        ) from None


def _tell(name: str, result: PipelineResult, quiet: bool) -> None:
    """Print a stage's counters: bytes shuffled, and rounds of resolution."""
    found = result.metrics().query(MetricsFilter().with_namespace("starmill"))
    counted: Counter[str] = Counter()
    for metric in found["counters"]:  # each step that counts has a metric of the same name
        counted[metric.key.metric.name] += metric.result
    if requests := counted[f"{name}/asked/requests"]:
        again, spared, size = (counted[f"{name}/asked/{what}"] for what in ("again", "spared", "bytes"))
        say(
            quiet,
            f"{name:<9} {requests:,} requests to content stores, {again:,} of them again, {size / 1e6:,.1f} MB; {spared:,} spared, of what "
            "is known to be missing",
        )
    shuffled, files = counted[f"{name}/shuffled/bytes"], counted[f"{name}/files"]
    if not files:
        return
    distributed = max((m.result.max for m in found["distributions"] if m.key.metric.name == f"{name}/rounds"), default=0)
    say(
        quiet,
        f"{name:<9} shuffled {shuffled / 1e6:,.1f} MB, {shuffled / files:,.0f} bytes per file; resolved in {distributed} distributed "
        f"rounds and {1 + counted[f'{name}/joined_again']} in one process",
    )


def _root_cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    if "can't start new thread" in str(error):
        return f"{error}; raise the limits of processes and memory (ulimit -u, ulimit -v), or use fewer --workers"
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[-1]}" if len(lines) > 8 else f"{type(error).__name__}: {error}"
