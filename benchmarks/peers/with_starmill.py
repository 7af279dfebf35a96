"""starmill's deduplication in a process of its own: its signatures alone, the stage alone, or everything from curated/ on.

with_starmill.py signatures SAMPLE.parquet
with_starmill.py run WORKSPACE KEPT.parquet      # curated/ -> signatures/ -> verdicts/ -> the kept texts
with_starmill.py stage WORKSPACE                 # signatures/ -> verdicts/
"""

import dataclasses
import json
import sys
import time

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.options.pipeline_options import PipelineOptions

from starmill.core import schema
from starmill.core.dataset import ParquetPart, Sidecar, Workspace, output, part_path
from starmill.core.part import PartRef
from starmill.pipelines.stages.dedup import graph as dedup
from starmill.transforms.dedup import minhash


def variants() -> dict[str, minhash.MinHash]:
    """Return the widths of a signature that this version has."""
    wide = "bits" in {f.name for f in dataclasses.fields(minhash.MinHash)}
    return {"32-bit": minhash.MinHash()} | ({"61-bit": minhash.MinHash(bits=61)} if wide else {})  # type: ignore[call-arg]


def signatures(sample: str, rounds: int = 3) -> dict[str, float]:
    """Return MiB/s, the best of some rounds."""
    texts = pq.read_table(sample, columns=["content"]).column("content").combine_chunks()
    size = sum(len(t.as_buffer()) for t in texts) / 2**20
    speeds = {}
    for label, options in variants().items():
        minhash.signatures(texts[:1], options)
        seconds = []
        for _ in range(rounds):
            started = time.process_time()
            minhash.signatures(texts, options)
            seconds.append(time.process_time() - started)
        speeds[f"starmill, {label}"] = size / min(seconds)
    return speeds


def parts(workspace: Workspace) -> int:
    """Count the parts of curated/."""
    return len(workspace.parts("curated"))


def stage(workspace: Workspace) -> dict[str, float]:
    """Run the stage; return its CPU seconds."""
    started = time.process_time()
    refs = [PartRef(k, "benchmark") for k in range(parts(workspace))]
    with beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"])) as pipeline:
        dedup.build(pipeline, workspace, refs, minhash.MinHash())
    return {"stage": time.process_time() - started}


def sign(workspace: Workspace) -> dict[str, float]:
    """Write signatures/ from curated/; return the CPU seconds."""
    started = time.process_time()
    for k in range(parts(workspace)):
        part = ParquetPart(schema.SIGNATURES)
        for block in workspace.blocks(part_path("curated", k)):
            part.write(minhash.signature_rows(block, minhash.MinHash()))
        data = part.close()
        workspace.commit(
            Sidecar("curate", "curated", k, "benchmark", (output(part_path("signatures", k), data, part.rows),)), [data]
        )
    return {"signatures": time.process_time() - started}


def keep(workspace: Workspace, path: str) -> dict[str, float]:
    """Write the kept texts, which is what the other tools leave; return the CPU seconds."""
    started = time.process_time()
    fields = pa.schema([f for f in schema.CURATED if f.name in ("path", "content")])
    with pq.ParquetWriter(path, fields) as writer:
        for k in range(parts(workspace)):
            verdicts = workspace.table(part_path("verdicts", k), ["keep"]).column("keep").combine_chunks()
            first = 0
            for block in workspace.blocks(part_path("curated", k), fields.names):
                writer.write_batch(block.filter(verdicts.slice(first, block.num_rows)))
                first += block.num_rows
    return {"filter": time.process_time() - started}


def main() -> None:
    """Do what the first argument says; print JSON."""
    task, place = sys.argv[1:3]
    if task == "signatures":
        print(json.dumps(signatures(place)))
    elif task == "stage":
        print(json.dumps(stage(Workspace(place))))
    else:
        workspace = Workspace(place)
        print(json.dumps({**sign(workspace), **stage(workspace), **keep(workspace, sys.argv[3])}))


if __name__ == "__main__":
    main()
