"""What programs of some languages need and no package of Debian brings, built once outside the sandbox: `make languages LANGUAGES='go ts'`.

Each registry's own client gets it, in the version that stands here: for Go compiled packages of the standard library and testify, for
Rust the crates of HumanEvalPack, TypeScript's compiler, and Java's tuples. It lies below `folder()`, and programs see it read-only.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from starmill.core.errors import MachineError, StarmillError, UsageError, one_line
from starmill.core.names import did_you_mean
from starmill.core.terminal import say
from starmill.evaluation.sandbox import programs
from starmill.evaluation.sandbox.languages import LANGUAGES, folder

TESTIFY = "github.com/stretchr/testify v1.11.1"
# Of Go's standard library what an answer may import; what these need comes with them.
GO = (
    "bufio bytes cmp container/heap container/list container/ring context crypto/md5 crypto/sha256 encoding/hex encoding/json errors "
    "fmt io maps math math/big math/bits math/cmplx math/rand os reflect regexp slices sort strconv strings sync testing text/tabwriter "
    "time unicode unicode/utf8"
).split()
CRATES = """[package]
name = "none"
version = "0.1.0"
edition = "2021"

[dependencies]
rand = "=0.4.6"
regex = "=1.11.1"
md5 = "=0.7.0"
"""
TYPESCRIPT = "typescript@5.9.3"
TUPLES = "org.javatuples:javatuples:1.2"


def _call(words: Sequence[str], where: Path) -> str:
    if shutil.which(words[0]) is None:
        raise MachineError(f"this machine has no {words[0]}; install it, then run the same command again")
    done = subprocess.run(words, cwd=where, capture_output=True, text=True, timeout=3600)
    if done.returncode:
        said = one_line(ValueError((done.stderr or done.stdout).strip()[-400:]))
        raise MachineError(f"`{' '.join(words)[:100]}` failed: {said}; mend that, then run the same command again")
    return done.stdout


def go(made: Path) -> None:
    """Compile packages, list them for the compiler and the linker, and write a command that calls both."""
    work = made / "work"
    work.mkdir()
    (work / "go.mod").write_text(f"module none\n\ngo 1.21\n\nrequire {TESTIFY}\n")
    imports = "".join(f'import _ "{name}"\n' for name in (*GO, "github.com/stretchr/testify/assert"))
    (work / "none.go").write_text(f"package none\n\n{imports}")
    _call(["go", "mod", "tidy"], work)
    listed = _call(["go", "list", "-export", "-deps", "-f", "{{if .Export}}{{.ImportPath}}={{.Export}}{{end}}", "."], work)
    (made / "packages").mkdir()
    config = []
    for number, line in enumerate(listed.split()):
        name, _, place = line.partition("=")
        if name != "none":
            shutil.copyfile(place, made / f"packages/{number}.a")
            config.append(f"packagefile {name}=/opt/prepared/go/packages/{number}.a\n")
    (made / "imports").write_text("".join(config))
    tools = Path(_call(["go", "env", "GOTOOLDIR"], work).strip())
    (made / "bin").mkdir()
    for tool in ("compile", "link"):
        shutil.copy(tools / tool, made / f"bin/go-{tool}")
    at = "/opt/prepared/go"
    script = f"""#!/bin/sh
set -e
{at}/bin/go-compile -p main -importcfg {at}/imports -o main.o "$1"
{at}/bin/go-link -importcfg {at}/imports -buildmode exe -s -w -o main main.o
"""
    (made / "bin/go-program").write_text(script)
    (made / "bin/go-program").chmod(0o755)
    shutil.rmtree(work)


def rust(made: Path) -> None:
    """Compile the crates, with those that they need, by the compiler that will use them."""
    (made / "src").mkdir()
    (made / "src/lib.rs").touch()
    (made / "Cargo.toml").write_text(CRATES)
    _call(["cargo", "build", "--quiet"], made)
    (made / "lib").mkdir()
    for place in sorted((made / "target/debug/deps").glob("*.rlib")):
        name = place.name.partition("-")[0]
        shutil.copyfile(place, made / "lib" / (f"{name}.rlib" if name in ("librand", "libregex", "libmd5") else place.name))
    shutil.rmtree(made / "target")


def ts(made: Path) -> None:
    """Install TypeScript's compiler."""
    _call(["npm", "install", "--silent", "--no-save", "--ignore-scripts", "--prefix", str(made), TYPESCRIPT], made)


def java_problem(made: Path) -> None:
    """Get the library of tuples that MultiPL-E's programs import."""
    plugin = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:get"
    _call(["mvn", "-B", "-q", plugin, f"-Dartifact={TUPLES}", f"-Dmaven.repo.local={made / 'maven'}"], made)
    (jar,) = (made / "maven").rglob("javatuples-1.2.jar")
    shutil.copyfile(jar, made / "javatuples.jar")
    shutil.rmtree(made / "maven")


PREPARED: dict[str, Callable[[Path], None]] = {"go": go, "rust": rust, "ts": ts, "java_problem": java_problem}


def prepare(name: str) -> None:
    """Install what a language needs. Raises UsageError for an unknown one, MachineError saying what cannot be had."""
    if name not in LANGUAGES:
        raise UsageError(f"LANGUAGES={name!r:.60}: unknown{did_you_mean(name, LANGUAGES)}; give some of {' '.join(LANGUAGES)}")
    language = LANGUAGES[name]
    if language.debian:
        words = ["apt-get", "install", "-y", "--no-upgrade", "--no-install-recommends", *language.debian.split()]
        if os.geteuid() != 0:
            raise MachineError(f"language {name}: root has to run `{' '.join(words)}`")
        _call(words, Path("/"))
    if name in PREPARED:
        place = folder() / name
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as made:
            inside = Path(made) / name
            inside.mkdir()
            PREPARED[name](inside)
            for each in (inside, *inside.rglob("*")):  # the sandbox's user is another
                each.chmod(0o755 if each.is_dir() or os.access(each, os.X_OK) else 0o644)
            if place.exists():
                shutil.rmtree(place)
            inside.rename(place)


def main(names: Sequence[str]) -> int:
    """Install what each language needs, and say which can be judged here then."""
    worst = 0
    for name in [*LANGUAGES] if list(names) == ["all"] else names:
        try:
            if programs.absent(name):
                prepare(name)
                programs.forget()
            said = programs.absent(name)
        except StarmillError as error:
            said = str(error)
        say(said or f"language {name}: its programs can be judged here")
        worst |= bool(said)
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
