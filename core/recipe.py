"""Strict, typed configuration: YAML holds values, frozen dataclasses hold the shape and the defaults.

msgspec converts and checks. What it does not say is said here: an unknown key or name is an error with the nearest valid one, and each
error names the key, the value and what was expected. Overrides (`minhash.threshold=0.8`) are applied before the check, so they are as
strict as the file. Before any of that, a URL with a user or password in it is refused: what comes later may quote a value.
"""

import copy
import dataclasses
import hashlib
import json
import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from starmill.core.credentials import refuse_credentials
from starmill.core.errors import InputError, UsageError
from starmill.core.files import read_small
from starmill.core.names import OneOf, did_you_mean, span
from starmill.core.values import LONGEST, parse

T = TypeVar("T")

# The recipes that ship with starmill: data/ to mill by, train/ to train by.
SHIPPED = Path(__file__).resolve().parent.parent / "recipes"
FEW = 20  # names that an error lists, where none is near to the one that was given
# What msgspec calls a shape, and a person does.
WORDS = {"object": "a section with keys", "array": "a list"}


class RecipeError(UsageError):
    """A recipe that cannot be used; the message names the file or key, the value and the fix."""


def load(cls: type[T], path: str, overrides: Sequence[str] = ()) -> T:
    """Read the YAML recipe at `path`, apply `key.sub=value` overrides, and return it as `cls`. Raises RecipeError."""
    return build(cls, override(read(path), overrides), where=str(path))


def read(path: str) -> dict[str, Any]:
    """Return the mapping in the YAML file at `path`; a bare name (`smoke`) means a recipe that ships with starmill."""
    _refuse_credentials(path, "recipe")
    file = Path(path)
    if not file.exists() and not file.suffix and file.name == str(path):
        file = next(SHIPPED.glob(f"*/{path}.yaml"), file)
    text = ""
    try:
        text = read_small(file, 4 * LONGEST).decode("utf-8")
        values = parse(text)
    except FileNotFoundError:
        shipped = sorted(p.stem for p in SHIPPED.glob("*/*.yaml"))
        raise RecipeError(
            f"{path}: no such recipe{did_you_mean(path, shipped)}; give a YAML file or one of: {', '.join(shipped)}"
        ) from None
    except InputError as error:
        raise RecipeError(str(error)) from None
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path}: not UTF-8 (byte {error.start:,}); give a YAML file, saved as UTF-8") from None
    except OSError as error:
        raise RecipeError(f"{path}: {error.strerror}; give a YAML file that can be read") from None
    except ValueError as error:
        _refuse_credentials(text, path)  # YAML's error quotes a line of it
        raise RecipeError(f"{path}: {' '.join(str(error).split())}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise RecipeError(f"{path}: a recipe is a mapping of keys to values, this is a {type(values).__name__}")
    return values


def override(values: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return a copy of `values` with each `a.b=value` set; the value is read as YAML, so `true`, `3` and `[a, b]` work.

    >>> override({"roots": ["a", "b"]}, ["roots.1=c", "minhash.threshold=0.8"])
    {'roots': ['a', 'c'], 'minhash': {'threshold': 0.8}}
    """
    result = copy.deepcopy(dict(values))
    for item in overrides:
        _refuse_credentials(item, "--set")
        key, equals, raw = item.partition("=")
        if not equals or not all(key.split(".")):
            raise RecipeError(f"--set {item}: write it as key=value, for example --set minhash.threshold=0.8")
        try:
            _set(result, key.split("."), parse(raw))
        except ValueError as error:
            raise RecipeError(f"--set {item}: {' '.join(str(error).split())}; quote the value") from None
        except LookupError as error:
            raise RecipeError(f"--set {item}: {error.args[0]}") from None
    return result


def _set(node: Any, path: list[str], value: Any) -> None:
    """Put `value` at `path`, which may lead through entries of lists. Raises LookupError saying where the path ends."""
    for depth, key in enumerate(path):
        at: Any = key
        if isinstance(node, list):
            if not key.isdecimal() or int(key) >= len(node):
                raise LookupError(f"'{key}' is no entry of a list of {len(node)}; the first is 0")
            at = int(key)
        elif not isinstance(node, dict):
            raise LookupError(f"'{path[depth - 1]}' is a value, not a section")
        if depth == len(path) - 1:
            node[at] = value
        elif isinstance(node, dict) and node.get(at) is None:
            node[at] = {}
        node = node[at]


def build(cls: type[T], values: Mapping[str, Any], where: str = "recipe") -> T:
    """Return `cls(**values)` with nested dataclasses built and every type checked. Raises RecipeError."""
    _refuse_credentials(values, where)
    try:
        return typing.cast(T, convert(values, cls, ""))
    except RecipeError as error:
        raise RecipeError(f"{where}: {error}") from None


def _refuse_credentials(value: Any, where: str) -> None:
    if isinstance(value, str):
        try:
            refuse_credentials(value)
        except ValueError as error:
            raise RecipeError(f"{where}: {error}") from None
    elif isinstance(value, Mapping):
        for key, inside in value.items():
            _refuse_credentials(key, where)
            _refuse_credentials(inside, f"{where}: {key}")
    elif isinstance(value, list | tuple):
        for inside in value:
            _refuse_credentials(inside, where)


def convert(value: Any, hint: Any, path: str) -> Any:
    """Return `value` as msgspec converts it; its parts come first, so that an error names the innermost that is wrong."""
    hint = _class_of(value, hint, path)
    for name, inside, kind in _parts(value, hint, path):
        convert(inside, kind, name)
    try:
        converted = msgspec.convert(value, hint, dec_hook=lambda several, section: convert(section, several, path))
    except msgspec.ValidationError as error:
        raise RecipeError(_said(error, value, hint, path)) from None
    for mark in (mark for kind in _kinds(hint) for mark in getattr(kind, "__metadata__", ())):
        if isinstance(mark, OneOf) and isinstance(value, str) and value not in mark.names():
            names = mark.names()
            few = f"; give one of {', '.join(names)}" if len(names) <= FEW else ""
            raise RecipeError(f"{path}: '{value}' is no {mark.noun}{did_you_mean(value, names) or few}")
    return converted


def _class_of(value: Any, hint: Any, path: str) -> Any:
    """Return the class that a section's `kind` names, where `hint` stands for several: it has `kinds()`, and is none of them."""
    if dataclasses.is_dataclass(hint) or not hasattr(hint, "kinds"):
        return hint
    if not isinstance(value, Mapping):
        raise RecipeError(f"{path}: expected {WORDS['object']}, got {value!r:.200}")
    kinds, kind = {cls.kind: cls for cls in hint.kinds()}, str(value.get("kind", ""))
    if kind not in kinds:
        said = f"'{kind:.200}' is not" if kind else "give"
        raise RecipeError(f"{path}.kind: {said} one of {', '.join(kinds)}{did_you_mean(kind, kinds)}")
    return kinds[kind]


def _kinds(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


def _parts(value: Any, hint: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield (key path, value, type) of what lies directly in a section, list or mapping. Raises RecipeError for an unknown key."""
    dot = f"{path}." if path else ""
    for kind in _kinds(hint):
        origin, args = typing.get_origin(kind), typing.get_args(kind)
        if dataclasses.is_dataclass(kind) and isinstance(value, Mapping):
            hints = typing.get_type_hints(kind, include_extras=True)
            valid = [f.name for f in dataclasses.fields(kind) if f.init]
            for key, inside in value.items():
                if key not in valid:
                    at, near = f"{path}: " if path else "", did_you_mean(key, valid, 0.0)
                    raise RecipeError(f"{at}unknown key '{key}'{near} valid: {', '.join(valid)}")
                yield f"{dot}{key}", inside, hints[key]
        elif origin is dict and isinstance(value, Mapping):
            for key, inside in value.items():
                yield f"{dot}{key}", key, args[0]
                yield f"{dot}{key}", inside, args[1]
        elif origin is tuple and isinstance(value, list | tuple):
            kinds = [args[0]] * len(value) if args[-1] is ... else args
            yield from ((f"{path}[{i}]", inside, kind) for i, (inside, kind) in enumerate(zip(value, kinds, strict=False)))


def _said(error: msgspec.ValidationError, value: Any, hint: Any, path: str) -> str:
    """Return msgspec's error as ours: the key path, what is expected, and the value."""
    dot, colon = (f"{path}.", f"{path}: ") if path else ("", "")
    text = str(error)
    if error.__cause__ is not None:  # __post_init__ of the dataclass refused a value, with `field=value: ...`
        text = str(error.__cause__).removeprefix(f"{path.rpartition('.')[2]}.")
        return f"{dot if re.match(r'[.a-z0-9_]+=', text) else colon}{text}"
    if missing := re.match(r"Object missing required field `(\w+)`", text):
        return f"{dot}{missing[1]}: give a value; there is no default"
    marks = [mark for kind in _kinds(hint) for mark in getattr(kind, "__metadata__", ()) if isinstance(mark, msgspec.Meta)]
    if isinstance(value, str) and "matching regex" in text:
        return f"{colon}expected {marks[0].description}, got {value!r:.200}"
    if options := [
        name for kind in _kinds(hint) if typing.get_origin(kind) is typing.Literal for name in typing.get_args(kind)
    ]:
        return f"{colon}{value!r:.200} is not one of {', '.join(map(str, options))}{did_you_mean(value, map(str, options))}"
    expected = re.match(r"Expected `(.*?)`(?:, got `.*`)?(.*)", text)
    words = [WORDS.get(word, word) for word in expected[1].split(" | ")] if expected else [text]
    if spans := [*filter(None, map(span, marks))]:
        words[0] += f" {spans[0]}"
    shape = " or ".join(words) + (expected[2] if expected and not spans else "")
    return f"{colon}expected {shape}, got {value!r:.200}"


def canonical(options: Any) -> str:
    """Return the one JSON text of a dataclass tree: sorted keys, no spaces. Equal recipes have equal texts."""
    return json.dumps(dataclasses.asdict(options), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(*values: Any) -> str:
    """Return the sha256 hex digest of dataclasses, strings, numbers and sequences of them, in order."""
    h = hashlib.sha256()
    for value in values:
        text = canonical(value) if dataclasses.is_dataclass(value) else json.dumps(value, sort_keys=True)
        h.update(text.encode() + b"\0")
    return h.hexdigest()
