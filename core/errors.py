"""The errors that starmill reports in one line: each names the file, the value and the fix, and has an exit status.

The command line catches StarmillError and nothing else: any other exception is a bug of ours and shows its traceback.
What is wrong with a *value* of the data is no error of these: it becomes a dropped row (transforms/step.py).
"""

from typing import ClassVar


class StarmillError(Exception):
    """A run that cannot go on; the message says why and what to do.

    >>> try:
    ...     raise InputError("dump.tar: not a folder; give --input a folder of checkouts")
    ... except StarmillError as error:
    ...     print(error.status, error)
    1 dump.tar: not a folder; give --input a folder of checkouts
    """

    status: ClassVar[int] = 1


class UsageError(StarmillError, ValueError):
    """A command line or a recipe that cannot be used: nothing was started."""

    status = 2


class InputError(StarmillError, ValueError):
    """Data that cannot be used: a file or folder that is not what it should be."""

    status = 1


class MachineError(StarmillError, RuntimeError):
    """Trouble of the machine: a full disk, a missing library, a dead child process, a store or a cluster that does not answer.

    It fails the part at work, and never becomes a dropped row: the same part succeeds on a machine in order.
    """

    status = 3


class Interrupted(StarmillError, RuntimeError):
    """A run that was told to stop (130 for SIGINT, 143 for SIGTERM); what is finished is kept."""

    status = 130
