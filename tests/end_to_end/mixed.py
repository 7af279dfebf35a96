"""A workspace whose dataset has several kinds and languages, made without the stages before: what a mixture is taken from.

The rows depend on their numbers alone, and a repository lies in one part, as ingest leaves it.
"""

import itertools
from pathlib import Path
from typing import Any

import pyarrow as pa

from starmill.core import schema, seeds
from starmill.core.dataset import ParquetPart, Workspace, part_path
from starmill.pipelines.recipe import Recipe
from starmill.pipelines.run.stages import due, keyed
from starmill.pipelines.stages import load
from starmill.pipelines.stages.ledger import Ledger
from starmill.pipelines.stages.tokenize import TokenizePart, taking
from starmill.pipelines.stages.vocabulary import sha256

FILES = {"Java": "/src/F{}.java", "C": "/f{}.c", "JSON": "/d{}.json"}


def rows(repositories: int = 24) -> list[dict[str, Any]]:
    """Rows of DATASET: in each repository a few files, some of them package.json, an issue and a notebook's script."""
    made = []
    for r in range(repositories):
        facts = {"repo_name": f"o/r{r:03}", "star_events_count": [None, 3, 40, 4000][r % 4]}
        for f in range(3 + r % 5):
            language = [*FILES][(r + f) % 3]
            text = f"value_{r}_{f} = compute({f});\n" * (1 + seeds.uint64(0, "test_lines", r, f) % 40)
            path = "/package.json" if language == "JSON" and f % 2 else FILES[language].format(f)
            made.append(facts | {"kind": "code", "path": f"/m{f}{path}", "language": language, "content": text})
        words = f"It fails in {r}"
        marks = [
            {"role": "title", "name": None, "start": 0, "end": 8},
            {"role": "body", "name": "username_0", "start": 8, "end": 12},
        ]
        made.append(facts | {"kind": "issue", "path": "/issues/1", "content": words, "segments": marks})
        made.append(
            facts | {"kind": "notebook_script", "path": "/n.ipynb", "language": "Python", "content": f"print({r})\n" * 9}
        )
    for number, row in enumerate(made):
        row |= {
            "content_id": f"{number:040x}",
            "blob_id": f"{number:040x}",
            "length_bytes": len(row["content"]),
            "redactions": [],
        }
    return [dict.fromkeys(schema.DATASET.names) | row for row in made]


def tokenize(workspace: Workspace, options: Recipe) -> set[int]:
    """Make the parts of the shards that are due, as a run makes them but without Beam, which takes a second; return their numbers."""
    stage = load("tokenize")
    refs = keyed(stage, options, workspace)
    missing = due(workspace, stage, refs)
    renderers, made = {name: kind.render for name, kind in options.table.items()}, sha256(workspace)
    part = TokenizePart(workspace, renderers, options.format, made, taking(options, workspace), options.mix.weights)
    for ref in missing:
        part(ref)
    workspace.finish("shards", "k", len(refs), "v")
    return {ref.part for ref in missing}


def release(place: Path, repositories_a_part: int = 4, all_rows: list[dict[str, Any]] | None = None) -> Workspace:
    """Write the dataset with its sidecars and manifest below `place`."""
    workspace, by_repository = Workspace(str(place)), itertools.groupby(all_rows or rows(), key=lambda row: row["repo_name"])
    groups, part = [list(found) for _, found in by_repository], 0
    for part, start in enumerate(range(0, len(groups), repositories_a_part)):
        ledger, parquet = Ledger("release", "dataset", part, "k", {}), ParquetPart(schema.DATASET)
        for group in groups[start : start + repositories_a_part]:
            block = pa.RecordBatch.from_pylist(group, schema=schema.DATASET)
            ledger.keep(block)
            parquet.write(block)
        ledger.add(part_path("dataset", part), parquet.close(), parquet.rows)
        ledger.commit(workspace)
    workspace.finish("dataset", "k", part + 1, "v")
    return workspace
