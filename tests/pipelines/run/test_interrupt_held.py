"""Signals that end a run, where it must not be interrupted: they wait, a second one does not, and SIGHUP counts unless ignored."""

import signal
from collections.abc import Iterator

import pytest

from starmill.pipelines.run.interrupt import held, stopping_by_exception

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in ENDING}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_waits_for_the_release(number: signal.Signals) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    done = []
    with stopping_by_exception():
        with pytest.raises(KeyboardInterrupt), held(True) as state:
            signal.raise_signal(number)
            done.append("handed in")
            state.release()
            done.append("waited")
        assert done == ["handed in"]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)


def test_a_second_signal_gets_through() -> None:
    with pytest.raises(KeyboardInterrupt), held(True):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)


def test_nothing_is_held_without_need() -> None:
    with pytest.raises(KeyboardInterrupt), held(False):
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("not interrupted")


def test_under_nohup_the_terminal_may_go() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with stopping_by_exception(), held(True) as state:
        signal.raise_signal(signal.SIGHUP)
        state.release()
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
