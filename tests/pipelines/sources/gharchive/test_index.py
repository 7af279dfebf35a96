"""The index: each hour once, whole or not at all, and nothing of how it came in shows."""

import io
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hours import comment, hour, line, opened

from starmill.core.errors import InputError
from starmill.pipelines.sources.gharchive import index as indexes
from starmill.pipelines.sources.gharchive.index import Hour

EVENTS = [line(opened(1, 1)), *(line(comment(1, n, f"comment {n}", time=f"00:{n:02}:00")) for n in range(2, 40))]


def again(data: bytes) -> Iterator[io.BytesIO]:
    while True:
        yield io.BytesIO(data)


def taken(place: Path, hours: dict[str, bytes]) -> list:
    with indexes.opened(str(place), write=True) as index:
        for due in indexes.prepare(index, [Hour(name, str(len(data))) for name, data in hours.items()]):
            indexes.take(index, due, again(hours[due.name]), 1 << 40)
        return read(index)


def read(index: sqlite3.Connection) -> list:
    return [
        (found[:3], thread, [(said.time, said.id, said.event) for said in events])
        for found in indexes.repositories(index)
        for thread, events in indexes.threads(index, found.key)
    ]


def test_neither_hours_nor_batches_nor_the_order_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = taken(tmp_path / "a", {"0.json": b"\n".join(EVENTS)})
    assert [len(events) for _, _, events in whole] == [39]
    halves = {"1.json": b"\n".join(EVENTS[20:]), "0.json": b"\n".join(EVENTS[:25])}  # five events twice
    assert taken(tmp_path / "b", halves) == whole
    monkeypatch.setattr(indexes, "BATCH_ROWS", 3)
    assert taken(tmp_path / "c", {"0.json": b"\n".join(reversed(EVENTS))}) == whole


def test_an_hour_that_has_gone_or_changed_is_forgotten(tmp_path: Path) -> None:
    both = {"0.json": EVENTS[0], "1.json": EVENTS[1]}
    assert len(taken(tmp_path / "i", both)[0][2]) == 2
    assert taken(tmp_path / "i", {"0.json": EVENTS[0]}) == taken(tmp_path / "j", {"0.json": EVENTS[0]})
    changed = EVENTS[0].replace(b"crashes", b"burns badly")
    assert taken(tmp_path / "i", {"0.json": changed})[0][2][0][2].title == "It burns badly"


def test_an_interrupted_hour_is_read_again_and_a_finished_one_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexes, "BATCH_ROWS", 3)
    place, hours = str(tmp_path / "i"), [Hour("0.json", "s"), Hour("1.json", "s")]

    class Stops(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if not (data := super().read(1000)):
                raise KeyboardInterrupt
            return data

    with indexes.opened(place, write=True) as index:
        first, second = indexes.prepare(index, hours)
        indexes.take(index, first, again(EVENTS[0]), 1 << 40)
        with pytest.raises(KeyboardInterrupt):
            indexes.take(index, second, iter([Stops(b"\n".join(EVENTS[1:]))]), 1 << 40)
    with indexes.opened(place, write=True) as index:
        assert indexes.prepare(index, hours) == [second]
        indexes.take(index, second, again(b"\n".join(EVENTS[1:])), 1 << 40)
        assert read(index) == taken(tmp_path / "j", {"0.json": b"\n".join(EVENTS)})


def test_a_cut_member_costs_its_own_lines_and_is_told(tmp_path: Path) -> None:
    data = hour(tmp_path / "0.json.gz", *EVENTS[:3]).read_bytes() + hour(tmp_path / "1.json.gz", *EVENTS[3:]).read_bytes()[:-9]
    assert taken(tmp_path / "i", {"0.json.gz": data}) == taken(tmp_path / "j", {"0.json": b"\n".join(EVENTS[:3])})
    with indexes.opened(str(tmp_path / "i")) as index:
        [found] = indexes.damaged_hours(index)
        [problem] = indexes.problems(index, "0.json.gz")
    assert (
        found.name == "0.json.gz" and (problem.line, problem.reason) == (0, "cut_member") and "the 1 before" in problem.detail
    )


def test_an_index_of_other_code_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hours = {"0.json": EVENTS[0]}
    taken(tmp_path / "i", hours)
    monkeypatch.setattr(indexes, "made_by", lambda: "other code")
    with indexes.opened(str(tmp_path / "i"), write=True) as index:
        assert [due.name for due in indexes.prepare(index, [Hour("0.json", str(len(EVENTS[0])))])] == ["0.json"]
        assert read(index) == []


def test_a_damaged_index_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "i").write_bytes(b"no index" * 999)
    with (
        pytest.raises(InputError, match="name another file as the index, or remove this one if it was one"),
        indexes.opened(str(tmp_path / "i")) as index,
    ):
        list(indexes.repositories(index))
    with pytest.raises(InputError, match="a folder; name a file as the index"), indexes.opened(str(tmp_path), write=True):
        pass
    with pytest.raises(FileNotFoundError), indexes.opened(str(tmp_path / "none")):
        pass


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "accounts.db") as other:
        other.execute("CREATE TABLE accounts (owner TEXT)")
        other.execute("INSERT INTO accounts VALUES ('ada')")
    other.close()
    before = (tmp_path / "accounts.db").read_bytes()
    with pytest.raises(InputError, match=r"accounts\.db: a database of another program, with a table 'accounts'; name another"):
        taken(tmp_path / "accounts.db", {"0.json": EVENTS[0]})
    assert (tmp_path / "accounts.db").read_bytes() == before
    (tmp_path / "text").write_text("precious")
    with pytest.raises(InputError, match="name another file as the index"):
        taken(tmp_path / "text", {"0.json": EVENTS[0]})
    assert (tmp_path / "text").read_text() == "precious"


@pytest.mark.parametrize("batch", [1, 50_000])
def test_of_an_event_that_an_hour_has_twice_the_fullest_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(indexes, "BATCH_ROWS", batch)
    short, full = (line(comment(1, 2, text)) for text in ("Why?", "Why does it?"))
    given = [taken(tmp_path / str(n), {"0.json": b"\n".join(both)}) for n, both in enumerate(((short, full), (full, short)))]
    assert given[0] == given[1] and [event.text for _, _, events in given[0] for _, _, event in events] == ["Why does it?"]
