"""Rosetta Code from a folder of tasks: each is one text, each file of it is in that text or a row that says why not."""

import os
from pathlib import Path

from starmill.pipelines.sources.sets.reader import Sets
from starmill.pipelines.sources.source import Entry, Limits

LIMITS = Limits(max_file_bytes=1000)


def task(root: Path, name: str, files: dict[str, bytes]) -> None:
    for path, data in files.items():
        (root / name / path).parent.mkdir(parents=True, exist_ok=True)
        (root / name / path).write_bytes(data)


def read(source: Sets) -> list[Entry]:
    return [entry for unit in source.plan() for entry in source.read(unit, LIMITS)[1]]


DOORS = {
    "00-META.yaml": b"---\nfrom: http://rosettacode.org/wiki/100_doors%2Fclosed\n",
    "00-TASK.txt": b"There are 100 doors.\n",
    "C-sharp/100-doors.cs": b"class Doors {}\n",
    "C/100-doors-1.c": b"int doors[100];\n",
    "C/100-doors-2.c": b"return;",
}
GOLDEN = """100 doors/closed
There are 100 doors.


Language: C sharp
class Doors {}


Language: C
int doors[100];


Language: C
return;"""


def test_a_task_is_a_text(tmp_path: Path) -> None:
    task(tmp_path, "100-doors", DOORS)
    task(tmp_path, "A+B", {"00-TASK.txt": b"Add.\n", "Ada/a+b.adb": b"A + B"})
    (tmp_path / "README").write_text("not a task\n")
    source = Sets(dataset="rosetta-data", place=str(tmp_path))
    doors, sums = read(source)
    assert (doors.path, (doors.data or b"").decode()) == (b"100-doors/1", GOLDEN)
    assert (sums.path, sums.data) == (b"A+B/1", b"A+B\nAdd.\n\n\nLanguage: Ada\nA + B")
    assert {e.repo_name for e in (doors, sums)} == {b"acmeism/RosettaCodeData"}
    assert [(r.name.removeprefix("acmeism/RosettaCodeData/"), r.left_out) for r in source.inventory()] == [
        ("100-doors", ""),
        ("A+B", ""),
        ("README", "not_of_the_set"),
    ]
    assert source.plan()[0].size_bytes == sum(map(len, DOORS.values()))


def test_what_is_no_solution_is_a_row(tmp_path: Path) -> None:
    bad = {"Ada/a": b"\xff\xfe", "Lua/large": b"x" * 1000, "notes.txt": b"n"}
    task(tmp_path, "100-doors", DOORS | bad)
    (tmp_path / "100-doors/Perl").mkdir()
    (tmp_path / "100-doors/Perl/link.pl").symlink_to("/etc/passwd")
    task(tmp_path, "empty", {"00-TASK.txt": b"Nobody solved it.\n"})
    found = read(Sets(dataset="rosetta-data", place=str(tmp_path)))
    reasons = {(e.path.decode(), e.reason) for e in found if e.data is None}
    assert reasons == {
        ("100-doors/1", "wrong_type"),
        ("100-doors/5", "too_large"),
        ("100-doors/6", "symlink"),
        ("100-doors/7", "not_of_the_set"),
        ("", "no_solution"),
    }
    assert [(e.path, (e.data or b"").decode()) for e in found if e.data] == [(b"100-doors/2", GOLDEN)]


def test_a_task_changes_with_each_of_its_files(tmp_path: Path) -> None:
    task(tmp_path, "100-doors", DOORS)
    source = Sets(dataset="rosetta-data", place=str(tmp_path))
    [unit] = source.plan()
    assert source.fingerprint(unit) == unit.fingerprint
    (tmp_path / "100-doors/C/100-doors-2.c").write_bytes(b"return 0;")
    assert source.fingerprint(unit) == source.plan()[0].fingerprint != unit.fingerprint
    os.unlink(tmp_path / "100-doors/00-TASK.txt")
    assert [(e.path, e.reason) for e in source.read(unit, LIMITS)[1]] == [(b"", "missing_file")]
    (tmp_path / "100-doors").rename(tmp_path / "gone")
    assert source.fingerprint(unit) != unit.fingerprint
    assert [(e.path, e.reason) for e in source.read(unit, LIMITS)[1]] == [(b"", "missing_file")]
