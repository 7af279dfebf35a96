"""GGUF, llama.cpp's one file of metadata, tokenizer and weights (ggml's docs/gguf.md), to a folder that transformers loads.

Quantized weights are computed in float32, one tensor at a time, by the format's own library (PyPI `gguf`). llama.cpp turns element 2 i of
a head with 2 i + 1 where we turn i with i + D / 2, so that files of `llama` have the rows of queries and keys in another order.
What would change the logits and is not in ARCHITECTURES is refused. Shapes: D head size.
"""

import os
from collections.abc import Iterator, Mapping
from typing import Any, get_type_hints

import numpy as np
import torch

from starmill.core.errors import one_line
from starmill.core.recipe import convert
from starmill.model.config import ModelConfig, parameter_shapes
from starmill.model.exchange import gguf_tokenizer, huggingface
from starmill.model.exchange.layouts import ExchangeError

RMS: dict[str, Any] = {"norm": "rms", "gated": True, "activation": "silu"}
# Of general.architecture: our fields by which a model is of it. A file of Mistral's says llama.
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "llama": {**RMS, "biases": "none", "qk_norm": False},
    "qwen2": {**RMS, "biases": "qkv", "qk_norm": False},
    "qwen3": {**RMS, "biases": "none", "qk_norm": True},
    "starcoder2": {"norm": "layer", "gated": False, "activation": "gelu_tanh", "biases": "all", "qk_norm": False},
}
EPSILON = {"rms": "attention.layer_norm_rms_epsilon", "layer": "attention.layer_norm_epsilon"}
KEYS = {
    "layers": "block_count",
    "max_positions": "context_length",
    "hidden_size": "embedding_length",
    "mlp_size": "feed_forward_length",
    "heads": "attention.head_count",
    "kv_heads": "attention.head_count_kv",
    "rope_theta": "rope.freq_base",
}
TENSORS = {"tokens": "token_embd", "norm": "output_norm", "head": "output"}
BLOCK = {
    "attention_norm": "attn_norm",
    "attention.query": "attn_q",
    "attention.key": "attn_k",
    "attention.value": "attn_v",
    "attention.query_norm": "attn_q_norm",
    "attention.key_norm": "attn_k_norm",
    "attention.output": "attn_output",
    "mlp_norm": "ffn_norm",
    "gate": "ffn_gate",
    "up": "ffn_up",
    "down": "ffn_down",
}


def tensor_name(parameter: str) -> str:
    """Return the name of a parameter's tensor.

    >>> tensor_name("blocks.3.attention.query.weight"), tensor_name("norm.weight")
    ('blk.3.attn_q.weight', 'output_norm.weight')
    """
    module, _, kind = parameter.rpartition(".")
    if not module.startswith("blocks."):
        return f"{TENSORS[module]}.{kind}"
    _, number, inside = module.split(".", 2)
    return f"blk.{number}.{BLOCK[inside]}.{kind}"


class Weights(Mapping[str, torch.Tensor]):
    """The parameters of an opened file by our names, each computed when it is read."""

    def __init__(self, tensors: Mapping[str, Any], config: ModelConfig, is_llama: bool, dtype: torch.dtype) -> None:
        """Name what is read; nothing is computed."""
        self._tensors, self._config, self._is_llama, self._dtype = tensors, config, is_llama, dtype
        self._shapes = parameter_shapes(config)

    def __getitem__(self, name: str) -> torch.Tensor:
        """Return one parameter. Raises ExchangeError for a type of values that the library cannot compute."""
        from gguf.quants import dequantize

        stored = self._tensors[tensor_name(name)]
        try:
            found = torch.from_numpy(np.array(dequantize(stored.data, stored.tensor_type), np.float32))
        except (NotImplementedError, ValueError) as error:
            raise ExchangeError(f"tensor {stored.name!r:.100}: {one_line(error)}; take a file with other types") from None
        found = found.reshape(self._shapes[name])
        if self._is_llama and name.endswith(("query.weight", "key.weight")):
            found = found.unflatten(0, (-1, self._config.head_size // 2, 2)).transpose(1, 2).flatten(0, 2)
        return found.to(self._dtype)

    def __iter__(self) -> Iterator[str]:
        """Go through the names."""
        return iter(self._shapes)

    def __len__(self) -> int:
        """Return how many parameters there are."""
        return len(self._shapes)


def to_folder(file: str | os.PathLike[str], folder: str | os.PathLike[str], dtype: torch.dtype = torch.float32) -> ModelConfig:
    """Write the folder of a GGUF file: weights in `dtype`, config.json, tokenizer and chat template; return the configuration.

    Raises ExchangeError, naming the file and what is wrong, before anything is written.
    """
    import gguf

    try:
        reader = gguf.GGUFReader(file)
        values = {key: field.contents() for key, field in reader.fields.items()}
    except OSError as error:
        raise ExchangeError(f"{file}: {error.strerror or error}; give a .gguf file") from None
    except Exception as error:  # of a damaged file the library raises what its arrays raise
        raise ExchangeError(f"{file}: no readable GGUF ({one_line(error)}); fetch it again") from None
    try:
        tensors = {tensor.name: tensor for tensor in reader.tensors}
        config = read_config(values, tensors)
        files = gguf_tokenizer.files(values, config)
        is_llama = values["general.architecture"] == "llama"
        huggingface.write(config, Weights(tensors, config, is_llama, dtype), folder, files)
    except KeyError as error:
        raise ExchangeError(f"{file}: has no {one_line(error)}; fetch or convert it again") from None
    except ValueError as error:
        raise ExchangeError(f"{file}: {error}") from None
    return config


def read_config(values: Mapping[str, Any], tensors: Mapping[str, Any]) -> ModelConfig:
    """Return the configuration of a file's metadata and tensors. Raises ExchangeError or ValueError for what is not ours."""
    kind = str(values.get("general.architecture"))
    if kind not in ARCHITECTURES:
        raise ExchangeError(f"general.architecture={kind:.100}: only {', '.join(ARCHITECTURES)} are read")
    fixed, hints = ARCHITECTURES[kind], get_type_hints(ModelConfig, include_extras=True)

    def of(field: str, key: str, value: Any) -> Any:
        value = float(str(np.float32(value))) if isinstance(value, float) else value  # 1e-05, and not what float32 makes of it
        return convert(value, hints[field], key)

    found = {field: of(field, key, values[f"{kind}.{key}"]) for field, key in KEYS.items() if field != "rope_theta"}
    found["rope_theta"] = of("rope_theta", KEYS["rope_theta"], values.get(f"{kind}.rope.freq_base", 1e4))
    found["norm_epsilon"] = of("norm_epsilon", "norm_epsilon", values[f"{kind}.{EPSILON[fixed['norm']]}"])
    found["vocab_size"] = of("vocab_size", "token_embd.weight", int(tensors["token_embd.weight"].shape[-1]))
    size = of("head_dim", "head_dim", values.get(f"{kind}.attention.key_length", found["hidden_size"] // found["heads"]))
    scaled = values.get(f"{kind}.rope.scaling.type", "none")
    if scaled != "none" or values.get(f"{kind}.rope.dimension_count", size) != size:
        raise ExchangeError(f"rope.scaling.type={scaled!s:.100}: only models whose whole heads turn, unscaled, are read")
    for field in ("bos", "eos"):
        found[f"{field}_id"] = of(f"{field}_id", f"{field}_token_id", values.get(f"tokenizer.ggml.{field}_token_id", 0))
    window = values.get(f"{kind}.attention.sliding_window")
    config = ModelConfig(
        **found,
        **fixed,
        positions="rope",
        head_dim=None if size * found["heads"] == found["hidden_size"] else size,
        tie_embeddings="output.weight" not in tensors,
        sliding_window=of("sliding_window", "attention.sliding_window", window or None),
    )
    wanted = {tensor_name(name): shape for name, shape in parameter_shapes(config).items()}
    for name in sorted(wanted.keys() ^ tensors.keys()):
        raise ExchangeError(
            f"tensor {name!r:.100} {'is missing' if name in wanted else 'would change the logits, and is not ours'}"
        )
    for name, shape in wanted.items():
        if (there := tuple(int(n) for n in reversed(tensors[name].shape))) != shape:
            raise ExchangeError(f"tensor {name!r:.100} has shape {there}, expected {shape}")
    return config
