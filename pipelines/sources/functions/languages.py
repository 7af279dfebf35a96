"""What a documented function is in each language: LANGUAGES is the table, a row a language, in the words of its tree-sitter grammar.

Python's is StarCoder2-Instruct's: a function at the top of a module whose body begins with a docstring. In the others the
documentation is the comment that stands right above it, in the form that the language's own tools read.
"""

import re
from dataclasses import dataclass

BLOCK = re.compile(r"/\*[*!](?!/)")  # Javadoc, JSDoc, Doxygen
NEVER = re.compile(r"(?!)")


@dataclass(frozen=True)
class Language:
    """A language. Node types: `functions`; `around` what may enclose one that stays at the top; `within` what holds functions that
    belong to no object, and `marked` the words that such a one has; `comments`; `attributes` that stand between documentation and
    function; `imports`.

    `documents`: how a comment begins that is documentation; null: it is a string at the beginning of the body. `many`: whether several
    comments in a row are one documentation. `of_its_own`: an import that names a file of the same program. `always`: an import that
    is kept although no name in it is used. `declares`: the field that says what a function returns, where saying so is returning.
    """

    grammar: str
    functions: tuple[str, ...]
    imports: tuple[str, ...]
    around: tuple[str, ...] = ()
    within: tuple[str, ...] = ()
    marked: str = ""
    comments: tuple[str, ...] = ("comment",)
    attributes: tuple[str, ...] = ()
    documents: re.Pattern[str] | None = BLOCK
    many: bool = False
    of_its_own: re.Pattern[str] = NEVER
    always: re.Pattern[str] = NEVER
    declares: str = ""


_SCRIPT = ("function_declaration", "generator_function_declaration")
_FILE = re.compile(r"""['"]\.""")
LANGUAGES: dict[str, Language] = {
    "Python": Language(
        "python", ("function_definition",), ("import_statement", "import_from_statement", "future_import_statement"),
        around=("decorated_definition",), documents=None, of_its_own=re.compile(r"from\s*\."),
    ),
    "JavaScript": Language("javascript", _SCRIPT, ("import_statement",), around=("export_statement",), of_its_own=_FILE),
    "TypeScript": Language("typescript", _SCRIPT, ("import_statement",), around=("export_statement",), of_its_own=_FILE),
    "TSX": Language("tsx", _SCRIPT, ("import_statement",), around=("export_statement",), of_its_own=_FILE),
    "Go": Language(
        "go", ("function_declaration",), ("import_declaration",), documents=re.compile(r"//(?!go:)|/\*"), many=True,
    ),
    "Rust": Language(
        "rust", ("function_item",), ("use_declaration",), comments=("line_comment", "block_comment"),
        attributes=("attribute_item",), documents=re.compile(r"///(?!/)|/\*\*(?![*/])"), many=True,
        of_its_own=re.compile(r"\b(?:crate|super|self)::"), declares="return_type",
    ),
    "Java": Language(
        "java", ("method_declaration",), ("import_declaration",), comments=("block_comment", "line_comment"),
        within=("class_declaration", "class_body"), marked="static",
    ),
    "C++": Language(
        "cpp", ("function_definition",), ("preproc_include", "using_declaration"), around=("template_declaration",),
        within=("namespace_definition", "declaration_list"), documents=re.compile(r"//[/!]|/\*[*!](?!/)"), many=True,
        of_its_own=re.compile(r'#\s*include\s*"'), always=re.compile(r"#\s*include\s*<|using\s+namespace"),
    ),
}  # fmt: skip
