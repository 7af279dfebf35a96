"""What is marked in a record that was made of another one: the licences of the file that it was taken from."""

from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from starmill.transforms.chain import annotated
from starmill.transforms.step import append


@dataclass(frozen=True)
class MarkedLicenses:
    """Annotates `detected_licenses` with the names of the marks `license`, in their order.

    >>> marks = [{"role": "license", "name": "MIT", "start": 4, "end": 4}, {"role": "code", "name": "Go", "start": 0, "end": 4}]
    >>> MarkedLicenses()(pa.record_batch({"segments": [marks]})).column("detected_licenses").to_pylist()
    [['MIT']]
    """

    reads: ClassVar[tuple[str, ...]] = ("segments",)
    adds: ClassVar[pa.Schema] = annotated("detected_licenses")

    name: str = "marked_licenses"

    def __call__(self, block: pa.RecordBatch) -> pa.RecordBatch:
        """Take each row's from its segments."""
        rows = block.column("segments").to_pylist()
        found = [[s["name"] for s in segments or () if s["role"] == "license"] for segments in rows]
        return append(block, {"detected_licenses": pa.array(found, pa.list_(pa.string()))})
