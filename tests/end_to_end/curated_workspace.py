"""What the stage before dedup leaves, written by hand: curated/ and signatures/ of given rows; the stage over it; the truth."""

import datetime
import hashlib
import random
import re
from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.options.pipeline_options import PipelineOptions

from starmill.core import schema
from starmill.core.dataset import ParquetPart, Sidecar, Workspace, output, part_path
from starmill.core.part import PartRef
from starmill.pipelines.stages.dedup import graph as dedup
from starmill.transforms.dedup.minhash import MinHash, signature_rows, signature_schema

OPTIONS = MinHash()
LOCAL = ("--runner=FnApiRunner",)
LICENSES = ("permissive", "no_license", "non_permissive")


def row(repo: str, path: str, content: str, **values) -> dict:
    data = content.encode()
    return {
        "repo_name": repo,
        "path": path,
        "blob_id": hashlib.sha1(data).hexdigest(),
        "content_id": hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest(),
        "language": "Python",
        "license_type": "permissive",
        "length_bytes": len(data),
        "content": content,
        **values,
    }


def fill(workspace: Workspace, parts: list[list[dict]], options: MinHash = OPTIONS, group: int = 7) -> list[PartRef]:
    """Write curated/ and signatures/ as the stage before leaves them, `group` rows a row group."""
    for k, rows in enumerate(parts):
        curated, signatures = ParquetPart(schema.CURATED), ParquetPart(signature_schema(options))
        for first in range(0, len(rows), group):
            block = pa.RecordBatch.from_pylist(rows[first : first + group], schema=schema.CURATED)
            curated.write(block)
            signatures.write(signature_rows(block, options))
        data = [curated.close(), signatures.close()]
        outputs = tuple(output(part_path(n, k), d, len(rows)) for n, d in zip(("curated", "signatures"), data, strict=True))
        workspace.commit(Sidecar("curate", "curated", k, "key", outputs), data)
    return [PartRef(k, f"key-{k}") for k in range(len(parts))]


def shingle_set(text: str) -> set[tuple[bytes, ...]]:
    words = re.findall(rb"[A-Za-z0-9_\x80-\xff]+", text.encode())
    return {tuple(words[i : i + 5]) for i in range(len(words) - 4)}


def jaccard(left: str, right: str) -> float:
    a, b = shingle_set(left), shingle_set(right)
    return len(a & b) / len(a | b) if a | b else 0.0


def run(workspace: Workspace, refs: list[PartRef], options: MinHash = OPTIONS, beam_options: tuple[str, ...] = LOCAL) -> None:
    with beam.Pipeline(options=PipelineOptions(list(beam_options))) as pipeline:
        dedup.build(pipeline, workspace, refs, options)


def judge(workspace: Workspace, rows: list[dict], options: MinHash = OPTIONS) -> list[dict]:
    """Run the stage over one part and return the verdicts."""
    run(workspace, fill(workspace, [rows], options), options)
    return workspace.table(part_path("verdicts", 0)).to_pylist()


def rank(file: dict) -> tuple:
    date = file.get("revision_date") or datetime.datetime(1900, 1, 1)
    license_rank = LICENSES.index(file["license_type"])
    return (license_rank, -(file.get("star_events_count") or 0), -date.timestamp(), file["repo_name"], file["path"])


def edited_corpus() -> list[dict]:
    """330 files: 150 of numpy, edited and exact copies of them, short and empty ones; ranks at random."""
    draw = random.Random(8)
    files = sorted(p for p in Path(np.__file__).parent.rglob("*.py") if 0 < p.stat().st_size < 12_000)
    texts = [p.read_text("utf-8", "replace") for p in draw.sample(files, 150)]
    for _ in range(100):
        lines = draw.choice(texts[:40]).splitlines(keepends=True)
        rate = draw.choice([0.005, 0.02, 0.05])
        texts.append("".join(line for line in lines if draw.random() >= rate))
    texts += draw.choices(texts, k=60) + ["", "", "x = 1\n", "x = 1\n", "x = 2\n", "a b c d"] * 3 + ["pass\n"] * 2
    return [
        row(
            f"owner/repo-{i % 17}",
            f"/src/{i}.py",
            text,
            license_type=draw.choice(LICENSES),
            star_events_count=draw.choice([None, 0, 5, 700]),
            revision_date=draw.choice([None, datetime.datetime(2020, 1, 1), datetime.datetime(2023, 1, 1)]),
        )
        for i, text in enumerate(texts)
    ]


def cut(corpus: list[dict], parts: int) -> list[list[dict]]:
    return [corpus[k::parts] for k in range(parts)]
