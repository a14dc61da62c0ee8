from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from securesystemslib.signer import CryptoSigner, Key, SigstoreKey, SSlibKey
from tuf.api.metadata import DelegatedRole, Delegations, Root, SuccinctRoles

from holdfast.updates.distinct_keys import count_keys_once

PRIVATE = ec.generate_private_key(ec.SECP256R1())


def _pem(change: Callable[[str], str] = str) -> SSlibKey:
    pem = PRIVATE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return SSlibKey("", "ecdsa", "ecdsa-sha2-nistp256", {"public": change(pem.decode())})


def _hex(change: Callable[[str], str] = str) -> SSlibKey:
    return SSlibKey("", "ed25519", "ed25519", {"public": change("0a" * 32)})


def _sigstore(identity: str) -> SigstoreKey:
    keyval = {"identity": identity, "issuer": "https://localhost/"}
    return SigstoreKey("", "sigstore-oidc", "Fulcio", keyval)


def _named(keys: list[Key]) -> dict[str, Key]:
    for number, key in enumerate(keys):
        key.keyid = f"name {number}"
    return {key.keyid: key for key in keys}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (_hex(), _hex()),
        (_hex(), _hex(str.upper)),
        (_pem(), _pem(lambda text: text.replace("\n", "\r\n"))),
        (_pem(), _pem(lambda text: f"\n{text}\n")),
        (_pem(), _pem(lambda text: text.strip())),
        (_sigstore("a"), _sigstore("a")),
    ],
)
def test_a_key_in_another_spelling_is_the_same(one: Key, other: Key) -> None:
    """Whatever its name and however it is written; the first name is the one that counts."""
    keys = _named([one, other])
    delegations = Delegations(keys, {"pins": DelegatedRole("pins", list(keys), 2, True, paths=[])})

    assert count_keys_once(delegations)
    assert ["name 0"] == (delegations.roles or {})["pins"].keyids
    assert not count_keys_once(delegations)


def test_other_keys_are_others() -> None:
    """Nothing is taken from a role that lists each key once, not even what is no key at all."""
    broken = _pem(lambda text: text.replace("M", "!"))
    keys = _named([_hex(), _pem(), _sigstore("a"), _sigstore("b"), broken])
    delegations = Delegations(keys, {"pins": DelegatedRole("pins", list(keys), 2, True, paths=[])})

    assert not count_keys_once(delegations)
    assert list(keys) == (delegations.roles or {})["pins"].keyids


def test_one_key_may_sign_for_two_roles() -> None:
    """It is counted in each."""
    root = Root()
    for role in ("snapshot", "timestamp"):
        root.add_key(CryptoSigner.generate_ed25519().public_key, role)
        root.add_key(_hex(), role)

    assert not count_keys_once(root)


def test_bins_count_keys_once_too() -> None:
    """Succinct roles name their keys in one place."""
    keys = _named([_hex(), _hex()])
    delegations = Delegations(keys, succinct_roles=SuccinctRoles(list(keys), 2, 4, "bin"))

    assert count_keys_once(delegations)
    assert delegations.succinct_roles is not None
    assert ["name 0"] == delegations.succinct_roles.keyids
