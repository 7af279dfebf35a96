"""Exchange with Hugging Face, equal logits both ways: folders of config.json and safetensors, read and written one tensor at a time.

Loading takes the memory of the model and of one more tensor; weights are never unpickled.
"""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import save_file

from starmill.core.files import replacing
from starmill.core.files import write as write_whole
from starmill.model.config import ModelConfig, parameter_shapes
from starmill.model.decoder import Decoder
from starmill.model.encoder.encoder import Encoder
from starmill.model.exchange.families import ExchangeError, config_values
from starmill.model.exchange.folders import INDEX, WEIGHTS, opened, places_of, shape, stored_tensors
from starmill.model.exchange.layouts import FileTensor, fuse, split

M = TypeVar("M", Decoder, Encoder)


def save(
    decoder: Decoder | Encoder,
    folder: str | os.PathLike[str],
    tokenizer_files: dict[str, bytes] | None = None,
    max_shard_bytes: int = 2_000_000_000,
) -> None:
    """Write a folder that transformers loads: `write` with the weights of a model."""
    write(decoder.config, dict(decoder.named_parameters()), folder, tokenizer_files, max_shard_bytes)


def write(
    config: ModelConfig,
    parameters: Mapping[str, torch.Tensor],
    folder: str | os.PathLike[str],
    tokenizer_files: dict[str, bytes] | None = None,
    max_shard_bytes: int = 2_000_000_000,
) -> None:
    """Write config.json, generation_config.json, safetensors and the tokenizer's files, each whole or not at all.

    `parameters` maps the decoder's names to tensors and is read as they are written: a lazy mapping costs the memory of one
    file. Raises ExchangeError for a shape that no family has.
    """
    place = Path(folder)
    dtype = parameters["tokens.weight"].dtype
    values = config_values(config, str(dtype).removeprefix("torch."))
    place.mkdir(parents=True, exist_ok=True)
    ends = {key: values[key] for key in ("bos_token_id", "eos_token_id")}
    files = {**(tokenizer_files or {}), "config.json": _json(values), "generation_config.json": _json(ends)}
    shapes = parameter_shapes(config)
    sizes = {stored: dtype.itemsize * math.prod(stored.shape(shapes)) for stored in stored_tensors(config)}
    shards = _shards(sizes, max_shard_bytes)
    names = (
        [WEIGHTS] if len(shards) == 1 else [f"model-{i:05}-of-{len(shards):05}.safetensors" for i in range(1, len(shards) + 1)]
    )
    for name, shard in zip(names, shards, strict=True):
        with replacing(place / name) as temporary:
            save_file({e.name: _theirs(e, parameters, config) for e in shard}, temporary, metadata={"format": "pt"})
    if len(shards) > 1:
        weight_map = {e.name: name for name, shard in zip(names, shards, strict=True) for e in shard}
        files[INDEX] = _json({"metadata": {"total_size": sum(sizes.values())}, "weight_map": weight_map})
    for name, data in files.items():
        write_whole(place / name, data)
    for old in [*place.glob("model*.safetensors"), *place.glob(INDEX)]:  # of an earlier export in fewer or more files
        if old.name not in (*names, *files):
            old.unlink()


def load(folder: str | os.PathLike[str], dtype: torch.dtype | None = None, device: str | torch.device = "cpu") -> Decoder:
    """Read a decoder's folder, one file of weights or several, onto a device.

    `dtype` None keeps the files' type (that of the embeddings, for all weights). Raises ExchangeError naming what is wrong.
    """
    if shape(folder).is_encoder:
        raise ExchangeError(f"{folder}: an encoder, which continues no text; give the folder of a decoder")
    return _load(Decoder, folder, dtype, device)


def load_encoder(
    folder: str | os.PathLike[str], dtype: torch.dtype | None = None, device: str | torch.device = "cpu"
) -> Encoder:
    """Read an encoder's folder as `load` reads a decoder's: with BERT's heads of training, or with a tagger's head."""
    if not shape(folder).is_encoder:
        raise ExchangeError(f"{folder}: a decoder, whose tokens do not see what follows; give the folder of an encoder")
    return _load(Encoder, folder, dtype, device)


def _load(model: type[M], folder: str | os.PathLike[str], dtype: torch.dtype | None, device: str | torch.device) -> M:
    place = Path(folder)
    config = shape(place)
    where = places_of(place, config)  # all weights are there, before memory for them is taken
    if dtype is None:
        file, name = where[stored_tensors(config)[0].name]
        with opened(file) as tensors:
            dtype = tensors.get_tensor(name).dtype
    made = model.empty(config, device, dtype)
    _copy(made, place, where)
    return made.eval()


def fill(decoder: Decoder | Encoder, folder: str | os.PathLike[str]) -> None:
    """Copy the weights of a folder into a model of their shape, one tensor at a time. Raises ExchangeError naming what is wrong."""
    _copy(decoder, Path(folder), places_of(Path(folder), decoder.config))


@torch.no_grad()
def _copy(decoder: Decoder | Encoder, place: Path, where: Mapping[str, tuple[Path, str]]) -> None:
    config, parameters = decoder.config, dict(decoder.named_parameters())
    for stored in stored_tensors(config):
        file, name = where[stored.name]
        with opened(file) as tensors:
            found = tensors.get_tensor(name)
            parts = split(found, config) if len(stored.parameters) > 1 else (found,)
            for own, part in zip(stored.parameters, parts, strict=True):
                parameters[own].copy_(part)
    if isinstance(decoder, Decoder) and config.tie_embeddings and "lm_head.weight" in where:
        file, name = where["lm_head.weight"]
        with opened(file) as tensors:
            if not torch.equal(tensors.get_tensor(name).to(decoder.head.weight), decoder.head.weight):
                raise ExchangeError(
                    f"{place}: lm_head.weight is not the embedding; set tie_word_embeddings to false in config.json"
                )


def _shards(sizes: Mapping[FileTensor, int], limit: int) -> list[list[FileTensor]]:
    shards: list[list[FileTensor]] = [[]]
    room = limit
    for stored, size in sizes.items():
        if shards[-1] and size > room:
            shards.append([])
            room = limit
        shards[-1].append(stored)
        room -= size
    return shards


def _theirs(stored: FileTensor, parameters: Mapping[str, torch.Tensor], config: ModelConfig) -> torch.Tensor:
    parts = [parameters[name].detach().cpu() for name in stored.parameters]
    return (fuse(parts, config) if len(parts) > 1 else parts[0]).contiguous()


def _json(values: dict[str, Any]) -> bytes:
    return (json.dumps(values, indent=2) + "\n").encode()
