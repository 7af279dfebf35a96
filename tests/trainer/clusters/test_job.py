"""A job says early what a batch system would not take; the command line is tested in test_launch.py. It loads no torch."""

import subprocess
import sys

import pytest

from starmill.trainer.clusters.job import KubernetesJob, LaunchError, SlurmJob


def test_ranks_are_gpus_or_processes() -> None:
    assert SlurmJob("tiny", gpus_per_node=8, processes_per_node=2).ranks == 8
    assert KubernetesJob("tiny", processes_per_node=2).ranks == 2


def test_what_a_batch_system_would_not_take_is_named() -> None:
    with pytest.raises(LaunchError, match="--claim 'a b': expected the name of a volume claim"):
        KubernetesJob("tiny", claim="a b")
    with pytest.raises(LaunchError, match="--sbatch 'x': expected one option"):
        SlurmJob("tiny", sbatch=["--mem=1G", "x"])


def test_it_is_light() -> None:
    code = "import sys, starmill.trainer.clusters.job; assert not {'torch', 'pyarrow'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", code], check=True)
