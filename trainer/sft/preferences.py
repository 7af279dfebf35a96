"""Direct preference optimization (Rafailov et al. 2023, arXiv 2305.18290, equation 7): the loss of pairs, and their reference.

The reference is the model as the run begins: its log-probabilities of all responses are computed once, before the first step, and kept in
`output/reference.safetensors`, from which the run goes on. A file that is lost is made again from `weights`.
Shapes: P pairs, W windows of two a pair, the chosen response's before the rejected one's, T tokens.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from torch.nn import functional as F

from starmill.core.files import replacing
from starmill.trainer.data.corpus import Batch
from starmill.trainer.data.inputs import Inputs
from starmill.trainer.parallel import Ranks
from starmill.trainer.sft.corpus import Conversations
from starmill.trainer.sft.options import Dpo

FILE = "reference.safetensors"
Reference = tuple[np.ndarray, np.ndarray]  # log-probabilities of training and held-out responses, float32


def objective(chosen_P: torch.Tensor, rejected_P: torch.Tensor, options: Dpo) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the loss and the margin of rewards of each pair, from how far the log-probabilities are above the reference's, in nats.

    With label smoothing e the loss is (1 - e) of that of the pair and e of that of the pair the other way round (Mitchell 2023).

    >>> objective(torch.tensor([0.0]), torch.tensor([0.0]), Dpo())
    (tensor([0.6931]), tensor([0.]))
    """
    margin_P = options.beta * (chosen_P - rejected_P)
    smoothed = options.label_smoothing
    return -(1 - smoothed) * F.logsigmoid(margin_P) - smoothed * F.logsigmoid(-margin_P), margin_P


def kept(found: Inputs, output: Path, key: str, ranks: Ranks) -> Reference | None:
    """Return the log-probabilities that an output has under this key; None where there are none, or not all. All ranks call this."""
    train, held_out = (len(corpus.units) for corpus in (found.train, found.held_out))
    return ranks.gathered(_read(output / FILE, key, (train,), (held_out,)))[0]


def computed(found: Inputs, output: Path, key: str, ranks: Ranks, losses: Callable[[Batch], torch.Tensor]) -> Reference:
    """Compute the log-probabilities, and keep them under this key; all ranks call this.

    `losses` gives each target's loss [W, T] under the weights of the beginning; `key` names all that they depend on.
    """
    assert isinstance(found.train, Conversations) and isinstance(found.held_out, Conversations)
    made = _computed(found.train, ranks, losses), _computed(found.held_out, ranks, losses)
    if ranks.rank == 0:
        output.mkdir(parents=True, exist_ok=True)
        with replacing(output / FILE) as temporary:
            save_file({"train": made[0], "held_out": made[1]}, temporary, metadata={"key": key})
    return made


def beside(found: Inputs, reference: Reference) -> Inputs:
    """Return the inputs with the reference beside their responses."""
    assert isinstance(found.train, Conversations) and isinstance(found.held_out, Conversations)
    train, held_out = replace(found.train, reference=reference[0]), replace(found.held_out, reference=reference[1])
    return replace(found, train=train, held_out=held_out)


def _read(path: Path, key: str, *shapes: tuple[int, ...]) -> Reference | None:
    try:
        with safe_open(path, "np") as tensors:
            if (tensors.metadata() or {}).get("key") != key:
                return None
            train, held_out = tensors.get_tensor("train"), tensors.get_tensor("held_out")
    except (OSError, SafetensorError):
        return None
    whole = all(part.dtype == np.float32 and np.isfinite(part).all() for part in (train, held_out))
    return (train, held_out) if whole and (train.shape, held_out.shape) == shapes else None


@torch.no_grad()
def _computed(corpus: Conversations, ranks: Ranks, losses: Callable[[Batch], torch.Tensor]) -> np.ndarray:
    """Return the log-probability of each response, float32; windows of about one length go together, as many on each rank."""
    order = np.argsort(np.diff(corpus.units.first), kind="stable")
    found, size = np.zeros(len(order), np.float32), corpus.options.micro_batch
    for turn in range(math.ceil(len(order) / (size * ranks.data_ranks))):
        first = (turn * ranks.data_ranks + ranks.data) * size
        mine = order[np.arange(first, first + size) % len(order)]  # the last ones are made up from the first
        told = -losses(corpus.batch([[int(one)] for one in mine])).double().sum(1).cpu().numpy()
        for which, values in ranks.gathered((mine, told)):
            found[which] = values
    return found
