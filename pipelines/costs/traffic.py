"""A file system of local files that is used like a bucket, and counts requests by kind and bytes."""

import os
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from starmill.core import hashes, summary
from starmill.core.dataset import part_number
from starmill.pipelines.costs import rates

PROTOCOL = "counted"


@dataclass
class Traffic:
    """Requests since the last `take`, by kind and path; several threads may count.

    >>> traffic = Traffic()
    >>> traffic.add("PUT", "work/shards/part-00000.bin", 100)
    >>> traffic.take("work", lambda dataset: dataset == "shards")["stored/shards"]
    100.0
    """

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    lock: Any = field(default_factory=threading.Lock)

    def add(self, kind: str, path: str, size: int = 0) -> None:
        """Count one request, and the bytes that it moved."""
        with self.lock:
            self.counts[kind, path] += 1
            self.counts[f"{kind} bytes", path] += size

    def take(self, root: str, chosen: Callable[[str], bool]) -> dict[str, float]:
        """Return and forget the costs of requests below `root` whose dataset is `chosen`."""
        costs: dict[str, float] = dict.fromkeys((*rates.REQUESTS, "fetched"), 0.0)
        with self.lock:
            for (kind, path), count in [*self.counts.items()]:
                dataset = _dataset(path.removeprefix(f"{root}/"))
                if not chosen(dataset):
                    continue
                del self.counts[kind, path]
                if kind in rates.REQUESTS:
                    costs[kind] += count
                elif kind == "GET bytes":
                    costs["fetched"] += count
                elif kind == "PUT bytes":
                    costs[f"stored/{dataset}"] = costs.get(f"stored/{dataset}", 0.0) + count
        return costs


def counting(traffic: Traffic) -> type[LocalFileSystem]:
    """Return a file system of local files that is used like a bucket, one request per operation, and counts into `traffic`."""

    class Counting(LocalFileSystem):
        protocol = (PROTOCOL,)

        def cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: Any) -> bytes:
            traffic.add("GET", path)  # an absent file is a request too
            data: bytes = super().cat_file(path, start, end)
            traffic.counts["GET bytes", path] += len(data)
            return data

        def info(self, path: Any, **options: Any) -> dict[str, Any]:
            traffic.add("GET", os.fspath(path))
            return dict(super().info(path))

        def exists(self, path: str, **options: Any) -> bool:
            traffic.add("GET", path)
            return os.path.exists(path)

        def ls(self, path: str, detail: bool = False, **options: Any) -> list[Any]:
            traffic.add("LIST", path)
            names, tell = [f"{path}/{name}" for name in os.listdir(path)], super().info
            return [tell(name) for name in names] if detail else names

        def pipe_file(self, path: str, value: bytes, **options: Any) -> None:
            traffic.add("PUT", path, len(value))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            Path(path).write_bytes(value)

        def rm_file(self, path: str) -> None:
            traffic.add("DELETE", path)
            os.remove(path)

    return Counting


def _dataset(relative: str) -> str:
    """Return the dataset that a file of the workspace belongs to, `sidecars`, `manifest`, or a name of its own."""
    folder, _, name = relative.rpartition("/")
    merged = folder == hashes.FOLDER and part_number(name) is None  # by who writes the manifest
    if merged or name in ("manifest.json", summary.NAME) or not folder:
        return "manifest"
    if name.endswith(".json") and part_number(name) is not None and folder != "plans":
        return "sidecars"
    return "cache" if folder.startswith("cache/") else folder
