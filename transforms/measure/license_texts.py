"""The texts of licences, as ScanCode has them, by the ids that records carry: SPDX's, and ScanCode's own where SPDX has none."""

from collections.abc import Iterable


def texts(ids: Iterable[str]) -> dict[str, str]:
    """Return the text of each id that ScanCode has a text of. Loads its licences: two seconds.

    >>> texts(["MIT", "no such licence"])["MIT"][:29]
    'Permission is hereby granted,'
    """
    from licensedcode.models import load_licenses

    named: dict[str, str] = {}
    for key, one in load_licenses().items():
        for name in (key, one.spdx_license_key, *(one.other_spdx_license_keys or ())):
            if name and one.text:
                named.setdefault(name, one.text)
    return {name: named[name] for name in ids if name in named}
