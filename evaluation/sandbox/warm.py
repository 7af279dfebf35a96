"""An interpreter that is kept warm in a sandbox, and forks for each job: `python -m starmill.evaluation.sandbox.warm SPEC CHANNEL`.

It has its imports made and its namespaces laid once (core/sandbox_inside.py: no network, a root of the standard library alone, no
/proc), so that a job costs three forks. The candidate is the first process of a process namespace with a folder of its own: whatever it
starts ends with it. The tests' process lies outside of that namespace, where the candidate can neither see nor signal it, and alone
holds the pipe on which "passed" is said. Neither has a right, a socket, or this process's channel.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import platform
import random
import resource
import selectors
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from starmill.core import sandbox_inside, seccomp
from starmill.evaluation.sandbox import calls, sides

APART = sum(sandbox_inside.NAMESPACES[name] for name in ("mount", "IPC", "process"))  # a network it has none to be apart from
WORK = "/candidate"  # its folder; no package of Python lies below such a name
KEPT = 4096  # bytes of what a candidate prints
MOST_PRINTED = 64 << 20  # bytes
WRITTEN = 64 << 20  # bytes of its folder
FILES = 4096  # in it
PROCESSES = 24  # and threads, of one job together with those that run it
TICK = 0.5  # seconds
PAGE = resource.getpagesize()
# What generated programs and tests import most, so that no job pays for it.
PRELOADED = (
    "abc array bisect calendar cmath collections collections.abc copy dataclasses datetime decimal enum fractions functools heapq io "
    "itertools json math numbers operator os random re statistics string "
    "struct sys textwrap time types typing"
).split()


def main() -> None:
    """Serve until the channel closes. SPEC is JSON: `preload`, `reads`, `namespaces`."""
    spec, channel = json.loads(sys.argv[1]), socket.socket(fileno=int(sys.argv[2]))
    channel.set_inheritable(False)
    libc = ctypes.CDLL(None, use_errno=True)
    sys.argv = [""]
    try:
        for name in (*PRELOADED, *spec["preload"]):
            importlib.import_module(name)
        sys.path[:] = [place for place in sys.path if any(_below(place, one) for one, _ in spec["reads"])]
        os.environ.clear()
        os.environ.update(LC_ALL="C.UTF-8", TMPDIR=WORK, HOME=WORK, OMP_NUM_THREADS="1")
        tempfile.tempdir = None  # which an import may have asked for already
        sys.setrecursionlimit(3000)
        gc.collect()
        gc.freeze()  # what is here already is not copied by a collection in each fork
        if spec["namespaces"]:
            laid = {"reads": spec["reads"], "command": [], "scratch_bytes": 1 << 20, "work": WORK}
            space = _space()
            sandbox_inside.isolated(libc, laid, {}, lambda user: _serve(channel, _Bounds(libc, space, user, True)))
        _serve(channel, _Bounds(libc, _space(), None, False))
    except sandbox_inside.Failed as failure:
        _say(channel, {"failed": failure.args[0], "errno": failure.args[1]})
    except ImportError as error:
        _say(channel, {"failed": str(error), "errno": 0})


def _below(place: str, folder: str) -> bool:
    return place == folder or place.startswith(f"{folder}/")


def _say(channel: socket.socket, what: dict[str, Any]) -> None:
    calls.send(channel, json.dumps(what).encode())


def _serve(channel: socket.socket, bounds: "_Bounds") -> NoReturn:
    with contextlib.suppress(calls.Ended):
        _say(channel, {"ready": True})
        while True:
            job = json.loads(calls.receive(channel))
            _say(channel, _Run(job, channel, bounds).verdict())
    os._exit(0)


@dataclass(frozen=True)
class _Bounds:
    """What a process of a job is left: as which user (none: this one), and how much address space beside what the interpreter has."""

    libc: Any
    space: int  # bytes
    user: int | None
    namespaces: bool
    filter: bytes = field(default_factory=lambda: seccomp.program(platform.machine()))

    def put_on(self, job: dict[str, Any], written: int) -> None:
        """Bound this process, and leave it no rights."""
        cpu, space = int(job["cpu_seconds"] + 0.999), self.space + job["memory_bytes"]
        limits = {"CPU": (cpu, cpu), "AS": (space, space), "FSIZE": (written, written), "NOFILE": (256, 256), "CORE": (0, 0)}
        sandbox_inside.limit(limits | ({"NPROC": (PROCESSES, PROCESSES)} if self.namespaces else {}))
        sandbox_inside.give_up_rights(self.libc, self.user, self.namespaces)
        sandbox_inside.filter_calls(self.libc, self.filter)


class _Run:
    """One job: its two processes, and what is known of their ends.

    What the candidate must not know has never been in a process that it was forked from: the tests' process reads the tests itself.
    """

    def __init__(self, job: dict[str, Any], channel: socket.socket, bounds: _Bounds) -> None:
        self.job, self.channel, self.bounds = job, channel, bounds
        self.tests_end, self.candidate_end = socket.socketpair()
        self.report, self.reporting = os.pipe()
        self.output, self.printing = os.pipe()
        self.nonce = os.urandom(16).hex() if job["together"] else ""

    def verdict(self) -> dict[str, Any]:
        candidate = self._started_apart(self._candidate) if self.bounds.namespaces else self._forked(self._candidate)
        self.nonce = self.nonce or os.urandom(16).hex()
        tests = self._forked(self._tests)
        self.candidate_end.close()
        self.tests_end.close()
        os.close(self.reporting)
        os.close(self.printing)
        said, printed, stopped = self._watched()
        for process in (candidate, tests):
            if not self.bounds.namespaces:  # a group of its own is all that there is
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        _, status, used = os.wait4(candidate, 0)
        _, tests_status, tests_used = os.wait4(tests, 0)
        self._end_others()
        os.close(self.report)
        os.close(self.output)
        seconds = used.ru_utime + used.ru_stime
        tests_seconds = tests_used.ru_utime + tests_used.ru_stime
        made = self._judged(said, stopped, status, tests_status, seconds, tests_seconds)
        return made | {"cpu_seconds": seconds + tests_seconds, "output": printed.decode("utf-8", "replace")}

    def _end_others(self) -> None:
        """End what the tests started and left: of its namespace, this process is the first."""
        if self.bounds.namespaces:
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                while True:
                    os.wait()

    def _judged(
        self, said: bytes, stopped: str, status: int, tests_status: int, seconds: float, tests_seconds: float
    ) -> dict[str, Any]:
        try:
            found = json.loads(said) if said else {"reason": "ended", "said": "the tests' process ended"}
        except ValueError:
            found = {"reason": "ended", "said": "the tests' process said no verdict"}
        if found.get("passed") == self.nonce:
            return {"passed": True, "reason": "", "said": ""}
        if stopped:
            bound = {"wall": f"{self.job['wall_seconds']:g} seconds of the clock", "output": f"{MOST_PRINTED:,} bytes printed"}
            return {"passed": False, "reason": stopped, "said": f"more than {bound[stopped]}"}
        reason = str(found.get("reason", "ended"))
        most = self.job["cpu_seconds"] - 0.5
        if reason == "ended":
            if (os.WIFSIGNALED(status) and seconds >= most) or (os.WIFSIGNALED(tests_status) and tests_seconds >= most):
                return {"passed": False, "reason": "cpu", "said": f"more than {self.job['cpu_seconds']:g} CPU seconds"}
            if os.WIFSIGNALED(status) and os.WTERMSIG(status) != signal.SIGKILL:
                found["said"] = f"the candidate's process died of {signal.Signals(os.WTERMSIG(status)).name}"
        return {"passed": False, "reason": reason, "said": str(found.get("said", ""))[:300]}

    def _watched(self) -> tuple[bytes, bytes, str]:
        """Return what the tests' process says, the first bytes that the candidate prints, and the bound that it passed."""
        printed, count, deadline = bytearray(), 0, time.monotonic() + self.job["wall_seconds"]
        with selectors.DefaultSelector() as selector:
            selector.register(self.report, selectors.EVENT_READ)
            selector.register(self.output, selectors.EVENT_READ)
            while time.monotonic() < deadline:
                for key, _ in selector.select(min(TICK, max(0.0, deadline - time.monotonic()))):
                    data = os.read(key.fd, 1 << 16)
                    if key.fd == self.output:
                        printed += data[: KEPT - len(printed)]
                        count += len(data)
                        if not data:
                            selector.unregister(self.output)
                        elif count > MOST_PRINTED:
                            return b"", bytes(printed), "output"
                    else:  # all of it, in one write; what the tests started may hold the pipe open
                        self._last(printed)
                        return data, bytes(printed), ""
        return b"", bytes(printed), "wall"

    def _last(self, printed: bytearray) -> None:
        os.set_blocking(self.output, False)
        with contextlib.suppress(BlockingIOError):
            printed += os.read(self.output, 1 << 16)[: KEPT - len(printed)]

    def _forked(self, run: Callable[[], NoReturn]) -> int:
        child = os.fork()
        if not child:
            try:
                os.setsid()
                run()
            finally:
                os._exit(70)
        return child

    def _started_apart(self, run: Callable[[], NoReturn]) -> int:
        """Start the first process of new namespaces; return its number here, where it becomes a child of this process."""
        told, telling = os.pipe()
        between = os.fork()
        if not between:
            try:
                if self.bounds.libc.unshare(APART):
                    os._exit(71)
                first = os.fork()
                if not first:
                    os.close(told)
                    os.close(telling)
                    os.setsid()
                    run()
                os.write(telling, str(first).encode())
            finally:
                os._exit(0)
        os.close(telling)
        number = os.read(told, 32)
        os.close(told)
        os.waitpid(between, 0)
        if not number:
            os._exit(72)  # the caller names it as trouble of the machine
        return int(number)

    def _candidate(self) -> NoReturn:
        if self.bounds.namespaces:
            words = (b"tmpfs", os.fsencode(WORK), b"tmpfs")
            flags = sandbox_inside.MS_NOSUID | sandbox_inside.MS_NODEV
            if self.bounds.libc.mount(*words, ctypes.c_ulong(flags), f"size={WRITTEN},nr_inodes={FILES},mode=1777".encode()):
                os._exit(73)
            os.chdir(WORK)
        os.dup2(self.printing, 1)
        os.dup2(self.printing, 2)
        self._bounded(WRITTEN, (self.report, self.reporting, self.output, self.printing), (self.tests_end,))
        sides.candidate(calls.Peer(self.candidate_end), self.job["solution"], self.nonce)

    def _tests(self) -> NoReturn:
        os.chdir("/")
        text = calls.receive(self.channel).decode("utf-8", "surrogatepass")
        self._bounded(0, (self.report, self.output, self.printing), (self.candidate_end,))
        sides.tests(calls.Peer(self.tests_end), text, self.job["together"], self.nonce, self.reporting)

    def _bounded(self, written: int, descriptors: Sequence[int], sockets: Sequence[socket.socket]) -> None:
        """Leave this process its own end of things, its bounds, and no rights."""
        for descriptor in descriptors:
            os.close(descriptor)
        for one in (*sockets, self.channel):
            one.close()
        self.bounds.put_on(self.job, written)
        random.seed(0)


def _space() -> int:
    """Return the bytes of address space that this process has."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * PAGE


if __name__ == "__main__":
    main()
