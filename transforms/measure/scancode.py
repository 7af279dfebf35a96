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
import signal
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Callable
from typing import Any, TextIO

from starmill.core.errors import MachineError, is_of_the_machine, one_line
from starmill.core.process import Running

TICK = 1.0  # seconds from one look at the clock to the next
STARTUP_SECONDS = 300.0  # the licence index takes 6 s on an idle machine


# How a process ends that crashed on its input. Any other end has a cause outside: somebody's signal, or no memory left.
CRASHES = frozenset(-s for s in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL))


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

    def detect(self, text: str, exact: bool, seconds: float) -> list[str]:
        """Return the sorted SPDX ids (or LicenseRef-scancode-*) in `text`; `exact` skips approximate matching.

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
        return list(answer["licenses"])

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
        command = [sys.executable, "-m", "starmill.transforms.measure.scancode"]
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


def _serve(own: str | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that `finally` is reached
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints must not mix with the answers
    try:
        if own is not None:
            os.environ["SCANCODE_TEMP"] = tempfile.tempdir = own
        _answer(answers)
    finally:
        if own is not None:  # its parent may be dead
            shutil.rmtree(own, ignore_errors=True)


def _answer(answers: TextIO) -> None:
    # Texts come as strings: no archive is ever opened, and its library wants libgomp, which a bare machine does not have.
    sys.modules["extractcode.archive"] = None  # type: ignore[assignment]
    try:
        from license_expression import get_spdx_licensing
        from licensedcode.cache import get_index
        from licensedcode.detection import detect_licenses

        get_index()
        licensing = get_spdx_licensing()
        # A library that does not fit (pluggy 1.7) starts, and fails on every text.
        if not list(detect_licenses(query_string="SPDX-License-Identifier: MIT", approximate=False)):
            raise RuntimeError("it does not find a licence in `SPDX-License-Identifier: MIT`")
    except Exception as error:
        print(json.dumps({"error": one_line(error)}), file=answers, flush=True)
        raise
    print("{}", file=answers, flush=True)
    for line in sys.stdin.buffer:
        request = json.loads(line)
        try:
            options = {"approximate": False} if request["exact"] else {}
            found: set[str] = set()
            for detection in detect_licenses(query_string=request["text"], **options):
                if detection.license_expression_spdx:
                    found.update(licensing.license_keys(detection.license_expression_spdx))
            answer: dict[str, Any] = {"licenses": sorted(found)}
        except Exception as error:
            machine = isinstance(error, OSError) or is_of_the_machine(error)
            answer = {"error": one_line(error), "machine": machine}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    _serve(sys.argv[1] if len(sys.argv) > 1 else None)
