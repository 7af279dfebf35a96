"""A lid on threads: two cores and many small tensors are faster, and alike, with few. And the order of files: whole runs first."""

import os

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "2")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files of minutes first, so that no process has nothing to do while another one is at such a file."""
    items.sort(key=lambda item: "end_to_end" not in item.path.parts)
