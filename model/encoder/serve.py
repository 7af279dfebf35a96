"""The child process that holds a model for all workers of a machine: `python -m starmill.model.encoder.serve`, started by redaction
(a tagger, asked for spans) and by the scores of an encoder (asked for states).

It listens on a Unix socket in a folder that only its user may enter, says on its standard output when it is ready or why it is not, and
leaves when nobody has been connected for a while: a worker that was killed leaves no process behind. Nothing of a text is written anywhere.
"""

import contextlib
import fcntl
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starmill.core.errors import is_of_the_machine, one_line
from starmill.core.messages import receive, send

IDLE = 10.0  # seconds without a connection after which it leaves


class Serving:
    """Answers the connections of one socket; one request is computed at a time, as it takes all cores."""

    def __init__(self, asked: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Take what answers a request."""
        self._asked, self._turn, self._lock = asked, threading.Lock(), threading.Lock()
        self._open, self._since = 0, time.monotonic()

    def run(self, listener: socket.socket, lock: Path) -> None:
        """Accept connections until nobody has been connected for IDLE seconds; leave only while nobody is about to connect."""
        listener.settimeout(1.0)
        while True:
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                with self._lock:
                    idle = not self._open and time.monotonic() - self._since > IDLE
                if idle and self._left(listener, lock):
                    return
                continue
            with self._lock:
                self._open += 1
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _left(self, listener: socket.socket, lock: Path) -> bool:
        """Close and remove the socket, under the lock of those who look for it; False if somebody is looking."""
        with lock.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return False
            listener.settimeout(0)
            with contextlib.suppress(BlockingIOError):
                listener.accept()[0].close()  # who connected at the last moment asks once more
            os.unlink(listener.getsockname())
            listener.close()
            return True

    def _answer(self, connection: socket.socket) -> None:
        try:
            with connection:
                connection.settimeout(None)
                while True:
                    request = receive(connection)
                    try:
                        with self._turn:
                            answer: dict[str, Any] = self._asked(request)
                    except Exception as error:
                        machine = is_of_the_machine(error) or "out of memory" in str(error)
                        answer = {"error": one_line(error), "machine": machine}
                    send(connection, answer)
        except (OSError, EOFError, ValueError):
            return  # the worker is gone
        finally:
            with self._lock:
                self._open, self._since = self._open - 1, time.monotonic()


def loaded(folder: str, device: str, precision: str, task: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return what answers a request for spans or for states. Raises ExchangeError, naming the folder."""
    if task == "states":
        from starmill.model.encoder.pooled import Pooled

        pooled = Pooled.load(folder, device)
        return lambda request: {"states": pooled.states(request["texts"], request["windows"])}
    from starmill.model.encoder.tagger import Tagger

    tagger = Tagger.load(folder, device, precision)  # type: ignore[arg-type]
    return lambda request: {"spans": tagger.spans(request["texts"])}


def main(folder: str, place: str, lock: str, device: str, precision: str, task: str) -> int:
    """Load the model, listen, say so, and answer."""
    said = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints must not mix with the answer
    try:
        serving = Serving(loaded(folder, device, precision, task))
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(place)
        listener.listen(128)
    except Exception as error:
        print(json.dumps({"error": one_line(error)}), file=said, flush=True)
        return 1
    print("{}", file=said, flush=True)
    said.close()
    serving.run(listener, Path(lock))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
