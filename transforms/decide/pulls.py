"""StarCoder2's rules over pull requests (paper, section 2.3): reviewed by people, merged or approved, and neither tiny nor endless.

Rules over the changed files need the files, which events do not carry.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from starmill.core.names import AtLeast0
from starmill.transforms.step import Rule

SPOKEN = ("comment", "review", "code_comment")


@dataclass(frozen=True)
class Pulls(Rule):
    """Drops pull requests that a bot opened, that nobody describes, discusses or accepts, and those about versions.

    >>> text = "Fix the parser\\nIt fails on tabs.\\nopened"
    >>> marks = [("title", "username_0", 0, 14), ("body", "username_0", 15, 32), ("status", None, 33, 39)]
    >>> Pulls().judge(text, [dict(zip(("role", "name", "start", "end"), mark)) for mark in marks])
    'no_review'
    """

    reads: ClassVar[tuple[str, ...]] = ("content", "segments")

    min_title_chars: AtLeast0 = 10  # section 2.3
    title_words: tuple[str, ...] = (
        "dependencies",
        "dependency",
        "depend",
        "release",
    )  # in no title, case ignored (section 2.3)
    min_chars: AtLeast0 = 200  # of the whole record (the released code)
    max_chars: AtLeast0 = 100_000  # the same (section 2.3; the released code says 1,000,000)
    merged_or_approved: bool = True  # whether one of both is asked for (section 2.3)
    base_may_change: bool = False  # whether the branch may have moved below it, but for the merge (section 2.3)
    name: str = "pulls"

    def judge(self, content: str, segments: Sequence[Mapping[str, Any]] | None) -> str | None:
        """Return the reason, or None."""
        marked = segments or ()

        def texts(role: str) -> list[str]:
            return [content[s["start"] : s["end"]] for s in marked if s["role"] == role]

        title = "".join(texts("title"))
        merged, approved = "True" in texts("is_merged"), "approved" in texts("review_state")
        bases = len({s["name"] for s in marked if s["role"] == "base"})
        judged = {
            "opened_by_a_bot": any(s["role"] == "title" and s["name"] == "bot" for s in marked),
            "no_description": not any(texts("body")),
            "no_review": not any(s["role"] in SPOKEN for s in marked),
            "base_changed": not self.base_may_change and bases - 1 - merged > 0,
            "not_accepted": self.merged_or_approved and not (merged or approved),
            "title_too_short": len(title) < self.min_title_chars,
            "title_of_a_version": any(word in title.lower() for word in self.title_words),
            "pull_too_short": len(content) < self.min_chars,
            "pull_too_long": len(content) > self.max_chars,
        }
        return next((reason for reason, holds in judged.items() if holds), None)
