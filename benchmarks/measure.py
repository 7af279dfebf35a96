"""MB/s of one core for what measures a text and what decides by it, beside the same answers by RE2, numpy and lexbor's tree.

    .venv/bin/python benchmarks/measure.py [--megabytes 60] [--peer-megabytes 4] [--input DIR ...]

Files are this machine's standard library and packages, or those below --input: a draw that the seed fixes. All sides run in one process
over the same blocks, in turn, and the best of three rounds counts; MB are 10^6 bytes of text. The peers give the same values on texts with
line feeds only; RE2 and numpy are what one writes first. HTML pages are measured apart, on all pages found. data-prep-kit and dolma run in
environments of their own over the first --peer-megabytes of the same texts (`peers/statistics_by.py`): slow ones see less.
"""

import argparse
import functools
import json
import os
import random
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import re2
import tools
from selectolax.lexbor import LexborHTMLParser

from starmill.transforms.decide.quality import Quality
from starmill.transforms.measure.html import VisibleText
from starmill.transforms.measure.language import DetectLanguage
from starmill.transforms.measure.text import Text

PATTERNS = (
    rb"[a-zA-Z0-9+/\n=]{64,}",
    rb"(?:\b(?:0x|\\x)?[0-9a-fA-F]{2}(?:,|\b\s*)){8,}",
    rb"(?:\\u[0-9a-fA-F]{4}){8,}",
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--megabytes", type=float, default=60, help="of the sample (default: 60)")
    parser.add_argument("--input", nargs="+", default=[sysconfig.get_paths()[n] for n in ("stdlib", "purelib")], metavar="DIR")
    parser.add_argument("--peer-megabytes", type=float, default=4, help="of the sample, for the other tools (default: 4)")
    parser.add_argument(
        "--cache", type=Path, default=Path("~/.cache/starmill-bench").expanduser(), help="where peers are installed"
    )
    options = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    paths = sorted(
        p for folder in options.input for p in Path(folder).rglob("*") if p.is_file() and p.suffix not in (".pyc", ".so")
    )
    random.Random(0).shuffle(paths)
    block = sample(texts(paths), options.megabytes)
    pages = sample(texts([p for p in paths if p.suffix in (".html", ".htm")]), options.megabytes)
    pages = pages.append_column("language", pa.array(["HTML"] * pages.num_rows))
    measured = VisibleText()(Text()(DetectLanguage()(block)))
    columns = measured.drop_columns(["content"])
    show(f"{block.num_rows:,} files", block, {"Text": Text(), "RE2 and numpy": peer, "DetectLanguage": DetectLanguage()})
    others(block, options.peer_megabytes, options.cache)
    show("the rules over its columns", block, {"Quality": lambda _: [step(columns) for step in Quality().steps()]})
    show(f"{pages.num_rows:,} pages of HTML", pages, {"VisibleText": VisibleText(), "lexbor's tree": trees})


def texts(paths: list[Path]) -> Iterator[tuple[str, str]]:
    """Yield (path, text) of what is UTF-8."""
    for path in paths:
        try:
            text = path.read_bytes().decode()
        except (UnicodeDecodeError, OSError):
            continue
        if text and "\0" not in text and len(text) < 2_000_000:
            yield str(path), text


def sample(found: Iterator[tuple[str, str]], megabytes: float) -> pa.RecordBatch:
    """Return as many texts as give so many MB, or all."""
    rows, size = [], 0
    for path, text in found:
        rows.append({"path": path, "content": text})
        size += len(text)
        if size > megabytes * 1e6:
            break
    return pa.RecordBatch.from_pylist(rows, schema=pa.schema([("path", pa.string()), ("content", pa.string())]))


def show(title: str, block: pa.RecordBatch, sides: dict[str, Callable[[pa.RecordBatch], object]]) -> None:
    """Print MB/s of each side, after a warm-up that compiles, in turn."""
    size = sum(len(text.as_buffer()) for text in block.column("content")) / 1e6
    best = dict.fromkeys(sides, float("inf"))
    for side in sides.values():
        side(block.slice(0, 8))
    for _ in range(3):
        for name, side in sides.items():
            used = time.process_time()
            side(block)
            best[name] = min(best[name], time.process_time() - used)
    print(f"{title}, {size:.1f} MB: " + ", ".join(f"{name} {size / seconds:,.0f} MB/s" for name, seconds in best.items()))


def others(block: pa.RecordBatch, megabytes: float, cache: Path) -> None:
    """Print MB/s of other tools' statistics over the beginning of a block."""
    sizes = np.cumsum([len(text.as_buffer()) for text in block.column("content")])
    some = block.slice(0, int(np.searchsorted(sizes, megabytes * 1e6)) + 1)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "texts").write_text("".join(f"{json.dumps(text)}\n" for text in some.column("content").to_pylist()))
        for name in ("data-prep-kit", "dolma"):
            try:
                python = tools.environment(name, cache)
                used = tools.run([python, str(tools.PEERS / "statistics_by.py"), name, f"{folder}/texts"])
            except tools.Failed as error:
                print(f"{name} did not run: {error}")
                continue
            size, seconds = json.loads(used.last)
            print(f"{some.num_rows:,} files, {size:.1f} MB: {name} {size / seconds:.1f} MB/s")


def peer(block: pa.RecordBatch) -> list[tuple[float, ...]]:
    """Return lines, letters and encoded runs of each text: by numpy, and by RE2 with a pass for each pattern."""
    tools = compiled()
    return [one(text.as_buffer().to_pybytes(), *tools) for text in block.column("content")]


@functools.lru_cache(maxsize=1)
def compiled() -> tuple[list, np.ndarray]:
    """Return the patterns, and what each code point is: 2 a letter, 1 a digit."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    kinds = np.fromiter((2 if c.isalpha() else 1 if c.isalnum() else 0 for c in map(chr, range(0x110000))), np.uint8, 0x110000)
    return [re2.compile(p, options) for p in PATTERNS], kinds


def one(text: bytes, patterns: list, kinds: np.ndarray) -> tuple[float, ...]:
    """Return the peer's answer for one text."""
    plain = text.isascii()
    codes = np.frombuffer(text if plain else text.decode().encode("utf-32-le"), np.uint8 if plain else np.uint32)
    ends = np.flatnonzero(codes == 10)
    if not len(ends) or ends[-1] != len(codes) - 1:
        ends = np.append(ends, len(codes))
    lengths = np.diff(ends, prepend=-1) - 1
    of = kinds[codes]
    runs = [m.end() - m.start() for pattern in patterns for m in pattern.finditer(text)]
    fractions = (np.count_nonzero(of == 2) / len(codes), np.count_nonzero(of) / len(codes))
    return (len(lengths), lengths.max(), lengths.mean(), *fractions, max(runs, default=0), sum(runs))


def trees(block: pa.RecordBatch) -> list[int]:
    """Return the visible characters of each page by a tree."""
    found = []
    for text in block.column("content").to_pylist():
        tree = LexborHTMLParser(text)
        tree.strip_tags(["script", "style"])
        found.append(len(" ".join(tree.root.text().split())) if tree.root is not None else 0)
    return found


if __name__ == "__main__":
    main()
