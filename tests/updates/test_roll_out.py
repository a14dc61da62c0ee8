from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import PolicyError, Problem
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, PinSet
from holdfast.pins.policy import Policy, Unlisted
from holdfast.updates.document import Bundle
from holdfast.updates.roll_out import (
    EVERYBODY,
    SALT_BYTES,
    Candidate,
    chosen_policy,
    is_chosen,
    read_basis_points,
    read_salt,
    salt_text,
)

SALT = bytes(range(SALT_BYTES))
VALUES = st.binary(min_size=16, max_size=16)
SHARES = st.integers(0, EVERYBODY)


def policy(*names: str) -> Policy:
    """Return a policy with sets of these names."""
    return Policy(
        unlisted=Unlisted.ALLOW,
        pin_sets=tuple(
            PinSet(
                name=name,
                hosts=(HostPattern.parse(f"{name}.example.com"),),
                mode=Mode.ENFORCE,
                leaf=(Pin.of_spki(b"leaf"),),
                backup=(Pin.of_spki(b"backup"),),
            )
            for name in names
        ),
    )


STABLE, NEW = policy("stable"), policy("new")


def candidate(basis_points: int, salt: bytes = SALT) -> Candidate:
    """Return a candidate for a share of clients."""
    return Candidate(policy=NEW, basis_points=basis_points, salt=salt)


def installations(number: int) -> list[bytes]:
    """Return values that are the same in each run."""
    return [hashlib.sha256(b"installation %d" % one).digest()[:16] for one in range(number)]


@given(VALUES, VALUES, SHARES, SHARES)
def test_a_higher_share_takes_the_candidate_from_nobody(
    salt: bytes, installation: bytes, one: int, other: int
) -> None:
    """With the same salt clients only ever move from the stable policy to the candidate."""
    lower, higher = sorted((one, other))

    assert is_chosen(candidate(lower, salt), installation) <= is_chosen(
        candidate(higher, salt), installation
    )


@given(VALUES, VALUES, SHARES)
def test_the_lot_is_drawn_as_it_is_documented(salt: bytes, installation: bytes, share: int) -> None:
    """Other clients than this one can draw it too: sha256(salt | installation) mod 10000."""
    lot = int(hashlib.sha256(salt + installation).hexdigest(), 16) % 10_000

    assert (lot < share) is is_chosen(candidate(share, salt), installation)


@given(VALUES)
def test_nobody_and_everybody_are_exact(installation: bytes) -> None:
    """No rounding leaves one client behind, or takes one along."""
    assert not is_chosen(candidate(0), installation)
    assert is_chosen(candidate(EVERYBODY), installation)


@pytest.mark.parametrize("share", [100, 2500, 5000])
def test_the_share_is_what_was_asked_for(share: int) -> None:
    """Of many clients it is followed by that many, within four standard deviations."""
    number = 20_000
    followers = sum(is_chosen(candidate(share), one) for one in installations(number))
    expected, part = number * share / EVERYBODY, share / EVERYBODY

    assert abs(followers - expected) < 4 * (number * part * (1 - part)) ** 0.5


def test_another_salt_begins_with_other_clients() -> None:
    """The same ones are not always the first: of a tenth, about a tenth is in both."""
    both = [
        one
        for one in installations(20_000)
        if is_chosen(candidate(1000), one) and is_chosen(candidate(1000, b"another salt: 16"), one)
    ]

    assert 140 < len(both) < 260


def test_the_policy_of_a_bundle_is_chosen() -> None:
    """The candidate for those whose lot it is, the stable one for all others."""
    first, *_ = [one for one in installations(1000) if is_chosen(candidate(100), one)]
    last, *_ = [one for one in installations(1000) if not is_chosen(candidate(9900), one)]
    sound = {"serial": 1, "issued": datetime(2027, 3, 1, tzinfo=UTC), "refresh": timedelta(hours=1)}
    staged = Bundle(**sound, policy=STABLE, candidate=candidate(5000))  # type: ignore[arg-type]
    alone = Bundle(**sound, policy=STABLE)  # type: ignore[arg-type]

    assert [NEW, STABLE] == [chosen_policy(staged, one) for one in (first, last)]
    assert [STABLE, STABLE] == [chosen_policy(alone, one) for one in (first, last)]


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0"), (1, "0.01"), (250, "2.5"), (1000, "10"), (10_000, "100")]
)
def test_a_share_is_shown_in_percent(share: int, text: str) -> None:
    """As people write it."""
    assert text == candidate(share).percent


def test_sets_stand_in_the_order_of_their_names() -> None:
    """Canonical JSON has no other, so that what comes back is equal."""
    made = Candidate(policy=policy("b", "a"), basis_points=1, salt=SALT)

    assert policy("a", "b") == made.policy


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"basis_points": -1}, "basis_points"),
        ({"basis_points": EVERYBODY + 1}, "basis_points"),
        ({"basis_points": True}, "basis_points"),
        ({"salt": b""}, "salt"),
        ({"salt": SALT + b"x"}, "salt"),
    ],
)
def test_a_value_out_of_range_is_told(fields: dict[str, object], place: str) -> None:
    """With its place, when the candidate is made."""
    with pytest.raises(PolicyError) as caught:
        Candidate(**{"policy": NEW, "basis_points": 1, "salt": SALT} | fields)  # type: ignore[arg-type]

    assert [place] == [problem.place for problem in caught.value.problems]


@pytest.mark.parametrize("value", [-1, EVERYBODY + 1, 2.5, True, "5", None])
def test_what_is_no_share_is_a_problem(value: object) -> None:
    """A fraction too: it would have several texts."""
    problems: list[Problem] = []

    assert None is read_basis_points(value, "here", problems)
    assert ["here"] == [problem.place for problem in problems]


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        "",
        salt_text(SALT)[:-1],
        salt_text(SALT) + "\n",
        salt_text(SALT[1:]),
        salt_text(SALT + b"x"),
        base64.urlsafe_b64encode(b"\xff" * 16).decode(),
        "AAECAwQFBgcICQoLDA0ODx==",  # the same bytes by another text
        "ÄAECAwQFBgcICQoLDA0ODw==",
    ],
)
def test_what_is_no_salt_is_a_problem(value: object) -> None:
    """A salt has one text, as a pin has."""
    problems: list[Problem] = []

    assert None is read_salt(value, "here", problems)
    assert ["here"] == [problem.place for problem in problems]
    assert SALT == read_salt(salt_text(SALT), "here", problems)
