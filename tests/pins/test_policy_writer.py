from __future__ import annotations

import dataclasses
import json
from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.pins.client_identity import ClientIdentity
from holdfast.pins.endpoint import Endpoint
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, OnExpiry, PinSet, Redirects, Require, Trust
from holdfast.pins.policy import OnStale, Policy, Unlisted
from holdfast.pins.policy_document import policy_from_document
from holdfast.pins.policy_writer import policy_to_document, time_text

NOW = datetime(2026, 11, 1, tzinfo=UTC)
LEAF, BACKUP, CA, OTHER_CA = (Pin.of_spki(name) for name in (b"leaf", b"backup", b"ca", b"other"))

PLAIN = PinSet(
    name="plain",
    hosts=(HostPattern.parse("plain.example.com"),),
    mode=Mode.REPORT_ONLY,
    leaf=(Pin.of_certificate(b"whole"),),
)
FULL = PinSet(
    name="full",
    hosts=(HostPattern.parse("api.example.com"), HostPattern.parse("**.pay.example.com")),
    mode=Mode.ENFORCE,
    leaf=(LEAF,),
    backup=(BACKUP,),
    ca=(CA, OTHER_CA),
    require=Require.LEAF_AND_CA,
    expires=datetime(2027, 6, 30, 12, 0, 0, 5, tzinfo=UTC),
    on_expiry=OnExpiry.REPORT_ONLY,
    report_only_until=NOW + timedelta(days=1),
    owner="payments team <pay@example.com>",
    redirects=Redirects.ANY,
    endpoints=(Endpoint("smtp", "mx.pay.example.com", 25), Endpoint("https", "api.example.com", 1)),
    clients=(ClientIdentity("spiffe://example.com/api"), ClientIdentity("c.example.com")),
)
MESH = PinSet(
    name="mesh",
    hosts=(HostPattern.parse("*.svc.internal"), HostPattern.parse("2001:db8::1")),
    mode=Mode.ENFORCE,
    trust=Trust.PRIVATE,
    anchors=(b"root", b"second root"),
    strict=True,
    endpoints=(Endpoint("https", "2001:db8::1", 443),),
)
SENSOR = PinSet(
    name="sensor",
    hosts=(HostPattern.parse("10.1.2.3"),),
    mode=Mode.ENFORCE,
    trust=Trust.PINS_ONLY,
    leaf=(LEAF,),
    single_pin="I accept lock-out",
    check_name=False,
    check_validity=True,
)
SETS = (PLAIN, FULL, MESH, SENSOR)


def written(policy: Policy) -> Policy:
    """Return the policy that comes back after it was written as JSON."""
    document = policy_to_document(policy, write_anchor=bytes.hex)
    return policy_from_document(
        json.loads(json.dumps(document)),
        now=NOW,
        read_anchors=lambda entry: (bytes.fromhex(entry),),
    )


@pytest.mark.parametrize("pin_set", SETS, ids=lambda pin_set: pin_set.name)
@pytest.mark.parametrize("on_stale", OnStale)
@pytest.mark.parametrize("unlisted", Unlisted)
def test_a_policy_comes_back(pin_set: PinSet, on_stale: OnStale, unlisted: Unlisted) -> None:
    """What was written is read as the same policy."""
    for sets, denied in (((pin_set,), (CA, LEAF)), (SETS, ()), ((), ())):
        policy = Policy(unlisted=unlisted, on_stale=on_stale, denied=denied, pin_sets=sets)

        assert policy == written(policy)


def test_every_field_is_tried() -> None:
    """The sets above give each field another value than its default, one that is added included."""
    tried = {
        field.name
        for field, pin_set in ((field, one) for one in SETS for field in fields(PinSet))
        if getattr(pin_set, field.name) != field.default
    }

    assert {field.name for field in fields(PinSet) if field.init} == tried
    # The pins of single hosts are no part of the document.
    assert {"unlisted", "on_stale", "denied", "pin_sets", "host_pins"} == {
        field.name for field in fields(Policy) if field.init
    }


def test_defaults_are_left_out() -> None:
    """A plain set takes no more room than it needs."""
    policy = Policy(unlisted=Unlisted.ALLOW, pin_sets=(PLAIN,))

    assert {
        "holdfast": {"format": 1, "unlisted": "allow"},
        "pin_set": {
            "plain": {
                "hosts": ["plain.example.com"],
                "mode": "report-only",
                "leaf": [str(PLAIN.leaf[0])],
            }
        },
    } == policy_to_document(policy, write_anchor=bytes.hex)


@pytest.mark.parametrize(
    ("key", "member"),
    [
        (key, member)
        for key, kind in (
            ("mode", Mode),
            ("on_expiry", OnExpiry),
            ("require", Require),
            ("redirects", Redirects),
        )
        for member in kind
    ],
)
def test_every_choice_is_written(key: str, member: object) -> None:
    """Each member of each enumeration comes back (those of trust are in the sets above)."""
    pin_set = dataclasses.replace(FULL, **{key: member})  # type: ignore[arg-type]
    policy = Policy(unlisted=Unlisted.ALLOW, pin_sets=(pin_set,))

    assert policy == written(policy)


@given(st.timedeltas(timedelta(days=-700_000), timedelta(days=2_000_000)), st.integers(-12, 14))
def test_a_time_is_written_in_utc(distance: timedelta, hours: int) -> None:
    """Whatever its offset, the text means the same point in time and ends in Z."""
    time = (NOW + distance).astimezone(timezone(timedelta(hours=hours)))

    assert time == datetime.fromisoformat(time_text(time))
    assert time_text(time).endswith("Z")
