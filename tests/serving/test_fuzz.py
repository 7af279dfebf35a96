"""Bodies that schemathesis makes from the fields of each request, right and wrong: none is an error of the server's, and none stays.

The description of the requests is made here, from the types that the server reads them by.
"""

from typing import Any

import msgspec
import pytest
import released_workspace as released
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from servers import Running, Serve

from starmill.pipelines.run import attribution
from starmill.pipelines.runners import choose
from starmill.pipelines.stages import index, portrait, trigrams
from starmill.serving.attribution import Asked, Document, Search
from starmill.serving.bodies import Chat, Completion, Fill, Generate
from starmill.serving.service import Limits

BODIES = {
    "/v1/completions": Completion,
    "/v1/chat/completions": Chat,
    "/v1/fim/completions": Fill,
    "/": Generate,
    "/generate": Generate,
    "/generate_stream": Generate,
    "/attribute": Asked,
    "/overlap": Asked,
    "/attribution": Document,
    "/search": Search,
}
ADDRESSES = {"/search": ("q", "regex", "ignore_case", "language", "licence", "files", "matches", "context")}


def described() -> dict[str, Any]:
    _, parts = msgspec.json.schema_components([*BODIES.values()], ref_template="#/components/schemas/{name}")
    paths: dict[str, Any] = {}
    for path, kind in BODIES.items():
        content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{kind.__name__}"}}}
        paths[path] = {
            "post": {"requestBody": {"required": True, "content": content}, "responses": {"200": {"description": ""}}}
        }
    for path, names in ADDRESSES.items():
        asked = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in names]
        paths[path]["get"] = {"parameters": asked, "responses": {"200": {"description": ""}}}
    owner = {"name": "owner", "in": "path", "required": True, "schema": {"type": "string", "pattern": "^[A-Za-z0-9]{1,30}$"}}
    paths["/in/{owner}"] = {"get": {"parameters": [owner], "responses": {"200": {"description": ""}}}}
    return {"openapi": "3.1.0", "info": {"title": "", "version": ""}, "paths": paths, "components": {"schemas": parts}}


SCHEMA = schemathesis.openapi.from_dict(described())
ASKED = [*((path, "POST") for path in BODIES), *((path, "GET") for path in (*ADDRESSES, "/in/{owner}"))]


@pytest.fixture(scope="module")
def knowing(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Running:
    place = released.build(tmp_path_factory.mktemp("fuzzed"), [[released.row("one/lib", "/a.py", "x = 1\n" * 40)]])
    for stage in (portrait, index, trigrams):
        attribution.make(place, stage, choose((), 1), quiet=True)
    return serve(release=place, limits=Limits(new_tokens=3))


@pytest.mark.slow
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["right", "wrong"])
@pytest.mark.parametrize(("path", "method"), ASKED, ids=[f"{method} {path}" for path, method in ASKED])
def test_no_body_is_an_error_of_the_server_s(knowing: Running, path: str, method: str, mode: GenerationMode) -> None:
    statuses = set()

    @settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
    @given(SCHEMA[path][method].as_strategy(generation_mode=mode))
    def asks(case: schemathesis.Case) -> None:
        reply = case.call(base_url=knowing.url, timeout=60)
        statuses.add(reply.status_code)
        assert reply.status_code in (200, 400, 404, 405, 413, 415, 422), (reply.status_code, reply.text[:300])
        if reply.status_code == 200 and "text/event-stream" in str(reply.headers["content-type"]):
            assert '"server_error"' not in reply.text and '"generation"' not in reply.text
        elif reply.request.method != "HEAD":
            assert reply.json() is not None

    asks()
    assert statuses
    for _ in range(100):
        if not knowing.service.worker.open:
            break
        knowing.client.get("/health")
    assert not knowing.service.worker.open
