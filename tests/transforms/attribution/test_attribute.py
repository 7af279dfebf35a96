"""Attribution end to end over a small release: planted spans, exact and edited, come back with the files that hold them."""

import random
from pathlib import Path

import pytest
import released_workspace as released

from starmill.core.dataset import Workspace
from starmill.transforms.attribution import fingerprints, matches
from starmill.transforms.attribution.attribute import Attribution, Attributor, shown
from starmill.transforms.attribution.squash import Squashed

random_ = random.Random(1)
HEADER = "# " + " ".join(f"term{i * 7919 % 1000}" for i in range(50)) + "\n"  # as a licence at the top of every file
FILES = [
    HEADER + "".join(f"\tvalue_{random_.randrange(10**6)} = call_{i}({random_.randrange(10**6)})  # é漢\r\n" for i in range(80))
    for k in range(40)
]
ROWS = [released.row(f"owner/p{k % 4}", f"/{k}.py", text, star_events_count=k % 7) for k, text in enumerate(FILES)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return released.derive(released.build(tmp_path_factory.mktemp("attributed"), [ROWS[:15], ROWS[15:31], ROWS[31:]]))


def holders(found: Attribution) -> set[str]:
    return {file.swhid for span in found.spans for file in span.files}


def swhid(k: int) -> str:
    return f"swh:1:cnt:{ROWS[k]['content_id']}"


def test_exact_spans_come_back_whole_with_their_file(place: Workspace) -> None:
    for k in range(len(FILES)):
        whole = Squashed.of(FILES[k][len(HEADER) :])
        first = random_.randrange(whole.characters - 101)
        a, b = whole.characters_of(int(whole.starts[first]), int(whole.starts[first + 101]))
        text = FILES[k][len(HEADER) + a : len(HEADER) + b]
        asked = f"unlike anything there\n{text}\nand more of it"
        [span] = Attributor(place)(asked).spans
        [file] = span.files
        assert (file.swhid, file.path, file.repo_name) == (swhid(k), f"/{k}.py", f"owner/p{k % 4}")
        assert (span.similarity, span.count, file.licenses, file.license_type) == (1, 1, ("MIT",), "permissive")
        assert text.strip() in asked[span.start : span.end + 1]
        lines = FILES[k].split("\n")[file.first_line - 1 : file.last_line]
        assert " ".join(asked[span.start : span.end].split()) in " ".join(" ".join(lines).split())


def test_edited_spans_are_named_with_their_similarity(place: Workspace) -> None:
    for k in range(0, 40, 3):
        text = list(FILES[k][500:1100])
        for at in random_.sample(range(60, 540), 4):
            text[at] = "Q"
        found = Attributor(place)("".join(text))
        assert holders(found) == {swhid(k)}
        joined = max(found.spans, key=lambda s: s.end - s.start)
        assert joined.end - joined.start >= 450 and joined.similarity > 0.98


def test_what_many_files_hold_keeps_a_count_and_the_best_file(
    place: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Attributor(place)(HEADER, most_files=3)
    assert (found.spans[0].start, found.spans[0].count, len(found.spans[0].files)) == (0, 40, 3)
    assert {f.swhid for f in found.spans[0].files} == {swhid(6), swhid(13), swhid(20)}, "of most stars, the first"
    monkeypatch.setattr(fingerprints, "COMMON", 10)
    rare = released.derive(released.build(tmp_path, [ROWS[:15], ROWS[15:31], ROWS[31:]]))
    [span] = Attributor(rare)(HEADER[:99]).spans
    assert span.common == 40 and span.count == 1 and [f.swhid for f in span.files] == [swhid(6)]
    for k in range(40):  # at the header's end no two files have the same surroundings
        asked = FILES[k][len(HEADER) - 60 : len(HEADER) + 60]
        assert max(s.end - s.start for s in Attributor(rare)(asked).spans) >= 99, (
            "one of those that hold it whole stands for it"
        )
    assert holders(Attributor(rare)(FILES[3])) >= {swhid(3)}


def test_a_bound_on_what_is_compared_is_told(place: Workspace) -> None:
    found = Attributor(place)(HEADER, candidates=4)
    assert found.unread == 36 and found.spans[0].count == 4


def test_what_the_release_does_not_hold_is_no_span(place: Workspace) -> None:
    for text in ("", "x = 1\n", "nothing like it " * 20, "\ud800" * 300):
        assert Attributor(place)(text) == Attribution(len(text), (), 0, 0)
    whole = Attributor(place)(FILES[7])
    assert whole.spans[0].files[0].swhid == swhid(7) and whole.spans[0].end >= len(FILES[7]) - 2


def test_names_are_shown_as_a_view_shows_them(place: Workspace) -> None:
    found = shown(Attributor(place)(FILES[7], most_files=1), lambda name: f"<{name}>")
    assert found.spans[0].files[0].repo_name == "<owner/p3>" and found.spans[0].files[0].licenses == ("<MIT>",)


def test_stretches_that_are_not_looked_at_are_told(place: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    text = FILES[3][len(HEADER) + 10 : 1000] + "unlike anything there " * 5 + FILES[3][1500:2500]
    whole = Attributor(place)(text)
    monkeypatch.setattr(matches, "MOST", 1)
    found = Attributor(place)(text)
    assert (whole.cut, found.cut) == (0, 1) and len(found.spans) < len(whole.spans)
