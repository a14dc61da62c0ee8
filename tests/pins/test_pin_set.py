from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from holdfast.errors import PolicyError
from holdfast.pins.client_identity import ClientIdentity
from holdfast.pins.endpoint import Endpoint
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import (
    ACCEPT_LOCK_OUT,
    Digests,
    Mode,
    OnExpiry,
    PinSet,
    Redirects,
    Require,
    Trust,
    place_of,
    probed_endpoints,
)

LEAF, BACKUP, CA, OTHER_CA = (Pin.of_spki(name) for name in (b"leaf", b"backup", b"ca", b"other"))
WHOLE = Pin.of_certificate(b"leaf")
TIME = datetime(2027, 6, 30, tzinfo=UTC)
HOSTS = (HostPattern.parse("api.example.com"), HostPattern.parse("**.pay.example.com"))


def make(**changes: Any) -> PinSet:  # noqa: ANN401
    """Return a sound set, with changes."""
    fields: dict[str, Any] = {
        "name": "payments",
        "hosts": HOSTS,
        "mode": Mode.ENFORCE,
        "leaf": (LEAF,),
        "backup": (BACKUP,),
    }
    return PinSet(**fields | changes)


def broken(**changes: Any) -> list[str]:  # noqa: ANN401
    """Return the places of the rules that the changes break."""
    with pytest.raises(PolicyError) as caught:
        make(**changes)
    assert all(problem.message and problem.fix for problem in caught.value.problems)
    return [problem.place for problem in caught.value.problems]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"leaf": (), "backup": (), "ca": (CA, OTHER_CA)},
        {"ca": (CA,)},
        {"ca": (CA, OTHER_CA), "require": Require.LEAF_AND_CA},
        {"ca": (CA,), "require": Require.LEAF_AND_CA, "single_pin": ACCEPT_LOCK_OUT},
        {"backup": (), "single_pin": ACCEPT_LOCK_OUT},
        {"backup": (), "mode": Mode.REPORT_ONLY},
        {"leaf": (LEAF, WHOLE)},
        {"leaf": (), "backup": (), "trust": Trust.PRIVATE, "anchors": (b"der",)},
        {"trust": Trust.PRIVATE, "anchors": (b"der",)},
        {"trust": Trust.PINS_ONLY, "check_name": True, "check_validity": False},
        {"expires": TIME, "on_expiry": OnExpiry.ALLOW},
        {"report_only_until": TIME},
        {"hosts": (), "clients": (ClientIdentity("spiffe://example.com/api"),)},
        {"endpoints": (Endpoint("smtp", "mx.pay.example.com", 25),)},
        {"strict": True, "redirects": Redirects.ANY, "owner": "payments team"},
    ],
)
def test_a_sound_set_can_be_made(changes: dict[str, Any]) -> None:
    """Every combination that the design allows is accepted."""
    assert "payments" == make(**changes).name


def test_private_anchors_are_a_second_pin() -> None:
    """An enforced private set may have one pin, or none: its anchors are pins too."""
    for leaf in ((LEAF,), ()):
        pin_set = make(leaf=leaf, backup=(), trust=Trust.PRIVATE, anchors=(b"der",))

        assert Mode.ENFORCE is pin_set.mode


@pytest.mark.threat("T03", "T37")
@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"leaf": (), "backup": (), "mode": Mode.REPORT_ONLY}, ""),
        ({"leaf": (LEAF, LEAF)}, "leaf[1]"),
        ({"backup": (LEAF,)}, "backup[0]"),
        ({"ca": (CA, BACKUP)}, "ca[1]"),
        ({"require": Require.LEAF_AND_CA, "mode": Mode.REPORT_ONLY}, "require"),
        ({"backup": ()}, "backup"),
        ({"leaf": (LEAF, CA), "backup": ()}, "backup"),
        ({"leaf": (), "backup": (BACKUP, CA)}, "backup"),
        ({"leaf": (), "backup": (), "ca": (CA,)}, "backup"),
        ({"ca": (CA,), "require": Require.LEAF_AND_CA}, "backup"),
        ({"backup": (), "ca": (CA, OTHER_CA), "require": Require.LEAF_AND_CA}, "backup"),
        ({"single_pin": "yes"}, "single_pin"),
        ({"single_pin": "i accept lock-out", "mode": Mode.REPORT_ONLY}, "single_pin"),
        ({"trust": Trust.PRIVATE}, "anchors"),
        ({"anchors": (b"der",)}, "anchors"),
        ({"anchors": (b"der",), "trust": Trust.PINS_ONLY}, "anchors"),
        ({"trust": Trust.PINS_ONLY, "ca": (CA,)}, "ca"),
        ({"check_name": False}, "check_name"),
        ({"check_validity": True}, "check_validity"),
        ({"trust": Trust.PRIVATE, "anchors": (b"der",), "check_name": True}, "check_name"),
        ({"expires": TIME}, "on_expiry"),
        ({"on_expiry": OnExpiry.ENFORCE}, "on_expiry"),
        ({"expires": TIME.replace(tzinfo=None), "on_expiry": OnExpiry.ALLOW}, "expires"),
        ({"report_only_until": TIME.replace(tzinfo=None)}, "report_only_until"),
        ({"report_only_until": TIME, "strict": True}, "report_only_until"),
        ({"report_only_until": TIME, "trust": Trust.PINS_ONLY}, "report_only_until"),
        ({"hosts": ()}, "hosts"),
        ({"endpoints": (Endpoint("https", "other.example.com", 443),)}, "endpoints[0]"),
    ],
)
def test_a_broken_rule_is_told_with_its_place(changes: dict[str, Any], place: str) -> None:
    """Each rule of a set, broken alone, gives one problem that names the key."""
    assert [f"pin_set.payments.{place}".rstrip(".")] == broken(**changes)


def test_broken_rules_are_told_together() -> None:
    """A set with several mistakes names all of them at once."""
    places = broken(hosts=(), backup=(), expires=TIME, anchors=(b"der",), check_name=True)

    assert {"hosts", "backup", "on_expiry", "anchors", "check_name"} == {
        place.removeprefix("pin_set.payments.") for place in places
    }


@pytest.mark.parametrize("name", ["", "a.b", "a b", "ü", "a\nb", "a]", "\N{KELVIN SIGN}"])
def test_a_name_holds_letters_digits_and_two_marks(name: str) -> None:
    """A name that would not fit a TOML header or a line of a log is refused, and shown escaped."""
    place = place_of(name)

    assert [place] == broken(name=name)
    assert place.isascii()
    assert place.isprintable()


@pytest.mark.parametrize(
    "changes",
    [
        {"mode": "enforce"},
        {"trust": "private"},
        {"require": "leaf-and-ca"},
        {"expires": TIME, "on_expiry": "enforce"},
        {"redirects": "any"},
        {"hosts": list(HOSTS)},
        {"leaf": [LEAF]},
        {"clients": ["spiffe://example.com/api"]},
    ],
)
def test_other_types_are_refused(changes: dict[str, Any]) -> None:
    """Text is no enumeration (identity would miss it), and a list could change later."""
    with pytest.raises(TypeError, match="payments"):
        make(**changes)


def test_a_set_cannot_be_changed() -> None:
    """A verdict made from a set stays true."""
    with pytest.raises(FrozenInstanceError):
        make().mode = Mode.REPORT_ONLY  # type: ignore[misc]


def test_digests_are_grouped_by_role_and_kind() -> None:
    """Leaf and backup pins may match the leaf, CA pins a CA; keys and certificates are apart."""
    pin_set = make(leaf=(LEAF, WHOLE), ca=(CA,))

    assert (
        Digests(frozenset({LEAF.digest, BACKUP.digest}), frozenset({WHOLE.digest}))
        == pin_set.leaf_digests
    )
    assert Digests(frozenset({CA.digest}), frozenset()) == pin_set.ca_digests
    assert (LEAF, WHOLE, BACKUP, CA) == pin_set.pins


def test_a_probe_visits_the_endpoints_or_the_exact_hosts() -> None:
    """A wildcard cannot be probed; without endpoints, port 443 of each exact host is."""
    endpoint = Endpoint("smtp", "mx.pay.example.com", 25)

    assert (endpoint,) == probed_endpoints(make(endpoints=(endpoint,)))
    assert (Endpoint("https", "api.example.com", 443),) == probed_endpoints(make())


def test_a_set_gets_other_pins() -> None:
    """All the rest is kept, nothing that was worked out from the former ones, and rules hold."""
    one, two, three = (Pin.of_spki(name) for name in (b"one", b"two", b"three"))
    before = PinSet(
        name="api",
        hosts=(HostPattern.parse("api.example.com"),),
        mode=Mode.ENFORCE,
        leaf=(one,),
        backup=(two,),
        owner="somebody",
        strict=True,
        redirects=Redirects.ANY,
    )
    assert before.leaf_digests.spki == {one.digest, two.digest}

    after = before.with_pins((three,), (one,), (two,))

    assert replace(before, leaf=(three,), backup=(one,), ca=(two,)) == after
    assert {three.digest, one.digest} == after.leaf_digests.spki
    assert {two.digest} == after.ca_digests.spki
    for pins in (((one,), (), ()), ((), (), ()), ((one,), (one,), ())):
        with pytest.raises(PolicyError):
            before.with_pins(*pins)
    with pytest.raises(TypeError):
        before.with_pins([one], (two,), ())  # type: ignore[arg-type]  # as untyped code may
