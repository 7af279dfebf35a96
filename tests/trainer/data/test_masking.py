"""Pairs of windows: where targets are, what is masked, that a second half follows or does not, and that nothing depends on the batch."""

import numpy as np
import pytest
from small_workspace import RECIPE, build

from starmill.core import recipe
from starmill.model.encoder.encoder import NO_TARGET
from starmill.model.encoder.tokens import CLS, MASK, PAD, SEP
from starmill.trainer.config import TrainRecipe
from starmill.trainer.data import masking
from starmill.trainer.data.corpus import Batch, Corpus
from starmill.trainer.data.inputs import Inputs, open_inputs

MODEL = {
    **{"layers": 2, "hidden_size": 32, "heads": 4, "kv_heads": 4, "mlp_size": 64, "positions": "learned", "max_positions": 64},
    "attention": "bidirectional",
}
DATA = {**RECIPE["data"], "sequence_length": 64, "unit_tokens": 4096, "fim": {"rate": 0.0}}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    place = build(tmp_path_factory.mktemp("w"), tuple(f"def f{i}(x):\n" + f"    y = {i} + x\n" * 30 for i in range(30)))
    values = {**RECIPE, "model": MODEL, "data": DATA, "workspace": str(place), "output": str(place / "o")}
    return open_inputs(recipe.build(TrainRecipe, values))


def batches(corpus: Corpus, count: int) -> list[Batch]:
    source = corpus.batches()
    return [next(source) for _ in range(count)]


def test_a_pair_is_two_pieces_with_their_tokens_and_targets(found: Inputs) -> None:
    special, told, masked, other, text, random = found.tokenizer.vocab_size, 0, 0, 0, 0, 0
    for step, batch in enumerate(batches(found.train, 40)):
        made = masking.pairs(batch, found.train, 0, step)
        assert {array.shape for array in (made.tokens, made.targets, made.padding, made.types, made.origin)} == {(4, 64)}
        for row in range(4):
            is_target = made.targets[row] != NO_TARGET
            whole = np.where(is_target, made.targets[row], made.tokens[row])
            assert whole[0] == special + CLS and (whole == special + SEP).sum() == 2
            first, second = np.flatnonzero(whole == special + SEP)
            assert (whole[~made.padding[row]] != special + PAD).all() and (whole[made.padding[row]] == special + PAD).all()
            assert made.types[row].tolist() == [0] * (first + 1) + [1] * (second - first) + [0] * (63 - second)
            window, cut = batch.tokens[row], first - 1
            assert whole[1:first].tolist() == window[:cut].tolist()
            follows = whole[first + 1 : second].tolist() == window[cut : cut + second - first - 1].tolist()
            assert follows or made.is_random[row]
            assert batch.documents[row][cut - 1] == batch.documents[row][cut], "the cut lies inside a unit"
            of_window = made.origin[row] >= 0
            assert (window[made.origin[row][of_window]] == made.targets[row][of_window]).all() and not (
                of_window & ~is_target
            ).any()
            candidates = (whole >= found.tokenizer.specials) & (whole < special)
            assert not (is_target & ~candidates).any(), "no special token is to be told"
            told, text, random = told + is_target.sum(), text + candidates.sum(), random + made.is_random[row]
            masked += (made.tokens[row] == special + MASK).sum()
            other += ((made.tokens[row] != whole) & (made.tokens[row] != special + MASK)).sum()
    assert abs(told / text - 0.15) < 0.015 and abs(masked / told - 0.8) < 0.05 and abs(other / told - 0.1) < 0.04
    assert 0.3 < random / 160 < 0.7


def test_a_windows_pair_depends_on_seed_step_and_its_tokens_alone(found: Inputs) -> None:
    batch = batches(found.train, 1)[0]
    whole = masking.pairs(batch, found.train, 0, 3)
    for row in range(4):
        single = Batch(batch.tokens[row : row + 1], batch.documents[row : row + 1], batch.positions[row : row + 1], (), ())
        alone = masking.pairs(single, found.train, 0, 3)
        assert all((ours[0] == theirs[row]).all() for ours, theirs in zip(alone, whole, strict=True))
    for seed, step in ((1, 3), (0, 4)):
        assert (masking.pairs(batch, found.train, seed, step).targets != whole.targets).any()
