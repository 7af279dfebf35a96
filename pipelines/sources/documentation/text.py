"""A file of documentation as the text of a record: text formats stay as their authors wrote them, pages and manuals become Markdown."""

import io
import re
from typing import NamedTuple

from starmill.pipelines.sources import encoding
from starmill.pipelines.sources.archives.inflate import Damaged, Spent, Stream
from starmill.pipelines.sources.documentation import docstrings, html, man, mdoc, pdf
from starmill.pipelines.sources.documentation.files import MANUAL, METADATA, MODULE, PAGE, PDF, Form
from starmill.pipelines.sources.documentation.markdown import TooLong

TYPES = {"text/markdown": "Markdown", "text/x-markdown": "Markdown", "text/plain": "Text", "text/x-rst": "reStructuredText"}
MANUAL_PAGE = re.compile(r"^[.'][ \t]*(?:TH|SH|Dd|Sh|so)\b", re.MULTILINE)
MDOC = re.compile(r"^\.[ \t]*(?:Dd|Sh)\b", re.MULTILINE)
NOTHING = frozenset(("", "UNKNOWN"))


class Text(NamedTuple):
    """A document: its text and what that is written in, by linguist's name; or the reason why there is none."""

    text: str = ""
    language: str = ""
    reason: str | None = None
    detail: str | None = None


def text_of(data: bytes, form: Form, most: int, pdfs: pdf.Bound | None = None, path: str = "") -> Text | None:
    r"""Return the document of a file, of fewer than `most` bytes, or None where its bytes are no text at all.

    PDFs are read where their bounds are given; `path` is what a Python module is called by. Raises MachineError where this machine
    cannot read PDFs.

    >>> text_of(b"Metadata-Version: 2.1\nName: toy\nDescription-Content-Type: text/markdown\n\n# Toy\n", Form("metadata", False), 1000)
    Text(text='# Toy\n', language='Markdown', reason=None, detail=None)
    """
    if form.name == PDF and pdfs is None:
        return Text(
            reason="pdf", detail="PDF is read where the source has pdf: true; its source, if it is packed beside it, is"
        )
    if form.is_packed:
        try:
            data = Stream(io.BytesIO(data), most - 1).read(most)
        except Spent:
            return Text(reason="too_large", detail=f"it inflates to more than max_file_bytes={most}")
        except Damaged as error:
            return Text(reason="corrupt_gzip", detail=str(error))
    if form.name == PDF and pdfs is not None:
        made = pdf.read(data, pdfs, most - 1)
        return Text(made.text, "Text") if made.text.strip() else Text(reason=made.reason or "no_text", detail=made.detail)
    if encoding.judge(data, most) or (decoded := encoding.decode(data)) is None:
        return None if not form.is_packed else Text(reason="no_text", detail="its bytes are no text")
    try:
        written = _written(decoded[0], form, most - 1, path)
    except html.TooDeep:
        return Text(reason="too_deep", detail=f"more than {html.MAX_DEPTH} tags within each other")
    except TooLong:
        return Text(reason="too_large", detail=f"as Markdown it has more than max_file_bytes={most}")
    except ValueError as error:
        return Text(reason="unreadable_document", detail=str(error))
    return (
        written if written.reason or written.text.strip() not in NOTHING else Text(reason="no_text", detail="it says nothing")
    )


def description(metadata: str) -> tuple[str, str] | None:
    r"""Return what METADATA or PKG-INFO describes a package with, and in which language; None where it is no such file.

    It is the body, or the header Description with its lines folded. Without a type it is reStructuredText or plain, as PyPI takes it.

    >>> description("Metadata-Version: 1.1\nName: toy\nDescription: Toy\n        ===\n        \n        Plays.\n")
    ('Toy\n===\n\nPlays.\n', 'reStructuredText')
    """
    head, _, body = metadata.replace("\r\n", "\n").partition("\n\n")
    fields = dict[str, list[str]]()
    name = ""
    for line in head.split("\n"):
        if line[:1] in (" ", "\t", "|"):
            fields.setdefault(name, []).append(line)
        else:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = [value.strip()]
    if "metadata-version" not in fields:
        return None
    kind = "".join(fields.get("description-content-type", ())).partition(";")[0].strip().lower()
    first, *more = fields.get("description", [""])
    folded = "\n".join([first, *(line.removeprefix(" " * 7).removeprefix("|").removeprefix(" ") for line in more)])
    text = body if body.strip() else f"{folded.rstrip()}\n"
    return text, TYPES.get(kind, "reStructuredText")


def _written(text: str, form: Form, most: int, path: str) -> Text:
    if form.name == METADATA:
        said = description(text)
        return Text(*said) if said else Text(reason="unreadable_document", detail="it has no Metadata-Version")
    if form.name == MODULE:
        try:
            return Text(docstrings.markdown(path, text), "Markdown")
        except ValueError as error:
            return Text(reason="does_not_compile", detail=str(error))
    if form.name == PAGE:
        return Text(html.markdown(text, most), "Markdown")
    if form.name == MANUAL:
        if not MANUAL_PAGE.search(text):
            return Text(reason="not_a_manual_page", detail="it has neither .TH nor .Dd")
        markdown = mdoc.markdown if MDOC.search(text) else man.markdown
        return Text(markdown(text.replace("\r\n", "\n").split("\n"), most), "Markdown")
    return Text(text, form.name)
