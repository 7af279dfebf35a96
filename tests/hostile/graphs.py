"""A server of swh-graph's protocol on the loopback, of the rows of an export: what the graph keeps of them, and answers as it does.

An arc has all names of one target; a mode is one of six, or 0; a directory that is only named is a node without arcs; an unknown source
fails the whole request. Requests are read, and nodes written, by the classes that the reader has: docs/sources.md says what was tried
with the server itself.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import exports
import grpc

from starmill.pipelines.sources.swh import graph

KEPT = (0, 0o100644, 0o100755, 0o120000, 0o40000, 0o160000)
TYPES = {"file": "cnt", "dir": "dir", "rev": "rev"}


class Service:
    """Answers of rows; `asked` counts the requests of each kind, `failing` ends a traversal after so many nodes."""

    def __init__(self, rows: exports.Rows, failing: int | None = None) -> None:
        self.asked: dict[str, int] = {"Traverse": 0, "Stats": 0}
        self.failing = failing
        self._arcs: dict[str, dict[str, list[tuple[bytes, int]]]] = {}
        for row in rows["directory"]:
            self._arcs[f"swh:1:dir:{row['id']}"] = {}
        for row in rows["directory_entry"]:
            target = f"swh:1:{TYPES[row['type']]}:{row['target']}"
            arcs = self._arcs.setdefault(f"swh:1:dir:{row['directory_id']}", {})
            arcs.setdefault(target, []).append((row["name"], row["perms"] if row["perms"] in KEPT else 0))
            if row["type"] == "dir":
                self._arcs.setdefault(target, {})

    def traverse(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        self.asked["Traverse"] += 1
        assert (request.edges, request.return_nodes.types) == ("dir:dir,dir:cnt,dir:rev", "dir")
        known, seen = graph.messages(), dict.fromkeys(request.src)
        for source in request.src:
            if source not in self._arcs:
                context.abort(grpc.StatusCode.NOT_FOUND, f"Unknown SWHID: {source}")
        due = list(seen)
        for number, swhid in enumerate(due):
            if number == self.failing:
                context.abort(grpc.StatusCode.INTERNAL, "the disk is gone")
            node = known["Node"](swhid=swhid)
            for target, labels in sorted(self._arcs[swhid].items()):
                successor = node.successor.add(swhid=target)
                for name, mode in labels:
                    successor.label.add(name=name, permission=mode)
                if target.startswith("swh:1:dir:") and target not in seen:
                    seen[target] = None
                    due.append(target)
            yield node

    def stats(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.asked["Stats"] += 1
        return graph.messages()["StatsResponse"](num_nodes=len(self._arcs), num_edges=1, export_started_at=2)


@contextmanager
def serve(service: Service) -> Iterator[str]:
    """Yield `host:port` of a service on the loopback."""
    known = graph.messages()
    server = grpc.server(ThreadPoolExecutor(2))
    methods = {
        "Traverse": grpc.unary_stream_rpc_method_handler(
            service.traverse, known["TraversalRequest"].FromString, lambda message: message.SerializeToString()
        ),
        "Stats": grpc.unary_unary_rpc_method_handler(
            service.stats, known["StatsRequest"].FromString, lambda message: message.SerializeToString()
        ),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("swh.graph.TraversalService", methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()
