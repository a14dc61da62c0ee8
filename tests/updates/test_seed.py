import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import PolicyError
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, PinSet
from holdfast.pins.policy import Policy, Unlisted
from holdfast.updates.document import Bundle, bundle_to_bytes
from holdfast.updates.seed import Seed, load_seed

NOW = datetime(2026, 11, 26, tzinfo=UTC)
POLICY = Policy(
    unlisted=Unlisted.ALLOW,
    pin_sets=(
        PinSet(
            name="api",
            hosts=(HostPattern.parse("api.example.com"),),
            mode=Mode.ENFORCE,
            leaf=(Pin.of_spki(b"key"),),
            backup=(Pin.of_spki(b"backup"),),
        ),
    ),
)
BUNDLE = json.loads(
    bundle_to_bytes(Bundle(serial=7, issued=NOW, refresh=timedelta(hours=1), policy=POLICY))
)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"format": 1, "epoch": 3, "bundle": BUNDLE}, Seed(POLICY, 3, 7)),
        (BUNDLE, Seed(POLICY, 1, 7)),
        (BUNDLE["policy"], Seed(POLICY)),
    ],
    ids=["seed", "bundle", "policy"],
)
def test_each_kind_of_seed(tmp_path: Path, document: object, expected: Seed) -> None:
    """What was published has its order; a plain policy is older than all that is."""
    file = tmp_path / "seed.json"
    file.write_text(json.dumps(document))

    assert expected == load_seed(file, NOW)


def test_a_policy_in_toml(tmp_path: Path) -> None:
    """The file that people write is a seed too."""
    file = tmp_path / "pins.toml"
    file.write_text('[holdfast]\nformat = 1\nunlisted = "refuse"\n')

    assert Seed(Policy(unlisted=Unlisted.REFUSE)) == load_seed(file, NOW)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"epoch": 0}, "epoch"),
        ({"epoch": "1"}, "epoch"),
        ({"format": 2}, "format"),
        ({"more": 1}, "'more'"),
        ({"bundle": {}}, "serial"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    """Each with its place, as in a policy."""
    file = tmp_path / "seed.json"
    file.write_text(json.dumps({"format": 1, "epoch": 1, "bundle": BUNDLE} | change))

    with pytest.raises(PolicyError) as caught:
        load_seed(file, NOW)
    assert told in str(caught.value)


def test_a_missing_seed_is_told(tmp_path: Path) -> None:
    """With the fix that fits."""
    with pytest.raises(PolicyError, match="ship the seed"):
        load_seed(tmp_path / "seed.json", NOW)
