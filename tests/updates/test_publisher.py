from datetime import datetime, timedelta
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata

from holdfast.errors import UpdateError
from holdfast.pins.pin import Pin
from holdfast.updates.client import UpdateClient
from holdfast.updates.publisher import Publisher
from holdfast.updates.roles import PROFILES
from tests.updates.followed_repository import HOUR, Keys, Opened
from tests.updates.signed_repository import NOW
from tests.updates.test_client import NEW, OLD, policy


def test_a_denied_key_reaches_clients(opened: Opened, follower: UpdateClient) -> None:
    """Denials add up."""
    opened().publish(policy(OLD), refresh=HOUR, rules=True)
    emergency = ("emergency", "snapshot", "timestamp")
    opened(*emergency).deny([OLD])
    after = opened(*emergency).deny([Pin.of_spki(b"another")])

    assert follower.refresh().succeeded
    assert OLD in follower.current().denied
    assert 2 == len(after.denied)


def test_break_glass_reaches_clients_and_is_taken_back(
    opened: Opened, follower: UpdateClient
) -> None:
    """A set is report-only until then, or until the next list."""
    opened().publish(policy(OLD), refresh=HOUR, rules=True)
    until = NOW + timedelta(days=2)
    opened("breakglass", "snapshot", "timestamp").break_glass({"api": until})
    assert follower.refresh().succeeded
    assert until == follower.current().pin_sets[0].report_only_until

    after = opened().break_glass({})
    assert follower.refresh().succeeded
    assert follower.current().pin_sets[0].report_only_until is None
    assert 2 == after.serial


@pytest.mark.parametrize(
    ("until", "told"),
    [
        ({"api": NOW + timedelta(days=8)}, "7 days"),
        ({"nothing": NOW + HOUR}, "no set of this name"),
    ],
)
def test_break_glass_without_effect_is_not_published(
    opened: Opened, until: dict[str, datetime], told: str
) -> None:
    """Whoever needs it learns at once that it would not help."""
    with pytest.raises(UpdateError, match="no policy yet"):
        opened().break_glass(until)
    opened().publish(policy(OLD), refresh=HOUR, rules=True)

    with pytest.raises(UpdateError, match=told):
        opened().break_glass(until)


@pytest.mark.parametrize("profile", PROFILES)
def test_each_role_is_signed_as_its_profile_says(tmp_path: Path, profile: str) -> None:
    """The threshold of each, and no more signatures than that."""
    rules = PROFILES[profile]
    made = {
        role: [CryptoSigner.generate_ed25519() for _ in range(rule.keys)]
        for role, rule in rules.items()
    }
    Publisher.created(tmp_path / "made", made, rules, NOW)

    for role, rule in rules.items():
        version = "" if role == "timestamp" else "1."
        file = tmp_path / "made" / "metadata" / f"{version}{role}.json"
        assert rule.threshold == len(Metadata.from_file(str(file)).signatures)
        assert 0o644 == file.stat().st_mode & 0o777


def test_nothing_that_was_served_is_changed(folder: Path, opened: Opened) -> None:
    """A client in the middle of a refresh finds what its snapshot speaks of."""
    opened().publish(policy(OLD), refresh=HOUR, rules=True)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    opened().publish(policy(OLD, NEW), refresh=HOUR)

    changed = {path.name for path, content in before.items() if content != path.read_bytes()}
    assert {"timestamp.json"} == changed


def test_an_interrupted_publication_leaves_the_old_one(
    opened: Opened, follower: UpdateClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was served is whole, and publishing again mends it."""
    opened().publish(policy(OLD), refresh=HOUR, rules=True)
    replace_file, steps = Path.replace, iter(range(100))

    def full(path: Path, target: Path) -> Path:
        if next(steps) == 2:
            raise OSError(28, "No space left on device")
        return replace_file(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        with pytest.raises(OSError, match="space"):
            opened().publish(policy(NEW), refresh=HOUR)
    assert follower.refresh().succeeded
    assert policy(OLD) == follower.current()

    assert 2 == opened().publish(policy(NEW), refresh=HOUR).serial
    assert follower.refresh().succeeded
    assert policy(NEW) == follower.current()


def test_a_folder_that_is_in_use_is_left_alone(folder: Path, keys: Keys) -> None:
    """A repository is never made over another."""
    with pytest.raises(UpdateError, match="not empty"):
        Publisher.created(folder, keys, PROFILES["small"], NOW)


def test_what_is_no_repository_is_told(tmp_path: Path, folder: Path) -> None:
    """With how one is made; a damaged one too."""
    (folder / "metadata" / "timestamp.json").write_text("{}")
    for path in (tmp_path / "nothing", folder):
        with pytest.raises(UpdateError, match="updates init"):
            Publisher.opened(path, {}, NOW)
