"""True samples of dumps, which lie beside a checkout where its makers have them; what cannot be read is said at the end of the run."""

from pathlib import Path

import pytest

SAMPLES = Path(__file__).resolve().parents[3] / "shared/data"


def sample(name: str) -> Path:
    """Return the place of a sample. Skips the test where it is absent."""
    if not (SAMPLES / name).exists():
        pytest.skip(f"NOT RUN: no samples of {name}")
    return SAMPLES / name
