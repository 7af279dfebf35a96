"""What is refused before a model is asked: keys, hosts, bodies; and what a server says of itself."""

import socket
import time

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from servers import Running, Serve

from starmill.serving.bodies import NOT_DONE, Chat, Completion, Generate, Parameters
from starmill.serving.service import Limits


@pytest.fixture
def client(running: Running) -> httpx.Client:
    return running.client


def test_a_key(serve: Serve) -> None:
    running = serve(key="s3cret")
    for headers in (
        {},
        {"Authorization": "Bearer other"},
        {"Authorization": "Basic s3cret"},
        {"Authorization": "Bearer é".encode()},
    ):
        for path in ("/v1/models", "/metrics", "/info"):
            assert running.client.get(path, headers=headers).status_code == 401
        assert running.client.post("/generate", json={"inputs": "x"}, headers=headers).status_code == 401
    assert running.client.get("/health").status_code == 200
    right = {"Authorization": "Bearer s3cret"}
    assert running.client.post("/generate", json={"inputs": "x"}, headers=right).status_code == 200


def test_another_page_of_a_browser_is_not_heard(client: httpx.Client) -> None:
    assert client.get("/v1/models", headers={"Host": "evil.example"}).status_code == 403
    assert client.get("/v1/models", headers={"Host": "localhost:1"}).status_code == 200
    asked = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    reply = client.options("/v1/completions", headers=asked)
    assert reply.status_code == 405 and not any(name.startswith("access-control") for name in reply.headers)
    assert client.post("/generate", content=b'{"inputs": "x"}', headers={"Content-Type": "text/plain"}).status_code == 415


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff",
        b'{"prompt": NaN}',
        b'{"prompt": "\\ud800"}',
        b"[" * 100_000,
        b'{"prompt": ' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"prompt": {"a": 1}}',
        b'{"prompt": []}',
        b'{"prompt": [[]]}',
        b'{"prompt": [1, "x"]}',
        b'{"prompt": [99999999]}',
        b'{"prompt": [-1]}',
        b'{"prompt": "x", "seed": 99999999999999999999999}',
        b'{"prompt": "x", "max_tokens": 1e400}',
        b'{"prompt": "x", "max_tokens": true}',
        b'{"prompt": "x", "temperature": "hot"}',
        b'{"prompt": "x", "stop": ["a", 1]}',
        b'{"prompt": "x", "parameters": 3, "logit_bias": [1]}',
        b'{"model": ["x"], "prompt": "x"}',
    ],
    ids=range(23),
)
def test_no_body_breaks_it(client: httpx.Client, body: bytes) -> None:
    for path in ("/v1/completions", "/v1/chat/completions", "/generate", "/"):
        reply = client.post(path, content=body, headers={"Content-Type": "application/json"})
        assert reply.status_code in (400, 422) and reply.json()["error"], path


def test_addresses_that_are_none(client: httpx.Client) -> None:
    assert client.get("/nowhere").json()["detail"][0]["type"] and client.get("/nowhere").status_code == 404
    assert client.get("/generate").status_code == 405


def test_limits(serve: Serve) -> None:
    running = serve(limits=Limits(new_tokens=5, body_bytes=1000, body_seconds=1.0))
    ask = {"prompt": "x", "max_tokens": 100, "temperature": 0, "ignore_eos": True}
    found = running.client.post("/v1/completions", json=ask).json()
    assert found["usage"]["completion_tokens"] == 5 and found["choices"][0]["finish_reason"] == "length"
    assert running.client.post("/generate", json={"inputs": "x" * 2000}).status_code == 413
    host, port = running.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as slow:
        head = f"POST /generate HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n"
        slow.sendall(head.encode() + b"{")
        assert b" 408 " in slow.recv(1000)


def test_an_answer_that_takes_too_long(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    running = serve(limits=Limits(seconds=1.0))
    step = running.service.worker.engine.step
    monkeypatch.setattr(running.service.worker.engine, "step", lambda: (time.sleep(0.05), step())[1])
    ask = {"prompt": "x", "max_tokens": 1000, "temperature": 0, "ignore_eos": True}
    assert running.client.post("/v1/completions", json=ask).status_code == 504
    last = running.client.post("/v1/completions", json=ask | {"stream": True}).text.split("\n\n")[-3:]
    assert "took too long" in last[0] and last[1:] == ["data: [DONE]", ""]
    while running.service.worker.open:  # it is given up, if not before its last word is read
        time.sleep(0.01)


def test_metrics(client: httpx.Client) -> None:
    before = {
        s.name: s.value for f in text_string_to_metric_families(client.get("/metrics").text) for s in f.samples if not s.labels
    }
    client.post("/v1/completions", json={"prompt": "x", "max_tokens": 3, "temperature": 0, "ignore_eos": True})
    client.post("/v1/completions", json={"prompt": 3})
    reply = client.get("/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in text_string_to_metric_families(reply.text)}
    now = {sample.name: sample.value for family in families.values() for sample in family.samples if not sample.labels}
    assert 0 <= now["starmill_accepted_tokens_total"] <= now["starmill_drafted_tokens_total"]
    assert now["starmill_new_tokens_total"] == before["starmill_new_tokens_total"] + 3 and now["starmill_open"] == 0
    statuses = {(s.labels["path"], s.labels["status"]) for s in families["starmill_requests"].samples}
    assert statuses >= {("/v1/completions", "200"), ("/v1/completions", "400")}
    assert families["starmill_request_seconds"].type == "histogram"


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = sorted({*Completion.__struct_fields__, *Chat.__struct_fields__, *Generate.__struct_fields__, *NOT_DONE})
INNER = sorted({*Parameters.__struct_fields__, *NOT_DONE})
BODIES = st.fixed_dictionaries(
    {"prompt": ANYTHING | st.just("x"), "inputs": st.just("x") | ANYTHING, "messages": ANYTHING | st.just([{"role": "user"}])},
    optional={"parameters": st.dictionaries(st.sampled_from(INNER), ANYTHING, max_size=2)},
)


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[*HealthCheck])
@given(BODIES, st.dictionaries(st.sampled_from(FIELDS), ANYTHING, max_size=2))
def test_whatever_is_asked_is_answered_or_refused(short: Running, body: dict[str, object], more: dict[str, object]) -> None:
    for path in ("/v1/completions", "/v1/chat/completions", "/generate", "/"):
        reply = short.client.post(path, json={**body, **more})
        assert reply.status_code in (200, 400, 404, 422), (path, reply.text)
    assert not short.service.worker.open or more.get("stream") or body.get("stream")


@pytest.fixture(scope="module")
def short(serve: Serve) -> Running:
    return serve(limits=Limits(new_tokens=2))
