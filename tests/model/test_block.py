"""A block beside its formula, with norms before and behind the sums."""

import dataclasses

import pytest
import torch
from torch.nn import functional as F

from starmill.model.block import Block
from starmill.model.config import ModelConfig

BEFORE = ModelConfig(10, 1, 16, 4, 4, 32, "learned", 32)
BEHIND = dataclasses.replace(BEFORE, attention="bidirectional", activation="gelu")


@pytest.mark.parametrize("config", [BEFORE, BEHIND], ids=["decoder", "encoder"])
def test_a_block_is_its_formula(config: ModelConfig) -> None:
    torch.manual_seed(0)
    block, x = Block(config).eval(), torch.randn(2, 5, 16)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.normal_(0, 0.3)

    def mlp(x: torch.Tensor) -> torch.Tensor:
        return block.down(F.gelu(block.up(x), approximate="tanh" if config is BEFORE else "none"))

    if config is BEFORE:
        wanted = x + block.attention(block.attention_norm(x), None, None)
        wanted = wanted + mlp(block.mlp_norm(wanted))
    else:
        wanted = block.attention_norm(x + block.attention(x, None, None))
        wanted = block.mlp_norm(wanted + mlp(wanted))
    assert torch.allclose(block(x, None, None, None), wanted, atol=1e-6)
