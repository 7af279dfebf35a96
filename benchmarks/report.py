"""What all benchmarks do alike: name the processor, print their tables and, with --write, append them to results/."""

import argparse
import platform
from collections.abc import Iterable
from pathlib import Path


def add_write(parser: argparse.ArgumentParser) -> None:
    """Add the option --write."""
    parser.add_argument("--write", action="store_true", help="append the tables to benchmarks/results/")


def tell(name: str, lines: Iterable[str], write: bool) -> None:
    """Print each line as it comes; with `write`, append them all to results/<name>.md, and an empty line."""
    told = []
    for line in lines:
        print(line, flush=True)
        told.append(line)
    if write:
        with open(Path(__file__).parent / "results" / f"{name}.md", "a") as results:
            results.write("\n".join(told).rstrip("\n") + "\n\n")


def processor() -> str:
    """Return the name of this machine's processor."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
