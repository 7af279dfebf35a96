"""A search against a look into every text with Python's own `re`, and what is refused."""

import re
from pathlib import Path

import pytest
import released_workspace as released

from starmill.core.dataset import Workspace
from starmill.core.errors import InputError, UsageError
from starmill.pipelines.run import attribution
from starmill.pipelines.runners import choose
from starmill.pipelines.stages import trigrams as stage
from starmill.transforms.attribution.search import LONGEST, WIDTH, Asked, Searcher, shown

TEXTS = [
    *(f"import os\n\ndef number_{n}(x):\n    return x + {n * n}\n# Größe {n}\n" for n in range(40)),
    "x = 1\n" * 3 + "\x1b[31mRED\x1b[0m <b>bold</b>\n",
    "a" * 5000 + "needle" + "b" * 5000,
    "ſtrange \u212aelvin\nCAFÉ",
    "",
    "last line\nwithout an end",
]
ROWS = [
    released.row("me/lib", f"/{n}", text, language="Go" if n % 3 else "Python", detected_licenses=["MIT"] if n % 2 else [])
    for n, text in enumerate(TEXTS)
]


def indexed(place: Path, rows: list[dict] = ROWS) -> Workspace:
    workspace = released.build(place, [rows[:25], [], rows[25:]], group=6)
    attribution.make(workspace, stage, choose((), 1), quiet=True)
    return workspace


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return indexed(tmp_path_factory.mktemp("searched"))


@pytest.mark.parametrize(
    "asked",
    [
        *(Asked(text) for text in ("number_7", "x", "import os\n\ndef", "Größe 3", "a.b", "needle", "absent_name", "in")),
        *(Asked(text, ignore_case=True) for text in ("NUMBER_1", "größe", "kelvin", "strange")),
        *(
            Asked(text, True)
            for text in (
                "^def \\w+_1\\d\\(",
                "number_(3|12)\\b",
                "end$",
                "(?i)IMPORT",
                "[Gg]r..e 5$",
                "x \\+ (1|4|9)$",
                "o.*s",
                "\\x1b",
            )
        ),
    ],
    ids=lambda asked: f"{asked.pattern}-{asked.ignore_case}".encode("unicode_escape").decode(),
)
def test_all_files_that_match_are_found_and_no_other(place: Workspace, asked: Asked) -> None:
    oracle = re.compile(asked.pattern if asked.regex else re.escape(asked.pattern), re.M | re.I * asked.ignore_case)
    found = Searcher(place)(Asked(**{**vars(asked), "files": 1000}))
    wanted = {f"/{n}": sum(1 for m in oracle.finditer(text) if m[0]) for n, text in enumerate(TEXTS)}
    assert {file.path: file.count for file in found.files} == {path: count for path, count in wanted.items() if count}
    assert found.whole
    for file in found.files:
        lines = TEXTS[int(file.path[1:])].split("\n")
        for match, hit in zip(file.matches, oracle.finditer(TEXTS[int(file.path[1:])]), strict=False):
            assert match.line.text[match.start : match.end] == hit[0].split("\n")[0]
            for line in (*match.before, match.line, *match.after):
                assert line.text == lines[line.number - 1] or (line.cut and line.text in lines[line.number - 1])
            assert [one.number for one in match.before] == [*range(max(1, match.line.number - 2), match.line.number)]


def test_trigrams_leave_most_files_unread(place: Workspace) -> None:
    found = Searcher(place)(Asked("def number_1(x)"))
    assert (len(found.files), found.read, found.candidates) == (1, 1, 1)
    assert Searcher(place)(Asked("nowhere")).read == 0
    for absent in ("nowhere\n    to be\tseen", "nowhere\0", "no # where (at all)\r\n"):
        assert Searcher(place)(Asked(absent)).candidates == 0, absent


def test_limits_and_filters(place: Workspace) -> None:
    search = Searcher(place)
    few = search(Asked("import os", files=3))
    assert [file.path for file in few.files] == ["/0", "/1", "/2"] and (few.read, few.candidates, few.whole) == (3, 40, False)
    assert search(Asked("import os", bytes=1)).read == 1 and not search(Asked("import os"), lambda: True).files
    some = search(Asked("import os", files=99, languages=("python",), licences=("mit", "GPL-3.0-only")))
    assert [file.path for file in some.files] == [f"/{n}" for n in range(40) if n % 3 == 0 and n % 2]
    [file] = search(Asked("a" * 5, matches=2)).files
    assert (file.count, len(file.matches)) == (1000, 2) and file.matches[0].line.cut
    [file] = search(Asked("needle")).files
    assert len(file.matches[0].line.text) == WIDTH and "needle" in file.matches[0].line.text


def test_names_and_lines_are_shown_as_a_view_shows_them(place: Workspace) -> None:
    [file] = shown(Searcher(place)(Asked("number_3(")), lambda text: text.replace("number", "n")).files
    assert file.matches[0].line.text == "def n_3(x):" and (file.matches[0].start, file.matches[0].end) == (0, 11)


def test_what_is_refused(place: Workspace, tmp_path: Path) -> None:
    search = Searcher(place)
    for pattern, why in (
        ("", "give 1 to"),
        ("x" * (LONGEST + 1), "give 1 to"),
        ("(", "no regular expression of RE2"),
        ("(?=x)", "no regular expression"),
        ("*", "no regular expression"),
        ("x*", "an empty text"),
        ("^", "an empty text"),
        ("(?:(?:(?:x{100}){10}))y{900}\\pL{90}", "steps|repetition"),
    ):
        with pytest.raises(UsageError, match=why):
            search(Asked(pattern, regex=True))
    with pytest.raises(UsageError, match="Unicode"):
        search(Asked("\udc80"))
    with pytest.raises(InputError, match="starmill index --search"):
        Searcher(Workspace(str(tmp_path)))


def test_trigrams_of_another_release_are_refused_and_only_changed_parts_are_made_again(tmp_path: Path) -> None:
    place = indexed(tmp_path)
    before = place.published("trigrams")
    released.build(place.root, [ROWS[:25], [], ROWS[25:40]], group=6)
    with pytest.raises(InputError, match="an earlier release"):
        Searcher(place)
    attribution.make(place, stage, choose((), 1), quiet=True)
    after = place.published("trigrams")
    assert after[0] == before[0] and after[2] != before[2]
    assert len(Searcher(place)(Asked("import os", files=99)).files) == 40


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    place = indexed(tmp_path)
    data = place.read("trigrams/part-00000.parquet")
    place.publish("trigrams/part-00000.parquet", data[: len(data) // 2])
    with pytest.raises(InputError, match="damaged"):
        Searcher(place)
