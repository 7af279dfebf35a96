"""Programming language and what else linguist tells of a file, by go-enry with linguist's newest tables, over the full path and content.

Flags: vendored, generated and documentation as linguist's vendor.yml, generated.rb and documentation.yml have them; configuration: in
one of the languages of settings (data is written in them, too); test: in a folder of tests or named as one; binary: a NUL in its first
8,000 bytes, which no text that ingest lets pass has. Only rules of a recipe decide by them.

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
from typing import ClassVar, NamedTuple

import pyarrow as pa

from starmill.core.errors import MachineError
from starmill.transforms.chain import annotated
from starmill.transforms.measure.enry.build import default_output
from starmill.transforms.step import append

LENGTH = (1 << 25) - 1  # bits of an answer that count the bytes of a name; those above are flags, the first in the highest
MAX_PATH = 512  # bytes that the rules see; a path in a checkout of Chromium or of a deep node_modules has at most some 300


class Found(NamedTuple):
    """What is told of a file: its language, or None, and its flags, by their columns."""

    language: str | None = None
    is_vendor: bool = False
    is_generated: bool = False
    is_documentation: bool = False
    is_configuration: bool = False
    is_test: bool = False
    is_binary: bool = False


class NotBuilt(MachineError, FileNotFoundError):
    """The language classifier is not there: it is built once for an environment."""


def library_path() -> Path:
    """Return the built library: `STARMILL_ENRY`, or the environment's. Raises NotBuilt saying how to build it."""
    path = Path(os.environ.get("STARMILL_ENRY") or default_output())
    if not path.exists():
        raise NotBuilt(f"{path}: the language classifier is not built; run: python -m starmill.transforms.measure.enry.build")
    return path


def classify(path: str, content: bytes) -> Found:
    """Return what is told of one file; `path` may start with "/".

    Of a path longer than MAX_PATH the last whole folders count.
    """
    name = path.lstrip("/").encode()
    if len(name) > MAX_PATH:
        name = name[-MAX_PATH:]
        name = name[name.find(b"/") + 1 :]
    out = ctypes.create_string_buffer(128)
    answer = _library().starmill_classify(name, len(name), content, len(content), out, len(out))
    language = out.raw[: answer & LENGTH].decode()
    return Found(language or None, *(bool(answer >> bit & 1) for bit in range(30, 24, -1)))


@dataclass(frozen=True)
class DetectLanguage:
    """Annotates `language` (null if unknown) and the flags of a file.

    >>> DetectLanguage()(pa.record_batch({"path": ["/vendor/a.rs"], "content": ["fn main() {}"]})).to_pylist()[0]["language"]
    'Rust'
    """

    reads: ClassVar[tuple[str, ...]] = ("path", "content")
    adds: ClassVar[pa.Schema] = annotated(*Found._fields)

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
