"""What a value of a table becomes, by its role; and that the known data sets say what ingest can keep."""

from datetime import date, datetime, timedelta, timezone
from typing import get_args

import pyarrow as pa
import pytest

from starmill.core import schema
from starmill.pipelines.sources.tables.columns import DATASETS, DATES, NUMBERS, DatasetName, Fact, Role, WrongType, value


def test_facts_are_columns_of_a_record() -> None:
    for fact in get_args(Fact):
        wanted = pa.int64() if fact in NUMBERS else schema.TIMESTAMP if fact in DATES else pa.string()
        assert schema.RECORDS.field(fact).type == wanted


def test_known_data_sets() -> None:
    roles = {role for args in get_args(Role) for role in get_args(args) or (args,)}
    assert {*get_args(DatasetName)} == {*DATASETS}
    for known in DATASETS.values():
        assert {*known.columns} <= roles and {*known.optional} <= {*known.columns}
        named = known.columns["blob_id" if known.stored else "content"]
        assert known.stored != ("content" in known.columns) and bool(known.files) == named.startswith(
            f"{known.files or chr(0)}."
        )


@pytest.mark.parametrize(
    ("role", "found", "wanted"),
    [
        ("path", "a\ud800", b"a\xed\xa0\x80"),
        ("content", "é", "é".encode()),
        ("branch_name", b"main", "main"),
        ("visit_date", date(2015, 1, 1), datetime(2015, 1, 1)),
        ("visit_date", 1420070400, datetime(2015, 1, 1)),
        ("visit_date", "2015-01-01T02:00:00+02:00", datetime(2015, 1, 1)),
        ("visit_date", datetime(2015, 1, 1, tzinfo=timezone(timedelta(hours=-1))), datetime(2015, 1, 1, 1)),
        ("visit_date", datetime(1, 1, 1), None),
        ("visit_date", 10**30, None),
        ("github_id", None, None),
        ("parent", b"swh:1:cnt:" + b"0a" * 20, "swh:1:cnt:" + "0a" * 20),
    ],
)
def test_values(role: str, found: object, wanted: object) -> None:
    assert value(role, found) == wanted


@pytest.mark.parametrize(
    ("role", "found"),
    [
        ("content", "\ud800"),
        ("branch_name", b"\xff"),
        ("github_id", 2**63),
        ("github_id", float("nan")),
        ("visit_date", True),
        ("parent", "0a" * 20),
        ("parent", 7),
    ],
)
def test_what_a_role_cannot_have(role: str, found: object) -> None:
    with pytest.raises(WrongType, match=f"^{role}: "):
        value(role, found)
