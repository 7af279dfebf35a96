"""The local runner: Beam's FnApiRunner in this process, or with workers in processes of their own.

The runner is named, since Beam's default tries a download. Workers are spawned, not forked, since the Go library of the language classifier
hangs after a fork.
"""

from dataclasses import dataclass, replace

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from starmill.pipelines.runners.crew import Crew
from starmill.pipelines.runners.runner import Runner, is_named


@dataclass(frozen=True)
class Local(Runner):
    """Runs graphs with up to `workers` processes.

    >>> Local(workers=2).is_local
    True
    """

    workers: int = 1
    apart: bool = False  # even one worker gets a process of its own
    is_local = True

    def pipeline(self, parts: int) -> beam.Pipeline:
        """Return an empty pipeline that runs on no more processes than there are parts."""
        workers = min(self.workers, parts)
        if workers == 1 and not self.apart:
            return beam.Pipeline(FnApiRunner(), PipelineOptions(list(self.options)))
        # Not --direct_running_mode=multi_processing, which would replace our worker command by Beam's.
        return beam.Pipeline(Crew(), PipelineOptions([f"--direct_num_workers={workers}", *self.options]))

    def alone(self) -> "Local":
        """Return the runner with a single worker, in a process of its own."""
        return replace(self, workers=1, apart=True)


def of(options: tuple[str, ...], workers: int) -> Runner | None:
    """Return the local runner, unless Beam's options name another."""
    return None if is_named(options) else Local(options, workers)
