"""What a family of files is, and names and row orders of weights in `starcoder2`, `llama` and `gpt_bigcode` files (bert.py: `bert`).

gpt_bigcode fuses queries, keys and values in one `c_attn`, and how depends on the number of key heads:

    1 key head    q0 q1 q2 ... k v          all queries, then the key, then the value
    MHA           q0 k0 v0 q1 k1 v1 ...     head by head
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from starmill.core.errors import InputError
from starmill.model.config import ModelConfig, parameter_shapes

if TYPE_CHECKING:
    import torch  # which takes seconds to import, and whether a folder is in order is said before


@dataclass(frozen=True)
class Layout:
    """A family's tensor names: `prefix` precedes all but the head's, `block` maps our modules inside a block to the family's.

    `places` is None for a family without a position table, `fused` for one with separate queries, keys and values. `others` maps our
    other parameters to full names.
    """

    prefix: str
    tokens: str
    places: str | None
    blocks: str
    block: Mapping[str, str]
    fused: str | None
    norm: str
    others: Mapping[str, str] = field(default_factory=dict)


class ExchangeError(InputError):
    """A model that the other library cannot represent, or a folder without a model; the message names the value or the folder."""


@dataclass(frozen=True)
class Family:
    """A family of transformers: `keys` are our fields' names in its config.json, `constants` the values that all its models share.

    `activation`, `norm_epsilon` and `dropouts` are keys that config.json may lack; all `dropouts` have our one value. `shape` are the
    fields of ModelConfig by which a model is of the family.
    """

    title: str
    model_type: str
    architecture: str
    layout: Layout
    keys: Mapping[str, str]
    activation: str
    norm_epsilon: str
    dropouts: tuple[str, ...]
    constants: Mapping[str, bool | int | str]
    shape: Mapping[str, object] = field(default_factory=dict)


STARCODER2 = Layout(
    prefix="model.",
    tokens="embed_tokens",
    places=None,
    blocks="layers",
    block={
        "attention_norm": "input_layernorm",
        "attention.query": "self_attn.q_proj",
        "attention.key": "self_attn.k_proj",
        "attention.value": "self_attn.v_proj",
        "attention.output": "self_attn.o_proj",
        "mlp_norm": "post_attention_layernorm",
        "up": "mlp.c_fc",
        "down": "mlp.c_proj",
    },
    fused=None,
    norm="norm",
)
LLAMA = replace(
    STARCODER2,
    block={
        **{own: name for own, name in STARCODER2.block.items() if own not in ("up", "down")},
        "attention.query_norm": "self_attn.q_norm",
        "attention.key_norm": "self_attn.k_norm",
        "gate": "mlp.gate_proj",
        "up": "mlp.up_proj",
        "down": "mlp.down_proj",
    },
)
GPT_BIGCODE = Layout(
    prefix="transformer.",
    tokens="wte",
    places="wpe",
    blocks="h",
    block={
        "attention_norm": "ln_1",
        "attention.output": "attn.c_proj",
        "mlp_norm": "ln_2",
        "up": "mlp.c_fc",
        "down": "mlp.c_proj",
    },
    fused="attn.c_attn",
    norm="ln_f",
)


@dataclass(frozen=True)
class FileTensor:
    """One tensor of a file, and our parameters that the tensor holds: one, or queries, keys and values.

    >>> FileTensor("c_attn.weight", ("query", "key")).shape({"query": (8, 8), "key": (2, 8)})
    (10, 8)
    """

    name: str
    parameters: tuple[str, ...]

    def shape(self, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
        """Return the tensor's shape, given those of our parameters: a fused tensor has the rows of all."""
        parts = [shapes[p] for p in self.parameters]
        return (sum(s[0] for s in parts), *parts[0][1:])


def file_tensors(config: ModelConfig, layout: Layout) -> list[FileTensor]:
    """Return every tensor that the family's files have for this shape; a tied head is left out, as the published files do."""
    ours = parameter_shapes(config)
    found = [FileTensor(f"{layout.prefix}{layout.tokens}.weight", ("tokens.weight",))]
    if layout.places is not None:
        found.append(FileTensor(f"{layout.prefix}{layout.places}.weight", ("places.weight",)))
    for i in range(config.layers):
        there = f"{layout.prefix}{layout.blocks}.{i}"
        for kind in ("weight", "bias"):
            if layout.fused is not None:
                parts = tuple(f"blocks.{i}.attention.{part}.{kind}" for part in ("query", "key", "value"))
                found.append(FileTensor(f"{there}.{layout.fused}.{kind}", parts))
            found += [FileTensor(f"{there}.{name}.{kind}", (f"blocks.{i}.{own}.{kind}",)) for own, name in layout.block.items()]
    found += [FileTensor(f"{layout.prefix}{layout.norm}.{kind}", (f"norm.{kind}",)) for kind in ("weight", "bias")]
    found += [FileTensor(name, (own,)) for own, name in layout.others.items()]
    found += [] if config.tie_embeddings else [FileTensor("lm_head.weight", ("head.weight",))]
    return [tensor for tensor in found if ours.keys() >= {*tensor.parameters}]


def fuse(parts: Sequence["torch.Tensor"], config: ModelConfig) -> "torch.Tensor":
    """Return c_attn's rows of queries, keys and values."""
    import torch

    if config.kv_heads == 1:
        return torch.cat(list(parts))
    heads = [part.unflatten(0, (config.heads, config.head_size)) for part in parts]
    return torch.cat(heads, dim=1).flatten(0, 1)


def split(fused: "torch.Tensor", config: ModelConfig) -> tuple["torch.Tensor", ...]:
    """Return queries, keys and values of c_attn's rows."""
    if config.kv_heads == 1:
        return fused.split([config.hidden_size, config.head_size, config.head_size])
    heads = fused.unflatten(0, (config.heads, 3 * config.head_size)).split(config.head_size, dim=1)
    return tuple(part.flatten(0, 1) for part in heads)
