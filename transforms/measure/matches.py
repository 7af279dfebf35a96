"""What ScanCode says of a text: its matches, each with its kind, score and lines, and the identifiers that The Stack v2 counted.

A match is one line of text without blanks, because that is what a cache of findings holds. Nothing here judges a match: the rules over
licences do (decide/licenses.py), after the fact and without the text.
"""

from collections.abc import Iterable
from dataclasses import dataclass

KINDS = ("text", "notice", "tag", "reference", "intro", "clue")  # of a rule of ScanCode: what it is that was matched
FIELD = "|"
BLANK = "~"  # for a blank of an expression: no identifier of a licence has one


@dataclass(frozen=True)
class Match:
    """One rule of ScanCode that fits a stretch of a text.

    `score` and `coverage` are per cent, `words` counts the words of the text that match, and lines count from 1.

    >>> Match.of(Match("MIT OR GPL-2.0-only", "notice", "2-aho", 100.0, 100.0, 9, 3, 3).line()).expression
    'MIT OR GPL-2.0-only'
    """

    expression: str
    kind: str
    matcher: str
    score: float
    coverage: float
    words: int
    start_line: int
    end_line: int

    def line(self) -> str:
        """Return the match as text without blanks."""
        numbers = (f"{self.score:g}", f"{self.coverage:g}", str(self.words), str(self.start_line), str(self.end_line))
        return FIELD.join((self.expression.replace(" ", BLANK), self.kind, self.matcher, *numbers))

    @classmethod
    def of(cls, line: str) -> "Match":
        """Return the match that `line` wrote. Raises ValueError for any other text."""
        expression, kind, matcher, score, coverage, words, start, end = line.split(FIELD)
        return cls(
            expression.replace(BLANK, " "), kind, matcher, float(score), float(coverage), int(words), int(start), int(end)
        )


@dataclass(frozen=True)
class Found:
    """What is in a text. `licenses`: sorted SPDX identifiers, or LicenseRef-scancode-*, of all detections, as The Stack v2 counts them."""

    licenses: tuple[str, ...] = ()
    matches: tuple[Match, ...] = ()

    def lines(self) -> list[str]:
        """Return what a cache holds: the identifiers in one line, then a line per match."""
        return [",".join(self.licenses) or "-", *(match.line() for match in self.matches)]

    @classmethod
    def of(cls, lines: Iterable[str]) -> "Found":
        """Return what `lines` wrote. Raises ValueError for any other texts."""
        licenses, *matches = lines
        return cls(() if licenses == "-" else tuple(licenses.split(",")), tuple(map(Match.of, matches)))
