"""The published sizes (StarCoder: its training scripts; StarCoder2: released configurations, its first phase from memory of the paper;
StarEncoder: its card).

StarCoder2 was trained twice: on 4,096 tokens, then on 16,384 with a sliding window of 4,096 and a larger rope_theta. `-4k` is the
first phase. The weights of both have the same shapes, so that the second phase starts from those of the first.
"""

import dataclasses
from typing import Literal

from starmill.model.config import ModelConfig


def _starcoder(layers: int, hidden_size: int, heads: int, init_std: float) -> ModelConfig:
    return ModelConfig(
        vocab_size=49_152,
        layers=layers,
        hidden_size=hidden_size,
        heads=heads,
        kv_heads=1,
        mlp_size=4 * hidden_size,
        positions="learned",
        max_positions=8192,
        init_std=init_std,
        dropout=0.1,
    )


def _starcoder2(layers: int, hidden_size: int, heads: int, kv_heads: int, theta: float, std: float, tied: bool) -> ModelConfig:
    return ModelConfig(
        vocab_size=49_152,
        layers=layers,
        hidden_size=hidden_size,
        heads=heads,
        kv_heads=kv_heads,
        mlp_size=4 * hidden_size,
        positions="rope",
        max_positions=16_384,
        rope_theta=theta,
        sliding_window=4096,
        init_std=std,
        tie_embeddings=tied,
    )


def _tiny(kv_heads: int, positions: Literal["rope", "learned"], window: int | None) -> ModelConfig:
    # For first runs on a laptop: the families' shapes, small.
    return ModelConfig(4096, 4, 128, 4, kv_heads, 512, positions, max_positions=1024, sliding_window=window)


def _encoder(vocab_size: int, layers: int, hidden_size: int, heads: int) -> ModelConfig:
    return ModelConfig(
        vocab_size=vocab_size,
        layers=layers,
        hidden_size=hidden_size,
        heads=heads,
        kv_heads=heads,
        mlp_size=4 * hidden_size,
        positions="learned",
        max_positions=1024,
        norm_epsilon=1e-12,
        activation="gelu",
        dropout=0.1,
        attention="bidirectional",
    )


def _first_phase(config: ModelConfig, theta: float) -> ModelConfig:
    # A window as long as the sequence would mask nothing.
    return dataclasses.replace(config, max_positions=4096, rope_theta=theta, sliding_window=None)


_1B = _starcoder(24, 2048, 16, 0.02209)
# Its config.json (bigcode/gpt_bigcode-santacoder): 49,152 tokens of text, special ones from there on, padded to a multiple of 128.
_SANTACODER = dataclasses.replace(_1B, vocab_size=49_280, max_positions=2048, init_std=0.022, bos_id=49_152, eos_id=49_152)
_3B2 = _starcoder2(30, 3072, 24, 2, 999999.4420358813, 0.018042, tied=True)
_7B2 = _starcoder2(32, 4608, 36, 4, 1e6, 0.018042, tied=True)
_15B2 = _starcoder2(40, 6144, 48, 4, 1e5, 0.01275, tied=False)

PRESETS = {
    "tiny-starcoder": _tiny(1, "learned", None),
    "tiny-starcoder2": _tiny(2, "rope", 256),
    "tiny-starencoder": _encoder(4100, 2, 128, 4),
    # Its card: 12 layers of 768, 1,024 positions, StarCoder's vocabulary and the four tokens of model/encoder/tokens.py behind it.
    "starencoder": _encoder(49_156, 12, 768, 12),
    "santacoder": _SANTACODER,
    "starcoderbase-1b": _1B,
    "starcoderbase-3b": _starcoder(36, 2816, 22, 0.01884),
    "starcoderbase-7b": _starcoder(42, 4096, 32, 0.015625),
    "starcoderbase": _starcoder(40, 6144, 48, 0.01275),
    "starcoder2-3b-4k": _first_phase(_3B2, 1e5),
    "starcoder2-7b-4k": _first_phase(_7B2, 1e5),
    "starcoder2-15b-4k": _first_phase(_15B2, 1e4),
    "starcoder2-3b": _3B2,
    "starcoder2-7b": _7B2,
    "starcoder2-15b": _15B2,
}
