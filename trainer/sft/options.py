"""The sections of a training recipe for fine-tuning: conversations and adapters."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from msgspec import Meta


@dataclass(frozen=True)
class Sft:
    """Supervised fine-tuning: the workspace's `folder` holds conversations (core/conversations.py) and only responses are learned.

    `weights` is the model to tune, whose tokenizer and chat template are used; a conversation longer than data.sequence_length is cut.

    >>> Sft(packing=True).folder
    'instructions'
    """

    folder: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$", description="the name of a folder")] = (
        "instructions"
    )
    template: str | None = None  # Jinja; null: the chat template in the folder of `weights`
    packing: bool = False  # whole conversations share a window, and none sees another (needs data.mask_documents)


@dataclass(frozen=True)
class Lora:
    """LoRA: the weights stay, and adapters of this rank beside them learn. `output/adapter` has peft's format, `output/model` the sum.

    >>> Lora(rank=8).targets[:2]
    ('query', 'key')
    """

    rank: Annotated[int, Meta(ge=1, le=4096)] = 16  # of what is added to a matrix
    alpha: Annotated[float, Meta(gt=0, le=1e5)] = 32.0  # what is added is multiplied by alpha / rank
    targets: tuple[Literal["query", "key", "value", "output", "gate", "up", "down"], ...] = ("query", "key", "value", "output")


def refuse_misfits(recipe: Any) -> None:
    """Raise ValueError for sections that do not fit the rest of a TrainRecipe."""
    if recipe.lora is not None and (recipe.weights is None or recipe.model.has_position_table or recipe.parallel.tensor > 1):
        raise ValueError("lora: give the `weights` of a decoder with RoPE, and parallel.tensor=1")
    if recipe.sft is None:
        return
    if recipe.weights is None or recipe.model.is_encoder:
        raise ValueError(f"sft: weights={recipe.weights}; give the folder of a decoder, whose tokenizer is used")
    for name in ("ramp", "phases"):
        if getattr(recipe.data, name):
            raise ValueError(f"data.{name}: conversations have none; leave it out, or leave sft out")
    if recipe.sft.packing and not recipe.data.mask_documents:
        raise ValueError("sft.packing: a conversation would see the ones before it; set data.mask_documents=true")
