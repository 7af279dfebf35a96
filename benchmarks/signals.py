"""MB/s of one core for the two signals, beside what others compute: scikit-learn's hashed n-grams, Python's parser.

    .venv/bin/python benchmarks/signals.py [--megabytes 4] [--input DIR ...]

Files are those below --input (default: the standard library, the packages of this machine and /usr): a draw that the seed fixes, up to
--megabytes a language. All sides take the same texts, in turn, and the best of two rounds counts; MB are 10^6 bytes of text. The CPU time
of syntax is that of the process that parses, with the asking. `null` is the share of bytes that is not parsed (too large, or repeats
itself), which costs no time: the rate is of what is parsed. Parse alone: tree-sitter's parse of the same texts in this process, and
nothing else. First: of a larger file its beginning (`first_bytes`), the rate is of whole files; alike: files that are above a tenth, or
not, both ways.
"""

import argparse
import ast
import json
import os
import random
import resource
import sysconfig
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import tree_sitter_language_pack
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from tree_sitter import Parser

from starmill.pipelines.scoring.train import Options, train
from starmill.transforms.measure.score import Score
from starmill.transforms.measure.syntax import GRAMMARS, Syntax

ENDINGS = {
    **{".c": "C", ".h": "C", ".hpp": "C++", ".cpp": "C++", ".css": "CSS", ".go": "Go", ".html": "HTML", ".js": "JavaScript"},
    **{".json": "JSON", ".java": "Java", ".pm": "Perl", ".py": "Python", ".rs": "Rust", ".rb": "Ruby", ".sh": "Shell"},
    **{".ts": "TypeScript", ".lua": "Lua", ".xml": "XML", ".yaml": "YAML", ".yml": "YAML", ".sql": "SQL", ".php": "PHP"},
}
FIRST, BAD = 4096, 0.1  # bytes that are parsed of a larger file; share of errors from which a file is called bad


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--megabytes", type=float, default=4, help="a language (default: 4)")
    places = [sysconfig.get_paths()[n] for n in ("stdlib", "purelib")]
    parser.add_argument("--input", nargs="+", default=[*places, "/usr/share", "/usr/lib", "/usr/include"], metavar="DIR")
    options = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    warnings.simplefilter("ignore")
    paths = sorted(p for folder in options.input for p in Path(folder).rglob("*") if p.suffix in ENDINGS and p.is_file())
    random.Random(0).shuffle(paths)
    texts: dict[str, list[str]] = {}
    sizes = dict.fromkeys(GRAMMARS, 0.0)
    for path in paths:
        language = ENDINGS[path.suffix]
        if sizes[language] < options.megabytes * 1e6:
            try:
                texts.setdefault(language, []).append(path.read_bytes().decode())
            except (UnicodeDecodeError, OSError):
                continue
            sizes[language] += len(texts[language][-1].encode())
    syntax(texts)
    scores([text for name in sorted(texts) for text in texts[name]])


def syntax(texts: dict[str, list[str]]) -> None:
    """Print a row a language."""
    print(f"| language | files | MB | null | in errors | MB/s | parse alone | first {FIRST:,} bytes | alike |\n|" + "---|" * 9)
    for language, some in sorted(texts.items()):
        block = pa.record_batch({"language": [language] * len(some), "content": some})
        step, sampled = Syntax(), Syntax(first_bytes=FIRST)
        used, less = (best(lambda block=block, step=one: step(block), children=True) for one in (step, sampled))
        shares = step(block).column("syntax_error_fraction").to_numpy(zero_copy_only=False)
        heads = sampled(block).column("syntax_error_fraction").to_numpy(zero_copy_only=False)
        size = np.array([len(text.encode()) for text in some])
        parsed = ~np.isnan(shares)
        parser = Parser(tree_sitter_language_pack.get_language(GRAMMARS[language]))
        data = [text.encode() for text, whole in zip(some, parsed, strict=True) if whole]
        alone = best(lambda data=data, parser=parser: [parser.parse(one) for one in data])
        lost = 1 - size[parsed].sum() / size.sum()
        wrong = (shares[parsed] * size[parsed]).sum() / max(1, size[parsed].sum())
        both = parsed & ~np.isnan(heads)
        alike = np.mean((shares[both] > BAD) == (heads[both] > BAD))
        rates = [
            mass.sum() / 1e6 / took
            for mass, took in ((size[parsed], used), (size[parsed], alone), (size[~np.isnan(heads)], less))
        ]
        print(
            f"| {language} | {len(some):,} | {size.sum() / 1e6:.1f} | {lost:.0%} | {wrong:.1%} "
            f"| {rates[0]:.1f} | {rates[1]:.1f} | {rates[2]:.0f} | {alike:.0%} |"
        )
    python = texts.get("Python", [])
    print(
        f"\n`ast.parse` over the same Python: {sum(map(len, python)) / 1e6 / best(lambda: [compiles(t) for t in python]):.1f} MB/s"
    )


def scores(texts: list[str]) -> None:
    """Print the rate of a scorer and of its peers, over all texts."""
    size = sum(len(text.encode()) for text in texts) / 1e6
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "e.jsonl"
        some = [text[:4000] for text in texts if len(text) > 500][:1000]
        place.write_text("".join(json.dumps({"text": text, "label": n % 2}) + "\n" for n, text in enumerate(some)))
        started = time.process_time()
        train(Path(folder) / "m", [str(place)], Options(), lambda _: None)
        took = time.process_time() - started
        step = Score(str(Path(folder) / "m")).step()
    block = pa.record_batch({"content": texts})
    vectors = HashingVectorizer(
        norm="l1", alternate_sign=False, n_features=1 << 18, token_pattern=r"\w+|[^ \t]", ngram_range=(1, 2)
    )
    model = LogisticRegression().fit(vectors.transform(some), [n % 2 for n in range(len(some))])
    few = texts[: max(1, len(texts) // 10)]
    peer = sum(len(text.encode()) for text in few) / 1e6
    print(f"\n`Scored`: {size / best(lambda: step(block)):.0f} MB/s of {size:.0f} MB by 1 MiB of weights")
    print(
        f"scikit-learn (the same n-grams): {peer / best(lambda: model.predict_proba(vectors.transform(few))):.1f} MB/s of {peer:.1f} MB"
    )
    print(f"`score-train` of {len(some):,} texts of up to 4,000 characters with random labels: {took:.1f} s")
    print(f"peak memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10:,} MiB")


def compiles(text: str) -> bool:
    """Whether it is Python."""
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def best(side: Callable[[], object], children: bool = False) -> float:
    """Return the CPU seconds of the faster of two rounds after one that warms up; with `children`, theirs too."""

    def clock() -> float:
        own = psutil.Process()
        lent = (child.cpu_times() for child in own.children()) if children else ()
        return time.process_time() + sum(times.user + times.system for times in lent)

    side()
    found = []
    for _ in range(2):
        started = clock()
        side()
        found.append(clock() - started)
    return min(found)


if __name__ == "__main__":
    main()
