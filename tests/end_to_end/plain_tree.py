"""Folders of real code without licences: what a stage's costs can be measured on in seconds."""

import shutil
import sysconfig
from pathlib import Path

from starmill.core import seeds
from starmill.pipelines.sources.folders import Folders
from starmill.pipelines.sources.source import Source


def tree(root: Path, repositories: int, each: int) -> dict[str, Source]:
    """Write `repositories` of `each` files of the standard library, 2 to 30 kB, none twice, and return them as the sources of a recipe."""
    found = (f for f in Path(sysconfig.get_path("stdlib")).rglob("*.py") if not {"site-packages", "dist-packages"} & {*f.parts})
    files = [f for f in found if 2000 < f.stat().st_size < 30_000]
    files.sort(key=lambda f: seeds.uint64(0, "tree", str(f)))
    assert len(files) >= repositories * each
    for i in range(repositories):
        (root / f"r{i:03d}").mkdir(parents=True)
        for j, file in enumerate(files[i * each : (i + 1) * each]):
            shutil.copy(file, root / f"r{i:03d}" / f"f{j}.py")
    return {"input": Folders(roots=(str(root),))}
