from datetime import timedelta
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner, Signer
from tuf.api.metadata import Metadata

from holdfast.errors import UpdateError
from holdfast.updates.client import UpdateClient
from holdfast.updates.roles import ROLES
from tests.updates.followed_repository import HOUR, Keys, Opened
from tests.updates.seeded import NEW, OLD, policy
from tests.updates.signed_repository import NOW


@pytest.mark.parametrize("role", ROLES)
def test_a_role_gets_new_keys(
    opened: Opened, follower: UpdateClient, keys: Keys, role: str
) -> None:
    """A client that knows the first root follows, and the old keys sign nothing any more."""
    opened().publish(policy(OLD), refresh=HOUR, rules=True)
    assert follower.refresh().succeeded
    former = keys[role]
    fresh: list[Signer] = [CryptoSigner.generate_ed25519() for _ in former]

    signed = opened().rotate_keys(role, fresh)
    keys[role] = fresh
    opened().publish(policy(NEW), refresh=HOUR)

    assert follower.refresh().succeeded
    assert policy(NEW) == follower.current()
    assert role in signed
    (status,) = [one for one in opened().status() if one.role == role]
    assert (len(fresh), len(fresh)) == (status.keys, status.at_hand)
    keys[role] = former
    (status,) = [one for one in opened().status() if one.role == role]
    assert 0 == status.at_hand


def test_new_keys_take_those_who_may_give_them(opened: Opened, keys: Keys) -> None:
    """The online machine gives itself none, and nothing is published half."""
    opened().publish(policy(OLD), refresh=HOUR, rules=True)
    fresh: list[Signer] = [CryptoSigner.generate_ed25519()]

    for role, owner in (("pins", "targets"), ("timestamp", "root")):
        with pytest.raises(UpdateError, match=f"{owner} takes 1 of its 2 keys"):
            opened("pins", "snapshot", "timestamp").rotate_keys(role, fresh)
    with pytest.raises(UpdateError, match="root has 2 keys, and 1 are new"):
        opened().rotate_keys("root", fresh)
    assert 2 == opened().publish(policy(NEW), refresh=HOUR).serial


def test_signing_again_keeps_a_repository_fresh(opened: Opened, follower: UpdateClient) -> None:
    """The timestamp each time, the rest in the last third of its time, if its keys are here."""
    opened().publish(policy(OLD), refresh=HOUR, rules=True)
    online = ("pins", "snapshot", "timestamp")

    assert ("timestamp",) == opened(*online, later=HOUR).resign()
    days = timedelta(days=10)
    assert ("pins", "snapshot", "timestamp") == opened(*online, later=days).resign()
    status = {one.role: one for one in opened(*online, later=days).status()}
    assert NOW + days + timedelta(days=7) == status["timestamp"].expires
    assert NOW + timedelta(days=180) == status["targets"].expires
    assert (2, 0) == (status["targets"].keys, status["targets"].at_hand)


def test_a_root_that_expires_is_signed_again(
    opened: Opened, follower: UpdateClient, keys: Keys
) -> None:
    """Where its keys are; otherwise it is left alone, and clients that come later are kept out."""
    opened().publish(policy(OLD), refresh=HOUR, rules=True)
    nearly = timedelta(days=300)

    assert "root" not in opened("targets", "snapshot", "timestamp", later=nearly).resign()
    assert ("root", "timestamp") == opened("root", "timestamp", later=nearly).resign()
    (status,) = [one for one in opened().status() if one.role == "root"]
    assert (2, NOW + nearly + timedelta(days=365)) == (status.version, status.expires)
    assert follower.refresh().succeeded


@pytest.mark.parametrize("role", ["targets", "snapshot", "timestamp"])
def test_a_rotation_is_signed_by_the_former_keys_too(
    folder: Path, opened: Opened, keys: Keys, role: str
) -> None:
    """Under the root of before and the new one: which of them a client has does not matter."""
    opened().publish(policy(OLD), refresh=HOUR, rules=True)
    former = {one.public_key.keyid for one in keys[role]}
    fresh: list[Signer] = [CryptoSigner.generate_ed25519() for _ in keys[role]]
    opened().rotate_keys(role, fresh)
    version = {one.role: one.version for one in opened().status()}[role]
    file = folder / "metadata" / f"{'' if role == 'timestamp' else f'{version}.'}{role}.json"

    signed_by = set(Metadata.from_file(str(file)).signatures)
    assert len(signed_by & former) == len(signed_by - former) == 1

    keys[role] = fresh
    opened().publish(policy(NEW), refresh=HOUR, rules=True)
    again = Metadata.from_file(str(folder / "metadata" / "timestamp.json")).signatures
    assert 1 == len(again)
