"""Pages and schemas: meanings are the fields' comments, and the schema refuses what the recipe refuses."""

from dataclasses import dataclass, field
from typing import Literal

from starmill.core import recipe_page
from starmill.core.names import Language, languages


@dataclass(frozen=True)
class Phase:
    """One of several."""

    rate: float = 0.5  # of learning, as 3e-4 # or so
    kinds: tuple[Literal["a", "b"], ...] = (  # over
        "a",
        "b",
    )  # and under


@dataclass(frozen=True)
class Recipe:
    """All of it."""

    workspace: str  # where
    phases: tuple[Phase, ...] = ()
    best: Phase | None = None  # of them
    named: dict[str, Phase] = field(default_factory=dict)
    first: Phase = Phase()
    keep: tuple[Language, ...] = ()
    share: dict[Language, float] = field(default_factory=dict)


def test_meanings_are_the_comments() -> None:
    assert recipe_page.comments(Phase) == {"rate": "of learning, as 3e-4 # or so", "kinds": "over and under"}


def test_each_section_is_reached() -> None:
    assert [path for path, _ in recipe_page.sections(Recipe)] == ["", "phases.*", "best", "named.*", "first"]


def test_a_page_says_type_default_and_meaning() -> None:
    page = recipe_page.page(Recipe)
    for row in (
        "| `workspace` | text | required | where |",
        "| `best` | section or null | `null` | of them |",
        "| `named` | text to section | `{}` |  |",
        "| `first` | section | below |  |",
        "| `keep` | list of language | `[]` |  |",
        "| `share` | language to number | `{}` |  |",
        '| `kinds` | list of `a`, `b` | `["a", "b"]` | over and under |',
    ):
        assert row in page.splitlines(), row
    assert "### phases.*\n\nOne of several.\n" in page


def test_a_schema_refuses_unknown_keys_and_names() -> None:
    schema = recipe_page.schema(Recipe)
    whole, phase = schema["$defs"]["Recipe"], schema["$defs"]["Phase"]
    assert whole["additionalProperties"] is False and phase["additionalProperties"] is False
    assert whole["required"] == ["workspace"] and phase["properties"]["rate"]["description"].startswith("of learning")
    assert whole["properties"]["keep"]["items"] == {"$ref": "#/$defs/language"}
    assert whole["properties"]["share"]["propertyNames"] == {"$ref": "#/$defs/language"}
    assert schema["$defs"]["language"]["enum"] == list(languages())


@dataclass(frozen=True)
class Shape:
    """A base."""

    size: int  # elements
    name: str = ""  # of the base


@dataclass(frozen=True)
class Named(Shape):
    """A section with fields of its base.

    >>> Named(1).name
    'x'
    """

    name: str = (  # type: ignore[misc]
        "x"
    )  # of the section


def test_inherited_fields_have_their_meaning_and_examples_stay_in_the_code() -> None:
    assert recipe_page.comments(Named) == {"size": "elements", "name": "of the section"}
    assert ">>>" not in recipe_page.page(Named) and "| `size` | whole number | required | elements |" in recipe_page.page(Named)
