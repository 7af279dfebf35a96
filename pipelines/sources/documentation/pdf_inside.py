"""The text of a PDF by PDFium, a script of its own in a sandbox (documentation/pdf.py): only the standard library, and PDFium's C calls.

    python pdf_inside.py LIBPDFIUM PAGES BYTES

It reads document.pdf from its folder, and writes the text as UTF-8 to its standard output. What there is no text for is an exit status
of STATUSES, with a detail on the standard error.
"""

import ctypes
import sys
from typing import Any, NoReturn

STATUSES = {"corrupt_pdf": 20, "encrypted_pdf": 21, "too_large": 22}
PASSWORD, SECURITY = 4, 5  # FPDF_ERR_PASSWORD, FPDF_ERR_SECURITY
LINE_ENDS = frozenset((0x0A, 0x0D))
HYPHEN = 0x02  # what PDFium has for a hyphen at the end of a line, behind which the word goes on
NOTHING = frozenset((0, 0xFFFE, 0xFFFF))  # a glyph without a meaning


class Config(ctypes.Structure):
    """FPDF_LIBRARY_CONFIG of version 2."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("fonts", ctypes.POINTER(ctypes.c_char_p)),
        ("isolate", ctypes.c_void_p),
        ("slot", ctypes.c_uint),
    )


def main() -> None:
    """Write the text of document.pdf."""
    library, pages, most = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    pdfium = _loaded(library)
    with open("document.pdf", "rb") as file:
        data = file.read()
    document = pdfium.FPDF_LoadMemDocument64(data, len(data), None)
    if not document:
        error = pdfium.FPDF_GetLastError()
        _fail("encrypted_pdf" if error in (PASSWORD, SECURITY) else "corrupt_pdf", f"PDFium's error {error}")
    count = pdfium.FPDF_GetPageCount(document)
    if count > pages:
        _fail("too_large", f"it has {count:,} pages, more than max_pdf_pages={pages}")
    left = most
    for number in range(count):
        page = pdfium.FPDF_LoadPage(document, number)
        text = pdfium.FPDFText_LoadPage(page) if page else None
        if not text:
            _fail("corrupt_pdf", f"page {number + 1} of {count}")
        written = _text(pdfium, text, left)
        left -= len(written)
        if left < 0:
            _fail("too_large", f"its text has more than {most:,} bytes")
        sys.stdout.buffer.write(written)
        pdfium.FPDFText_ClosePage(text)
        pdfium.FPDF_ClosePage(page)
    sys.stdout.buffer.flush()


def _loaded(library: str) -> Any:
    pdfium = ctypes.CDLL(library)
    pointer = ctypes.c_void_p
    for name, result, arguments in (
        ("FPDF_InitLibraryWithConfig", None, [ctypes.POINTER(Config)]),
        ("FPDF_LoadMemDocument64", pointer, [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p]),
        ("FPDF_GetLastError", ctypes.c_ulong, []),
        ("FPDF_GetPageCount", ctypes.c_int, [pointer]),
        ("FPDF_LoadPage", pointer, [pointer, ctypes.c_int]),
        ("FPDF_ClosePage", None, [pointer]),
        ("FPDFText_LoadPage", pointer, [pointer]),
        ("FPDFText_ClosePage", None, [pointer]),
        ("FPDFText_CountChars", ctypes.c_int, [pointer]),
        ("FPDFText_GetUnicode", ctypes.c_uint, [pointer, ctypes.c_int]),
    ):
        function = getattr(pdfium, name)
        function.restype, function.argtypes = result, arguments
    # No fonts but PDFium's own and those in the document: the text must not depend on the machine's.
    fonts = (ctypes.c_char_p * 1)(None)
    pdfium.FPDF_InitLibraryWithConfig(Config(2, fonts, None, 0))
    return pdfium


def _text(pdfium: Any, text: Any, most: int) -> bytes:
    """Return the text of a page, its lines without spaces at their ends, and an empty line behind the last; or more than `most` bytes."""
    count, characters = pdfium.FPDFText_CountChars(text), list[str]()
    if count > 4 * most:  # with line ends and what has no meaning
        return bytes(most + 1)
    joins = False
    for at in range(count):
        code = pdfium.FPDFText_GetUnicode(text, at)
        if code == HYPHEN:
            joins = True
        elif joins and code in LINE_ENDS:
            continue
        elif code not in NOTHING and code < 0x110000:
            joins = False
            characters.append(chr(code))
    lines = "".join(characters).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    page = "\n".join(line.rstrip() for line in lines).strip("\n")
    return f"{page}\n\n".encode("utf-8", "replace") if page.strip() else b""


def _fail(reason: str, detail: str) -> NoReturn:
    sys.stderr.write(detail)
    sys.exit(STATUSES[reason])


if __name__ == "__main__":
    main()
