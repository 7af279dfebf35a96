"""The shape of a model: one configuration covers StarCoder (MQA, learned positions), StarCoder2 (GQA, RoPE, sliding window), Llama,
Mistral, Qwen2 and Qwen3 (RMSNorm, gated MLP), and StarEncoder.

heads          h0 h1 h2 h3     h0 h1 h2 h3     h0 h1 h2 h3
               |  |  |  |       \\ /   \\ /        \\  | | /
kv_heads       k0 k1 k2 k3      k0     k1            k0
               MHA: kv = heads  GQA             MQA: kv = 1
"""

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from msgspec import Meta

from starmill.core.names import ShareBelow1

# Far above any model that there is, and far below what would fill a machine before a refusal.
Vocabulary = Annotated[int, Meta(ge=1, le=1 << 20)]
Width = Annotated[int, Meta(ge=1, le=1 << 17)]
Length = Annotated[int, Meta(ge=1, le=1 << 24)]
FULL, SLIDING = "full_attention", "sliding_attention"
LayerTypes = Annotated[tuple[Literal["full_attention", "sliding_attention"], ...], Meta(max_length=1000)]


@dataclass(frozen=True)
class RopeScaling:
    """How RoPE's frequencies are lowered for sequences longer than those of the training: the keys of transformers' `rope_parameters`.

    `linear` divides all by `factor` (arXiv 2306.15595); `llama3` and `yarn` (arXiv 2309.00071) leave the high ones as they are, and
    `yarn` scales what is rotated, by `attention_factor`.

    >>> RopeScaling("llama3", factor=32, original_max_positions=8192).high_freq_factor
    4.0
    """

    kind: Literal["linear", "llama3", "yarn"]
    factor: Annotated[float, Meta(ge=1, le=1e6)]  # by which frequencies are divided
    original_max_positions: Length = 8192  # tokens of the training before
    low_freq_factor: Annotated[float, Meta(gt=0, le=1e6)] = 1.0  # llama3: turns in those tokens, below which all are divided
    high_freq_factor: Annotated[float, Meta(gt=0, le=1e6)] = 4.0  # llama3: turns above which none is
    beta_fast: Annotated[float, Meta(gt=0, le=1e6)] = 32.0  # yarn: turns above which none is divided
    beta_slow: Annotated[float, Meta(gt=0, le=1e6)] = 1.0  # yarn: turns below which all are
    attention_factor: Annotated[float, Meta(gt=0, le=100)] | None = None  # yarn; null: 0.1 ln(factor) + 1

    def __post_init__(self) -> None:
        """Refuse llama3's factors in the wrong order."""
        if self.kind == "llama3" and self.low_freq_factor >= self.high_freq_factor:
            raise ValueError(f"low_freq_factor={self.low_freq_factor} must be below high_freq_factor={self.high_freq_factor}")


@dataclass(frozen=True)
class ModelConfig:
    """Sizes in elements, positions in tokens. `mlp_size` is four times `hidden_size` in every published model.

    >>> config = ModelConfig(49_152, layers=2, hidden_size=64, heads=4, kv_heads=2, mlp_size=256, positions="rope", max_positions=1024)
    >>> config.head_size, parameter_count(config)
    (16, 3237504)
    """

    vocab_size: Vocabulary  # tokens
    layers: Annotated[int, Meta(ge=1, le=1000)]  # blocks
    hidden_size: Width  # elements of a token's state
    heads: Width  # query heads of attention
    kv_heads: Width  # heads of keys and values; 1: MQA, as many as `heads`: MHA
    mlp_size: Vocabulary  # elements inside a block's MLP
    positions: Literal["rope", "learned"]  # rotations (StarCoder2) or learned vectors (StarCoder)
    max_positions: Length  # tokens of the longest sequence
    rope_theta: Annotated[float, Meta(gt=0, le=1e12)] = 1e5  # base of the rotations
    sliding_window: Length | None = None  # keys that a query sees, itself included; null: all
    norm_epsilon: Annotated[float, Meta(gt=0, le=1)] = 1e-5  # added to the variance in a norm
    activation: Literal["gelu_tanh", "gelu", "silu"] = "gelu_tanh"  # of the MLP
    init_std: Annotated[float, Meta(ge=0, le=10)] = 0.02  # standard deviation of the initial weights
    dropout: ShareBelow1 = 0.0  # share of elements that training drops
    tie_embeddings: bool = True  # input and output share one matrix
    bos_id: Annotated[int, Meta(ge=0, le=1 << 20)] = 0  # the token before a document: its end of text; 49,152 in SantaCoder
    eos_id: Annotated[int, Meta(ge=0, le=1 << 20)] = 0  # the token after a document
    attention: Literal["causal", "bidirectional"] = "causal"  # bidirectional: an encoder with BERT's norms and heads
    norm: Literal["layer", "rms"] = "layer"  # LayerNorm, or RMSNorm (arXiv 1910.07467), which has no bias
    gated: bool = False  # the MLP multiplies by activation(gate), as SwiGLU (arXiv 2002.05202)
    biases: Literal["all", "qkv", "none"] = "all"  # of matrices: all, those of queries, keys and values, or none
    head_dim: Width | None = None  # elements of a head; null: hidden_size / heads
    qk_norm: bool = False  # RMSNorm of each head's queries and keys
    rope_scaling: RopeScaling | None = None  # for sequences longer than those of an earlier training
    layer_types: LayerTypes | None = None  # which layers have the sliding window; null: all

    def __post_init__(self) -> None:
        """Refuse sizes that do not fit each other; their ranges are in their types (core/recipe.py: convert)."""
        if self.head_dim is None and self.hidden_size % self.heads:
            raise ValueError(f"hidden_size={self.hidden_size} is not a multiple of heads={self.heads}")
        if self.heads % self.kv_heads:
            raise ValueError(f"heads={self.heads} is not a multiple of kv_heads={self.kv_heads}")
        if self.positions == "rope" and self.head_size % 2:
            raise ValueError(f"RoPE rotates pairs: hidden_size / heads = {self.head_size} must be even")
        self._refuse_mixed()
        theirs: dict[str, Any] = {"norm": "layer", "head_dim": None, "layer_types": None}
        theirs |= {"positions": "learned", "kv_heads": self.heads, "sliding_window": None, "tie_embeddings": True}
        other = next((name for name, only in theirs.items() if getattr(self, name) != only), None)
        if self.is_encoder and other:
            raise ValueError(f"{other}={getattr(self, other)}: an encoder has BERT's layout; set {other}={theirs[other]}")

    def _refuse_mixed(self) -> None:
        """Refuse mixtures of two families, which no other software loads."""
        rms = self.norm == "rms"
        for name, wanted in (("gated", rms), ("positions", "rope") if rms else ("qk_norm", False)):
            if getattr(self, name) != wanted:
                raise ValueError(f"{name}={getattr(self, name)} with norm={self.norm}: no model is so; set {name}={wanted}")
        if rms == (self.biases == "all") or (self.qk_norm and self.biases != "none"):
            fit = "none" if self.qk_norm else "none, or qkv" if rms else "all"
            raise ValueError(
                f"biases={self.biases} with norm={self.norm}, qk_norm={self.qk_norm}: no model is so; set biases={fit}"
            )
        if self.layer_types is not None:
            if len(self.layer_types) != self.layers or {*self.layer_types} != {FULL, SLIDING} or self.sliding_window is None:
                raise ValueError(
                    f"layer_types: for each of layers={self.layers} {FULL} or {SLIDING}, some of both, and a sliding_window"
                )
            if not self.qk_norm and self.biases != "qkv":
                raise ValueError(
                    f"layer_types with biases={self.biases}: only Qwen's models have them; set qk_norm, or biases=qkv"
                )
        if self.rope_scaling is not None and self.positions != "rope":
            raise ValueError("rope_scaling: learned positions have none; leave it out")

    @property
    def head_size(self) -> int:
        """Elements of one head."""
        return self.head_dim or self.hidden_size // self.heads

    @property
    def windows(self) -> tuple[int | None, ...]:
        """The window of each layer; None: its queries see all keys before them."""
        return tuple(None if kind == FULL else self.sliding_window for kind in self.layer_types or (SLIDING,) * self.layers)

    @property
    def is_encoder(self) -> bool:
        """Whether a token sees those after it, too."""
        return self.attention == "bidirectional"

    @property
    def has_position_table(self) -> bool:
        """Whether each position has weights of its own, so that a weight's shape holds the number of positions."""
        return self.positions == "learned"


@dataclass(frozen=True)
class TaggerConfig(ModelConfig):
    """An encoder with a head that gives each token one of `labels` (`O`, `B-NAME`, `I-NAME`, ...), in place of its heads of training.

    >>> TaggerConfig(10, 1, 8, 2, 2, 16, "learned", 32, attention="bidirectional", labels=("O", "B-NAME", "I-NAME")).labels[1]
    'B-NAME'
    """

    labels: tuple[str, ...] = ("O",)  # by id


def parameter_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Return the shape of each parameter of the model by name, in the model's order; a tied head is no parameter of its own."""
    hidden, mlp = config.hidden_size, config.mlp_size
    queries, kv = config.heads * config.head_size, config.kv_heads * config.head_size
    norms: dict[str, tuple[int, ...]] = dict.fromkeys(("query_norm", "key_norm") if config.qk_norm else (), (config.head_size,))
    block: dict[str, tuple[int, ...]] = {
        "attention_norm": (hidden,),
        "attention.query": (queries, hidden),
        "attention.key": (kv, hidden),
        "attention.value": (kv, hidden),
        **{f"attention.{name}": shape for name, shape in norms.items()},
        "attention.output": (hidden, queries),
        "mlp_norm": (hidden,),
        **({"gate": (mlp, hidden)} if config.gated else {}),
        "up": (mlp, hidden),
        "down": (hidden, mlp),
    }
    found: dict[str, tuple[int, ...]] = {"tokens.weight": (config.vocab_size, hidden)}
    if config.has_position_table:
        found["places.weight"] = (config.max_positions, hidden)
    modules = {f"blocks.{i}.{name}": shape for i in range(config.layers) for name, shape in block.items()}
    for name, shape in (*modules.items(), ("norm", (hidden,))):
        found[f"{name}.weight"] = shape
        if config.biases == "all" or (config.biases == "qkv" and name.endswith(("query", "key", "value"))):
            found[f"{name}.bias"] = shape[:1]
    if config.is_encoder:
        return found | _encoder_shapes(config)
    return found if config.tie_embeddings else {**found, "head.weight": (config.vocab_size, hidden)}


def _encoder_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    hidden, types = config.hidden_size, {"types.weight": (2, config.hidden_size)}
    if isinstance(config, TaggerConfig):
        return types | {"classifier.weight": (len(config.labels), hidden), "classifier.bias": (len(config.labels),)}
    square = {"transform": (hidden, hidden), "transform_norm": (hidden,), "pooler": (hidden, hidden), "next": (2, hidden)}
    heads = {f"{n}.{kind}": s if kind == "weight" else s[:1] for n, s in square.items() for kind in ("weight", "bias")}
    return types | {"token_bias": (config.vocab_size,)} | heads


def parameter_count(config: ModelConfig) -> int:
    """Return the number of parameters; tied embeddings count once."""
    return sum(math.prod(shape) for shape in parameter_shapes(config).values())
