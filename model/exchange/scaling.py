"""RoPE's scaling in a config.json: `rope_parameters` of today's transformers, `rope_scaling` of older files.

A kind that we lack, or a value that would change the frequencies, is refused.
"""

from typing import Any

from starmill.core.recipe import convert
from starmill.model.config import RopeScaling
from starmill.model.exchange.layouts import ExchangeError

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


def read(config: dict[str, Any], max_positions: int) -> RopeScaling | None:
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
