"""A job that fails is told by its cause, in one line; the errors of ours come through as they are."""

import tempfile
from pathlib import Path

import apache_beam as beam
import pytest

from starmill.core.errors import UsageError
from starmill.core.part import PartRef
from starmill.pipelines.run import job
from starmill.pipelines.run.job import StageError
from starmill.pipelines.runners.local import Local
from starmill.transforms.beam import Reference, references


def failing(error: Exception) -> job.Build:
    def work(part: Reference) -> int:
        raise error

    return lambda pipeline, due: pipeline | references(due) | beam.Map(work)


def test_the_cause_is_told() -> None:
    with pytest.raises(StageError, match=r"stage s failed: .*the disk is full"):
        job.run("s", [PartRef(0, "k")], failing(OSError("the disk is full")), Local(), quiet=True)


def test_a_graph_that_cannot_be_built_says_why() -> None:
    def build(pipeline: beam.Pipeline, due: object) -> beam.PCollection:
        raise UsageError("no such folder")

    with pytest.raises(UsageError, match="no such folder"):
        job.run("s", [PartRef(0, "k")], build, Local(), quiet=True)


def test_a_job_that_is_killed_leaves_nothing_in_the_folder_for_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen: list[list[str]] = []

    def build(pipeline: beam.Pipeline, due: object) -> beam.PCollection:
        seen.append([p.name for p in tmp_path.iterdir()])
        raise UsageError("here a kill may come")

    with pytest.raises(UsageError):
        job.run("s", [PartRef(0, "k")], build, Local(), quiet=True)
    assert seen == [[]]
