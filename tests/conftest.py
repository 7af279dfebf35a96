"""A lid on threads, compiled modules, the order of files, and a box for what could not run.

Two cores and many small tensors are faster, and alike, with few threads. Whole runs come first.
"""

import os
import sys
from typing import Any

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("STARMILL_CACHE", "off")  # what an earlier run found tests nothing
# Where bytecode is not kept, each of the hundreds of processes of a run compiles our modules again, and pytest all tests.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files of minutes first, so that no process has nothing to do while another one is at such a file."""
    items.sort(key=lambda item: "end_to_end" not in item.path.parts)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say in a box which tests had no samples to read."""
    missing = sorted({r.longrepr[2] for r in terminalreporter.stats.get("skipped", ()) if "NOT RUN" in str(r.longrepr)})
    if missing:
        terminalreporter.write_line("\n".join(("*" * 80, *(str(why).removeprefix("Skipped: ") for why in missing), "*" * 80)))
