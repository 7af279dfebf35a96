"""Matches as lines of a cache: written and read back."""

import pytest

from starmill.transforms.measure.matches import Found, Match

MATCH = Match("GPL-2.0-only WITH Classpath-exception-2.0", "notice", "3-seq", 78.37, 91.5, 120, 3, 30)


def test_what_is_written_is_read_back() -> None:
    for found in (Found(), Found(("MIT",)), Found(("GPL-2.0-only", "MIT"), (MATCH, MATCH))):
        lines = found.lines()
        assert Found.of(lines) == found
        assert all(line and not any(c.isspace() for c in line) for line in lines), "a cache divides by blanks"


def test_another_line_is_refused() -> None:
    with pytest.raises(ValueError, match="unpack"):
        Match.of("MIT|text")
