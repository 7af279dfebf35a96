"""The benchmark compares equal tokens, and says so when they differ."""

import dataclasses

import generate
import pytest
import torch

from starmill.model.decoder import Decoder

TINY = {
    name: dataclasses.replace(c, vocab_size=200, layers=2, hidden_size=48, mlp_size=96) for name, c in generate.CONFIGS.items()
}


@pytest.mark.parametrize("name", TINY)
def test_both_sides_write_the_same(name: str) -> None:
    ours, theirs = generate.compare(TINY[name], rows=2, rounds=1)
    assert ours > 0 and theirs > 0


def test_other_tokens_are_no_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    saved = generate.save

    def damaged(decoder: Decoder, folder: str) -> None:
        saved(decoder, folder)
        with torch.no_grad():
            decoder.norm.weight.neg_()

    monkeypatch.setattr(generate, "save", damaged)
    with pytest.raises(SystemExit, match="different tokens"):
        generate.compare(TINY["MQA, learned positions"], rows=1, rounds=1)
