"""The encoder: BERT (Devlin et al. 2019) on the decoder's blocks, as StarEncoder is: every token sees every other.

In training it has BERT's two heads (section 3.1): the token behind a mask, through a transformation and the embedding's matrix, and whether
the second half of a pair follows the first. A tagger has one head in their place, over its labels.
Shapes: B batch, T tokens, E hidden size, V vocabulary, L labels, N masked tokens.
"""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from starmill.model.block import ACTIVATIONS, Block
from starmill.model.config import ModelConfig, TaggerConfig
from starmill.model.kernels.linear import Linear

NO_TARGET = -100  # of a token that is not predicted


class Losses(NamedTuple):
    """The loss to minimize, and for reports, without gradients: of each masked token ([B, T], 0 elsewhere) and of each pair ([B])."""

    total: torch.Tensor
    tokens_BT: torch.Tensor
    pairs_B: torch.Tensor


class Encoder(nn.Module):
    """Token ids to states, and by its heads to logits.

    >>> config = ModelConfig(10, 1, 8, 2, 2, 16, "learned", 32, attention="bidirectional")
    >>> Encoder(config)(torch.tensor([[1, 2, 3]])).shape
    torch.Size([1, 3, 8])
    """

    def __init__(self, config: ModelConfig) -> None:
        """Make the modules; call `init_weights` for weights that a seed decides. Raises ValueError for a decoder's configuration."""
        super().__init__()
        if not config.is_encoder:
            raise ValueError(f"attention={config.attention}: an encoder's is bidirectional")
        self.config, size = config, config.hidden_size
        self.tokens = nn.Embedding(config.vocab_size, size)
        self.places = nn.Embedding(config.max_positions, size)
        self.types = nn.Embedding(2, size)
        self.norm = nn.LayerNorm(size, eps=config.norm_epsilon)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList([Block(config) for _ in range(config.layers)])
        if isinstance(config, TaggerConfig):
            self.classifier = Linear(size, len(config.labels))
            return
        self.transform, self.pooler, self.next = Linear(size, size), Linear(size, size), Linear(size, 2)
        self.transform_norm = nn.LayerNorm(size, eps=config.norm_epsilon)
        self.token_bias = nn.Parameter(torch.zeros(config.vocab_size))

    @classmethod
    def empty(cls, config: ModelConfig, device: str | torch.device = "meta", dtype: torch.dtype = torch.float32) -> "Encoder":
        """Return an encoder with uninitialized weights; on `meta`, with shapes alone."""
        with torch.device("meta"):
            encoder = cls(config).to(dtype)
        return encoder if torch.device(device).type == "meta" else encoder.to_empty(device=device)

    def tie(self) -> None:
        """Do nothing: the head reads the embedding's matrix itself."""

    @torch.no_grad()
    def init_weights(self, generator: torch.Generator) -> None:
        """Draw weights from Normal(0, init_std), biases 0, norms 1 (BERT's own initialization)."""
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            elif "norm" in name:
                parameter.fill_(1.0)
            else:
                parameter.normal_(0.0, self.config.init_std, generator=generator)

    def forward(
        self, tokens_BT: torch.Tensor, padding_BT: torch.Tensor | None = None, types_BT: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return states [B, T, E]; `padding` is true for tokens that no other sees, `types` says which half of a pair (0, 1) holds a token.

        Raises ValueError for a sequence that is longer than max_positions.
        """
        B, T = tokens_BT.shape
        if self.config.max_positions < T:
            raise ValueError(f"a sequence of {T} tokens is longer than max_positions={self.config.max_positions}")
        types_BT = torch.zeros_like(tokens_BT) if types_BT is None else types_BT
        places_T = torch.arange(T, device=tokens_BT.device)
        x_BTE = self.dropout(self.norm(self.tokens(tokens_BT) + self.types(types_BT) + self.places(places_T)))
        mask = None if padding_BT is None else (~padding_BT)[:, None, None, :].expand(B, 1, T, T)
        for block in self.blocks:
            x_BTE = block(x_BTE, None, mask, None)
        return x_BTE

    def labels(self, tokens_BT: torch.Tensor, padding_BT: torch.Tensor | None = None) -> torch.Tensor:
        """Return a tagger's logits [B, T, L]."""
        logits_BTL: torch.Tensor = self.classifier(self.dropout(self(tokens_BT, padding_BT)))
        return logits_BTL

    def heads(
        self, tokens_BT: torch.Tensor, padding_BT: torch.Tensor | None = None, types_BT: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the logits of training: every token's [B, T, V], and whether the pair's second half follows (index 0) or not [B, 2]."""
        x_BTE = self(tokens_BT, padding_BT, types_BT)
        return self._words(x_BTE), self._pairs(x_BTE)

    def loss(
        self,
        tokens_BT: torch.Tensor,
        targets_BT: torch.Tensor,
        is_random_B: torch.Tensor,
        padding_BT: torch.Tensor,
        types_BT: torch.Tensor,
    ) -> Losses:
        """Return MLM's and NSP's losses; a target is NO_TARGET where nothing is masked. Logits are made of the masked tokens only."""
        x_BTE = self(tokens_BT, padding_BT, types_BT)
        masked_BT = targets_BT != NO_TARGET
        losses_N = F.cross_entropy(self._words(x_BTE[masked_BT]).float(), targets_BT[masked_BT], reduction="none")
        pairs_B = F.cross_entropy(self._pairs(x_BTE).float(), is_random_B, reduction="none")
        told_BT = torch.zeros_like(targets_BT, dtype=torch.float32)
        told_BT[masked_BT] = losses_N.detach()
        return Losses(losses_N.sum() / max(1, len(losses_N)) + pairs_B.mean(), told_BT, pairs_B.detach())

    def _words(self, x: torch.Tensor) -> torch.Tensor:
        x = self.transform_norm(ACTIVATIONS[self.config.activation](self.transform(x)))
        return F.linear(x, self.tokens.weight, self.token_bias)

    def _pairs(self, x_BTE: torch.Tensor) -> torch.Tensor:
        logits_B2: torch.Tensor = self.next(torch.tanh(self.pooler(x_BTE[:, 0])))
        return logits_B2
