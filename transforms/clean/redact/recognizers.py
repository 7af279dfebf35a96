"""Recognizers of presidio-analyzer, of one's own, as detectors: those that an installed package declares, chosen by their names.

A package declares one in the entry-point group `starmill.recognizers`; what the entry point names is called without arguments, and returns
a presidio `EntityRecognizer`:

    [project.entry-points."starmill.recognizers"]
    badges = "my_package.recognizers:BadgeRecognizer"

and a recipe asks for it by its name: `release.redact.recognizers: [badges]`. A recipe cannot name code that nobody installed. A recognizer
is given the text and no artifacts of a language model; it reads each text in Python, one by one, so it is slow.
"""

import functools
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from starmill.core.errors import UsageError
from starmill.core.schema import SCORE_DIGITS
from starmill.transforms.clean.redact import scan

GROUP = "starmill.recognizers"
# What presidio calls the kinds that have a placeholder here; any other entity gives `<ITS_NAME>`, as ordinary text.
KINDS = {"EMAIL_ADDRESS": "EMAIL", "PERSON": "NAME"}


def detectors(name: str) -> list[scan.Detector]:
    """Return what an installed recognizer finds, a detector for each of its entities. Raises UsageError for a name that none has."""
    recognizer = _loaded(name)
    return [
        scan.Detector(KINDS.get(entity, entity), functools.partial(_find, recognizer, entity), tuple)
        for entity in sorted(recognizer.supported_entities)
    ]


def version(name: str) -> str:
    """Return what decides the answers of a recognizer: its code's name, and its package's name and version."""
    found = _entry_point(name)
    return f"{found.value} {found.dist.name} {found.dist.version}" if found.dist else found.value


def _find(recognizer: Any, entity: str, text: str) -> Iterator[tuple[int, int, float]]:
    for result in recognizer.analyze(text, [entity], None) or ():
        if result.entity_type == entity and 0 <= result.start < result.end <= len(text):
            yield result.start, result.end, round(float(result.score), SCORE_DIGITS)


def _entry_point(name: str) -> EntryPoint:
    installed = {found.name: found for found in entry_points(group=GROUP)}
    if name not in installed:
        names = ", ".join(sorted(installed)) or "none"
        raise UsageError(
            f"release.redact.recognizers: {name!r:.100}: no installed package declares it in {GROUP} (there: {names}); "
            "install it on all workers"
        )
    return installed[name]


@functools.cache
def _loaded(name: str) -> Any:
    return _entry_point(name).load()()
