"""The index of what is in the shards: units in columns, about 24 bytes per unit and 10 per file, however long their names are.

A unit is a run of whole files of one repository, of about `unit_tokens`, so that one large repository does not fill the first
thousand batches. Names are read from the side tables when they are needed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from starmill.core import seeds
from starmill.core.document import CODE
from starmill.core.shards import ShardReader
from starmill.trainer.config import Mixture

PLACE = np.dtype(
    [(n, np.int32) for n in ("shard", "document", "start", "end")]
    + [(n, np.int16) for n in ("kind", "language")]
    + [("weight", np.float32)]
)


@dataclass(frozen=True)
class Files:
    """The files of one shard's documents, in columns: those of document d are [first[d], first[d + 1]) of the other columns."""

    first: np.ndarray
    start: np.ndarray  # tokens, in the document
    end: np.ndarray
    language: np.ndarray  # index into Units.names


@dataclass(frozen=True)
class Unit:
    """Tokens [start, end) of a document; `language` is that of most of them, `weight` the document's."""

    shard: int
    document: int
    start: int
    end: int
    kind: str
    language: str
    weight: float


@dataclass(frozen=True)
class Units:
    """Units of some shards."""

    shards: Sequence[ShardReader]
    places: np.ndarray  # PLACE
    files: tuple[Files, ...]
    names: tuple[str, ...]  # of kinds and languages

    def __len__(self) -> int:
        """Return how many units there are."""
        return len(self.places)

    def __getitem__(self, number: int) -> Unit:
        """Return one unit."""
        shard, document, start, end, kind, language, weight = self.places[number].item()
        return Unit(shard, document, start, end, self.names[kind], self.names[language], weight)

    @property
    def tokens(self) -> int:
        """Tokens of all units."""
        return int((self.places["end"] - self.places["start"]).sum(dtype=np.int64))

    def sizes(self, column: str) -> dict[str, int]:
        """Return the tokens of each value of `column` (kind, language), largest first."""
        counted = np.zeros(len(self.names), np.int64)
        np.add.at(counted, self.places[column], self.places["end"] - self.places["start"])
        found = {name: int(n) for name, n in zip(self.names, counted, strict=True) if n}
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    def epoch_sizes(self, column: str, factors: np.ndarray) -> dict[str, float]:
        """Return the tokens that an epoch has of each value of `column`, where it has unit i factors[i] times."""
        counted = np.zeros(len(self.names))
        np.add.at(counted, self.places[column], (self.places["end"] - self.places["start"]) * factors)
        return {name: float(counted[self.names.index(name)]) for name in self.sizes(column)}

    def spans(self, unit: Unit) -> tuple[list[tuple[int, int, int]], int]:
        """Return (number, start, end) in the document of each file of a unit, and how many files the document has."""
        files = self.files[unit.shard]
        first, last = int(files.first[unit.document]), int(files.first[unit.document + 1])
        starts = files.start[first:last]
        # A file belongs to the unit that has the sentinel before it, so that an empty file between two units is in one of them.
        low = int(np.searchsorted(starts, unit.start, side="right")) if unit.start else 0
        high = int(np.searchsorted(starts, unit.end, side="right"))
        return [(i, int(starts[i]), int(files.end[first + i])) for i in range(low, high)], last - first

    def languages(self, unit: Unit, start: int, count: int) -> np.ndarray:
        """Return the language of `count` tokens from `start` of an unchanged unit, as indexes into `names`."""
        files = self.files[unit.shard]
        of = slice(int(files.first[unit.document]), int(files.first[unit.document + 1]))
        # A sentinel between two files belongs to the second.
        at = np.searchsorted(files.end[of], np.arange(start, start + count) + unit.start, side="right")
        known = np.append(files.language[of], self.names.index(unit.language))
        return known[np.minimum(at, max(0, len(known) - 2))]

    def named(self, number: int) -> list[str]:
        """Return `repository:path swh:1:cnt:...` of each file in a unit, from the side table."""
        unit = self[number]
        row = self.shards[unit.shard].table.slice(unit.document, 1).to_pylist()[0]
        files = [row["files"][i] for i, _, _ in self.spans(unit)[0]]
        return [f"{row['repo_name']}:{f['path']} swh:1:cnt:{f['content_id']}" for f in files]

    def factors(self, mixture: Mixture) -> np.ndarray:
        """Return how often an epoch has each unit, by `mixture` and the weights in the shards."""
        weights = self.places["weight"].astype(np.float64)
        kinds = np.array([mixture.kinds.get(name, mixture.other_kinds) for name in self.names])
        languages = np.array([mixture.languages.get(name, mixture.other_languages) for name in self.names])
        for name, cap in mixture.caps.items():
            if name in self.names:
                number = self.names.index(name)
                chosen = (self.places["language"] == number) & (self._is_code)
                total = float(((self.places["end"] - self.places["start"]) * weights)[chosen].sum())
                languages[number] = min(languages[number], cap / total if total else 1.0)
        return weights * kinds[self.places["kind"]] * np.where(self._is_code, languages[self.places["language"]], 1.0)

    @property
    def _is_code(self) -> np.ndarray:
        return self.places["kind"] == (self.names.index(CODE) if CODE in self.names else -1)


def read_units(shards: Sequence[ShardReader], unit_tokens: int) -> Units:
    """Cut every document into units at file boundaries; a file larger than `unit_tokens` is a unit alone."""
    names: dict[str, int] = {}
    places, found = [np.zeros(0, PLACE)], []
    for number, shard in enumerate(shards):
        files_columns = ("files.token_start", "files.token_count", "files.language")
        table = _columns(shard, ("kind", "language", "token_count", "weight", *files_columns))
        nested = table["files"].combine_chunks()
        offsets = nested.offsets.to_numpy() if len(nested) else np.zeros(1, np.int32)
        flat = nested.flatten()
        start = flat.field("token_start").to_numpy().astype(np.int32)
        end = start + flat.field("token_count").to_numpy().astype(np.int32)
        files = Files(offsets.astype(np.int64) - int(offsets[0]), start, end, _numbered(flat.field("language"), names))
        rows = []
        kinds, languages = (_numbered(table[c].combine_chunks(), names) for c in ("kind", "language"))
        weights = table["weight"].fill_null(1).to_pylist() if "weight" in table.schema.names else [1.0] * table.num_rows
        for document, tokens in enumerate(table["token_count"].to_numpy()):
            of = slice(int(files.first[document]), int(files.first[document + 1]))
            for first, last in _cut(files.start[of], files.end[of], int(tokens), unit_tokens):
                language = _most(files, of, first, last, int(languages[document]))
                rows.append((number, document, first, last, int(kinds[document]), language, weights[document]))
        places.append(np.array(rows, PLACE))
        found.append(files)
    return Units(shards, np.concatenate(places), tuple(found), tuple(names))


def split(units: Units, held_out: float, seed: int) -> tuple[Units, Units]:
    """Return (training, held-out) units; a repository is wholly in one of them, by a hash of its name."""
    mask = np.zeros(len(units), bool)
    for number, shard in enumerate(units.shards if held_out else ()):
        names = _columns(shard, ("repo_name",))["repo_name"].to_pylist()
        held = np.array([seeds.uniform(seed, "held_out", name) < held_out for name in names], bool)
        here = units.places["shard"] == number
        mask[here] = held[units.places["document"][here]]
    return replace(units, places=units.places[~mask]), replace(units, places=units.places[mask])


def _columns(shard: ShardReader, wanted: Iterable[str]) -> pa.Table:
    with pq.ParquetFile(f"{shard.prefix}.docs.parquet") as file:
        paths = [file.schema.column(i).path for i in range(len(file.schema.names))]
        # Parquet puts `list.element` between a list and its fields.
        return file.read([p for p in paths if f"{p.split('.')[0]}.{p.split('.')[-1]}" in wanted or p in wanted])


def _numbered(column: pa.Array, names: dict[str, int]) -> np.ndarray:
    coded = pc.fill_null(column, "").dictionary_encode()
    known = np.array([names.setdefault(name, len(names)) for name in coded.dictionary.to_pylist()], np.int16)
    return known[coded.indices.to_numpy()] if len(coded) else np.zeros(0, np.int16)


def _cut(starts: np.ndarray, ends: np.ndarray, tokens: int, unit_tokens: int) -> list[tuple[int, int]]:
    # A unit starts with the <file_sep> before its first file; the first one with whatever opens the document.
    cuts = [0]
    if tokens > unit_tokens:
        for i in range(1, len(starts)):
            if int(ends[i]) - cuts[-1] > unit_tokens:
                cuts.append(int(starts[i]) - 1)
    return list(zip(cuts, [*cuts[1:], tokens], strict=True))


def _most(files: Files, of: slice, start: int, end: int, otherwise: int) -> int:
    inside = np.flatnonzero((files.start[of] >= start) & (files.end[of] <= end)) + of.start
    if not len(inside):
        return otherwise
    return int(np.bincount(files.language[inside], files.end[inside] - files.start[inside] + 1).argmax())
