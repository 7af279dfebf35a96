"""Say where a text is from, and what a release has of whom."""

import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from starmill.cli import options
from starmill.core.errors import InputError, Interrupted, NotThere, UsageError
from starmill.core.terminal import say

if TYPE_CHECKING:
    from types import ModuleType

    from starmill.transforms.attribution.attribute import Attribution
    from starmill.transforms.attribution.portrait import Overlap
    from starmill.transforms.attribution.search import Found

LARGEST = 16 << 20  # bytes of a text that is asked about
WIDTH = 100  # characters of a span that are shown
Asked = Annotated[str, typer.Argument(metavar="FILE", help="The text: a file, or - for the standard input.")]
Files = Annotated[int, typer.Option("--files", min=1, max=10**6, help="How many files of each to name.")]


def portrait(
    at: options.At,
    workers: options.Workers = None,
    quiet: options.Quiet = False,
    beam: options.Beam = None,
) -> None:
    """A Bloom filter of a release, for `attribute --portrait`."""
    with options.needs("pipelines"):
        from starmill.pipelines.stages import portrait as stage
    _make(stage, at, workers, quiet, beam)


def index(
    at: options.At,
    for_search: Annotated[bool, typer.Option("--search", help="Its trigrams instead, for `search`.")] = False,
    workers: options.Workers = None,
    quiet: options.Quiet = False,
    beam: options.Beam = None,
) -> None:
    """The fingerprints of a release, for `attribute`; or its trigrams, for `search`."""
    with options.needs("pipelines"):
        from starmill.pipelines.stages import index as fingerprints
        from starmill.pipelines.stages import trigrams
    _make(trigrams if for_search else fingerprints, at, workers, quiet, beam)


def search(
    at: options.At,
    wanted: Annotated[str, typer.Argument(metavar="PATTERN", help="The text to find, in files of the release.")],
    regex: Annotated[bool, typer.Option("--regex", help="PATTERN is a regular expression, in RE2's syntax.")] = False,
    ignore_case: Annotated[bool, typer.Option("--ignore-case", help="Capitals and small letters are the same.")] = False,
    language: Annotated[
        list[str] | None, typer.Option(help="Only files in this language, such as Python; several times: any.")
    ] = None,
    licence: Annotated[
        list[str] | None, typer.Option(help="Only files with this licence, such as MIT or permissive; several times: any.")
    ] = None,
    most_files: Files = 10,
    matches: Annotated[int, typer.Option(min=1, max=1000, help="How many matches of a file to show.")] = 3,
    context: Annotated[int, typer.Option(min=0, max=100, help="Lines before and after a match.")] = 2,
    read_megabytes: Annotated[int, typer.Option("--megabytes", min=1, max=10**9, help="Of text to read at most.")] = 1000,
    as_json: options.Json = False,
    raw: options.Raw = False,
) -> None:
    """Which files of a release hold a text, or match a regular expression: with the lines around it."""
    place = options.place_of(at, "", None)
    with options.needs("pipelines"):
        from starmill.transforms.attribution import search as report
    filters = (tuple(language or ()), tuple(licence or ()))
    asked = report.Asked(wanted, regex, ignore_case, *filters, most_files, matches, context, read_megabytes * 10**6)
    with options.files():
        found = report.Searcher(place)(asked)
    found = report.shown(found, options.labels(raw).shown)
    options.show(as_json, asdict(found), _found_lines(found))


def attribute(
    asked: Asked,
    at: options.At,
    by_portrait: Annotated[
        bool, typer.Option("--portrait", help="Only say which spans are in the release, by its portrait.")
    ] = False,
    most_files: Files = 10,
    candidates: Annotated[int, typer.Option(min=1, max=10**6, help="How many files to compare at most.")] = 4000,
    as_json: options.Json = False,
    raw: options.Raw = False,
) -> None:
    """Which files of a release hold a text, or parts of it: repository, path, licence, SWHID."""
    place, text = options.place_of(at, "", None), _text(asked)
    with options.needs("pipelines"):
        from starmill.transforms.attribution import attribute as report
        from starmill.transforms.attribution.portrait import Portrait
    with options.files():
        if by_portrait:
            spans = Portrait(place).overlaps(text)
            options.show(as_json, [asdict(span) for span in spans], _overlap_lines(text, spans))
            return
        found = report.shown(report.Attributor(place)(text, most_files, candidates), options.labels(raw).shown)
    options.show(as_json, asdict(found), _lines(text, found))


def near(
    asked: Asked,
    at: options.At,
    most_files: Files = 10,
    least: Annotated[float, typer.Option(min=0.0, max=1.0, help="The least similarity, as signatures estimate it.")] = 0.5,
    as_json: options.Json = False,
    raw: options.Raw = False,
) -> None:
    """Which kept files are near duplicates of a text, by the signatures of dedup."""
    place, text = options.place_of(at, "", None), _text(asked)
    with options.needs("pipelines"):
        from starmill.transforms.attribution import near as report
    shown = options.labels(raw).shown
    with options.files():
        found = [
            replace(o, repo_name=shown(o.repo_name), path=shown(o.path)) for o in report.near(place, text, most_files, least)
        ]
    exact = ("not in the release" if o.jaccard is None else f"{o.jaccard:.3f}" for o in found)
    lines = [
        f"{told}  (estimate {o.estimate:.3f})  {o.repo_name} {o.path}  {o.swhid}" for o, told in zip(found, exact, strict=True)
    ]
    options.show(as_json, [asdict(one) for one in found], lines or [f"no kept file is as similar as {least}"])


def owner(
    name: Annotated[str, typer.Argument(metavar="OWNER", help="Whose repositories: what stands before the / in their names.")],
    at: options.At,
    opt_out: Annotated[
        bool, typer.Option("--opt-out", help="Print a request to be left out, in the form of a list of opt-outs.")
    ] = False,
    as_json: options.Json = False,
    raw: options.Raw = False,
) -> None:
    """What a release has of an owner: repositories, files, bytes, licences."""
    from starmill.reports import owner as report

    place = options.place_of(at, "", None)
    with options.files():
        found = report.repositories(place, name)
        release = place.manifest(report.RELEASE)
    if opt_out and release is not None:
        say(*report.request(name, found, release.digest).split("\n"))
        return
    shown = options.labels(raw).shown
    found = [replace(one, name=shown(one.name), licenses=shown(one.licenses)) for one in found]
    options.show(as_json, [asdict(one) for one in found], report.lines(shown(name), found))


def _make(stage: "ModuleType", at: str, workers: int | None, quiet: bool, beam: list[str] | None) -> None:
    from starmill.pipelines.run import attribution, interrupt

    place = options.place_of(at, "", None)
    if place.is_local and not Path(place.root).is_dir():
        raise NotThere(f"{place.root}: no such folder; give the one that `starmill run` filled")
    runner = options.runner(beam, workers, place.root)
    if not runner.sees_this_machine and place.is_local:
        raise UsageError(f"{place.root}: the runner's workers do not see the folders of this machine; give a URL")
    started = time.monotonic()
    try:
        with options.files(), interrupt.at_work(place, runner.is_local):
            made = attribution.make(place, stage, runner, quiet)
    except KeyboardInterrupt:
        raise Interrupted("stopped; finished parts are kept: run the same command to continue") from None
    if made is not None:
        size = sum(o.bytes for p in made.parts for o in p.outputs)
        say(f"done in {time.monotonic() - started:.0f} s: {size / 1e6:,.1f} MB in {place.path(made.dataset)}")


def _text(file: str) -> str:
    with options.files():
        if file == "-":
            data = sys.stdin.buffer.read(LARGEST + 1)
        else:
            with open(file, "rb") as opened:
                data = opened.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise InputError(f"{file}: more than {LARGEST >> 20} MiB; give the part of it to look for")
    return data.decode("utf-8", "replace")


def _excerpt(text: str, start: int, end: int) -> str:
    line, shown = text.count("\n", 0, start) + 1, " ".join(text[start:end].split())
    return f"line {line}, {end - start:,} characters: {shown[:WIDTH]}{'…' if len(shown) > WIDTH else ''}"


def _overlap_lines(text: str, spans: "list[Overlap]") -> list[str]:
    return [
        *(f"{_excerpt(text, s.start, s.end)}\n  {s.grams:,} grams in a row" for s in spans),
        f"{sum(s.end - s.start for s in spans):,} of {len(text):,} characters are in the release"
        if spans
        else "nothing of it is in the release, as far as 50 characters in a row say",
    ]


def _found_lines(found: "Found") -> list[str]:
    lines = []
    for file in found.files:
        licences = ", ".join(file.licenses) or file.license_type or "no licence found"
        lines.append(f"{file.repo_name} {file.path}  {file.language or 'no language'}  ({licences})  {file.swhid}")
        for match in file.matches:
            for sign, some in ((" ", match.before), (":", (match.line,)), (" ", match.after)):
                lines += [f"  {one.number:>6}{sign} {one.text}{'…' if one.cut else ''}" for one in some]
        if file.count > len(file.matches):
            lines.append(f"  {file.count:,} matches in all")
    left = "" if found.whole else f", {found.candidates - found.read:,} more may have some; raise --files or --megabytes"
    return [*lines, f"{len(found.files):,} files of {found.read:,} that were read{left}"]


def _lines(text: str, found: "Attribution") -> list[str]:
    lines = []
    for span in found.spans:
        lines.append(_excerpt(text, span.start, span.end))
        how = "exact" if span.similarity == 1 else f"edited, {span.similarity:.1%} alike"
        more = f"; a part of it in {span.common:,} files, of which some were compared" if span.common else ""
        lines.append(f"  {how}; in {span.count:,} {'file' if span.count == 1 else 'files'}{more}")
        for f in span.files:
            licences = ", ".join(f.licenses) or f.license_type or "no licence found"
            lines.append(f"  {f.repo_name} {f.path}:{f.first_line}-{f.last_line} ({licences}) {f.swhid}")
    if not lines:
        lines.append("no file of the release holds 50 characters of it in a row, as far as fingerprints say")
    if found.unread:
        lines.append(f"{found.unread:,} files share a fingerprint and were not compared; raise --candidates")
    if found.cut:
        lines.append(f"{found.cut:,} files share 65,536 stretches with it, and were not compared behind these; give less of it")
    return lines
