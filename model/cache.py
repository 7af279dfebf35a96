"""The key-value cache of generation: buffers of a fixed size; under a sliding window, ring buffers of the window's size.

Layers may differ in their windows. Slot = order of the token modulo the size. Shapes: B batch, T new tokens, S slots, K key heads, D head
size.
"""

from dataclasses import dataclass

import torch

from starmill.model.config import ModelConfig


@dataclass
class Ring:
    """What the layers of one window share: their size, whether it rolls, and the order of each key that they hold."""

    size: int
    rolling: bool
    order_BS: torch.Tensor | None = None


class Cache:
    """Keys and values of the tokens so far, and the order of every key (negative: padding).

    >>> cache = Cache(ModelConfig(10, 1, 8, 2, 1, 16, "rope", 32), capacity=4)
    >>> k_B1TD = torch.zeros(1, 1, 3, 4)
    >>> cache.order(torch.arange(3)[None]), cache.extend(0, k_B1TD, k_B1TD)[0].shape
    ({None: tensor([[0, 1, 2]])}, torch.Size([1, 1, 3, 4]))
    """

    def __init__(self, config: ModelConfig, capacity: int) -> None:
        """Make an empty cache for `capacity` tokens per row; the first token allocates the buffers."""
        self.windows = config.windows
        self.rings = {
            w: Ring(capacity if w is None else min(capacity, w), w is not None and w <= capacity) for w in self.windows
        }
        self.seen = 0
        self.padded = False
        self._layers: list[tuple[torch.Tensor, torch.Tensor] | None] = [None] * config.layers

    def hides(self, window: int | None) -> bool:
        """Say whether a query may not see all that layers of a window hold."""
        return self.padded

    def order(self, order_BT: torch.Tensor) -> dict[int | None, torch.Tensor]:
        """Store the order of new tokens, before their keys; return, for each window, that of all keys that `extend` will return.

        Raises ValueError for more tokens than the cache was made for.
        """
        upto = self.seen + order_BT.shape[1]
        if full := next((ring for ring in self.rings.values() if upto > ring.size and not ring.rolling), None):
            raise ValueError(f"{upto} tokens do not fit a cache for {full.size}; make a larger one")
        found = {}
        for window, ring in self.rings.items():
            if ring.order_BS is None:
                ring.order_BS = order_BT.new_full((order_BT.shape[0], ring.size), -1)
            found[window] = self._put(ring.order_BS[:, None, :, None], order_BT[:, None, :, None])[:, 0, :, 0]
        return found

    def extend(self, layer: int, k_BKTD: torch.Tensor, v_BKTD: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Store a layer's new keys and values; return those of earlier tokens, then the new (one new token: in the ring's order)."""
        held = self._layers[layer]
        if held is None:
            shape = (*k_BKTD.shape[:2], self.rings[self.windows[layer]].size, k_BKTD.shape[-1])
            held = self._layers[layer] = (k_BKTD.new_zeros(shape), v_BKTD.new_zeros(shape))
        return self._put(held[0], k_BKTD), self._put(held[1], v_BKTD)

    def advance(self, tokens: int) -> None:
        """Count new tokens as seen, after the last layer has their keys."""
        self.seen += tokens

    def keep(self, rows_R: torch.Tensor) -> None:
        """Forget all rows but these."""
        self._layers = [None if held is None else (held[0][rows_R], held[1][rows_R]) for held in self._layers]
        for ring in self.rings.values():
            ring.order_BS = None if ring.order_BS is None else ring.order_BS[rows_R]

    def _put(self, held_BKSD: torch.Tensor, new_BKTD: torch.Tensor) -> torch.Tensor:
        T, size = new_BKTD.shape[2], held_BKSD.shape[2]
        if T == 1:
            held_BKSD[:, :, self.seen % size] = new_BKTD[:, :, 0]
            return held_BKSD[:, :, : min(self.seen + 1, size)]
        # The first of many new tokens still see keys that the last ones overwrite.
        past_BKSD = held_BKSD[:, :, : min(self.seen, size)]
        everything = new_BKTD if self.seen == 0 else torch.cat([past_BKSD, new_BKTD], dim=2)
        last = min(T, size)
        slots_T = torch.arange(self.seen + T - last, self.seen + T, device=new_BKTD.device) % size
        held_BKSD[:, :, slots_T] = new_BKTD[:, :, T - last :]
        return everything
