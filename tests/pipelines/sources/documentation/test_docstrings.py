"""Docstrings beside those that inspect finds in the imported modules, and what is no module."""

import fractions
import inspect
import json.decoder
import textwrap
from pathlib import Path
from types import ModuleType

import pytest

from starmill.pipelines.sources.documentation.docstrings import markdown

TOY = '''"""Areas.

    More of it."""

def area(width: int = 2, /, *rest, **more) -> int:
    """
    Width
        by height.
    """
    def inner(): "no"

def _own(): "no"
async def later(): "Soon."
def silent(): pass

class Shape(object):
    "A shape."
    class Side:
        "A side."
    def __init__(self, n): "Make."
    def __len__(self): "no"
    @property
    def size(self): f"no {1}"
'''


def test_public_names_in_their_order() -> None:
    made = markdown("toy/__init__.py", TOY)
    assert made.split("\n\n") == [
        "# toy",
        "Areas.",
        "More of it.",
        "## area(width: int=2, /, *rest, **more)",
        "Width\n    by height.",
        "## later()",
        "Soon.",
        "## class Shape",
        "A shape.",
        "## class Shape.Side",
        "A side.",
        "## Shape.__init__(self, n)",
        "Make.\n",
    ]
    assert markdown("toy.py", "x = 1\n") == "" == markdown("toy.py", "")


@pytest.mark.parametrize("module", [json.decoder, textwrap, fractions], ids=lambda module: module.__name__)
def test_docstrings_are_those_that_inspect_finds(module: ModuleType) -> None:
    made, compared = markdown("m.py", Path(str(module.__file__)).read_text()), 1
    assert (inspect.getdoc(module) or "").strip() in made
    for owner in (module, *(value for value in vars(module).values() if inspect.isclass(value))):
        if getattr(owner, "__module__", module.__name__) != module.__name__:
            continue
        for name, value in vars(owner).items():
            own = inspect.getdoc(value) if inspect.isfunction(value) and value.__doc__ and value.__name__ == name else None
            if own and not name.startswith("_") and value.__module__ == module.__name__:
                assert own.strip() in made, name
                compared += 1
    assert compared > 2


@pytest.mark.parametrize(
    "text", ["def (", "print 1\n", "(" * 5_000, "x = " + "-" * 30_000 + "1\n", "x\0", "for i in x: " * 5_000]
)
def test_what_does_not_compile_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(SyntaxError|a statement of more|ValueError|MemoryError|RecursionError)"):
        markdown("m.py", text)
