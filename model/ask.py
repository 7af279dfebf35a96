"""A request to the engine (model/engine.py), and the row that it becomes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from starmill.core.errors import UsageError
from starmill.model.drafts import Lookup
from starmill.model.likelihood import Score


@dataclass(frozen=True)
class Ask:
    """A prompt, and how what follows it is drawn. `name` and `seed` decide the random numbers; `stopped` may end it after any token.

    `scored` is told each token that is drawn, a stop id too, with `tops` of the likeliest (model/likelihood.py).
    """

    prompt: Sequence[int]
    max_new_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    stop_ids: frozenset[int] = frozenset()
    seed: int = 0
    name: str | int = 0
    stopped: Callable[[list[int]], bool] | None = None
    scored: Callable[[Score], None] | None = None
    tops: int = 0

    def __post_init__(self) -> None:
        """Raise UsageError for values out of range."""
        if self.temperature < 0 or not 0 < self.top_p <= 1 or self.top_k < 0 or self.max_new_tokens < 1:
            raise UsageError(
                f"temperature={self.temperature}, top_p={self.top_p}, top_k={self.top_k}, max_new_tokens={self.max_new_tokens}: "
                "need >= 0, in (0, 1], >= 0, >= 1"
            )


@dataclass
class Row:
    """A request that waits or is written: `limit` new tokens at most, `new` so far."""

    ticket: int
    ask: Ask
    limit: int
    new: list[int] = field(default_factory=list)
    lookup: Lookup | None = None

    def ends(self, token: int) -> bool:
        """Take a token; return whether nothing follows.

        >>> row = Row(0, Ask([1], 2), limit=2)
        >>> row.ends(5), row.ends(6), row.new
        (False, True, [5, 6])
        """
        if token in self.ask.stop_ids:
            return True
        self.new.append(token)
        if self.lookup is not None:
            self.lookup.push(token)
        return len(self.new) >= self.limit or (self.ask.stopped is not None and self.ask.stopped(self.new))

    def draft(self, most: int) -> Sequence[tuple[int, float]]:
        """Return tokens that may follow, `most` at most and none beyond the limit, each with the chance that all up to it are right."""
        if self.lookup is None:
            self.lookup = Lookup()
            for token in (*self.ask.prompt, *self.new):
                self.lookup.push(token)
        return self.lookup.draft(min(most, self.limit - len(self.new) - 1))
