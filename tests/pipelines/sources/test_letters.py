"""The costs of letters: the counts are whole, each encoding's own text is its cheapest, and what comes again is no more certain."""

import pytest

from starmill.pipelines.sources.letters import (
    FILE,
    MULTI,
    SIGNS_ALONE,
    SINGLE,
    WEST,
    characters,
    counts,
    folded,
    readings,
    tables,
)

LANGUAGES = {language for _, of, _ in SINGLE for language in of} | {language for _, language, _ in MULTI}


def test_the_counts_hold_each_language_and_nothing_else() -> None:
    assert {*counts()} == LANGUAGES and counts()[SIGNS_ALONE] == {}
    assert all(len(seen) > 60 for language, seen in counts().items() if language)
    assert counts()["de"]["fü"] > counts()["de"].get("äö", 0) and counts()["ru"]["в|"] > 0
    assert FILE.stat().st_size < 200_000 and all(not what.isascii() for seen in counts().values() for what in seen)
    assert {"ß", "Я", "的", "©"} <= characters() and "क" not in characters()


def test_tables_are_of_every_encoding_and_cost_nothing_within_ascii() -> None:
    of, pairs, alone = tables()
    assert {*of} == {*range(len(SINGLE))} and pairs.shape == (len(of), 65536) and alone.shape == (len(of), 256)
    assert not pairs.reshape(-1, 256, 256)[:, :128, :128].any() and not alone[:, :128].any()


@pytest.mark.parametrize("text", ["größer für alle", "coração não", "smörgås på ön"])
def test_texts_that_are_the_same_are_told_by_their_characters(text: str) -> None:
    first, *others = readings(text.encode("latin-1"), True)
    assert first.encoding == "WINDOWS-1252" and first.cost < first.most
    assert min(r.cost for r in others if r.text != first.text) > first.cost + 3
    assert [*WEST][-1] == SIGNS_ALONE, "names and signs in English code"


def test_what_comes_again_is_no_more_certain() -> None:
    once, often = (readings("// 距离\n".encode("gb18030") * n, True) for n in (1, 1000))
    gap = [r[1].cost - r[0].cost for r in (once, often)]
    assert abs(gap[1]) <= 2 * abs(gap[0]) + 10


def test_folded() -> None:
    assert folded("Für X1-Y\tÉ") == "für x0 y é"
