"""Are there known vulnerabilities in the versions of constraints.txt? pip-audit asks PyPI, then OSV for what PyPI did not tell.

    .venv/bin/python .ci/audit.py [FILE]

pip-audit runs in an environment of its own, so that what it needs is not ours to pin. Exit status 1: an advisory that .ci/advisories.txt
does not name, or one there that is a year old. What could not be asked, for want of a network, is told in a box and fails nothing.
"""

import datetime
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

# So that tomorrow's run asks as today's does; what it is answered is of the day.
PIP_AUDIT = "pip-audit==2.10.1"
HERE = Path(__file__).resolve().parent
UV = str(Path(sys.executable).parent / "uv")
LINE = re.compile(r"([\w-]+) (\d{4}-\d\d-\d\d) (\S.+)")


def ignored(text: str, today: datetime.date) -> set[str]:
    """Return the advisories that were looked at within a year. Raises SystemExit for a line that is none, or is older."""
    found = set()
    for line in (line for line in text.splitlines() if line and not line.startswith("#")):
        matched = LINE.fullmatch(line)
        if matched is None:
            raise SystemExit(f".ci/advisories.txt: {line!r}: write: ID YYYY-MM-DD package: reason")
        if today - datetime.date.fromisoformat(matched[2]) > datetime.timedelta(days=365):
            raise SystemExit(
                f".ci/advisories.txt: {line!r} was looked at more than a year ago: look again, and write today's date"
            )
        found.add(matched[1])
    return found


def ask(python: str, requirements: str, service: str) -> tuple[list[dict[str, Any]], str]:
    """Return what pip-audit says of each package, and in one line why it says nothing."""
    command = [
        python,
        "-m",
        "pip_audit",
        "-r",
        requirements,
        "--no-deps",
        "--disable-pip",
        "-f",
        "json",
        "-s",
        service,
        "--timeout",
        "10",
    ]
    done = subprocess.run([*command, "--progress-spinner", "off"], capture_output=True, text=True)
    try:
        return json.loads(done.stdout)["dependencies"], ""
    except ValueError:
        return [], (done.stderr.strip().splitlines() or ["it said nothing"])[-1]


def judge(answers: list[dict[str, Any]], known: set[str]) -> tuple[list[str], set[str]]:
    """Return a line for each advisory that is not known, and the packages that were asked for with an answer."""
    told = {a["name"] for a in answers if "skip_reason" not in a}
    new = [(a, v) for a in answers for v in a.get("vulns", ()) if not known & {v["id"], *v["aliases"]}]
    return [
        f"{a['name']} {a['version']}: {v['id']}, mended in {', '.join(v['fix_versions']) or 'no version yet'}" for a, v in new
    ], told


def box(*lines: str) -> None:
    """Print lines that nobody overlooks."""
    print("", "*" * 80, *lines, "*" * 80, sep="\n", file=sys.stderr)


def main(requirements: str) -> int:
    """Ask, print, and return the exit status."""
    known = ignored((HERE / "advisories.txt").read_text(), datetime.date.today())
    wanted = set(re.findall(r"^([\w.-]+)==", Path(requirements).read_text(), re.MULTILINE))
    with tempfile.TemporaryDirectory() as folder:
        python = f"{folder}/venv/bin/python"
        subprocess.run([UV, "venv", "-q", "--python", sys.executable, f"{folder}/venv"], check=True)
        made = subprocess.run([UV, "pip", "install", "-q", "--python", python, PIP_AUDIT], capture_output=True, text=True)
        if made.returncode:
            box(f"NOT AUDITED: {len(wanted)} dependencies. {PIP_AUDIT} could not be installed:", made.stderr.strip()[-300:])
            return 0
        found, told, why = [], set(), []
        for service in ("pypi", "osv"):
            answers, trouble = ask(python, requirements, service)
            lines, names = judge(answers, known)
            found, told, why = (
                found + lines,
                told | names,
                [*why, f"{service}: {trouble or f'{len(names)} of {len(wanted)} answered'}"],
            )
            if len(told) >= len(wanted):
                break
    print(f"{len(told)} of {len(wanted)} dependencies audited, {len(found)} advisories that are not in .ci/advisories.txt")
    print(*sorted({*found}), sep="\n", end="\n" if found else "")
    if len(told) < len(wanted):
        box(f"NOT AUDITED: {len(wanted) - len(told)} of {len(wanted)} dependencies: the advisories were not reached.", *why)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*(sys.argv[1:] or ["constraints.txt"])))
