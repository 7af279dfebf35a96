"""What a recipe may hold, said from its types: a page for people and a JSON schema for editors.

A field's meaning is the comment at its end in the source, a section's is the docstring of its dataclass.
"""

import ast
import dataclasses
import inspect
import io
import json
import textwrap
import tokenize
import types
import typing
from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

import msgspec

from starmill.core.names import OneOf, span

WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false", type(None): "null"}


def page(cls: type) -> str:
    """Return Markdown with a heading and a table for the dataclass `cls` and for each section below it."""
    parts = []
    for path, section in sections(cls):
        rows = [f"| `{f['key']}` | {f['type']} | {f['default']} | {f['meaning']} |" for f in fields(section)]
        head = f"### {path}\n\n" if path else ""
        table = "\n".join(["| key | type | default | meaning |", "|---|---|---|---|", *rows])
        parts.append(f"{head}{text(section)}\n\n{table}\n")
    return "\n".join(parts)


def schema(cls: type) -> dict[str, Any]:
    """Return the JSON schema of the dataclass `cls`: msgspec's, with unknown keys refused, meanings, and names from their lists."""
    classes = dict.fromkeys(kind for _, kind in sections(cls))
    names = _names(classes)

    def any_of(several: Any) -> dict[str, Any]:
        """Return the schema of a section whose `kind` says which class it is (core/recipe.py)."""
        return {"anyOf": [{"$ref": f"#/$defs/{names[kind]}", "required": ["kind"]} for kind in several.kinds()]}

    (made, *_), defs = msgspec.json.schema_components(classes, schema_hook=any_of, ref_template="#/$defs/{name}")
    made |= {"$defs": defs, "$schema": "https://json-schema.org/draft/2020-12/schema"}
    lists: dict[str, Any] = {}
    for section in classes:
        hints, notes = typing.get_type_hints(section, include_extras=True), comments(section)
        told = made["$defs"][names[section]]
        told |= {"additionalProperties": False, "description": text(section)}
        for key, value in told["properties"].items():
            _name(value, hints[key], lists)
            if notes[key]:
                value["description"] = notes[key]
    made["$defs"] |= lists
    return made


def sections(cls: Any, path: str = "") -> Iterator[tuple[str, type]]:
    """Yield (key path, dataclass) of `cls` and all sections below, in the order of their fields; `*` is any key or entry."""
    yield path, cls
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        for kind, below in _inside(hints[field.name], f"{path}.{field.name}" if path else field.name):
            yield from sections(kind, below)


def _names(classes: Collection[type]) -> dict[type, str]:
    """Return the names that msgspec gives classes in a schema: those of equal names have their modules in front."""
    counts = Counter(cls.__name__ for cls in classes)
    return {cls: cls.__name__ if counts[cls.__name__] == 1 else f"{cls.__module__}.{cls.__qualname__}" for cls in classes}


def comments(cls: type) -> dict[str, str]:
    """Return the comment at the end of each field of a dataclass, its inherited fields included, or nothing."""
    inherited = {
        name: note
        for base in reversed(cls.__mro__[1:])
        if dataclasses.is_dataclass(base)
        for name, note in comments(base).items()
    }
    source = textwrap.dedent(inspect.getsource(cls))
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    notes = {t.start[0]: t.string.lstrip("# ").partition("type: ignore")[0] for t in tokens if t.type == tokenize.COMMENT}
    [tree] = ast.parse(source).body
    assert isinstance(tree, ast.ClassDef)
    return inherited | {
        node.target.id: " ".join(filter(None, map(notes.get, range(node.lineno, (node.end_lineno or 0) + 1))))
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }


def fields(section: type) -> list[dict[str, str]]:
    """Return the key, type, default and meaning of each field of a dataclass, as the page has them."""
    hints, notes = typing.get_type_hints(section, include_extras=True), comments(section)
    said = ((f.name, _words(hints[f.name]), _default(f), notes[f.name]) for f in dataclasses.fields(section))
    return [dict(zip(("key", "type", "default", "meaning"), row, strict=True)) for row in said]


def text(section: type) -> str:
    """Return a section's docstring without its example."""
    return (inspect.getdoc(section) or "").partition(">>>")[0].rstrip()


def _inside(hint: Any, path: str) -> Iterator[tuple[type, str]]:
    if dataclasses.is_dataclass(hint):
        yield typing.cast(type, hint), path
    elif hasattr(hint, "kinds"):
        yield from ((kind, f"{path} of kind {kind.kind}") for kind in hint.kinds())
    is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    for kind in typing.get_args(hint):
        yield from _inside(kind, path if is_union else f"{path}.*")


def _marks(hint: Any) -> list[OneOf]:
    return [mark for mark in getattr(hint, "__metadata__", ()) if isinstance(mark, OneOf)]


def _words(hint: Any) -> str:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if marks := _marks(hint):
        return marks[0].noun
    if origin is typing.Annotated:
        return f"{_words(args[0])} {span(args[1])}".rstrip()
    if origin is typing.Literal:
        return ", ".join(f"`{name}`" for name in args)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(_words, args))
    if origin is tuple:
        return f"list of {_words(args[0])}" if args[-1] is ... else f"list of {', '.join(map(_words, args))}"
    if origin is dict:
        return f"{_words(args[0])} to {_words(args[1])}"
    return WORDS.get(hint, "section")


def _default(field: Any) -> str:
    value = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    if value is dataclasses.MISSING:
        return "required"
    return "below" if dataclasses.is_dataclass(value) else f"`{json.dumps(value, ensure_ascii=False)}`"


def _name(told: dict[str, Any], hint: Any, lists: dict[str, Any]) -> None:
    """Refer the schema of a name to the list of its names, which is in `lists` once."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    for mark in _marks(hint):
        lists[mark.noun] = {"enum": list(mark.names())}
        told.pop("type")
        told["$ref"] = f"#/$defs/{mark.noun}"
    if origin is tuple:
        _name(told["items"], args[0], lists)
    elif origin is dict:
        _name(told.setdefault("propertyNames", {"type": "string"}), args[0], lists)
        _name(told["additionalProperties"], args[1], lists)
