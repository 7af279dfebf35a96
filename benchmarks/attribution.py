"""Attribution over a release of code: what it costs to make, how much room it takes, what it finds; beside other engines in one run.

    .venv/bin/python benchmarks/attribution.py [--files .venv/lib ...] [--megabytes 60] [--spans 1000] [--write]

The release is written by hand of the distinct source files below `--files` (suffixes: SOURCES). Spans are planted by copying 99
characters of a random file (as squashed), or 600 with 4 edits: characters changed, put in or taken out. A span counts as found where a
file is named that holds all 99 characters, or is the one that was copied, and as wrong where a named file does not hold what it is said
to hold. SQLite and tantivy are asked for 80 characters, by trigrams without positions; tantivy, rbloom and ripgrep take part where they
are installed. Rates are MB of text per second of CPU time, of the whole stage: Parquet, Beam, files.
"""

import argparse
import datetime
import os
import random
import shutil
import sqlite3
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import report
from report import processor

from starmill.core import schema, swhid
from starmill.core.dataset import Count, ParquetPart, Sidecar, Workspace, output, part_path
from starmill.pipelines.run import attribution
from starmill.pipelines.runners import choose
from starmill.pipelines.stages import index, portrait, trigrams
from starmill.transforms.attribution import portrait as bloom
from starmill.transforms.attribution.attribute import Attribution, Attributor
from starmill.transforms.attribution.search import Asked, Searcher
from starmill.transforms.attribution.squash import Squashed

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789_"
PARTS = 4
SOURCES = {".py", ".pyi", ".c", ".h", ".hpp", ".cpp", ".cc", ".go", ".rs", ".js", ".ts", ".java", ".rb", ".pl", ".pm", ".md"}
LARGEST = 1 << 20  # bytes of a file


def corpus(folders: list[Path], most: int) -> list[str]:
    """Return the distinct texts of source files below folders, in the order of their names, up to `most` bytes."""
    found: dict[str, None] = {}
    size = 0
    for path in (path for folder in folders for path in sorted(folder.rglob("*"))):
        if path.suffix not in SOURCES or path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST:
            continue
        text = path.read_bytes().decode("utf-8", "replace")
        if text not in found:
            found[text] = None
            size += len(text.encode())
        if size >= most:
            break
    return [*found]


def release(place: str, texts: list[str]) -> Workspace:
    """Write a release of these texts."""
    workspace, step = Workspace(place), len(texts) // PARTS + 1
    for part, first in enumerate(range(0, len(texts), step)):
        some = texts[first : first + step]
        made = ParquetPart(schema.DATASET)
        for at in range(0, len(some), 64):
            rows = [
                {
                    "repo_name": f"p{part}",
                    "path": f"/{first + at + i}",
                    "content_id": swhid.content_id(t.encode()),
                    "content": t,
                }
                for i, t in enumerate(some[at : at + 64])
            ]
            made.write(pa.RecordBatch.from_pylist(rows, schema=schema.DATASET))
        size, data = sum(len(t.encode()) for t in some), made.close()
        outputs = (output(part_path("dataset", part), data, len(some)),)
        workspace.commit(Sidecar("release", "dataset", part, "k", outputs, (Count("", "", "", len(some), size),)), [data])
    workspace.finish("dataset", "k", len(workspace.parts("dataset")), "v")
    return workspace


def spans(texts: list[str], number: int, length: int, edits: int) -> Iterator[tuple[str, str]]:
    """Yield texts as they stand in files, of so many characters when squashed, with so many edits, and the SWHID of the file of each."""
    drawn = random.Random(f"{length} {edits}")
    while number:
        text = drawn.choice(texts)
        whole = Squashed.of(text)
        if whole.characters <= length:
            continue
        first = drawn.randrange(whole.characters - length)
        start, end = whole.characters_of(int(whole.starts[first]), int(whole.starts[first + length]))
        span = text[start:end]
        if Squashed.of(span).characters != length:  # white space at an end
            continue
        letters = [*span]
        for _ in range(edits):
            at, what = drawn.randrange(len(letters)), drawn.choice(("change", "put in", "take out"))
            letters[at : at + (what != "put in")] = [] if what == "take out" else [drawn.choice(LETTERS)]
        number -= 1
        yield "".join(letters), swhid.swhid("cnt", swhid.content_id(text.encode()))


def wrong(asked: str, found: Attribution, by_id: dict[str, str]) -> int:
    """Return how many files are named for an equal span that they do not hold, by a search in their squashed text."""
    count = 0
    for span in found.spans:
        if span.similarity == 1:
            said = bytes(Squashed.of(asked[span.start : span.end]).data)
            count += sum(said not in bytes(Squashed.of(by_id[f.swhid]).data) for f in span.files)
    return count


@contextmanager
def timed(costs: dict[str, float], name: str) -> Iterator[None]:
    """Add the seconds of CPU time of the block."""
    started = time.process_time()
    yield
    costs[name] = costs.get(name, 0.0) + time.process_time() - started


def milliseconds(ask: Callable[[str], Any], asked: list[str]) -> tuple[list[Any], str]:
    """Return the answers, and the median and 95th percentile of their time."""
    answers, times = [], []
    for text in asked:
        started = time.perf_counter()
        answers.append(ask(text))
        times.append(1000 * (time.perf_counter() - started))
    return answers, f"{statistics.median(times):.1f} / {np.quantile(times, 0.95):.1f}"


def planted(workspace: Workspace, texts: list[str], number: int) -> list[str]:
    """Return lines of what is found of planted spans."""
    by_id = {swhid.swhid("cnt", swhid.content_id(t.encode())): t for t in texts}
    told = Attributor(workspace)
    rows = []
    for length, edits in ((99, 0), (600, 4)):
        asked = [*spans(texts, number, length, edits)]
        answers, took = milliseconds(lambda text: told(text, most_files=10**6), [text for text, _ in asked])
        hits = named = bad = told_so = 0
        for (text, source), found in zip(asked, answers, strict=True):
            whole = any(s.similarity == 1 and s.end - s.start == len(text) for s in found.spans)
            is_named = any(source == f.swhid for s in found.spans for f in s.files)
            # Of over a thousand files that have the same, some stand for all.
            stands_for_many = any(s.common for s in found.spans)
            hit = whole if not edits else is_named or stands_for_many
            hits += hit
            told_so += not hit and found.unread > 0  # more files share a fingerprint than are compared
            named += is_named
            bad += wrong(text, found, by_id)
        rows.append(
            f"| {length} characters, {edits} edits | {hits / number:.3f} | {told_so} | {named / number:.3f} | {bad} | {took} |"
        )
    return rows


def membership(workspace: Workspace, texts: list[str], number: int) -> list[str]:
    """Return lines of what the portrait says: of planted spans, and of grams that are not there."""
    told = bloom.Portrait(workspace)
    asked = [text for text, _ in spans(texts, number, 99, 0)]
    answers, took = milliseconds(told.overlaps, asked)
    drawn = random.Random(5)
    absent = ["".join(drawn.choices(LETTERS, k=10_049)) for _ in range(100)]
    false = np.concatenate([told.has(Squashed.of(text).grams) for text in absent])
    return [
        f"| spans of 99 characters found | {sum(map(bool, answers)):,} of {number:,} |",
        f"| false positives of a gram | {false.mean():.2%} of {len(false):,} |",
        f"| false positives of two grams in a row | {(false[50:] & false[:-50]).mean():.4%} |",
        f"| milliseconds of a span, median / p95 | {took} |",
    ]


def sqlite(folder: str, texts: list[str], costs: dict[str, float], asked: list[str]) -> tuple[int, str, int]:
    """Make an FTS5 index of trigrams without positions; return its bytes, the time of an exact query, and how many were right."""
    place = f"{folder}/trigrams.sqlite"
    base = sqlite3.connect(place)
    with timed(costs, "SQLite FTS5 trigram, detail=none"):
        base.execute("CREATE VIRTUAL TABLE t USING fts5(x, content='', detail=none, tokenize='trigram case_sensitive 1')")
        base.executemany("INSERT INTO t(rowid, x) VALUES (?, ?)", enumerate(texts))
        base.commit()

    def ask(text: str) -> bool:
        quoted = ('"' + text[i : i + 3].replace('"', '""') + '"' for i in range(len(text) - 2))
        rows = base.execute("SELECT rowid FROM t WHERE t MATCH ?", (" AND ".join(dict.fromkeys(quoted)),))
        return any(text in texts[row] for (row,) in rows)

    answers, took = milliseconds(ask, asked)
    base.close()
    return Path(place).stat().st_size, took, sum(answers)


def tantivy_trigrams(folder: str, texts: list[str], costs: dict[str, float], asked: list[str]) -> tuple[int, str, int]:
    """Make tantivy's index of trigrams without positions; return what `sqlite` does. One thread writes."""
    import tantivy

    trigram = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.ngram(3, 3)).build()
    fields = tantivy.SchemaBuilder()
    fields.add_text_field("x", tokenizer_name="trigram", index_option="basic")
    fields.add_integer_field("row", stored=True)
    shape, place = fields.build(), Path(folder) / "tantivy"
    place.mkdir()
    made = tantivy.Index(shape, path=str(place))
    made.register_tokenizer("trigram", trigram)
    with timed(costs, "tantivy trigram, basic"):
        writer = made.writer(heap_size=256 << 20, num_threads=1)
        for row, text in enumerate(texts):
            writer.add_document(tantivy.Document(x=text, row=row))
        writer.commit()
        writer.wait_merging_threads()
    made.reload()
    searcher = made.searcher()

    def ask(text: str) -> bool:
        grams = dict.fromkeys(text[i : i + 3] for i in range(len(text) - 2))
        terms = [(tantivy.Occur.Must, tantivy.Query.term_query(shape, "x", gram)) for gram in grams]
        hits = searcher.search(tantivy.Query.boolean_query(terms), limit=100_000).hits
        return any(text in texts[searcher.doc(address)["row"][0]] for _, address in hits)

    answers, took = milliseconds(ask, asked)
    return sum(file.stat().st_size for file in place.iterdir()), took, sum(answers)


def main() -> None:
    """Measure, print, and with --write append to the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument(
        "--files", type=Path, nargs="+", default=[Path(".venv/lib")], help="folders of source files (default: .venv/lib)"
    )
    parser.add_argument("--megabytes", type=int, default=60, help="of text (default: 60)")
    parser.add_argument("--spans", type=int, default=1000, help="planted, of each sort (default: 1000)")
    report.add_write(parser)
    given = parser.parse_args()
    texts = corpus(given.files, given.megabytes * 10**6)
    size = sum(len(t.encode()) for t in texts)
    costs: dict[str, float] = {}
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="starmill-attribution-") as folder:
        workspace = release(f"{folder}/w", texts)
        small = release(f"{folder}/small", texts[:10])
        stages = {"portrait": portrait, "fingerprints": index, "trigrams": trigrams}
        rows = []
        column = pa.array(texts)
        hashes = bloom.tiles(column[:2])
        bloom.made(0, bloom.Shape.of(100), [hashes], bytes(16))
        with timed(costs, "kernel"):
            hashes = bloom.tiles(column)
            bloom.made(0, bloom.Shape.of(size), [hashes], bytes(16))
        for name, stage in stages.items():
            attribution.make(small, stage, choose((), 1), quiet=True)  # what is compiled or imported once
            with timed(costs, name):
                made = attribution.make(workspace, stage, choose((), 1), quiet=True)
            assert made is not None
            took = sum(o.bytes for p in made.parts for o in p.outputs)
            rows.append(f"| {name} | {size / 1e6 / costs[name]:.1f} | {took / size:.4f} |")
        rows.insert(0, f"| portrait, its loops alone | {size / 1e6 / costs['kernel']:.0f} | |")
        exact = [t[len(t) // 2 : len(t) // 2 + 80] for t in random.Random(1).sample([t for t in texts if len(t) > 400], 60)]
        took_bytes, took_ms, right = sqlite(folder, texts, costs, exact)
        rate = size / 1e6 / costs["SQLite FTS5 trigram, detail=none"]
        rows.append(f"| SQLite {sqlite3.sqlite_version} FTS5 trigram, detail=none | {rate:.1f} | {took_bytes / size:.4f} |")
        peers = [f"| SQLite, 80 characters exact, with a look into the text | {took_ms} | {right} of 60 |"]
        try:
            took_bytes, took_ms, right = tantivy_trigrams(folder, texts, costs, exact)
            rate = size / 1e6 / costs["tantivy trigram, basic"]
            rows.append(f"| tantivy {version('tantivy')} trigram, basic | {rate:.1f} | {took_bytes / size:.4f} |")
            peers.append(f"| tantivy, 80 characters exact, with a look into the text | {took_ms} | {right} of 60 |")
        except ImportError:
            rows.append("| tantivy | not installed | |")
        try:
            import rbloom

            with timed(costs, "rbloom"):
                filter_ = rbloom.Bloom(len(hashes), 0.008, hash_func=int)
                for text in texts:
                    squashed = bytes(Squashed.of(text).data).decode()
                    filter_.update(hash(squashed[i : i + 50]) for i in range(0, len(squashed) - 49, 50))
            rows.append(
                f"| rbloom, squashed by ours | {size / 1e6 / costs['rbloom']:.1f} | {filter_.size_in_bits / 8 / size:.4f} |"
            )
        except ImportError:
            rows.append("| rbloom | not installed | |")
        ours, ours_ms = milliseconds(Attributor(workspace), exact)
        peers.append(
            f"| starmill, the same 80 characters | {ours_ms} | {sum(bool(a.spans) for a in ours)} of 60: below 99, none is promised |"
        )
        search = Searcher(workspace)
        hits, hits_ms = milliseconds(lambda text: search(Asked(text, files=1)), exact)
        peers.append(f"| `starmill search`, the same 80 characters | {hits_ms} | {sum(bool(a.files) for a in hits)} of 60 |")
        if shutil.which("rg"):
            for i, text in enumerate(texts):
                Path(f"{folder}/files").mkdir(exist_ok=True)
                Path(f"{folder}/files/{i}").write_text(text)

            def rg(text: str) -> bool:
                line = max(text.split("\n"), key=len)
                return not subprocess.run(["rg", "-lF", "--", line, f"{folder}/files"], stdout=subprocess.DEVNULL).returncode

            found, rg_ms = milliseconds(rg, exact)
            peers.append(f"| ripgrep, the longest line of it | {rg_ms} | {sum(found)} of 60 |")
        else:
            peers.append("| ripgrep | not installed | |")
        lines = [
            f"## {datetime.date.today()}, {size / 1e6:.1f} MB in {len(texts):,} source files, {processor()}",
            "",
            f"Load average: {load:.1f} at the start, {os.getloadavg()[0]:.1f} at the end, of which one is this process.",
            "",
            "| made by | MB per CPU second | bytes per byte of text |",
            "|---|---|---|",
            *rows,
            "",
            f"| {given.spans:,} planted spans of | found | missed, and said that files are unread | the copied file named "
            "| wrong files named | milliseconds, median / p95 |",
            "|---|---|---|---|---|---|",
            *planted(workspace, texts, given.spans),
            "",
            "| the portrait | |",
            "|---|---|",
            *membership(workspace, texts, given.spans),
            "",
            "| 60 strings | milliseconds, median / p95 | found |",
            "|---|---|---|",
            *peers,
        ]
    report.tell("attribution", lines, given.write)


if __name__ == "__main__":
    main()
