"""LoRA (Hu et al. 2021, section 4.1): a frozen matrix W gets scale * B A beside it, of a low rank; in the files of peft, both ways.

A begins random and B at 0, so that training begins with the model itself. What is added can be written as an adapter, or into the weights.
Shapes: O outputs, I inputs, R rank.
"""

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from starmill.core.errors import UsageError
from starmill.core.files import read_small, replacing
from starmill.core.files import write as write_whole
from starmill.model.config import ModelConfig
from starmill.model.decoder import Decoder
from starmill.model.exchange.folders import MAX_JSON, opened, stored_tensors
from starmill.model.exchange.layouts import ExchangeError
from starmill.model.kernels.linear import Linear

TARGETS = ("query", "key", "value", "output", "gate", "up", "down")
CONFIG, WEIGHTS, PREFIX = "adapter_config.json", "adapter_model.safetensors", "base_model.model."
# Keys of adapter_config.json that would change what is added, and the values that are read.
ONLY: dict[str, tuple[Any, ...]] = {
    "peft_type": ("LORA",),
    "bias": ("none",),
    **dict.fromkeys(("use_dora", "fan_in_fan_out", "lora_bias", "use_qalora"), (False, None)),
    **dict.fromkeys(("rank_pattern", "alpha_pattern", "modules_to_save", "target_parameters"), (None, {}, [])),
}


@dataclass(frozen=True)
class Shape:
    """An adapter's rank, and the factor of what it adds."""

    rank: int
    scale: float


class Adapted(Linear):
    """A linear layer whose weights stay, and that adds scale * B A x."""

    def __init__(self, plain: torch.nn.Linear, shape: Shape) -> None:
        """Take a layer's weights over."""
        bias = plain.bias is not None
        super().__init__(plain.in_features, plain.out_features, bias, plain.weight.device, plain.weight.dtype)
        self.weight, self.bias = plain.weight, plain.bias
        device = plain.weight.device
        self.lora_a = torch.nn.Parameter(torch.zeros(shape.rank, plain.in_features, device=device))
        self.lora_b = torch.nn.Parameter(torch.zeros(plain.out_features, shape.rank, device=device))
        self.scale = shape.scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x @ (weight + scale * B A).T + bias."""
        return super().forward(x) + self.scale * F.linear(F.linear(x, self.lora_a), self.lora_b)


def add(decoder: Decoder, shape: Shape, targets: Sequence[str], generator: torch.Generator | None = None) -> None:
    """Freeze a decoder and put adapters beside the targets of each block; the generator draws A, as peft does (Kaiming, a = sqrt 5).

    Raises UsageError for a target that the model has not.
    """
    decoder.requires_grad_(False)
    for block in decoder.blocks:
        places = {"gate": block, "up": block, "down": block}
        for name in targets:
            parent = places.get(name, block.attention)
            plain = getattr(parent, name, None)
            if name not in TARGETS or not isinstance(plain, torch.nn.Linear):
                raise UsageError(f"lora.targets: the model has no {name}; leave it out")
            setattr(parent, name, made := Adapted(plain, shape))
            if generator is not None and not made.lora_a.is_meta:
                bound = 1 / math.sqrt(made.in_features)
                with torch.no_grad():
                    made.lora_a.uniform_(-bound, bound, generator=generator)


def merged(parameters: Mapping[str, torch.Tensor], scale: float) -> dict[str, torch.Tensor]:
    """Return a model's parameters with what its adapters add in the weights, and no adapters."""
    found = {name: tensor for name, tensor in parameters.items() if not name.endswith((".lora_a", ".lora_b"))}
    for name in [name.removesuffix(".lora_a") for name in parameters if name.endswith(".lora_a")]:
        added = parameters[f"{name}.lora_b"].float() @ parameters[f"{name}.lora_a"].float()
        found[f"{name}.weight"] = (found[f"{name}.weight"].float() + scale * added).to(found[f"{name}.weight"].dtype)
    return found


def save(
    parameters: Mapping[str, torch.Tensor], config: ModelConfig, shape: Shape, folder: str | os.PathLike[str], base: str = ""
) -> None:
    """Write the adapters among `parameters` as a folder that peft loads; `base` is the name or folder of the model that they are of."""
    place, tensors, modules = Path(folder), {}, set()
    for own, theirs in _modules(config):
        if f"{own}.lora_a" in parameters:
            modules.add(theirs.rpartition(".")[2])
            tensors[f"{PREFIX}{theirs}.lora_A.weight"] = parameters[f"{own}.lora_a"].detach().cpu().contiguous()
            tensors[f"{PREFIX}{theirs}.lora_B.weight"] = parameters[f"{own}.lora_b"].detach().cpu().contiguous()
    values = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "inference_mode": True,
        "r": shape.rank,
        "lora_alpha": shape.scale * shape.rank,
        "lora_dropout": 0.0,
        "target_modules": sorted(modules),
        "bias": "none",
        "fan_in_fan_out": False,
    }
    place.mkdir(parents=True, exist_ok=True)
    with replacing(place / WEIGHTS) as temporary:
        save_file(tensors, temporary, metadata={"format": "pt"})
    write_whole(place / CONFIG, (json.dumps(values, indent=2) + "\n").encode())


@torch.no_grad()
def merge(decoder: Decoder, folder: str | os.PathLike[str]) -> int:
    """Add a LoRA adapter of peft's to a decoder's weights; return to how many matrices. Raises ExchangeError, naming what is not read."""
    place = Path(folder)
    try:
        values = json.loads(read_small(place / CONFIG, MAX_JSON))
        wrong = next((key for key, only in ONLY.items() if values.get(key, only[0]) not in only), None)
        if wrong is not None:
            raise ExchangeError(
                f"{place / CONFIG}: {wrong}={values[wrong]!s:.200}: only adapters with {ONLY[wrong][0]} are read"
            )
        rank, alpha = int(values["r"]), float(values["lora_alpha"])
        scale = alpha / (math.sqrt(rank) if values.get("use_rslora") else rank)
    except (OSError, AttributeError, KeyError, TypeError, ZeroDivisionError) as error:
        raise ExchangeError(
            f"{place / CONFIG}: no adapter's ({type(error).__name__}: {error}); give a folder that peft saved"
        ) from None
    except ValueError as error:
        raise (
            error if isinstance(error, ExchangeError) else ExchangeError(f"{place / CONFIG}: not JSON; fetch it again")
        ) from None
    layers, parameters = dict(_modules(decoder.config)), dict(decoder.named_parameters())
    own = {theirs: name for name, theirs in layers.items()}
    with opened(place / WEIGHTS) as tensors:
        names = set(tensors.keys())
        for name in sorted(names):
            theirs = name.removeprefix(PREFIX).removesuffix(".lora_A.weight").removesuffix(".lora_B.weight")
            if theirs not in own or {f"{PREFIX}{theirs}.lora_{side}.weight" for side in "AB"} - names:
                raise ExchangeError(f"{place / WEIGHTS}: {name!r:.200} is of no layer that the model has")
            if name.endswith("lora_A.weight"):
                a, b = tensors.get_tensor(name).float(), tensors.get_tensor(f"{PREFIX}{theirs}.lora_B.weight").float()
                weight = parameters[f"{own[theirs]}.weight"]
                if (b.shape[0], a.shape[-1]) != tuple(weight.shape) or a.shape[0] != b.shape[-1]:
                    raise ExchangeError(
                        f"{place / WEIGHTS}: {name!r:.200} has shape {tuple(a.shape)}, the layer {tuple(weight.shape)}"
                    )
                weight.copy_(weight.float() + scale * (b @ a))
    return len(names) // 2


def _modules(config: ModelConfig) -> Iterator[tuple[str, str]]:
    """Yield our name and the files' of each matrix that can have an adapter; fused ones of gpt_bigcode cannot."""
    for stored in stored_tensors(config):
        own = stored.parameters[0].removesuffix(".weight")
        if len(stored.parameters) == 1 and own.rpartition(".")[2] in TARGETS and stored.name.endswith(".weight"):
            yield own, stored.name.removesuffix(".weight")
