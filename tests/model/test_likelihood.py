"""The log-likelihood of tokens is the sum of what the logits say of each, in pieces too."""

import pytest
import torch

from starmill.model.config import ModelConfig
from starmill.model.decoder import Decoder
from starmill.model.likelihood import log_likelihood


def test_it_is_the_sum_of_the_logits() -> None:
    decoder = Decoder(ModelConfig(50, 2, 32, 4, 2, 64, "rope", 8))
    decoder.init_weights(torch.Generator().manual_seed(0))
    ids = torch.randint(0, 50, (20,), generator=torch.Generator().manual_seed(1))

    def wanted(piece: torch.Tensor) -> float:
        logits = decoder(piece[None, :-1])[0].detach().log_softmax(-1)
        return float(logits[torch.arange(len(piece) - 1), piece[1:]].double().sum())

    assert log_likelihood(decoder, ids[:9].tolist()) == pytest.approx(wanted(ids[:9]), rel=1e-5)
    assert log_likelihood(decoder, ids.tolist()) == pytest.approx(
        wanted(ids[:9]) + wanted(ids[8:17]) + wanted(ids[16:]), rel=1e-5
    )
    assert log_likelihood(decoder, [3]) == 0.0
