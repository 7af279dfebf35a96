"""The language of a record made of a notebook: its code's, which the notebook states, and not that of its file."""

from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from starmill.transforms.chain import annotated
from starmill.transforms.step import append


@dataclass(frozen=True)
class StatedLanguage:
    """Annotates `language`: the first that a segment of the record names; null where none does.

    >>> segments = [{"role": "markdown", "name": None, "start": 0, "end": 4}, {"role": "code", "name": "Python", "start": 5, "end": 9}]
    >>> StatedLanguage()(pa.record_batch({"segments": [segments]})).column("language").to_pylist()
    ['Python']
    """

    reads: ClassVar[tuple[str, ...]] = ("segments",)
    adds: ClassVar[pa.Schema] = annotated("language")

    name: str = "stated_language"

    def __call__(self, block: pa.RecordBatch) -> pa.RecordBatch:
        """Take each row's from its segments."""
        rows = block.column("segments").to_pylist()
        found = [next((s["name"] for s in segments or () if s["name"]), None) for segments in rows]
        return append(block, {"language": pa.array(found, pa.string())})
