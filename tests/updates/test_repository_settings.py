import tomllib

import pytest

from holdfast.errors import PolicyError
from holdfast.updates.repository_settings import settings_from_document, settings_text
from holdfast.updates.roles import PROFILES, ROLES, RoleRule


@pytest.mark.parametrize("profile", PROFILES)
def test_what_is_written_is_read_again(profile: str) -> None:
    """Every figure of a profile stands in the file, and none is secret, which its head says."""
    text = settings_text(PROFILES[profile])

    assert PROFILES[profile] == settings_from_document(tomllib.loads(text)).roles
    assert "nothing secret" in text.partition("\n")[0]


def test_a_file_overrides_the_profile_that_it_names() -> None:
    """What is left out is as the profile says."""
    settings = settings_from_document(
        {"format": 1, "profile": "bank", "role": {"timestamp": {"days": 3}, "root": {"keys": 5}}}
    )

    assert RoleRule(1, 1, 3) == settings.roles["timestamp"]
    assert RoleRule(5, 2, 365) == settings.roles["root"]
    assert PROFILES["bank"]["pins"] == settings.roles["pins"]
    assert {} == settings.cards


def test_cards_are_as_many_keys() -> None:
    """They are handed on as they are named."""
    cards = ["cards/alice.card.json", "cards/bob.card.json"]
    settings = settings_from_document(
        {"format": 1, "profile": "saas", "role": {"root": {"keys": cards}}}
    )

    assert {"root": tuple(cards)} == settings.cards
    assert RoleRule(2, 2, 365) == settings.roles["root"]


def test_all_mistakes_are_told_at_once() -> None:
    """Each with its place and the fix."""
    document = {
        "format": True,
        "profile": "sass",
        "publish": 1,
        "role": {
            "rooot": {"keys": 1},
            "targets": {"threshold": 3, "keys": 2, "day": 7},
            "pins": {"threshold": 0, "keys": "one", "days": 1.5},
            "snapshot": {"keys": []},
            "timestamp": {"keys": ["a.card.json", 7, ""]},
            "emergency": [],
        },
    }

    with pytest.raises(PolicyError) as raised:
        settings_from_document(document, source="repository.toml")

    told = {problem.place: problem for problem in raised.value.problems}
    assert {
        "format",
        "profile",
        "publish",
        "role.rooot",
        "role.targets.threshold",
        "role.targets.day",
        "role.pins.threshold",
        "role.pins.keys",
        "role.pins.days",
        "role.snapshot.keys",
        "role.timestamp.keys[1]",
        "role.timestamp.keys[2]",
        "role.emergency",
    } == set(told)
    assert 'did you mean "saas"?' == told["profile"].fix
    assert "of 2 keys, 3 never sign" == told["role.targets.threshold"].message


def test_without_a_profile_nothing_may_be_left_out() -> None:
    """A signature for a number of days that nobody has written is not made."""
    with pytest.raises(PolicyError) as raised:
        settings_from_document({"format": 1, "role": {"root": {"keys": 2, "days": 9}}})

    missing = {problem.place for problem in raised.value.problems}
    assert "role.root.threshold" in missing
    assert {f"role.{role}.days" for role in ROLES if role != "root"} <= missing
    assert "role.root.days" not in missing


@pytest.mark.parametrize(("profile", "place"), [(7, "profile"), ("nothing like it", "profile")])
def test_a_profile_that_is_none_is_told(profile: object, place: str) -> None:
    """Alone: what it would have said is not missing."""
    with pytest.raises(PolicyError) as raised:
        settings_from_document({"format": 1, "profile": profile})

    assert [place] == [problem.place for problem in raised.value.problems]
    assert "small or saas or bank" in raised.value.problems[0].fix
