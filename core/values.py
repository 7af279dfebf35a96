"""YAML text to plain values, without YAML's traps: a key that is there twice, an alias bomb, `3e-4` read as a text.

`a: 3e-4`      a number, as in YAML 1.2; YAML 1.1 wants 3.0e-4
`a: 2026-01-01`  a text: no option is a date
"""

import re
from typing import Any

import yaml

YAML = "tag:yaml.org,2002:"
TAGS = {YAML + name for name in "map seq str int float bool null merge".split()}
MOST = 100_000  # values that aliases may expand to, in a text that does not itself have as many


class _Loader(yaml.SafeLoader):
    """Its resolvers: without dates, and with numbers as `3e-4`."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [(tag, shape) for tag, shape in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$"), list("-+.0123456789")
)


def parse(text: str) -> Any:
    """Return the values of a YAML text, in time linear in its length. Raises ValueError that names what is wrong and its line.

    >>> parse("lr: 3e-4")
    {'lr': 0.0003}
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        sizes: dict[int, int] = {}
        if _size(node, "", sizes) > max(MOST, 10 * len(sizes)):
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
