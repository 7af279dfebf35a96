"""The errors that starmill reports in one line: each names the file, the value and the fix, and has an exit status.

The command line catches StarmillError and nothing else: any other exception is a bug of ours and shows its traceback.
What is wrong with a *value* of the data is no error of these: it becomes a dropped row (transforms/step.py).
"""

import errno
import os
from typing import ClassVar

# What the nature of a file explains: no machine can read it. Any other error of the operating system is the machine's.
OF_A_FILE = frozenset(
    getattr(errno, name)
    for name in "ENOENT ENOTDIR EISDIR EACCES EPERM ELOOP ENAMETOOLONG EINVAL EILSEQ ENXIO ENODEV EFBIG EOVERFLOW EOPNOTSUPP".split()
)


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


class NotThere(InputError, FileNotFoundError):
    """A file or folder that a recipe or a command line names, and that is not there."""


class MachineError(StarmillError, RuntimeError):
    """Trouble of the machine: a full disk, a missing library, a dead child process, a store or a cluster that does not answer.

    It fails the part at work, and never becomes a dropped row: the same part succeeds on a machine in order.
    """

    status = 3


class Interrupted(StarmillError, RuntimeError):
    """A run that was told to stop (130 for SIGINT, 143 for SIGTERM); what is finished is kept."""

    status = 130


def is_of_the_machine(error: BaseException) -> bool:
    """Say whether an error met on reading data is trouble of the machine, and no property of what was read.

    >>> is_of_the_machine(OSError(errno.ENOSPC, "No space left on device")), is_of_the_machine(PermissionError(errno.EACCES, ""))
    (True, False)
    """
    if isinstance(error, OSError):
        return error.errno not in OF_A_FILE
    return isinstance(error, StarmillError | ImportError | MemoryError)


def of_a_file(error: OSError, place: str | bytes | os.PathLike[str]) -> str:
    """Return the name (EACCES) of an error that the nature of the file at `place` explains. Raises MachineError for any other.

    >>> of_a_file(FileNotFoundError(errno.ENOENT, "No such file or directory"), "a.py")
    'ENOENT'
    """
    if is_of_the_machine(error):
        raise MachineError(
            f"{os.fsdecode(place)}: {one_line(error)}; this is trouble of the machine (its disk, memory or limits): mend it, then run again"
        ) from error
    return errno.errorcode[error.errno or errno.ENOENT]


def printable(error: BaseException) -> str:
    """Return at most 500 characters of what an error says, as valid Unicode: the name of a file may be in it."""
    return str(error)[:500].encode("utf-8", "backslashreplace").decode()


def one_line(error: BaseException) -> str:
    """Return the type of an error and what it says, in one line.

    >>> one_line(ValueError("a\\nb"))
    'ValueError: a b'
    """
    return " ".join(f"{type(error).__name__}: {printable(error)}".split())
