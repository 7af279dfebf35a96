"""Documentation of packages, from the files that their registries hand out: READMEs, descriptions, folders of documentation, manuals.

What a package is, the source `archives`, `packages` or `folders` knows; here its files are told apart by their paths, and made text.
Files that are no documentation are one row of their package, which counts them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from starmill.core import skips
from starmill.core.names import AtLeast1, Place, Seconds
from starmill.core.sandbox import NAMESPACES, Isolation
from starmill.pipelines.sources.archives.reader import Archives
from starmill.pipelines.sources.documentation import docstrings as module_docstrings
from starmill.pipelines.sources.documentation import pdf as pdf_reader
from starmill.pipelines.sources.documentation.files import MODULE, PDF, WHOLE, Form, form_of
from starmill.pipelines.sources.documentation.text import text_of
from starmill.pipelines.sources.folders import Folders
from starmill.pipelines.sources.packages import Packages
from starmill.pipelines.sources.source import Counted, Entry, Limits, Options, Repository, Snapshot, Source, Tally, label

DOCUMENTATION = "documentation"


@dataclass(frozen=True, kw_only=True)
class Documentation(Options):
    """The documentation in a folder of archives, in folders of unpacked packages, or in the packages of this interpreter."""

    kind: Literal["documentation"] = "documentation"  # always given
    packages: Literal["archives", "folders", "installed"] = (
        "archives"  # whether they are archives, folders of unpacked packages, or installed for this interpreter
    )
    folder: Place | None = None  # the folder of archives or of unpacked packages; null where packages is `installed`
    anywhere: bool = (
        False  # Markdown, HTML and the like are documentation in every folder, and not only in docs/, man/ and such
    )
    docstrings: bool = False  # whether the docstrings of Python modules are documents, those of what is public
    pdf: bool = False  # whether PDFs are read, by PDFium in a sandbox; else each is a row `pdf`
    max_pdf_pages: AtLeast1 = 5_000  # a PDF with more pages is not read
    max_pdf_seconds: Seconds = 20  # seconds of the processor for one PDF
    sandbox: Isolation = (
        NAMESPACES  # of PDFs; `limits` hides no file: for those that you trust, on a machine without namespaces
    )
    gives: ClassVar[tuple[str, ...]] = (DOCUMENTATION,)

    def __post_init__(self) -> None:
        """Raise ValueError where the folder is missing, or has no meaning."""
        if self.folder is None and self.packages != "installed":
            raise ValueError(f"folder=null: give the folder of the packages (packages={self.packages}), or packages=installed")
        if self.folder is not None and self.packages == "installed":
            raise ValueError(
                f"folder={self.folder}: leave it out, or give packages=archives or folders; packages=installed reads those of "
                "this interpreter"
            )

    @property
    def _packages(self) -> Source:
        if self.folder is None:
            return Packages()
        return Archives(folder=self.folder) if self.packages == "archives" else Folders(roots=(self.folder,))

    def places(self) -> tuple[str, ...]:
        """Return the folder."""
        return self._packages.places()

    @property
    def reads_this_machine(self) -> bool:
        """Whether its input lies on the disk of the machine that starts the run."""
        return self._packages.reads_this_machine

    def inventory(self) -> list[Repository]:
        """Return the packages, and what in their folder is none. Raises OSError."""
        return [replace(r, fingerprint=self._own(r.fingerprint)) for r in self._packages.inventory()]

    def read(self, repository: Repository, limits: Limits) -> tuple[Snapshot, Iterator[Entry]]:
        """Return the documents of a package."""
        inner = self._inner(repository)
        snapshot, entries = self._packages.read(inner, limits)
        return snapshot, self._documents(inner, entries, limits)

    def fingerprint(self, repository: Repository) -> str:
        """Return the fingerprint that the package has now."""
        return self._own(self._packages.fingerprint(self._inner(repository)))

    def count(self, repository: Repository, limits: Limits) -> Counted:
        """Return how many files a package has, documentation or not."""
        return self._packages.count(self._inner(repository), limits)

    def notes(self) -> tuple[str, ...]:
        """Say what the sandbox does not hide."""
        trusted = self.pdf and self.sandbox != NAMESPACES
        return ("PDFs without a sandbox: a hostile one may read any file that this user may",) if trusted else ()

    @property
    def _pdfs(self) -> pdf_reader.Bound | None:
        return pdf_reader.Bound(self.max_pdf_pages, self.max_pdf_seconds, self.sandbox) if self.pdf else None

    def _own(self, fingerprint: str) -> str:
        pdfs = f" {pdf_reader.identity(self._pdfs)}" if self._pdfs else ""
        asked = [name for name in ("anywhere", "docstrings") if getattr(self, name)]
        return f"{' '.join([self.packages, *asked])}{pdfs} {fingerprint}"

    def _inner(self, repository: Repository) -> Repository:
        return replace(repository, fingerprint=repository.fingerprint.removeprefix(self._own("")))

    def _documents(self, inner: Repository, entries: Iterator[Entry], limits: Limits) -> Iterator[Entry]:
        whole = self.anywhere or WHOLE.search(re.sub(r"~\d+\Z", "", inner.name).lower()) is not None
        tally, others = Tally(limits), 0
        for entry in entries:
            if not entry.path:
                yield replace(entry, kind=DOCUMENTATION)
                continue
            if limit := tally.beyond(entry.path, len(entry.data or b"")):
                left = self._packages.count(inner, limits).less(tally.entries - 1)
                why = "too_many_bytes" if limit.startswith("max_inflated_bytes") else "too_many_files"
                yield Entry(b"", None, why, f"more than {limit}; without a row are {left}", kind=DOCUMENTATION)
                break
            form = form_of(entry.path, whole)
            if self.docstrings and module_docstrings.is_public(entry.path):
                form = Form(MODULE, False)
            if form is None:
                others += 1
                continue
            own = replace(entry, kind=DOCUMENTATION)
            made = (
                None
                if entry.data is None
                else text_of(entry.data, form, limits.max_file_bytes, self._pdfs, label(entry.path)[0][1:])
            )
            if entry.data is None or made is None:  # what is no text has a reason of its own
                yield own
            elif made.reason:
                yield replace(own, data=None, reason=made.reason, detail=made.detail, size=len(entry.data), origin=entry.data)
            else:
                segment = {"role": "document", "name": made.language, "start": 0, "end": len(made.text)}
                yield replace(own, data=made.text.encode(), segments=[segment], origin=entry.data)
            if form.name == PDF:
                skips.go_on()  # what max_repository_seconds bounds here is one document
        if others:
            said = f"{others:,} files of the package are no documentation by their paths"
            yield Entry(b"", None, "not_documentation", said, kind=DOCUMENTATION)
