"""The probes of a training, run as a kubelet would: they follow the metrics. The manifests themselves: end_to_end/test_kubernetes.py."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

BASE = Path(__file__).resolve().parents[3] / "infra" / "kubernetes" / "train" / "base"
[CONTAINER] = yaml.safe_load((BASE / "job.yaml").read_text())["spec"]["template"]["spec"]["containers"]


@pytest.mark.parametrize(
    ("probe", "minutes_old", "healthy"),
    [
        ("startupProbe", None, False),  # no step yet
        ("startupProbe", 10, False),  # a step of the container before
        ("startupProbe", 1, True),
        ("livenessProbe", 40, True),
        ("livenessProbe", 50, False),
    ],
)
def test_a_training_is_alive_as_long_as_it_takes_steps(
    tmp_path: Path, probe: str, minutes_old: int | None, healthy: bool
) -> None:
    started, metrics = tmp_path / "started", tmp_path / "model" / "metrics.jsonl"
    for file, age in ((started, 5), (metrics, minutes_old)):
        if age is not None:
            file.parent.mkdir(exist_ok=True)
            file.touch()
            when = file.stat().st_mtime - 60 * age
            os.utime(file, (when, when))
    # The kubelet makes this file when it starts a container.
    command = [part.replace("/dev/termination-log", str(started)) for part in CONTAINER[probe]["exec"]["command"]]
    done = subprocess.run(command, cwd=tmp_path, env={**os.environ, "OUTPUT": "model"}, capture_output=True)
    assert (done.returncode == 0) == healthy
