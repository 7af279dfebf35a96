"""Options of the optimizer that do not fit each other are refused; those of before make the run of before."""

from dataclasses import replace

import pytest
from small_workspace import RECIPE

from starmill.core import recipe
from starmill.trainer.config import TrainRecipe
from starmill.trainer.rates import ADDED, AdamW, Muon

OPTIONS = AdamW(lr=1e-3, min_lr=1e-4, warmup_steps=10)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"base_width=8 with optimizer\.muon: .*give one of them"):
        replace(OPTIONS, muon=Muon(), base_width=8)
    with pytest.raises(ValueError, match=r"optimizer\.lr=0 with optimizer\.muon\.lr"):
        AdamW(lr=0, min_lr=0, warmup_steps=0, muon=Muon(lr=1e-3))


def test_options_that_came_later_change_no_older_run() -> None:
    values = {**RECIPE, "workspace": "w", "output": "o"}
    plain = recipe.build(TrainRecipe, values)
    assert not plain.learned()["optimizer"].keys() & ADDED.keys()
    for change in ("muon={}", "average=0.9", "base_width=16", "embedding_weight_decay=0", "vector_weight_decay=0.1"):
        other = recipe.build(TrainRecipe, recipe.override(values, [f"optimizer.{change}"]))
        assert other.identity() != plain.identity(), change
