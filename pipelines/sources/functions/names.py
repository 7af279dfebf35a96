"""The names of a file: what it imports, what it declares at its top, and which of those a function uses.

Every walk is a cursor's, so that its time is linear in the nodes: a look for a node's parent or neighbour is not. A name that a function
binds anywhere is its own in all of it, as in Python; whether what is left makes sense is for a type checker to say.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starmill.pipelines.sources.functions.languages import Language

if TYPE_CHECKING:
    from tree_sitter import Node

NAMES = frozenset(
    """
    identifier type_identifier package_identifier namespace_identifier shorthand_property_identifier
    """.split()
)
# A name in such a place (node, field) is a member's, and not one of the file's.
MEMBERS = frozenset(
    (
        ("attribute", "attribute"),
        ("keyword_argument", "name"),
        ("field_access", "field"),
        ("scoped_identifier", "name"),
        ("scoped_type_identifier", "name"),
        ("qualified_identifier", "name"),
        ("qualified_type", "name"),
    )
)
# And in such a place it is bound by the function itself; without a field, anywhere in the node.
BINDS = frozenset(
    (
        ("parameters", None),
        ("formal_parameters", None),
        ("lambda_parameters", None),
        ("default_parameter", "name"),
        ("typed_default_parameter", "name"),
        ("typed_parameter", None),
        ("list_splat_pattern", None),
        ("dictionary_splat_pattern", None),
        ("pattern_list", None),
        ("tuple_pattern", None),
        ("as_pattern_target", None),
        ("assignment", "left"),
        ("for_statement", "left"),
        ("for_in_clause", "left"),
        ("named_expression", "name"),
        ("function_definition", "name"),
        ("class_definition", "name"),
        ("required_parameter", "pattern"),
        ("optional_parameter", "pattern"),
        ("variable_declarator", "name"),
        ("function_declaration", "name"),
        ("parameter_declaration", "name"),
        ("parameter_declaration", "declarator"),
        ("init_declarator", "declarator"),
        ("short_var_declaration", "left"),
        ("var_spec", "name"),
        ("parameter", "pattern"),
        ("let_declaration", "pattern"),
        ("formal_parameter", "name"),
    )
)
# What is declared at the top of a file stands in such a field, or in such a node.
DECLARES = frozenset(
    """
    name left declarator declaration definition pattern
    """.split()
)
HOLDS = frozenset(
    """
    variable_declarator init_declarator const_spec var_spec var_spec_list type_spec type_alias pattern_list tuple_pattern
    function_definition class_specifier struct_specifier expression_statement assignment if_statement try_statement
    with_statement block else_clause except_clause finally_clause
    """.split()
)
MAX_IMPORTS = (
    10_000  # characters of the imports of one function; so that a file's functions are not some hundred times the file
)
MAX_TWICE = 10  # imports of one name that count, as of branches


def unwrapped(node: "Node", row: Language) -> "Node | None":
    """Return the function that a node at the top is, or holds."""
    while node.type in row.around:
        inner = [child for child in node.children if child.type in row.functions or child.type in row.around]
        if not inner:
            return None
        node = inner[-1]
    return node if node.type in row.functions else None


def walk(top: "Node", closed: Iterable[str] = ()) -> "Iterator[tuple[Node, str, str | None]]":
    """Yield every node below `top`, with its parent's type and its field there; nothing inside the `closed` types."""
    cursor, parents = top.walk(), [top.type]
    if not cursor.goto_first_child():
        return
    while True:
        node = cursor.node
        assert node is not None
        yield node, parents[-1], cursor.field_name
        if node.type not in closed and cursor.goto_first_child():
            parents.append(node.type)
            continue
        while not cursor.goto_next_sibling():
            parents.pop()
            if not parents or not cursor.goto_parent():
                return


def names_in(node: "Node", data: bytes) -> tuple[set[str], set[str]]:
    """Return the names that a function uses and those that it binds."""
    used, bound = set[str](), set[str]()
    for found, parent, field in walk(node):
        if found.type not in NAMES or (parent, field) in MEMBERS:
            continue
        name = text_of(found, data)
        if (parent, field) in BINDS or (parent, None) in BINDS:
            bound.add(name)
        else:
            used.add(name)
    return used, bound


@dataclass(frozen=True)
class Import:
    """An import of a file: its text, and the names that it binds. `head`, `said`: of one name alone, as `from a import ` and `b as c`."""

    text: str
    names: frozenset[str]
    head: str = ""
    said: str = ""
    of_its_own: bool = False
    always: bool = False


class Imports:
    """The imports of a file, to be asked for those of some names."""

    def __init__(self, found: list[Import]) -> None:
        self._found = found
        self._always = [place for place, one in enumerate(found) if one.always][:MAX_IMPORTS]
        self._by_name: dict[str, list[int]] = {}
        for place, one in enumerate(found):
            for name in one.names:
                self._by_name.setdefault(name, []).append(place)
        self.names = frozenset(self._by_name)

    def of(self, names: set[str]) -> list[Import]:
        """Return the imports of these names, and those that are always needed, in the order of the file."""
        places = {place for name in names & self.names for place in self._by_name[name][:MAX_TWICE]}
        return [self._found[place] for place in sorted(places | {*self._always})]


def statements(needed: list[Import]) -> str:
    """Return imports as text, each statement with the names alone that are needed, and the lines that part them from the function."""
    lines: dict[str, dict[str, None]] = {}
    for one in needed:
        lines.setdefault(one.head or one.text, {})[one.said] = None
    return "".join(f"{head}{', '.join(said)}\n" for head, said in lines.items()) + ("\n\n" if lines else "")


def names_of_file(root: "Node", data: bytes, row: Language) -> tuple[Imports, set[str]]:
    """Return the imports of a file, and the names that it declares at its top."""
    imports: list[Import] = []
    declared: set[str] = set()
    ahead = [root]
    while ahead:
        node = ahead.pop()
        deeper: list[Node] = []
        for child in node.children:
            if child.type in row.imports:
                imports += _imports(child, data, row)
            elif _is_require(child, data):
                names = frozenset(declared_by(child, data))
                imports.append(
                    Import(text_of(child, data), names, of_its_own=bool(row.of_its_own.search(text_of(child, data))))
                )
            else:
                held = unwrapped(child, row)
                declared.update(declared_by(child if held is None else held, data))
                if child.type in HOLDS or child.type in row.within:
                    deeper.append(child)
        ahead += reversed(deeper)
    return Imports(imports), declared


def _is_require(node: "Node", data: bytes) -> bool:
    return (
        node.type in ("lexical_declaration", "variable_declaration")
        and b"require(" in data[node.start_byte : node.end_byte][:300]
    )


def _imports(node: "Node", data: bytes, row: Language) -> Iterator[Import]:
    text = text_of(node, data).strip()
    own, always = bool(row.of_its_own.search(text)), bool(row.always.match(text))
    if row.grammar == "python":
        module = node.child_by_field_name("module_name")
        head = f"from {text_of(module, data)} import " if module is not None else "import "
        if node.type == "future_import_statement":
            yield Import(text, frozenset(), always="annotations" in text)
            return
        for name in node.children_by_field_name("name"):
            yield Import(text, frozenset((_bound(name, data),)), head, text_of(name, data), own)
    elif row.grammar == "go":
        for spec in (found for found, _, _ in walk(node) if found.type == "import_spec"):
            said = text_of(spec, data)
            path = said.rpartition(" ")[2].strip('"`')
            bound = said.partition(" ")[0] if " " in said else path.rpartition("/")[2]
            yield Import(f"import {said}", frozenset((bound,)))
    else:
        # What is imported under another name is used by that, so that both may stand here.
        names = frozenset(text_of(found, data) for found, _, _ in walk(node) if found.type in NAMES and found.child_count == 0)
        yield Import(
            text, names - {"crate", "super", "self", "std", "java", "javax", "org", "com"}, of_its_own=own, always=always
        )


def _bound(node: "Node", data: bytes) -> str:
    alias = node.child_by_field_name("alias")
    return text_of(alias, data) if alias is not None else text_of(node, data).partition(".")[0]


def declared_by(node: "Node", data: bytes) -> Iterator[str]:
    """Yield the names that a node at the top of a file declares."""
    ahead = [node]
    while ahead:
        at = ahead.pop()
        cursor = at.walk()
        if not cursor.goto_first_child():
            continue
        while True:
            child = cursor.node
            assert child is not None
            if cursor.field_name in DECLARES or (at.type in ("pattern_list", "tuple_pattern") and child.is_named):
                if child.type in NAMES:
                    yield text_of(child, data)
                elif child.type not in ("attribute", "subscript"):
                    ahead.append(child)
            elif child.type in ("variable_declarator", "const_spec", "var_spec", "var_spec_list", "type_spec", "type_alias"):
                ahead.append(child)
            if not cursor.goto_next_sibling():
                break


def text_of(node: "Node", data: bytes) -> str:
    return data[node.start_byte : node.end_byte].decode("utf-8", "replace")
