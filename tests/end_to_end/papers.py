"""Papers as arXiv stores them: a gzip of one file, or of a tar; and its tars of papers."""

import gzip
import io
import tarfile
from collections.abc import Mapping


def tex(body: str, before: str = "", title: str = "T") -> str:
    """Return a paper's only file."""
    return f"\\documentclass{{article}}\n{before}\\begin{{document}}\n\\title{{{title}}}\n\\section{{One}}\n{body}\n\\end{{document}}\n"


def tar(members: Mapping[str, str | bytes]) -> bytes:
    """Return a tar of files."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in members.items():
            data = data.encode() if isinstance(data, str) else data
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return made.getvalue()


def paper(source: str | Mapping[str, str | bytes]) -> bytes:
    """Return a paper: of one file, or of several."""
    return gzip.compress(source.encode() if isinstance(source, str) else tar(source), mtime=0)
