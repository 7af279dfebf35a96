"""The key-value cache of generation: buffers of a fixed size; under a sliding window, ring buffers of the window's size.

Slot = order of the token modulo the size. Shapes: B batch, T new tokens, S slots, K key heads, D head size.
"""

import torch

from starmill.model.config import ModelConfig


class Cache:
    """Keys and values of the tokens so far, and the order of every key (negative: padding).

    >>> cache = Cache(ModelConfig(10, 1, 8, 2, 1, 16, "rope", 32), capacity=4)
    >>> k_B1TD = torch.zeros(1, 1, 3, 4)
    >>> cache.order(torch.arange(3)[None]), cache.extend(0, k_B1TD, k_B1TD)[0].shape
    (tensor([[0, 1, 2]]), torch.Size([1, 1, 3, 4]))
    """

    def __init__(self, config: ModelConfig, capacity: int) -> None:
        """Make an empty cache for `capacity` tokens per row; the first token allocates the buffers."""
        self.size = capacity if config.sliding_window is None else min(capacity, config.sliding_window)
        self.rolling = config.sliding_window is not None and self.size == config.sliding_window
        self.seen = 0
        self.padded = False
        self._layers: list[tuple[torch.Tensor, torch.Tensor] | None] = [None] * config.layers
        self._order_BS: torch.Tensor | None = None

    def order(self, order_BT: torch.Tensor) -> torch.Tensor:
        """Store the order of new tokens, before their keys; return the order of all keys that `extend` will return.

        Raises ValueError for more tokens than the cache was made for.
        """
        if self.seen + order_BT.shape[1] > self.size and not self.rolling:
            raise ValueError(f"{self.seen + order_BT.shape[1]} tokens do not fit a cache for {self.size}; make a larger one")
        if self._order_BS is None:
            self._order_BS = order_BT.new_full((order_BT.shape[0], self.size), -1)
        return self._put(self._order_BS[:, None, :, None], order_BT[:, None, :, None])[:, 0, :, 0]

    def extend(self, layer: int, k_BKTD: torch.Tensor, v_BKTD: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Store a layer's new keys and values; return those of earlier tokens, then the new (one new token: in the ring's order)."""
        held = self._layers[layer]
        if held is None:
            shape = (*k_BKTD.shape[:2], self.size, k_BKTD.shape[-1])
            held = self._layers[layer] = (k_BKTD.new_zeros(shape), v_BKTD.new_zeros(shape))
        return self._put(held[0], k_BKTD), self._put(held[1], v_BKTD)

    def advance(self, tokens: int) -> None:
        """Count new tokens as seen, after the last layer has their keys."""
        self.seen += tokens

    def keep(self, rows_R: torch.Tensor) -> None:
        """Forget all rows but these."""
        self._layers = [None if held is None else (held[0][rows_R], held[1][rows_R]) for held in self._layers]
        self._order_BS = None if self._order_BS is None else self._order_BS[rows_R]

    def _put(self, held_BKSD: torch.Tensor, new_BKTD: torch.Tensor) -> torch.Tensor:
        T = new_BKTD.shape[2]
        if T == 1:
            held_BKSD[:, :, self.seen % self.size] = new_BKTD[:, :, 0]
            return held_BKSD[:, :, : min(self.seen + 1, self.size)]
        # The first of many new tokens still see keys that the last ones overwrite.
        past_BKSD = held_BKSD[:, :, : min(self.seen, self.size)]
        everything = new_BKTD if self.seen == 0 else torch.cat([past_BKSD, new_BKTD], dim=2)
        last = min(T, self.size)
        slots_T = torch.arange(self.seen + T - last, self.seen + T, device=new_BKTD.device) % self.size
        held_BKSD[:, :, slots_T] = new_BKTD[:, :, T - last :]
        return everything
