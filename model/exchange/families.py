"""The families of files: config.json to and from ours. `gpt_bigcode` has learned positions, `starcoder2` RoPE, `bert` is an encoder;
`llama`, `mistral`, `qwen2` and `qwen3` have RMSNorm and gated MLPs, and differ in windows, biases and norms of heads.

A family is a row of FAMILIES; other code asks `family`, never a field, how they differ.

A setting that would change the logits and that our decoder lacks is refused, never guessed: the class defaults of transformers differ
from the published models.
"""

from typing import Any, get_type_hints

from starmill.core.recipe import convert
from starmill.model.config import ModelConfig, TaggerConfig
from starmill.model.exchange import bert, rope
from starmill.model.exchange.layouts import GPT_BIGCODE, LLAMA, STARCODER2, Family
from starmill.model.exchange.layouts import ExchangeError as ExchangeError

# All names that transformers has for the two formulas: Hendrycks and Gimpel 2016, with erf and with its tanh approximation.
TANH = ("gelu_pytorch_tanh", "gelu_new", "gelu_fast", "gelu_accurate")
EXACT = ("gelu", "gelu_python")
SILU = ("silu", "swish")
# Keys of config.json that would change the logits, and the value that all models here have.
ONLY = {
    "use_bias": True,
    "attention_bias": False,
    "mlp_bias": False,
    "partial_rotary_factor": 1.0,
    "scale_attn_weights": True,
    "add_cross_attention": False,
    "is_decoder": False,
    "type_vocab_size": 2,
    "position_embedding_type": "absolute",
}


ROPE_KEYS = {
    "hidden_size": "hidden_size",
    "mlp_size": "intermediate_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "kv_heads": "num_key_value_heads",
    "max_positions": "max_position_embeddings",
}


def _modern(title: str, model_type: str, architecture: str, constants: dict[str, bool | int | str], **shape: object) -> Family:
    """Return a family with RMSNorm and a gated MLP."""
    return Family(
        title=title,
        model_type=model_type,
        architecture=architecture,
        layout=LLAMA,
        keys=ROPE_KEYS,
        activation="hidden_act",
        norm_epsilon="rms_norm_eps",
        dropouts=("attention_dropout",),
        constants=constants,
        shape={"norm": "rms", "gated": True, **shape},
    )


# A shape belongs to the first family that it fits.
FAMILIES = (
    bert.BERT,
    Family(
        title="StarCoder2",
        model_type="starcoder2",
        architecture="Starcoder2ForCausalLM",
        layout=STARCODER2,
        keys=ROPE_KEYS,
        activation="hidden_act",
        norm_epsilon="norm_epsilon",
        dropouts=("residual_dropout", "attention_dropout", "embedding_dropout"),
        constants={"use_bias": True},
        shape={"positions": "rope", "norm": "layer"},
    ),
    Family(
        title="StarCoder",
        model_type="gpt_bigcode",
        architecture="GPTBigCodeForCausalLM",
        layout=GPT_BIGCODE,
        keys={"hidden_size": "n_embd", "layers": "n_layer", "heads": "n_head", "max_positions": "n_positions"},
        activation="activation_function",
        norm_epsilon="layer_norm_epsilon",
        dropouts=("resid_pdrop", "attn_pdrop", "embd_pdrop"),
        constants={
            "scale_attn_weights": True,
            "attention_softmax_in_fp32": True,
            "scale_attention_softmax_in_fp32": True,
        },
        shape={"positions": "learned", "norm": "layer"},
    ),
    _modern("Qwen3", "qwen3", "Qwen3ForCausalLM", {"attention_bias": False}, biases="none", qk_norm=True),
    _modern("Qwen2", "qwen2", "Qwen2ForCausalLM", {}, biases="qkv"),
    _modern(
        "Llama", "llama", "LlamaForCausalLM", {"attention_bias": False, "mlp_bias": False}, biases="none", sliding_window=None
    ),
    _modern("Mistral", "mistral", "MistralForCausalLM", {}, biases="none"),
)


def family(config: ModelConfig) -> Family:
    """Return the family whose files hold this shape.

    >>> family(ModelConfig(10, 1, 8, 2, 1, 16, "rope", 32)).title
    'StarCoder2'
    """
    return next(each for each in FAMILIES if all(getattr(config, name) == only for name, only in each.shape.items()))


def config_values(config: ModelConfig, dtype: str = "float32") -> dict[str, Any]:
    """Return the family's config.json. Raises ExchangeError for a shape that no family has."""
    theirs = family(config)
    own: dict[str, Any]
    if config.positions == "rope":
        own = {
            "rope_theta": config.rope_theta,
            "rope_parameters": {"rope_theta": config.rope_theta, **rope.values(config.rope_scaling)},
            "sliding_window": config.sliding_window,
        }
        if config.norm == "rms":
            own["head_dim"] = config.head_size
        if theirs.model_type.startswith("qwen"):  # whose first layers may see all keys
            own |= rope.windows(config)
    elif theirs is bert.BERT:
        own = bert.values(config)
    elif config.sliding_window is None and config.kv_heads in (1, config.heads):
        own = {"n_inner": config.mlp_size, "multi_query": config.kv_heads == 1}
    else:
        raise ExchangeError(
            f"gpt_bigcode has no sliding window and 1 or {config.heads} key heads; this model has sliding_window="
            f"{config.sliding_window}, kv_heads={config.kv_heads}: use positions=rope"
        )
    return {
        "architectures": [theirs.architecture],
        "model_type": theirs.model_type,
        "vocab_size": config.vocab_size,
        "bos_token_id": config.bos_id,
        "eos_token_id": config.eos_id,
        "initializer_range": config.init_std,
        "tie_word_embeddings": config.tie_embeddings,
        "use_cache": True,
        "dtype": dtype,
        **{key: getattr(config, name) for name, key in theirs.keys.items()},
        theirs.activation: {"gelu_tanh": TANH, "gelu": EXACT, "silu": SILU}[config.activation][0],
        theirs.norm_epsilon: config.norm_epsilon,
        **theirs.constants,
        **own,
        **dict.fromkeys(theirs.dropouts, config.dropout),
    }


def read_config(values: dict[str, Any]) -> ModelConfig:
    """Return the ModelConfig of a config.json. Raises ExchangeError for another family or an unknown activation."""
    theirs = next((each for each in FAMILIES if each.model_type == values.get("model_type")), None)
    usual = "silu" if theirs and theirs.layout is LLAMA else EXACT[0] if theirs is bert.BERT else TANH[0]
    activation = values.get(theirs.activation, usual) if theirs else None
    if theirs is None or activation not in TANH + EXACT + SILU:
        known = ", ".join(each.model_type for each in FAMILIES)
        raise ExchangeError(
            f"model_type={values.get('model_type')!s:.200}, activation={activation!s:.200}: only {known} with GELU or SiLU are read"
        )
    for name, only in ONLY.items():
        if values.get(name, only) != only:  # each would change the logits
            raise ExchangeError(f"{name}={values[name]!s:.200}: only models with {name}={only} are read")
    hints = get_type_hints(ModelConfig, include_extras=True)

    def of(name: str, key: str, value: Any) -> Any:
        return convert(value, hints[name], key)  # within the range of our field, before anything of that size is made

    found = {name: of(name, key, values[key]) for name, key in theirs.keys.items()}
    for name, key in (("bos_id", "bos_token_id"), ("eos_id", "eos_token_id")):
        if isinstance(values.get(key), list):
            raise ExchangeError(
                f"{key}={values[key]!s:.200}: only models with one such token are read; the others may be stop strings"
            )
        found[name] = of(name, key, values[key] if values.get(key) is not None else 0)
    if theirs.keys is ROPE_KEYS:
        found |= rope.read(values, theirs, found, of)
    elif theirs is bert.BERT:
        found |= {"kv_heads": found["heads"], "positions": "learned"}
    else:
        found["kv_heads"] = 1 if values.get("multi_query", True) else found["heads"]
        inner = values.get("n_inner")
        found["mlp_size"] = of("mlp_size", "n_inner", 4 * found["hidden_size"] if inner is None else inner)
    defaults = {
        "init_std": ("initializer_range", 0.02),
        "tie_embeddings": ("tie_word_embeddings", True),
        "norm_epsilon": (theirs.norm_epsilon, 1e-12 if theirs is bert.BERT else 1e-5),
        "dropout": (theirs.dropouts[0], 0.0),
    }
    found |= {name: of(name, key, values.get(key, default)) for name, (key, default) in defaults.items()}
    found["vocab_size"] = of("vocab_size", "vocab_size", values["vocab_size"])
    found["activation"] = "gelu_tanh" if activation in TANH else "gelu" if activation in EXACT else "silu"
    found |= {name: only for name, only in theirs.shape.items() if name != "sliding_window"}
    labels = bert.labels(values) if theirs is bert.BERT else ()
    return TaggerConfig(**found, labels=labels) if labels else ModelConfig(**found)
