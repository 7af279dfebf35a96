"""The language of a commit: that of the file that it changed, by the path and the text that its record shows of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from starmill.transforms.chain import annotated
from starmill.transforms.measure.language import DetectLanguage, Found, classify
from starmill.transforms.step import append


@dataclass(frozen=True)
class ChangedLanguage:
    """Annotates `language` (null if unknown) and the flags of the changed file.

    >>> segments = [{"role": "after", "name": "/vendor/a.rs", "start": 3, "end": 15}]
    >>> ChangedLanguage()(pa.record_batch({"content": ["\\n.\\nfn main() {}"], "segments": [segments]})).to_pylist()[0]["language"]
    'Rust'
    """

    reads: ClassVar[tuple[str, ...]] = ("content", "segments")
    adds: ClassVar[pa.Schema] = annotated(*Found._fields)

    name: str = "changed_language"

    def material(self) -> tuple[str, ...]:
        """Return the digest of the built classifier. Raises NotBuilt."""
        return DetectLanguage().material()

    def __call__(self, block: pa.RecordBatch) -> pa.RecordBatch:
        """Classify each row's file."""
        rows = zip(*(block.column(name).to_pylist() for name in self.reads), strict=True)
        found = [_of(content, segments or ()) for content, segments in rows]
        return append(block, {f.name: pa.array([row[i] for row in found], f.type) for i, f in enumerate(self.adds)})


def _of(content: str, segments: Sequence[Mapping[str, Any]]) -> Found:
    for segment in segments:
        if segment["role"] == "after" and segment["name"]:
            return classify(segment["name"], content[segment["start"] : segment["end"]].encode())
    return Found()
