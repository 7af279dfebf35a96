"""What it costs a stage to compare the sha256 of what it reads: CPU seconds of digests over those of the stage; of shards, by token.

    .venv/bin/python benchmarks/integrity.py [--megabytes 30] [--input DIR ...] [--write]

Both are CPU seconds of one machine and one hour, so that their ratio holds where others work too. The stages are measured as `starmill
bench` does, one process each; then the files that the sidecars name as read are digested once more.
"""

import datetime
import tempfile
import time
from dataclasses import replace

import report
from stages import sampled

from starmill.core.dataset import Workspace
from starmill.core.shards import open_shards
from starmill.pipelines import stages
from starmill.pipelines.costs import bench


def digests(workspace: Workspace, paths: list[str]) -> float:
    """Return the CPU seconds that the digests of some files take, at best of three."""
    spent = []
    for _ in range(3):
        began = time.process_time()
        for path in paths:
            workspace.sha256(path)
        spent.append(time.process_time() - began)
    return min(spent)


def main() -> None:
    """Measure, print, and with --write append to the results."""
    options, recipe = sampled(str(__doc__), 30, 8 << 20, 16 << 20)
    lines = [f"## {datetime.date.today()}, {report.processor()}, one core", ""]
    lines += ["| stage | MB digested | CPU s of digests | CPU s of the stage | share |", "|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory(prefix="starmill-bench-") as folder:
        found = bench.run(replace(recipe, workspace=f"{folder}/work"), print)
        workspace = Workspace(f"{folder}/work")
        for name in stages.STAGES:
            manifest = workspace.manifest(stages.load(name).dataset)
            assert manifest is not None
            paths = [path for part in manifest.parts for path in part.lineage]
            if not paths:
                continue
            size, took = sum(map(workspace.size, paths)), digests(workspace, paths)
            whole = sum(o.costs["cpu"] for o in found if o.row == name)
            lines.append(f"| {name} | {size / 1e6:.1f} | {took:.4f} | {whole:.2f} | {took / whole:.2%} |")
        shards = open_shards(workspace.url)
        began = time.process_time()
        for shard in shards:
            shard.tokens(0)
        took = time.process_time() - began
        tokens = sum(int(shard.lengths.sum()) for shard in shards)
    lines += [
        "",
        f"Shards: {tokens:,} tokens compared at {tokens / took / 1e6:,.0f} million tokens/s when they are first read.",
    ]
    report.tell("integrity", lines, options.write)


if __name__ == "__main__":
    main()
