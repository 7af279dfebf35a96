"""The sections of a training recipe for fine-tuning: conversations, preferences and adapters."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from msgspec import Meta

Folder = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$", description="the name of a folder")]


@dataclass(frozen=True)
class Sft:
    """Supervised fine-tuning: the workspace's `folder` holds conversations (core/conversations.py) and only responses are learned.

    `weights` is the model to tune, whose tokenizer and chat template are used; a conversation longer than data.sequence_length is cut.

    >>> Sft(packing=True).folder
    'instructions'
    """

    folder: Folder = "instructions"
    template: str | None = None  # Jinja; null: the chat template in the folder of `weights`
    packing: bool = False  # whole conversations share a window, and none sees another (needs data.mask_documents)


@dataclass(frozen=True)
class Dpo:
    """Direct preference optimization (arXiv 2305.18290): the workspace's `folder` holds pairs of responses (core/preferences.py).

    Two windows, so two of data.batch, are a pair. `weights` is the model to tune and the reference; with `lora` the reference is the
    model without adapters. A response that data.sequence_length cuts counts as far as it is there.

    >>> Dpo(beta=0.2).folder
    'preferences'
    """

    folder: Folder = "preferences"
    template: str | None = None  # Jinja; null: the chat template in the folder of `weights`
    beta: Annotated[float, Meta(gt=0, le=100)] = 0.1  # higher: nearer to the reference
    label_smoothing: Annotated[float, Meta(ge=0, lt=0.5)] = 0.0  # share of pairs that may be the wrong way round


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
    if recipe.sft is None and recipe.dpo is None:
        return
    section = "dpo" if recipe.sft is None else "sft"
    if recipe.sft is not None and recipe.dpo is not None:
        raise ValueError(
            "sft and dpo: a run has one of them; tune on conversations first, then on preferences from those weights"
        )
    if recipe.weights is None or recipe.model.is_encoder:
        raise ValueError(f"{section}: weights={recipe.weights}; give the folder of a decoder, whose tokenizer is used")
    for name in ("ramp", "phases", "held_out_infills"):
        if getattr(recipe.data, name):
            raise ValueError(f"data.{name}: conversations have none; leave it out, or leave {section} out")
    if recipe.sft is not None and recipe.sft.packing and not recipe.data.mask_documents:
        raise ValueError("sft.packing: a conversation would see the ones before it; set data.mask_documents=true")
    if recipe.dpo is not None:
        for name in ("batch", "micro_batch", "held_out_windows"):
            if getattr(recipe.data, name) % 2:
                raise ValueError(
                    f"data.{name}={getattr(recipe.data, name)} with dpo: a pair is two windows; give an even number"
                )
        if recipe.data.held_out_sets:
            raise ValueError("data.held_out_sets: dpo has no reference for them; leave them out")
        if recipe.optimizer.z_loss:
            raise ValueError(f"optimizer.z_loss={recipe.optimizer.z_loss}: dpo has none; leave it out")
