"""What a manifest says in sum, so that a view of a hundred thousand parts reads no list of them.

A manifest grows with its parts, a summary with reasons, languages and kinds alone. It lies beside the manifest, is published before it,
and says by `mark` which manifest it sums up: one that does not fit, or is not there, is made anew from the manifest, which is slow.
"""

import hashlib
import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from starmill.core import seeds
from starmill.core.part import Count, Manifest, Tokens

NAME = "summary.json"
EDGE = 1 << 16  # bytes of a manifest's two ends, which its mark digests; of a small one all
DRAWN = 64  # parts with their rows: what a view looks at of a large dataset
OF_REASON = 64  # parts of a reason


@dataclass(frozen=True)
class Files:
    """The files of one folder that a dataset's sidecars list; `digest`: over their paths and sha256, in the order of the parts."""

    files: int
    bytes: int
    digest: str


@dataclass(frozen=True)
class Where:
    """How many parts dropped records for a reason, and the first of them in the drawn order."""

    step: str
    reason: str
    parts: int
    first: tuple[int, ...]


@dataclass(frozen=True)
class Summary:
    """The sums over a manifest's parts. `drawn`: (part, rows) of the first parts in the drawn order; `ends`: the first and the last of
    the dataset's own files, without those of `dropped/`; `lineage`: what was read, by folder, as `Files.digest` is of what was made.
    """

    stage: str
    dataset: str
    digest: str
    mark: str
    parts: int
    counts: tuple[Count, ...]
    tokens: tuple[Tokens, ...]
    where: tuple[Where, ...]
    drawn: tuple[tuple[int, int], ...]
    outputs: dict[str, Files]
    lineage: dict[str, str]
    ends: tuple[str, ...]


def mark(size: int, read: Callable[[int, int], bytes]) -> str:
    """Return the digest that tells a manifest from others: of its size, and of what `read(start, end)` returns of its ends.

    >>> data = bytes(EDGE * 9)
    >>> mark(len(data), lambda start, end: data[start:end]) == mark(EDGE, lambda start, end: data[start:end])
    False
    """
    ends = ((0, size),) if size <= 2 * EDGE else ((0, EDGE), (size - EDGE, size))
    return hashlib.sha256(b"".join((b"%d\n" % size, *(read(*end) for end in ends)))).hexdigest()


def order(part: int) -> int:
    """Return the place of a part in the drawn order, which is the same in all datasets: no view needs to look at all parts."""
    return seeds.uint64(0, "report", part) >> 1


def first(parts: Iterable[int], most: int) -> tuple[int, ...]:
    """Return the first `most` of some parts in the drawn order.

    >>> len(first(range(1000), 3)), first([7], 3)
    (3, (7,))
    """
    return tuple(heapq.nsmallest(most, parts, key=order))


def of(manifest: Manifest, mark: str) -> Summary:
    """Return the sums of a manifest."""
    counts: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0, 0])
    tokens: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0, 0, 0.0])
    where: dict[tuple[str, str], list[int]] = defaultdict(list)
    folders: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    made, read = defaultdict[str, "hashlib._Hash"](hashlib.sha256), defaultdict[str, "hashlib._Hash"](hashlib.sha256)
    for part in manifest.parts:
        for count in part.counts:
            sums = counts[count.step, count.reason, count.language, count.kind]
            sums[0] += count.files
            sums[1] += count.bytes
        for reason in {(c.step, c.reason) for c in part.counts if c.reason}:
            where[reason].append(part.part)
        for held in part.tokens:
            some = tokens[held.kind, held.language]
            some[:] = some[0] + held.documents, some[1] + held.tokens, some[2] + held.epoch
        for output in part.outputs:
            folder = output.path.rpartition("/")[0]
            folders[folder][0] += 1
            folders[folder][1] += output.bytes
            made[folder].update(f"{output.path} {output.sha256}\n".encode())
        for path, sha256 in sorted(part.lineage.items()):
            read[path.rpartition("/")[0]].update(f"{path} {sha256}\n".encode())
    rows = {part.part: sum(output.rows or 0 for output in part.outputs) for part in manifest.parts}
    own = [o.path for part in manifest.parts for o in part.outputs if not o.path.startswith("dropped/")]
    return Summary(
        manifest.stage,
        manifest.dataset,
        manifest.digest,
        mark,
        len(manifest.parts),
        tuple(
            Count(step, reason, language, n, size, kind) for (step, reason, language, kind), (n, size) in sorted(counts.items())
        ),
        tuple(Tokens(*key, int(n), int(t), epoch) for key, (n, t, epoch) in sorted(tokens.items())),
        tuple(Where(*reason, len(parts), first(parts, OF_REASON)) for reason, parts in sorted(where.items())),
        tuple((part, rows[part]) for part in first(rows, DRAWN)),
        {folder: Files(n, size, made[folder].hexdigest()) for folder, (n, size) in sorted(folders.items())},
        {folder: digest.hexdigest() for folder, digest in sorted(read.items())},
        (own[0], own[-1]) if own else (),
    )
