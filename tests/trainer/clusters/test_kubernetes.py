"""A training as a kustomization: the recipe arrives as it was checked, and names agree. Rendered and applied for real: end_to_end/."""

from pathlib import Path

import pytest
import yaml

from starmill.core import recipe
from starmill.trainer.clusters import kubernetes
from starmill.trainer.config import TrainRecipe, values

TRAINING = kubernetes.Training("mine", "registry.example.org/t:2", "team", "disk", 4, 8, 8, "runs/$(HOME)/m")
VALUES = values("starcoder2-3b", ["seed=5", "data.mixture.kinds={'C#': 2, 'No': 1}"])


@pytest.fixture
def made(tmp_path: Path) -> dict[str, str]:
    return kubernetes.files(TRAINING, VALUES, kubernetes.overlay(None, 8), tmp_path)


def test_the_recipe_arrives_as_it_was_checked(made: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(made["recipe.yaml"])
    arrived = recipe.load(TrainRecipe, str(tmp_path / "recipe.yaml"))
    assert arrived == recipe.build(TrainRecipe, VALUES) and arrived.data.mixture.kinds == {"C#": 2.0, "No": 1.0}


def test_names_agree(made: dict[str, str], tmp_path: Path) -> None:
    top, patch = yaml.safe_load(made["kustomization.yaml"]), yaml.safe_load(made["training.yaml"])
    assert (tmp_path / top["resources"][0] / "kustomization.yaml").exists() and top["namespace"] == "team"
    spec = patch["spec"]["template"]["spec"]
    [container] = spec["containers"]
    assert "--rdzv-endpoint=mine-0.mine:29400" in container["args"] and spec["subdomain"] == "mine"
    assert {"--nnodes=4", "--nproc-per-node=8"} <= set(container["args"]) and patch["spec"]["completions"] == 4
    assert container["resources"] == {"limits": {"nvidia.com/gpu": "8"}}
    assert container["env"][0]["value"] == "runs/$$(HOME)/m", "Kubernetes would put a variable there"
    assert spec["volumes"][0]["configMap"]["name"] == top["configMapGenerator"][0]["name"]
