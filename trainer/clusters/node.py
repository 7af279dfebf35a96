"""One node of a training on several: torchrun under a batch system.

Called like torchrun (`python -m starmill.trainer.clusters.node --nnodes=... -m starmill.cli train recipe.yaml`), with three differences.
After a signal, ranks save for as long as they need, where torchrun kills ranks after 30 seconds: the batch system has limits of its
own. The exit status is the ranks', so that 138 (SIGUSR1) and 143 (SIGTERM) mean "saved and stopped" on every node, whichever node the
signal reached. And the job's first node hosts the rendezvous because the batch system numbers it 0, whatever a host name resolves to.
"""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from types import FrameType

from torch.distributed import run as torchrun
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from starmill.core.errors import MachineError, UsageError

STOPS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
DAY = 24 * 3600
# Seconds: nodes of a job may start long after each other, and the name of the first may not resolve before it has.
PATIENCE = "join_timeout=3600,read_timeout=600"


def main(argv: Sequence[str] | None = None) -> int:
    """Run this node's ranks to their end; return 0, 128 + the number of the signal that stopped them, or what `status` says."""
    for number in STOPS:  # until there are ranks; process 1 of a container ignores signals without a handler
        signal.signal(number, _leave)
    options = torchrun.parse_args(argv)
    options.signals_to_handle = ",".join(number.name for number in STOPS)
    options.shutdown_timeout = DAY
    options.rdzv_conf = ",".join(filter(None, (PATIENCE, host(os.environ), options.rdzv_conf)))
    try:
        torchrun.run(options)
    except SignalException as error:
        return 128 + error.sigval
    except ChildFailedError as error:
        return status({failure.exitcode for failure in error.failures.values()})
    return 0


def status(found: set[int]) -> int:
    """Return the node's exit status from the failed ranks' (negative: killed by that signal, before the rank handled signals).

    Stopped ranks are told apart from failed ones, and of the failed the status that all have: 2 is wrong usage, 3 the machine's trouble.
    """
    stopped = {128 - code if code < 0 else code for code in found}
    if failed := stopped - {128 + number for number in STOPS}:
        return max(failed) if len(failed) == 1 and failed <= {UsageError.status, MachineError.status} else 1
    return max(stopped)


def host(environment: Mapping[str, str]) -> str:
    """Return torchrun's `is_host`: true on the node that Slurm, or an Indexed Job of Kubernetes, numbers 0; empty without either."""
    for name in ("SLURM_NODEID", "JOB_COMPLETION_INDEX"):
        if name in environment:
            return f"is_host={environment[name] == '0'}"
    return ""


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
