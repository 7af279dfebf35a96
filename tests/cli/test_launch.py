"""`starmill launch` hands over all that was given; what is submitted is tested in tests/trainer/clusters."""

import dataclasses
import inspect

import pytest

from starmill.cli import launch
from starmill.cli.__main__ import main
from starmill.trainer.clusters.launch import KubernetesJob, SlurmJob


@pytest.mark.parametrize(("command", "job"), [(launch.Slurm, SlurmJob), (launch.Kubernetes, KubernetesJob)])
def test_each_option_is_a_field_of_the_job_with_its_default(command: object, job: type) -> None:
    options = inspect.signature(command).parameters  # type: ignore[arg-type]
    fields = {f.name: f for f in dataclasses.fields(job)}
    assert {*options} == {*fields}
    for name in {*options} - {"recipe", "sets", "python", "sbatch"}:
        assert options[name].default == fields[name].default, name


def test_a_batch_system_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["launch", "slurn", "tiny"]) == 2
    assert "Did you mean 'slurm'?" in capsys.readouterr().err
