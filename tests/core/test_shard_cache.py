"""Shards of a bucket on a node's disk: the same tokens, each file once for all processes, whole or refused by name. A real server."""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from starmill.core.dataset import Output, Sidecar, Workspace, output
from starmill.core.shard_cache import CachedFile, CacheError
from starmill.core.shards import ShardError, ShardWriter, open_shards
from starmill.core.storage import Storage

PARTS = 3
SHARDS = PARTS - 1


class Files(BaseHTTPRequestHandler):
    """Serves a folder, ranges too; `seen` counts what was asked for."""

    folder = Path()
    seen: Counter[str] = Counter()  # noqa: RUF012 - replaced for each server

    def do_GET(self) -> None:
        self.seen[f"{self.command} {self.path[1:]}"] += 1
        file = self.folder / self.path[1:]
        if not file.is_file():
            self.send_error(404)
            return
        data, asked = file.read_bytes(), self.headers.get("Range", "")
        first, _, last = asked.removeprefix("bytes=").partition("-")
        data = data[int(first or 0) : int(last or len(data)) + 1]
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            time.sleep(0.1)  # so that several want the same file while one fetches it
            self.wfile.write(data)

    do_HEAD = do_GET

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A workspace of two shards and a part without documents, which has none."""
    workspace = Workspace(str(tmp_path / "work"))
    for part in range(PARTS):
        writer = ShardWriter(eod=0)
        for document in range(4 if part < SHARDS else 0):
            writer.add(np.arange(100 * part, 100 * part + 20 + document, dtype=np.uint16), "code", "r", "C", [])
        files = {f"shards/part-{part:05d}.{suffix}": content for suffix, content in writer.finish().items()}
        files[f"dropped/tokenize/part-{part:05d}.parquet"] = b""
        workspace.commit(
            Sidecar("tokenize", "shards", part, "k", tuple(output(n, c) for n, c in files.items())), list(files.values())
        )
    workspace.finish("shards", "k", PARTS, "v")
    return tmp_path / "work"


@pytest.fixture
def serve() -> Iterator[Callable[[Path], tuple[str, Counter[str]]]]:
    servers = []

    def start(folder: Path) -> tuple[str, Counter[str]]:
        seen: Counter[str] = Counter()
        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Files,), {"folder": folder, "seen": seen})))
        Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}", seen

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def tokens(url: str, cache: Path) -> list[list[int]]:
    return [shard.tokens(document).tolist() for shard in open_shards(url, str(cache)) for document in range(shard.documents)]


def kept(cache: Path) -> list[str]:
    return sorted(p.name for p in cache.rglob("part-*"))


def test_files_come_when_they_are_read_and_stay(work: Path, tmp_path: Path, serve) -> None:
    (url, seen), cache = serve(work), tmp_path / "cache"
    first, second = open_shards(url, str(cache))
    assert not any(name.endswith(".bin") for name in kept(cache)) and len(kept(cache)) == 2 * SHARDS
    assert (first.is_here, second.is_here) == (False, False)
    assert second.tokens(1).tolist() == [*range(100, 121), 0] and second.table.num_rows == 4
    assert [name for name in kept(cache) if name.endswith(".bin")] == ["part-00001.bin"]
    assert tokens(url, cache) == tokens(str(work), cache)
    seen.clear()
    assert tokens(url, cache) == tokens(str(work), cache)
    assert [name for name in seen if "part-" in name] == [], "a second run asks for the manifest alone"


def test_processes_of_a_node_fetch_each_file_once(work: Path, tmp_path: Path, serve) -> None:
    url, seen = serve(work)
    code = f"from starmill.core.shards import open_shards\nprint([s.tokens(3).tolist() for s in open_shards({url!r})])"
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    ranks = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    said = {rank.communicate(timeout=100)[0] for rank in ranks}
    assert said == {f"{[s.tokens(3).tolist() for s in open_shards(str(work))]}\n"}
    fetched = {name: count for name, count in seen.items() if name.startswith("GET shards/part-")}
    assert set(fetched.values()) == {1} and len(fetched) == 3 * SHARDS
    assert len(kept(tmp_path / "starmill" / "shards")) == 3 * SHARDS


def test_shards_made_anew_are_other_files(work: Path, tmp_path: Path) -> None:
    url = "memory://made-anew"
    for path in work.rglob("*.*"):
        Storage(url).publish(str(path.relative_to(work)), path.read_bytes())
    before = tokens(url, tmp_path / "cache")
    writer = ShardWriter(eod=0)
    writer.add(np.arange(5, dtype=np.uint16), "code", "r", "C", [])
    files = {f"shards/part-00000.{suffix}": content for suffix, content in writer.finish().items()}
    workspace = Workspace(url)
    workspace.commit(
        Sidecar("tokenize", "shards", 0, "k2", tuple(output(n, c) for n, c in files.items())), list(files.values())
    )
    workspace.finish("shards", "k2", PARTS, "v")
    after = tokens(url, tmp_path / "cache")
    assert after[0] == [*range(5), 0] and after[1:] == before[4:]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-2], "bytes where the manifest says"),
        (lambda data: data[:-1] + b"x", "its sha256 is not the manifest's"),
        (lambda data: b"", "0 bytes where the manifest says"),
    ],
)
def test_damage_is_named_and_not_kept(
    damage: Callable[[bytes], bytes], message: str, work: Path, tmp_path: Path, serve
) -> None:
    (url, _), file = serve(work), work / "shards/part-00001.bin"
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    shard = open_shards(url, str(tmp_path / "cache"))[1]
    with pytest.raises(CacheError, match=rf"{url}/shards/part-00001\.bin: .*{message}"):
        shard.tokens(0)
    assert "part-00001.bin" not in kept(tmp_path / "cache")
    file.write_bytes(whole)
    assert shard.tokens(0)[0] == 100, "mended"


def test_a_manifest_names_no_path_of_this_machine(work: Path, tmp_path: Path, serve) -> None:
    manifest = work / "shards/manifest.json"
    manifest.write_text(manifest.read_text().replace("shards/part-00001.bin", "../../evil"))
    with pytest.raises(CacheError, match=r"part 1 has no shards/part-00001\.bin"):
        open_shards(serve(work)[0], str(tmp_path / "cache"))


def test_a_disk_without_room_is_named(work: Path, tmp_path: Path) -> None:
    storage, place = Storage(str(work)), tmp_path / "part-00000.bin"
    vast = CachedFile(storage, Output("shards/part-00000.bin", "", 1 << 60), place)
    with pytest.raises(
        CacheError, match=rf"{tmp_path}: no room for .*part-00000\.bin of 1,152,921,504,606,846,976 bytes .* `cache`"
    ):
        vast.fetch()
    (tmp_path / ".tmp-part-00000.bin").symlink_to("/dev/full")  # what a disk that fills up while it is written to says
    size = (work / "shards/part-00000.bin").stat().st_size
    with pytest.raises(CacheError, match=rf"no room for .*part-00000\.bin of {size} bytes \(No space left on device\)"):
        CachedFile(storage, Output("shards/part-00000.bin", "", size), place).fetch()
    assert not place.exists() and not (tmp_path / ".tmp-part-00000.bin").is_symlink()


def test_what_a_killed_process_left_is_no_file(work: Path, tmp_path: Path) -> None:
    made = output("shards/part-00000.bin", (work / "shards/part-00000.bin").read_bytes())
    file = CachedFile(Storage(str(work)), made, tmp_path / "part-00000.bin")
    (tmp_path / ".tmp-part-00000.bin").write_bytes(b"half")
    (tmp_path / ".lock-part-00000.bin").write_bytes(b"")
    file.fetch()
    assert file.is_here and sorted(p.name for p in tmp_path.glob("*part*")) == [".lock-part-00000.bin", "part-00000.bin"]


def test_no_shards_in_a_bucket_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ShardError, match=r"memory://nothing: no shards/manifest\.json.*run `starmill run` first"):
        open_shards("memory://nothing", str(tmp_path))
