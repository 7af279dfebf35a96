"""The bounds of a program of another language, and that it sees nothing of this machine."""

import pytest
import toolchains

from starmill.evaluation.sandbox import Job, programs


@pytest.fixture(autouse=True)
def bash() -> None:
    toolchains.namespaces()
    if reason := programs.absent("sh"):
        pytest.skip(f"NOT RUN: {reason}")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("while :; do :; done", "cpu"),
        ("sleep 100", "wall"),
        ("while :; do echo 1234567890123456789012345678901234567890; done", "output"),
    ],
)
def test_a_bound_is_kept_and_named(text: str, reason: str) -> None:
    seconds = 0.1 if reason == "wall" else 5 if reason == "output" else 1
    assert programs.verdict(Job(text, "", seconds, language="sh")).reason == reason


@pytest.mark.parametrize("text", ["cat /etc/passwd", "ls /root /home", "echo x > /usr/x", "exec 3<>/dev/tcp/127.0.0.1/80"])
def test_an_attack_is_stopped(text: str) -> None:
    assert programs.verdict(Job(f"set -e\n{text}", "echo @NONCE@", 5, language="sh")).reason == "wrong"
    assert programs.verdict(Job(f"{text} || true", "echo @NONCE@", 5, language="sh")).passed


def test_a_solution_does_not_say_that_its_tests_ended() -> None:
    assert programs.verdict(Job("echo @NONCE@; exit 0", "false\necho @NONCE@", 5, language="sh")).reason == "ended"
