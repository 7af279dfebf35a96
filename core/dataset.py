"""A workspace on any fsspec URL: datasets made of parts, published atomically, each with a sidecar; a manifest last.

    workspace/
      records/part-00000.parquet      one file per part and dataset
      records/part-00000.json         the sidecar: key, outputs with sha256, counts. Written last: no sidecar, no part
      records/summary.json            what the manifest says in sum, for views
      records/manifest.json           the stage is complete; lists every part
      dropped/ingest/part-00000.parquet
      hashes/part-00000.bin           which paths and ids a part of the first dataset has (core/hashes.py)

A part whose sidecar carries the wanted key is done and is skipped; the key is a digest of the recipe, of the code and of the
inputs. Nothing here writes a time, a host name or a process id into a file, so equal work gives equal bytes. A workspace knows
datasets and which stage made each, and no list of stages but the one that a run leaves in `stages.json`.
"""

import hashlib
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from starmill.core import hashes, summary
from starmill.core.errors import InputError, MachineError
from starmill.core.files import TEMPORARY, is_leftover
from starmill.core.part import Count, Manifest, Output, Sidecar, part_number
from starmill.core.storage import Storage
from starmill.core.terminal import tell_damage

__all__ = ["Count", "Manifest", "Output", "Sidecar", "part_number"]  # and what is below

S = TypeVar("S")
T = TypeVar("T")

# The layout of sidecars, manifests and `stages.json`; a change of it that older code would misread gets the next number.
FORMAT = 1
LAST_RUN = "stages.json"
BESIDE = "verify"  # the folder where parts are made again beside those of the workspace (pipelines/run/verify.py)


@dataclass(frozen=True)
class StageName:
    """A stage as a view knows it: its name, and the dataset where its sidecars and its manifest lie."""

    name: str
    dataset: str


@dataclass(frozen=True)
class LastRun:
    """`stages.json`: the last run's stages, in order, and their number of parts. Without stages before the first run."""

    stages: tuple[StageName, ...]
    parts: int


class ParquetPart:
    """Collects blocks into one zstd Parquet file in memory, one row group per block. Needs about the compressed size."""

    def __init__(self, schema: pa.Schema) -> None:
        """Open an empty part; a part without rows still has its schema."""
        self.rows = 0
        self._schema = schema
        self._sink = pa.BufferOutputStream()
        self._writer = pq.ParquetWriter(self._sink, schema, compression="zstd", compression_level=3)

    @property
    def bytes(self) -> int:
        """Return how much is held."""
        return int(self._sink.tell())

    def write(self, block: pa.RecordBatch) -> None:
        """Append `block`, whose schema must be the part's; empty blocks leave no row group."""
        if block.num_rows:
            self._writer.write_batch(block, row_group_size=block.num_rows)
            self.rows += block.num_rows

    def close(self) -> pa.Buffer:
        """Finish the file and return its bytes."""
        self._writer.close()
        return self._sink.getvalue()


@dataclass(frozen=True)
class Workspace(Storage):
    """A folder or bucket prefix that holds all datasets of one run. Cheap to make, picklable, opens nothing.

    `digests`: sha256 by path of a bucket's files that `blocks` and `table` read whole, and compare first. Raises MachineError.

    >>> workspace = Workspace("memory://example")
    >>> workspace.publish_last_run(LastRun((StageName("ingest", "records"),), parts=3))
    >>> workspace.last_run().parts, workspace.manifest("records")
    (3, None)
    """

    digests: dict[str, str] | None = field(default=None, compare=False)

    def probe(self, write: bool = True) -> None:
        """Write and remove a file, or in a bucket only look for one, so that a run without access ends now. Raises OSError."""
        if self.is_local:
            if write:
                self.publish(".probe", b"")
                self.remove(".probe")
        else:
            bucket = Storage(self.url, patience=10)
            if write:
                bucket.publish(".probe", b"")
                bucket.remove(".probe")
            else:
                bucket.exists("shards/manifest.json")

    def parts(self, dataset: str) -> list[str]:
        """Return the workspace paths of a dataset's Parquet parts, sorted; not what is being written, or was when a worker died."""
        return [f"{dataset}/{n}" for n in self.files(dataset) if part_number(n) is not None and n.endswith(".parquet")]

    @contextmanager
    def _opened(self, relative: str) -> Iterator[pa.NativeFile]:
        # A local file was compared when its part was opened (stages/ledger.py: lineage); one of a bucket is not read twice for that.
        sha256 = (self.digests or {}).get(relative)
        if sha256 is None or self.is_local:
            with self.open(relative) as file:
                yield file
        else:
            data = self.read(relative)
            if (found := hashlib.sha256(data).hexdigest()) != sha256:
                raise self.disbelieve(relative, found, sha256)
            yield pa.BufferReader(data)

    def blocks(self, relative: str, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the row groups of a Parquet file, one RecordBatch each, optionally only some columns."""
        with self._opened(relative) as file:
            parquet = pq.ParquetFile(file, pre_buffer=not self.is_local)  # a few large requests, not one per column
            for group in range(parquet.num_row_groups):
                table = parquet.read_row_group(group, columns=columns)
                yield from table.combine_chunks().to_batches()

    def table(self, relative: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Return a whole Parquet file, optionally only some columns."""
        with self._opened(relative) as file:
            return pq.read_table(file, columns=columns)

    # Parts

    def commit(self, sidecar: Sidecar, data: Sequence[bytes | pa.Buffer]) -> None:
        """Publish the outputs of a part, `data[i]` for `sidecar.outputs[i]`, then its sidecar. Idempotent."""
        for output, content in zip(sidecar.outputs, data, strict=True):
            self.publish(output.path, content)
        self.publish_sidecar(sidecar)

    def publish_sidecar(self, sidecar: Sidecar) -> None:
        """Write the sidecar of a part whose outputs are there."""
        self.publish(sidecar_path(sidecar.dataset, sidecar.part), _json(sidecar))

    def sidecar(self, dataset: str, part: int) -> Sidecar | None:
        """Return the sidecar of a finished part, or None. A damaged one is none, and is named. Raises InputError for another format."""
        return self.load(sidecar_path(dataset, part), Sidecar, lambda sidecar: sidecar.is_of(dataset, part))

    def is_done(self, dataset: str, part: int, key: str) -> bool:
        """Say whether the part was made with this key, without rows that ended as errors, and its outputs are still there, whole."""
        sidecar = self.sidecar(dataset, part)
        if sidecar is None or sidecar.key != key or sidecar.errors:
            return False
        try:
            return all(self.size(o.path) == o.bytes for o in sidecar.outputs)
        except FileNotFoundError:
            return False

    def published(self, dataset: str) -> dict[int, float | None]:
        """Return the parts of a dataset that have a sidecar, and when it was written, where the store says: in one listing."""
        found = ((part_number(f.name), f) for f in self.listing(dataset) if f.name.endswith(".json"))
        return {part: file.modified for part, file in found if part is not None}

    def torn(self, sidecars: Iterable[Sidecar]) -> Iterator[tuple[Sidecar, Output]]:
        """Yield the outputs that are absent, or not as long as their sidecar says. Each folder is listed once."""
        sizes: dict[str, dict[str, int]] = {}
        for sidecar in sidecars:
            for made in sidecar.outputs:
                folder, _, name = made.path.rpartition("/")
                if folder not in sizes:
                    sizes[folder] = {f.name: f.size for f in self.listing(folder)}
                if sizes[folder].get(name) != made.bytes:
                    yield sidecar, made

    def disbelieve(self, relative: str, found: str, wanted: str) -> MachineError:
        """Take back the sidecar of a published file that has other bytes by now, so that a run makes its part again.

        Returns the error that says so.
        """
        part, said = part_number(relative.rpartition("/")[2]), "remove it"
        datasets = {stage.dataset for stage in self.last_run().stages} | {relative.partition("/")[0]}
        for dataset in datasets if part is not None else ():
            sidecar = self.sidecar(dataset, part or 0)
            if sidecar is not None and relative in [o.path for o in sidecar.outputs]:
                self.remove_all([f"{dataset}/manifest.json", sidecar_path(dataset, sidecar.part)])
                said = f"part {part} of {dataset}/ counts as not made"
        return MachineError(
            f"{self.path(relative)}: its bytes are not those that were published (sha256 {found[:12]}.. instead of {wanted[:12]}..): it is "
            f"damaged, or was changed. {said[0].upper()}{said[1:]}: the next `starmill run`, `portrait` or `index` makes it again"
        )

    def finish(
        self, dataset: str, key: str, parts: int, version: str, check: Callable[[Manifest], None] | None = None
    ) -> Manifest:
        """Write the stage's manifest over its `parts` sidecars. Raises FileNotFoundError if one is missing.

        `check` sees the manifest before it is published: when it raises, the stage is not complete, not even for a moment.
        """
        sidecars = []
        for part, sidecar in enumerate(at_once(lambda k: self.sidecar(dataset, k), range(parts))):
            if sidecar is None:
                raise FileNotFoundError(f"{self.url}: part {part} of {parts} of {dataset}/ has no sidecar")
            sidecars.append(sidecar)
        digest = hashlib.sha256("".join(s.digest() for s in sidecars).encode()).hexdigest()
        manifest = Manifest(sidecars[0].stage, dataset, key, digest, version, tuple(sidecars))
        if check is not None:
            check(manifest)
        self.publish_manifest(manifest)
        return manifest

    def publish_manifest(self, manifest: Manifest) -> None:
        """Write a manifest, and what it says in sum before it: from now on its stage is complete."""
        data = _json(manifest)
        sums = summary.of(manifest, summary.mark(len(data), lambda start, end: data[start:end]))
        self.publish(f"{manifest.dataset}/{summary.NAME}", _json(sums))
        self._publish_hashes(manifest)
        self.publish(f"{manifest.dataset}/manifest.json", data)

    def manifest(self, dataset: str) -> Manifest | None:
        """Return the manifest of a complete dataset, or None; as `sidecar`. Nothing is removed by the paths that it names."""
        return self.load(f"{dataset}/manifest.json", Manifest, lambda manifest: manifest.dataset == dataset)

    def summary(self, dataset: str) -> summary.Summary | None:
        """Return what the manifest of a complete dataset says in sum, or None: the same small reading however many parts it lists."""
        path = f"{dataset}/manifest.json"
        try:
            mark = summary.mark(self.size(path), lambda start, end: self.read(path, start, end))
        except FileNotFoundError:
            return None
        held = self.load(f"{dataset}/{summary.NAME}", summary.Summary)
        if held is not None and (held.dataset, held.mark) == (dataset, mark):
            return held
        manifest = self.manifest(dataset)
        return None if manifest is None else summary.of(manifest, mark)

    def _publish_hashes(self, manifest: Manifest) -> None:
        """Merge what the parts of a dataset are found by, where they have such files; a group that is there already stays as it is."""
        planned = hashes.planned(manifest)
        if not planned:
            return
        there = {f"{hashes.FOLDER}/{name}" for name in self.files(hashes.FOLDER)}
        for group, files in planned:
            if group.path not in there:
                if not there.issuperset(files):  # what `starmill clean` removed
                    return
                self.publish(group.path, hashes.merged(at_once(self.read, files)))
        groups = tuple(group for group, _ in planned)
        self.publish(hashes.LIST, _json(hashes.Groups(manifest.digest, groups)))
        self.remove_all(hashes.stale(there, groups))

    def groups(self) -> tuple[hashes.Group, ...] | None:
        """Return the files of hashes by which the records of the first stage are found; None where there are none of its manifest."""
        stages, found = self.last_run().stages, self.load(hashes.LIST, hashes.Groups)
        sums = self.summary(stages[0].dataset) if stages and found is not None else None
        return found.groups if found is not None and sums is not None and sums.digest == found.digest else None

    def publish_last_run(self, run: LastRun) -> None:
        """Publish the stages and the number of parts of a run, for the views."""
        if self.last_run() != run:
            self.publish(LAST_RUN, _json(run))

    def last_run(self) -> LastRun:
        """Return the last run's stages and number of parts. Raises InputError for a file of another format."""
        return self.load(LAST_RUN, LastRun) or LastRun((), 0)

    def load(self, relative: str, cls: type[T], is_own: Callable[[T], bool] = lambda found: True) -> T | None:
        """Return what a file of FORMAT holds; None where there is none, and where damage left another one, which is named once.

        A power cut leaves zeros, a store without atomic writes half a file, a disk anything. Raises InputError for another format.
        """
        try:
            data = self.read(relative)
        except FileNotFoundError:
            return None
        try:
            values = msgspec.json.decode(data)
            if not isinstance(values, dict) or type(found := values.pop("format", None)) is not int or not 0 < found < 1000:
                raise ValueError("not what starmill writes there: no format number")
            if found == FORMAT:
                if is_own(held := msgspec.convert(values, cls)):
                    return held
                raise ValueError("it describes files of another place")
        except (ValueError, RecursionError, msgspec.MsgspecError) as error:
            tell_damage(self.path(relative), str(error))
            return None
        said = "a newer starmill: install that" if found > FORMAT else "an older starmill: use another --workspace"
        raise InputError(f"{self.path(relative)}: has format {found}, this reads {FORMAT}; it was made by {said}")

    def sweep(self, dataset: str, parts: int, due: Collection[int]) -> None:
        """Remove what must not be taken for this run's: the manifest, sidecars of `due` parts, and parts beyond `parts`."""
        self.remove(f"{dataset}/manifest.json")  # first: it may not outlive a part that it lists
        self.remove(f"{dataset}/{summary.NAME}")
        published = self.published(dataset)
        beyond = at_once(lambda k: self.sidecar(dataset, k), [k for k in published if k >= parts])
        self.remove_all([o.path for sidecar in beyond if sidecar is not None for o in sidecar.outputs])
        self.remove_all([sidecar_path(dataset, k) for k in published if k in due or k >= parts])

    def remove_all(self, paths: Iterable[str]) -> None:
        """Remove workspace files, several at a time; absent ones are fine."""
        for _ in at_once(self.remove, paths):
            pass

    def clear(self, folder: str) -> None:
        """Remove a workspace folder, which has no dataset of its own, with all that is below it; an absent one is fine."""
        if self.is_local:
            shutil.rmtree(self.path(folder), ignore_errors=True)
        else:
            self.remove_all(self.below(folder))

    def sweep_temporary(self) -> None:
        """Remove files that a killed process was writing here, and no others. Only local workspaces have them."""
        if self.is_local:
            for found in Path(self.root).rglob(f"{TEMPORARY}*"):
                if is_leftover(found.relative_to(self.root).as_posix()) and found.is_file() and not found.is_symlink():
                    found.unlink(missing_ok=True)


def at_once(ask: Callable[[S], T], items: Iterable[S], requests: int = 32) -> Iterator[T]:
    """Yield what `ask` returns for each item, in order, several requests at a time: a bucket answers after tens of milliseconds."""
    with ThreadPoolExecutor(requests) as pool:
        yield from pool.map(ask, items)


def part_path(dataset: str, part: int, suffix: str = "parquet") -> str:
    """Return the workspace path of a part: `records/part-00007.parquet`."""
    return f"{dataset}/part-{part:05d}.{suffix}"


def sidecar_path(dataset: str, part: int) -> str:
    """Return the workspace path of a part's sidecar."""
    return part_path(dataset, part, "json")


def output(relative: str, data: bytes | pa.Buffer, rows: int | None = None) -> Output:
    """Describe a file about to be published."""
    return Output(relative, hashlib.sha256(data).hexdigest(), len(data), rows)


def _json(value: object) -> bytes:
    # As json.dumps(indent=1, sort_keys=True, ensure_ascii=False) writes it, which takes a minute for 100,000 parts.
    return msgspec.json.format(msgspec.json.encode({"format": FORMAT, **vars(value)}, order="sorted"), indent=1) + b"\n"
