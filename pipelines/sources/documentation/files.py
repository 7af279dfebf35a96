"""Which files of a package are documentation, by their paths, and what each is written in: one table of names, folders and endings."""

import re
from typing import NamedTuple

# Endings of text that is kept as it is, with linguist's name of it.
TEXTS = {
    **dict.fromkeys(("md", "markdown", "mdown", "mkd", "mkdn"), "Markdown"),
    **dict.fromkeys(("rst", "rest"), "reStructuredText"),
    **dict.fromkeys(("adoc", "asciidoc"), "AsciiDoc"),
    **{"mdx": "MDX", "org": "Org", "textile": "Textile", "rdoc": "RDoc", "pod": "Pod", "txt": "Text", "text": "Text"},
}
METADATA, MANUAL, PAGE, PDF, MODULE = "metadata", "manual page", "HTML", "PDF", "Python module"
ENDINGS = {**TEXTS, **dict.fromkeys(("html", "htm", "xhtml"), PAGE), "pdf": PDF}
FOLDERS = frozenset(("doc", "docs", "documentation", "man", "manual", "manuals", "guide", "guides", "javadoc", "apidocs"))
# A package all of whose files are documentation, by its name: -javadoc.jar, Debian's -doc, what Read the Docs packs.
WHOLE = re.compile(r"[-_.](?:java|api|scala|html)?docs?(?:[-_.][\d.]|_\d|\Z)|[-_]documentation\Z|-htmlzip\Z")
DISTRIBUTION = re.compile(r"(?:.*/)?(?:[^/]+\.dist-info/metadata|pkg-info)", re.DOTALL)
README = re.compile(r"readme(?:[-_][^.]*)?(?:\.[a-z]{2}(?:[-_][a-z]{2})?)?")  # before its ending: `README.zh-CN`
BARE_README = re.compile(r"readme(?:\.debian|\.source)?")
SECTION = re.compile(r"(?:.*[^/.])\.(?:[1-9][a-z]{0,8}|[nl])", re.DOTALL)  # of a manual page
IN_MAN = re.compile(r"man(?:[1-9n][a-z]*)?")
# No documentation, wherever they lie: licences, changes, people, and what builds and tests want.
LEFT = re.compile(
    r"(?:(?:un)?licen[cs]es?|copying|copyright|notice)(?:[-_.].*)?|(?:authors|contributors|credits|maintainers|thanks|changelog|changes|"
    r"history|news|releases?|release[-_]?notes|code[-_]of[-_]conduct|requirements(?:[-_].*)?|constraints|robots|cmakelists|sources|"
    r"top_level|entry_points|dependency_links)(?:\..*)?",
    re.DOTALL,
)
# Other packages, the texts of Sphinx's pages once more, and changes.
FOLDERS_LEFT = frozenset(("node_modules", "_sources", "relnotes", "releasenotes", "release-notes", "changelogs"))
# Pages that generators make to lead around, or to show code: Sphinx, javadoc, Doxygen, rustdoc.
AROUND = re.compile(
    r"genindex.*|(?:py-)?modindex|search|searchresults|index-all|all(?:classes|packages).*|overview-(?:tree|frame)|"
    r"package-(?:tree|frame|use)|deprecated-list|constant-values|serialized-form|help-doc|404|annotated|hierarchy|inherits|.*_source",
    re.DOTALL,
)
FOLDERS_AROUND = frozenset(("_modules", "_static", "class-use", "src-html", "src"))


class Form(NamedTuple):
    """What a document is written in, and whether it is compressed with gzip, as Debian does."""

    name: str
    is_packed: bool


def form_of(path: bytes, whole: bool) -> Form | None:
    """Return what a document is written in, or None where a file is none. `whole`: all folders of the package are documentation.

    >>> [form_of(path, False) for path in (b"README.md", b"share/man/man1/ls.1.gz", b"docs/conf.py", b"docs/LICENSE.md", b"src/a.md")]
    [Form(name='Markdown', is_packed=False), Form(name='manual page', is_packed=True), None, None, None]
    """
    shown = path.decode("utf-8", "backslashreplace").lower()
    if DISTRIBUTION.fullmatch(shown):
        return Form(METADATA, False)
    plain = shown.removesuffix(".gz")
    is_packed = plain != shown
    *folders, name = plain.split("/")
    stem, _, ending = name.rpartition(".")
    if LEFT.fullmatch(name) or not FOLDERS_LEFT.isdisjoint(folders):
        return None
    is_within = whole or not FOLDERS.isdisjoint(folders)
    if SECTION.fullmatch(name) and ".so." not in name and (is_within or not folders or any(map(IN_MAN.fullmatch, folders))):
        return Form(MANUAL, is_packed)
    if BARE_README.fullmatch(name):
        return Form("Text", is_packed)
    form = ENDINGS.get(ending) if stem else None
    if form is None or not (is_within or README.fullmatch(stem)):
        return None
    if form == PAGE and (AROUND.fullmatch(stem) or not FOLDERS_AROUND.isdisjoint(folders)):
        return None
    return Form(form, is_packed)
