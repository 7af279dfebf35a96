"""Plain values come over as they were."""

import socket
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from starmill.evaluation.sandbox.calls import Peer

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.complex_numbers(allow_nan=False) | st.text() | st.binary()
    | st.decimals(allow_nan=False) | st.fractions() | st.dates() | st.datetimes() | st.timedeltas(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner) | st.sets(st.integers())
    | st.frozensets(st.text()),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(plain)
def test_plain_values_go_by_value(value: Any) -> None:
    here, there = socket.socketpair()
    with here, there:
        found = Peer(there).unpacked(Peer(here).packed(value))
    assert found == value and type(found) is type(value)
