"""The text of PDFs beside pdfminer's reading of them, and what hostile ones are: rows with a reason, within their bounds."""

import importlib.util
import io
import random
import re

import pdfs
import pytest
import toolchains
from pdfminer.high_level import extract_text

from starmill.core.errors import MachineError
from starmill.core.sandbox import LIMITS, NAMESPACES, Isolation
from starmill.pipelines.sources.documentation import pdf
from starmill.pipelines.sources.documentation.pdf import Bound

BOUND = Bound(pages=100, seconds=1, sandbox=NAMESPACES)
MOST = 1_000_000
WORDS = "area width (height) \\ of every shape, café naïve – 12.5 % “quoted” x_y a/b <tag> & co".split()
# What each of pdfs.HOSTILE is; a stream of spaces and arrays without end are empty pages.
REASONS = {
    "encrypted": "encrypted_pdf",
    "cut off": "corrupt_pdf",
    "nothing but its head": "corrupt_pdf",
    "no PDF": "corrupt_pdf",
    "a page that is its own parent": "corrupt_pdf",
    "a form that draws itself": "pdf_takes_too_long",
    "a stream that inflates to 256 MiB": None,
    "millions of letters": ("too_large", "pdf_takes_too_long", "pdf_reader_failed"),  # what comes first is the machine's
    "arrays within each other": None,
    "a million pages that are one": "too_large",
    "a table that leads to itself": "corrupt_pdf",
}


@pytest.fixture(autouse=True)
def _namespaces() -> None:
    toolchains.namespaces()


@pytest.mark.parametrize("isolation", [NAMESPACES, LIMITS])
def test_lines_and_pages_stay(isolation: Isolation) -> None:
    made = pdfs.pdf([["Hello (world) \\ café", "A docu-", "mentation of it,", "well-known"], [], ["Second page"]])
    wanted = "Hello (world) \\ café\nA documentation of it,\nwell-known\n\nSecond page\n\n"
    assert pdf.read(made, Bound(100, 5, isolation), MOST) == (wanted, None, None)


def test_words_are_those_that_pdfminer_reads() -> None:
    draw = random.Random(1)
    pages = [[" ".join(draw.choices(WORDS, k=9)) for _ in range(40)] for _ in range(5)]
    made = pdfs.pdf(pages, packed=draw.random() < 0.5)
    found = pdf.read(made, BOUND, MOST)
    assert (
        found.text.split()
        == extract_text(io.BytesIO(made)).split()
        == [word for page in pages for line in page for word in line.split()]
    )


@pytest.mark.parametrize("name", REASONS)
def test_a_hostile_document_is_a_row(name: str) -> None:
    found, wanted = pdf.read(pdfs.HOSTILE[name], BOUND, MOST), REASONS[name]
    assert found.reason in wanted if isinstance(wanted, tuple) else found.reason == wanted
    assert not found.text.strip()
    assert found.detail is None or re.fullmatch(r"[ -~]{1,300}", found.detail)


def test_every_hostile_document_is_tried() -> None:
    assert REASONS.keys() == pdfs.HOSTILE.keys()


def test_what_is_longer_than_its_bounds_is_not_read() -> None:
    made = pdfs.pdf([["x" * 50] * 20] * 3)
    whole = pdf.read(made, BOUND, MOST)
    size = len(whole.text.encode())
    assert whole.reason is None and pdf.read(made, BOUND, size).text == whole.text
    assert pdf.read(made, BOUND, size - 1) == ("", "too_large", f"its text has more than {size - 1:,} bytes")
    assert pdf.read(made, Bound(2, 1, NAMESPACES), MOST)[1:] == ("too_large", "it has 3 pages, more than max_pdf_pages=2")


def test_a_machine_without_pdfium_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    pdf._library.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MachineError, match=r"^PDFium is not installed.*pip install pypdfium2.*pdf: false"):
        pdf.identity(BOUND)
    monkeypatch.undo()
    pdf._library.cache_clear()
    assert re.fullmatch(r"pypdfium2 [\d.]+ Bound\(pages=100, seconds=1, sandbox='namespaces'\)", pdf.identity(BOUND))
