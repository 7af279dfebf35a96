"""Generation with a key-value cache: batches of unequal prompts (padded on the left), greedy or sampled, determined by a seed.

A random number is a hash of (seed, name of the row, position): a row's sample does not depend on the other rows.
Shapes: B rows still open, T tokens, V vocabulary.
"""

from collections.abc import Callable, Iterator, Sequence

import torch

from starmill.core import seeds
from starmill.core.errors import UsageError
from starmill.model.cache import Cache
from starmill.model.decoder import Decoder
from starmill.model.prompts import refuse_prompts
from starmill.model.slots import Slots

PIECE = 2048  # tokens of a prompt that are read at once, to bound the memory of masks and activations


@torch.inference_mode()
def generate(
    decoder: Decoder,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    temperature: float = 0.0,
    top_p: float = 1.0,
    top_k: int = 0,
    stop_ids: Sequence[int] = (),
    seed: int = 0,
    *,
    names: Sequence[str | int] | None = None,
    stopped: Callable[[int, list[int]], bool] | None = None,
) -> list[list[int]]:
    """Return the new ids after each prompt, without the stop id, up to max_positions in all.

    Temperature 0 is greedy; top_k 0 and top_p 1 keep all tokens. `names` identify rows for the seed (default: row numbers);
    `stopped(row, new ids)` may end a row after any token. Raises UsageError for values out of range, and for a prompt without tokens
    or as long as max_positions.
    """
    room = decoder.config.max_positions
    refuse_prompts(prompts, room)
    if temperature < 0 or not 0 < top_p <= 1 or top_k < 0:
        raise UsageError(f"temperature={temperature}, top_p={top_p}, top_k={top_k}: need >= 0, in (0, 1], >= 0")
    keys = range(len(prompts)) if names is None else names
    if len(keys) != len(prompts):
        raise ValueError(f"{len(keys)} names for {len(prompts)} prompts")
    new: list[list[int]] = [[] for _ in prompts]
    rows = [row for row, prompt in enumerate(prompts) if min(max_new_tokens, room - len(prompt)) > 0]
    if not rows:
        return new
    training = decoder.training
    decoder.eval()
    try:
        longest = max(map(len, prompts))
        cache = Cache(decoder.config, min(longest + max_new_tokens, longest + decoder.config.max_positions))
        last_BE, positions_B1 = read_prompts(decoder, prompts, cache)
        while True:
            uniform = [seeds.uniform(seed, "generate", keys[row], len(new[row])) for row in rows] if temperature else []
            chosen = choose(decoder.head(last_BE).float(), temperature, top_p, top_k, uniform)
            open_rows: list[int] = []
            for i, (row, token) in enumerate(zip(rows, chosen, strict=True)):
                if token in stop_ids:
                    continue
                new[row].append(token)
                full = len(new[row]) >= min(max_new_tokens, room - len(prompts[row]))
                if not full and not (stopped is not None and stopped(row, new[row])):
                    open_rows.append(i)
            if not open_rows:
                return new
            if len(open_rows) < len(rows):
                kept_B = torch.tensor(open_rows, device=last_BE.device)
                cache.keep(kept_B)
                positions_B1, rows, chosen = positions_B1[kept_B], [rows[i] for i in open_rows], [chosen[i] for i in open_rows]
            tokens_B1, positions_B1 = torch.tensor(chosen, device=last_BE.device)[:, None], positions_B1 + 1
            last_BE = decoder.hidden(tokens_B1, positions_B1, cache=cache)[:, -1]
    finally:
        decoder.train(training)  # a sample taken during training must not switch its dropout off


def read_prompts(decoder: Decoder, prompts: Sequence[Sequence[int]], cache: Cache | Slots) -> tuple[torch.Tensor, torch.Tensor]:
    """Read prompts into an empty cache; return the state of the last token of each, which the head reads, and those tokens' positions."""
    *_, found = reading(decoder, prompts, cache, lambda: PIECE)
    assert found is not None
    return found


def reading(
    decoder: Decoder, prompts: Sequence[Sequence[int]], cache: Cache | Slots, size: Callable[[], int]
) -> Iterator[tuple[torch.Tensor, torch.Tensor] | None]:
    """Read prompts piece by piece of `size` tokens of each, and yield after each piece: None, and last what `read_prompts` returns."""
    device, longest = decoder.tokens.weight.device, max(map(len, prompts))
    rows = [*map(tuple, prompts)]
    prompts = [*dict.fromkeys(rows)]  # samples of one prompt read it once
    tokens_BT = torch.tensor([[0] * (longest - len(p)) + list(p) for p in prompts], device=device)
    padding_BT = torch.tensor([[True] * (longest - len(p)) + [False] * len(p) for p in prompts], device=device)
    positions_BT = ((~padding_BT).cumsum(1) - 1).clamp(min=0)
    unequal = any(len(p) < longest for p in prompts)
    start = 0
    while start < longest:
        if start:
            yield None
        piece = slice(start, start + size())
        start = piece.stop
        padding = padding_BT[:, piece] if unequal else None
        # Only the last position needs logits: those of a whole prompt would take 200 KB per token.
        hidden_BTE = decoder.hidden(tokens_BT[:, piece], positions_BT[:, piece], cache=cache, padding_BT=padding)
    last_BE, positions_B1 = hidden_BTE[:, -1], positions_BT[:, -1:]
    if len(prompts) == len(rows):
        yield last_BE, positions_B1
        return
    places = {prompt: place for place, prompt in enumerate(prompts)}
    each_B = torch.tensor([places[row] for row in rows], device=device)
    cache.keep(each_B)
    yield last_BE[each_B], positions_B1[each_B]


def choose(logits_BV: torch.Tensor, temperature: float, top_p: float, top_k: int, uniform: Sequence[float]) -> list[int]:
    """Return a token for each row: the likeliest, or the one that the row's uniform number draws from the truncated distribution.

    top_k keeps the k likeliest and their ties, then top_p the fewest with that probability together (Holtzman et al. 2020).
    """
    if temperature == 0:
        return logits_BV.argmax(-1).tolist()
    logits_BV = logits_BV / temperature
    if top_k:
        floor_B1 = logits_BV.topk(min(top_k, logits_BV.shape[-1]))[0][:, -1:]
        logits_BV = logits_BV.masked_fill(logits_BV < floor_B1, -torch.inf)
    if top_p < 1:
        sorted_BV, order_BV = logits_BV.sort(descending=True)
        weights_BV = sorted_BV.softmax(-1)
        beyond_BV = weights_BV.cumsum(-1) - weights_BV >= top_p  # the token that crosses top_p stays
        logits_BV = logits_BV.scatter(1, order_BV, sorted_BV.masked_fill(beyond_BV, -torch.inf))
    # Inverse of the cumulative distribution, in float64: a float32 sum of 50,000 terms would lose the rare tokens.
    sums_BV = logits_BV.double().softmax(-1).cumsum(-1)
    total_B1 = sums_BV[:, -1:]
    at_B1 = torch.tensor(uniform, dtype=torch.float64, device=sums_BV.device)[:, None] * total_B1
    last_B1 = (sums_BV < total_B1).sum(-1, keepdim=True)  # the last token with any weight
    found: list[int] = torch.searchsorted(sums_BV, at_B1, right=True).minimum(last_B1)[:, 0].tolist()
    return found
