"""One run at a time in a local workspace, and a clean end on Ctrl-C: no orphan worker, no temporary file, no job on a cluster."""

import fcntl
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import psutil

from starmill.core.dataset import BESIDE, Workspace
from starmill.core.errors import StarmillError
from starmill.core.files import open_lock
from starmill.core.process import handling
from starmill.core.terminal import say

SECONDS_TO_TELL = 2.0  # that a run has stopped


class WorkspaceBusy(StarmillError, RuntimeError):
    """The workspace is locked by another run."""


@contextmanager
def exclusive(workspace: Workspace) -> Iterator[None]:
    """Hold the workspace's lock (local ones only; the kernel frees it when the process dies). Raises WorkspaceBusy.

    What a command that was killed left behind is removed.
    """
    if not workspace.is_local:
        workspace.clear(BESIDE)
        yield
        return
    Path(workspace.root).mkdir(parents=True, exist_ok=True)
    with open_lock(Path(workspace.root, ".lock")) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise WorkspaceBusy(
                f"{workspace.root}: another run is at work here; wait for its end, or use another --workspace"
            ) from None
        workspace.sweep_temporary()
        workspace.clear(BESIDE)
        yield


@contextmanager
def at_work(workspace: Workspace, is_local: bool) -> Iterator[None]:
    """Hold the workspace, and stop cleanly where the workers are processes of this machine, by an exception where not."""
    with exclusive(workspace), stopping_cleanly(workspace) if is_local else stopping_by_exception():
        yield


def stopping_cleanly(workspace: Workspace) -> AbstractContextManager[None]:
    """In the block SIGINT, SIGTERM and SIGHUP end the worker processes, remove temporary files and print how to continue."""

    def stop(number: int, frame: FrameType | None) -> None:
        try:
            for process in psutil.Process().children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            workspace.sweep_temporary()
            said = f"stopped by {signal.Signals(number).name}; finished parts are kept: run the same command to continue"
            # In a thread: the signal may have come in the middle of a line to a pipe that nobody reads.
            telling = threading.Thread(target=say, args=("", said), kwargs={"to": sys.stderr, "flush": True}, daemon=True)
            telling.start()
            telling.join(SECONDS_TO_TELL)
        finally:
            os._exit(128 + number)  # Beam's runner blocks a normal exit

    return handling(stop, (signal.SIGINT, *_ending()))


def stopping_by_exception() -> AbstractContextManager[None]:
    """In the block SIGTERM and SIGHUP raise KeyboardInterrupt, as SIGINT does, so that a job on a cluster is canceled."""
    return handling(signal.default_int_handler, _ending())


def _ending() -> list[signal.Signals]:
    hangup = [signal.SIGHUP] if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN else []  # nohup ignores SIGHUP
    return [signal.SIGTERM, *hangup]


@dataclass
class Held:
    """Signals that arrived while no interruption is allowed."""

    handlers: ExitStack = field(default_factory=ExitStack)
    came: bool = False

    def release(self) -> None:
        """Restore the handlers. Raises KeyboardInterrupt if a signal arrived."""
        self.handlers.close()
        if self.came:
            raise KeyboardInterrupt


@contextmanager
def held(holds: bool) -> Iterator[Held]:
    """Hold the signals that end a run until `release` or the end of the block; a second signal is not held."""
    state = Held()

    def note(number: int, frame: FrameType | None) -> None:
        if state.came:
            raise KeyboardInterrupt
        state.came = True
        with suppress(OSError):
            say("", "stops once the job is submitted, and cancels the job; once more to stop at once", to=sys.stderr)

    with state.handlers:
        if holds and threading.current_thread() is threading.main_thread():
            ending = [number for number in (signal.SIGINT, *_ending()) if signal.getsignal(number) != signal.SIG_IGN]
            state.handlers.enter_context(handling(note, ending))
        yield state
