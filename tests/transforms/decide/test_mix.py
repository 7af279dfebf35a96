"""What a mixture takes: by kind, language, name and cap, as plain Python reckons it; a share of a language, not of what comes first."""

import math
from collections import Counter
from typing import Any

import pyarrow as pa
import pytest

from starmill.core import recipe, schema, seeds
from starmill.core.dataset import Count
from starmill.transforms.decide.mix import NUMBERS, SMOL, SMOL_FILES, Level, Mix, Take, Weights
from starmill.transforms.step import chain

KINDS = ("code", "issue", "notebook")
LANGUAGES = ("Java", "C", "JSON", "Ada", None)


def rows(count: int = 4000) -> list[dict[str, Any]]:
    """Records of several kinds and languages, whose sizes are long-tailed."""
    made = []
    for i in range(count):
        name = "package.json" if i % 7 == 0 else f"f{i}.x"
        size = int(20 / (1.001 - seeds.uniform(0, "test_size", i)) ** 0.7)
        kind = KINDS[0] if i % 10 else KINDS[1 + i % 2]
        language = LANGUAGES[i % 5] if kind != "issue" else None
        facts = {"kind": kind, "repo_name": f"r{i // 8}", "path": f"/d/{name}", "language": language, "length_bytes": size}
        made.append(dict.fromkeys(schema.DATASET.names) | facts)
    return made


ROWS = rows()
BLOCK = pa.RecordBatch.from_pylist(ROWS, schema=schema.DATASET)


def counts(some: list[dict[str, Any]] = ROWS) -> list[Count]:
    files, size = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for row in some:
        key = row["kind"], row["language"] or ""
        files[key] += 1
        size[key] += row["length_bytes"]
    return [Count("", "", language, n, size[kind, language], kind) for (kind, language), n in files.items()]


def taken(mix: Mix) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    kept, dropped = chain(BLOCK, (mix.of(counts()),), "tokenize")
    return kept.to_pylist(), [row for block in dropped for row in block.to_pylist()]


def test_without_a_word_all_is_taken() -> None:
    assert taken(Mix()) == (ROWS, []) and Mix().of(counts()).is_everything and Mix().of(counts()).material(counts()) == []
    assert taken(Mix(caps={"Java": 10**12})) == (ROWS, []), "a cap that is not reached caps nothing"


def test_kinds_and_languages_as_plain_python_takes_them() -> None:
    kept, dropped = taken(Mix(kinds=("code", "notebook"), languages=("C", "Ada")))
    assert kept == [
        row for row in ROWS if row["kind"] == "notebook" or (row["kind"] == "code" and row["language"] in ("C", "Ada"))
    ]
    assert len(kept) + len(dropped) == len(ROWS) and {d["reason"] for d in dropped} == {"not_in_mix"}
    assert {d["detail"] for d in dropped} == {"issue", "Java", "JSON", None} and {d["step"] for d in dropped} == {"mix"}


def test_the_smol_set_has_files_of_other_languages_by_name() -> None:
    kept, _ = taken(Mix(languages="smol"))
    by_name = [row for row in ROWS if row["kind"] == "code" and row["path"] == "/d/package.json"]
    assert [r for r in kept if r["language"] in ("JSON", "Ada", None) and r["kind"] == "code"] == [
        row for row in by_name if row["language"] not in ("Java", "C")
    ]
    assert [r for r in kept if r["language"] == "C"] == [row for row in ROWS if row["language"] == "C"]
    take = Mix(languages="smol").of([])
    named = {"/requirements-dev.txt": True, "/a/requirements.in": True, "/requirements.md": False, "/x/Cargo.toml/y": False}
    for path, is_taken in named.items():
        row = dict.fromkeys(schema.DATASET.names) | {"kind": "code", "repo_name": "r", "path": path, "length_bytes": 1}
        assert take(pa.RecordBatch.from_pylist([row], schema=schema.DATASET)).kept.num_rows == is_taken, path
    assert len({*SMOL}) == len(SMOL) == 34 and len({*SMOL_FILES}) == len(SMOL_FILES)


def is_java(row: dict[str, Any]) -> bool:
    return (row["kind"], row["language"]) == ("code", "Java")


@pytest.mark.parametrize("unit", ["file", "repository"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_cap_takes_its_share(unit: Any, share: float) -> None:
    mine = [row for row in ROWS if is_java(row)]
    total = sum(row["length_bytes"] for row in mine)
    kept, dropped = taken(Mix(caps={"Java": round(share * total)}, unit=unit))
    java = [row for row in kept if is_java(row)]
    others = [row for row in ROWS if not is_java(row)]
    assert [row for row in kept if not is_java(row)] == others, "no other row is touched"
    assert {(d["reason"], d["language"], d["kind"]) for d in dropped} == {("above_cap", "Java", "code")}
    assert len(java) + len(dropped) == len(mine)
    assert dropped[0]["detail"] == f"{round(share * total) / total:.4%} of Java are taken"
    # Binomial over what is taken or left as a whole: five standard deviations, which chance leaves once in two million.
    units = Counter((row["repo_name"], row["path"] if unit == "file" else "") for row in mine)
    took = {(row["repo_name"], row["path"] if unit == "file" else "") for row in java}
    assert abs(len(took) - share * len(units)) < 5 * math.sqrt(len(units) * share * (1 - share))
    assert sum(n for name, n in units.items() if name in took) == len(java), "all of a unit, or nothing"
    sizes = Counter[tuple[str, str]]()
    for row in mine:
        sizes[row["repo_name"], row["path"] if unit == "file" else ""] += row["length_bytes"]
    deviation = math.sqrt(share * (1 - share) * sum(size**2 for size in sizes.values()))
    assert abs(sum(row["length_bytes"] for row in java) - share * total) < 5 * deviation


def test_a_higher_cap_takes_more_and_another_seed_others() -> None:
    total = sum(c.bytes for c in counts() if (c.kind, c.language) == ("code", "Java"))
    few, more = ([r["path"] + r["repo_name"] for r in taken(Mix(caps={"Java": total // n}))[0]] for n in (4, 2))
    assert {*few} < {*more}
    other = [r["path"] + r["repo_name"] for r in taken(Mix(caps={"Java": total // 4}, seed=1))[0]]
    assert not {*few} <= {*other} and not {*other} <= {*few}


def test_what_is_taken_of_a_row_depends_on_no_other() -> None:
    take = Mix(languages="smol", caps={"C": 5000, "Java": 9000}).of(counts())
    alone = [take(BLOCK.slice(k, 1)).kept.num_rows for k in range(300)]
    whole = take(BLOCK.slice(0, 300)).kept.to_pylist()
    assert [row for row, kept in zip(ROWS, alone, strict=False) if kept] == whole


def test_what_decides_over_a_part_is_of_its_own_kinds_and_languages() -> None:
    take = Mix(kinds=("code",), languages="smol", caps={"Java": 9000, "JSON": 100}).of(counts())
    share = {name: take.shares[name] for name in ("Java", "JSON")}
    assert take.material([Count("", "", "C", 1, 1, "code")]) == []
    assert take.material([Count("", "", "", 1, 1, "issue"), Count("", "", "C", 1, 1, "code")]) == [["issue", "", 0.0]]
    java = take.material([Count("", "", "Java", 1, 1, "code"), Count("s", "gone", "JSON", 1, 1, "code")])
    assert java == [["code", "Java", share["Java"]], ["file", 0]]
    assert take.material([Count("", "", "JSON", 1, 1, "code")]) == [["code", "JSON", "by name", share["JSON"]], ["file", 0]]


def test_weights() -> None:
    assert "star_events_count" in NUMBERS and "avg_line_length" in NUMBERS and "path" not in NUMBERS
    weights = Weights("avg_line_length", (Level(0.5, 1.5), Level(3, 0.0)), otherwise=2.0)
    block = pa.record_batch({"avg_line_length": pa.array([None, 0.4, 0.5, 2.9, 3.0, 1e9, float("nan")], pa.float32())})
    assert weights.of(block).tolist() == [2.0, 2.0, 1.5, 1.5, 0.0, 0.0, 2.0]
    assert Weights("github_id", (), 3.0).of(pa.record_batch({"github_id": pa.array([1, None], pa.int64())})).tolist() == [
        3.0,
        3.0,
    ]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"weights": {"column": "stars", "levels": []}}, "'stars' is no column of numbers; give one of .*star_events_count"),
        (
            {"weights": {"column": "github_id", "levels": [{"at_least": 2, "weight": 1}, {"at_least": 1, "weight": 2}]}},
            "must rise",
        ),
        ({"languages": "smoll"}, "did you mean 'smol'"),
        ({"languages": ["python"]}, "did you mean 'Python'"),
        ({"caps": {"java": 1}}, "did you mean 'Java'"),
        ({"caps": {"Java": 0}}, "above 0 and at most"),
    ],
)
def test_a_wrong_mixture_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(recipe.RecipeError, match=message):
        recipe.build(Mix, values)


def test_numbers_of_a_recipe() -> None:
    assert recipe.build(Mix, {"caps": {"Java": 2e11}, "languages": ["C"]}) == Mix(languages=("C",), caps={"Java": 2e11})
    assert Take().is_everything
