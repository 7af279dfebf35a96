"""The file of samples: continues after its last whole line, is one process's, and says which line is none."""

from pathlib import Path

import pytest

from starmill.core.errors import InputError
from starmill.evaluation.run.samples import Sample, Samples

ONE, TWO = Sample("a", 0, "x\n\udc80"), Sample("b", 1, "y", -1, "too long")


def test_what_follows_the_last_whole_line_is_dropped(tmp_path: Path) -> None:
    place = tmp_path / "deep/samples.jsonl"
    with Samples(place) as samples:
        samples.add(ONE)
    whole = place.read_bytes()
    for torn in (b'{"problem": "b", "numb', b"\xff", b'{"problem": "c", "number": 0, "text": ""}'):
        place.write_bytes(whole + torn)
        with Samples(place) as samples:
            assert samples.found == {ONE.key: ONE}
            samples.add(TWO)
        with Samples(place) as samples:
            assert [*samples.found.values()] == [ONE, TWO]
        place.write_bytes(whole)


def test_one_process_writes(tmp_path: Path) -> None:
    with Samples(tmp_path / "s"), pytest.raises(InputError, match="another evaluation writes it"):
        Samples(tmp_path / "s")
    with Samples(tmp_path / "s"):
        pass


@pytest.mark.parametrize("line", ["[]", "{}", '{"problem": 1}', "x", '{"other": 2}'])
def test_a_line_that_is_none(tmp_path: Path, line: str) -> None:
    (tmp_path / "s").write_text(f"{line}\n")
    with pytest.raises(InputError, match="line 1 is no sample; remove the file"):
        Samples(tmp_path / "s")


def test_the_order_is_the_one_that_is_asked(tmp_path: Path) -> None:
    places = [tmp_path / "1", tmp_path / "2"]
    more = Sample("c", 5, "z")
    for place, order in zip(places, ([ONE, TWO, more], [more, TWO, ONE]), strict=True):
        with Samples(place) as samples:
            for sample in order:
                samples.add(sample)
            samples.order([TWO.key, ONE.key])
            samples.add(Sample("d", 0, ""))
    assert places[0].read_bytes() == places[1].read_bytes() and places[0].read_text().startswith('{"problem": "b"')
