"""What manifests declare about licences: package.json, Cargo.toml, pyproject.toml, METADATA, pom.xml and their like.

A manifest is read as data and never run: where its format is a program (gemspec, mix.exs), a pattern reads the one line. Each reader
returns what stands there; `expression` makes an SPDX expression of a statement that is one already, and leaves any other to ScanCode.
A manifest that does not parse declares nothing.
"""

import functools
import json
import re
import tomllib
from collections.abc import Callable, Iterable
from typing import Any

UNLICENSED = "LicenseRef-starmill-unlicensed"  # npm: no licence is granted to anybody
MOST_BYTES = 1_000_000  # of a manifest
MOST_CHARS = 2_000  # of a statement; a longer one is a text, which stands in its own file
SEE_A_FILE = re.compile(r"\s*(?:see\b|file:|licen[cs]e(?:\.\w+)?\s*$)", re.IGNORECASE)
HEADER = re.compile(r"^(License-Expression|License|Classifier):[ \t]*(.*(?:\n[ \t].*)*)", re.MULTILINE)
SECTION = re.compile(r"^\[metadata\][ \t]*\n((?:(?!\[).*\n?)*)", re.MULTILINE)
OPTION = re.compile(r"^(license|classifiers)[ \t]*=[ \t]*(.*(?:\n[ \t]+.*)*)", re.MULTILINE)
POM_NAME = re.compile(r"<license>\s*<name>([^<]*)</name>")
FIELD = re.compile(
    r"^[ \t]*(?:[A-Za-z_]\w*\.)?licen[cs]es?[ \t]*[:=][ \t]*(\[[^\]\n]*\]|[^\n#]*)", re.MULTILINE | re.IGNORECASE
)
QUOTED = re.compile(r"""["']([^"']*)["']""")


def declared(path: str, text: str) -> list[str]:
    """Return the statements of a manifest, in its order; none for a file that is no manifest or does not parse.

    >>> declared("/package.json", '{"license": "MIT OR GPL-2.0-only"}'), declared("/main.py", "license = 'MIT'")
    (['MIT OR GPL-2.0-only'], [])
    """
    read = reader(path)
    if read is None or len(text) > MOST_BYTES:
        return []
    try:
        found = read(text)
    except (ValueError, LookupError, RecursionError, AttributeError, TypeError):  # no manifest of its format, whatever its name
        return []
    said = [statement.strip() for statement in found if isinstance(statement, str)]
    return [s for s in dict.fromkeys(said) if s and len(s) <= MOST_CHARS and not SEE_A_FILE.match(s)]


@functools.lru_cache(maxsize=1 << 10)
def expression(statement: str) -> str | None:
    """Return a statement as an SPDX expression of known identifiers, or None if it is none.

    >>> expression("mit or Apache-2.0"), expression("MIT/Apache-2.0"), expression("The MIT License"), expression("UNLICENSED")
    ('MIT OR Apache-2.0', 'MIT OR Apache-2.0', None, 'LicenseRef-starmill-unlicensed')
    """
    if statement.upper() == "UNLICENSED":
        return UNLICENSED
    from license_expression import ExpressionError

    try:
        # Cargo's old way of writing a choice.
        parsed = spdx().parse(statement.replace("/", " OR "), validate=True)
    except (ExpressionError, ValueError, RecursionError):
        return None
    return None if parsed is None else str(parsed.render("{symbol.key}"))


@functools.cache  # its table takes 20 ms to make, and a dump may have a million statements
def spdx() -> Any:
    """Return what parses expressions of SPDX's identifiers."""
    from license_expression import get_spdx_licensing

    return get_spdx_licensing()


def reader(path: str) -> Callable[[str], Iterable[Any]] | None:
    """Return what reads the manifest at `path`, or None where it is none."""
    name = path.rsplit("/", 1)[-1]
    return BY_NAME.get(name) or next((read for end, read in BY_END if name.endswith(end)), None)


def _package_json(text: str) -> Iterable[Any]:
    found = json.loads(text)
    one = found.get("license")
    if isinstance(one, dict):  # the old form of npm
        one = one.get("type")
    if one is not None:
        return _choice(one if isinstance(one, list) else [one])
    return _choice([some["type"] for some in found.get("licenses") or []])


def _cargo(text: str) -> Iterable[Any]:
    return [tomllib.loads(text).get("package", {}).get("license")]


def _pyproject(text: str) -> Iterable[Any]:
    found = tomllib.loads(text)
    project = found.get("project", {})
    said = project.get("license") or found.get("tool", {}).get("poetry", {}).get("license")
    said = said.get("text") if isinstance(said, dict) else said
    return [said] if said else _classifiers(project.get("classifiers") or [])


def _setup_cfg(text: str) -> Iterable[Any]:
    section = SECTION.search(text)
    options = dict(OPTION.findall(section.group(1))) if section else {}
    return [options["license"]] if options.get("license") else _classifiers(options.get("classifiers", "").split("\n"))


def _metadata(text: str) -> Iterable[Any]:
    headers = HEADER.findall(text.partition("\n\n")[0])
    said = {name: value for name, value in headers if name != "Classifier"}
    # A text of a licence in `License` is a copy of what lies beside it.
    one = said.get("License-Expression") or said.get("License", "")
    if one and one.upper() != "UNKNOWN" and "\n" not in one:
        return [one]
    return _classifiers(value for name, value in headers if name == "Classifier")


def _classifiers(values: Iterable[str]) -> list[str]:
    return [value.strip() for value in values if value.strip().startswith("License ::") and value.count("::") > 1]


def _pom(text: str) -> Iterable[Any]:
    start = text.find("<licenses>")
    end = text.find("</licenses>", start)
    return _choice(POM_NAME.findall(text, start, end)) if 0 <= start < end else []


def _field(text: str) -> Iterable[Any]:
    found = FIELD.search(text)
    if found is None:
        return []
    value = found.group(1).strip()
    return _choice(QUOTED.findall(value) or [value])


def _r_package(text: str) -> Iterable[Any]:
    found = FIELD.search(text)
    # `MIT + file LICENSE` names what fills the template in.
    return _choice(re.sub(r"\+\s*file\s+\S+", "", found.group(1)).split("|")) if found else []


def _choice(statements: Iterable[str]) -> list[str]:
    """Return several licences of one field as the choice that they are, if each is an identifier."""
    several = [s.strip() for s in statements if isinstance(s, str)]
    if len(several) > 1 and all(expression(s) for s in several):
        return [" OR ".join(f"({s})" if " " in s else s for s in several)]
    return several


BY_NAME: dict[str, Callable[[str], Iterable[Any]]] = {
    "package.json": _package_json,
    "composer.json": _package_json,
    "Cargo.toml": _cargo,
    "pyproject.toml": _pyproject,
    "setup.cfg": _setup_cfg,
    "METADATA": _metadata,
    "PKG-INFO": _metadata,
    "pom.xml": _pom,
    "mix.exs": _field,
    "DESCRIPTION": _r_package,
}
BY_END: tuple[tuple[str, Callable[[str], Iterable[Any]]], ...] = (
    (".gemspec", _field),
    (".podspec", _field),
    (".cabal", _field),
    (".opam", _field),
)
