"""Thresholds on the signals that a recipe has measured: errors of syntax, and the score of a trained scorer.

Both are off unless a recipe has them, and read columns alone: another threshold measures nothing again.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from msgspec import Meta

from starmill.core.names import Share
from starmill.transforms.step import Rule, Step


@dataclass(frozen=True)
class SyntaxErrors(Rule):
    """Drops files of which too many bytes lie in errors of syntax; one that was not parsed stays.

    >>> [SyntaxErrors().judge(share) for share in (0.0, 0.2, None)]
    [None, 'syntax_errors', None]
    """

    reads: ClassVar[tuple[str, ...]] = ("syntax_error_fraction",)

    max_fraction: Share = 0.1  # of the bytes
    name: str = "syntax_errors"

    def judge(self, share: float | None) -> str | None:
        """Return syntax_errors or None."""
        return "syntax_errors" if share is not None and share > self.max_fraction else None


@dataclass(frozen=True)
class LowScore(Rule):
    """Drops files below a score; one without a score stays.

    >>> [LowScore(at_least=0.5).judge(score) for score in (0.4, 0.5, None)]
    ['low_score', None, None]
    """

    reads: ClassVar[tuple[str, ...]] = ("quality_score",)

    at_least: Annotated[float, Meta(ge=0, le=1e15)] = 0.5  # on the scorer's scale: of labels a probability
    name: str = "low_score"

    def judge(self, score: float | None) -> str | None:
        """Return low_score or None."""
        return "low_score" if score is not None and score < self.at_least else None


@dataclass(frozen=True)
class Signals:
    """The thresholds; null: none.

    >>> [step.name for step in Signals(low_score=LowScore()).steps()]
    ['low_score']
    """

    syntax_errors: SyntaxErrors | None = None
    low_score: LowScore | None = None

    def steps(self) -> tuple[Step, ...]:
        """Return the rules that are there."""
        return tuple(rule for rule in (self.syntax_errors, self.low_score) if rule is not None)
