"""RoPE in a config.json: theta, its scaling (`rope_parameters` of today's transformers, `rope_scaling` of older files), windows, heads.

A kind that we lack, or a value that would change the logits, is refused.
"""

from collections.abc import Callable
from typing import Any

from starmill.core.recipe import convert
from starmill.model.config import FULL, SLIDING, ModelConfig, RopeScaling
from starmill.model.exchange.layouts import LLAMA, ExchangeError, Family

WINDOW_OF_CLASS = {"mistral": 4096}  # of a config.json that has no sliding_window

KEYS = {
    "original_max_positions": "original_max_position_embeddings",
    **{name: name for name in ("factor", "low_freq_factor", "high_freq_factor", "beta_fast", "beta_slow", "attention_factor")},
}
OF_KIND = {
    "linear": ("factor",),
    "llama3": ("factor", "original_max_positions", "low_freq_factor", "high_freq_factor"),
    "yarn": ("factor", "original_max_positions", "beta_fast", "beta_slow", "attention_factor"),
}


def values(scaling: RopeScaling | None) -> dict[str, Any]:
    """Return the keys of config.json for a scaling.

    >>> values(RopeScaling("linear", 2.0))
    {'rope_type': 'linear', 'factor': 2.0}
    """
    if scaling is None:
        return {"rope_type": "default"}
    given = {KEYS[name]: getattr(scaling, name) for name in OF_KIND[scaling.kind] if getattr(scaling, name) is not None}
    return {"rope_type": scaling.kind, **given}


def scaling(config: dict[str, Any], max_positions: int) -> RopeScaling | None:
    """Return the scaling of a config.json's values. Raises ExchangeError for a kind that is not here."""
    rope, older = (convert(config.get(key) or {}, dict[str, Any], key) for key in ("rope_parameters", "rope_scaling"))
    given = older or rope
    kind = given.get("rope_type") or given.get("type") or "default"
    if kind == "default":
        return None
    if kind not in OF_KIND:
        raise ExchangeError(f"rope_type={kind!s:.200}: only {', '.join(OF_KIND)} are read")
    for name, only in (("truncate", True), ("mscale", None), ("mscale_all_dim", None)):
        if given.get(name, only) != only:
            raise ExchangeError(f"{name}={given[name]!s:.200} of rope_type={kind}: only models without it are read")
    found = {name: given[KEYS[name]] for name in OF_KIND[kind] if given.get(KEYS[name]) is not None}
    if "factor" not in found:
        raise ExchangeError(f"rope_type={kind} without a factor; export the model again")
    if "original_max_positions" in OF_KIND[kind]:
        found.setdefault("original_max_positions", config.get(KEYS["original_max_positions"]) or max_positions)
    made: RopeScaling = convert({"kind": kind, **found}, RopeScaling, "rope_parameters")
    return made


def windows(config: ModelConfig) -> dict[str, Any]:
    """Return the keys of Qwen's config.json for windows; max_window_layers, of the first layers, is for software that knows no other."""
    kinds: list[str] = list(config.layer_types or [])
    first = {"use_sliding_window": config.sliding_window is not None, "max_window_layers": kinds.index(SLIDING) if kinds else 0}
    return first | ({"layer_types": kinds} if kinds else {})


def read(values: dict[str, Any], theirs: Family, found: dict[str, Any], of: Callable[[str, str, Any], Any]) -> dict[str, Any]:
    """Return the fields of a model with RoPE: theta, scaling, window, heads. Raises ExchangeError for what would change the logits."""
    modern, rope = theirs.layout is LLAMA, convert(values.get("rope_parameters") or {}, dict[str, Any], "rope_parameters")
    size = of("head_dim", "head_dim", values.get("head_dim"))
    if size is not None and size * found["heads"] == found["hidden_size"]:
        size = None
    if size is not None and not modern:
        raise ExchangeError(f"head_dim={size}: only models with head_dim=hidden_size/num_attention_heads are read")
    window = of("sliding_window", "sliding_window", values.get("sliding_window", WINDOW_OF_CLASS.get(theirs.model_type)))
    if theirs.model_type.startswith("qwen"):
        window = window if values.get("use_sliding_window") else None
    kinds = of("layer_types", "layer_types", values.get("layer_types") or None)
    if window is not None and kinds is None and theirs.model_type.startswith("qwen"):
        full = convert(values.get("max_window_layers", 28), int, "max_window_layers")  # the first ones
        kinds = tuple(FULL if layer < full else SLIDING for layer in range(found["layers"]))
    if kinds is not None and {*kinds} == {FULL}:
        window, kinds = None, None
    elif kinds is not None and {*kinds} == {SLIDING} and window is not None:
        kinds = None
    if kinds is not None and (window is None or not theirs.model_type.startswith("qwen")):
        raise ExchangeError(
            f"layer_types={', '.join(kinds)!s:.200} of {theirs.model_type} with sliding_window={window}: only those of Qwen's models "
            "with a window are read"
        )
    return {
        # Published models differ in theta: no default.
        "rope_theta": of("rope_theta", "rope_theta", rope["rope_theta"] if "rope_theta" in rope else values["rope_theta"]),
        "rope_scaling": scaling(values, found["max_positions"]),
        "positions": "rope",
        "head_dim": size,
        "layer_types": kinds,
        "sliding_window": window if theirs.model_type != "llama" else None,
    }
