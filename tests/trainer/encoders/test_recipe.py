"""The shipped recipes load; what cannot work is refused."""

import pytest

from starmill.core.recipe import RecipeError
from starmill.trainer.encoders.recipe import load


def test_the_shipped_recipes_load() -> None:
    tiny, published = load("starpii-tiny", []), load("starpii", ["seed=3"], "out")
    assert tiny.model is not None and tiny.model.is_encoder and tiny.base is None
    assert published.base and published.seed == 3 and published.output == "out" and published.batch == 64
    assert published.labels[:3] == ("O", "B-NAME", "I-NAME") and len(published.labels) == 13


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("base=runs/x", "base and model: give one of them"),
        ("kinds=[NAME, NAME]", "give each type once"),
        ("optimizer.warmup_steps=3000", "must be below steps"),
        ("kinds=[name]", "kinds"),
        ("bathc=3", "bathc"),
    ],
)
def test_what_cannot_work_is_refused(change: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        load("starpii-tiny", [change])
