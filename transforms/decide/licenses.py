"""The decision over licences: by The Stack v2's three types, which measure/licenses.py finds."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import pyarrow as pa

from starmill.transforms.step import Split, judge_rows


@dataclass(frozen=True)
class KeepLicensed:
    """Drops files whose licence type is not among `keep`: copyleft and commercial code is not trained on.

    >>> block = pa.record_batch({"license_type": ["permissive", "non_permissive"]})
    >>> KeepLicensed()(block).reasons
    ('non_permissive',)
    """

    reads: ClassVar[tuple[str, ...]] = ("license_type",)

    keep: tuple[Literal["permissive", "no_license", "non_permissive"], ...] = ("permissive", "no_license")
    name: str = "license_type"  # in `dropped/`; leave it

    def __call__(self, block: pa.RecordBatch) -> Split:
        """Decide by the column license_type."""
        return judge_rows(block, self.reads, lambda kind: None if kind in self.keep else str(kind))
