"""The workspace that is written by hand (tests/end_to_end/reported.py), once for all tests of the report."""

import pytest
import reported

from starmill.core.dataset import Workspace


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The workspace; nothing writes into it."""
    return reported.build(tmp_path_factory.mktemp("reported") / "work")
