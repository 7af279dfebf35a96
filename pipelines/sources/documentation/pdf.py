"""The text of PDFs by PDFium, a library in C++ that reads what strangers wrote: each document in a sandbox of its own (core/sandbox.py).

What the child sees is the interpreter with its standard library, the library of pypdfium2 and the document. Headers, footers and
columns stay where PDFium finds them; a word that a hyphen divides at the end of a line is one word.
"""

import functools
import importlib.util
import os
import signal
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import NamedTuple

from starmill.core.errors import MachineError
from starmill.core.sandbox import NAMESPACES, Bounds, Isolation, NotIsolated, Sandbox, libraries, probe
from starmill.pipelines.sources.documentation import pdf_inside

PYTHON, PDFIUM, SCRIPT = "/opt/python", "/opt/pdfium/libpdfium.so", "/opt/pdfium/pdf_inside.py"  # inside
REASONS = {status: reason for reason, status in pdf_inside.STATUSES.items()}
# What is drawn in a document of many pages costs memory, and takes no more than this: PDFium ends itself where it gets none.
MEMORY = 1 << 30


@dataclass(frozen=True)
class Bound:
    """How many pages of a document are read at most, in how many seconds of the processor, and in which sandbox."""

    pages: int
    seconds: int
    sandbox: Isolation


class Made(NamedTuple):
    """The text of a document, or the reason why there is none, with a detail."""

    text: str = ""
    reason: str | None = None
    detail: str | None = None


def identity(bound: Bound) -> str:
    """Return what the text of a document depends on beside it. Raises MachineError where PDFium or the sandbox is missing."""
    _library()
    if bound.sandbox == NAMESPACES:
        with _fix():
            probe()
    return f"pypdfium2 {_version()} {bound}"


@contextmanager
def _fix() -> Iterator[None]:
    try:
        yield
    except NotIsolated as error:
        raise MachineError(f"{error}; or set the source's `sandbox: limits`, for documents that you trust") from error


def read(data: bytes, bound: Bound, most: int) -> Made:
    """Return the text of a PDF, of at most `most` bytes. Raises MachineError where this machine has no PDFium or no sandbox."""
    program, reads, environment = _interpreter()
    bounds = Bounds(
        cpu_seconds=bound.seconds,
        seconds=10.0 * bound.seconds,
        memory_bytes=MEMORY,
        written_bytes=len(data) + (1 << 20),
        output_bytes=most + (1 << 16),
    )
    command = [program, "-I", "-S", SCRIPT, PDFIUM, str(bound.pages), str(most)]
    with _fix():
        ran = Sandbox(dict(reads), bounds, dict(environment), bound.sandbox).run(command, {"document.pdf": data})
    said = "".join(c if c.isprintable() else "?" for c in ran.errors.decode("utf-8", "replace").strip())
    if ran.status == 127:
        raise MachineError(f"a reader of PDFs did not start: {said[:300]}")
    if ran.stopped:
        return Made(reason="pdf_takes_too_long", detail=f"more than max_pdf_seconds={bound.seconds}")
    if ran.status < 0:
        return Made(reason="pdf_reader_failed", detail=signal.Signals(-ran.status).name)
    if ran.status:
        return Made(reason=REASONS.get(ran.status, "pdf_reader_failed"), detail=said[-300:] or None)
    return Made(ran.output.decode("utf-8", "replace"))


@functools.cache
def _version() -> str:
    return version("pypdfium2")


@functools.cache
def _library() -> str:
    found = importlib.util.find_spec("pypdfium2_raw")
    place = os.path.join(os.path.dirname(found.origin or ""), "libpdfium.so") if found else ""
    if not os.path.isfile(place):
        raise MachineError(
            "PDFium is not installed, which reads PDFs: `pip install pypdfium2`, or set the source's `pdf: false`"
        )
    return place


@functools.cache
def _interpreter() -> tuple[str, tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
    """Return this interpreter's program in a sandbox, what it reads there, and its environment."""
    real = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    program = f"{PYTHON}/bin/{name}"
    native = [real, _library(), *([file] if (file := _ctypes()) else [])]
    linked = sorted({path for one in native for path in libraries(one)})
    reads = {
        program: real,
        f"{PYTHON}/{sys.platlibdir}/{name}": sysconfig.get_path("stdlib"),
        PDFIUM: _library(),
        SCRIPT: pdf_inside.__file__,
        **{path: path for path in linked},
    }
    places = ":".join(dict.fromkeys(os.path.dirname(path) for path in linked))
    return program, tuple(reads.items()), (("LC_ALL", "C"), ("LD_LIBRARY_PATH", places))


def _ctypes() -> str | None:
    """Return the file of the module that the child calls C by, or None where it is in the interpreter."""
    import _ctypes

    return getattr(_ctypes, "__file__", None)
