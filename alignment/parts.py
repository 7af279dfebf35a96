"""Makes the parts of stages: WORKSPACE/<dataset>/part-00000.jsonl with sidecars, and a manifest last; `dropped/<stage>/` has what left.

A part whose key is the wanted one is not made again.
"""

import functools
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starmill import alignment
from starmill.alignment.read import Reason
from starmill.core import __version__, linediff, recipe
from starmill.core.dataset import Count, Sidecar, Workspace, output, part_path
from starmill.evaluation import sandbox
from starmill.transforms import clean, dedup

FORMAT = 1
LINES = "jsonl"
SELECTED = "instructions"  # the last dataset of each recipe
LINEAGE = ("swhid", "repository", "path", "lines", "licenses")
Row = dict[str, Any]


@dataclass
class Made:
    """The rows that a stage kept and dropped, in order; `beside`: other tables that it made, by the dataset's name."""

    kept: list[Row] = field(default_factory=list)
    dropped: list[Row] = field(default_factory=list)
    beside: dict[str, list[Row]] = field(default_factory=dict)

    def drop(self, why: Reason, **row: Any) -> None:
        """Drop a row."""
        self.dropped.append({**row, "reason": why.reason, "detail": why.detail})


@dataclass(frozen=True)
class Parts:
    """The parts of a workspace; `datasets`: what each stage makes; `language`: of rows that name none."""

    workspace: Workspace
    datasets: Mapping[str, str]
    tell: Callable[[str], None]
    language: str = ""

    def digests(self, dataset: str) -> list[str]:
        """Return the digests of a finished dataset's parts."""
        manifest = self.workspace.manifest(dataset)
        assert manifest is not None
        return [sidecar.digest() for sidecar in manifest.parts]

    def rows(self, dataset: str, part: int) -> list[Row]:
        """Return the rows of a part that is there."""
        return [json.loads(line) for line in self.workspace.read(part_path(dataset, part, LINES)).split(b"\n") if line]

    def stage(self, name: str, inputs: Sequence[str], options: str, make: Callable[[int], Made]) -> None:
        """Make the parts of a stage, one an input, that are not there with their keys, then its manifest.

        `inputs`: what tells each part's input from others; `options`: what its rows depend on beside that and the code.
        """
        dataset, parts = self.datasets[name], len(inputs)
        keys = [recipe.digest(FORMAT, code(), name, options, one) for one in inputs]
        key, due = (
            recipe.digest(*keys),
            [part for part in range(parts) if not self.workspace.is_done(dataset, part, keys[part])],
        )
        manifest = self.workspace.manifest(dataset)
        if not due and manifest is not None and manifest.key == key:
            return
        self.workspace.sweep(dataset, parts, due)
        for part in due:
            self._commit(name, part, keys[part], make(part))
            self.tell(f"{name}: part {part + 1:,} of {parts:,}")
        self.workspace.finish(dataset, key, parts, __version__)

    def _commit(self, name: str, part: int, key: str, made: Made) -> None:
        dataset, tables = self.datasets[name], {self.datasets[name]: made.kept, f"dropped/{name}": made.dropped, **made.beside}
        data = {part_path(place, part, LINES): b"".join(map(_line, rows)) for place, rows in tables.items()}
        outputs = tuple(output(path, found, len(tables[path.rpartition("/")[0]])) for path, found in data.items())
        files: Counter[tuple[str, str]] = Counter()
        sizes: Counter[tuple[str, str]] = Counter()
        for reason, row in [("", row) for row in made.kept] + [(row["reason"], row) for row in made.dropped]:
            of = (reason, row.get("language") or self.language)
            files[of] += 1
            sizes[of] += len(_line(row))
        counts = tuple(Count(name, *of, files[of], sizes[of]) for of in sorted(files))
        self.workspace.commit(Sidecar(name, dataset, part, key, outputs, counts), [*data.values()])


@functools.cache
def code() -> str:
    """Return a digest of what makes the rows: these packages, with what they judge, compare and clean by."""
    folders = [Path(str(package.__file__)).parent for package in (alignment, sandbox, dedup, clean)]
    places = [*(place for folder in folders for place in sorted(folder.rglob("*.py"))), Path(str(linediff.__file__))]
    return hashlib.sha256(b"".join(place.read_bytes() for place in places)).hexdigest()


def _line(row: Row) -> bytes:
    return (json.dumps(row, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
