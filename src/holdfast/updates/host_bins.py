"""How the pins of many hosts lie in a repository: hash bins, each a role of its own. Pure.

A bin is the metadata of a role that `pins` delegates to, with the keys and threshold of `pins`, by
the succinct delegation of TAP 15. A host belongs to the bin that the first bits of the SHA-256 of
its path say. Its pins stand in the metadata itself:

    {"x-holdfast-role": "hosts-12-0a7", "x-holdfast-hosts": {"a.example.com": {"leaf": [...]}}}

1. A bin says its own name. TUF does not sign the name of a role, so that the bin of other hosts
   could take its place otherwise, and a host would seem to have no pins of its own.
2. The number of bits stands in each name. A name that has been in a snapshot has to stay there, and
   it still means the same bin when there are more of them.
3. There is no file for a host, nor a TUF target, whose length and hash would say nothing: without
   them a bin takes half the bytes and half the time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tuf.api.metadata import SuccinctRoles

from holdfast.errors import UpdateError

if TYPE_CHECKING:
    from tuf.api.metadata import Targets

__all__ = [
    "HOSTS_FIELD",
    "INDEX_TARGET",
    "MOST_BITS",
    "ROLE_FIELD",
    "bins_of",
    "bits_for",
    "is_bin",
    "layout",
    "path_of",
    "table_of",
]

ROLE_FIELD = "x-holdfast-role"
HOSTS_FIELD = "x-holdfast-hosts"
INDEX_TARGET = "pins/hosts.sqlite"
MOST_BITS = 14  # the snapshot then takes 0.6 MB, and a million hosts need 12

_AIM = 250  # hosts in a bin: five bins of a million hosts and the snapshot are 310 kB
_NAME = re.compile(r"hosts-(?:[1-9]|1[0-4])-[0-9a-f]{1,4}")


def bits_for(hosts: int, present: int | None = None) -> int:
    """Return for how many bits of the hash there should be bins.

    Args:
        hosts: How many there are.
        present: How many bits there are. They are kept until the bins are twice as full as they
            should be, since with another number each bin has to be signed and fetched anew.
    """
    if present is not None and hosts <= 2 * _AIM * 2**present:
        return present
    return min(max(1, (-(-hosts // _AIM) - 1).bit_length(), present or 1), MOST_BITS)


def layout(bits: int, keyids: list[str], threshold: int) -> SuccinctRoles:
    """Return the delegation to bins for so many bits."""
    return SuccinctRoles(keyids, threshold, bits, f"hosts-{bits}")


def path_of(host: str) -> str:
    """Return the path by which a canonical host is put into a bin; nothing lies there."""
    return f"pins/host={host}"


def is_bin(role: str) -> bool:
    """Tell whether a name is that of a bin."""
    return _NAME.fullmatch(role) is not None


def bins_of(pins: Targets) -> SuccinctRoles | None:
    """Return the bins that the role `pins` delegates to, or None where it has no hosts.

    Raises:
        UpdateError: It delegates to something else.
    """
    if pins.delegations is None:
        return None
    bins = pins.delegations.succinct_roles
    if (
        bins is None
        or bins.bit_length > MOST_BITS
        or bins.name_prefix != f"hosts-{bins.bit_length}"
    ):
        raise UpdateError("the role `pins` delegates to something else than bins of hosts")
    return bins


def table_of(targets: Targets, role: str) -> Mapping[str, object]:
    """Return what verified metadata say of the hosts of a bin.

    Raises:
        UpdateError: They are not of this bin.
    """
    if targets.unrecognized_fields.get(ROLE_FIELD) != role:
        raise UpdateError(f"what stands for {role} is another role")
    table = targets.unrecognized_fields.get(HOSTS_FIELD)
    if not isinstance(table, dict):
        raise UpdateError(f"{role} has no table of hosts")
    return table
