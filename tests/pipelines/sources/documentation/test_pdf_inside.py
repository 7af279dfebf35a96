"""The script that reads a PDF, as it is run in a sandbox: what it writes, and with which status it ends."""

import subprocess
import sys
from pathlib import Path

import pdfs
import pytest

from starmill.pipelines.sources.documentation import pdf, pdf_inside


@pytest.mark.parametrize(
    ("document", "status", "output", "errors"),
    [
        (pdfs.pdf([["One."], ["Two."]]), 0, b"One.\n\nTwo.\n\n", b""),
        (pdfs.pdf([["One."]] * 3), pdf_inside.STATUSES["too_large"], b"", b"it has 3 pages, more than max_pdf_pages=2"),
        (pdfs.pdf([["One."], ["x" * 200]]), pdf_inside.STATUSES["too_large"], b"One.\n\n", b"its text has more than 100 bytes"),
        (pdfs.ENCRYPTED, pdf_inside.STATUSES["encrypted_pdf"], b"", b"PDFium's error 4"),
        (b"", pdf_inside.STATUSES["corrupt_pdf"], b"", b"PDFium's error 3"),
    ],
    ids=["whole", "pages", "bytes", "encrypted", "empty"],
)
def test_what_it_writes_and_how_it_ends(document: bytes, status: int, output: bytes, errors: bytes, tmp_path: Path) -> None:
    (tmp_path / "document.pdf").write_bytes(document)
    command = [sys.executable, "-I", "-S", pdf_inside.__file__, pdf._library(), "2", "100"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True)
    assert (ran.returncode, ran.stderr) == (status, errors) and output.startswith(ran.stdout)
