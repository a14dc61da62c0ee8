"""A leaf that nobody vouches for, as devices show: its name and validity, where the policy asks.

Its key is what the pins of a pins-only set are about. That the server holds the key is for the
handshake to prove; who signed the certificate does not matter.
"""

from __future__ import annotations

import ipaddress
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

__all__ = ["leaf_failure"]

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
        with warnings.catch_warnings():
            # They say that a later version will refuse what this one still reads.
            warnings.simplefilter("ignore")
            return _leaf_flaw(pin_set, host, presented[0], now)
    except Exception as error:  # noqa: BLE001 (whatever a parser raises)
        return _undecidable(f"the certificate cannot be read: {ascii(str(error))[:_REASON_LIMIT]}")


def _leaf_flaw(pin_set: PinSet, host: str, der: bytes, now: datetime) -> PathFailure | None:
    from cryptography.x509 import load_der_x509_certificate

    chain_certificate(der)  # the pins are looked for with this reader: it must take the leaf too
    leaf = load_der_x509_certificate(der)
    if pin_set.check_validity is not False:
        if now < leaf.not_valid_before_utc:
            reason = f"the certificate is not valid before {leaf.not_valid_before_utc.isoformat()}"
            return PathFailure(reason, Observed.CLOCK)
        if now > leaf.not_valid_after_utc:
            reason = f"the certificate expired at {leaf.not_valid_after_utc.isoformat()}"
            return PathFailure(reason, Observed.CLOCK)
    if pin_set.check_name is not False and not _covers(leaf, host):
        return PathFailure(f"no name of the certificate covers {host}", Observed.WRONG_HOST)
    return None


def _covers(leaf: Certificate, host: str) -> bool:
    """Tell whether a certificate is for a canonical host (RFC 9525 section 6.3)."""
    from cryptography.x509 import DNSName, ExtensionNotFound, IPAddress, SubjectAlternativeName

    try:
        names = leaf.extensions.get_extension_for_class(SubjectAlternativeName).value
    except ExtensionNotFound:
        return False
    if is_ip_literal(host):
        return ipaddress.ip_address(host) in names.get_values_for_type(IPAddress)
    covering = {host, f"*.{host.partition('.')[2]}"}
    return any(name.lower() in covering for name in names.get_values_for_type(DNSName))


def _undecidable(reason: str) -> PathFailure:
    return PathFailure(reason, Observed.UNKNOWN, Outcome.UNDECIDABLE)
