"""A server before another: what it answers is what that one answers, whole and in pieces; and what it tells where that one fails."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import openai
import pytest
from servers import Running, Serve

from starmill.cli.__main__ import main
from starmill.core.errors import InputError
from starmill.core.tokenizer import Tokenizer
from starmill.model.complete import complete
from starmill.model.exchange.huggingface import load
from starmill.serving import upstream
from starmill.serving.service import Limits
from starmill.serving.upstream import HOLE, Front, Upstream

LLAMA_CPP = "xllamacpp==2026.10.11549"
BODY = {"prompt": "def f(x):", "max_tokens": 12, "temperature": 0}


@pytest.fixture(scope="module")
def behind(serve: Serve) -> Running:
    return serve(key="theirs")


def front(
    serve: Serve, url: str, key: str | None = None, seconds: float = 60.0, most: int = 8, holes: bool = False
) -> httpx.Client:
    limits = Limits(seconds=seconds, new_tokens=20)
    found = Front([{"id": "small", "max_model_len": 4096}], Upstream(url, most, key, limits), holes, limits)
    return serve.run(found)[1]


@pytest.fixture(scope="module")
def before(serve: Serve, behind: Running) -> httpx.Client:
    return front(serve, behind.url, "theirs")


def answer(client: httpx.Client, path: str = "/v1/completions", key: str = "none", **body: object) -> list[dict]:
    reply = client.post(path, json=body, headers={"Authorization": f"Bearer {key}"})
    assert reply.status_code == 200, reply.text
    return reply.json()["choices"]


def test_answers_are_those_of_the_server_behind(before: httpx.Client, behind: Running) -> None:
    for more in (
        {},
        {"logprobs": 2},
        {"suffix": "\n\nprint(f(1))"},
        {"model": "small", "n": 2},
        {"model": "dummy"},
        {"stop": ["\n"]},
    ):
        assert answer(before, **BODY, **more) == answer(behind.client, key="theirs", **BODY, **more)
    said = {"messages": [{"role": "user", "content": "What is x?"}], "max_tokens": 9, "temperature": 0}
    assert answer(before, "/v1/chat/completions", **said) == answer(behind.client, "/v1/chat/completions", key="theirs", **said)
    [cut] = answer(before, **BODY | {"max_tokens": 500})
    assert cut["text"] == answer(behind.client, key="theirs", **BODY | {"max_tokens": 20})[0]["text"]


def test_a_real_client_streams_through_it(before: httpx.Client, behind: Running) -> None:
    client = openai.OpenAI(base_url=f"{before.base_url}/v1", api_key="unused", http_client=httpx.Client(verify=False))
    assert [one.id for one in client.models.list()] == ["small"]
    whole = client.completions.create(model="small", **BODY).choices[0].text
    pieces = [*client.completions.create(model="small", stream=True, stream_options={"include_usage": True}, **BODY)]
    assert "".join(one.choices[0].text for one in pieces if one.choices) == whole and len(pieces) > 3
    assert pieces[-1].usage.completion_tokens > 0
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        client.completions.create(model="other", **BODY)
    with pytest.raises(openai.BadRequestError) as told:
        client.completions.create(model="small", **BODY | {"temperature": -1})
    assert told.value.body["param"] == "temperature"


def test_who_leaves_frees_the_server_behind(before: httpx.Client, behind: Running) -> None:
    with before.stream("POST", "/v1/completions", json={**BODY, "max_tokens": 20, "stream": True, "ignore_eos": True}) as reply:
        next(reply.iter_lines())
    for _ in range(300):
        if not behind.service.worker.open and "starmill_open 0" in before.get("/metrics").text:
            break
        behind.client.get("/health")
    else:
        raise AssertionError((behind.service.worker.open, before.get("/metrics").text))


def test_a_suffix_becomes_tokens_where_the_server_behind_takes_none(serve: Serve, behind: Running) -> None:
    client = front(serve, behind.url, "theirs", holes=True)
    spelled = {**BODY, "prompt": f"{HOLE[0]}def f(x):{HOLE[1]}\n{HOLE[2]}"}
    assert answer(client, **BODY, suffix="\n") == answer(behind.client, key="theirs", **spelled)
    assert client.post("/v1/completions", json={**BODY, "prompt": ["a", "b"], "suffix": "x"}).status_code == 400


@pytest.mark.slow
def test_it_stands_before_llama_cpp(serve: Serve, folder: Path, tmp_path: Path) -> None:
    """llama.cpp's own server, as a wheel has it, over the same weights: its greedy tokens are ours."""
    asked = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(tmp_path / "lib"), LLAMA_CPP]
    if subprocess.run(asked, capture_output=True, timeout=400).returncode:
        pytest.skip(f"NOT RUN: our server before llama.cpp's, because {LLAMA_CPP} cannot be fetched here")
    weights, script = tmp_path / "small.gguf", Path(__file__).parents[2] / "benchmarks/peers/llama_cpp.py"
    assert main(["convert", str(folder), str(weights)]) == 0
    command, environment = [sys.executable, script, weights, "1", "4"], os.environ | {"PYTHONPATH": str(tmp_path / "lib")}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, text=True, env=environment, **pipes) as theirs:
        url = theirs.stdout.readline().strip()
        client = serve.run(Front(upstream.models(url, None), Upstream(url, 8, None, Limits()), True, Limits()))[1]
        [whole] = answer(client, **BODY)
        [again] = answer(httpx.Client(base_url=url, timeout=60), **BODY)
        assert whole["text"] == again["text"] and len(whole["text"]) > 5
        decoder, tokenizer = load(folder), Tokenizer.load(folder / "tokenizer.json")
        assert whole["text"] == complete(decoder, tokenizer, [BODY["prompt"]], BODY["max_tokens"], file_start=False)[0]
        with client.stream("POST", "/v1/completions", json={**BODY, "stream": True}) as reply:
            pieces = [json.loads(line[6:])["choices"] for line in reply.iter_lines() if line.startswith("data: {")]
        assert "".join(piece[0]["text"] for piece in pieces if piece) == whole["text"] and len(pieces) > 3
        [filled] = answer(client, **BODY, suffix="\n")
        hole = [("def f(x):", "\n")]
        assert filled["text"] == complete(decoder, tokenizer, hole, BODY["max_tokens"], file_start=False)[0]
        assert answer(client, "/v1/chat/completions", messages=[{"role": "user", "content": "x?"}], max_tokens=4)[0]["message"]
        theirs.stdin.close()


@contextmanager
def raw(reply: bytes, close: bool = True) -> Iterator[str]:
    """A server of one answer, whatever it is asked; it says nothing more where it does not close."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        held = []

        def work() -> None:
            try:
                while True:
                    connection = listening.accept()[0]
                    connection.recv(1 << 16)
                    connection.sendall(reply)
                    held.append(connection)
                    if close:
                        connection.close()
            except OSError:
                return

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        for connection in held:
            connection.close()


def plain(status: str, body: str, kind: str = "application/json") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


BROKEN = 'data: {"choices":[{"index":0,"text":"ab"}]}\r\n\r\ndata: {"cho'


@pytest.mark.parametrize(
    ("reply", "status", "words"),
    [
        (plain("401 Unauthorized", "{}"), 502, "--engine-key-file"),
        (plain("429 Too Many", '{"error": {"message": "full"}}'), 429, "busy: full"),
        (plain("400 Bad", '{"object": "error", "message": "too long", "type": "BadRequestError"}'), 400, "too long"),
        (plain("422 Bad", '{"detail": []}'), 422, "no reason given"),
        (plain("500 Oh", "<html>secret of theirs"), 502, "failed with status 500"),
        (plain("302 Found", ""), 502, "failed with status 302"),
        (plain("200 OK", "<html>"), 502, "no JSON"),
        (plain("200 OK", "[" * 5000), 502, "no JSON"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", 502, "broke off"),
        (b"nonsense\r\n\r\n", 502, "cannot be reached"),
    ],
    ids=["key", "busy", "flat", "no-reason", "failed", "elsewhere", "html", "deep", "cut", "nonsense"],
)
def test_what_fails_behind_is_told(serve: Serve, reply: bytes, status: int, words: str) -> None:
    with raw(reply) as url:
        told = front(serve, url).post("/v1/completions", json=BODY)
    assert told.status_code == status and words in told.json()["error"]["message"] and "secret" not in told.text


def test_a_stream_that_breaks_off_ends_with_an_error(serve: Serve) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 999\r\n\r\n{BROKEN}"
    with raw(head.encode()) as url:
        events = front(serve, url).post("/v1/completions", json={**BODY, "stream": True}).text.split("\n\n")
    assert json.loads(events[0].removeprefix("data: "))["choices"][0]["text"] == "ab"
    assert "broke off" in json.loads(events[1].removeprefix("data: "))["error"]["message"] and events[2] == "data: [DONE]"


def test_a_server_that_is_silent_or_gone_or_full(serve: Serve, behind: Running) -> None:
    with raw(b"", close=False) as url:
        assert front(serve, url, seconds=0.3).post("/v1/completions", json=BODY).status_code == 504
    assert front(serve, url).post("/v1/completions", json=BODY).status_code == 502
    full = front(serve, behind.url, "theirs", most=0).post("/v1/completions", json=BODY)
    assert full.status_code == 429 and full.headers["retry-after"] == "1"


def test_malformed_bodies_do_not_go_there(before: httpx.Client) -> None:
    for body in (b"{", b"[]", b"\xff", b"null", b"[" * 100_000):
        assert before.post("/v1/completions", content=body, headers={"Content-Type": "application/json"}).status_code == 400


def test_the_list_of_models(behind: Running) -> None:
    assert upstream.models(behind.url, "theirs")[0]["id"] == "small"
    with pytest.raises(InputError, match="--engine-key-file"):
        upstream.models(behind.url, None)
    for reply in (plain("200 OK", "{}"), plain("200 OK", '{"data": []}'), plain("200 OK", '{"data": [1]}'), b"x"):
        with raw(reply) as url, pytest.raises(InputError, match="no list of models"):
            upstream.models(url, None)


@pytest.mark.slow
def test_the_command_stands_before_a_server_in_another_process(folder: Path) -> None:
    def started(*words: str) -> tuple[subprocess.Popen[str], str]:
        command = [sys.executable, "-m", "starmill.cli", "serve", *words, "--port", "0"]
        server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert server.stderr is not None
        line = next(line for line in server.stderr if "answers at" in line)
        return server, line.partition("answers at ")[2].partition("/v1")[0]

    behind, there = started(str(folder))
    before, here = started("--engine", f"openai:{there}")
    try:
        with httpx.Client(verify=False, timeout=60) as client:
            one, other = (
                client.post(f"{url}/v1/completions", json={**BODY, "model": folder.name}).json() for url in (here, there)
            )
            assert one["choices"] == other["choices"]
            behind.terminate()
            assert behind.wait(60) == -15 and client.post(f"{here}/v1/completions", json=BODY).status_code == 502
    finally:
        for server in (behind, before):
            server.terminate()
            server.wait(60)
