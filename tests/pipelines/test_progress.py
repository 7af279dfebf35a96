"""Progress from the workspace: plain lines where nobody watches, up to the last part."""

import time
from pathlib import Path

import pytest

from starmill.core.dataset import Sidecar, Workspace
from starmill.pipelines.progress import watching


def test_lines_count_published_parts(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    workspace = Workspace(str(tmp_path))
    with watching(workspace, "ingest", 2, quiet=False):
        for part in range(2):
            workspace.commit(Sidecar("ingest", part, "k", ()), [])
            time.sleep(0.1)
    assert "ingest    2/2 parts" in capfd.readouterr().err


def test_quiet_is_quiet(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with watching(Workspace(str(tmp_path)), "ingest", 2, quiet=True):
        pass
    assert capfd.readouterr() == ("", "")
