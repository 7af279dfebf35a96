"""Strict, typed configuration: YAML holds values, frozen dataclasses hold the shape and the defaults.

An unknown key is an error that names the nearest valid one; a wrong type is an error that names the key, the value and the
type. Overrides (`minhash.threshold=0.8`) are applied before the check, so they are as strict as the file. Before any of that, a URL
with a user or password in it is refused: what comes later may quote a value.
"""

import dataclasses
import difflib
import hashlib
import json
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml

from starmill.core.storage import refuse_credentials

T = TypeVar("T")

# The recipes that ship with starmill: data/ to mill by, train/ to train by.
SHIPPED = Path(__file__).resolve().parent.parent / "recipes"


class RecipeError(ValueError):
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
        text = file.read_text("utf-8")
        values = yaml.safe_load(text)
    except FileNotFoundError:
        shipped = sorted(p.stem for p in SHIPPED.glob("*/*.yaml"))
        raise RecipeError(f"{path}: no such recipe; give a YAML file or one of: {', '.join(shipped)}") from None
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        _refuse_credentials(text, path)  # YAML's error quotes a line of it
        raise RecipeError(f"{path}: not readable as YAML: {error}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise RecipeError(f"{path}: a recipe is a mapping of keys to values, this is a {type(values).__name__}")
    return values


def override(values: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return a copy of `values` with each `a.b=value` set; the value is read as YAML, so `true`, `3` and `[a, b]` work."""
    result = json.loads(json.dumps(values))
    for item in overrides:
        _refuse_credentials(item, "--set")
        key, equals, raw = item.partition("=")
        if not equals or not key:
            raise RecipeError(f"--set {item}: write it as key=value, for example --set minhash.threshold=0.8")
        node = result
        *parents, last = key.split(".")
        for parent in parents:
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                raise RecipeError(f"--set {item}: '{parent}' is a value, not a section")
        try:
            node[last] = yaml.safe_load(raw)
        except yaml.YAMLError as error:
            raise RecipeError(f"--set {item}: not readable as YAML ({' '.join(str(error).split())}); quote the value") from None
    return result


def build(cls: type[T], values: Mapping[str, Any], where: str = "recipe") -> T:
    """Return `cls(**values)` with nested dataclasses built and every type checked. Raises RecipeError."""
    _refuse_credentials(values, where)
    hints = typing.get_type_hints(cls)
    valid = [f.name for f in dataclasses.fields(cls) if f.init]  # type: ignore[arg-type]
    for key in values:
        if key not in valid:
            near = difflib.get_close_matches(str(key), valid, n=1, cutoff=0.0)
            raise RecipeError(f"{where}: unknown key '{key}'; did you mean '{near[0]}'? valid: {', '.join(valid)}")
    kwargs = {key: _convert(value, hints[key], f"{where}: {key}") for key, value in values.items()}
    try:
        return cls(**kwargs)
    except TypeError as error:  # a required field is missing
        raise RecipeError(f"{where}: {error}") from None
    except RecipeError:
        raise
    except ValueError as error:  # __post_init__ of the dataclass refused a value
        raise RecipeError(f"{where}: {error}") from None


def _refuse_credentials(value: Any, where: str) -> None:
    if isinstance(value, str):
        try:
            refuse_credentials(value)
        except ValueError as error:
            raise RecipeError(f"{where}: {error}") from None
    elif isinstance(value, Mapping):
        for key, inside in value.items():
            _refuse_credentials(inside, f"{where}: {key}")
    elif isinstance(value, list | tuple):
        for inside in value:
            _refuse_credentials(inside, where)


def _convert(value: Any, hint: Any, where: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        return _convert(value, next(a for a in args if a is not type(None)), where)
    if origin is typing.Literal:
        if value not in args:
            raise RecipeError(f"{where}: '{value}' is not one of {', '.join(map(str, args))}")
        return value
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise RecipeError(f"{where}: expected a section with keys, got {value!r}")
        return build(hint, value, where)  # type: ignore[arg-type]
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise RecipeError(f"{where}: expected a list, got {value!r}")
        kinds = [args[0]] * len(value) if len(args) == 2 and args[1] is ... else list(args)
        if len(kinds) != len(value):
            raise RecipeError(f"{where}: expected {len(kinds)} values, got {value!r}")
        return tuple(_convert(v, k, f"{where}[{i}]") for i, (v, k) in enumerate(zip(value, kinds, strict=True)))
    if origin is dict:
        if not isinstance(value, Mapping):
            raise RecipeError(f"{where}: expected a mapping, got {value!r}")
        return {str(k): _convert(v, args[1], f"{where}.{k}") for k, v in value.items()}
    if hint is float and isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            return float(value)  # YAML 1.1 reads 3e-4 as a string
        except ValueError:
            pass
    elif hint in (int, str, bool) and type(value) is hint:
        return value
    raise RecipeError(f"{where}: expected {getattr(hint, '__name__', hint)}, got {value!r}")


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
