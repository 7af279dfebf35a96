"""Storage: patient with a server that fails, quick to say what no patience helps. The server is a real one, on loopback."""

import pickle
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from starmill.core.storage import Storage, StorageError

DATA = bytes(range(256)) * 64


class Moody(BaseHTTPRequestHandler):
    """Serves DATA; `troubles` is taken from the end: a status, or `cut` or `stall`, before anything works again."""

    troubles: list[str] = []  # noqa: RUF012 - replaced for each server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        trouble = self.troubles.pop() if self.troubles else ""
        if trouble.isdigit():
            self.send_response(int(trouble))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if trouble == "stall":
            time.sleep(3)
        first, _, last = self.headers.get("Range", "").removeprefix("bytes=").partition("-")
        data = DATA[int(first or 0) : int(last) + 1 if last else None]
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if trouble == "cut" else data)
        self.close_connection = True

    do_HEAD = do_GET

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def serve() -> Iterator:
    servers = []

    def start(*troubles: str) -> str:
        handler = type("Handler", (Moody,), {"troubles": list(troubles)})
        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("trouble", ["500", "503", "cut", "stall"])
def test_what_fails_is_tried_again(serve, trouble: str) -> None:
    storage = Storage(serve(trouble, trouble), stall=1)
    assert storage.read("f") == DATA


def test_patience_ends_with_the_cause(serve) -> None:
    storage = Storage(url := serve(*["503"] * 100), patience=0.5)
    with pytest.raises(StorageError, match=rf"{url}/f: cat_file failed \d+ times in .* s: .*503"):
        storage.read("f")


def test_an_absent_file_is_an_answer(serve) -> None:
    url = serve(*["404"] * 3)
    with pytest.raises(FileNotFoundError):
        Storage(url, patience=1e9).read("f")


def test_a_url_with_credentials_is_refused_unsaid() -> None:
    with pytest.raises(ValueError, match="in the environment") as refusal:
        Storage("s3://AKIAKEY:se-cret@bucket/work").fs  # noqa: B018
    assert "se-cret" not in str(refusal.value) and "AKIAKEY" not in str(refusal.value)


def test_two_workers_see_each_others_files(tmp_path: Path) -> None:
    for url in (str(tmp_path), "memory://two-workers"):
        one, two = Storage(url), pickle.loads(pickle.dumps(Storage(url)))
        assert two == one and one.names("d") == [] and not two.exists("d/x")
        one.write("d/x", b"1")
        assert two.names("d") == ["x"] and two.size("d/x") == 1
        [listed] = two.listing("d")
        assert listed[:2] == ("x", 1) and listed.modified is not None and abs(listed.modified - time.time()) < 60
        assert two.listing("nowhere") == []
        one.write("d/x", b"22")
        assert two.size("d/x") == 2 and two.read("d/x") == b"22"
        two.remove("d/x")
        two.remove("d/x")
        assert not one.exists("d/x") and one.names("d") == []


def test_a_file_opens_anywhere(tmp_path: Path) -> None:
    for url in (str(tmp_path), "memory://ranges"):
        storage = Storage(url)
        storage.write("x", DATA)
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
        with pytest.raises(IsADirectoryError) as refusal:
            Storage(str(tmp_path)).write("x", b"1")
        names.add(refusal.value.filename)
    assert len(names) == 2 and [p.name for p in tmp_path.iterdir()] == ["x"]
