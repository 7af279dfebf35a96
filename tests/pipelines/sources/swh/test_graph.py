"""The directories that a compressed graph gives are git's trees, whatever modes it kept; a graph that fails is no data."""

import random
from collections.abc import Iterator
from typing import Any

import graphs
import grpc
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from starmill.core.errors import MachineError
from starmill.core.swhid import object_id
from starmill.pipelines.sources.swh import graph as swh_graph
from starmill.pipelines.sources.swh.graph import MODES, Edge, Graph, tree_of

KEPT = {"cnt": (0o100644, 0o100755, 0o120000), "dir": (0o40000,), "rev": (0o160000,)}
ABSENT = bytes(20)


def tree(entries: list[tuple[str, int, bytes, bytes]]) -> tuple[bytes, bytes]:
    """The id and the tree of entries (kind, mode, name, target)."""
    ordered = sorted(entries, key=lambda e: e[2] + b"/" if e[0] == "dir" else e[2])
    data = b"".join(b"%o %s\0%s" % (mode, name, target) for _, mode, name, target in ordered)
    return bytes.fromhex(object_id("tree", data)), data


def rows(directories: dict[bytes, list[tuple[str, int, bytes, bytes]]]) -> dict[str, list[dict]]:
    """The rows of an export that hold these directories."""
    types = {"cnt": "file", "dir": "dir", "rev": "rev"}
    entries = [
        {"directory_id": own.hex(), "name": name, "type": types[kind], "target": target.hex(), "perms": mode}
        for own, of in directories.items()
        for kind, mode, name, target in of
    ]
    return {"directory": [{"id": own.hex()} for own in directories], "directory_entry": entries}


@seed(14)
@settings(max_examples=60, deadline=None, database=None)
@given(
    st.lists(st.tuples(st.sampled_from([*KEPT]), st.booleans(), st.binary(min_size=1, max_size=6)), unique_by=lambda e: e[2]),
    st.randoms(use_true_random=False),
)
def test_modes_that_the_graph_lost_are_told_by_the_id(drawn: list[tuple[str, bool, bytes]], rng: random.Random) -> None:
    named = [(kind, lost, name) for kind, lost, name in drawn if not {*name} & {0, 47}]
    odd = {kind: rng.choice(modes) for kind, modes in MODES.items()}
    entries = [(k, odd[k] if lost else rng.choice(KEPT[k]), name, rng.randbytes(20)) for k, lost, name in named]
    own, data = tree(entries)
    kept = [Edge(k, target, mode if mode in graphs.KEPT else 0, name) for k, mode, name, target in entries]
    rng.shuffle(kept)
    assert tree_of(own, kept) == data


def test_what_no_mode_explains_does_not_hash_to_its_id() -> None:
    entries = [("cnt", 0o100664, b"a", b"A" * 20), ("cnt", 0o100600, b"b", b"B" * 20)]
    own, data = tree(entries)
    found = tree_of(own, [Edge(k, t, 0, n) for k, _, n, t in entries])
    assert found == data.replace(b"100664", b"0").replace(b"100600", b"0") and object_id("tree", found) != own.hex()


def test_each_directory_comes_once_and_an_unknown_root_gives_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = [("cnt", 0o100644, b"x", b"X" * 20), ("cnt", 0o100755, b"y", b"X" * 20)]
    below, _ = tree(shared)
    made, wanted = {below: shared}, {}
    for n in range(9):
        of = [("dir", 0o40000, b"below", below), ("dir", 0o40000, b"gone", b"G" * 20), ("rev", 0o160000, b"n%d" % n, b"R" * 20)]
        made[tree(of)[0]] = of
    wanted = dict(map(tree, made.values()))
    roots = [own for own in made if own != below]
    service = graphs.Service(rows(made))
    with graphs.serve(service) as server:
        found = [*Graph(server).directories([ABSENT, *roots[:4], b"?" * 20, *roots[4:]])]
        assert len({own for own, _ in found}) == 10 and dict(found) == wanted
        assert service.asked["Traverse"] < 20, "by halves"
        monkeypatch.setattr(swh_graph, "ROOTS", 3)
        found = [*Graph(server).directories(roots)]
        assert len(found) == 9 + 3 and dict(found) == wanted
        assert [*Graph(server).directories([])] == []
        assert Graph(server).state() == "11 1 2 0", "10 directories, and one that is only named"


def test_a_server_that_fails_or_is_none_is_told() -> None:
    of = [("dir", 0o40000, b"a", b"A" * 20)]
    own, _ = tree(of)
    told = "INTERNAL: the disk is gone; start swh-graph-grpc-serve there"
    with (
        graphs.serve(graphs.Service(rows({own: of}), failing=1)) as server,
        pytest.raises(MachineError, match=f"{server}: {told}"),
    ):
        list(Graph(server).directories([own]))
    for ask in (Graph(server).state, lambda: list(Graph(server).directories([own]))):
        with pytest.raises(MachineError, match=rf"{server}: UNAVAILABLE: "):
            ask()


@pytest.mark.parametrize(
    ("swhid", "successor", "told"),
    [
        (f"swh:1:dir:{'1' * 40}", {"swhid": "swh:1:ori:1"}, "no id of a content, directory or revision: 'swh:1:ori:1'"),
        (f"swh:1:dir:{'1' * 40}", {"swhid": f"swh:1:cnt:{'2' * 40}"}, "an entry of swh:1:dir:1+ without its name"),
        (f"swh:1:rev:{'1' * 40}", {"swhid": f"swh:1:cnt:{'2' * 40}"}, "where directories were asked for"),
    ],
)
def test_an_answer_that_is_none_of_the_protocol_is_told(swhid: str, successor: dict[str, str], told: str) -> None:
    class Other(graphs.Service):
        def traverse(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            yield swh_graph.messages()["Node"](swhid=swhid, successor=[successor])

    with graphs.serve(Other(rows({}))) as server, pytest.raises(MachineError, match=f"{told}.*; it is no server"):
        list(Graph(server).directories([ABSENT]))
