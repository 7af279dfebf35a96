"""Counters of a server, in the text format of Prometheus (https://prometheus.io/docs/instrumenting/exposition_formats/)."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from itertools import accumulate

BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)  # seconds
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
HELP = {
    "prompt_tokens": "Tokens of prompts that were read.",
    "new_tokens": "Tokens that were written.",
    "drafted_tokens": "Guesses at tokens that were read.",
    "accepted_tokens": "Guesses that were right.",
}


class Metrics:
    """What was counted since the server began.

    >>> metrics = Metrics()
    >>> metrics.add("new_tokens", 3)
    >>> metrics.answered("/generate", 200, 0.3)
    >>> "starmill_new_tokens_total 3" in metrics.text({"rows": ("Rows that are written.", 1)}).splitlines()
    True
    """

    def __init__(self) -> None:
        """Begin at zero."""
        self._counts = Counter(dict.fromkeys(HELP, 0))
        self._requests: Counter[tuple[str, int]] = Counter()
        self._seconds: dict[str, list[int]] = {}
        self._sums: Counter[str] = Counter()

    def add(self, name: str, count: int) -> None:
        """Count."""
        self._counts[name] += count

    def counted(self, name: str, total: int) -> None:
        """Take over what another counts."""
        self._counts[name] = total

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count a request; `path` is one of the server's own, never a client's text."""
        self._requests[path, status] += 1
        self._seconds.setdefault(path, [0] * (len(BUCKETS) + 1))[bisect_left(BUCKETS, seconds)] += 1
        self._sums[path] += seconds  # type: ignore[assignment]

    def text(self, gauges: Mapping[str, tuple[str, float]]) -> str:
        """Return all of it; `gauges` are what is so now: help and value by name."""
        lines = []
        for name, (said, value) in gauges.items():
            lines += [f"# HELP starmill_{name} {said}", f"# TYPE starmill_{name} gauge", f"starmill_{name} {value}"]
        for name, said in HELP.items():
            lines += [f"# HELP starmill_{name}_total {said}", f"# TYPE starmill_{name}_total counter"]
            lines.append(f"starmill_{name}_total {self._counts[name]}")
        lines += ["# HELP starmill_requests_total Requests that were answered.", "# TYPE starmill_requests_total counter"]
        for (path, status), count in sorted(self._requests.items()):
            lines.append(f'starmill_requests_total{{path="{path}",status="{status}"}} {count}')
        name = "starmill_request_seconds"
        lines += [f"# HELP {name} Seconds from a request's beginning to the end of its answer.", f"# TYPE {name} histogram"]
        for path, counts in sorted(self._seconds.items()):
            for bound, count in zip((*BUCKETS, "+Inf"), accumulate(counts), strict=True):
                lines.append(f'{name}_bucket{{path="{path}",le="{bound}"}} {count}')
            lines += [f'{name}_sum{{path="{path}"}} {self._sums[path]}', f'{name}_count{{path="{path}"}} {sum(counts)}']
        return "\n".join((*lines, ""))
