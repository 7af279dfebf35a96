"""Decontamination beside its peers: recall in every disguise, false files of clean code, and speed, on the same texts in one run.

    .venv/bin/python benchmarks/decontaminate.py [--benchmarks DIR] [--files 60000] [--input DIR ...] [--write]

HumanEval and MBPP (tasks 11 to 510), published files in folders below --benchmarks, are planted in each disguise (disguises.py) into the
middle of a file of this machine; MultiPL-E's prompts are ports that there are. Clean files are code of this machine: a draw that the seed
fixes, of the packages whose name has an odd digest. Thresholds are chosen on the others, in which the plants lie. The peers look for the
same docstrings and solutions: StarCoder2's loop over lower-case substrings without white space, written as published; datatrove's
n-grams; dolma's Bloom filter of paragraphs. Each has its own environment; seconds are CPU seconds of one process.
"""

import argparse
import datetime
import functools
import hashlib
import json
import os
import random
import re
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import tools
from disguises import EDITED, WORN
from report import add_write, processor, tell

from starmill.pipelines import benchmarks
from starmill.transforms.clean.overlap.find import Finder
from starmill.transforms.clean.overlap.index import Matchers, compiled
from starmill.transforms.clean.overlap.tasks import Task

PUBLISHED = Path(__file__).resolve().parents[2] / "shared/benchmarks"
PLANTED = {"HumanEval": "humaneval=humaneval/HumanEval.jsonl.gz", "MBPP": "mbpp=mbpp/mbpp.jsonl.gz"}
PORTS = ("cpp", "java", "js", "lua", "rkt", "rs")
# Enough tasks for 10,000 texts that are looked for.
MANY = ("ds-1000=ds1000/ds1000.jsonl.gz", "gsm8k=gsm8k/gsm8k-train.jsonl.gz", "gsm8k=gsm8k/gsm8k-test.jsonl.gz")
PAPER = Matchers(short=False, hidden=False, edited=False, ports=False, retold=False)
FEW = 1000  # clean files that the peers search
ROUNDS = 7  # of which the best counts: other work on the machine only slows
HOSTS = 2000  # files in which is planted
PEER = Path(__file__).parent / "peers/decontaminating.py"
Plant = tuple[str, str, str, str]  # disguise, benchmark, task, text
Judge = Callable[[Sequence[str]], list[bool]]


def main() -> None:
    """Measure, print, and with --write append."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--benchmarks", type=Path, default=PUBLISHED, help="the folder of published benchmarks")
    parser.add_argument("--files", type=int, default=60_000, help="clean files (default: 60000)")
    parser.add_argument("--input", nargs="+", default=roots(), metavar="DIR", help="folders of packages")
    parser.add_argument(
        "--cache", type=Path, default=Path("~/.cache/starmill-bench").expanduser(), help="where peers are installed"
    )
    parser.add_argument("--tasks", type=int, default=10**6, help="of each benchmark, at most")
    add_write(parser)
    options = parser.parse_args()
    tell("decontaminate", report(options), options.write)


def report(options: argparse.Namespace) -> Iterator[str]:
    """Yield the tables."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    tasks = {name: read(options.benchmarks, place)[: options.tasks] for name, place in PLANTED.items()}
    clean = files(options.input, options.files, 1)
    plants = [*planted(tasks, files(options.input, HOSTS, 0), options.benchmarks)]
    everyone = [task for several in tasks.values() for task in several]
    ours = {"starmill": Finder(compiled(everyone), Matchers()), "its exact matcher alone": Finder(compiled(everyone), PAPER)}
    yield f"## {datetime.date.today()}, {processor()}, {len(everyone):,} tasks, {len(plants):,} planted files, {len(clean):,} clean files"
    yield ""
    yield f"`benchmarks/decontaminate.py`, Python {sys.version.split()[0]}, numpy {np.__version__}"
    yield ""
    sides: dict[str, Judge | str] = {name: lambda texts, f=finder: rows(f, texts) for name, finder in ours.items()}
    sides["StarCoder2's loop"] = lambda texts: loop(everyone, texts)
    sides |= {name: peer(name, everyone, options.cache) for name in ("datatrove", "dolma")}
    found: dict[str, list[bool]] = {}
    false: dict[str, str] = {}
    speed: dict[str, str] = {}
    for name, judge in sides.items():
        if isinstance(judge, str):
            yield f"{name}: not measured: {judge}"
            yield ""
            continue
        sample = clean if name in ours else clean[:FEW]
        try:
            found[name] = judge([text for *_, text in plants])
            began = spent()
            hits = sum(judge(sample))
        except tools.Failed as error:
            yield f"{name}: not measured: {error}"
            yield ""
            found.pop(name, None)
            continue
        size = sum(len(text.encode()) for text in sample) / 1e6
        false[name] = f"{hits:,} of {len(sample):,}"
        speed[name] = f"{size / (spent() - began):,.1f}"
    yield "| disguise | benchmark | " + " | ".join(found) + " |"
    yield "|---|---|" + "---|" * len(found)
    for disguise in dict.fromkeys(plant[0] for plant in plants):
        for benchmark in tasks:
            which = [n for n, plant in enumerate(plants) if plant[:2] == (disguise, benchmark)]
            if which:
                shares = [f"{sum(judged[n] for n in which) / len(which):.3f}" for judged in found.values()]
                yield f"| {disguise} | {benchmark} | " + " | ".join(shares) + " |"
    yield "| **false files of clean code** | | " + " | ".join(false.values()) + " |"
    yield "| **MB/s of clean code, CPU time, from strings of Python** | | " + " | ".join(speed.values()) + " |"
    yield ""
    yield f"`retold_bits` {Matchers().retold_bits}, the default."
    yield ""
    yield "| texts looked for | matchers | index in memory, MB | MB/s of clean code, CPU time |"
    yield "|---|---|---|---|"
    yield from speeds(everyone + [task for place in MANY for task in read(options.benchmarks, place)], clean)
    yield ""
    yield "False files:"
    yield ""
    for text in [text for text, hit in zip(clean, rows(ours["starmill"], clean), strict=True) if hit]:
        first = ours["starmill"].of(text)[0]
        yield f"- {first}: `{' '.join(text[first.start : first.end].split())[:100].replace('`', '')}`"


def spent() -> float:
    """Return the CPU seconds of this process and its children."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def read(folder: Path, place: str) -> list[Task]:
    """Return the tasks of a published file, `description=place`."""
    about, _, name = place.partition("=")
    return benchmarks.tasks(f"{about}={folder / name}")


def roots() -> list[str]:
    """Return the folders of packages that this machine may have; of Rust's crates and of Node's each is one."""
    folders = [sysconfig.get_paths()[name] for name in ("stdlib", "purelib")]
    folders += ["/usr/lib/python3/dist-packages", "/usr/include", "/usr/local/go/src", "/usr/share/perl", "/usr/share/perl5"]
    folders += ["/usr/lib/ruby", "/usr/lib/node_modules", "/usr/share/nodejs"]
    return [*folders, *map(str, Path("~/.cargo/registry/src").expanduser().glob("*"))]


def side(path: Path) -> int:
    """Return on which side of the split a package is: the same for all its versions, wherever it is installed."""
    name = re.sub(r"[-_.]?\d.*$", "", path.parts[0].lower().removesuffix(".py"))
    return hashlib.sha256(name.encode()).digest()[0] % 2


@functools.cache
def walked(folders: tuple[str, ...]) -> dict[Path, Path]:
    """Return the files below folders, each with its path in its folder."""
    return {
        path: path.relative_to(folder)
        for folder in folders
        for path in Path(folder).rglob("*")
        if path.suffix not in (".pyc", ".so") and path.is_file() and not path.is_symlink()
    }


def files(folders: Sequence[str], count: int, half: int) -> list[str]:
    """Return texts of the packages on one side of this machine, each once, in a draw."""
    paths = sorted(path for path, inside in walked(tuple(folders)).items() if side(inside) == half)
    random.Random(11).shuffle(paths)
    seen: dict[str, None] = {}
    for path in paths:
        try:
            text = path.read_bytes().decode()
        except (UnicodeDecodeError, OSError):  # no text: an image, a link to nowhere
            continue
        if 200 < len(text) < 1_000_000 and "\0" not in text[:4096]:
            seen[text] = None
        if len(seen) == count:
            break
    return [*seen]


def planted(tasks: dict[str, list[Task]], hosts: Sequence[str], folder: Path) -> Iterator[Plant]:
    """Yield each task in each disguise, and the ports of HumanEval."""
    draw = random.Random(7)

    def inside(text: str) -> str:
        host = draw.choice(hosts)[:1500]
        return f"{host[:750]}\n{text}\n{host[750:]}"

    for name, disguise in (WORN | EDITED).items():
        for benchmark, several in tasks.items():
            for task in several:
                yield name, benchmark, task.name, inside(disguise(task, draw))
    known = {task.name for task in tasks["HumanEval"]}
    for language in PORTS:
        for task in read(folder, f"multipl-e=multipl_e/humaneval-{language}.jsonl.gz"):
            name = f"HumanEval/{task.name.split('_')[1]}"
            if name in known:
                yield f"port: MultiPL-E's {language}", "HumanEval", name, inside(task.prompt)


def rows(finder: Finder, texts: Sequence[str]) -> list[bool]:
    """Return of each text whether it has a find."""
    found: list[bool] = []
    for start in range(0, len(texts), 1000):
        block = pa.array(texts[start : start + 1000], pa.string())
        hit = {int(row) for row in finder.raw(block)[:, 0]}
        found += [row in hit for row in range(len(block))]
    return found


def loop(tasks: Sequence[Task], texts: Sequence[str]) -> list[bool]:
    """Return what a loop over substrings says, in lower case and without white space, of strings of 40 characters and more."""

    def squashed(text: str) -> str:
        return "".join(text.lower().split())

    wanted = {s for task in tasks for text in (task.stated, task.solution) if len(s := squashed(text)) >= PAPER.exact_chars}
    return [any(one in text for one in wanted) for text in map(squashed, texts)]


def peer(name: str, tasks: Sequence[Task], cache: Path) -> Judge | str:
    """Return a peer that judges texts in its own environment, or why it cannot be installed."""
    try:
        python = tools.environment(f"{name} decontamination", cache)
    except tools.Failed as error:
        return str(error)

    def judge(texts: Sequence[str]) -> list[bool]:
        with tempfile.TemporaryDirectory() as folder:
            wanted = [text for task in tasks for text in (task.stated, task.solution) if text.strip()]
            Path(folder, "wanted.json").write_text(json.dumps(wanted))
            Path(folder, "texts.json").write_text(json.dumps(list(texts)))
            tools.run([python, str(PEER), name, folder])
            return [bool(one) for one in json.loads(Path(folder, "found.json").read_text())]

    return judge


def speeds(tasks: Sequence[Task], clean: Sequence[str]) -> Iterator[str]:
    """Yield MB/s of so many texts, by how many matchers are on: the best of ROUNDS rounds in turn."""
    block = pa.array(clean[:3000], pa.string())
    size = sum(len(text.encode()) for text in clean[:3000]) / 1e6
    finders: dict[tuple[int, str], Finder] = {}
    for wanted in (100, 1_000, 10_000):
        several: list[Task] = []
        count = 0
        for task in tasks:
            several.append(task)
            count += bool(task.solution) + bool(task.stated)
            if count >= wanted:
                break
        blob = compiled(several)
        for label, matchers in (("all", Matchers()), ("all but `retold`", Matchers(retold=False)), ("`exact` alone", PAPER)):
            finders[count, label] = Finder(blob, matchers)
    best = dict.fromkeys(finders, float("inf"))
    for finder in finders.values():
        finder.raw(block.slice(0, 8))
    for _ in range(ROUNDS):
        for key, finder in finders.items():
            began = time.process_time()
            finder.raw(block)
            best[key] = min(best[key], time.process_time() - began)
    for (count, label), finder in finders.items():
        yield f"| {count:,} | {label} | {finder.tables.bytes / 1e6:.1f} | {size / best[count, label]:,.0f} |"


if __name__ == "__main__":
    main()
