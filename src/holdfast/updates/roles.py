"""Who signs what of a repository: roles, how many keys and signatures each has, how long it lasts.

Figures are those of docs/updates.md. Root and targets are kept offline, so that no stolen server
can give anybody new rights; what has to be signed each hour is online and may do least.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["DELEGATED", "OFFLINE", "ONLINE", "PROFILES", "ROLES", "TOP_LEVEL", "RoleRule"]


class RoleRule(NamedTuple):
    """How a role signs.

    Attributes:
        keys: How many keys there are.
        threshold: How many of them have to sign.
        days: For how long a signature counts.
    """

    keys: int
    threshold: int
    days: int


TOP_LEVEL = ("root", "targets", "snapshot", "timestamp")
ONLINE = ("snapshot", "timestamp")  # signed with each publication
DELEGATED = {"emergency": "emergency/*", "breakglass": "breakglass/*", "pins": "pins/*"}
ROLES = (*TOP_LEVEL, *DELEGATED)
OFFLINE = frozenset({"root", "targets", "emergency", "breakglass"})

_SAAS = {
    "root": RoleRule(3, 2, 365),
    "targets": RoleRule(3, 2, 180),
    "emergency": RoleRule(2, 1, 180),
    "breakglass": RoleRule(3, 2, 180),
    "pins": RoleRule(1, 1, 14),
    "snapshot": RoleRule(1, 1, 7),
    "timestamp": RoleRule(1, 1, 1),
}
PROFILES: Mapping[str, Mapping[str, RoleRule]] = {
    # For two people: one key of two is enough, and the timestamp outlasts a long weekend.
    "small": {
        **_SAAS,
        "root": RoleRule(2, 1, 365),
        "targets": RoleRule(2, 1, 180),
        "breakglass": RoleRule(2, 1, 180),
        "timestamp": RoleRule(1, 1, 7),
    },
    "saas": _SAAS,
    # Pins are signed by people too.
    "bank": {**_SAAS, "pins": RoleRule(3, 2, 90)},
}
