"""ScanCode in a child process: its deadline is soft (a 1.3 MB text ran twenty times past it), so only a kill is a limit.

The child answers one JSON line a request and ends at the end of its input, so none outlives a parent that was killed.
"""

import functools
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from typing import Any

STARTUP_SECONDS = 300.0  # the licence index takes 6 s on an idle machine


class DetectionTimeout(TimeoutError):
    """A text that took longer than its limit; the child was killed."""


class DetectorUnavailable(Exception):
    """ScanCode does not start here: no property of any text, so the whole part has to fail."""


class Detector:
    """One child process, started on first use and restarted after a time-out or a crash."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._child: subprocess.Popen[bytes] | None = None

    def detect(self, text: str, exact: bool, seconds: float) -> list[str]:
        """Return the sorted SPDX ids (or LicenseRef-scancode-*) in `text`; `exact` skips approximate matching.

        Raises DetectionTimeout after `seconds`, RuntimeError if ScanCode failed on the text or the child died of it,
        DetectorUnavailable if no child can be started.
        """
        child = self._start()
        answer = self._ask(child, json.dumps({"text": text, "exact": exact}).encode() + b"\n", seconds)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return list(answer["licenses"])

    def stop(self) -> None:
        """End the child, if there is one."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None

    def _start(self) -> "subprocess.Popen[bytes]":
        if self._child is None or self._child.poll() is not None:
            self.stop()
            command = [sys.executable, "-m", "starmill.transforms.measure.scancode"]
            self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            for pipe in (self._child.stdin, self._child.stdout):
                assert pipe is not None
                os.set_blocking(pipe.fileno(), False)
            try:
                self._ask(self._child, b"", STARTUP_SECONDS)
            except (DetectionTimeout, RuntimeError) as error:
                raise DetectorUnavailable(f"ScanCode does not start ({error}); see: {' '.join(command)} < /dev/null") from None
        return self._child

    def _ask(self, child: "subprocess.Popen[bytes]", request: bytes, seconds: float) -> dict[str, Any]:
        assert child.stdin is not None and child.stdout is not None
        deadline, answer = time.monotonic() + seconds, b""
        with selectors.DefaultSelector() as selector:
            selector.register(child.stdout, selectors.EVENT_READ)
            if request:
                selector.register(child.stdin, selectors.EVENT_WRITE)
            while not answer.endswith(b"\n"):
                left = deadline - time.monotonic()
                ready = selector.select(left) if left > 0 else []
                if not ready:
                    self.stop()
                    raise DetectionTimeout(f"no answer after {seconds:.0f} s")
                for key, _ in ready:
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
                            self.stop()
                            raise RuntimeError("ScanCode's process died")
                        answer += piece
        return dict(json.loads(answer))


@functools.lru_cache(maxsize=1)
def detector() -> Detector:
    """Return this process's detector."""
    return Detector()


def _serve() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints must not mix with the answers
    # Texts come as strings: no archive is ever opened, and its library wants libgomp, which a bare machine does not have.
    sys.modules["extractcode.archive"] = None  # type: ignore[assignment]
    from license_expression import get_spdx_licensing
    from licensedcode.cache import get_index
    from licensedcode.detection import detect_licenses

    get_index()
    licensing = get_spdx_licensing()
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
            answer = {"error": f"{type(error).__name__}: {error}"[:500]}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    _serve()
