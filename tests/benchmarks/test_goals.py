"""The table of goals: each expression finds its figure in a line as its benchmark prints it, and what is missing is said."""

import re
from pathlib import Path

import goals
import pytest

ROWS = goals.goals(Path("runs/smoke"))
# Lines as the benchmarks printed them; where results/ has the benchmark's table, that is read too.
PRINTED = """
44,699 files of 524 MB with 516 texts to ask about: 29 CPU s, 18.2 MB/s; once those texts are known 5.1 CPU s, 103 MB/s
1,910 files, 12.0 MB: Text 168 MB/s, RE2 and numpy 63 MB/s, DetectLanguage 43 MB/s
406 files, 2.0 MB: data-prep-kit 3.2 MB/s
56 files, 1.2 MB: dolma 0.7 MB/s
| starmill 0.1.0 | 11.9 | 1.0 | signatures 1.8, stage 7.5 | 26.0 | 10.0 | 520 |
| rensa's deduplicator 0.5.0 | 20.3 | 1.7 | signatures and look-ups 19.0 | 26.0 | 10.0 | 520 |
| data-prep-kit fdedup 1.1.8 | 39.0 | 3.3 |  | 64.7 | 3.1 | 788 |
"""


@pytest.mark.parametrize("goal", ROWS, ids=[goal.work for goal in ROWS])
def test_each_figure_is_found_where_its_benchmark_prints_it(goal: goals.Goal) -> None:
    kept = goals.HERE / "results" / f"{Path(goal.command[0]).stem}.md"
    said = f"{PRINTED}{kept.read_text()}"
    assert (goals.HERE / goal.command[0]).is_file()
    for expression in (goal.ours, *(where for _, where in goal.peers)):
        assert (goals.figure(expression, said) or 0) > 0, expression


def test_a_row_says_what_is_met_and_what_did_not_run() -> None:
    near = next(goal for goal in ROWS if "near-dedup" in goal.work)
    assert goals.line(near, PRINTED).endswith("| 1.7 x | 2.5 x | missed: 0.68 of it | data-prep-kit 3.3 |")
    only = "\n".join(line for line in PRINTED.splitlines() if "data-prep-kit fdedup" not in line)
    assert goals.line(near._replace(goal=1.5), only).endswith("| met | data-prep-kit: did not run |")
    assert "did not run: no such tool" in goals.line(near, "| a table |\nno such tool")
    start = goals.Goal("start", "s", 0.5, (), goals.NUMBER, less=True)
    assert "| missed: 0.25 of it |" in goals.line(start, "2.0") and "| met |" in goals.line(start, "0.4")
    assert all(re.compile(goal.ours) for goal in ROWS)
