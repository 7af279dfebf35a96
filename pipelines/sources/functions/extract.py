"""The functions at the top of a file: their documentation, whether they return a value, and which imports of the file they need.

It works on a parse (child.py makes it), in a time that is linear in its nodes, and knows a language by its row alone (languages.py).
"""

import itertools
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from starmill.pipelines.sources.functions.languages import LANGUAGES, Language
from starmill.pipelines.sources.functions.names import (
    MAX_IMPORTS,
    Imports,
    declared_by,
    names_in,
    names_of_file,
    statements,
    text_of,
    unwrapped,
    walk,
)

if TYPE_CHECKING:
    from tree_sitter import Node

# A function inside a function: what it returns is its own.
INNER = frozenset(
    """
    function_definition lambda class_definition function_declaration function_expression arrow_function generator_function
    generator_function_declaration method_definition func_literal closure_expression function_item lambda_expression
    class_body
    """.split()
)

SHOWN = 200  # characters of an import that is named: many functions may need one that is long


@dataclass(frozen=True)
class Function:
    """A function at the top of a file. `reason`: why it is no seed (`no_documentation`, `no_value_returned`, `syntax_error`,
    `too_many_imports`), or nothing.

    `first`, `last`: its lines in the file, from 1, documentation and decorators included. `text`: itself below the imports that it
    needs, and of that text in characters `documentation` (start, end) and `imports`, the end of these. `parameters`: how many it has.
    `needs`: what else of its file it names. `own_imports`: its imports of files of the same program.
    """

    name: str
    first: int
    last: int
    reason: str = ""
    text: str = ""
    documentation: tuple[int, int] = (0, 0)
    imports: int = 0
    parameters: int = 0
    needs: tuple[str, ...] = ()
    own_imports: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Found:
    """A function's node, its outermost node, the comments that document it, and the node at which its text begins."""

    node: "Node"
    outer: "Node"
    documentation: "tuple[Node, ...]"
    begins: "Node"

    @property
    def start(self) -> int:
        return self.begins.start_byte


def functions(root: "Node", data: bytes, language: str) -> list[dict[str, Any]]:
    """Return the functions of a parsed file, in their order, each as the values of a Function.

    >>> from tree_sitter import Parser
    >>> from tree_sitter_language_pack import get_language
    >>> code = b"import math\\nimport sys\\n\\ndef area(r):\\n    '''Of a circle.'''\\n    return math.pi * r * r\\n"
    >>> [area] = functions(Parser(get_language("python")).parse(code).root_node, code, "Python")
    >>> area["name"], area["reason"], area["first"], area["last"], area["parameters"]
    ('area', '', 4, 6, 1)
    >>> print(area["text"].partition("\\n")[0])
    import math
    """
    row = LANGUAGES[language]
    imports, declared = names_of_file(root, data, row)
    found = [_function(one, data, row, imports, declared) for one in _top(root, data, row)]
    return [asdict(one) for one in found]


def _top(root: "Node", data: bytes, row: Language) -> Iterator[_Found]:
    """Yield the functions at the top of a file, with the comments above them."""
    ahead = [root]
    while ahead:
        above: list[Node] = []
        documented: list[Node] = []
        inner: list[Node] = []
        for child in ahead.pop().children:
            if child.type in row.comments:
                if documented and not (row.many and _adjoin(documented[-1], child, data)):
                    documented = []
                above = []
                if row.documents is not None and row.documents.match(text_of(child, data)):
                    documented.append(child)
                else:
                    documented = []
                continue
            if child.type in row.attributes:
                above.append(child)
                continue
            node = unwrapped(child, row)
            if node is not None and (
                not row.within or row.within[0] == "namespace_definition" or row.marked in _words(node, data)
            ):
                chain = [*documented, *above, child]
                whole = all(_adjoin(a, b, data) for a, b in itertools.pairwise(chain))
                yield _Found(node, child, tuple(documented) if whole else (), chain[0] if whole else child)
            elif child.type in row.within:
                inner.append(child)
            above, documented = [], []
        ahead += reversed(inner)


def _words(node: "Node", data: bytes) -> list[str]:
    return [word for child in node.children if child.type == "modifiers" for word in text_of(child, data).split()]


def _adjoin(above: "Node", below: "Node", data: bytes) -> bool:
    """Say whether nothing but the end of a line lies between two nodes."""
    between = data[above.end_byte : below.start_byte]
    return not between.strip() and between.count(b"\n") + data[above.start_byte : above.end_byte].endswith(b"\n") <= 1


def _function(one: _Found, data: bytes, row: Language, imports: "Imports", declared: set[str]) -> Function:
    name = next(declared_by(one.node, data), "")
    first, last = one.begins.start_point[0] + 1, one.outer.end_point[0] + 1
    documented = one.documentation if row.documents else _docstring(one.node, data)
    said = data[documented[0].start_byte : documented[-1].end_byte].decode().rstrip("\n") if documented else ""
    reason = (
        "syntax_error"
        if one.outer.has_error
        else "no_documentation"
        if not said.strip("/*!\"' \t\r\nrRuU")
        else "no_value_returned"
        if not _returns(one.node, row)
        else ""
    )
    if reason:
        return Function(name, first, last, reason)
    used, bound = names_in(one.outer, data)
    wanted = used - bound - {name}
    needed = imports.of(wanted)
    head = statements([i for i in needed if not i.of_its_own])
    if len(head) > MAX_IMPORTS:
        return Function(name, first, last, "too_many_imports")
    body = _dedented(data, one.start, one.outer.end_byte)
    # The documentation is found again in the text of the function, whose lines may have moved to the left.
    at = len(head) + len(_dedented(data, one.start, documented[0].start_byte))
    end = len(head) + len(_dedented(data, one.start, documented[-1].end_byte).rstrip("\n"))
    return Function(
        name,
        first,
        last,
        text=f"{head}{body}\n",
        documentation=(at, end),
        imports=max(0, len(head) - 3),
        parameters=_parameters(one.node),
        needs=tuple(sorted((wanted & declared) - imports.names)),
        own_imports=tuple(dict.fromkeys(i.text[:SHOWN] for i in needed if i.of_its_own and not i.always)),
    )


def _dedented(data: bytes, start: int, end: int) -> str:
    """Return a piece of a file, moved to the left as far as its first line stands to the right."""
    line = data.rfind(b"\n", 0, start) + 1
    indent = data[line:start].decode()
    text = data[start:end].decode()
    return text if indent.strip() or not indent else text.replace(f"\n{indent}", "\n")


def _docstring(node: "Node", data: bytes) -> "tuple[Node, ...]":
    body = node.child_by_field_name("body")
    said = next((child for child in (body.children if body else ()) if child.type != "comment"), None)
    if said is not None and said.type == "expression_statement" and said.child_count == 1:
        said = said.children[0]
    if said is None or said.type not in ("string", "concatenated_string"):
        return ()
    pieces = [said] if said.type == "string" else [child for child in said.children if child.type == "string"]
    formatted = any({*"fFbBtT"} & {*text_of(piece.children[0], data)} for piece in pieces)
    return () if formatted else (said,)


def _returns(node: "Node", row: Language) -> bool:
    """Say whether a function returns a value: itself, and not one that is written inside it."""
    if row.declares:
        said = node.child_by_field_name(row.declares)
        return said is not None and said.type not in ("unit_type", "never_type")
    return any(
        found.type == "return_statement" and any("comment" not in child.type for child in found.named_children)
        for found, _, _ in walk(node, INNER)
    )


def _parameters(node: "Node") -> int:
    ahead: Node | None = node
    while ahead is not None and (said := ahead.child_by_field_name("parameters")) is None:
        ahead = ahead.child_by_field_name("declarator")  # of C++, where a function is what is declared
    separators = ("comment", "keyword_separator", "positional_separator")
    return 0 if ahead is None or said is None else sum(child.type not in separators for child in said.named_children)
