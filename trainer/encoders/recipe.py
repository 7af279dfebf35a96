"""The shape of a tagger's recipe; the values are in recipes/encoders/*.yaml."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from starmill.core import recipe
from starmill.core.names import AtLeast1, Place, Seed, ShareBelow1
from starmill.model.config import Length
from starmill.trainer.config import AdamW, Cores, Model, with_preset

Kind = Annotated[str, Meta(pattern=r"^[A-Z][A-Z_]{1,40}\Z", description="a type of personal data, such as NAME")]


@dataclass(frozen=True)
class TaggerRecipe:
    """Fine-tunes a tagger on annotated texts; `base` is an encoder's folder, or else `model` starts from random weights.

    Stops where `patience` evaluations in a row gain less than `least_gain` in F1 of entities (StarPII: 15, 0.01). The best weights stay.
    """

    train: tuple[Place, ...]  # files or folders of annotated texts (JSONL, parquet)
    output: Place  # folder of the tagger and metrics.jsonl
    optimizer: AdamW
    steps: AtLeast1  # of the optimizer, at most
    held_out: tuple[Place, ...] = ()  # files of annotated texts that are never trained on; none: a share of `train`
    held_out_share: ShareBelow1 = 0.1  # of the texts of `train`, where `held_out` names none
    base: Place | None = None  # folder of an encoder, with its tokenizer; null: random weights
    model: Model | None = None  # where `base` is null: a preset's name, or all fields
    vocab_size: Annotated[int, Meta(ge=300, le=65_000)] = 4096  # tokens of the tokenizer that is trained where `base` is null
    kinds: tuple[Kind, ...] = ("NAME", "EMAIL", "KEY", "PASSWORD", "IP_ADDRESS", "USERNAME")  # what it tells apart
    class_weights: Literal["balanced", "none"] = "balanced"  # balanced: by the root of how rare a label is
    sequence_length: Length = 512  # tokens of a window, special tokens included
    batch: Length = 64  # windows of a step
    evaluate_every: AtLeast1 = 100  # steps
    patience: AtLeast1 = 15  # evaluations
    least_gain: Annotated[float, Meta(ge=0, le=1)] = 0.01  # of F1
    unlabelled: tuple[Place, ...] = ()  # folders of texts that a first model labels; a second one learns from them, too
    confidence: Annotated[float, Meta(ge=0, le=1)] = (
        0.95  # least mean probability of each span of a text that is learned from so
    )
    seed: Seed = 0  # of weights, order, dropout and the held-out share
    threads: Cores = 2  # on a CPU
    device: Literal["auto", "cpu", "cuda"] = "auto"  # auto: a GPU where there is one

    def __post_init__(self) -> None:
        """Refuse a recipe without a start, equal kinds, and a warm-up longer than the run."""
        if (self.base is None) == (self.model is None):
            raise ValueError("base and model: give one of them, a folder to start from or the shape of a new encoder")
        if len(set(self.kinds)) < len(self.kinds) or not self.kinds:
            raise ValueError(f"kinds={list(self.kinds)}: give each type once")
        if self.optimizer.warmup_steps >= self.steps:
            raise ValueError(f"optimizer.warmup_steps={self.optimizer.warmup_steps} must be below steps={self.steps}")

    @property
    def labels(self) -> tuple[str, ...]:
        """O, then B- and I- of each kind: the released label scheme."""
        return ("O", *(f"{mark}-{kind}" for kind in self.kinds for mark in "BI"))


def load(path: str, overrides: list[str], output: str | None = None) -> TaggerRecipe:
    """Read a tagger's recipe; `overrides` are the command's --set, `output` replaces the recipe's. Raises RecipeError."""
    values: dict[str, Any] = recipe.override(recipe.read(path), overrides) | ({"output": str(Path(output))} if output else {})
    if "model" in values:
        values["model"] = with_preset(values["model"], path)
    return recipe.build(TaggerRecipe, values, where=path)
