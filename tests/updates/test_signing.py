from typing import NoReturn

import pytest
from securesystemslib.signer import Key, Signature, Signer
from tuf.api.metadata import Metadata, Targets

from holdfast.errors import UpdateError
from holdfast.pins.pin import Pin
from holdfast.updates.signing import sign, sign_request, signable
from tests.updates.ceremony import Ceremony, by_id, signer_of


class Broken(Signer):
    """A device that fails."""

    def __init__(self, key: Key, error: Exception) -> None:
        """Take the error that it fails with."""
        self._key, self._error = key, error

    @property
    def public_key(self) -> Key:
        """What its card says."""
        return self._key

    @classmethod
    def from_priv_key_uri(cls, *arguments: object) -> NoReturn:
        """It has no address."""
        raise NotImplementedError

    def sign(self, payload: bytes) -> Signature:
        """Fail."""
        raise self._error


class Exchanged(Broken):
    """A device in which another key has taken the place of the one on the card."""

    def sign(self, payload: bytes) -> Signature:
        """Sign with the other key."""
        return Signature(self._key.keyid, signer_of("other").sign(payload).signature)


def _metadata() -> Metadata[Targets]:
    return Metadata(Targets())


def test_a_signature_is_added() -> None:
    """Beside others."""
    metadata, alice, bob = _metadata(), signer_of("alice"), signer_of("bob")
    sign(metadata, alice, "pins")
    sign(metadata, bob, "pins")

    assert by_id(alice, bob).keys() == metadata.signatures.keys()


def test_a_device_that_fails_is_told() -> None:
    """With whose it is and what it was to sign; an error of ours is told as it is."""
    key = signer_of("alice").public_key
    with pytest.raises(UpdateError, match="the key of alice did not sign pins: no token"):
        sign(_metadata(), Broken(key, RuntimeError("no token")), "pins")
    with pytest.raises(UpdateError, match="did not sign pins: ConnectionError"):
        sign(_metadata(), Broken(key, ConnectionError()), "pins")
    with pytest.raises(UpdateError, match=r"^the PIN is missing$"):
        sign(_metadata(), Broken(key, UpdateError("the PIN is missing")), "pins")


def test_a_key_that_was_exchanged_is_told() -> None:
    """Such a signature would count for nothing, and look as if somebody had changed something."""
    metadata = _metadata()
    with pytest.raises(UpdateError, match="what the key of alice signed does not fit its card"):
        sign(metadata, Exchanged(signer_of("alice").public_key, ValueError()), "pins")

    assert {} == metadata.signatures


def test_only_what_a_key_may_sign_is_signed(ceremony: Ceremony) -> None:
    """Once, and by nobody else."""
    request = ceremony.staged(lambda one: one.deny([Pin.of_spki(b"stolen")]))
    alice = by_id(ceremony.people["alice"])

    assert () == signable(request, by_id(signer_of("mallory")))
    assert ["emergency"] == [role for role, _ in sign_request(request, alice)]
    assert () == sign_request(request, alice)
    assert alice.keys() == request.after["emergency"].signatures.keys()
