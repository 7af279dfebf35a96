"""The key of a part: a digest of what decides its bytes, and of nothing else.

A key is `<values>.<code>`: the digest of the recipe's values that the stage reads, of its inputs and of its steps with their material,
and the digest of the code that makes the part. The code is the import closure of the stage's module and of the modules of the steps:
every file of ours that they import, at any depth, without its comments and docstrings, the data files beside those, and the versions of
the libraries that they import. Of the steps those count that treat the kinds of records in the part. What steers a run or shows its
results is imported by no stage and no step, and so is in no key.
"""

import dataclasses
import functools
import hashlib
import importlib.metadata
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from starmill.core import __version__, recipe
from starmill.pipelines.run import syntax
from starmill.pipelines.stages.stage import Stage

ROOT = Path(__file__).resolve().parents[2]  # the folder of core/, transforms/, pipelines/
OURS = "starmill"
# Libraries that carry bytes and cannot change any: a new Beam or file system remakes nothing.
TRANSPORTS = frozenset(("aiohttp", "apache_beam", "fsspec", "gcsfs", "google", "grpc", "huggingface_hub", "s3fs"))
CODE = ".py"


def key(version: str, *material: object) -> str:
    """Return the key of a part or stage from the version of the stage's code, and the values and inputs that decide bytes."""
    return f"{recipe.digest(*material)[:40]}.{version}"


def values_of(key: str) -> str:
    """Return the half of a key that no code decides."""
    return key.partition(".")[0]


def said(maker: object) -> object:
    """Return what a key counts of a step, function or name that makes rows: its name, the options that decide, and its material."""
    if isinstance(maker, str):
        return maker
    named = f"{maker.__module__}.{getattr(maker, '__qualname__', type(maker).__qualname__)}"
    # Where a daemon listens and where a model lies decide nothing: a step that has such options shows itself without them.
    shown = getattr(maker, "counted", lambda: maker)()
    options = recipe.canonical(shown) if dataclasses.is_dataclass(shown) and not isinstance(shown, type) else None
    return [named, options, *getattr(maker, "material", tuple)()]


def modules_of(makers: Iterable[object]) -> list[str]:
    """Return the modules in which steps and functions are written, and those that their child processes run, sorted."""
    written = [maker for maker in makers if not isinstance(maker, str)]
    children = {child for maker in written for child in getattr(maker, "children", tuple)()}
    return sorted({*(str(maker.__module__) for maker in written), *children})


def version(stage: Stage, makers: Iterable[object] = ()) -> str:
    """Return the digest of the code that makes a stage's parts with these steps, 16 hexadecimal digits."""
    return _version(stage.name, *modules_of(makers))


@functools.cache
def _version(stage: str, *steps: str) -> str:
    digest = hashlib.sha256(__version__.encode())
    files, libraries = closure(module_of(stage), *steps)
    for file in files:
        digest.update(f"\0{file.relative_to(ROOT)}\0".encode() + meaning(file))
    for name in libraries:
        digest.update(f"\0{name}-{importlib.metadata.version(name)}".encode())
    syntax.remember()
    return digest.hexdigest()[:16]


def module_of(stage: str) -> str:
    """Return the name of a stage's module."""
    return f"{OURS}.pipelines.stages.{stage}"


def closure(*modules: str) -> tuple[list[Path], list[str]]:
    """Return the files that modules of ours are made of, and the distributions that these import, both sorted.

    A module that is not ours counts by the version of its distribution. A package counts where a name is imported from it; the
    packages that merely hold a module do not.
    """
    seen: set[Path] = set()
    outside = {name.partition(".")[0] for name in modules} - {OURS}
    ahead = [name for name in modules if name.partition(".")[0] == OURS]
    source_of = functools.cache(source)
    while ahead:
        file = source_of(ahead.pop())
        if file is None or file in seen:
            continue
        seen.add(file)
        for name in imported(file.read_bytes()):
            top = name.partition(".")[0]
            if top == OURS:
                ahead.append(name if source_of(name) else name.rpartition(".")[0])
            else:
                outside.add(top)
    tables = {beside for file in {file.parent: file for file in seen}.values() for beside in tables_of(file)}
    return sorted({*seen, *tables}), sorted(distributions(frozenset(outside - TRANSPORTS - sys.stdlib_module_names)))


def source(module: str) -> Path | None:
    """Return the file of a module or package of ours, or None if there is none of this name."""
    place = ROOT.joinpath(*module.split(".")[1:])
    return next((p for p in (place.with_suffix(CODE), place / f"__init__{CODE}") if p.is_file()), None)


def imported(code: bytes) -> tuple[str, ...]:
    """Return the full names that a module imports, at any depth; not what only a type checker reads."""
    return syntax.understood(code)[0]


def tables_of(file: Path) -> Iterator[Path]:
    """Yield the data files beside a module and in the folder data/ beside it."""
    for folder in (file.parent, file.parent / "data"):
        if folder.is_dir():
            yield from (p for p in folder.iterdir() if p.is_file() and p.suffix not in {CODE, ".pyc", ".typed"})


def meaning(file: Path) -> bytes:
    """Return what a file says: of code the digest of its syntax tree without docstrings, which has no comments; of a table its bytes."""
    return syntax.understood(file.read_bytes())[1].encode() if file.suffix == CODE else file.read_bytes()


@functools.cache
def distributions(modules: frozenset[str]) -> frozenset[str]:
    """Return the installed distributions that bring these top-level modules; one that is not installed has none."""
    return frozenset(found.metadata["Name"] for module in modules for found in _installed().get(module, ()))


@functools.cache
def _installed() -> dict[str, list[importlib.metadata.Distribution]]:
    # importlib.metadata.packages_distributions() reads the metadata of them all, which took most of the time of a run with nothing to do.
    found: dict[str, list[importlib.metadata.Distribution]] = {}
    for one in importlib.metadata.distributions():
        for module in (one.read_text("top_level.txt") or "").split() or {*_tops(one)}:
            found.setdefault(module, []).append(one)
    return found


def _tops(one: importlib.metadata.Distribution) -> Iterator[str]:
    for line in (one.read_text("RECORD") or "").splitlines():
        path = line.partition(",")[0]
        if path.endswith(CODE):
            yield path.partition("/")[0].removesuffix(CODE)
