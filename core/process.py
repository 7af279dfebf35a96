"""A process that must not outlive the one that started it, what it does on a signal, and what it was doing when it died."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

# How a process ends that crashed on its input. Any other end has a cause outside: somebody's signal, or no memory left.
CRASHES = frozenset(-s for s in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL))


@contextmanager
def handling(handler: Callable[[int, FrameType | None], Any], numbers: Iterable[int]) -> Iterator[None]:
    """Install a handler for these signals in the block, and restore the old ones after it: the caller's process may go on."""
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def die_with(parent: int) -> None:
    """End this process, from a thread, within a second after its parent with that id is gone: a killed parent cannot tell it to.

    The parent names itself, since it may be gone before this process asks who it is. Nothing is cleaned up; the exit status is 1.
    """
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


class Running:
    """Counts the seconds in which this process runs: when it stands still, after Ctrl-Z or on a machine that does, no limit should pass.

    Whoever waits looks at it every `tick` seconds: of a longer time between two looks, two ticks count.

    >>> Running(tick=1.0).seconds() < 1.0
    True
    """

    def __init__(self, tick: float) -> None:
        """Start at 0."""
        self._most, self._seconds, self._looked = 2 * tick, 0.0, time.monotonic()

    def seconds(self) -> float:
        """Return the seconds since the start."""
        now = time.monotonic()
        self._seconds, self._looked = self._seconds + min(now - self._looked, self._most), now
        return self._seconds


_notes: int | None = None  # the descriptor of a file that the parent holds too


def note_into(descriptor: int) -> None:
    """Let `note` write there: into a file that outlives this process."""
    global _notes
    os.set_inheritable(descriptor, False)
    _notes = descriptor


def note(what: str) -> None:
    """Leave word of at most 32 characters of what this process is at, where its parent wants to know.

    >>> note("7")
    """
    if _notes is not None:
        os.pwrite(_notes, what.ljust(32).encode(), 0)
