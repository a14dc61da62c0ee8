from datetime import datetime, timedelta
from pathlib import Path

import pytest

from holdfast.errors import UpdateError
from holdfast.pins.pin import Pin
from holdfast.updates.client import UpdateClient
from tests.updates.followed_repository import HOUR, Opened
from tests.updates.seeded import NEW, OLD, policy
from tests.updates.signed_repository import NOW


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
