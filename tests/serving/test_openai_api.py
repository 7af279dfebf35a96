"""OpenAI's own client against the server: its answers are those of `starmill complete`, whole and in pieces."""

import openai
import pytest
import torch
from openai import OpenAI
from servers import Running, Serve

from starmill.core.tokenizer import Tokenizer
from starmill.evaluation.run.endpoint import Endpoint
from starmill.evaluation.run.generate import Decoding, Request
from starmill.model.complete import complete
from starmill.model.decoder import Decoder
from starmill.model.generation import generate
from starmill.model.template import Template


@pytest.fixture(scope="module")
def client(running: Running) -> OpenAI:
    return OpenAI(base_url=f"{running.url}/v1", api_key="none", max_retries=0, timeout=60)


def offline(running: Running, *prompts: str | tuple[str, str], **settings: object) -> list[str]:
    one = [complete(running.decoder, running.tokenizer, [prompt], file_start=True, **settings) for prompt in prompts]
    return [texts[0] for texts in one]


def test_models(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["small"]


def test_a_completion_is_that_of_offline_generation(running: Running, client: OpenAI) -> None:
    for settings in ({"temperature": 0.0}, {"temperature": 0.9, "top_p": 0.95, "seed": 7}):
        found = client.completions.create(model="small", prompt="def f(x):", max_tokens=30, **settings)
        (wanted,) = offline(running, "def f(x):", max_new_tokens=30, **settings)
        assert found.choices[0].text == wanted and found.choices[0].finish_reason in ("length", "stop")
        assert found.usage is not None and found.usage.prompt_tokens == 1 + len(running.tokenizer.encode("def f(x):"))
        assert found.usage.total_tokens == found.usage.prompt_tokens + found.usage.completion_tokens


def test_prompts_of_all_kinds_and_several_choices(running: Running, client: OpenAI) -> None:
    ids = running.tokenizer.encode("import").tolist()
    several = client.completions.create(model="small", prompt=["import", "x", "def"], max_tokens=9, temperature=0, n=2)
    wanted = offline(running, "import", "x", "def", max_new_tokens=9)
    assert [one.text for one in several.choices] == [text for text in wanted for _ in range(2)]
    assert [one.index for one in several.choices] == [*range(6)]
    start = [running.tokenizer.special("<file_sep>")]
    for prompt in (start + ids, [start + ids]):
        found = client.completions.create(model="small", prompt=prompt, max_tokens=9, temperature=0)
        assert found.choices[0].text == wanted[0]
    drawn = client.completions.create(model="small", prompt="x", max_tokens=12, n=4, seed=1)
    assert len({one.text for one in drawn.choices}) > 1


def test_a_hole_by_suffix_and_by_sentinels(running: Running, client: OpenAI) -> None:
    (wanted,) = offline(running, ("def f(", "\n    return x"), max_new_tokens=12)
    (drawn,) = offline(running, ("def f(", "\n    return x"), max_new_tokens=12, temperature=1.0, seed=5)
    ask = {"model": "small", "max_tokens": 12, "temperature": 0}
    assert client.completions.create(prompt="def f(", suffix="\n    return x", **ask).choices[0].text == wanted
    holed = "<fim_prefix>def f(<fim_suffix>\n    return x<fim_middle>"
    assert client.completions.create(prompt=holed, **ask).choices[0].text == wanted
    assert client.completions.create(prompt=holed, **ask | {"temperature": 1, "seed": 5}).choices[0].text == drawn


def test_a_hole_as_mistral_has_it(running: Running) -> None:
    (wanted,) = offline(running, ("def f(", "\n    return x"), max_new_tokens=20)
    asked = {"model": "small", "prompt": "def f(", "suffix": "\n    return x", "max_tokens": 20, "temperature": 0}
    found = running.client.post("/v1/fim/completions", json=asked).json()
    assert found["object"] == "chat.completion" and found["choices"][0]["message"]["content"] == wanted
    assert running.client.post("/v1/fim/completions", json={"suffix": "x"}).json()["error"]["param"] == "prompt"


def test_other_special_tokens_are_text(running: Running, client: OpenAI) -> None:
    found = client.completions.create(model="small", prompt="<|endoftext|><repo_name>", max_tokens=4, temperature=0)
    plain = len(running.tokenizer.encode("<|endoftext|><repo_name>"))
    assert found.usage is not None and found.usage.prompt_tokens == 1 + plain > 3


@pytest.mark.parametrize("stop", [None, "e", ["\n", "xx", "o"]])
def test_pieces_are_the_whole(running: Running, client: OpenAI, stop: str | list[str] | None) -> None:
    ask = {
        "model": "small",
        "prompt": ["def f(x):", "é"],
        "max_tokens": 60,
        "temperature": 0.8,
        "seed": 5,
        "n": 3,
        "stop": stop,
    }
    whole = client.completions.create(**ask, logprobs=2)
    texts, ends, tokens = [""] * 6, [None] * 6, [[] for _ in range(6)]
    pieces = [*client.completions.create(**ask, logprobs=2, stream=True, stream_options={"include_usage": True})]
    for piece in pieces:
        for choice in piece.choices:
            texts[choice.index] += choice.text
            ends[choice.index] = choice.finish_reason
            tokens[choice.index] += choice.logprobs.tokens
    assert texts == [one.text for one in whole.choices] and ends == [one.finish_reason for one in whole.choices]
    assert tokens == [one.logprobs.tokens for one in whole.choices if one.logprobs]
    assert pieces[-1].usage == whole.usage and not pieces[-1].choices
    if stop:
        assert not any(one in text for text in texts for one in ([stop] if isinstance(stop, str) else stop))
        (wanted,) = offline(running, "def f(x):", max_new_tokens=60, temperature=0.8, seed=5, stops=[*stop])
        assert texts[0] == wanted


def log_probabilities(decoder: Decoder, ids: list[int]) -> torch.Tensor:
    with torch.inference_mode():
        hidden = decoder.hidden(torch.tensor([ids]))
        return decoder.head(hidden)[0].log_softmax(-1)


def word(tokenizer: Tokenizer, number: int) -> str:
    data = tokenizer.decode_bytes([number])
    whole = data.decode("utf-8", "ignore").encode() == data
    return data.decode() if whole else "bytes:" + "".join(f"\\x{byte:02x}" for byte in data)


def test_log_probabilities_are_the_models(running: Running, client: OpenAI) -> None:
    tokenizer: Tokenizer = running.tokenizer
    prompt = [tokenizer.special("<file_sep>"), *tokenizer.encode("def f(x):\n").tolist()]
    found = client.completions.create(model="small", prompt=prompt, max_tokens=8, temperature=0, logprobs=3, echo=True)
    told = found.choices[0].logprobs
    assert told is not None and told.tokens is not None and told.token_logprobs is not None and told.top_logprobs is not None
    assert told.token_logprobs[0] is None
    table = {word(tokenizer, number): number for number in range(tokenizer.vocab_size)}
    assert len(table) == tokenizer.vocab_size
    ids = [table[token] for token in told.tokens]
    assert ids[: len(prompt)] == prompt and tokenizer.decode(ids) == found.choices[0].text
    assert [*told.text_offset] == [len(tokenizer.decode_bytes(ids[:at]).decode("utf-8", "ignore")) for at in range(len(ids))]
    logs = log_probabilities(running.decoder, ids)
    for at in range(1, len(ids)):
        assert told.token_logprobs[at] == pytest.approx(float(logs[at - 1, ids[at]]), abs=1e-4)
        best = logs[at - 1].topk(3)
        assert {*map(table.__getitem__, told.top_logprobs[at])} >= {*best[1].tolist()}
        assert max(told.top_logprobs[at].values()) == pytest.approx(float(best[0][0]), abs=1e-4)


def test_a_prompt_is_scored_without_an_answer(client: OpenAI) -> None:
    """What harnesses of evaluation ask for."""
    found = client.completions.create(model="small", prompt="def f(x):", max_tokens=0, logprobs=1, echo=True)
    told = found.choices[0].logprobs
    assert found.choices[0].text == "def f(x):" and told is not None and told.token_logprobs is not None
    assert "".join(told.tokens or []) == "def f(x):" and None not in told.token_logprobs
    assert found.usage is not None and found.usage.completion_tokens == 0


def test_a_chat_of_a_base_model(client: OpenAI) -> None:
    ask = {"model": "small", "messages": [{"role": "user", "content": "What is os?"}], "temperature": 0, "max_tokens": 20}
    whole = client.chat.completions.create(**ask, logprobs=True, top_logprobs=2)
    pieces = [*client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True})]
    assert pieces[0].choices[0].delta.role == "assistant"
    text = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
    assert text == whole.choices[0].message.content and pieces[-1].usage == whole.usage
    assert pieces[-2].choices[0].finish_reason == whole.choices[0].finish_reason
    assert whole.choices[0].logprobs is not None and whole.choices[0].logprobs.content
    newer = client.chat.completions.create(model="dummy", messages=ask["messages"], temperature=0, max_completion_tokens=20)
    assert newer.choices[0].message.content == text


def test_errors_reach_the_caller(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        client.completions.create(model="other", prompt="x")
    with pytest.raises(openai.BadRequestError, match="4096 tokens") as caught:
        client.completions.create(model="small", prompt="x" * 9000)
    assert caught.value.body["param"] == "prompt"  # type: ignore[index]
    for wrong in (
        {"frequency_penalty": 1},
        {"logit_bias": {"1": 5}},
        {"temperature": -1},
        {"n": 0},
        {"logprobs": 50},
        {"stop": ""},
    ):
        with pytest.raises(openai.BadRequestError, match=next(iter(wrong))):
            client.completions.create(model="small", prompt="x", **wrong)
    client.completions.create(model="small", prompt="x", max_tokens=1, frequency_penalty=0, logit_bias={}, best_of=1)
    with pytest.raises(openai.BadRequestError, match="tools"):
        client.chat.completions.create(model="small", messages=[{"role": "user", "content": "x"}], tools=[{"type": "function"}])  # type: ignore[list-item]


def test_a_chat_by_the_models_template(serve: Serve) -> None:
    running = serve()
    template = Template(
        "{% for m in messages %}{{ m.role + ': ' + m.content + eos_token }}{% endfor %}", {"eos_token": "<|endoftext|>"}
    )
    running.service.template = template
    said = [{"role": "user", "content": "def f(x): <|endoftext|>"}]
    text, end = running.tokenizer.encode("user: def f(x): <|endoftext|>").tolist(), running.tokenizer.eod
    [ids] = generate(running.decoder, [[*text, end]], 30, stop_ids=[*running.service.stop_ids()])
    client = OpenAI(base_url=f"{running.url}/v1", api_key="none", max_retries=0, timeout=60)
    found = client.chat.completions.create(model="small", messages=said, max_tokens=30, temperature=0)  # type: ignore[arg-type]
    assert found.choices[0].message.content == running.tokenizer.decode(ids)
    assert found.usage is not None and found.usage.prompt_tokens == len(text) + 1


def test_starmills_own_harness_asks_it(running: Running) -> None:
    requests = [Request(f"t/{number}", prompt) for number, prompt in enumerate(("def f(x):", ("def f(", "\n"), "import"))]
    decoding = Decoding(12, 0.9, 0.95, ("\n\n",), 0)
    found = {at: text for at, text, why in Endpoint(f"{running.url}/v1", "small").answers(requests, decoding) if not why}
    for at, request in enumerate(requests):
        (wanted,) = offline(
            running, request.prompt, max_new_tokens=12, temperature=0.9, top_p=0.95, stops=["\n\n"], seed=request.seed(decoding)
        )
        assert found[at] == wanted
    for at, reply in Endpoint(f"{running.url}/v1", "small").replies(requests, decoding):
        assert reply.text == found[at] and reply.ended in ("stop", "length") and reply.asked and reply.told is not None
        assert reply.told == 12 or reply.ended == "stop"
