"""Which prompts a model can read: looked at before PyTorch is imported."""

from collections.abc import Sequence

from starmill.core.errors import UsageError


def refuse_prompts(prompts: Sequence[Sequence[int]], max_positions: int) -> None:
    """Raise UsageError for a prompt (token ids) that has none, or as many as the model has positions."""
    if not all(prompts):
        raise UsageError("a prompt has no tokens; start it with <|endoftext|> or <file_sep>")
    if (longest := max(map(len, prompts), default=0)) >= max_positions:
        raise UsageError(f"a prompt of {longest} tokens leaves no room in max_positions={max_positions}; shorten it")
