"""Asks warm interpreters for verdicts: several at a time, in the order of the jobs, each again once where the machine took one away."""

import functools
import json
import os
import queue
import socket
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from starmill import core, evaluation
from starmill.core import sandbox
from starmill.core.errors import MachineError
from starmill.evaluation.sandbox import calls, programs
from starmill.evaluation.sandbox.job import Job, Verdict

AHEAD = 4  # jobs a worker that are begun before the first verdict is taken
ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "LC_ALL": "C.UTF-8",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MPLBACKEND": "Agg",
}
ASKED = "import json, os, sys; print(json.dumps([sys.base_prefix, os.path.realpath(sys.executable), *sys.path]))"
VERSIONS = """
import importlib.metadata as m, importlib.util as u, json, sys
of, found = m.packages_distributions(), {}
for name in sys.argv[1:]:
    first = name.partition(".")[0]
    if u.find_spec(first) is not None and (first == name or u.find_spec(name) is not None):
        found[name] = m.version(of[first][0]) if first in of else ""
print(json.dumps(found))
"""
LATEST = 120.0  # seconds beyond the bound of a job's clock, in which a warm interpreter must answer


class Judge:
    """Judges jobs; `level` says what isolates them: "namespaces", or "limits" where `unsafe` allowed that.

    Raises NotIsolated where this machine has no namespaces and `unsafe` is off, MachineError where processes cannot be started.

    >>> with Judge() as judge:
    ...     [verdict.passed for verdict in judge.judge([Job("x = 1", "assert x == 1"), Job("x = 1", "assert x == 2")])]
    [True, False]
    """

    def __init__(
        self, workers: int = 1, preload: Sequence[str] = (), unsafe: bool = False, python: str = sys.executable
    ) -> None:
        """`preload`: modules beside the standard library that solutions may import, each imported once a worker.

        `python`: the interpreter that executes them, of an environment that has these modules; it needs nothing of starmill's.
        """
        self.workers, self.preload, self.python = workers, tuple(preload), python
        self._ours = tempfile.TemporaryDirectory(prefix="starmill-", ignore_cleanup_errors=True)
        _lay_packages(Path(self._ours.name))
        self.level = "namespaces"
        try:
            sandbox.probe()
        except sandbox.NotIsolated:
            if not unsafe:
                raise
            self.level = "limits"
        self._idle: queue.SimpleQueue[_Warm] = queue.SimpleQueue()
        self._pool = ThreadPoolExecutor(workers)
        self._all: list[_Warm] = []
        for _ in range(workers):
            self._idle.put(self._started())

    def __enter__(self) -> Self:
        """Return this judge."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all processes."""
        for warm in self._all:
            warm.end()
        self._pool.shutdown(cancel_futures=True)
        self._ours.cleanup()

    def judge(self, jobs: Iterable[Job]) -> Iterator[Verdict]:
        """Yield the verdict on each job, in their order. Raises MachineError for a job whose process the machine ended twice."""
        waiting: deque[Future[Verdict]] = deque()
        try:
            for job in jobs:
                waiting.append(self._pool.submit(self._one if job.language == "python" else programs.verdict, job))
                if len(waiting) >= AHEAD * self.workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def _one(self, job: Job) -> Verdict:
        warm = self._idle.get()
        try:
            for last in (False, True):
                try:
                    return warm.verdict(job)
                except (calls.Ended, TimeoutError) as error:
                    warm.end()
                    self._all.remove(warm)
                    warm = self._started()
                    if last:
                        raise MachineError(
                            f"an interpreter of the sandbox ended twice on one solution ({error}); "
                            "this is trouble of the machine (its memory or processes)"
                        ) from None
            raise AssertionError("not reached")
        finally:
            self._idle.put(warm)

    def _started(self) -> "_Warm":
        warm = _Warm(self.python, self._ours.name, self.preload, self.level == "namespaces")
        self._all.append(warm)
        return warm


class _Warm:
    """One warm interpreter, at the other end of a channel."""

    def __init__(self, python: str, ours: str, preload: Sequence[str], namespaces: bool) -> None:
        spec = {
            "preload": preload,
            "namespaces": namespaces,
            "reads": sorted((_reads(python, bool(preload)) | {"/proc/self/maps": f"{ours}/empty"}).items()),
        }
        self.channel, theirs = socket.socketpair()
        try:
            self.process = subprocess.Popen(
                [python, "-P", "-s", "-m", "starmill.evaluation.sandbox.warm", json.dumps(spec), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                env=ENVIRONMENT | {"PYTHONPATH": ours},
                cwd="/",
            )
        except OSError as error:
            raise MachineError(f"a sandbox: {error}; this is trouble of the machine (its processes or memory)") from error
        finally:
            theirs.close()
        try:
            said = self._answer(LATEST)
        except (calls.Ended, TimeoutError) as error:
            self.end()
            raise MachineError(
                f"an interpreter of the sandbox did not start ({error}); this is trouble of the machine"
            ) from None
        if "failed" in said:
            self.end()
            raise sandbox.NotIsolated(f"this machine gives a sandbox not {said['failed']}: {sandbox.FIX}")

    def verdict(self, job: Job) -> Verdict:
        """Return the verdict on a job. Raises Ended or TimeoutError for an interpreter that is gone or stands still."""
        wall = 10 * job.cpu_seconds + 1
        solution, tests = (f"{job.solution}\n{job.tests}", "") if job.together else (job.solution, job.tests)
        bounds = {"cpu_seconds": job.cpu_seconds, "memory_bytes": job.memory_bytes, "wall_seconds": wall}
        calls.send(self.channel, json.dumps({"solution": solution, "together": job.together, **bounds}).encode())
        calls.send(self.channel, tests.encode("utf-8", "surrogatepass"))
        return Verdict(**self._answer(wall + LATEST))

    def _answer(self, seconds: float) -> dict[str, Any]:
        self.channel.settimeout(seconds)
        found: dict[str, Any] = json.loads(calls.receive(self.channel))
        return found

    def end(self) -> None:
        """End it, and with it all in its namespaces."""
        self.channel.close()
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, 9)
        self.process.wait()


def installed(python: str, modules: Sequence[str]) -> dict[str, str]:
    """Return which of these modules an interpreter has, each with the version of its package ("" where that is not known).

    Raises MachineError for what does not run as Python.

    >>> installed(sys.executable, ["json", "no_such_module"])
    {'json': ''}
    """
    found: dict[str, str] = json.loads(_said(python, VERSIONS, *modules)) if modules else {}
    return found


def _said(python: str, *words: str) -> bytes:
    command = [python, "-P", "-s", "-c", *words]
    try:
        return subprocess.run(command, capture_output=True, timeout=LATEST, env=ENVIRONMENT, cwd="/", check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise MachineError(f"{python}: it does not run as Python ({type(error).__name__}); give another interpreter") from None


def _lay_packages(folder: Path) -> None:
    """Make a folder in which an interpreter finds the two packages of starmill that it needs, and no others; and an empty file."""
    (folder / "empty").touch()  # what threadpoolctl, and so scikit-learn, cannot do without: /proc/self/maps
    (folder / "starmill").mkdir()
    for package in (core, evaluation):
        (folder / "starmill" / package.__name__.rpartition(".")[2]).symlink_to(Path(str(package.__file__)).parent)


@functools.cache
def _reads(python: str, packages: bool) -> dict[str, str]:
    """Return what the sandbox shows: the standard library, the libraries it is linked with, and packages where some are preloaded."""
    prefix, real, *path = json.loads(_said(python, ASKED))
    places = {prefix, *sandbox.libraries(real)}
    if packages:
        places |= {place for place in path if place.endswith(("site-packages", "dist-packages"))}
        # What packages' own libraries are linked with, and ask for chance.
        places |= {"/dev/null", "/dev/urandom", *(os.path.dirname(place) for place in sandbox.libraries(real))}
    kept: list[str] = []
    for place in sorted(place for place in places if os.path.exists(place)):
        if not any(Path(place).is_relative_to(one) for one in kept):
            kept.append(place)
    return {place: place for place in kept}
