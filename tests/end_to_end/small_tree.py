"""A small tree of everything: git repositories bare and not, licences of each kind, twins, a leaked benchmark, broken things.

Its code is taken from the standard library, so it is real.
"""

import os
import random
import shutil
import subprocess
import sysconfig
from collections.abc import Callable, Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

from starmill.cli import __main__ as cli

STDLIB = Path(sysconfig.get_path("stdlib"))
DATES = ("2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z")
TASK = {
    "task_id": "Own/0",
    "prompt": 'def spread(values):\n    """Return the distance between the largest and the smallest of the given values."""\n',
    "canonical_solution": """    largest = max(values, default=0)
    smallest = min(values, default=0)
    return largest - smallest
""",
}


def git(folder: Path, *arguments: str, given: bytes = b"", dates: tuple[str, str] = DATES) -> str:
    """Run git on a repository, with nothing of the machine's configuration; `dates`: of author and committer."""
    who = {f"GIT_{r}_{w}": v for r in ("AUTHOR", "COMMITTER") for w, v in (("NAME", "a"), ("EMAIL", "a@b.c"))}
    dated = dict(zip(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), dates, strict=True))
    clean = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", **who, **dated}
    done = subprocess.run(["git", *arguments], cwd=folder, env=clean, input=given, capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode("utf-8", "surrogateescape")


def commit(folder: Path, files: Mapping[str, str | bytes], message: str = "all", run: Callable[..., str] = git) -> Path:
    """Make a repository with one commit, or one commit more."""
    if not (folder / ".git").exists():
        folder.mkdir(parents=True)
        run(folder, "init", "-q", "-b", "main")
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)
    run(folder, "add", "-A")
    run(folder, "commit", "-q", "--allow-empty", "-m", message)
    return folder


def license_text(name: str) -> str:
    """A licence's full text, from ScanCode's own collection."""
    import licensedcode

    text = (Path(licensedcode.__file__).parent / "data" / "licenses" / f"{name}.LICENSE").read_text()
    return text.split("\n---\n", 1)[1]  # after the front matter


def build_tree(root: Path) -> Path:
    """Write the whole tree below `root`."""
    code = {
        f"lib/{n}.py": (STDLIB / f"{n}.py").read_text() for n in ("bisect", "textwrap", "shlex", "queue", "calendar", "heapq")
    }
    alpha = {"LICENSE": license_text("mit"), **code, "empty.py": "", "web/app.min.js": "var a=1;" * 400}
    commit(root / "alpha", alpha)
    twin = code["lib/textwrap.py"].replace("# Written by", "# Copied from what was written by", 1)
    commit(
        root / "beta-work",
        {"src/wrap.py": twin, "src/bisect.py": code["lib/bisect.py"], "src/sched.py": (STDLIB / "sched.py").read_text()},
    )
    git(root, "clone", "-q", "--bare", "beta-work", "beta.git")
    shutil.rmtree(root / "beta-work")
    commit(root / "gamma", {"COPYING": license_text("gpl-3.0"), "main.py": (STDLIB / "gzip.py").read_text()})
    leaked = f'"""Statistics by hand."""\n\n\n{TASK["prompt"]}{TASK["canonical_solution"]}\n\nprint(spread([1, 2, 3]))\n'
    literal = '"""Sentinels as people type them."""\n\nFIM = "<fim_prefix><fim_suffix><fim_middle><file_sep><|endoftext|>"\nprint(FIM)\n'
    contact = 'MAINTAINER = "jane.roe' + '@somewhere-real.org"\nSERVER = "93.184.' + '216.34"\nprint(MAINTAINER, SERVER)\n'
    commit(root / "delta", {"stats.py": leaked, "sentinels.py": literal, "contact.py": contact})
    (root / "broken").mkdir()
    broken = root / "broken"
    (broken / "invalid.py").write_bytes(b"x = 1\n" + bytes(random.Random(6).randrange(1, 256) for _ in range(400)))
    (broken / "nul.py").write_bytes(b"a = 1\0\n")
    (broken / "long_line.js").write_bytes(b"x" * 50_000_000)
    (broken / "spaces.py").write_bytes(b" " * 1_000_000)
    (broken / "evil\nname.py").write_text("print(1)\n")
    (broken / "loop").symlink_to(".")
    os.mkfifo(broken / "pipe")
    truncated = commit(root / "truncated", {f"f{i}.py": f"value = {i}\n" * 200 for i in range(5)})
    git(truncated, "gc", "-q")
    pack = next((truncated / ".git/objects/pack").glob("*.pack"))
    data = pack.read_bytes()
    pack.chmod(0o644)
    pack.write_bytes(data[: len(data) // 2])
    return root


RECIPE = """
workspace: {workspace}
sources: {{input: {{kind: folders, roots: [{tree}]}}}}
ingest: {{part_bytes: 60000}}
release: {{benchmarks: [{benchmark}]}}
tokenizer: {{vocab_size: 512, sample_bytes: 200000}}
"""


def starmill(*arguments: str, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder; in this process, which has imported what the command needs."""
    with chdir(cwd), redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        status = cli.main(arguments)
    done = subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())
    assert not check or done.returncode == 0, f"{' '.join(arguments)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done


def say(*arguments: str) -> tuple[int, str]:
    """Run a command in this process; return its status and all that it printed."""
    with redirect_stdout(StringIO()) as printed, redirect_stderr(printed):
        status = cli.main(arguments)
    return status, printed.getvalue()
