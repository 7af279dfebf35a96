"""How good found spans are: by type as BigCode counts (a find overlaps a true span by more than 0.8 of both), and by entities.

bigcode-dataset, pii/utils/evaluation.py; entities of labels are seqeval's, whose default mode is the lenient one.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from starmill.model.encoder.spans import entities

OVERLAP = 0.8  # of both spans
Span = tuple[int, int, str]


@dataclass(frozen=True)
class Score:
    """How many spans were found rightly, of how many found, of how many true.

    >>> score = Score(right=3, found=4, true=6)
    >>> score.precision, score.recall, round(score.f1, 2)
    (0.75, 0.5, 0.6)
    """

    right: int = 0
    found: int = 0
    true: int = 0

    @property
    def precision(self) -> float:
        """Share of found spans that are right; 0 without any."""
        return self.right / self.found if self.found else 0.0

    @property
    def recall(self) -> float:
        """Share of true spans that were found; 0 without any."""
        return self.right / self.true if self.true else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of both."""
        return 2 * self.right / (self.found + self.true) if self.found + self.true else 0.0


def by_type(found: Sequence[Sequence[Span]], true: Sequence[Sequence[Span]]) -> dict[str, Score]:
    """Return the score of each type over texts: each true span is matched once, by the first found one that overlaps it enough.

    >>> by_type([[(0, 9, "NAME")]], [[(0, 10, "NAME"), (20, 30, "KEY")]])
    {'KEY': Score(right=0, found=0, true=1), 'NAME': Score(right=1, found=1, true=1)}
    """
    counts = {name: Counter[str]() for name in ("right", "found", "true")}
    for ours, theirs in zip(found, true, strict=True):
        counts["found"].update(kind for *_, kind in ours)
        counts["true"].update(kind for *_, kind in theirs)
        open_ = list(theirs)
        for one in ours:
            match = next((other for other in open_ if is_same(one, other)), None)
            if match is not None:
                open_.remove(match)
                counts["right"][one[2]] += 1
    return {kind: Score(*(counts[name][kind] for name in counts)) for kind in sorted({*counts["found"], *counts["true"]})}


def is_same(one: Span, other: Span) -> bool:
    """Say whether two spans are of one type and overlap by more than OVERLAP of both."""
    shared = min(one[1], other[1]) - max(one[0], other[0])
    return one[2] == other[2] and shared > OVERLAP * max(one[1] - one[0], other[1] - other[0])


def of_entities(found: Sequence[Sequence[str]], true: Sequence[Sequence[str]]) -> Score:
    """Return the score of all entities of BIO labels, exact ones: seqeval's micro average.

    >>> of_entities([["B-KEY", "O"]], [["B-KEY", "I-KEY"]]).f1
    0.0
    """
    right = ours = theirs = 0
    for one, other in zip(found, true, strict=True):
        left, rest = {*entities(one)}, {*entities(other)}
        right, ours, theirs = right + len(left & rest), ours + len(left), theirs + len(rest)
    return Score(right, ours, theirs)
