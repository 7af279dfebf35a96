"""The content store over HTTP, as it fails: errors that pass, answers without end, objects that are not there, not gzip, or a bomb."""

import gzip
import hashlib
import os
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import contents as double
import fsspec.config
import pytest
from contents import Contents

from starmill.core.errors import MachineError
from starmill.core.storage import StorageError
from starmill.core.swhid import blob_id, content_id
from starmill.pipelines.sources.swh.contents import Asking, ContentStore, NoContent, Pace, Wanted, asked_pause, fetched, store

BLOB = b"print('a text of some length')\n" * 40
OWN = Wanted(blob_id(BLOB), content_id(BLOB), len(BLOB))
UNKNOWN = Wanted(OWN.sha1, OWN.sha1_git, None)
MOST = 10 << 20


@pytest.fixture
def server() -> Iterator[Contents]:
    with double.contents() as server:
        server.put(BLOB)
        yield server


def of(place: Contents | Path, patience: float = 1, stall: float = 60, **asking: object) -> ContentStore:
    url = place.url if isinstance(place, Contents) else str(place)
    return ContentStore(Asking(url, **asking), patience, stall)  # type: ignore[arg-type]


def get(of: ContentStore, wanted: Wanted = OWN, most: int = MOST) -> bytes:
    return of.get(wanted, most, threading.Event())


def reason(of: ContentStore, wanted: Wanted = OWN, most: int = MOST) -> str:
    with pytest.raises(NoContent) as failed:
        get(of, wanted, most)
    assert len(str(failed.value)) < 300
    return failed.value.reason


@pytest.mark.parametrize("failures", [[500], [429], [503, 500], [double.CUT], [double.RESET]], ids=str)
def test_a_store_that_fails_for_a_while_is_asked_again(server: Contents, failures: list[int]) -> None:
    server.failures[OWN.sha1] = [*failures]
    asked = of(server, patience=60)
    assert get(asked) == BLOB and server.asked[OWN.sha1] == len(failures) + 1
    counts = asked.take_counts()
    by_us = 0 if failures == [double.RESET] else len(failures)  # the library asks again by itself where a connection is reset
    assert (counts["requests"], counts.get("again", 0)) == (by_us + 1, by_us) and asked.take_counts() == {}
    assert counts["bytes"] == len(gzip.compress(BLOB, mtime=0))


@pytest.mark.parametrize("failure", [500, double.RESET, double.CUT])
def test_a_store_that_fails_for_good_is_trouble_of_the_machine_and_no_row(server: Contents, failure: int) -> None:
    server.failures[OWN.sha1] = [failure] * 100
    with pytest.raises(StorageError, match=rf"/content/{OWN.sha1}: failed \d times in \d s: "):
        list(fetched(of(server), [OWN], MOST))
    assert server.asked[OWN.sha1] > 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_is_told_at_once(server: Contents, status: int) -> None:
    server.failures[OWN.sha1] = [status] * 100
    with pytest.raises(StorageError, match=rf"failed 1 times .*{status}.*the store refuses: give one"):
        get(of(server, patience=60))


@pytest.mark.parametrize("failure", [double.SLOW, double.SILENT])
def test_a_store_that_stalls_is_left_and_asked_again(server: Contents, failure: int) -> None:
    server.failures[OWN.sha1] = [failure]
    assert get(of(server, patience=60, stall=0.3)) == BLOB and server.asked[OWN.sha1] > 1


@pytest.mark.parametrize("wanted", [OWN, UNKNOWN], ids=["length", "no length"])
def test_an_answer_without_end_takes_the_memory_of_the_largest_blob(server: Contents, wanted: Wanted) -> None:
    server.failures[OWN.sha1] = [double.ENDLESS]
    tracemalloc.start()
    assert reason(of(server), wanted, 1 << 20) == ("too_large" if wanted is UNKNOWN else "wrong_content")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 << 20 and server.asked[OWN.sha1] == 1


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
        gzip.compress(b"", mtime=0) * 4500 + gzip.compress(BLOB, mtime=0),  # what follows a stream is copied: a square
        os.urandom(100) * 2000,
    ),
}


@pytest.mark.parametrize(
    ("expected", "n"), [(reason, n) for reason, all_ in GIVEN.items() for n in range(len(all_))], ids=lambda v: str(v)
)
def test_what_a_store_gives_is_the_blob_or_a_reason(server: Contents, expected: str, n: int, tmp_path: Path) -> None:
    data = server.objects[OWN.sha1] = GIVEN[expected][n]
    (tmp_path / OWN.sha1).write_bytes(data)
    for place in (server, tmp_path):
        if expected:
            assert reason(of(place)) == expected
            larger = expected == "wrong_content" and data in (BOMB, GIVEN[expected][-1])
            assert reason(of(place), UNKNOWN, 100_000) == ("too_large" if larger else expected)
        else:
            assert get(of(place)) == get(of(place), UNKNOWN) == BLOB


def test_what_is_gzip_by_its_header_is_inflated_within_its_limit_too(server: Contents) -> None:
    server.headers["Content-Encoding"] = "gzip"
    assert get(of(server)) == BLOB
    server.objects[OWN.sha1] = BOMB
    tracemalloc.start()
    assert reason(of(server), UNKNOWN, 1 << 20) == "too_large"
    assert tracemalloc.get_traced_memory()[1] < 6 << 20
    tracemalloc.stop()


def test_a_blob_at_the_limit_is_too_large_as_everywhere(server: Contents) -> None:
    assert get(of(server), UNKNOWN, len(BLOB) + 1) == BLOB and reason(of(server), UNKNOWN, len(BLOB)) == "too_large"


def test_a_blob_of_the_same_sha1_that_is_another_to_git_is_none(server: Contents) -> None:
    with pytest.raises(NoContent, match="is not the blob"):
        get(of(server), Wanted(OWN.sha1, "0" * 40, len(BLOB)))


def test_what_is_no_object_of_a_folder_is_a_reason(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(BLOB)
    (tmp_path / OWN.sha1).symlink_to(tmp_path / "secret")
    (tmp_path / ("1" * 40)).mkdir()
    os.mkfifo(tmp_path / ("3" * 40))
    found = {
        sha1: reason(of(tmp_path), Wanted(sha1, OWN.sha1_git, len(BLOB)))
        for sha1 in (OWN.sha1, *("123"[n] * 40 for n in range(3)))
    }
    assert [*found.values()] == ["unreadable_content", "unreadable_content", "missing_content", "unreadable_content"]


def test_blobs_come_in_order_each_asked_for_once_and_some_together(server: Contents) -> None:
    texts = [f"text {n}\n".encode() * n for n in range(40)]
    server.put(*texts)
    blobs = [Wanted(hashlib.sha1(text).hexdigest(), content_id(text), len(text)) for text in texts]
    gone = Wanted("f" * 40, "e" * 40, 7)
    wanted = [None, *blobs, gone, blobs[3], None, *reversed(blobs), gone]
    asked, server.pause = of(server, requests=8), 0.03
    given = [g if not isinstance(g, NoContent) else g.reason for g in fetched(asked, wanted, MOST)]
    lost = "missing_content"
    assert given == [None, *texts, lost, texts[3], None, *reversed(texts), lost]
    assert {*server.asked.values()} == {1} and len(server.asked) == 41 and 1 < server.together <= 8
    assert asked.take_counts()["requests"] == 41


def test_blobs_beyond_what_is_held_are_asked_for_again(server: Contents, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("starmill.pipelines.sources.swh.contents.HELD", 100)
    others = [Wanted(f"{n:040x}", "e" * 40, 7) for n in range(9)]
    asked = of(server, requests=2)
    assert [*fetched(asked, [OWN, *others, OWN], MOST)][::10] == [BLOB, BLOB] and server.asked[OWN.sha1] == 2


def test_a_reader_that_stops_early_asks_for_no_more_and_waits_for_no_patience(server: Contents) -> None:
    server.failures = {f"{n:040x}": [503] * 99 for n in range(200)}
    blobs = fetched(of(server, requests=2, patience=60), [OWN, *(Wanted(f"{n:040x}", "e" * 40, 7) for n in range(200))], MOST)
    assert next(blobs) == BLOB
    blobs.close()  # type: ignore[attr-defined]
    assert sum(server.asked.values()) < 10, "16 in a minute"


# ---- how often it is asked


def test_so_many_requests_a_second(server: Contents) -> None:
    wanted = [Wanted(f"{n:040x}", "e" * 40, 7) for n in range(12)]
    start = time.monotonic()
    list(fetched(of(server, requests=8, per_second=20.0), wanted, MOST))
    assert len(server.moments) == 12 and server.moments[-1] - start >= 11 / 20


def test_requests_are_spread_and_do_not_all_begin_with_a_second() -> None:
    waits: list[float] = []

    class Told(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0)
            return False

    pace = Pace(0.001)
    for _ in range(4):
        pace.wait(Told())
    assert waits == pytest.approx([1000, 2000, 3000], abs=500)


@pytest.mark.parametrize("status", [429, 503])
def test_a_store_that_names_a_pause_gets_it_from_all_threads(server: Contents, status: int) -> None:
    texts = [b"one\n", b"two\n"]
    server.put(*texts)
    server.headers["Retry-After"] = "1"
    server.failures = {blob_id(texts[0]): [status]}
    wanted = [Wanted(blob_id(text), content_id(text), len(text)) for text in texts]
    asked = of(server, patience=60, requests=1)
    assert list(fetched(asked, wanted, MOST)) == texts
    assert server.moments[1] - server.moments[0] > 0.95 and asked.take_counts()["again"] == 1


def test_a_pause_beyond_all_patience_is_told(server: Contents) -> None:
    server.headers["Retry-After"] = "3600"
    server.failures[OWN.sha1] = [429] * 9
    with pytest.raises(StorageError, match="it asks to wait 3,600 s: run the same command then"):
        get(of(server, patience=60))
    assert server.asked[OWN.sha1] == 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"Retry-After": "120"}, 120),
        ({"Retry-After": "-5"}, 0),
        ({"Retry-After": "9" * 400}, 999999999999),
        ({"Retry-After": "Thu, 99 Jan 2026 00:00:00 GMT"}, 0),
        ({"Retry-After": "Thu, 01 Jan 2015 00:00:00 GMT"}, 0),
        ({"X-RateLimit-Reset": "12"}, 0),
        ({"X-RateLimit-Reset": "soon"}, 0),
        ({"X-RateLimit-Reset": "1767225660", "Date": "Thu, 01 Jan 2026 00:00:00 GMT"}, 60),
    ],
)
def test_the_pause_that_a_server_names(headers: dict[str, str], seconds: float) -> None:
    assert asked_pause(headers) == seconds


def test_what_is_missing_is_asked_for_once_and_told_alike(server: Contents) -> None:
    server.objects |= {"1" * 40: b"\0" * 50, "2" * 40: gzip.compress(b"cut", mtime=0)[:-3]}
    server.failures["3" * 40] = [410]
    asked = of(server, requests=4)
    wanted = [Wanted(f"{n}" * 40, OWN.sha1_git, 7) for n in range(4)]
    said = [[(e.reason, str(e)) for e in fetched(asked, wanted, MOST) if isinstance(e, NoContent)] for _ in range(2)]
    assert said[0] == said[1] and [r for r, _ in said[0]] == [
        "missing_content",
        "zeroed_object",
        "truncated_content",  # which may be the line's fault
        "missing_content",
    ]
    assert [server.asked[w.sha1] for w in wanted] == [1, 1, 2, 1] and asked.take_counts()["spared"] == 3
    server.put(b"came since")
    asked.forget()
    assert reason(asked, wanted[0]) == "missing_content" and server.asked["0" * 40] == 2, "a new run asks again"


def test_what_is_missing_is_remembered_for_later_runs_where_a_folder_is_named(server: Contents, tmp_path: Path) -> None:
    def asked(again: int = 0) -> ContentStore:
        return of(server, misses=str(tmp_path / "misses"), again=again)

    gone = Wanted("a" * 40, OWN.sha1_git, len(BLOB))
    assert reason(asked(), gone) == "missing_content" and reason(asked(), gone) == "missing_content"
    assert server.asked["a" * 40] == 1 and get(asked()) == BLOB
    server.objects["a" * 40] = b"\0"
    assert reason(asked(), gone) == "missing_content", "as before, whatever the store has by now"
    assert reason(asked(1), gone) == "zeroed_object" and reason(asked(1), gone) == "zeroed_object"
    assert server.asked["a" * 40] == 2, "a number that was raised has it asked for again"
    assert Asking(server.url).state() != Asking(server.url, again=1).state()
    with pytest.raises(MachineError, match=r"misses: .*; give a folder that can be (written|read), or none"):
        (tmp_path / "misses").rename(tmp_path / "other")
        [(tmp_path / "misses" / f.name).mkdir(parents=True) for f in (tmp_path / "other").iterdir()]
        reason(asked(), gone)


def test_a_folder_is_looked_into_each_time(tmp_path: Path) -> None:
    asked = of(tmp_path)
    assert reason(asked) == "missing_content"
    (tmp_path / OWN.sha1).write_bytes(gzip.compress(BLOB))
    assert get(asked) == BLOB and asked.take_counts() == {}


def test_a_process_has_one_store_for_one_asking(tmp_path: Path) -> None:
    assert store(Asking(str(tmp_path))) is store(Asking(str(tmp_path))) is not store(Asking(str(tmp_path), 3))


def test_a_bucket_is_asked_once_for_each_object(server: Contents, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store's own bucket, as `s3://` reads it: nobody asks how large an object is before."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url.removesuffix("/content"))
    monkeypatch.setattr(fsspec.config, "conf", {"s3": {"anon": True}})  # FSSPEC_S3_ANON=true, which is read at its import
    asked = ContentStore(Asking("s3://content"), 2)
    assert get(asked) == BLOB and server.asked == {OWN.sha1: 1} and server.methods == {"GET": 1}
    server.objects["5" * 40], server.failures["5" * 40] = b"", [416]
    assert reason(asked, Wanted("5" * 40, OWN.sha1_git, 7)) == "zeroed_object"
    assert reason(asked, Wanted("6" * 40, OWN.sha1_git, 7)) == "missing_content"


@pytest.mark.parametrize("place", ["http://[bad", "http:///x", "file:///etc/passwd"])
def test_a_store_that_leads_on_to_no_place_is_trouble_of_the_machine(server: Contents, place: str) -> None:
    server.headers["Location"] = place
    server.failures[OWN.sha1] = [302]
    assert get(of(server, patience=5)) == BLOB, "it is asked again"
    server.failures[OWN.sha1] = [302] * 99
    with pytest.raises(StorageError):
        get(of(server, patience=0.1))


@pytest.mark.parametrize("status", [206, 302, 416])
def test_an_answer_that_is_neither_a_file_nor_an_error_is_no_empty_object(server: Contents, status: int) -> None:
    server.failures[OWN.sha1] = [status]
    if status != 416:  # a refusal
        assert get(of(server, patience=5)) == BLOB
    server.objects.clear()
    server.failures[OWN.sha1] = [status] * 99
    with pytest.raises(StorageError):
        get(of(server, patience=0.1))
