"""The index: each dump once, whole or not at all, and nothing of how its rows came in shows."""

import bz2
import gzip
import io
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from posts import answer, dump, question, row

from starmill.core.errors import InputError
from starmill.pipelines.sources.archives.inflate import Stream
from starmill.pipelines.sources.stackexchange import index as indexes
from starmill.pipelines.sources.stackexchange.index import Piece

ROWS = [question(n, OwnerUserId=n) for n in range(1, 400, 4)] + [
    answer(n, (n - 1) // 4 * 4 + 1) for n in range(2, 400) if n % 4 != 1
]


def taken(place: Path, dumps: dict[str, bytes], limit: int = 1 << 30) -> tuple[list[Piece], list, dict[str, list]]:
    """Return the pieces of dumps, their questions with the ids of all posts, and the reasons of what each lost."""
    with indexes.opened(str(place), write=True) as index:
        states = {name: str(hash(data)) for name, data in dumps.items()}
        for name in indexes.prepare(index, states):

            @contextmanager
            def look(data: bytes = dumps[name]) -> Iterator[Stream]:
                yield Stream(io.BytesIO(data), limit)

            indexes.take(index, name, states[name], look)
        pieces = [*indexes.pieces(index)]
        found = [
            (question, [post.id for post in posts])
            for p in pieces
            if p.piece is not None
            for question, posts in indexes.questions(index, p.dump, p.piece)
        ]
        counted = sum(indexes.count(index, p.dump, p.piece) for p in pieces if p.piece is not None)
        assert counted == len(found)
        return pieces, found, {name: [problem[:2] for problem in indexes.problems(index, name)] for name in dumps}


WHOLE = [(n, [n, n + 1, n + 2, n + 3]) for n in range(1, 397, 4)] + [(397, [397, 398, 399])]


def test_neither_order_nor_batches_nor_packing_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, found, lost = taken(tmp_path / "a", {"d": dump(ROWS)})
    assert found == WHOLE and lost == {"d": []} and [p.piece for p in one] == [0]
    mixed = random.Random(1).sample(ROWS, len(ROWS))
    monkeypatch.setattr(indexes, "BATCH_ROWS", 7)
    assert taken(tmp_path / "b", {"d": bz2.compress(dump(mixed))}) == (one, found, lost)
    monkeypatch.setattr(indexes, "PIECE_IDS", 100)
    many, again, _ = taken(tmp_path / "c", {"d": dump(mixed)})
    assert again == WHOLE and [p.piece for p in many] == [0, 1, 2, 3] and len({p.digest for p in many}) == 4


def test_a_dump_is_read_once_and_a_changed_one_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexes, "PIECE_IDS", 100)
    before, *_ = taken(tmp_path / "i", {"d": dump(ROWS), "e": dump(ROWS[:3])})
    assert [p.dump for p in before] == ["d"] * 4 + ["e"]
    after, found, _ = taken(tmp_path / "i", {"d": dump([*ROWS, answer(401, 1)])})
    assert found == [(1, [1, 2, 3, 4, 401]), *WHOLE[1:]]
    assert [a.digest == b.digest for a, b in zip(after, before, strict=False)] == [False, True, True, True]
    monkeypatch.setattr(indexes, "take", None)
    with indexes.opened(str(tmp_path / "i"), write=True) as index:
        assert indexes.prepare(index, {"d": str(hash(dump([*ROWS, answer(401, 1)])))}) == []


XML = dump(ROWS)
BROKEN = XML.replace(b'Id="5" ', b'Id="5" Body="&lol;" ', 1)
DAMAGED = {
    "cut in a row": (XML[: len(XML) // 2], ["truncated_dump", "malformed_row"]),
    "cut between rows": (XML[: XML.index(b"<row", 999)], ["truncated_dump"]),
    "gzip cut": (gzip.compress(XML, 1)[:-900], ["truncated_dump", "malformed_row"]),
    "empty": (b"", ["not_posts"]),
    "html": (b"<html><body>Not found</body></html>", ["not_posts"]),
    "no tags": (b"\0" * 9000, ["not_posts"]),
    "another table": (XML.replace(b"posts>", b"users>"), ["not_posts"]),
    "bomb": (
        XML.replace(b"<posts>", b'<!DOCTYPE a [<!ENTITY lol "lollol">]><posts>').replace(b"Why?", b"&lol;", 1),
        ["markup_declaration", "markup_declaration", "malformed_row"],
    ),
    "an entity": (BROKEN, ["malformed_row"]),
    "Latin-1": (XML.replace(b"Why?", b"\xe9", 1), ["malformed_row"]),
    "tags": (dump([*ROWS, row(900, PostTypeId=5), row(901, PostTypeId=5), row(902, PostTypeId=4)]), ["other_post"] * 2),
    "one id twice": (dump([*ROWS, question(5, "<p>Again")]), []),
    "a long row": (XML.replace(b"Why?", b"y" * (17 << 20), 1), ["row_too_long"]),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damage_costs_what_is_damaged(tmp_path: Path, case: str) -> None:
    data, reasons = DAMAGED[case]
    _, found, lost = taken(tmp_path / "i", {"d": data, "sound": dump(ROWS[:1])})
    assert [reason for _, reason in lost["d"]] == reasons and not lost["sound"] and found[-1] == (1, [1])
    if case in ("bomb", "an entity", "Latin-1", "tags", "one id twice", "a long row"):
        assert sum(len(posts) for _, posts in found[:-1]) + sum(r in ("malformed_row", "row_too_long") for r in reasons) == len(
            ROWS
        )


def test_a_stream_whose_checksum_does_not_agree_is_not_believed(tmp_path: Path) -> None:
    first, rest = XML[: len(XML) // 2], XML[len(XML) // 2 :]
    packed = gzip.compress(first) + gzip.compress(rest)[:-8] + b"\1" * 8
    _, found, lost = taken(tmp_path / "i", {"d": packed})
    assert {reason for _, reason in lost["d"]} == {"corrupt_dump", "malformed_row"}
    assert 0 < sum(len(posts) for _, posts in found) < 300


def test_what_inflates_too_far_is_told(tmp_path: Path) -> None:
    _, found, lost = taken(tmp_path / "i", {"d": gzip.compress(XML)}, limit=len(XML) // 2)
    assert [reason for _, reason in lost["d"]] in (["inflates_too_far"], ["inflates_too_far", "malformed_row"]) and len(
        found
    ) < 100


def test_an_interrupted_dump_is_taken_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr(indexes.stackexchange_posts, "post", lambda piece: (_ for _ in ()).throw(KeyboardInterrupt))
        taken(tmp_path / "i", {"d": XML})
    assert taken(tmp_path / "i", {"d": XML})[1] == WHOLE


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "i").write_bytes(b"no database" * 100)
    with pytest.raises(InputError, match="name another file as the index"):
        taken(tmp_path / "i", {"d": XML})


def test_kinds_of_posts_without_end_are_told_together(tmp_path: Path) -> None:
    rows = [b'<row Id="%d" PostTypeId="x%d" />' % (n, n) for n in range(1000)]
    _, _, lost = taken(tmp_path / "i", {"a": b"<posts>" + b"".join(rows) + b"</posts>"})
    assert [reason for _, reason in lost["a"]] == ["other_post"] * (indexes.MOST_KINDS + 1)
