"""Licences of installed packages beside what their manifests declare, and the speed of the step beside plain ScanCode.

    .venv/bin/python benchmarks/licenses.py [--pypi DIR] [--crates DIR] [--npm DIR] [--packages] [--write]

Packages are those of this environment or below --pypi, crates those below --crates, and npm packages those below --npm. Each is a tree of
its licence-like files and its manifest; the question is about a file without a licence of its own. `texts
alone` leaves the manifest out where the package has a licence's text. Times are CPU seconds, those of ScanCode's processes included; MB are
10^6 bytes of all files of the environment's packages. --speed leaves the packages out, --packages the speed; --step is the speed alone,
without that of ScanCode apart.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import psutil
import pyarrow as pa
from report import add_write, processor, tell

from starmill.transforms.decide.licenses import KeepLicensed
from starmill.transforms.decide.terms import is_permissive, permissive_licenses
from starmill.transforms.measure.declared import reader
from starmill.transforms.measure.licenses import Licenses, LicenseTexts, is_text, text_key, tier
from starmill.transforms.measure.matches import Found
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
    parser.add_argument("--pypi", type=Path, default=Path(sysconfig.get_path("purelib")), metavar="DIR")
    parser.add_argument("--speed", action="store_true", help="the speed alone")
    parser.add_argument("--step", action="store_true", help="the speed of the whole step alone")
    parser.add_argument("--packages", action="store_true", help="the packages alone")
    add_write(parser)
    options = parser.parse_args()
    if options.speed or options.step:
        for line in speed(options.speed):
            print(line, flush=True)
        return
    sets = {"PyPI": pypi(options.pypi), "crates.io": crates(options.crates), "npm": npm(options.npm)}
    tell("licenses", report(sets, not options.packages), options.write)


def report(sets: dict[str, Iterator[tuple[str, Tree]]], timed: bool) -> Iterator[str]:
    """Yield the lines of the result, each as soon as it is known; the speed where it is `timed`."""
    yield from (f"## {date.today()}, one core of {processor()}", "")
    yield from (
        "| packages | declared permissive | end so | declared otherwise | end not permissive | texts alone | as declared |",
        "|---|---|---|---|---|---|---|",
    )
    memory, odd, otherwise = Memory(), list[str](), Counter[str]()
    for name, packages in sets.items():
        row, others, named = compared(packages, memory)
        yield f"| {name} | {' | '.join(map(str, row))} |"
        odd += others
        otherwise += named
    yield ""
    yield "Declared otherwise: " + ", ".join(f"{one} ({count})" for one, count in sorted(otherwise.items())) + "."
    yield from ("", "Not as declared, or not as declared by the texts alone:", "", *odd, "")
    if timed:
        yield from speed(apart=True)


def compared(packages: Iterator[tuple[str, Tree]], memory: Memory) -> tuple[list[int], list[str], Counter[str]]:
    """Return how many packages declare a licence that is permissive, or one that is not, and how many end so; the same without the
    manifest, for both; those that do not; and what is declared that is not permissive.
    """
    counts, odd, otherwise = [0, 0, 0, 0, 0, 0], [], Counter[str]()
    for name, tree in packages:
        manifest = next((path for path in tree if reader(path)), "")
        kind, rule, declared = judged(tree, memory)
        if not declared:
            continue
        wanted = "permissive" if all(is_permissive(one, permissive_licenses()) for one in declared) else "non_permissive"
        first = 0 if wanted == "permissive" else 2
        otherwise.update([", ".join(declared)] * (first == 2))
        counts[first] += 1
        counts[first + 1] += (kind == "permissive") is (wanted == "permissive")
        if kind != wanted:
            odd.append(f"- {name}: declared {', '.join(declared)}; {kind}: {rule}")
        texts = {path: text for path, text in tree.items() if path != manifest}
        if any(tier(path) == "full" for path in texts):
            alone, rule, _ = judged(texts, memory)
            counts[4] += 1
            counts[5] += alone == wanted
            if alone != wanted and kind == wanted:
                odd.append(f"- {name}, by its texts alone: declared {', '.join(declared)}; {alone}: {rule}")
    return counts, odd, otherwise


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


def pypi(packages: Path) -> Iterator[tuple[str, Tree]]:
    """Yield the distributions of an environment; texts of their metadata hold for the whole."""
    for folder in sorted(packages.glob("*.dist-info")):
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        tree = {f"/{folder.name}/METADATA": path.read_text("utf-8", "replace") for path in files if path.name == "METADATA"}
        texts = [path for path in files if METADATA_TEXT.fullmatch(str(path.relative_to(folder)))]
        places = {
            path: str(path.relative_to(folder)).removeprefix("licenses/") for path in texts
        }  # as in the source tree (PEP 639)
        yield folder.name, tree | {f"/{place}": path.read_text("utf-8", "replace") for path, place in places.items()}


def crates(registry: Path) -> Iterator[tuple[str, Tree]]:
    """Yield the crates of a registry's sources."""
    yield from ((folder.name, read(folder, folder.iterdir())) for folder in sorted(registry.glob("*/*")) if folder.is_dir())


def npm(root: Path) -> Iterator[tuple[str, Tree]]:
    """Yield the npm packages below a folder."""
    for manifest in sorted(root.rglob("package.json")):
        if manifest.parent.parent.name == "node_modules" or manifest.parent.parent.name.startswith("@"):
            yield manifest.parent.name, read(manifest.parent, manifest.parent.iterdir())


def speed(apart: bool) -> Iterator[str]:
    """Yield what the step costs over all texts of this environment, first and once its licence texts are known; `apart`: ScanCode too."""
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
    texts = Asked()
    seconds = []
    for _ in range(2):
        begin, before = time.process_time(), detector().cpu
        for block in blocks:
            watch = texts.of(Licenses().watch(memory))
            watch.see(block)
            KeepLicensed().step()(watch.step()(block))
        seconds.append(time.process_time() - begin + detector().cpu - before)
    files = sum(block.num_rows for block in blocks)
    yield (
        f"{files:,} files of {size / 1e6:.0f} MB with {len(texts.asked):,} texts to ask about: {seconds[0]:.0f} CPU s, "
        f"{size / 1e6 / seconds[0]:.1f} MB/s; once those texts are known {seconds[1]:.1f} CPU s, {size / 1e6 / seconds[1]:.0f} MB/s."
    )
    if apart:
        yield ""
        yield from alone(texts.asked)
        yield from ("", *together(texts.asked))


class Asked:
    """The texts that a step asks ScanCode about."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bool]] = []

    def of(self, watch: LicenseTexts) -> LicenseTexts:
        """Return the step of a part, noting what it asks."""
        ask = watch._asked

        def noted(text: str, exact: bool, record: pa.RecordBatch) -> Found:
            if text_key(text, exact) not in watch.cache:  # type: ignore[operator]
                self.asked.append((text, exact))
            return ask(text, exact, record)

        watch._asked = noted  # type: ignore[method-assign]
        return watch


# Asks ScanCode in this process; "own": as it is. Prints the CPU seconds of loading, of the texts, and the costliest functions.
ALONE = """
import cProfile, json, pstats, sys, time
from starmill.transforms.measure import scancode_child, scancode_quick
texts, way = json.load(sys.stdin), sys.argv[1]
if way == "own":
    scancode_quick.quicken = lambda index: None
begin = time.process_time()
detect = scancode_child.loaded()
from license_expression import get_spdx_licensing
loaded, profile = time.process_time(), cProfile.Profile()
if way == "profile":
    profile.enable()
found = [scancode_child.found(detect, get_spdx_licensing(), text, exact) for text, exact in texts]
profile.disable()
took = time.process_time() - loaded
profile.create_stats()
named = ((own, calls, f"{file.rpartition('/')[2]}:{name}") for (file, _, name), (_, calls, own, _, _) in profile.stats.items())
rows = sorted(named, reverse=True)
json.dump([loaded - begin, took, [(own / took, calls, name) for own, calls, name in rows[:10]], found], sys.stdout)
"""


def alone(asked: list[tuple[str, bool]]) -> Iterator[str]:
    """Yield what the texts cost ScanCode as it is, and ours, one process each; and a profile of ours."""
    results = {}
    for way in ("own", "quick", "profile"):
        done = subprocess.run(
            [sys.executable, "-c", ALONE, way], input=json.dumps(asked), capture_output=True, text=True, check=True
        )
        results[way] = json.loads(done.stdout)
    size = sum(len(text) for text, _ in asked) / 1e6
    yield from ("| the same texts, one process | CPU s to load | CPU s | MB/s of licence texts |", "|---|---|---|---|")
    for way, name in (("own", "ScanCode's own `detect_licenses`, its index loaded as ours"), ("quick", "starmill's")):
        load, took, _, _ = results[way]
        yield f"| {name} | {load:.1f} | {took:.1f} | {size / took:.2f} |"
    same = sum(mine == its for mine, its in zip(results["quick"][3], results["own"][3], strict=True))
    yield from (
        "",
        f"{same} of {len(asked)} answers are the same. What costs the most in ours (share of CPU time under a profiler):",
        "",
    )
    yield from ("| function | share | calls |", "|---|---|---|")
    for share, calls, name in results["profile"][2]:
        yield f"| `{name}` | {share:.0%} | {calls:,} |"


def together(asked: list[tuple[str, bool]]) -> Iterator[str]:
    """Yield the memory of ScanCode's processes once one client has asked, and once four have at once, on all cores, in MB."""
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    own = tempfile.tempdir
    yield from ("| clients at once | processes | RSS, MB | PSS, MB |", "|---|---|---|---|")
    for clients in (1, 4):
        os.environ["TMPDIR"] = tempfile.tempdir = f"{own}/{clients}"  # another server, on all cores
        os.mkdir(tempfile.tempdir)
        before = {p.pid for p in psutil.Process().children(recursive=True)}
        with ThreadPoolExecutor(clients) as threads:
            list(threads.map(lambda one: detector().detect(*one, 600.0), asked[:200]))
        held = [p.memory_full_info() for p in psutil.Process().children(recursive=True) if p.pid not in before]
        rss, pss = (sum(getattr(one, name) for one in held) / 1e6 for name in ("rss", "pss"))
        yield f"| {clients} | {len(held)} | {rss:,.0f} | {pss:,.0f} |"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(
        prefix="starmill-", dir="/tmp"
    ) as own:  # a ScanCode of its own, which is counted from its start
        os.environ["TMPDIR"] = tempfile.tempdir = own
        main()
