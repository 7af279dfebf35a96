"""The decision over licences: by The Stack v2's three types, which measure/licenses.py finds."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from starmill.transforms.step import Rule


@dataclass(frozen=True)
class KeepLicensed(Rule):
    """Drops files whose licence type is not among `keep`: copyleft and commercial code is not trained on.

    >>> import pyarrow as pa
    >>> block = pa.record_batch({"license_type": ["permissive", "non_permissive"]})
    >>> KeepLicensed()(block).reasons
    ('non_permissive',)
    """

    reads: ClassVar[tuple[str, ...]] = ("license_type",)

    keep: tuple[Literal["permissive", "no_license", "non_permissive"], ...] = ("permissive", "no_license")
    name: str = "license_type"  # in `dropped/`; leave it

    def judge(self, kind: str | None) -> str | None:
        """Return the licence type, or None where it is kept."""
        return None if kind in self.keep else str(kind)
