"""Bytes to text: strict UTF-8 first, verified guesses after, reasons for the rest."""

import pytest

from starmill.transforms.encoding import decode, judge


@pytest.mark.parametrize(
    ("data", "limit", "reason"),
    [(b"x", 10, None), (b"", 10, "empty"), (b"x" * 9, 10, None), (b"x" * 10, 10, "too_large"), (b"a\0b", 10, "nul_bytes")],
)
def test_judge(data: bytes, limit: int, reason: str | None) -> None:
    assert judge(data, limit) == reason


@pytest.mark.parametrize(
    ("text", "codec"),
    [
        ("# Prüfung der Größe, größer\nx = 1\n", "latin-1"),
        ("# コメントです。日本語\n", "shift_jis"),
        ("# комментарий на русском языке\n", "cp1251"),
        ("# 漢字 é ok\n", "utf-8"),
    ],
)
def test_other_encodings_come_out_as_written(text: str, codec: str) -> None:
    decoded = decode(text.encode(codec))
    assert decoded is not None and decoded[0] == text


def test_utf8_is_strict_and_loses_its_bom() -> None:
    assert decode("\ufeffx = 1".encode()) == ("x = 1", "UTF-8")
    assert decode(b"x = '\xed\xa0\x80'") is None or "\ud800" not in (decode(b"x = '\xed\xa0\x80'") or ("",))[0]


def test_noise_is_no_text() -> None:
    import random

    assert decode(b"x = 1\n" + bytes(random.Random(6).randrange(1, 256) for _ in range(400))) is None
