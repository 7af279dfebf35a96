"""A seeded corpus of real source code with planted near-duplicates: files of this machine, sampled to a size, as one Parquet file.

Roots that a machine lacks leave their share to the others, so a corpus is the same only on the same installation: its sha256
names it. Planted files are edited copies: 0.5-10 % of the lines, new headers, other indentation; a few are exact copies.
"""

import hashlib
import struct
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from starmill.core import seeds

SUFFIXES = set(
    ".c .cc .cpp .css .cu .cuh .d.ts .go .h .hpp .html .java .js .json .md .pl .pm .py .pyi .pyx .rb .rs .rst .s .sh .sql .toml .ts "
    ".txt .xml .yaml .yml".split()
)
MAX_BYTES = 1 << 20
PLANTED = 0.1  # of the bytes of real files
SCHEMA = pa.schema([("id", pa.int64()), ("name", pa.string()), ("content", pa.string())])


@dataclass(frozen=True)
class Root:
    """A kind of source tree: the first of `folders` that exist are read; `weight` is its share of the corpus."""

    name: str
    weight: float
    folders: tuple[str, ...]


def roots() -> list[Root]:
    """Return the trees that are looked for on a machine."""
    return [
        Root("packages", 6, (sysconfig.get_path("purelib"),)),
        Root("stdlib", 2, (sysconfig.get_path("stdlib"),)),
        Root("include", 2, ("/usr/include",)),
        Root("go", 3, ("/usr/local/go/src", "/usr/lib/go/src")),
        Root("node", 2, ("/usr/lib/node_modules", "/usr/local/lib/node_modules", "/usr/share/nodejs")),
        Root("ruby", 1, ("/usr/lib/ruby", "/usr/local/lib/ruby")),
        Root("perl", 1, ("/usr/share/perl", "/usr/share/perl5")),
    ]


def build(trees: list[Root], size: int, seed: int) -> pa.Table:
    """Return SCHEMA rows, about `size` bytes of UTF-8 content in an order drawn by `seed`; planted files are named so."""
    real = _sample(trees, int(size / (1 + PLANTED)), seed)
    texts = [text for _, text in real]
    sources = [i for i, text in enumerate(texts) if 500 <= len(text) <= 100_000]
    planted: list[tuple[str, str]] = []
    room = sum(len(t.encode()) for t in texts) * PLANTED
    while room > 0 and sources:
        draw = seeds.generator(seed, "edit", len(planted))
        planted.append((f"planted/{len(planted)}", edit(texts, sources[draw.integers(len(sources))], draw)))
        room -= len(planted[-1][1].encode())
    rows = [*real, *planted]
    rows.sort(key=lambda row: seeds.uint64(seed, "order", row[0]))
    return pa.table([list(range(len(rows))), *map(list, zip(*rows, strict=True))], schema=SCHEMA)


def edit(texts: list[str], source: int, draw: np.random.Generator) -> str:
    """Return a near-duplicate of a text: 3 % exact, otherwise edited lines, of which 20 % also with a new header, 10 % re-indented."""
    text = texts[source]
    if draw.random() < 0.03:
        return text
    rate = np.exp(draw.uniform(np.log(0.005), np.log(0.1)))
    strange = texts[draw.integers(len(texts))].splitlines(keepends=True) or ["\n"]
    lines: list[str] = []
    for line in text.splitlines(keepends=True):
        if draw.random() >= rate:
            lines.append(line)
        elif kind := int(draw.integers(3)):  # 0: deleted, 1: replaced, 2: something inserted before it
            lines += [strange[draw.integers(len(strange))], line][:kind]
    if draw.random() < 0.2:
        lines.insert(
            0,
            f"# Copyright {draw.integers(1990, 2026)} the authors of project {draw.integers(1000)}.\n# All rights reserved.\n",
        )
    text = "".join(lines)
    return text.replace("    ", "\t" if draw.random() < 0.5 else "  ") if draw.random() < 0.1 else text


def write(table: pa.Table, path: Path) -> None:
    """Write a corpus as Parquet, row groups of about 8 MB.

    Ids are strings, since datatrove leaves out a zero, and a second time numbers, under the only name that fdedup knows.
    """
    rows = max(1, int(len(table) * (8 << 20) / max(size(table), 1)))
    ids = table.column("id")
    table = table.set_column(0, "id", ids.cast(pa.string())).append_column("int_id_column", ids)
    pq.write_table(table, path, compression="zstd", row_group_size=rows)


def size(table: pa.Table) -> int:
    """Return the UTF-8 bytes of all content."""
    return int(pc.sum(pc.binary_length(table.column("content"))).as_py() or 0)


def shares(table: pa.Table) -> str:
    """Return the files and MB of each root."""
    sizes: dict[str, list[float]] = {}
    lengths = pc.binary_length(table.column("content")).to_pylist()
    for name, length in zip(table.column("name").to_pylist(), lengths, strict=True):
        total = sizes.setdefault(name.split("/")[0], [0, 0.0])
        total[0] += 1
        total[1] += length / 2**20
    return ", ".join(f"{name} {count:,} files {megabytes:.1f} MB" for name, (count, megabytes) in sorted(sizes.items()))


def sha256(table: pa.Table) -> str:
    """Return the digest of names and contents, in order."""
    digest = hashlib.sha256()
    for name, content in zip(*(table.column(c).cast(pa.binary()).to_pylist() for c in ("name", "content")), strict=True):
        digest.update(struct.pack("<QQ", len(name), len(content)) + name + content)
    return digest.hexdigest()


def _sample(trees: list[Root], size: int, seed: int) -> list[tuple[str, str]]:
    """Return (name, text) of files drawn from each tree up to its share; what trees could not give, the others do."""
    waiting = {tree.name: iter(_draw(tree, seed)) for tree in trees}
    taken: list[tuple[str, str]] = []
    missing = float(size)
    while waiting and missing > 0:
        weights = {tree.name: tree.weight for tree in trees if tree.name in waiting}
        shares = {name: missing * weight / sum(weights.values()) for name, weight in weights.items()}
        for name, share in shares.items():
            for path, text in waiting[name]:
                taken.append((path, text))
                length = len(text.encode())
                share, missing = share - length, missing - length
                if share <= 0:
                    break
            else:
                del waiting[name]
    return taken


def _draw(tree: Root, seed: int) -> Iterator[tuple[str, str]]:
    """Yield the UTF-8 files of a tree in an order drawn by the seed."""
    found: dict[str, Path] = {}
    for folder in map(Path, tree.folders):
        for path in folder.rglob("*"):
            if path.suffix in SUFFIXES and path.is_file() and not path.is_symlink() and 0 < path.stat().st_size <= MAX_BYTES:
                inside = path.relative_to(folder)
                if tree.name != "stdlib" or not {"site-packages", "dist-packages"} & set(inside.parts):
                    found.setdefault(f"{tree.name}/{inside}", path)
    for name in sorted(found, key=lambda n: (seeds.uint64(seed, "file", n), n)):
        try:
            yield name, found[name].read_bytes().decode("utf-8")
        except UnicodeDecodeError:
            continue
