"""Whoever else is in the batch, and whenever a request came: its tokens are those that it gets alone."""

import dataclasses
from typing import Any

import pytest
import torch

from starmill.core.errors import UsageError
from starmill.model import drafts
from starmill.model import engine as engine_module
from starmill.model.ask import Ask
from starmill.model.config import ModelConfig
from starmill.model.decoder import Decoder
from starmill.model.engine import Engine
from starmill.model.generation import generate
from starmill.model.likelihood import Score

QWEN: dict[str, Any] = {"norm": "rms", "gated": True, "biases": "none", "qk_norm": True, "activation": "silu"}
QWEN |= {"layer_types": ("sliding_attention", "full_attention") * 2}
CONFIGS = {
    "a window": ModelConfig(300, 2, 64, 8, 2, 256, "rope", 256, sliding_window=10, init_std=0.3),
    "a wide window": ModelConfig(300, 2, 64, 8, 2, 256, "rope", 256, sliding_window=40, init_std=0.3),
    "windows in some layers": ModelConfig(300, 4, 64, 8, 2, 256, "rope", 256, sliding_window=10, init_std=0.3, **QWEN),
    "no window": ModelConfig(300, 2, 64, 8, 2, 256, "rope", 256, init_std=0.3),
    "a table of positions": ModelConfig(300, 2, 64, 8, 1, 256, "learned", 256, init_std=0.3),
}
PROMPTS = [[5, 6, 7], list(range(40, 90)), [9], [5, 6, 7], list(range(100, 120)), [200] * 30, [8, 9], list(range(7))]
LENGTHS = [30, 4, 50, 1, 20, 12, 40, 7]


def decoder_of(name: str) -> Decoder:
    made = Decoder(CONFIGS[name])
    made.init_weights(torch.Generator().manual_seed(0))
    return made.eval()


@pytest.fixture(params=CONFIGS)
def decoder(request: pytest.FixtureRequest) -> Decoder:
    return decoder_of(request.param)


def asks(temperature: float = 0.0) -> list[Ask]:
    given = zip(PROMPTS, LENGTHS, strict=True)
    return [Ask(prompt, new, temperature, 0.9, seed=3, name=f"row {at}") for at, (prompt, new) in enumerate(given)]


def alone(decoder: Decoder, ask: Ask) -> list[int]:
    (new,) = generate(
        decoder,
        [ask.prompt],
        ask.max_new_tokens,
        ask.temperature,
        ask.top_p,
        stop_ids=[*ask.stop_ids],
        seed=ask.seed,
        names=[ask.name],
    )
    return new


@pytest.fixture
def read_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is guessed is read, so that most guesses are wrong."""
    monkeypatch.setattr(drafts, "POWER", 0)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("rows", [1, 3, 20])
def test_a_request_gets_what_it_gets_alone(decoder: Decoder, rows: int, temperature: float) -> None:
    engine, wanted = Engine(decoder, rows, drafts=0), asks(temperature)
    for ask in wanted:
        engine.add(ask)
    assert dict(engine.finish()) == {at: alone(decoder, ask) for at, ask in enumerate(wanted)}
    assert not engine.busy


@pytest.mark.usefixtures("read_all")
@pytest.mark.parametrize("temperature", [0.0, 0.3])
@pytest.mark.parametrize("rows", [1, 3, 8])
def test_guesses_change_no_answer(decoder: Decoder, rows: int, temperature: float) -> None:
    engine, wanted = Engine(decoder, rows, drafts=9), asks(temperature)
    for ask in wanted:
        engine.add(ask)
    steps, found = 0, dict[int, list[int]]()
    while engine.busy:
        found |= {ticket: new for ticket, new, last in engine.step() if last}
        steps += 1
    assert found == {at: alone(decoder, ask) for at, ask in enumerate(wanted)}
    assert (temperature > 0) <= engine.accepted < engine.drafted, "greedy, some of these models repeat nothing"
    assert rows > 1 or steps == sum(LENGTHS) - engine.accepted, "each right guess saves a step"


@pytest.mark.usefixtures("read_all")
def test_a_request_ends_within_a_draft() -> None:
    decoder, prompt = Decoder(dataclasses.replace(CONFIGS["a window"], tie_embeddings=False)), PROMPTS[1]
    decoder.init_weights(torch.Generator().manual_seed(0))
    with torch.no_grad():  # it writes hardly by more than the last token, and so soon in a circle
        decoder.tokens.weight.mul_(3)
        for block in decoder.blocks:
            block.attention.output.weight.mul_(0.03)
    whole = alone(decoder, Ask(prompt, 120))
    period = next(p for p in range(1, 40) if whole[-p:] == whole[-2 * p : -p])
    known = [*prompt, *whole[:-period]]  # what follows stands there already
    for stop in range(1, period + 1):
        rest = whole[-period:][:stop]
        engine, scored = Engine(decoder, 3, drafts=15), list[int]()
        engine.add(Ask(known, 60, stopped=lambda new, rest=rest: new == rest))
        first = rest.index(rest[-1])  # where the token comes first
        engine.add(Ask(known, 60, stop_ids=frozenset(rest[-1:]), scored=lambda score, to=scored: to.append(score.token)))
        engine.add(Ask(known, stop))
        assert dict(engine.finish()) == {0: rest, 1: rest[:first], 2: rest}
        assert scored == rest[: first + 1], "a stop's own token is scored, and none behind it"
        assert stop < 3 or engine.accepted
    assert period > 3


@pytest.mark.usefixtures("read_all")
def test_guesses_are_scored_as_tokens_are() -> None:
    decoder, told = decoder_of("windows in some layers"), dict[tuple[int, int], list[Score]]()
    for guesses in (0, 9):
        engine = Engine(decoder, 4, guesses)
        for at, ask in enumerate(asks(0.3)):
            told[guesses, at] = []
            engine.add(dataclasses.replace(ask, scored=told[guesses, at].append, tops=2))
        engine.finish()
    for at in range(len(PROMPTS)):
        for without, behind in zip(told[0, at], told[9, at], strict=True):
            assert without.token == behind.token and without.logprob == pytest.approx(behind.logprob, abs=1e-3)
            assert [token for token, _ in without.tops] == [token for token, _ in behind.tops]


@pytest.mark.usefixtures("read_all")
def test_requests_come_and_leave_between_drafts() -> None:
    decoder, wanted, found, step = decoder_of("a wide window"), asks(), dict[int, list[int]](), 0
    engine = Engine(decoder, 4, drafts=5)
    came, leave = {0: [0, 1], 2: [2], 5: [3, 4, 5], 9: [6], 11: [7]}, {7: 2, 10: 6}
    while engine.busy or step < 12:
        for at in came.get(step, []):
            assert engine.add(wanted[at]) == at
        found |= {ticket: new for ticket, new, last in engine.step() if last}
        if step in leave:
            engine.cancel(leave[step])
        step += 1
    assert found == {at: alone(decoder, ask) for at, ask in enumerate(wanted) if at not in leave.values()}
    assert engine.accepted


def test_where_most_rows_are_none_is_guessed() -> None:
    engine = Engine(decoder_of("no window"), 40)
    for _ in range(drafts.READ // 2 + 1):
        engine.add(Ask([1, 2, 3] * 5, 6))
    engine.finish()
    assert not engine.drafted


def test_requests_come_and_go_while_others_are_written(decoder: Decoder) -> None:
    engine, wanted, found, step = Engine(decoder, 4), asks(), {}, 0
    came = {0: [0, 1], 3: [2], 9: [3, 4, 5], 40: [6], 41: [7]}
    while engine.busy or step < 42:
        for at in came.get(step, []):
            assert engine.add(wanted[at]) == at
        for ticket, new, last in engine.step():
            if last:
                found[ticket] = new
        step += 1
    assert found == {at: alone(decoder, ask) for at, ask in enumerate(wanted)}


def test_what_was_cancelled_is_gone(decoder: Decoder) -> None:
    engine, wanted = Engine(decoder, 3), asks()
    for ask in wanted:
        engine.add(ask)
    ended = {ticket: new for _ in range(2) for ticket, new, last in engine.step() if last}
    for ticket in (0, 5, 99):
        engine.cancel(ticket)
    assert ended | dict(engine.finish()) == {at: alone(decoder, ask) for at, ask in enumerate(wanted) if at not in (0, 5)}


def test_others_go_on_while_a_long_prompt_is_read(decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "BETWEEN", 8)
    engine, long = Engine(decoder, 4), Ask([(7 * at) % 300 for at in range(100)], 9)
    first, other, left = Ask([5, 6, 7], 60), Ask([3, 1], 4), Ask([2] * 90, 5)
    engine.add(first)
    engine.step()
    tickets = [engine.add(one) for one in (long, left)]
    told = [[ticket for ticket, _, _ in engine.step()] for _ in range(3)]
    assert told == [[0]] * 3, "a token after each piece"
    engine.cancel(tickets[1])
    engine.add(other)
    while told[-1] == [0]:
        told.append([ticket for ticket, _, _ in engine.step()])
    assert told == [*[[0]] * (100 // 4 - 1), [tickets[0]]]
    assert dict(engine.finish()) == {0: alone(decoder, first), 1: alone(decoder, long), 3: alone(decoder, other)}
    for cancelled in (engine.add(long), engine.add(left)):
        engine.step()
        engine.cancel(cancelled)
    assert engine.finish() == [] and not engine.busy


def test_prompts_are_read_with_those_of_their_length(decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, read, hidden = Engine(decoder, drafts=0), [], decoder.hidden
    lengths = [90, 10, 200, 84, 12, 10, 195, 88]
    wanted = [Ask([(7 * at + row) % 300 for at in range(length)], 40) for row, length in enumerate(lengths)]
    expected = {at: alone(decoder, ask) for at, ask in enumerate(wanted)}
    monkeypatch.setattr(
        decoder, "hidden", lambda tokens, *rest, **named: (read.append(tokens.shape), hidden(tokens, *rest, **named))[1]
    )
    for ask in wanted:
        engine.add(ask)
    assert dict(engine.finish()) == expected
    prompts = [shape for shape in read if shape[1] > 1]
    assert prompts[0] == (4, 90), "all that are about as long as the first, and a short one"
    assert sum(rows * tokens for rows, tokens in prompts) < 1.4 * sum(lengths), "one batch of all has 2.3 times as many"


def test_a_request_ends_with_its_stop(decoder: Decoder) -> None:
    (ask, *_) = asks()
    new = alone(decoder, ask)
    engine = Engine(decoder)
    engine.add(Ask(ask.prompt, 30, stop_ids=frozenset({new[4]})))
    engine.add(Ask(ask.prompt, 30, stopped=lambda ids: len(ids) == 6))
    engine.add(Ask(ask.prompt, 10**6))
    found = dict(engine.finish())
    assert found[0] == new[: new.index(new[4])] and found[1] == new[:6]
    assert len(found[2]) == decoder.config.max_positions - len(ask.prompt)


def test_prompts_that_are_alike_are_read_once(decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, read = Engine(decoder), []
    hidden = decoder.hidden
    monkeypatch.setattr(
        decoder, "hidden", lambda tokens, *rest, **named: (read.append(tokens.shape), hidden(tokens, *rest, **named))[1]
    )
    for name in range(4):
        engine.add(Ask(PROMPTS[1], 3, 1.0, name=name, seed=1))
    found = dict(engine.finish())
    assert read[0] == (1, 50) and read[1] == (4, 1) and len({tuple(new) for new in found.values()}) > 1


def test_what_lies_before_all_is_cut_off(decoder: Decoder) -> None:
    engine = Engine(decoder, 2)
    for at in range(40):
        engine.add(Ask([at + 1, 5], 3 + at % 5))
    longest = 0
    while engine.busy:
        engine.step()
        longest = max(longest, engine._slots.seen)
    assert longest < 40


def test_a_prompt_must_fit(decoder: Decoder) -> None:
    for prompt in ([], [1] * 256):
        with pytest.raises(UsageError):
            Engine(decoder).add(Ask(prompt, 4))
