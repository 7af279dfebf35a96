"""A key-value cache whose rows come and go: all rows share one axis of time, on which they end side by side.

A row that joins is moved to where the others end. The order of a row's token is its position, so that rows need not advance alike: what
one row has at a place and another has not is hidden there, and rows are moved together once many places are hidden.
Shapes: B rows, T new tokens, S places, K key heads, D head size.
"""

from collections.abc import Callable

import torch

from starmill.model.config import ModelConfig


class Slots:
    """A cache as the decoder uses it (model/cache.py), whose rows come and go; a window is a mask here, and not a ring.

    >>> Slots(ModelConfig(10, 1, 8, 2, 1, 16, "rope", 32)).order(torch.arange(3)[None])
    {None: tensor([[0, 1, 2]])}
    """

    def __init__(self, config: ModelConfig) -> None:
        """Make an empty one."""
        self.windows, self.seen, self.padded = config.windows, 0, False
        self._layers: list[tuple[torch.Tensor, torch.Tensor] | None] = [None] * config.layers
        self._order_BS: torch.Tensor | None = None

    def hides(self, window: int | None) -> bool:
        """Say whether a query of a window may not see all that is here."""
        return self.padded or (window is not None and self.seen >= window)

    def order(self, order_BT: torch.Tensor) -> dict[int | None, torch.Tensor]:
        """Store the order of new tokens, before their keys; return that of all keys that `extend` will return, for each window."""
        self._order_BS = self._put(self._order_BS, order_BT, 1)
        return dict.fromkeys(self.windows, self._order_BS[:, : self.seen + order_BT.shape[1]])

    def extend(self, layer: int, k_BKTD: torch.Tensor, v_BKTD: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Store a layer's new keys and values; return all."""
        held = self._layers[layer] or (None, None)
        k_BKSD, v_BKSD = self._layers[layer] = self._put(held[0], k_BKTD, 2), self._put(held[1], v_BKTD, 2)
        upto = self.seen + k_BKTD.shape[2]
        return k_BKSD[:, :, :upto], v_BKSD[:, :, :upto]

    def advance(self, tokens: int) -> None:
        """Count new tokens as seen, after the last layer has their keys."""
        self.seen += tokens

    def keep(self, rows_R: torch.Tensor) -> None:
        """Have these rows, of which one may be meant several times."""
        self._each(lambda held, _: held[rows_R])

    def join(self, other: "Slots") -> None:
        """Take the rows of another one in, behind these; the last tokens of all lie side by side."""
        if self._order_BS is None:
            self.__dict__.update(other.__dict__)
            return
        longest = max(self.seen, other.seen)
        self._shift(longest - self.seen)
        other._shift(longest - other.seen)
        self.padded = True
        others = iter(other._all())
        self._each(lambda held, at: torch.cat([held.narrow(at, 0, longest), next(others).narrow(at, 0, longest)]))

    def forget(self, places: int, wrong_BT: torch.Tensor) -> None:
        """Hide those of the last places that are marked in a row, [B, places]; all lose the last ones that are marked in every row."""
        assert self._order_BS is not None
        stay = int((~wrong_BT).any(0).nonzero().max()) + 1
        self._order_BS[:, self.seen - places : self.seen].masked_fill_(wrong_BT, -1)
        self.seen -= places - stay
        self.padded = self.padded or bool(wrong_BT[:, :stay].any())

    def trim(self) -> None:
        """Move the tokens of every row together, once a quarter of all places has none of the row that has the most."""
        assert self._order_BS is not None
        here_BS = self._order_BS[:, : self.seen] >= 0
        most = int(here_BS.sum(1).max())
        if 4 * most > 3 * self.seen:
            return
        last_BS = here_BS.to(torch.uint8).argsort(dim=1, stable=True)[:, self.seen - most :]  # what hides nothing, in its order

        def moved(held: torch.Tensor, at: int) -> torch.Tensor:
            if at == 1:
                return held.gather(1, last_BS)
            return held.gather(2, last_BS[:, None, :, None].expand(-1, held.shape[1], -1, held.shape[3]))

        self._each(moved)
        self.seen, self.padded = most, True

    def _shift(self, places: int) -> None:
        """Move all rows to later places."""
        if places:
            self._each(
                lambda held, at: torch.cat(
                    [
                        held.new_full((*held.shape[:at], places, *held.shape[at + 1 :]), -1 if at == 1 else 0),
                        held.narrow(at, 0, self.seen),
                    ],
                    at,
                )
            )
            self.seen, self.padded = self.seen + places, True

    def _all(self) -> list[torch.Tensor]:
        return [self._order_BS, *(one for held in self._layers for one in (held or ()))]  # type: ignore[list-item]

    def _each(self, change: Callable[[torch.Tensor, int], torch.Tensor]) -> None:
        """Change all tensors; each is told which of its axes is of places. Keys and values follow the order, in the layers' order."""
        if self._order_BS is not None:
            self._order_BS = change(self._order_BS, 1)
        self._layers = [None if held is None else (change(held[0], 2), change(held[1], 2)) for held in self._layers]

    def _put(self, held: torch.Tensor | None, new: torch.Tensor, at: int) -> torch.Tensor:
        """Return what is held with new places behind those that were seen, in a buffer that grows by halves."""
        upto = self.seen + new.shape[at]
        if held is None or held.shape[at] < upto:
            size = upto if held is None else max(upto, held.shape[at] * 3 // 2 + 16)
            grown = new.new_zeros((*new.shape[:at], size, *new.shape[at + 1 :]))
            if held is not None:
                grown.narrow(at, 0, self.seen).copy_(held.narrow(at, 0, self.seen))
            held = grown
        held.narrow(at, self.seen, new.shape[at]).copy_(new)
        return held
