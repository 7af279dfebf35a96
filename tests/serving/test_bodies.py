"""What changes an answer and is not done is refused by name; what changes nothing, and what nobody knows, is not."""

import json

import pytest

from starmill.serving.bodies import NOT_DONE, Chat, Completion, Generate, Refused, read


@pytest.mark.parametrize("name", NOT_DONE)
def test_what_is_not_done_is_told(name: str) -> None:
    for value in (*NOT_DONE[name], None):
        read(json.dumps({"prompt": "x", name: value}).encode(), Completion)
    for body in ({"prompt": "x", name: "other"}, {"inputs": "x", "parameters": {name: 17}}):
        with pytest.raises(Refused, match=f"{name}: not done here") as caught:
            read(json.dumps(body).encode(), Completion)
        assert caught.value.field == name


def test_nulls_and_unknown_fields() -> None:
    fields = dict.fromkeys(Completion.__struct_fields__)
    assert read(json.dumps({**fields, "prompt": "x", "user": "me", "x-y": [1]}).encode(), Completion).prompt == "x"
    assert read(b'{"inputs": "x", "parameters": null, "stream": null}', Generate).inputs == "x"
    assert read(b'{"messages": [{"role": "user", "content": "x"}], "temperature": 1}', Chat).temperature == 1.0


def test_the_field_is_named() -> None:
    for body, field in {b'{"n": 0}': "n", b'{"stop": [""]}': "stop[0]", b'{"messages": []}': "messages"}.items():
        with pytest.raises(Refused) as caught:
            read(body, Chat)
        assert caught.value.field == field
