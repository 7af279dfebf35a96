"""Chat templates give transformers' text, and the sandbox holds what a template of a stranger tries."""

import json
from pathlib import Path

import pytest
import tokenizers
from transformers import PreTrainedTokenizerFast

from starmill.core.conversations import Conversation, Turn, conversation
from starmill.core.errors import InputError
from starmill.model.template import Template, of_folder
from starmill.trainer.config import load

CHATML = (
    "{% for message in messages %}\n  {% if loop.first and message['role'] != 'system' %}{{ '<|im_start|>system\nHelp.<|im_end|>\n' }}"
    "{% endif %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] | trim + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SHIPPED = {name: load(name, []).sft.template for name in ("sft", "sft-tiny")}
TALK = [Turn("user", "Add 1 to x."), Turn("assistant", "x += 1"), Turn("user", "And 2?"), Turn("assistant", "x += 2 ")]


@pytest.mark.parametrize("text", [CHATML, *SHIPPED.values()], ids=["chatml", *SHIPPED])
def test_the_text_is_that_of_transformers(text: str) -> None:
    hub = PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer(tokenizers.models.BPE()), bos_token="<b>", eos_token="<e>"
    )
    messages = [{"role": turn.role, "content": turn.content} for turn in TALK]
    ours = Template(text, {"bos_token": "<b>", "eos_token": "<e>"})
    for asks in (False, True):
        theirs = hub.apply_chat_template(messages[:3], chat_template=text, tokenize=False, add_generation_prompt=asks)
        assert ours.render(messages[:3], asks) == theirs
    assert "".join(piece for piece, _ in ours.pieces(Conversation(tuple(TALK)))) == ours.render(messages)


def test_which_text_is_a_response() -> None:
    pieces = Template(CHATML, {}).pieces(Conversation(tuple(TALK)))
    assert [piece for piece, learned in pieces if learned] == ["x += 1<|im_end|>\n", "x += 2<|im_end|>\n"]
    pieces = Template(CHATML, {}).pieces(Conversation(tuple(TALK), first=3))
    assert [piece for piece, learned in pieces if learned] == ["x += 2<|im_end|>\n"]
    plain = conversation({"prompt": "1 + ", "completion": "1"})
    assert isinstance(plain, Conversation)
    assert Template(CHATML, {"eos_token": "<e>"}).pieces(plain) == [("1 + ", False), ("1<e>", True)]
    starcoder = Template(SHIPPED["sft"] or "", {"bos_token": "<b>", "eos_token": "<e>"}).pieces(Conversation(tuple(TALK[:2])))
    assert starcoder[0][0].endswith("user instructions.\n\n### Instruction\nAdd 1 to x.\n\n### Response\n")
    assert starcoder[1] == ("x += 1<e>", True) and starcoder[0][0].startswith("<b>You are")


@pytest.mark.parametrize(
    "hostile",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ 'x' * 10 ** 9 }}",
        "{{ [0] * 1000000000 }}",
        "{{ 9 ** 9 ** 9 }}",
        "{% for i in range(1000000) %}x{% endfor %}",
        "{{ strftime_now('%Y') }}",
        "{{ raise_exception('no') }}",
        "{{ messages[7].content.nothing }}",
        "{% include '/etc/passwd' %}",
    ],
)
def test_a_template_is_not_trusted(hostile: str) -> None:
    with pytest.raises(InputError, match="refuses it"):
        Template(hostile, {}).render([{"role": "user", "content": "x"}])


def test_a_template_that_rewrites_turns() -> None:
    last = "{% for m in messages %}{{ m.content if loop.last else '...' }}{% endfor %}"
    with pytest.raises(InputError, match="otherwise when others follow"):
        Template(last, {}).pieces(Conversation(tuple(TALK)))
    with pytest.raises(InputError, match="no chat template"):
        Template("{% for %}", {})


def test_of_a_folder(tmp_path: Path) -> None:
    assert of_folder(tmp_path) is None
    about = {"eos_token": {"content": "<e>"}, "bos_token": None, "chat_template": "{{ eos_token }}"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(about))
    found = of_folder(tmp_path)
    assert found is not None and found.render([]) == "<e>"
    (tmp_path / "chat_template.jinja").write_text("file")
    found = of_folder(tmp_path)
    assert found is not None and found.render([]) == "file"
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(InputError, match=r"tokenizer_config.json: no JSON"):
        of_folder(tmp_path)
