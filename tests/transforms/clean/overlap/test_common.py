"""How rare words are: the table that ships, and one made of a few texts."""

from pathlib import Path

import pytest

from starmill.transforms.clean.overlap import common


def total(text: str) -> float:
    return sum(common.bits(word[0]) for word in common.words(text))


def test_what_anybody_writes_has_few_bits() -> None:
    for text in ("return x + y", "return len(string)", "for i in range(n):", "if __name__ == '__main__':"):
        assert total(text) < 40, text
    for text in ("return [crate for crate in basket if fruit in crate]", "the widest gap between neighbouring readings"):
        assert total(text) > 50, text


def test_a_word_has_no_more_bits_than_its_letters_hold() -> None:
    assert common.bits("q") < 5 < common.bits("qxz") <= common.CAP == common.bits("zyxwvutsr")
    assert common.bits("RETURN") == common.bits("return")


def test_a_table_of_texts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.py").write_text("bee_line = beeLine(1)\n")
    (tmp_path / "b.bin").write_bytes(b"\xff\xfe\0")
    common.main([str(tmp_path)])
    assert capsys.readouterr().out.splitlines() == ["words 5", "bee 2", "line 2", "1 1"]
    assert common.count(["a b c"], most=2) == "words 3\na 1\nb 1\n"
