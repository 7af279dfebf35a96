"""Storage: patient with a server that fails, quick to say what no patience helps. The server is a real one, on loopback."""

import asyncio
import json
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest
from fsspec.asyn import AsyncFileSystem
from fsspec.registry import _registry

from starmill.core.errors import InputError
from starmill.core.storage import Storage, StorageError

DATA = bytes(range(256)) * 64


class Moody(BaseHTTPRequestHandler):
    """Serves DATA, and what Google's store tells of an object. `troubles` is taken from the end, before anything works again.

    A trouble is a status, `cut`, `page` and an encoding (a proxy's), or `stall`: nothing for three seconds, unless the client leaves
    before. `seen` has the requests: `file`, or `info` on one.
    """

    troubles: list[str] = []  # noqa: RUF012 - both replaced for each server
    seen: list[str] = []  # noqa: RUF012
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        is_info = "/o" in self.path and "alt=media" not in self.path
        self.seen.append("info" if is_info or self.command == "HEAD" else "file")
        trouble = self.troubles.pop() if self.troubles else ""
        self.close_connection = True
        if trouble.isdigit():
            self.send_response(int(trouble))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if trouble == "stall":
            self.connection.settimeout(3)
            with suppress(TimeoutError):
                self.connection.recv(1)
                return
        page = "<html>Anmeldung für Gäste" if trouble.startswith("page") else ""
        first, _, last = self.headers.get("Range", "").removeprefix("bytes=").partition("-")
        data = DATA[int(first or 0) : int(last) + 1 if last else None]
        if is_info:
            data = page.encode(trouble[5:] or "utf-8") or json.dumps({"bucket": "b", "name": "w/f", "size": len(DATA)}).encode()
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data[: len(data) // 2] if trouble == "cut" else data)

    do_HEAD = do_GET

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def serve() -> Iterator:
    servers = []

    def start(*troubles: str, seen: list[str] | None = None) -> str:
        handler = type("Handler", (Moody,), {"troubles": list(troubles), "seen": [] if seen is None else seen})
        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def google(url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a workspace in Google's store, which is the server at `url`."""
    monkeypatch.setitem(fsspec.config.conf, "gs", {"token": "anon", "endpoint_url": url})
    return "gs://b/w"


@pytest.mark.parametrize("trouble", ["500", "503", "cut"])
def test_what_fails_is_tried_again(serve, trouble: str) -> None:
    assert Storage(serve(trouble, trouble, seen=(seen := []))).read("f") == DATA
    assert seen == ["file"] * 3


@pytest.mark.parametrize("scheme", ["http", "gs"])
def test_a_whole_file_that_stalls_is_cut_off_and_tried_again(serve, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    url = serve("stall", seen=(seen := []))
    storage = Storage(url if scheme == "http" else google(url, monkeypatch), stall=1, slowest=32 << 20)
    assert storage.read("f") == DATA
    assert seen[0] == seen[-1] == "file" and seen.count("file") == 2 and "info" in seen


def test_a_large_file_gets_the_time_that_its_size_needs(serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("starmill.core.storage.SMALL", 0)
    storage = Storage(serve("stall", "", "stall", seen=(seen := [])), stall=1, slowest=len(DATA) / 60)
    assert storage.read("f") == DATA and seen == ["file", "info", "file"], "the second one was waited for"


def test_a_listing_of_many_requests_is_a_stall_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("starmill.core.storage.SMALL", 0)
    asked = []

    class Many(AsyncFileSystem):
        """Takes two seconds to list a folder."""

        protocol = "many"

        async def _ls(self, path: str, detail: bool = False, **options: object) -> list[str]:
            asked.append(path)
            await asyncio.sleep(2)
            return [f"{path}/x"]

    fsspec.register_implementation("many", Many, clobber=True)
    assert Storage("many://w", stall=0.5).files("d") == ["x"] and asked == ["w/d", "w/d"]


@pytest.mark.parametrize("trouble", ["page utf-8", "page latin-1"])
def test_a_page_of_a_proxys_is_no_answer(serve, trouble: str, monkeypatch: pytest.MonkeyPatch) -> None:
    url = serve(trouble, trouble, seen=(seen := []))
    assert Storage(google(url, monkeypatch)).size("f") == len(DATA) and len(seen) >= 3


def test_patience_ends_with_the_cause(serve) -> None:
    storage = Storage(url := serve(*["503"] * 100), patience=0.5)
    with pytest.raises(StorageError, match=rf"{url}/f: cat_file failed \d+ times in .* s: .*503"):
        storage.read("f")


def test_an_absent_file_is_an_answer(serve) -> None:
    url = serve(*["404"] * 3)
    with pytest.raises(FileNotFoundError):
        Storage(url, patience=1e9).read("f")


@pytest.mark.parametrize(("scheme", "library"), [("s3", "s3fs"), ("gs", "gcsfs.core")])
def test_without_the_extra_one_line_says_what_to_install(scheme: str, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(_registry, "s3", raising=False)
    with pytest.raises(StorageError, match=rf"^{scheme}://b/w: .*; pip install 'starmill\[cloud\]'$"):
        Storage(f"{scheme}://b/w").read("f")


@pytest.mark.parametrize("token", ["google_default", {"refresh_token": "se-cret"}])
def test_credentials_that_google_refuses_are_one_line(token: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key.json").write_text('{"private_key": "se-cret"}')
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    monkeypatch.setitem(fsspec.config.conf, "gs", {"token": token})
    with pytest.raises(StorageError, match=r"^gs://b/w: no credentials for Google's store: .+") as refusal:
        Storage("gs://b/w").read("f")
    assert "se-cret" not in str(refusal.value) and refusal.value.__cause__ is None


def test_two_workers_see_each_others_files(tmp_path: Path) -> None:
    for url in (str(tmp_path), "memory://two-workers"):
        one, two = Storage(url), pickle.loads(pickle.dumps(Storage(url)))
        assert two == one and one.files("d") == [] and not two.exists("d/x")
        one.publish("d/x", b"1")
        assert two.files("d") == ["x"] and two.size("d/x") == 1
        [listed] = two.listing("d")
        assert listed[:2] == ("x", 1) and listed.modified is not None and abs(listed.modified - time.time()) < 60
        assert two.listing("nowhere") == []
        one.publish("d/x", b"22")
        assert two.size("d/x") == 2 and two.read("d/x") == b"22"
        two.remove("d/x")
        two.remove("d/x")
        assert not one.exists("d/x") and one.files("d") == []


def test_a_file_opens_anywhere(tmp_path: Path) -> None:
    for url in (str(tmp_path), "memory://ranges"):
        storage = Storage(url)
        storage.publish("x", DATA)
        with storage.open("x") as file:
            file.seek(1000)
            assert file.read(10) == DATA[1000:1010] and file.tell() == 1010
            file.seek(-5, 2)
            assert file.read() == DATA[-5:] and file.read(3) == b""


def test_containers_that_number_their_processes_alike_write_apart(tmp_path: Path) -> None:
    # A directory in the place of the file: the rename fails, and tells the name of what was to be renamed.
    (tmp_path / "x").mkdir()
    names = set()
    for _ in range(2):
        with pytest.raises(InputError) as refusal:
            Storage(str(tmp_path)).publish("x", b"1")
        names.add(refusal.value.__context__.filename)
    assert len(names) == 2 and [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_local_file_is_read_without_the_interpreter(tmp_path: Path) -> None:
    """Arrow's threads outlive the interpreter by a moment: one that then calls a Python file aborts the process, under load often."""
    (tmp_path / "a").write_bytes(b"text")
    with Storage(str(tmp_path)).open("a") as file:
        assert isinstance(file, pa.OSFile) and not isinstance(file, pa.PythonFile) and file.read() == b"text"
    with pytest.raises(FileNotFoundError), Storage(str(tmp_path)).open("absent"):
        pass


FULL = """
import resource, sys
from starmill.core.storage import Storage, StorageError
storage = Storage(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    storage.publish("a/b", bytes(1000))
except StorageError as error:
    sys.exit(f"{error.status} {error}")
"""


def test_a_disk_that_takes_no_more_is_the_machines_trouble_and_leaves_no_file(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, timeout=100)
    assert done.stderr.startswith(f"3 {tmp_path}/a/b: cannot be written: OSError: [Errno 27] File too large; mend that")
    assert [p.name for p in tmp_path.rglob("*")] == ["a"]
