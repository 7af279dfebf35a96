"""Writes linguist's tables for the classifier: `python -m starmill.transforms.measure.enry.tables LINGUIST_FOLDER`.

LINGUIST_FOLDER is a checkout of github.com/github-linguist/linguist (MIT licence) at the pinned release.
linguist.json beside this file holds its names, aliases, extensions, filenames, interpreters, generic extensions and heuristics, and which
paths are vendored, documentation or generated; a pattern with a look-around is rewritten or left out.
core/data/languages.txt holds the names alone, which recipes are checked against.
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

import starmill.core

RELEASE, DATE = "9.6.0", "2026-08-20"
TABLE = Path(__file__).with_name("linguist.json")
NAMES = Path(str(starmill.core.__file__)).parent / "data" / "languages.txt"
REWRITTEN = {  # look-around: the same language without
    r"(?<!\{)\{": r"(?:^|[^{])\{",
    r"(?!-)[-0-9A-Za-z]+(?<!-)": "[0-9A-Za-z](?:[-0-9A-Za-z]*[0-9A-Za-z])?",
}
NAMED = re.compile(r"name\.match\(/((?:\\.|[^/\\])+)/(i?)\)")  # what a name alone makes generated, in generated.rb

OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
BLOCKER = r"(?:[Aa]d[Bb]lock(?:[ \t][Pp]lus)?|u[Bb]lock(?:[ \t][Oo]rigin)?|[Aa]d[Gg]uard)(?:[ \t]\d+(?:\.\d+)*)?"
WRITTEN = {  # anew: linguist's pattern has recursion or possessive groups
    "Hosts File": rf"(?i)^{OCTET}(?:\.{OCTET}){{3}}\b(?:/(?:3[0-2]|[12]?\d)\b)?(?:[ \t]+\w(?:[-\w]*\w)?(?:\.\w(?:[-\w]*\w)?)*)*(?:$|\s)",
    "Adblock Filter List": rf"\A\[{BLOCKER}(?:[ \t]?;[ \t]?{BLOCKER})*\]",
}

# Ours, after linguist's own rules of an extension: what its classifier would guess at. Go's assembler; Perl's generated tables; Fortran.
ADDED = {
    ".s": ("Assembly", r"^TEXT\s+\S+\(SB\)"),
    ".pl": ("Perl", r"^%\w[\w:]*\s*=\s*\(|^[^%\n]*(?:<<['\"]?\w+['\"]?[;,]|\w\s*=>\s)"),
    ".f": ("Fortran", r"(?i)^\s+(?:\w[\w*() ]* )?(?:subroutine|program|function|module)\s+\w+"),
}


def convert(pattern: str | list[str]) -> str | None:
    """Return Ruby's pattern (or union of patterns) as RE2's, or None where RE2 has no such."""
    parts = [pattern] if isinstance(pattern, str) else pattern
    for ruby, plain in REWRITTEN.items():
        parts = [part.replace(ruby, plain) for part in parts]
    joined = "(?m)" + "|".join(f"(?:{part})" for part in parts)
    import re2  # type: ignore[import-untyped]  # the engine that Go's is like; who writes the tables has it

    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(joined, options)
    except re2.error:
        return None
    return None if "(?x)" in joined else joined


def conditions(rule: dict[str, Any], named: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what must hold for a rule, each as {"not": bool, "pattern": RE2 or None}."""
    found = []
    for part in rule.get("and", [rule]):
        key = next((k for k in ("pattern", "negative_pattern", "named_pattern") if k in part), None)
        if key:
            ruby = named[part[key]] if key == "named_pattern" else part[key]
            found.append({"not": key == "negative_pattern", "pattern": convert(ruby)})
    return found


def table(folder: Path) -> dict[str, Any]:
    """Return the tables of a checkout. Raises ValueError if it is of another release."""
    source = folder / "lib/linguist"
    if (version := (source / "VERSION").read_text().strip()) != RELEASE:
        raise ValueError(f"{folder}: linguist {version}; the pinned release is {RELEASE}")
    languages = yaml.safe_load((source / "languages.yml").read_text("utf-8"))
    rules = yaml.safe_load((source / "heuristics.yml").read_text("utf-8"))
    by: dict[str, dict[str, list[str]]] = {"extensions": {}, "filenames": {}, "interpreters": {}}
    aliases = {}
    for name, language in sorted(languages.items()):
        for alias in (name, *language.get("aliases", ())):
            aliases[re.sub(" ", "_", alias.split(",")[0]).lower()] = name
        for kind, into in by.items():
            for value in language.get(kind, ()):
                into.setdefault(value.lower() if kind == "extensions" else value, []).append(name)
    heuristics, left_out = {}, []
    for block in rules["disambiguations"]:
        kept = []
        for rule in block["rules"]:
            needs = conditions(rule, rules["named_patterns"])
            if (anew := WRITTEN.get(str(rule["language"]))) and needs[0]["pattern"] is None:
                needs = [{"not": False, "pattern": convert(anew)}]
            if any(need["pattern"] is None for need in needs):
                left_out.append(f"{block['extensions'][0]}: {rule['language']}")
                continue
            named = rule["language"] if isinstance(rule["language"], list) else [rule["language"]]
            kept.append({"languages": named, "needs": needs})
        heuristics.update({extension.lower(): kept for extension in block["extensions"]})
    for extension, (name, pattern) in ADDED.items():
        heuristics[extension].append({"languages": [name], "needs": [{"not": False, "pattern": convert(pattern)}]})
    lists = {name: yaml.safe_load((source / f"{name}.yml").read_text("utf-8")) for name in ("vendor", "documentation")}
    in_ruby = [line for line in (source / "generated.rb").read_text("utf-8").splitlines() if "return" not in line]
    lists["generated"] = [f"(?i:{p})" if fold else p for line in in_ruby for p, fold in NAMED.findall(line)]
    paths = {name: [convert(pattern) for pattern in patterns] for name, patterns in lists.items()}
    if any(None in patterns for patterns in paths.values()) or len(lists["generated"]) < 30:
        raise ValueError(
            f"{folder}: a pattern of vendor.yml, documentation.yml or generated.rb has no linear-time form, or was not found"
        )
    return {
        "origin": f"github.com/github-linguist/linguist {RELEASE} ({DATE}), MIT licence, Copyright (c) 2017 GitHub, Inc.",
        "left_out": left_out,
        "names": sorted(languages),
        "aliases": aliases,
        **by,
        **paths,
        "generic": yaml.safe_load((source / "generic.yml").read_text())["extensions"],
        "heuristics": heuristics,
    }


def main() -> int:
    """Write the table."""
    parser = argparse.ArgumentParser(description="Write linguist's tables for the classifier.")
    parser.add_argument("folder", type=Path, metavar="LINGUIST_FOLDER")
    made = table(parser.parse_args().folder)
    TABLE.write_text(json.dumps(made, ensure_ascii=False, sort_keys=True, indent=0) + "\n", "utf-8")
    NAMES.write_text("".join(f"{name}\n" for name in made["names"]), "utf-8")
    print(f"wrote {TABLE} and {NAMES}; patterns without a linear-time form, left out: {made['left_out']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
