"""Documents: a sentinel typed by a person is text, and differs from the sentinel."""

from starmill.core.document import Special


def test_a_sentinel_is_not_its_text() -> None:
    assert Special("<file_sep>") != "<file_sep>"
    assert Special("<file_sep>") == Special("<file_sep>")
