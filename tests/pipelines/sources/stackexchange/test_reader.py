"""Dumps of questions to records, and from a recipe to a document."""

import gzip
import os
from pathlib import Path

import pytest
from posts import answer, dump, question, row, write

from starmill.pipelines.sources.source import Entry, Limits
from starmill.pipelines.sources.stackexchange import index as stackexchange_index
from starmill.pipelines.sources.stackexchange.reader import StackExchange


def source(place: Path, **options: bool) -> StackExchange:
    return StackExchange(folder=str(place / "dumps"), index=str(place / "made/index"), **options)  # type: ignore[arg-type]


def records(of: StackExchange, **limits: int) -> dict[tuple[str, str], Entry]:
    return {(r.name, entry.path.decode()): entry for r in of.plan() for entry in of.read(r, Limits(**limits))[1]}


def test_a_question_with_its_answers(tmp_path: Path) -> None:
    rows = [
        question(4, "<p>Why, @Zed? Ask joe.</p>", OwnerUserId=8, Score=5, AcceptedAnswerId=6, Title="T  &"),
        answer(9, 4, "<p>No!</p>", OwnerUserId=8),
        answer(6, 4, "<pre><code>x\n</code></pre>", OwnerDisplayName="Zed", Score=-2),
    ]
    write(tmp_path / "dumps/toy.org/Posts.xml", rows)
    [entry] = records(source(tmp_path, title=True)).values()
    assert (entry.path, entry.repo_name, entry.kind) == (b"questions/4", b"toy.org", "stackoverflow")
    text = (entry.data or b"").decode()
    assert text == "T &\nWhy, @username_1? Ask joe.\n```\nx\n```\nNo!"
    said = [(s["role"], s["name"], text[s["start"] : s["end"]]) for s in entry.segments or ()]
    assert said == [
        ("title", "username_0", "T &"),
        ("question", "username_0", "Why, @username_1? Ask joe."),
        ("votes", "5", ""),
        ("answer", "username_1", "```\nx\n```"),
        ("votes", "-2", ""),
        ("selected", None, ""),
        ("answer", "username_0", "No!"),
        ("votes", "0", ""),
    ]
    [plain] = records(source(tmp_path)).values()
    assert plain.data == text.partition("\n")[2].encode()


def test_sites_files_and_what_is_never_read(tmp_path: Path) -> None:
    place = tmp_path / "dumps"
    write(place / "one.org/Posts.xml", [question(1)])
    write(place / "one.org/Users.xml", [row(1)])
    write(place / "two.org-Posts.xml", [question(1)])
    (place / "deep/one.org").mkdir(parents=True)
    (place / "deep/one.org/Posts.xml.gz").write_bytes(gzip.compress(dump([question(2), row(3, PostTypeId=4)]), mtime=0))
    (place / "three.org.7z").touch()
    (place / "Posts.xml").symlink_to("one.org/Posts.xml")
    found = source(tmp_path)
    assert {r.name: r.left_out for r in found.inventory()} == {
        "one.org": "",
        "one.org~2": "",
        "two.org": "",
        "stackexchange/dumps/deep/one.org/Posts.xml.gz": "",
        "one.org/Users.xml": "not_posts",
        "three.org.7z": "not_posts",
        "Posts.xml": "symlink",
    }
    made = records(found)
    assert {(name, path, (e.repo_name or b"").decode(), e.reason) for (name, path), e in made.items()} == {
        ("one.org", "questions/2", "one.org", None),
        ("one.org~2", "questions/1", "one.org~2", None),
        ("two.org", "questions/1", "two.org", None),
        ("stackexchange/dumps/deep/one.org/Posts.xml.gz", "", "", "other_post"),
    }


def test_pieces_of_a_dump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stackexchange_index, "PIECE_IDS", 100)
    write(tmp_path / "dumps/toy.org/Posts.xml", [question(n) for n in (5, 150, 151, 999)])
    found = source(tmp_path)
    before = found.plan()
    assert [r.name for r in before] == ["toy.org/00000", "toy.org/00001", "toy.org/00009"]
    assert [path for _, path in records(found)] == ["questions/5", "questions/150", "questions/151", "questions/999"]
    write(tmp_path / "dumps/toy.org/Posts.xml", [question(n) for n in (5, 150, 151, 999, 998)])
    assert [a.fingerprint == b.fingerprint for a, b in zip(found.plan(), before, strict=True)] == [True, True, False]


def test_what_is_no_record(tmp_path: Path) -> None:
    many = [answer(n, 10, f"<p>{n}</p>") for n in range(100, 3000)]
    rows = [answer(2, 1), question(4, "y" * 999), question(5, "é" * 300), question(10), *many, question(5000)]
    write(tmp_path / "dumps/toy.org/Posts.xml", rows)
    made = records(source(tmp_path), max_file_bytes=600)
    assert {path: e.reason for (_, path), e in made.items()} == {
        "questions/1": "no_question",
        "questions/4": "too_large",
        "questions/5": "too_large",
        "questions/10": "too_large",
        "questions/5000": None,
    }


def test_names_are_unique_whatever_lies_there_and_need_not_be_utf8(tmp_path: Path) -> None:
    for name in (b"caf\xe9", b"caf\\xe9", b"one.org"):
        write(
            Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), b"dumps", name + b"-Posts.xml"))),
            [question(1), question(250_001)],
        )
    (tmp_path / "dumps/one.org").mkdir()
    (tmp_path / "dumps/one.org/00000").touch()
    planned = [r.name for r in source(tmp_path).planned()]
    assert planned == sorted(
        {"one.org/00000", "one.org/00000~2", "one.org/00002"}
        | {f"caf\\xe9{again}/{piece:05}" for again in ("", "~2") for piece in (0, 2)}
    )
    entries = [e for r in source(tmp_path).plan() for e in source(tmp_path).read(r, Limits())[1]]
    assert len({(e.repo_name, e.path) for e in entries}) == 6 and all(e.data for e in entries)


def test_what_another_run_did_to_the_index_while_it_was_read_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "dumps/one.org").mkdir(parents=True)
    (tmp_path / "dumps/one.org/Posts.xml").write_bytes(dump([question(1)])[:-5])
    of = source(tmp_path)
    planned = of.plan()
    assert len(planned) == 2 and [of.fingerprint(r) for r in planned] == [r.fingerprint for r in planned]
    write(tmp_path / "dumps/one.org/Posts.xml", [question(1, "<p>another</p>")])
    source(tmp_path).plan()
    assert not {of.fingerprint(r) for r in planned} & {r.fingerprint for r in planned}
