"""Holdfast: certificate pinning for TLS clients that survives renewals, rotations and attacks.

    policy = holdfast.load_policy("pins.toml")
    client = httpx.Client(verify=holdfast.PinningContext(policy))

Each name is loaded when it is first used, so that `import holdfast` costs an application little.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast.certificates.load_policy import load_policy
    from holdfast.enforcement.context import PinningContext
    from holdfast.enforcement.errors import PinViolationError, violation_from
    from holdfast.enforcement.policy_file import PolicyFile
    from holdfast.enforcement.process_wide import install, uninstall
    from holdfast.errors import HoldfastError, PolicyError
    from holdfast.pins.evaluate import evaluate
    from holdfast.pins.host_pattern import HostPattern
    from holdfast.pins.pin import Pin
    from holdfast.pins.pin_set import Mode, PinSet, Trust
    from holdfast.pins.policy import Policy, Unlisted
    from holdfast.pins.verdict import Outcome, Violation
    from holdfast.updated_policy import UpdatedPolicy

# fmt: off
__all__ = [
    "HoldfastError", "HostPattern", "Mode", "Outcome", "Pin", "PinSet", "PinViolationError",
    "PinningContext", "Policy", "PolicyError", "PolicyFile", "Trust", "Unlisted", "UpdatedPolicy",
    "Violation", "evaluate", "install", "load_policy", "uninstall", "violation_from",
]
# fmt: on

_HOMES = {
    "certificates.load_policy": ("load_policy",),
    "enforcement.context": ("PinningContext",),
    "enforcement.errors": ("PinViolationError", "violation_from"),
    "enforcement.policy_file": ("PolicyFile",),
    "enforcement.process_wide": ("install", "uninstall"),
    "errors": ("HoldfastError", "PolicyError"),
    "pins.evaluate": ("evaluate",),
    "pins.host_pattern": ("HostPattern",),
    "pins.pin": ("Pin",),
    "pins.pin_set": ("Mode", "PinSet", "Trust"),
    "pins.policy": ("Policy", "Unlisted"),
    "pins.verdict": ("Outcome", "Violation"),
    "updated_policy": ("UpdatedPolicy",),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            value: object = getattr(import_module(f"{__name__}.{home}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
