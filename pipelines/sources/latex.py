r"""The LaTeX of a paper as one text: its files joined, and without comments, preamble, macros and bibliography, as RedPajama has arXiv.

Where RedPajama joins files by their first section, and so mixes what belongs to several documents, a file is put where `\input` names it.
The text begins with the abstract, where there is one, else with the first section, and ends before the appendix or the bibliography.
"""

import posixpath
import re
from collections.abc import Mapping

COMMENT_LINE = re.compile(r"(?m)^[ \t]*+%[^\n]*+\n?")
COMMENT = re.compile(r"(?<!\\)((?:\\\\)*+)%[^\n]*+")
HIDDEN = (("\\begin{comment}", "\\end{comment}"), ("\\iffalse", "\\fi"))
DOCUMENT = re.compile(r"\\document(?:class|style)\b")
INPUT = re.compile(r"\\(?:input|include|subfile)\b[ \t]*+(?:\{[ \t]*+([^{}\n]{1,300})\}|([^\s{}\\]{1,300}))")
HEADINGS = ("part", "chapter", "section", "subsection", "subsubsection", "paragraph", "subparagraph")
HEADING = re.compile(rf"\\(?:{'|'.join(HEADINGS)})\*?[ \t]*+[\[{{]")
ABSTRACT = re.compile(r"\\begin[ \t]*+\{abstract\}|\\abstract[ \t]*+\{")
END = re.compile(
    r"\\appendix(?![A-Za-z])|\\begin[ \t]*+\{(?:appendix|appendices|thebibliography|references)\}"
    r"|\\(?:bibliography|printbibliography|references)(?![A-Za-z])|\\end[ \t]*+\{document\}"
)
MACRO = re.compile(
    r"\\(?:newcommand|providecommand|DeclareRobustCommand)\*?[ \t]*+(?:\{[ \t]*+\\([A-Za-z]+)[ \t]*+\}|\\([A-Za-z]+))[ \t]*+\{"
    r"|\\def[ \t]*+\\([A-Za-z]+)[ \t]*+\{"
)
WORD = re.compile(r"\\([A-Za-z]+)(?:\{\})?")
MAX_BODY = 200  # characters of what a macro stands for; a longer one stays
DEEP = 20  # files that include each other


class TooLong(ValueError):
    """A text whose macros stand for more than it may hold."""


def text(files: Mapping[str, str], most: int) -> str:
    r"""Return the text of a paper's files, of `most` characters; nothing where there is no section. Raises TooLong.

    >>> main = r"\documentclass{a}\def\eg{e.g.}\author{x@y.z}\begin{document}\input{a} % no\n\bibliography{b}\end{document}"
    >>> text({"main.tex": main, "a.tex": r"\section{One} See \eg{} 5\% of it."}, 1000)
    '\\section{One} See e.g. 5\\% of it.'
    """
    plain = {name: uncommented(files[name]) for name in sorted(files)}
    whole = _joined(plain)
    begin = max(0, whole.find("\\begin{document}"))
    heading, abstract = HEADING.search(whole, begin), ABSTRACT.search(whole, begin)
    if heading is None:
        return ""
    start = min(found.start() for found in (heading, abstract) if found)
    end = END.search(whole, start)
    body = whole[start : end.start() if end else len(whole)]
    return re.sub(r"\n[ \t]*+(?:\n[ \t]*+)++", "\n\n", _expanded(body, macros(whole), most)).strip()


def uncommented(text: str) -> str:
    r"""Return a text without its comments.

    >>> uncommented("a\\% b % c\n  % d\ne\\\\% f\n\\begin{comment}g\\end{comment}h")
    'a\\% b \ne\\\\\nh'
    """
    text = COMMENT.sub(r"\1", COMMENT_LINE.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))
    for first, last in HIDDEN:
        kept, at = [], 0
        while (start := text.find(first, at)) >= 0 and (end := text.find(last, start)) >= 0:
            kept.append(text[at:start])
            at = end + len(last)
        text = "".join([*kept, text[at:]])
    return text


def macros(text: str) -> dict[str, str]:
    r"""Return what the macros without arguments stand for, by name; of two definitions the last.

    >>> macros(r"\newcommand{\R}{\mathbb{R}}\def\eg{e.g.}\newcommand\x[1]{#1}")
    {'R': '\\mathbb{R}', 'eg': 'e.g.'}
    """
    found = {}
    for macro in MACRO.finditer(text):
        if (body := _braced(text, macro.end())) is not None:
            found[macro[1] or macro[2] or macro[3]] = body
    return {name: body for name, body in found.items() if name not in HEADINGS}  # which a style may define anew


def _braced(text: str, start: int) -> str | None:
    """Return the text up to the brace that closes the one before `start`, or None where it is far or never closed."""
    depth = 1
    for at in range(start, min(start + MAX_BODY + 1, len(text))):
        if text[at] in "{}" and text[at - 1] != "\\":
            depth += 1 if text[at] == "{" else -1
            if not depth:
                return text[start:at]
    return None


def _expanded(body: str, named: Mapping[str, str], most: int) -> str:
    """Return a text with the macros replaced, once: what a macro stands for is not looked at again, so that none grows without end."""
    size = len(body)

    def replaced(word: re.Match[str]) -> str:
        nonlocal size
        if (found := named.get(word[1])) is None:
            return word[0]
        size += len(found) - len(word[0])
        if size > most:
            raise TooLong(f"more than {most:,} characters")
        return found

    if size > most:
        raise TooLong(f"more than {most:,} characters")
    body = MACRO.sub(lambda macro: macro[0].replace("\\", "\0"), body)  # a definition is no use
    return WORD.sub(replaced, body).replace("\0", "\\")


def _joined(files: Mapping[str, str]) -> str:
    """Return the main file with the others where it includes them, each once; without a main file all, by name."""
    mains = [name for name, text in files.items() if DOCUMENT.search(text)]
    if not mains:
        return "\n".join(files.values())
    sizes = {name: len(files[name]) + sum(len(files[n]) for n in {*_included(files, name)} - {name}) for name in mains}
    main = max(mains, key=lambda name: ("\\begin{document}" in files[name], sizes[name], name))
    seen = {main}

    def pieces(name: str, depth: int) -> list[str]:
        text, at, made = files[name], 0, list[str]()
        for found in INPUT.finditer(text):
            target = _target(files, name, found[1] or found[2], main)
            if target is None or target in seen or depth >= DEEP:
                continue
            seen.add(target)
            made += [text[at : found.start()], *pieces(target, depth + 1)]
            at = found.end()
        return [*made, text[at:]]

    return "".join(pieces(main, 0))


def _included(files: Mapping[str, str], name: str) -> list[str]:
    found = (_target(files, name, of[1] or of[2], name) for of in INPUT.finditer(files[name]))
    return [target for target in found if target is not None]


def _target(files: Mapping[str, str], name: str, said: str, main: str) -> str | None:
    """Return the file that is meant: below the folder of the main file, as TeX looks, or of the file that names it."""
    for folder in {posixpath.dirname(main): None, posixpath.dirname(name): None}:
        path = posixpath.normpath(posixpath.join(folder, said.strip().strip('"')))
        for target in (path, f"{path}.tex", f"{path}.ltx"):
            if target in files:
                return target
    return None
