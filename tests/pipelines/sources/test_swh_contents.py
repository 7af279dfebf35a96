"""The content store over HTTP, as it fails: errors that pass, objects that are not there, not gzip, another blob, or a bomb."""

import gzip
import hashlib
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from starmill.core.storage import Storage, StorageError
from starmill.core.swhid import blob_id, content_id
from starmill.pipelines.sources.swh_contents import NoContent, Wanted, fetch, fetched

BLOB = b"print('a text of some length')\n" * 40
OWN = Wanted(blob_id(BLOB), content_id(BLOB), len(BLOB))


class Store(BaseHTTPRequestHandler):
    """Gives what a test says: first so many failures of each name, then its bytes."""

    objects: ClassVar[dict[str, bytes]] = {}
    failures: ClassVar[dict[str, list[int]]] = {}  # statuses; 0: the connection ends in the middle
    asked: ClassVar[Counter[str]] = Counter()
    headers_of: ClassVar[dict[str, str]] = {}
    together: ClassVar[list[int]] = [0, 0]  # requests at this moment, and at most
    lock: ClassVar = threading.Lock()

    def do_GET(self) -> None:
        name = self.path.rsplit("/", 1)[-1]
        with self.lock:
            self.asked[name] += 1
            self.together[0] += 1
            self.together[1] = max(self.together)
            failing = self.failures.get(name, [])
            status = failing.pop(0) if failing else 200 if name in self.objects else 404
        data = self.objects.get(name, b"")
        self.send_response(status or 200)
        for header, value in self.headers_of.items():
            self.send_header(header, value)
        self.send_header("Content-Length", str(len(data) if status in (0, 200) else 0))
        self.end_headers()
        with self.lock:
            self.together[0] -= 1
        if status in (0, 200):
            self.wfile.write(data if status else data[: len(data) // 2])
        if not status:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def store() -> Iterator[Storage]:
    Store.objects, Store.failures, Store.headers_of, Store.together[:] = (
        {OWN.sha1: gzip.compress(BLOB, mtime=0)},
        {},
        {},
        [0, 0],
    )
    Store.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Store) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Storage(f"http://127.0.0.1:{server.server_port}/content", patience=1)
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("failures", [[500], [429], [503, 500], [0]], ids=str)
def test_a_store_that_fails_for_a_while_is_asked_again(store: Storage, failures: list[int]) -> None:
    Store.failures[OWN.sha1] = [*failures]
    assert fetch(store, OWN) == BLOB and Store.asked[OWN.sha1] == len(failures) + 1


def test_a_store_that_fails_for_good_is_trouble_of_the_machine_and_no_row(store: Storage) -> None:
    Store.failures[OWN.sha1] = [500] * 100
    with pytest.raises(StorageError, match=rf"/content/{OWN.sha1}: cat_file failed \d times in"):
        list(fetched(store, [OWN], 2))


BOMB = gzip.compress(b"\0" * (64 << 20), mtime=0)
MEMBERS = gzip.compress(BLOB[:500], mtime=0) + gzip.compress(BLOB[500:], mtime=0)
GIVEN = {
    "": (gzip.compress(BLOB, mtime=0), MEMBERS, BLOB),  # a server may have inflated it on the way
    "zeroed_object": (b"\0" * 200, b""),
    "truncated_content": (
        gzip.compress(BLOB, mtime=0)[:-1],
        gzip.compress(BLOB, mtime=0)[:40],
        gzip.compress(BLOB, mtime=0)[:12],
    ),
    "wrong_content": (
        BOMB,
        gzip.compress(BLOB + b"x", mtime=0),
        gzip.compress(BLOB[:-1], mtime=0),
        gzip.compress(BLOB[:-1] + b"x", mtime=0),
        b"<html>not found</html>",
        gzip.compress(BLOB, mtime=0) + b"rest",
        gzip.compress(BLOB, mtime=0)[:30] + b"x" * 20,
    ),
}


@pytest.mark.parametrize(
    ("reason", "data"), [(reason, data) for reason, all_ in GIVEN.items() for data in all_], ids=lambda v: str(v)[:20]
)
def test_what_a_store_gives_is_the_blob_or_a_reason(store: Storage, reason: str, data: bytes, tmp_path: Path) -> None:
    Store.objects[OWN.sha1] = data
    (tmp_path / OWN.sha1).write_bytes(data)
    for place in (store, Storage(str(tmp_path))):
        if not reason:
            assert fetch(place, OWN) == BLOB
            continue
        with pytest.raises(NoContent, match=OWN.sha1 if place is store else None) as failed:
            fetch(place, OWN)
        assert failed.value.reason == reason and len(str(failed.value)) < 200


def test_what_is_gzip_by_its_header_is_read_too(store: Storage) -> None:
    Store.headers_of["Content-Encoding"] = "gzip"
    assert fetch(store, OWN) == BLOB


def test_a_blob_of_the_same_sha1_that_is_another_to_git_is_none(store: Storage) -> None:
    with pytest.raises(NoContent, match="is not the blob"):
        fetch(store, Wanted(OWN.sha1, "0" * 40, len(BLOB)))


def test_what_is_no_object_of_a_folder_is_a_reason(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(BLOB)
    (tmp_path / OWN.sha1).symlink_to(tmp_path / "secret")
    (tmp_path / ("1" * 40)).mkdir()
    for sha1, reason in ((OWN.sha1, "unreadable_content"), ("1" * 40, "unreadable_content"), ("2" * 40, "missing_content")):
        with pytest.raises(NoContent) as failed:
            fetch(Storage(str(tmp_path)), Wanted(sha1, OWN.sha1_git, len(BLOB)))
        assert failed.value.reason == reason


def test_blobs_come_in_order_each_asked_for_once_and_some_together(store: Storage) -> None:
    texts = [f"text {n}\n".encode() * n for n in range(40)]
    Store.objects |= {blob_id(text): gzip.compress(text, mtime=0) for text in texts}
    blobs = [Wanted(hashlib.sha1(text).hexdigest(), content_id(text), len(text)) for text in texts]
    gone = Wanted("f" * 40, "e" * 40, 7)
    wanted = [None, *blobs, gone, blobs[3], None, *reversed(blobs), gone]
    given = [g if not isinstance(g, NoContent) else g.reason for g in fetched(store, wanted, 8)]
    lost = "missing_content"
    assert given == [None, *texts, lost, texts[3], None, *reversed(texts), lost]
    assert {*Store.asked.values()} == {1} and len(Store.asked) == 41 and Store.together[1] > 1


def test_blobs_beyond_what_is_held_are_asked_for_again(store: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("starmill.pipelines.sources.swh_contents.HELD", 100)
    others = [Wanted(f"{n:040x}", "e" * 40, 7) for n in range(9)]
    assert [*fetched(store, [OWN, *others, OWN], 2)][::10] == [BLOB, BLOB] and Store.asked[OWN.sha1] == 2


def test_a_reader_that_stops_early_asks_for_no_more(store: Storage) -> None:
    blobs = fetched(store, [OWN, *(Wanted(f"{n:040x}", "e" * 40, 7) for n in range(200))], 2)
    assert next(blobs) == BLOB
    blobs.close()  # type: ignore[attr-defined]
    assert sum(Store.asked.values()) < 10
