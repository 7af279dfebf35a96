"""Losses of a step by kind and language of the units that they are of, and the norms of weights and of a step's change."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from starmill.trainer.data.corpus import Batch
from starmill.trainer.data.units import Units
from starmill.trainer.parallel import Ranks, copies, local

COLUMNS = ("kind", "language")


class Tally:
    """Adds up the losses of one step's micro-batches on this rank.

    A token counts for the kind and the language of its whole unit, FIM's sentinels too, so that no file is looked up.
    """

    def __init__(self, units: Units) -> None:
        """Start at nothing."""
        self._units = units
        self._sums, self._counts = (np.zeros((len(COLUMNS), len(units.names))) for _ in range(2))

    def add(self, batch: Batch, losses: torch.Tensor, origin: np.ndarray) -> None:
        """Add float32 losses [windows, places], each of the token `origin` of its window, -1 for none."""
        firsts = np.cumsum(
            [0, *(row[-1] + 1 for row in batch.documents[:-1])]
        )  # of each window's units among those of the batch
        documents = np.take_along_axis(batch.documents, np.maximum(origin, 0), 1) + firsts[:, None]
        counted = origin >= 0
        units, values = np.array(batch.units)[documents[counted]], losses.double().cpu().numpy()[counted]
        for row, column in enumerate(COLUMNS):
            names = self._units.places[column][units]
            self._sums[row] += np.bincount(names, values, len(self._units.names))
            self._counts[row] += np.bincount(names, minlength=len(self._units.names))

    def means(self, ranks: Ranks) -> dict[str, Any]:
        """Return the mean losses over all ranks, which all call this: `loss_by_kind` and `loss_by_language`, by name."""
        both = np.array(ranks.sums(*self._sums.ravel(), *self._counts.ravel())).reshape(2, len(COLUMNS), -1)
        return {
            f"loss_by_{column}": {
                name: float(total / count)
                for name, total, count in sorted(zip(self._units.names, *both[:, row], strict=True))
                if count and name
            }
            for row, column in enumerate(COLUMNS)
        }


class Norms:
    """Keeps a copy of this rank's weights, to tell how far a step moves them."""

    def __init__(self, parameters: Iterable[torch.nn.Parameter], ranks: Ranks) -> None:
        """Copy the weights, before the step."""
        self._parameters, self._ranks = list(parameters), ranks
        self._before = [local(p.detach()).clone() for p in self._parameters]

    def after(self) -> dict[str, float]:
        """Return the norms of all weights and of their change; all ranks call this."""
        now = [local(p.detach()) for p in self._parameters]
        shares = [1 / copies(p, self._ranks) for p in self._parameters]

        def squares(tensors: list[torch.Tensor]) -> float:
            return sum(share * t.double().square().sum().item() for share, t in zip(shares, tensors, strict=True))

        moved = [a - b for a, b in zip(now, self._before, strict=True)]
        # Tensor ranks' pieces count too: the sum over data ranks divides by their number.
        totals = self._ranks.sums(*(squares(tensors) * self._ranks.tensor_ranks for tensors in (now, moved)))
        return {"weight_norm": totals[0] ** 0.5, "update_norm": totals[1] ** 0.5}
