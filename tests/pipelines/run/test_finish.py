"""The end of a stage refuses parts of another key, torn parts and too many errors; test_stages.py has whole runs of it."""

import pickle
from pathlib import Path

import pytest

from starmill.core.dataset import Count, Sidecar, Workspace, output, part_path
from starmill.pipelines.run.finish import Finish
from starmill.pipelines.run.job import StageError


@pytest.mark.parametrize(
    ("errors", "key", "message"), [(0, "k", None), (2, "k", "2 of 10 files ended as errors"), (0, "x", "key x")]
)
def test_a_stage_ends_over_its_own_parts(tmp_path: Path, errors: int, key: str, message: str | None) -> None:
    workspace = Workspace(str(tmp_path))
    counts = (Count("", "", "", 10 - errors, 1), Count("s", "error:s:OSError", "", errors, 1))
    workspace.commit(Sidecar("ingest", "records", 0, key, (output(part_path("records", 0), b"x"),), counts), [b"x"])
    finish = pickle.loads(pickle.dumps(Finish(workspace, "ingest", "records", "stage", ("k",), "v", 0.1)))
    if message is None:
        assert finish().parts[0].key == "k"
    else:
        with pytest.raises(StageError, match=message):
            finish()
        assert workspace.manifest("records") is None


def test_a_part_with_errors_is_due_again(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    counts = (Count("", "", "", 99, 1), Count("s", "error:s:ValueError", "", 1, 1))
    workspace.commit(Sidecar("ingest", "records", 0, "k", (), counts), [])
    assert Finish(workspace, "ingest", "records", "stage", ("k",), "v", 0.1)().parts[0].errors == 1, (
        "under the ceiling it counts"
    )
    assert not workspace.is_done("records", 0, "k"), "and is made again by the next run"
