"""Readers of dumps. Each is a class of the table below; it plans repositories and reads one: records, or what was lost and why."""

from starmill.pipelines.sources.folders import Folders
from starmill.pipelines.sources.packages import Packages
from starmill.pipelines.sources.source import Source

# The only list of the sources.
SOURCES: tuple[type[Source], ...] = (
    Packages,
    Folders,
)
