"""`starmill launch` hands over all that was given; what is submitted is tested in tests/trainer/clusters."""

import dataclasses

import pytest

from starmill.cli.__main__ import main
from starmill.trainer.clusters.job import KubernetesJob, SlurmJob


@pytest.mark.parametrize(("system", "job"), [("slurm", SlurmJob), ("kubernetes", KubernetesJob)])
def test_each_field_of_a_job_is_an_option(system: str, job: type, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["launch", system, "--help"]) == 0
    said = capsys.readouterr().out
    for name in {f.name for f in dataclasses.fields(job)} - {"recipe", "sets"}:
        assert f"--{name.replace('_', '-')} " in said, name


def test_a_batch_system_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["launch", "slurn", "tiny"]) == 2
    assert "Did you mean 'slurm'?" in capsys.readouterr().err
