"""Writes the names that the classifier gives into core/data/languages.txt: `python -m starmill.transforms.measure.enry.names`.

They are read in the pinned Go module's data, where Go has put it to build the library; run it after a change of go.mod.
"""

import re
import subprocess
import sys
from pathlib import Path

import starmill.core
from starmill.transforms.measure.enry.build import toolchain

NAMES = Path(str(starmill.core.__file__)).parent / "data" / "languages.txt"


def module_data() -> Path | None:
    """Return the file of the Go module that numbers all languages, or None where no library was built with Go."""
    version = re.search(r"go-enry/v2 (v\S+)", Path(__file__).with_name("go.mod").read_text())
    tools = toolchain()
    if version is None or tools is None:
        return None
    cache = subprocess.run([tools[0], "env", "GOMODCACHE"], capture_output=True, text=True).stdout.strip()
    file = Path(cache) / f"github.com/go-enry/go-enry/v2@{version[1]}" / "data" / "id.go"
    return file if file.exists() else None


def names(data: Path) -> list[str]:
    """Return the languages in the module's data, sorted."""
    return sorted(re.findall(r'^\t"(.*)":\s+\d+,$', data.read_text("utf-8"), re.MULTILINE))


def main() -> int:
    """Write the list."""
    data = module_data()
    if data is None:
        print("starmill: no Go module here; run python -m starmill.transforms.measure.enry.build first", file=sys.stderr)
        return 1
    NAMES.write_text("".join(f"{name}\n" for name in names(data)), "utf-8")
    print(f"wrote {NAMES}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
