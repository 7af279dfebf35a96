"""The decoder: pre-norm GPT blocks, biases everywhere, one class for StarCoder and StarCoder2 sizes.

Shapes: B batch, T tokens, E hidden size, V vocabulary.
"""

import math
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn import functional as F

from starmill.model.attention import Attention, LayerCache, mask
from starmill.model.config import ModelConfig
from starmill.model.positions import angles


@dataclass
class Cache:
    """What generation keeps of the tokens so far: a cache a layer, and the order of every key (negative: padding)."""

    layers: list[LayerCache]
    order_BS: torch.Tensor | None = field(default=None)


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, config: ModelConfig) -> None:
        """Make one block."""
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.hidden_size, eps=config.norm_epsilon)
        self.attention = Attention(config)
        self.mlp_norm = nn.LayerNorm(config.hidden_size, eps=config.norm_epsilon)
        self.up = nn.Linear(config.hidden_size, config.mlp_size)
        self.down = nn.Linear(config.mlp_size, config.hidden_size)
        self.dropout = nn.Dropout(config.dropout)
        self.approximate = "tanh" if config.activation == "gelu_tanh" else "none"

    def forward(
        self,
        x_BTE: torch.Tensor,
        rotation: tuple[torch.Tensor, torch.Tensor] | None,
        mask_B1TS: torch.Tensor | None,
        cache: LayerCache | None,
    ) -> torch.Tensor:
        """Return [B, T, E]."""
        x_BTE = x_BTE + self.dropout(self.attention(self.attention_norm(x_BTE), rotation, mask_B1TS, cache))
        hidden = F.gelu(self.up(self.mlp_norm(x_BTE)), approximate=self.approximate)
        return x_BTE + self.dropout(self.down(hidden))


class Decoder(nn.Module):
    """Token ids to logits."""

    def __init__(self, config: ModelConfig) -> None:
        """Make the modules; call `init_weights` for weights that a seed decides."""
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.places = nn.Embedding(config.max_positions, config.hidden_size) if config.positions == "learned" else None
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList([Block(config) for _ in range(config.layers)])
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.norm_epsilon)
        self.head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        if config.tie_embeddings:
            self.head.weight = self.tokens.weight

    @torch.no_grad()
    def init_weights(self, generator: torch.Generator) -> None:
        """Normal(0, init_std); projections into the residual stream by 1/sqrt(2 * layers) less (GPT-2, section 2.3)."""
        residual = self.config.init_std / math.sqrt(2 * self.config.layers)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            elif "norm" in name:
                parameter.fill_(1.0)
            else:
                std = residual if name.endswith(("output.weight", "down.weight")) else self.config.init_std
                parameter.normal_(0.0, std, generator=generator)

    def empty_cache(self) -> Cache:
        """Return a cache for generation."""
        return Cache([LayerCache() for _ in self.blocks])

    def forward(
        self,
        tokens_BT: torch.Tensor,
        positions_BT: torch.Tensor | None = None,
        document_BT: torch.Tensor | None = None,
        cache: Cache | None = None,
        padding_BT: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return logits [B, T, V]; the arguments are those of `hidden`."""
        return self.head(self.hidden(tokens_BT, positions_BT, document_BT, cache, padding_BT))

    def hidden(
        self,
        tokens_BT: torch.Tensor,
        positions_BT: torch.Tensor | None = None,
        document_BT: torch.Tensor | None = None,
        cache: Cache | None = None,
        padding_BT: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return what the head reads, [B, T, E], for those who need few of the logits: they are the largest tensor of all.

        `positions` default to 0, 1, ...; `document` numbers keep attention within one document; `padding` is true for tokens that
        nobody may look at. Raises ValueError for positions that a learned table does not have, and for documents with a cache.
        """
        if cache is not None and document_BT is not None:
            raise ValueError("a cache holds no document numbers; pass documents without a cache")
        T = tokens_BT.shape[1]
        start = 0 if cache is None or cache.order_BS is None else cache.order_BS.shape[1]
        order_BT = torch.arange(start, start + T, device=tokens_BT.device).expand(tokens_BT.shape)
        if positions_BT is None:
            positions_BT = order_BT
        x_BTE = self.tokens(tokens_BT)
        rotation = None
        if self.places is not None:
            if start + T > self.config.max_positions and int(positions_BT.max()) >= self.config.max_positions:
                raise ValueError(f"a sequence of {start + T} tokens is longer than max_positions={self.config.max_positions}")
            x_BTE = x_BTE + self.places(positions_BT)
        else:
            rotation = angles(positions_BT, self.config.head_size, self.config.rope_theta)
        mask_B1TS = self._mask(order_BT, document_BT, cache, padding_BT)
        x_BTE = self.dropout(x_BTE)
        for i, block in enumerate(self.blocks):
            x_BTE = block(x_BTE, rotation, mask_B1TS, None if cache is None else cache.layers[i])
        return self.norm(x_BTE)

    def _mask(
        self,
        order_BT: torch.Tensor,
        document_BT: torch.Tensor | None,
        cache: Cache | None,
        padding_BT: torch.Tensor | None,
    ) -> torch.Tensor | None:
        window = self.config.sliding_window
        wide = window is None or window >= order_BT.shape[1]
        if cache is None and document_BT is None and padding_BT is None and wide:
            return None  # plain causal attention has kernels of its own
        if padding_BT is not None:
            order_BT = order_BT.masked_fill(padding_BT, -1)
        keys_BS = order_BT
        if cache is not None:
            keys_BS = order_BT if cache.order_BS is None else torch.cat([cache.order_BS, order_BT], dim=1)
            cache.order_BS = keys_BS
        same_BTS = None if document_BT is None else document_BT[:, :, None] == document_BT[:, None, :]
        return mask(order_BT, keys_BS, window, same_BTS)
