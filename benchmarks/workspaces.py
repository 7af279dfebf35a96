"""Workspaces that the dedup stage takes: curated/ from a corpus, and curated/ + signatures/ of many synthetic files.

A synthetic file is one line of code with a random signature; every twentieth repeats, with 80 % of its minima and one word
more, a file of the part before: work for every step of the stage at a size that no disk of text is needed for.
"""

import hashlib

import numpy as np
import pyarrow as pa

from starmill.core import schema, seeds
from starmill.core.dataset import ParquetPart, Sidecar, Workspace, output, part_path

GROUP_BYTES = 8 << 20  # of content in a row group, as ingest writes them
SYNTHETIC_PART = 50_000  # files; as many as 256 MB of real code hold
SYNTHETIC_GROUP = 2_500
PERMUTATIONS = 256


def curate(table: pa.Table, workspace: Workspace, part_bytes: int = 32 << 20) -> None:
    """Write the rows of a corpus as curated/ parts: the file `path` is "/<id>"."""
    part, group, held = ParquetPart(schema.CURATED), [], [0, 0]
    number = 0
    for file, name, content in zip(*(table.column(c).to_pylist() for c in ("id", "name", "content")), strict=True):
        data = content.encode()
        identity = {
            "blob_id": hashlib.sha1(data).hexdigest(),
            "content_id": hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest(),
        }
        group.append(
            {"repo_name": name.split("/")[0], "path": f"/{file}", "length_bytes": len(data), "content": content, **identity}
        )
        held = [h + len(data) for h in held]
        if held[0] >= GROUP_BYTES:
            part.write(_block(group))
            group, held[0] = [], 0
        if held[1] >= part_bytes:
            part.write(_block(group))
            workspace.publish(part_path("curated", number), part.close())
            part, group, held, number = ParquetPart(schema.CURATED), [], [0, 0], number + 1
    part.write(_block(group))
    workspace.publish(part_path("curated", number), part.close())


def synthesize(workspace: Workspace, files: int, seed: int) -> None:
    """Write curated/ and signatures/ of `files` synthetic files."""
    before = None
    for number, first in enumerate(range(0, files, SYNTHETIC_PART)):
        count = min(SYNTHETIC_PART, files - first)
        draw = seeds.generator(seed, "synthetic", number)
        minima = draw.integers(0, 1 << 32, (count, PERMUTATIONS), np.uint32)
        names = list(range(first, first + count))
        if before is not None:
            for row in range(19, count, 20):
                same = draw.random(PERMUTATIONS) < 0.8
                minima[row, same] = before[row - 1, same]
                names[row] = first - SYNTHETIC_PART + row - 1
        curated, signatures = ParquetPart(schema.CURATED), ParquetPart(schema.SIGNATURES)
        for start in range(0, count, SYNTHETIC_GROUP):
            rows = range(start, min(start + SYNTHETIC_GROUP, count))
            block = _block([_synthetic(first + row, names[row]) for row in rows])
            signature = pa.array([minima[row].tobytes() for row in rows], pa.binary())
            curated.write(block)
            known = block.select([name for name in schema.SIGNATURES.names if name != "signature"])
            signatures.write(schema.conform(known.append_column("signature", signature), schema.SIGNATURES))
        data = [curated.close(), signatures.close()]
        outputs = tuple(output(part_path(n, number), d, count) for n, d in zip(("curated", "signatures"), data, strict=True))
        workspace.commit(Sidecar("curate", "curated", number, "benchmark", outputs), data)
        before = minima


def _block(rows: list[dict[str, object]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(rows, schema=schema.CURATED)


def _synthetic(file: int, name: int) -> dict[str, object]:
    more = "" if file == name else f" + more_{file}"
    content = f"def name_{name}(x_{name}, y_{name}): return call_{name}(x_{name}) + y_{name} * {name}{more}\n"
    identity = f"{file:040x}"
    return {
        "repo_name": "synthetic",
        "path": f"/{file}",
        "blob_id": identity,
        "content_id": identity,
        "length_bytes": len(content),
        "content": content,
    }
