"""The compressed graph of Software Heritage, asked over gRPC by its own server for all directories below some roots.

The server is `swh-graph-grpc-serve` of swh-graph, a program of its own; the messages here are the few fields of its protocol
(swh-graph 13, `proto/swhgraph.proto`) that a traversal of directories needs. The graph keeps six modes, and 0 for any other: a
directory's id tells which one was meant. What is not told is left as it is, and does not hash to its id.
"""

import functools
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from starmill.core.errors import MachineError, one_line
from starmill.core.swhid import object_id

ROOTS = 10_000  # asked for at once: below 1 MB, of the 4 MB that such a server takes
PATIENCE = 60.0  # seconds in which a server must answer
PACKAGE = "swh.graph"
SERVICE = f"{PACKAGE}.TraversalService"
SWHID = re.compile(r"swh:1:(cnt|dir|rev):([0-9a-f]{40})")
EDGES = "dir:dir,dir:cnt,dir:rev"
FIELDS = ("swhid", "successor.swhid", "successor.label.name", "successor.label.permission")
# What else git has written for a content, a directory and a submodule, the most frequent first.
MODES = {
    "cnt": (0o100664, 0o100640, 0o100600, 0o100660, 0o100666, 0o100775, 0o100777, 0o100700, 0o100744, 0o100750),
    "dir": (0o40755, 0o40775, 0o40777, 0o40700),
    "rev": (0o160755, 0o160644),
}
# Each message with its fields: number, name, type, whether repeated; of type a message's name or one of protobuf's.
MESSAGES = {
    "FieldMask": ((1, "paths", "string", True),),
    "NodeFilter": ((1, "types", "string", False),),
    "TraversalRequest": (
        (1, "src", "string", True),
        (3, "edges", "string", False),
        (7, "return_nodes", "NodeFilter", False),
        (8, "mask", "FieldMask", False),
    ),
    "EdgeLabel": ((1, "name", "bytes", False), (2, "permission", "int32", False)),
    "Successor": ((1, "swhid", "string", False), (2, "label", "EdgeLabel", True)),
    "Node": ((1, "swhid", "string", False), (2, "successor", "Successor", True)),
    "StatsRequest": (),
    "StatsResponse": (
        (1, "num_nodes", "int64", False),
        (2, "num_edges", "int64", False),
        (13, "export_started_at", "int64", False),
        (14, "export_ended_at", "int64", False),
    ),
}


@dataclass(frozen=True, slots=True)
class Edge:
    """An entry of a directory as the graph has it: `kind` of its target, `mode` or 0 for one that is not kept, name and target."""

    kind: str
    target: bytes
    mode: int
    name: bytes


@dataclass(frozen=True)
class Graph:
    """The server of a compressed graph at `host:port`.

    >>> Graph("127.0.0.1:50091").server
    '127.0.0.1:50091'
    """

    server: str

    def state(self) -> str:
        """Return what tells this graph from another one: its nodes and edges, and when its export was made. Raises MachineError."""
        with _channel(self.server) as channel:
            try:
                said = _call(channel, "Stats", "StatsResponse", False)(messages()["StatsRequest"](), timeout=PATIENCE)
            except grpc.RpcError as error:
                raise _failed(self.server, error) from error
        return " ".join(str(getattr(said, name)) for _, name, *_ in MESSAGES["StatsResponse"])

    def directories(self, roots: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
        """Yield the id and the tree of each directory at or below some roots (ids of 20 bytes) that has entries.

        A directory comes once for each ROOTS roots. A root that the graph does not have gives nothing. Raises MachineError.
        """
        with _channel(self.server) as channel:
            for start in range(0, len(roots), ROOTS):
                yield from self._below(channel, roots[start : start + ROOTS])

    def _below(self, channel: grpc.Channel, roots: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
        known = messages()
        request = known["TraversalRequest"](
            src=[f"swh:1:dir:{root.hex()}" for root in roots],
            edges=EDGES,
            return_nodes=known["NodeFilter"](types="dir"),
            mask=known["FieldMask"](paths=FIELDS),
        )
        begun = False
        try:
            for node in _call(channel, "Traverse", "Node", True)(request):
                begun = True
                if node.successor:
                    yield _directory(node)
        except grpc.RpcError as error:
            if begun or error.code() != grpc.StatusCode.NOT_FOUND:
                raise _failed(self.server, error) from error
            # It says so of one root, and answers for none: ask for each half.
            half = len(roots) // 2
            for some in (roots[:half], roots[half:]) if half else ():
                yield from self._below(channel, some)
        except ValueError as error:
            raise MachineError(
                f"{self.server}: {one_line(error)}; it is no server of swh-graph, one without labels, or of a newer protocol"
            ) from error


def tree_of(own: bytes, entries: Sequence[Edge]) -> bytes:
    """Return the tree of a directory from its entries in any order.

    Modes that the graph did not keep are tried, one for all such files and one for all such folders, until the tree hashes to `own`.

    >>> tree_of(bytes(20), [Edge("cnt", b"B" * 20, 0o100644, b"b"), Edge("dir", b"A" * 20, 0o40000, b"a")])
    b'40000 a\\x00AAAAAAAAAAAAAAAAAAAA100644 b\\x00BBBBBBBBBBBBBBBBBBBB'
    """
    ordered = sorted(entries, key=lambda edge: edge.name + b"/" if edge.kind == "dir" else edge.name)
    plain = _tree(ordered, {})
    lost = {edge.kind for edge in ordered if not edge.mode}
    if not lost or object_id("tree", plain) == own.hex():
        return plain
    tried = ([*modes] if kind in lost else [0] for kind, modes in MODES.items())
    for modes in itertools.product(*tried):
        made = _tree(ordered, dict(zip(MODES, modes, strict=True)))
        if object_id("tree", made) == own.hex():
            return made
    return plain


def _tree(entries: Sequence[Edge], modes: Mapping[str, int]) -> bytes:
    return b"".join(b"%o %s\0%s" % (e.mode or modes.get(e.kind, 0), e.name, e.target) for e in entries)


def _directory(node: Any) -> tuple[bytes, bytes]:
    """Return the id and the tree of a node. Raises ValueError for what is no directory."""
    kind, own = _swhid(node.swhid)
    if kind != "dir":
        raise ValueError(f"a node {node.swhid[:60]!r} where directories were asked for")
    edges = []
    for successor in node.successor:
        target = _swhid(successor.swhid)
        if not successor.label:
            raise ValueError(f"an entry of {node.swhid} without its name")
        edges += [Edge(*target, label.permission, label.name) for label in successor.label]
    return own, tree_of(own, edges)


def _swhid(text: str) -> tuple[str, bytes]:
    found = SWHID.fullmatch(text)
    if found is None:
        raise ValueError(f"no id of a content, directory or revision: {text[:60]!r}")
    return found[1], bytes.fromhex(found[2])


def _channel(server: str) -> grpc.Channel:
    # A directory is one message, however large; silence of a minute is asked after, so that a dead server is noticed.
    options = [("grpc.max_receive_message_length", -1), ("grpc.keepalive_time_ms", 60_000)]
    return grpc.insecure_channel(server, [*options, ("grpc.enable_http_proxy", 0)])


def _call(channel: grpc.Channel, method: str, gives: str, many: bool) -> Any:
    of = channel.unary_stream if many else channel.unary_unary
    return of(f"/{SERVICE}/{method}", lambda message: message.SerializeToString(), messages()[gives].FromString)


def _failed(server: str, error: grpc.RpcError) -> MachineError:
    said = f"{error.code().name}: {ascii(str(error.details()))[1:-1][:500]}"
    return MachineError(f"{server}: {said}; start swh-graph-grpc-serve there with its labels, or name another server")


@functools.cache
def messages() -> dict[str, Any]:
    """Return the class of each message of MESSAGES."""
    file = descriptor_pb2.FileDescriptorProto(name="swhgraph.proto", package=PACKAGE, syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, field, kind, repeated in fields:
            made = message.field.add(name=field, number=number, label=3 if repeated else 1)
            if kind in MESSAGES:
                made.type, made.type_name = made.TYPE_MESSAGE, f".{PACKAGE}.{kind}"
            else:
                made.type = getattr(made, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()  # of its own: swh.graph's Python package may be in this process
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}")) for name in MESSAGES}
