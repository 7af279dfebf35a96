"""Text in the encodings that people use comes back as it was; what is no text is refused, with the reason."""

import random

import pyarrow as pa
import pytest

from starmill.pipelines.sources.encoding import decode, judge

PROSE = {
    "cp1251": "// Эта функция вычисляет расстояние между двумя точками на плоскости.\nint main() { return 0; }\n",
    "shift_jis": "// この関数は二つの点の間の距離を計算します。\nint main() { return 0; }\n",
    "gb18030": "// 这个函数计算平面上两点之间的距离,并返回结果。\nint main() { return 0; }\n",
    "euc-kr": "// 이 함수는 평면 위의 두 점 사이의 거리를 계산합니다.\nint main() { return 0; }\n",
    "big5": "// 這個函數計算平面上兩點之間的距離,並傳回結果。\nint main() { return 0; }\n",
    "iso-8859-1": "# Die Größe der Fläche in Quadratmetern, für jede Straße überprüft und geändert.\nx = 1\n",
    "cp1252": "/* Calcule l’aire – déjà vérifiée à l’été, très près de la fenêtre. */\nint main() { return 0; }\n",
}


@pytest.mark.parametrize(
    "text", ["x = 1\r\n", "naïve ☃ 😀\n", "\ufeffx", " " * 1_000_000], ids=["ascii", "utf8", "bom", "spaces"]
)
def test_utf8_first_and_strictly(text: str) -> None:
    assert decode(text.encode()) == (text.removeprefix("\ufeff"), "UTF-8")


@pytest.mark.parametrize("encoding", PROSE)
def test_other_encodings_are_guessed_and_verified(encoding: str) -> None:
    decoded = decode((PROSE[encoding] * 3).encode(encoding))
    assert decoded is not None
    text, named = decoded
    assert text == PROSE[encoding] * 3
    assert text.encode(named) == text.encode(encoding), "the name given reads and writes the same bytes"


@pytest.mark.parametrize(
    ("text", "codec"),
    [
        ("# Prüfung der Größe, größer\nx = 1\n", "latin-1"),
        ("# コメントです。日本語\n", "shift_jis"),
        ("# комментарий на русском языке\n", "cp1251"),
    ],
)
def test_one_line_is_enough(text: str, codec: str) -> None:
    decoded = decode(text.encode(codec))
    assert decoded is not None and decoded[0] == text


@pytest.mark.parametrize(
    "text",
    [
        "/* Copyright © 2004 The Authors. */\nint x;\n",
        "double t; /* in °C, ±0,5 µm; §3 */\n",
        "# café\n",
        "// für M. Muñoz, Ærø\n",
        "/* it’s “quoted” – so… 5 € */\n",
        "naïve();  // à vérifier, déjà vu, ça\n",
    ],
)
def test_few_western_characters_in_code(text: str) -> None:
    for repeats in (1, 20):
        whole = text + "x = y + 1;\n" * repeats
        decoded = decode(whole.encode("cp1252"))
        assert decoded is not None and decoded[0] == whole


@pytest.mark.parametrize("codec", ["iso-8859-2", "cp1250", "cp1251", "koi8-r"])
def test_words_of_other_alphabets_are_not_taken_for_western(codec: str) -> None:
    text = "# Привет, это комментарий о числах\n" if codec in ("cp1251", "koi8-r") else "# Zażółć gęślą jaźń, źdźbło\n"
    decoded = decode((text * 3 + "x = 1\n").encode(codec))
    assert decoded is None or decoded[1] != "WINDOWS-1252", decoded


def test_damaged_utf_8_is_no_other_encoding() -> None:
    for text in ("# naïve café déjà vu\n", "// это комментарий\n", "// 这个函数计算\n"):
        whole = text.encode() * 3
        for at in range(len(whole)):
            for bad in (b"\x80", b"\xff", b"\xe9"):
                decoded = decode(whole[:at] + bad + whole[at:])
                assert decoded is None or decoded[1] == "UTF-8", (text, at, bad)


def test_noise_is_no_text() -> None:
    draw = random.Random(0)
    assert [decode(bytes(draw.randrange(1, 256) for _ in range(2000))) for _ in range(30)] == [None] * 30


def test_whatever_is_returned_fits_arrow() -> None:
    # Lone surrogates in UTF-8 clothes (CESU), overlong forms, a sequence cut off: never a string that Arrow refuses.
    for data in (
        b"a\xed\xa0\x80b" * 9,
        b"\xed\xb2\x80",
        b"\xc0\xaf",
        b"abc \xe2\x82",
        b"\xff\xfe" + "日本語".encode("utf-16-le"),
    ):
        decoded = decode(data)
        if decoded is not None:
            assert pa.array([decoded[0]])[0].as_py() == decoded[0]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"a\0b", "nul_bytes"),
        ("utf-16".encode("utf-16"), "nul_bytes"),
        (b"x" * 100, "too_large"),
        (b"\0" * 100, "too_large"),
        (b"x" * 99, None),
    ],
)
def test_reasons(data: bytes, reason: str | None) -> None:
    assert judge(data, max_bytes=100) == reason
