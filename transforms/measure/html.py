"""How much of an HTML page a reader sees: its text without tags, comments, scripts, styles and templates."""

import functools
import html
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from starmill.transforms.chain import annotated
from starmill.transforms.step import append


def visible_chars(page: bytes | pa.Buffer) -> int:
    """Return the number of characters that a page of UTF-8 shows; a run of white space is one, and at its ends none.

    >>> visible_chars(b"<style>p {color: red}</style><p>\\n    Caf&eacute;  <b>noir</b>\\n</p>")
    9
    """
    strip, is_space = _compiled()
    data = np.frombuffer(page, np.uint8)
    data.setflags(write=False)  # one type, whoever allocated the buffer: the kernel compiles once
    out = np.empty(len(data), np.uint8)
    text = bytes(out[: strip(data, is_space, out)]).decode()
    return len(" ".join(html.unescape(text).split()))


@dataclass(frozen=True)
class VisibleText:
    """Annotates visible_text_chars, with each run of white space as one character; null where the language is not HTML.

    >>> page = pa.record_batch({"language": ["HTML", "C"], "content": ["<p>Two  words</p>", "<p>"]})
    >>> VisibleText()(page).column("visible_text_chars").to_pylist()
    [9, None]
    """

    reads: ClassVar[tuple[str, ...]] = ("language", "content")
    adds: ClassVar[pa.Schema] = annotated("visible_text_chars")

    name: str = "visible_text"

    def __call__(self, block: pa.RecordBatch) -> pa.RecordBatch:
        """Measure the rows that are HTML."""
        found = [
            visible_chars(block.column("content")[row].as_buffer()) if language == "HTML" else None
            for row, language in enumerate(block.column("language").to_pylist())
        ]
        return append(block, {"visible_text_chars": pa.array(found, pa.int32())})


@functools.lru_cache(maxsize=1)
def _compiled() -> tuple[Callable[..., Any], np.ndarray]:
    """Return the kernel and which code points are white space: on first use, because numba takes a second to import."""
    from starmill.transforms.measure.markup import strip

    return strip, np.fromiter((chr(c).isspace() for c in range(0x110000)), np.bool_, 0x110000)
