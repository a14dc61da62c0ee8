"""What a TLS stack with settings of its own loses of the policy for one host, whatever it is.

Such a stack is set up once, for one host, and decides alone. Nothing here makes a connection.
"""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.errors import PinnedContextError
from holdfast.formats.loss import Effect, Loss, LossKind
from holdfast.pins.host_pattern import canonical_host
from holdfast.pins.interfaces import PolicySource
from holdfast.pins.pin_set import Mode, OnExpiry, PinSet, Trust, place_of
from holdfast.pins.policy import Policy

__all__ = ["lost_anywhere", "pin_set_of"]


def pin_set_of(source: PolicySource, host: str) -> tuple[Policy, PinSet]:
    """Return the policy of now, and its set for a host.

    Raises:
        HostNameError: The host is none.
        PinnedContextError: No set covers it.
    """
    policy = source.current()
    pin_set = policy.pin_set_for(canonical_host(host))
    if pin_set is None:
        raise PinnedContextError(
            f"{host}: no pin set covers it, so there is nothing to pin",
            hint="list the host in the policy, or connect to it without this helper",
        )
    return policy, pin_set


def lost_anywhere(policy: Policy, pin_set: PinSet, title: str) -> Iterator[Loss]:
    """Say what no such stack holds.

    Args:
        policy: The policy in force.
        pin_set: The set of the host.
        title: What the stack is called.
    """
    name, place = pin_set.name, place_of(pin_set.name)

    def loss(kind: LossKind, effect: Effect, key: str, consequence: str) -> Loss:
        return Loss(
            kind=kind,
            effect=effect,
            place=f"{place}.{key}",
            consequence=consequence,
            subject=name,
        )

    if policy.denied:
        yield Loss(
            kind=LossKind.DENIED,
            effect=Effect.LETS_THROUGH,
            place="holdfast.denied",
            consequence=f"{title} knows no denied keys: a path over one is accepted "
            "if what is left of the set matches",
        )
    if pin_set.mode is Mode.REPORT_ONLY:
        consequence = f"{title} refuses a mismatch that would only be reported"
        yield loss(LossKind.REPORT_ONLY, Effect.REFUSES, "mode", consequence)
    if pin_set.report_only_until is not None:
        consequence = f"{title} goes on refusing mismatches during break-glass"
        yield loss(LossKind.BREAK_GLASS, Effect.REFUSES, "report_only_until", consequence)
    if pin_set.expires is not None and pin_set.on_expiry is not OnExpiry.ENFORCE:
        consequence = f"{title} goes on refusing mismatches after the set has expired"
        yield loss(LossKind.EXPIRY, Effect.REFUSES, "on_expiry", consequence)
    if pin_set.trust is Trust.PINS_ONLY:
        for key, is_checked in (
            ("check_name", pin_set.check_name),
            ("check_validity", pin_set.check_validity),
        ):
            if is_checked is False:
                consequence = f"{title} checks it all the same"
                yield loss(LossKind.SETTING, Effect.REFUSES, key, consequence)
    consequence = f"{title} reports no violation to a sink; its own error is all there is"
    yield loss(LossKind.REPORTS, Effect.NEITHER, "mode", consequence)
