"""What a step reads: ramps and phases that do not fit are refused; without them a run is the run that it was."""

import pytest
from small_workspace import RECIPE

from starmill.core import recipe
from starmill.core.errors import UsageError
from starmill.trainer.config import TrainRecipe

VALUES = {**RECIPE, "workspace": "w", "output": "o"}
LATER = "{from_step: %d, mixture: {}}"


def built(*changes: str) -> TrainRecipe:
    return recipe.build(TrainRecipe, recipe.override(VALUES, changes))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("data.ramp=[[100, 3]]", r"data\.ramp=\[100, 3\]: 3 does not divide batch=4"),
        ("data.ramp=[[200, 1], [100, 2]]", "data: ramp: 200, 100 must rise"),
        (f"data.phases=[{LATER % 1}]", r"data: phases\.from_step: 1, 1 must rise"),
        (f"data.phases=[{LATER % 5}, {LATER % 4}]", r"phases\.from_step: 1, 5, 4 must rise"),
        ("data.phases=[{from_step: 5}]", "mixture"),
    ],
)
def test_refused(change: str, message: str) -> None:
    with pytest.raises(recipe.RecipeError, match=message):
        built(change)


def test_every_batch_of_a_ramp_is_shared_out_evenly_or_refused() -> None:
    options = built("data.ramp=[[100, 2]]", "data.micro_batch=1")
    assert [options.accumulation(2, step) for step in (1, 2, 3)] == [1, 1, 2] and options.accumulation(2) == 2
    assert [options.tokens(step) for step in (0, 1, 2, 3)] == [0, 64, 128, 256]
    with pytest.raises(UsageError, match=r"data\.ramp: a batch=2 is no multiple of data\.micro_batch=1 times 4 data ranks"):
        options.accumulation(4)


def test_ramps_and_phases_are_what_is_learned() -> None:
    plain = built()
    assert not {"ramp", "phases"} & plain.learned()["data"].keys()
    phases = built(f"data.phases=[{LATER % 5}]")
    assert [phases.data.phase(step) for step in (1, 4, 5, 9)] == [0, 0, 1, 1]
    assert len({o.identity() for o in (plain, phases, built("data.ramp=[[100, 2]]"))}) == 3
