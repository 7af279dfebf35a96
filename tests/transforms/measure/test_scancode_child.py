"""What ScanCode's process makes of its matches."""

from starmill.transforms.measure import scancode_child


def test_no_number_of_matches_leaves_another_licence_out() -> None:
    many = [("MIT", "notice", "2-aho", 100, 100, 9, n, n) for n in range(1, 5000)]
    weak, strong = (("GPL-2.0-only", "text", "3-seq", *said, 6000, 6900) for said in ((50, 50, 300), (99, 99, 2900)))
    found = scancode_child.most_telling([*many, weak, strong])
    assert len(found) == scancode_child.MOST_MATCHES and found[-2:] == [weak, strong]
    assert found[0] == many[0] and found == sorted(found, key=lambda match: match[6])
    assert scancode_child.most_telling(many[:3]) == many[:3]
    several = [(f"X-{n}", *strong[1:3], score, 100, 9, n, n) for n in range(400) for score in (60, 90)]
    found = scancode_child.most_telling([*several, strong])
    assert {match for match in several if match[3] == 90} | {strong} <= {*found}


def test_a_process_answers_once_per_line_and_ends_with_its_input() -> None:
    """Its protocol is tested through the parent, in test_scancode.py."""
    assert set(scancode_child.found(lambda **_: [], None, "", True)) == {"licenses", "matches"}
