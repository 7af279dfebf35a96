"""The benchmark tells what Flink sent elsewhere from what it handed on."""

from typing import Any

from flink import exchanges


def test_only_what_leaves_a_slot_is_shuffled() -> None:
    ways: dict[str, list[str]] = {
        "source": [],
        "map": ["Rebalance"],
        "combine": ["Forward"],
        "group": ["Hash Partition on [0]"],
        "union": ["Forward", "Hash Partition on [0]"],
    }
    nodes = [{"id": v, **({"inputs": [{"ship_strategy": way} for way in some]} if some else {})} for v, some in ways.items()]
    vertices = [{"id": v, "metrics": {"read-bytes": 10**k, "write-bytes": 7}} for k, v in enumerate(ways)]
    job: dict[str, Any] = {"plan": {"nodes": nodes}, "vertices": vertices}
    assert exchanges(job) == (10 + 1000 + 10000, 35)
