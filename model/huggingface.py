"""Exchange with Hugging Face: `starcoder2` for RoPE models, `gpt_bigcode` for learned positions, equal logits both ways.

gpt_bigcode fuses queries, keys and values in one `c_attn`: with one key head the rows are [all queries, key, value]; with as many
as heads they are interleaved, q k v of each head in turn.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from starmill.model.config import ModelConfig
from starmill.model.decoder import Decoder

ACTIVATIONS = {"gelu_tanh": "gelu_pytorch_tanh", "gelu": "gelu"}
# Our names inside a block -> those of each family.
STARCODER2 = {
    "attention_norm": "input_layernorm",
    "attention.query": "self_attn.q_proj",
    "attention.key": "self_attn.k_proj",
    "attention.value": "self_attn.v_proj",
    "attention.output": "self_attn.o_proj",
    "mlp_norm": "post_attention_layernorm",
    "up": "mlp.c_fc",
    "down": "mlp.c_proj",
}
GPT_BIGCODE = {
    "attention_norm": "ln_1",
    "attention.output": "attn.c_proj",
    "mlp_norm": "ln_2",
    "up": "mlp.c_fc",
    "down": "mlp.c_proj",
}

# Masks and tables that older files carry, and the copy of a tied head.
NOT_WEIGHTS = (".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq", "lm_head.weight")


class ExchangeError(ValueError):
    """A model that the other side cannot represent, or a folder that holds none; the message names what and where."""


def save(decoder: Decoder, folder: str | os.PathLike[str], tokenizer_files: dict[str, bytes] | None = None) -> None:
    """Write config.json, generation_config.json, model.safetensors and the tokenizer's files, each whole or not at all."""
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    values = config_values(decoder.config, str(decoder.tokens.weight.dtype).removeprefix("torch."))
    ends: dict[str, Any] = {"bos_token_id": 0, "eos_token_id": 0}
    files = {**(tokenizer_files or {}), "config.json": _json(values), "generation_config.json": _json(ends)}
    for name, data in files.items():
        (place / f".tmp-{name}").write_bytes(data)
        os.replace(place / f".tmp-{name}", place / name)
    tensors = {n: t.detach().cpu().contiguous() for n, t in state(decoder).items()}
    save_file(tensors, place / ".tmp-model.safetensors", metadata={"format": "pt"})
    os.replace(place / ".tmp-model.safetensors", place / "model.safetensors")


def load(folder: str | os.PathLike[str]) -> Decoder:
    """Read a folder of either family, one file of weights or several. Raises ExchangeError naming what is wrong."""
    place = Path(folder)
    try:
        values = json.loads((place / "config.json").read_text())
    except FileNotFoundError:
        raise ExchangeError(f"{place}: no config.json; give a folder that `starmill train` or transformers saved") from None
    except ValueError as error:
        raise ExchangeError(f"{place}: config.json is not JSON ({error}); export the model again") from None
    try:
        config = read_config(values)
    except KeyError as error:
        raise ExchangeError(f"{place}: config.json lacks {error}; export the model again") from None
    except ValueError as error:
        raise ExchangeError(f"{place}: {error}") from None
    with torch.device("meta"):
        decoder = Decoder(config)
    decoder.to_empty(device="cpu")
    if config.tie_embeddings:  # moving off the meta device unties them
        decoder.head.weight = decoder.tokens.weight
    theirs: dict[str, torch.Tensor] = {}
    for file in _weight_files(place):
        try:
            theirs.update(load_file(file))
        except (SafetensorError, OSError) as error:
            raise ExchangeError(f"{place}: {file.name} is not readable ({error}); fetch or export it again") from None
    prefix = "model." if config.positions == "rope" else "transformer."
    theirs = {n if n.startswith((prefix, "lm_head")) else prefix + n: t for n, t in theirs.items()}
    with torch.no_grad():
        expected = state(decoder)
        for name, ours in expected.items():
            found = theirs.get(name)
            if found is None or found.shape != ours.shape:
                shape = None if found is None else tuple(found.shape)
                raise ExchangeError(f"{place}: tensor {name} has shape {shape}, expected {tuple(ours.shape)}")
        unknown = sorted(n for n in theirs.keys() - expected.keys() if not n.endswith(NOT_WEIGHTS))
        if unknown:  # more layers than config.json says, or another architecture: logits would be wrong without a word
            raise ExchangeError(f"{place}: {len(unknown)} tensors that config.json does not account for, first {unknown[0]}")
        for name, parameter in decoder.named_parameters():
            parameter.copy_(_ours(name, theirs, config))
    return decoder.eval()


def state(decoder: Decoder) -> dict[str, torch.Tensor]:
    """Return the weights under the family's names; a tied head is left out, as the published files do."""
    config = decoder.config
    mine: dict[str, torch.Tensor] = dict(decoder.named_parameters())
    rope = config.positions == "rope"
    names = STARCODER2 if rope else GPT_BIGCODE
    theirs = {("model.embed_tokens" if rope else "transformer.wte") + ".weight": mine["tokens.weight"]}
    if not rope:
        theirs["transformer.wpe.weight"] = mine["places.weight"]
    for i in range(config.layers):
        there = f"model.layers.{i}" if rope else f"transformer.h.{i}"
        for kind in ("weight", "bias"):
            theirs |= {f"{there}.{other}.{kind}": mine[f"blocks.{i}.{own}.{kind}"] for own, other in names.items()}
            if not rope:
                fused = [mine[f"blocks.{i}.attention.{x}.{kind}"] for x in ("query", "key", "value")]
                theirs[f"{there}.attn.c_attn.{kind}"] = _fuse(fused, config)
    for kind in ("weight", "bias"):
        theirs[("model.norm." if rope else "transformer.ln_f.") + kind] = mine[f"norm.{kind}"]
    if not config.tie_embeddings:
        theirs["lm_head.weight"] = mine["head.weight"]
    return theirs


def config_values(config: ModelConfig, dtype: str = "float32") -> dict[str, Any]:
    """Return the family's config.json. Raises ExchangeError for a shape that neither family has."""
    shared: dict[str, Any] = {
        "vocab_size": config.vocab_size,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "initializer_range": config.init_std,
    }
    shared |= {"tie_word_embeddings": config.tie_embeddings, "use_cache": True, "dtype": dtype}
    activation = ACTIVATIONS[config.activation]
    if config.positions == "rope":
        return {
            "architectures": ["Starcoder2ForCausalLM"],
            "model_type": "starcoder2",
            **shared,
            "hidden_size": config.hidden_size,
            "intermediate_size": config.mlp_size,
            "num_hidden_layers": config.layers,
            "num_attention_heads": config.heads,
            "num_key_value_heads": config.kv_heads,
            "hidden_act": activation,
            "max_position_embeddings": config.max_positions,
            "norm_epsilon": config.norm_epsilon,
            "rope_theta": config.rope_theta,
            "rope_parameters": {"rope_theta": config.rope_theta, "rope_type": "default"},
            "sliding_window": config.sliding_window,
            "use_bias": True,
            **dict.fromkeys(("attention_dropout", "residual_dropout", "embedding_dropout"), config.dropout),
        }
    if config.sliding_window is not None or config.kv_heads not in (1, config.heads):
        raise ExchangeError(
            f"gpt_bigcode has no sliding window and 1 or {config.heads} key heads; this model has sliding_window="
            f"{config.sliding_window}, kv_heads={config.kv_heads}: use positions=rope"
        )
    return {
        "architectures": ["GPTBigCodeForCausalLM"],
        "model_type": "gpt_bigcode",
        **shared,
        "n_embd": config.hidden_size,
        "n_inner": config.mlp_size,
        "n_layer": config.layers,
        "n_head": config.heads,
        "n_positions": config.max_positions,
        "multi_query": config.kv_heads == 1,
        "activation_function": activation,
        "layer_norm_epsilon": config.norm_epsilon,
        "scale_attn_weights": True,
        "attention_softmax_in_fp32": True,
        "scale_attention_softmax_in_fp32": True,
        **dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), config.dropout),
    }


def read_config(values: dict[str, Any]) -> ModelConfig:
    """Return our configuration of a config.json. Raises ExchangeError for another family or an unknown activation."""
    family = values.get("model_type")
    ours = {theirs: own for own, theirs in ACTIVATIONS.items()}
    activation = values.get("hidden_act" if family == "starcoder2" else "activation_function", "gelu_pytorch_tanh")
    if family not in ("starcoder2", "gpt_bigcode") or activation not in ours:
        raise ExchangeError(f"model_type={family}, activation={activation}: only starcoder2 and gpt_bigcode with GELU are read")
    rope = values.get("rope_parameters") or {}
    kind = (values.get("rope_scaling") or rope).get("rope_type") or (values.get("rope_scaling") or {}).get("type")
    if kind not in (None, "default"):
        raise ExchangeError(f"rope_type={kind}: only models with plain RoPE are read")
    for name, only in {"use_bias": True, "scale_attn_weights": True, "add_cross_attention": False}.items():
        if values.get(name, only) != only:  # each would change the logits
            raise ExchangeError(f"{name}={values[name]}: only models with {name}={only} are read")
    shared = {
        "vocab_size": values["vocab_size"],
        "activation": ours[activation],
        "init_std": values.get("initializer_range", 0.02),
    }
    shared["tie_embeddings"] = values.get("tie_word_embeddings", True)
    if family == "starcoder2":
        theta = rope["rope_theta"] if "rope_theta" in rope else values["rope_theta"]  # published models differ: no default
        return ModelConfig(
            layers=values["num_hidden_layers"],
            hidden_size=values["hidden_size"],
            heads=values["num_attention_heads"],
            kv_heads=values["num_key_value_heads"],
            mlp_size=values["intermediate_size"],
            positions="rope",
            max_positions=values["max_position_embeddings"],
            rope_theta=theta,
            sliding_window=values.get("sliding_window"),
            norm_epsilon=values.get("norm_epsilon", 1e-5),
            dropout=values.get("residual_dropout", 0.0),
            **shared,
        )
    return ModelConfig(
        layers=values["n_layer"],
        hidden_size=values["n_embd"],
        heads=values["n_head"],
        kv_heads=1 if values.get("multi_query", True) else values["n_head"],
        mlp_size=values.get("n_inner") or 4 * values["n_embd"],
        positions="learned",
        max_positions=values["n_positions"],
        norm_epsilon=values.get("layer_norm_epsilon", 1e-5),
        dropout=values.get("resid_pdrop", 0.0),
        **shared,
    )


def _fuse(qkv: list[torch.Tensor], config: ModelConfig) -> torch.Tensor:
    if config.kv_heads == 1:
        return torch.cat(qkv)
    heads = [t.unflatten(0, (config.heads, config.head_size)) for t in qkv]
    return torch.cat(heads, dim=1).flatten(0, 1)


def _split(fused: torch.Tensor, config: ModelConfig) -> dict[str, torch.Tensor]:
    names = ("query", "key", "value")
    if config.kv_heads == 1:
        return dict(zip(names, fused.split([config.hidden_size, config.head_size, config.head_size]), strict=True))
    by_head = fused.unflatten(0, (config.heads, 3 * config.head_size)).split(config.head_size, dim=1)
    return {name: t.flatten(0, 1) for name, t in zip(names, by_head, strict=True)}


def _ours(name: str, theirs: dict[str, torch.Tensor], config: ModelConfig) -> torch.Tensor:
    rope = config.positions == "rope"
    outside = {
        "tokens": "model.embed_tokens" if rope else "transformer.wte",
        "places": "transformer.wpe",
        "norm": "model.norm" if rope else "transformer.ln_f",
        "head": "lm_head",
    }
    module, _, kind = name.rpartition(".")
    if module in outside:
        return theirs[f"{outside[module]}.{kind}"]
    _, layer, own = module.split(".", 2)
    there = f"model.layers.{layer}" if rope else f"transformer.h.{layer}"
    if not rope and own in ("attention.query", "attention.key", "attention.value"):
        return _split(theirs[f"{there}.attn.c_attn.{kind}"], config)[own.rpartition(".")[2]]
    return theirs[f"{there}.{(STARCODER2 if rope else GPT_BIGCODE)[own]}.{kind}"]


def _weight_files(place: Path) -> Iterator[Path]:
    index = place / "model.safetensors.index.json"
    if index.exists():
        names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
        for name in names:
            if Path(name).name != name:
                raise ExchangeError(f"{place}: {index.name} points outside the folder, at {name}")
            yield place / name
    elif (place / "model.safetensors").exists():
        yield place / "model.safetensors"
    else:
        raise ExchangeError(f"{place}: no model.safetensors; pickled weights are not loaded")


def _json(values: dict[str, Any]) -> bytes:
    return (json.dumps(values, indent=2) + "\n").encode()
