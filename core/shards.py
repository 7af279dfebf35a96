"""The token shard: Megatron's indexed dataset (`.bin` + `.idx`) plus a side table that leads each token to its file.

It is the only contract between data and training. The `.idx` layout is Megatron-LM's version 1: magic, version, dtype code, counts of
sequences and document boundaries, then int32 lengths, int64 byte offsets, int64 document boundaries, all little-endian. A
document is one sequence and ends with `<|endoftext|>`. A shard has at least one document: Megatron maps the `.bin`, and an empty file
cannot be mapped. Ids are uint16, or, of a vocabulary above 65,536, int32, which are never negative and are read as uint32.
"""

import functools
import hashlib
import mmap
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from starmill.core.dataset import ParquetPart, Workspace, part_path
from starmill.core.errors import InputError, one_line
from starmill.core.shard_cache import SUFFIXES, CachedFile, default_folder, shard_files

MAGIC = b"MMIDIDX\x00\x00"
VERSION = 1
CODES: "dict[np.dtype[Any], int]" = {
    np.dtype("<u2"): 8,
    np.dtype("<u4"): 4,
}  # Megatron's codes of token types: uint16, and int32
NARROW: "np.dtype[Any]" = np.dtype("<u2")
HEADER = struct.Struct("<9sQBQQ")

# Of the side table, in its Parquet metadata. Format 1, which had no such entry, called a document's kind its source.
FORMAT = 2
FORMAT_KEY = b"starmill.format"

# One row per document. `kind` says what it is made of: `code` for the files of a repository. `token_start` of a document counts in
# the shard; that of a file counts in its document, and its span covers the path line, if there is one, and the code. `token_count` of
# a document includes its `<|endoftext|>`. `weight` says how often an epoch has the document, where the recipe of its data weighs records;
# shards without that column have each document once.
DOCS = pa.schema(
    [
        ("document", pa.int64()),
        ("kind", pa.string()),
        ("repo_name", pa.string()),
        ("language", pa.string()),
        ("token_start", pa.int64()),
        ("token_count", pa.int64()),
        ("weight", pa.float32()),
        (
            "files",
            pa.list_(
                pa.struct(
                    [
                        ("path", pa.string()),
                        ("content_id", pa.string()),
                        ("language", pa.string()),
                        ("token_start", pa.int64()),
                        ("token_count", pa.int64()),
                    ]
                )
            ),
        ),
    ],
    metadata={FORMAT_KEY: str(FORMAT).encode()},
)


@dataclass(frozen=True, slots=True)
class TokenSpan:
    """Where one file's tokens lie in its document."""

    path: str
    content_id: str
    language: str
    token_start: int
    token_count: int


class ShardError(InputError):
    """A shard that cannot be read; the message names the file and what is wrong with it."""


class ShardWriter:
    """Collects documents in memory; `finish` returns the three files. Needs two bytes per token, or four for wide ids.

    >>> writer = ShardWriter(eod=0)
    >>> writer.add(np.array([5, 6], np.uint16), "code", "me/project", "Python", [TokenSpan("/a.py", "00" * 20, "Python", 0, 2)])
    >>> sorted(writer.finish())
    ['bin', 'docs.parquet', 'idx']
    """

    def __init__(self, eod: int, dtype: "np.dtype[Any]" = NARROW) -> None:
        """Start an empty shard whose documents end with the id `eod`; `dtype` is the tokenizer's."""
        self._dtype = dtype
        self._eod = np.array([eod], dtype)
        self._tokens: list[np.ndarray] = []
        self._end = 0
        self._lengths: list[int] = []
        self._rows: list[dict[str, object]] = []

    def add(
        self, ids: np.ndarray, kind: str, repo_name: str, language: str, files: Sequence[TokenSpan], weight: float = 1.0
    ) -> None:
        """Append one document: ids without the final `<|endoftext|>`, which is added here."""
        start, count = self._end, len(ids) + 1
        self._tokens += [np.asarray(ids, self._dtype), self._eod]
        self._end += count
        self._lengths.append(count)
        self._rows.append(
            {
                "document": len(self._rows),
                "kind": kind,
                "repo_name": repo_name,
                "language": language,
                "token_start": start,
                "token_count": count,
                "weight": weight,
                "files": [asdict(f) for f in files],
            }
        )

    def finish(self) -> dict[str, bytes | pa.Buffer]:
        """Return the contents by suffix: bin, idx, docs.parquet; nothing where there are no documents, which make no shard."""
        if not self._rows:
            return {}
        table = ParquetPart(DOCS)
        for row in range(0, len(self._rows), 1000):
            table.write(pa.RecordBatch.from_pylist(self._rows[row : row + 1000], schema=DOCS))
        return {
            "bin": pa.py_buffer(np.concatenate(self._tokens).astype(self._dtype.newbyteorder("<"), copy=False)),
            "idx": index(self._lengths, self._dtype),
            "docs.parquet": table.close(),
        }


def index(lengths: Sequence[int], dtype: "np.dtype[Any]" = NARROW) -> bytes:
    """Return the `.idx` of documents of these token counts, of which there is at least one."""
    sizes = np.asarray(lengths, np.int64)
    if sizes.max() >= 2**31:
        raise ShardError(f"a document of {sizes.max()} tokens is above Megatron's limit of 2^31")
    offsets = np.concatenate([[0], np.cumsum(sizes)])[:-1] * dtype.itemsize
    boundaries = np.arange(len(sizes) + 1)
    header = HEADER.pack(MAGIC, VERSION, CODES[dtype.newbyteorder("<")], len(sizes), len(boundaries))
    return header + sizes.astype("<i4").tobytes() + offsets.astype("<i8").tobytes() + boundaries.astype("<i8").tobytes()


class ShardReader:
    """One shard, memory-mapped. `prefix` is its path without suffix; `remote` its token file, where that is yet to come.

    `digests`: sha256 by suffix, of what is compared: index and side table at once, the tokens when they are first read.

    >>> writer = ShardWriter(eod=0)
    >>> writer.add(np.array([5, 6], np.uint16), "code", "me/project", "Python", [TokenSpan("/a.py", "00" * 20, "Python", 0, 2)])
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = [Path(f"{folder}/part-00000.{suffix}").write_bytes(data) for suffix, data in writer.finish().items()]
    ...     shard = ShardReader(f"{folder}/part-00000")
    ...     shard.documents, shard.tokens(0).tolist(), shard.table["repo_name"].to_pylist()
    (1, [5, 6, 0], ['me/project'])
    """

    def __init__(
        self, prefix: str, remote: CachedFile | None = None, digests: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Read the index and check it against the token file. Raises ShardError or FileNotFoundError."""
        self.prefix, self._remote, self._digests = prefix, remote, dict(digests)
        self._compare("docs.parquet", Path(f"{prefix}.docs.parquet").read_bytes)
        _check_format(f"{prefix}.docs.parquet")
        data = Path(f"{prefix}.idx").read_bytes()
        self._compare("idx", lambda: data)
        if len(data) < HEADER.size or data[:9] != MAGIC:
            raise ShardError(f"{prefix}.idx: not the index of a shard (wrong magic)")
        _, version, code, count, boundaries = HEADER.unpack_from(data)
        found = next((dtype for dtype, known in CODES.items() if known == code), None)
        if version != VERSION or found is None:
            raise ShardError(
                f"{prefix}.idx: version {version}, token type {code}; this reads version {VERSION} of uint16 (8) and int32 (4) only"
            )
        self._dtype = found
        if len(data) != HEADER.size + 12 * count + 8 * boundaries:
            raise ShardError(f"{prefix}.idx: {len(data)} bytes do not hold {count} documents; it is cut off")
        self.lengths = np.frombuffer(data, "<i4", count, HEADER.size)
        self.starts = np.frombuffer(data, "<i8", count, HEADER.size + 4 * count) // found.itemsize
        expected = found.itemsize * int(self.lengths.sum(dtype=np.int64))
        size = remote.output.bytes if remote else Path(f"{prefix}.bin").stat().st_size
        if size != expected:
            raise ShardError(f"{prefix}.bin: {size} bytes where the index says {expected}; copy the shard again")
        if self.is_here:
            self._mapped  # noqa: B018 - mapped now: a file that is replaced later stays what it was

    @functools.cached_property
    def _mapped(self) -> np.ndarray:
        self.fetch()
        return np.memmap(f"{self.prefix}.bin", self._dtype, "r")

    @functools.cached_property
    def _tokens(self) -> np.ndarray:
        mapped = self._mapped
        self._compare("bin", lambda: mapped.data)
        return mapped

    def _compare(self, suffix: str, data: Callable[[], bytes | memoryview]) -> None:
        if suffix in self._digests and hashlib.sha256(data()).hexdigest() != self._digests[suffix]:
            again = (
                "remove it, and it is fetched again"
                if self._remote
                else "make it again (`starmill verify --all`, `starmill run`)"
            )
            raise ShardError(
                f"{self.prefix}.{suffix}: its sha256 is not the manifest's: it is damaged, or was changed; copy the shard again, or {again}"
            )

    def fetch(self, wait: bool = True) -> None:
        """Fetch the token file from its bucket. Unless `wait`, return at once if another process is fetching the file.

        Raises CacheError or StorageError.
        """
        if self._remote is not None:
            self._remote.fetch(wait)

    @property
    def is_here(self) -> bool:
        """Whether its tokens are on this machine."""
        return self._remote is None or self._remote.is_here

    @property
    def documents(self) -> int:
        """The number of documents."""
        return len(self.lengths)

    def tokens(self, document: int) -> np.ndarray:
        """Return the ids of one document, `<|endoftext|>` included, as a view of the file. Raises ShardError."""
        start = self.starts[document]
        mapped: mmap.mmap = self._mapped.base  # type: ignore[assignment]
        if mapped.size() < len(mapped):  # the kernel ends a process that reads beyond a file's end, without a word
            raise ShardError(f"{self.prefix}.bin: became shorter while it was read; copy the shard again, and go on")
        return self._tokens[start : start + self.lengths[document]]

    @functools.cached_property
    def table(self) -> pa.Table:
        """The side table (schema DOCS). Raises ShardError."""
        place = f"{self.prefix}.docs.parquet"
        try:
            return pq.read_table(place)
        except (pa.ArrowException, OSError) as error:
            raise _no_table(place, error) from None


def _no_table(place: str, error: Exception) -> ShardError:
    return ShardError(f"{place}: not the side table of a shard ({one_line(error)}); copy the shard again")


def _check_format(side_table: str) -> None:
    try:
        found = int((pq.read_metadata(side_table).metadata or {}).get(FORMAT_KEY, b"1"))
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _no_table(side_table, error) from None
    if found != FORMAT:
        maker = "an older starmill" if found < FORMAT else "a newer starmill"
        raise ShardError(
            f"{side_table}: format {found} where this starmill reads format {FORMAT}; made by {maker}: run `starmill tokenize` again"
        )


def open_shards(workspace_url: str, cache: str | None = None) -> list[ShardReader]:
    """Open the shards of a finished workspace, in the order of its manifest. Raises ShardError for a workspace that is not finished.

    A part without documents has no shard. Those of a bucket are fetched into the folder `cache` (default: core/shard_cache.py), the
    token files when they are first read.
    """
    workspace = Workspace(workspace_url)
    manifest = workspace.manifest("shards")
    if manifest is None:
        raise ShardError(f"{workspace_url}: no shards/manifest.json, so the shards are not complete; run `starmill run` first")
    if not workspace.is_local:
        found = shard_files(workspace, manifest.parts, Path(cache) if cache else default_folder())
        return [
            ShardReader(
                str(files["bin"].place).removesuffix(".bin"), files["bin"], {s: f.output.sha256 for s, f in files.items()}
            )
            for files in found
        ]
    shards = []
    for part in manifest.parts:
        made = {s: o for s in SUFFIXES for o in part.outputs if o.path == part_path("shards", part.part, s)}
        if made and len(made) < len(SUFFIXES):
            lost = ", ".join(sorted({*SUFFIXES} - {*made}))
            raise ShardError(
                f"{workspace_url}: part {part.part} in shards/manifest.json lacks {lost}; run `starmill tokenize` again"
            )
        if made:
            places = {s: workspace.path(o.path) for s, o in made.items()}
            shards.append(ShardReader(places["bin"].removesuffix(".bin"), None, {s: o.sha256 for s, o in made.items()}))
    return shards
