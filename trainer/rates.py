"""The section `optimizer` of a recipe: what learns each weight, at which rate. Steps, unless a name says otherwise."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from msgspec import Meta

from starmill.core.names import AtLeast0, ShareBelow1
from starmill.model.config import Width

Amount = Annotated[float, Meta(ge=0, le=1000)]
Rate = Annotated[float, Meta(ge=0, le=10)]


@dataclass(frozen=True)
class Muon:
    """Muon (kellerjordan.github.io/posts/muon) for the matrices of blocks: the momentum, made orthogonal by Newton-Schulz iterations.

    `scale` rms is Moonshot's (arXiv 2502.16982, section 2.2), at which AdamW's rate and weight decay suit; shape is Jordan's.

    >>> Muon(momentum=0.9).scale
    'rms'
    """

    lr: Rate | None = None  # highest rate of these matrices; null: optimizer.lr
    momentum: ShareBelow1 = 0.95  # decay of the gradients' mean
    nesterov: bool = True  # look ahead by one step of the momentum
    iterations: Annotated[int, Meta(ge=1, le=20)] = 5  # of Newton and Schulz
    scale: Literal["rms", "shape"] = "rms"  # of an update: 0.2 sqrt(longer side), or sqrt(max(1, rows / columns))
    precision: Literal["bfloat16", "float32"] = "bfloat16"  # of the iterations


@dataclass(frozen=True)
class AdamW:
    """StarCoder's optimizer (beta2 0.95, decay 0.1, clip 1.0), linear warm-up, cosine to `min_lr`. `clip` 0: no clipping.

    The rate is `lr` until it falls over the last `decay_steps`: null for all steps after the warm-up, a number for WSD (warm-up, stable,
    decay; arXiv 2404.06395), 0 for a constant rate. Before it falls, nothing depends on how many `steps` are planned: a run that is
    done goes on with more, and `branch` lets its rate fall from any checkpoint. `1-sqrt` is from arXiv 2405.18392.

    With `base_width`, lr and model.init_std are those of a model so wide, and hold at any width (muP, arXiv 2203.03466, table 8): rates
    and initial variances of the matrices of blocks, and the logits, are divided by hidden_size / base_width, their weight decay is
    multiplied by it. Keep the heads' size: attention is scaled by its root.

    >>> AdamW(lr=3e-4, min_lr=3e-5, warmup_steps=1000, decay="1-sqrt", decay_steps=5000).beta2
    0.95
    """

    lr: Rate  # highest learning rate
    min_lr: Rate  # learning rate of the last step
    warmup_steps: AtLeast0  # over which the rate climbs from 0
    decay: Literal["cosine", "linear", "1-sqrt"] = "cosine"  # how the rate falls
    decay_steps: AtLeast0 | None = None  # last steps, over which it falls; null: all after the warm-up; 0: none
    beta1: ShareBelow1 = 0.9  # decay of the gradients' mean
    beta2: ShareBelow1 = 0.95  # decay of the squares' mean
    epsilon: Annotated[float, Meta(gt=0, le=1)] = 1e-8  # added to the root of the squares' mean
    weight_decay: Amount = 0.1  # times the learning rate: the share of a weight that a step subtracts
    clip: Amount = 1.0  # highest norm of the gradients; 0: no limit
    z_loss: Amount = 0.0  # factor of the mean square of the logits' log-sum-exp (PaLM, section 5: 1e-4)
    embedding_weight_decay: Amount | None = None  # of matrices outside blocks: embeddings and head; null: weight_decay
    vector_weight_decay: Amount = 0.0  # of norms and biases
    muon: Muon | None = None  # for the matrices of blocks; null: AdamW for all
    base_width: Width | None = None  # hidden size of the model that lr was found for; null: this one's
    average: ShareBelow1 = 0.0  # decay of the weights' moving average (EMA), which checkpoints hold beside them; 0: none

    def __post_init__(self) -> None:
        """Refuse a learning rate that would rise, and two rules of width."""
        if self.min_lr > self.lr:
            raise ValueError(
                f"optimizer.min_lr={self.min_lr} is above optimizer.lr={self.lr}; the rate falls from lr to min_lr"
            )
        if self.muon is not None and self.base_width is not None:
            raise ValueError(
                f"optimizer.base_width={self.base_width} with optimizer.muon: muon.scale sets the size of an update; give one of them"
            )
        if self.muon is not None and self.muon.lr is not None and not self.lr:
            raise ValueError("optimizer.lr=0 with optimizer.muon.lr: the rate of Muon is a multiple of lr; set lr above 0")


# Fields that an optimizer had not at first, and their values then: with these, a run is the run that it was.
ADDED: dict[str, Any] = {
    name: getattr(AdamW, name) for name in ("embedding_weight_decay", "vector_weight_decay", "muon", "base_width", "average")
}
