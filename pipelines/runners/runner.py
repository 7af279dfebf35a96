"""Where a stage's graph runs, chosen once from Beam's own options: this machine, Flink, Dataflow, or whatever else Beam knows.

`Runner` is what a run asks of the place where it runs. As it stands it hands Beam's options through and knows no more: a runner of
Beam's that needs nothing checked needs no module here.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions, StandardOptions


@dataclass(frozen=True)
class Runner:
    """Runs graphs as Beam's options say. `options` are Beam's, as given after `--`.

    `is_local`: its workers are processes that this one starts, and end with it. `sees_this_machine`: they read this machine's disk.
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
        """Whether somebody waits for the job; nobody does for one that is only written down, as a flex template's launcher has it."""
        return self.parsed.view_as(GoogleCloudOptions).template_location is None

    @property
    def is_dry_run(self) -> bool:
        """Whether a graph is only to be translated."""
        return False

    def check(self, workspace: str) -> None:
        """See that a job would find what it needs, before anything is started. Raises UsageError or MachineError."""

    def pipeline(self, parts: int) -> beam.Pipeline:
        """Return an empty pipeline for work on so many parts."""
        return beam.Pipeline(options=PipelineOptions(list(self.options)))

    def named(self, workspace: str, stage: str) -> "Runner":
        """Return the runner whose job has a name that no other workspace's or stage's has, where jobs have names."""
        return self

    def make_room(self) -> str | None:
        """End what is left of an earlier driver's job of this name; return a line on who else is in the way. Raises MachineError."""
        return None

    def cancel(self, is_over: Callable[[], bool]) -> None:
        """End the job of this name, which was handed in, unless it is over. Raises OSError."""


def name_of(options: tuple[str, ...]) -> str:
    """Return the runner that Beam's options name, in lower case: `flinkrunner`; empty where they name none."""
    # A flag without its value would end the parser, and the process with it.
    given = [o for o in options if o != "--dry_run"]
    runner = PipelineOptions(given).view_as(StandardOptions).runner if is_named(options) else None
    return str(runner or "").rpartition(".")[2].lower()


def is_named(options: tuple[str, ...]) -> bool:
    """Say whether Beam's options name a runner."""
    return any(o == "--runner" or o.startswith("--runner=") for o in options)


def of(options: tuple[str, ...], workers: int) -> Runner:
    """Return the runner that knows nothing but Beam's options: the last to be asked."""
    return Runner(options)
