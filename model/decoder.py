"""The decoder: pre-norm GPT blocks (model/block.py), biases everywhere, one class for every published size.

Shapes: B batch, T tokens, E hidden size, V vocabulary.
"""

import functools
import importlib.util
import math
from typing import Literal

import torch
from torch import nn

from starmill.model.attention import Mask
from starmill.model.block import Block, norm
from starmill.model.cache import Cache
from starmill.model.config import ModelConfig
from starmill.model.kernels.linear import Linear
from starmill.model.kernels.loss import next_token_loss, token_losses
from starmill.model.masks import blocks, dense
from starmill.model.positions import angles
from starmill.model.slots import Slots


class Decoder(nn.Module):
    """Token ids to logits. `kernel` computes attention over documents or windows; auto: flex where CUDA can compile it, else sdpa.

    >>> Decoder(ModelConfig(10, 1, 8, 2, 1, 16, "rope", 32))(torch.tensor([[1, 2, 3]])).shape
    torch.Size([1, 3, 10])
    """

    def __init__(self, config: ModelConfig, kernel: Literal["auto", "flex", "sdpa"] = "auto") -> None:
        """Make the modules; call `init_weights` for weights that a seed decides."""
        super().__init__()
        self.config, self.kernel = config, kernel
        self.tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.places = nn.Embedding(config.max_positions, config.hidden_size) if config.has_position_table else None
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList([Block(config) for _ in range(config.layers)])
        self.norm = norm(config)
        self.head = Linear(config.hidden_size, config.vocab_size, bias=False)
        self.tie()

    @classmethod
    def empty(cls, config: ModelConfig, device: str | torch.device = "meta", dtype: torch.dtype = torch.float32) -> "Decoder":
        """Return a decoder with uninitialized weights; on `meta`, with shapes alone.

        >>> decoder = Decoder.empty(ModelConfig(10, 1, 8, 2, 1, 16, "rope", 32))
        >>> decoder.tokens.weight.is_meta, decoder.tokens.weight.shape
        (True, torch.Size([10, 8]))
        """
        with torch.device("meta"):
            decoder = cls(config).to(dtype)
        if torch.device(device).type != "meta":
            decoder.to_empty(device=device)
        decoder.tie()
        return decoder

    def tie(self) -> None:
        """Make the head share the embedding's weights if the model ties them: moving or replacing parameters unties them."""
        if self.config.tie_embeddings:
            self.head.weight = self.tokens.weight

    @torch.no_grad()
    def init_weights(self, generator: torch.Generator) -> None:
        """Draw weights from Normal(0, init_std), projections into the residual stream 1/sqrt(2 * layers) of it (GPT-2, section 2.3)."""
        residual = self.config.init_std / math.sqrt(2 * self.config.layers)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            elif "norm" in name:
                parameter.fill_(1.0)
            else:
                std = residual if name.endswith(("output.weight", "down.weight")) else self.config.init_std
                parameter.normal_(0.0, std, generator=generator)

    def forward(
        self,
        tokens_BT: torch.Tensor,
        positions_BT: torch.Tensor | None = None,
        document_BT: torch.Tensor | None = None,
        cache: Cache | Slots | None = None,
        padding_BT: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return logits [B, T, V]; the arguments are those of `hidden`."""
        return self.head(self.hidden(tokens_BT, positions_BT, document_BT, cache, padding_BT))

    def loss(
        self,
        tokens_BT: torch.Tensor,
        targets_BT: torch.Tensor,
        z_loss: float = 0.0,
        positions_BT: torch.Tensor | None = None,
        document_BT: torch.Tensor | None = None,
        learned_BT: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the loss to minimize (model/kernels/loss.py) and the cross-entropy of each target, [B, T].

        `learned` is true for the targets that count, at least one; the others' cross-entropy is 0, and the head does not read them.
        """
        x_BTE = self.hidden(tokens_BT, positions_BT, document_BT)
        if learned_BT is not None:
            total, losses_N = next_token_loss(self.head, x_BTE[learned_BT], targets_BT[learned_BT], z_loss)
            return total, losses_N.new_zeros(targets_BT.shape).masked_scatter(learned_BT, losses_N)
        total, losses_N = next_token_loss(self.head, x_BTE.flatten(0, 1), targets_BT.flatten(), z_loss)
        return total, losses_N.view(targets_BT.shape)

    def target_losses(
        self,
        tokens_BT: torch.Tensor,
        targets_BT: torch.Tensor,
        positions_BT: torch.Tensor | None,
        document_BT: torch.Tensor | None,
        learned_BT: torch.Tensor,
    ) -> torch.Tensor:
        """Return the cross-entropy of each target that counts, [B, T], 0 for the others; each has gradients, unlike those of `loss`."""
        x_BTE = self.hidden(tokens_BT, positions_BT, document_BT)
        losses_N = token_losses(self.head, x_BTE[learned_BT], targets_BT[learned_BT])
        return losses_N.new_zeros(targets_BT.shape).masked_scatter(learned_BT, losses_N)

    def hits(self, tokens_BT: torch.Tensor, targets_BT: torch.Tensor, asked_BT: torch.Tensor) -> torch.Tensor:
        """Return, for the targets that are asked for, whether each is the likeliest token; true for the others, [B, T]."""
        right_N = self.head(self.hidden(tokens_BT)[asked_BT]).argmax(-1) == targets_BT[asked_BT]
        return torch.ones_like(asked_BT).masked_scatter(asked_BT, right_N)

    def hidden(
        self,
        tokens_BT: torch.Tensor,
        positions_BT: torch.Tensor | None = None,
        document_BT: torch.Tensor | None = None,
        cache: Cache | Slots | None = None,
        padding_BT: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the states that the head reads, [B, T, E]: few callers need all logits, the largest tensor of all.

        `positions` default to 0, 1, ...; `document` numbers keep attention within one document; `padding` is true for tokens that
        no query sees. Raises ValueError for a sequence that runs past max_positions (a learned table ends there, and RoPE was not trained
        on longer ones), for documents with a cache, and for a full cache.
        """
        if cache is not None and document_BT is not None:
            raise ValueError("a cache holds no document numbers; pass documents without a cache")
        B, T = tokens_BT.shape
        start = 0 if cache is None else cache.seen
        order_BT = torch.arange(start, start + T, device=tokens_BT.device).expand(B, T)
        if positions_BT is None:
            positions_BT = order_BT
        elif isinstance(cache, Slots):
            order_BT = positions_BT  # there rows do not advance alike
        if start + T > self.config.max_positions and int(positions_BT.max()) >= self.config.max_positions:
            raise ValueError(f"a sequence of {start + T} tokens is longer than max_positions={self.config.max_positions}")
        x_BTE = self.tokens(tokens_BT)
        rotation = None
        if self.places is not None:
            x_BTE = x_BTE + self.places(positions_BT)
        else:
            rotation = angles(positions_BT, self.config.head_size, self.config.rope_theta, self.config.rope_scaling)
        masks = self._masks(order_BT, document_BT, cache, padding_BT)
        x_BTE = self.dropout(x_BTE)
        for i, (block, window) in enumerate(zip(self.blocks, self.config.windows, strict=True)):
            x_BTE = block(x_BTE, rotation, masks[window], None if cache is None else functools.partial(cache.extend, i))
        if cache is not None:
            cache.advance(T)
        return self.norm(x_BTE)

    def _masks(
        self,
        order_BT: torch.Tensor,
        document_BT: torch.Tensor | None,
        cache: Cache | Slots | None,
        padding_BT: torch.Tensor | None,
    ) -> dict[int | None, Mask]:
        """Return the mask of each window that a layer has."""
        if padding_BT is not None:
            order_BT = order_BT.masked_fill(padding_BT, -1)
        keys = dict.fromkeys(self.config.windows, order_BT) if cache is None else cache.order(order_BT)
        if cache is not None and padding_BT is not None:
            cache.padded = True
        T, found = order_BT.shape[1], dict[int | None, Mask]()
        for window, keys_BS in keys.items():
            padded = padding_BT is not None if cache is None else cache.hides(window)
            plain = document_BT is None and not padded
            first = cache is None or cache.seen == 0
            if plain and ((cache is not None and T == 1) or (first and (window is None or window >= T))):
                # What one query may see is all that the ring holds; plain causal attention has kernels of its own.
                found[window] = None
            elif cache is None and not padded and self._flexible(order_BT.device):
                found[window] = blocks(order_BT.shape, order_BT.device, window, document_BT)
            elif plain:
                found[window] = dense(order_BT[:1], keys_BS[:1], window)  # all rows alike
            else:
                found[window] = dense(order_BT, keys_BS, window, document_BT)
        return found

    def _flexible(self, device: torch.device) -> bool:
        if self.kernel != "auto":
            return self.kernel == "flex"
        # FlexAttention has no dropout, and no kernel for heads of fewer than 16 elements.
        fits = self.config.head_size >= 16 and not (self.training and self.config.dropout > 0)
        return device.type == "cuda" and fits and importlib.util.find_spec("triton") is not None
