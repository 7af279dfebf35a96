"""Recipes: strict keys and types, overrides as strict as the file, every message names the key and the fix."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from starmill.core import recipe
from starmill.core.errors import UsageError
from starmill.core.names import Language


@dataclass(frozen=True)
class MinHash:
    threshold: float = 0.7
    bands: int = 32

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ValueError(f"threshold={self.threshold}: must be in (0, 1]")


@dataclass(frozen=True)
class Recipe:
    workspace: str
    kind: Literal["git", "folders"] = "git"
    roots: tuple[str, ...] = ()
    minhash: MinHash = field(default_factory=MinHash)
    limit: int | None = None
    weights: dict[Language, float] = field(default_factory=dict)
    phases: tuple[MinHash, ...] = ()
    place: str | tuple[str, ...] | MinHash | None = None
    split: dict[str, tuple[Language, ...]] = field(default_factory=dict)


def test_reads_nested_values(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_text("workspace: w\nroots: [a, b]\nminhash: {threshold: 8e-1}\nweights: {Python: 2}\nlimit: null\n")
    loaded = recipe.load(Recipe, str(file), ["minhash.bands=16", "kind=folders"])
    assert loaded == Recipe("w", "folders", ("a", "b"), MinHash(0.8, 16), None, {"Python": 2.0})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"workspce": "w"}, "unknown key 'workspce'; did you mean 'workspace'"),
        ({"workspace": "w", "minhash": {"treshold": 1}}, "did you mean 'threshold'"),
        ({"workspace": 3}, "workspace: expected str, got 3"),
        ({"workspace": "w", "minhash": {"bands": True}}, "bands: expected int, got True"),
        ({"workspace": "w", "minhash": {"bands": 2.5}}, "bands: expected int, got 2.5"),
        ({"workspace": "w", "minhash": 5}, "minhash: expected a section"),
        ({"workspace": "w", "minhash": {"threshold": 7}}, r"^recipe: minhash\.threshold=7.0: must be in"),
        ({"workspace": "w", "minhash": {"bands": "x" * 9999}}, r"bands: expected int, got 'x{199}$"),
        ({"workspace": "w", "phases": [{}, {"bands": "x"}]}, r"^recipe: phases\[1\]\.bands: expected int, got 'x'$"),
        ({"workspace": "w", "phases": [{}, {"band": 1}]}, r"phases\[1\]: unknown key 'band'; did you mean 'bands'\?"),
        ({"workspace": "w", "phases": [{"threshold": 2}]}, r"phases\[0\]\.threshold=2\.0: must be"),
        ({"workspace": "w", "phases": {}}, "phases: expected a list, got {}"),
        ({"workspace": "w", "limit": "x"}, "limit: expected int or null, got 'x'"),
        ({"workspace": "w", "place": 3}, "place: expected str or .*, got 3"),
        ({"workspace": "w", "place": ["a", 3]}, r"place\[1\]: expected str, got 3"),
        ({"workspace": "w", "place": {"bonds": 3}}, "place: unknown key 'bonds'; did you mean 'bands'"),
        ({"workspace": "w", "weights": {"python": 1}}, r"weights\.python: 'python' is no language; did you mean 'Python'\?"),
        ({"workspace": "w", "weights": {False: 1}}, r"weights\.False: expected str, got False"),
        ({"workspace": "w", "weights": {"Go": "x"}}, r"weights\.Go: expected float, got 'x'"),
        ({"workspace": "w", "split": {"a": ["C", "Jva"]}}, r"split\.a\[1\]: 'Jva' is no language; did you mean 'Java'\?"),
        ({"workspace": "w", "kind": "folder"}, "not one of git, folders; did you mean 'folders'"),
        ({"workspace": "w", "kind": "svn"}, "'svn' is not one of git, folders"),
        ({"workspace": "w", "roots": "a"}, "roots: expected a list"),
        ({"workspace": "w", "roots": [1]}, r"roots\[0\]: expected str"),
        ({}, "^recipe: workspace: give a value"),
    ],
)
def test_refuses_and_says_why(values: dict, message: str) -> None:
    with pytest.raises(recipe.RecipeError, match=message):
        recipe.build(Recipe, values)


def test_a_refusal_is_a_usage_error() -> None:
    assert issubclass(recipe.RecipeError, UsageError) and issubclass(recipe.RecipeError, ValueError)


def test_members_of_unions_are_each_taken() -> None:
    for given, taken in (("a", "a"), (["a", "b"], ("a", "b")), ({"bands": 2}, MinHash(bands=2)), (None, None)):
        assert recipe.build(Recipe, {"workspace": "w", "place": given}).place == taken
    assert recipe.build(Recipe, {"workspace": "w", "phases": [{}, {"bands": 2}]}).phases == (MinHash(), MinHash(bands=2))


def test_overrides_reach_entries_of_lists_and_copy() -> None:
    values = {"workspace": "w", "phases": [{"bands": 1}, {"bands": 2}], "minhash": None}
    made = recipe.build(Recipe, recipe.override(values, ["phases.1.bands=3", "minhash.threshold=5e-1"]))
    assert [p.bands for p in made.phases] == [1, 3] and made.minhash.threshold == 0.5
    assert values["phases"] == [{"bands": 1}, {"bands": 2}]


def test_bad_overrides_and_files(tmp_path: Path) -> None:
    with pytest.raises(recipe.RecipeError, match="write it as key=value"):
        recipe.override({}, ["minhash.threshold"])
    with pytest.raises(recipe.RecipeError, match="is a value, not a section"):
        recipe.override({"workspace": "w"}, ["workspace.x=1"])
    with pytest.raises(recipe.RecipeError, match=r"--set seed=%a: not readable as YAML: .*; quote the value"):
        recipe.override({}, ["seed=%a"])
    with pytest.raises(recipe.RecipeError, match=r"'2' is no entry of a list of 2"):
        recipe.override({"a": [1, 2]}, ["a.2=3"])
    with pytest.raises(recipe.RecipeError, match=r"no such recipe.*smoke"):
        recipe.read(str(tmp_path / "absent.yaml"))
    (tmp_path / "list.yaml").write_text("- a\n")
    with pytest.raises(recipe.RecipeError, match="a list"):
        recipe.read(str(tmp_path / "list.yaml"))


@pytest.mark.parametrize("place", ["workspace", "roots", "minhash", "kind", "unknown"])
def test_a_url_with_credentials_is_refused_before_anything_quotes_it(place: str, tmp_path: Path) -> None:
    url = "s3://AKIAKEY:se/cret@bucket/work"
    (tmp_path / "r.yaml").write_text(f"workspace: {url}\n  : nothing of YAML")
    for build in (
        lambda: recipe.build(Recipe, {"workspace": "w", place: [url] if place == "roots" else url}),
        lambda: recipe.override({}, [f"{place}={url}: x"]),
        lambda: recipe.read(url),
        lambda: recipe.read(str(tmp_path / "r.yaml")),
    ):
        with pytest.raises(recipe.RecipeError, match="in the environment") as refusal:
            build()
        assert "cret" not in str(refusal.value) and "AKIAKEY" not in str(refusal.value)


def test_digest_follows_values_only() -> None:
    assert recipe.digest(MinHash(), "x") == recipe.digest(MinHash(0.7, 32), "x")
    assert recipe.digest(MinHash(), "x") != recipe.digest(MinHash(0.8), "x")
    assert recipe.digest("ab", "c") != recipe.digest("a", "bc")


def test_the_text_of_a_tree_stays_as_it_was() -> None:
    """Keys of parts are digests of it: another text would make all data anew."""
    options = recipe.build(
        Recipe, {"workspace": "w", "roots": ["b", "ä"], "minhash": {"threshold": 1}, "weights": {"Go": 2, "C": 1}}
    )
    text = (
        '{"kind":"git","limit":null,"minhash":{"bands":32,"threshold":1.0},"phases":[],"place":null,"roots":["b","ä"],"split":{},'
        '"weights":{"C":1.0,"Go":2.0},"workspace":"w"}'
    )
    assert recipe.canonical(options) == text
    assert recipe.digest(options) == hashlib.sha256(text.encode() + b"\0").hexdigest()
    assert recipe.digest(options, "x", 3)[:16] == "01bfea161174946c"
