"""The decision over text that a model rewrote: it names the content that it was made of, whose licence and owner stay what they are."""

from dataclasses import dataclass
from typing import ClassVar

from starmill.transforms.step import Rule


@dataclass(frozen=True)
class HasParent(Rule):
    """Drops texts whose parent is not known.

    >>> import pyarrow as pa
    >>> HasParent()(pa.record_batch({"parent": ["swh:1:cnt:" + "0" * 40, None]})).reasons
    ('no_parent',)
    """

    reads: ClassVar[tuple[str, ...]] = ("parent",)

    name: str = "parents"

    def judge(self, parent: str | None) -> str | None:
        """Return the reason, or None where there is a parent."""
        return None if parent else "no_parent"
