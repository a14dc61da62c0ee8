"""Signing with keys, wherever they are, and telling what went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from holdfast.errors import HoldfastError, UpdateError
from holdfast.updates.key_card import owner_of
from holdfast.updates.request import Request
from holdfast.updates.request_signatures import missing_keys

if TYPE_CHECKING:
    from securesystemslib.signer import Key, Signer
    from tuf.api.metadata import Metadata

__all__ = ["sign", "sign_request", "signable"]


def signable(request: Request, signers: Mapping[str, Signer]) -> tuple[tuple[str, Key], ...]:
    """Return each role with each key at hand that may sign it and has not.

    Raises:
        UpdateError: A signature in the request does not fit.
    """
    found = {(role, key.keyid): key for role, key in missing_keys(request) if key.keyid in signers}
    return tuple((role, key) for (role, _), key in found.items())


def sign_request(request: Request, signers: Mapping[str, Signer]) -> tuple[tuple[str, Key], ...]:
    """Add the signatures of the keys at hand.

    Args:
        request: What a person has seen and agreed to.
        signers: The keys, by key id.

    Returns:
        Each role with each key that has signed.

    Raises:
        UpdateError: A signature in the request does not fit, or a device did not sign.
    """
    mine = signable(request, signers)
    for role, key in mine:
        sign(request.after[role], signers[key.keyid], role)
    return mine


def sign(metadata: Metadata[Any], signer: Signer, role: str) -> None:
    """Add the signature of a key.

    Args:
        metadata: What is signed.
        signer: The key.
        role: What it is, for the error.

    Raises:
        UpdateError: The device or service did not sign, or with another key than its card says.
    """
    owner = owner_of(signer.public_key)
    data = metadata.signed_bytes
    try:
        signature = signer.sign(data)
    except HoldfastError:
        raise
    except Exception as error:  # each device and service has errors of its own
        reason = str(error) or type(error).__name__
        raise UpdateError(
            f"the key of {owner} did not sign {role}: {reason}",
            hint="is the device there, and the PIN right? may this account use the key?",
        ) from error
    try:
        signer.public_key.verify_signature(signature, data)
    except Exception as error:
        raise UpdateError(
            f"what the key of {owner} signed does not fit its card",
            hint="another key has taken its place: make the card again with `updates new-key`",
        ) from error
    metadata.signatures[signature.keyid] = signature
