"""What dedup reads and compares: signatures, ranks and shingle sets of files by id, of this workspace and of earlier releases.

Text is decoded of candidates only, by row group, and never read of an earlier release: there the signatures' estimate decides. A file
is part << 32 | row. Parts of the i-th earlier release are numbered from (i + 1) << 24, so they never meet this one's.
"""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from starmill.core import seeds, skips
from starmill.core.dataset import Workspace, part_path
from starmill.core.errors import InputError, MachineError, NotThere
from starmill.pipelines.stages.ledger import digest_of, lineage
from starmill.transforms.dedup import bands, clusters, hot, verify
from starmill.transforms.dedup.minhash import MinHash, matrix, why_others

RELEASE = 1 << 24
Sets = dict[int, np.ndarray]  # shingle sets by file
CHUNK = 1 << 14  # pairs that are compared at once: few sets, where they are sorted


def is_earlier(files: np.ndarray) -> np.ndarray:
    """Say which files lie in an earlier release."""
    return files >> 32 >= RELEASE


@dataclass(frozen=True)
class Candidates:
    """Reads rows of a workspace's parts; `options.earlier` adds other workspaces, of which only kept files count.

    `releases` are their URLs as any process finds them; verdicts name them as the options do.
    """

    workspace: Workspace
    options: MinHash
    releases: tuple[str, ...] = ()

    @classmethod
    def of(cls, workspace: Workspace, options: MinHash) -> "Candidates":
        """Return the reader, with releases below this process's folder made absolute: a worker has another one."""
        places = [Workspace(url) for url in options.earlier]
        return cls(workspace, options, tuple(p.root if p.is_local else p.url for p in places))

    def place(self, part: int) -> tuple[Workspace, int, str | None]:
        """Return the workspace of a part, its number there, and the earlier release's name."""
        release, number = divmod(part, RELEASE)
        if not release:
            return self.workspace, number, None
        return Workspace((self.releases or self.options.earlier)[release - 1]), number, self.options.earlier[release - 1]

    def earlier_parts(self) -> list[int]:
        """Return the parts of all earlier releases. Raises ValueError for a workspace that was not deduplicated."""
        parts = []
        for i, url in enumerate(self.options.earlier):
            manifest = Workspace(url).manifest("verdicts")
            if manifest is None:
                raise InputError(f"minhash.earlier: {url} has no verdicts/manifest.json; run `starmill dedup` there first")
            parts += [(i + 1) * RELEASE + p.part for p in manifest.parts]
        return parts

    def compare(self, part: int) -> None:
        """Compare what the stage reads of a part with the sha256 of who published it: once, before anything is read, since later on
        each worker reads other pieces of it. Raises MachineError; InputError for a part of an earlier release without sidecar, or with
        signatures that were made in another way.
        """
        workspace, number, release = self.place(part)
        if release is None:
            with suppress(NotThere):  # told by who reads it
                lineage(workspace, number, "curated", folders=("curated", "signatures"), compare=True)
            return
        sidecar = workspace.sidecar("verdicts", number)
        if sidecar is None:
            raise InputError(f"minhash.earlier: {release}: part {number} of verdicts/ has no sidecar; run `starmill run` there")
        known = sidecar.lineage | {made.path: made.sha256 for made in sidecar.outputs}
        for path in (part_path("verdicts", number), part_path("signatures", number)):
            if digest_of(workspace, path) != known.get(path):  # nothing is taken back: the release is not this run's
                raise MachineError(
                    f"minhash.earlier: {workspace.path(path)}: its bytes are not those that its release published: it is damaged, or was "
                    f"changed. Copy it there again, or run `starmill verify --all --workspace {release}`, then `starmill run` there"
                )
        with workspace.open(path) as file:
            others = why_others(pq.read_schema(file).metadata, self.options) if self.options.near else None
        if others:
            raise InputError(
                f"minhash.earlier: {workspace.path(path)}: its signatures cannot be compared with this run's: {others}. Give this recipe "
                f"the same minhash, or run `starmill run --workspace {release}` there with this starmill and these values"
            )

    def blocks(self, part: int, columns: Sequence[str]) -> Iterator[tuple[np.ndarray, pa.RecordBatch]]:
        """Yield (ids, block) of signatures/part-k; of an earlier release, the rows that it kept."""
        workspace, number, release = self.place(part)
        keep = workspace.table(part_path("verdicts", number), ["keep"]).column("keep").combine_chunks() if release else None
        first = 0
        for block in workspace.blocks(part_path("signatures", number), columns):
            skips.go_on()
            ids = bands.file_ids(part, first + np.arange(block.num_rows))
            if keep is not None:
                stays = keep.slice(first, block.num_rows)
                yield ids[stays.to_numpy(zero_copy_only=False)], block.filter(stays)
            else:
                yield ids, block
            first += block.num_rows

    def rows(self, dataset: str, files: np.ndarray, columns: Sequence[str]) -> Iterator[tuple[np.ndarray, pa.RecordBatch]]:
        """Yield (ids, rows) of some files, ascending, a row group at a time; other row groups are not read."""
        wanted = np.unique(files)
        for part in np.unique(wanted >> 32).tolist():
            yield from self._rows(dataset, part, wanted[wanted >> 32 == part], columns)

    def shingles(self, files: np.ndarray, twins: np.ndarray) -> Iterator[tuple[Sets, Sets]]:
        """Yield the shingle sets of some files, a row group at a time; of `twins` also those with operators as words."""
        for ids, block in self.rows("curated", files, [*clusters.IDENTITY, "content"]):
            texts, sets, tokens = block.column("content"), Sets(), Sets()
            is_twin = np.isin(ids, twins)
            for row in skips.each("dedup", "shingles", block):
                file, text = ids[row : row + 1].tolist(), texts[row : row + 1]
                sets |= verify.shingle_sets(file, text, self.options.shingle_words)
                if is_twin[row]:
                    tokens |= verify.token_sets(file, text, self.options.shingle_words)
            yield sets, tokens

    def describe(self, files: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[pa.RecordBatch]]:
        """Return the distinct ids, ascending, their signatures, dtype[ids, permutations], and FILE blocks."""
        columns = [*clusters.RANKING, *clusters.IDENTITY, "signature"]
        ids, minima = [np.empty(0, np.int64)], [np.empty((0, self.options.permutations), self.options.dtype)]
        described = []
        for here, block in self.rows("signatures", files, columns):
            ids.append(here)
            minima.append(matrix(block.column("signature"), self.options))
            described.append(clusters.describe(block, here, self.place(int(here[0] >> 32))[2]))
        return np.concatenate(ids), np.concatenate(minima), described

    def verify(self, parts: range, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray, pa.Table]:
        """Return of distinct pairs of ids (int64[n, 2], one of each in `parts`) those at the threshold, their similarities, and
        FILE rows of all files. Holds the shingle sets of the candidates in `parts` and of one row group.
        """
        pairs = np.where(_among(pairs[:, :1], parts), pairs, pairs[:, ::-1])  # a file of ours first
        pairs, agreement, files = self._plausible(pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))])
        estimated = is_earlier(pairs[:, 1])
        found, similar = [pairs[estimated]], [agreement[estimated] / self.options.permutations]
        pairs, agreement = pairs[~estimated], agreement[~estimated]
        twins = np.unique(pairs[agreement == self.options.permutations])  # equal sets have equal signatures
        mine = Sets(), Sets()
        for some in self.shingles(pairs[_among(pairs, parts)], twins):
            mine[0].update(some[0])
            mine[1].update(some[1])
        inside = _among(pairs[:, 1], parts)
        found.append(pairs[inside])
        similar.append(_similar(pairs[inside], mine, mine, files))
        outside = pairs[~inside]
        for theirs in self.shingles(outside[:, 1], twins):
            here = outside[np.isin(outside[:, 1], list(theirs[0]))]
            found.append(here)
            similar.append(_similar(here, mine, theirs, files))
        pairs, jaccards = np.concatenate(found), np.concatenate(similar)
        return pairs[jaccards >= self.options.threshold], jaccards[jaccards >= self.options.threshold], files

    def join(self, component: np.ndarray, files: np.ndarray) -> tuple[pa.RecordBatch, pa.Table, pa.RecordBatch]:
        """Return the EDGE rows that the members of hot components have among themselves, FILE rows of their ends, and the
        members (MEMBER) with who follows. Holds the shingle sets of all of them.
        """
        ids, minima, described = self.describe(files)
        ranked = clusters.ranked(described)
        place = np.argsort(ranked.column("file").to_numpy())  # of the ascending ids
        order = np.lexsort((place[np.searchsorted(ids, files)], component))
        component, files = component[order], files[order]
        _, twin, many = np.unique(minima, axis=0, return_inverse=True, return_counts=True)
        twin = twin.reshape(-1)
        sets, tokens = Sets(), Sets()
        for some in self.shingles(files[~is_earlier(files)], ids[many[twin] > 1]):
            sets.update(some[0])
            tokens.update(some[1])
        pairs, similar = [np.empty((0, 2), np.int64)], [np.empty(0)]
        follows = np.zeros(len(files), bool)
        bounds = np.flatnonzero(np.diff(component, prepend=-1, append=-1))
        for start, end in itertools.pairwise(bounds.tolist()):
            members = files[start:end]
            earlier = int(is_earlier(members).sum())  # they rank above all others
            with skips.at("dedup", "join", ranked.take(pa.array(place[np.searchsorted(ids, members)]))):
                ours, share = members[earlier:], self.options.threshold
                same = hot.variants(twin[np.searchsorted(ids, ours)], [tokens.get(f) for f in ours.tolist()], share)
                found, jaccards, behind = hot.neighbors([sets[f] for f in ours.tolist()], share, variants=same)
            pairs.append(members[earlier + found])
            similar.append(jaccards)
            follows[start + earlier : end] = behind
            if 0 < earlier < len(members):
                found, jaccards = self._estimated(minima[np.searchsorted(ids, members)], earlier)
                pairs.append(members[found])
                similar.append(jaccards)
        edges = np.concatenate(pairs)
        block = pa.record_batch([edges[:, 0].copy(), edges[:, 1].copy(), np.concatenate(similar)], schema=clusters.EDGE)
        ends = ranked.filter(pc.is_in(ranked.column("file"), pa.array(np.unique(edges))))
        return block, ends, pa.record_batch([component, files, follows], schema=hot.MEMBER)

    def resolve(
        self, a: np.ndarray, b: np.ndarray, members: pa.Table
    ) -> tuple[np.ndarray, list[tuple[pa.RecordBatch, pa.Table]]]:
        """Return the removed files of the graph with edges `a` above `b`, ascending, and the (EDGE, FILE) rows that joining again added.

        A follower of a hot component (MEMBER rows) that is kept is joined with the kept of its component, until none is near one.
        """
        component, file, follows = (members.column(c).to_numpy() for c in hot.MEMBER.names)
        added: list[tuple[pa.RecordBatch, pa.Table]] = []
        while True:
            gone = clusters.resolve(a, b)
            again = hot.to_rejoin(component, follows, ~np.isin(file, gone))
            if not again.any():
                return gone, added
            edges, files, _ = self.join(component[again], file[again])
            if not edges.num_rows:
                return gone, added
            added.append((edges, files))
            a, b = np.append(a, edges.column("a").to_numpy()), np.append(b, edges.column("b").to_numpy())

    def _estimated(self, minima: np.ndarray, earlier: int) -> tuple[np.ndarray, np.ndarray]:
        """Join rows of signatures as sets of (position, minimum): the first `earlier` above, the others below."""
        position = np.arange(minima.shape[1], dtype=np.uint64)[None, :] << np.uint64(40)
        sets = [np.unique(row) for row in seeds.mix(position + seeds.mix(minima.astype(np.uint64)))]
        # A share s of equal minima is s / (2 - s) of the union of two such sets.
        share = self.options.threshold
        found, similar, _ = hot.neighbors(sets, share / (2 - share), rivals=earlier)
        return found, 2 * similar / (1 + similar)

    def _plausible(self, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray, pa.Table]:
        """Return the pairs whose signatures may be at the threshold, how many minima agree, and FILE rows of all files."""
        ids, minima, described = self.describe(pairs)
        agreement = verify.agreements(minima, minima, np.searchsorted(ids, pairs))
        enough = agreement >= verify.least_agreement(self.options.permutations, self.options.threshold)
        return pairs[enough], agreement[enough], pa.Table.from_batches(described, clusters.FILE)

    def _rows(
        self, dataset: str, part: int, wanted: np.ndarray, columns: Sequence[str]
    ) -> Iterator[tuple[np.ndarray, pa.RecordBatch]]:
        workspace, number, _ = self.place(part)
        relative = part_path(dataset, number)
        with workspace.open(relative) as file:
            parquet = pq.ParquetFile(file)
            if (last := int(wanted[-1] & 0xFFFFFFFF)) >= parquet.metadata.num_rows:
                raise InputError(
                    f"{workspace.path(relative)} has {parquet.metadata.num_rows} rows and {part_path('signatures', number)} "
                    f"has a row {last}: they are not of one run; run `starmill curate` again"
                )
            first = int(bands.file_ids(part, np.array(0)))
            for group in range(parquet.num_row_groups):
                end = first + parquet.metadata.row_group(group).num_rows
                here = wanted[(wanted >= first) & (wanted < end)]
                if len(here):
                    table = parquet.read_row_group(group, columns=list(columns)).take(pa.array(here - first))
                    yield here, table.combine_chunks().to_batches()[0]
                first = end


def _similar(pairs: np.ndarray, mine: tuple[Sets, Sets], theirs: tuple[Sets, Sets], files: pa.Table) -> np.ndarray:
    """Return the exact similarities of pairs sorted by their first file, and tell which these are; `files` are FILE rows by id.

    Where the words are the same, operators are words too.
    """
    files, similar = files.combine_chunks(), [np.empty(0)]
    ids = files.column("file").to_numpy()
    for start in range(0, len(pairs), CHUNK):
        some = pairs[start : start + CHUNK]
        first, last = np.searchsorted(ids, some[[0, -1], 0]).tolist()
        with skips.at("dedup", "verify", files.slice(first, last - first + 1)):
            found = verify.jaccards(some, mine[0], theirs[0])
            if (same := found == 1).any():
                found[same] = verify.jaccards(some[same], mine[1], theirs[1])
            similar.append(found)
    return np.concatenate(similar)


def _among(files: np.ndarray, parts: range) -> np.ndarray:
    return (files >> 32 >= parts.start) & (files >> 32 < parts.stop)
