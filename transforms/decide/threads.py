"""StarCoder2's rules over issues (paper, section 2.2; bigcode-dataset, filtering_issues.py): which are conversations worth keeping."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from starmill.core.names import AtLeast0, AtLeast1
from starmill.transforms.step import Rule

# What people wrote; everything else in a thread is a mark, a title or a fact.
WRITTEN = ("body", "comment")


@dataclass(frozen=True)
class Threads(Rule):
    """Drops issues in which only bots speak, short ones, and long or many words of fewer than `min_users` people.

    >>> one = {"role": "body", "name": "username_0", "start": 10, "end": 400}
    >>> Threads().judge([one]), Threads().judge([{**one, "end": 20}]), Threads().judge([{**one, "end": 9000}])
    (None, 'thread_too_short', 'few_users')
    """

    reads: ClassVar[tuple[str, ...]] = ("segments",)

    min_chars: AtLeast0 = 200  # of body and comments together (section 2.2)
    min_users: AtLeast1 = 2  # from so many on, length does not matter (section 2.2)
    max_single_chars: AtLeast0 = 7000  # of an issue with fewer users (section 2.2)
    max_single_events: AtLeast0 = 10  # body, comments, and times that it was closed or opened again (section 2.2)
    name: str = "threads"

    def judge(self, segments: Sequence[Mapping[str, Any]] | None) -> str | None:
        """Return bots_only, thread_too_short, few_users or None."""
        marked = segments or ()
        texts = [s for s in marked if s["role"] in WRITTEN]
        if not texts:
            return "bots_only"
        chars = sum(s["end"] - s["start"] for s in texts)
        if chars < self.min_chars:
            return "thread_too_short"
        if len({s["name"] for s in texts}) >= self.min_users:
            return None
        events = sum(s["role"] != "title" for s in marked)
        return "few_users" if chars > self.max_single_chars or events > self.max_single_events else None
