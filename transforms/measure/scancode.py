"""ScanCode in a child process: its deadline is soft (a 1.3 MB text ran twenty times past it), so only a kill is a limit.

The child answers each request with one JSON line, and ends at the end of its input, so none outlives a parent that was killed.
ScanCode makes a temporary folder at each start and leaves it: the child gets a folder to make it in, which the parent removes
once the child is stopped or dead, and the child at the end of its input.
"""

import functools
import json
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Callable
from typing import Any

from starmill.core.errors import MachineError, one_line
from starmill.core.process import CRASHES, Running
from starmill.transforms.measure.matches import Found, Match

CHILD = "starmill.transforms.measure.scancode_child"  # named here, and never imported
TICK = 1.0  # seconds from one look at the clock to the next
STARTUP_SECONDS = 300.0  # the licence index takes 6 s on an idle machine


class DetectionTimeout(Exception):
    """A text that took longer than its limit; the child was killed."""


class DetectionFailed(Exception):
    """A text that ScanCode cannot judge: it raised on it, or the child crashed on it, twice."""


class _Died(Exception):
    """The child died; `status` is how."""

    def __init__(self, status: int) -> None:
        super().__init__(f"its process ended with status {status}")
        self.status = status


class Detector:
    """One child process, started on first use and restarted after a time-out or a crash."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._child: subprocess.Popen[bytes] | None = None
        self._clean: Callable[[], object] = lambda: None

    def detect(self, text: str, exact: bool, seconds: float) -> Found:
        """Return what ScanCode finds in `text`; `exact` skips approximate matching.

        Raises DetectionTimeout after `seconds`, DetectionFailed if ScanCode failed on the text, and MachineError for what is no
        property of a text: ScanCode does not start, its child was killed twice, its library, memory or disk failed.
        """
        request = json.dumps({"text": text, "exact": exact}).encode() + b"\n"
        try:
            answer = self._ask(self._start(), request, seconds)
        except _Died:  # a child may die of what came before: only a second one's death is about this text
            try:
                answer = self._ask(self._start(), request, seconds)
            except _Died as died:
                if died.status in CRASHES:
                    raise DetectionFailed(f"ScanCode: {died}") from None
                raise MachineError(
                    f"ScanCode: {died}, twice; look at the memory that is left and at what stops processes"
                ) from None
        if "error" in answer:
            raise (MachineError if answer["machine"] else DetectionFailed)(f"ScanCode: {answer['error']}")
        return Found(tuple(answer["licenses"]), tuple(Match(*match) for match in answer["matches"]))

    def stop(self) -> None:
        """End the child, if there is one, and remove its temporary folder."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None
        self._clean()

    def _start(self, tries: int = 2) -> "subprocess.Popen[bytes]":
        if self._child is not None and self._child.poll() is None:
            return self._child
        self.stop()
        command = [sys.executable, "-m", CHILD]
        try:
            own = tempfile.mkdtemp(prefix="starmill-scancode-")
            self._clean = weakref.finalize(self, shutil.rmtree, own, ignore_errors=True)  # also when this process ends
            child = subprocess.Popen([*command, own], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            self._child = child
            for pipe in (child.stdin, child.stdout):
                assert pipe is not None
                os.set_blocking(pipe.fileno(), False)
            said = self._ask(child, b"", STARTUP_SECONDS).get("error")
        except (OSError, DetectionTimeout, _Died) as error:
            if isinstance(error, _Died) and tries > 1:  # somebody's signal: once is no reason to fail a part
                return self._start(tries - 1)
            said = one_line(error)
        if said:
            self.stop()
            raise MachineError(f"ScanCode does not start: {said}; see: {' '.join(command)} < /dev/null")
        return child

    def _ask(self, child: "subprocess.Popen[bytes]", request: bytes, seconds: float) -> dict[str, Any]:
        assert child.stdin is not None and child.stdout is not None
        clock, answer = Running(TICK), b""
        with selectors.DefaultSelector() as selector:
            selector.register(child.stdout, selectors.EVENT_READ)
            if request:
                selector.register(child.stdin, selectors.EVENT_WRITE)
            while not answer.endswith(b"\n"):
                left = seconds - clock.seconds()
                if left <= 0:
                    self.stop()
                    raise DetectionTimeout(f"no answer after {seconds:.0f} s")
                for key, _ in selector.select(min(left, TICK)):
                    if key.fileobj is child.stdin:
                        try:
                            request = request[os.write(child.stdin.fileno(), request) :]
                        except BrokenPipeError:
                            request = b""
                        if not request:
                            selector.unregister(child.stdin)
                    else:
                        piece = os.read(child.stdout.fileno(), 1 << 16)
                        if not piece:
                            status = child.wait()
                            self.stop()
                            raise _Died(status)
                        answer += piece
        return dict(json.loads(answer))


@functools.lru_cache(maxsize=1)
def detector() -> Detector:
    """Return this process's detector."""
    return Detector()
