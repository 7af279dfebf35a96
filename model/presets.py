"""The published sizes (StarCoder: paper, table 4, and its training scripts; StarCoder2: paper, table 6, and released configurations)."""

from typing import Literal

from starmill.model.config import ModelConfig


def _starcoder(layers: int, hidden_size: int, heads: int, init_std: float, max_positions: int = 8192) -> ModelConfig:
    return ModelConfig(
        vocab_size=49_152,
        layers=layers,
        hidden_size=hidden_size,
        heads=heads,
        kv_heads=1,
        mlp_size=4 * hidden_size,
        positions="learned",
        max_positions=max_positions,
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
    # For first runs on a laptop: the shapes of their families, small.
    return ModelConfig(4096, 4, 128, 4, kv_heads, 512, positions, max_positions=1024, sliding_window=window)


PRESETS = {
    "tiny-starcoder": _tiny(1, "learned", None),
    "tiny-starcoder2": _tiny(2, "rope", 256),
    "santacoder": _starcoder(24, 2048, 16, 0.022, max_positions=2048),
    "starcoderbase-1b": _starcoder(24, 2048, 16, 0.02209),
    "starcoderbase-3b": _starcoder(36, 2816, 22, 0.01884),
    "starcoderbase-7b": _starcoder(42, 4096, 32, 0.015625),
    "starcoderbase": _starcoder(40, 6144, 48, 0.01275),
    "starcoder2-3b": _starcoder2(30, 3072, 24, 2, 999999.4420358813, 0.018042, tied=True),
    "starcoder2-7b": _starcoder2(32, 4608, 36, 4, 1e6, 0.018042, tied=True),
    "starcoder2-15b": _starcoder2(40, 6144, 48, 4, 1e5, 0.01275, tied=False),
}
