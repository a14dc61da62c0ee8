"""Lint of the pins themselves.

Can the owner lose a key, renew a certificate or change the CA, and stay reachable?
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from holdfast.errors import PolicyError
from holdfast.findings.finding import Finding, Severity
from holdfast.formats.lint_rule import Rule
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, PinSet, Require, Trust
from holdfast.pins.policy import Policy

LOCK_OUT_ACCEPTED = Rule(
    "HF101",
    Severity.WARNING,
    "Lock-out is accepted",
    "The set rests on one key. When that key is lost, leaked or replaced, every client is locked "
    "out until each of them has a new policy.",
    "RFC 7469 section 4.3",
)
NEEDLESS_ACCEPTANCE = Rule(
    "HF102",
    Severity.NOTE,
    "Lock-out is accepted without need",
    "The set has a way out already. The acceptance that is left over would let somebody remove "
    "that way out without being asked.",
)
NOT_ENFORCEABLE = Rule(
    "HF103",
    Severity.WARNING,
    "The set cannot be enforced yet",
    "A report-only set may be loaded without a backup, but the same set is refused once its mode "
    "is enforce. A backup has to reach the clients before it is needed, so it belongs there now.",
    "https://www.smashingmagazine.com/be-afraid-of-public-key-pinning/",
)
CERTIFICATE_BACKUPS = Rule(
    "HF104",
    Severity.WARNING,
    "Every backup is a whole-certificate pin",
    "A backup lies in reserve for years and a certificate does not: when the key is needed, a CA "
    "issues another certificate for it, and the pin no longer matches.",
    "https://cheatsheetseries.owasp.org/cheatsheets/Pinning_Cheat_Sheet.html",
)
CERTIFICATE_LEAF = Rule(
    "HF105",
    Severity.WARNING,
    "A leaf pin is over a whole certificate",
    "Each renewal makes another certificate, also with the same key, so the pin breaks at the "
    "next renewal.",
    "https://github.com/liato/android-bankdroid/issues/674",
)
ONE_CA = Rule(
    "HF106",
    Severity.WARNING,
    "One CA only",
    "CAs replace and revoke intermediates on short notice. A set that needs one CA's key breaks "
    "on that day, and only that CA can mend it.",
    "https://archive.cabforum.org/pipermail/public/2016-November/008989.html",
)
CA_BESIDE_LEAF = Rule(
    "HF107",
    Severity.NOTE,
    "CA pins beside leaf pins",
    "One match is enough, so any certificate that a pinned CA issues for the host passes, "
    "whatever its key. The leaf pins then help availability only.",
    "RFC 7469 section 2.6",
)
BOTH_NEEDED = Rule(
    "HF108",
    Severity.NOTE,
    "A leaf pin and a CA pin are both needed",
    "Losing either is an outage. The backup key needs a certificate from a pinned CA, and CAs "
    "have revoked tens of thousands of certificates with a day's notice.",
    "https://www.digicert.com/support/certificate-revocation-incident",
)
DENIED_PIN = Rule(
    "HF109",
    Severity.WARNING,
    "A denied key is pinned",
    "A denied key is refused before pins are looked at. The pin can never match, so the set has "
    "one way out fewer than it seems.",
)
SHARED_KEY = Rule(
    "HF110",
    Severity.WARNING,
    "A key is shared between sets",
    "Whoever takes the key from one service can impersonate the other, and a change of it hits "
    "both at once. In DROWN (CVE-2016-0800) the weakest server with a key gave away the others.",
    "https://drownattack.com/",
)
RULES = (
    LOCK_OUT_ACCEPTED,
    NEEDLESS_ACCEPTANCE,
    NOT_ENFORCEABLE,
    CERTIFICATE_BACKUPS,
    CERTIFICATE_LEAF,
    ONE_CA,
    CA_BESIDE_LEAF,
    BOTH_NEEDED,
    DENIED_PIN,
    SHARED_KEY,
)

_WAYS_OUT = (
    "add a backup pin (`holdfast key new`, then `holdfast key pin FILE`) or the pin of a second CA"
)


def key_findings(policy: Policy) -> Iterator[Finding]:
    """Find pins whose loss or renewal locks clients out, and pins that do less than it seems."""
    for pin_set in policy.pin_sets:
        yield from _ways_out(pin_set)
        yield from _whole_certificates(pin_set)
        yield from _certificate_authorities(pin_set)
        yield from _denied(policy, pin_set)
    yield from _shared(policy)


def _ways_out(pin_set: PinSet) -> Iterator[Finding]:
    needs_acceptance = not _enforceable_without_acceptance(pin_set)
    if pin_set.single_pin is not None:
        if needs_acceptance:
            yield LOCK_OUT_ACCEPTED.in_set(
                pin_set.name,
                "single_pin",
                "one key stands between the clients and a lock-out",
                f"{_WAYS_OUT}, then remove single_pin",
            )
        else:
            yield NEEDLESS_ACCEPTANCE.in_set(
                pin_set.name,
                "single_pin",
                "the set would be accepted without it",
                "remove single_pin",
            )
    elif needs_acceptance:
        yield NOT_ENFORCEABLE.in_set(
            pin_set.name,
            "backup",
            "the set has no way out when its key is lost; with mode enforce it would be refused",
            _WAYS_OUT,
        )


def _enforceable_without_acceptance(pin_set: PinSet) -> bool:
    """Ask the pin set itself, so that there is one backup rule and not two."""
    try:
        replace(pin_set, mode=Mode.ENFORCE, single_pin=None)
    except PolicyError:
        return False
    return True


def _whole_certificates(pin_set: PinSet) -> Iterator[Finding]:
    if pin_set.backup and all(pin.is_certificate for pin in pin_set.backup):
        yield CERTIFICATE_BACKUPS.in_set(
            pin_set.name,
            "backup",
            "no backup is a key",
            "replace one by the pin of its key: `holdfast key pin FILE`",
        )
    for index, pin in enumerate(pin_set.leaf):
        if pin.is_certificate:
            yield CERTIFICATE_LEAF.in_set(
                pin_set.name,
                f"leaf[{index}]",
                f"{pin} will not match the renewed certificate",
                "pin the key instead, and renew with the same key: `holdfast key pin FILE`",
            )


def _certificate_authorities(pin_set: PinSet) -> Iterator[Finding]:
    # With private trust the CAs are the owner's own.
    if not pin_set.ca or pin_set.trust is not Trust.PUBLIC:
        return
    has_leaf_pins = bool(pin_set.leaf or pin_set.backup)
    both_needed = pin_set.require is Require.LEAF_AND_CA
    if len(pin_set.ca) == 1 and (both_needed or not has_leaf_pins):
        yield ONE_CA.in_set(
            pin_set.name,
            "ca",
            "no path satisfies the set without this one CA key",
            "pin a root of each CA that the host may use, old and new root generations alike",
        )
    if has_leaf_pins and both_needed:
        yield BOTH_NEEDED.in_set(
            pin_set.name,
            "require",
            "leaf-and-ca: a new CA or a new key alone is an outage",
            "make sure that a pinned CA would certify each backup key, or write leaf-or-ca",
        )
    elif has_leaf_pins:
        yield CA_BESIDE_LEAF.in_set(
            pin_set.name,
            "ca",
            "a certificate with any key passes when one of these CAs issued it",
            'keep both if that is meant; else remove `ca`, or write require = "leaf-and-ca"',
        )


def _denied(policy: Policy, pin_set: PinSet) -> Iterator[Finding]:
    for key, pin in _keyed_pins(pin_set):
        if not pin.is_certificate and pin.digest in policy.denied_digests:
            yield DENIED_PIN.in_set(
                pin_set.name,
                key,
                f"{pin} is in holdfast.denied, so it can never match",
                "remove it here and add a new backup; if it is denied by mistake, remove it there",
            )


def _shared(policy: Policy) -> Iterator[Finding]:
    """CAs are shared by nature; a server's key should not be."""
    owners: dict[Pin, str] = {}
    for pin_set in policy.pin_sets:
        for key, pin in _keyed_pins(pin_set):
            if pin in pin_set.ca:
                continue
            owner = owners.setdefault(pin, pin_set.name)
            if owner != pin_set.name:
                yield SHARED_KEY.in_set(
                    pin_set.name,
                    key,
                    f"{pin} is a pin of pin_set.{owner} too",
                    "give each service a key of its own, or put hosts of one service into one set",
                )


def _keyed_pins(pin_set: PinSet) -> Iterator[tuple[str, Pin]]:
    for key, pins in (("leaf", pin_set.leaf), ("backup", pin_set.backup), ("ca", pin_set.ca)):
        for index, pin in enumerate(pins):
            yield f"{key}[{index}]", pin
