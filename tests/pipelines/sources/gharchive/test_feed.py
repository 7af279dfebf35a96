"""What is decoded of an event: a usual one at one look, an unknown one at two, and of neither more than rows need."""

import json

import msgspec
import pytest
from hours import comment, event, line, opened, timeline

from starmill.pipelines.sources.gharchive.feed import ENVELOPE, KINDS, NAMES, NULL, OTHERS, PAYLOAD, USUAL, WANTED


def test_a_usual_event_has_its_type_and_the_fields_that_rows_are_made_of() -> None:
    found = USUAL.decode(line(comment(4, 2, "Why?", pull_request={"url": "u"})))
    assert NAMES[type(found)] == "IssueCommentEvent"
    assert (found.repo.id, found.payload.comment.body, bytes(found.payload.issue.pull_request)) == (7, "Why?", b'{"url":"u"}')
    alone = USUAL.decode(line(opened(3, 1)))
    assert alone.payload.issue.pull_request is NULL and alone.payload.issue.title == "It crashes"


def test_an_unknown_type_is_no_usual_event_and_read_by_two_looks() -> None:
    data = line({**opened(3, 1), "type": "IssueMovedEvent"})
    with pytest.raises(msgspec.ValidationError):
        USUAL.decode(data)
    found = ENVELOPE.decode(data)
    assert found.type == "IssueMovedEvent" and PAYLOAD.decode(found.payload).issue.number == 3


@pytest.mark.parametrize("kind", OTHERS)
def test_an_event_of_which_nothing_is_kept_may_hold_anything(kind: str) -> None:
    assert not {kind} & WANTED and type(USUAL.decode(line({"type": kind, "payload": 5, "repo": [], "x": None}))) is KINDS[kind]


def test_both_eras_are_decoded_by_one_call_line_by_line() -> None:
    many = [opened(3, 1), timeline("WatchEvent", {"action": "started"}, ""), event("PushEvent", {}, "00:00:00", 5)]
    found = USUAL.decode_lines(b"\n".join(map(line, many)))
    assert [type(said).__name__ for said in found] == [said["type"] for said in many]
    assert found[1].repository.owner == json.loads(line(many[1]))["repository"]["owner"]
