"""A lid on threads, as two cores and many small tensors are faster, and alike, with few; and a box for what could not run."""

import os
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "2")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say in a box which tests had no samples to read."""
    missing = sorted({r.longrepr[2] for r in terminalreporter.stats.get("skipped", ()) if "NOT RUN" in str(r.longrepr)})
    if missing:
        terminalreporter.write_line("\n".join(("*" * 80, *(str(why).removeprefix("Skipped: ") for why in missing), "*" * 80)))
