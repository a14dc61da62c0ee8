from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import CertificateError, PolicyError
from holdfast.pins.client_identity import ClientIdentity
from holdfast.pins.decode_document import decode_document
from holdfast.pins.endpoint import Endpoint
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, OnExpiry, PinSet, Redirects, Require, Trust
from holdfast.pins.policy import OnStale, Policy, Unlisted
from holdfast.pins.policy_document import policy_from_document

NOW = datetime(2026, 11, 1, tzinfo=UTC)
LEAF, BACKUP, CA, OTHER_CA = (Pin.of_spki(name) for name in (b"leaf", b"backup", b"ca", b"other"))
ANCHORS = {"root.pem": (b"root",), "two.pem": (b"one", b"two")}


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()


def read_anchors(entry: str) -> tuple[bytes, ...]:
    """Stand for the files."""
    if entry not in ANCHORS:
        raise CertificateError(f"{entry!r} cannot be read", hint="check the path")
    return ANCHORS[entry]


def load(document: dict[str, Any]) -> Policy:
    """Return the policy that a document means."""
    return policy_from_document(document, now=NOW, read_anchors=read_anchors, source="pins.toml")


def problems_of(document: dict[str, Any]) -> dict[str, str]:
    """Return what is wrong with a document, by place."""
    with pytest.raises(PolicyError) as caught:
        load(document)
    assert caught.value.source == "pins.toml"
    problems = caught.value.problems
    assert all(problem.message and problem.fix for problem in problems)
    assert len(set(problems)) == len(problems)
    return {problem.place: f"{problem.message}; {problem.fix}" for problem in problems}


def with_set(**keys: object) -> dict[str, Any]:
    """Return a sound document with one set, changed; a key that is None is left out."""
    table = {
        "hosts": ["api.example.com"],
        "mode": "enforce",
        "leaf": [str(LEAF)],
        "backup": [str(BACKUP)],
    } | keys
    return {
        "holdfast": {"format": 1, "unlisted": "allow"},
        "pin_set": {"payments": {key: value for key, value in table.items() if value is not None}},
    }


def test_every_key_is_read() -> None:
    """A document with every key that there is becomes the policy that says the same."""
    document = decode_document(
        f"""
        [holdfast]
        format = 1
        unlisted = "report-only"
        denied = ["{CA}"]
        on_stale = "refuse"

        [pin_set.payments]
        hosts = ["API.example.com.", "**.pay.example.com"]
        mode = "enforce"
        leaf = ["{LEAF}"]
        backup = ["{BACKUP}"]
        ca = ["{CA}", "{OTHER_CA}"]
        require = "leaf-and-ca"
        expires = 2027-06-30T00:00:00Z
        on_expiry = "report-only"
        report_only_until = 2026-11-02T00:00:00Z
        owner = "payments team <pay@example.com>"
        redirects = "any"
        endpoints = ["smtp://mx.pay.example.com"]
        clients = ["spiffe://example.com/api"]

        [pin_set.mesh]
        hosts = ["**.svc.internal"]
        mode = "enforce"
        trust = "private"
        anchors = ["root.pem", "two.pem"]
        strict = true

        [pin_set.sensor]
        hosts = ["10.1.2.3"]
        mode = "report-only"
        trust = "pins-only"
        leaf = ["{LEAF}"]
        single_pin = "I accept lock-out"
        check_name = true
        check_validity = false
        """,
        "toml",
    )
    expected = Policy(
        unlisted=Unlisted.REPORT_ONLY,
        denied=(CA,),
        on_stale=OnStale.REFUSE,
        pin_sets=(
            PinSet(
                name="payments",
                hosts=(
                    HostPattern.parse("api.example.com"),
                    HostPattern.parse("**.pay.example.com"),
                ),
                mode=Mode.ENFORCE,
                leaf=(LEAF,),
                backup=(BACKUP,),
                ca=(CA, OTHER_CA),
                require=Require.LEAF_AND_CA,
                expires=datetime(2027, 6, 30, tzinfo=UTC),
                on_expiry=OnExpiry.REPORT_ONLY,
                report_only_until=datetime(2026, 11, 2, tzinfo=UTC),
                owner="payments team <pay@example.com>",
                redirects=Redirects.ANY,
                endpoints=(Endpoint("smtp", "mx.pay.example.com", 25),),
                clients=(ClientIdentity("spiffe://example.com/api"),),
            ),
            PinSet(
                name="mesh",
                hosts=(HostPattern.parse("**.svc.internal"),),
                mode=Mode.ENFORCE,
                trust=Trust.PRIVATE,
                anchors=(b"root", b"one", b"two"),
                strict=True,
            ),
            PinSet(
                name="sensor",
                hosts=(HostPattern.parse("10.1.2.3"),),
                mode=Mode.REPORT_ONLY,
                trust=Trust.PINS_ONLY,
                leaf=(LEAF,),
                single_pin="I accept lock-out",
                check_name=True,
                check_validity=False,
            ),
        ),
    )

    assert expected == load(document)
    assert expected == load(json.loads(json.dumps(document, default=datetime.isoformat)))


@pytest.mark.parametrize(
    "document",
    [
        {"holdfast": {"format": 1, "unlisted": "refuse"}},
        {"holdfast": {"format": 1, "unlisted": "allow", "denied": []}, "pin_set": {}},
    ],
)
def test_a_policy_may_have_no_sets(document: dict[str, Any]) -> None:
    """What `unlisted` says is then all there is; a list of denied keys may be empty."""
    assert () == load(document).pin_sets


def test_a_set_for_clients_alone_keeps_its_pins() -> None:
    """A set may name clients and no hosts; it is read like any other."""
    document = with_set(hosts=None, clients=["spiffe://example.com/api"])
    expected = PinSet(
        name="payments",
        hosts=(),
        mode=Mode.ENFORCE,
        leaf=(LEAF,),
        backup=(BACKUP,),
        clients=(ClientIdentity("spiffe://example.com/api"),),
    )

    assert (expected,) == load(document).pin_sets


TEN_MISTAKES = f"""
[holdfast]
format = 2
unlisted = "permit"
denied = ["sha1/DmxUShsZuNiqPQsX2Oi9uv2sCnw="]

[pin_set.payments]
hosts = ["https://api.example.com"]
mode = "enforced"
leaf = ["{str(LEAF)[:-1]}"]
back_up = ["{BACKUP}"]
expires = 2027-06-30T00:00:00

[pin_set.shop]
hosts = ["*.*.shop.example.com"]
mode = "enforce"
leaf = ["{LEAF}"]
"""


def test_ten_mistakes_give_ten_messages() -> None:
    """Each mistake is told once, at its place, with what to write instead."""
    problems = problems_of(decode_document(TEN_MISTAKES, "toml"))

    for place, words in {
        "holdfast.format": "write format = 1",
        "holdfast.unlisted": 'write "refuse"',
        "holdfast.denied[0]": "SHA-1",
        "pin_set.payments.hosts[0]": "without the scheme",
        "pin_set.payments.mode": 'did you mean "enforce"?',
        "pin_set.payments.leaf[0]": "missing =",
        "pin_set.payments.back_up": "did you mean backup?",
        "pin_set.payments.expires": "with Z or +hh:mm",
        "pin_set.payments.on_expiry": "write on_expiry",
        "pin_set.shop.hosts[0]": "whole first label",
        "pin_set.shop.backup": "add a backup pin",
    }.items():
        assert words in problems.pop(place), place
    assert {} == problems


@pytest.mark.parametrize(
    ("document", "places"),
    [
        ({}, ["holdfast"]),
        ({"holdfast": []}, ["holdfast"]),
        ({"holdfast": {}}, ["holdfast.format", "holdfast.unlisted"]),
        ({"holdfast": {"format": 1, "unlisted": None}}, ["holdfast.unlisted"]),
        ({"holdfast": {"fmt_format": 1, "unlisted": "allow"}}, ["holdfast.fmt_format"]),
        ({"holdfast": {"format": 1, "unlisted": "allow", "x": 1}}, ["holdfast.x"]),
        ({"holdfast": {"format": 1, "unlisted": "allow"}, "pin_set": []}, ["pin_set"]),
        ({"holdfast": {"format": 1, "unlisted": "allow"}, "pin_set": None}, ["pin_set"]),
        ({"holdfast": {"format": 1, "unlisted": "allow"}, "pin_sets": {}}, ["pin_sets"]),
        ({"holdfast": {"format": 1, "unlisted": "allow"}, "shop": {}}, ["shop"]),
    ],
)
def test_the_outer_tables_are_checked(document: dict[str, Any], places: list[str]) -> None:
    """Missing, misspelt and wrongly typed tables and settings are told, each once."""
    assert places == list(problems_of(document))


@pytest.mark.parametrize("number", [True, 1.0, "1", 0, 2, -1, None, [1]])
def test_only_format_one_is_read(number: object) -> None:
    """`true` and `1.0` equal 1 in Python, but they are no format number."""
    document = with_set()
    document["holdfast"]["format"] = number

    assert ["holdfast.format"] == list(problems_of(document))


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        ({"mode": None}, "mode"),
        ({"mode": ["enforce"]}, "mode"),
        ({"mode": "Enforce"}, "mode"),
        ({"leaf": "sha256/AAAA"}, "leaf"),
        ({"leaf": str(LEAF)}, "leaf"),
        ({"leaf": []}, "leaf"),
        ({"leaf": [""]}, "leaf[0]"),
        ({"leaf": [None]}, "leaf[0]"),
        ({"leaf": [[str(LEAF)]]}, "leaf[0]"),
        ({"leaf": [str(LEAF), "sha256/"]}, "leaf[1]"),
        ({"leaf": {"0": str(LEAF)}}, "leaf"),
        ({"leaf": [str(LEAF), str(LEAF)]}, "leaf[1]"),
        ({"backup": [str(LEAF)]}, "backup[0]"),
        ({"backup": [str(BACKUP).replace("sha256/", "SHA256/")]}, "backup[0]"),
        ({"backup": []}, "backup"),
        ({"backup": None}, "backup"),
        ({"ca": False}, "ca"),
        ({"hosts": None}, "hosts"),
        ({"hosts": []}, "hosts"),
        ({"hosts": "api.example.com"}, "hosts"),
        ({"hosts": ["api.example.com", "*"]}, "hosts[1]"),
        ({"hosts": ["api.example.com", "API.example.com"]}, "hosts[1]"),
        ({"trust": "privat"}, "trust"),
        ({"trust": "private"}, "anchors"),
        ({"anchors": ["root.pem"]}, "anchors"),
        ({"trust": "private", "anchors": ["root.pem", "missing.pem"]}, "anchors[1]"),
        ({"trust": "private", "anchors": ["missing.pem"]}, "anchors[0]"),
        ({"trust": "private", "anchors": "root.pem"}, "anchors"),
        ({"trust": "private", "anchors": []}, "anchors"),
        ({"trust": "pins-only", "ca": [str(CA)]}, "ca"),
        ({"check_name": True}, "check_name"),
        ({"trust": "pins-only", "check_validity": 0}, "check_validity"),
        ({"strict": "true"}, "strict"),
        ({"strict": 1}, "strict"),
        ({"expires": "2027-06-30", "on_expiry": "allow"}, "expires"),
        ({"expires": "2027-06-30T00:00:00Z"}, "on_expiry"),
        ({"on_expiry": "allow"}, "on_expiry"),
        ({"expirs": "2027-06-30T00:00:00Z", "on_expiry": "allow"}, "expirs"),
        ({"report_only_until": "2026-11-20T00:00:00Z"}, "report_only_until"),
        ({"report_only_until": "2026-11-02T00:00:00Z", "strict": True}, "report_only_until"),
        ({"owner": ""}, "owner"),
        ({"single_pin": True}, "single_pin"),
        ({"backup": None, "single_pin": "yes"}, "single_pin"),
        ({"redirects": "none"}, "redirects"),
        ({"require": "both"}, "require"),
        ({"endpoints": ["smtp://other.example.com"]}, "endpoints[0]"),
        ({"endpoints": ["gopher://api.example.com"]}, "endpoints[0]"),
        ({"endpoints": ["smtp://api.example.com"], "hosts": ["a b"]}, "hosts[0]"),
        ({"clients": ["*.example.com"]}, "clients[0]"),
        ({"clients": ["spiffe://"]}, "clients[0]"),
        ({"clients": [1]}, "clients[0]"),
        ({"name": "x"}, "name"),
        ({"Mode": "enforce", "mode": None}, "Mode"),
        ({"host": ["api.example.com"], "hosts": None}, "host"),
        ({"leaf_": [str(LEAF)], "leaf": None}, "leaf_"),
        ({"a\nb": 1}, "'a\\nb'"),
        ({"leaf": None, "backup": None, "mode": "report-only"}, ""),
    ],
)
def test_one_mistake_in_a_set_gives_one_message(keys: dict[str, Any], place: str) -> None:
    """A wrong value is told at its place, and nothing that merely follows from it."""
    assert [f"pin_set.payments.{place}".rstrip(".")] == list(problems_of(with_set(**keys)))


@pytest.mark.threat("T36")
@given(
    st.sampled_from(["hosts", "leaf", "backup", "ca", "anchors"]),
    VALUES
    | st.lists(VALUES | st.lists(VALUES, max_size=2), max_size=2)
    | st.dictionaries(st.text(), VALUES, max_size=2),
)
def test_no_value_means_that_a_pin_is_absent(key: str, value: object) -> None:
    """Whatever stands where pins or hosts belong is refused unless it means what it should."""
    document = with_set(**{key: value}) if value is not None else with_set()
    document["pin_set"]["payments"][key] = value
    try:
        policy = load(document)
    except PolicyError:
        return
    assert isinstance(value, list)
    assert len(value) == len(getattr(policy.pin_sets[0], key))


def test_rules_are_told_beside_bad_values() -> None:
    """A bad pin does not hide that the set has no backup, nor a bad key that it covers no host."""
    keys = {"leaf": ["sha256/"], "backup": None, "hosts": None, "color": "red"}

    assert {"leaf[0]", "backup", "hosts", "color"} == {
        place.removeprefix("pin_set.payments.") for place in problems_of(with_set(**keys))
    }


def test_rules_between_sets_are_told_beside_bad_sets() -> None:
    """Patterns are compared even when their sets have other mistakes; stand-ins are never told."""
    document = with_set(mode="x", hosts=["api.example.com", "a b"])
    document["pin_set"]["shop"] = {"hosts": ["c d", "api.example.com"], "leaf": 1}
    document["pin_set"]["third"] = {"hosts": ["e f", "g h"], "leaf": ["i", "j"]}
    document["holdfast"]["denied"] = ["k", "l", str(CA), str(CA)]
    problems = problems_of(document)

    assert "stands in pin_set.payments already" in problems["pin_set.shop.hosts[1]"]
    assert "denied twice" in problems["holdfast.denied[3]"]
    assert not any("invalid" in text for text in problems.values())
    assert {
        "holdfast.denied[0]", "holdfast.denied[1]", "holdfast.denied[3]",
        "pin_set.payments.mode", "pin_set.payments.hosts[1]",
        "pin_set.shop.mode", "pin_set.shop.leaf", "pin_set.shop.hosts[0]", "pin_set.shop.hosts[1]",
        "pin_set.third.mode", "pin_set.third.hosts[0]", "pin_set.third.hosts[1]",
        "pin_set.third.leaf[0]", "pin_set.third.leaf[1]",
    } == set(problems)  # fmt: skip


@pytest.mark.parametrize("name", ["", "a.b", "a b", "ü", "a\nb", "\x1b[31m"])
def test_the_name_of_a_set_is_checked(name: str) -> None:
    """A bad name is told in a form that can be shown."""
    document = with_set()
    document["pin_set"] = {name: document["pin_set"]["payments"]}
    (place,) = problems_of(document)

    assert place.isprintable()
    assert place.isascii()


@pytest.mark.parametrize("value", [None, [], "set", 1, True])
def test_a_set_is_a_table(value: object) -> None:
    """Anything else under `pin_set` is told with the header to write."""
    document = with_set()
    document["pin_set"]["shop"] = value

    assert "write [pin_set.shop]" in problems_of(document)["pin_set.shop"]


def test_a_dot_in_the_name_is_explained() -> None:
    """`[pin_set.api.example]` is a table in a set, which the message says."""
    problems = problems_of(with_set(example={"hosts": ["a.example"]}))

    assert "no dots" in problems["pin_set.payments.example"]


def test_break_glass_is_measured_against_now() -> None:
    """Seven days ahead is accepted, a second more is not, whatever else is wrong with the set."""
    limit = NOW + timedelta(days=7)
    later = (limit + timedelta(seconds=1)).isoformat()

    assert limit == load(with_set(report_only_until=limit)).pin_sets[0].report_only_until
    assert ["pin_set.payments.report_only_until"] == list(
        problems_of(with_set(report_only_until=later))
    )
    assert {"pin_set.payments.report_only_until", "pin_set.payments.owner"} == set(
        problems_of(with_set(report_only_until=later, owner=1))
    )


def test_a_client_of_two_sets_is_told_beside_another_mistake() -> None:
    """A repeated client is told in the same go, also where its set has a mistake of its own."""
    document = with_set(clients=["spiffe://a/b", "spiffe://A"], mode="enforced")
    document["pin_set"]["other"] = {
        "clients": ["spiffe://a/b"],
        "mode": "report-only",
        "leaf": [str(LEAF)],
    }

    assert {
        "pin_set.payments.mode",
        "pin_set.payments.clients[1]",
        "pin_set.other.clients[0]",
    } == set(problems_of(document))
