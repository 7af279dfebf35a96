"""One process of a machine that all processes of a user share, over a Unix socket: the first that asks starts it, no other does.

Sockets lie in a folder that is the user's alone. The listening socket is made by the process that starts the other, under a lock, so
that whoever comes meanwhile waits for it in its queue. The process belongs to no session: it outlives its starter, and ends by itself
(`Listening.leave`).
"""

import fcntl
import os
import select
import socket
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from starmill.core.errors import MachineError

LONGEST = 60  # characters of a folder for sockets: an address has at most 103 bytes
WAITING = 1024  # connections that may wait while the process starts

_started: list[subprocess.Popen[bytes]] = []  # by this process: kept, so that an ended one is no zombie for long


def private_folder() -> Path:
    """Return a folder that this user alone may enter, below that of temporary files. Raises MachineError for one that is not so."""
    short = tempfile.gettempdir() if len(os.fsencode(tempfile.gettempdir())) < LONGEST else "/tmp"
    place = Path(short) / f"starmill-{os.getuid()}"
    with suppress(FileExistsError):
        place.mkdir(mode=0o700)
    found = place.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise MachineError(f"{place}: not a folder of this user's own (mode 700); remove it")
    return place


def connect(name: str, command: Sequence[str], environment: Mapping[str, str]) -> socket.socket:
    """Return a connection to the process of that name, at most 30 characters; it is started by `command` where there is none.

    The command is given two arguments more: the descriptor of its listening socket, and the socket's path. Raises OSError.
    """
    path = private_folder() / f"{name}.sock"
    _started[:] = [process for process in _started if process.poll() is None]
    try:
        return _connected(path)
    except (FileNotFoundError, ConnectionRefusedError):
        pass
    with _locked(path):
        try:
            return _connected(path)
        except (FileNotFoundError, ConnectionRefusedError):
            _start(path, command, environment)
        return _connected(path)


class Listening:
    """The listening socket, in the process that was started."""

    def __init__(self, descriptor: int, path: Path) -> None:
        """Take what `connect` gave."""
        self.socket = socket.socket(fileno=descriptor)
        self.socket.setblocking(False)
        self._path, self._made = path, path.stat().st_ino

    def leave(self) -> bool:
        """Say whether the process may end: no connection waits, and from now on whoever asks starts another one."""
        with _locked(self._path):
            if select.select([self.socket], [], [], 0)[0]:
                return False
            if not self.alone():
                self._path.unlink()
            return True

    def alone(self) -> bool:
        """Say whether nobody can come any more: the socket's path is gone, or another's."""
        try:
            return self._path.stat().st_ino != self._made
        except FileNotFoundError:
            return True


def _connected(path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    try:
        made.connect(str(path))
    except BaseException:
        made.close()
        raise
    return made


def _start(path: Path, command: Sequence[str], environment: Mapping[str, str]) -> None:
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen(WAITING)
        quiet = subprocess.DEVNULL
        _started.append(
            subprocess.Popen(
                [*command, str(listening.fileno()), str(path)],
                pass_fds=[listening.fileno()],
                stdin=quiet,
                stdout=quiet,
                stderr=quiet,
                cwd=path.parent,
                env=dict(environment),
                start_new_session=True,
            )
        )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    try:
        lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:  # somebody removed the whole folder
        yield
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
