"""A folder of a model as it lies on a disk: config.json and files of weights, looked at before PyTorch is imported or memory is taken."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from safetensors import SafetensorError, safe_open

from starmill.core.errors import one_line
from starmill.core.files import read_small
from starmill.model.config import ModelConfig, parameter_shapes
from starmill.model.exchange import bert
from starmill.model.exchange.families import ExchangeError, family, read_config
from starmill.model.exchange.layouts import FileTensor, file_tensors

MAX_JSON = 16 << 20  # bytes of config.json, and of the index of any model's weights
MAX_HEADER = (
    4 << 20
)  # bytes of a weight file's own table: a thousand layers have half of it, and the library takes twenty times as much
FLOATS = ("F64", "F32", "F16", "BF16")  # safetensors' names
# Masks and tables that older files carry.
NOT_WEIGHTS = (".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq")
HEADS = ("lm_head.", "cls.", "classifier.")  # how names begin that have no prefix
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"


def shape(folder: str | os.PathLike[str]) -> ModelConfig:
    """Return the configuration of a folder of either family. Raises ExchangeError naming what is wrong."""
    place = Path(folder)
    try:
        values = _json_object(place / "config.json")
    except FileNotFoundError:
        raise ExchangeError(f"{place}: no config.json; give a folder that `starmill train` or transformers saved") from None
    try:
        return read_config(values)
    except KeyError as error:
        raise ExchangeError(f"{place}: config.json lacks {error}; export the model again") from None
    except ValueError as error:
        raise ExchangeError(f"{place}: config.json: {error}") from None


def tokenizer_files(place: Path) -> dict[str, bytes]:
    """Return those of a folder's files that belong to its tokenizer, by name: none where it has none."""
    return {name: read_small(place / name, MAX_JSON) for name in TOKENIZER if (place / name).is_file()}


def places_of(place: Path, config: ModelConfig) -> dict[str, tuple[Path, str]]:
    """Return each tensor's file and its name in that file, by full name. Raises ExchangeError for other tensors or shapes."""
    prefix = family(config).layout.prefix
    where: dict[str, tuple[Path, str]] = {}
    found: dict[str, tuple[tuple[int, ...], str]] = {}
    for file in _weight_files(place):
        with opened(file, "numpy") as tensors:
            for name in tensors.keys():  # noqa: SIM118 - safe_open is no mapping
                full = name if name.startswith((prefix, *HEADS)) else prefix + name
                if full in where:
                    raise ExchangeError(
                        f"{place}: {file.name} has tensor {name!r:.200} again, which {where[full][0].name} has; export it again"
                    )
                stored = tensors.get_slice(name)
                where[full], found[full] = (file, name), (tuple(stored.get_shape()), stored.get_dtype())
    wanted = stored_tensors(config)
    _account(place, where, {stored.name for stored in wanted}, config)
    shapes = parameter_shapes(config)
    for each in wanted:
        (shape, dtype), here = found[each.name], where[each.name][0].name
        if shape != each.shape(shapes):
            raise ExchangeError(
                f"{place}: {here}: tensor {each.name} has shape {shape}, expected {each.shape(shapes)}; fetch or export it again"
            )
        if dtype not in FLOATS:
            raise ExchangeError(
                f"{place}: {here}: {each.name} is of {dtype}, and weights are one of {', '.join(FLOATS)}; export it again"
            )
    return where


def stored_tensors(config: ModelConfig) -> list[FileTensor]:
    """Return every tensor that the files of this shape have."""
    return file_tensors(config, family(config).layout)


def opened(file: Path, framework: Literal["pt", "numpy"] = "pt") -> Any:
    """Open a file of weights, whose tensors are this library's: no bfloat16 is NumPy's. Raises ExchangeError."""
    try:
        if not file.is_file():  # a pipe would never answer
            raise ExchangeError(f"{file.parent}: {file.name} is no file; fetch or export it again")
        with file.open("rb") as start:
            size = int.from_bytes(start.read(8), "little")
        if size > MAX_HEADER:
            raise ExchangeError(
                f"{file.parent}: {file.name} has a header of {size:,} bytes, above {MAX_HEADER:,}; export it again"
            )
        return safe_open(file, framework)
    except (SafetensorError, OSError) as error:
        raise ExchangeError(
            f"{file.parent}: {file.name} is not readable ({one_line(error)}); fetch or export it again"
        ) from None


def _json_object(file: Path) -> dict[str, Any]:
    """Return the object in a small file. Raises FileNotFoundError, and ExchangeError for what is none."""
    try:
        found = json.loads(read_small(file, MAX_JSON))
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise ExchangeError(f"{file.parent}: {file.name} is not JSON ({one_line(error)}); export the model again") from None
    if not isinstance(found, dict):
        raise ExchangeError(f"{file.parent}: {file.name} is a {type(found).__name__}, no object; export the model again")
    return found


def _weight_files(place: Path) -> list[Path]:
    if (place / INDEX).is_file():
        listed = _json_object(place / INDEX).get("weight_map")
        if not isinstance(listed, dict):
            raise ExchangeError(f"{place}: {INDEX} has no weight_map; fetch or export it again")
        names = sorted({str(name) for name in listed.values()})
        for name in names:
            if not name.endswith(".safetensors") or Path(name).name != name or "\0" in name:
                raise ExchangeError(
                    f"{place}: {INDEX} names {name!r:.200}, no safetensors file of this folder; export it again"
                )
        return [place / name for name in names]
    if (place / WEIGHTS).is_file():
        return [place / WEIGHTS]
    raise ExchangeError(f"{place}: no {WEIGHTS}; fetch or export that file: pickled weights are not loaded")


def _account(place: Path, where: Mapping[str, object], wanted: set[str], config: ModelConfig) -> None:
    missing = sorted(wanted - where.keys())
    if missing:
        raise ExchangeError(f"{place}: {len(missing)} tensors are missing, first {missing[0]}; fetch or export it again")
    tied = {"lm_head.weight"} if config.tie_embeddings else set()
    tied |= {*bert.TIED, *bert.UNUSED} if config.is_encoder else set()
    unknown = sorted(n for n in where.keys() - wanted - tied if not n.endswith(NOT_WEIGHTS))
    if unknown:  # more layers than config.json says, or another architecture: logits would be silently wrong
        raise ExchangeError(
            f"{place}: {len(unknown)} tensors that config.json does not account for, first {unknown[0]!r:.200}; export it again"
        )
