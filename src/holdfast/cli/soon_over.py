"""Notes on what still holds and soon will not: a certificate or a pin set near its end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from holdfast.certificates.describe import describe
from holdfast.findings.finding import Finding, Severity
from holdfast.findings.layout import rfc3339
from holdfast.pins.chain import ChainCertificate
from holdfast.pins.endpoint import Endpoint
from holdfast.pins.pin_set import PinSet

CERTIFICATE_ENDS = "HF209"
SET_ENDS = "HF210"
TITLES = {
    CERTIFICATE_ENDS: "The certificate expires soon",
    SET_ENDS: "The pin set expires soon",
}

# Renewal is due with a third of the life left (ACME clients, RFC 9773); at a sixth it has failed
# for a while.
_LIFE_LEFT = 6
_SET_NOTICE = timedelta(days=30)


def soon_over(
    endpoint: Endpoint, leaf: ChainCertificate | None, pin_set: PinSet | None, now: datetime
) -> Iterator[Finding]:
    """Say what of an endpoint is near its end.

    Args:
        endpoint: Where the leaf was seen.
        leaf: The server's certificate, if there was one.
        pin_set: The set that covers the host, if any.
        now: The time, with an offset.
    """
    if leaf is not None:
        life = describe(leaf.der)
        if (
            life.not_before
            and life.not_after
            and timedelta(0)
            <= life.not_after - now
            < (life.not_after - life.not_before) / _LIFE_LEFT
        ):
            yield _note(
                CERTIFICATE_ENDS,
                endpoint,
                f"the certificate expires at {rfc3339(life.not_after)} and was not renewed yet",
                "renew it, with the same key or the backup key: any other is refused by the pins",
            )
    if pin_set and pin_set.expires and timedelta(0) < pin_set.expires - now < _SET_NOTICE:
        what_then = pin_set.on_expiry.value if pin_set.on_expiry else ""
        yield _note(
            SET_ENDS,
            endpoint,
            f"pin set {pin_set.name} expires at {rfc3339(pin_set.expires)}; then: {what_then}",
            "renew the set while its pins still match",
        )


def _note(rule: str, endpoint: Endpoint, reason: str, action: str) -> Finding:
    return Finding(
        rule=rule,
        severity=Severity.NOTE,
        place=str(endpoint),
        reason=reason,
        action=action,
        subject=endpoint.host,
    )
