"""Text Generation Inference's API by huggingface_hub, and by the exact bodies of text_generation and llm-ls."""

import json
from typing import Any

import httpx
import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import TextGenerationError
from servers import Running

from starmill.model.complete import complete

# text_generation 0.7.0 sends every parameter, and reads the first of a list.
OLD_CLIENT = {
    "adapter_id": None,
    "best_of": None,
    "decoder_input_details": False,
    "details": True,
    "do_sample": False,
    "frequency_penalty": None,
    "grammar": None,
    "max_new_tokens": 12,
    "repetition_penalty": None,
    "return_full_text": False,
    "seed": None,
    "stop": [],
    "temperature": None,
    "top_k": None,
    "top_n_tokens": None,
    "top_p": None,
    "truncate": None,
    "typical_p": None,
    "watermark": False,
}


@pytest.fixture(scope="module")
def client(running: Running) -> InferenceClient:
    return InferenceClient(running.url, timeout=60)


def post(running: Running, path: str, body: Any) -> httpx.Response:
    return running.client.post(path, json=body)


def wanted(running: Running, prompt: str | tuple[str, str], tokens: int, **settings: Any) -> str:
    return complete(running.decoder, running.tokenizer, [prompt], tokens, **settings)[0]


def test_huggingface_hub(running: Running, client: InferenceClient) -> None:
    text = wanted(running, "def f(x):", 20)
    assert client.text_generation("def f(x):", max_new_tokens=20) == text
    found = client.text_generation("def f(x):", max_new_tokens=20, details=True)
    assert found.generated_text == text and found.details is not None
    assert found.details.generated_tokens == len(found.details.tokens) and found.details.finish_reason in (
        "length",
        "eos_token",
    )
    assert "".join(client.text_generation("def f(x):", max_new_tokens=20, stream=True)) == text
    pieces = [*client.text_generation("def f(x):", max_new_tokens=20, stream=True, details=True)]
    assert pieces[-1].generated_text == text and "".join(piece.token.text for piece in pieces) == text
    assert [piece.token.id for piece in pieces] == [token.id for token in found.details.tokens]
    assert pieces[-1].details is not None and pieces[-1].details.finish_reason == found.details.finish_reason
    assert client.text_generation("def f(x):", max_new_tokens=5, return_full_text=True).startswith("def f(x):")
    said = client.chat_completion([{"role": "user", "content": "What is os?"}], max_tokens=9, temperature=0)
    streamed = client.chat_completion([{"role": "user", "content": "What is os?"}], max_tokens=9, temperature=0, stream=True)
    assert said.choices[0].message.content == "".join(one.choices[0].delta.content or "" for one in streamed if one.choices)
    info = running.client.get("/info").json()
    assert (info["model_id"], info["max_total_tokens"], info["model_dtype"]) == ("small", 4096, "float32")


def test_stops_seeds_and_samples(running: Running, client: InferenceClient) -> None:
    settings = {"temperature": 0.9, "top_p": 0.9, "seed": 3}
    text = wanted(running, "x", 60, **settings, stops=["e", "an"])
    ask = {"max_new_tokens": 60, "do_sample": True, "stop": ["e", "an"], **settings}
    assert client.text_generation("x", **ask) == text
    assert "".join(client.text_generation("x", **ask, stream=True)) == text
    found = client.text_generation("x", **ask, details=True)
    assert found.details is not None and found.details.seed == 3
    # A temperature alone draws.
    ask = {"inputs": "x", "parameters": {"temperature": 1.0, "max_new_tokens": 20}}
    assert len({post(running, "/generate", ask).json()["generated_text"] for _ in range(4)}) > 1


def test_an_error_is_the_clients_own(client: InferenceClient) -> None:
    with pytest.raises(TextGenerationError, match="4096 tokens"):
        client.text_generation("x" * 9000)


def test_text_generation_reads_a_list(running: Running) -> None:
    reply = post(running, "/", {"inputs": "import", "parameters": OLD_CLIENT, "stream": False})
    [payload] = reply.json()
    assert payload["generated_text"] == wanted(running, "import", 12)
    assert {*payload["details"]} == {"finish_reason", "generated_tokens", "seed", "prefill", "tokens"}
    assert {*payload["details"]["tokens"][0]} == {"id", "text", "logprob", "special"}
    reply = post(running, "/", {"inputs": "import", "parameters": OLD_CLIENT, "stream": True})
    assert reply.headers["content-type"].startswith("text/event-stream")
    lines = [json.loads(line.removeprefix("data:")) for line in reply.text.splitlines() if line]
    assert lines[-1]["generated_text"] == payload["generated_text"] and {line["generated_text"] for line in lines[:-1]} == {
        None
    }


def test_llm_ls(running: Running) -> None:
    """Its four kinds of server, of which two are spoken here; the body decides, and errors must be of the shape that it reads."""
    holed = "<fim_prefix>def f(<fim_suffix>\n    return x<fim_middle>"
    middle = wanted(running, ("def f(", "\n    return x"), 60)
    given = {"max_new_tokens": 60, "temperature": 0.2, "top_p": 0.95}
    reply = post(running, "/generate", {"inputs": holed, "parameters": {**given, "return_full_text": False}}).json()
    assert isinstance(reply, dict) and isinstance(reply["generated_text"], str)
    greedy = {"inputs": holed, "parameters": {"max_new_tokens": 60, "return_full_text": False}}
    assert post(running, "/generate", greedy).json() == {"generated_text": middle}
    # What a user's settings are beside it is sent to OpenAI's API too.
    body = {"parameters": given, "prompt": holed, "model": "small", "stream": False, "temperature": 0, "max_tokens": 60}
    assert post(running, "/v1/completions", body).json()["choices"][0]["text"] == middle
    refused = post(running, "/v1/completions", body | {"model": "other"}).json()
    assert {*refused["detail"][0]} == {"loc", "msg", "type"} and isinstance(refused["detail"][0]["loc"], str)
    assert isinstance(post(running, "/generate", {"inputs": 3}).json()["error"], str)


def test_details_of_the_prompt_and_of_other_tokens(running: Running) -> None:
    given = {"max_new_tokens": 3, "details": True, "decoder_input_details": True, "top_n_tokens": 2, "truncate": 3}
    details = post(running, "/generate", {"inputs": "def f(x):", "parameters": given}).json()["details"]
    assert [one["logprob"] is None for one in details["prefill"]] == [True, False, False]
    for token, (first, second) in zip(details["tokens"], details["top_tokens"], strict=True):
        assert token == first and second["logprob"] <= first["logprob"]


def test_wrong_bodies_are_told(running: Running) -> None:
    wrong = {
        "inputs: Expected": {"inputs": 1},
        "missing required field `inputs`": {},
        "max_new_tokens": {"inputs": "x", "parameters": {"max_new_tokens": 0}},
        "watermark": {"inputs": "x", "parameters": {"watermark": True}},
        "grammar": {"inputs": "x", "parameters": {"grammar": {"type": "regex", "value": "x"}}},
    }
    for said, body in wrong.items():
        reply = post(running, "/generate", body)
        assert (reply.status_code, reply.json()["error_type"]) == (422, "validation"), body
        assert said in reply.json()["error"]
