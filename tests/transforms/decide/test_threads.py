"""Both sides of each threshold over issues."""

import pytest

from starmill.transforms.decide.threads import Threads

Marked = list[dict]


def thread(*spans: tuple[str, str, int]) -> Marked:
    """Segments of these roles, names and lengths, behind each other."""
    made, at = [{"role": "title", "name": "username_0", "start": 0, "end": 5000}], 5000
    for role, name, size in spans:
        made.append({"role": role, "name": name, "start": at + 1, "end": at + 1 + size})
        at += 1 + size
    return made


BODY = ("body", "username_0", 200)
CASES = {
    "long enough": (thread(BODY), None),
    "the title does not count": (thread(("body", "username_0", 199)), "thread_too_short"),
    "together": (thread(("body", "username_0", 100), ("comment", "username_0", 100)), None),
    "only bots": (thread(), "bots_only"),
    "only bots, and it was closed": (thread(("closed", "username_0", 0)), "bots_only"),
    "no segments": (None, "bots_only"),
    "one long voice": (thread(("body", "username_0", 7001)), "few_users"),
    "one voice, as long as it may be": (thread(("body", "username_0", 7000)), None),
    "two long voices": (thread(("body", "username_0", 7001), ("comment", "username_1", 1)), None),
    "ten events": (thread(BODY, *[("comment", "username_0", 9)] * 9), None),
    "eleven events": (thread(BODY, *[("comment", "username_0", 9)] * 9, ("closed", "username_0", 0)), "few_users"),
    "who closes it is no voice": (thread(("body", "username_0", 7001), ("closed", "username_1", 0)), "few_users"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_thread(case: str) -> None:
    marked, reason = CASES[case]
    assert Threads().judge(marked) == reason


def test_thresholds_are_options() -> None:
    assert Threads(min_users=1).judge(thread(("body", "username_0", 7001))) is None
    assert Threads(min_chars=0).judge(thread(("body", "username_0", 0))) is None
