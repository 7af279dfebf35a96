"""The local runner: Beam's FnApiRunner in this process, or with workers in processes of their own.

The runner is named, since Beam's default tries a download. Workers are spawned, not forked, since the Go library of the language classifier
hangs after a fork.
"""

from dataclasses import dataclass

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.environments import SubprocessSDKEnvironment

from starmill.pipelines.runners import worker
from starmill.pipelines.runners.runner import Runner, is_named


@dataclass(frozen=True)
class Local(Runner):
    """Runs graphs with up to `workers` processes.

    >>> Local(workers=2).is_local
    True
    """

    workers: int = 1
    is_local = True

    def pipeline(self, parts: int) -> beam.Pipeline:
        """Return an empty pipeline that runs on no more processes than there are parts."""
        workers = min(self.workers, parts)
        if workers == 1:
            return beam.Pipeline(FnApiRunner(), PipelineOptions(list(self.options)))
        # Not --direct_running_mode=multi_processing, which would replace our worker command by Beam's.
        local = [f"--direct_num_workers={workers}"]
        environment = SubprocessSDKEnvironment.from_command_string(worker.command())
        return beam.Pipeline(FnApiRunner(default_environment=environment), PipelineOptions([*local, *self.options]))


def of(options: tuple[str, ...], workers: int) -> Runner | None:
    """Return the local runner, unless Beam's options name another."""
    return None if is_named(options) else Local(options, workers)
