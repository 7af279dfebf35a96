"""Each language but Python: its examples pass their own tests, and of eight answers each has the fate that it should, stage by stage."""

import json
from collections import Counter
from pathlib import Path

import pytest
import spoken
import toolchains
from scripted import recipe, serving
from spoken import FATES, SPOKEN, Spoken, responses

from starmill.alignment import languages, run
from starmill.alignment.languages import LANGUAGES, PYTHON
from starmill.alignment.prompts import Prompts
from starmill.alignment.read import Reason, Response, response
from starmill.alignment.recipe import Asked, Respond, Select, Verify
from starmill.alignment.trim import trimmed
from starmill.alignment.verify import job, verified
from starmill.core.errors import UsageError
from starmill.evaluation.run.endpoint import Endpoint
from starmill.evaluation.sandbox import programs
from starmill.evaluation.sandbox.judge import Judge

OTHERS = [name for name in LANGUAGES if name != PYTHON]
FAST = {"JavaScript", "Java", "C++"}  # in which whole runs are tried


def has(language: str) -> str:
    """Return the language. Skips the test where this machine cannot judge it."""
    toolchains.namespaces()
    if found := languages.absent([language]):
        pytest.skip(f"NOT RUN: {found[0]}")
    return language


@pytest.fixture(params=OTHERS)
def language(request: pytest.FixtureRequest) -> str:
    return has(str(request.param))


def test_every_language_has_its_examples_and_its_fates() -> None:
    assert {*SPOKEN} == {*OTHERS}
    prompts = Prompts(languages=tuple(LANGUAGES))
    for name in OTHERS:
        assert {row["language"] for row in prompts.of_languages[name]} == {name}
        assert {row["answer"] for row in prompts.of_languages[name]} == {"Yes", "No"}
        told = prompts.prompt("respond", 1, 0, "a", {"instruction": "Write it."}, name)
        assert f"in {name}." in told and LANGUAGES[name].tests in told and f"```{LANGUAGES[name].fence}" in told
        judged = prompts.prompt("judge", 4, 0, "a", {"code": "x"}, name)
        assert judged.count("```python\n") == 2 and judged.count(f"```{LANGUAGES[name].fence}\n") == 3


def test_the_examples_that_ship_pass_and_mean_the_same_without_comments(language: str) -> None:
    row = LANGUAGES[language]
    assert row.syntax is not None
    for shot in Prompts(languages=(language,)).of_languages[language]:
        found = response(shot["response"], language)
        assert isinstance(found, Response), found
        assert programs.verdict(job(found, Verify())).passed


def test_what_becomes_of_each_response(language: str) -> None:
    kept = []
    for text, fate in zip(responses(language), FATES, strict=True):
        found = response(text, language)
        if isinstance(found, Reason):
            assert found.reason == fate
        else:
            kept.append((found, fate))
    assert len(kept) == 5
    # Scripts have no compiler: what is no program fails as what is wrong.
    wanted = [
        "passed" if fate == "passed" else "failed_wrong" if (fate, language) == ("failed_syntax", "JavaScript") else fate
        for _, fate in kept
    ]
    with Judge() as judge:
        reasons = [*verified(judge, [found for found, _ in kept], Verify(runs=1))]
    assert [why.reason if why else "passed" for why in reasons] == wanted


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_learned_of_a_response(name: str) -> None:
    found = response(responses(name)[0], name)
    assert isinstance(found, Response)
    asked, told = trimmed("Write it.", found, "a", 0, Select(keep_explanation=0, keep_reasoning=0, add_assertions=1))
    fence = LANGUAGES[name].fence
    assert "//" not in told and "twice" in told.lower() and told.startswith(f"```{fence}\n") and told.count("```") == 2
    shown = asked.removeprefix("Write it.").split("\n")
    assert name == "Go" or (shown[3] == f"```{fence}" and "assert" in shown[4] and len(shown) == 6), shown


def test_counts_at_every_stage(tmp_path: Path) -> None:
    """With a right, a second right, a wrong one, an exit, no program, no assertion, one that asks nothing, and another language."""
    names = tuple(name for name in OTHERS if name in FAST and has(name))
    folder, each = spoken.write_seeds(tmp_path / "seeds", names), len(names)
    script = Spoken.of_languages(folder, names)
    with serving(script) as url, Judge() as judge:
        wanted = recipe(
            tmp_path / "w", folder, url, languages=names, judge=Asked(4, 0.0, max_new_tokens=5), respond=Respond(2, samples=8),
            verify=Verify(runs=1), select=Select(same_names=False, near=None),
        )  # fmt: skip
        done = run.run(wanted, Endpoint(url, "scripted", 3), lambda: judge, lambda text: None, "")
    lost = {"another_language": each, "no_tests": each, "tests_not_invoked": each}
    assert {step.stage: (step.into, step.kept, step.dropped) for step in done.funnel} == {
        "judge": (each + 1, each, {"not_verified_here": 1}),
        "concepts": (each, each, {}),
        "instruct": (each, each, {}),
        "respond": (8 * each, 5 * each, lost),
        "verify": (5 * each, 2 * each, {"failed_wrong": each + 1, "failed_ended": each, "failed_syntax": each - 1}),
        "select": (2 * each, each, {"another_response": each}),
    }
    rows = [json.loads(line) for line in (tmp_path / "w/instructions/part-00000.jsonl").read_text().splitlines()]
    assert [row["language"] for row in rows] == [*names]
    assert all(f"```{LANGUAGES[row['language']].fence}" in row["response"] for row in rows)
    pairs = (tmp_path / "w/preferences/part-00000.jsonl").read_text().splitlines()
    manifest = done.workspace.manifest("responses")
    assert len(pairs) == each and manifest is not None
    counts: Counter[str] = Counter()
    for count in (count for part in manifest.parts for count in part.counts):
        counts[count.language] += count.files
    assert counts == dict.fromkeys(names, 8)
    assert f"- languages: {', '.join(names)}" in (tmp_path / "w/instructions/README.md").read_text()


def test_a_language_without_a_toolchain_is_refused_before_anything_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toolchains.namespaces()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    programs.forget()
    try:
        folder = spoken.write_seeds(tmp_path / "seeds", ("Go",))
        wanted = recipe(tmp_path / "w", folder, "http://127.0.0.1:9/v1", languages=(PYTHON, "Go"))
        with pytest.raises(UsageError, match=r"languages: Go: .*`make languages LANGUAGES=go`; or leave out of `languages`"):
            run.run(wanted, Endpoint("http://127.0.0.1:9/v1", "scripted", 1), Judge, lambda text: None, "")
        assert not (tmp_path / "w").exists()
    finally:
        monkeypatch.undo()
        programs.forget()
