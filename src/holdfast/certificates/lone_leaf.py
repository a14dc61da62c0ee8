"""A leaf that nobody vouches for, as devices show: its name and validity, where the policy asks.

Its key is what the pins of a pins-only set are about. That the server holds the key is for the
handshake to prove; who signed the certificate does not matter.
"""

from __future__ import annotations

import functools
import warnings
from typing import TYPE_CHECKING

from holdfast.certificates.spki import chain_certificate
from holdfast.certificates.verify_path import PathFailure
from holdfast.pins.host_pattern import is_ip_literal
from holdfast.pins.verdict import Observed, Outcome

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography.x509 import Certificate

    from holdfast.pins.pin_set import PinSet

__all__ = ["is_named", "leaf_failure"]

_REASON_LIMIT = 200  # characters


def leaf_failure(
    pin_set: PinSet, host: str, presented: tuple[bytes, ...], now: datetime
) -> PathFailure | None:
    """Check what can be checked of a leaf that nobody vouches for.

    Args:
        pin_set: The host's set, which says whether name and validity count.
        host: The canonical host name of the connection.
        presented: What the server sent, as DER, leaf first.
        now: The time of the decision, with an offset.

    Returns:
        What is wrong with it; None if nothing is.
    """
    if not presented:
        return _undecidable("there is no certificate")
    try:
        return _leaf_flaw(pin_set, host, presented[0], now)
    except Exception as error:  # noqa: BLE001 (whatever a parser raises)
        return _undecidable(f"the certificate cannot be read: {ascii(str(error))[:_REASON_LIMIT]}")


def is_named(der: bytes, host: str) -> bool:
    """Tell whether a certificate is made out for a host, for verifiers that check no names.

    Args:
        der: The leaf.
        host: The canonical host name. A wildcard for a whole top-level domain covers none.

    Raises:
        ValueError: It cannot be read, or `cryptography` says why in an error of its own.
    """
    return _covers(der, host, wildcard="." in host.partition(".")[2])


def _leaf_flaw(pin_set: PinSet, host: str, der: bytes, now: datetime) -> PathFailure | None:
    not_before, not_after = _validity(der)
    if pin_set.check_validity is not False:
        if now < not_before:
            reason = f"the certificate is not valid before {not_before.isoformat()}"
            return PathFailure(reason, Observed.CLOCK)
        if now > not_after:
            reason = f"the certificate expired at {not_after.isoformat()}"
            return PathFailure(reason, Observed.CLOCK)
    if pin_set.check_name is not False and not _covers(der, host):
        return PathFailure(f"no name of the certificate covers {host}", Observed.WRONG_HOST)
    return None


def _covers(der: bytes, host: str, *, wildcard: bool = True) -> bool:
    """Tell whether a certificate is for a canonical host (RFC 9525 sections 6.3 and 6.5)."""
    names, addresses = _names(der)
    if is_ip_literal(host):
        return host in addresses
    return host in names or (wildcard and f"*.{host.partition('.')[2]}" in names)


# A device is met again and again, and reading its certificate costs more than all the rest.
_REMEMBERED = 256


@functools.lru_cache(maxsize=_REMEMBERED)
def _validity(der: bytes) -> tuple[datetime, datetime]:
    chain_certificate(der)  # the pins are looked for with this reader: it must take the leaf too
    leaf = _read(der)
    return leaf.not_valid_before_utc, leaf.not_valid_after_utc


@functools.lru_cache(maxsize=_REMEMBERED)
def _names(der: bytes) -> tuple[frozenset[str], frozenset[str]]:
    """Return DNS names in lower case and, apart from them, IP addresses in canonical form.

    A CA that certifies "192.0.2.1" as a DNS name has not looked at who has that address.
    """
    from cryptography.x509 import DNSName, ExtensionNotFound, IPAddress, SubjectAlternativeName

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as in `_read`
            names = _read(der).extensions.get_extension_for_class(SubjectAlternativeName).value
    except ExtensionNotFound:
        return frozenset(), frozenset()
    return (
        frozenset(map(str.lower, names.get_values_for_type(DNSName))),
        frozenset(map(str, names.get_values_for_type(IPAddress))),
    )


def _read(der: bytes) -> Certificate:
    from cryptography.x509 import load_der_x509_certificate

    with warnings.catch_warnings():
        # They say that a later version will refuse what this one still reads.
        warnings.simplefilter("ignore")
        return load_der_x509_certificate(der)


def _undecidable(reason: str) -> PathFailure:
    return PathFailure(reason, Observed.UNKNOWN, Outcome.UNDECIDABLE)
