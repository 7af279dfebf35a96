"""Pyright's own answers, in its sandbox: which texts it drops, alone or together, and what a machine without it is told."""

import importlib.util
import shutil

import pyarrow as pa
import pytest
import toolchains

from starmill.core.errors import MachineError
from starmill.core.sandbox import Ran
from starmill.pipelines.run import keys
from starmill.transforms.clean import typecheck
from starmill.transforms.clean.typecheck import TypeCheck

SOUND = 'def f(x: int) -> int:\n    """F."""\n    return x + 1\n'
ROWS = {
    "sound": (SOUND, None),
    "a name that nobody gives": (SOUND.replace("x + 1", "y"), '"y" is not defined'),
    "a type": (SOUND.replace("x + 1", '"a"'), "Type \"Literal['a']\" is not assignable"),
    "the library": (f"import math\n\n\n{SOUND}".replace("x + 1", "math.isqrt(x)"), None),
    "no package of this machine": (f"import pyarrow\n\n\n{SOUND}", 'Import "pyarrow" could not be resolved'),
    "a stub without its package": (f"import yaml\n\n\n{SOUND}", None),
    "another one's file": ("import seed\nimport pyrightconfig\n", 'Import "seed" could not be resolved'),
    "syntax": ("def f(:\n", '"(" was not closed'),
    "nothing": ("", None),
}


def checked(texts: list[str], language: str = "Python", **options: int) -> dict[str, str | None]:
    """What each text is dropped with; nothing, or None where it is kept."""
    step = TypeCheck(sandbox=toolchains.isolation(), **options)  # type: ignore[arg-type]
    split = step(pa.record_batch({"content": texts, "language": [language] * len(texts)}))
    assert {*split.reasons} <= {"type_error"} and split.details is not None
    dropped = dict(zip(split.dropped.column("content").to_pylist(), split.details, strict=True))
    return {text: dropped.get(text) for text in texts}


@pytest.fixture
def pyright() -> None:
    try:
        typecheck.checker()
    except MachineError as absent:
        pytest.skip(f"NOT RUN: {absent}")


@pytest.mark.usefixtures("pyright")
def test_errors_are_pyrights_whoever_is_checked_beside() -> None:
    texts = [text for text, _ in ROWS.values()]
    found = checked(texts, together=5)
    for what, (text, said) in ROWS.items():
        assert found[text] is None if said is None else str(found[text]).startswith(said), (what, found[text])
    assert checked(texts[:1] + texts[:1]) == {texts[0]: None}


def test_other_languages_are_not_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert checked(["not python $"], "Go") == {"not python $": None}


def test_a_run_that_is_stopped_is_divided_down_to_its_text() -> None:
    asked: list[int] = []

    class Slow(TypeCheck):
        def _run(self, files: dict[str, bytes]) -> Ran:
            asked.append(len(files))
            stopped = any(b"slow" in text for text in files.values())
            return Ran(-9, b"", b"", "cpu_seconds") if stopped else Ran(0, b'{"generalDiagnostics": []}', b"")

    texts = [f"x = {n}" for n in range(7)] + ["slow = 1"]
    split = Slow()(pa.record_batch({"content": texts, "language": ["Python"] * 8}))
    assert split.reasons == ("type_check_stopped",) and split.details == ("cpu_seconds",)
    assert split.dropped.column("content").to_pylist() == ["slow = 1"] and asked.count(8) == 1


def test_a_checker_that_does_not_work_is_trouble_of_the_machine() -> None:
    class Broken(TypeCheck):
        def _run(self, files: dict[str, bytes]) -> Ran:
            return Ran(127, b"", b"no such library")

    with pytest.raises(MachineError, match=r"release\.type_check: pyright ends with status 127: .*no such library"):
        Broken()(pa.record_batch({"content": [SOUND], "language": ["Python"]}))


def test_without_a_checker_the_fix_is_told_before_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    typecheck.checker.cache_clear()
    with monkeypatch.context() as bare:
        bare.setattr(shutil, "which", lambda name: None)
        bare.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(MachineError, match=r"release\.type_check: no pyright on this machine; npm install -g pyright"):
            TypeCheck().material()
    typecheck.checker.cache_clear()


@pytest.mark.usefixtures("pyright")
def test_a_key_counts_the_version_and_not_the_box() -> None:
    assert keys.said(TypeCheck()) == keys.said(TypeCheck(together=7, sandbox="limits")) != keys.said(TypeCheck(python="3.11"))
    assert typecheck.checker().version in str(keys.said(TypeCheck()))
