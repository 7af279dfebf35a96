"""config.json of the two families, `gpt_bigcode` for learned positions and `starcoder2` for RoPE, to and from our configuration.

What would change the logits and is not ours is refused, never guessed: class defaults of transformers differ from the published models.
"""

from typing import Any

from starmill.model.config import ModelConfig

# All of transformers' names of the two formulas: Hendrycks and Gimpel 2016, with erf and with its tanh approximation.
TANH = ("gelu_pytorch_tanh", "gelu_new", "gelu_fast", "gelu_accurate")
EXACT = ("gelu", "gelu_python")


class ExchangeError(ValueError):
    """A model that the other side cannot represent, or a folder that holds none; the message names what and where."""


def config_values(config: ModelConfig, dtype: str = "float32") -> dict[str, Any]:
    """Return the family's config.json. Raises ExchangeError for a shape that neither family has."""
    shared: dict[str, Any] = {
        "vocab_size": config.vocab_size,
        "bos_token_id": config.bos_id,
        "eos_token_id": config.eos_id,
        "initializer_range": config.init_std,
    }
    shared |= {"tie_word_embeddings": config.tie_embeddings, "use_cache": True, "dtype": dtype}
    activation = (TANH if config.activation == "gelu_tanh" else EXACT)[0]
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
    activation = values.get("hidden_act" if family == "starcoder2" else "activation_function", TANH[0])
    if family not in ("starcoder2", "gpt_bigcode") or activation not in TANH + EXACT:
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
        "activation": "gelu_tanh" if activation in TANH else "gelu",
        "init_std": values.get("initializer_range", 0.02),
    }
    shared["tie_embeddings"] = values.get("tie_word_embeddings", True)
    for name, key in (("bos_id", "bos_token_id"), ("eos_id", "eos_token_id")):
        shared[name] = values[key] if values.get(key) is not None else 0
        if not isinstance(shared[name], int):
            raise ExchangeError(
                f"{key}={shared[name]}: only models with one such token are read; the others may be stop strings"
            )
    if family == "starcoder2":
        if values.get("head_dim") not in (None, values["hidden_size"] // values["num_attention_heads"]):
            raise ExchangeError(
                f"head_dim={values['head_dim']}: only models with head_dim=hidden_size/num_attention_heads are read"
            )
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
