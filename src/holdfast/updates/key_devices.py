"""Keys that never leave the device or service that they are in: PKCS#11 tokens and cloud KMS.

    hsm:2?label=alice                                             a token, by key id and label
    awskms:1234abcd-12ab-34cd-56ef-1234567890ab                   key id, ARN or alias
    gcpkms:projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/1
    azurekms://VAULT.vault.azure.net/keys/NAME

securesystemslib's signers do the work. Of what it offers only these four are used: a card comes
from somebody else, and must not name a program, a file or a server of their choice.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import parse_qs

from securesystemslib.exceptions import UnsupportedLibraryError
from securesystemslib.signer import (
    AWSSigner,
    AzureSigner,
    GCPSigner,
    HSMSigner,
    Key,
    Signer,
)

from holdfast.errors import HoldfastError, UpdateError
from holdfast.pins.pin import quoted
from holdfast.updates.key_card import KeyCard, owned_by

__all__ = ["card_of_device", "device_signer"]

_KINDS_FIX = "it begins with hsm:, awskms:, gcpkms: or azurekms: (see docs/updates.md)"


class _Kind(NamedTuple):
    """One kind of device or service.

    Attributes:
        pattern: What its addresses look like; in part to keep the owner's credentials from going
            to another host.
        read: Asks it for the public key, and for the address that signing takes.
        package: What to install for it.
    """

    pattern: re.Pattern[str]
    read: Callable[[re.Match[str], bytes | None], tuple[str, Key]]
    package: str


def card_of_device(uri: str, owner: str, pin: bytes | None) -> KeyCard:
    """Make the card of a key that is in a device or service.

    Args:
        uri: Where.
        owner: Whose key it is.
        pin: Of the token, if it asks for one before it shows public keys.

    Raises:
        UpdateError: There is no such key, it is too weak, or a package for it is missing.
    """
    kind, match = _kind_of(uri)
    try:
        address, key = kind.read(match, pin)
        return KeyCard(key=owned_by(key, owner), uri=address)
    except Exception as error:  # each device and service has errors of its own
        raise _refusal(error, uri, kind) from error


def device_signer(card: KeyCard, pin: bytes | None) -> Signer:
    """Return what signs with the key of a card; the device is asked when it signs.

    Raises:
        UpdateError: It is a kind that is not used, or a package for it is missing.
    """
    uri = card.uri or ""
    kind, _ = _kind_of(uri)
    try:
        return Signer.from_priv_key_uri(uri, card.key, _teller(pin))
    except Exception as error:  # as above
        raise _refusal(error, uri, kind) from error


def _kind_of(uri: str) -> tuple[_Kind, re.Match[str]]:
    kind = _KINDS.get(uri.partition(":")[0])
    match = kind.pattern.fullmatch(uri) if kind is not None else None
    if kind is None or match is None:
        raise UpdateError(f"{quoted(uri)} is no address of a key", hint=_KINDS_FIX)
    return kind, match


def _refusal(error: Exception, uri: str, kind: _Kind) -> HoldfastError:
    if isinstance(error, HoldfastError):
        return error
    if isinstance(error, UnsupportedLibraryError | ImportError):
        return UpdateError(
            f"{quoted(uri)} needs packages that are not installed",
            hint=f"pip install '{kind.package}'",
        )
    reason = str(error) or type(error).__name__
    return UpdateError(
        f"{quoted(uri)} cannot be used: {reason}",
        hint="is the device there, its library in $PYKCS11LIB, and the account the right one?",
    )


def _teller(pin: bytes | None) -> Callable[[str], str]:
    """Return what tells a token its PIN when it asks."""

    def tell(_secret: str) -> str:
        if pin is None:
            raise UpdateError(
                "the token asks for its PIN", hint="name a file with it: HOLDFAST_PIN_FILE"
            )
        return pin.decode("utf-8", "surrogateescape")

    return tell


def _read_hsm(match: re.Match[str], pin: bytes | None) -> tuple[str, Key]:
    label = parse_qs(match["query"] or "").get("label", [None])[0]
    number = int(match["number"]) if match["number"] else None
    return HSMSigner.import_(number, label, _teller(pin))


def _read_aws(match: re.Match[str], _pin: bytes | None) -> tuple[str, Key]:
    return AWSSigner.import_(match["name"])


def _read_gcp(match: re.Match[str], _pin: bytes | None) -> tuple[str, Key]:
    return GCPSigner.import_(match["name"])


def _read_azure(match: re.Match[str], _pin: bytes | None) -> tuple[str, Key]:
    return AzureSigner.import_(match["vault"], match["name"])


_KINDS = {
    "hsm": _Kind(
        re.compile(r"hsm:(?P<number>\d{0,9})(?:\?(?P<query>label=[^&#]+))?"),
        _read_hsm,
        "holdfast[hsm]",
    ),
    "awskms": _Kind(
        re.compile(r"awskms:(?P<name>[A-Za-z0-9:/_-]+)"), _read_aws, "securesystemslib[awskms]"
    ),
    "gcpkms": _Kind(
        re.compile(r"gcpkms:(?P<name>projects/[A-Za-z0-9:/._-]+)"),
        _read_gcp,
        "securesystemslib[gcpkms]",
    ),
    "azurekms": _Kind(
        re.compile(
            r"azurekms://(?P<vault>[A-Za-z0-9-]+)\.vault\.azure\.net/keys/"
            r"(?P<name>[A-Za-z0-9-]+)(?:/[0-9a-f]+)?"
        ),
        _read_azure,
        "securesystemslib[azurekms]",
    ),
}
