"""A user's own files: what is read, one line of each, and bits for a byte as sums of nats and bytes."""

import math
from pathlib import Path

import pytest

from starmill.core.errors import NotThere
from starmill.evaluation.run import run
from starmill.evaluation.sandbox.judge import Judge
from starmill.evaluation.tasks.held_out import files, likelihood_score, tasks


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "b").mkdir()
    (tmp_path / ".hidden").mkdir()
    texts = {"a.py": "one = 1\r\ntwo = 2\r\n", "b/c.go": "func f() {\n}\nfunc g() {\n}\n", ".hidden/x.py": "no", "e.py": " \n"}
    for name, text in texts.items():
        (tmp_path / name).write_bytes(text.encode())
    (tmp_path / "image.py").write_bytes(b"\xff\xfe")
    (tmp_path / "link.py").symlink_to(tmp_path / "a.py")
    return tmp_path


def test_texts_alone_are_read(folder: Path) -> None:
    assert [name for name, _ in files(folder)] == ["a.py", "b/c.go"]
    with pytest.raises(NotThere, match="no such folder"):
        [*files(folder / "none")]


def test_a_line_is_asked_between_what_is_around_it(folder: Path) -> None:
    fim, _ = tasks(folder)
    for problem in run.load(fim, None).problems:
        name, _, number = problem.name.rpartition(":")
        text = (folder / name).read_bytes().decode()
        assert problem.prompt[0] + problem.canonical + problem.prompt[1] == text
        assert text.splitlines()[int(number) - 1] == problem.canonical


def test_bits_for_a_byte_are_of_all_bytes(folder: Path) -> None:
    _, likely = tasks(folder)
    loaded = run.load(likely, None)
    with Judge() as judge:
        result = run.judged(loaded, run.of_solutions(loaded, "canonical"), judge, 0, {})
    size = sum(len(text.encode()) for _, text in files(folder))
    assert result["measures"]["bits_per_byte"]["mean"] == pytest.approx(2 / size / math.log(2))
    assert result["measures"]["bits_per_byte (py)"] == {"mean": pytest.approx(1 / 18 / math.log(2)), "samples": 1}
    assert not any(
        likelihood_score(said, 1, "py").passed for said in ("", "[]", "[1.0]", "[NaN]", "[1, 2]", "x", "[-Infinity]")
    )
