"""Many at once, with some that leave: every answer is that of offline generation, and no row is left behind."""

import asyncio
import re
import threading
from typing import Any

import httpx
import pytest
from servers import Running, Serve

from starmill.model.complete import complete

PROMPTS = ["def f(x):", "import os", "x = 1\ny", "é 漢", "Human:", "    return"]


def ask(number: int) -> dict[str, Any]:
    settings = {"temperature": 0} if number % 2 else {"temperature": 1.0, "seed": number}
    return {"prompt": PROMPTS[number % len(PROMPTS)] * (1 + number % 3), "max_tokens": 5 + number % 23, **settings}


async def streamed(client: httpx.AsyncClient, number: int, leave_after: int | None) -> str:
    text, lines = "", 0
    async with client.stream("POST", "/v1/completions", json=ask(number) | {"stream": True}) as reply:
        assert reply.status_code == 200
        async for line in reply.aiter_lines():
            if line.startswith("data: {"):
                text += httpx.Response(200, content=line[6:]).json()["choices"][0]["text"]
                lines += 1
                if lines == leave_after:
                    break
    return text


async def settled(running: Running) -> None:
    """Return when the server is at rest."""
    worker = running.service.worker
    while worker.open or worker._rows or worker.engine.busy:
        await asyncio.sleep(0.01)


def test_concurrent_streams_with_disconnects(running: Running) -> None:
    count = 40

    async def all_of_them() -> list[str]:
        limits = httpx.Limits(max_connections=count)
        async with httpx.AsyncClient(verify=False, base_url=running.url, timeout=120, limits=limits) as client:
            leave = [None if number % 3 else number % 5 + 1 for number in range(count)]
            found = await asyncio.gather(*(streamed(client, number, after) for number, after in enumerate(leave)))
        await settled(running)
        return found

    before = running.service.worker.cancelled
    found = asyncio.run(asyncio.wait_for(all_of_them(), 120))
    for number, text in enumerate(found):
        one = ask(number)
        given = {name: one[name] for name in ("temperature", "seed") if name in one}
        (wanted,) = complete(running.decoder, running.tokenizer, [one["prompt"]], one["max_tokens"], **given)
        assert text == wanted if number % 3 else wanted.startswith(text), number
    assert running.service.worker.cancelled > before


def test_a_client_that_leaves_before_a_whole_answer(running: Running) -> None:
    async def leaves() -> None:
        async with httpx.AsyncClient(verify=False, base_url=running.url, timeout=60) as client:
            body = {"prompt": "x", "max_tokens": 4000, "temperature": 0, "ignore_eos": True}
            asking = asyncio.create_task(client.post("/v1/completions", json=body))
            while not running.service.worker.open:
                await asyncio.sleep(0.01)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        await settled(running)

    before = running.service.worker.cancelled
    asyncio.run(asyncio.wait_for(leaves(), 60))
    assert running.service.worker.cancelled == before + 1


def test_no_room(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    running = serve(rows=1, queue=1)
    step, gate = running.service.worker.engine.step, threading.Event()
    monkeypatch.setattr(running.service.worker.engine, "step", lambda: (gate.wait(), step())[1])
    long = {"prompt": "x", "max_tokens": 4000, "temperature": 0, "ignore_eos": True, "stream": True}

    async def crowd() -> None:
        async with (
            httpx.AsyncClient(verify=False, base_url=running.url, timeout=60) as client,
            client.stream("POST", "/v1/completions", json=long) as first,
            client.stream("POST", "/v1/completions", json=long) as second,
        ):
            assert (first.status_code, second.status_code) == (200, 200)
            for path, body in {"/v1/completions": {"prompt": "x"}, "/generate": {"inputs": "x"}}.items():
                reply = await client.post(path, json=body)
                assert reply.status_code == 429 and reply.headers["retry-after"] == "1" and reply.json()["error"]
            reply = await client.post("/v1/completions", json={"prompt": "x", "n": 3})
            assert reply.status_code == 400 and "2 are the most" in reply.json()["error"]["message"]
        gate.set()
        await settled(running)
        async with httpx.AsyncClient(verify=False, base_url=running.url, timeout=60) as client:
            assert (await client.post("/generate", json={"inputs": "x"})).status_code == 200

    asyncio.run(asyncio.wait_for(crowd(), 60))


def test_guesses_change_no_piece_of_a_stream(running: Running, serve: Serve) -> None:
    def streams(one: Running) -> list[str]:
        greedy = {"prompt": "x = 1\n" * 8, "max_tokens": 60, "temperature": 0, "logprobs": 2, "stream": True}
        inputs = {"inputs": "def f(x):\n" * 6, "parameters": {"max_new_tokens": 40, "top_n_tokens": 2}, "stream": True}
        asked = [
            (path, greedy | more) for path in ("/v1/completions",) for more in ({}, {"stop": ["1\n"]}, {"ignore_eos": True})
        ]
        replies = [one.client.post(path, json=body).text for path, body in [*asked, ("/generate_stream", inputs)]]
        return [re.sub(r'"(?:id|created|model)":("[^"]*"|\d+)|-?\d+\.\d+(e-\d+)?', "", reply) for reply in replies]

    with_none = serve(drafts=0)
    assert streams(with_none) == streams(running)
    assert running.service.worker.engine.accepted > 0 == with_none.service.worker.engine.drafted


def test_an_engine_that_fails_is_told_and_replaced(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    running = serve()
    worker = running.service.worker
    monkeypatch.setattr(worker.engine, "step", lambda: 1 / 0)
    reply = running.client.post("/v1/completions", json={"prompt": "x"})
    assert reply.status_code == 500 and "log" in reply.json()["error"]["message"] and not worker.open
    body = {"prompt": "x", "temperature": 0, "max_tokens": 9}
    reply = running.client.post("/v1/completions", json=body)
    assert reply.json()["choices"][0]["text"] == complete(running.decoder, running.tokenizer, ["x"], 9)[0]


def test_a_stop_lets_answers_end(serve: Serve) -> None:
    running = serve()

    async def stopped() -> str:
        async with httpx.AsyncClient(verify=False, base_url=running.url, timeout=60) as client:
            body = {"prompt": "x", "max_tokens": 200, "temperature": 0, "stream": True}
            async with client.stream("POST", "/v1/completions", json=body) as reply:
                stopping = asyncio.get_running_loop().run_in_executor(None, running.stop)
                text = (await reply.aread()).decode()
                await stopping
                return text

    assert asyncio.run(asyncio.wait_for(stopped(), 60)).endswith("data: [DONE]\n\n")
    assert not running.service.worker.alive and not running.service.worker.open
