"""Licences of installed packages beside what their manifests declare, and the speed of the step beside plain ScanCode.

    .venv/bin/python benchmarks/licenses.py [--crates DIR] [--npm DIR] [--write]

Packages are those of this environment, crates those below --crates, and npm packages those below --npm. Each is a tree of its licence-like
files and its manifest; the question is about a file without a licence of its own. `texts alone` leaves the manifest out where the package
has a licence's text. Times are CPU seconds, the process of ScanCode included; MB are 10^6 bytes of all files of the environment's packages.
"""

import argparse
import hashlib
import os
import re
import resource
import sysconfig
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
from report import add_write, processor, tell

from starmill.transforms.decide.licenses import KeepLicensed
from starmill.transforms.decide.terms import is_permissive, permissive_licenses
from starmill.transforms.measure.declared import reader
from starmill.transforms.measure.licenses import Licenses, is_text, tier
from starmill.transforms.measure.scancode import detector

Tree = dict[str, str]
METADATA_TEXT = re.compile(r"licenses/.*|(?:licen[cs]e|copying|notice)[^/]*", re.IGNORECASE | re.DOTALL)
QUESTION = "/a file"
# ScanCode's own texts would be each a licence of its package, thousands of them; the recipe `smoke` leaves them out, too.
NOT_MILLED = frozenset({"licensedcode"})


class Memory(dict[str, list[str]]):
    """A cache of findings."""

    put = dict.__setitem__


def main() -> None:
    """Measure, print, and write where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--crates", type=Path, default=Path.home() / ".cargo/registry/src", metavar="DIR")
    parser.add_argument("--npm", type=Path, default=Path("/usr/lib/node_modules"), metavar="DIR")
    add_write(parser)
    options = parser.parse_args()
    sets = {"PyPI": pypi(), "crates.io": crates(options.crates), "npm": npm(options.npm)}
    tell("licenses", report(sets), options.write)


def report(sets: dict[str, Iterator[tuple[str, Tree]]]) -> Iterator[str]:
    """Yield the lines of the result, each as soon as it is known."""
    yield from (f"## {date.today()}, one core of {processor()}", "")
    yield from ("| packages | declared | as declared | texts alone | as declared |", "|---|---|---|---|---|")
    memory, odd = Memory(), list[str]()
    for name, packages in sets.items():
        row, others = compared(packages, memory)
        yield f"| {name} | {' | '.join(map(str, row))} |"
        odd += others
    yield from ("", "Not as declared, or not as declared by the texts alone:", "", *odd, "")
    yield from speed()


def compared(packages: Iterator[tuple[str, Tree]], memory: Memory) -> tuple[list[int], list[str]]:
    """Return how many packages declare a licence and how many end so, with and without the manifest; and those that do not."""
    counts, odd = [0, 0, 0, 0], []
    for name, tree in packages:
        manifest = next((path for path in tree if reader(path)), "")
        kind, rule, declared = judged(tree, memory)
        if not declared:
            continue
        wanted = "permissive" if all(is_permissive(one, permissive_licenses()) for one in declared) else "non_permissive"
        counts[0] += 1
        counts[1] += kind == wanted
        if kind != wanted:
            odd.append(f"- {name}: declared {', '.join(declared)}; {kind}: {rule}")
        texts = {path: text for path, text in tree.items() if path != manifest}
        if any(tier(path) == "full" for path in texts):
            alone, rule, _ = judged(texts, memory)
            counts[2] += 1
            counts[3] += alone == wanted
            if alone != wanted and kind == wanted:
                odd.append(f"- {name}, by its texts alone: declared {', '.join(declared)}; {alone}: {rule}")
    return counts, odd


def judged(tree: Tree, memory: Memory) -> tuple[str, str, list[str]]:
    """Return the type of a file of a tree, what decided, and what manifests declare."""
    block = records("r", {**tree, QUESTION: ""})
    watch = Licenses().watch(memory)
    watch.see(block)
    found = watch.step()(block)
    last = KeepLicensed(keep=("permissive", "no_license", "non_permissive")).step()(found).kept.slice(block.num_rows - 1)
    row = last.to_pylist()[0]
    declared = [one["expression"] for one in row["license_findings"] if one["how"] == "declared"]
    return row["license_type"], row["license_rule"], declared


def records(repo_name: str, tree: Tree) -> pa.RecordBatch:
    """Return files as records, with the columns that licences need."""
    rows = {
        "repo_name": [repo_name] * len(tree),
        "path": list(tree),
        "blob_id": [hashlib.sha1(text.encode("utf-8", "surrogatepass")).hexdigest() for text in tree.values()],
        "content": [text.encode("utf-8", "replace").decode() for text in tree.values()],
        "gha_license_id": pa.nulls(len(tree), pa.string()),
    }
    return pa.record_batch(rows)


def read(folder: Path, paths: Iterator[Path]) -> Tree:
    """Return the texts of the licence-like files and manifests among `paths`."""
    names = [(f"/{path.relative_to(folder)}", path) for path in sorted(paths) if path.is_file()]
    return {name: path.read_text("utf-8", "replace") for name, path in names if tier(name) or is_text(name) or reader(name)}


def pypi() -> Iterator[tuple[str, Tree]]:
    """Yield the distributions of this environment; texts of their metadata hold for the whole."""
    for folder in sorted(Path(sysconfig.get_path("purelib")).glob("*.dist-info")):
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        tree = {f"/{folder.name}/METADATA": path.read_text("utf-8", "replace") for path in files if path.name == "METADATA"}
        texts = [path for path in files if METADATA_TEXT.fullmatch(str(path.relative_to(folder)))]
        yield folder.name, tree | {f"/{path.name}": path.read_text("utf-8", "replace") for path in texts}


def crates(registry: Path) -> Iterator[tuple[str, Tree]]:
    """Yield the crates of a registry's sources."""
    yield from ((folder.name, read(folder, folder.iterdir())) for folder in sorted(registry.glob("*/*")) if folder.is_dir())


def npm(root: Path) -> Iterator[tuple[str, Tree]]:
    """Yield the npm packages below a folder."""
    for manifest in sorted(root.rglob("package.json")):
        if manifest.parent.parent.name == "node_modules" or manifest.parent.parent.name.startswith("@"):
            yield manifest.parent.name, read(manifest.parent, manifest.parent.iterdir())


def speed() -> list[str]:
    """Return what the step costs over all texts of this environment, the first time and once its licence texts are known."""
    root, memory, blocks, size = Path(sysconfig.get_path("purelib")), Memory(), [], 0
    for folder in sorted(path for path in root.iterdir() if path.is_dir() and path.name not in NOT_MILLED):
        tree = {}
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix not in (".pyc", ".so") and path.stat().st_size < 1 << 20:
                try:
                    tree[f"/{path.relative_to(folder)}"] = path.read_bytes().decode()
                except UnicodeDecodeError:
                    continue
        if tree:
            blocks.append(records(folder.name, tree))
            size += sum(map(len, tree.values()))
    seconds = []
    for _ in range(2):
        detector().stop()
        begin, before = time.process_time(), _children()
        for block in blocks:
            watch = Licenses().watch(memory)
            watch.see(block)
            KeepLicensed().step()(watch.step()(block))
        detector().stop()
        seconds.append(time.process_time() - begin + _children() - before)
    asked, files = len(memory), sum(block.num_rows for block in blocks)
    return [
        f"{files:,} files of {size / 1e6:.0f} MB with {asked:,} texts to ask about: {seconds[0]:.0f} CPU s, "
        f"{size / 1e6 / seconds[0]:.1f} MB/s; once those texts are known {seconds[1]:.1f} CPU s, {size / 1e6 / seconds[1]:.0f} MB/s."
    ]


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    main()
