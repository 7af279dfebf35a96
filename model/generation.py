"""Generation with a key-value cache: batches of unequal prompts (padded on the left), greedy or sampled, determined by a seed."""

from collections.abc import Sequence

import torch

from starmill.core import seeds
from starmill.model.cache import Cache
from starmill.model.decoder import Decoder


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
) -> list[list[int]]:
    """Return the new ids after each prompt, without the stop id. Temperature 0 is greedy; top_k 0 and top_p 1 keep all.

    Raises ValueError for an empty prompt, or values out of range.
    """
    if not all(prompts):
        raise ValueError("a prompt has no tokens; start it with <|endoftext|> or <file_sep>")
    if temperature < 0 or not 0 < top_p <= 1 or top_k < 0:
        raise ValueError(f"temperature={temperature}, top_p={top_p}, top_k={top_k}: need >= 0, in (0, 1], >= 0")
    if not prompts:
        return []
    training = decoder.training
    decoder.eval()
    try:
        return _generate(decoder, prompts, max_new_tokens, (temperature, top_p, top_k), frozenset(stop_ids), seed)
    finally:
        decoder.train(training)  # a sample taken during training must not switch its dropout off


def _generate(
    decoder: Decoder,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    sampling: tuple[float, float, int],
    stop_ids: frozenset[int],
    seed: int,
) -> list[list[int]]:
    device = decoder.tokens.weight.device
    longest = max(map(len, prompts))
    tokens_BT = torch.tensor([[0] * (longest - len(p)) + list(p) for p in prompts], device=device)
    padding_BT = torch.tensor([[True] * (longest - len(p)) + [False] * len(p) for p in prompts], device=device)
    positions_BT = ((~padding_BT).cumsum(1) - 1).clamp(min=0)
    generator = torch.Generator(device).manual_seed(seeds.uint64(seed, "generate") >> 1)
    cache = Cache(decoder.config, longest + max_new_tokens)
    new: list[list[int]] = [[] for _ in prompts]
    open_rows = set(range(len(prompts)))
    hidden_from: torch.Tensor | None = padding_BT
    for _ in range(max_new_tokens):
        # Only the last place is asked: logits of a whole prompt would be 200 KB a token.
        last_BE = decoder.hidden(tokens_BT, positions_BT, cache=cache, padding_BT=hidden_from)[:, -1]
        chosen_B = _choose(decoder.head(last_BE).float(), *sampling, generator)
        for row in sorted(open_rows):
            token = int(chosen_B[row])
            if token in stop_ids:
                open_rows.discard(row)
            else:
                new[row].append(token)
        if not open_rows:
            break
        tokens_BT, positions_BT = chosen_B[:, None], positions_BT[:, -1:] + 1
        hidden_from = None
    return new


def _choose(logits_BV: torch.Tensor, temperature: float, top_p: float, top_k: int, generator: torch.Generator) -> torch.Tensor:
    if temperature == 0:
        return logits_BV.argmax(-1)
    logits_BV = logits_BV / temperature
    if top_k:
        floor_B1 = logits_BV.topk(min(top_k, logits_BV.shape[-1]))[0][:, -1:]
        logits_BV = logits_BV.masked_fill(logits_BV < floor_B1, -torch.inf)
    if top_p < 1:
        sorted_BV, order_BV = logits_BV.sort(descending=True)
        weights_BV = sorted_BV.softmax(-1)
        beyond_BV = weights_BV.cumsum(-1) - weights_BV >= top_p  # the token that crosses top_p stays
        logits_BV = logits_BV.scatter(1, order_BV, sorted_BV.masked_fill(beyond_BV, -torch.inf))
    return torch.multinomial(logits_BV.softmax(-1), 1, generator=generator)[:, 0]
