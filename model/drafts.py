"""Guesses at the next tokens, looked up in what a request has had so far: where its last tokens stood before, and what followed them.

Prompt lookup decoding (Saxena 2023, https://github.com/apoorvumang/prompt-lookup-decoding), a draft for speculative decoding (Leviathan
et al. 2023, arXiv 2211.17192): one pass of the model reads the last token and the guesses behind it, and says which are right. A guess
counts only where it is the token that is drawn anyway, so that guesses change no answer. Each token that comes says whether the guess of
it would have been right, read or not: a text that does not repeat itself soon has no guesses read, and none costs a pass to find out.
"""

from collections.abc import Sequence

SPANS = (3, 2)  # tokens that must agree before a guess, the longer first
CHANCES = (
    0.3,
    0.4,
    0.5,
    0.6,
    0.7,
    0.8,
    0.9,
)  # of a guess behind so many tokens that agreed, before a request has shown its own
LEARN = 0.15  # share of the last guess in such a chance
MOST = 15  # guesses of a row that are read at once, where nobody says otherwise
READ = 32  # tokens of all rows that one pass reads at most, where guesses are among them
POWER = 0.35  # a pass over N tokens takes N ** POWER times as long as one over one (benchmarks/results/serve.md)


class Lookup:
    """The tokens of a request, and where each pair and each three of them stood last. Takes time in proportion to the tokens.

    >>> lookup = Lookup()
    >>> for token in [5, 6, 7, 8, 9, 5, 6, 7]:
    ...     lookup.push(token)
    >>> [token for token, _ in lookup.draft(4)]
    [8, 9, 5, 6]
    """

    def __init__(self) -> None:
        """Of no tokens yet."""
        self._tokens: list[int] = []
        self._places: dict[int, int] = {}  # the place behind the last of a span, by a hash of the span
        self._at: int | None = None  # the place of the next guess
        self._agreed = 0  # tokens before that place that are those at the end
        self._chances = [*CHANCES]

    def push(self, token: int) -> None:
        """Take the next token."""
        if self._at is not None:
            right = self._tokens[self._at] == token
            level = min(self._agreed, len(CHANCES) - 1)
            self._chances[level] += LEARN * (right - self._chances[level])
            self._at, self._agreed = (self._at + 1, self._agreed + 1) if right else (None, 0)
        self._tokens.append(token)
        for span in SPANS:
            if len(self._tokens) >= span:
                key = hash(tuple(self._tokens[-span:]))  # of two spans with one hash the guess is wrong, and nothing else
                if self._at is None and (place := self._places.get(key)) is not None:
                    self._at, self._agreed = place, span
                self._places[key] = len(self._tokens)

    def draft(self, most: int) -> list[tuple[int, float]]:
        """Return at most so many guesses, each with the chance that it and those before it are right. What is guessed may repeat."""
        if self._at is None:
            return []
        found, chance = list[tuple[int, float]](), 1.0
        for guess in range(most):
            at = self._at + guess
            token = self._tokens[at] if at < len(self._tokens) else found[at - len(self._tokens)][0]
            chance *= self._chances[min(self._agreed + guess, len(CHANCES) - 1)]
            found.append((token, chance))
        return found


def width(drafts: Sequence[Sequence[tuple[int, float]]]) -> int:
    """Return how many guesses of each row are best read now, those that make the most tokens per time of a pass; 0 for none.

    >>> width([[(7, 0.9), (8, 0.8)]]), width([[(7, 0.2)]]), width([[(7, 0.9)]] + [[]] * 15)
    (2, 0, 0)
    """
    rows = len(drafts)
    tokens, best, found = float(rows), rows / rows**POWER, 0
    for guesses in range(1, max(map(len, drafts)) + 1):
        tokens += sum(draft[guesses - 1][1] for draft in drafts if len(draft) >= guesses)
        if (rate := tokens / (rows * (1 + guesses)) ** POWER) > best:
            best, found = rate, guesses
    return found
