"""Rosetta Code as a repository of its pages has it: a folder a task, in it what is asked (00-TASK.txt), and a folder a language.

The folders are those below `Task/` of RosettaCodeData. A task's name is that of its page, which 00-META.yaml states.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from urllib.parse import unquote

from starmill.core.errors import NotThere
from starmill.pipelines.sources.tables import plan as tables_plan
from starmill.pipelines.sources.tables.columns import Bad, Row
from starmill.pipelines.sources.tables.lines import DAMAGE, damaged
from starmill.pipelines.sources.tables.plan import Found

ASKED, PAGE = "00-TASK.txt", "00-META.yaml"
WIKI = re.compile(rb"^from:\s*\S+/wiki/(\S+)", re.MULTILINE)


def is_task(file: str) -> bool:
    """Say whether a file stands for a task.

    >>> is_task("100-doors/00-TASK.txt"), is_task("100-doors/C/00-TASK.txt"), is_task("00-TASK.txt")
    (True, False, False)
    """
    folder, slash, name = file.rpartition("/")
    return bool(slash) and "/" not in folder and name == ASKED


def grouped(files: Mapping[str, Found]) -> dict[str, Found]:
    """Return files with one for each task, which has the state and the bytes of all below its folder."""
    tasks = {file.partition("/")[0] for file in files if is_task(file)}
    made, below = dict[str, Found](), defaultdict[str, list[tuple[str, Found]]](list)
    for file, found in sorted(files.items()):
        task, slash, _ = file.partition("/")
        if slash and task in tasks:
            below[task].append((file, found))
        else:
            made[file] = found
    return made | {f"{task}/{ASKED}": _whole(inside) for task, inside in below.items()}


def _whole(files: list[tuple[str, Found]]) -> Found:
    return Found(repr([(file, found.state, found.reason) for file, found in files]), sum(found.size for _, found in files))


def state(place: Mapping[str, str]) -> str:
    """Return what changes with a file of a task, as it is now; nothing where the task has gone."""
    folder = place["file"].rpartition("/")[0]
    try:
        files = tables_plan.listing(f"{place['root']}/{folder}")[1]
    except FileNotFoundError:
        return ""
    return _whole(sorted((f"{folder}/{file}", found) for file, found in files.items())).state


def rows(place: Mapping[str, str], most: int) -> Iterator[Row | Bad]:
    """Yield a row for each solution of a task, in the order of their paths, with the columns of the table of Rosetta Code."""
    folder = place["file"].rpartition("/")[0]
    try:
        files = sorted(tables_plan.listing(f"{place['root']}/{folder}")[1].items())
    except FileNotFoundError as error:
        yield Bad(None, "missing_file", damaged(error))
        return
    own = {file: _read(place, folder, file, found, most) for file, found in files if file in (ASKED, PAGE)}
    asked, page = own.get(ASKED, Bad(None, "missing_file", ASKED)), own.get(PAGE)
    if isinstance(asked, Bad):
        yield asked
        return
    wiki = WIKI.search(page) if isinstance(page, bytes) else None
    title = unquote(wiki[1].decode("utf-8", "replace")).replace("_", " ") if wiki else folder.replace("-", " ")
    solved = [(file, found) for file, found in files if file not in own]
    for number, (file, found) in enumerate(solved, start=1):
        language, slash, _ = file.partition("/")
        code = _read(place, folder, file, found, most) if slash else Bad(None, "not_of_the_set", file)
        if isinstance(code, Bad):
            yield code._replace(number=number)
        else:
            values = {"language_name": language.replace("-", " "), "code": code}
            yield Row(number, {"task_name": title, "task_description": asked, **values}, ({},))
    if not solved:
        yield Bad(None, "no_solution", folder)


def _read(place: Mapping[str, str], folder: str, file: str, found: Found, most: int) -> bytes | Bad:
    if found.reason or found.size >= most:
        return Bad(None, found.reason or "too_large", file, found.size)
    try:
        with tables_plan.opened({"root": place["root"], "file": f"{folder}/{file}"}) as opened:
            return bytes(opened.read(most))
    except (FileNotFoundError, NotThere) as error:
        return Bad(None, "missing_file", damaged(error))
    except DAMAGE as error:
        return Bad(None, "unreadable_file", damaged(error))
