"""Where a stage's graph runs, chosen once from Beam's own options: this machine, Flink, Dataflow, or whatever else Beam knows.

`Runner` is the protocol, and passes Beam's options on: one of Beam's runners that needs no checks needs no module here.
"""

import functools
import io
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import dataclass

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions, StandardOptions
from apache_beam.runners.runner import create_runner

from starmill.core.errors import MachineError, UsageError, one_line


class WorkerDied(MachineError):
    """A worker process that ended in the middle of a job. `part`: what it was making, None if that is not known.

    >>> print(WorkerDied(7, "was ended by SIGKILL"))
    a worker process was ended by SIGKILL while it made part 7
    """

    def __init__(self, part: int | None, how: str) -> None:
        """Say which part, and how the process ended."""
        super().__init__(f"a worker process {how} {'outside any part' if part is None else f'while it made part {part}'}")
        self.part, self.how = part, how


@dataclass(frozen=True)
class Runner:
    """Runs graphs as Beam's options say. `options` are Beam's, as given after `--`.

    `is_local`: workers are children of this process, and end with it. `sees_this_machine`: workers read this machine's disk.

    >>> Runner(("--runner=SparkRunner",)).named("work", "ingest").waits
    True
    """

    options: tuple[str, ...] = ()
    is_local = False
    sees_this_machine = True

    @functools.cached_property
    def parsed(self) -> PipelineOptions:
        """Beam's options, parsed."""
        return PipelineOptions(list(self.options))

    @property
    def waits(self) -> bool:
        """Whether the run waits for the job; false where a flex template's launcher only writes the job to a file."""
        return self.parsed.view_as(GoogleCloudOptions).template_location is None

    @property
    def is_dry_run(self) -> bool:
        """Whether graphs are translated and not run."""
        return False

    def check(self, workspace: str) -> None:
        """Check, before anything starts, that a job will find what it needs. Raises UsageError or MachineError."""

    def pipeline(self, parts: int) -> beam.Pipeline:
        """Return an empty pipeline for a graph over `parts` parts."""
        return beam.Pipeline(options=PipelineOptions(list(self.options)))

    def alone(self) -> "Runner":
        """Return the runner for a part whose worker died: nothing runs beside it, and it can end no other process than its own."""
        return self

    def named(self, workspace: str, stage: str) -> "Runner":
        """Return this runner with a job name that is unique to the workspace and stage, where jobs have names."""
        return self

    def make_room(self) -> str | None:
        """End an earlier driver's job of this name; return a line on other jobs that this one must wait for. Raises MachineError."""
        return None

    def cancel(self, is_over: Callable[[], bool]) -> None:
        """End the submitted job of this name, unless `is_over`. Raises OSError."""


def name_of(options: tuple[str, ...]) -> str:
    """Return the runner that Beam's options name, in lower case: `flinkrunner`; empty where they name none."""
    # A flag without its value would make the parser exit.
    given = [o for o in options if o != "--dry_run"]
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            runner = PipelineOptions(given).view_as(StandardOptions).runner if is_named(options) else None
    except SystemExit:
        raise UsageError(
            f"Beam's options {' '.join(given)}: {said.getvalue().strip().splitlines()[-1]}; give each its value"
        ) from None
    return str(runner or "").rpartition(".")[2].lower()


def is_named(options: tuple[str, ...]) -> bool:
    """Say whether Beam's options name a runner."""
    return any(o == "--runner" or o.startswith("--runner=") for o in options)


def of(options: tuple[str, ...], workers: int) -> Runner:
    """Return the runner that passes Beam's options on; it comes last in RUNNERS. Raises UsageError for one that Beam does not know."""
    runner = Runner(options)
    name = runner.parsed.view_as(StandardOptions).runner
    try:
        # Without a name Beam takes its own default.
        create_runner(name or "DirectRunner")
    except (ValueError, ImportError, AttributeError) as error:
        raise UsageError(f"--runner={name}: {one_line(error)}; leave it out to run here") from None
    return runner
