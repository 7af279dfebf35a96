"""A process beside each one that makes parts: it names a record that takes long, and ends its neighbour where one takes too long.

Code that is stuck in C or compiled code may hold Python's lock, so that no thread of its own process could look. So each thread only writes
down what it is at, into a file that has no name, and this process reads that once a second. The same words for ten seconds are told on the
standard error that both have (the terminal of a local run, the log of a worker of Flink). A neighbour that is at one record for longer than
the recipe allows is killed, after that was noted in the workspace (core/skips.py): its part is made again without the record.
"""

import importlib
import itertools
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from typing import Any

from starmill.core.process import Running
from starmill.core.terminal import say

NAMED_SECONDS = 10.0  # a record is named first after so long, then after six times as long, and so on
SLOT = 1 << 16  # bytes of the file for each thread; what is longer is not watched
TICK = 1.0  # seconds from one look to the next
REDACTS = (
    "starmill.transforms.clean.redact.labels"  # takes personal data out of a line, as of all that a run says of its progress
)
HEAD = 8  # digits of the length of what a slot holds

_starting = threading.Lock()
_board: int | None = None
_watcher: subprocess.Popen[bytes] | None = None
_free: list[int] = []
_slots = itertools.count()


def take() -> int:
    """Return a slot for a thread that begins with a part; the first one of a process starts the process beside it."""
    global _board, _watcher
    with _starting:
        if _watcher is None or _watcher.poll() is not None:
            if _board is None:
                with tempfile.TemporaryFile() as file:
                    _board = os.dup(file.fileno())
            command = [sys.executable, "-m", "starmill.core.watch", str(_board), str(os.getpid()), str(NAMED_SECONDS)]
            _watcher = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, pass_fds=[_board])
        slot = _free.pop() if _free else next(_slots)
        tell(slot, b"")
        return slot


def give(slot: int) -> None:
    """Give a slot back."""
    tell(slot, b"")
    _free.append(slot)


def tell(slot: int, what: bytes) -> None:
    """Write down what a thread is at: JSON, or nothing."""
    if _board is not None:
        os.pwrite(_board, b"%08d" % len(what) + what if len(what) <= SLOT - HEAD else b"%08d" % 0, slot * SLOT)


def main() -> None:
    """Watch until the neighbour is gone. Arguments: the descriptor of the file, the neighbour's process id, NAMED_SECONDS."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the neighbour's to handle
    board, neighbour, after = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    since: dict[int, tuple[bytes, float]] = {}
    named: dict[int, float] = {}
    clock = Running(TICK)
    while not select.select([0], [], [], TICK)[0]:  # its end of the pipe closes when it ends, however that comes
        now = clock.seconds()
        for slot in range(-(-os.fstat(board).st_size // SLOT)):
            what = os.pread(board, int(os.pread(board, HEAD, slot * SLOT) or 0), slot * SLOT + HEAD)
            if not what or what != since.get(slot, (b"", 0.0))[0]:
                since[slot], named[slot] = (what, now), after
                continue
            seconds = now - since[slot][1]
            at = json.loads(what)
            if at["limit"] is not None and seconds > at["limit"]:
                _end(what, neighbour)
                return
            if seconds >= named[slot]:
                named[slot] *= 6
                _say(at, f"has been at {_name(at)} for {seconds:.0f} s")


def _end(what: bytes, neighbour: int) -> None:
    at = json.loads(what)
    said = f"takes longer than {at['limit']:g} s with {_name(at)}; its process is ended, and the part made again "
    noting = subprocess.run([sys.executable, "-m", "starmill.core.skips"], input=what, stderr=subprocess.PIPE)
    if noting.returncode:
        said += (
            f"with it, since this cannot be noted in {at['place']} ({noting.stderr.decode(errors='replace').strip()[-300:]})"
        )
    else:
        said += "without that record" if at["rows"] == 1 else "one record at a time"
    try:
        _say(at, said + ("" if "WORKER_ID" in os.environ else "; run the same command to continue"))
    finally:
        with suppress(ProcessLookupError):  # it has just ended by itself
            os.kill(neighbour, signal.SIGKILL)


def _name(at: dict[str, Any]) -> str:
    if not at["rows"]:
        return "work"
    first, last = (f"{at[end][1]}:{at[end][2]}" for end in ("first", "last"))
    return first if at["rows"] == 1 else f"{at['rows']:,} records ({first} to {last})"


def _say(at: dict[str, Any], said: str) -> None:
    # By its name, and only once there is something to say: this process is light, and core/ knows no rules for personal data.
    redacted = importlib.import_module(REDACTS).redacted
    line = f"{at['stage']:<9} {at['of']}: step {at['step']} {said}"
    with suppress(OSError):
        say(redacted(line, ip_addresses=False), to=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
