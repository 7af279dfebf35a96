"""Tables of extensions: StarCoder's rules as its code states them, file by file over real code; the releases' figures; and bad tables."""

import csv
import os
import sysconfig
from collections import Counter
from importlib import resources
from pathlib import Path

import pyarrow as pa
import pytest

from starmill.core import recipe
from starmill.core.errors import InputError
from starmill.transforms.decide.extensions import COLUMNS, Extensions, read
from starmill.transforms.decide.quality import Quality
from starmill.transforms.measure.html import VisibleText
from starmill.transforms.measure.language import DetectLanguage
from starmill.transforms.measure.text import Text

STARCODER = Quality(**{"rules": ("extensions", "xml", "data_size"), "extensions": Extensions("starcoder")})
HEAD = ",".join(COLUMNS)


def rows(name: str) -> list[dict[str, str]]:
    text = resources.files("starmill.transforms.decide").joinpath(f"data/{name}.csv").read_text()
    return list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))


def test_the_releases_tables() -> None:
    kept = {(r["language"], r["extension"]) for r in rows("starcoder") if r["keep"] == "1"}
    # 88 names with a kept extension in the source; Visual Basic is two languages today, and Maple none.
    assert len({language for language, _ in kept}) == 88 and len(kept) == 271
    assert {("C", "h"), ("Makefile", ""), ("Python", "py")} <= kept and not {("C", "cats"), ("Perl", "plx")} & kept
    gone = [r for r in rows("stack-v2") if r["keep"] == "0"]
    assert len(gone) == 179 and {"CSV", "SVG", "Diff"} <= {r["language"] for r in gone}
    with resources.as_file(resources.files("starmill.transforms.decide").joinpath("data/stack-v2.csv")) as place:
        assert Extensions(str(place)).step() == Extensions("stack-v2").step(), "a table of one's own is read alike"


def oracle(language: str, extension: str, text: str, table: dict[tuple[str, str], dict[str, str]]) -> str | None:
    """What bigcode-dataset's filtering.py decides, over the text itself."""
    row = table.get((language, extension))
    if row is None or row["keep"] != "1":
        return "excluded_extension"
    lines = [len(line) for line in text.splitlines()]
    if row["max_line_chars"] and max(lines) > int(row["max_line_chars"]):
        return "line_too_long"
    if row["max_line_chars"] and sum(lines) / len(lines) > 100:
        return "mean_line_too_long"
    if row["min_alphanum"] and sum(map(str.isalnum, text)) / len(text) < float(row["min_alphanum"]):
        return "few_letters_or_digits"
    if row["min_alpha"] and sum(map(str.isalpha, text)) < float(row["min_alpha"]) * len(text):
        return "few_letters"
    if "<?xml version=" in text[:100] and language != "XSLT":
        return "is_xml"
    if language in ("JSON", "YAML") and not 50 <= len(text) <= 5000:
        return "data_too_short" if len(text) < 50 else "data_too_long"
    return None


def test_starcoder_s_rules_over_real_files() -> None:
    places = [Path(sysconfig.get_path("stdlib")), Path(sysconfig.get_path("purelib"))]
    wanted = {
        ".py": 400,
        ".json": 200,
        ".yaml": 99,
        ".h": 200,
        ".js": 150,
        ".md": 99,
        ".pyi": 40,
        ".xml": 40,
        ".css": 60,
        ".c": 60,
        ".rst": 60,
    }
    found: list[tuple[str, str]] = []
    listed = [sorted(f"{folder}/{n}" for folder, _, names in os.walk(place) for n in names) for place in places]
    for suffix, most in wanted.items():
        for path in [Path(p) for names in listed for p in [n for n in names if n.endswith(suffix)][: 3 * most : 2]][:most]:
            text = path.read_bytes().decode("utf-8", "replace")
            # str.splitlines ends lines at other characters too, where a line end is CR, LF or CRLF.
            if text.strip() and text.splitlines() == text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split(
                "\n"
            ):
                found.append((f"/{path.name}", text))
    paths, contents = zip(*found, strict=True)
    extensions = [p.rpartition(".")[2] for p in paths]
    block = pa.record_batch(
        {"repo_name": ["r"] * len(paths), "path": list(paths), "extension": extensions, "content": list(contents)}
    )
    block = Text()(VisibleText()(DetectLanguage()(block)))
    table = {(r["language"], r["extension"]): r for r in rows("starcoder")}
    ours: dict[str, str | None] = dict.fromkeys(paths)
    numbered = block.append_column("row", pa.array(range(len(paths))))
    decided: dict[int, str] = {}
    for step in STARCODER.steps():
        made = step(numbered)
        decided |= dict(zip(made.dropped["row"].to_pylist(), made.reasons, strict=True))
        numbered = made.kept
    languages = block.column("language").to_pylist()
    wrong = [
        (paths[i], decided.get(i), expected)
        for i in range(len(paths))
        if decided.get(i) != (expected := oracle(languages[i] or "", extensions[i], contents[i], table))
    ]
    assert not wrong and len(paths) > 500 and ours
    assert len(Counter(decided.values())) >= 5, "each kind of rule decided somewhere"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n", "its columns are 'a,b'; give language,extension,keep"),
        (f"{HEAD}\nC,h,1,,,\n", r"no row \*"),
        (f"{HEAD}\n*,,1,,,\nPyton,py,1,,,\n", "row 2: 'Pyton' is no language; did you mean 'Python'"),
        (f"{HEAD}\n*,,1,,,\nC,h,yes,,,\n", "row 2, 'C,h,yes,,,': give a language"),
        (f"{HEAD}\n*,,1,,,\nC,h,1,-5,,\n", "row 2"),
        (f"{HEAD}\n*,,1,,,\nC,h,1,nan,,\n", "row 2"),
        (f"{HEAD}\n*,,1,,,\nC,h,1,,,\nC,h,0,,,\n", "row 3: C h a second time"),
    ],
)
def test_what_is_no_table(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read(text.splitlines())
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=r"curate\.quality\.extensions\.table: .*t\.csv"):
        Extensions(str(tmp_path / "t.csv")).step()


def test_the_recipe_has_starcoder_s_rules() -> None:
    made = recipe.build(Quality, recipe.read("starcoderdata")["curate"]["quality"])
    assert [step.name for step in made.steps()] == ["extensions", "xml", "data_size", "html"]
