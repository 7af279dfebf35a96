"""A small model behind a real port of this machine, and its folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import Running, Serve, write


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("serving") / "small")


@pytest.fixture(scope="module")
def serve(folder: Path) -> Iterator[Serve]:
    made = Serve(folder)
    yield made
    made.close()


@pytest.fixture(scope="module")
def running(serve: Serve) -> Running:
    return serve()
