"""Programming language, vendored and generated, by go-enry with linguist's newest tables, over the full path and the content.

The Stack v2 asked with the base name only, so that path rules (vendor/, node_modules/) never fired; here they do. The Go
library is loaded once per process, on first use, because it does not survive a fork. Its rules take microseconds a byte of a path, so
of a long path they see the end only.
"""

import ctypes
import functools
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pyarrow as pa

from starmill.core.errors import MachineError
from starmill.transforms.chain import annotated
from starmill.transforms.measure.enry.build import default_output
from starmill.transforms.step import append

VENDOR, GENERATED = 1 << 30, 1 << 29
MAX_PATH = 512  # bytes that the rules see; a path in a checkout of Chromium or of a deep node_modules has at most some 300


class NotBuilt(MachineError, FileNotFoundError):
    """The language classifier is not there: it is built once for an environment."""


def library_path() -> Path:
    """Return the built library: `STARMILL_ENRY`, or the environment's. Raises NotBuilt saying how to build it."""
    path = Path(os.environ.get("STARMILL_ENRY") or default_output())
    if not path.exists():
        raise NotBuilt(f"{path}: the language classifier is not built; run: python -m starmill.transforms.measure.enry.build")
    return path


def classify(path: str, content: bytes) -> tuple[str | None, bool, bool]:
    """Return (language or None, is_vendor, is_generated) of one file; `path` may start with "/".

    Of a path longer than MAX_PATH the last whole folders count.
    """
    name = path.lstrip("/").encode()
    if len(name) > MAX_PATH:
        name = name[-MAX_PATH:]
        name = name[name.find(b"/") + 1 :]
    out = ctypes.create_string_buffer(128)
    answer = _library().starmill_classify(name, len(name), content, len(content), out, len(out))
    language = out.raw[: answer & (GENERATED - 1)].decode()
    return language or None, bool(answer & VENDOR), bool(answer & GENERATED)


@dataclass(frozen=True)
class DetectLanguage:
    """Annotates `language` (null if unknown), `is_vendor` and `is_generated`.

    >>> DetectLanguage()(pa.record_batch({"path": ["/vendor/a.rs"], "content": ["fn main() {}"]})).to_pylist()[0]["language"]
    'Rust'
    """

    reads: ClassVar[tuple[str, ...]] = ("path", "content")
    adds: ClassVar[pa.Schema] = annotated("language", "is_vendor", "is_generated")

    name: str = "language"

    def material(self) -> tuple[str, ...]:
        """Return the digest of the built library. Raises NotBuilt."""
        return (hashlib.sha256(library_path().read_bytes()).hexdigest(),)

    def __call__(self, block: pa.RecordBatch) -> pa.RecordBatch:
        """Classify each row by its path and content."""
        contents = block.column("content").cast(pa.binary())
        found = [classify(p, c) for p, c in zip(block.column("path").to_pylist(), contents.to_pylist(), strict=True)]
        return append(block, {f.name: pa.array([row[i] for row in found], f.type) for i, f in enumerate(self.adds)})


@functools.lru_cache(maxsize=1)
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(str(library_path()))
    text, number = ctypes.c_char_p, ctypes.c_int
    library.starmill_classify.argtypes = [text, number, text, ctypes.c_longlong, ctypes.c_char_p, number]
    library.starmill_classify.restype = number
    return library
