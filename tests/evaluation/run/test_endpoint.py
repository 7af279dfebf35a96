"""A server of completions: what is sent, what is tried again, and what is said of a server that refuses."""

from collections.abc import Iterator
from typing import Any

import pytest
import toys

from starmill.core.errors import MachineError, UsageError
from starmill.evaluation.run.endpoint import Endpoint, written
from starmill.evaluation.run.generate import Decoding, Reply, Request

DECODING = Decoding(25, 0.2, 0.95, ("a", "b", "c", "d", "e"), 7)


def test_what_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []

    def answer(body: dict[str, Any], turn: int) -> Any:
        sent.append(body)
        return toys.text(f"{body['prompt']}!")

    monkeypatch.setenv("OPENAI_API_KEY", "the-key")
    requests = [Request(f"n/{i}", f"p{i}" if i else ("before", "behind")) for i in range(20)]
    with toys.serving(answer) as url:
        found = {i: text for i, text, _ in Endpoint(f"{url}/", "m").answers(requests, DECODING)}
    assert found == {i: f"{written(one.prompt)}!" for i, one in enumerate(requests)}
    assert found[0] == "<fim_prefix>before<fim_suffix>behind<fim_middle>!"
    [one] = [body for body in sent if body["prompt"] == "p3"]
    assert one == {
        "model": "m", "prompt": "p3", "max_tokens": 25, "temperature": 0.2, "top_p": 0.95, "stop": ["a", "b", "c", "d"],
        "seed": requests[3].seed(DECODING), "path": "/v1/completions", "key": "Bearer the-key",
    }  # fmt: skip


def test_a_busy_server_is_asked_again() -> None:
    waits: list[float] = []

    def answer(body: dict[str, Any], turn: int) -> Any:
        return (503, {}, {}) if turn == 0 else (429, {}, {"Retry-After": "9"}) if turn == 1 else toys.text("done")

    with toys.serving(answer) as url:
        assert [*Endpoint(url, "m", pause=waits.append).answers([Request("a", "x")], DECODING)] == [(0, "done", "")]
    assert waits == [1.0, 9.0]


def test_what_no_retry_mends() -> None:
    def answer(body: dict[str, Any], turn: int) -> Any:
        return {"long": (400, {"error": "too long \x1b[31m"}, {}), "odd": (200, {"x": 1}, {})}.get(
            body["prompt"], (404, {}, {})
        )

    with toys.serving(answer) as url:
        model = Endpoint(url, "m", pause=lambda _: None)
        [(index, text, refused)] = model.answers([Request("a", "long")], DECODING)
        assert (index, text) == (0, "") and refused.startswith("400") and "too long" in refused
        with pytest.raises(UsageError, match=r"404 .*another --endpoint"):
            [*model.answers([Request("a", "x")], DECODING)]
        with pytest.raises(MachineError, match="without choices"):
            [*model.answers([Request("a", "odd")], DECODING)]
    with pytest.raises(MachineError, match="no answer after 8 attempts"):
        [*Endpoint("http://127.0.0.1:9/v1", "m", pause=lambda _: None).answers([Request("a", "x")], DECODING)]
    with pytest.raises(UsageError, match="not a URL"):
        Endpoint("file:///etc/passwd", "m")


def test_why_answers_end_and_what_they_took() -> None:
    said: dict[str, dict[str, Any]] = {
        "whole": {"choices": [{"text": "x", "finish_reason": "length"}], "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
        "bare": {"choices": [{"text": "x"}]},
        "odd": {"choices": [{"text": "x", "finish_reason": 7}], "usage": {"prompt_tokens": -1, "completion_tokens": "2"}},
    }
    drawn: list[str] = []

    def requests() -> Iterator[Request]:
        for name in (*said, "cut"):
            drawn.append(name)
            yield Request(name, name)

    def answer(body: dict[str, Any], turn: int) -> Any:
        return (
            (200, b"<html>", {}) if body["prompt"] == "cut" and turn < 2 else (200, said.get(body["prompt"], said["bare"]), {})
        )

    with toys.serving(answer) as url:
        found = []
        for index, reply in Endpoint(url, "m", at_once=1, pause=lambda _: None).replies(requests(), DECODING):
            assert len(drawn) == index + 1, "a request is drawn when it is sent"
            found.append(reply)
    assert found == [Reply("x", "", "length", 3, 2), *[Reply("x")] * 3]


def test_likelihoods_of_a_server_that_gives_texts_back() -> None:
    def answer(body: dict[str, Any], turn: int) -> Any:
        assert (body["echo"], body["max_tokens"]) == (True, 0)
        logs = [None, *(-float(len(word)) for word in body["prompt"].split()[1:])]
        return 200, {"choices": [{"text": body["prompt"], "logprobs": {"token_logprobs": logs}}]}, {}

    requests = [Request("a", "", ("one three", "one two"))]
    with toys.serving(answer) as url:
        assert [*Endpoint(url, "m").likelihoods(requests)] == [(0, "[-5.0, -3.0]", "")]
    with toys.serving(lambda body, turn: toys.text("")) as url, pytest.raises(MachineError, match="token_logprobs"):
        [*Endpoint(url, "m").likelihoods(requests)]
    with toys.serving(lambda body, turn: (400, {}, {})) as url:
        [(_, text, refused)] = Endpoint(url, "m").likelihoods(requests)
        assert text == "" and refused.startswith("400")
