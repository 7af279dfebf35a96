"""Text in the encodings that people use comes back as it was; what is no text is refused, with the reason."""

import random
import struct
from collections.abc import Callable

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
    "cp1250": "// Funkce spočítá vzdálenost dvou bodů, příliš žluťoučký kůň úpěl ďábelské ódy.\nint main() { return 0; }\n",
    "iso-8859-2": "# Obliczamy odległość między dwoma punktami na płaszczyźnie, żeby sprawdzić wynik.\nx = 1\n",
    "iso-8859-5": "// Эта функция вычисляет расстояние между двумя точками.\nint main() { return 0; }\n",
    "iso-8859-15": "/* Le cœur de l'œuvre coûte 5 € : le nœud, la sœur. */\nint main() { return 0; }\n",
    "koi8-r": "// Здесь проверяется, что файл открыт и доступен для записи.\nint main() { return 0; }\n",
    "koi8-u": "// Перевіряємо, чи існує файл і чи є до нього доступ; її значення.\nint main() { return 0; }\n",
    "cp866": "REM Программа удаляет временные файлы и очищает каталог.\nREM Нажмите любую клавишу\n",
    "mac-cyrillic": "// Это Функция для проверки строк: Язык, Адрес, Яблоко и Юг.\nint main() { return 0; }\n",
    "cp1253": "# Υπολογίζει την απόσταση ανάμεσα σε δύο σημεία του επιπέδου.\nx = 1\n",
    "iso-8859-7": "# Ελέγχουμε αν το αρχείο υπάρχει και μπορεί να διαβαστεί.\nx = 1\n",
    "cp1254": "// İki nokta arasındaki uzaklığı hesaplar ve sonucu döndürür, şimdilik değişmez.\nint main() { return 0; }\n",
    "cp1255": "// הפונקציה מחשבת את המרחק בין שתי נקודות במישור\nint main() { return 0; }\n",
    "cp1256": "// تحسب هذه الدالة المسافة بين نقطتين في المستوى\nint main() { return 0; }\n",
    "iso-8859-6": "# هذا الملف يحتوي على قائمة الكلمات\nx = 1\n",
    "cp1257": "// Apskaičiuojame atstumą tarp dviejų taškų, žodžių sąrašas išsaugomas čia.\nint main() { return 0; }\n",
    "cp874": "// ฟังก์ชันนี้คำนวณระยะทางระหว่างจุดสองจุด\nint main() { return 0; }\n",
    "cp932": "// ①番目の㈱名を返す関数です。テキストを読み込みます。\nint main() { return 0; }\n",
    "cp949": "// 똠방각하와 펲시콜라를 찾는 함수입니다.\nint main() { return 0; }\n",
    "euc-jp": "// ファイルを開いて、一行ずつ読み込みます。\nint main() { return 0; }\n",
    "iso-2022-jp": "// 設定ファイルを読み込みます。\nint main() { return 0; }\n",
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
        ("# открыть файл\n", "koi8-r"),
        ("// чи є доступ\n", "koi8-u"),
        ("// 計算距離\n", "big5"),
        ("// 计算两点之间的距离\n", "gb18030"),
        ("// 거리를 계산\n", "euc-kr"),
        ("# Zażółć gęślą jaźń\n", "iso-8859-2"),
        ("# příliš žluťoučký\n", "cp1250"),
        ("# η απόσταση\n", "cp1253"),
        ("# değişken sayısı\n", "cp1254"),
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
        (b"\xff\xfe", "empty"),
        (b"\0\0\xfe\xff", "empty"),
        (b"a\0b", "nul_bytes"),
        ("a\0b".encode("utf-16"), "nul_bytes"),
        ("utf-16".encode("utf-16")[:-1], "nul_bytes"),
        ("utf-16".encode("utf-16"), None),
        (b"x" * 100, "too_large"),
        (b"\0" * 100, "too_large"),
        (b"x" * 99, None),
    ],
)
def test_reasons(data: bytes, reason: str | None) -> None:
    assert judge(data, max_bytes=100) == reason


WIDE = {
    "ascii": "int main(void)\n{\n\treturn 0;\n}\n",
    "western": "/* für größere Maße: 5 µm */\r\nx = 1;\r\n",
    "cyrillic": "// Эта функция вычисляет расстояние, и всё.\nint main() { return 0; }\n",
    "chinese": "# 一个函数计算平面上两点之间的距离。\nx = 1\n",
    "japanese": "# この関数は二つの点の間の距離を計算します。ＡＢＣ\nx = 1\n",
    "emoji": "// done 😀 and more words here\n",
}


@pytest.mark.parametrize("name", WIDE)
@pytest.mark.parametrize("codec", ["UTF-16LE", "UTF-16BE", "UTF-32LE", "UTF-32BE"])
def test_utf_16_and_utf_32_are_text_with_a_mark_and_without(codec: str, name: str) -> None:
    text = WIDE[name]
    data = text.encode(codec)
    for whole in (data, "\ufeff".encode(codec) + data):
        assert judge(whole, 1000) is None
        assert decode(whole) == (text, codec), "the mark is kept out of the text"
    assert judge(data[:-1], 1000) == "nul_bytes", "half a character is at its end"
    assert judge("\ufeff".encode(codec) + text.replace(" ", "\0").encode(codec), 1000) == "nul_bytes"
    wide = "\ufeff".encode(codec) + "\ue000\U0001fae9 x".encode(codec)
    assert decode(wide) == ("\ue000\U0001fae9 x", codec), "icons of a font, and what this Python may be too old to know"


def test_numbers_and_tables_are_not_utf_16() -> None:
    draw = random.Random(1)
    small = [
        struct.pack(f"<{n}H", *(draw.randrange(top) for _ in range(n))) for n in (8, 40, 3000) for top in (32, 256, 3000, 65536)
    ]
    constant = [struct.pack("<200H", *[value] * 200) for value in (32, 64, 0x20, 0x4E00)]
    long_ones = [struct.pack("<100I", *(draw.randrange(200) for _ in range(100))), struct.pack("<50d", *map(float, range(50)))]
    surrogates = [b"\xff\xfe" + b"\0\xd8" * 5000 + b"a\0", b"\xfe\xff" + b"\xd8\0" * 5000 + b"\0a"]
    strings = [b"\0".join(w.encode("utf-16-le") for w in ("one", "two", "three")), "a\0bc\0".encode("utf-16-le") * 9]
    for data in (*small, *constant, *long_ones, *surrogates, *strings, b"ab\0\0" * 20, bytes(5000), b"\0a" * 2, b"a\0\n\0"):
        if b"\0" in data:
            assert judge(data, 1 << 20) == "nul_bytes", data[:40]


def test_in_doubt_it_is_no_text() -> None:
    # One letter alone may be of twenty alphabets; Western and Central European text, where a word reads well in both.
    for data in (
        b"# \xe4\xee\xec\n"[:4],
        b"\xd6\xd0",
        b"x = '\xb9\xa1'\n",
        bytes(range(128, 256)),
        bytes(range(161, 255)) * 20,
    ):
        assert decode(data) is None, data
    # Encodings that no letters were counted for.
    for codec in ("cp037", "cp855", "johab", "mac-greek"):
        text = "# это проверка длинного текста на русском языке\n" if codec == "cp855" else "# 이 함수는 거리를 계산한다\n"
        data = text.encode(codec, "ignore") * 3
        found = decode(data)
        assert found is None or found[0] == text * 3 or data.isascii(), (codec, found)


def test_a_byte_that_comes_late_decides_too() -> None:
    """ISO-8859-15 and Windows-1252 differ in eight signs: one behind the sample must not be taken for the other's."""
    french = "# Écrit à l'été par un élève très zélé, numéro {}\n"
    text = "".join(french.format(n) for n in range(200)) + "# Le cœur des œuvres\n"
    assert decode(text.encode("iso-8859-15")) in (None, (text, "ISO-8859-15"))
    assert decode("".join(french.format(n) for n in range(200)).encode("cp1252")) is not None


def test_signs_before_numbers_are_no_japanese() -> None:
    rows = "".join(f"buffer.js n={n}  -3.{n} %  ±{n}.{n}% ±1.{n}% ±2.{n}%\n" for n in range(1, 10))
    assert decode(rows.encode("cp1252")) in (None, (rows, "WINDOWS-1252"))
    assert decode("§1. Permission is granted, see §2 and §3.\n".encode("latin-1")) != (
        "ｧ1. Permission is granted, see ｧ2 and ｧ3.\n",
        "SHIFT_JIS",
    )


def test_blanks_and_marks_of_pages_are_read() -> None:
    """A blank that does not break is no character of Japanese, and a mark of a trade stands behind a word."""
    page = "".join(
        f"<title>{n}.\xa0Using the core: part {n}</title>\n<a name='x'></a>{n}.1.\xa0Requests</h2>\n" for n in range(20)
    )
    named = "The ACTIVE® KOMODO® editor, and Tool™ of Maker®\n"
    for text in (page, named):
        assert (decode(text.encode("cp1252")) or ("",))[0] == text


def test_words_of_thai_in_the_form_of_utf8_are_thai() -> None:
    for word in ("ต้นทาง", "จำนวนของ", "สตริงระบุชนิดของ"):
        assert decode(f"# {word}\n".encode("cp874")) == (f"# {word}\n", "CP874")
    damaged = "# été à la forêt\n".encode().replace(b"\xc3\xaa", b"\xaa")
    assert decode(damaged) is None, "characters in use are no Thai"


def test_the_end_of_a_sample_is_no_damage() -> None:
    """A line is cut off within a character where the sample ends."""
    for codec in ("gb18030", "shift_jis", "euc-kr", "big5"):
        text = PROSE[codec].split("\n")[0][3:] * 2000
        for shift in ("", "x"):
            decoded = decode((shift + text).encode(codec))
            assert decoded is not None and decoded[0] == shift + text, codec
    assert decode(("// 距离\n" * 40_000).encode("gb18030") + b"\xff\n") is None, "behind the sample it must decode as well"


@pytest.mark.parametrize(
    "make",
    [
        lambda n: b"\xb0" * n,
        lambda n: b"\x81\x30" * n,
        lambda n: b"\xe9\n" * n,
        lambda n: b"a" * n + b"\xe9",
        lambda n: b"\x1b$B" * n,
        lambda n: b"\xff\xfe" + b"\x00\xd8" * n,
        lambda n: b"\xc3" * n + b"\xa9",
        lambda n: b"\x00x" * n,
        lambda n: b"x\x80" * n,
    ],
    ids=["signs", "quads", "lines", "one", "escapes", "surrogates", "leads", "wide", "pairs"],
)
def test_hostile_bytes_end(make: Callable[[int], bytes]) -> None:
    data = make(1_000_000)
    if judge(data, len(data) + 1) is None and (decoded := decode(data)):
        decoded[0].encode()


@pytest.mark.parametrize("data", [b"a\0b", b"\0", b"\0" * 300 + b"a", b"a\0" * 3 + b"b" * 300])
def test_nulls_in_ascii_are_in_no_text(data: bytes) -> None:
    assert decode(data) is None or judge(data, 1 << 20) is None
