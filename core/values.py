"""YAML text to plain values, without YAML's traps: a key that is there twice, an alias bomb, `3e-4` read as a text.

`a: 3e-4`      a number, as in YAML 1.2; YAML 1.1 wants 3.0e-4
`a: 2026-01-01`, `a: 1:30`, `a: 010`  texts: no option is a date or an hour, and no number begins with 0
"""

import re
from typing import Any

import yaml

YAML = "tag:yaml.org,2002:"
NUMBERS = (YAML + "int", YAML + "float")
TAGS = {YAML + name for name in "map seq str int float bool null merge".split()}
# What takes PyYAML about a second.
MOST = 10_000  # values, aliases (*) expanded
LONGEST = 400_000  # characters of a text
DEEPEST = 50  # brackets in each other
DIGITS = 40  # characters of a number


class _Loader(yaml.SafeLoader):
    """Its resolvers: without dates, and with the numbers of YAML 1.2. 1.1 reads 010 as eight, and 1:30 as ninety."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [
            (tag, shape) for tag, shape in resolvers if tag.rpartition(":")[2] not in ("timestamp", "int", "float", "value")
        ]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Count the values, before there are too many."""
        self.nodes += 1
        if self.nodes > MOST:
            raise ValueError(f"more than {MOST:,} values")
        return super().compose_node(parent, index)

    def fetch_flow_collection_start(self, token: Any) -> None:
        """Count the brackets: the scanner takes long over deep ones."""
        if self.flow_level >= DEEPEST:
            raise ValueError(f"line {self.line + 1}: more than {DEEPEST} brackets in each other")
        super().fetch_flow_collection_start(token)


for _tag, _shape in {
    "int": r"[-+]?(0|[1-9][0-9_]*|0x[0-9a-fA-F]+)\Z",
    "float": r"[-+]?(\.[0-9]+|[0-9][0-9_]*\.[0-9]*|(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+|\.(?i:inf))\Z|\.(?i:nan)\Z",
}.items():
    _Loader.add_implicit_resolver(YAML + _tag, re.compile(_shape), list("-+.0123456789"))


def parse(text: str) -> Any:
    """Return the values of a YAML text, in time linear in its length. Raises ValueError that names what is wrong and its line.

    >>> parse("lr: 3e-4")
    {'lr': 0.0003}
    """
    if len(text) > LONGEST:
        raise ValueError(f"{len(text):,} characters; a recipe has at most {LONGEST:,}")
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        sizes: dict[int, int] = {}
        if _size(node, "", sizes) > MOST:
            raise ValueError(f"its aliases (*) expand to more than {MOST:,} values")
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        raise ValueError(f"not readable as YAML: {error}") from None
    except RecursionError:
        raise ValueError("not readable as YAML: nested too deep") from None
    except (LookupError, AttributeError) as error:  # PyYAML's own, of `!!bool x`
        raise ValueError(f"not readable as YAML: a tag (!!) does not fit its value: {error}") from None


def _size(node: yaml.Node, path: str, sizes: dict[int, int]) -> int:
    """Return how many values a node expands to, each node looked at once. Raises ValueError for a key that is there twice."""
    if id(node) in sizes:
        if not sizes[id(node)]:
            raise ValueError(f"line {node.start_mark.line + 1}: '{path}' is inside itself")
        return sizes[id(node)]
    if node.tag not in TAGS:  # a set has no order, and no option is of bytes
        raise ValueError(f"line {node.start_mark.line + 1}: no tags (!!): '{path}' is tagged {node.tag.replace(YAML, '!!')}")
    if isinstance(node, yaml.ScalarNode) and node.tag in NUMBERS and len(node.value) > DIGITS:
        raise ValueError(
            f"line {node.start_mark.line + 1}: '{path}' is a number of {len(node.value):,} characters; give a shorter one"
        )
    sizes[id(node)] = 0
    total = 1
    if isinstance(node, yaml.SequenceNode):
        total += sum(_size(inside, f"{path}[{i}]", sizes) for i, inside in enumerate(node.value))
    elif isinstance(node, yaml.MappingNode):
        keys: dict[tuple[str, str], yaml.Node] = {}
        for key, inside in node.value:
            name = f"{path}.{key.value}" if path else str(key.value)
            if isinstance(key, yaml.ScalarNode):
                before = keys.setdefault((key.tag, key.value), key)
                if before is not key:
                    said = f"in line {before.start_mark.line + 1} and in line {key.start_mark.line + 1}"
                    raise ValueError(f"key '{name}' is there twice, {said}; keep one")
            total += _size(key, name, sizes) + _size(inside, name, sizes)
    sizes[id(node)] = total
    return total
