"""The order of files and the choice of the kept ones, against a naive greedy over the graph."""

import datetime
import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starmill.core import schema
from starmill.transforms.dedup import clusters

YEAR = {y: datetime.datetime(y, 1, 1) for y in (1960, 2020, 2021)}
WORST = {
    "license_type": "non_permissive",
    "star_events_count": None,
    "fork_events_count": None,
    "revision_date": None,
    "visit_date": None,
    "repo_name": "z/z",
    "path": "/z",
    "content_id": "00",
}
# Ascending: each row beats all before it, by one column alone; what ranks lower is set against it.
CLIMB = [
    WORST,
    WORST | {"path": "/y", "content_id": "ff"},
    WORST | {"repo_name": "a/b-c", "path": "/zz"},
    WORST | {"repo_name": "a/b", "path": "/zzz"},
    WORST | {"visit_date": YEAR[1960], "repo_name": "zz"},
    WORST | {"visit_date": YEAR[2020]},
    WORST | {"revision_date": YEAR[1960]},
    WORST | {"revision_date": YEAR[2021]},
    WORST | {"fork_events_count": 1},
    WORST | {"fork_events_count": 300},
    WORST | {"star_events_count": 2},
    WORST | {"star_events_count": 2**40},
    WORST | {"license_type": "no_license"},
    WORST | {"license_type": "permissive"},
    WORST | {"license_type": "permissive", "revision_date": YEAR[2020]},
]


def described(rows: list[dict], files: list[int]) -> pa.RecordBatch:
    fields = [f for f in schema.SIGNATURES if f.name in WORST]
    block = pa.RecordBatch.from_pylist(rows, schema=pa.schema(fields))
    return clusters.describe(block, np.array(files, np.int64))


def best_to_worst(count: int) -> pa.RecordBatch:
    """Files 0, 1, 2..., the best first."""
    return described([WORST | {"star_events_count": 1000 - i} for i in range(count)], list(range(count)))


def edges(*rows: tuple[int, int, float]) -> pa.RecordBatch:
    a, b, jaccard = zip(*rows, strict=True) if rows else ((), (), ())
    return pa.record_batch([pa.array(a, pa.int64()), pa.array(b, pa.int64()), pa.array(jaccard, pa.float64())], clusters.EDGE)


def removals(block: pa.RecordBatch) -> dict[int, tuple[int, float]]:
    return {r["file"]: (r["kept"], r["jaccard"]) for r in block.to_pylist()}


def judged(files: list[pa.RecordBatch], graph: list[pa.RecordBatch]) -> pa.RecordBatch:
    """Resolve and name, as the stage does."""
    table = pa.Table.from_batches(graph, clusters.EDGE).combine_chunks()
    gone = clusters.resolve(table.column("a").to_numpy(), table.column("b").to_numpy())
    named = [clusters.choose(block, files, gone) for block in table.to_batches()]
    result = clusters.follow(named)
    assert result.column("file").to_pylist() == gone.tolist()
    return result


def test_every_column_of_the_order_decides():
    order = list(range(len(CLIMB)))
    random.Random(0).shuffle(order)
    files = described([CLIMB[i] for i in order], order)
    for lower in range(len(CLIMB)):
        for upper in range(lower + 1, len(CLIMB)):
            oriented = clusters.orient(np.array([[lower, upper]]), np.array([0.9]), [files])
            assert oriented.to_pylist() == [{"a": upper, "b": lower, "jaccard": 0.9}], (CLIMB[upper], CLIMB[lower])


def test_a_missing_license_type_ranks_last():
    files = described([WORST | {"license_type": None, "star_events_count": 9}, WORST], [0, 1])
    assert clusters.orient(np.array([[0, 1]]), np.array([1.0]), [files]).column("a").to_pylist() == [1]


def test_an_earlier_release_ranks_first():
    block = pa.RecordBatch.from_pylist([WORST], schema=pa.schema([f for f in schema.SIGNATURES if f.name in WORST]))
    files = [described([CLIMB[-1]], [3]), clusters.describe(block, np.array([7]), "s3://old")]
    assert clusters.orient(np.array([[3, 7]]), np.array([0.9]), files).column("a").to_pylist() == [7]


def test_no_chains():
    # Each resembles the next only: 1 goes for 0; 2 has no kept twin above it and stays; 3 goes for 2.
    result = judged([best_to_worst(4)], [edges((0, 1, 0.8), (1, 2, 0.8), (2, 3, 0.8))])
    assert removals(result) == {1: (0, 0.8), 3: (2, 0.8)}


def test_the_most_similar_kept_file_is_named_and_the_better_of_equals():
    # 3 is nearest to 1, which goes for 0; of 0 and 2, kept and equally similar, 0 ranks above.
    result = judged([best_to_worst(4)], [edges((0, 1, 0.9), (1, 3, 0.99), (2, 3, 0.8), (0, 3, 0.8))])
    assert removals(result) == {1: (0, 0.9), 3: (0, 0.8)}
    result = judged([best_to_worst(4)], [edges((0, 1, 0.9), (1, 3, 0.99), (2, 3, 0.81), (0, 3, 0.8))])
    assert removals(result) == {1: (0, 0.9), 3: (2, 0.81)}


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(2, 40), density=st.floats(0, 0.6))
def test_resolve_is_the_naive_greedy(seed, count, density):
    draw = random.Random(seed)
    graph = {
        (a, b): draw.choice([0.7, 0.75, 0.8, 0.9, 1.0])
        for a in range(count)
        for b in range(a + 1, count)
        if draw.random() < density
    }
    kept: list[int] = []
    expected = {}
    for file in range(count):
        twins = [(-graph[k, file], k) for k in kept if (k, file) in graph]
        if twins:
            expected[file] = (min(twins)[1], -min(twins)[0])
        else:
            kept.append(file)
    # Ids, order of rows, of edges, and repeated descriptions must not matter.
    ids = draw.sample(range(10**12), count)
    rows = list(range(count)) * 2
    draw.shuffle(rows)
    files = described([WORST | {"star_events_count": 1000 - i} for i in rows], [ids[i] for i in rows])
    shuffled = [(ids[a], ids[b], j) for (a, b), j in graph.items()]
    draw.shuffle(shuffled)
    result = judged([files.slice(0, 3), files.slice(3)], [edges(*shuffled[::2]), edges(*shuffled[1::2])])
    assert removals(result) == {ids[f]: (ids[k], j) for f, (k, j) in expected.items()}
    assert not any(result.column("exact").to_pylist())


def test_resolve_nothing():
    assert clusters.resolve(np.empty(0, np.int64), np.empty(0, np.int64)).tolist() == []
    assert judged([best_to_worst(2)], []).num_rows == 0


def test_removals_name_the_kept_file():
    files = described(
        [WORST | {"repo_name": "good/one", "path": "/é", "content_id": "ab", "star_events_count": 7}, WORST], [5, 6]
    )
    [row] = judged([files], [edges((5, 6, 0.75))]).to_pylist()
    assert row == {
        "file": 6,
        "kept": 5,
        "kept_rank": files.column("rank")[0].as_py(),
        "kept_release": None,
        "kept_repo_name": "good/one",
        "kept_path": "/é",
        "kept_content_id": "ab",
        "jaccard": 0.75,
        "exact": False,
    }


def copies(rows: list[tuple[str, int]]) -> pa.RecordBatch:
    """COPY rows of (blob id, scope); a later row is the better file."""
    files = best_to_worst(len(rows))
    files = files.set_column(0, "file", pa.array(range(len(rows) - 1, -1, -1), pa.int64()))
    blob, scope = zip(*reversed(rows), strict=True)
    return pa.RecordBatch.from_arrays([pa.array(blob), pa.array(scope, pa.uint64()), *files.columns], schema=clusters.COPY)


def test_exact_keeps_the_best_copy_within_a_scope():
    block = copies([("aa", 0), ("bb", 0), ("aa", 0), ("aa", 1), ("cc", 0), ("aa", 0), ("aa", 1)])
    shuffled = block.take(pa.array([3, 0, 6, 5, 2, 1, 4]))
    result = clusters.exact([shuffled.slice(0, 2), shuffled.slice(2)])
    assert removals(result) == {0: (5, 1.0), 2: (5, 1.0), 3: (6, 1.0)}
    assert all(result.column("exact").to_pylist())
    assert clusters.exact([]).num_rows == 0


def removal(file: int, kept: int, jaccard: float, exact: bool) -> dict:
    name = f"f{kept}"
    values = {f"kept_{c}": name for c in clusters.IDENTITY} | {"jaccard": jaccard, "exact": exact}
    values |= {"kept_rank": bytes(33), "kept_release": None}
    return {"file": file, "kept": kept, **values}


@pytest.mark.parametrize("order", [1, -1])
def test_copies_follow_their_twin(order):
    rows = [removal(1, 2, 1.0, True), removal(4, 9, 1.0, True), removal(2, 0, 0.8, False), removal(3, 2, 1.0, True)]
    followed = clusters.follow([pa.RecordBatch.from_pylist(rows[::order], schema=clusters.REMOVAL)])
    # 1 and 3 have the bytes of 2, which goes for 0; 9 stays, so 4 is an exact duplicate of it.
    assert followed.to_pylist() == [
        removal(1, 0, 0.8, False),
        removal(2, 0, 0.8, False),
        removal(3, 0, 0.8, False),
        removal(4, 9, 1.0, True),
    ]


def test_a_long_chain_is_resolved_link_by_link():
    n = 20_000
    gone = clusters.resolve(np.arange(n - 1), np.arange(1, n))
    assert gone.tolist() == list(range(1, n, 2))
