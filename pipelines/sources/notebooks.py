"""Jupyter notebooks as records of their own: `notebook` is text, code and output by turns, `notebook_script` the code as one file.

`kaggle` is that file as StarCoder2 cleaned the notebooks of Kaggle (kaggle.py). StarCoder2 (section 2.3) trains on all of them. The
formats 1 to 4 are read from their JSON, without nbformat, which only warns of a broken notebook; what cannot be read is a reason. A
notebook's record keeps the ids of its bytes.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Literal

from starmill.core.errors import InputError, printable
from starmill.pipelines.sources import encoding, kaggle
from starmill.pipelines.sources.kaggle_data import Known
from starmill.pipelines.sources.source import Entry

NOTEBOOK, SCRIPT, KAGGLE = "notebook", "notebook_script", "kaggle"
Form = Literal["notebook", "notebook_script", "kaggle"]
MAX_CELLS = 20_000  # of a notebook
MAX_OUTPUT = 1000  # characters of an output; StarCoder cut there
CUT = "[...]"
# How a line of a comment begins, for the languages of Jupyter's kernels, as linguist names them.
MARKS = {
    "#": ("Python", "R", "Julia", "Ruby", "Perl", "Shell", "PowerShell", "CoffeeScript", "Tcl"),
    "--": ("SQL", "Haskell", "Lua"),
    "%": ("MATLAB",),
    ";": ("Clojure", "Scheme"),
    "//": ("JavaScript", "TypeScript", "Scala", "Java", "Kotlin", "Groovy", "Go", "Rust", "C", "C++", "C#", "F#", "Swift"),
}
OTHER_NAMES = {
    **dict.fromkeys(("sage", "sos"), "Python"),
    **dict.fromkeys(("bash", "sh"), "Shell"),
    **dict.fromkeys(("c++11", "c++14", "c++17", "c++20"), "C++"),
    "octave": "MATLAB",
}
# By the name that a notebook may say, in lower case: linguist's name and the mark.
COMMENTS = {name.lower(): (name, mark) for mark, names in MARKS.items() for name in names}
COMMENTS |= {other: COMMENTS[name.lower()] for other, name in OTHER_NAMES.items()}
# IPython's own lines, which are no Python: `%matplotlib inline`, `!ls`, `np.array?`.
MAGIC = re.compile(r"\s*(?:%{1,2}[A-Za-z]|!{1,2}\s*[\w./~$\"'{]|\?{1,2}\s*[\w.%]+\s*$|[\w.%]+\?{1,2}\s*$)")
# Cell magics whose cell is Python all the same; the cell of any other is in another language, or a file's text.
PYTHON_CELLS = frozenset(("%%time", "%%timeit", "%%capture", "%%prun", "%%memit", "%%mprun", "%%python", "%%python3", "%%px"))
QUOTES = re.compile(r"\"{3}|'{3}")


@dataclass(frozen=True)
class Made:
    """A record that was made of a notebook: its kind, and its text with the segments, or the reason why there is none."""

    kind: str
    text: str = ""
    segments: Sequence[dict[str, Any]] = ()
    reason: str | None = None
    detail: str | None = None


@dataclass(frozen=True)
class Cell:
    """One cell: `type` is code, markdown or raw, `output` what it printed first, or None."""

    type: str
    source: str
    output: str | None = None


def of_file(entry: Entry, forms: Sequence[Form], known: Known | None = None) -> list[Entry]:
    """Return the entries that a file becomes: itself, or one for each form of a notebook, whose ids are those of the file.

    `known`: what is known of the data that Kaggle's notebooks read.
    """
    data = entry.data
    if not forms or not data or entry.segments is not None or not entry.path.lower().endswith(b".ipynb"):
        return [entry]
    if encoding.judge(data, len(data) + 1) or (decoded := encoding.decode(data)) is None:
        return [entry]  # no text, which a file of code would not be either
    blank = replace(entry, data=None, size=len(data), origin=data)
    return [
        replace(blank, kind=made.kind, reason=made.reason, detail=made.detail)
        if made.reason
        else replace(blank, kind=made.kind, data=made.text.encode(), segments=[*made.segments])
        for made in records(decoded[0], forms, known.of(entry.path) if known and KAGGLE in forms else ())
    ]


def records(text: str, forms: Sequence[Form], data: Sequence[str] = ()) -> Iterator[Made]:
    r"""Yield the record of each form of a notebook's JSON; `data`: texts that stand before a script of Kaggle's.

    >>> made = '{"cells": [{"cell_type": "markdown", "source": "Add."}, {"cell_type": "code", "source": "%time\\n1 + 1", "outputs": []}],'
    >>> made += '"metadata": {"language_info": {"name": "python"}}, "nbformat": 4}'
    >>> [(record.kind, record.text) for record in records(made, ("notebook", "notebook_script"))]
    [('notebook', 'Add.\n%time\n1 + 1\n'), ('notebook_script', '# Add.\n\n# %time\n1 + 1\n')]
    """
    try:
        language, cells = _read(text)
    except (InputError, ValueError, RecursionError) as error:
        for form in forms:
            yield Made(form, reason="unreadable_notebook", detail=printable(error))
        return
    for form in forms:
        made = {NOTEBOOK: _turns, SCRIPT: _script, KAGGLE: _kaggle}[form](language, cells)
        yield _behind(data, made) if form == KAGGLE and data and not made.reason else made


def _read(text: str) -> tuple[str, list[Cell]]:
    """Return the language's name in lower case, empty where none is said, and the cells. Raises InputError or ValueError."""
    book = json.loads(text)
    if not isinstance(book, dict):
        raise InputError("its JSON is no object")
    metadata = book.get("metadata")
    about = metadata if isinstance(metadata, dict) else {}
    sheets = book.get("worksheets")
    if isinstance(book.get("cells"), list):
        found = book["cells"]
    elif isinstance(sheets, list):
        parts = [sheet.get("cells") if isinstance(sheet, dict) else None for sheet in sheets]
        found = [cell for part in parts for cell in (part if isinstance(part, list) else ())]
    else:
        raise InputError("it has no list of cells")
    if len(found) > MAX_CELLS:
        raise InputError(f"{len(found):,} cells, more than {MAX_CELLS:,}")
    said = [name for name in map(_language, (about.get("language_info"), about.get("kernelspec"))) if name]
    said += [
        str(cell["language"]).lower() for cell in found if isinstance(cell, dict) and isinstance(cell.get("language"), str)
    ]
    glue = "\n" if book.get("nbformat") == 2 else ""  # format 2 has lines without their ends
    return (said or [""])[0], [_cell(cell, place, glue) for place, cell in enumerate(found)]


def _language(about: object) -> str:
    if not isinstance(about, dict):
        return ""
    # A kernel says its language, or has it in its name: python3, ir, julia-1.9.
    if isinstance(named := about.get("language"), str) and named:
        return named.lower()
    name = about.get("name")
    found = re.match(r"[a-z+#]+", name.lower()) if isinstance(name, str) else None
    return {"ir": "r", "ipython": "python", "conda": "python"}.get(found[0], found[0]) if found else ""


def _cell(cell: object, place: int, glue: str) -> Cell:
    if not isinstance(cell, dict):
        raise InputError(f"cell {place} is no object")
    kind = cell.get("cell_type")
    source = _text(next((cell[name] for name in ("source", "input", "code", "text") if name in cell), ""), place, glue)
    if kind == "code":
        outputs = cell.get("outputs")
        return Cell("code", source, _output(outputs[0], glue) if isinstance(outputs, list) and outputs else None)
    if kind == "heading":  # of format 3
        level = cell.get("level")
        return Cell(
            "markdown", f"{'#' * (level if isinstance(level, int) and 1 <= level <= 6 else 1)} {' '.join(source.split())}"
        )
    return Cell("markdown" if kind in ("markdown", "text", "html") else "raw", source)


def _output(output: object, glue: str) -> str | None:
    """Return what a first output says: a stream's text, or a result's as plain text; None for images and errors."""
    if not isinstance(output, dict) or output.get("output_type") not in ("stream", "execute_result", "pyout"):
        return None
    data = output.get("data")
    said = output.get("text", data.get("text/plain") if isinstance(data, dict) else None)
    try:
        text = _text(said, 0, glue).strip("\n") if said is not None else ""
    except InputError:
        return None
    return (text[:MAX_OUTPUT] + CUT if len(text) > MAX_OUTPUT else text) or None


def _text(value: object, place: int, glue: str) -> str:
    lines = [line for line in (value if isinstance(value, list) else [value]) if isinstance(line, str)]
    if len(lines) < (len(value) if isinstance(value, list) else 1):
        raise InputError(f"the text of cell {place} is neither a text nor a list of texts")
    # JSON may spell half of a character.
    return glue.join(lines).replace("\r\n", "\n").encode("utf-8", "replace").decode()


def _turns(language: str, cells: Sequence[Cell]) -> Made:
    """Return text, code and output by turns: cells of one type together, from the first text to the last code."""
    if language not in ("python", "ipython"):
        return Made(NOTEBOOK, reason="not_python", detail=language or "no language is said")
    filled = (c for c in cells if c.source.strip() and c.type != "raw")
    groups = [(type_, [*group]) for type_, group in groupby(filled, key=lambda c: c.type)]
    groups = groups[1:] if groups and groups[0][0] == "code" else groups
    groups = groups[:-1] if groups and groups[-1][0] == "markdown" else groups
    if not groups:
        return Made(NOTEBOOK, reason="no_text_before_code")
    pieces: list[tuple[str, str]] = []
    for type_, group in groups:
        if type_ == "markdown":
            pieces.append(("markdown", "\n\n".join(c.source.strip("\n") for c in group)))
        else:
            pieces += [("code", "\n".join(c.source.strip("\n") for c in group)), ("output", group[-1].output or "")]
    at, segments = 0, []
    for role, text in pieces:
        segments.append({"role": role, "name": "Python" if role == "code" else None, "start": at, "end": at + len(text)})
        at += len(text) + (1 if text else 0)
    return Made(NOTEBOOK, "".join(f"{text}\n" for _, text in pieces if text), segments)


def _script(language: str, cells: Sequence[Cell]) -> Made:
    """Return the code as one file, with all else as comments."""
    if language not in COMMENTS and language != "ipython":
        return Made(SCRIPT, reason="unknown_notebook_language", detail=language or "no language is said")
    name, mark = COMMENTS.get(language, COMMENTS["python"])
    if not any(c.type == "code" and c.source.strip() for c in cells):
        return Made(SCRIPT, reason="no_code")
    written = []
    for cell in cells:
        source = cell.source.strip("\n")
        if source.strip():
            written.append(_commented(source, mark) if cell.type != "code" else _python(source) if name == "Python" else source)
    text = "\n\n".join(written) + "\n"
    return Made(SCRIPT, text, ({"role": "script", "name": name, "start": 0, "end": len(text)},))


def _kaggle(language: str, cells: Sequence[Cell]) -> Made:
    """Return the cleaned code of a notebook in Python."""
    if language not in ("python", "ipython"):
        return Made(KAGGLE, reason="not_python", detail=language or "no language is said")
    text, reason, detail = kaggle.script((cell.type, cell.source) for cell in cells)
    if reason:
        return Made(KAGGLE, reason=reason, detail=detail)
    return Made(KAGGLE, text, ({"role": "script", "name": "Python", "start": 0, "end": len(text)},))


def _behind(data: Sequence[str], script: Made) -> Made:
    """Return a script behind what is said of its data, each a segment of text."""
    at, segments = 0, []
    for text in data:
        segments.append({"role": "markdown", "name": None, "start": at, "end": at + len(text)})
        at += len(text) + 1
    segments += [{**own, "start": own["start"] + at, "end": own["end"] + at} for own in script.segments]
    return replace(script, text="".join(f"{text}\n" for text in data) + script.text, segments=segments)


def _commented(text: str, mark: str) -> str:
    return "\n".join(f"{mark} {line}".rstrip() for line in text.split("\n"))


def _python(source: str) -> str:
    """Return a cell with IPython's lines as comments; a cell in another language is one as a whole."""
    first = source.lstrip().split(None, 1)[0]
    if first.startswith("%%") and first not in PYTHON_CELLS:
        return _commented(source, "#")
    lines, inside = [], ""
    for line in source.split("\n"):
        lines.append(f"# {line}" if not inside and MAGIC.match(line) else line)
        for quotes in QUOTES.findall(line):  # in a long string nothing is IPython's
            inside = "" if quotes == inside else inside or quotes
    return "\n".join(lines)
