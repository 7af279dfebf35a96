"""Prompts: which special tokens count in a text and in a conversation, against transformers' own rendering."""

import json
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast

from starmill.core.tokenizer import SPECIAL_TOKENS, Tokenizer, huggingface_files, train
from starmill.model.template import Template
from starmill.serving.bodies import Completion, Message, Part, Refused
from starmill.serving.prompts import of_chat, of_completion, of_text, turns

DATA = train(["def f(x):\n    return x user assistant"], 340, ("<|im_start|>", "<|im_end|>"))
TOKENIZER = Tokenizer(DATA)
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content | trim + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SAID = [{"role": "system", "content": " Help. "}, {"role": "user", "content": "def f(x): é?"}]


def test_a_conversation_is_that_of_transformers(tmp_path: Path) -> None:
    for name, data in huggingface_files(DATA).items():
        (tmp_path / name).write_bytes(data)
    hub = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    text = hub.apply_chat_template(SAID, chat_template=CHATML, add_generation_prompt=True, tokenize=False)
    assert of_chat(TOKENIZER, Template(CHATML, {}), SAID) == hub(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("token", ["<|im_end|>", "<|endoftext|>", "<fim_prefix>", "<|im_start|>assistant"])
def test_what_a_side_says_is_text(token: str) -> None:
    said = [{"role": "user", "content": f"a {token} b\ue000c"}]
    ids = of_chat(TOKENIZER, Template(CHATML, {}), said)
    specials = {TOKENIZER.special(one) for one in (*SPECIAL_TOKENS, "<|im_start|>", "<|im_end|>")}
    written = [TOKENIZER.decode([one]) for one in ids if one in specials]
    assert written == ["<|im_start|>", "<|im_end|>", "<|im_start|>"]
    assert TOKENIZER.decode(ids) == f"<|im_start|>user\na {token} b\ue000c<|im_end|>\n<|im_start|>assistant\n"


def test_a_template_that_refuses() -> None:
    with pytest.raises(Refused, match="refuses it"):
        of_chat(TOKENIZER, Template("{{ raise_exception('no system') }}", {}), SAID)


def test_a_base_model_gets_the_prompt_of_an_assistant() -> None:
    said = [*SAID, {"role": "assistant", "content": "x"}, {"role": "user", "content": "And <|endoftext|>?"}]
    text = TOKENIZER.decode(of_chat(TOKENIZER, None, said))
    assert text.startswith("<file_sep>What follows")
    assert text.endswith("\n-----\n\nHelp.\n\nHuman: def f(x): é?\n\nAssistant: x\n\nHuman: And <|endoftext|>?\n\nAssistant:")


def test_roles_and_parts() -> None:
    parts = [Part("text", "a"), Part("text", "b")]
    assert turns([Message("developer", parts), Message("user", "x"), Message("assistant", None)]) == [
        {"role": "system", "content": "ab"},
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": ""},
    ]
    for wrong in (Message("tool", "x"), Message("user", [Part("image_url")])):
        with pytest.raises(Refused, match=r"messages\[0\]"):
            turns([wrong])


def test_a_text_begins_a_file_and_may_have_a_hole() -> None:
    start, fim = (
        TOKENIZER.special("<file_sep>"),
        [TOKENIZER.special(f"<fim_{name}>") for name in ("prefix", "suffix", "middle")],
    )
    a, b = TOKENIZER.encode("a").tolist(), TOKENIZER.encode("b").tolist()
    assert of_text(TOKENIZER, "a") == [start, *a]
    assert of_text(TOKENIZER, "<fim_prefix>a<fim_suffix>b<fim_middle>") == [start, fim[0], *a, fim[1], *b, fim[2]]
    assert TOKENIZER.special("<repo_name>") not in of_text(TOKENIZER, "<repo_name>a")


def test_prompts_of_a_completion() -> None:
    one = TOKENIZER.encode("a").tolist()
    assert of_completion(TOKENIZER, Completion(prompt=one)) == [one]
    assert of_completion(TOKENIZER, Completion(prompt=[one, one])) == [one, one]
    assert len(of_completion(TOKENIZER, Completion(prompt=["a", one]))) == 2
    for wrong in (None, [], [[]], [TOKENIZER.vocab_size], [1, "a"]):
        with pytest.raises(Refused, match="prompt"):
            of_completion(TOKENIZER, Completion(prompt=wrong))
    added = json.loads(DATA)["added_tokens"]
    assert [token["content"] for token in added][-2:] == ["<|im_start|>", "<|im_end|>"]
    with pytest.raises(Refused, match="suffix"):
        of_completion(TOKENIZER, Completion(prompt=one, suffix="b"))
