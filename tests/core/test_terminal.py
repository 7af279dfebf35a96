"""What is printed holds no character that controls a terminal, whatever it came from."""

import ast
import io
import logging
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starmill.core import terminal


@given(st.text(st.characters(exclude_categories=[]), max_size=50))
def test_lines_stay_lines(text: str) -> None:
    to = io.StringIO()
    terminal.say(text, text, to=to)
    printed = to.getvalue()
    assert printed.count("\n") == 2
    assert not [c for c in printed if c != "\n" and unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"}]
    printed.encode()
    assert not text.isprintable() or printed == f"{text}\n{text}\n"


def test_texts_keep_their_lines_and_nothing_prints_nothing() -> None:
    to = io.StringIO()
    terminal.say(to=to)
    terminal.say_text("a\x07\r\nb\x9b\u202e", to=to)
    assert to.getvalue() == "a\\x07\\r\nb\\x9b\\u202e\n"


def test_what_libraries_log_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    record = logging.LogRecord("beam", logging.ERROR, "f.py", 1, "cannot read %s", ("\x1b]0;owned\x07",), None)
    assert terminal.Escaping(logging.BASIC_FORMAT).format(record) == "ERROR:beam:cannot read \\x1b]0;owned\\x07"


TALK = """
import sys
from starmill.core import terminal
with terminal.talking():
    terminal.say("a message", to=sys.stderr)
    print("of another", file=sys.stderr)
    try:
        terminal.say("an answer")
        terminal.flush()
    except BrokenPipeError:
        sys.exit(1)
    except terminal.MachineError as error:
        terminal.say(str(error), to=sys.stderr)
        sys.exit(3)
open(sys.argv[1], "w").write("a file")
"""


@pytest.mark.parametrize(
    ("where", "status", "said"),
    [
        ("2>/dev/full", 0, "an answer\n"),
        ("2>&-", 0, "an answer\n"),
        (
            "2>&1 >/dev/full",
            3,
            "a message\nof another\nthe output cannot be written: OSError: [Errno 28] No space left on device",
        ),
        (">&- 2>&-", 0, ""),
        ("2>&1 >/dev/full 2>&-", 3, ""),
    ],
)
def test_messages_that_nobody_hears_stop_nothing_and_lost_answers_are_told(
    tmp_path: Path, where: str, status: int, said: str
) -> None:
    command = ["bash", "-c", f'"$@" {where}', "bash", sys.executable, "-c", TALK, str(tmp_path / "file")]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=100)
    assert (done.returncode, done.stdout[: len(said)]) == (status, said)
    assert status or (tmp_path / "file").read_text() == "a file"


# Who calls print by itself, and why nothing from a dump can come through it.
OTHERS = {
    "cli/complete.py": "a file or a program gets a completion as it is; a terminal gets it escaped",
    "core/terminal.py": "here",
    "model/encoder/serve.py": "tells its parent that it is ready, or why it is not, as JSON",
    "transforms/measure/enry/build.py": "builds a library, before any dump is read",
    "transforms/measure/enry/tables.py": "writes the tables of languages, before any dump is read",
}


def test_everything_is_printed_here() -> None:
    root = Path(__file__).parents[2]
    prints = set()
    for package in ("cli", "core", "model", "pipelines", "reports", "trainer", "transforms"):
        for path in (root / package).rglob("*.py"):
            calls = [n.func for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
            if any(isinstance(f, ast.Name) and f.id == "print" for f in calls):
                prints.add(path.relative_to(root).as_posix())
    assert prints == {*OTHERS}


def test_progress_is_seldom_and_can_be_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    tell = terminal.seldom()
    for line in ("first\x1b", "second", "third"):
        tell(line)
    terminal.seldom(quiet=True)("never")
    assert capsys.readouterr().err == "first\\x1b\n"
