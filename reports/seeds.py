"""The seeds of a finished workspace as JSON lines: what the alignment of a model begins with (`starmill seeds`).

`seeds/part-k.jsonl` has a line for each function in dataset/part-k, in its order: the same dataset, the same bytes.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from starmill.core.dataset import Workspace, part_number, part_path
from starmill.core.errors import InputError, NotThere

DATASET = "dataset"
FOLDER = "seeds"
SUFFIX = "jsonl"
KIND = "seed"
READ = ("kind", "repo_name", "path", "language", "detected_licenses", "parent", "segments", "content")


@dataclass(frozen=True)
class Written:
    """One file of seeds, and how many it has."""

    path: str
    seeds: int


def rows(table: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the seeds of dataset rows.

    `seed`: the text, its imports first; `swhid`: of the file that it is from; `lines`: first and last, in the text of that file in the
    dataset that was read; `documentation`: start and end in the seed, in characters. Raises InputError for rows that are none.

    >>> marks = [{"role": "documentation", "name": None, "start": 4, "end": 9}]
    >>> row = {"kind": "seed", "repo_name": "a/b", "path": "/c/d.py/3-9", "language": "Python", "detected_licenses": ["MIT"]}
    >>> [seed] = rows([{**row, "parent": "swh:1:cnt:1", "segments": marks, "content": "text"}])
    >>> seed["path"], seed["lines"], seed["licenses"]
    ('c/d.py', [3, 9], ['MIT'])
    """
    for row in table:
        if row["kind"] != KIND:
            raise InputError(
                f"a record of kind {row['kind']}, where seeds should be; give the workspace of a recipe such as seeds"
            )
        path, _, lines = row["path"].rpartition("/")
        first, _, last = lines.partition("~")[0].partition("-")
        said = next((s for s in row["segments"] or () if s["role"] == "documentation"), {"start": 0, "end": 0})
        yield {
            "seed": row["content"],
            "language": row["language"],
            "swhid": row["parent"],
            "repository": row["repo_name"],
            "path": path.removeprefix("/"),
            "licenses": row["detected_licenses"] or [],
            "lines": [int(first), int(last)],
            "documentation": [said["start"], said["end"]],
        }


def write(workspace: Workspace) -> list[Written]:
    """Write the seeds of a complete dataset; files of parts that are no more are removed. Raises NotThere, InputError, OSError."""
    manifest = workspace.manifest(DATASET)
    if manifest is None:
        raise NotThere(f"{workspace.url}: no complete {DATASET}/ in it; finish a run of seeds there first")
    made = []
    for part in manifest.parts:
        lines, path = list[str](), part_path(FOLDER, part.part, SUFFIX)
        for block in workspace.blocks(part_path(DATASET, part.part), READ):
            lines += (json.dumps(seed, ensure_ascii=False) + "\n" for seed in rows(block.to_pylist()))
        workspace.publish(path, "".join(lines).encode())
        made.append(Written(path, len(lines)))
    kept = {one.path for one in made}
    named = [f"{FOLDER}/{name}" for name in workspace.files(FOLDER) if part_number(name) is not None]
    workspace.remove_all([path for path in named if path not in kept])
    return made
