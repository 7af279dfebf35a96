"""Nothing from data becomes markup: what a browser's parser reads is what was given, with what does not print escaped."""

import json
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from starmill.core.terminal import escaped
from starmill.reports.page.html import Html, data, element, joined, size, text

ANY = st.text(alphabet=st.one_of(st.characters(), st.sampled_from("<>&\"'/=` \u202e\u2028\0\x1b\ud800")), max_size=60)


class Seen(HTMLParser):
    """What a parser makes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.said = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.said += data


@given(ANY, ANY)
def test_a_parser_reads_what_was_given(said: str, value: str) -> None:
    seen = Seen(element("b", {"title": value}, said, element("i", None, said)))
    assert [tag for tag, _ in seen.tags] == ["b", "i"]
    assert seen.tags[0][1] == {"title": escaped(value, keep="\n\t")} and seen.said == 2 * escaped(said, keep="\n\t")


@given(ANY)
def test_text_prints(said: str) -> None:
    assert all(c.isprintable() or c in "\n\t" for c in text(said)) and text(text(said)) == text(said)
    text(said).encode()


@given(
    st.recursive(
        ANY | st.integers() | st.none(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY, inner, max_size=4),
        max_leaves=8,
    )
)
def test_data_is_read_back_and_ends_nothing(value: object) -> None:
    written = data("d", value)
    inside = written.removeprefix('<script type="application/json" id="d">').removesuffix("</script>")
    assert json.loads(inside) == value and inside.isascii() and not {*"<>&"} & {*inside}


def test_attributes_that_are_switches() -> None:
    assert element("input", {"hidden": True, "disabled": False, "id": None, "value": 0}) == '<input hidden value="0">'
    assert element("rect", {"x": 1}) == '<rect x="1"/>' and element("rect", None, Html("<title></title>")).endswith("</rect>")
    assert element("p") == "<p></p>" and joined("a<", None, Html("<br>")) == "a&lt;<br>"


@given(st.floats(0, 1e16))
def test_sizes_have_three_digits(count: float) -> None:
    number, unit = size(count).split(" ")
    power = ["B", "kB", "MB", "GB", "TB"].index(unit)
    assert abs(float(number) * 1000**power - count) <= 0.006 * max(count, 100) and (
        float(number) < 1000 or unit == "TB" or power == 0
    )
