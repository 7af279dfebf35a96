"""The portrait: 99 characters in a row are never missed, whatever the text; damaged files are refused by name."""

from pathlib import Path

import pyarrow as pa
import pytest
import released_workspace as released
from hypothesis import given, settings
from hypothesis import strategies as st

from starmill.core.dataset import Workspace
from starmill.core.errors import InputError
from starmill.transforms.attribution import portrait
from starmill.transforms.attribution.portrait import HEADER, Part, Portrait, Shape
from starmill.transforms.attribution.squash import Squashed

FILES = [
    "".join(f"def function_{i}_{k}(value):\n\treturn value ** {i} + {k}  # é漢 {i * k}\r\n" for i in range(40))
    for k in range(6)
]
SMALL = Shape(3, 1 << 16)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    rows = [released.row("me/project", f"/{k}.py", text) for k, text in enumerate(FILES)]
    return released.derive(released.build(tmp_path_factory.mktemp("portrait"), [rows[:4], rows[4:]]))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 5), st.data())
def test_a_span_of_99_characters_is_never_missed(place: Workspace, k: int, data: st.DataObject) -> None:
    whole = Squashed.of(FILES[k])
    start = data.draw(st.integers(0, whole.characters - 99))
    a, b = whole.characters_of(*(int(whole.starts[i]) for i in (start, start + 99)))
    asked = FILES[k][a:b]
    if Squashed.of(asked).characters == 99:  # else white space at its ends was stripped
        spans = Portrait(place).overlaps(f"{asked}")
        assert spans and all(0 <= s.start < s.end <= len(asked) for s in spans)


def test_a_whole_file_is_one_chain_and_another_text_is_nothing(place: Workspace) -> None:
    [span] = Portrait(place).overlaps(FILES[2])
    assert span.grams == Squashed.of(FILES[2]).characters // 50 and span.start == 0
    assert len(FILES[2]) - span.end < 60, "but for the last gram, which is not whole"
    assert Portrait(place).overlaps("another text " * 3) == []
    rows = [(s.start, s.grams) for s in Portrait(place).overlaps("x " * 60 + FILES[1][:200])]
    assert len(rows) == 1 and rows[0][0] == 120 and rows[0][1] >= 2


def test_partitions_are_an_or_in_any_order() -> None:
    hashes = portrait.tiles(pa.array(FILES))
    numbers = portrait.partition_of(hashes, SMALL.partitions)
    assert {*numbers.tolist()} == {0, 1, 2}
    some = hashes[numbers == 1]
    one = portrait.made(1, SMALL, [some], bytes(16))
    assert one == portrait.made(1, SMALL, [some[::-1][:7], some[::-1][7:]], bytes(16))
    assert Part.read(one[: HEADER.size], len(one), "x") == Part(1, SMALL, len(some), bytes(16))


@pytest.mark.parametrize("size", [0, 1, 6_249, 10**9, 32 * 10**12])
def test_a_portrait_has_two_hundredths_of_a_release(size: int) -> None:
    shape = Shape.of(size)
    assert shape.bits % 64 == 0 and 0 < shape.bits < 1 << 32 and shape.partitions <= 1 << 16
    assert abs(shape.partitions * shape.bits / 8 - 0.02 * size) <= 8 * shape.partitions


def test_what_is_no_portrait_is_refused(place: Workspace, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no portrait/manifest.json.*starmill portrait"):
        Portrait(Workspace(str(tmp_path)))
    good = place.read("portrait/part-00000.bloom")
    for bad, said in (
        (good[:-1], "cut off"),
        (b"x" + good[1:], "wrong magic"),
        (good[:20], "wrong magic"),
        (b"", "empty"),
        (good[:8] + b"\x09" + good[9:], "another version"),
    ):
        other = Workspace(str(tmp_path / str(len(bad)) / said.replace(" ", "")))
        other.publish("portrait/manifest.json", place.read("portrait/manifest.json"))
        other.publish("portrait/part-00000.bloom", bad)
        with pytest.raises(InputError, match=said):
            Portrait(other)


def test_a_bucket_is_read_once(place: Workspace) -> None:
    bucket = Workspace("memory://portrait-of-a-bucket")
    for path in ("portrait/manifest.json", "portrait/part-00000.bloom"):
        bucket.publish(path, place.read(path))
    assert Portrait(bucket).overlaps(FILES[0]) == Portrait(place).overlaps(FILES[0])


def test_the_portrait_of_an_earlier_release_is_not_believed(place: Workspace, tmp_path: Path) -> None:
    other = released.build(tmp_path, [[released.row("me/project", "/new.py", "x = 1\n" * 50)]])
    for path in ("portrait/manifest.json", "portrait/part-00000.bloom"):
        other.publish(path, place.read(path))
    with pytest.raises(InputError, match="earlier release"):
        Portrait(other)
