"""One command over bytes that nobody trusts: without a network, without this machine's files, within bounds, and ended with all it started.

The command sees the files and folders that are named, read-only, and an empty folder of its own; its user has no rights and, where
root starts it, is `nobody`. Linux's user, mount, process, network, IPC and UTS namespaces and a filter of its calls (seccomp.py) do this,
without a daemon and without root. What a machine does not allow is named: nothing runs with less, but where a caller asks for LIMITS,
which bound a command and hide nothing.
"""

import errno
import functools
import json
import os
import platform
import re
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from starmill.core import sandbox_inside, seccomp
from starmill.core.errors import MachineError
from starmill.core.process import Running

Isolation = Literal["namespaces", "limits"]
Stopped = Literal["", "cpu_seconds", "seconds", "output_bytes"]
NAMESPACES: Isolation = "namespaces"
LIMITS: Isolation = "limits"
TICK = 0.5  # seconds
LIBRARY = re.compile(r"(?:=>\s*)?(/\S+) \(0x", re.ASCII)
FIX = (
    "let this user have user namespaces: in a container --security-opt seccomp=unconfined, "
    "else sysctl user.max_user_namespaces, and on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0"
)


class NotIsolated(MachineError):
    """A machine that does not give what a sandbox is made of; the message names it."""


@dataclass(frozen=True)
class Bounds:
    """What a command may use."""

    cpu_seconds: int = 20  # of each process
    seconds: float = 200.0  # of the clock, all together, while this process runs
    memory_bytes: int = 2 << 30  # of address space, of each process
    written_bytes: int = 64 << 20  # in its folder, and in one file
    output_bytes: int = 8 << 20  # on its standard output and error together
    processes: int = 64  # and threads


@dataclass(frozen=True)
class Ran:
    """How a command ended: its exit status, or minus a signal's number; `stopped` says which bound ended it, if one did."""

    status: int
    output: bytes
    errors: bytes
    stopped: Stopped = ""


@dataclass(frozen=True)
class Sandbox:
    """Where commands run. `reads`: what they see, by the path that it has inside; no path may lie in another.

    >>> box = Sandbox({}, isolation=LIMITS)
    >>> box.run(["/bin/sh", "-c", "wc -c < a.txt"], {"a.txt": b"four"}).output.split()
    [b'4']
    """

    reads: Mapping[str, str]
    bounds: Bounds = Bounds()
    environment: Mapping[str, str] = field(default_factory=lambda: {"LC_ALL": "C", "TMPDIR": "."})
    isolation: Isolation = NAMESPACES
    may_kill: bool = False  # whether a command may have killed itself; else one that was killed is trouble of the machine

    def run(self, command: Sequence[str], files: Mapping[str, bytes]) -> Ran:
        """Run a command in a folder that holds these files alone. Raises NotIsolated, and MachineError where it cannot be started.

        With LIMITS, a path of `reads` is in the command what it is outside.
        """
        isolated = self.isolation == NAMESPACES
        with ExitStack() as held:
            folder = "" if isolated else held.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
            given: dict[str, Any] = {
                "command": [*command] if isolated else [self._outside(word) for word in command],
                "environment": {**self.environment},
                "files": [(name, len(data)) for name, data in files.items()],
                "reads": sorted(self.reads.items()),
                "namespaces": isolated,
                "folder": folder,
                "scratch_bytes": self.bounds.written_bytes,
                "limits": self._limits(isolated),
                "filter": seccomp.program(platform.machine()).hex(),
            }
            return _run(json.dumps(given).encode() + b"\n" + b"".join(files.values()), self.bounds, self.may_kill)

    def _limits(self, isolated: bool) -> dict[str, tuple[int, int]]:
        most = self.bounds
        limits = {
            "CPU": (most.cpu_seconds, most.cpu_seconds),
            "AS": (most.memory_bytes, most.memory_bytes),
            "FSIZE": (most.written_bytes, most.written_bytes),
            "STACK": (sandbox_inside.STACK, sandbox_inside.STACK),
            "NOFILE": (256, 256),
            "CORE": (0, 0),
        }
        # Of a user namespace its own processes count, elsewhere all of the user.
        return limits | ({"NPROC": (most.processes, most.processes)} if isolated else {})

    def _outside(self, word: str) -> str:
        for inside, outside in self.reads.items():
            if word == inside or word.startswith(f"{inside}/"):
                return outside + word[len(inside) :]
        return word


@functools.cache
def probe() -> None:
    """Make a sandbox and run nothing in it: whether this machine can. Raises NotIsolated saying what it lacks, and the fix."""
    Sandbox({}).run([], {})


def libraries(program: str) -> list[str]:
    """Return the shared libraries that a program or a library is loaded with, and its loader: what a sandbox has to show it."""
    done = subprocess.run(["ldd", program], capture_output=True, text=True, timeout=60, env={"LC_ALL": "C", "PATH": os.defpath})
    return [os.path.normpath(match[1]) for match in map(LIBRARY.search, done.stdout.splitlines()) if match]


def _run(given: bytes, bounds: Bounds, may_kill: bool) -> Ran:
    with ExitStack() as held:
        reading, writing = os.pipe()
        held.callback(os.close, reading)
        try:
            script = [sys.executable, "-I", "-S", sandbox_inside.__file__, str(writing)]
            child = subprocess.Popen(
                script,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(writing,),
                start_new_session=True,
                env={},
                cwd="/",
            )
        except OSError as error:
            raise MachineError(f"a sandbox: {error}; this is trouble of the machine (its processes or memory)") from error
        finally:
            os.close(writing)
        held.enter_context(child)
        held.callback(_end, child)
        assert child.stdin is not None
        for send in (lambda: child.stdin.write(given), child.stdin.close):
            with suppress(BrokenPipeError):  # what ended it is read below
                send()
        found, stopped = _outputs(child, bounds)
        _end(child)
        lines = _all(reading).splitlines()
    return _judged(lines, found, stopped, bounds, may_kill)


def _outputs(child: subprocess.Popen[bytes], bounds: Bounds) -> tuple[tuple[bytes, bytes], Stopped]:
    """Return what a process writes until it ends, or until it passes a bound, and that bound."""
    assert child.stdout is not None and child.stderr is not None
    output, errors = bytearray(), bytearray()
    running, left = Running(TICK), bounds.output_bytes
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ, output)
        selector.register(child.stderr, selectors.EVENT_READ, errors)
        while selector.get_map() and left > 0 and running.seconds() < bounds.seconds:
            for key, _ in selector.select(TICK):
                data = os.read(key.fd, min(1 << 16, left + 1))
                if not data:
                    selector.unregister(key.fileobj)
                key.data.extend(data)
                left -= len(data)
        stopped: Stopped = "" if not selector.get_map() else "output_bytes" if left <= 0 else "seconds"
    return (bytes(output), bytes(errors)), stopped


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a process and its group: of namespaces, the kernel ends what has left the group."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _all(reading: int) -> bytes:
    data = b""
    while more := os.read(reading, 1 << 16):
        data += more
    return data


def _judged(lines: Sequence[bytes], found: tuple[bytes, bytes], stopped: Stopped, bounds: Bounds, may_kill: bool) -> Ran:
    said = [json.loads(line) for line in lines]
    if failed := [one for one in said if "failed" in one]:
        what, number = failed[0]["failed"], failed[0]["errno"]
        if number == errno.ENOENT or what.startswith("starting "):
            raise MachineError(f"a sandbox: {what}: {os.strerror(number)}; install it again, or mend its place")
        raise NotIsolated(f"this machine gives a sandbox not {what} ({os.strerror(number)}): {FIX}")
    if stopped:
        return Ran(-signal.SIGKILL, *found, stopped)
    if not said:
        errors = found[1][-300:].decode("utf-8", "replace")
        raise MachineError(
            f"a sandbox ended without a word: {errors or 'it was killed'}; this is trouble of the machine (its memory)"
        )
    status, seconds = said[0]["status"], said[0]["seconds"]
    if status == -signal.SIGKILL and seconds >= bounds.cpu_seconds - 0.5:
        return Ran(status, *found, "cpu_seconds")
    if status == -signal.SIGKILL and not may_kill:  # no bound of ours does this
        raise MachineError(
            "a command in a sandbox was killed: this is trouble of the machine (its memory); run again on a larger one"
        )
    return Ran(status, *found)
