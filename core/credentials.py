"""URLs with a user or a password in them are refused before anything quotes them; every command asks, so nothing heavy is imported."""

import re

from starmill.core.errors import UsageError

# What `://` may be followed by: a bucket's name; elsewhere a host, with a port.
AUTHORITY = re.compile(r"([\w.+-]*)://([^/\s\"',]*)")
BUCKETS = ("s3", "s3a", "gs", "gcs")
HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^@:\[\]]*)(:\d*)?")


def refuse_credentials(text: str) -> None:
    """Raise UsageError, without quoting the URL, for a URL with a user or password in it. A secret key may hold slashes."""
    for protocol, authority in AUTHORITY.findall(text):
        if not HOST.fullmatch(authority) or (":" in authority and protocol.lower() in BUCKETS):
            raise UsageError(
                f"a {protocol}:// URL with a user or password in it: give credentials in the environment or a profile file"
            )
