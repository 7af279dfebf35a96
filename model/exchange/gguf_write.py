"""A decoder as one GGUF file, which llama.cpp and transformers load; gguf.py says what is in one, and reads it."""

import os
from collections.abc import Mapping
from pathlib import Path

import torch

from starmill.core.files import read_small, replacing
from starmill.model.decoder import Decoder
from starmill.model.exchange import gguf_tokenizer
from starmill.model.exchange.folders import MAX_JSON
from starmill.model.exchange.gguf import ARCHITECTURES, EPSILON, KEYS, tensor_name
from starmill.model.exchange.layouts import ExchangeError

TYPES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}


def tokenizer_files(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder that `write` reads. Raises ExchangeError for a folder without tokenizer.json."""
    found = {name: folder / name for name in ("tokenizer.json", "chat_template.jinja")}
    if not found["tokenizer.json"].is_file():
        raise ExchangeError(f"{folder}: no tokenizer.json, which a GGUF file holds; put the model's there")
    return {name: read_small(place, MAX_JSON) for name, place in found.items() if place.is_file()}


def write(decoder: Decoder, file: str | os.PathLike[str], tokenizer_files: Mapping[str, bytes], name: str = "model") -> None:
    """Write a decoder and its tokenizer as one GGUF file, matrices in the weights' type and vectors in float32, as llama.cpp wants them.

    Raises ExchangeError for a shape that none of ARCHITECTURES has, and a tokenizer whose cuts llama.cpp has no name for.
    """
    import gguf

    config = decoder.config
    fits = (k for k, only in ARCHITECTURES.items() if all(getattr(config, field) == value for field, value in only.items()))
    kind = next(fits, None)
    if kind is None or config.positions != "rope" or config.rope_scaling is not None or config.layer_types:
        raise ExchangeError(
            f"norm={config.norm}, positions={config.positions}, rope_scaling={config.rope_scaling}, layer_types={config.layer_types}: no "
            "GGUF is so"
        )
    with replacing(Path(file)) as temporary:
        made = gguf.GGUFWriter(temporary, kind)
        made.add_name(name)
        for field, key in KEYS.items():
            value = getattr(config, field)
            (made.add_float32 if field == "rope_theta" else made.add_uint32)(f"{kind}.{key}", value)
        made.add_float32(f"{kind}.{EPSILON[config.norm]}", config.norm_epsilon)
        for key in ("rope.dimension_count", "attention.key_length", "attention.value_length"):
            made.add_uint32(f"{kind}.{key}", config.head_size)
        made.add_vocab_size(config.vocab_size)
        if config.sliding_window is not None:
            made.add_sliding_window(config.sliding_window)
        gguf_tokenizer.add(made, config, tokenizer_files)
        for own, parameter in decoder.named_parameters():
            tensor = parameter.detach().cpu()
            if kind == "llama" and own.endswith(("query.weight", "key.weight")):
                tensor = tensor.unflatten(0, (-1, 2, config.head_size // 2)).transpose(1, 2).flatten(0, 2)
            stored = TYPES.get(tensor.dtype, "F32") if tensor.dim() > 1 else "F32"
            array = gguf.quants.quantize(tensor.float().numpy(), gguf.GGMLQuantizationType[stored])
            made.add_tensor(tensor_name(own), array, raw_dtype=gguf.GGMLQuantizationType[stored])
        made.write_header_to_file()
        made.write_kv_data_to_file()
        made.write_tensors_to_file()
        made.close()
