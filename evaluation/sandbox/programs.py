"""Judges programs of other languages than Python: compiled and run in a sandbox of namespaces, by what they say at the end of their tests.

A program passes that ends with status 0 and says, on a line of its own, a number that was drawn for this run: an exit in the middle does
not pass. The tests stand in the program, as they do in the benchmarks, so that a solution written to cheat can find the number.
"""

import functools
import secrets
from dataclasses import replace

from starmill.core.errors import UsageError
from starmill.core.names import did_you_mean
from starmill.core.sandbox import Ran
from starmill.evaluation.sandbox import languages
from starmill.evaluation.sandbox.job import Job, Verdict
from starmill.evaluation.sandbox.languages import LANGUAGES, NONCE

LINE = 300  # characters
WRITTEN = 64 << 20  # bytes, of a run


def verdict(job: Job) -> Verdict:
    """Compile and run one job. Raises UsageError for a language that is unknown or absent, NotIsolated, MachineError."""
    if reason := absent(job.language):
        raise UsageError(reason)
    return _verdict(job)


@functools.cache
def absent(name: str) -> str:
    """Return why programs of a language cannot be judged on this machine, and the fix; nothing where they can."""
    if name not in LANGUAGES:
        return f"language {name}: unknown{did_you_mean(name, LANGUAGES)}; give one of {', '.join(LANGUAGES)}"
    language = LANGUAGES[name]
    for command in filter(None, (language.compiles[:1], language.runs[:1])):
        if languages.program(name, command[0]) is None:
            return f"language {name}: this machine has no {command[0]}; install {language.install}"
    made = _verdict(Job(language.smallest, "", 60, language=name))
    return "" if made.passed else f"language {name}: {made.said or made.reason}; install {language.install} again"


def forget() -> None:
    """Look for toolchains anew: one was installed."""
    absent.cache_clear()
    languages.sandbox.cache_clear()


def _verdict(job: Job) -> Verdict:
    language, nonce = LANGUAGES[job.language], secrets.token_hex(16)
    # Where the tests say how they end, a solution may not name the place of what they say.
    solution = job.solution.replace(NONCE, "") if NONCE in job.tests else job.solution
    text = f"{solution}\n{job.tests}".replace(NONCE, nonce)
    box = languages.sandbox(job.language)
    compiles, runs = (_command(job.language, words) for words in (language.compiles, language.runs))
    files = {language.file: text.encode("utf-8", "surrogatepass")}
    cpu = int(job.cpu_seconds + 0.999)
    bounds = replace(box.bounds, cpu_seconds=cpu, seconds=10 * job.cpu_seconds + 1, written_bytes=WRITTEN)
    if compiles:
        # One sandbox for both: what is compiled lies in its folder, and nobody reads a program that was written by a stranger out of it.
        script = f"{_quoted(compiles)} 1>&2 || exit 97; ulimit -t {cpu}; exec {_quoted(runs)}"
        ran = replace(box, bounds=replace(box.bounds, seconds=bounds.seconds + box.bounds.seconds / 4)).run(
            ["/bin/bash", "-c", script], files
        )
    else:
        ran = replace(box, bounds=bounds).run(runs, files)
    return _judged(ran, nonce, bool(compiles))


def _command(name: str, words: tuple[str, ...]) -> list[str]:
    return [languages.program(name, words[0]) or words[0], *words[1:]] if words else []


def _quoted(words: list[str]) -> str:
    return " ".join(f"'{word}'" for word in words)  # words of LANGUAGES and of this machine's folders alone


def _judged(ran: Ran, nonce: str, compiled: bool) -> Verdict:
    errors, output = (data.decode("utf-8", "replace") for data in (ran.errors, ran.output))
    said = next(
        (line.strip()[:LINE] for line in errors.splitlines() if "rror" in line or "xception" in line), errors.strip()[:LINE]
    )
    shown = output.replace(nonce, "").strip()[:4096]
    if ran.stopped:
        reason = {"cpu_seconds": "cpu", "seconds": "wall", "output_bytes": "output"}[ran.stopped]
        return Verdict(False, reason, output=shown)  # type: ignore[arg-type]
    if compiled and ran.status == 97:
        return Verdict(False, "syntax", said, output=shown)
    if ran.status == 0 and nonce in output.split():
        return Verdict(True, output=shown)
    if ran.status in (137, 152, -9, -24) and compiled:
        return Verdict(False, "cpu", said, output=shown)
    return Verdict(False, "ended" if ran.status == 0 else "wrong", said.replace(nonce, ""), output=shown)
