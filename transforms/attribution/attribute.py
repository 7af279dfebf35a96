"""From a text to the files of a release that hold it: fingerprints say which files to look into, and their texts what is there.

Nothing is said by a hash alone: each span was compared with the text of the release, and extended as far as both are equal. A span of 99
characters (of a squashed text, as squash.py has it) is found wherever it stands; shorter ones of 50 and more often.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from starmill.core import swhid
from starmill.core.dataset import Workspace
from starmill.transforms.attribution import fingerprints, matches
from starmill.transforms.attribution.lookup import Index, Texts
from starmill.transforms.attribution.matches import Region, regions
from starmill.transforms.attribution.squash import Squashed

LEVELS = 100  # of similarity: by per cent
Found = tuple[Region, dict[str, object], tuple[int, int]]  # what a file holds, its row and its place in the release


@dataclass(frozen=True)
class Holder:
    """A file that holds a span: its lines from `first_line` to `last_line`, from 1, in the text of the release."""

    repo_name: str
    path: str
    swhid: str
    license_type: str | None
    licenses: tuple[str, ...]
    first_line: int
    last_line: int


@dataclass(frozen=True)
class Span:
    """Characters [start, end) of a text that a release holds, and the best-ranked of the `count` files that were seen to hold them.

    `common`: where a fingerprint in it is that of so many files that some stand for all, how many; else 0. More files may hold it then.
    """

    start: int
    end: int
    similarity: float
    count: int
    common: int
    files: tuple[Holder, ...]


@dataclass(frozen=True)
class Attribution:
    """What a release holds of a text of `characters`. `unread`: files that share a fingerprint, and were not compared.

    `cut`: files that share MOST stretches with it: behind these, nothing is looked at.
    """

    characters: int
    spans: tuple[Span, ...]
    unread: int
    cut: int


class Attributor:
    """Answers for one finished workspace; what it read of it stays for the next text."""

    def __init__(self, workspace: Workspace) -> None:
        """Open nothing yet."""
        self._index, self._texts = Index(workspace), Texts(workspace)

    def __call__(self, text: str, most_files: int = 10, candidates: int = 4000) -> Attribution:
        """Return what of a text the release holds. Raises InputError where there are no fingerprints, or those of another release.

        `most_files` are named for each span. At most `candidates` files are compared, those first that share the most fingerprints; of
        each fingerprint at least one, as long as there is room.
        """
        asked = Squashed.of(text)
        at, hashes = fingerprints.chosen(asked.grams)
        rows = self._index.find(np.unique(hashes))
        chosen, unread = _candidates(rows, candidates)
        found, cut = list[Found](), 0
        for place in chosen:
            row = self._texts.row(*place)
            content = Squashed.of(str(row.pop("content")))
            shared = regions(asked, content)
            cut += sum(region.similarity == 1 for region in shared) >= matches.MOST
            for region in shared:
                first, last = content.span(region.file_start, region.file_end)
                begin = content.raw.count(b"\n", 0, first) + 1
                lines = {"first_line": begin, "last_line": begin + content.raw.count(b"\n", first, last)}
                found.append((region, row | lines, place))
        return Attribution(len(text), tuple(_spans(asked, found, _common(rows, at, hashes), most_files)), unread, cut)


def _candidates(rows: pa.Table, most: int) -> tuple[list[tuple[int, int]], int]:
    """Return the files to compare, in the order in which they lie, and how many are left out."""
    files = (rows.column("part").to_numpy().astype(np.int64) << 32) | rows.column("row").to_numpy()
    every, inverse, hits = np.unique(files, return_inverse=True, return_counts=True)
    rank = np.empty(len(every), np.int64)
    rank[np.lexsort((every, -hits))] = np.arange(len(every))
    # The best file of each fingerprint goes before all others.
    best = np.full(len(every), 1, np.int64)
    order = np.lexsort((rank[inverse], rows.column("hash").to_numpy()))
    first = np.unique(rows.column("hash").to_numpy()[order], return_index=True)[1]
    best[inverse[order[first]]] = 0
    chosen = np.sort(every[np.lexsort((rank, best))[:most]])
    return [(int(f) >> 32, int(f) & 0xFFFFFFFF) for f in chosen.tolist()], max(0, len(every) - most)


def _common(rows: pa.Table, at: np.ndarray, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the grams of the text whose fingerprint many files have, of which one stands for all, and how many these are."""
    rows = rows.filter(pc.greater(rows.column("files"), 0))
    known, counts = rows.column("hash").to_numpy(), rows.column("files").to_numpy()
    some = np.isin(hashes, known)
    return at[some], counts[np.searchsorted(known, hashes[some])]


def _spans(
    asked: Squashed,
    found: list[Found],
    common: tuple[np.ndarray, np.ndarray],
    most: int,
) -> list[Span]:
    by_region: dict[tuple[int, int, float], dict[tuple[int, int], dict[str, object]]] = {}
    for region, row, place in found:
        by_region.setdefault((region.start, region.end, region.similarity), {}).setdefault(place, row)
    reached = np.zeros(LEVELS + 1, np.int64)  # by similarity: how far the spans go that were taken
    spans = []
    for start, end, similarity in sorted(by_region, key=lambda key: (key[0], -key[1], -key[2])):
        level = int(similarity * LEVELS)
        if reached[level:].max() >= end:  # a longer one that is as similar holds it
            continue
        reached[level] = end
        held = sorted(by_region[start, end, similarity].items(), key=_rank)
        inside = slice(*np.searchsorted(common[0], np.searchsorted(asked.starts, [start, end])))
        shared = int(max(common[1][inside], default=0))
        files = tuple(_holder(row) for _, row in held[:most])
        spans.append(Span(*asked.characters_of(start, end), similarity, len(held), shared, files))
    return spans


def _rank(held: tuple[tuple[int, int], dict[str, object]]) -> tuple[int, tuple[int, int]]:
    stars = held[1]["star_events_count"]
    return (-stars if isinstance(stars, int) else 1, held[0])


def _holder(row: dict[str, object]) -> Holder:
    licenses = row["detected_licenses"]
    return Holder(
        str(row["repo_name"]),
        str(row["path"]),
        swhid.swhid("cnt", str(row["content_id"])),
        None if row["license_type"] is None else str(row["license_type"]),
        tuple(licenses) if isinstance(licenses, list) else (),
        int(str(row["first_line"])),
        int(str(row["last_line"])),
    )


def shown(found: Attribution, label: Callable[[str], str]) -> Attribution:
    """Return it with each name as a view shows it."""

    def holder(file: Holder) -> Holder:
        values = vars(file) | {"repo_name": label(file.repo_name), "path": label(file.path)}
        return Holder(**values | {"licenses": tuple(map(label, file.licenses))})

    spans = (Span(s.start, s.end, s.similarity, s.count, s.common, tuple(map(holder, s.files))) for s in found.spans)
    return Attribution(found.characters, tuple(spans), found.unread, found.cut)
