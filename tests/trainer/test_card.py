"""The card names what the recipe says and what the data's manifests count; test_export.py compares it with a real run's files."""

import pytest
import torch
from small_workspace import RECIPE, build

from starmill.core import recipe
from starmill.core.dataset import Count, LastRun, Sidecar, StageName, Workspace, output
from starmill.trainer import card
from starmill.trainer.config import TrainRecipe
from starmill.trainer.data.inputs import open_inputs


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    place = Workspace(str(build(tmp_path_factory.mktemp("card") / "work")))
    counts = (
        Count("filters", "long_lines", "C", 3, 300),
        Count("filters", "", "C", 4, 400),
        Count("filters", "", "Python", 5, 50),
    )
    place.commit(Sidecar("curate", "curated", 0, "k", (output("curated/part-00000.parquet", b"x"),), counts), [b"x"])
    place.finish("curated", "k", 1, "v")
    place.publish_last_run(LastRun((StageName("curate", "curated"),), 1))
    return place


def written(workspace: Workspace, step: int = 12, **changes: object) -> str:
    options = recipe.build(TrainRecipe, {**RECIPE, "workspace": workspace.url, "output": "runs/small", **changes})
    return card.write(options, open_inputs(options), step, torch.bfloat16, card.OPENRAIL)


def test_the_data_is_the_manifests(workspace: Workspace) -> None:
    text = written(workspace)
    assert "- curate: 9 files kept, 450 bytes; dropped 3 long_lines" in text
    assert "# small\n" in text and "Held-out loss" not in text, "no metrics, no loss"


def test_a_run_that_goes_on_says_so(workspace: Workspace) -> None:
    assert "for 4 steps of 12 planned, 512 tokens." in written(workspace, step=4)


def test_a_phase_names_the_one_before(workspace: Workspace) -> None:
    assert "from the weights of `base`." in written(workspace, weights="runs/base/model")


def test_hardware_gives_a_cost(workspace: Workspace) -> None:
    assert "estimated cost" not in written(workspace)
    text = written(workspace, hardware={"peak_tflops": 312, "mfu": 0.5, "kg_co2_per_kwh": 0.4})
    assert "at an MFU of 50.0%" in text


def test_no_infilling_is_promised_where_none_was_taught(workspace: Workspace) -> None:
    assert "<fim_prefix>" in written(workspace)
    data = {**RECIPE["data"], "fim": {"rate": 0.0}}
    assert "<fim_prefix>" not in written(workspace, data=data)
