"""Whether a request may be sent at all where it leads: in plain text, and after a redirect.

TLS is judged when it is made; what goes past it is judged here, by the scheme and the host to which
a library is about to send. URLs are parsed by that library, so that there are no two readings.

1. A set's mode counts as it is written. Break-glass and expiry say what becomes of pins that do not
   match, not that an enforced host may be spoken to in the clear.
2. Whether an enforced origin may be left is up to the set of the host that is left.
3. Nothing here lets a connection pass: over TLS its path is judged as ever.
"""

from __future__ import annotations

from typing import NamedTuple

from holdfast.pins.pin_set import Mode, PinSet, Redirects
from holdfast.pins.policy import Policy, Unlisted
from holdfast.pins.verdict import Outcome, Verdict

__all__ = ["Hop", "against_sending", "follows_any"]

_TLS_SCHEMES = ("https", "wss")


class Hop(NamedTuple):
    """Where one request goes.

    Attributes:
        scheme: The URL's scheme, in lower case.
        host: The canonical host name.
    """

    scheme: str
    host: str

    @property
    def is_plain(self) -> bool:
        """Whether it is sent without TLS; a scheme that is not known is."""
        return self.scheme not in _TLS_SCHEMES


def against_sending(policy: Policy, target: Hop, came_from: Hop | None) -> Verdict | None:
    """Return what speaks against a request, before a connection is made.

    Args:
        policy: The policy in force.
        target: Where it goes.
        came_from: Where the redirect came from that it follows, if it follows one.

    Returns:
        A violation, which may be allowed (report-only); None where nothing speaks against it.
    """
    left = None if came_from is None else _left(policy, target, came_from)
    if left is not None and not left.allowed:
        return left
    # What lets a redirect pass says nothing about plain text to an enforced host.
    clear = _in_the_clear(policy, target) if target.is_plain else None
    if clear is not None and not clear.allowed:
        return clear
    return clear if left is None else left


def follows_any(pin_set: PinSet) -> bool:
    """Tell whether redirects from the hosts of a set may lead anywhere."""
    if pin_set.redirects is None:
        return pin_set.mode is Mode.REPORT_ONLY
    return pin_set.redirects is Redirects.ANY


def _left(policy: Policy, target: Hop, came_from: Hop) -> Verdict | None:
    """Hold a redirect against the set of the host that it leaves."""
    origin = policy.pin_set_for(came_from.host)
    if origin is None or follows_any(origin):
        return None
    pin_set = policy.pin_set_for(target.host)
    if pin_set is not None and not target.is_plain:
        return None
    where = "a host without pins" if pin_set is None else "plain text"
    return Verdict(
        outcome=Outcome.NOT_PINNED if pin_set is None else Outcome.UNDECIDABLE,
        allowed=origin.mode is Mode.REPORT_ONLY,
        violation=True,
        host=target.host,
        mode=pin_set.mode if pin_set else None,
        pin_set=pin_set,
        reason=f"a redirect from {came_from.host} (pin_set.{origin.name}) leads to {where}: "
        f"{target.scheme}://{target.host}",
        hint="redirects of that set are pinned-only: if its owner confirms this one, "
        "pin the host that it leads to",
    )


def _in_the_clear(policy: Policy, target: Hop) -> Verdict | None:
    """Decide on a request without TLS: there is no path that could be judged."""
    pin_set = policy.pin_set_for(target.host)
    if pin_set is not None:
        return Verdict(
            outcome=Outcome.UNDECIDABLE,
            allowed=pin_set.mode is Mode.REPORT_ONLY,
            violation=True,
            host=target.host,
            mode=pin_set.mode,
            pin_set=pin_set,
            reason=f"the request would go out in plain text ({target.scheme}://)",
            hint="use https://",
        )
    if policy.unlisted is Unlisted.ALLOW:
        return None
    return Verdict(
        outcome=Outcome.NOT_PINNED,
        allowed=policy.unlisted is Unlisted.REPORT_ONLY,
        violation=True,
        host=target.host,
        reason="no pattern of the policy covers the host, "
        f"unlisted is {policy.unlisted.value}, and the request would go out in plain text",
    )
