"""A server of a test's: started with its output in a file, and ended, whatever happens."""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def daemon(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Run a program that stays in the foreground; it is asked to end, and killed if it does not."""
    with open(log, "wb") as file:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environment)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
