"""How rare words are: the table that ships, and one made of a few texts."""

from pathlib import Path

import pytest

from starmill.transforms.clean.overlap import rarity


def total(text: str) -> float:
    return sum(rarity.bits(word[0]) for word in rarity.words(text))


def test_what_anybody_writes_has_few_bits() -> None:
    for text in ("return x + y", "return len(string)", "for i in range(n):", "if __name__ == '__main__':"):
        assert total(text) < 40, text
    for text in ("return [crate for crate in basket if fruit in crate]", "the widest gap between neighbouring readings"):
        assert total(text) > 50, text


def test_a_word_has_no_more_bits_than_its_letters_hold() -> None:
    assert rarity.bits("q") < 5 < rarity.bits("qxz") <= rarity.CAP == rarity.bits("zyxwvutsr")
    assert rarity.bits("RETURN") == rarity.bits("return")


def test_a_table_of_texts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.py").write_text("bee_line = beeLine(1)\n")
    (tmp_path / "b.bin").write_bytes(b"\xff\xfe\0")
    rarity.main([str(tmp_path)])
    assert capsys.readouterr().out.splitlines() == ["words 5", "bee 2", "line 2", "1 1"]
    assert rarity.count(["a b c"], most=2) == "words 3\na 1\nb 1\n"
