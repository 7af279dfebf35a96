"""The decisions of CommitPackFT's own filters, and ours, on the commits of a finished dataset, message by message.

    .venv/bin/python benchmarks/commits.py CHECKOUT WORKSPACE

CHECKOUT: a clone of https://github.com/bigcode-project/octopack (e17a8f6 ran last; its dataset/commitpackft is read). WORKSPACE: one that
`starmill run commits` finished, with `show.whole_rate: 1`. Their functions and lists are taken out of their files; the filters that stand
there in a line are said again here. What their code draws at random (nine of ten messages that set a version) both sides keep here, and the
lengths in tokens are left out: their tokenizer is not here.
"""

import argparse
import ast
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from starmill.alignment.commits import rules, run
from starmill.alignment.commits.recipe import CommitsRecipe

LISTS = ("GOOD_STARTS_EN", "BAD_SUB_MESSAGE", "BAD_MESSAGE")
FIRST = ("clean_issues_and_refs", "filter_empty_messages", "filter_messages")
SECOND = (
    "check_i",
    "check_thanks",
    "check_code_review",
    "rmv_specific",
    "check_issue",
    "check_cdpcp",
    "check_codereview",
    "check_wip",
)
SECOND += ("check_http", "check_leetcode", "check_words")


def taken(file: Path, names: tuple[str, ...]) -> dict[str, Any]:
    """Return functions, lists and patterns of a file, wherever in it they stand, without executing the rest."""
    found = []
    for node in ast.walk(ast.parse(file.read_text())):
        named = isinstance(node, ast.FunctionDef) and node.name in names
        targets = [one.id for one in node.targets if isinstance(one, ast.Name)] if isinstance(node, ast.Assign) else []
        if named or any(name in names or name.endswith("_regex") for name in targets):
            found.append(node)
    held: dict[str, Any] = {"re": re}
    exec(compile(ast.Module(found, []), str(file), "exec"), held)
    return held


def theirs(checkout: Path) -> Callable[[str, str, str, str], str]:
    """Return what says why a commit (message, path, before, after) is no row of theirs; nothing where it is one."""
    first = taken(checkout / "dataset/commitpackft/commitpackft_filters1.py", (*LISTS, *FIRST))
    first["GOOD_STARTS"] = {f"{word.strip()} " for word in first["GOOD_STARTS_EN"]}
    second = taken(checkout / "dataset/commitpackft/commitpackft_filters2.py", SECOND)

    def judge(message: str, path: str, before: str, after: str) -> str:
        row, name = {"subject": message}, path.split("/")[-1].split(".")
        if len(before) >= 50_000 or not after or before == after:
            return "texts"
        if "#" in message:
            return "hashtag"
        if len(name) > 1 and name[-2] in message:
            return "filename"
        if not first["filter_empty_messages"](row) or not first["filter_empty_messages"](first["clean_issues_and_refs"](row)):
            return "length"
        if not row["subject"].strip()[0].isupper():
            return "capital"
        if not first["filter_messages"](row):
            return "start or noise"
        if "cherry picked from commit" in row["subject"] or second["commit_regex"].search(row["subject"]):
            return "commit"
        row["subject"] = row["subject"].replace("[ci skip]", "").strip()
        return next((check for check in SECOND if not second[check](row)), "")

    return judge


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("checkout", type=Path)
    parser.add_argument("workspace")
    options = parser.parse_args()
    wanted = CommitsRecipe("-", options.workspace)
    how = replace(wanted.rules, added=True, version_rate=1.0, min_tokens=0, max_tokens=10**9)
    read, judge, table = run.Read(wanted), theirs(options.checkout), Counter[tuple[str, str]]()
    shown: dict[tuple[str, str], list[str]] = {}
    for part in read.manifest.parts:
        for row in read.rows(part.part):
            one, said = run.commit_of(row), next(s["name"] for s in row["segments"] if s["role"] == "message")
            ours = rules.judge(one, how, read.verbs, read.tokens, wanted.seed)
            at = (ours.reason if ours else "kept", judge(said, one.path, one.before, one.after) or "kept")
            table[at] += 1
            shown.setdefault(at, []).append(f"{said[:70]!r} ({one.path})")
    alike = sum(count for (ours, peer), count in table.items() if (ours == "kept") == (peer == "kept"))
    print(f"{alike:,} of {table.total():,} alike")
    for (ours, peer), count in sorted(table.items(), key=lambda item: -item[1]):
        mark = " " if (ours == "kept") == (peer == "kept") else "!"
        print(f"{mark} {count:6,}  ours {ours}, theirs {peer}")
        if mark == "!":
            print("".join(f"            {text}\n" for text in shown[ours, peer][:12]), end="")


if __name__ == "__main__":
    main()
