"""StarCoder2's rules over pull requests (paper, section 2.3): reviewed by people, merged or approved, and neither tiny nor endless.

Which of the changed files are shown is the source's to say, which alone has them whole.
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

    >>> marks = [("title", "username_0", 0, 14), ("body", "username_0", 15, 32), ("status", None, 33, 39)]
    >>> Pulls().judge(39, [dict(zip(("role", "name", "start", "end"), mark)) for mark in marks])
    'no_review'
    """

    reads: ClassVar[tuple[str, ...]] = ("num_chars", "segments")

    min_title_chars: AtLeast0 = 10  # section 2.3
    about_versions: bool = False  # whether titles of dependencies and releases stay (section 2.3: no)
    min_chars: AtLeast0 = 200  # of the whole record (the released code)
    max_chars: AtLeast0 = 100_000  # the same (section 2.3; the released code says 1,000,000)
    merged_or_approved: bool = True  # whether one of both is asked for (section 2.3)
    with_files: bool = (
        False  # whether it must show files, and what its first head made of them (section 2.3: yes); the mirrors have them
    )
    base_may_change: bool = False  # whether the branch may have moved below it, but for the merge (section 2.3)
    name: str = "pulls"

    def judge(self, chars: int, segments: Sequence[Mapping[str, Any]] | None) -> str | None:
        """Return the reason, or None."""
        marked = segments or ()
        said = {(s["role"], s["name"]) for s in marked}
        sizes = {role: sum(s["end"] - s["start"] for s in marked if s["role"] == role) for role in ("title", "body")}
        merged, approved = ("is_merged", "True") in said, ("review_state", "approved") in said
        roles = [s["role"] for s in marked]
        first = roles[roles.index("head") + 1 :][:1] if "head" in roles else []  # what follows the head that it was opened with
        bases = sum(role == "base" for role, _ in said)
        judged = {
            "opened_by_a_bot": ("title", "bot") in said,
            "no_description": not sizes["body"],
            "no_review": not any(role in SPOKEN for role, _ in said),
            "no_files": self.with_files and "base_file" not in roles,
            "no_first_diff": self.with_files and first != ["diff"],
            "base_changed": not self.base_may_change and bases - 1 - merged > 0,
            "not_accepted": self.merged_or_approved and not (merged or approved),
            "title_too_short": sizes["title"] < self.min_title_chars,
            "title_of_a_version": not self.about_versions and ("version", None) in said,
            "pull_too_short": chars < self.min_chars,
            "pull_too_long": chars > self.max_chars,
        }
        return next((reason for reason, holds in judged.items() if holds), None)
