from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import HoldfastError, PolicyError, UnknownFormatError, UpdateError
from holdfast.updates.adoption import (
    MAX_REPORT_BYTES,
    PERIOD,
    REPLAY_WINDOW,
    Adoption,
    Report,
    installation_name,
    report_from_bytes,
    report_to_bytes,
    signature_of,
)
from holdfast.updates.document_text import MAX_SERIAL
from holdfast.updates.freshness import State

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
KEY, OTHER = b"k" * 32, b"o" * 32
KEYS = {"shop": [OTHER, KEY], "bank": [b"b" * 32]}
INSTALLATION = bytes(range(16))
SECOND = timedelta(seconds=1)
REPORT = Report(
    application="shop",
    installation=installation_name(INSTALLATION, "shop", NOW),
    epoch=1,
    serial=7,
    candidate=False,
    state=State.FRESH,
    sent=NOW,
)
BODY = report_to_bytes(REPORT)


def read(body: bytes, key: bytes = KEY, now: datetime = NOW) -> Report:
    """Read a report that is signed with a key."""
    return report_from_bytes(body, signature_of(body, key), KEYS, now)


def changed(**keys: object) -> bytes:
    """Return a body with other keys; one that is None is left out."""
    document: dict[str, Any] = json.loads(BODY) | keys
    return json.dumps({key: value for key, value in document.items() if value is not None}).encode()


def test_a_report_has_one_text() -> None:
    """It is small, and holds nothing beside what is documented."""
    assert (
        '{"application":"shop","candidate":false,"epoch":1,"format":1,'
        f'"installation":"{REPORT.installation}","sent":"2027-03-01T12:00:00Z","serial":7,'
        '"state":"fresh"}'
    ) == BODY.decode("ascii")


@given(
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True),
    st.binary(min_size=32, max_size=64),
    st.tuples(*[st.integers(0, MAX_SERIAL) | st.just(MAX_SERIAL)] * 2),
    st.booleans(),
    st.sampled_from(State),
)
def test_a_report_comes_back(
    application: str, key: bytes, order: tuple[int, int], candidate: bool, state: State
) -> None:
    """Whatever it says, under the key of its application, and below the limit."""
    report = Report(
        application=application,
        installation=installation_name(INSTALLATION, application, NOW),
        epoch=order[0],
        serial=order[1],
        candidate=candidate,
        state=state,
        sent=NOW,
    )
    body = report_to_bytes(report)

    assert report == report_from_bytes(body, signature_of(body, key), {application: [key]}, NOW)


def test_the_signature_is_an_hmac_over_the_body() -> None:
    """Another implementation can make and check it."""
    digest = hmac.digest(KEY, BODY, "sha256").hex()

    assert f"hmac-sha256={digest}" == signature_of(BODY, KEY)


def test_an_installation_has_another_name_elsewhere_and_later() -> None:
    """For each application and each period, and none of them is its value or a plain digest."""
    start = datetime(1970, 1, 1, tzinfo=UTC) + 231 * PERIOD
    names = [
        installation_name(INSTALLATION, application, start + offset)
        for application in ("shop", "bank")
        for offset in (timedelta(), PERIOD - SECOND, PERIOD)
    ]

    assert names[0] == names[1]
    assert names[3] == names[4]
    assert 4 == len(set(names))
    assert hmac.digest(INSTALLATION, b"shop|231", "sha256").hex() == names[0]
    assert hashlib.sha256(INSTALLATION).hexdigest() not in names


@pytest.mark.parametrize("key", [b"", b"k" * 31 + b"l", KEYS["bank"][0]])
def test_a_stranger_tells_nothing(key: bytes) -> None:
    """Without the key of this very application a report does not count."""
    with pytest.raises(UpdateError, match="key"):
        read(BODY, key)


@pytest.mark.parametrize("key", KEYS["shop"])
def test_a_key_is_exchanged_while_both_count(key: bytes) -> None:
    """Applications in the field still have the old one."""
    assert REPORT == read(BODY, key)


@given(st.integers(0, len(BODY) * 8 - 1))
def test_no_bit_of_a_body_can_be_changed(place: int) -> None:
    """The signature is over exactly these bytes."""
    body = bytearray(BODY)
    body[place // 8] ^= 1 << place % 8

    with pytest.raises(UpdateError, match="signed"):
        report_from_bytes(bytes(body), signature_of(BODY, KEY), KEYS, NOW)


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "hmac-sha256=",
        signature_of(BODY, KEY).upper(),
        signature_of(BODY, KEY) + "\n",
        signature_of(BODY, KEY)[:-1],
        signature_of(BODY, KEY).replace("sha256", "sha1"),
        "hmac-sha256=" + "\u0660" * 64,
    ],
)
def test_what_is_no_signature_is_told(signature: str) -> None:
    """It has one text, and no other algorithm."""
    with pytest.raises(UpdateError, match="no signature"):
        report_from_bytes(BODY, signature, KEYS, NOW)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_replay_does_not_count(sign: int) -> None:
    """A report counts within an hour of the collector's time, in both directions."""
    assert REPORT == read(BODY, now=NOW + sign * REPLAY_WINDOW)
    with pytest.raises(UpdateError, match="replay"):
        read(BODY, now=NOW + sign * (REPLAY_WINDOW + SECOND))


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        ({"application": "a b"}, "application"),
        ({"application": 7}, "application"),
        ({"installation": REPORT.installation.upper()}, "installation"),
        ({"installation": REPORT.installation[1:]}, "installation"),
        ({"epoch": -1}, "epoch"),
        ({"epoch": True}, "epoch"),
        ({"serial": MAX_SERIAL + 1}, "serial"),
        ({"serial": 1.0}, "serial"),
        ({"candidate": 0}, "candidate"),
        ({"state": "rotten"}, "state"),
        ({"sent": "2027-03-01T12:00:00"}, "sent"),
        ({"sent": None}, "sent"),
        ({"format": 0}, "format"),
        ({"more": 1}, "more"),
    ],
)
def test_a_signed_mistake_is_told(keys: dict[str, object], place: str) -> None:
    """Whoever has the key still writes what is meant, or nothing."""
    with pytest.raises(PolicyError) as caught:
        read(changed(**keys))

    assert [place] == [problem.place for problem in caught.value.problems]


def test_a_report_of_a_newer_release_is_told_from_a_broken_one() -> None:
    """So that the collector can say that it is the one to be upgraded."""
    with pytest.raises(UnknownFormatError):
        read(changed(format=2))


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b"{", b" " * (MAX_REPORT_BYTES + 1)])
def test_what_is_no_report_is_told(body: bytes) -> None:
    """Also with the right signature; what is too long is not even looked at."""
    with pytest.raises(HoldfastError):
        read(body)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"application": ""}, "name"),
        ({"application": "a/b"}, "name"),
        ({"application": "." + "a" * 8}, "name"),
        ({"application": "a" * 65}, "name"),
        ({"application": b"shop"}, "name"),
        ({"key": b"k" * 31}, "key"),
        ({"key": "k" * 32}, "key"),
    ],
)
def test_settings_that_cannot_work_are_told(settings: dict[str, Any], told: str) -> None:
    """When they are made, and not in a thread later."""
    with pytest.raises(UpdateError, match=told):
        Adoption(**{"url": "https://localhost/it", "application": "shop", "key": KEY} | settings)


def test_the_key_is_not_shown() -> None:
    """Settings are logged more often than one thinks."""
    assert "kkk" not in repr(Adoption(url="https://localhost/it", application="shop", key=KEY))
