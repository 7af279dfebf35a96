"""Messages: what a chat server is sent, what a template makes of a prompt, and which part of a reply is the program."""

from typing import Any

import pytest
import toys

from starmill.core.errors import MachineError
from starmill.evaluation.run.chat import ASK, Chat, program
from starmill.evaluation.run.endpoint import Endpoint
from starmill.evaluation.run.generate import Decoding, Request

DECODING = Decoding(25, 0.2, 0.95, ("\ndef",), 7)


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        ("Sure:\n```python\ndef f():\n    return '```'\n```\nIt works.\n```\nno\n```", "def f():\n    return '```'\n"),
        ("```\nx = 1", "x = 1"),
        ("x = 1", "x = 1"),
        ("```py\n```", ""),
        ("", ""),
    ],
    ids=repr,
)
def test_programs_of_replies(reply: str, found: str) -> None:
    assert program(reply) == found


def test_a_server_is_sent_messages_and_its_program_kept() -> None:
    sent: list[dict[str, Any]] = []

    def answer(body: dict[str, Any], turn: int) -> Any:
        sent.append(body)
        return 200, {"choices": [{"message": {"content": "So:\n```\ndef f():\n    pass\n\ndef g(): pass\n```"}}]}, {}

    requests = [Request("t/a/0", "def f():"), Request("t/a/0/first", "Explain f.")]
    with toys.serving(answer) as url:
        found = dict(one[:2] for one in Chat(Endpoint(url, "m", 1, chat=True)).answers(requests, DECODING))
    assert found[0] == "def f():\n    pass\n\ndef g(): pass\n" and found[1].startswith("So:")
    assert [body["messages"][0]["content"] for body in sent] == [ASK.format("def f():"), "Explain f."]
    assert sent[0]["path"] == "/v1/chat/completions" and "stop" not in sent[0] and "prompt" not in sent[0]
    with toys.serving(lambda body, turn: toys.text("x")) as url, pytest.raises(MachineError, match=r"message\.content"):
        [*Chat(Endpoint(url, "m", chat=True)).answers(requests, DECODING)]
