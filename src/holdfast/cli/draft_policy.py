"""What `holdfast run --observe` writes: the hosts that a program talks to, as a draft policy.

The draft enforces nothing. Its pins are what the network showed, which proves nothing about who
holds the keys; it is for finding out which hosts there are.
"""

from __future__ import annotations

from pathlib import Path

from holdfast.cli.output import say
from holdfast.cli.pins_file import NewSet, PinsFile
from holdfast.errors import HostNameError
from holdfast.findings.coverage import Coverage
from holdfast.pins.host_pattern import canonical_host
from holdfast.pins.pin import Pin

__all__ = ["write_draft"]


def write_draft(path: Path, seen: Coverage) -> None:
    """Write a report-only set for each host whose path was verified, and say what is left out.

    Raises:
        HoldfastError: The file cannot be made.
    """
    file = PinsFile(path)
    sets = [
        NewSet(
            name=file.set_name_for(host),
            hosts=(host,),
            leaf=tuple(
                (Pin.parse(leaf), "seen while observing: confirm it with the server's owner")
                for leaf in dict.fromkeys(one[0] for one in paths)
            ),
        )
        for host, paths in seen.keys.items()
    ]
    file.write(sets)
    say(f"holdfast: {path}: a draft with {len(sets)} host{'' if len(sets) == 1 else 's'}")
    for host in sorted({*seen.unlisted, *seen.refused} - seen.keys.keys()):
        say(f"holdfast: not in it: {_named(host)}, whose path was not verified")


def _named(host: str) -> str:
    try:
        return canonical_host(host)
    except HostNameError:
        return "a connection without a name"
