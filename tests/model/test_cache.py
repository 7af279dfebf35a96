"""What the cache gives back is what a list would: all keys, or the last `window` of them and the new ones."""

import pytest
import torch

from starmill.model.cache import Cache
from starmill.model.config import ModelConfig

PLAIN = ModelConfig(10, 2, 8, 2, 1, 8, "rope", 100)
WINDOWED = ModelConfig(10, 2, 8, 2, 1, 8, "rope", 100, sliding_window=5)
QWEN = {"norm": "rms", "gated": True, "biases": "qkv", "activation": "silu"}
MIXED = ModelConfig(
    10, 2, 8, 2, 1, 8, "rope", 100, sliding_window=5, layer_types=("full_attention", "sliding_attention"), **QWEN
)


def feed(cache: Cache, sizes: list[int]) -> None:
    """Give keys that name their order, and compare with the list of all of them."""
    everything: list[int] = []
    for size in sizes:
        new = list(range(len(everything), len(everything) + size))
        order = torch.tensor([new, new])
        orders = cache.order(order)
        past = list(everything)
        everything += new
        for layer, window in enumerate(cache.windows):
            seen, ring = orders[window], cache.rings[window]
            kept = ring.size if ring.rolling else 1000
            expected = everything[-kept:] if size == 1 else past[-kept:] + new
            named = (order.float() + 100 * layer)[:, None, :, None].expand(2, 1, size, 4)
            keys, values = cache.extend(layer, named, -named)
            assert (keys[:, 0, :, 0] - 100 * layer).tolist() == seen.tolist() == (-values[:, 0, :, 0] - 100 * layer).tolist()
            assert [sorted(row) for row in seen.tolist()] == [expected] * 2
        cache.advance(size)


@pytest.mark.parametrize("config", [PLAIN, WINDOWED, MIXED])
@pytest.mark.parametrize("sizes", [[1] * 14, [3, 1, 1, 1, 4, 1, 1, 2], [12, 1, 1], [5, 5, 1, 5], [4, 6, 1], [2, 1, 9, 1, 1]])
def test_it_is_a_list(config: ModelConfig, sizes: list[int]) -> None:
    feed(Cache(config, 20), sizes)


def test_a_window_bounds_the_memory() -> None:
    cache = Cache(WINDOWED, 10**9)
    feed(cache, [40] + [1] * 30)
    assert cache.rings[5].size == 5 and all(held is not None and held[0].shape[2] == 5 for held in cache._layers)


def test_only_layers_that_see_all_keep_all() -> None:
    cache = Cache(MIXED, 30)
    feed(cache, [10, 1, 1, 12])
    assert [held[0].shape[2] for held in cache._layers if held is not None] == [30, 5]


@pytest.mark.parametrize("config", [PLAIN, WINDOWED, MIXED])
def test_a_full_cache_is_refused(config: ModelConfig) -> None:
    cache = Cache(config, 4)  # a window that never fills does not roll
    feed(cache, [4])
    with pytest.raises(ValueError, match="5 tokens do not fit a cache for 4"):
        cache.order(torch.tensor([[4]]))


def test_rows_are_forgotten() -> None:
    cache = Cache(PLAIN, 4)
    order = torch.tensor([[0, 1], [-1, 1], [0, 1]])
    cache.order(order)
    cache.extend(0, torch.arange(6.0).view(3, 1, 2, 1), torch.arange(6.0).view(3, 1, 2, 1))
    cache.advance(2)
    cache.keep(torch.tensor([1]))
    assert cache.order(torch.tensor([[2]]))[None].tolist() == [[-1, 1, 2]]
    assert cache.extend(0, torch.ones(1, 1, 1, 1), torch.ones(1, 1, 1, 1))[0].flatten().tolist() == [2, 3, 1]
