"""The shape of a training recipe; the values are in recipes/train-*.yaml. Tokens, unless a name says otherwise."""

from dataclasses import dataclass, field
from typing import Literal

from starmill.model.config import ModelConfig


@dataclass(frozen=True)
class Model:
    """ModelConfig's fields; `vocab_size` null means the tokenizer's."""

    layers: int
    hidden_size: int
    heads: int
    kv_heads: int
    mlp_size: int
    positions: Literal["rope", "learned"]
    max_positions: int
    vocab_size: int | None = None
    rope_theta: float = 1e5
    sliding_window: int | None = None
    norm_epsilon: float = 1e-5
    activation: Literal["gelu_tanh", "gelu"] = "gelu_tanh"
    init_std: float = 0.02
    dropout: float = 0.0
    tie_embeddings: bool = True

    def config(self, tokenizer_vocabulary: int) -> ModelConfig:
        """Return the model's configuration. Raises ValueError for a vocabulary smaller than the tokenizer's."""
        size = self.vocab_size or tokenizer_vocabulary
        if size < tokenizer_vocabulary:
            raise ValueError(f"model.vocab_size={size} is smaller than the tokenizer's {tokenizer_vocabulary}; leave it null")
        return ModelConfig(**{**vars(self), "vocab_size": size})


@dataclass(frozen=True)
class Fim:
    """Fill in the middle (StarCoder2, section 5.1): `rate` of documents, `file_rate` of their files, `spm_rate` of those as SPM."""

    rate: float = 0.5
    file_rate: float = 0.5
    spm_rate: float = 0.5

    def __post_init__(self) -> None:
        """Refuse what is no rate."""
        for name, value in vars(self).items():
            if not 0 <= value <= 1:
                raise ValueError(f"fim.{name}={value}: must be from 0 to 1")


@dataclass(frozen=True)
class Data:
    """A step takes micro_batch * accumulation windows of sequence_length."""

    sequence_length: int
    micro_batch: int
    accumulation: int = 1
    unit_tokens: int = 65_536  # repositories are shuffled as runs of whole files of about this size
    mask_documents: bool = False  # StarCoder let attention cross documents
    held_out: float = 0.02  # of repositories, never trained on
    held_out_windows: int = 64
    prefetch: int = 4  # batches made ahead
    fim: Fim = field(default_factory=Fim)

    def __post_init__(self) -> None:
        """Refuse sizes that give no batch."""
        for name in ("sequence_length", "micro_batch", "accumulation", "unit_tokens", "prefetch"):
            if getattr(self, name) < 1:
                raise ValueError(f"data.{name}={getattr(self, name)}: must be at least 1")
        if not 0 <= self.held_out < 1:
            raise ValueError(f"data.held_out={self.held_out}: must be in [0, 1)")


@dataclass(frozen=True)
class AdamW:
    """StarCoder's optimizer (beta2 0.95, decay 0.1, clip 1.0), linear warm-up, cosine to `min_lr`."""

    lr: float
    min_lr: float
    warmup_steps: int
    beta1: float = 0.9
    beta2: float = 0.95
    epsilon: float = 1e-8
    weight_decay: float = 0.1
    clip: float = 1.0


@dataclass(frozen=True)
class TrainRecipe:
    """`workspace` holds the shards, `output` gets checkpoints, metrics.jsonl and model/."""

    workspace: str
    output: str
    model: Model
    data: Data
    optimizer: AdamW
    steps: int
    checkpoint_every: int = 1000
    keep_checkpoints: int = 2
    log_every: int = 10
    seed: int = 0
    threads: int = (
        2  # on a CPU, sums depend on their number: fixed here, so that a machine with more cores gets the same losses
    )
    device: str = "auto"

    def __post_init__(self) -> None:
        """Refuse runs of no length, and sequences that the model has no positions for."""
        for name in ("steps", "checkpoint_every", "keep_checkpoints", "log_every", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: must be at least 1")
        if self.data.sequence_length > self.model.max_positions:
            raise ValueError(
                f"data.sequence_length={self.data.sequence_length} is above model.max_positions={self.model.max_positions}"
            )
