"""What redaction finds of planted secrets, what it finds in clean code, and how fast, beside other tools in the same run.

    .venv/bin/python benchmarks/redact.py [--megabytes 240] [--input DIR ...] [--finds FILE] [--write]

Secrets are planted by planted.py. Clean code is what the folders hold, at most 8 MB of each suffix, drawn by a seed; --finds writes each
find in it, to be judged by a person. Seconds are CPU seconds of one process. The other tools read the first MB of the same sample. gitleaks
is built by Go where Go is installed.
"""

import argparse
import collections
import datetime
import json
import os
import random
import shutil
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import planted
import pyarrow as pa
import report
import tools

from starmill.transforms.clean.redact import Redact, keys_shapes, scan

GITLEAKS = "github.com/zricethezav/gitleaks/v8@v8.30.1"
# By tool: the environment that it needs.
TOOLS = {
    "detect-secrets": "detect-secrets",
    "bigcode": "detect-secrets",
    "datatrove": "datatrove",
    "dolma": "dolma",
    "presidio": "presidio",
}
NAMES = {
    "bigcode": "detect-secrets as The Stack ran it",
    "datatrove": "datatrove's PII formatter",
    "dolma": "dolma's PII tagger",
}
FOLDERS = (
    sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), "/usr/include", "/usr/local/go/src", "/usr/lib/go/src",
   "/usr/lib/node_modules",
    "/usr/share", "/usr/lib/ruby", "/usr/lib/x86_64-linux-gnu/perl", "~/.cargo/registry/src", "~/go/pkg/mod", "/usr/lib/python3",
)  # fmt: skip
BINARY = set(
    ".pyc .so .gz .png .mo .zip .jar .a .crate .woff .woff2 .ttf .jpg .jpeg .gif .exe .dll .pem .crt .key .rule .svg".split()
)
OF_A_SUFFIX = 8e6  # bytes
LONGEST = 1 << 20
KEYS = Redact(emails=False, ip_addresses=False)


def clean(folders: list[str], megabytes: float) -> list[tuple[str, str]]:
    """Return (path, text) of files that are UTF-8, each text once, in a drawn order."""
    by_suffix: dict[str, list[str]] = collections.defaultdict(list)
    for folder in folders:
        for place, inside, names in os.walk(Path(folder).expanduser()):
            inside[:] = sorted(
                n for n in inside if n not in ("testdata", "licensedcode", "detect_secrets") and "gitleaks" not in n
            )
            for name in sorted(names):
                suffix = (
                    Path(place).name if "/samples/" in f"{place}/" else Path(name).suffix.lower()
                )  # Linguist's own, by language
                if suffix not in BINARY:
                    by_suffix[suffix].append(os.path.join(place, name))
    rng, seen, found = random.Random(0), set(), []
    for suffix in sorted(by_suffix):
        rng.shuffle(by_suffix[suffix])
        found += [*_texts(by_suffix[suffix], seen)]
    rng.shuffle(found)
    sizes = 0
    for number, (_, text) in enumerate(found):
        sizes += len(text)
        if sizes > megabytes * 1e6:
            return found[:number]
    return found


def _texts(paths: list[str], seen: set[int]) -> Iterator[tuple[str, str]]:
    size = 0
    for path in paths:
        try:
            data = Path(path).read_bytes() if os.path.getsize(path) <= LONGEST else b""
            text = data.decode()
        except (OSError, UnicodeDecodeError):
            continue
        if data and b"\0" not in data and hash(data) not in seen:
            seen.add(hash(data))
            yield path, text
            size += len(data)
        if size > OF_A_SUFFIX:
            return


def blocks(texts: list[str]) -> list[pa.RecordBatch]:
    """Return texts as blocks of 500 rows."""
    schema = pa.schema([("content", pa.string()), ("content_id", pa.string()), ("length_bytes", pa.int64())])
    rows = [{"content": text, "content_id": f"{at:040x}", "length_bytes": len(text.encode())} for at, text in enumerate(texts)]
    return [pa.RecordBatch.from_pylist(rows[at : at + 500], schema) for at in range(0, len(rows), 500)]


def seconds(step: Redact, batches: list[pa.RecordBatch], rounds: int = 3) -> float:
    """Return the least CPU seconds of a step over blocks."""
    step(batches[0].slice(0, 1))
    best = float("inf")
    for _ in range(rounds):
        began = time.process_time()
        for batch in batches:
            step(batch)
        best = min(best, time.process_time() - began)
    return best


def ours(texts: list[str]) -> list[list[str]]:
    """Return the secrets that our finders find in each text."""
    found: list[list[str]] = [[] for _ in texts]
    for row, text, finds in KEYS.finds(pa.array(texts)):
        found[row] = [text[find[0] : find[1]] for find in finds]
    return found


def recall(cases: list[planted.Planted], found: list[list[str]]) -> dict[str, float]:
    """Return the share of secrets that were found whole, by kind of case."""
    whole: dict[str, list[bool]] = collections.defaultdict(list)
    for case, finds in zip(cases, found, strict=True):
        secret = case.text[case.start : case.end]
        whole[case.family.partition(":")[0]].append(any(secret in find for find in finds))
    return {family: sum(hits) / len(hits) for family, hits in whole.items()}


def peers(cases: list[str], sample: list[str], cache: Path) -> Iterator[tuple[str, dict]]:
    """Yield (name with version, answer) of each tool; a tool that cannot be installed or run says why."""
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder, name) for name in ("cases.json", "sample.json", "out.json")]
        for place, texts in zip(places, (cases, sample), strict=False):
            place.write_text(json.dumps(texts))
        for tool in (*TOOLS, "gitleaks"):
            try:
                if tool == "gitleaks":
                    python, more, version = (
                        tools.environment("starmill", cache),
                        [gitleaks(cache)],
                        GITLEAKS.rpartition("@v")[2],
                    )
                else:
                    python, more = tools.environment(TOOLS[tool], cache), []
                    version = tools.version(python, {"presidio": "presidio-analyzer"}.get(tool, TOOLS[tool]))
                tools.run([python, str(tools.PEERS / "secrets_by.py"), tool, *map(str, places), *more])
                yield f"{NAMES.get(tool, tool)} {version}", json.loads(places[-1].read_text())
            except tools.Failed as error:
                yield tool, {"failed": str(error)}


def gitleaks(cache: Path) -> str:
    """Return the program, built first where it is not there. Raises tools.Failed."""
    program = cache / "gitleaks"
    if not program.exists():
        if shutil.which("go") is None:
            raise tools.Failed("Go is not installed")
        subprocess.run(["go", "install", GITLEAKS], check=True, env={**os.environ, "GOBIN": str(cache)})
    return str(program)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--megabytes", type=float, default=240, help="of clean code, at most (default: 240)")
    parser.add_argument("--peers", type=float, default=2, help="megabytes of it that other tools read (default: 2)")
    parser.add_argument("--each", type=int, default=20, help="draws of a case; other tools have the first (default: 20)")
    parser.add_argument("--input", nargs="+", default=[*FOLDERS], metavar="DIR", help="folders of clean code")
    parser.add_argument(
        "--cache", type=Path, default=Path.home() / ".cache/starmill-benchmarks", help="environments of other tools"
    )
    parser.add_argument("--finds", type=Path, help="write each find in clean code here")
    report.add_write(parser)
    given = parser.parse_args()
    given.cache.mkdir(parents=True, exist_ok=True)
    report.tell("redact", lines(given), given.write)


def lines(given: argparse.Namespace) -> Iterator[str]:
    """Yield the lines of the result."""
    cases, few = planted.everything(1, given.each), planted.everything(2, 1)
    sample = clean(given.input, given.megabytes)
    texts = [text for _, text in sample]
    size = sum(len(t.encode()) for t in texts) / 1e6
    suffixes = len({Path(path).suffix or Path(path).name for path, _ in sample})
    found = ours(texts)
    if given.finds:
        told = [{"path": sample[at][0], "find": find} for at, finds in enumerate(found) for find in finds]
        given.finds.write_text("\n".join(map(json.dumps, told)))
    yield f"## {datetime.date.today()}, {report.processor()}, one core"
    yield ""
    yield f"{len(cases):,} planted secrets of {len(keys_shapes.shapes())} shapes and {len(planted.SYNTAXES)} syntaxes,"
    yield f"{len(planted.BLOCKS)} dresses of private keys; {len(texts):,} files of {suffixes} suffixes, {size:.0f} MB of clean code. Others"
    yield f"have {len(few):,} secrets and {given.peers:g} MB. A secret counts where it was found whole; finds in clean code are not judged."
    yield ""
    yield "| | shapes | assignments | private keys | URLs, headers | finds per MB of clean code | MB per CPU second |"
    yield "|---|---|---|---|---|---|---|"
    batches = blocks(texts)
    finds = sum(map(len, found))
    yield _row("starmill, keys", recall(cases, ours([c.text for c in cases])), finds / size, size / seconds(KEYS, batches))
    yield _row("starmill, all of `release.redact`", None, None, size / seconds(Redact(), batches))
    library = [text for path, text in clean([sysconfig.get_path("stdlib")], given.megabytes) if path.endswith(".py")]
    volume = sum(len(text.encode()) for text in library) / 1e6
    yield _row("starmill, all of it, of Python's own library", None, None, volume / seconds(Redact(), blocks(library)))
    part: list[str] = []
    for text in texts:
        if sum(map(len, part)) < given.peers * 1e6:
            part.append(text)
    few_texts, few_size = [case.text for case in few], sum(len(t.encode()) for t in part) / 1e6
    yield _row(
        "starmill, keys, the cases of the others", recall(few, ours(few_texts)), sum(map(len, ours(part))) / few_size, None
    )
    scan.HAS_HYPERSCAN = False
    plain = recall(few, ours(few_texts))
    yield _row(
        "starmill, keys, without Hyperscan",
        plain,
        sum(map(len, ours(part))) / few_size,
        few_size / seconds(KEYS, blocks(part), 1),
    )
    scan.HAS_HYPERSCAN = True
    for name, answer in peers(few_texts, part, given.cache):
        if "failed" in answer:
            yield f"| {name} | could not be run: {answer['failed'][:90]} | | | | | |"
            continue
        shares = recall(few, answer["cases"]) if any(tool in name for tool in ("secrets", "gitleaks")) else None
        yield _row(name, shares, answer["finds"] / few_size, few_size / answer["seconds"])


def _row(name: str, shares: dict[str, float] | None, finds: float | None, speed: float | None) -> str:
    families = ("shape", "assignment", "block", "call")
    cells = [f"{shares[f]:.3f}" if shares else "" for f in families]
    return f"| {name} | {' | '.join(cells)} | {'' if finds is None else f'{finds:.3f}'} | {'' if speed is None else f'{speed:,.1f}'} |"


if __name__ == "__main__":
    main()
