"""The dump of benchmarks/ablation.py: this machine's code with copies and secrets planted in it, and what is held out of it.

Repositories (folders of packages and libraries) are either trained on or held out. Files to train on get edited copies in other
repositories, few files many and many files one (`COPIES`), until these are a share of the bytes; then secrets are put between lines of
files, each into as many files as `SECRETS` says. Held-out files have no more than half of their shingles anywhere in the training text, nor
in one another.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import corpus
import planted
import pyarrow as pa

from starmill.core import seeds
from starmill.transforms.dedup.minhash import shingles

LANGUAGES = {  # of the held-out files, by the ending of a name
    ".py": "py", ".js": "js", ".go": "go", ".c": "c", ".h": "c", ".rb": "rb", ".pl": "pl", ".pm": "pl",
}  # fmt: skip
COPIES = (32, 8, 4, 2, 2, 1, 1, 1, 1, 1, 1, 1)  # of one source after the other, again and again
COPIED = 0.45  # share of the dump's bytes that are copies: near-deduplication took 38 % of The Stack's files (arXiv 2211.15533)
SECRETS = {
    32: 6,
    8: 12,
    2: 24,
    0: 24,
}  # files that have a secret, and how many such secrets there are; in none: to compare with
HELD_OUT = 8  # one repository of so many
ALIKE = 0.5  # highest share of a held-out file's shingles that are elsewhere
SOURCE = (500, 4000)  # characters of a file that is copied
LARGEST = 16_000  # bytes of a file: a large one would be half of a small dump
HELD = (300, 4000)  # bytes of a held-out file
HOLE = 14  # lines of the piece that a line to fill in is asked of
WINDOW = 450  # bytes of it, so that it fits the smallest model's positions
MARGIN = re.compile(r"\n(?=\S)")  # before a line that begins at the margin


@dataclass(frozen=True)
class File:
    """A file of the dump; `copies` is how many edited copies of it there are beside it."""

    repository: str
    path: str
    text: str
    copies: int = 0

    @property
    def name(self) -> str:
        """Its place in the dump."""
        return f"{self.repository}/{self.path}"


@dataclass(frozen=True)
class Secret:
    """A drawn secret: the text before it, which a model is asked to go on from, and in how many files both are."""

    before: str
    secret: str
    after: str
    files: int


@dataclass(frozen=True)
class Dump:
    """Files to train on with what is planted in them, those without it, and held-out texts by language."""

    files: list[File]
    clean: list[File]
    secrets: list[Secret]
    held_out: dict[str, list[str]]


def make(trees: Sequence[corpus.Root], size: int, held_out: int, seed: int) -> Dump:
    """Return a dump of about `size` bytes, and up to `held_out` bytes of each language that nobody trains on."""
    wanted, own, away = size * (1 - COPIED), [], []
    room = dict.fromkeys(LANGUAGES.values(), 6.0 * held_out)
    table = corpus.build(list(trees), 12 * size, seed)  # of which large files go, and most of a held-out repository
    for name, text in zip(*(table.column(c).to_pylist() for c in ("name", "content")), strict=True):
        if name.startswith("planted/") or len(text.encode()) > LARGEST:
            continue
        file = File(*_split(name), text)
        if seeds.uint64(seed, "held out", file.repository) % HELD_OUT == 0:
            language = LANGUAGES.get(PurePosixPath(name).suffix)
            if language and room[language] > 0 and HELD[0] <= len(text.encode()) <= HELD[1]:
                room[language] -= len(text.encode())
                away.append((language, text))
        elif wanted > 0:
            own.append(file)
            wanted -= len(text.encode())
    clean, made = copies(own, seed)
    files, secrets = with_secrets(
        sorted([*clean, *made], key=lambda file: (seeds.uint64(seed, "order", file.name), file.name)), seed
    )
    return Dump(files, clean, secrets, apart([file.text for file in files], away, held_out))


def copies(own: Sequence[File], seed: int) -> tuple[list[File], list[File]]:
    """Return the files, which know now how often they are copied, and the copies, which lie in repositories of their own."""
    texts = [file.text for file in own]
    sources = [at for at, file in enumerate(own) if SOURCE[0] <= len(file.text) <= SOURCE[1]]
    sources.sort(key=lambda at: seeds.uint64(seed, "source", own[at].name))
    room = sum(len(text.encode()) for text in texts) * COPIED / (1 - COPIED)
    counts, made = dict[int, int](), list[File]()
    for turn, at in enumerate(sources):
        if room <= 0:
            break
        counts[at] = COPIES[turn % len(COPIES)]
        for number in range(counts[at]):
            text = corpus.edit(texts, at, seeds.generator(seed, "copy", at, number))
            made.append(File(f"fork{number:02d}--{own[at].repository}", own[at].path, text))
            room -= len(text.encode())
    return [replace(file, copies=counts.get(at, 0)) for at, file in enumerate(own)], made


def with_secrets(files: Sequence[File], seed: int) -> tuple[list[File], list[Secret]]:
    """Return the files with secrets between their lines, and the secrets."""
    draw = random.Random(seeds.uint64(seed, "secrets"))
    cases = [*planted.shapes(draw, 1), *planted.assignments(draw, 1), *planted.calls(draw, 4)]
    cases = [case for case in cases if 12 <= case.end - case.start <= 64 and "\n" not in case.text.rstrip("\n")]
    draw.shuffle(cases)
    texts, found = [file.text for file in files], list[Secret]()
    for often, many in SECRETS.items():
        for _ in range(many):
            case, told = cases.pop(), f"{draw.choice(('staging', 'billing', 'search', 'mail'))} {draw.randrange(10_000)}"
            before = f"# access of {told}\n{case.text[: case.start]}"
            found.append(Secret(before, case.text[case.start : case.end], case.text[case.end :].rstrip("\n") + "\n", often))
            for at in draw.sample(range(len(files)), min(often, len(files))):
                texts[at] = _put(texts[at], before + found[-1].secret + found[-1].after, draw)
    return [replace(file, text=text) for file, text in zip(files, texts, strict=True)], found


def apart(training: Sequence[str], held_out: Sequence[tuple[str, str]], size: int) -> dict[str, list[str]]:
    """Return up to `size` bytes of texts of each language of which at most ALIKE of the shingles are in the training texts or before."""
    known = {int(one) for text in training for one in shingles(text.encode(), 5)}
    found: dict[str, list[str]] = {}
    left: dict[str, float] = {}
    for language, text in held_out:
        own = {int(one) for one in shingles(text.encode(), 5)}
        if left.setdefault(language, size) <= 0 or not own or len(own & known) > ALIKE * len(own):
            continue
        known |= own
        left[language] -= len(text.encode())
        found.setdefault(language, []).append(text)
    return dict(sorted(found.items()))


def write(dump: Dump, folder: Path) -> None:
    """Write dump/ for starmill, corpus.parquet for peers, and held-out texts: whole (`likely`), and pieces to fill in (`holes`)."""
    for file in dump.files:
        _write(folder / "dump" / file.repository / file.path, file.text)
    rows = [range(len(dump.files)), [file.name for file in dump.files], [file.text for file in dump.files]]
    (folder / "corpus").mkdir(parents=True, exist_ok=True)
    corpus.write(pa.table([pa.array(row) for row in rows], schema=corpus.SCHEMA), folder / "corpus/corpus.parquet")
    for language, texts in dump.held_out.items():
        for number, text in enumerate(texts):
            _write(folder / f"likely/{number:04d}.{language}", text)
            if piece := _piece(text, number):
                _write(folder / f"holes/{number:04d}.{language}", piece)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())


def _split(name: str) -> tuple[str, str]:
    """Return the repository of a file of this machine and its path in it: up to three folders below the tree, or a module beside them."""
    tree, *parts = name.split("/")
    own = parts[:3] if len(parts) > 3 else [*parts[:-1], PurePosixPath(parts[-1]).stem]
    return "--".join((tree, *own)), "/".join(parts[3:]) or parts[-1]


def _put(text: str, inserted: str, draw: random.Random) -> str:
    places = [found.end() for found in MARGIN.finditer(text)] or [0]
    at = draw.choice(places)
    return text[:at] + inserted + text[at:]


def _piece(text: str, number: int) -> str:
    lines = text.splitlines(keepends=True)
    start = int(seeds.uint64(0, "hole", number, text[:200]) % max(1, len(lines) - HOLE))
    piece = ""
    for line in lines[start : start + HOLE]:
        if len((piece + line).encode()) > WINDOW:
            break
        piece += line
    return piece if piece.count("\n") >= HOLE // 2 else ""
